// Work that would hold up the event loop, in a worker thread, one job at a time. The thread starts with the first
// job and ends when it has been idle; its death, or a job that takes too long, costs that job and no more.

import { Worker } from "node:worker_threads";
import type { Stoppable } from "./loop.ts";

export interface WorkerDesk<Job, Result> extends Stoppable {
  /** Never rejects. */
  ask(job: Job): Promise<WorkerAnswer<Result>>;
}

export type WorkerAnswer<Result> =
  | { readonly kind: "done"; readonly result: Result }
  /** In words, without a word of what was worked on. */
  | { readonly kind: "failed"; readonly why: string };

export interface WorkerDeskOptions {
  /** A module that answers each message with one message. */
  readonly url: URL;
  readonly timeoutMs: number;
  /** Starting one costs 0.1 s and it holds some 50 MB: kept between jobs that follow one another, not for hours. */
  readonly idleMs?: number;
  readonly maxHeapMb: number;
  /** Jobs that wait; one more fails at once. */
  readonly maxWaiting: number;
}

export function createWorkerDesk<Job, Result>(options: WorkerDeskOptions): WorkerDesk<Job, Result> {
  const { url, timeoutMs, idleMs = 10_000, maxHeapMb, maxWaiting } = options;
  let worker: Worker | undefined;
  let idle: NodeJS.Timeout | undefined;
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  /** A job that was asked before the last stop is not begun after it. */
  let stops = 0;

  function start(): Worker {
    const started = new Worker(url, { resourceLimits: { maxOldGenerationSizeMb: maxHeapMb } });
    // An error while nothing is asked of it would otherwise end the process.
    started.on("error", () => undefined);
    started.once("exit", () => {
      if (worker === started) worker = undefined;
    });
    return started;
  }

  async function end(): Promise<void> {
    clearTimeout(idle);
    await worker?.terminate();
  }

  async function take(job: Job, askedIn: number): Promise<WorkerAnswer<Result>> {
    if (askedIn !== stops) return { kind: "failed", why: stoppedText };
    clearTimeout(idle);
    worker ??= start();
    const answer = await send<Result>(worker, job, timeoutMs);
    if (answer.kind === "failed") {
      await end();
      return answer;
    }
    worker.unref();
    idle = setTimeout(() => void end(), idleMs).unref();
    return answer;
  }

  return {
    ask(job) {
      if (waiting > maxWaiting) {
        return Promise.resolve({ kind: "failed", why: "too much is waiting to be read" });
      }
      waiting += 1;
      const askedIn = stops;
      const answer = last.then(() => take(job, askedIn));
      last = answer.finally(() => (waiting -= 1));
      return answer;
    },
    stop() {
      stops += 1;
      return end();
    },
  };
}

const stoppedText = "the reader was stopped";

function send<Result>(worker: Worker, job: unknown, timeoutMs: number): Promise<WorkerAnswer<Result>> {
  return new Promise((resolve) => {
    function settle(answer: WorkerAnswer<Result>): void {
      clearTimeout(timer);
      worker.off("message", onResult).off("error", onError).off("exit", onExit);
      resolve(answer);
    }
    const onResult = (result: Result): void => settle({ kind: "done", result });
    const onError = (err: unknown): void => settle({ kind: "failed", why: failureText(err) });
    const onExit = (): void => settle({ kind: "failed", why: stoppedText });
    const timer = setTimeout(
      () => settle({ kind: "failed", why: `it took longer than ${String(timeoutMs / 1_000)} s` }),
      timeoutMs,
    );
    worker.once("message", onResult).once("error", onError).once("exit", onExit);
    worker.ref();
    worker.postMessage(job);
  });
}

/** The code only: a message may quote what was read. */
function failureText(err: unknown): string {
  const code = err instanceof Error && "code" in err ? String(err.code) : "";
  if (code === "ERR_WORKER_OUT_OF_MEMORY") return "it takes more memory than is allowed; split it";
  return code === "" ? "the reader failed" : `the reader failed with ${code}`;
}
