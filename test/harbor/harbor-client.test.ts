import { execFile } from "node:child_process";
import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { expect } from "chai";

import { selfSigned, type IssuedCertificate } from "../../src/certificates/self-signed.ts";
import type { Fault } from "../../src/demo/stand-in-faults.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { HarborError, type HarborFailure } from "../../src/harbor/harbor-answer.ts";
import { createHarborClient, type Credentials, type HarborClient } from "../../src/harbor/harbor-client.ts";

const password = "Right-secret1";
const never = new AbortController().signal;
const listProjects = { what: "list projects, page 1", path: "/api/v2.0/projects?page=1", signal: never };

async function failureOf(promise: Promise<unknown>): Promise<HarborError> {
  const err: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(err).to.be.instanceOf(HarborError);
  return err as HarborError;
}

describe("the Harbor client", () => {
  let harbor: StandInHarbor;
  let client: HarborClient;
  let now: number;
  let login: Credentials | undefined;
  let observed: string[];

  function connect(url: string, more: { ca?: string; timeoutMs?: number } = {}): HarborClient {
    return createHarborClient({
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
    login = { username: "admin", password };
    observed = [];
    harbor = await startStandInHarbor({
      adminPassword: password,
      lockMs: 0,
      projects: [{ name: "library", visibility: "public" }, { name: "team-a" }],
    });
    client = connect(harbor.url);
  });
  afterEach(async () => {
    client.close();
    await harbor.close();
  });

  it("asks with its login on every call, and keeps no cookie", async () => {
    await client.send(listProjects);
    const answer = await client.send(listProjects);
    expect(answer.status).to.equal(200);
    expect(answer.headers["x-total-count"]).to.equal("2");
    expect(answer.body).to.have.length(2);
    expect(harbor.requests.map(({ login: name, cookie }) => ({ name, cookie }))).to.deep.equal([
      { name: "admin", cookie: null },
      { name: "admin", cookie: null },
    ]);
    expect(observed).to.deep.equal(["ok", "ok"]);
  });

  it("writes without a cookie, so that Harbor does not take it for a browser", async () => {
    await client.send(listProjects);
    const body = { project_name: "team-b", metadata: { public: "false" } };
    const answer = await client.send({
      what: "create project team-b",
      method: "POST",
      path: "/api/v2.0/projects",
      body,
      signal: never,
    });
    expect(answer.status).to.equal(201);
    expect(answer.body).to.equal(undefined);
    expect(harbor.projects.find("team-b")).to.not.equal(undefined);
  });

  it("gives back a refusal of Harbor's own, to be judged by whoever asked", async () => {
    const answer = await client.send({ what: "look up", path: "/api/v2.0/projects/none", signal: never });
    expect(answer.status).to.equal(404);
    expect(answer.failure("client-error", "404").message).to.match(
      /^look up of http:\/\/127\.0\.0\.1:\d+: 404 \(request [0-9a-f]{32}\)$/,
    );
  });

  /** What goes wrong, what is made of it, what the error says, and how many requests it took. */
  const cases: [fault: Fault, kind: HarborFailure, text: RegExp, requests: number][] = [
    [{ kind: "status", status: 500 }, "server-error", /: 500, after 3 tries$/, 3],
    [{ kind: "html", status: 502 }, "server-error", /: 502, after 3 tries$/, 3],
    [{ kind: "html", status: 200 }, "malformed", /200 with text\/html instead of JSON/, 1],
    // A page that says 404 is not Harbor saying that there is no such project.
    [{ kind: "html", status: 404 }, "client-error", /404 with text\/html instead of JSON/, 1],
    [{ kind: "status", status: 401 }, "login-refused", /401, it does not accept the login/, 1],
    [{ kind: "reset" }, "unreachable", /after 3 tries$/, 3],
    [{ kind: "cut" }, "unreachable", /the answer broke off, after 3 tries$/, 3],
    [{ kind: "half" }, "malformed", /the JSON of \d+ characters is broken/, 1],
    [{ kind: "silence" }, "timeout", /no complete answer within 0\.25 s$/, 1],
  ];
  for (const [fault, kind, text, requests] of cases) {
    const name = "status" in fault ? `${fault.kind} ${fault.status}` : fault.kind;
    it(`says what went wrong: ${name}, after ${requests} requests`, async () => {
      harbor.faults.always(fault);
      const impatient = connect(harbor.url, { timeoutMs: 250 });
      const err = await failureOf(impatient.send(listProjects));
      expect(err.kind).to.equal(kind);
      expect(err.message).to.match(/^list projects, page 1 of http:\/\/127\.0\.0\.1:\d+: /);
      expect(err.message).to.match(text);
      expect(harbor.requests).to.have.length(requests);
      expect(observed).to.deep.equal(Array(requests).fill(kind));
      impatient.close();
    });
  }

  it("succeeds when a second try does", async () => {
    harbor.faults.next({ kind: "status", status: 503 });
    expect((await client.send(listProjects)).status).to.equal(200);
    expect(observed).to.deep.equal(["server-error", "ok"]);
  });

  it("never repeats what is not idempotent", async () => {
    harbor.faults.always({ kind: "status", status: 500 });
    const create = { method: "POST", path: "/api/v2.0/projects", body: { project_name: "x" } } as const;
    await failureOf(client.send({ what: "create", ...create, signal: never }));
    expect(harbor.requests).to.have.length(1);
  });

  it("follows no redirect, and tells where it led without the query", async () => {
    const elsewhere = await startStandInHarbor({ adminPassword: "x" });
    harbor.faults.always({ kind: "redirect", to: `${elsewhere.url}/login?ticket=secret#top` });
    const err = await failureOf(client.send(listProjects));
    expect(err.kind).to.equal("malformed");
    expect(err.message).to.include(`302, a redirect to ${elsewhere.url}/login, is not followed`);
    expect(err.message).to.not.include("ticket");
    expect(elsewhere.requests).to.deep.equal([]);
    await elsewhere.close();
  });

  it("lets no password into an error", async () => {
    for (const fault of [
      { kind: "status", status: 401 },
      { kind: "redirect", to: `https://admin:${password}@elsewhere.test/` },
      { kind: "half" },
    ] as const) {
      harbor.faults.next(fault);
      const err = await failureOf(connect(harbor.url).send(listProjects));
      const basic = Buffer.from(`admin:${password}`).toString("base64");
      expect(`${err.stack ?? ""} ${JSON.stringify(err)}`).to.not.match(new RegExp(`${password}|${basic}`));
    }
  });

  it("gives up at once when its caller does", async () => {
    harbor.faults.always({ kind: "silence" });
    const caller = new AbortController();
    const asked = client.send({ ...listProjects, signal: caller.signal });
    setTimeout(() => caller.abort(new Error("stopped")), 20);
    const reason: unknown = await asked.catch((err: unknown) => err);
    expect(reason).to.have.property("message", "stopped");
    expect(observed).to.deep.equal([]);
  });

  it("gives up between two tries when its caller does", async () => {
    harbor.faults.always({ kind: "status", status: 500 });
    const caller = new AbortController();
    const asked = client.send({ ...listProjects, signal: caller.signal });
    setTimeout(() => caller.abort(new Error("stopped")), 50);
    const reason: unknown = await asked.catch((err: unknown) => err);
    expect(reason).to.have.property("message", "stopped");
    expect(harbor.requests).to.have.length(1);
  });

  describe("proving its identity", () => {
    it("is content when Harbor knows the caller, be it a robot", async () => {
      await client.proveIdentity(never);
      const robot = {
        kind: "robot",
        name: "robot$berth",
        secret: "s",
        permissions: [],
        disabled: false,
      } as const;
      harbor.logins.robots.set(robot.name, { ...robot });
      login = { username: robot.name, password: robot.secret };
      await client.proveIdentity(never);
    });

    it("fails on a wrong password, which Harbor itself answers with 200", async () => {
      login = { username: "admin", password: "wrong" };
      const err = await failureOf(client.proveIdentity(never));
      expect(err.kind).to.equal("login-refused");
      expect(err.message).to.match(
        /^prove the identity of .*: it does not accept the login \(it answers as to an/,
      );
    });

    it("rests a login that was refused, so as not to keep the account locked", async () => {
      login = { username: "admin", password: "wrong" };
      await failureOf(client.proveIdentity(never));
      const err = await failureOf(client.send(listProjects));
      expect(err.message).to.match(/it does not accept the login \(which is not sent again yet\)/);
      expect(harbor.requests).to.have.length(1);

      now += 10_000;
      await failureOf(client.proveIdentity(never));
      expect(harbor.requests).to.have.length(2);
    });

    it("sends a login that was refused once at a time, until Harbor knows it again", async () => {
      login = { username: "admin", password: "wrong" };
      await failureOf(client.proveIdentity(never));
      now += 10_000;
      const [first, second] = await Promise.all([
        failureOf(client.proveIdentity(never)),
        failureOf(client.send(listProjects)),
      ]);
      expect(first.message).to.match(/anonymous caller/);
      expect(second.message).to.match(/not sent again yet/);
      expect(harbor.requests).to.have.length(2);

      now += 10_000;
      harbor.logins.users.get("admin")!.password = "wrong";
      await client.proveIdentity(never);
      await Promise.all([client.send(listProjects), client.send(listProjects)]);
      expect(harbor.requests).to.have.length(5);
    });

    it("uses a corrected login at once", async () => {
      login = { username: "admin", password: "wrong" };
      await failureOf(client.proveIdentity(never));
      login = { username: "admin", password };
      await client.proveIdentity(never);
    });

    it("asks nothing without a login", async () => {
      login = undefined;
      const err = await failureOf(client.proveIdentity(never));
      expect(err.kind).to.equal("login-refused");
      expect(harbor.requests).to.deep.equal([]);
    });
  });

  describe("over TLS", () => {
    let issued: IssuedCertificate;
    let secure: StandInHarbor;

    before(async () => {
      issued = await selfSigned(["127.0.0.1"], Date.now());
      const tls = { key: issued.key, cert: issued.certificate };
      secure = await startStandInHarbor({ adminPassword: password, tls });
    });
    after(() => secure.close());

    it("trusts the authority that it was given", async () => {
      const trusting = connect(secure.url, { ca: issued.ca });
      await trusting.proveIdentity(never);
      trusting.close();
    });

    it("trusts no other, and sends it nothing", async () => {
      const before = secure.requests.length;
      const err = await failureOf(connect(secure.url).send(listProjects));
      expect(err.kind).to.equal("unreachable");
      expect(err.message).to.match(/certificate/);
      expect(secure.requests).to.have.length(before);
      expect(observed).to.deep.equal(["unreachable"]);
    });

    it("trusts no other even if the environment asks for that", async () => {
      const before = secure.requests.length;
      const source = new URL("../../src/harbor/harbor-client.ts", import.meta.url).href;
      const script = `
        const { createHarborClient } = await import(${JSON.stringify(source)});
        const credentials = () => ({ username: "admin", password: "x" });
        const needs = { url: ${JSON.stringify(secure.url)}, credentials, timeoutMs: 5000, now: Date.now, random: Math.random };
        await createHarborClient(needs).proveIdentity(AbortSignal.timeout(5000)).catch((err) => console.log(err.kind));`;
      const env = { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: "0" };
      const run = promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], { env });
      expect((await run).stdout.trim()).to.equal("unreachable");
      expect(secure.requests).to.have.length(before);
    });

    it("says so when the authority is no certificate", async () => {
      const err = await failureOf(connect(secure.url, { ca: "not a certificate" }).send(listProjects));
      expect(err.kind).to.equal("unreachable");
    });
  });

  describe("with a server that is no Harbor", () => {
    let server: Server;

    async function serve(listener: RequestListener): Promise<string> {
      server = createServer(listener);
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    }
    afterEach(() => {
      server.closeAllConnections();
      server.close();
    });

    it("uses one connection for one call after another", async () => {
      const url = await serve((_, response) => {
        response.setHeader("content-type", "application/json").end("{}");
      });
      let connections = 0;
      server.on("connection", () => (connections += 1));
      const patient = connect(url);
      for (let n = 0; n < 5; n += 1) await patient.send(listProjects);
      expect(connections).to.equal(1);
      patient.close();
    });

    it("stops reading a body beyond 4 MiB", async () => {
      let sent = 0;
      const url = await serve((_, response) => {
        response.setHeader("content-type", "application/json");
        const chunk = Buffer.alloc(1024 * 1024, " ");
        const pour = (): void => {
          if (sent > 64 || response.destroyed) return;
          sent += 1;
          if (response.write(chunk)) setImmediate(pour);
          else response.once("drain", pour);
        };
        pour();
      });
      const err = await failureOf(connect(url).send(listProjects));
      expect(err.kind).to.equal("malformed");
      expect(err.message).to.include("an answer of more than 4 MiB");
      expect(sent).to.be.lessThan(64);
    });
  });
});
