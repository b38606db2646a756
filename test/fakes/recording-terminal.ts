// A terminal whose output a test can read; colour as the process's own streams decide it.

import { PassThrough } from "node:stream";
import { WriteStream } from "node:tty";
import type { Terminal } from "../../src/commands/terminal.ts";

export interface RecordingTerminal extends Terminal {
  readonly outText: () => string;
  readonly errText: () => string;
}

export interface TerminalOptions {
  /** What standard input holds. */
  readonly input?: string;
  readonly isTTY?: boolean;
}

export function createRecordingTerminal({
  input = "",
  isTTY = false,
}: TerminalOptions = {}): RecordingTerminal {
  const texts = { out: "", err: "" };
  const stream = Object.assign(new PassThrough(), {
    isTTY,
    getColorDepth: (env: object) => WriteStream.prototype.getColorDepth(env),
  });
  return {
    out: (text) => (texts.out += text),
    err: (text) => (texts.err += text),
    stream: stream as unknown as NodeJS.WriteStream,
    readInput: () => Promise.resolve(new TextEncoder().encode(input)),
    outText: () => texts.out,
    errText: () => texts.err,
  };
}
