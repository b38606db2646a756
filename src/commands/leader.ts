// What one replica at a time does for all: it reads the Harbors, publishes what it read, and keeps spaces, robots and
// pull secrets as the policy wants them. It begins when the lease is won and is over before another can win it.

import { harborClusterOf } from "../domain/joined-registries.ts";
import type { Policy, Registry } from "../domain/policy.ts";
import { formatProblem } from "../domain/policy-problem.ts";
import { accessOf, type RegistryAccess, type Secrets } from "../domain/registry-access.ts";
import type { RobotHome } from "../domain/robots.ts";
import {
  startCatalogueFeed,
  type CatalogueFeed,
  type IsGone,
  type ListSpaces,
} from "../feeds/catalogue-feed.ts";
import type { PolicyInForce } from "../feeds/cluster-feed.ts";
import { startRegistryChecks, type CheckRegistry, type RegistryChecks } from "../feeds/registry-checks.ts";
import {
  makeSpace,
  readOwner,
  readStorageQuota,
  setStorageQuota,
  setVisibility,
} from "../harbor/declared-spaces.ts";
import { createHarborClient } from "../harbor/harbor-client.ts";
import type { HarborClients } from "../harbor/harbor-clients.ts";
import { listRobots, makeRobot, removeRobot } from "../harbor/robot-accounts.ts";
import { readPullGrants } from "../harbor/token-service.ts";
import type { Log } from "../log.ts";
import { createLoop, type Loop, type Stoppable } from "../loop.ts";
import type { Metrics } from "../metrics.ts";
import type { Credentials } from "../reconcilers/credentials.ts";
import { startDanglingBindingWarnings } from "../reconcilers/dangling-binding-warnings.ts";
import { startProxyCacheWarnings } from "../reconcilers/proxy-cache-warnings.ts";
import { createPublisher, type PublishedStore, type PublishedValue } from "../reconcilers/publisher.ts";
import {
  createPullSecretReconciler,
  type PullSecretReconciler,
  type PullSecrets,
} from "../reconcilers/pull-secret-reconciler.ts";
import {
  createRobotReconciler,
  type RobotApi,
  type RobotReconciler,
  type RobotRecords,
} from "../reconcilers/robot-reconciler.ts";
import { createSpaceReconciler, type SpaceApi } from "../reconcilers/space-reconciler.ts";
import type { Settings } from "../settings.ts";
import type { Cell, State } from "../state.ts";

export interface LeaderNeeds {
  readonly settings: Settings;
  readonly state: State;
  readonly secrets: Cell<Secrets | undefined>;
  readonly clients: HarborClients;
  readonly listSpaces: ListSpaces;
  readonly isGone?: IsGone;
  readonly checkRegistry: CheckRegistry;
  readonly policy: () => PolicyInForce | undefined;
  readonly prunePolicy: () => void;
  readonly credentials: () => Credentials;
  readonly records: RobotRecords;
  readonly pullSecrets: PullSecrets;
  readonly store: PublishedStore;
  readonly published: () => ReadonlyMap<string, PublishedValue>;
  readonly readClusterUid: (signal: AbortSignal) => Promise<string>;
  readonly events: EventSink;
  /** Told when something changed that robots or Secrets follow from; returns how to end that. */
  readonly onChange: (listener: () => void) => () => void;
  readonly harborTimeoutMs: number;
  readonly log: Log;
  readonly metrics: Metrics;
}

/** kubernetes/events.ts. */
export interface EventSink {
  emit(event: {
    readonly regarding: { readonly kind: string; readonly name: string; readonly apiVersion: string };
    readonly type: "Normal" | "Warning";
    readonly reason: string;
    readonly note: string;
  }): void;
}

export interface Leadership extends Stoppable {
  readonly catalogues: CatalogueFeed;
  readonly checks: RegistryChecks;
  readonly pullSecrets: PullSecretReconciler;
  /** What is not as the policy wants it, in words. */
  problems(): readonly string[];
}

/** Between two looks at what there is to do, where nothing woke the loop. */
const roundMs = 5_000;
/** One change brings others: a new namespace its robot's record, that its Secret. */
const gatherChangesMs = 50;
/** Registries are checked, and robots looked at, so many beats of the catalogue apart: a minute by default. */
const beatsBetweenLooks = 4;

export function startLeadership(needs: LeaderNeeds): Leadership {
  const { settings, state, log, metrics } = needs;
  const now = Date.now;
  const random = Math.random;
  const lookEveryMs = beatsBetweenLooks * settings.catalogueInterval;

  const catalogues = startCatalogueFeed(
    {
      ...{ state, secrets: needs.secrets, listSpaces: needs.listSpaces, isGone: needs.isGone, log, now },
      observe: (registry, outcome) => metrics.catalogueRefreshes.inc({ registry, outcome }),
    },
    { everyMs: settings.catalogueInterval, maxAgeMs: settings.catalogueMaxAge },
  );
  const checks = startRegistryChecks(
    {
      ...{ state, secrets: needs.secrets, check: needs.checkRegistry, log, now },
      onChange: (registry, { problems }) => tellAbout(needs.events, registry, problems),
    },
    lookEveryMs,
  );
  const publisher = createPublisher({
    ...{ state, store: needs.store, published: needs.published, log, now, random },
    policy() {
      const policy = needs.policy();
      return policy && { texts: policy.parsed.lastGoodTexts, withdrawn: policy.withdrawn };
    },
    maxAgeMs: settings.catalogueMaxAge,
  });
  const spaces = createSpaceReconciler({
    ...{ snapshot: () => state.snapshot(), log, now, random },
    api: spaceApi(needs),
    keepOwn: (key, id, signal) => publisher.keepOwn(key, id, signal),
    onChange: (registry) => catalogues.refresh(registry),
  });
  const common = { snapshot: () => state.snapshot(), credentials: needs.credentials, log, now, random };
  const pullSecrets = createPullSecretReconciler({
    ...common,
    ...{ records: needs.records, secrets: needs.pullSecrets },
    observe: (outcome) => metrics.pullSecretWrites.inc({ outcome }),
  });
  /** Of Secrets not read yet none can be said to be missing; and who has no login is not asked again soon. */
  const areSecretsRead = (): boolean => needs.secrets.current() !== undefined;
  let robots: RobotReconciler | undefined;
  async function robotsRound(signal: AbortSignal): Promise<void> {
    if (!areSecretsRead()) return;
    robots ??= createRobotReconciler({
      ...common,
      ...{ records: needs.records, api: robotApi(needs), days: settings.robotDays, lookEveryMs },
      isSettled: (namespace) => pullSecrets.isSettled(namespace),
      cluster: { name: settings.clusterName, uid: await needs.readClusterUid(signal) },
      observe: (outcome) => metrics.robotRotations.inc({ outcome }),
    });
    await robots.round(signal);
  }

  const loopOf = (name: string, run: (signal: AbortSignal) => Promise<void>): Loop =>
    createLoop({ name, everyMs: roundMs, run, log, random });
  const loops = [
    loopOf("publisher", (signal) => {
      needs.prunePolicy();
      return publisher.round(signal);
    }),
    loopOf("declared spaces", async (signal) => {
      if (areSecretsRead()) await spaces.round(signal);
    }),
    loopOf("robots", robotsRound),
    loopOf("pull secrets", (signal) => pullSecrets.round(signal)),
  ];
  const wake = gathered(() => loops.forEach((loop) => loop.wake()), gatherChangesMs);
  const ends = [
    needs.onChange(wake.soon),
    tellOfPolicy(state, needs.events),
    startProxyCacheWarnings({ state, log }),
    startDanglingBindingWarnings({ state, log }),
  ];

  return {
    catalogues,
    checks,
    pullSecrets,
    problems: () => [
      ...publisher.problems(),
      ...spaces.problems(),
      ...(robots?.problems() ?? []),
      ...pullSecrets.problems(),
    ],
    async stop() {
      for (const end of ends) end();
      wake.cancel();
      await Promise.all([catalogues.stop(), checks.stop(), ...loops.map((loop) => loop.stop())]);
    },
  };
}

/** Many calls within the time are one. */
function gathered(
  task: () => void,
  withinMs: number,
): { readonly soon: () => void; readonly cancel: () => void } {
  let timer: NodeJS.Timeout | undefined;
  return {
    soon() {
      timer ??= setTimeout(() => {
        timer = undefined;
        task();
      }, withinMs);
    },
    cancel: () => clearTimeout(timer),
  };
}

function spaceApi({ clients, secrets }: LeaderNeeds): SpaceApi {
  return {
    make: (registry, space, signal) => makeSpace(clients.clientOf(registry), space, signal),
    setVisibility: (registry, name, visibility, signal) =>
      setVisibility(clients.clientOf(registry), name, visibility, signal),
    readQuota: (registry, spaceId, signal) => readStorageQuota(clients.clientOf(registry), spaceId, signal),
    setQuota: (registry, quotaId, bytes, signal) =>
      setStorageQuota(clients.clientOf(registry), quotaId, bytes, signal),
    readOwner: (registry, name, signal) => readOwner(clients.clientOf(registry), name, signal),
    loginName: (registry) => loginOf(registry, secrets.current())?.username,
  };
}

function robotApi({ clients, secrets, harborTimeoutMs }: LeaderNeeds): RobotApi {
  const clientOf = (home: RobotHome) => clients.clientOf(registryAt(home));
  return {
    make: (home, robot, signal) => makeRobot(clientOf(home), robot, signal),
    list: (home, namePart, signal) => listRobots(clientOf(home), namePart, signal),
    remove: (home, id, signal) => removeRobot(clientOf(home), id, signal),
    async grants(home, login, spaces, signal) {
      const client = createHarborClient({
        url: home.server,
        credentials: () => login,
        ca: loginOf(registryAt(home), secrets.current())?.ca ?? undefined,
        timeoutMs: harborTimeoutMs,
        now: Date.now,
        random: Math.random,
      });
      try {
        return await readPullGrants(client, spaces, signal);
      } finally {
        client.close();
      }
    },
  };
}

function loginOf(registry: Registry, secrets: Secrets | undefined): RegistryAccess | undefined {
  const reading = accessOf(registry, secrets ?? new Map());
  return reading.kind === "access" ? reading.access : undefined;
}

/** As much of a registry as it takes to reach a server that the policy may not name any more. */
export function registryAt({ registry, server, credentialsSecret, caSecret }: RobotHome): Registry {
  return {
    name: registry,
    type: "harbor",
    url: server,
    hosts: [],
    spellings: [],
    credentialsSecret,
    pullCredentialsSecret: null,
    caSecret,
    treatsProxyCachesAsPrivate: false,
    workspace: null,
  };
}

/** Beside the Secret that Berth reaches the registry with, since that is what most often has to be mended. */
function tellAbout(events: EventSink, registry: Registry, problems: readonly string[]): void {
  const { name, credentialsSecret } = registry;
  for (const problem of problems) {
    // Events stay in Berth's own namespace, where a HarborCluster's Secret is not.
    const regarding =
      credentialsSecret === null || harborClusterOf(registry) !== null
        ? { kind: "Lease", name: "berth", apiVersion: "coordination.k8s.io/v1" }
        : { kind: "Secret", name: credentialsSecret, apiVersion: "v1" };
    events.emit({
      regarding,
      type: "Warning",
      reason: "RegistryProblem",
      note: `registry ${name}: ${problem}`,
    });
  }
}

/** An Event on the ConfigMap for each problem of the policy, as long as it is there. */
function tellOfPolicy(state: State, events: EventSink): () => void {
  function tell({ problems }: Policy): void {
    for (const problem of problems) {
      const { configMap } = problem.source;
      if (configMap === null) continue;
      const regarding = { kind: "ConfigMap", name: configMap, apiVersion: "v1" };
      events.emit({ regarding, type: "Warning", reason: "PolicyProblem", note: formatProblem(problem) });
    }
  }
  tell(state.snapshot().policy);
  return state.subscribe((current, previous) => {
    if (current.policy !== previous.policy) tell(current.policy);
  });
}
