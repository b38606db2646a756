// A cluster that is one: the watches that every command reads by, and for those that serve all that is written.
// This is the only file that loads kubernetes/.

import { createAccessReviews, peopleLimits } from "../kubernetes/access-review.ts";
import { createCaSecret, type CaSecret } from "../kubernetes/ca-secret.ts";
import { createKubernetesSource } from "../kubernetes/cluster-source.ts";
import { startHarborClusters } from "../kubernetes/harbor-clusters.ts";
import { createEvents, type Events } from "../kubernetes/events.ts";
import { inClusterAccess, kubeconfigAccess } from "../kubernetes/kube-access.ts";
import { createKubeClient, readNamespaceLabels, readNamespaceUid } from "../kubernetes/kube-client.ts";
import { startLease, type Lease } from "../kubernetes/lease.ts";
import { createLeftovers, type Leftovers } from "../kubernetes/leftovers.ts";
import { createNamespaceLookup } from "../kubernetes/namespace-lookup.ts";
import { createPublishedStore, type PublishedStore } from "../kubernetes/published-store.ts";
import { createPullSecretStore, type PullSecretStore } from "../kubernetes/pull-secret-store.ts";
import { createRobotRecords, type RobotRecords } from "../kubernetes/robot-records.ts";
import { createTokenReviews } from "../kubernetes/token-review.ts";
import type { Watch } from "../kubernetes/watch.ts";
import {
  createWebhookConfigurations,
  type WebhookConfigurations,
} from "../kubernetes/webhook-configurations.ts";
import type { ClusterSource } from "../feeds/cluster-feed.ts";
import type { LookUps } from "../http/look-ups.ts";
import type { HasRight } from "../http/namespace-guard.ts";
import { createPeopleAccess, type PeopleAccess } from "../http/people-access.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import { clusterEndpoint, type Settings } from "../settings.ts";

export interface KubernetesCluster {
  readonly source: ClusterSource;
  readonly namespace: LookUps["namespace"];
  readonly hasRight: HasRight;
  readonly peopleAccess: PeopleAccess;
  readonly published: PublishedStore;
  readonly robotRecords: RobotRecords;
  readonly pullSecrets: PullSecretStore;
  readonly events: Events;
  /** For an uninstallation. */
  readonly leftovers: Leftovers;
  readonly caSecret: CaSecret;
  readonly webhookConfigurations: WebhookConfigurations;
  startLease(lead: (signal: AbortSignal) => void): Lease;
  /** Tells this cluster from all others. */
  readUid(signal: AbortSignal): Promise<string>;
  /** Counts the watch among those that {@link lastEventAt} tells of. */
  addWatch(resource: string, watch: Watch): void;
  lastEventAt(): ReadonlyMap<string, number>;
  close(): void;
}

export interface KubernetesNeeds {
  readonly settings: Settings;
  /** Of this replica, among all that ever run. */
  readonly identity: string;
  readonly log: Log;
  readonly metrics: Metrics | undefined;
}

/** Connections for what people make Berth ask: verdicts, watches and the lease never wait for those. */
const maxPeopleSockets = 16;

export async function openKubernetes(needs: KubernetesNeeds): Promise<KubernetesCluster> {
  const { settings, identity, log, metrics } = needs;
  const { kubeconfig, context, namespace } = settings;
  const endpoint = kubeconfig === undefined && context === undefined ? clusterEndpoint() : undefined;
  const access =
    endpoint === undefined
      ? await kubeconfigAccess({ file: kubeconfig, context })
      : inClusterAccess({ ...endpoint, now: Date.now });
  const client = createKubeClient(access);
  const peopleClient = createKubeClient(access, { maxSockets: maxPeopleSockets });
  // What is remembered for some seconds must not be for an hour where the wall clock is set back by one.
  const monotonic = (): number => performance.now();
  const common = { client, log, now: Date.now, random: Math.random };
  const restartsOf = (resource: string) => ({ onRestart: () => metrics?.watchRestarts.inc({ resource }) });
  const askAccess = createAccessReviews({ client, now: monotonic });
  const source = createKubernetesSource({
    ...common,
    berthNamespace: namespace,
    workspaceLabel: settings.workspaceLabel,
    onRestart: (resource) => metrics?.watchRestarts.inc({ resource }),
  });
  const { harborClusters } = settings;
  const watches = new Map<string, Watch>();
  return {
    source(sink) {
      const watching = source.start(sink);
      if (harborClusters.length === 0) return watching;
      const reading = startHarborClusters({ ...common, namespaces: harborClusters }, (found) =>
        sink.harborClusters(found),
      );
      return {
        async stop() {
          await Promise.all([watching.stop(), reading.stop()]);
        },
      };
    },
    namespace: createNamespaceLookup({
      readLabels: (name, signal) => readNamespaceLabels(client, name, signal),
      workspaceLabel: settings.workspaceLabel,
      log,
      now: monotonic,
    }),
    hasRight: (user, right, signal) =>
      askAccess(user, { group: "berth.io", resource: "workspaces", ...right }, signal),
    peopleAccess: createPeopleAccess({
      reviewToken: createTokenReviews({ client: peopleClient, now: monotonic }),
      askRight: createAccessReviews({ client: peopleClient, now: monotonic, limits: peopleLimits }),
      proxy: peopleProxyOf(settings),
      berthNamespace: namespace,
    }),
    published: createPublishedStore({ ...common, ...restartsOf("published"), namespace }),
    robotRecords: createRobotRecords({ ...common, ...restartsOf("robot-records"), namespace }),
    pullSecrets: createPullSecretStore({ ...common, ...restartsOf("pull-secrets"), fieldManager: "berth" }),
    events: createEvents({ client, namespace, identity, log, now: Date.now }),
    leftovers: createLeftovers({ client, namespace, fieldManager: "berth" }),
    caSecret: createCaSecret({ client, namespace }),
    webhookConfigurations: createWebhookConfigurations({
      ...common,
      name: "berth",
      service: { namespace, name: settings.serviceName },
      url: settings.webhookUrl,
      onRestart: (resource) => metrics?.watchRestarts.inc({ resource }),
    }),
    startLease: (lead) => startLease({ ...common, namespace, name: "berth", identity }, lead),
    readUid: (signal) => readNamespaceUid(client, "kube-system", signal),
    addWatch: (resource, watch) => void watches.set(resource, watch),
    lastEventAt() {
      const heard = new Map<string, number>(source.lastEventAt());
      for (const [resource, watch] of watches) {
        const at = watch.lastEventAt();
        if (at !== undefined) heard.set(resource, at);
      }
      return heard;
    },
    close() {
      client.close();
      peopleClient.close();
    },
  };
}

function peopleProxyOf({ peopleProxyCa, peopleProxyNames }: Settings) {
  if (peopleProxyCa === undefined) return undefined;
  return { names: peopleProxyNames.length > 0 ? peopleProxyNames : null };
}
