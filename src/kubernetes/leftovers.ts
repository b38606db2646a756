// What Berth has made in a cluster, for an uninstallation: listed once, in full, and removed object by object. Nothing of
// it is kept up to date, and nothing is read of what it holds.

import { isObject } from "../domain/json.ts";
import { caSecretName } from "./ca-secret.ts";
import { type KubeClient, unexpectedAnswer } from "./kube-client.ts";
import { isKubeObject, type KubeObject, textRecord, versionOf } from "./kube-object.ts";
import { type Collection, listCollection } from "./listing.ts";
import { isBerths, pullSecretName } from "./pull-secret-store.ts";

export interface Leftover {
  readonly kind: "Secret" | "ConfigMap";
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface FoundPullSecrets {
  readonly own: readonly Leftover[];
  /** Namespaces with one that somebody else made. */
  readonly foreign: readonly string[];
}

export type Removal =
  | { readonly kind: "removed" }
  /** In words. */
  | { readonly kind: "kept"; readonly why: string };

export interface Leftovers {
  pullSecrets(signal: AbortSignal): Promise<FoundPullSecrets>;
  /** What the leader published, complete or not. */
  published(signal: AbortSignal): Promise<readonly Leftover[]>;
  /** The CA that Berth made for itself. */
  certificateAuthority(signal: AbortSignal): Promise<readonly Leftover[]>;
  /** In whatever state it is by now, unless another took its place. */
  remove(leftover: Leftover, signal: AbortSignal): Promise<Removal>;
  /** Decoded; undefined where there is none. */
  readSecret(
    namespace: string,
    name: string,
    signal: AbortSignal,
  ): Promise<Readonly<Record<string, string>> | undefined>;
  /** Empty where nobody holds it. */
  leaseHolder(signal: AbortSignal): Promise<string>;
}

export interface LeftoversNeeds {
  readonly client: KubeClient;
  /** Berth's own. */
  readonly namespace: string;
  readonly fieldManager: "berth";
}

/** Published parts are up to 0.7 MiB each, and an answer up to 16 MiB is read. */
const publishedPageSize = 20;

export function createLeftovers({ client, namespace, fieldManager }: LeftoversNeeds): Leftovers {
  const own = `/api/v1/namespaces/${encodeURIComponent(namespace)}`;

  async function list<V>(collection: Collection<V>, signal: AbortSignal, pageSize?: number) {
    const { entries } = await listCollection(
      { client, signal, ...(pageSize === undefined ? {} : { pageSize }) },
      collection,
    );
    return [...entries.values()];
  }

  /** Undefined where there is none. */
  async function get(path: string, signal: AbortSignal): Promise<KubeObject | undefined> {
    const answer = await client.request("GET", path, { signal });
    if (answer.status === 404) return undefined;
    if (answer.status !== 200 || !isKubeObject(answer.body)) throw unexpectedAnswer(`read ${path}`, answer);
    return answer.body;
  }

  return {
    async pullSecrets(signal) {
      const found = await list(
        {
          path: "/api/v1/secrets",
          fieldSelector: `metadata.name=${pullSecretName}`,
          keyOf: ({ metadata }) => String(metadata["namespace"]),
          pick: (object) => ({ secret: leftoverOf("Secret", object), isOwn: isBerths(object, fieldManager) }),
        },
        signal,
      );
      return {
        own: found.filter(({ isOwn }) => isOwn).map(({ secret }) => secret),
        foreign: found.filter(({ isOwn }) => !isOwn).map(({ secret }) => secret.namespace),
      };
    },
    published: (signal) =>
      list(
        {
          path: `${own}/configmaps`,
          labelSelector: "berth.io/published=true",
          pick: (object) => leftoverOf("ConfigMap", object),
        },
        signal,
        publishedPageSize,
      ),
    async certificateAuthority(signal) {
      const object = await get(`${own}/secrets/${caSecretName}`, signal);
      const labels = textRecord(object?.metadata["labels"]);
      const isOwn = labels["app.kubernetes.io/managed-by"] === "berth";
      return object !== undefined && isOwn ? [leftoverOf("Secret", object)] : [];
    },
    async remove({ kind, namespace: at, name, uid }, signal) {
      const resource = kind === "Secret" ? "secrets" : "configmaps";
      const path = `/api/v1/namespaces/${encodeURIComponent(at)}/${resource}/${encodeURIComponent(name)}`;
      const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid } };
      const answer = await client.request("DELETE", path, { body, signal });
      if (answer.status === 404) return { kind: "removed" };
      if (answer.status !== 200) {
        return { kind: "kept", why: unexpectedAnswer(`remove ${kind} ${name} in ${at}`, answer).message };
      }
      // What is gone is answered with a Status; an object is one that waits for somebody else to let it go.
      const isGone = !isKubeObject(answer.body) || answer.body["kind"] === "Status";
      return isGone ? { kind: "removed" } : { kind: "kept", why: "a finalizer keeps it" };
    },
    async readSecret(at, name, signal) {
      const object = await get(
        `/api/v1/namespaces/${encodeURIComponent(at)}/secrets/${encodeURIComponent(name)}`,
        signal,
      );
      if (object === undefined) return undefined;
      const encoded = Object.entries(textRecord(object["data"]));
      return Object.fromEntries(
        encoded.map(([key, text]) => [key, Buffer.from(text, "base64").toString("utf8")]),
      );
    },
    async leaseHolder(signal) {
      const path = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases/berth`;
      const lease = await get(path, signal);
      const holder = isObject(lease?.["spec"]) ? lease["spec"]["holderIdentity"] : undefined;
      return typeof holder === "string" ? holder : "";
    },
  };
}

function leftoverOf(kind: Leftover["kind"], object: KubeObject): Leftover {
  const { name, namespace } = object.metadata;
  return { kind, namespace: String(namespace), name, uid: versionOf(object).uid };
}
