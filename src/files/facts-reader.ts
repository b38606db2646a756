// Reads large manifest files in a worker thread, so that thousands of Namespaces in YAML do not hold up a single
// answer. The worker starts with the first file, ends when it has been idle, and its death costs one file.

import { extname } from "node:path";
import { Worker } from "node:worker_threads";
import type { Stoppable } from "../loop.ts";
import { type FactsJob, type FileFacts, unreadFacts } from "./cluster-facts.ts";
import { fileProblem } from "./manifests.ts";

export interface FactsReader extends Stoppable {
  /** Never rejects: a file that cannot be read is a problem among the facts. One call at a time. */
  read(job: FactsJob): Promise<FileFacts>;
}

export interface FactsReaderOptions {
  /** The largest YAML that is accepted takes 5 s on a slow machine; what takes six times that is an attack or a fault. */
  readonly timeoutMs?: number;
  /** Starting one costs 0.1 s and it holds some 50 MB: kept between edits that follow one another, not for hours. */
  readonly idleMs?: number;
  /** The largest YAML that is accepted takes 600 MB; without a limit, a hostile one would end the whole process. */
  readonly maxHeapMb?: number;
}

// Beside this file, and of its language: .ts from a checkout, .js where a build step has compiled both.
const workerUrl = new URL(`./manifest-worker${extname(import.meta.filename)}`, import.meta.url);

export function createFactsReader(options: FactsReaderOptions = {}): FactsReader {
  const { timeoutMs = 30_000, idleMs = 10_000, maxHeapMb = 1024 } = options;
  let worker: Worker | undefined;
  let idle: NodeJS.Timeout | undefined;

  function start(): Worker {
    const started = new Worker(workerUrl, { resourceLimits: { maxOldGenerationSizeMb: maxHeapMb } });
    // An error while nothing is asked of it would otherwise end the process.
    started.on("error", () => undefined);
    started.once("exit", () => {
      if (worker === started) worker = undefined;
    });
    return started;
  }

  async function stop(): Promise<void> {
    clearTimeout(idle);
    await worker?.terminate();
  }

  return {
    async read(job) {
      clearTimeout(idle);
      worker ??= start();
      const answer = await ask(worker, job, timeoutMs);
      if (answer.kind === "facts") {
        worker.unref();
        idle = setTimeout(() => void stop(), idleMs).unref();
        return answer.facts;
      }
      await stop();
      return unreadFacts(fileProblem(job.file, `could not be read: ${answer.why}`));
    },
    stop,
  };
}

type Answer =
  { readonly kind: "facts"; readonly facts: FileFacts } | { readonly kind: "failed"; readonly why: string };

function ask(worker: Worker, job: FactsJob, timeoutMs: number): Promise<Answer> {
  return new Promise((resolve) => {
    function settle(answer: Answer): void {
      clearTimeout(timer);
      worker.off("message", onFacts).off("error", onError).off("exit", onExit);
      resolve(answer);
    }
    const onFacts = (facts: FileFacts): void => settle({ kind: "facts", facts });
    const onError = (err: unknown): void => settle({ kind: "failed", why: failureText(err) });
    const onExit = (): void => settle({ kind: "failed", why: "the reader was stopped" });
    const timer = setTimeout(
      () => settle({ kind: "failed", why: `it took longer than ${timeoutMs / 1000} s` }),
      timeoutMs,
    );
    worker.once("message", onFacts).once("error", onError).once("exit", onExit);
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
