// An hour within seconds, for processes that run with their real wiring inside a test: the clocks and timers of this
// process stand still until the test turns them, and then each timer has its turn at its own time. What goes over
// sockets stays real: before the clock moves on, whatever a timer has set going comes to its end, or to where it
// waits for a timer itself. Mocha's own timers are not touched.

import diagnostics from "node:diagnostics_channel";
import { syncBuiltinESMExports } from "node:module";
import timersPromises from "node:timers/promises";
import zlib from "node:zlib";

export interface VirtualTime {
  /** Lets everything that is due within so many milliseconds happen, in order. */
  turn(forMs: number): Promise<void>;
  /** Turns, at most so long, in steps of a second, until the check neither throws nor is false. */
  turnUntil(check: () => unknown, withinMs?: number): Promise<void>;
  /** Lets happen what the promise waits for, turning the clock only when nothing else is left to do. */
  during<T>(promise: Promise<T>): Promise<T>;
  /** Gives the process its own clocks and timers back. */
  end(): void;
}

interface Timer {
  readonly run: () => void;
  at: number;
  readonly order: number;
}

/**
 * A request without answer for so long has met a server that is silent on purpose, or that waits for a timer. Where all
 * servers are in this process, turns of the loop tell it sooner, and whatever else the machine does.
 */
const silentMs = 100;
/** Longer than any test turns the clock for one promise. */
const longestWaitMs = 10 * 60_000;

export function startVirtualTime(
  startAt = Date.parse("2026-03-01T12:00:00Z"),
  { silentTurns = Infinity }: { readonly silentTurns?: number } = {},
): VirtualTime {
  const real = {
    setTimeout: globalThis.setTimeout,
    clearTimeout: globalThis.clearTimeout,
    now: Date.now,
    performanceNow: performance.now.bind(performance),
    abortTimeout: AbortSignal.timeout.bind(AbortSignal),
    pause: timersPromises.setTimeout,
  };
  const timers = new Map<object, Timer>();
  let now = startAt;
  let order = 0;
  const traffic = watchTraffic(real.performanceNow, silentTurns);

  function schedule(run: () => void, delayMs: unknown): object {
    const delay = Math.ceil(Number(delayMs ?? 0) || 0);
    const handle = {
      ref: () => handle,
      unref: () => handle,
      hasRef: () => true,
      refresh() {
        const timer = timers.get(handle);
        if (timer !== undefined) timer.at = now + delay;
        return handle;
      },
    };
    timers.set(handle, { run, at: now + delay, order: order++ });
    // As soon as possible is no matter of time.
    if (delay <= 0) setImmediate(() => fire(handle));
    return handle;
  }

  globalThis.setTimeout = ((callback: (...args: unknown[]) => void, delayMs?: number, ...args: unknown[]) =>
    schedule(() => callback(...args), delayMs)) as unknown as typeof setTimeout;
  globalThis.clearTimeout = ((handle: object | undefined) => {
    if (handle === undefined || !timers.delete(handle)) real.clearTimeout(handle as NodeJS.Timeout);
  }) as typeof clearTimeout;
  Date.now = () => now;
  performance.now = () => now - startAt;
  AbortSignal.timeout = (delayMs) => {
    const aborter = new AbortController();
    schedule(() => aborter.abort(new DOMException("the time is over", "TimeoutError")), delayMs);
    return aborter.signal;
  };
  timersPromises.setTimeout = ((delayMs?: number, value?: unknown, options?: { signal?: AbortSignal }) =>
    new Promise<unknown>((resolve, reject) => {
      const signal = options?.signal;
      const onAbort = (): void => {
        timers.delete(handle);
        reject(new DOMException("The operation was aborted", "AbortError"));
      };
      const handle = schedule(() => {
        signal?.removeEventListener("abort", onAbort);
        resolve(value);
      }, delayMs);
      if (signal?.aborted === true) onAbort();
      else signal?.addEventListener("abort", onAbort, { once: true });
    })) as typeof timersPromises.setTimeout;
  syncBuiltinESMExports();

  function nextTimer(): readonly [handle: object, timer: Timer] | undefined {
    let next: readonly [object, Timer] | undefined;
    for (const entry of timers) {
      const isSooner =
        next === undefined ||
        entry[1].at < next[1].at ||
        (entry[1].at === next[1].at && entry[1].order < next[1].order);
      if (isSooner) next = entry;
    }
    return next;
  }

  let isOver = false;

  function fire(handle: object): void {
    const timer = timers.get(handle);
    if (timer === undefined) return;
    timers.delete(handle);
    now = Math.max(now, timer.at);
    timer.run();
  }

  /** The earliest timer, if it is due by then. */
  function fireNext(until: number): boolean {
    const next = nextTimer();
    if (next === undefined || next[1].at > until) return false;
    fire(next[0]);
    return true;
  }

  async function turn(forMs: number): Promise<void> {
    const until = now + forMs;
    do {
      await traffic.quiet();
      // A test that ran out of time must not go on beside the next one.
      if (isOver) throw new Error("the virtual time was ended meanwhile");
    } while (fireNext(until));
    now = Math.max(now, until);
  }

  return {
    turn,
    async turnUntil(check, withinMs = longestWaitMs) {
      const until = now + withinMs;
      for (;;) {
        try {
          if ((await check()) === false) throw new Error("it did not come true");
          return;
        } catch (err) {
          if (now >= until) throw err;
        }
        await turn(1_000);
      }
    },
    async during(promise) {
      const state = { isOver: false };
      const done = promise.finally(() => (state.isOver = true));
      // Whoever awaits what is returned hears of it.
      done.catch(() => undefined);
      const until = now + longestWaitMs;
      for (;;) {
        await traffic.quiet();
        if (state.isOver) return done;
        if (isOver) throw new Error("the virtual time was ended meanwhile");
        if (!fireNext(until)) throw new Error("nothing is left to happen, and the promise is still waiting");
      }
    },
    end() {
      isOver = true;
      traffic.end();
      globalThis.setTimeout = real.setTimeout;
      globalThis.clearTimeout = real.clearTimeout;
      Date.now = real.now;
      performance.now = real.performanceNow;
      AbortSignal.timeout = real.abortTimeout;
      timersPromises.setTimeout = real.pause;
      syncBuiltinESMExports();
    },
  };
}

/** Knows which requests of this process wait for an answer. */
function watchTraffic(now: () => number, silentTurns: number): { quiet(): Promise<void>; end(): void } {
  let turns = 0;
  /** Request → when it began. */
  const open = new Map<object, { readonly at: number; readonly turn: number }>();
  const begun = (message: unknown): void => void open.set(requestIn(message), { at: now(), turn: turns });
  const ended = (message: unknown): void => void open.delete(requestIn(message));
  const channels = [
    ["http.client.request.start", begun],
    ["http.client.request.error", ended],
    ["http.client.response.finish", ended],
  ] as const;
  for (const [name, listener] of channels) diagnostics.subscribe(name, listener);
  const packing = watchPacking();

  function isBusy(): boolean {
    for (const [request, { at, turn }] of open) {
      if (now() - at > silentMs || turns - turn > silentTurns) open.delete(request);
    }
    // Files and names are asked for elsewhere.
    return (
      open.size > 0 ||
      packing.isBusy() ||
      process.getActiveResourcesInfo().some((kind) => /^(FS|GetAddrInfo)Req/.test(kind))
    );
  }

  return {
    async quiet() {
      // An answer's body, and what follows from it, takes some turns of the loop after its head.
      for (let calm = 0; calm < turnsOfCalm; calm = isBusy() ? 0 : calm + 1) {
        await new Promise((resolve) => setImmediate(resolve));
        turns += 1;
      }
    },
    end() {
      packing.end();
      for (const [name, listener] of channels) diagnostics.unsubscribe(name, listener);
    },
  };
}

const turnsOfCalm = 8;

/** Knows what other threads pack and unpack. */
function watchPacking(): { isBusy(): boolean; end(): void } {
  const real = { gzip: zlib.gzip, gunzip: zlib.gunzip };
  let underWay = 0;
  type Packing = (...all: unknown[]) => void;
  const counted =
    (pack: Packing): Packing =>
    (...all) => {
      const done = all.pop() as (...results: unknown[]) => void;
      underWay += 1;
      pack(...all, (...results: unknown[]) => {
        underWay -= 1;
        done(...results);
      });
    };
  zlib.gzip = counted(real.gzip as Packing) as typeof zlib.gzip;
  zlib.gunzip = counted(real.gunzip as Packing) as typeof zlib.gunzip;
  syncBuiltinESMExports();
  return {
    isBusy: () => underWay > 0,
    end() {
      zlib.gzip = real.gzip;
      zlib.gunzip = real.gunzip;
      syncBuiltinESMExports();
    },
  };
}

function requestIn(message: unknown): object {
  return (message as { readonly request: object }).request;
}
