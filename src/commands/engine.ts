// What every command that judges is made of: a cluster or a folder, the Harbors of its policy, and the snapshot
// that they fill. `serve` keeps it running; `check` and `explain` stop it when the snapshot is whole.

import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { NamespaceAnswer } from "../domain/knowledge.ts";
import type { SeenPullSecrets } from "../domain/pull-secrets.ts";
import type { Secrets } from "../domain/registry-access.ts";
import { missingParts, type Snapshot } from "../domain/snapshot.ts";
import {
  startCatalogueFeed,
  startCatalogueUpkeep,
  type IsGone,
  type ListSpaces,
  type RegistryStatus,
} from "../feeds/catalogue-feed.ts";
import { startClusterFeed, type ClusterFeed, type ClusterSource } from "../feeds/cluster-feed.ts";
import { createPublishedFeed } from "../feeds/published-feed.ts";
import { startRegistryChecks, type CheckRegistry, type RegistryReport } from "../feeds/registry-checks.ts";
import { startFolderSource } from "../files/folder-source.ts";
import { createHarborClients, type HarborClients } from "../harbor/harbor-clients.ts";
import { createLookups } from "../harbor/lookups.ts";
import { isProjectGone, listSpaces } from "../harbor/projects.ts";
import type { LookUps } from "../http/look-ups.ts";
import type { HasRight } from "../http/namespace-guard.ts";
import { openAccess, type PeopleAccess } from "../http/people-access.ts";
import { presentPullSecrets, type PullSecrets } from "../http/pull-secret-wait.ts";
import type { RegistryContents } from "../http/registry-contents.ts";
import type { Log } from "../log.ts";
import type { Stoppable } from "../loop.ts";
import type { Metrics } from "../metrics.ts";
import { createCredentials } from "../reconcilers/credentials.ts";
import type { PullSecretState } from "../reconcilers/pull-secret-reconciler.ts";
import { createPullSecretStates } from "../reconcilers/pull-secret-states.ts";
import { startDanglingBindingWarnings } from "../reconcilers/dangling-binding-warnings.ts";
import { startProxyCacheWarnings } from "../reconcilers/proxy-cache-warnings.ts";
import type { PublishedValue } from "../reconcilers/publisher.ts";
import type { Settings } from "../settings.ts";
import { createCell, createState, type Cell, type State } from "../state.ts";
import type { KubernetesCluster } from "./kubernetes-cluster.ts";
import { startLeadership, type Leadership } from "./leader.ts";
import { createRegistryCheck } from "./registry-check-of.ts";
import { createRegistryContents } from "./registry-contents-of.ts";

export interface Engine extends Stoppable {
  readonly state: State;
  readonly lookUps: LookUps;
  readonly hasRight: HasRight;
  readonly pullSecrets: PullSecrets;
  /** Who asks at the people's port, and what they may see. */
  readonly peopleAccess: PeopleAccess;
  readonly contents: RegistryContents;
  /** Asks the registry itself, whoever else has. */
  readonly checkRegistry: CheckRegistry;
  /** For each watch of the API server, when it last gave a sign of life. */
  lastEventAt(): ReadonlyMap<string, number>;
  /** Of the Harbors that this process reads; empty where another replica does. */
  registryStatus(): ReadonlyMap<string, RegistryStatus>;
  /** Of the registries that this process checks; empty where another replica does. */
  registryReports(): ReadonlyMap<string, RegistryReport>;
  /** Null where there is nothing to lead. */
  leads(): boolean | null;
  /** Null where another replica writes them, or none does. */
  pullSecretStates(): Readonly<Record<PullSecretState, number>> | null;
  /** What the certificate is kept with; null where there is no cluster, and where nothing is served. */
  readonly certificates: CertificateStores | null;
  /** What is not as the policy wants it, as far as this process is there to mend it; in words. */
  problems(): readonly string[];
}

export interface CertificateStores extends Pick<
  KubernetesCluster,
  "caSecret" | "webhookConfigurations" | "addWatch"
> {
  /** Calls back when a Secret of Berth's own namespace changed; returns how to end it. */
  onSecretsChange(listener: () => void): () => void;
}

/** Longer than the listing of a large Harbor takes for its single pages, and within what a person waits. */
const harborTimeoutMs = 30_000;
/** A folder's registries are checked as often as a cluster's, see leader.ts. */
const beatsBetweenChecks = 4;

/** For how long something lasts: it is never set back or forth, as the wall clock may be. */
const monotonic = (): number => performance.now();

/** What all that runs has in common. */
interface Parts {
  readonly settings: Settings;
  readonly state: State;
  /** Of Berth's own namespace; undefined until they are read. */
  readonly secrets: Cell<Secrets | undefined>;
  readonly clients: HarborClients;
  readonly listSpaces: ListSpaces;
  readonly isGone: IsGone;
  readonly log: Log;
  readonly metrics: Metrics | undefined;
  readonly checksRegistries: boolean;
}

export interface EngineOptions {
  /** With metrics it serves: in a cluster it then takes part in what replicas write. Without, it only reads. */
  readonly metrics?: Metrics;
  /** Whether one who only reads checks the registries too; whoever asks once is told by the catalogues' failures. */
  readonly checksRegistries?: boolean;
}

export async function startEngine(
  settings: Settings,
  log: Log,
  { metrics, checksRegistries = metrics !== undefined }: EngineOptions = {},
): Promise<Engine> {
  const state = createState({
    berthNamespace: settings.namespace,
    workspaceLabel: settings.workspaceLabel,
    stale: settings.stale,
  });
  const secrets = createCell<Secrets | undefined>(undefined);
  const held = (): Secrets => secrets.current() ?? new Map();
  const clients = createHarborClients({
    secrets: held,
    timeoutMs: harborTimeoutMs,
    now: monotonic,
    random: Math.random,
    observe: (registry, outcome, seconds) =>
      metrics?.registryRequestDuration.observe({ registry, outcome }, seconds),
  });
  const parts: Parts = {
    ...{ settings, state, secrets, clients, log, metrics, checksRegistries },
    listSpaces: (registry, signal) =>
      listSpaces({ client: clients.clientOf(registry), now: Date.now }, signal),
    isGone: (registry, space, signal) => isProjectGone(clients.clientOf(registry), space, signal),
  };
  const running =
    settings.from === undefined ? await startInCluster(parts) : startInFolder(parts, settings.from);
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
    now: Date.now,
    monotonic,
    log,
    observe: (registry, outcome) => metrics?.lookups.inc({ registry, outcome }),
  });
  const contents = createRegistryContents({ clients, secrets: held, metrics });
  return {
    ...running,
    state,
    lookUps: { ...lookups, namespace: running.namespace },
    contents,
    checkRegistry: createRegistryCheck({ clients, secrets: held, metrics }),
    async stop() {
      await running.stop();
      contents.close();
      clients.close();
    },
  };
}

type Running = Omit<Engine, "state" | "lookUps" | "contents" | "checkRegistry"> & {
  readonly namespace: LookUps["namespace"];
};

function startInFolder(parts: Parts, dir: string): Running {
  const { settings, log } = parts;
  // The folder is all there is: what it does not show does not exist.
  const absent: NamespaceAnswer = { kind: "read", exists: false, workspace: null };
  const source = startFolderSource({ dir, berthNamespace: settings.namespace, log, now: monotonic });
  const readers = startReaders(parts);
  const feed = startFeed(parts, source);
  return {
    ...readers,
    namespace: () => Promise.resolve(absent),
    hasRight: () => Promise.reject(new Error("a folder knows no rights")),
    peopleAccess: openAccess,
    pullSecrets: presentPullSecrets,
    lastEventAt: () => new Map(),
    leads: () => null,
    pullSecretStates: () => null,
    certificates: null,
    problems: () => [],
    async stop() {
      await feed.stop();
      await readers.stop();
    },
  };
}

/** Reads the registries, where no other process does it for this one. */
function startReaders(parts: Parts) {
  const { settings, state, secrets, clients, listSpaces, isGone, log, metrics } = parts;
  const catalogues = startCatalogueFeed(
    {
      ...{ state, secrets, listSpaces, isGone, log, now: Date.now },
      observe: (registry, outcome) => metrics?.catalogueRefreshes.inc({ registry, outcome }),
    },
    { everyMs: settings.catalogueInterval, maxAgeMs: settings.catalogueMaxAge },
  );
  const checks = parts.checksRegistries
    ? startRegistryChecks(
        {
          ...{ state, secrets, log, now: Date.now },
          check: createRegistryCheck({ clients, secrets: () => secrets.current() ?? new Map(), metrics }),
        },
        beatsBetweenChecks * settings.catalogueInterval,
      )
    : undefined;
  // Only who serves has a log that is read later.
  const endings = metrics
    ? [startProxyCacheWarnings({ state, log }), startDanglingBindingWarnings({ state, log })]
    : [];
  return {
    registryStatus: () => catalogues.status(),
    registryReports: () => checks?.reports() ?? new Map<string, RegistryReport>(),
    async stop() {
      for (const end of endings) end();
      await Promise.all([catalogues.stop(), checks?.stop()]);
    },
  };
}

function startFeed(
  { settings, state, secrets, log }: Parts,
  source: ClusterSource,
  more: {
    readonly awaitsPublished?: boolean;
    readonly leads?: () => boolean;
    readonly onPolicy?: () => void;
  } = {},
): ClusterFeed {
  const { workspaceLabel } = settings;
  const awaitsHarborClusters = settings.from === undefined && settings.harborClusters.length > 0;
  const common = { source, state, secrets, log, workspaceLabel, awaitsHarborClusters, now: Date.now };
  return startClusterFeed({ ...common, ...more });
}

async function startInCluster(parts: Parts): Promise<Running> {
  const { settings, log, metrics } = parts;
  // Loaded here and only here: without a cluster nothing of it is needed.
  const { openKubernetes } = await import("./kubernetes-cluster.ts");
  // Unique among all processes: one that took over another's name would take over its lease.
  const identity = `${hostname()}_${randomUUID().slice(0, 8)}`;
  const cluster = await openKubernetes({ settings, identity, log, metrics });
  return metrics === undefined
    ? startReadingOnly(parts, cluster)
    : startReplica({ ...parts, metrics }, cluster);
}

/** The cluster's own watches, and beside them what the leader has published. */
function withPublished(
  cluster: KubernetesCluster,
  { state, log }: Parts,
  {
    leads = () => false,
    onPublished,
  }: {
    readonly leads?: () => boolean;
    readonly onPublished?: (all: ReadonlyMap<string, PublishedValue>) => void;
  } = {},
): ClusterSource {
  return (sink) => {
    const take = createPublishedFeed({ state, log, leads });
    const watching = cluster.source(sink);
    const published = cluster.published.start((all) => {
      onPublished?.(all);
      take(all, (policy) => sink.publishedPolicy(policy));
    });
    cluster.addWatch("published", published);
    return {
      async stop() {
        await Promise.all([watching.stop(), published.stop()]);
      },
    };
  };
}

/** For one who asks: with the person's own rights, and without writing anything. */
function startReadingOnly(parts: Parts, cluster: KubernetesCluster): Running {
  const readers = startReaders(parts);
  const feed = startFeed(parts, withPublished(cluster, parts), { awaitsPublished: true });
  return {
    ...readers,
    namespace: cluster.namespace,
    hasRight: cluster.hasRight,
    peopleAccess: cluster.peopleAccess,
    pullSecrets: presentPullSecrets,
    lastEventAt: () => cluster.lastEventAt(),
    leads: () => null,
    pullSecretStates: () => null,
    certificates: null,
    problems: () => [],
    async stop() {
      await feed.stop();
      await readers.stop();
      cluster.close();
    },
  };
}

/** One of those that serve a cluster: it decides from what is published, and leads when its turn comes. */
function startReplica(parts: Parts & { readonly metrics: Metrics }, cluster: KubernetesCluster): Running {
  const { settings, state, secrets, clients, log, metrics } = parts;
  let published: ReadonlyMap<string, PublishedValue> = new Map();
  const listeners = new Set<() => void>();
  const changed = (): void => listeners.forEach((listener) => listener());

  const records = cluster.robotRecords;
  const recordsWatch = records.start(changed);
  cluster.addWatch("robot-records", recordsWatch);
  const seen = (): SeenPullSecrets => cluster.pullSecrets.current();
  const secretsWatch = cluster.pullSecrets.start(changed);
  cluster.addWatch("pull-secrets", secretsWatch);

  let leadership: Leadership | undefined;
  const leads = (): boolean => leadership !== undefined;
  const feed = startFeed(
    parts,
    withPublished(cluster, parts, { leads, onPublished: (all) => (published = all) }),
    { awaitsPublished: true, leads, onPolicy: changed },
  );
  const credentials = createCredentials(() => {
    const snapshot = state.snapshot();
    const retained = feed.current()?.retained ?? snapshot.policy;
    const onRecord = records.isRead() ? records.current() : undefined;
    return { snapshot, retained, secrets: secrets.current(), records: onRecord };
  });
  const states = createPullSecretStates({ credentials, seen });
  listeners.add(() => states.changed());
  const unsubscribe = [state.subscribe(changed), secrets.subscribe(changed)];
  const upkeep = startCatalogueUpkeep({ state, log, now: Date.now }, settings.catalogueMaxAge);

  let ending: Promise<void> = Promise.resolve();
  function lead(signal: AbortSignal): void {
    // What the last term left has to be over: its last write may still be under way.
    void ending.then(() => {
      if (signal.aborted) return;
      const term = startLeadership({
        ...{ settings, state, secrets, clients, log, metrics, credentials, records, harborTimeoutMs },
        listSpaces: parts.listSpaces,
        isGone: parts.isGone,
        checkRegistry: createRegistryCheck({
          clients,
          secrets: () => secrets.current() ?? new Map(),
          metrics,
        }),
        policy: () => feed.current(),
        prunePolicy: () => feed.prune(Date.now()),
        pullSecrets: cluster.pullSecrets,
        store: cluster.published,
        published: () => published,
        readClusterUid: (aborting) => cluster.readUid(aborting),
        events: cluster.events,
        onChange(listener) {
          listeners.add(listener);
          return () => listeners.delete(listener);
        },
      });
      leadership = term;
      signal.addEventListener("abort", () => {
        leadership = undefined;
        ending = term.stop();
      });
    });
  }
  const lease = cluster.startLease(lead);

  return {
    namespace: cluster.namespace,
    hasRight: cluster.hasRight,
    peopleAccess: cluster.peopleAccess,
    pullSecrets: states,
    lastEventAt: () => cluster.lastEventAt(),
    registryStatus: () => leadership?.catalogues.status() ?? new Map<string, RegistryStatus>(),
    registryReports: () => leadership?.checks.reports() ?? new Map<string, RegistryReport>(),
    leads,
    certificates: {
      caSecret: cluster.caSecret,
      webhookConfigurations: cluster.webhookConfigurations,
      addWatch: (resource, watch) => cluster.addWatch(resource, watch),
      onSecretsChange: (listener) => secrets.subscribe(listener),
    },
    pullSecretStates: () => leadership?.pullSecrets.states() ?? null,
    problems: () => leadership?.problems() ?? [],
    async stop() {
      for (const end of unsubscribe) end();
      // While it still holds the lease: nobody else begins before its last write is over.
      await leadership?.stop();
      await lease.stop();
      await ending;
      await Promise.all([feed.stop(), upkeep.stop(), recordsWatch.stop(), secretsWatch.stop()]);
      cluster.close();
    },
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
