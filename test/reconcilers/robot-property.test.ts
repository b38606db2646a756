// Random days in the life of a cluster: bindings, namespaces, a Harbor that is down or refuses, Secrets that cannot be
// written, and processes that end at any write. What must never happen is looked for every five seconds. A failure
// names its seed; BERTH_FUZZ_SEED repeats it, BERTH_FUZZ_RUNS multiplies the runs.

import { expect } from "chai";
import fc from "fast-check";
import { shortHash } from "../../src/reconcilers/credentials.ts";
import { fuzzRuns } from "../hardening/runs.ts";
import { createWorld, type HarborRobot, type World } from "./credential-world.ts";

const tickMs = 5_000;
const minute = 60_000;
const workspaces = ["12", "13"] as const;
const spaceNames = ["team-a", "team-b", "models"] as const;
const namespaceNames = ["web", "jobs", "other", "plain"] as const;

type Happening =
  | { readonly kind: "bind" | "unbind"; readonly workspace: string; readonly space: string }
  | { readonly kind: "label"; readonly namespace: string; readonly workspace: string | null }
  | { readonly kind: "delete"; readonly namespace: string }
  | { readonly kind: "replace-space"; readonly space: string }
  | { readonly kind: "down" | "up" | "refuse" | "accept" | "tamper" | "age" }
  | { readonly kind: "lock" | "unlock"; readonly namespace: string }
  | { readonly kind: "crash"; readonly inWrites: number; readonly when: "before" | "after" };

interface Step {
  readonly happening: Happening;
  readonly thenMs: number;
}

const workspace = fc.constantFrom(...workspaces);
const space = fc.constantFrom(...spaceNames);
const namespace = fc.constantFrom(...namespaceNames);
const kind = <K extends string>(...kinds: K[]): fc.Arbitrary<K> => fc.constantFrom(...kinds);

const calm: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({ kind: kind("bind", "unbind"), workspace, space }),
  fc.record({
    kind: kind("label"),
    namespace,
    workspace: fc.option(workspace, { nil: null }),
  }),
  fc.record({ kind: kind("delete"), namespace }),
  fc.record({ kind: kind("replace-space"), space }),
  fc.record({ kind: kind("down", "up", "up") }),
  fc.record({
    kind: kind("crash"),
    inWrites: fc.integer({ min: 1, max: 6 }),
    when: kind("before", "after"),
  }),
);
/** After which a Secret may hold what pulls no longer, through no fault of Berth. */
const rough: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 3, arbitrary: calm },
  { weight: 1, arbitrary: fc.record({ kind: kind("refuse", "accept", "tamper", "age") }) },
  { weight: 1, arbitrary: fc.record({ kind: kind("lock", "unlock"), namespace }) },
);
const pauses = fc.oneof(
  fc.constantFrom(tickMs, 2 * tickMs),
  fc.integer({ min: 1, max: 6 }).map((minutes) => minutes * minute),
);
const stepsOf = (happening: fc.Arbitrary<Happening>): fc.Arbitrary<readonly Step[]> =>
  fc.array(fc.record({ happening, thenMs: pauses }), { minLength: 1, maxLength: 10 });

/** What a tenant may have copied, and since when it should not pull any more. */
interface Copies {
  readonly spaceIds: ReadonlyMap<string, number>;
  readonly holders: Set<string>;
  lostSince: number | undefined;
}

function createDay(random: number) {
  const world = createWorld();
  world.random = () => random;
  const copies = new Map<number, Copies>();
  let upSince = world.now;

  function happens(happening: Happening): void {
    switch (happening.kind) {
      case "bind":
      case "unbind": {
        const text = `${happening.workspace} managed/${happening.space}`;
        const others = world.bindings.filter((each) => each !== text);
        world.bindings = happening.kind === "bind" ? [...others, text] : others;
        return;
      }
      case "label":
        world.namespaces = { ...world.namespaces, [happening.namespace]: happening.workspace };
        return;
      case "delete": {
        const stay = Object.entries(world.namespaces).filter(([name]) => name !== happening.namespace);
        world.namespaces = Object.fromEntries(stay);
        world.secrets.delete(happening.namespace);
        for (const { holders } of copies.values()) holders.delete(happening.namespace);
        return;
      }
      case "replace-space": {
        const highest = Math.max(...world.harbor.spaceIds.values());
        world.harbor.spaceIds = new Map([...world.harbor.spaceIds, [happening.space, highest + 1]]);
        return;
      }
      case "down":
        world.harbor.down = true;
        return;
      case "up":
        comesUp();
        return;
      case "refuse":
        world.tampered = true;
        world.harbor.refusal = "403 FORBIDDEN";
        return;
      case "accept":
        accepts();
        return;
      case "tamper":
        world.tampered = true;
        for (const robot of world.harbor.robots.values()) robot.disabled = true;
        return;
      case "age":
        // While Harbor is down for days, robots expire.
        world.tampered = true;
        world.now += 21 * 24 * 60 * minute;
        upSince = world.now;
        return;
      case "lock":
        world.tampered = true;
        world.refusing.set(happening.namespace, "exceeded quota");
        return;
      case "unlock":
        world.refusing.delete(happening.namespace);
        return;
      case "crash":
        world.crashAt = { write: world.writes + happening.inWrites, when: happening.when };
        return;
    }
  }

  function comesUp(): void {
    if (world.harbor.down) upSince = world.now;
    world.harbor.down = false;
  }

  /** From then on a successor can be made, which the old robot waits for until Secrets have it. */
  function accepts(): void {
    if (world.harbor.refusal !== null) upSince = world.now;
    world.harbor.refusal = null;
  }

  async function passes(forMs: number): Promise<void> {
    for (let passed = 0; passed < forMs; passed += tickMs) {
      await world.run(tickMs, tickMs);
      look();
    }
  }

  /** Nothing that a tenant may have copied pulls what it should not for longer than 5 minutes. */
  function look(): void {
    const { robots, namesUsed } = world.harbor;
    expect(new Set(namesUsed).size, "each name once").to.equal(namesUsed.length);
    for (const id of copies.keys()) if (!robots.has(id)) copies.delete(id);
    for (const robot of robots.values()) {
      const spaceIds = new Map(world.harbor.spaceIds);
      const held = copies.get(robot.id) ?? { spaceIds, holders: new Set<string>(), lostSince: undefined };
      copies.set(robot.id, held);
      for (const name of carriersOf(world, robot)) held.holders.add(name);
      held.lostSince = isLost(robot, held) ? (held.lostSince ?? world.now) : undefined;
      if (held.lostSince === undefined || world.harbor.down) continue;
      const overdueMs = world.now - Math.max(held.lostSince, upSince);
      expect(overdueMs, `${robot.name} still pulls what it should not`).to.be.at.most(5 * minute);
    }
  }

  function isLost(robot: HarborRobot, { holders, spaceIds }: Copies): boolean {
    const owner = workspaces.find((each) => robot.name.includes(`-${shortHash(each)}-`)) ?? "";
    const isUnbound = robot.spaces.some(
      (name) =>
        !world.bindings.includes(`${owner} managed/${name}`) ||
        spaceIds.get(name) !== world.harbor.spaceIds.get(name),
    );
    const hasLeft = [...holders].some((name) => world.namespaces[name] !== owner);
    return holders.size > 0 && (isUnbound || hasLeft);
  }

  return { world, happens, comesUp, accepts, passes };
}

function carriersOf(world: World, robot: HarborRobot): readonly string[] {
  const auth = Buffer.from(`${world.harbor.prefix}${robot.name}:${robot.secret}`).toString("base64");
  return [...world.secrets].filter(([, { text }]) => text.includes(auth)).map(([name]) => name);
}

/** Everybody pulls what is bound, by one robot for each workspace, and nothing else is left. */
function expectAsWanted(world: World): void {
  const { bindings, namespaces, harbor, secrets } = world;
  const wanted = workspaces.flatMap((owner) => {
    const bound = spaceNames.filter((name) => bindings.includes(`${owner} managed/${name}`));
    const members = Object.keys(namespaces).filter((name) => namespaces[name] === owner);
    return bound.length === 0 || members.length === 0 ? [] : [{ owner, bound, members }];
  });
  const found = [...harbor.robots.values()].map(({ spaces }) => [...spaces].sort().join());
  expect(found.sort(), "robots").to.deep.equal(wanted.map(({ bound }) => [...bound].sort().join()).sort());
  expect([...secrets.keys()].sort()).to.deep.equal(wanted.flatMap(({ members }) => members).sort());
  for (const { bound, members } of wanted) {
    for (const member of members) {
      for (const name of bound) expect(world.pulls(member, name), `${member} pulls ${name}`).to.equal(true);
    }
  }
}

async function live(steps: readonly Step[], random: number): Promise<void> {
  const { world, ...day } = createDay(random);
  await day.passes(30_000);
  for (const { happening, thenMs } of steps) {
    day.happens(happening);
    await day.passes(thenMs);
  }
  world.crashAt = undefined;
  world.refusing.clear();
  day.accepts();
  day.comesUp();
  await day.passes(12 * minute);
  expectAsWanted(world);
  world.bindings = [];
  await day.passes(5 * minute);
  expectAsWanted(world);
  expect([...world.records.keys()], "records").to.deep.equal([]);
}

const written = Number(process.env["BERTH_FUZZ_SEED"] ?? Number.NaN);
const seed = Number.isInteger(written) ? { seed: written } : {};

describe("robots and pull secrets, whatever happens", () => {
  const random = fc.constantFrom(0, 0.5, 0.999);
  it("pull what is bound at every moment, and nothing that was taken away", async () => {
    const days = fc.asyncProperty(stepsOf(calm), random, live);
    await fc.assert(days, { numRuns: fuzzRuns(60), ...seed });
  }).timeout(600_000);

  it("come right again when Harbor refuses, Secrets are locked and robots are meddled with", async () => {
    const days = fc.asyncProperty(stepsOf(rough), random, live);
    await fc.assert(days, { numRuns: fuzzRuns(60), ...seed });
  }).timeout(600_000);
});
