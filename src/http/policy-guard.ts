// Refuses an edit that would break a policy document, with the words of `berth check-policy`. It is a courtesy: what
// gets past it (it fails open) leaves the last good content in force. Documents are read in a worker thread, since
// anybody who reaches the port can send one.

import { isObject, type JsonObject } from "../domain/json.ts";
import { extname } from "node:path";
import type { PolicyProblem, PolicySource } from "../domain/policy.ts";
import { formatProblem, maxListedProblems } from "../domain/policy-problem.ts";
import type { WorkerAnswer } from "../worker-desk.ts";
import type { Review } from "./admission-review.ts";
import type { Guard, GuardVerdict } from "./guard.ts";

export interface PolicyText {
  readonly source: PolicySource;
  readonly text: string;
}

/** Beside this file, and of its language: .ts from a checkout, .js where a build step has compiled both. */
export const policyWorkerUrl = new URL(`./policy-worker${extname(import.meta.filename)}`, import.meta.url);

/** The problems of each document by itself; policy-worker.ts, behind a desk. */
export type ReadProblems = (texts: readonly PolicyText[]) => Promise<WorkerAnswer<readonly PolicyProblem[]>>;

export interface PolicyGuardNeeds {
  readonly readProblems: ReadProblems;
}

export function createPolicyGuard({ readProblems }: PolicyGuardNeeds): Guard {
  return (review, snapshot) => {
    if (review.kind !== "/ConfigMap") return undefined;
    // Nothing outside Berth's own namespace is ever read as policy.
    if (review.namespace !== snapshot.rules.berthNamespace) return Promise.resolve(verdict(null, []));
    return judge(readProblems, review);
  };
}

async function judge(readProblems: ReadProblems, review: Review): Promise<GuardVerdict> {
  const texts = changedDocuments(review);
  if (texts.length === 0) return verdict(null, []);
  const answer = await readProblems(texts);
  if (answer.kind === "failed") return verdict(null, [`Berth could not check this policy: ${answer.why}`]);
  const lines = (severity: PolicyProblem["severity"]): readonly string[] =>
    answer.result.filter((problem) => problem.severity === severity).map(formatProblem);
  const errors = lines("error");
  return verdict(errors.length === 0 ? null : bounded(errors).join("\n"), bounded(lines("warning")));
}

/** Longer is only a line that names a ConfigMap or a key which Kubernetes would not have. */
const maxLineLength = 1_000;

/** A screenful, as for one document. */
function bounded(lines: readonly string[]): readonly string[] {
  const shown = lines.slice(0, maxListedProblems + 1).map((line) => line.slice(0, maxLineLength));
  const left = lines.length - shown.length;
  return left === 0 ? shown : [...shown, `and ${String(left)} more problems`];
}

/** Valid or not is no matter of the policy's mode. */
function verdict(message: string | null, warnings: readonly string[]): GuardVerdict {
  const refused = message === null ? null : ({ reason: "policy-invalid", message } as const);
  return { refused, mode: "enforce", warnings };
}

/** The documents that this edit brings: one that is broken already is no reason to refuse the repair of another. */
function changedDocuments({ name, object, oldObject }: Review): readonly PolicyText[] {
  const before = documentsOf(oldObject);
  return [...documentsOf(object)]
    .filter(([key, text]) => before.get(key) !== text)
    .map(([key, text]) => ({ source: { configMap: name, key, file: null }, text }));
}

/** None for a ConfigMap that is no policy. */
function documentsOf(object: JsonObject | null): ReadonlyMap<string, string> {
  const metadata = object?.["metadata"];
  const labels = isObject(metadata) ? metadata["labels"] : undefined;
  const data = object?.["data"];
  if (!isObject(labels) || labels["berth.io/policy"] !== "true" || !isObject(data)) return new Map();
  return new Map(
    Object.entries(data).filter(
      (entry): entry is [string, string] => entry[0].endsWith(".yaml") && typeof entry[1] === "string",
    ),
  );
}
