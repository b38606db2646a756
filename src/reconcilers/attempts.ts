// What may fail, tried again in good time: each failure is told once, and the pause before the next try grows. One
// registry, workspace or space that fails delays no other.

import { withoutNotes } from "../http-exchange.ts";
import type { Log } from "../log.ts";

export interface Attempts {
  /** Runs the task, unless it failed a moment ago; says whether it ran to its end. Never throws. */
  run(about: string, signal: AbortSignal, task: () => Promise<void>): Promise<boolean>;
  /** Failed a moment ago, and is not to be tried yet. */
  isResting(about: string): boolean;
  /** Failed at its last try. */
  isFailing(about: string): boolean;
  /** A try that was made elsewhere failed. Of several that were under way together the first counts. */
  failed(about: string, err: unknown): void;
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
  /** The longest pause: 5 minutes where nothing else is said. */
  readonly slowestRetryMs?: number;
  readonly onFailure?: () => void;
}

/** After a failure, doubled each time: the first retry is soon, and a server that stays down is left in peace. */
const firstRetryMs = 2_000;
const usuallySlowestRetryMs = 5 * 60_000;
/** A login that was refused is not sent again soon: Harbor locks a principal after one bad password. */
const firstLoginRetryMs = 30_000;

interface Failure {
  readonly problem: string;
  /** The same for as long as there is nothing new to tell. */
  readonly news: string;
  readonly inARow: number;
  readonly at: number;
  readonly retryAt: number;
}

export function createAttempts(needs: AttemptsNeeds): Attempts {
  const { what, log, now, random, slowestRetryMs = usuallySlowestRetryMs, onFailure } = needs;
  const failures = new Map<string, Failure>();

  function isResting(about: string): boolean {
    const failure = failures.get(about);
    // A clock that was set back must not hold up the next try.
    return failure !== undefined && now() >= failure.at && now() < failure.retryAt;
  }

  function failed(about: string, err: unknown): void {
    if (isResting(about)) return;
    const before = failures.get(about);
    const inARow = (before?.inARow ?? 0) + 1;
    const first = isLoginRefusal(err) ? firstLoginRetryMs : firstRetryMs;
    const pauseMs = Math.min(first * 2 ** (inARow - 1), slowestRetryMs) * (1 - random() / 4);
    const problem = err instanceof Error ? err.message : String(err);
    const news = isLoginRefusal(err) ? "login-refused" : withoutNotes(problem);
    if (before?.news !== news) log.warn({ about, problem }, `${what}: something failed, and is tried again`);
    failures.set(about, { problem, news, inARow, at: now(), retryAt: now() + pauseMs });
    onFailure?.();
  }

  return {
    async run(about, signal, task) {
      const isOver = (): boolean => signal.aborted;
      if (isOver() || isResting(about)) return false;
      try {
        await task();
        if (failures.delete(about)) log.info({ about }, `${what}: it works again`);
        return true;
      } catch (err) {
        if (!isOver()) failed(about, err);
        return false;
      }
    },
    isResting,
    isFailing: (about) => failures.has(about),
    failed,
    problems: () => [...failures.values()].map(({ problem }) => problem),
    keepOnly(isAlive) {
      for (const about of failures.keys()) if (!isAlive(about)) failures.delete(about);
    },
  };
}

function isLoginRefusal(err: unknown): boolean {
  return err instanceof Error && "kind" in err && err.kind === "login-refused";
}
