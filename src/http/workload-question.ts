// What a review asks: which images, which of them are new, and what is special about the object.

import { isObject, type JsonObject } from "../domain/json.ts";
import { noTexts, pullSecretName, questionAbout, type Question } from "../domain/decision.ts";
import {
  isMirrorPod,
  pullSecretNames,
  readWorkload,
  type PodSpecPath,
  type WorkloadKinds,
} from "../domain/pod-spec.ts";
import type { Review } from "./admission-review.ts";

export type AdmissionPath = "mutate" | "validate";

export interface QuestionRules {
  readonly kinds: WorkloadKinds;
  /** Refuse a Pod that needs the pull secret and does not name it: where `/mutate` was asked before. */
  readonly pullSecretMustBeNamed: boolean;
}

/** What is to be judged; undefined where a review is none of Berth's business. */
export function questionOf(rules: QuestionRules, path: AdmissionPath, review: Review): Question | undefined {
  const { operation, kind, subResource, namespace, object } = review;
  // A deletion adds no image, and whoever connects to a Pod runs nothing new.
  if (operation === "DELETE" || operation === "CONNECT") return undefined;
  // Pull secrets go into Pods at their creation and nowhere else, so nothing else is mutated.
  const newPod = isNewPod(review);
  if (path === "mutate" && !newPod) return undefined;
  const paths = rules.kinds.get(kind);
  if (paths === undefined) {
    // Bindings, evictions, scales and the like hold no images; a whole object of an unknown kind may.
    if (subResource !== "") return undefined;
    return questionAbout(namespace, [], {
      malformed: [`Berth does not know where kind ${kind} holds images`],
    });
  }
  if (object === null) return questionAbout(namespace, [], { malformed: ["the review holds no object"] });
  if (namespace === "") return questionAbout(namespace, [], { malformed: ["the review names no namespace"] });

  const workload = readWorkload(paths, object);
  const oldObject = operation === "UPDATE" ? review.oldObject : null;
  const mirror = newPod && isMirrorPod(object);
  return questionAbout(namespace, workload.images, {
    malformed:
      workload.malformed.length > 0 && haveSamePodSpecs(paths, object, oldObject) ? [] : workload.malformed,
    unchanged: textsIn(paths, oldObject),
    mirrorPodOfNode: mirror && isNode(review),
    lacksPullSecret:
      path === "validate" &&
      rules.pullSecretMustBeNamed &&
      newPod &&
      !mirror &&
      !pullSecretNames(object).includes(pullSecretName),
  });
}

export function isNewPod({ kind, operation, subResource }: Review): boolean {
  return kind === "/Pod" && operation === "CREATE" && subResource === "";
}

function textsIn(paths: readonly PodSpecPath[], object: JsonObject | null): ReadonlySet<string> {
  if (object === null) return noTexts;
  return new Set(readWorkload(paths, object).images.map((use) => use.image));
}

/**
 * What was malformed before is not held against an update that leaves it as it was, so that finalizers and scaling do
 * not wedge. Nothing less will do: what is malformed has not been read, and an image could come inside it.
 */
function haveSamePodSpecs(
  paths: readonly PodSpecPath[],
  object: JsonObject,
  old: JsonObject | null,
): boolean {
  return (
    old !== null && paths.every((path) => isSameJson(podSpecsUnder(path, object), podSpecsUnder(path, old)))
  );
}

/** The list in which a path steps over every element, or the pod spec itself; what is on the way if it is malformed. */
function podSpecsUnder(path: PodSpecPath, object: JsonObject): unknown {
  let value: unknown = object;
  for (const step of path) {
    if (step === "[]" || !isObject(value)) break;
    value = value[step];
  }
  return value;
}

/** Without recursion: how deeply an object nests is for its author to choose. */
function isSameJson(one: unknown, other: unknown): boolean {
  const pairs: [unknown, unknown][] = [[one, other]];
  for (let pair = pairs.pop(); pair !== undefined; pair = pairs.pop()) {
    const [a, b] = pair;
    if (a === b) continue;
    if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
    const keys = Object.keys(a);
    if (Array.isArray(a) !== Array.isArray(b) || keys.length !== Object.keys(b).length) return false;
    for (const key of keys) {
      // Its own: JSON.parse makes "__proto__" a member like any other.
      if (!Object.hasOwn(b, key)) return false;
      pairs.push([(a as JsonObject)[key], (b as JsonObject)[key]]);
    }
  }
  return true;
}

/** A kubelet, by the name and the group that the node authorizer asks for. */
function isNode(review: Review): boolean {
  const groups = review.userInfo["groups"];
  return (
    review.username.startsWith("system:node:") && Array.isArray(groups) && groups.includes("system:nodes")
  );
}
