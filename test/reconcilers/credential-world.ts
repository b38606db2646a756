// A Harbor, the records and the pull secrets of a cluster in memory, under a clock that the test turns, and the
// reconcilers between them. After every write the world looks whether each Secret still pulls; a test can end the
// reconcilers at any write, before or after it took effect, and start others in their place.

import { expect } from "chai";
import { sha256 } from "../../src/digest.ts";
import type { Space } from "../../src/domain/catalogue.ts";
import type { Policy } from "../../src/domain/policy.ts";
import type { SeenPullSecret } from "../../src/domain/pull-secrets.ts";
import type { Secrets } from "../../src/domain/registry-access.ts";
import type { RobotHome, SeenRobot } from "../../src/domain/robots.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { createCredentials, type Credentials } from "../../src/reconcilers/credentials.ts";
import {
  createPullSecretReconciler,
  type PullSecretReconciler,
  type WriteOutcome,
} from "../../src/reconcilers/pull-secret-reconciler.ts";
import {
  createRobotReconciler,
  type RobotApi,
  type RobotReconciler,
} from "../../src/reconcilers/robot-reconciler.ts";
import { policyOf, registry, snapshotOf, space } from "../builders.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";

export interface HarborRobot {
  readonly id: number;
  readonly name: string;
  readonly secret: string;
  readonly spaces: readonly string[];
  readonly createdAt: number;
  updatedAt: number;
  expiresAt: number;
  disabled: boolean;
}

/** The end of a process in the middle of its work. */
export class Crash extends Error {}

export interface World {
  now: number;
  readonly log: RecordingLog;
  readonly harbor: {
    prefix: string;
    /** Throws at every request while set. */
    down: boolean;
    /** Refuses to make robots, with this. */
    refusal: string | null;
    /** Spaces that the token service grants to nobody. */
    readonly denied: Set<string>;
    /** Secrets whose login is asked with, in Berth's own namespace. */
    readonly loginsUsed: Set<string>;
    readonly robots: Map<number, HarborRobot>;
    readonly namesUsed: string[];
    failedLogins: number;
    requests: number;
    spaceIds: Map<string, number>;
  };
  /** Workspace → spaces. */
  bindings: readonly string[];
  namespaces: Record<string, string | null>;
  registries: Policy["registries"];
  /** Bindings of a ConfigMap that was deleted within the hour. */
  withdrawn: readonly string[];
  logins: Secrets;
  readonly records: Map<string, { text: string; version: number }>;
  readonly secrets: Map<string, { text: string; foreign?: true }>;
  /** Namespace → why its Secret cannot be written. */
  readonly refusing: Map<string, string>;
  /** What went wrong for somebody who pulls. */
  readonly broken: string[];
  /** How often something was written anywhere. */
  writes: number;
  /** Ends the process at the write of that number. */
  crashAt: { readonly write: number; readonly when: "before" | "after" } | undefined;
  /** Credentials are expected to fail: somebody broke them on purpose. */
  tampered: boolean;
  /** What spreads the retries, 0 ≤ x < 1. */
  random: () => number;
  start(): Process;
  /** Turns the clock and lets the process work, starting another where it crashes. */
  run(forMs: number, stepMs?: number): Promise<void>;
  /** The robots' names without prefix, in the order of their making. */
  robotNames(): readonly string[];
  pulls(namespace: string, spaceName: string): boolean;
}

export interface Process {
  readonly robots: RobotReconciler;
  readonly pullSecrets: PullSecretReconciler;
  readonly credentials: () => Credentials;
  /** Its watches show it what is there. */
  look(): void;
}

const day = 86_400_000;
export const managed = registry("managed");

export function createWorld(): World {
  let nextId = 1;
  let version = 1;
  let process: Process | undefined;
  /** From its crash to the end of its round, in which nothing it does has any effect. */
  let dead = false;
  /** Credential → when a Secret last carried it. */
  const carried = new Map<string, number>();

  const world: World = {
    now: 1_800_000_000_000,
    log: createRecordingLog(),
    harbor: {
      prefix: "robot$",
      down: false,
      refusal: null,
      denied: new Set(),
      loginsUsed: new Set(),
      robots: new Map(),
      namesUsed: [],
      failedLogins: 0,
      requests: 0,
      spaceIds: new Map([
        ["team-a", 1],
        ["team-b", 2],
        ["models", 3],
      ]),
    },
    bindings: ["12 managed/team-a", "12 managed/models"],
    namespaces: { web: "12", jobs: "12", other: "13", plain: null },
    registries: new Map([["managed", managed]]),
    withdrawn: [],
    logins: new Map([["managed-login", { username: "admin", password: "of the administrator" }]]),
    records: new Map(),
    secrets: new Map(),
    refusing: new Map(),
    broken: [],
    writes: 0,
    crashAt: undefined,
    tampered: false,
    random: () => 0.5,
    start,
    run,
    robotNames: () => [...world.harbor.robots.values()].map(({ name }) => name),
    pulls: (namespace, spaceName) => pulls(namespace, spaceName),
  };

  /** The snapshot is made anew only when something in it changed, as with the real state. */
  let built: { key: string; snapshot: Snapshot; retained: Policy } | undefined;
  function facts(): { snapshot: Snapshot; retained: Policy } {
    const { bindings, withdrawn, namespaces, registries, harbor } = world;
    const key = JSON.stringify([
      bindings,
      withdrawn,
      namespaces,
      [...registries.values()],
      [...harbor.spaceIds],
    ]);
    if (built?.key === key) return built;
    const registriesInForce = [...registries.values()];
    const spaces: Space[] = [...harbor.spaceIds].map(([name, id]) => space(name, "private", id));
    const policy = policyOf({ registries: registriesInForce, bindings });
    const retained =
      withdrawn.length === 0
        ? policy
        : policyOf({ registries: registriesInForce, bindings: [...bindings, ...withdrawn] });
    const catalogues = registries.has("managed") ? { managed: spaces } : {};
    built = { key, snapshot: snapshotOf({ policy, namespaces, catalogues }), retained };
    return built;
  }

  async function written<T>(effect: () => T): Promise<T> {
    if (dead) throw new Crash();
    world.writes += 1;
    const crash = world.crashAt?.write === world.writes ? world.crashAt : undefined;
    dead = crash !== undefined;
    if (crash?.when === "before") throw new Crash();
    const result = effect();
    lookForBrokenPulls();
    // As long as the answer takes, others have their turn.
    await Promise.resolve();
    if (crash?.when === "after") throw new Crash();
    return result;
  }

  function asked({ credentialsSecret }: RobotHome): void {
    world.harbor.requests += 1;
    world.harbor.loginsUsed.add(credentialsSecret);
    if (!world.logins.has(credentialsSecret)) throw new Error(`Secret ${credentialsSecret} does not exist`);
    if (world.harbor.down) throw new Error("managed does not answer");
  }

  const fullName = (robot: HarborRobot): string => world.harbor.prefix + robot.name;

  function login(username: string, password: string): HarborRobot | undefined {
    return [...world.harbor.robots.values()].find(
      (robot) =>
        fullName(robot) === username &&
        robot.secret === password &&
        !robot.disabled &&
        robot.expiresAt > world.now,
    );
  }

  function credentialIn(namespace: string): { username: string; password: string } | undefined {
    const secret = world.secrets.get(namespace);
    if (secret === undefined || secret.foreign === true) return undefined;
    const { auths } = JSON.parse(secret.text) as { auths: Record<string, { auth: string }> };
    const auth = auths["managed.test"]?.auth;
    if (auth === undefined) return undefined;
    const [username = "", password = ""] = Buffer.from(auth, "base64").toString().split(":");
    return { username, password };
  }

  function pulls(namespace: string, spaceName: string): boolean {
    const held = credentialIn(namespace);
    const robot = held && login(held.username, held.password);
    return robot?.spaces.includes(spaceName) === true;
  }

  function lookForBrokenPulls(): void {
    if (world.tampered) return;
    for (const namespace of world.secrets.keys()) {
      const held = credentialIn(namespace);
      if (held !== undefined && login(held.username, held.password) === undefined) {
        world.broken.push(
          `after write ${world.writes}: the Secret of ${namespace} holds a dead ${held.username}`,
        );
      }
    }
  }

  function noteCarried(): void {
    for (const namespace of world.secrets.keys()) {
      const held = credentialIn(namespace);
      if (held !== undefined) carried.set(held.username, world.now);
    }
  }

  /** A kubelet may be pulling with what it read before the Secret changed. */
  function lookForHaste(robot: HarborRobot): void {
    const sinceMs = world.now - (carried.get(fullName(robot)) ?? 0);
    if (!world.tampered && sinceMs < 2 * 60_000) {
      world.broken.push(`${robot.name} was removed ${sinceMs} ms after a Secret carried it`);
    }
  }

  const api: RobotApi = {
    async make(home, robot) {
      asked(home);
      if (world.harbor.refusal !== null) return { kind: "refused", why: world.harbor.refusal };
      return written(() => {
        if ([...world.harbor.robots.values()].some(({ name }) => name === robot.name)) {
          return { kind: "exists" } as const;
        }
        world.harbor.namesUsed.push(robot.name);
        const id = nextId++;
        const made: HarborRobot = {
          ...{ id, name: robot.name, secret: `Secret${id}`, spaces: robot.spaces, disabled: false },
          ...{ createdAt: world.now, updatedAt: world.now, expiresAt: world.now + robot.days * day },
        };
        world.harbor.robots.set(id, made);
        const { secret, createdAt, expiresAt } = made;
        return {
          kind: "made",
          robot: { id, fullName: fullName(made), secret, createdAt, expiresAt },
        } as const;
      });
    },
    list(home, part) {
      asked(home);
      const robots = [...world.harbor.robots.values()].filter(({ name }) => name.includes(part));
      return Promise.resolve(robots.map((robot): SeenRobot => ({ ...robot, fullName: fullName(robot) })));
    },
    async remove(home, id) {
      asked(home);
      await written(() => {
        const robot = world.harbor.robots.get(id);
        if (robot !== undefined) lookForHaste(robot);
        world.harbor.robots.delete(id);
      });
    },
    grants(home, { username, password }, spaces) {
      asked(home);
      const robot = login(username, password);
      if (robot === undefined) {
        world.harbor.failedLogins += 1;
        return Promise.reject(
          Object.assign(new Error("the login is not accepted"), { kind: "login-refused" }),
        );
      }
      const { denied } = world.harbor;
      return Promise.resolve(
        new Map(spaces.map((name) => [name, robot.spaces.includes(name) && !denied.has(name)])),
      );
    },
  };

  function start(): Process {
    /** What this process has seen of the records: a write against something older is a conflict. */
    const seen = new Map<string, number>();
    let texts: ReadonlyMap<string, string> = new Map();
    function look(): ReadonlyMap<string, string> {
      seen.clear();
      for (const [name, record] of world.records) seen.set(name, record.version);
      texts = new Map([...world.records].map(([name, { text }]) => [name, text]));
      return texts;
    }
    look();
    const credentials = createCredentials(() => ({
      ...facts(),
      secrets: world.logins,
      records: texts,
    }));
    const records = {
      isRead: () => true,
      current: () => texts,
      reread: () => Promise.resolve(look()),
      async write(name: string, text: string) {
        if (world.records.get(name)?.version !== seen.get(name)) {
          look();
          return "conflict" as const;
        }
        try {
          await written(() => world.records.set(name, { text, version: version++ }));
        } finally {
          look();
        }
        return "written" as const;
      },
      async remove(name: string) {
        await written(() => world.records.delete(name));
        look();
        return "written" as const;
      },
    };
    const observed = (): ReadonlyMap<string, SeenPullSecret> =>
      new Map(
        [...world.secrets].map(([namespace, { text, foreign }]) => [
          namespace,
          {
            owner: foreign === true ? "foreign" : "berth",
            digest: sha256(text),
            writable: true,
            labelled: true,
          },
        ]),
      );
    async function change(namespace: string, effect: () => void): Promise<WriteOutcome> {
      const why = world.refusing.get(namespace);
      if (why !== undefined) return { kind: "refused", why };
      await written(effect);
      return { kind: "written" };
    }
    const common = {
      snapshot: () => facts().snapshot,
      credentials,
      records,
      log: world.log,
      now: () => world.now,
      random: () => world.random(),
    };
    const pullSecrets = createPullSecretReconciler({
      ...common,
      secrets: {
        isRead: () => true,
        current: observed,
        write: (namespace, text) => change(namespace, () => void world.secrets.set(namespace, { text })),
        remove: (namespace) => change(namespace, () => void world.secrets.delete(namespace)),
      },
    });
    const robots = createRobotReconciler({
      ...common,
      api,
      isSettled: (namespace) => pullSecrets.isSettled(namespace),
      cluster: { name: "test", uid: "0af8" },
      days: 30,
      lookEveryMs: 60_000,
    });
    return { robots, pullSecrets, credentials, look: () => void look() };
  }

  async function run(forMs: number, stepMs = 5_000): Promise<void> {
    const signal = new AbortController().signal;
    const until = world.now + forMs;
    while (world.now < until) {
      process ??= start();
      process.look();
      await process.robots.round(signal);
      await process.pullSecrets.round(signal);
      // The reconcilers take it for a failure like others; the next process has no memory of it.
      if (dead) process = undefined;
      dead = false;
      noteCarried();
      world.now += stepMs;
    }
    expect(world.broken, `did not pull: ${world.broken.join("; ")}`).to.have.length(0);
  }

  return world;
}
