// Brings the robots of the Harbors to what bindings and namespaces call for, step by step as domain/robots.ts tells
// them. It keeps nothing in memory that is not on record or visible in Harbor, but for which robots it has itself
// asked for; so it may end, or be followed by another, between any two steps.
//
// Invariant: a robot is on record before Harbor hears of it, and on record until Harbor has forgotten it.

import type { Policy } from "../domain/policy.ts";
import {
  nextRobotStep,
  parseRobotRecord,
  printRobotRecord,
  robotInUse,
  withAskedAnew,
  withoutRobot,
  withRobot,
  type AskedRobot,
  type MadeRobot,
  type RobotHome,
  type RobotRecord,
  type SeenRobot,
  type SeenRobots,
  type Wanted,
} from "../domain/robots.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { homeOn } from "../domain/wanted-robots.ts";
import { gather } from "../gather.ts";
import type { Log } from "../log.ts";
import { createAttempts } from "./attempts.ts";
import { recordNames, shortHash, type Credentials } from "./credentials.ts";

/** What Harbor does with robots; harbor/robot-accounts.ts and harbor/token-service.ts, with the login of the home. */
export interface RobotApi {
  make(
    home: RobotHome,
    robot: {
      readonly name: string;
      readonly description: string;
      readonly days: number;
      readonly spaces: readonly string[];
    },
    signal: AbortSignal,
  ): Promise<RobotMaking>;
  list(home: RobotHome, namePart: string, signal: AbortSignal): Promise<readonly SeenRobot[]>;
  remove(home: RobotHome, id: number, signal: AbortSignal): Promise<void>;
  /** What the robot may pull, as Harbor's token service says when the robot itself asks. */
  grants(
    home: RobotHome,
    robot: { readonly username: string; readonly password: string },
    spaces: readonly string[],
    signal: AbortSignal,
  ): Promise<ReadonlyMap<string, boolean>>;
}

export type RobotMaking =
  | {
      readonly kind: "made";
      readonly robot: Pick<MadeRobot, "id" | "fullName" | "secret" | "createdAt" | "expiresAt">;
    }
  | { readonly kind: "exists" }
  | { readonly kind: "refused"; readonly why: string };

/** The records; kubernetes/robot-records.ts. */
export interface RobotRecords {
  /** False until they were listed once. */
  isRead(): boolean;
  current(): ReadonlyMap<string, string>;
  /** As the API server has them at this moment. */
  reread(signal: AbortSignal): Promise<ReadonlyMap<string, string>>;
  write(name: string, text: string, signal: AbortSignal): Promise<"written" | "conflict">;
  remove(name: string, signal: AbortSignal): Promise<"written" | "conflict">;
}

export interface RobotNeeds {
  readonly snapshot: () => Snapshot;
  readonly credentials: () => Credentials;
  readonly records: RobotRecords;
  readonly api: RobotApi;
  /** Does the namespace's Secret hold what it should, or can it not be written? */
  readonly isSettled: (namespace: string) => boolean;
  /** The cluster's name and the UID of its kube-system: together they tell clusters on one Harbor apart. */
  readonly cluster: { readonly name: string; readonly uid: string };
  readonly days: number;
  /** How often Harbor is asked which robots there are. */
  readonly lookEveryMs: number;
  readonly log: Log;
  readonly now: () => number;
  readonly random: () => number;
  readonly observe?: (outcome: "made" | "failed" | "removed") => void;
}

export interface RobotReconciler {
  /** Does whatever can be done now. */
  round(signal: AbortSignal): Promise<void>;
  /** What keeps robots from being as they should be, in words. */
  problems(): readonly string[];
}

/** A robot is made, checked and recorded in some 100 ms; more at a time would only queue in Harbor's database. */
const atATime = 8;
/** From nothing to rest there are five steps, and two more for each robot to be removed. */
const maxStepsARound = 32;
/**
 * A Harbor that is back has to be noticed soon: of the five minutes that an urgent removal has from then, four are
 * spoken for (domain/robots.ts). While it is down it is asked for its robots, and nothing else.
 */
const slowestRetryMs = 30_000;
/** Longer than a kubelet pulls with what it read before a Secret changed. */
const successorSettledMs = 3 * 60_000;

export function createRobotReconciler(needs: RobotNeeds): RobotReconciler {
  const { records, api, log, now } = needs;
  /** Record → serial number of the robot that this very reconciler has put down as asked for. */
  const asking = new Map<string, number>();
  const seen = new Map<string, SeenRobots>();
  const failing = { what: "robots", onFailure: () => needs.observe?.("failed") };
  const attempts = createAttempts({ ...needs, ...failing, slowestRetryMs });
  /** Apart, so that a Harbor that makes no robot is asked seldom, while old ones still go in good time. */
  const makings = createAttempts({ ...needs, ...failing });

  async function round(signal: AbortSignal): Promise<void> {
    const { policyRead, namespacesRead, policy } = needs.snapshot();
    if (!policyRead || !namespacesRead || !records.isRead()) return;
    const homes = homesOf(needs.credentials(), policy);
    await gather([...homes.values()], atATime, (home) =>
      attempts.run(home.server, signal, () => lookAt(home, signal)),
    );
    const credentials = needs.credentials();
    const names = new Set([...credentials.robotRecords().keys(), ...credentials.wantedRobots().keys()]);
    await gather([...names], atATime, (name) =>
      attempts.run(name, signal, () => bringToRest(name, homes, signal)),
    );
    attempts.keepOnly((about) => names.has(about) || homes.has(about));
    makings.keepOnly((about) => names.has(about.slice(0, about.indexOf("/"))));
    for (const server of seen.keys()) if (!homes.has(server)) seen.delete(server);
    for (const name of asking.keys()) if (!names.has(name)) asking.delete(name);
  }

  /** One listing of this cluster's robots on the server, when its time has come. */
  async function lookAt(home: RobotHome, signal: AbortSignal): Promise<void> {
    const last = seen.get(home.server);
    const isFresh = last !== undefined && now() - last.at < needs.lookEveryMs;
    if (isFresh && !attempts.isFailing(home.server)) return;
    const at = now();
    const robots = await api.list(home, namePartOf(home.server), signal);
    seen.set(home.server, { at, robots: new Map(robots.map((robot) => [robot.id, robot])) });
    await removeOrphans(home, robots, signal);
  }

  /** Robots of this cluster that no record knows: their secret is lost, so that no Secret can get it any more. */
  async function removeOrphans(
    home: RobotHome,
    robots: readonly SeenRobot[],
    signal: AbortSignal,
  ): Promise<void> {
    const suspects = robots.filter((robot) => isOrphan(robot, home, records.current()));
    if (suspects.length === 0) return;
    // Whatever was put down before the listing began is in a reading that begins after it.
    const fresh = await records.reread(signal);
    for (const robot of suspects.filter((suspect) => isOrphan(suspect, home, fresh))) {
      await api.remove(home, robot.id, signal);
      log.info({ registry: home.registry, robot: robot.fullName }, "removed a robot that no record knows");
    }
  }

  function isOrphan(robot: SeenRobot, home: RobotHome, texts: ReadonlyMap<string, string>): boolean {
    const { begin, workspace = "", serial } = ourName.exec(robot.fullName)?.groups ?? {};
    if (begin !== beginOfNames(home.server)) return false;
    const name = recordNames.robotsByHash(home.server, workspace);
    const text = texts.get(name);
    if (text === undefined) return !needs.credentials().wantedRobots().has(name);
    const record = parseRobotRecord(text);
    // A record that cannot be read may know it.
    if (record === undefined || record.robots.some((known) => String(known.serial) === serial)) return false;
    // When a record was lost, Secrets carry the robot until its successor has reached them.
    const inUse = robotInUse(record);
    if (inUse === undefined) return !needs.credentials().wantedRobots().has(name);
    const { namespaces } = needs.snapshot();
    return (
      now() - inUse.madeAt > successorSettledMs &&
      inUse.holders.every((holder) => !namespaces.has(holder) || needs.isSettled(holder))
    );
  }

  async function bringToRest(
    name: string,
    homes: ReadonlyMap<string, RobotHome>,
    signal: AbortSignal,
  ): Promise<void> {
    for (let steps = 0; steps < maxStepsARound; steps += 1) {
      signal.throwIfAborted();
      const record = needs.credentials().robotRecords().get(name);
      const step = nextRobotStep({
        record,
        wanted: wantedFor(name),
        seen: record && seen.get(record.home.server),
        namespaces: needs.snapshot().namespaces,
        isSettled: needs.isSettled,
        now: now(),
      });
      const asksServer = step.kind === "make" || step.kind === "verify" || step.kind === "remove";
      if (asksServer && record !== undefined && attempts.isResting(record.home.server)) return;
      switch (step.kind) {
        case "rest":
          return;
        case "write":
          await put(name, step.record, signal);
          log.info(
            { record: name, workspace: step.record.workspace, registry: step.record.home.registry },
            step.why,
          );
          break;
        case "forget":
          await mustBe("written", records.remove(name, signal));
          break;
        case "make": {
          const { robot } = step;
          // Other spaces are asked for at once.
          const about = `${name}/${robot.spaces.map(({ id }) => id).join()}`;
          if (makings.isResting(about)) return;
          // Whether Harbor has one of this name is in doubt where somebody else asked for it, or the answer was lost.
          if (asking.get(name) !== robot.serial) {
            await put(name, withAskedAnew(mustHave(record)), signal);
            break;
          }
          const isMade = await makings.run(about, signal, () => make(name, mustHave(record), robot, signal));
          if (!isMade) return;
          break;
        }
        case "verify":
          await verify(name, mustHave(record), step.robot, signal);
          break;
        case "remove": {
          const known = mustHave(record);
          const home = homes.get(known.home.server) ?? known.home;
          if (!isGone(step.robot, seen.get(home.server)))
            await askServer(home, () => api.remove(home, step.robot.id, signal));
          await put(name, withoutRobot(known, step.robot), signal);
          log.info({ registry: known.home.registry, robot: step.robot.fullName }, "removed a robot");
          needs.observe?.("removed");
          break;
        }
      }
    }
  }

  /** A record that the policy no longer speaks of is for a robot that nobody wants. */
  function wantedFor(name: string): Wanted {
    return needs.credentials().wantedRobots().get(name)?.wanted;
  }

  /** Asks with Berth's own login: one failure of the server is enough for all workspaces, for a while. */
  async function askServer<T>({ server }: RobotHome, ask: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (err) {
      if (isOfServer(err)) attempts.failed(server, err);
      throw err;
    }
  }

  async function make(
    name: string,
    record: RobotRecord,
    robot: AskedRobot,
    signal: AbortSignal,
  ): Promise<void> {
    // Until the answer is put down, a failure leaves in doubt whether there is such a robot.
    asking.delete(name);
    const { home, workspace } = record;
    const wanted = {
      name: `${beginOfNames(home.server)}-${shortHash(workspace)}-${robot.serial}`,
      description: `Pull for workspace ${workspace} of cluster ${needs.cluster.name}, kept by Berth`,
      days: needs.days,
      spaces: robot.spaces.map((space) => space.name),
    };
    const making = await askServer(home, () => api.make(home, wanted, signal));
    switch (making.kind) {
      case "exists":
        await put(name, withAskedAnew(record), signal);
        throw new Error(
          `make a robot for workspace ${workspace} on ${home.registry}: there is one of its name already (${wanted.name})`,
        );
      case "refused":
        // Harbor made none, so that the same name may be asked for again.
        asking.set(name, robot.serial);
        if (robot.refusedAt === null)
          await put(name, withRobot(record, { ...robot, refusedAt: now() }), signal);
        throw new Error(`make a robot for workspace ${workspace} on ${home.registry}: ${making.why}`);
      case "made": {
        const { serial, spaces } = robot;
        const { id, fullName, secret, createdAt, expiresAt } = making.robot;
        const made: MadeRobot = {
          ...{ stage: "made", serial, spaces, id, fullName, secret, createdAt, expiresAt },
          ...{ madeAt: now(), refusedAt: null, holders: [], retired: null },
        };
        await put(name, withRobot(record, made), signal);
        log.info({ registry: home.registry, workspace, robot: fullName }, "made a robot");
      }
    }
  }

  async function verify(
    name: string,
    record: RobotRecord,
    robot: MadeRobot,
    signal: AbortSignal,
  ): Promise<void> {
    const why = await unfitnessOf(record, robot, signal);
    if (why !== undefined) {
      if (robot.refusedAt === null)
        await put(name, withRobot(record, { ...robot, refusedAt: now() }), signal);
      throw new Error(why);
    }
    const wanted = wantedFor(name);
    const holders = wanted === undefined || wanted === "unknown" ? [] : [...wanted.namespaces];
    await put(name, withRobot(record, { ...robot, stage: "ready", madeAt: now(), holders }), signal);
    needs.observe?.("made");
  }

  /** Why the robot is of no use to anybody, in words. */
  async function unfitnessOf(
    record: RobotRecord,
    robot: MadeRobot,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const who = `robot ${robot.fullName} of ${record.home.registry}`;
    if (robot.fullName.includes(":")) {
      // A client would send what stands before the colon as the name, and lock out whoever is called so.
      return (
        `${who} cannot log in, since its name has a colon: ` +
        "take it out of the prefix that Harbor gives to robots (robot_name_prefix)"
      );
    }
    const spaces = robot.spaces.map((space) => space.name);
    const login = { username: robot.fullName, password: robot.secret };
    const grants = await api.grants(record.home, login, spaces, signal);
    const denied = spaces.filter((space) => grants.get(space) !== true);
    if (denied.length === 0) return undefined;
    return `${who} may not pull from ${denied.slice(0, 5).join(", ")}, though it was made for that`;
  }

  async function put(name: string, record: RobotRecord, signal: AbortSignal): Promise<void> {
    const before = needs.credentials().robotRecords().get(name);
    const asked = record.robots.find(({ stage }) => stage === "asked");
    if (asked !== undefined && (before?.serial ?? 0) < asked.serial) asking.set(name, asked.serial);
    await mustBe("written", records.write(name, printRobotRecord(record), signal));
  }

  function beginOfNames(server: string): string {
    return `berth-${needs.cluster.name}-${namePartOf(server)}`;
  }

  function namePartOf(server: string): string {
    return shortHash(needs.cluster.uid, server);
  }

  return { round, problems: () => [...attempts.problems(), ...makings.problems()] };
}

/**
 * The servers to look at, each with the newest known way in: a record's Secrets may be gone, the policy's are there.
 * Also those where nothing is wanted: a robot may have been made of which nobody knows any more.
 */
function homesOf(credentials: Credentials, { registries }: Policy): ReadonlyMap<string, RobotHome> {
  const homes = new Map<string, RobotHome>();
  for (const { home } of credentials.robotRecords().values()) homes.set(home.server, home);
  for (const { wanted } of credentials.wantedRobots().values()) {
    if (wanted !== undefined && wanted !== "unknown") homes.set(wanted.home.server, wanted.home);
  }
  for (const registry of registries.values()) {
    const home = homeOn(registry);
    if (home !== undefined) homes.set(home.server, home);
  }
  return homes;
}

/** `<prefix>berth-<cluster>-<hash>-<hash of the workspace>-<serial>`; the prefix is Harbor's, and may be anything. */
export const ourName =
  /(?<begin>berth-[a-z0-9-]+-[0-9a-f]{16})-(?<workspace>[0-9a-f]{16})-(?<serial>[0-9]+)$/;

/**
 * Not among this cluster's robots any more. Its id may be another's by now: a Harbor restored from a backup counts on
 * from an older one, and a record restored into another cluster has the ids of the first one's robots.
 */
function isGone(robot: MadeRobot, seen: SeenRobots | undefined): boolean {
  return seen !== undefined && seen.at > robot.madeAt && !seen.robots.has(robot.id);
}

async function mustBe(wanted: "written", outcome: Promise<"written" | "conflict">): Promise<void> {
  if ((await outcome) !== wanted) throw new Error("a record was changed by another meanwhile; looking again");
}

/** The adapters' word for what went wrong; what one workspace's robot meets says nothing about the others'. */
const kindsOfServer = new Set<unknown>([
  "login-refused",
  "unreachable",
  "timeout",
  "server-error",
  "malformed",
]);

function isOfServer(err: unknown): boolean {
  return err instanceof Error && "kind" in err && kindsOfServer.has(err.kind);
}

function mustHave(record: RobotRecord | undefined): RobotRecord {
  if (record === undefined) throw new Error("a step for a robot without a record");
  return record;
}
