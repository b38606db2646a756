// The CA that all replicas share, in one Secret of Berth's own namespace: `ca.crt` has every CA that is still trusted, the
// newest first, `ca.key` the private key of the newest. What they are worth is its reader's to judge; here they are
// text, and never logged. Two writers never overwrite each other: who comes second is told.

import { type KubeClient, unexpectedAnswer } from "./kube-client.ts";
import { deletionOf, isKubeObject, type KubeObject, textRecord, versionOf } from "./kube-object.ts";

/** PEM; empty where the Secret has no such key. */
export interface CaTexts {
  readonly bundle: string;
  readonly key: string;
}

export interface StoredCa extends CaTexts {
  /** The Secret as it was read, for the write that is to follow on just that state. */
  readonly object: KubeObject;
}

export type CaOutcome = "written" | "conflict";

export interface CaSecret {
  /** As the API server has it at this moment, agreed by etcd; undefined where there is none. */
  read(signal: AbortSignal): Promise<StoredCa | undefined>;
  /** Makes it, or replaces the state that was read. */
  write(texts: CaTexts, read: StoredCa | undefined, signal: AbortSignal): Promise<CaOutcome>;
}

export interface CaSecretNeeds {
  readonly client: Pick<KubeClient, "request">;
  /** Berth's own. */
  readonly namespace: string;
}

export const caSecretName = "berth-ca";

export function createCaSecret({ client, namespace }: CaSecretNeeds): CaSecret {
  const collection = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`;
  const path = `${collection}/${caSecretName}`;

  async function create(data: object, signal: AbortSignal): Promise<CaOutcome> {
    const labels = { "app.kubernetes.io/managed-by": "berth" };
    const metadata = { name: caSecretName, namespace, labels };
    const body = { apiVersion: "v1", kind: "Secret", metadata, type: "Opaque", data };
    const answer = await client.request("POST", collection, { body, signal });
    if (answer.status === 409) return "conflict";
    if (answer.status !== 201) throw unexpectedAnswer(`create Secret ${caSecretName}`, answer);
    return "written";
  }

  /** Labels and annotations stay: somebody may need them, such as an injector that copies the CA elsewhere. */
  async function replace(data: object, { object }: StoredCa, signal: AbortSignal): Promise<CaOutcome> {
    const answer = await client.request("PUT", path, { body: { ...object, data }, signal });
    if (answer.status === 409 || answer.status === 404) return "conflict";
    // Somebody made it immutable. It is made anew, by whoever reads that it is gone.
    if (answer.status === 422) return remove(object, signal);
    if (answer.status !== 200) throw unexpectedAnswer(`update Secret ${caSecretName}`, answer);
    return "written";
  }

  async function remove(object: KubeObject, signal: AbortSignal): Promise<CaOutcome> {
    const answer = await client.request("DELETE", path, { body: deletionOf(versionOf(object)), signal });
    if (![200, 404, 409].includes(answer.status))
      throw unexpectedAnswer(`remove Secret ${caSecretName}`, answer);
    return "conflict";
  }

  return {
    async read(signal) {
      const answer = await client.request("GET", path, { signal });
      if (answer.status === 404) return undefined;
      if (answer.status !== 200 || !isKubeObject(answer.body)) {
        throw unexpectedAnswer(`read Secret ${caSecretName}`, answer);
      }
      const { "ca.crt": bundle = "", "ca.key": key = "" } = textRecord(answer.body["data"]);
      return { object: answer.body, bundle: decoded(bundle), key: decoded(key) };
    },
    write({ bundle, key }, read, signal) {
      const data = { "ca.crt": encoded(bundle), "ca.key": encoded(key) };
      return read === undefined ? create(data, signal) : replace(data, read, signal);
    },
  };
}

function encoded(text: string): string {
  return Buffer.from(text).toString("base64");
}

function decoded(base64: string): string {
  return Buffer.from(base64, "base64").toString("utf8");
}
