import { expect } from "chai";
import { catalogueOf, type Space } from "../../src/domain/catalogue.ts";
import type { DeclaredSpace } from "../../src/domain/policy.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { createSpaceReconciler, type SpaceReconciler } from "../../src/reconcilers/space-reconciler.ts";
import { policyOf, registry, snapshotOf, space } from "../builders.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";

const second = 1_000;
const minute = 60_000;
const gib = 1024 ** 3;
const signal = new AbortController().signal;
const key = "https://managed.test/team-a";

interface Project {
  id: number;
  visibility: Space["visibility"];
  bytes: number | null;
  owner: string | null;
}

/** A Harbor in memory, what was read of it, and what is published about it. */
function setUp() {
  const log = createRecordingLog();
  const projects = new Map<string, Project>();
  const ownSpaces = new Map<string, number>();
  const calls: string[] = [];
  const failing = new Set<string>();
  const world = {
    ...{ log, projects, ownSpaces, calls, failing },
    now: 1_800_000_000_000,
    managed: registry("managed"),
    declared: [declare()] as readonly DeclaredSpace[],
    refusal: null as string | null,
    login: "berth" as string | undefined,
    /** Harbor makes it, and its answer is lost. */
    losesAnswers: false,
    read,
    round,
    problems: (): readonly string[] => reconciler.problems(),
    restart: (): void => void (reconciler = create()),
    /** Another made it, just now. */
    add(name: string, more: Partial<Project> = {}): void {
      projects.set(name, { id: nextId++, visibility: "private", bytes: -1, owner: "somebody", ...more });
    },
  };
  let nextId = 10;
  let catalogue = catalogueOf("https://managed.test", world.now, []);
  let reconciler: SpaceReconciler = create();

  /** The catalogue feed has read Harbor, beginning now. */
  function read(): void {
    const spaces = [...projects].map(([name, { visibility, id }]) => space(name, visibility, id));
    catalogue = catalogueOf(world.managed.url, world.now, spaces);
  }
  function look(): Snapshot {
    const policy = policyOf({
      registries: [world.managed],
      rest: { spaces: new Map(world.declared.map((each) => [`${each.registry}/${each.name}`, each])) },
    });
    return snapshotOf({
      policy,
      catalogues: { managed: catalogue },
      ownSpaces: Object.fromEntries(ownSpaces),
    });
  }
  function call(text: string): void {
    calls.push(text);
    if ([...failing].some((each) => text.startsWith(each))) throw new Error(`${text} failed`);
  }
  function projectOf(name: string): Project {
    const project = projects.get(name);
    if (project === undefined) throw new Error(`no project ${name}`);
    return project;
  }
  function create(): SpaceReconciler {
    return createSpaceReconciler({
      ...{ log, now: () => world.now, random: () => 0, snapshot: look },
      keepOwn(own, id) {
        return Promise.resolve().then(() => {
          call(`own ${own} ${id}`);
          if (id === null) ownSpaces.delete(own);
          else ownSpaces.set(own, id);
        });
      },
      onChange: (name) => calls.push(`refresh ${name}`),
      api: {
        async make(_registry, { name, visibility, storageBytes }) {
          await Promise.resolve();
          call(`make ${name} ${visibility} ${storageBytes}`);
          if (world.refusal !== null) return { kind: "refused", why: world.refusal };
          if (projects.has(name)) return { kind: "exists" };
          const id = nextId++;
          projects.set(name, { id, visibility, bytes: storageBytes, owner: world.login ?? null });
          if (world.losesAnswers) throw new Error("the answer was lost");
          return { kind: "made", id };
        },
        async setVisibility(_registry, name, visibility) {
          await Promise.resolve();
          call(`set ${name} ${visibility}`);
          projectOf(name).visibility = visibility;
        },
        async readQuota(_registry, id) {
          await Promise.resolve();
          call(`quota of ${id}`);
          const [project] = [...projects.values()].filter((each) => each.id === id);
          return { quotaId: id + 1_000, bytes: project?.bytes ?? null };
        },
        async setQuota(_registry, quotaId, bytes) {
          await Promise.resolve();
          call(`set quota ${quotaId} ${bytes}`);
          for (const project of projects.values()) if (project.id + 1_000 === quotaId) project.bytes = bytes;
        },
        async readOwner(_registry, name) {
          await Promise.resolve();
          call(`owner of ${name}`);
          const project = projects.get(name);
          return project === undefined ? null : { id: project.id, ownerName: project.owner };
        },
        loginName: () => world.login,
      },
    });
  }
  /** What was called in the round. */
  async function round(): Promise<readonly string[]> {
    calls.length = 0;
    await reconciler.round(signal);
    return [...calls];
  }
  return world;
}

function declare(more: Partial<DeclaredSpace> = {}): DeclaredSpace {
  return {
    ...{ registry: "managed", name: "team-a", visibility: "private", storageBytes: null, adopt: false },
    ...more,
  };
}

/** Berth's own space is there, and was read. */
async function withOwn(more: Partial<DeclaredSpace> = {}) {
  const world = setUp();
  world.declared = [declare(more)];
  await world.round();
  world.now += second;
  world.read();
  await world.round();
  expect(world.ownSpaces.get(key)).to.equal(10);
  return world;
}

describe("a declared space", () => {
  it("is made, and put down as Berth's own before and after", async () => {
    const world = setUp();
    world.declared = [declare({ visibility: "public", storageBytes: 5 * gib })];
    expect(await world.round()).to.deep.equal([
      `own ${key} 0`,
      `make team-a public ${5 * gib}`,
      `own ${key} 10`,
      "refresh managed",
    ]);
  });

  it("is not asked for again while the catalogue is older than its making", async () => {
    const world = setUp();
    await world.round();
    expect(await world.round()).to.deep.equal([]);
    world.now += second;
    world.read();
    expect(await world.round(), "and is as it should be then").to.deep.equal([]);
  });

  it("is not made before what is to be is published", async () => {
    const world = setUp();
    world.failing.add("own");
    expect(await world.round()).to.deep.equal([`own ${key} 0`]);
    expect(world.problems()).to.deep.equal([`own ${key} 0 failed`]);
  });

  it("waits for a catalogue of the registry's server, and for what is Berth's own", async () => {
    const world = setUp();
    world.managed = registry("managed", { url: "https://new.test" });
    expect(await world.round(), "another server's catalogue").to.deep.equal([]);
    const reconciler = (more: Partial<Snapshot>): Promise<void> =>
      createSpaceReconciler({
        snapshot: () => ({ ...snapshotOf({ policy: policyOf({}) }), ...more }),
        ...{ api: {} as never, keepOwn: () => Promise.reject(new Error("asked")), onChange: () => undefined },
        ...{ log: world.log, now: () => world.now, random: () => 0 },
      }).round(signal);
    const policy = policyOf({
      registries: [registry("managed")],
      rest: { spaces: new Map([[key, declare()]]) },
    });
    await reconciler({ policy, policyRead: false });
    await reconciler({ policy, ownSpacesRead: false });
    expect(world.log.lines).to.deep.equal([]);
  });

  it("is left to its registry where that has no spaces", async () => {
    const world = setUp();
    world.managed = registry("managed", { type: "docker-registry" });
    expect(await world.round()).to.deep.equal([]);
    world.declared = [declare({ registry: "gone" })];
    expect(await world.round()).to.deep.equal([]);
  });

  it("is told of, and not put down as Berth's own, where Harbor refuses to make it", async () => {
    const world = setUp();
    world.refusal = "403 FORBIDDEN: only administrators make projects";
    expect(await world.round()).to.deep.equal([
      `own ${key} 0`,
      "make team-a private null",
      `own ${key} null`,
    ]);
    expect(world.problems()).to.deep.equal([
      "make space team-a on managed: 403 FORBIDDEN: only administrators make projects",
    ]);
    expect(await world.round(), "not at every round").to.deep.equal([]);
    world.refusal = null;
    world.now += 2 * second;
    await world.round();
    expect([world.projects.has("team-a"), world.problems()]).to.deep.equal([true, []]);
  });

  it("gets back the visibility that the policy says", async () => {
    const world = await withOwn();
    Object.assign(world.projects.get("team-a") ?? {}, { visibility: "public" });
    world.now += second;
    world.read();
    expect(await world.round()).to.deep.equal(["set team-a private", "refresh managed"]);
    expect(await world.round(), "while the catalogue is older than that").to.deep.equal([]);
    world.now += second;
    world.read();
    expect(await world.round()).to.deep.equal([]);
    expect(world.log.lines.filter(({ level }) => level === "warn")).to.have.length(1);
  });

  it("gets another visibility when the policy says so", async () => {
    const world = await withOwn();
    world.declared = [declare({ visibility: "public" })];
    expect(await world.round()).to.deep.equal(["set team-a public", "refresh managed"]);
  });

  it("gets back its quota, which is looked at every five minutes", async () => {
    const world = await withOwn({ storageBytes: 5 * gib });
    Object.assign(world.projects.get("team-a") ?? {}, { bytes: null });
    world.now += 5 * minute - 1;
    expect(await world.round()).to.deep.equal([]);
    world.now += 1;
    expect(await world.round()).to.deep.equal(["quota of 10", `set quota 1010 ${5 * gib}`]);
    expect(await world.round()).to.deep.equal([]);
    world.now += 5 * minute;
    expect(await world.round(), "as it should be").to.deep.equal(["quota of 10"]);
  });

  it("gets another quota at once when the policy says so, and keeps it when the policy says none", async () => {
    const world = await withOwn({ storageBytes: 5 * gib });
    world.declared = [declare({ storageBytes: 6 * gib })];
    expect(await world.round()).to.deep.equal(["quota of 10", `set quota 1010 ${6 * gib}`]);
    world.declared = [declare()];
    world.now += 10 * minute;
    expect(await world.round()).to.deep.equal([]);
    expect(world.projects.get("team-a")?.bytes).to.equal(6 * gib);
  });

  it("is made anew when somebody deleted it", async () => {
    const world = await withOwn();
    world.projects.clear();
    world.now += second;
    world.read();
    await world.round();
    expect([world.projects.get("team-a")?.id, world.ownSpaces.get(key)]).to.deep.equal([11, 11]);
  });

  it("is deleted by nobody here when the policy declares it no more", async () => {
    const world = await withOwn();
    world.declared = [];
    world.now += minute;
    expect(await world.round()).to.deep.equal([]);
    expect(world.projects.has("team-a")).to.equal(true);
  });
});

describe("a declared name that somebody else has taken", () => {
  function squatted(more: Partial<DeclaredSpace> = {}, project: Partial<Project> = {}) {
    const world = setUp();
    world.declared = [declare({ visibility: "public", storageBytes: gib, ...more })];
    world.add("team-a", project);
    world.now += second;
    world.read();
    return world;
  }

  it("is left as it is, and told once", async () => {
    const world = squatted();
    for (let rounds = 0; rounds < 5; rounds += 1) {
      expect(await world.round()).to.deep.equal([]);
      world.now += minute;
      world.read();
    }
    expect(world.log.lines.map(({ level }) => level)).to.deep.equal(["error"]);
    expect(world.problems()).to.have.length(1);
    expect(world.problems()[0]).to.contain("adopt: true");
    expect(world.projects.get("team-a")).to.include({ visibility: "private", bytes: -1 });
  });

  it("is taken over where the policy says so, with visibility and quota", async () => {
    const world = squatted({ adopt: true });
    expect(await world.round()).to.deep.equal([
      `own ${key} 10`,
      "set team-a public",
      "refresh managed",
      "quota of 10",
      `set quota 1010 ${gib}`,
    ]);
    expect(world.problems()).to.deep.equal([]);
  });

  it("is told of no more once it is taken over, gone, or declared no more", async () => {
    for (const change of ["adopt", "gone", "undeclared"] as const) {
      const world = squatted();
      await world.round();
      if (change === "adopt") world.declared = [declare({ adopt: true })];
      if (change === "undeclared") world.declared = [];
      if (change === "gone") world.projects.clear();
      world.now += second;
      world.read();
      await world.round();
      expect(world.problems(), change).to.deep.equal([]);
    }
  });

  it("is Berth's own no more when another took the name after it", async () => {
    const world = await withOwn();
    world.projects.clear();
    world.add("team-a");
    world.now += second;
    world.read();
    expect(await world.round()).to.deep.equal([`own ${key} null`]);
    expect(world.problems()).to.have.length(1);
  });

  it("is found when Harbor says so at the making, and looked at in the next catalogue", async () => {
    const world = setUp();
    world.add("team-a");
    expect(await world.round()).to.deep.equal([
      `own ${key} 0`,
      "make team-a private null",
      "refresh managed",
    ]);
    expect(await world.round()).to.deep.equal([]);
    world.now += second;
    world.read();
    expect(await world.round()).to.deep.equal(["owner of team-a", `own ${key} null`]);
    expect(world.problems()).to.have.length(1);
  });
});

describe("a declared space whose maker ended between asking and answer", () => {
  async function lost(more: { losesAnswers: boolean }) {
    const world = setUp();
    world.losesAnswers = more.losesAnswers;
    if (!more.losesAnswers) world.failing.add("make");
    await world.round();
    expect(world.ownSpaces.get(key)).to.equal(0);
    world.losesAnswers = false;
    world.failing.clear();
    world.now += minute;
    world.restart();
    world.read();
    return world;
  }

  it("is made, when Harbor had not heard of it", async () => {
    const world = await lost({ losesAnswers: false });
    await world.round();
    expect(world.ownSpaces.get(key)).to.equal(10);
  });

  it("is Berth's own, when Harbor names Berth's login as its owner", async () => {
    const world = await lost({ losesAnswers: true });
    expect(await world.round()).to.deep.equal(["owner of team-a", `own ${key} 10`]);
  });

  const others: readonly (readonly [title: string, owner: Partial<Project>, login: string | undefined])[] = [
    ["another is its owner", { owner: "somebody" }, "berth"],
    ["it has no owner", { owner: null }, "berth"],
    ["Berth's own login is not known", { owner: null }, undefined],
  ];
  for (const [title, owner, login] of others) {
    it(`is not Berth's own, when ${title}`, async () => {
      const world = await lost({ losesAnswers: true });
      Object.assign(world.projects.get("team-a") ?? {}, owner);
      world.login = login;
      expect(await world.round()).to.deep.equal(["owner of team-a", `own ${key} null`]);
      expect(world.problems()).to.have.length(1);
    });
  }

  it("is not Berth's own, when another was made of that name since the catalogue was read", async () => {
    const world = await lost({ losesAnswers: true });
    Object.assign(world.projects.get("team-a") ?? {}, { id: 99 });
    await world.round();
    expect(world.ownSpaces.has(key)).to.equal(false);
  });
});

describe("declared spaces", () => {
  it("fail for themselves, and not for the others", async () => {
    const world = setUp();
    world.declared = ["a", "b", "c", "d", "e", "f"].map((name) => declare({ name }));
    world.failing.add("make c");
    await world.round();
    expect([...world.projects.keys()].sort()).to.deep.equal(["a", "b", "d", "e", "f"]);
    expect(world.problems()).to.deep.equal(["make c private null failed"]);
    world.declared = world.declared.filter(({ name }) => name !== "c");
    await world.round();
    expect(world.problems()).to.deep.equal([]);
  });
});
