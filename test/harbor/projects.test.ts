import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "chai";

import type { Listing } from "../../src/domain/catalogue.ts";
import type { Permission } from "../../src/demo/stand-in-callers.ts";
import type { Fault } from "../../src/demo/stand-in-faults.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { HarborError, type HarborFailure } from "../../src/harbor/harbor-answer.ts";
import { createHarborClient, type HarborClient } from "../../src/harbor/harbor-client.ts";
import { isProjectGone, listSpaces, readSpace } from "../../src/harbor/projects.ts";

const never = new AbortController().signal;

async function failureOf(promise: Promise<unknown>): Promise<HarborError> {
  const err: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(err).to.be.instanceOf(HarborError);
  return err as HarborError;
}

describe("Harbor's projects", () => {
  let harbor: StandInHarbor;
  let client: HarborClient;
  let now: number;
  const login = { username: "admin", password: "right" };

  beforeEach(async () => {
    now = 5_000;
    Object.assign(login, { username: "admin", password: "right" });
    harbor = await startStandInHarbor({ adminPassword: "right", lockMs: 0 });
    client = createHarborClient({
      url: harbor.url,
      credentials: () => login,
      timeoutMs: 300,
      now: () => now,
      random: () => 0,
    });
  });
  afterEach(async () => {
    client.close();
    await harbor.close();
  });

  const list = (signal = never): Promise<Listing> => listSpaces({ client, now: () => now }, signal);

  function createMany(count: number): void {
    for (let n = 0; n < count; n += 1) {
      harbor.projects.create({ name: `p${String(n).padStart(4, "0")}`, visibility: "public" });
    }
  }

  function actAs(name: string, permissions: readonly Permission[]): void {
    harbor.logins.robots.set(name, { kind: "robot", name, secret: "s", permissions, disabled: false });
    Object.assign(login, { username: name, password: "s" });
  }

  const pathsOf = (of = harbor) => of.requests.map(({ path }) => path.replace("/api/v2.0", ""));

  describe("as a listing", () => {
    it("are read page by page, between two proofs of identity", async () => {
      createMany(201);
      const listing = await list();
      expect(listing.server).to.equal(harbor.url);
      expect(listing.readAt).to.equal(5_000);
      expect(listing.spaces.map(({ name }) => name))
        .to.have.length(201)
        .and.include("p0200");
      const paths = pathsOf();
      expect([paths[0], paths[1], paths.at(-1)]).to.deep.equal([
        "/systeminfo",
        "/projects?page=1&page_size=100",
        "/systeminfo",
      ]);
      expect(paths.slice(2, -1).sort()).to.deep.equal([
        "/projects?page=2&page_size=100",
        "/projects?page=3&page_size=100",
      ]);
    });

    it("are asked for four pages at a time", async () => {
      createMany(1_200);
      harbor.faults.always({ kind: "slow", ms: 20 });
      expect((await list()).spaces).to.have.length(1_200);
      expect(Math.max(...harbor.requests.map(({ atATime }) => atATime))).to.equal(4);
    });

    it("may be none at all", async () => {
      expect((await list()).spaces).to.deep.equal([]);
    });

    it("began when the pass began whose pages agree", async () => {
      createMany(150);
      harbor.faults.meanwhile = ({ path }) => {
        if (!path.includes("page=2") || now > 5_000) return;
        now = 6_000;
        harbor.projects.remove("p0000");
      };
      const listing = await list();
      expect(listing.readAt).to.equal(6_000);
      expect(listing.spaces).to.have.length(149);
    });

    const visibilities: [title: string, metadata: Record<string, string> | null, visibility: string][] = [
      ["the text true is public", { public: "true" }, "public"],
      ["in another case too, since Harbor itself reads it so", { public: "True" }, "public"],
      ["the text false is private, though it is not empty", { public: "false" }, "private"],
      ["no such entry is private", { auto_scan: "true" }, "private"],
      ["no metadata at all is private", null, "private"],
      ["whatever else there may be is private", { public: "1" }, "private"],
    ];
    for (const [title, metadata, visibility] of visibilities) {
      it(title, async () => {
        harbor.projects.create({ name: "one", metadata });
        expect((await list()).spaces).to.deep.equal([{ name: "one", id: 1, visibility, proxyCache: false }]);
        expect(await readSpace(client, "one", never)).to.have.property("visibility", visibility);
      });
    }

    it("tell proxy caches from others", async () => {
      harbor.projects.create({ name: "hub", visibility: "public", registryId: 2 });
      expect((await list()).spaces).to.have.nested.property("[0].proxyCache", true);
    });

    it("are read again when one vanishes between two pages, and hides another", async () => {
      createMany(150);
      let removed = false;
      harbor.faults.meanwhile = ({ path }) => {
        if (path.includes("page=2") && !removed) harbor.projects.remove("p0000");
        removed ||= path.includes("page=2");
      };
      const names = (await list()).spaces.map(({ name }) => name);
      expect(names).to.have.length(149).and.include("p0100");
    });

    it("are given up when they never add up", async () => {
      createMany(150);
      let n = 0;
      harbor.faults.meanwhile = ({ path }) => {
        if (path.includes("page=2")) harbor.projects.create({ name: `a${(n += 1)}` });
      };
      const err = await failureOf(list());
      expect(err.kind).to.equal("malformed");
      expect(err.message).to.match(
        /the pages do not add up, the total went from \d+ to \d+, after 3 passes$/,
      );
    });

    it("are all that a robot sees that may list projects", async () => {
      harbor.projects.create({ name: "team-a" });
      actAs("robot$berth", [
        { kind: "system", namespace: "/", access: [{ resource: "project", action: "list" }] },
      ]);
      expect((await list()).spaces).to.have.length(1);
    });
  });

  describe("are never a listing", () => {
    it("with a wrong password, which Harbor answers with what is public", async () => {
      createMany(3);
      login.password = "wrong";
      const err = await failureOf(list());
      expect(err.kind).to.equal("login-refused");
      expect(pathsOf()).to.deep.equal(["/systeminfo"]);
    });

    it("when the login dies between the pages", async () => {
      createMany(3);
      harbor.faults.meanwhile = ({ path }) => {
        if (path.includes("/projects")) harbor.faults.anonymous = true;
      };
      const err = await failureOf(list());
      expect(err.kind).to.equal("login-refused");
      expect(pathsOf()).to.deep.equal(["/systeminfo", "/projects?page=1&page_size=100", "/systeminfo"]);
    });

    /** What page 2 of 3 answers, and how many requests that page takes. */
    const cases: [fault: Fault, kind: HarborFailure, requests: number][] = [
      [{ kind: "status", status: 500 }, "server-error", 3],
      [{ kind: "html", status: 502 }, "server-error", 3],
      [{ kind: "html", status: 200 }, "malformed", 1],
      [{ kind: "status", status: 401 }, "login-refused", 1],
      [{ kind: "status", status: 403 }, "client-error", 1],
      [{ kind: "status", status: 422 }, "client-error", 1],
      [{ kind: "cut" }, "unreachable", 3],
      [{ kind: "half" }, "malformed", 1],
      [{ kind: "silence" }, "timeout", 1],
      [{ kind: "reset" }, "unreachable", 3],
    ];
    for (const [fault, kind, requests] of cases) {
      const name = "status" in fault ? `${fault.kind} ${fault.status}` : fault.kind;
      it(`when one page of them fails: ${name}`, async () => {
        createMany(250);
        harbor.faults.always(fault, /page=2/);
        const err = await failureOf(list());
        expect(err.kind).to.equal(kind);
        expect(err.message).to.match(/^list projects, page 2 of http/);
        expect(harbor.requests.filter(({ path }) => path.includes("page=2"))).to.have.length(requests);
        expect(harbor.requests.every(({ cookie }) => cookie === null)).to.equal(true);
      });
    }

    it("when the total is wrong, pass after pass", async () => {
      createMany(20);
      harbor.faults.always({ kind: "total", total: 12 });
      const err = await failureOf(list());
      expect(err.message).to.include("20 projects came for a total of 12, after 3 passes");
      expect(pathsOf().filter((path) => path.startsWith("/projects"))).to.have.length(3);
    });

    it("when the total is absurd: no more than the first page is asked for", async () => {
      createMany(1);
      harbor.faults.always({ kind: "total", total: 100_001 });
      const err = await failureOf(list());
      expect(err.message).to.include("100001 projects, expected 100000 at most");
      expect(pathsOf()).to.deep.equal(["/systeminfo", "/projects?page=1&page_size=100"]);
    });

    it("when whoever wanted it stops", async () => {
      createMany(250);
      harbor.faults.always({ kind: "silence" }, /page=2/);
      const caller = new AbortController();
      setTimeout(() => caller.abort(new Error("stopped")), 50);
      const reason: unknown = await list(caller.signal).catch((err: unknown) => err);
      expect(reason).to.have.property("message", "stopped");
    });
  });

  describe("one by one", () => {
    beforeEach(() => {
      harbor.projects.create({ name: "library", visibility: "public" });
      harbor.projects.create({ name: "team-a" });
      harbor.projects.create({ name: "2" });
    });

    const read = (name: string) => readSpace(client, name, never);

    it("are read by name", async () => {
      const teamA = { name: "team-a", id: 2, visibility: "private", proxyCache: false };
      expect(await read("team-a")).to.deep.equal(teamA);
    });

    it("are read by name even when that is a number", async () => {
      expect(await read("2")).to.have.property("id", 3);
      expect(harbor.requests[0]).to.include({ path: "/api/v2.0/projects/2", isResourceName: true });
    });

    it("are null when the administrator hears that there is none", async () => {
      expect(await read("nowhere")).to.equal(null);
    });

    it("are gone for certain only where an administrator hears so", async () => {
      harbor.projects.create({ name: "there", visibility: "private" });
      expect(await isProjectGone(client, "there", never)).to.equal(false);
      expect(await isProjectGone(client, "absent", never)).to.equal(true);
      actAs("robot$reader", []);
      expect(await isProjectGone(client, "absent", never)).to.equal(false);
    });

    it("are null without a request when Harbor could not have one of that name", async () => {
      for (const name of ["te__am", "te--am", "Team", "a b", "../systeminfo", "", "x".repeat(256)]) {
        expect(await read(name), name).to.equal(null);
      }
      expect(harbor.requests).to.deep.equal([]);
    });

    it("are not known with a bad login: 401 says nothing about the project", async () => {
      login.password = "wrong";
      expect((await failureOf(read("team-a"))).kind).to.equal("login-refused");
      // And it is not tried again and again.
      await failureOf(read("nowhere"));
      expect(harbor.requests).to.have.length(1);
    });

    it("are true for a public one with a bad login: anybody would have been told", async () => {
      login.password = "wrong";
      expect(await read("library")).to.have.property("visibility", "public");
    });

    describe("for a robot that may list but not read them", () => {
      beforeEach(() =>
        actAs("robot$lister", [
          { kind: "system", namespace: "/", access: [{ resource: "project", action: "list" }] },
        ]),
      );

      it("are found in the listing, by the exact name", async () => {
        harbor.projects.create({ name: "team-a2", visibility: "public" });
        expect(await read("team-a")).to.deep.include({ id: 2, visibility: "private" });
        expect(pathsOf()).to.deep.equal(["/projects/team-a", "/projects?q=name%3Dteam-a"]);
      });

      it("are null when the listing has none either", async () => {
        expect(await read("nowhere")).to.equal(null);
      });
    });

    it("are not known when something in front of Harbor says 404", async () => {
      harbor.faults.always({ kind: "html", status: 404 });
      expect((await failureOf(read("team-a"))).kind).to.equal("client-error");
    });
  });
});

describe("what calls itself a Harbor", () => {
  let server: Server;
  let client: HarborClient;
  let answers: Readonly<Record<string, unknown>>;

  before(async () => {
    server = createServer(({ url = "" }, response) => {
      response.setHeader("content-type", "application/json").setHeader("x-total-count", "1");
      response.end(JSON.stringify(answers[url.split("?")[0] ?? ""]));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    client = createHarborClient({
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      credentials: () => ({ username: "admin", password: "x" }),
      timeoutMs: 1_000,
      now: () => 0,
      random: () => 0,
    });
  });
  after(() => {
    client.close();
    server.close();
  });

  const malformed: [title: string, projects: unknown, text: RegExp][] = [
    ["an object instead of a list", { projects: [] }, /expected a list/],
    ["a project that is no object", ["team-a"], /a project is not an object/],
    ["no name", [{ project_id: 1 }], /a project has no name/],
    ["an empty name", [{ project_id: 1, name: "" }], /a project has no name/],
    ["a number for a name", [{ project_id: 1, name: 7 }], /a project has no name/],
    ["no id", [{ name: "a" }], /project_id is not a whole number/],
    ["text for an id", [{ name: "a", project_id: "1" }], /project_id is not a whole number/],
    ["half an id", [{ name: "a", project_id: 1.5 }], /project_id is not a whole number/],
    ["an id that no project has", [{ name: "a", project_id: 0 }], /project_id is not a whole number/],
  ];
  for (const [title, projects, text] of malformed) {
    it(`is not believed with ${title}`, async () => {
      answers = { "/api/v2.0/systeminfo": { registry_url: "x" }, "/api/v2.0/projects": projects };
      const err = await failureOf(listSpaces({ client, now: () => 0 }, never));
      expect(err.kind).to.equal("malformed");
      expect(err.message).to.match(text);
    });
  }

  it("has no space that it marks as deleted", async () => {
    const project = { name: "a", project_id: 1, deleted: true, metadata: { public: "true" } };
    answers = {
      "/api/v2.0/systeminfo": { registry_url: "x" },
      "/api/v2.0/projects": [project],
      "/api/v2.0/projects/a": project,
    };
    expect((await listSpaces({ client, now: () => 0 }, never)).spaces).to.deep.equal([]);
    expect(await readSpace(client, "a", never)).to.equal(null);
  });

  it("is not believed when it answers with another project than was asked for", async () => {
    answers = { "/api/v2.0/projects/a": { name: "b", project_id: 2, metadata: { public: "true" } } };
    const err = await failureOf(readSpace(client, "a", never));
    expect(err.message).to.include("another project came than was asked for");
  });

  it("is not believed when its systeminfo is no object", async () => {
    answers = { "/api/v2.0/systeminfo": ["registry_url"] };
    expect((await failureOf(client.proveIdentity(never))).kind).to.equal("malformed");
  });
});
