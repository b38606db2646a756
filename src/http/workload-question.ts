// What a review asks: which images, which of them are new, and what is special about the object.

import { pullSecretName, questionAbout, type Question } from "../domain/decision.ts";
import {
  isMirrorPod,
  pullSecretNames,
  readWorkload,
  type JsonObject,
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
  const isNewPod = kind === "/Pod" && operation === "CREATE" && subResource === "";
  if (path === "mutate" && !isNewPod) return undefined;
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
  const previous = operation === "UPDATE" ? heldBefore(paths, review.oldObject) : undefined;
  const mirror = isNewPod && isMirrorPod(object);
  return questionAbout(namespace, workload.images, {
    malformed: previous
      ? workload.malformed.filter((text) => !previous.malformed.has(text))
      : workload.malformed,
    ...(previous ? { unchanged: previous.texts } : {}),
    mirrorPodOfNode: mirror && isNode(review),
    lacksPullSecret:
      path === "validate" &&
      rules.pullSecretMustBeNamed &&
      isNewPod &&
      !mirror &&
      !pullSecretNames(object).includes(pullSecretName),
  });
}

function heldBefore(paths: readonly PodSpecPath[], oldObject: JsonObject | null) {
  const workload = readWorkload(paths, oldObject);
  return {
    texts: new Set(workload.images.map((use) => use.image)),
    malformed: new Set(workload.malformed),
  };
}

/** A kubelet, by the name and the group that the node authorizer asks for. */
function isNode(review: Review): boolean {
  const groups = review.userInfo["groups"];
  return (
    review.username.startsWith("system:node:") && Array.isArray(groups) && groups.includes("system:nodes")
  );
}
