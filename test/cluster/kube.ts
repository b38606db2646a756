// The Kubernetes API in a few lines, for suites that assert on what it answers: a refusal is an answer with its
// message and warnings, never an exception. Deliberately not the client library that Berth itself uses.

import { request as httpsRequest } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import type * as k8s from "@kubernetes/client-node";

export interface KubeAccess {
  readonly server: string;
  readonly caPem: string;
  /** One of the two. */
  readonly certificate?: { readonly certificatePem: string; readonly keyPem: string };
  readonly token?: string;
}

/** The kinds that the suites use. A date is text here, as it comes in JSON, whatever its type says. */
export interface KubeTypes {
  ClusterRole: k8s.V1ClusterRole;
  ClusterRoleBinding: k8s.V1ClusterRoleBinding;
  ConfigMap: k8s.V1ConfigMap;
  CronJob: k8s.V1CronJob;
  DaemonSet: k8s.V1DaemonSet;
  Deployment: k8s.V1Deployment;
  Event: k8s.CoreV1Event;
  Job: k8s.V1Job;
  Lease: k8s.V1Lease;
  MutatingWebhookConfiguration: k8s.V1MutatingWebhookConfiguration;
  Namespace: k8s.V1Namespace;
  Pod: k8s.V1Pod;
  PodTemplate: k8s.V1PodTemplate;
  ReplicaSet: k8s.V1ReplicaSet;
  ReplicationController: k8s.V1ReplicationController;
  Role: k8s.V1Role;
  RoleBinding: k8s.V1RoleBinding;
  Secret: k8s.V1Secret;
  Service: k8s.V1Service;
  ServiceAccount: k8s.V1ServiceAccount;
  StatefulSet: k8s.V1StatefulSet;
  SubjectAccessReview: k8s.V1SubjectAccessReview;
  ValidatingAdmissionPolicy: k8s.V1ValidatingAdmissionPolicy;
  ValidatingAdmissionPolicyBinding: k8s.V1ValidatingAdmissionPolicyBinding;
  ValidatingWebhookConfiguration: k8s.V1ValidatingWebhookConfiguration;
}
export type Kind = keyof KubeTypes;
/** The library's types are classes; what comes from the API is plain. */
type Plain<T> = { [P in keyof T]: T[P] };
type Of<K extends Kind> = Plain<KubeTypes[K]> & { kind: K };

/** What an object to write must say of itself; the rest is passed on as it is, malformed or not. */
export interface Identified {
  readonly kind: Kind;
  readonly metadata?: { readonly name?: string; readonly namespace?: string; readonly generateName?: string };
}

export interface At {
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
  /** For example `{ dryRun: "All" }`. */
  readonly query?: Readonly<Record<string, string>>;
}
export type How = Pick<At, "subresource" | "query">;

export interface Answer<T> {
  readonly status: number;
  /** On success the object; on failure a Status, whose text is in `message`. */
  readonly body: T;
  /** Of a Status; empty on success. */
  readonly message: string;
  readonly warnings: readonly string[];
}

export interface Kube {
  get<K extends Kind>(kind: K, at: At): Promise<Answer<Of<K>>>;
  list<K extends Kind>(kind: K, at?: At): Promise<Answer<{ items: Plain<KubeTypes[K]>[] }>>;
  create<T extends Identified>(object: T, how?: How): Promise<Answer<Of<T["kind"]>>>;
  /** Replaces it whole (PUT), or its `status` and the like with `how.subresource`. */
  update<T extends Identified>(object: T, how?: How): Promise<Answer<Of<T["kind"]>>>;
  /** Server-side apply, taking over the fields of others. */
  apply<T extends Identified>(object: T, fieldManager: string, how?: How): Promise<Answer<Of<T["kind"]>>>;
  mergePatch<K extends Kind>(kind: K, at: At, patch: object): Promise<Answer<Of<K>>>;
  jsonPatch<K extends Kind>(kind: K, at: At, operations: readonly object[]): Promise<Answer<Of<K>>>;
  delete(kind: Kind, at: At): Promise<Answer<unknown>>;
  /** Anything else; a body is sent as JSON. */
  request(method: string, path: string, body?: unknown, contentType?: string): Promise<Answer<unknown>>;
}

const requestTimeoutMs = 40_000; // above the 34 s that the API server gives a request and its webhooks

export function createKube(access: KubeAccess): Kube {
  const request: Kube["request"] = (method, path, body, contentType = "application/json") =>
    send(access, method, path, body === undefined ? "" : JSON.stringify(body), contentType);

  /** The one place that takes the API server at its word for the type of a body. */
  async function typed<T>(answer: Promise<Answer<unknown>>): Promise<Answer<T>> {
    return (await answer) as Answer<T>;
  }

  return {
    get: (kind, at) => typed(request("GET", pathOf(kind, at))),
    list: (kind, at = {}) => typed(request("GET", pathOf(kind, at))),
    create(object, how = {}) {
      const { namespace } = object.metadata ?? {};
      const at = namespace === undefined ? how : { ...how, namespace };
      return typed(request("POST", pathOf(object.kind, at), complete(object)));
    },
    update: (object, how = {}) =>
      typed(request("PUT", pathOf(object.kind, { ...object.metadata, ...how }), complete(object))),
    apply(object, fieldManager, how = {}) {
      const at = { ...object.metadata, ...how, query: { ...how.query, fieldManager, force: "true" } };
      return typed(request("PATCH", pathOf(object.kind, at), complete(object), patchTypes.apply));
    },
    mergePatch: (kind, at, patch) => typed(request("PATCH", pathOf(kind, at), patch, patchTypes.merge)),
    jsonPatch: (kind, at, operations) =>
      typed(request("PATCH", pathOf(kind, at), operations, patchTypes.json)),
    delete: (kind, at) => request("DELETE", pathOf(kind, at)),
    request,
  };
}

/**
 * A namespace in which Pods can be made at once: with the service account that the ServiceAccount plugin asks for,
 * whether or not a controller manager is there to make it.
 */
export async function createNamespace(
  kube: Kube,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<void> {
  const created = await kube.create({ kind: "Namespace", metadata: { name, labels } });
  if (created.status !== 201) throw new Error(`create namespace ${name}: ${created.message}`);
  const account = await kube.create({
    kind: "ServiceAccount",
    metadata: { name: "default", namespace: name },
  });
  // 409: the controller manager was faster.
  if (![201, 409].includes(account.status)) throw new Error(`service account of ${name}: ${account.message}`);
}

/** Looks until there is an answer; what fails on the way counts as "not yet" and is told if time runs out. */
export async function waitFor<T>(
  what: string,
  look: () => Promise<T | undefined | false>,
  timeoutMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  let lastError: unknown;
  for (;;) {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (Date.now() > deadline) throw new Error(`${what}: not within ${timeoutMs} ms`, { cause: lastError });
    await sleep(100);
  }
}

/** A kubeconfig with everything inside it, for whoever takes a file. */
export function kubeconfig({ server, caPem, certificate, token }: KubeAccess): string {
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  const user = {
    ...(token === undefined ? {} : { token }),
    ...(certificate === undefined
      ? {}
      : {
          "client-certificate-data": base64(certificate.certificatePem),
          "client-key-data": base64(certificate.keyPem),
        }),
  };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "test", cluster: { server, "certificate-authority-data": base64(caPem) } }],
    users: [{ name: "test", user }],
    contexts: [{ name: "test", context: { cluster: "test", user: "test" } }],
    "current-context": "test",
  });
}

const patchTypes = {
  apply: "application/apply-patch+yaml",
  merge: "application/merge-patch+json",
  json: "application/json-patch+json",
};

interface Resource {
  readonly apiVersion: string;
  readonly plural: string;
  readonly clusterScoped?: true;
}

const rbac = "rbac.authorization.k8s.io/v1";
const admission = "admissionregistration.k8s.io/v1";

const resources: Readonly<Record<Kind, Resource>> = {
  ClusterRole: { apiVersion: rbac, plural: "clusterroles", clusterScoped: true },
  ClusterRoleBinding: { apiVersion: rbac, plural: "clusterrolebindings", clusterScoped: true },
  ConfigMap: { apiVersion: "v1", plural: "configmaps" },
  CronJob: { apiVersion: "batch/v1", plural: "cronjobs" },
  DaemonSet: { apiVersion: "apps/v1", plural: "daemonsets" },
  Deployment: { apiVersion: "apps/v1", plural: "deployments" },
  Event: { apiVersion: "v1", plural: "events" },
  Job: { apiVersion: "batch/v1", plural: "jobs" },
  Lease: { apiVersion: "coordination.k8s.io/v1", plural: "leases" },
  MutatingWebhookConfiguration: {
    apiVersion: admission,
    plural: "mutatingwebhookconfigurations",
    clusterScoped: true,
  },
  Namespace: { apiVersion: "v1", plural: "namespaces", clusterScoped: true },
  Pod: { apiVersion: "v1", plural: "pods" },
  PodTemplate: { apiVersion: "v1", plural: "podtemplates" },
  ReplicaSet: { apiVersion: "apps/v1", plural: "replicasets" },
  ReplicationController: { apiVersion: "v1", plural: "replicationcontrollers" },
  Role: { apiVersion: rbac, plural: "roles" },
  RoleBinding: { apiVersion: rbac, plural: "rolebindings" },
  Secret: { apiVersion: "v1", plural: "secrets" },
  Service: { apiVersion: "v1", plural: "services" },
  ServiceAccount: { apiVersion: "v1", plural: "serviceaccounts" },
  StatefulSet: { apiVersion: "apps/v1", plural: "statefulsets" },
  SubjectAccessReview: {
    apiVersion: "authorization.k8s.io/v1",
    plural: "subjectaccessreviews",
    clusterScoped: true,
  },
  ValidatingAdmissionPolicy: {
    apiVersion: admission,
    plural: "validatingadmissionpolicies",
    clusterScoped: true,
  },
  ValidatingAdmissionPolicyBinding: {
    apiVersion: admission,
    plural: "validatingadmissionpolicybindings",
    clusterScoped: true,
  },
  ValidatingWebhookConfiguration: {
    apiVersion: admission,
    plural: "validatingwebhookconfigurations",
    clusterScoped: true,
  },
};

/** Exported for suites that add something to the path of a resource. Without a namespace: those of all. */
export function pathOf(kind: Kind, { namespace, name, subresource, query }: At): string {
  const { apiVersion, plural, clusterScoped } = resources[kind];
  const parts = [
    apiVersion.includes("/") ? `apis/${apiVersion}` : `api/${apiVersion}`,
    ...(clusterScoped || namespace === undefined ? [] : ["namespaces", namespace]),
    plural,
    ...(name === undefined ? [] : [encodeURIComponent(name)]),
    ...(subresource === undefined ? [] : [subresource]),
  ];
  const search = query === undefined ? "" : `?${new URLSearchParams(query).toString()}`;
  return `/${parts.join("/")}${search}`;
}

/** Objects of a list come without `apiVersion`; the API server wants it back. */
function complete(object: Identified): object {
  return { apiVersion: resources[object.kind].apiVersion, ...object };
}

function send(
  { server, caPem, certificate, token }: KubeAccess,
  method: string,
  path: string,
  body: string,
  contentType: string,
): Promise<Answer<unknown>> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => reject(new Error(`${method} ${path} at ${server}`, { cause }));
    const request = httpsRequest(
      new URL(path, server),
      {
        method,
        ca: caPem,
        ...(certificate === undefined ? {} : { cert: certificate.certificatePem, key: certificate.keyPem }),
        headers: {
          accept: "application/json",
          ...(body === "" ? {} : { "content-type": contentType, "content-length": Buffer.byteLength(body) }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        // A connection each: one kept alive would be dead after the API server's restart.
        agent: false,
        signal: AbortSignal.timeout(requestTimeoutMs),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", fail);
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          const status = response.statusCode ?? 0;
          resolve({
            status,
            ...readBody(status, text, response.headers["content-type"]),
            warnings: (response.headersDistinct["warning"] ?? []).map(warningText),
          });
        });
      },
    );
    request.on("error", fail);
    request.end(body);
  });
}

function readBody(status: number, text: string, contentType = ""): { body: unknown; message: string } {
  const isJson = contentType.startsWith("application/json");
  const body: unknown = isJson ? JSON.parse(text) : text;
  if (status < 400) return { body, message: "" };
  return { body, message: isJson ? String((body as { message?: unknown }).message) : text };
}

/** `299 - "text"` → the text. */
function warningText(header: string): string {
  const quoted = /^\d{3} \S+ "(.*)"$/.exec(header)?.[1];
  return quoted === undefined ? header : quoted.replaceAll(/\\(.)/g, "$1");
}
