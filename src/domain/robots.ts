// The robot accounts by which namespaces pull from a Harbor: one for each workspace and server, with pull on exactly
// the spaces bound to the workspace. From what is wanted, what is on record and what Harbor shows, this file tells
// the one next step; whoever takes the steps may die between any two of them, and another goes on from the record.
//
// A robot is never changed, only followed by another: that needs no right to update robots, and for as long as a
// Secret may hold the old credential, the old robot lives. The life of a robot on record:
//
//   asked → made → ready → (retired → spread) → gone
//
// asked    put down before Harbor hears of it. Whoever finds it without having asked cannot know whether Harbor
//          made it, and gives it up: its name is never used again, and what Harbor has of it is an orphan.
// made     Harbor made it, and its secret, shown once, is in the record.
// ready    Harbor's token service granted it every space. From here on Secrets carry it.
// retired  another is to take its place, or nobody needs it any more.
// spread   no Secret that can be written carries it any more.

import { z } from "zod";
import { parsedJson } from "./json.ts";

/** A space by name and by id: a robot made for one is no robot for the other that has its name later. */
export interface RobotSpace {
  readonly name: string;
  readonly id: number;
}

/** The Harbor that a robot lives on, and what it takes to reach it when the policy no longer names it. */
export interface RobotHome {
  /** The registry's name, for people. */
  readonly registry: string;
  readonly server: string;
  readonly credentialsSecret: string;
  readonly caSecret: string | null;
}

/** What a policy and a catalogue call for. */
export interface WantedRobot {
  readonly home: RobotHome;
  readonly workspace: string;
  /** In the order of their names; never empty. */
  readonly spaces: readonly RobotSpace[];
  /** The workspace's namespaces that get pull secrets, in order; never empty. */
  readonly namespaces: readonly string[];
}

/** `unknown` where the registry has no catalogue yet: then nothing is made and nothing taken away. */
export type Wanted = WantedRobot | "unknown" | undefined;

const space = z.tuple([z.string(), z.number().int()]).transform(([name, id]): RobotSpace => ({ name, id }));
const time = z.number();
const askedRobot = z.object({
  stage: z.literal("asked"),
  serial: z.number().int(),
  spaces: z.array(space),
  /** When Harbor first said no, which it may go on to do; null while it has not. */
  refusedAt: time.nullable(),
});
const madeRobot = z.object({
  stage: z.enum(["made", "ready"]),
  serial: z.number().int(),
  spaces: z.array(space),
  id: z.number().int(),
  /** With Harbor's prefix. */
  fullName: z.string(),
  secret: z.string(),
  /** By Harbor's clock. */
  createdAt: time,
  expiresAt: time.nullable(),
  /** By ours: when it was made, then when it became ready. */
  madeAt: time,
  /** When Harbor first did not grant what it was made for, which it may go on to do; null while it has not. */
  refusedAt: time.nullable(),
  /** Namespaces whose Secret may carry it: put down before the Secret is written. */
  holders: z.array(z.string()),
  retired: z
    .object({
      /** When it was retired, or when that became urgent. */
      at: time,
      /** It may pull what its holders may no longer: it has to go soon, whatever Secrets still carry it. */
      urgent: z.boolean(),
      spreadAt: time.nullable(),
    })
    .nullable(),
});
const recordSchema = z.object({
  format: z.literal(1),
  kind: z.literal("robots"),
  home: z.object({
    registry: z.string(),
    server: z.string(),
    credentialsSecret: z.string(),
    caSecret: z.string().nullable(),
  }),
  workspace: z.string(),
  /** The last serial number used; it outlives its robot, so that no name comes twice. The first is a time. */
  serial: z.number().int(),
  robots: z.array(z.discriminatedUnion("stage", [askedRobot, madeRobot])),
});

export type AskedRobot = Readonly<z.output<typeof askedRobot>>;
export type MadeRobot = Readonly<z.output<typeof madeRobot>>;
export interface RobotRecord {
  readonly home: RobotHome;
  readonly workspace: string;
  readonly serial: number;
  /** In the order of their serial numbers. */
  readonly robots: readonly (AskedRobot | MadeRobot)[];
}

/** Undefined for what is no record of this format. */
export function parseRobotRecord(text: string): RobotRecord | undefined {
  const parsed = recordSchema.safeParse(parsedJson(text));
  if (!parsed.success) return undefined;
  const { home, workspace, serial, robots } = parsed.data;
  return { home, workspace, serial, robots };
}

export function printRobotRecord({ home, workspace, serial, robots }: RobotRecord): string {
  const written = robots.map((robot) => ({
    ...robot,
    spaces: robot.spaces.map(({ name, id }) => [name, id]),
  }));
  return JSON.stringify({ format: 1, kind: "robots", home, workspace, serial, robots: written });
}

/**
 * The credential that Secrets carry: that of the newest robot that is ready, if only until its successor is. One that
 * is out of all Secrets is about to be removed, and goes into none again.
 */
export function robotInUse(record: RobotRecord): MadeRobot | undefined {
  return record.robots.findLast(
    (robot): robot is MadeRobot => robot.stage === "ready" && (robot.retired?.spreadAt ?? null) === null,
  );
}

/** A robot as Harbor lists it. */
export interface SeenRobot {
  readonly id: number;
  readonly fullName: string;
  readonly disabled: boolean;
  /** Milliseconds since the epoch, as are the others. */
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly expiresAt: number | null;
}

/** A listing of this cluster's robots on the server, by id. */
export interface SeenRobots {
  /** When the listing began, by our clock. */
  readonly at: number;
  readonly robots: ReadonlyMap<number, SeenRobot>;
}

export interface RobotFacts {
  readonly record: RobotRecord | undefined;
  readonly wanted: Wanted;
  /** Undefined before the first listing. */
  readonly seen: SeenRobots | undefined;
  /** Every namespace there is → its workspace. */
  readonly namespaces: ReadonlyMap<string, string | null>;
  /** Does the namespace's Secret hold what it should, or can it not be written? */
  readonly isSettled: (namespace: string) => boolean;
  readonly now: number;
}

export type RobotStep =
  /** Nothing to do now; something may be at the time, if there is one. */
  | { readonly kind: "rest"; readonly until: number | null }
  | { readonly kind: "write"; readonly record: RobotRecord; readonly why: string }
  | { readonly kind: "forget" }
  | { readonly kind: "make"; readonly robot: AskedRobot; readonly wanted: WantedRobot }
  | { readonly kind: "verify"; readonly robot: MadeRobot }
  | { readonly kind: "remove"; readonly robot: MadeRobot };

/** A kubelet may be pulling with what it read before the Secret changed. */
const afterSpreadMs = 2 * 60_000;
/**
 * An urgent removal is over within 5 minutes of Harbor being reachable, even where Secrets cannot be written: half a
 * minute to notice that it is, some seconds to make the successor, then this, then the beat.
 */
const urgentMs = 4 * 60_000;
/** A robot is followed by another when so much of its life is over: the rest is for a Harbor that is down. */
const renewAfter = 2 / 3;
/** Harbor's two times of one creation; a real change comes later than that. */
const sameMomentMs = 2_000;
/** Robots beside the one in use: changes that come faster than removals wait for one. */
const maxRobots = 8;

/** The next step for one workspace on one server. After every step but `rest`, plan again. */
export function nextRobotStep(facts: RobotFacts): RobotStep {
  const { record, wanted, now } = facts;
  if (wanted === "unknown") return { kind: "rest", until: null };
  if (record === undefined) {
    if (wanted === undefined) return { kind: "rest", until: null };
    // Beyond every number of a record that was forgotten, or lost: no workspace gets a robot a second.
    const serial = Math.floor(now / 1_000);
    const empty: RobotRecord = { home: wanted.home, workspace: wanted.workspace, serial, robots: [] };
    return { kind: "write", record: withAsked(empty, wanted), why: "the workspace has no robot there yet" };
  }
  return wanted === undefined ? stepToNone(facts, record, now) : stepTowards(facts, record, wanted);
}

/** Towards a robot that fits. */
function stepTowards(facts: RobotFacts, record: RobotRecord, wanted: WantedRobot): RobotStep {
  if (!isSameHome(record.home, wanted.home)) {
    return write({ ...record, home: wanted.home }, "the registry's name or Secrets are others now");
  }
  for (const robot of record.robots.filter(isRetired)) {
    const loss = robot.retired.urgent ? undefined : lossOf(robot, wanted, facts.namespaces);
    if (loss === undefined) continue;
    const retired = { ...robot.retired, at: facts.now, urgent: true };
    return write(withRobot(record, { ...robot, retired }), `the old robot has to go soon: ${loss}`);
  }
  const asked = record.robots.find((robot) => robot.stage === "asked");
  if (asked !== undefined) {
    if (!sameSpaces(asked.spaces, wanted.spaces)) {
      return write(withAskedAnew(record, wanted.spaces), "other spaces are wanted by now");
    }
    const due = urgentRemoval(record, facts.now);
    return due ?? { kind: "make", robot: asked, wanted };
  }
  const current = record.robots.findLast(isCurrent);
  if (current === undefined) return write(withAsked(record, wanted), "the workspace has no robot there");

  const renamed = nameInHarbor(current, facts.seen);
  if (renamed !== undefined) {
    const why = "Harbor's prefix for robots changed, and with it the robot's name";
    return write(withRobot(record, { ...current, fullName: renamed }), why);
  }
  const replacement = replacementOf(current, wanted, facts);
  if (replacement !== undefined && record.robots.length < maxRobots) {
    const retired = { at: facts.now, urgent: replacement.urgent, spreadAt: null };
    const next = withAsked(withRobot(record, { ...current, retired }), wanted);
    return write(next, replacement.why);
  }
  if (current.stage === "made") return urgentRemoval(record, facts.now) ?? { kind: "verify", robot: current };

  const holders = wanted.namespaces.filter((namespace) => !current.holders.includes(namespace));
  if (holders.length > 0) {
    const living = current.holders.filter((namespace) => facts.namespaces.has(namespace));
    const next = { ...current, holders: [...living, ...holders].sort() };
    return write(withRobot(record, next), "more namespaces get it");
  }
  return stepWithRetired(facts, record, renewalOf(current));
}

/** Towards no robot at all: nothing is bound, or no namespace is there to pull. */
function stepToNone(facts: RobotFacts, record: RobotRecord, now: number): RobotStep {
  if (record.robots.length === 0) return { kind: "forget" };
  const asked = record.robots.find((robot) => robot.stage === "asked");
  if (asked !== undefined || record.robots.some((robot) => !isUrgent(robot))) {
    // As long as Harbor has not answered about a successor, nobody could have removed them.
    const isWaiting = asked?.refusedAt === null;
    const robots = withoutAsked(record.robots).map((robot) => {
      const { retired } = robot;
      if (retired?.urgent === true && !isWaiting) return robot;
      return { ...robot, retired: { at: now, urgent: true, spreadAt: retired?.spreadAt ?? null } };
    });
    return write({ ...record, robots }, "no robot is wanted any more");
  }
  return stepWithRetired(facts, record, null);
}

/** What is left to do with robots that others have followed. */
function stepWithRetired(facts: RobotFacts, record: RobotRecord, renewal: number | null): RobotStep {
  const { now } = facts;
  const retired = record.robots.filter(isRetired);
  const spread = retired.filter((robot) => robot.retired.spreadAt === null && isSpread(facts, robot));
  if (spread.length > 0) {
    const robots = record.robots.map((robot) =>
      isRetired(robot) && spread.includes(robot)
        ? { ...robot, retired: { ...robot.retired, spreadAt: now } }
        : robot,
    );
    return write({ ...record, robots }, "no Secret that can be written carries the old robot any more");
  }
  const due = retired.map((robot) => ({ robot, at: removalOf(record, robot) }));
  const first = due.find(({ at }) => at !== null && at <= now);
  if (first !== undefined) return { kind: "remove", robot: first.robot };
  return { kind: "rest", until: earliest([renewal, ...due.map(({ at }) => at)]) };
}

/** While a successor does not come about, only what is urgent goes. */
function urgentRemoval(record: RobotRecord, now: number): RobotStep | undefined {
  for (const robot of record.robots.filter(isRetired)) {
    const at = removalOf(record, robot);
    if (robot.retired.urgent && at !== null && at <= now) return { kind: "remove", robot };
  }
  return undefined;
}

interface Replacement {
  readonly why: string;
  readonly urgent: boolean;
}

/** Why another robot has to take this one's place. */
function replacementOf(
  robot: MadeRobot,
  wanted: WantedRobot,
  { seen, namespaces, now }: RobotFacts,
): Replacement | undefined {
  const loss = lossOf(robot, wanted, namespaces);
  if (loss !== undefined) return { why: loss, urgent: true };
  if (robot.spaces.length !== wanted.spaces.length) return { why: "more spaces are bound", urgent: false };
  const why = trouble(robot, seen) ?? (now >= (renewalOf(robot) ?? Infinity) ? "it expires soon" : undefined);
  return why === undefined ? undefined : { why, urgent: false };
}

/** What its holders may pull no longer, so that what they may have copied has to stop working. */
function lossOf(
  robot: MadeRobot,
  wanted: WantedRobot,
  namespaces: RobotFacts["namespaces"],
): string | undefined {
  const lost = robot.spaces.filter((space) => !wanted.spaces.some((other) => isSameSpace(space, other)));
  if (lost.length > 0) return `it may pull from ${lost.map(({ name }) => name).join(", ")} no longer`;
  const left = robot.holders.find((holder) => {
    const workspace = namespaces.get(holder);
    // One that is gone took its copy with it; one that is there and of another workspace may have kept it.
    return workspace !== undefined && workspace !== wanted.workspace;
  });
  return left === undefined ? undefined : `namespace ${left} left the workspace`;
}

function trouble(robot: MadeRobot, seen: SeenRobots | undefined): string | undefined {
  // A listing that began before the robot was made says nothing about it.
  if (seen === undefined || seen.at <= robot.madeAt) return undefined;
  const found = seen.robots.get(robot.id);
  if (found === undefined) return "it is gone from Harbor";
  if (found.disabled) return "it was disabled in Harbor";
  if (found.updatedAt - found.createdAt > sameMomentMs) {
    return "it was changed in Harbor, so that its secret may be another";
  }
  if (found.expiresAt !== null && found.expiresAt !== robot.expiresAt) {
    return "its expiry was changed in Harbor";
  }
  return undefined;
}

/** Its name by now, where that is another than on record. */
function nameInHarbor(robot: MadeRobot, seen: SeenRobots | undefined): string | undefined {
  if (seen === undefined || seen.at <= robot.madeAt) return undefined;
  const found = seen.robots.get(robot.id);
  return found === undefined || found.fullName === robot.fullName ? undefined : found.fullName;
}

function renewalOf({ createdAt, expiresAt }: MadeRobot): number | null {
  return expiresAt === null ? null : createdAt + (expiresAt - createdAt) * renewAfter;
}

/** When a retired robot may, or must, go; null while that depends on others. */
function removalOf(record: RobotRecord, robot: RetiredRobot): number | null {
  const { spreadAt, urgent, at } = robot.retired;
  const spread = spreadAt === null ? null : spreadAt + afterSpreadMs;
  if (!urgent) return spread;
  const successor = record.robots.find(({ serial }) => serial > robot.serial);
  if (successor === undefined) return earliest([spread, at + urgentMs]);
  // Where Harbor has answered neither way it is down, and nobody could remove the old one in good time.
  const since = successor.stage === "ready" ? successor.madeAt : successor.refusedAt;
  return earliest([spread, since === null ? null : Math.max(since, at) + urgentMs]);
}

/** Of one whose successor, if there is to be one, is ready: until then Secrets carry it on purpose. */
function isSpread({ namespaces, isSettled }: RobotFacts, robot: RetiredRobot): boolean {
  return robot.holders.every((holder) => !namespaces.has(holder) || isSettled(holder));
}

type RetiredRobot = MadeRobot & { readonly retired: NonNullable<MadeRobot["retired"]> };

function isRetired(robot: AskedRobot | MadeRobot): robot is RetiredRobot {
  return robot.stage !== "asked" && robot.retired !== null;
}

function isCurrent(robot: AskedRobot | MadeRobot): robot is MadeRobot {
  return robot.stage !== "asked" && robot.retired === null;
}

function isUrgent(robot: AskedRobot | MadeRobot): boolean {
  return isRetired(robot) && robot.retired.urgent;
}

function earliest(times: readonly (number | null)[]): number | null {
  const known = times.filter((at) => at !== null);
  return known.length === 0 ? null : Math.min(...known);
}

function write(record: RobotRecord, why: string): RobotStep {
  return { kind: "write", record, why };
}

/**
 * Gives up what was asked for, since nobody has its secret, whether or not Harbor made it; and asks for another. Harbor
 * has been saying no, if it has, for as long as before.
 */
export function withAskedAnew(record: RobotRecord, spaces?: readonly RobotSpace[]): RobotRecord {
  const serial = record.serial + 1;
  const robots = record.robots.map((robot) =>
    robot.stage === "asked" ? { ...robot, serial, spaces: [...(spaces ?? robot.spaces)] } : robot,
  );
  return { ...record, serial, robots };
}

function withoutAsked(robots: RobotRecord["robots"]): readonly MadeRobot[] {
  return robots.filter((robot) => robot.stage !== "asked");
}

function withAsked(record: RobotRecord, { spaces }: WantedRobot): RobotRecord {
  const serial = record.serial + 1;
  const asked: AskedRobot = { stage: "asked", serial, spaces: [...spaces], refusedAt: null };
  return { ...record, serial, robots: [...record.robots, asked] };
}

/** With the robot in place of the one that has its serial number. */
export function withRobot(record: RobotRecord, robot: AskedRobot | MadeRobot): RobotRecord {
  const robots = record.robots.map((other) => (other.serial === robot.serial ? robot : other));
  return { ...record, robots };
}

export function withoutRobot(record: RobotRecord, { serial }: MadeRobot): RobotRecord {
  return { ...record, robots: record.robots.filter((robot) => robot.serial !== serial) };
}

function isSameHome(a: RobotHome, b: RobotHome): boolean {
  return (
    a.registry === b.registry &&
    a.server === b.server &&
    a.credentialsSecret === b.credentialsSecret &&
    a.caSecret === b.caSecret
  );
}

function isSameSpace(a: RobotSpace, b: RobotSpace): boolean {
  return a.name === b.name && a.id === b.id;
}

function sameSpaces(a: readonly RobotSpace[], b: readonly RobotSpace[]): boolean {
  return a.length === b.length && a.every((space) => b.some((other) => isSameSpace(space, other)));
}
