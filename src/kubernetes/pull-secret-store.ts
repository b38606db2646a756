// The Secrets named `berth-pull` of all namespaces: what is there, kept up to date by one watch, and how one is
// written and removed. Of what they hold only a digest is kept. A Secret of that name that Berth did not make is never
// touched, not even one that appears between looking and writing. When to write what is not known here.

import { sha256 } from "../digest.ts";
import { isObject } from "../domain/json.ts";
import type { Log } from "../log.ts";
import { type KubeAnswer, type KubeClient, unexpectedAnswer } from "./kube-client.ts";
import {
  deletionOf,
  isKubeObject,
  type KubeObject,
  type ObjectVersion,
  textRecord,
  versionOf,
} from "./kube-object.ts";
import { createOwnWrites } from "./own-writes.ts";
import { type CollectionWatch, startWatch, type Watch, type WatchTiming } from "./watch.ts";

export interface ObservedPullSecret extends ObjectVersion {
  readonly owner: "berth" | "foreign";
  /** Of the text of `.dockerconfigjson`; empty when there is none. */
  readonly digest: string;
  /** False when it is immutable or of another type: then it has to be made anew. */
  readonly writable: boolean;
  /** The label that says whose it is is there. */
  readonly labelled: boolean;
}

export type WriteOutcome =
  | { readonly kind: "written" }
  /** Somebody else wrote, or made or removed it, meanwhile: look again. */
  | { readonly kind: "conflict" }
  /** It cannot be, for a reason that trying again does not mend; in words. */
  | { readonly kind: "refused"; readonly why: string };

export interface PullSecretStore {
  /** Calls back after each change, first after the first list. */
  start(onChange: () => void): Watch;
  /** Namespace → its Secret, own writes included as soon as they are answered. */
  current(): Pick<ReadonlyMap<string, ObservedPullSecret>, "get" | "has">;
  isRead(): boolean;
  /** Throws where it is not known what became of it. */
  write(namespace: string, dockerConfigJson: string, signal: AbortSignal): Promise<WriteOutcome>;
  /** `written` as well when there is none. */
  remove(namespace: string, signal: AbortSignal): Promise<WriteOutcome>;
}

export interface PullSecretStoreNeeds {
  readonly client: KubeClient;
  readonly fieldManager: "berth";
  readonly onRestart?: () => void;
  readonly log: Log;
  readonly now: () => number;
  readonly random: () => number;
  readonly timing?: Partial<WatchTiming>;
}

export const pullSecretName = "berth-pull";
const secretType = "kubernetes.io/dockerconfigjson";
const contentKey = ".dockerconfigjson";
const ownLabels = { "app.kubernetes.io/managed-by": "berth", "app.kubernetes.io/name": "berth" };
const foreign: WriteOutcome = {
  kind: "refused",
  why: `a Secret ${pullSecretName} that Berth did not make is there`,
};

export function createPullSecretStore(needs: PullSecretStoreNeeds): PullSecretStore {
  const { client, fieldManager } = needs;
  const own = createOwnWrites<ObservedPullSecret>();
  let watch: CollectionWatch<ObservedPullSecret> | undefined;
  const there: ReturnType<PullSecretStore["current"]> = {
    get: (namespace) => own.at(namespace, watch?.known()),
    has: (namespace) => own.at(namespace, watch?.known()) !== undefined,
  };

  function start(onChange: () => void): Watch {
    watch = startWatch({
      ...needs,
      resource: "pull-secrets",
      path: "/api/v1/secrets",
      // RBAC allows a list or watch by `resourceNames` where exactly this field is selected.
      fieldSelector: `metadata.name=${pullSecretName}`,
      keyOf: ({ metadata }) => String(metadata["namespace"]),
      pick: (object) => observed(object, fieldManager),
      onChange,
    });
    return watch;
  }

  async function write(
    namespace: string,
    dockerConfigJson: string,
    signal: AbortSignal,
  ): Promise<WriteOutcome> {
    const known = there.get(namespace);
    if (known === undefined) return create(namespace, dockerConfigJson, signal);
    if (known.owner === "foreign") return foreign;
    if (known.writable) return replace(namespace, known, dockerConfigJson, signal);
    const removed = await removeThis(namespace, known, signal);
    return removed.kind === "written" ? create(namespace, dockerConfigJson, signal) : removed;
  }

  /**
   * A creation, which meets 409 whatever is there already. Not server-side apply, which even without force joins
   * the owners of a Secret of the same content and puts the labels on it.
   */
  async function create(
    namespace: string,
    dockerConfigJson: string,
    signal: AbortSignal,
  ): Promise<WriteOutcome> {
    const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets?fieldManager=${fieldManager}`;
    const answer = await client.request("POST", path, {
      body: pullSecret(namespace, dockerConfigJson),
      signal,
    });
    return outcomeOf("create", namespace, answer);
  }

  /** By uid and version, so that neither an edit nor a Secret that took its place meanwhile is overwritten. */
  async function replace(
    namespace: string,
    { uid, resourceVersion }: ObjectVersion,
    dockerConfigJson: string,
    signal: AbortSignal,
  ): Promise<WriteOutcome> {
    const path = `${pathOf(namespace)}?${new URLSearchParams({ fieldManager, force: "true" }).toString()}`;
    const answer = await client.request("PATCH", path, {
      body: pullSecret(namespace, dockerConfigJson, { uid, resourceVersion }),
      contentType: "application/apply-patch+yaml",
      signal,
    });
    return outcomeOf("write", namespace, answer);
  }

  function outcomeOf(verb: string, namespace: string, answer: KubeAnswer): WriteOutcome {
    if (answer.status !== 200 && answer.status !== 201) return withoutSuccess(verb, namespace, answer);
    if (!isKubeObject(answer.body)) throw unexpectedAnswer(storyOf(verb, namespace), answer);
    own.wrote(namespace, observed(answer.body, fieldManager));
    return { kind: "written" };
  }

  async function remove(namespace: string, signal: AbortSignal): Promise<WriteOutcome> {
    const known = there.get(namespace);
    if (known === undefined) return { kind: "written" };
    return known.owner === "foreign" ? foreign : removeThis(namespace, known, signal);
  }

  async function removeThis(
    namespace: string,
    known: ObjectVersion,
    signal: AbortSignal,
  ): Promise<WriteOutcome> {
    const answer = await client.request("DELETE", pathOf(namespace), { body: deletionOf(known), signal });
    if (answer.status !== 200 && answer.status !== 404) return withoutSuccess("remove", namespace, answer);
    // What is gone is answered with a Status; an object is one that waits for somebody else to let it go.
    if (answer.status === 200 && isKubeObject(answer.body) && answer.body["kind"] !== "Status") {
      return { kind: "refused", why: `${storyOf("remove", namespace)}: a finalizer keeps it` };
    }
    own.removed(namespace, known);
    return { kind: "written" };
  }

  return { start, current: () => there, isRead: () => watch?.known() !== undefined, write, remove };
}

function observed(object: KubeObject, fieldManager: string): ObservedPullSecret {
  const labelled = isLabelled(object);
  const content = textRecord(object["data"])[contentKey];
  return {
    ...versionOf(object),
    owner: isBerths(object, fieldManager) ? "berth" : "foreign",
    digest: content === undefined ? "" : sha256(Buffer.from(content, "base64").toString("utf8")),
    writable: object["type"] === secretType && object["immutable"] !== true,
    labelled,
  };
}

/** Did Berth make it? Its label says so, or what the API server keeps of who wrote it. */
export function isBerths(object: KubeObject, fieldManager: string): boolean {
  return isLabelled(object) || isManagedBy(fieldManager, object);
}

function isLabelled({ metadata }: KubeObject): boolean {
  return textRecord(metadata["labels"])["app.kubernetes.io/managed-by"] === "berth";
}

function isManagedBy(fieldManager: string, { metadata }: KubeObject): boolean {
  const { managedFields } = metadata;
  return (
    Array.isArray(managedFields) &&
    managedFields.some((entry) => isObject(entry) && entry["manager"] === fieldManager)
  );
}

function pullSecret(namespace: string, dockerConfigJson: string, version?: ObjectVersion): object {
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: pullSecretName, namespace, labels: ownLabels, ...version },
    type: secretType,
    data: { [contentKey]: Buffer.from(dockerConfigJson).toString("base64") },
  };
}

function pathOf(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets/${pullSecretName}`;
}

/**
 * A 403 stands for a quota, for a namespace that ends, for admission and for RBAC; a 404 for a namespace that is
 * gone. None of them goes by asking again soon, and each says in its own words which it is.
 */
function withoutSuccess(verb: string, namespace: string, answer: KubeAnswer): WriteOutcome {
  const error = unexpectedAnswer(storyOf(verb, namespace), answer);
  if (answer.status === 409) return { kind: "conflict" };
  if ([400, 403, 404, 413, 422].includes(answer.status)) return { kind: "refused", why: error.message };
  throw error;
}

function storyOf(verb: string, namespace: string): string {
  return `${verb} Secret ${pullSecretName} in namespace ${namespace}`;
}
