import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "chai";

import type { Permission } from "../../src/demo/stand-in-callers.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { HarborError } from "../../src/harbor/harbor-answer.ts";
import { createHarborClient, type HarborClient } from "../../src/harbor/harbor-client.ts";
import { readPullGrant, readPullGrants } from "../../src/harbor/token-service.ts";

const never = new AbortController().signal;

function clientOf(url: string, username: string, password: string): HarborClient {
  const credentials = () => ({ username, password });
  return createHarborClient({ url, credentials, timeoutMs: 1_000, now: () => 0, random: () => 0 });
}

describe("the token service", () => {
  let harbor: StandInHarbor;

  before(async () => {
    harbor = await startStandInHarbor({
      adminPassword: "right",
      lockMs: 0,
      projects: [{ name: "library", visibility: "public" }, { name: "team-a" }, { name: "team-b" }],
    });
    const pull: Permission = {
      kind: "project",
      namespace: "team-a",
      access: [{ resource: "repository", action: "pull" }],
    };
    const robot = { kind: "robot", secret: "s", disabled: false } as const;
    harbor.logins.robots.set("robot$a", { ...robot, name: "robot$a", permissions: [pull] });
    harbor.logins.robots.set("robot$off", {
      ...robot,
      name: "robot$off",
      permissions: [pull],
      disabled: true,
    });
  });
  after(() => harbor.close());

  const cases: [title: string, space: string, login: string, granted: boolean][] = [
    ["the administrator may pull from a private space", "team-a", "admin:right", true],
    ["a robot may pull from its space", "team-a", "robot$a:s", true],
    ["a robot may not pull from another", "team-b", "robot$a:s", false],
    ["a robot may pull from a public one", "library", "robot$a:s", true],
    ["nobody may pull from one that is not there", "nowhere", "admin:right", false],
  ];
  for (const [title, space, login, granted] of cases) {
    it(title, async () => {
      const [username = "", password = ""] = login.split(":");
      const client = clientOf(harbor.url, username, password);
      expect(await readPullGrant(client, space, never)).to.equal(granted);
      client.close();
    });
  }

  it("answers for many spaces, twenty in a request", async () => {
    const client = clientOf(harbor.url, "robot$a", "s");
    const before = harbor.requests.length;
    const others = Array.from({ length: 40 }, (_, n) => `other-${n}`);
    const grants = await readPullGrants(client, ["team-b", ...others, "team-a", "library"], never);
    expect(grants.size).to.equal(43);
    expect([...grants].filter(([, granted]) => granted)).to.deep.equal([
      ["team-a", true],
      ["library", true],
    ]);
    expect(harbor.requests).to.have.length(before + 3);
    expect(await readPullGrants(client, [], never)).to.deep.equal(new Map());
    expect(harbor.requests).to.have.length(before + 3);
    client.close();
  });

  it("is asked within what proxies take for an address", async () => {
    const client = clientOf(harbor.url, "admin", "right");
    const names = Array.from({ length: 20 }, (_, n) => `${"x".repeat(250)}${n}`);
    await readPullGrants(client, names, never);
    expect(harbor.requests.at(-1)?.path.length).to.be.lessThan(8_000);
    client.close();
  });

  for (const [title, login] of [
    ["a wrong password", "admin:wrong"],
    ["a disabled robot", "robot$off:s"],
  ] as const) {
    it(`gives ${title} a token for nobody, which is no answer, and is not asked for again at once`, async () => {
      const [username = "", password = ""] = login.split(":");
      const client = clientOf(harbor.url, username, password);
      const before = harbor.requests.length;
      for (const space of ["team-a", "library"]) {
        const err: unknown = await readPullGrant(client, space, never).catch((reason: unknown) => reason);
        expect(err).to.be.instanceOf(HarborError).and.include({ kind: "login-refused" });
      }
      expect(harbor.requests).to.have.length(before + 1);
      client.close();
    });
  }
});

describe("a token", () => {
  let server: Server;
  let client: HarborClient;
  let answer: unknown;

  before(async () => {
    server = createServer((_, response) => {
      response.setHeader("content-type", "application/json").end(JSON.stringify(answer));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    client = clientOf(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, "admin", "x");
  });
  after(() => {
    client.close();
    server.close();
  });

  const tokenOf = (claims: unknown) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.sig`;
  const pull = { type: "repository", name: "team-a/any", actions: ["pull"] };

  const unreadable: [title: string, answer: unknown][] = [
    ["that is missing", {}],
    ["that is no text", { token: 7 }],
    ["without parts", { token: "abc" }],
    ["whose claims are no JSON", { token: "a.b.c" }],
    ["whose claims are a list", { token: tokenOf([]) }],
  ];
  for (const [title, body] of unreadable) {
    it(`${title} is an error`, async () => {
      answer = body;
      const err: unknown = await readPullGrant(client, "team-a", never).catch((reason: unknown) => reason);
      expect(err).to.be.instanceOf(HarborError).and.include({ kind: "malformed" });
    });
  }

  const readable: [title: string, access: unknown, granted: boolean][] = [
    ["for pull grants it", [pull], true],
    ["without access grants nothing", undefined, false],
    ["with null actions grants nothing", [{ ...pull, actions: null }], false],
    ["for push alone grants no pull", [{ ...pull, actions: ["push"] }], false],
    ["for another repository grants nothing here", [{ ...pull, name: "team-b/any" }], false],
    ["for something else of that name grants nothing", [{ ...pull, type: "registry" }], false],
  ];
  for (const [title, access, granted] of readable) {
    it(title, async () => {
      answer = { token: tokenOf({ sub: "admin", access }) };
      expect(await readPullGrant(client, "team-a", never)).to.equal(granted);
    });
  }
});
