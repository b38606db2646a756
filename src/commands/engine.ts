// What every command that judges is made of: a cluster or a folder, the Harbors of its policy, and the snapshot
// that they fill. `serve` keeps it running; `check` and `explain` stop it when the snapshot is whole.

import type { NamespaceAnswer } from "../domain/knowledge.ts";
import type { Secrets } from "../domain/registry-access.ts";
import { missingParts, type Snapshot } from "../domain/snapshot.ts";
import { startCatalogueFeed, type CatalogueFeed } from "../feeds/catalogue-feed.ts";
import { startClusterFeed, type ClusterSource } from "../feeds/cluster-feed.ts";
import { startFolderSource } from "../files/folder-source.ts";
import { createHarborClients } from "../harbor/harbor-clients.ts";
import { createLookups } from "../harbor/lookups.ts";
import { listSpaces } from "../harbor/projects.ts";
import type { LookUps } from "../http/look-ups.ts";
import type { HasRight } from "../http/namespace-guard.ts";
import type { Log } from "../log.ts";
import type { Stoppable } from "../loop.ts";
import type { Metrics } from "../metrics.ts";
import { clusterEndpoint, type Settings } from "../settings.ts";
import { createCell, createState, type State } from "../state.ts";

export interface Engine extends Stoppable {
  readonly state: State;
  readonly lookUps: LookUps;
  readonly hasRight: HasRight;
  readonly catalogues: CatalogueFeed;
  /** For each watch of the API server, when it last gave a sign of life. */
  lastEventAt(): ReadonlyMap<string, number>;
}

/** Longer than the listing of a large Harbor takes for its single pages, and within what a person waits. */
const harborTimeoutMs = 30_000;

export async function startEngine(settings: Settings, log: Log, metrics?: Metrics): Promise<Engine> {
  const now = Date.now;
  const state = createState({
    berthNamespace: settings.namespace,
    workspaceLabel: settings.workspaceLabel,
    stale: settings.stale,
  });
  const secrets = createCell<Secrets | undefined>(undefined);
  const cluster = await openCluster(settings, log, metrics);
  const clients = createHarborClients({
    secrets: () => secrets.current() ?? new Map(),
    timeoutMs: harborTimeoutMs,
    now,
    random: Math.random,
    observe: (registry, outcome, seconds) =>
      metrics?.registryRequestDuration.observe({ registry, outcome }, seconds),
  });
  const catalogues = startCatalogueFeed(
    {
      state,
      secrets,
      listSpaces: (registry, signal) => listSpaces({ client: clients.clientOf(registry), now }, signal),
      log,
      now,
      observe: (registry, outcome) => metrics?.catalogueRefreshes.inc({ registry, outcome }),
    },
    { everyMs: settings.catalogueInterval, maxAgeMs: settings.catalogueMaxAge },
  );
  const registryOf = (name: string) => state.snapshot().policy.registries.get(name);
  const lookups = createLookups({
    clientOf(name) {
      const registry = registryOf(name);
      return registry && clients.clientOf(registry);
    },
    pullClientOf(name) {
      const registry = registryOf(name);
      return registry && clients.pullClientOf(registry);
    },
    now,
    log,
    observe: (registry, outcome) => metrics?.lookups.inc({ registry, outcome }),
  });
  const feed = startClusterFeed({
    source: cluster.source,
    state,
    secrets,
    log,
    workspaceLabel: settings.workspaceLabel,
  });
  return {
    state,
    catalogues,
    lookUps: { ...lookups, namespace: cluster.namespace },
    hasRight: cluster.hasRight,
    lastEventAt: () => cluster.lastEventAt(),
    async stop() {
      await feed.stop();
      await catalogues.stop();
      clients.close();
      cluster.close();
    },
  };
}

interface Cluster {
  readonly source: ClusterSource;
  readonly namespace: LookUps["namespace"];
  readonly hasRight: HasRight;
  lastEventAt(): ReadonlyMap<string, number>;
  close(): void;
}

function openCluster(settings: Settings, log: Log, metrics: Metrics | undefined): Cluster | Promise<Cluster> {
  return settings.from === undefined
    ? openKubernetes(settings, log, metrics)
    : openFolder(settings.from, settings, log);
}

function openFolder(dir: string, settings: Settings, log: Log): Cluster {
  // The folder is all there is: what it does not show does not exist.
  const absent: NamespaceAnswer = { kind: "read", exists: false, workspace: null };
  return {
    source: startFolderSource({ dir, berthNamespace: settings.namespace, log, now: Date.now }),
    namespace: () => Promise.resolve(absent),
    hasRight: () => Promise.reject(new Error("a folder knows no rights")),
    lastEventAt: () => new Map(),
    close: () => undefined,
  };
}

/** Loaded here and only here: without a cluster nothing of it is needed. */
async function openKubernetes(settings: Settings, log: Log, metrics: Metrics | undefined): Promise<Cluster> {
  const [
    access,
    { createKubeClient, readNamespaceLabels },
    { createKubernetesSource },
    { createNamespaceLookup },
    { createAccessReviews },
  ] = await Promise.all([
    import("../kubernetes/kube-access.ts"),
    import("../kubernetes/kube-client.ts"),
    import("../kubernetes/cluster-source.ts"),
    import("../kubernetes/namespace-lookup.ts"),
    import("../kubernetes/access-review.ts"),
  ]);
  const { kubeconfig, context } = settings;
  const endpoint = kubeconfig === undefined && context === undefined ? clusterEndpoint() : undefined;
  const client = createKubeClient(
    endpoint === undefined
      ? await access.kubeconfigAccess({ file: kubeconfig, context })
      : access.inClusterAccess({ ...endpoint, now: Date.now }),
  );
  const askAccess = createAccessReviews({ client, now: Date.now });
  const source = createKubernetesSource({
    client,
    berthNamespace: settings.namespace,
    workspaceLabel: settings.workspaceLabel,
    onRestart: (resource) => metrics?.watchRestarts.inc({ resource }),
    log,
    now: Date.now,
    random: Math.random,
  });
  return {
    source: source.start,
    namespace: createNamespaceLookup({
      readLabels: (name, signal) => readNamespaceLabels(client, name, signal),
      workspaceLabel: settings.workspaceLabel,
      log,
      now: Date.now,
    }),
    hasRight: (user, right, signal) =>
      askAccess(user, { group: "berth.io", resource: "workspaces", ...right }, signal),
    lastEventAt: () => source.lastEventAt(),
    close: () => client.close(),
  };
}

/** Resolves when nothing is missing; after the time, or at the signal, with what there is by then. */
export function untilWhole(state: State, timeoutMs: number, signal?: AbortSignal): Promise<Snapshot> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      unsubscribe();
      resolve(state.snapshot());
    };
    const timer = setTimeout(done, timeoutMs);
    const unsubscribe = state.subscribe((current) => {
      if (missingParts(current).length === 0) done();
    });
    signal?.addEventListener("abort", done, { once: true });
    if (signal?.aborted === true || missingParts(state.snapshot()).length === 0) done();
  });
}
