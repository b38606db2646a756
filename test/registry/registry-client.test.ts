import { expect } from "chai";

import { selfSigned, type IssuedCertificate } from "../../src/certificates/self-signed.ts";
import type { CallFailure } from "../../src/http-exchange.ts";
import { RegistryError } from "../../src/registry/registry-answer.ts";
import {
  createRegistryClient,
  type Credentials,
  type RegistryClient,
} from "../../src/registry/registry-client.ts";
import { startFakeRegistry, type FakeRegistry } from "../fakes/registry.ts";

const never = new AbortController().signal;
const right = { username: "reader", password: "Right-secret1" };
const tags = {
  what: "list tags",
  path: "/v2/team/app/tags/list",
  scope: "repository:team/app:pull",
  signal: never,
};
const repositories = { "team/app": ["1", "2"], app: ["1"] };

async function failureOf(promise: Promise<unknown>): Promise<RegistryError> {
  const err: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(err).to.be.instanceOf(RegistryError);
  return err as RegistryError;
}

describe("the registry client", () => {
  let registry: FakeRegistry;
  let client: RegistryClient;
  let now: number;
  let login: Credentials | undefined;
  let observed: string[];

  function connect(url: string, more: { ca?: string; timeoutMs?: number } = {}): RegistryClient {
    return createRegistryClient({
      url,
      credentials: () => login,
      timeoutMs: more.timeoutMs ?? 2_000,
      ca: more.ca,
      now: () => now,
      random: () => 0,
      observe: (outcome) => observed.push(outcome),
    });
  }

  beforeEach(async () => {
    now = 1_000_000;
    login = right;
    observed = [];
    registry = await startFakeRegistry({ login: right, repositories });
    client = connect(registry.url);
  });
  afterEach(async () => {
    client.close();
    await registry.close();
  });

  const asked = () => registry.requests.map(({ path, login: kind }) => `${kind} ${path}`.trim());
  const tokenPath = (scope: string) => `/token?service=registry.test&scope=${encodeURIComponent(scope)}`;

  it("shows an open registry no login", async () => {
    expect((await client.send(tags)).body).to.deep.equal({ name: "team/app", tags: ["1", "2"] });
    expect(asked()).to.deep.equal([tags.path]);
    expect(observed).to.deep.equal(["ok"]);
  });

  it("gives back a refusal of the registry's own", async () => {
    const answer = await client.send({ ...tags, path: "/v2/none/tags/list" });
    expect(answer.status).to.equal(404);
    expect(answer.failure("client-error", "404").message).to.match(
      /^list tags of http:\/\/127\.0\.0\.1:\d+: 404$/,
    );
  });

  describe("with a registry that asks for a login", () => {
    beforeEach(() => {
      registry.access = { kind: "basic" };
    });

    it("shows it when asked for, and from then on at once", async () => {
      await client.send(tags);
      await client.send(tags);
      expect(asked()).to.deep.equal([tags.path, `Basic ${tags.path}`, `Basic ${tags.path}`]);
      expect(registry.failedLogins).to.equal(0);
    });

    it("says so when there is none", async () => {
      login = undefined;
      const err = await failureOf(client.send(tags));
      expect(err.kind).to.equal("login-refused");
      expect(err.message).to.match(/401, it asks for a login and there is none$/);
    });

    it("rests one that was refused", async () => {
      login = { ...right, password: "wrong" };
      const err = await failureOf(client.send(tags));
      expect(err.kind).to.equal("login-refused");
      expect(err.message).to.match(/401, it does not accept the login$/);
      for (let n = 0; n < 3; n += 1) {
        expect((await failureOf(client.send(tags))).message).to.match(/refused the login a moment ago/);
      }
      expect(registry.failedLogins).to.equal(1);

      now += 10_000;
      await failureOf(client.send(tags));
      expect(registry.failedLogins).to.equal(2);
    });

    it("rests one that was good and is not any more", async () => {
      await client.send(tags);
      registry.login = { ...right, password: "changed" };
      await failureOf(client.send(tags));
      await failureOf(client.send(tags));
      expect(registry.failedLogins).to.equal(1);
    });

    it("uses a corrected login at once", async () => {
      login = { ...right, password: "wrong" };
      await failureOf(client.send(tags));
      login = right;
      expect((await client.send(tags)).status).to.equal(200);
    });
  });

  describe("with a registry that asks for a token", () => {
    beforeEach(() => {
      registry.access = { kind: "token" };
    });

    it("gets one with its login, which the registry itself then does not see", async () => {
      expect((await client.send(tags)).status).to.equal(200);
      expect(asked()).to.deep.equal([
        tags.path,
        `Basic ${tokenPath("repository:team/app:pull")}`,
        `Bearer ${tags.path}`,
      ]);
    });

    it("gets one without login where there is none", async () => {
      login = undefined;
      expect((await client.send(tags)).status).to.equal(200);
      expect(asked()[1]).to.equal(tokenPath("repository:team/app:pull"));
    });

    it("keeps it for as long as it lives, and for what it opens", async () => {
      await client.send(tags);
      await client.send(tags);
      expect(registry.requests).to.have.length(4);
      await client.send({ ...tags, path: "/v2/app/tags/list", scope: "repository:app:pull" });
      expect(registry.requests).to.have.length(7);

      now += 300_000;
      await client.send(tags);
      expect(registry.requests).to.have.length(10);
    });

    const lifetimes: [title: string, answer: Record<string, unknown>, ms: number][] = [
      ["a minute where the service does not say", { expires_in: undefined }, 60_000],
      ["a minute for a time that is none", { expires_in: -5 }, 60_000],
      ["an hour at most", { expires_in: 86_400 }, 3_600_000],
    ];
    for (const [title, answer, ms] of lifetimes) {
      it(`keeps it ${title}`, async () => {
        registry.tokenAnswer = answer;
        await client.send(tags);
        now += ms - 1;
        await client.send(tags);
        expect(registry.requests).to.have.length(4);
        now += 1;
        await client.send(tags);
        expect(registry.requests).to.have.length(7);
      });
    }

    it("uses no token of another login", async () => {
      await client.send(tags);
      login = undefined;
      await client.send(tags);
      expect(asked().slice(3)).to.deep.equal([
        tags.path,
        tokenPath("repository:team/app:pull"),
        `Bearer ${tags.path}`,
      ]);
    });

    it("gets another one, once, when the registry takes the one it has no longer", async () => {
      await client.send(tags);
      registry.opens = () => false;
      expect((await client.send(tags)).status).to.equal(401);
      expect(asked().slice(3)).to.deep.equal([
        `Bearer ${tags.path}`,
        `Basic ${tokenPath("repository:team/app:pull")}`,
        `Bearer ${tags.path}`,
      ]);
    });

    it("gives back the 401 to a token that does not open this, and rests no login for it", async () => {
      registry.opens = () => false;
      expect((await client.send(tags)).status).to.equal(401);
      registry.opens = () => true;
      expect((await client.send(tags)).status).to.equal(200);
      expect(registry.failedLogins).to.equal(0);
    });

    it("rests a login that the token service refused", async () => {
      login = { ...right, password: "wrong" };
      const err = await failureOf(client.send(tags));
      expect(err.kind).to.equal("login-refused");
      expect(err.message).to.match(/^list tags, for a token of .*: 401, it does not accept the login$/);
      await failureOf(client.send({ ...tags, scope: "repository:app:pull" }));
      expect(registry.failedLogins).to.equal(1);
    });

    it("takes the name access_token for a token as well", async () => {
      registry.tokenAnswer = { token: "", access_token: "token-0" };
      expect((await client.send(tags)).status).to.equal(200);
    });

    const unreadable: [title: string, answer: Record<string, unknown>][] = [
      ["no token", { token: undefined }],
      ["a number", { token: 7 }],
      ["one that would break the header", { token: "a\r\nx-admin: 1" }],
      ["one that no request can carry", { token: "a".repeat(20_000) }],
    ];
    for (const [title, answer] of unreadable) {
      it(`is told when the service gives ${title}`, async () => {
        registry.tokenAnswer = answer;
        const err = await failureOf(client.send(tags));
        expect(err.kind).to.equal("malformed");
        expect(err.message).to.match(/for a token of .*: it gave no token that can be read$/);
      });
    }
  });

  it("prefers a token where both are offered", async () => {
    const both = `Basic realm="x, y", Bearer realm="${registry.url}/token",service="s"`;
    registry.access = { kind: "token" };
    registry.instead = (path) => {
      const first = path.startsWith("/v2/") && registry.requests.length === 1;
      return first ? { status: 401, headers: { "www-authenticate": both } } : undefined;
    };
    expect((await client.send(tags)).status).to.equal(200);
    expect(asked()[1]).to.match(/^Basic \/token/);
  });

  it("says so when it knows no login of the kind", async () => {
    registry.instead = () => ({ status: 401, headers: { "www-authenticate": "Negotiate" } });
    const err = await failureOf(client.send(tags));
    expect(err.kind).to.equal("login-refused");
    expect(asked()).to.deep.equal([tags.path]);
  });

  it("asks no token service over HTTP that is not the registry itself", async () => {
    const elsewhere = await startFakeRegistry();
    registry.access = { kind: "token", realm: `${elsewhere.url}/token` };
    const err = await failureOf(client.send(tags));
    expect(err.kind).to.equal("malformed");
    expect(err.message).to.include(`it sends to ${elsewhere.url}/token for a token`);
    expect(elsewhere.requests).to.deep.equal([]);
    await elsewhere.close();
  });

  it("follows no redirect", async () => {
    const elsewhere = await startFakeRegistry();
    registry.access = { kind: "basic" };
    await client.send(tags);
    registry.instead = () => ({ status: 307, headers: { location: `${elsewhere.url}/v2/?ticket=secret` } });
    const err = await failureOf(client.send(tags));
    expect(err.kind).to.equal("malformed");
    expect(err.message).to.include(`307, a redirect to ${elsewhere.url}/v2/, is not followed`);
    expect(elsewhere.requests).to.deep.equal([]);
    await elsewhere.close();
  });

  /** What goes wrong, what is made of it, what the error says, and how many requests it took. */
  const html = { "content-type": "text/html" };
  const cases: [title: string, answer: ReturnType<FakeRegistry["instead"]>, CallFailure, RegExp, number][] = [
    ["500", { status: 500 }, "server-error", /: 500, after 3 tries$/, 3],
    [
      "a page",
      { status: 200, headers: html, body: "<html>" },
      "malformed",
      /200 with text\/html instead of JSON/,
      1,
    ],
    [
      "half an answer",
      { status: 200, headers: { "content-type": "application/json" }, body: '{"name":' },
      "malformed",
      /the JSON of 8 characters is broken$/,
      1,
    ],
  ];
  for (const [title, answer, kind, text, requests] of cases) {
    it(`says what went wrong: ${title}`, async () => {
      registry.instead = () => answer;
      const err = await failureOf(client.send(tags));
      expect(err.kind).to.equal(kind);
      expect(err.message).to.match(text);
      expect(registry.requests).to.have.length(requests);
      expect(observed).to.deep.equal(Array(requests).fill(kind));
    });
  }

  it("succeeds when a second try does", async () => {
    registry.instead = () => (registry.requests.length === 1 ? { status: 503 } : undefined);
    expect((await client.send(tags)).status).to.equal(200);
    expect(observed).to.deep.equal(["server-error", "ok"]);
  });

  it("gives up between two tries when its caller does", async () => {
    registry.instead = () => ({ status: 500 });
    const caller = new AbortController();
    const sent = client.send({ ...tags, signal: caller.signal });
    setTimeout(() => caller.abort(new Error("stopped")), 50);
    const reason: unknown = await sent.catch((err: unknown) => err);
    expect(reason).to.have.property("message", "stopped");
    expect(registry.requests).to.have.length(1);
  });

  it("says so when nothing listens", async () => {
    await registry.close();
    const err = await failureOf(client.send(tags));
    expect(err.kind).to.equal("unreachable");
    expect(err.message).to.match(/ECONNREFUSED.*, after 3 tries$/);
  });

  it("lets neither password nor token into an error", async () => {
    registry.access = { kind: "token" };
    registry.tokenAnswer = { token: "secret-token" };
    const basic = btoa(`${right.username}:${right.password}`);
    const challenge = `Bearer realm="https://a:${right.password}@x.test/"`;
    const answers = [
      { to: "Bearer", status: 500 },
      {
        to: "Bearer",
        status: 307,
        headers: { location: `https://reader:${right.password}@elsewhere.test/` },
      },
      { to: "", status: 401, headers: { "www-authenticate": challenge } },
    ];
    for (const { to, ...answer } of answers) {
      registry.instead = (path) =>
        path.startsWith("/v2/") && registry.requests.at(-1)?.login === to ? answer : undefined;
      const err = await failureOf(connect(registry.url).send(tags));
      const text = `${err.stack ?? ""} ${JSON.stringify(err)}`;
      expect(text).to.not.match(new RegExp(`${right.password}|${basic}|secret-token`));
    }
  });

  describe("over TLS", () => {
    let issued: IssuedCertificate;
    let secure: FakeRegistry;
    let elsewhere: FakeRegistry;

    before(async () => {
      issued = await selfSigned(["127.0.0.1"], Date.now());
      const tls = { key: issued.key, cert: issued.certificate };
      elsewhere = await startFakeRegistry({ tls, login: right });
      const access = { kind: "token", realm: `${elsewhere.url}/token` } as const;
      secure = await startFakeRegistry({ tls, access, repositories });
    });
    after(() => Promise.all([secure.close(), elsewhere.close()]));

    it("trusts the authority that it was given, and no other", async () => {
      const trusting = connect(secure.url, { ca: issued.ca });
      expect((await trusting.sendWithoutLogin(tags)).status).to.equal(401);
      trusting.close();
      const err = await failureOf(connect(secure.url).send(tags));
      expect(err.kind).to.equal("unreachable");
      expect(err.message).to.match(/certificate/);
    });

    it("sends its login to no token service elsewhere, and says so", async () => {
      const trusting = connect(secure.url, { ca: issued.ca });
      const err = await failureOf(trusting.send(tags));
      expect(err.kind).to.equal("login-refused");
      expect(err.message).to.include(
        `401, its token service ${elsewhere.url} is another server, to which the login is not sent`,
      );
      expect(elsewhere.requests.map(({ login: kind }) => kind)).to.deep.equal([""]);
      trusting.close();
    });

    it("says the same when that service gives nothing to a stranger", async () => {
      elsewhere.instead = () => ({ status: 401 });
      const trusting = connect(secure.url, { ca: issued.ca });
      const err = await failureOf(trusting.send(tags));
      expect(err.message).to.include("is another server, to which the login is not sent");
      trusting.close();
    });
  });
});
