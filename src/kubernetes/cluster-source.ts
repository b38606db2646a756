// A cluster as feeds/ wants to see it: four watches, and of each object only what Berth needs. Secrets are read in
// Berth's own namespace and nowhere else; they stay in memory and are never logged.

import type { PolicyConfigMap } from "../domain/policy.ts";
import type { Log } from "../log.ts";
import type { Stoppable } from "../loop.ts";
import type { KubeClient } from "./kube-client.ts";
import { type KubeObject, textRecord } from "./kube-object.ts";
import { startWatch, type Watch, type WatchOptions, type WatchTiming } from "./watch.ts";

/** Who takes what the cluster shows; each call carries the full set. */
export interface ClusterSourceSink {
  namespaces(all: ReadonlyMap<string, Readonly<Record<string, string>>>): void;
  policyConfigMaps(all: readonly PolicyConfigMap[]): void;
  secrets(all: ReadonlyMap<string, Readonly<Record<string, string>>>): void;
  strictServiceAccounts(all: ReadonlySet<string>): void;
}

export type WatchedResource = "namespaces" | "policy-configmaps" | "secrets" | "serviceaccounts";

export interface KubernetesSource {
  readonly start: (sink: ClusterSourceSink) => Stoppable;
  /** For each watch, when the API server last told it something; a watch that never heard anything is not in it. */
  lastEventAt(): ReadonlyMap<WatchedResource, number>;
}

export interface KubernetesSourceNeeds {
  readonly client: KubeClient;
  readonly berthNamespace: string;
  /** The one label of a namespace that is kept. */
  readonly workspaceLabel: string;
  readonly onRestart?: (resource: WatchedResource) => void;
  readonly log: Log;
  readonly now: () => number;
  readonly random: () => number;
  readonly timing?: Partial<WatchTiming>;
}

export function createKubernetesSource(needs: KubernetesSourceNeeds): KubernetesSource {
  const { berthNamespace, workspaceLabel } = needs;
  const own = `/api/v1/namespaces/${encodeURIComponent(berthNamespace)}`;
  const watches = new Map<WatchedResource, Watch>();

  function start(sink: ClusterSourceSink): Stoppable {
    watch("namespaces", {
      path: "/api/v1/namespaces",
      metadataOnly: true,
      pick: (object) => onlyLabel(object, workspaceLabel),
      onChange: (all) => sink.namespaces(all),
    });
    watch("policy-configmaps", {
      path: `${own}/configmaps`,
      labelSelector: "berth.io/policy=true",
      pick: policyConfigMap,
      onChange: (all) => sink.policyConfigMaps([...all.values()]),
    });
    watch("secrets", {
      path: `${own}/secrets`,
      // Helm keeps each release of a chart in a Secret of up to 1 MiB, and nothing in them concerns us.
      fieldSelector: "type!=helm.sh/release.v1,type!=kubernetes.io/service-account-token",
      // The master copies of robots are robot-records.ts's to watch.
      labelSelector: "berth.io/robot!=true",
      pick: decodedSecret,
      onChange: (all) => sink.secrets(all),
    });
    watch("serviceaccounts", {
      path: "/api/v1/serviceaccounts",
      metadataOnly: true,
      keyOf: ({ metadata }) => `${String(metadata["namespace"])}/${metadata.name}`,
      pick: (object) => (isStrict(object) ? true : undefined),
      onChange: (all) => sink.strictServiceAccounts(new Set(all.keys())),
    });
    return {
      async stop() {
        await Promise.all([...watches.values()].map((one) => one.stop()));
      },
    };
  }

  function watch<V>(
    resource: WatchedResource,
    collection: Pick<
      WatchOptions<V>,
      "path" | "labelSelector" | "fieldSelector" | "metadataOnly" | "keyOf" | "pick" | "onChange"
    >,
  ): void {
    const { onRestart } = needs;
    const options = { ...needs, ...collection, resource, onRestart: () => onRestart?.(resource) };
    watches.set(resource, startWatch(options));
  }

  return {
    start,
    lastEventAt() {
      const heard = [...watches].map(([resource, one]) => [resource, one.lastEventAt()] as const);
      return new Map(heard.filter((entry): entry is [WatchedResource, number] => entry[1] !== undefined));
    },
  };
}

/** Shared by all namespaces without workspace, which are most of many thousand. */
const noLabels: Readonly<Record<string, string>> = {};

function onlyLabel(object: KubeObject, label: string): Readonly<Record<string, string>> {
  const labels = textRecord(object.metadata["labels"]);
  const value = Object.hasOwn(labels, label) ? labels[label] : undefined;
  return value === undefined ? noLabels : { [label]: value };
}

/** Source: kubernetes/plugin/pkg/admission/serviceaccount, EnforceMountableSecretsAnnotation. */
function isStrict(object: KubeObject): boolean {
  return textRecord(object.metadata["annotations"])["kubernetes.io/enforce-mountable-secrets"] === "true";
}

function policyConfigMap(object: KubeObject): PolicyConfigMap {
  return { name: object.metadata.name, data: textRecord(object["data"]) };
}

function decodedSecret(object: KubeObject): Readonly<Record<string, string>> {
  const encoded = Object.entries(textRecord(object["data"]));
  return Object.fromEntries(
    encoded.map(([key, text]) => [key, Buffer.from(text, "base64").toString("utf8")]),
  );
}
