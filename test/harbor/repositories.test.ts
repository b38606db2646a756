import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "chai";

import type { Permission } from "../../src/demo/stand-in-callers.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { HarborError } from "../../src/harbor/harbor-answer.ts";
import { createHarborClient, type HarborClient } from "../../src/harbor/harbor-client.ts";
import {
  listRepositories,
  listTags,
  readTag,
  searchRepositories,
  type Rows,
  type WantedRows,
} from "../../src/harbor/repositories.ts";
import { eventually } from "../eventually.ts";

const never = new AbortController().signal;
const all: WantedRows = { search: "", after: undefined, limit: 100 };

function clientOf(url: string, password = "right", username = "admin"): HarborClient {
  const credentials = () => ({ username, password });
  return createHarborClient({ url, credentials, timeoutMs: 5_000, now: () => 0, random: () => 0 });
}

async function failureOf(promise: Promise<unknown>): Promise<HarborError> {
  const err: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(err).to.be.instanceOf(HarborError);
  return err as HarborError;
}

const namesOf = (rows: Rows<{ readonly name: string }> | null) => rows?.items.map(({ name }) => name);

/** From the first part to the last. */
async function inParts<T>(
  read: (after: string | undefined) => Promise<Rows<T> | null>,
): Promise<readonly (readonly T[])[]> {
  const parts: (readonly T[])[] = [];
  let after: string | undefined;
  do {
    const rows = await read(after);
    if (rows === null) throw new Error("there is none");
    parts.push(rows.items);
    after = rows.next ?? undefined;
  } while (after !== undefined);
  return parts;
}

const markup = "<img src=x onerror=alert(1)>";
const backwards = "\u202eevil";

describe("the repositories of a Harbor", () => {
  let harbor: StandInHarbor;
  let client: HarborClient;
  let clock = Date.parse("2026-03-01T12:00:00Z");

  beforeEach(async () => {
    harbor = await startStandInHarbor({
      adminPassword: "right",
      lockMs: 0,
      now: () => (clock += 1_000),
      projects: [
        { name: "library", visibility: "public" },
        { name: "team-a" },
        { name: "team-b" },
        { name: "2024" },
      ],
    });
    client = clientOf(harbor.url);
  });
  afterEach(async () => {
    client.close();
    await harbor.close();
  });

  const idOf = (name: string) => harbor.projects.find(name)?.id ?? 0;
  const lastQuery = () => new URL(harbor.requests.at(-1)?.path ?? "", "http://x").searchParams;

  describe("in one project", () => {
    it("come by name, with how many artifacts they have and since when they are as they are", async () => {
      for (const name of ["web", "a/b", "api"]) harbor.repositories.push(`team-a/${name}`);
      harbor.repositories.push("team-a/api");
      const { items, next } = await listRepositories(client, "team-a", all, never);
      expect(items.map(({ name }) => name)).to.deep.equal(["team-a/a/b", "team-a/api", "team-a/web"]);
      expect(items[1]).to.deep.equal({ name: "team-a/api", artifacts: 2, updatedAt: items[1]?.updatedAt });
      expect(items[1]?.updatedAt).to.be.greaterThan(items[2]?.updatedAt ?? Infinity);
      expect(next).to.equal(null);
    });

    it("come in parts, each with the way to the next", async () => {
      for (let n = 0; n < 7; n += 1) harbor.repositories.push(`team-a/r${n}`);
      const parts = await inParts((after) =>
        listRepositories(client, "team-a", { ...all, limit: 3, after }, never),
      );
      expect(parts.map((items) => items.length)).to.deep.equal([3, 3, 1]);
      expect(parts.flat().map(({ name }) => name)).to.deep.equal(
        Array.from({ length: 7 }, (_, n) => `team-a/r${n}`),
      );
    });

    it("are found by a part of the name, in whatever case it is typed", async () => {
      for (const name of ["api", "web/api-2", "web"]) harbor.repositories.push(`team-a/${name}`);
      const found = await listRepositories(client, "team-a", { ...all, search: "API" }, never);
      expect(namesOf(found)).to.deep.equal(["team-a/api", "team-a/web/api-2"]);
    });

    for (const search of [
      "a,project_id=1",
      "a=b",
      "~a",
      "{a b}",
      "(a)",
      "[a~b]",
      "a%2Cb",
      "a\\",
      "a b",
      "ä",
    ]) {
      it(`are not asked for with ${search}, which no name holds`, async () => {
        harbor.repositories.push("team-a/a");
        const found = await listRepositories(client, "team-a", { ...all, search }, never);
        expect(found).to.deep.equal({ items: [], next: null });
        const searched = [{ name: "team-a", id: idOf("team-a") }];
        const inAll = await searchRepositories(client, searched, { search, limit: 10 }, never);
        expect(inAll).to.deep.equal({ items: [], next: null });
        expect(await listTags(client, "team-a/a", { ...all, search }, never)).to.deep.equal({
          items: [],
          next: null,
        });
        expect(harbor.requests).to.deep.equal([]);
      });
    }

    it("of digits only are asked for by its name", async () => {
      harbor.repositories.push("2024/app", { tags: ["1"] });
      expect(namesOf(await listRepositories(client, "2024", all, never))).to.deep.equal(["2024/app"]);
      expect(namesOf(await listTags(client, "2024/app", all, never))).to.deep.equal(["1"]);
      expect(await readTag(client, "2024/app", "1", never)).to.include({ name: "1" });
      expect(harbor.requests.every(({ isResourceName }) => isResourceName)).to.equal(true);
    });

    for (const after of [
      "0",
      "-1",
      "1.0",
      "01",
      "1e3",
      "999999",
      "2.99999999",
      "2 ",
      "../x",
      "x".repeat(9_000),
    ]) {
      it(`cannot be gone on with from ${after.slice(0, 12)}, which nobody was given`, async () => {
        const nothing = { items: [], next: null };
        expect(await listRepositories(client, "team-a", { ...all, after }, never)).to.deep.equal(nothing);
        expect(await listTags(client, "team-a/a", { ...all, after }, never)).to.deep.equal(nothing);
        expect(harbor.requests).to.deep.equal([]);
      });
    }

    it("are none past the end", async () => {
      harbor.repositories.push("team-a/app", { tags: ["1"] });
      const nothing = { items: [], next: null };
      expect(await listRepositories(client, "team-a", { ...all, after: "9" }, never)).to.deep.equal(nothing);
      expect(await listTags(client, "team-a/app", { ...all, after: "9.12" }, never)).to.deep.equal(nothing);
    });

    for (const project of ["", "Team", "team-a/x", "team__a", "..", markup]) {
      it(`are none in ${project === "" ? "the project without name" : project}`, async () => {
        expect(await listRepositories(client, project, all, never)).to.deep.equal({ items: [], next: null });
        expect(harbor.requests).to.deep.equal([]);
      });
    }

    it("are left out where their names could not be deployed", async () => {
      for (const name of ["app", markup, backwards, "Upper", "a//b", "tab\there"]) {
        harbor.repositories.push(`team-a/${name}`);
      }
      const { items } = await listRepositories(client, "team-a", all, never);
      expect(items.map(({ name }) => name)).to.deep.equal(["team-a/app"]);
    });

    it("are not taken for an empty list where the project is not there", async () => {
      const { kind, message } = await failureOf(listRepositories(client, "nowhere", all, never));
      expect(kind).to.equal("client-error");
      expect(message).to.match(
        /^list repositories of nowhere, page 1 of http.*: 404 NOT_FOUND: project nowhere/,
      );
    });

    it("are refused to a login that is no good, and it is not sent again at once", async () => {
      const stranger = clientOf(harbor.url, "wrong");
      const { kind, message } = await failureOf(listRepositories(stranger, "team-a", all, never));
      expect(kind).to.equal("login-refused");
      expect(message).to.include("401, it does not accept the login").and.not.include("wrong");
      await failureOf(listRepositories(stranger, "team-a", all, never));
      expect(harbor.requests).to.have.length(1);
      stranger.close();
    });

    it("say which right a robot lacks", async () => {
      const pull: Permission = {
        kind: "project",
        namespace: "*",
        access: [{ resource: "repository", action: "pull" }],
      };
      const robot = { kind: "robot", name: "robot$p", secret: "s", disabled: false } as const;
      harbor.logins.robots.set("robot$p", { ...robot, permissions: [pull] });
      harbor.repositories.push("team-a/app", { tags: ["1"] });
      const puller = clientOf(harbor.url, "s", "robot$p");
      const cases = [
        [listRepositories(puller, "team-a", all, never), "repository:list"],
        [listTags(puller, "team-a/app", all, never), "artifact:list"],
        [readTag(puller, "team-a/app", "1", never), "artifact:read"],
      ] as const;
      for (const [refused, right] of cases) {
        const { message } = await failureOf(refused);
        expect(message).to.include(`403 FORBIDDEN: forbidden, the login needs ${right} on the project`);
      }
      puller.close();
    });
  });

  describe("searched in some projects", () => {
    const searched = (...names: string[]) => names.map((name) => ({ name, id: idOf(name) }));

    beforeEach(() => {
      for (const name of ["team-a/api", "team-b/api", "library/api", "library/web", "2024/api"]) {
        harbor.repositories.push(name);
      }
    });

    it("are found in these and no others", async () => {
      const found = await searchRepositories(
        client,
        searched("team-a", "library"),
        { search: "Api", limit: 10 },
        never,
      );
      expect(namesOf(found)).to.deep.equal(["library/api", "team-a/api"]);
      expect(found.next).to.equal(null);
      expect(lastQuery().get("q")).to.equal(`name=~api,project_id={${idOf("team-a")} ${idOf("library")}}`);
    });

    it("are found by a robot that may list them", async () => {
      const robot = { kind: "robot", name: "robot$l", secret: "s", disabled: false } as const;
      const access = [{ resource: "repository", action: "list" }];
      const permissions: readonly Permission[] = [{ kind: "project", namespace: "team-a", access }];
      harbor.logins.robots.set("robot$l", { ...robot, permissions });
      const lister = clientOf(harbor.url, "s", "robot$l");
      const wanted = { search: "api", limit: 10 };
      const found = await searchRepositories(lister, searched("team-a", "team-b"), wanted, never);
      expect(namesOf(found)).to.deep.equal(["team-a/api"]);
      lister.close();
    });

    it("are filtered again here, whatever the Harbor makes of the question", async () => {
      const id = idOf("team-b");
      const found = await searchRepositories(
        client,
        [{ name: "team-a", id }],
        { search: "api", limit: 10 },
        never,
      );
      expect(lastQuery().get("q")).to.include(`{${id}}`);
      expect(found.items).to.deep.equal([]);
    });

    it("say that there are more than are wanted", async () => {
      const wanted = { search: "api", limit: 2 };
      const found = await searchRepositories(client, searched("team-a", "team-b", "library"), wanted, never);
      expect(namesOf(found)).to.deep.equal(["library/api", "team-a/api"]);
      expect(found.next).to.equal("more");
    });

    it("cost as much, whatever else the Harbor holds", async () => {
      const requests = async () => {
        const before = harbor.requests.length;
        await searchRepositories(client, searched("team-a"), { search: "api", limit: 2 }, never);
        return harbor.requests.slice(before).map(({ path }) => path);
      };
      const alone = await requests();
      for (let n = 0; n < 500; n += 1) harbor.repositories.push(`team-b/api-${n}`);
      expect(await requests()).to.deep.equal(alone);
      expect(alone).to.have.length(2);
    });

    it("are asked for in some requests, two at a time, up to a bound, and then it says that there may be more", async () => {
      const many = Array.from({ length: 3_001 }, (_, n) => ({ name: `p${n}`, id: 1_000_000_000 + n }));
      const wanted = { search: "api", limit: 100 };
      const found = await searchRepositories(client, [...searched("team-a"), ...many], wanted, never);
      expect(namesOf(found)).to.deep.equal(["team-a/api"]);
      expect(found.next).to.equal("more");
      const searches = harbor.requests.filter(({ path }) => path.startsWith("/api/v2.0/repositories?"));
      expect(searches).to.have.length(6);
      expect(Math.max(...searches.map(({ path }) => path.length))).to.be.lessThan(8_000);
      expect(Math.max(...searches.map(({ atATime }) => atATime))).to.be.at.most(2);
      const all = await searchRepositories(client, many.slice(0, 3_000), wanted, never);
      expect(all.next).to.equal(null);
    });

    it("are not searched for in no project, nor for no text", async () => {
      const nothing = { items: [], next: null };
      const broken = [
        { name: "team-a", id: 1.5 },
        { name: "team-a", id: Number.NaN },
      ];
      expect(await searchRepositories(client, [], { search: "api", limit: 9 }, never)).to.deep.equal(nothing);
      expect(await searchRepositories(client, broken, { search: "a", limit: 9 }, never)).to.deep.equal(
        nothing,
      );
      const some = searched("team-a");
      expect(await searchRepositories(client, some, { search: "", limit: 9 }, never)).to.deep.equal(nothing);
      expect(harbor.requests).to.deep.equal([]);
    });

    it("are not taken for those that everybody sees where the login is no good", async () => {
      const stranger = clientOf(harbor.url, "wrong");
      const wanted = { search: "api", limit: 10 };
      const { kind } = await failureOf(
        searchRepositories(stranger, searched("library", "team-a"), wanted, never),
      );
      expect(kind).to.equal("login-refused");
      expect(harbor.requests.map(({ path }) => path)).to.deep.equal(["/api/v2.0/systeminfo"]);
      stranger.close();
    });

    it("fail as a whole where a part fails", async () => {
      const many = Array.from({ length: 900 }, (_, n) => ({ name: `p${n}`, id: 1_000 + n }));
      harbor.faults.always({ kind: "status", status: 500 }, /project_id%3D%7B1500/);
      const { kind } = await failureOf(searchRepositories(client, many, { search: "api", limit: 10 }, never));
      expect(kind).to.equal("server-error");
    });
  });

  describe("with their tags", () => {
    it("come with digest, size, platforms and the time of the push, newest first", async () => {
      const first = harbor.repositories.push("team-a/app", { tags: ["1.0"], sizeBytes: 1_000 });
      const second = harbor.repositories.push("team-a/app", {
        tags: ["1.1", "latest"],
        platforms: ["linux/amd64", "linux/arm64/v8", "unknown/unknown", "linux/amd64"],
        sizeBytes: 2_000,
      });
      const rows = await listTags(client, "team-a/app", all, never);
      const ofSecond = {
        digest: second.digest,
        sizeBytes: 2_000,
        platforms: ["linux/amd64", "linux/arm64/v8"],
        pushedAt: second.tags[0]?.pushedAt,
      };
      expect(rows).to.deep.equal({
        items: [
          { name: "1.1", ...ofSecond },
          { name: "latest", ...ofSecond },
          {
            name: "1.0",
            digest: first.digest,
            sizeBytes: 1_000,
            platforms: ["linux/amd64"],
            pushedAt: first.tags[0]?.pushedAt,
          },
        ],
        next: null,
      });
    });

    it("are found by a part, as it is written", async () => {
      harbor.repositories.push("team-a/app", { tags: ["v1-RC", "other"] });
      harbor.repositories.push("team-a/app", { tags: ["v1-rc"] });
      const found = (search: string) => listTags(client, "team-a/app", { ...all, search }, never);
      expect(namesOf(await found("-RC"))).to.deep.equal(["v1-RC"]);
      expect(namesOf(await found("v1"))).to.deep.equal(["v1-rc", "v1-RC"]);
      expect(await found("nope")).to.deep.equal({ items: [], next: null });
    });

    it("are read with the name encoded twice, so that a proxy in front does no harm", async () => {
      harbor.repositories.push("team-a/a/b/c", { tags: ["1"] });
      harbor.faults.proxyDecodes = true;
      expect(namesOf(await listTags(client, "team-a/a/b/c", all, never))).to.deep.equal(["1"]);
      expect(await readTag(client, "team-a/a/b/c", "1", never)).to.include({ name: "1" });
      const path = harbor.requests[0]?.path ?? "";
      expect(path).to.match(/^\/api\/v2\.0\/projects\/team-a\/repositories\/a%252Fb%252Fc\/artifacts\?/);
    });

    it("come in parts from 10,000 artifacts, each once, and a part costs one page", async () => {
      for (let n = 0; n < 10_000; n += 1) harbor.repositories.push("team-a/app", { tags: [`v${n}`] });
      const parts = await inParts((after) => listTags(client, "team-a/app", { ...all, after }, never));
      expect(parts).to.have.length(100);
      expect(harbor.requests).to.have.length(100);
      expect(lastQuery().get("page_size")).to.equal("100");
      const names = parts.flat().map(({ name }) => name);
      expect(new Set(names).size).to.equal(10_000);
      expect(names.slice(0, 2)).to.deep.equal(["v9999", "v9998"]);
    }).timeout(20_000);

    it("come in parts from one artifact with 10,000 of them", async () => {
      const tags = Array.from({ length: 10_000 }, (_, n) => `v${n}`);
      harbor.repositories.push("team-a/app", { tags });
      harbor.repositories.push("team-a/app", { tags: ["newer"] });
      const first = await listTags(client, "team-a/app", all, never);
      expect(first?.items).to.have.length(100);
      expect(first?.items[0]?.name).to.equal("newer");
      const second = await listTags(client, "team-a/app", { ...all, after: first?.next ?? "" }, never);
      expect(second?.items).to.have.length(100);
      expect(namesOf(second)).to.not.include.members(namesOf(first) ?? []);
      const last = await listTags(client, "team-a/app", { ...all, after: "1.10000" }, never);
      expect(last?.items).to.have.length(1);
      expect(last?.next).to.equal(null);
    }).timeout(20_000);

    it("leave out what no Pod runs, and look on where a page is full of it", async () => {
      harbor.repositories.push("team-a/app", { tags: ["image"] });
      for (let n = 0; n < 4; n += 1)
        harbor.repositories.push("team-a/app", { tags: [`c${n}`], type: "CHART" });
      const rows = await listTags(client, "team-a/app", { ...all, limit: 2 }, never);
      expect(namesOf(rows)).to.deep.equal(["image"]);
      expect(rows?.next).to.equal(null);
    });

    it("stop looking after some pages, with the way on", async () => {
      for (let n = 0; n < 20; n += 1)
        harbor.repositories.push("team-a/app", { tags: [`c${n}`], type: "CHART" });
      const rows = await listTags(client, "team-a/app", { ...all, limit: 2 }, never);
      expect(rows).to.deep.equal({ items: [], next: "6" });
      expect(harbor.requests).to.have.length(5);
    });

    it("are left out where they could not be deployed", async () => {
      harbor.repositories.push("team-a/app", {
        tags: ["1", markup, backwards, "-a", "a\nb", "x".repeat(129)],
      });
      expect(namesOf(await listTags(client, "team-a/app", all, never))).to.deep.equal(["1"]);
    });

    it("are none of a repository that vanished, which an empty one is not", async () => {
      harbor.repositories.push("team-a/app", { tags: ["1"] });
      harbor.repositories.push("team-a/untagged");
      const nothing = { items: [], next: null };
      expect(await listTags(client, "team-a/untagged", all, never)).to.deep.equal(nothing);
      harbor.repositories.remove("team-a/app");
      expect(await listTags(client, "team-a/app", all, never)).to.equal(null);
      expect(await readTag(client, "team-a/app", "1", never)).to.equal(null);
      harbor.projects.remove("team-a");
      expect(await listTags(client, "team-a/untagged", all, never).catch(() => "gone")).to.be.oneOf([
        null,
        "gone",
      ]);
    });

    for (const repository of [
      "app",
      "team-a/",
      "team-a/../team-b/app",
      "team-a/App",
      "te__am/app",
      markup,
      "",
    ]) {
      it(`are none of ${repository === "" ? "the empty name" : repository}`, async () => {
        expect(await listTags(client, repository, all, never)).to.equal(null);
        expect(await readTag(client, repository, "1", never)).to.equal(null);
        expect(harbor.requests).to.deep.equal([]);
      });
    }

    it("are read one by one", async () => {
      const artifact = harbor.repositories.push("team-a/app", { tags: ["1", "2"], sizeBytes: 7 });
      expect(await readTag(client, "team-a/app", "2", never)).to.deep.equal({
        name: "2",
        digest: artifact.digest,
        sizeBytes: 7,
        platforms: ["linux/amd64"],
        pushedAt: artifact.tags[1]?.pushedAt,
      });
      expect(await readTag(client, "team-a/app", "3", never)).to.equal(null);
      for (const tag of ["", "../x", `sha256:${"a".repeat(64)}`, markup]) {
        expect(await readTag(client, "team-a/app", tag, never)).to.equal(null);
      }
      expect(harbor.requests).to.have.length(2);
    });

    it("are not there to be read where something in front says 404", async () => {
      harbor.faults.always({ kind: "html", status: 404 });
      expect((await failureOf(readTag(client, "team-a/app", "1", never))).kind).to.equal("client-error");
      expect((await failureOf(listTags(client, "team-a/app", all, never))).kind).to.equal("client-error");
    });
  });

  it("are asked for no longer when whoever asked has gone", async () => {
    harbor.faults.always({ kind: "silence" });
    const questions: ((signal: AbortSignal) => Promise<unknown>)[] = [
      (signal) => listRepositories(client, "team-a", all, signal),
      (signal) => searchRepositories(client, [{ name: "team-a", id: 2 }], { search: "a", limit: 9 }, signal),
      (signal) => listTags(client, "team-a/app", all, signal),
      (signal) => readTag(client, "team-a/app", "1", signal),
    ];
    for (const ask of questions) {
      const before = harbor.requests.length;
      const leaving = new AbortController();
      const answer = ask(leaving.signal).catch((err: unknown) => err);
      await eventually(() => harbor.requests.length > before);
      leaving.abort(new Error("gone"));
      expect(await answer).to.have.property("message", "gone");
      expect(harbor.requests).to.have.length(before + 1);
    }
  });
});

describe("the repositories of a server that is no good Harbor", () => {
  const digest = `sha256:${"a".repeat(64)}`;

  /** One server that answers everything with this, and sees when a request ends early. */
  async function serve(body: unknown, headers: Record<string, string> = { "x-total-count": "1" }) {
    const seen: IncomingMessage[] = [];
    const server = createServer((request: IncomingMessage, response: ServerResponse) => {
      seen.push(request);
      if (body === "silence") return;
      response.writeHead(200, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const client = clientOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    return {
      client,
      seen,
      close() {
        client.close();
        server.closeAllConnections();
        return new Promise((resolve) => server.close(resolve));
      },
    };
  }

  const rowsOfRepositories: [title: string, row: unknown, expected: unknown][] = [
    ["counts and times are what they should be", { artifact_count: 3 }, { artifacts: 3, updatedAt: null }],
    ["a count below zero", { artifact_count: -1 }, { artifacts: null, updatedAt: null }],
    [
      "a count that is too large to be exact",
      { artifact_count: 2 ** 60 },
      { artifacts: null, updatedAt: null },
    ],
    ["a count as text", { artifact_count: "3" }, { artifacts: null, updatedAt: null }],
    ["never", { update_time: "0001-01-01T00:00:00.000Z" }, { artifacts: null, updatedAt: null }],
    ["a time that is markup", { update_time: "<b>now</b>" }, { artifacts: null, updatedAt: null }],
    [
      "a time that another parser would take",
      { update_time: "Mar 1 2026" },
      { artifacts: null, updatedAt: null },
    ],
    [
      "a time with nanoseconds and a zone",
      { update_time: "2026-03-01T13:00:00.123456789+01:00" },
      { artifacts: null, updatedAt: Date.parse("2026-03-01T12:00:00.123Z") },
    ],
  ];
  for (const [title, row, expected] of rowsOfRepositories) {
    it(`read ${title} as ${JSON.stringify(expected)}`, async () => {
      const server = await serve([{ name: "team-a/app", ...(row as object) }]);
      const { items } = await listRepositories(server.client, "team-a", all, never);
      expect(items).to.deep.equal([{ name: "team-a/app", ...(expected as object) }]);
      await server.close();
    });
  }

  it("leave out rows that are none, and those of other projects", async () => {
    const rows = [null, 3, "team-a/x", [], {}, { name: 3 }, { name: "team-b/app" }, { name: "team-a" }];
    const server = await serve([...rows, { name: "team-a/app" }]);
    const found = await listRepositories(server.client, "team-a", all, never);
    expect(namesOf(found)).to.deep.equal(["team-a/app"]);
    await server.close();
  });

  const artifacts: [title: string, artifact: object, expected: object][] = [
    ["a digest of another algorithm", { digest: `md5:${"a".repeat(32)}` }, { digest: null }],
    ["a digest with markup", { digest: `${digest}<b>` }, { digest: null }],
    ["a size below zero", { size: -1 }, { sizeBytes: null }],
    ["a size that is no whole number", { size: 1.5 }, { sizeBytes: null }],
    ["a platform that is markup", { extra_attrs: { os: "<b>", architecture: "amd64" } }, { platforms: [] }],
    ["half a platform", { extra_attrs: { architecture: "amd64" } }, { platforms: [] }],
    [
      "a variant that is none",
      { extra_attrs: { os: "linux", architecture: "arm64", variant: "v8\n" } },
      { platforms: ["linux/arm64"] },
    ],
    [
      "references that are none",
      { references: [null, 3, {}, { platform: null }, { platform: { os: "linux", architecture: "s390x" } }] },
      { platforms: ["linux/s390x"] },
    ],
    [
      "references that are no list",
      { references: { platform: { os: "linux", architecture: "a" } } },
      { platforms: [] },
    ],
  ];
  for (const [title, artifact, expected] of artifacts) {
    it(`read ${title} as ${JSON.stringify(expected)}`, async () => {
      const server = await serve([{ digest, size: 5, tags: [{ name: "1", push_time: null }], ...artifact }]);
      const rows = await listTags(server.client, "team-a/app", all, never);
      const usual = { name: "1", digest, sizeBytes: 5, platforms: [], pushedAt: null };
      expect(rows?.items).to.deep.equal([{ ...usual, ...expected }]);
      await server.close();
    });
  }

  it("bound the platforms of an index", async () => {
    const references = Array.from({ length: 5_000 }, (_, n) => ({
      platform: { os: "linux", architecture: `a${n}` },
    }));
    const server = await serve([{ digest, references, tags: [{ name: "1" }] }]);
    const rows = await listTags(server.client, "team-a/app", all, never);
    expect(rows?.items[0]?.platforms).to.have.length(50);
    await server.close();
  });

  it("leave out tags that are none", async () => {
    const tags = [null, 3, {}, { name: 3 }, { name: "" }, { name: markup }, { name: "1" }];
    const server = await serve([null, 3, { tags: null }, { tags: "1" }, { digest, tags }]);
    expect(namesOf(await listTags(server.client, "team-a/app", all, never))).to.deep.equal(["1"]);
    await server.close();
  });

  const malformed: [title: string, body: unknown, headers: Record<string, string>, story: RegExp][] = [
    ["no total", [], {}, /X-Total-Count/],
    ["a total that is none", [], { "x-total-count": "-1" }, /X-Total-Count/],
    ["no list", { errors: [] }, { "x-total-count": "0" }, /expected a list/],
  ];
  for (const [title, body, headers, story] of malformed) {
    it(`are not read from an answer with ${title}`, async () => {
      const server = await serve(body, headers);
      const failure = await failureOf(listRepositories(server.client, "team-a", all, never));
      expect(failure.kind).to.equal("malformed");
      expect(failure.message).to.match(story);
      await server.close();
    });
  }

  it("are none where the list is null", async () => {
    const server = await serve(null, { "x-total-count": "0" });
    const nothing = { items: [], next: null };
    expect(await listRepositories(server.client, "team-a", all, never)).to.deep.equal(nothing);
    await server.close();
  });

  it("are asked for on a connection that ends when whoever asked has gone", async () => {
    const server = await serve("silence");
    const leaving = new AbortController();
    const answer = listTags(server.client, "team-a/app", all, leaving.signal).catch((err: unknown) => err);
    await eventually(() => server.seen.length === 1);
    leaving.abort(new Error("gone"));
    expect(await answer).to.have.property("message", "gone");
    await eventually(() => server.seen[0]?.socket.destroyed === true);
    await server.close();
  });
});
