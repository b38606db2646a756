// The worker thread in which pasted manifests are read; pasted-manifests.ts starts and ends it.

import { parentPort } from "node:worker_threads";
import { readPasted } from "./pasted-manifests.ts";

parentPort?.on("message", (text: string) => parentPort?.postMessage(readPasted(text)));
