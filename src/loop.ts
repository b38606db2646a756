// A background activity that repeats: one run at a time, wake-ups coalesced, failures backed off with jitter,
// stopped from outside. Level, not edge: a run compares all desired with all observed, and a wake-up only says
// "look again".
//
// Invariants: at most one run is under way; a wake-up during a run causes exactly one more run after it; after
// `stop()` resolves no run is under way and none will start.

import type { Log } from "./log.ts";

export interface Stoppable {
  /** Resolves when nothing of it is under way any more. Safe to call twice. */
  stop(): Promise<void>;
}

export interface Loop extends Stoppable {
  /** Run as soon as possible: now, or once after the run under way. */
  wake(): void;
}

export interface LoopOptions {
  readonly name: string;
  readonly everyMs: number;
  /** Does one round; throws when the outside failed. The signal aborts when the loop stops. */
  readonly run: (signal: AbortSignal) => Promise<void>;
  readonly log: Log;
  /** After a failure: doubled each time from this … */
  readonly backoffMs?: number;
  /** … up to this. */
  readonly maxBackoffMs?: number;
  /** 0 ≤ x < 1; spreads the beats of replicas. */
  readonly random?: () => number;
}

export function createLoop(options: LoopOptions): Loop {
  const { name, everyMs, run, log, random = Math.random } = options;
  const backoffMs = options.backoffMs ?? Math.min(1_000, everyMs);
  const maxBackoffMs = options.maxBackoffMs ?? Math.max(everyMs, backoffMs);
  const aborter = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> | undefined;
  let again = false;
  let failures = 0;

  async function round(): Promise<void> {
    try {
      await run(aborter.signal);
      failures = 0;
    } catch (err) {
      if (aborter.signal.aborted) return;
      failures += 1;
      log.warn({ loop: name, failures, err }, "a background round failed and will be repeated");
    }
  }

  function start(): void {
    clearTimeout(timer);
    again = false;
    running = round().then(() => {
      running = undefined;
      if (aborter.signal.aborted) return;
      if (again) start();
      else timer = setTimeout(start, nextDelayMs());
    });
  }

  /** The beat, or the backoff, less up to a tenth, so that replicas do not beat together. */
  function nextDelayMs(): number {
    const base = failures === 0 ? everyMs : Math.min(backoffMs * 2 ** (failures - 1), maxBackoffMs);
    return base * (1 - random() / 10);
  }

  timer = setTimeout(start, 0);
  return {
    wake() {
      if (aborter.signal.aborted) return;
      if (running) again = true;
      else start();
    },
    async stop() {
      aborter.abort();
      clearTimeout(timer);
      await running;
    },
  };
}
