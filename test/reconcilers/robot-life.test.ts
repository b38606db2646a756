import { expect } from "chai";
import { registry } from "../builders.ts";
import { createWorld, managed, type World } from "./credential-world.ts";

const minute = 60_000;
const day = 24 * 60 * minute;

/** A change of the world, and what must be true ten minutes later. */
interface Walk {
  readonly title: string;
  readonly change: (world: World) => void;
  readonly after: (world: World) => void;
  /** How many robots were ever made; after a crash it may be one more. */
  readonly made: number;
  /** What a tenant may have copied has to be dead by then. */
  readonly urgent?: true;
}

/** One robot, with pull on exactly these, in the Secrets of exactly those namespaces. */
function oneRobot(world: World, spaces: readonly string[], namespaces: readonly string[]): void {
  const robots = [...world.harbor.robots.values()];
  expect(robots.map((robot) => [...robot.spaces].sort())).to.deep.equal([[...spaces].sort()]);
  expect([...world.secrets.keys()].sort()).to.deep.equal([...namespaces].sort());
  for (const namespace of namespaces) {
    for (const name of spaces)
      expect(world.pulls(namespace, name), `${namespace} pulls ${name}`).to.equal(true);
  }
}

/** With all that is in them. */
function removeNamespaces(world: World, ...gone: readonly string[]): void {
  const stay = Object.entries(world.namespaces).filter(([name]) => !gone.includes(name));
  world.namespaces = Object.fromEntries(stay);
  for (const name of gone) world.secrets.delete(name);
}

const walks: readonly Walk[] = [
  {
    title: "a space more is bound",
    made: 2,
    change: (world) => (world.bindings = [...world.bindings, "12 managed/team-b"]),
    after: (world) => oneRobot(world, ["models", "team-a", "team-b"], ["jobs", "web"]),
  },
  {
    title: "a space is unbound",
    made: 2,
    change: (world) => (world.bindings = ["12 managed/team-a"]),
    after: (world) => oneRobot(world, ["team-a"], ["jobs", "web"]),
    urgent: true,
  },
  {
    title: "the last binding goes",
    made: 1,
    change: (world) => (world.bindings = []),
    after(world) {
      expect(world.robotNames()).to.deep.equal([]);
      expect([...world.secrets.keys()]).to.deep.equal([]);
      expect([...world.records.keys()]).to.deep.equal([]);
    },
    urgent: true,
  },
  {
    title: "a namespace moves to another workspace",
    made: 2,
    change: (world) => (world.namespaces = { ...world.namespaces, jobs: "13" }),
    after: (world) => oneRobot(world, ["models", "team-a"], ["web"]),
    urgent: true,
  },
  {
    title: "a namespace joins",
    change: (world) => (world.namespaces = { ...world.namespaces, plain: "12" }),
    after: (world) => oneRobot(world, ["models", "team-a"], ["jobs", "plain", "web"]),
    made: 1,
  },
  {
    title: "a namespace is deleted",
    change(world) {
      removeNamespaces(world, "jobs");
    },
    after: (world) => oneRobot(world, ["models", "team-a"], ["web"]),
    made: 1,
  },
  {
    title: "the workspace loses its last namespace",
    made: 1,
    change(world) {
      removeNamespaces(world, "jobs", "web");
    },
    after: (world) => expect(world.robotNames()).to.deep.equal([]),
  },
  {
    title: "a space comes back as another one",
    made: 2,
    change: (world) => (world.harbor.spaceIds = new Map([...world.harbor.spaceIds, ["team-a", 99]])),
    after: (world) => oneRobot(world, ["models", "team-a"], ["jobs", "web"]),
    urgent: true,
  },
  {
    title: "the registry leaves the policy",
    made: 1,
    change(world) {
      world.registries = new Map();
      world.bindings = [];
    },
    after: (world) => expect(world.robotNames()).to.deep.equal([]),
    urgent: true,
  },
  {
    title: "its life is two thirds over",
    change(world) {
      world.now += 20.5 * day;
    },
    after: (world) => oneRobot(world, ["models", "team-a"], ["jobs", "web"]),
    made: 2,
  },
  {
    title: "somebody disables the robot",
    made: 2,
    change(world) {
      world.tampered = true;
      for (const robot of world.harbor.robots.values()) Object.assign(robot, { disabled: true });
    },
    after: (world) => oneRobot(world, ["models", "team-a"], ["jobs", "web"]),
  },
  {
    title: "somebody deletes the robot",
    made: 2,
    change(world) {
      world.tampered = true;
      world.harbor.robots.clear();
    },
    after: (world) => oneRobot(world, ["models", "team-a"], ["jobs", "web"]),
  },
  {
    title: "somebody gives the robot another secret",
    made: 2,
    change(world) {
      world.tampered = true;
      for (const robot of world.harbor.robots.values()) {
        Object.assign(robot, { secret: "Another1", updatedAt: world.now });
      }
    },
    after: (world) => oneRobot(world, ["models", "team-a"], ["jobs", "web"]),
  },
  {
    title: "Harbor's prefix for robots changes",
    change(world) {
      world.tampered = true;
      world.harbor.prefix = "bot-";
    },
    after: (world) => oneRobot(world, ["models", "team-a"], ["jobs", "web"]),
    made: 1,
  },
  {
    title: "the master copy is lost",
    made: 2,
    change: (world) => world.records.clear(),
    after: (world) => oneRobot(world, ["models", "team-a"], ["jobs", "web"]),
  },
  {
    title: "a Secret is deleted",
    made: 1,
    change: (world) => world.secrets.delete("web"),
    after: (world) => oneRobot(world, ["models", "team-a"], ["jobs", "web"]),
  },
];

async function settled(): Promise<World> {
  const world = createWorld();
  await world.run(minute);
  oneRobot(world, ["models", "team-a"], ["jobs", "web"]);
  return world;
}

/** Each name once, whatever happened. */
function expectNoNameTwice(world: World): void {
  expect(new Set(world.harbor.namesUsed).size).to.equal(world.harbor.namesUsed.length);
}

describe("the life of a robot", () => {
  it("begins with one for each workspace that has bindings and namespaces", async () => {
    const world = await settled();
    expect(world.robotNames()).to.have.length(1);
    expect(world.robotNames()[0]).to.match(/^berth-test-[0-9a-f]{16}-[0-9a-f]{16}-[0-9]+$/);
    expect(world.pulls("web", "team-b"), "a space that is not bound").to.equal(false);
    expect(world.harbor.failedLogins).to.equal(0);
  });

  it("sends nothing but its look when nothing changes", async () => {
    const world = await settled();
    await world.run(minute);
    const { writes } = world;
    const before = world.harbor.requests;
    await world.run(60 * minute);
    expect(world.writes).to.equal(writes);
    expect(world.harbor.requests - before).to.be.within(55, 60);
  });

  for (const { title, change, after, made, urgent } of walks) {
    it(`goes on rightly when ${title}`, async () => {
      const world = await settled();
      const old = [...world.harbor.robots.keys()];
      change(world);
      await world.run(urgent ? 5 * minute : 8 * minute);
      after(world);
      if (urgent) expect(old.filter((id) => world.harbor.robots.has(id))).to.deep.equal([]);
      expect(world.harbor.namesUsed).to.have.length(made);
      expectNoNameTwice(world);
      expect(world.harbor.failedLogins).to.equal(0);
    });

    it(`goes on rightly when ${title}, and the process ends at any write of that`, async () => {
      const whole = await settled();
      const begin = whole.writes;
      change(whole);
      await whole.run(10 * minute);
      for (let write = begin + 1; write <= whole.writes; write += 1) {
        for (const when of ["before", "after"] as const) {
          const world = await settled();
          change(world);
          world.crashAt = { write, when };
          await world.run(15 * minute);
          const at = `crash ${when} write ${write - begin} of ${whole.writes - begin}`;
          expect(() => after(world), at).not.to.throw();
          expect(world.harbor.namesUsed.length, at).to.be.at.most(made + 1);
          expectNoNameTwice(world);
        }
      }
    }).timeout(60_000);
  }

  it("begins rightly though the process ends at any write of it", async () => {
    const whole = await settled();
    for (let write = 1; write <= whole.writes; write += 1) {
      for (const when of ["before", "after"] as const) {
        const world = createWorld();
        world.crashAt = { write, when };
        await world.run(15 * minute);
        oneRobot(world, ["models", "team-a"], ["jobs", "web"]);
        expectNoNameTwice(world);
        expect(world.harbor.failedLogins).to.equal(0);
      }
    }
  });
});

/** A robot that these reconcilers did not make, like theirs but for its name. */
function addAnother({ harbor }: World, id: number, nameOf: (known: string) => string): void {
  const [known] = harbor.robots.values();
  if (known === undefined) throw new Error("there is no robot to be like");
  harbor.robots.set(id, { ...known, id, name: nameOf(known.name) });
}

describe("a robot under trouble", () => {
  it("is replaced at once when Harbor is back, and the old one is gone within five minutes of that", async () => {
    const world = await settled();
    const [old] = world.harbor.robots.keys();
    world.harbor.down = true;
    world.bindings = ["12 managed/team-a"];
    await world.run(60 * minute);
    world.harbor.down = false;
    await world.run(5 * minute);
    expect(world.harbor.robots.has(old ?? 0)).to.equal(false);
    oneRobot(world, ["team-a"], ["jobs", "web"]);
  });

  it("asks a Harbor that is down once in half a minute, and no more for more workspaces", async () => {
    const world = await settled();
    world.bindings = [...world.bindings, "13 managed/team-a"];
    await world.run(minute);
    world.harbor.down = true;
    world.bindings = ["12 managed/team-a", "13 managed/team-b"];
    const before = world.harbor.requests;
    await world.run(60 * minute);
    // Retries are spread by up to a quarter.
    expect(world.harbor.requests - before).to.be.within(100, 160);
  });

  it("does not live on because one namespace cannot be written", async () => {
    const world = await settled();
    const [old] = world.harbor.robots.keys();
    world.refusing.set("web", "exceeded quota");
    world.tampered = true;
    world.bindings = ["12 managed/team-a"];
    await world.run(5 * minute);
    expect(world.harbor.robots.has(old ?? 0)).to.equal(false);
    expect(world.pulls("jobs", "team-a")).to.equal(true);
    expect(world.log.lines.filter(({ text }) => text.includes("cannot be written"))).to.have.length(1);
  });

  it("goes even where Harbor refuses to make its successor", async () => {
    const world = await settled();
    const [old] = world.harbor.robots.keys();
    world.harbor.refusal = "403 FORBIDDEN: no right to make robots";
    world.tampered = true;
    world.bindings = ["12 managed/team-a"];
    await world.run(6 * minute);
    expect(world.harbor.robots.has(old ?? 0)).to.equal(false);
  });

  it("leaves a foreign Secret alone", async () => {
    const world = createWorld();
    world.secrets.set("web", { text: '{"auths":{}}', foreign: true });
    await world.run(5 * minute);
    expect(world.secrets.get("web")).to.deep.equal({ text: '{"auths":{}}', foreign: true });
    expect(world.pulls("jobs", "team-a")).to.equal(true);
  });

  it("keeps what a deleted ConfigMap had bound, and gets nothing new by it", async () => {
    const world = await settled();
    world.withdrawn = world.bindings;
    world.bindings = [];
    world.harbor.spaceIds = new Map([...world.harbor.spaceIds, ["models", 77]]);
    await world.run(10 * minute);
    oneRobot(world, ["team-a"], ["jobs", "web"]);
    world.withdrawn = [];
    await world.run(10 * minute);
    expect(world.robotNames()).to.deep.equal([]);
  });

  it("is never touched by another cluster on the same Harbor", async () => {
    const world = await settled();
    addAnother(world, 500, () => "berth-test-aaaaaaaaaaaaaaaa-bbbbbbbbbbbbbbbb-1");
    world.bindings = [];
    await world.run(10 * minute);
    expect([...world.harbor.robots.keys()]).to.deep.equal([500]);
  });

  it("is removed as an orphan when no record knows it", async () => {
    const world = await settled();
    addAnother(world, 600, (name) => name.replace(/[0-9]+$/, "9"));
    await world.run(10 * minute);
    oneRobot(world, ["models", "team-a"], ["jobs", "web"]);
  });
});

describe("logins of the policy", () => {
  const archive = registry("archive", {
    type: "docker-registry",
    credentialsSecret: "archive-own",
    pullCredentialsSecret: "archive-pull",
  });

  async function withArchive(): Promise<World> {
    const world = createWorld();
    world.registries = new Map([
      ["managed", managed],
      ["archive", archive],
    ]);
    world.logins = new Map([
      ...world.logins,
      ["archive-own", { username: "reader", password: "not handed out" }],
      ["archive-pull", { username: "puller", password: "handed out" }],
    ]);
    await world.run(minute);
    return world;
  }
  const authOf = (world: World, namespace: string, host: string): string | undefined => {
    const text = world.secrets.get(namespace)?.text ?? '{"auths":{}}';
    const { auths } = JSON.parse(text) as { auths: Record<string, { auth: string }> };
    const auth = auths[host]?.auth;
    return auth === undefined ? undefined : Buffer.from(auth, "base64").toString();
  };

  it("go to every namespace, beside the robot, and never the one that Berth reads with", async () => {
    const world = await withArchive();
    for (const namespace of ["web", "jobs", "other", "plain"]) {
      expect(authOf(world, namespace, "archive.test"), namespace).to.equal("puller:handed out");
    }
    expect(world.pulls("web", "team-a")).to.equal(true);
    const all = [...world.secrets.values()].map(({ text }) => Buffer.from(text).toString()).join();
    expect(all).not.to.contain(Buffer.from("admin:of the administrator").toString("base64"));
    expect(all).not.to.contain(Buffer.from("reader:not handed out").toString("base64"));
  });

  it("stay as they were handed out when their Secret vanishes, also after a restart", async () => {
    const world = await withArchive();
    world.logins = new Map([...world.logins].filter(([name]) => name !== "archive-pull"));
    world.crashAt = { write: world.writes + 1, when: "after" };
    world.namespaces = { ...world.namespaces, fresh: null };
    await world.run(5 * minute);
    expect(authOf(world, "fresh", "archive.test")).to.equal("puller:handed out");
    expect(authOf(world, "web", "archive.test")).to.equal("puller:handed out");
  });

  it("follow a changed Secret, and go from every Secret with their registry", async () => {
    const world = await withArchive();
    world.logins = new Map([...world.logins, ["archive-pull", { username: "puller", password: "changed" }]]);
    await world.run(minute);
    expect(authOf(world, "plain", "archive.test")).to.equal("puller:changed");
    world.registries = new Map([["managed", managed]]);
    await world.run(minute);
    expect([...world.secrets.keys()].sort()).to.deep.equal(["jobs", "web"]);
    expect(authOf(world, "web", "archive.test")).to.equal(undefined);
    expect([...world.records.keys()].filter((name) => name.startsWith("berth-login"))).to.deep.equal([]);
  });
});
