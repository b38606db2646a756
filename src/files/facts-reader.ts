// Reads large manifest files in a worker thread, so that thousands of Namespaces in YAML do not hold up a single
// answer.

import { extname } from "node:path";
import type { Stoppable } from "../loop.ts";
import { createWorkerDesk } from "../worker-desk.ts";
import { type FactsJob, type FileFacts, unreadFacts } from "./cluster-facts.ts";
import { fileProblem } from "./manifests.ts";

export interface FactsReader extends Stoppable {
  /** Never rejects: a file that cannot be read is a problem among the facts. */
  read(job: FactsJob): Promise<FileFacts>;
}

export interface FactsReaderOptions {
  /** The largest YAML that is accepted takes 5 s on a slow machine; what takes six times that is an attack or a fault. */
  readonly timeoutMs?: number;
  readonly idleMs?: number;
  /** The largest YAML that is accepted takes 600 MB; without a limit, a hostile one would end the whole process. */
  readonly maxHeapMb?: number;
}

// Beside this file, and of its language: .ts from a checkout, .js where a build step has compiled both.
const url = new URL(`./manifest-worker${extname(import.meta.filename)}`, import.meta.url);

export function createFactsReader(options: FactsReaderOptions = {}): FactsReader {
  const { timeoutMs = 30_000, maxHeapMb = 1024, ...rest } = options;
  // The folder is read one file after another.
  const desk = createWorkerDesk<FactsJob, FileFacts>({ url, timeoutMs, maxHeapMb, maxWaiting: 1, ...rest });
  return {
    async read(job) {
      const answer = await desk.ask(job);
      if (answer.kind === "done") return answer.result;
      return unreadFacts(fileProblem(job.file, `could not be read: ${answer.why}`));
    },
    stop: () => desk.stop(),
  };
}
