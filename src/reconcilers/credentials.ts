// Which pull secret each namespace should have, from everything that bears on it: the snapshot, the policy that
// credentials are planned from, the logins, and the robots on record. Every replica can tell; only the leader acts
// on it. It asks nobody and writes nothing.

import { bindingHolds } from "../domain/binding-validity.ts";
import { haveSameSpaces, type Space } from "../domain/catalogue.ts";
import { spaceKey, type Binding, type Policy, type Registry } from "../domain/policy.ts";
import {
  isLoginOf,
  parseLoginRecord,
  printLoginRecord,
  pullSecretOf,
  type LoginRecord,
} from "../domain/login-record.ts";
import { dockerConfigOf, type PullLogin, type WantedPullSecret } from "../domain/pull-secrets.ts";
import { pullAccessOf, type Secrets } from "../domain/registry-access.ts";
import {
  parseRobotRecord,
  robotInUse,
  type MadeRobot,
  type RobotRecord,
  type Wanted,
} from "../domain/robots.ts";
import { isExempt, type Snapshot } from "../domain/snapshot.ts";
import {
  bindingsOfWorkspaces,
  namespacesOfWorkspaces,
  takesRobots,
  wantedRobot,
} from "../domain/wanted-robots.ts";
import { sha256 } from "../digest.ts";

/** All that credentials follow from; each part is replaced, never edited. */
export interface CredentialFacts {
  readonly snapshot: Snapshot;
  /** The policy in force, and for an hour what was withdrawn by the deletion of a ConfigMap. */
  readonly retained: Policy;
  /** Secrets of Berth's own namespace; undefined until they are read. */
  readonly secrets: Secrets | undefined;
  /** The records of robots and logins, by the name of their Secret; undefined until they are read. */
  readonly records: ReadonlyMap<string, string> | undefined;
}

/** What a Pod needs to pull: a space's robot, or (`space` null) the registry's own login. */
export interface PullNeed {
  readonly registry: string;
  readonly space: string | null;
}

export interface WantedOnServer {
  readonly registry: Registry;
  readonly workspace: string;
  readonly wanted: Wanted;
}

/** What follows from one set of facts; each answer is worked out when first asked for. */
export interface Credentials {
  wantedSecret(namespace: string): WantedPullSecret;
  /** Would the workspace's Secret, as it should be now, let a Pod pull all this? */
  covers(workspace: string | null, needs: readonly PullNeed[]): boolean;
  /** By the name of their record: what workspaces need on the Harbors of the policy. */
  wantedRobots(): ReadonlyMap<string, WantedOnServer>;
  robotRecords(): ReadonlyMap<string, RobotRecord>;
  loginRecords(): ReadonlyMap<string, LoginRecord>;
  /** Logins that are not on record as they are in the policy's Secrets, by the name of their record. */
  loginsToRecord(): ReadonlyMap<string, LoginRecord>;
  /** Names of records of logins that nobody gets any more. */
  loginsToForget(): readonly string[];
  /** Logins that namespaces should get and that neither a Secret nor a record holds, in words. */
  missingLogins(): readonly string[];
}

/** Long enough for no two of a million to be alike, short enough for a name. */
const hashLength = 16;

export function shortHash(...parts: readonly string[]): string {
  return sha256(parts.join("\n")).slice(0, hashLength);
}

export const recordNames = {
  robots: (server: string, workspace: string) => recordNames.robotsByHash(server, shortHash(workspace)),
  /** With the workspace's hash, as a robot's own name has it. */
  robotsByHash: (server: string, workspaceHash: string) =>
    `berth-robot-${shortHash(server)}-${workspaceHash}`,
  login: (registry: string) => `berth-login-${shortHash(registry)}`,
};

/** Gives the credentials for the facts of now; the same as long as the facts are. */
export function createCredentials(facts: () => CredentialFacts): () => Credentials {
  let last:
    | { readonly facts: CredentialFacts; readonly demand: Demand; readonly credentials: Credentials }
    | undefined;
  const parsed = createParsedRecords();
  const contents: Contents = new Map();
  return () => {
    const current = facts();
    if (last !== undefined && areSame(last.facts, current)) return last.credentials;
    const records = parsed(current.records);
    // A record changes at every step of a robot; what is wanted does not, and takes longer to work out.
    const isSameDemand = last !== undefined && areSameDemand(last.facts, current);
    const demand = last !== undefined && isSameDemand ? last.demand : demandOf(current, records);
    if (!isSameDemand) contents.clear();
    last = { facts: current, demand, credentials: credentialsOf(current, records, demand, contents) };
    return last.credentials;
  };
}

function areSame(a: CredentialFacts, b: CredentialFacts): boolean {
  return areSameDemand(a, b) && a.secrets === b.secrets && a.records === b.records;
}

function areSameDemand(a: CredentialFacts, b: CredentialFacts): boolean {
  return (
    a.retained === b.retained &&
    // What was withdrawn is held to what is on record.
    (a.retained === a.snapshot.policy || a.records === b.records) &&
    a.snapshot.policy === b.snapshot.policy &&
    a.snapshot.namespaces === b.snapshot.namespaces &&
    haveSameSpaces(a.snapshot.catalogues, b.snapshot.catalogues) &&
    a.snapshot.pins === b.snapshot.pins &&
    a.snapshot.ownSpaces === b.snapshot.ownSpaces &&
    a.snapshot.ownSpacesRead === b.snapshot.ownSpacesRead
  );
}

/** What is wanted, before any credential. */
interface Demand {
  isJudged(namespace: string): boolean;
  /** By the name of their record. */
  wantedRobots(): ReadonlyMap<string, WantedOnServer>;
  /** Workspace → registry → the name of the record of the robot that is wanted there. */
  recordsOf(workspace: string): ReadonlyMap<string, string>;
}

const noRecords: ReadonlyMap<string, string> = new Map();

function demandOf({ snapshot, retained }: CredentialFacts, parsed: ParsedRecords): Demand {
  const isJudged = (namespace: string): boolean => !isExempt(snapshot, namespace);

  function isInForce({ registry, space, workspace }: Binding): boolean {
    return snapshot.policy.bindings.get(spaceKey(registry, space))?.has(workspace) === true;
  }

  /** What was withdrawn keeps what it had, and gets nothing new. */
  function isHeld(recordName: string, space: Space): boolean {
    const record = parsed.robots.get(recordName);
    const held = record === undefined ? [] : (robotInUse(record)?.spaces ?? []);
    return held.some(({ name, id }) => name === space.name && id === space.id);
  }

  const byWorkspace = once(() => {
    const names = new Map<string, Map<string, string>>();
    for (const [name, { registry, workspace }] of wantedRobots()) {
      const ofWorkspace = names.get(workspace) ?? new Map<string, string>();
      names.set(workspace, ofWorkspace.set(registry.name, name));
    }
    return names;
  });
  const wantedRobots = once(() => {
    const namespaces = namespacesOfWorkspaces(snapshot.namespaces, isJudged);
    const wanted = new Map<string, WantedOnServer>();
    for (const [workspace, onRegistries] of bindingsOfWorkspaces(retained)) {
      for (const [name, bindings] of onRegistries) {
        const registry = retained.registries.get(name);
        if (registry === undefined || !takesRobots(registry)) continue;
        const recordName = recordNames.robots(registry.url, workspace);
        const robot = wantedRobot({
          ...{ registry, workspace, bindings },
          catalogue: snapshot.catalogues.get(name),
          namespaces: namespaces.get(workspace) ?? [],
          holds: (binding, space) =>
            isInForce(binding) ? bindingHolds(snapshot, binding, space) : isHeld(recordName, space),
        });
        if (robot !== undefined) wanted.set(recordName, { registry, workspace, wanted: robot });
      }
    }
    return wanted;
  });
  return { isJudged, wantedRobots, recordsOf: (workspace) => byWorkspace().get(workspace) ?? noRecords };
}

interface ParsedRecords {
  readonly robots: ReadonlyMap<string, RobotRecord>;
  readonly logins: ReadonlyMap<string, LoginRecord>;
}

/** Reads each text once: of a thousand records one changes at a time. */
function createParsedRecords(): (records: CredentialFacts["records"]) => ParsedRecords {
  let known = new Map<string, { readonly text: string; readonly record: ParsedRecord }>();
  return (records = new Map()) => {
    const next = new Map<string, { readonly text: string; readonly record: ParsedRecord }>();
    const robots = new Map<string, RobotRecord>();
    const logins = new Map<string, LoginRecord>();
    for (const [name, text] of records) {
      const before = known.get(name);
      const entry = before?.text === text ? before : { text, record: parseRecord(text) };
      next.set(name, entry);
      if (entry.record.robots !== undefined) robots.set(name, entry.record.robots);
      if (entry.record.login !== undefined) logins.set(name, entry.record.login);
    }
    known = next;
    return { robots, logins };
  };
}

interface ParsedRecord {
  readonly robots: RobotRecord | undefined;
  readonly login: LoginRecord | undefined;
}

function parseRecord(text: string): ParsedRecord {
  return { robots: parseRobotRecord(text), login: parseLoginRecord(text) };
}

function credentialsOf(
  facts: CredentialFacts,
  parsed: ParsedRecords,
  demand: Demand,
  contents: Contents,
): Credentials {
  const { snapshot, retained, secrets, records } = facts;
  const registries = [...retained.registries.values()];

  /** The policy's own login for a registry: as its Secret has it, or else as it was last handed out. */
  function loginOf(registry: Registry): LoginRecord | undefined {
    const secret = pullSecretOf(registry);
    if (secret === null || secrets === undefined) return undefined;
    const reading = pullAccessOf({ ...registry, caSecret: null }, secrets);
    if (reading.kind === "access") {
      const { username, password } = reading.access;
      return { registry: registry.name, server: registry.url, secret, username, password };
    }
    const record = parsed.logins.get(recordNames.login(registry.name));
    return record !== undefined && isLoginOf(record, registry) ? record : undefined;
  }

  /** Worked out anew only where a login of this workspace is another: of a thousand robots one changes at a time. */
  function contentOf(workspace: string | null): Content {
    const robots = robotsOf(workspace);
    const madeFrom = [secrets, ...parsed.logins.values(), ...robots.values()];
    const known = contents.get(workspace);
    if (known !== undefined && isSameList(known.madeFrom, madeFrom)) return known;
    const content = { madeFrom, ...contentFrom(workspace, robots) };
    contents.set(workspace, content);
    return content;
  }

  /** Registry → the robot in use there. */
  function robotsOf(workspace: string | null): ReadonlyMap<string, MadeRobot> {
    const robots = new Map<string, MadeRobot>();
    if (workspace === null) return robots;
    for (const [registry, recordName] of demand.recordsOf(workspace)) {
      const record = parsed.robots.get(recordName);
      const robot = record && robotInUse(record);
      if (robot !== undefined) robots.set(registry, robot);
    }
    return robots;
  }

  function contentFrom(workspace: string | null, robots: ReadonlyMap<string, MadeRobot>) {
    const logins = registries.flatMap((registry): readonly PullLogin[] => {
      const robot = robots.get(registry.name);
      if (robot !== undefined) {
        const { fullName: username, secret: password } = robot;
        return [{ registry, username, password, spaces: robot.spaces.map(({ name }) => name) }];
      }
      const isForWorkspace = registry.workspace === null || registry.workspace === workspace;
      const login = isForWorkspace ? loginOf(registry) : undefined;
      if (login === undefined) return [];
      return [{ registry, username: login.username, password: login.password, spaces: null }];
    });
    const text = dockerConfigOf(logins);
    const grants = logins.flatMap(({ registry, spaces }) =>
      (spaces ?? [""]).map((space) => `${registry.name}/${space}`),
    );
    return {
      secret: text === null ? null : { text, digest: sha256(text) },
      holders: [...robots.values()].map((robot) => new Set(robot.holders)),
      grants: new Set(grants),
    };
  }

  return {
    wantedSecret(namespace) {
      const workspace = snapshot.namespaces.get(namespace);
      if (secrets === undefined || records === undefined || workspace === undefined) return "waiting";
      if (!demand.isJudged(namespace)) return null;
      const { secret, holders } = contentOf(workspace);
      return holders.every((ofRobot) => ofRobot.has(namespace)) ? secret : "waiting";
    },
    covers(workspace, needs) {
      const { grants } = contentOf(workspace);
      return needs.every(({ registry, space }) => grants.has(`${registry}/${space ?? ""}`));
    },
    wantedRobots: () => demand.wantedRobots(),
    robotRecords: () => parsed.robots,
    loginRecords: () => parsed.logins,
    loginsToRecord: once(() => {
      const missing = new Map<string, LoginRecord>();
      for (const registry of registries) {
        const login = loginOf(registry);
        const name = recordNames.login(registry.name);
        if (login !== undefined && !isSameLogin(login, parsed.logins.get(name))) missing.set(name, login);
      }
      return missing;
    }),
    loginsToForget: once(() =>
      [...parsed.logins].flatMap(([name, login]) => {
        const registry = retained.registries.get(login.registry);
        return registry !== undefined && pullSecretOf(registry) !== null ? [] : [name];
      }),
    ),
    missingLogins: once(() =>
      registries.flatMap((registry) => {
        if (pullSecretOf(registry) === null || secrets === undefined) return [];
        const reading = pullAccessOf({ ...registry, caSecret: null }, secrets);
        return reading.kind === "missing" ? [`registry ${registry.name}: ${reading.what}`] : [];
      }),
    ),
  };
}

/** Workspace (null for none) → what its Secrets hold; of the policy and the bindings of one demand. */
type Contents = Map<string | null, Content>;

interface Content {
  /** All that it depends on beside the demand, compared by identity. */
  readonly madeFrom: readonly unknown[];
  readonly secret: { readonly text: string; readonly digest: string } | null;
  /** Of each robot: nobody else may get it yet. */
  readonly holders: readonly ReadonlySet<string>[];
  /** `<registry>/<space>` for what robots may pull, `<registry>/` for whole registries. */
  readonly grants: ReadonlySet<string>;
}

function isSameList(a: readonly unknown[], b: readonly unknown[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}

function isSameLogin(a: LoginRecord, b: LoginRecord | undefined): boolean {
  return b !== undefined && printLoginRecord(a) === printLoginRecord(b);
}

function once<T>(work: () => T): () => T {
  let done: { readonly value: T } | undefined;
  return () => (done ??= { value: work() }).value;
}
