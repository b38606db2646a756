// Guards the label that says which workspace a namespace belongs to, and the names that the policy exempts. It asks
// the API server whether the requester has the right, and fails closed.

import { isObject, type JsonObject } from "../domain/json.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import {
  missingRightMessage,
  rightsFor,
  type NamespaceChange,
  type Right,
} from "../domain/workspace-guard.ts";
import type { Log } from "../log.ts";
import type { Review } from "./admission-review.ts";
import { reserveMs, type Guard, type GuardVerdict } from "./guard.ts";

/** Has this user the right? Throws when that could not be asked; `userInfo` is that of the review. */
export type HasRight = (userInfo: JsonObject, right: Right, signal: AbortSignal) => Promise<boolean>;

export interface NamespaceGuardNeeds {
  readonly hasRight: HasRight;
  /** Off lets every change pass, and still logs it. */
  readonly enforced: boolean;
  readonly log: Log;
}

export function createNamespaceGuard(needs: NamespaceGuardNeeds): Guard {
  return (review, snapshot, timeoutMs) => {
    if (review.kind !== "/Namespace") return undefined;
    return judge(needs, review, snapshot, timeoutMs);
  };
}

async function judge(
  { hasRight, enforced, log }: NamespaceGuardNeeds,
  review: Review,
  snapshot: Snapshot,
  timeoutMs: number,
): Promise<GuardVerdict> {
  const change = changeOf(review);
  if (change === undefined) return malformed;
  const rights = rightsFor(snapshot, change);
  if (rights.length === 0) return passed;
  const facts = {
    uid: review.uid,
    namespace: change.name,
    username: review.username,
    rights,
    dryRun: review.dryRun,
  };
  if (!enforced) {
    log.info(facts, "a namespace's workspace changes, and nobody guards it");
    return passed;
  }
  const signal = AbortSignal.timeout(Math.max(0, timeoutMs - reserveMs));
  for (const right of rights) {
    const asked = await hasRight(review.userInfo, right, signal).catch((err: unknown) => {
      log.warn({ ...facts, err }, "the right to change a namespace's workspace could not be asked for");
      return undefined;
    });
    if (asked === true) continue;
    const message = missingRightMessage(snapshot, change, right, review.username, asked === false);
    return {
      refused: { reason: "workspace-label-protected", message },
      mode: snapshot.policy.mode,
      warnings: [],
    };
  }
  log.info(facts, "a namespace's workspace changes");
  return passed;
}

const passed: GuardVerdict = { refused: null, mode: "enforce", warnings: [] };
const malformed: GuardVerdict = {
  refused: { reason: "malformed-object", message: "the review holds no namespace that Berth can read" },
  mode: "enforce",
  warnings: [],
};

/** Above what Kubernetes allows for names, and for the values of labels. They are logged and asked about. */
const maxNameLength = 253;

/** Undefined when the review is not what a review of a namespace is. */
function changeOf({ operation, name, object, oldObject }: Review): NamespaceChange | undefined {
  const current = labelsOf(object);
  const previous = labelsOf(oldObject);
  const isNew = operation === "CREATE";
  if (current === undefined || (!isNew && previous === undefined)) return undefined;
  const named = name === "" ? nameOf(object) : name;
  if (named.length > maxNameLength) return undefined;
  return { name: named, isNew, previous: previous ?? null, current };
}

/** Undefined where the object, its metadata or a label is of the wrong type. */
function labelsOf(object: JsonObject | null): Readonly<Record<string, string>> | undefined {
  const metadata = object?.["metadata"];
  if (!isObject(metadata)) return undefined;
  const labels = metadata["labels"] ?? {};
  if (!isObject(labels)) return undefined;
  return Object.values(labels).every((value) => typeof value === "string" && value.length <= maxNameLength)
    ? (labels as Readonly<Record<string, string>>)
    : undefined;
}

/** `generateName` leaves the name to the API server, which names nothing that a policy lists. */
function nameOf(object: JsonObject | null): string {
  const metadata = object?.["metadata"];
  return isObject(metadata) && typeof metadata["name"] === "string" ? metadata["name"] : "";
}
