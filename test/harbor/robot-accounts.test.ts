import { expect } from "chai";

import type { Permission } from "../../src/demo/stand-in-callers.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { HarborError } from "../../src/harbor/harbor-answer.ts";
import { createHarborClient, type HarborClient } from "../../src/harbor/harbor-client.ts";
import {
  listRobots,
  makeRobot,
  removeRobot,
  type MadeRobot,
  type NewRobot,
} from "../../src/harbor/robot-accounts.ts";
import { readPullGrants } from "../../src/harbor/token-service.ts";

const never = new AbortController().signal;
const dayMs = 86_400_000;

async function failureOf(promise: Promise<unknown>): Promise<HarborError> {
  const err: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(err).to.be.instanceOf(HarborError);
  return err as HarborError;
}

describe("Harbor's robots", () => {
  let harbor: StandInHarbor;
  let client: HarborClient;
  let now: number;
  const login = { username: "admin", password: "right" };
  const puller: NewRobot = {
    name: "berth-c1-12-1",
    description: "pulls for workspace 12",
    days: 30,
    spaces: ["team-a", "team-b"],
  };

  beforeEach(async () => {
    now = 1_800_000_000_000;
    Object.assign(login, { username: "admin", password: "right" });
    harbor = await startStandInHarbor({
      adminPassword: "right",
      lockMs: 0,
      now: () => now,
      projects: [{ name: "team-a" }, { name: "team-b" }, { name: "team-c" }, { name: "42" }],
    });
    client = clientWith(login);
  });
  afterEach(async () => {
    client.close();
    await harbor.close();
  });

  function clientWith(credentials: { username: string; password: string }): HarborClient {
    return createHarborClient({
      url: harbor.url,
      credentials: () => credentials,
      timeoutMs: 1_000,
      now: () => now,
      random: () => 0,
    });
  }

  function actAsRobot(permissions: readonly Permission[]): void {
    const name = "robot$berth";
    harbor.logins.robots.set(name, { kind: "robot", name, secret: "s", permissions, disabled: false });
    Object.assign(login, { username: name, password: "s" });
  }

  const right = (resource: string, ...actions: string[]) => actions.map((action) => ({ resource, action }));
  const onSystem = (...actions: string[]): Permission => ({
    kind: "system",
    namespace: "/",
    access: right("robot", ...actions),
  });
  const pullEverywhere: Permission = { kind: "project", namespace: "*", access: right("repository", "pull") };

  async function made(robot: NewRobot = puller): Promise<MadeRobot> {
    const making = await makeRobot(client, robot, never);
    if (making.kind !== "made") throw new Error(JSON.stringify(making));
    return making.robot;
  }

  async function refusal(robot: NewRobot = puller): Promise<string> {
    const making = await makeRobot(client, robot, never);
    if (making.kind !== "refused") throw new Error(making.kind);
    return making.why;
  }

  describe("being made", () => {
    it("may pull from their spaces, and do nothing else", async () => {
      const robot = await made();
      const { secret, createdAt, expiresAt, ...names } = robot;
      expect(names).to.deep.equal({ id: 1, fullName: "robot$berth-c1-12-1" });
      expect({ createdAt, expiresAt }).to.deep.equal({ createdAt: now, expiresAt: now + 30 * dayMs });
      const [seen] = harbor.robots.list();
      expect(seen).to.deep.include({
        secret,
        level: "system",
        description: puller.description,
        disabled: false,
      });
      expect(seen?.permissions).to.deep.equal(
        puller.spaces.map((namespace) => ({
          kind: "project",
          namespace,
          access: right("repository", "pull"),
        })),
      );
      const theirs = clientWith({ username: robot.fullName, password: secret });
      const grants = await readPullGrants(theirs, ["team-a", "team-b", "team-c"], never);
      expect([...grants]).to.deep.equal([
        ["team-a", true],
        ["team-b", true],
        ["team-c", false],
      ]);
      theirs.close();
    });

    it("are asked for once, by a name without prefix", async () => {
      await made();
      expect(harbor.requests.map(({ method, path }) => `${method} ${path}`)).to.deep.equal([
        "POST /api/v2.0/robots",
      ]);
      expect(harbor.robots.find("robot$berth-c1-12-1")).to.not.equal(undefined);
    });

    it("get the prefix that the system has now", async () => {
      harbor.robots.setPrefix("bot-");
      expect((await made()).fullName).to.equal("bot-berth-c1-12-1");
    });

    it("may live for ever", async () => {
      expect((await made({ ...puller, days: -1 })).expiresAt).to.equal(null);
    });

    it("may be for a space whose name is a number", async () => {
      const robot = await made({ ...puller, spaces: ["42"] });
      const theirs = clientWith({ username: robot.fullName, password: robot.secret });
      expect((await readPullGrants(theirs, ["42", "team-a"], never)).get("42")).to.equal(true);
      theirs.close();
    });

    it("are made by a robot that holds what they get", async () => {
      actAsRobot([onSystem("create"), pullEverywhere]);
      expect(await made()).to.have.property("fullName", "robot$berth-c1-12-1");
    });

    it("are there already", async () => {
      await made();
      expect(await makeRobot(client, puller, never)).to.deep.equal({ kind: "exists" });
    });

    it("are never made without a space: such a robot is shown every project", async () => {
      const err: unknown = await made({ ...puller, spaces: [] }).catch((reason: unknown) => reason);
      expect(err)
        .to.have.property("message")
        .that.matches(/expected at least one space/);
      expect(harbor.requests).to.deep.equal([]);
    });

    it("are refused for a space that is gone", async () => {
      harbor.projects.remove("team-b");
      expect(await refusal()).to.match(
        /^404 NOT_FOUND: project team-b not found: one of the spaces team-a, team-b/,
      );
      expect(harbor.robots.list()).to.deep.equal([]);
    });

    it("are refused to a robot without the right to make any", async () => {
      actAsRobot([onSystem("list"), pullEverywhere]);
      expect(await refusal()).to.match(
        /^403 FORBIDDEN.*: the login may not make robots; it needs robot:create/,
      );
    });

    it("are refused to a robot that may do less than they would", async () => {
      actAsRobot([onSystem("create")]);
      expect(await refusal()).to.match(/^403 DENIED.* give it repository:pull on all projects \("\*"\)$/);
    });

    it("are refused in Harbor's own words where it is something else", async () => {
      expect(await refusal({ ...puller, name: "Berth" })).to.match(
        /^400 BAD_REQUEST: robot name is not in lower case/,
      );
    });

    it("are an error where the login is bad", async () => {
      login.password = "wrong";
      expect((await failureOf(makeRobot(client, puller, never))).kind).to.equal("login-refused");
      expect(harbor.requests).to.have.length(1);
    });

    it("are an error, and asked for once only, where the answer is lost", async () => {
      harbor.faults.next({ kind: "cut" });
      expect((await failureOf(makeRobot(client, puller, never))).kind).to.equal("unreachable");
      expect(harbor.requests).to.have.length(1);
      // Harbor made it all the same, and nobody has its secret.
      expect(await makeRobot(client, puller, never)).to.deep.equal({ kind: "exists" });
    });

    it("let no secret into an error", async () => {
      harbor.faults.next({ kind: "half" });
      const err = await failureOf(makeRobot(client, puller, never));
      expect(err.kind).to.equal("malformed");
      const secret = harbor.robots.list()[0]?.secret ?? "";
      for (const part of [secret, secret.slice(0, 8)]) {
        expect(`${err.stack ?? ""} ${JSON.stringify(err)} ${String(err.cause)}`).to.not.include(part);
      }
    });
  });

  describe("as a listing", () => {
    const list = (part: string) => listRobots(client, part, never);

    it("are those whose name contains the part", async () => {
      await made({ ...puller, name: "berth-c1-12-1" });
      await made({ ...puller, name: "berth-c1-13-1", spaces: ["team-c"], days: -1 });
      await made({ ...puller, name: "berth-c2-12-1" });
      const [first, second, ...more] = await list("berth-c1-");
      expect(more).to.deep.equal([]);
      expect(first).to.deep.include({
        id: 1,
        fullName: "robot$berth-c1-12-1",
        disabled: false,
        createdAt: now,
        updatedAt: now,
        expiresAt: now + 30 * dayMs,
      });
      expect([...(first?.spaces ?? [])].sort()).to.deep.equal(["team-a", "team-b"]);
      expect(second).to.deep.include({ id: 2, expiresAt: null, spaces: ["team-c"] });
    });

    it("are none where there are none", async () => {
      expect(await list("berth")).to.deep.equal([]);
    });

    it("show what was done to them", async () => {
      const { fullName, createdAt } = await made();
      now += 5_000;
      harbor.robots.disable(fullName);
      harbor.projects.remove("team-b");
      const [robot] = await list("berth");
      expect(robot).to.deep.include({ disabled: true, createdAt, spaces: ["team-a"] });
    });

    it("are read on every page", async () => {
      for (let n = 0; n < 101; n += 1) await made({ ...puller, name: `berth-${n}`, spaces: ["team-a"] });
      const robots = await list("berth-");
      expect(robots).to.have.length(101);
      expect(harbor.requests.slice(-2).map(({ path }) => path)).to.deep.equal([
        "/api/v2.0/robots?sort=id&page_size=100&q=name%3D~berth-&page=1",
        "/api/v2.0/robots?sort=id&page_size=100&q=name%3D~berth-&page=2",
      ]);
    });

    it("are read anew when one goes while the pages are read", async () => {
      for (let n = 0; n < 102; n += 1) await made({ ...puller, name: `berth-${n}`, spaces: ["team-a"] });
      let isDone = false;
      harbor.faults.meanwhile = ({ path }) => {
        if (isDone || !path.endsWith("&page=2")) return;
        isDone = true;
        harbor.robots.remove("robot$berth-0");
      };
      expect(await list("berth-")).to.have.length(101);
    });

    it("are an error where the pages never add up", async () => {
      await made();
      harbor.faults.always({ kind: "total", total: 2 });
      const err = await failureOf(list("berth"));
      expect(err.message).to.match(
        /the pages do not add up, 1 robots came for a total of 2, after 3 passes$/,
      );
    });

    it("are an error where they are said to be too many", async () => {
      await made();
      harbor.faults.always({ kind: "total", total: 1_000_000 });
      expect((await failureOf(list("berth"))).message).to.match(/1000000 robots, expected 10000 at most/);
      expect(harbor.requests.length).to.be.lessThan(120);
    });

    it("are an error that says what to do where the login may not list them", async () => {
      actAsRobot([onSystem("create")]);
      expect((await failureOf(list("berth"))).message).to.match(
        /403 FORBIDDEN.*it needs robot:list on the system/,
      );
    });
  });

  describe("being removed", () => {
    it("are gone, and their login with them", async () => {
      const { id, fullName, secret } = await made();
      await removeRobot(client, id, never);
      expect(harbor.robots.list()).to.deep.equal([]);
      const theirs = clientWith({ username: fullName, password: secret });
      expect((await failureOf(readPullGrants(theirs, ["team-a"], never))).kind).to.equal("login-refused");
      theirs.close();
    });

    it("may be gone already", async () => {
      await removeRobot(client, 99, never);
    });

    it("are not taken for gone where a proxy says 404", async () => {
      harbor.faults.next({ kind: "html", status: 404 });
      expect((await failureOf(removeRobot(client, 1, never))).kind).to.equal("client-error");
    });

    it("are an error that says what to do where the login may not", async () => {
      const { id } = await made();
      actAsRobot([onSystem("create", "list")]);
      expect((await failureOf(removeRobot(client, id, never))).message).to.match(
        /403 FORBIDDEN.*it needs robot:delete/,
      );
    });
  });

  it("are never changed", async () => {
    const { id } = await made();
    await listRobots(client, "berth", never);
    await removeRobot(client, id, never);
    expect(harbor.requests.map(({ method }) => method)).to.deep.equal(["POST", "GET", "DELETE"]);
    expect(harbor.logins.failures.size).to.equal(0);
  });
});
