// The worker thread in which large manifest files are read, one at a time; facts-reader.ts starts and ends it.

import { parentPort } from "node:worker_threads";
import { type FactsJob, readFacts } from "./cluster-facts.ts";

parentPort?.on("message", (job: FactsJob) => parentPort?.postMessage(readFacts(job)));
