// The worker thread in which the policy guard's documents are read.

import { parentPort } from "node:worker_threads";
import { validatePolicyDocument } from "../domain/policies.ts";
import type { PolicyText } from "./policy-guard.ts";

parentPort?.on("message", (texts: readonly PolicyText[]) =>
  parentPort?.postMessage(texts.flatMap(({ text, source }) => validatePolicyDocument(text, source))),
);
