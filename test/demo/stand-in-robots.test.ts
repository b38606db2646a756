import { expect } from "chai";

import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";

// What robots of the stand-in Harbor are, beyond what was recorded.

const dayMs = 86_400_000;
const admin = "admin:right";

interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly body: unknown;
}

interface Created {
  readonly id: number;
  readonly name: string;
  readonly secret: string;
  readonly expires_at: number;
}

const pull = { resource: "repository", action: "pull" };
const on = (namespace: string, ...access: readonly { resource: string; action: string }[]) => ({
  kind: namespace === "/" ? "system" : "project",
  namespace,
  access,
});
const asked = (name: string, ...permissions: readonly object[]) => ({
  name,
  level: "system",
  duration: 30,
  permissions,
});

describe("the stand-in Harbor's robots", () => {
  let harbor: StandInHarbor;
  let nowMs: number;

  beforeEach(async () => {
    nowMs = Date.parse("2026-11-23T12:00:00.500Z");
    harbor = await startStandInHarbor({
      adminPassword: "right",
      lockMs: 0,
      now: () => nowMs,
      projects: [{ name: "library", visibility: "public" }, { name: "team-a" }, { name: "team-b" }],
    });
  });
  afterEach(() => harbor.close());

  async function call(login: string | undefined, method: string, path: string, body?: object) {
    const authorization = `Basic ${Buffer.from(login ?? "").toString("base64")}`;
    const answer = await fetch(harbor.url + path, {
      method,
      ...(login === undefined ? {} : { headers: { authorization } }),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    const parsed: unknown = text === "" ? undefined : JSON.parse(text);
    return { status: answer.status, headers: answer.headers, body: parsed };
  }

  const api = (login: string | undefined, method: string, path: string, body?: object): Promise<Answered> =>
    call(login, method, `/api/v2.0${path}`, body);

  async function create(name: string, ...permissions: readonly object[]): Promise<Created> {
    const answer = await api(admin, "POST", "/robots", asked(name, ...permissions));
    expect(answer.status).to.equal(201);
    return answer.body as Created;
  }

  /** What the login is worth: 401 for nothing. */
  const worth = async (login: string) => (await call(login, "GET", "/v2/")).status;
  const loginOf = ({ name, secret }: Created) => `${name}:${secret}`;
  const messageOf = ({ body }: Answered) =>
    (body as { errors: { code: string; message: string }[] }).errors.map(
      ({ code, message }) => `${code} ${message}`,
    )[0];

  it("expire to the second, and are anonymous from then on", async () => {
    const robot = await create("berth-12", on("team-a", pull));
    expect(robot.expires_at).to.equal(Math.floor((nowMs + 30 * dayMs) / 1_000));
    nowMs = robot.expires_at * 1_000 - 1;
    expect(await worth(loginOf(robot))).to.equal(200);
    nowMs += 1;
    expect(await worth(loginOf(robot))).to.equal(401);
  });

  it("count their days from their birth, and only when the number changes", async () => {
    const { id, name, expires_at } = await create("berth-12", on("team-a", pull));
    nowMs += 10 * dayMs;
    const same = { ...asked(name, on("team-b", pull)), duration: 30 };
    expect((await api(admin, "PUT", `/robots/${id}`, same)).status).to.equal(200);
    expect(harbor.robots.find(name)).to.include({ expiresAt: expires_at });
    await api(admin, "PUT", `/robots/${id}`, { ...same, duration: 31 });
    expect(harbor.robots.find(name)).to.include({ expiresAt: expires_at + dayMs / 1_000 });
  });

  it("were changed last when they were made, and then with every PUT and PATCH", async () => {
    const { id, name } = await create("berth-12", on("team-a", pull));
    const born = harbor.robots.find(name)!;
    expect(born.updatedAt).to.equal(born.createdAt);
    nowMs += 1_000;
    await api(admin, "PATCH", `/robots/${id}`, { secret: "" });
    expect(harbor.robots.find(name)!.updatedAt).to.equal(nowMs);
    nowMs += 1_000;
    await api(admin, "PUT", `/robots/${id}`, asked(name, on("team-a", pull)));
    expect(harbor.robots.find(name)).to.include({ updatedAt: nowMs, createdAt: born.createdAt });
  });

  it("lose a project that is deleted, and do not get the one made anew in its name", async () => {
    const robot = await create("berth-12", on("team-a", pull), on("team-b", pull));
    harbor.projects.remove("team-a");
    harbor.projects.create({ name: "team-a" });
    const { permissions } = harbor.robots.find(robot.name)!;
    expect(permissions.map(({ namespace }) => namespace)).to.deep.equal(["team-b"]);
    const seen = await api(loginOf(robot), "GET", "/projects");
    expect((seen.body as { name: string }[]).map(({ name }) => name)).to.deep.equal(["library", "team-b"]);
  });

  it("go with their project when they are its own", async () => {
    const body = { ...asked("puller", on("team-a", pull)), level: "project" };
    const { body: created } = await api(admin, "POST", "/robots", body);
    expect((created as Created).name).to.equal("robot$team-a+puller");
    expect(harbor.robots.list()).to.have.length(1);
    harbor.projects.remove("team-a");
    expect(harbor.robots.list()).to.deep.equal([]);
    expect(await worth(loginOf(created as Created))).to.equal(401);
  });

  it("are anonymous when disabled, expired, removed, or called by an old prefix", async () => {
    const robot = await create("berth-12", on("team-a", pull));
    harbor.robots.disable(robot.name);
    expect(await worth(loginOf(robot))).to.equal(401);
    harbor.robots.enable(robot.name);
    expect(await worth(loginOf(robot))).to.equal(200);
    await api(admin, "PUT", "/configurations", { robot_name_prefix: "bot-" });
    expect(await worth(loginOf(robot))).to.equal(401);
    expect(await worth(`bot-berth-12:${robot.secret}`)).to.equal(200);
    harbor.robots.expire("bot-berth-12");
    expect(await worth(`bot-berth-12:${robot.secret}`)).to.equal(401);
    harbor.robots.setExpiresAt("bot-berth-12", -1);
    expect(await worth(`bot-berth-12:${robot.secret}`)).to.equal(200);
    harbor.robots.remove("bot-berth-12");
    expect(await worth(`bot-berth-12:${robot.secret}`)).to.equal(401);
    expect(harbor.logins.failures.get("bot-berth-12")).to.equal(2);
    expect(harbor.logins.failures.get("robot$berth-12")).to.equal(2);
  });

  it("for a project that does not exist are not made, and cost an id", async () => {
    const answer = await api(
      admin,
      "POST",
      "/robots",
      asked("berth-12", on("team-a", pull), on("gone", pull)),
    );
    expect(answer.status).to.equal(404);
    expect(messageOf(answer)).to.equal("NOT_FOUND project gone not found");
    expect(harbor.robots.list()).to.deep.equal([]);
    expect((await create("berth-12", on("team-a", pull))).id).to.equal(2);
  });

  it("keep what they had when a change names a project that does not exist", async () => {
    const { id, name } = await create("berth-12", on("team-a", pull));
    const answer = await api(admin, "PUT", `/robots/${id}`, asked(name, on("gone", pull)));
    expect(answer.status).to.equal(404);
    expect(harbor.robots.find(name)!.permissions).to.deep.equal([on("team-a", pull)]);
  });

  it("are looked for by name without prefix, exactly or by a part", async () => {
    for (const name of ["berth-1", "berth-12", "other"]) await create(name, on("team-a", pull));
    const found = async (q: string) => {
      const { body } = await api(admin, "GET", `/robots?q=${encodeURIComponent(q)}`);
      return (body as { name: string }[]).map(({ name }) => name);
    };
    expect(await found("name=berth-1")).to.deep.equal(["robot$berth-1"]);
    expect(await found("name=~berth-")).to.deep.equal(["robot$berth-1", "robot$berth-12"]);
    expect(await found("name=robot$berth-1")).to.deep.equal([]);
    expect((await api(admin, "GET", "/robots?page_size=101")).status).to.equal(422);
    expect((await api(admin, "GET", "/robots?q=name")).status).to.equal(400);
  });

  const refused: [title: string, body: object, message: string][] = [
    ["no permission", asked("a"), "BAD_REQUEST bad request empty permission"],
    [
      "another level",
      { ...asked("a", on("team-a", pull)), level: "all" },
      "BAD_REQUEST bad request error level input: all",
    ],
    [
      "two projects for a project's own",
      { ...asked("a", on("team-a", pull), on("team-b", pull)), level: "project" },
      "BAD_REQUEST bad request permission",
    ],
    [
      "robot:update",
      asked("a", on("/", { resource: "robot", action: "update" })),
      "BAD_REQUEST bad request permission: robot:update",
    ],
    [
      "a system right elsewhere",
      asked("a", { ...on("/", { resource: "project", action: "list" }), namespace: "team-a" }),
      "BAD_REQUEST unknown namespace",
    ],
    [
      "a name with a plus",
      asked("a+b", on("team-a", pull)),
      "BAD_REQUEST robot name is not in lower case or contains illegal characters",
    ],
  ];
  for (const [title, body, message] of refused) {
    it(`are not made with ${title}`, async () => {
      const answer = await api(admin, "POST", "/robots", body);
      expect(answer.status).to.equal(400);
      expect(messageOf(answer)).to.equal(message);
    });
  }

  describe("that make robots", () => {
    let maker: string;
    beforeEach(async () => {
      const rights = ["create", "read", "list", "delete"].map((action) => ({ resource: "robot", action }));
      maker = loginOf(await create("maker", on("/", ...rights), on("*", pull)));
    });

    it("may give what they have, list and delete", async () => {
      const made = await api(maker, "POST", "/robots", asked("child", on("team-a", pull)));
      expect(made.status).to.equal(201);
      const { id } = made.body as Created;
      const read = await api(maker, "GET", `/robots/${id}`);
      expect(read.body).to.include({ creator_type: "robot", creator_ref: 1 });
      expect((await api(maker, "GET", "/robots")).headers.get("x-total-count")).to.equal("2");
      expect((await api(maker, "DELETE", `/robots/${id}`)).status).to.equal(200);
      expect(messageOf(await api(maker, "GET", `/robots/${id}`))).to.equal(`NOT_FOUND robot ${id} not found`);
    });

    it("may not give more, be it an action or a system right", async () => {
      for (const permission of [
        on("team-a", { resource: "repository", action: "push" }),
        on("/", { resource: "project", action: "list" }),
      ]) {
        const answer = await api(maker, "POST", "/robots", asked("child", permission));
        expect(answer.status).to.equal(403);
        expect(messageOf(answer)).to.match(/^DENIED permission scope is invalid/);
      }
    });

    it("may change none, themselves included", async () => {
      const change = asked("robot$maker", on("*", pull));
      expect((await api(maker, "PUT", "/robots/1", change)).status).to.equal(403);
      expect(messageOf(await api(maker, "PATCH", "/robots/1", { secret: "" }))).to.equal(
        "FORBIDDEN robot$maker",
      );
      expect((await api(maker, "PUT", "/configurations", { robot_name_prefix: "x" })).status).to.equal(403);
    });
  });

  it("without a right to robots, and everybody without a login, are refused", async () => {
    const robot = loginOf(await create("berth-12", on("*", pull)));
    expect((await api(robot, "GET", "/robots")).status).to.equal(403);
    expect((await api(robot, "POST", "/robots", asked("a", on("*", pull)))).status).to.equal(403);
    expect((await api(robot, "GET", "/permissions")).status).to.equal(403);
    expect((await api(undefined, "GET", "/robots")).status).to.equal(401);
    expect((await api(undefined, "POST", "/robots", asked("a", on("*", pull)))).status).to.equal(401);
  });
});
