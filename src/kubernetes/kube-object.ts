// What all objects of an API server have in common, checked where they enter. Kinds are their readers' business.

import { isObject } from "../domain/json.ts";

export interface KubeObject {
  readonly [field: string]: unknown;
  readonly metadata: KubeMetadata;
}

export interface KubeMetadata {
  readonly [field: string]: unknown;
  readonly name: string;
}

/** Asks for `metadata` alone: a namespace or a Secret in full can be large, and we need its name and labels. */
export const metadataOnly = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
export const metadataOnlyList = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

export function isKubeObject(value: unknown): value is KubeObject {
  if (!isObject(value) || !isObject(value["metadata"])) return false;
  const { name } = value["metadata"];
  return typeof name === "string" && name !== "";
}

/** Labels, or a ConfigMap's data: what is text in it. Absent and null are empty. */
export function textRecord(value: unknown): Readonly<Record<string, string>> {
  if (!isObject(value)) return {};
  const texts = Object.entries(value).filter(
    (entry): entry is [string, string] => typeof entry[1] === "string",
  );
  return Object.fromEntries(texts);
}

/** Which object it is, and which state of it. */
export interface ObjectVersion {
  readonly uid: string;
  readonly resourceVersion: string;
}

export function versionOf({ metadata }: KubeObject): ObjectVersion {
  const { uid, resourceVersion } = metadata;
  return {
    uid: typeof uid === "string" ? uid : "",
    resourceVersion: typeof resourceVersion === "string" ? resourceVersion : "",
  };
}

/** A deletion of this object in this state: of another one the API server says 409. */
export function deletionOf({ uid, resourceVersion }: ObjectVersion): object {
  return { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid, resourceVersion } };
}
