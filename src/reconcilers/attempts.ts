// What may fail, tried again in good time: each failure is told once, and the pause before the next try grows. One
// registry, workspace or space that fails delays no other.

import type { Log } from "../log.ts";

export interface Attempts {
  /** Runs the task, unless it failed a moment ago. Never throws but for the signal's sake. */
  run(about: string, signal: AbortSignal, task: () => Promise<void>): Promise<void>;
  /** What failed at its last try, in words. */
  problems(): readonly string[];
  /** Forgets what nobody will try again. */
  keepOnly(isAlive: (about: string) => boolean): void;
}

export interface AttemptsNeeds {
  /** Opens the log lines: `robots`. */
  readonly what: string;
  readonly log: Log;
  readonly now: () => number;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly onFailure?: () => void;
}

/** After a failure, doubled each time: the first retry is soon, and a server that stays down is left in peace. */
const firstRetryMs = 2_000;
const slowestRetryMs = 5 * 60_000;
/** A login that was refused is not sent again soon: Harbor locks a principal after one bad password. */
const firstLoginRetryMs = 30_000;

interface Failure {
  readonly problem: string;
  readonly inARow: number;
  readonly retryAt: number;
}

export function createAttempts({ what, log, now, random, onFailure }: AttemptsNeeds): Attempts {
  const failures = new Map<string, Failure>();

  function failed(about: string, err: unknown): void {
    const before = failures.get(about);
    const inARow = (before?.inARow ?? 0) + 1;
    const first = isLoginRefusal(err) ? firstLoginRetryMs : firstRetryMs;
    const pauseMs = Math.min(first * 2 ** (inARow - 1), slowestRetryMs) * (1 - random() / 4);
    const problem = err instanceof Error ? err.message : String(err);
    if (before?.problem !== problem)
      log.warn({ about, problem }, `${what}: something failed, and is tried again`);
    failures.set(about, { problem, inARow, retryAt: now() + pauseMs });
    onFailure?.();
  }

  return {
    async run(about, signal, task) {
      const isOver = (): boolean => signal.aborted;
      if (isOver() || now() < (failures.get(about)?.retryAt ?? -Infinity)) return;
      try {
        await task();
        if (failures.delete(about)) log.info({ about }, `${what}: it works again`);
      } catch (err) {
        if (!isOver()) failed(about, err);
      }
    },
    problems: () => [...failures.values()].map(({ problem }) => problem),
    keepOnly(isAlive) {
      for (const about of failures.keys()) if (!isAlive(about)) failures.delete(about);
    },
  };
}

function isLoginRefusal(err: unknown): boolean {
  return err instanceof Error && "kind" in err && err.kind === "login-refused";
}
