// A child process as the suites need it: output in a file, a wait for a line of it, a stop that always ends. It
// never outlives the test process, however that ends.

import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

export interface ProcessOptions {
  readonly command: string;
  readonly args?: readonly string[];
  /** Added to the environment of the test process; `undefined` takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Standard output and standard error, appended. */
  readonly logFile: string;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface RunningProcess {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  hasExited(): boolean;
  /** Everything that it wrote so far, standard output and standard error together. */
  output(): string;
  /** The first line that matches, from `after` characters of output on; fails when the process ends without. */
  waitForLine(pattern: RegExp, options?: WaitForLine): Promise<RegExpExecArray>;
  signal(signal: NodeJS.Signals): void;
  /** SIGTERM, and SIGKILL for it and what it started when `graceMs` are over. Safe to call twice. */
  stop(graceMs?: number): Promise<Exit>;
}

export interface WaitForLine {
  readonly timeoutMs?: number;
  readonly after?: number;
}

const pollMs = 50;

/** Starts a process in a group of its own, which dies with the test process. */
export async function startProcess(options: ProcessOptions): Promise<RunningProcess> {
  const child = await spawnIntoFile(options);
  const pid = child.pid!;
  const guard = killGroupWhenWeEnd(pid);
  let exit: Exit | undefined;
  const exited = new Promise<Exit>((resolve) => {
    child.once("exit", (code, signal) => {
      exit = { code, signal };
      signalGroup(pid, "SIGKILL");
      guard.kill("SIGKILL");
      resolve(exit);
    });
  });
  const output = () => readFileSync(options.logFile, "utf8");

  async function waitForLine(pattern: RegExp, { timeoutMs = 30_000, after = 0 }: WaitForLine = {}) {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const ended = exit;
      const match = firstMatch(output().slice(after), pattern);
      if (match !== undefined) return match;
      if (ended !== undefined || Date.now() > deadline) {
        const what = ended === undefined ? `after ${timeoutMs} ms` : `and ended with ${describeExit(ended)}`;
        throw new Error(`${options.command} wrote no line like ${pattern} ${what}:\n${tail(output())}`);
      }
      await sleep(pollMs);
    }
  }

  async function stop(graceMs = 10_000): Promise<Exit> {
    if (exit !== undefined) return exit;
    child.kill("SIGTERM");
    // A stopped process takes no SIGTERM before it goes on.
    child.kill("SIGCONT");
    const timer = setTimeout(() => signalGroup(pid, "SIGKILL"), graceMs);
    return exited.finally(() => clearTimeout(timer));
  }

  return {
    pid,
    exited,
    hasExited: () => exit !== undefined,
    output,
    waitForLine,
    signal: (signal) => child.kill(signal),
    stop,
  };
}

export interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end; an exit code is an answer, not an error. */
export function run(
  command: string,
  args: readonly string[],
  { input = "", env = {}, timeoutMs = 60_000 }: RunOptions = {},
): Promise<Finished> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      command,
      args,
      // 64 MiB: more than any listing that a suite makes.
      { env: { ...process.env, ...env }, timeout: timeoutMs, maxBuffer: 64 << 20 },
      (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== "number") {
          reject(new Error(`${command} ${args.join(" ")} did not run to its end`, { cause: error }));
          return;
        }
        resolve({ code: Number(error?.code ?? 0), stdout, stderr });
      },
    );
    // Who ends without reading its input closes the pipe; that is no failure of the run.
    child.stdin?.on("error", () => undefined).end(input);
  });
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly timeoutMs?: number;
}

/** The end of a log, enough to see why something did not start. */
export function tail(text: string, lines = 40): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}

async function spawnIntoFile({
  command,
  args = [],
  env,
  cwd,
  logFile,
}: ProcessOptions): Promise<ChildProcess> {
  const log = openSync(logFile, "a");
  try {
    const child = spawn(command, args, {
      env: { ...process.env, ...env },
      ...(cwd === undefined ? {} : { cwd }),
      stdio: ["ignore", log, log],
      detached: true,
    });
    // A suite that forgets to stop it must not keep the test process from ending.
    child.unref();
    await once(child, "spawn");
    return child;
  } finally {
    closeSync(log);
  }
}

/**
 * A shell that reads from a pipe which only we hold open: whatever ends us, SIGKILL included, ends its `read`, and
 * it kills the group. Exit hooks alone would miss exactly the ends that leave processes behind.
 */
function killGroupWhenWeEnd(pid: number): ChildProcess {
  const guard = spawn("/bin/sh", ["-c", 'read -r _; kill -s KILL -- "-$1"', "sh", String(pid)], {
    stdio: ["pipe", "ignore", "ignore"],
    detached: true,
  });
  guard.unref();
  return guard;
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // Nobody of the group is left, which is what was wanted.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

function firstMatch(output: string, pattern: RegExp): RegExpExecArray | undefined {
  for (const line of output.split("\n")) {
    const match = pattern.exec(line);
    if (match !== null) return match;
  }
  return undefined;
}

function describeExit({ code, signal }: Exit): string {
  return signal ?? `exit code ${code}`;
}
