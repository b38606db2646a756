// What the walk may do next, how often, and in which words. A step changes the world and tells the model in the same
// breath; what only one kind of world has says so.

import type { Fault } from "../../src/demo/stand-in-faults.ts";
import type { Chance } from "./chance.ts";
import { deadStreamMs, type ClusterWorld } from "./cluster-world.ts";
import type { FolderWorld } from "./folder-world.ts";
import { bindingsNames, type BindingDocument, type BindingsName, type RegistriesDocument } from "./model.ts";
import { adminPassword, beatMs, firstRegistries, type Replica } from "./world.ts";

export type World = ClusterWorld | FolderWorld;

export interface Walk {
  readonly world: World;
  readonly chance: Chance;
  /** What is out of order, by its name, and how it is put right. */
  readonly faults: Map<string, () => void | Promise<void>>;
  /** Documents that cannot be read at the moment. */
  readonly broken: Set<BindingsName>;
  passwords: number;
}

export interface Step {
  readonly name: string;
  readonly weight: number;
  /** Undefined where it is not possible now; else what it did, in words. */
  readonly take: (walk: Walk) => string | undefined | Promise<string | undefined>;
}

const workspaces = ["12", "13", "14"] as const;
/** How many spaces and namespaces may be gone at a time: a listing that lacks more than half is not believed. */
const fewestSpaces = 8;

/** Of a Harbor that is well again: a beat slowed down to four, a try with its pauses, and the usual. */
const harborTailMs = 4 * beatMs + 2_500;
/** A login that was refused rests for 10 s; a flight that began before lasts as long. */
const lookUpTailMs = 11_000;
/** One try of a listing; three of them and their pauses where nothing is answered. */
const silentTailMs = 3 * 30_000 + 2_000;

const faults: readonly (readonly [words: string, fault: Fault, tailMs: number])[] = [
  ["answers 500", { kind: "status", status: 500 }, 0],
  ["answers 503", { kind: "status", status: 503 }, 0],
  ["answers 429", { kind: "status", status: 429 }, 0],
  ["is a proxy's page with 200", { kind: "html", status: 200 }, 0],
  ["is slow", { kind: "slow", ms: 2_500 }, 3 * 2_500],
  ["breaks connections", { kind: "reset" }, 0],
  ["breaks off in the middle", { kind: "cut" }, 0],
  ["sends half a body as the whole", { kind: "half" }, 0],
  ["says that it has no project", { kind: "total", total: 0 }, 0],
  ["says another number of projects than it shows", { kind: "total", total: 7 }, 0],
  ["never answers", { kind: "silence" }, silentTailMs],
];

export const steps: readonly Step[] = [
  { name: "bind", weight: 10, take: editBindings },
  { name: "rebind", weight: 2, take: rebindAtOnce },
  { name: "break document", weight: 1.5, take: breakDocument },
  { name: "registries", weight: 3, take: editRegistries },
  { name: "withdraw registries", weight: 0.5, take: withdrawRegistries },
  { name: "label", weight: 9, take: relabel },
  { name: "namespace churn", weight: 5, take: churn },
  { name: "visibility", weight: 11, take: flip },
  { name: "delete space", weight: 3, take: deleteSpace },
  { name: "make space", weight: 5, take: makeSpace },
  { name: "replace space", weight: 3, take: replaceSpace },
  { name: "replica starts", weight: 4, take: startReplica },
  { name: "replica ends", weight: 2, take: ({ world, chance }) => stopReplica(world, chance, "ended") },
  {
    name: "replica crashes",
    weight: 1.5,
    take: ({ world, chance }) => stopReplica(world, chance, "crashed"),
  },
  { name: "Harbor fault", weight: 4, take: beginHarborFault },
  { name: "anonymous", weight: 1.5, take: beginAnonymous },
  { name: "password", weight: 0.7, take: changePassword },
  { name: "certificate", weight: 1.5, take: rotateCertificate },
  { name: "clock", weight: 1.5, take: jumpClock },
  { name: "mend", weight: 9, take: mendOne },
  { name: "nothing", weight: 4, take: () => "nothing happens" },
  { name: "watches", weight: 4, take: inCluster(disturbWatches) },
  { name: "mute", weight: 0.8, take: inCluster(muteWatches) },
  { name: "API reads", weight: 0.8, take: inCluster(refuseReads) },
  { name: "API writes", weight: 1, take: inCluster(refuseWrites) },
  { name: "API late", weight: 1, take: inCluster(answerLate) },
  { name: "cut off", weight: 1, take: inCluster(cutOff) },
  { name: "half-written file", weight: 6, take: inFolder(writeSlowly) },
];

function inCluster(
  take: (walk: Walk, world: ClusterWorld) => string | undefined | Promise<string | undefined>,
): Step["take"] {
  return (walk) => (walk.world.kind === "cluster" ? take(walk, walk.world) : undefined);
}

function inFolder(take: (walk: Walk, world: FolderWorld) => Promise<string | undefined>): Step["take"] {
  return (walk) => (walk.world.kind === "folder" ? take(walk, walk.world) : undefined);
}

const spaceNames = ({ world }: Walk): string[] => [...world.model.spaces.keys()];
const livingSpaces = ({ world }: Walk): string[] =>
  [...world.model.spaces].filter(([, timeline]) => timeline.current() !== null).map(([name]) => name);

function inWords({ workspace, space, id }: BindingDocument): string {
  return `${space}${id === null ? "" : `#${String(id)}`} for ${workspace}`;
}

async function editBindings(walk: Walk): Promise<string> {
  const { world, chance, broken } = walk;
  const name = chance.one(bindingsNames);
  const current = world.model.bindings[name].current();
  const workspace = name === "bindings-a" ? "12" : chance.one(["13", "14"]);
  const space = chance.one(spaceNames(walk));
  const bound = current.find((one) => one.workspace === workspace && one.space === space);
  const rest = current.filter((one) => one !== bound);
  const known = world.model.spaces.get(space)?.current()?.id ?? 1;
  const id = chance.happens(0.2) ? (chance.happens(0.7) ? known : known + 1) : null;
  const added = { workspace, space, id };
  const removes = bound !== undefined && chance.happens(0.8);
  await world.writeBindings(name, removes ? rest : [...rest, added]);
  broken.delete(name);
  return removes ? `unbinds ${inWords(bound)}` : `binds ${inWords(added)}`;
}

/** Between the two nobody may have looked. */
async function rebindAtOnce({ world, chance, broken }: Walk): Promise<string | undefined> {
  const name = chance.one(bindingsNames);
  const current = world.model.bindings[name].current();
  if (current.length === 0 || broken.has(name)) return undefined;
  const bound = chance.one(current);
  await world.writeBindings(
    name,
    current.filter((one) => one !== bound),
  );
  const between = chance.one([0, 10, 1_000, 4_000]);
  if (between > 0) await world.turn(between);
  await world.writeBindings(name, current);
  return `unbinds ${inWords(bound)} and binds it again ${String(between)} ms later`;
}

/** Only what everybody has seen is a document's last good content for everybody. */
async function breakDocument({ world, chance, broken, faults: running }: Walk): Promise<string | undefined> {
  const name = chance.one(bindingsNames);
  const { versions } = world.model.bindings[name];
  const last = versions[versions.length - 1]!.at;
  const isSeen = world.replicas.every(({ facts }) => world.model.anyEditDeadline(facts, last) <= world.now());
  if (!isSeen || running.size > 0 || world.starting.size > 0 || world.replicas.length === 0) return undefined;
  // The leader publishes what was good within a round.
  if (world.now() - last < 10_000) return undefined;
  await world.breakBindings(name);
  broken.add(name);
  return `breaks ${name}`;
}

async function editRegistries({ world, chance }: Walk): Promise<string> {
  const before = world.model.registries.current();
  if (before === null) {
    await world.writeRegistries(firstRegistries);
    return "writes the registries again";
  }
  const [words, changed] = chance.one<readonly [string, Partial<RegistriesDocument>]>([
    ["mode enforce", { mode: "enforce" }],
    ["mode enforce", { mode: "enforce" }],
    ["mode warn", { mode: "warn" }],
    ["mode audit", { mode: "audit" }],
    ["unlisted registries denied", { unlisted: "deny" }],
    ["unlisted registries allowed", { unlisted: "allow" }],
    ["sandbox exempt", { exempt: ["kube-system", "sandbox"] }],
    ["sandbox not exempt", { exempt: ["kube-system"] }],
    ["archive there or not", { archive: !before.archive }],
    ["registry of workspace 12 there or not", { twelve: !before.twelve }],
    ["alias there or not", { alias: !before.alias }],
  ]);
  await world.writeRegistries({ ...before, ...changed });
  return `edits the registries: ${words}`;
}

async function withdrawRegistries({ world, chance }: Walk): Promise<string | undefined> {
  const before = world.model.registries.current();
  if (before === null) return undefined;
  await world.writeRegistries(null);
  await world.turn(chance.one([0, 500, 5_000, 30_000]));
  await world.writeRegistries(before);
  return "withdraws the registries and writes them again";
}

async function relabel({ world, chance }: Walk): Promise<string> {
  const living = [...world.model.namespaces].filter(
    ([name, timeline]) => timeline.current() !== undefined && !["berth-system", "kube-system"].includes(name),
  );
  const [name] = chance.one(living);
  const workspace = chance.one([...workspaces, null]);
  await world.writeNamespace(name, workspace);
  return `gives ${name} to ${workspace ?? "nobody"}`;
}

async function churn({ world, chance }: Walk): Promise<string> {
  const name = chance.one(["n-1", "n-2", "n-3", "lab-gpu"]);
  const exists = world.model.namespaces.get(name)?.current() !== undefined;
  const workspace = chance.one([...workspaces, null]);
  await world.writeNamespace(name, exists ? undefined : workspace);
  return exists ? `deletes namespace ${name}` : `makes namespace ${name} for ${workspace ?? "nobody"}`;
}

function flip(walk: Walk): string | undefined {
  const { world, chance } = walk;
  const name = chance.one(livingSpaces(walk));
  const timeline = world.model.spaces.get(name)!;
  const { id, visibility } = timeline.current()!;
  const next = visibility === "public" ? "private" : "public";
  world.harbor.projects.setVisibility(name, next);
  timeline.put(world.now(), { id, visibility: next });
  return `makes ${name} ${next}`;
}

function deleteSpace(walk: Walk): string | undefined {
  const { world, chance } = walk;
  const living = livingSpaces(walk);
  if (living.length <= fewestSpaces) return undefined;
  const name = chance.one(living);
  world.harbor.projects.remove(name);
  world.model.spaces.get(name)!.put(world.now(), null);
  return `deletes space ${name}`;
}

function makeSpace(walk: Walk): string | undefined {
  const { world, chance } = walk;
  const absent = spaceNames(walk).filter((name) => !livingSpaces(walk).includes(name));
  if (absent.length === 0) return undefined;
  return createSpace(world, chance.one(absent), chance.one(["public", "private"]));
}

function createSpace(world: World, name: string, visibility: "public" | "private"): string {
  const id = world.harbor.projects.create({ name, visibility });
  world.model.spaces.get(name)!.put(world.now(), { id, visibility });
  return `makes ${visibility} space ${name} with id ${String(id)}`;
}

async function replaceSpace(walk: Walk): Promise<string | undefined> {
  const { world, chance } = walk;
  const name = chance.one(livingSpaces(walk));
  world.harbor.projects.remove(name);
  world.model.spaces.get(name)!.put(world.now(), null);
  const between = chance.one([0, 0, 2_000]);
  if (between > 0) await world.turn(between);
  return `deletes ${name} and ${createSpace(world, name, chance.one(["public", "private", "private"]))}`;
}

function startReplica({ world, faults: running, broken }: Walk): string | undefined {
  if (world.replicas.length + world.starting.size >= 3) return undefined;
  // A process that finds a certificate with another one's key ends at once, and is started again by whoever started it.
  if (running.has("certificate")) return undefined;
  // Without a cluster a replica knows nothing that it has not read itself.
  if (world.kind === "folder" && running.size + broken.size > 0) return undefined;
  world.startReplica();
  return "a replica starts";
}

function stopReplica(world: World, chance: Chance, how: "ended" | "crashed"): string | undefined {
  if (world.replicas.length < 2) return undefined;
  const leader = world.replicas.find(({ serving }) => serving.engine.leads() === true);
  const replica = leader !== undefined && chance.happens(0.5) ? leader : chance.one(world.replicas);
  world.stopReplica(replica, how);
  return `${replica.facts.name}${replica === leader ? ", which leads," : ""} ${how}`;
}

function begin(walk: Walk, name: string, mend: () => void | Promise<void>): boolean {
  if (walk.faults.has(name)) return false;
  walk.faults.set(name, mend);
  return true;
}

function harborOutage({ world }: Walk, tailMs: number): () => void {
  const ends = ["harbor", "look-ups"].map((source) => world.model.outages.begin(source, world.now()));
  return () => {
    ends[0]?.(world.now() + harborTailMs + tailMs);
    ends[1]?.(world.now() + lookUpTailMs + tailMs);
  };
}

function beginHarborFault(walk: Walk): string | undefined {
  const { world, chance } = walk;
  if (walk.faults.has("Harbor")) return undefined;
  const [words, fault, tailMs] = chance.one(faults);
  const end = harborOutage(walk, tailMs);
  world.harbor.faults.always(fault);
  begin(walk, "Harbor", () => {
    world.harbor.faults.clear();
    end();
  });
  return `Harbor ${words}`;
}

/** All the time, or from the middle of each listing to its end: the identity is then proven at the beginning alone. */
function beginAnonymous(walk: Walk): string | undefined {
  const { world, chance } = walk;
  if (walk.faults.has("Harbor")) return undefined;
  const end = harborOutage(walk, harborTailMs);
  const { faults: switches } = world.harbor;
  const inTheMiddle = chance.happens(0.5);
  if (inTheMiddle) {
    let proofs = 0;
    switches.meanwhile = ({ path }) => {
      if (path.startsWith("/api/v2.0/projects?")) proofs = 1;
      else if (path.startsWith("/api/v2.0/systeminfo")) proofs -= 1;
      switches.anonymous = proofs >= 0 && path.startsWith("/api/v2.0/");
    };
  } else switches.anonymous = true;
  begin(walk, "Harbor", () => {
    switches.meanwhile = () => undefined;
    switches.anonymous = false;
    end();
  });
  return `Harbor takes every login for nobody's${inTheMiddle ? " while it lists" : ""}`;
}

function changePassword(walk: Walk): string | undefined {
  const { world } = walk;
  if (walk.faults.has("password")) return undefined;
  const password = `${adminPassword}-${String((walk.passwords += 1))}`;
  const end = harborOutage(walk, harborTailMs + 5_000);
  world.harbor.logins.users.get("admin")!.password = password;
  begin(walk, "password", async () => {
    await world.writePassword(password);
    end();
  });
  return "the password changes in Harbor";
}

async function rotateCertificate(walk: Walk): Promise<string | undefined> {
  const { world, chance } = walk;
  if (walk.faults.has("certificate")) return undefined;
  if (chance.happens(0.4)) {
    await world.certificates.rotate(true);
    begin(walk, "certificate", () => world.certificates.rotate(false));
    return "the certificate's file is new, and its key's is not yet";
  }
  await world.certificates.rotate(false);
  return "the certificate and its key are new";
}

function jumpClock({ world, chance }: Walk): string {
  const byMs = chance.one([1_000, 60_000, 3_600_000, 7_200_000, -500, -3_000, -60_000, -3_600_000]);
  world.jump(byMs);
  if (byMs < 0) world.model.setBack.push({ at: world.now(), byMs: -byMs });
  return `all clocks jump by ${String(byMs / 1_000)} s`;
}

async function mendOne({ faults: running, chance }: Walk): Promise<string | undefined> {
  if (running.size === 0) return undefined;
  const [name, mend] = chance.one([...running]);
  running.delete(name);
  await mend();
  return `mends ${name}`;
}

function disturbWatches({ chance }: Walk, world: ClusterWorld): string | undefined {
  const how = chance.one(["ended", "broken", "gone"] as const);
  const replica: Replica | undefined =
    world.replicas.length > 0 && chance.happens(0.5) ? chance.one(world.replicas) : undefined;
  world.endWatches(how, replica);
  return `the watches of ${replica?.facts.name ?? "all replicas"} are ${how}`;
}

/** What changes behind its back it must know when the watchdog has found out, though nothing else tells it. */
async function muteWatches(walk: Walk, world: ClusterWorld): Promise<string | undefined> {
  if (world.replicas.length < 2) return undefined;
  const replica = walk.chance.one(world.replicas);
  world.muteWatches(replica);
  const changes = [await relabel(walk), await relabel(walk), await editBindings(walk)];
  await world.turn(deadStreamMs + 3_000);
  return `the watches of ${replica.facts.name} die in silence; then, six minutes ago, ${changes.join(", ")}`;
}

function refuseReads(walk: Walk, world: ClusterWorld): string | undefined {
  if (walk.faults.has("API reads")) return undefined;
  begin(walk, "API reads", world.refuseReads());
  if (walk.chance.happens(0.5)) world.endWatches("broken");
  return "the API server refuses to read";
}

function refuseWrites(walk: Walk, world: ClusterWorld): string | undefined {
  if (walk.faults.has("API writes")) return undefined;
  begin(walk, "API writes", world.refuseWrites());
  return "the API server refuses to write";
}

function answerLate(walk: Walk, world: ClusterWorld): string | undefined {
  if (walk.faults.has("API late")) return undefined;
  const ms = walk.chance.one([200, 1_000, 2_500]);
  begin(walk, "API late", world.answerLate(ms));
  return `the API server answers ${String(ms)} ms late`;
}

function cutOff(walk: Walk, world: ClusterWorld): string | undefined {
  if (world.replicas.length === 0) return undefined;
  const replica = walk.chance.one(world.replicas);
  const name = `network of ${replica.facts.name}`;
  if (walk.faults.has(name)) return undefined;
  begin(walk, name, world.cutOff(replica));
  return `${replica.facts.name} is cut off from the API server`;
}

async function writeSlowly({ chance, broken }: Walk, world: FolderWorld): Promise<string | undefined> {
  const name = chance.one(bindingsNames);
  const pauseMs = chance.one([50, 150, 300, 1_000, 5_000]);
  const current = world.model.bindings[name].current();
  const workspace = name === "bindings-a" ? "12" : chance.one(["13", "14"]);
  const space = chance.one([...world.model.spaces.keys()]);
  const rest = current.filter((one) => one.workspace !== workspace || one.space !== space);
  const next = rest.length < current.length ? rest : [...rest, { workspace, space, id: null }];
  await world.writeBindingsSlowly(name, next, pauseMs);
  broken.delete(name);
  return `writes ${name} in two parts, ${String(pauseMs)} ms apart: ${next.map(inWords).join(", ")}`;
}
