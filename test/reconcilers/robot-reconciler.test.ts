import { expect } from "chai";
import { registry } from "../builders.ts";
import { createWorld, type World } from "./credential-world.ts";

const minute = 60_000;

async function settled(): Promise<World> {
  const world = createWorld();
  await world.run(minute);
  expect(world.robotNames()).to.have.length(1);
  return world;
}

/** The process ends right after Harbor made a robot, so that nobody has its secret. */
async function withOrphan(change: (world: World) => void): Promise<World> {
  const world = await settled();
  change(world);
  // The record of what is asked for, then the making itself.
  world.crashAt = { write: world.writes + 2, when: "after" };
  await world.run(5_000);
  expect(world.robotNames()).to.have.length(2);
  return world;
}

describe("the robot reconciler", () => {
  it("leaves no robot behind that was made a moment before nothing was wanted any more", async () => {
    const world = createWorld();
    world.crashAt = { write: 2, when: "after" };
    await world.run(5_000);
    expect(world.robotNames()).to.have.length(1);
    world.bindings = [];
    await world.run(6 * minute);
    expect(world.robotNames()).to.deep.equal([]);
    expect([...world.records.keys()]).to.deep.equal([]);
  });

  it("removes an orphan though a namespace is gone to which its successor was given", async () => {
    const world = await withOrphan((each) => (each.bindings = [...each.bindings, "12 managed/team-b"]));
    await world.run(minute);
    world.namespaces = { web: "12" };
    world.secrets.delete("jobs");
    await world.run(8 * minute);
    expect(world.robotNames()).to.have.length(1);
    expect(world.pulls("web", "team-b")).to.equal(true);
  });

  it("removes a robot with the login that the policy names today", async () => {
    const world = await settled();
    world.logins = new Map([["new-login", { username: "admin", password: "of the administrator" }]]);
    world.registries = new Map([["managed", registry("managed", { credentialsSecret: "new-login" })]]);
    world.bindings = [];
    await world.run(5 * minute);
    expect(world.robotNames()).to.deep.equal([]);
  });

  it("makes the next robot with the login that the policy names today", async () => {
    const world = await settled();
    world.logins = new Map([["new-login", { username: "admin", password: "of the administrator" }]]);
    world.registries = new Map([["managed", registry("managed", { credentialsSecret: "new-login" })]]);
    world.harbor.loginsUsed.clear();
    world.bindings = [...world.bindings, "12 managed/team-b"];
    await world.run(5 * minute);
    expect(world.pulls("web", "team-b")).to.equal(true);
    expect([...world.harbor.loginsUsed]).to.deep.equal(["new-login"]);
  });

  it("never gives a name twice, though the record was forgotten between", async () => {
    const world = await settled();
    const { bindings } = world;
    world.bindings = [];
    await world.run(6 * minute);
    expect([...world.records.keys()]).to.deep.equal([]);
    world.bindings = bindings;
    await world.run(minute);
    expect(world.robotNames()).to.have.length(1);
    expect(new Set(world.harbor.namesUsed).size).to.equal(2);
  });

  it("gives no Secret a robot that is on its way out", async () => {
    const world = await settled();
    const { bindings } = world;
    world.bindings = [];
    world.harbor.down = true;
    await world.run(minute);
    world.bindings = bindings;
    await world.run(minute);
    expect([...world.secrets.keys()], "while there is no other").to.deep.equal([]);
    world.harbor.down = false;
    await world.run(6 * minute);
    expect(world.robotNames()).to.have.length(1);
    expect(world.pulls("web", "team-a")).to.equal(true);
  });

  it("hands no robot out that Harbor does not grant what it was made for, and still removes the old one", async () => {
    const world = await settled();
    const [old = ""] = world.robotNames();
    world.tampered = true;
    world.harbor.denied.add("team-a");
    world.bindings = ["12 managed/team-a"];
    await world.run(3 * minute);
    expect(world.pulls("web", "models"), "the old one goes on").to.equal(true);
    await world.run(2 * minute);
    expect(world.robotNames()).not.to.include(old);
    expect([...world.secrets.keys()]).to.deep.equal([]);
    const told = world.log.lines.filter(({ facts }) =>
      String(facts["problem"]).includes("may not pull from"),
    );
    expect(told, "told once").to.have.length(1);
    world.harbor.denied.clear();
    await world.run(minute);
    expect(world.pulls("web", "team-a")).to.equal(true);
  });

  it("hands no robot out whose name no client can send, and still removes the old one", async () => {
    const world = await settled();
    const [old = ""] = world.robotNames();
    world.tampered = true;
    world.harbor.prefix = "bot:";
    world.bindings = ["12 managed/team-a"];
    await world.run(5 * minute);
    expect(world.robotNames()).not.to.include(old);
    expect([world.harbor.failedLogins, [...world.secrets.keys()]]).to.deep.equal([0, []]);
    const told = world.log.lines.filter(({ facts }) => String(facts["problem"]).includes("has a colon"));
    expect(told, "told once").to.have.length(1);
  });

  it("takes another name where one exists that it does not know of", async () => {
    const world = await settled();
    const [known] = world.harbor.robots.values();
    if (known === undefined) throw new Error("there is no robot to be like");
    const taken = known.name.replace(/[0-9]+$/, (serial) => String(Number(serial) + 1));
    world.harbor.robots.set(500, { ...known, id: 500, name: taken });
    world.bindings = [...world.bindings, "12 managed/team-b"];
    await world.run(8 * minute);
    expect(world.pulls("web", "team-b")).to.equal(true);
    expect(world.harbor.namesUsed).not.to.include(taken);
    expect(world.robotNames(), "and removes what nobody has the secret of").to.have.length(1);
  });

  it("asks a Harbor that refuses to make robots less and less often, and removes the old one in time", async () => {
    for (const random of [0, 0.5, 0.999]) {
      const world = await settled();
      const [old = ""] = world.robotNames();
      world.random = () => random;
      world.tampered = true;
      world.harbor.refusal = "403 FORBIDDEN";
      world.bindings = ["12 managed/team-a"];
      await world.run(5 * minute);
      expect(world.robotNames(), `with ${random}`).not.to.include(old);
      const before = world.harbor.requests;
      await world.run(60 * minute);
      // A look a minute, and a try in five.
      expect(world.harbor.requests - before).to.be.below(80);
    }
  });

  it("counts from Harbor's first no, whatever else was wanted since", async () => {
    const world = await settled();
    const [old = ""] = world.robotNames();
    world.tampered = true;
    world.harbor.refusal = "403 FORBIDDEN";
    world.bindings = ["12 managed/team-a"];
    await world.run(2 * minute);
    world.bindings = ["12 managed/team-a", "12 managed/team-b"];
    await world.run(2 * minute);
    world.bindings = ["12 managed/team-a"];
    await world.run(minute);
    expect(world.robotNames()).not.to.include(old);
  });

  it("makes haste with a robot that was to go anyway, when something is unbound meanwhile", async () => {
    const world = await settled();
    const [old = ""] = world.robotNames();
    world.tampered = true;
    world.harbor.refusal = "403 FORBIDDEN";
    world.bindings = [...world.bindings, "12 managed/team-b"];
    await world.run(10 * minute);
    expect(world.robotNames(), "nothing presses").to.include(old);
    world.bindings = ["12 managed/team-b"];
    await world.run(5 * minute);
    expect(world.robotNames()).not.to.include(old);
  });
});

describe("the robots of a registry that is not Berth's to make robots on", () => {
  const rows = [
    ["a workspace's own", registry("managed", { workspace: "12" })],
    ["a Docker Registry", registry("managed", { type: "docker-registry" })],
    ["one without a login", registry("managed", { credentialsSecret: null })],
  ] as const;
  for (const [title, other] of rows) {
    it(`are none: ${title}`, async () => {
      const world = createWorld();
      // The workspace's own login goes into its Secrets, and is no robot's.
      world.tampered = true;
      world.registries = new Map([["managed", other]]);
      await world.run(minute);
      expect(world.harbor.requests).to.equal(0);
      expect(world.robotNames()).to.deep.equal([]);
    });
  }
});
