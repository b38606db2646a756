// A log whose lines a test can read.

import type { Log, LogLevel } from "../../src/log.ts";

export interface LogLine {
  readonly level: LogLevel;
  readonly facts: Readonly<Record<string, unknown>>;
  readonly text: string;
}

export interface RecordingLog extends Log {
  readonly lines: LogLine[];
}

export function createRecordingLog(): RecordingLog {
  const lines: LogLine[] = [];
  const at = (level: LogLevel) => (facts: Readonly<Record<string, unknown>>, text: string) => {
    lines.push({ level, facts, text });
  };
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
