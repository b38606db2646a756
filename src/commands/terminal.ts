// What a command has of the outside: two streams to write to, one to read. Tests hand in their own.

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Where `out` goes: colour is only for a terminal. */
  readonly stream: NodeJS.WriteStream;
  readInput(): Promise<Uint8Array>;
}

/** Exit codes of `check`, `explain` and `check-policy`; of `registries`, where a problem is what is refused. */
export const exitCodes = { allowed: 0, refused: 1, couldNotJudge: 2 } as const;

/** A body of the API server is at most 3 MiB, but a list of all Pods of a large cluster may have hundreds. */
const maxInputBytes = 512 * 1024 * 1024;

export const processTerminal: Terminal = {
  out: writerTo(process.stdout),
  err: writerTo(process.stderr),
  stream: process.stdout,
  async readInput() {
    const chunks: Buffer[] = [];
    let length = 0;
    for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxInputBytes) throw new Error(`standard input: more than ${String(maxInputBytes)} bytes`);
      chunks.push(chunk);
    }
    return Buffer.concat(chunks);
  },
};

/** Whoever reads may have seen enough, as in `berth check ... | head`: the rest is for nobody, and no failure. */
function writerTo(stream: NodeJS.WriteStream): (text: string) => void {
  stream.on("error", (err: NodeJS.ErrnoException) => {
    if (err.code !== "EPIPE") throw err;
  });
  return (text) => stream.write(text);
}
