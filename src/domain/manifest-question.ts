// A manifest as somebody would deploy it → the question about its images. Nothing is decided here: what a decision
// needs from outside, if anything, is the business of whoever asks it.

import { questionAbout, type Question } from "./decision.ts";
import { isObject } from "./json.ts";
import { groupOf, isMirrorPod, readWorkload, type WorkloadKinds } from "./pod-spec.ts";
import type { Subject } from "./report.ts";

export interface ManifestObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly [field: string]: unknown;
}

export interface ManifestQuestion {
  readonly subject: Omit<Subject, "source">;
  /** As for somebody who is no node. */
  readonly question: Question;
  /** It says of itself that a node made it of a static Pod, which is true of what a cluster shows, and else a claim. */
  readonly mirrorPod: boolean;
}

/** Undefined for a kind that holds no Pod template. `defaultNamespace` is that of objects that name none. */
export function questionOfManifest(
  kinds: WorkloadKinds,
  manifest: ManifestObject,
  defaultNamespace: string,
): ManifestQuestion | undefined {
  const { apiVersion, kind } = manifest;
  const paths = kinds.get(`${groupOf(apiVersion)}/${kind}`);
  if (paths === undefined) return undefined;
  const { name = "", namespace = defaultNamespace } = namesOf(manifest);
  const { images, malformed } = readWorkload(paths, manifest);
  return {
    subject: { kind, namespace, name },
    question: questionAbout(namespace, images, { malformed }),
    mirrorPod: kind === "Pod" && isMirrorPod(manifest),
  };
}

/** An empty text is none, as for the API server. */
function namesOf({ metadata }: ManifestObject): { readonly name?: string; readonly namespace?: string } {
  if (!isObject(metadata)) return {};
  const { name, namespace } = metadata;
  return {
    ...(typeof name === "string" ? { name } : {}),
    ...(typeof namespace === "string" && namespace !== "" ? { namespace } : {}),
  };
}
