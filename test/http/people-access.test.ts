// Over real HTTPS, with the listener of the people's port: what counts is what a connection proves, and headers are
// anybody's.

import { request } from "node:https";
import { connect, type TLSSocket } from "node:tls";
import { expect } from "chai";
import express from "express";
import {
  createPeopleAccess,
  openAccess,
  type Caller,
  type PeopleAccess,
  type PeopleAccessNeeds,
  type UserInfo,
} from "../../src/http/people-access.ts";
import { startPeopleServer, type PeopleServer } from "../../src/http/people-server.ts";
import { createAuthority, type Authority, type KeyPair } from "../cluster/authority.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";

type Headers = Readonly<Record<string, string | readonly string[]>>;
/** The last is one who is not asked for a token. */
type Who = Caller | "nobody" | "no token either";

const anna: UserInfo = { username: "anna", groups: ["team-a"] };
const signal = new AbortController().signal;

describe("who asks at the people's port", () => {
  let server: Authority;
  let proxyAuthority: Authority;
  let serverPair: KeyPair;
  let frontProxy: KeyPair;
  let otherName: KeyPair;
  let ofOtherCa: KeyPair;
  let reviewed: { token: string; from: string }[] = [];
  let rights: { user: UserInfo; right: object }[] = [];
  const listening: PeopleServer[] = [];
  let believing: PeopleServer;
  let believingAny: PeopleServer;
  let withoutProxy: PeopleServer;

  const needs: PeopleAccessNeeds = {
    reviewToken(token, from) {
      reviewed.push({ token, from });
      return Promise.resolve(token === "good" ? anna : undefined);
    },
    askRight(user, right) {
      rights.push({ user, right });
      return Promise.resolve(true);
    },
    berthNamespace: "berth-system",
  };

  async function listen(access: PeopleAccess, proxyCa?: string): Promise<PeopleServer> {
    const api = express.Router();
    api.get("/who", (asking, response, next) => {
      access
        .identify(asking, signal)
        .then((caller) => response.json(caller ?? (access.takesToken(asking) ? "nobody" : "no token either")))
        .catch(next);
    });
    const { certificatePem: certificate, keyPem: key } = serverPair;
    const needed = {
      ...{ api, page: () => new Map(), proxyCa, log: createRecordingLog() },
      certificate: { certificate, key },
    };
    const one = await startPeopleServer(needed, { port: 0, host: "127.0.0.1" });
    listening.push(one);
    return one;
  }

  before(async () => {
    [server, proxyAuthority] = await Promise.all([createAuthority(), createAuthority()]);
    const otherAuthority = await createAuthority();
    [serverPair, frontProxy, otherName, ofOtherCa] = await Promise.all([
      server.issueServer(),
      proxyAuthority.issueClient("front-proxy", ["proxies"]),
      proxyAuthority.issueClient("somebody-else", ["front-proxy"]),
      otherAuthority.issueClient("front-proxy", ["proxies"]),
    ]);
    const ca = proxyAuthority.caPem;
    [believing, believingAny, withoutProxy] = await Promise.all([
      listen(createPeopleAccess({ ...needs, proxy: { names: ["gateway", "front-proxy"] } }), ca),
      listen(createPeopleAccess({ ...needs, proxy: { names: null } }), ca),
      listen(createPeopleAccess(needs)),
    ]);
  });
  after(() => Promise.all(listening.map((one) => one.stop())));
  beforeEach(() => {
    reviewed = [];
    rights = [];
  });

  function who(at: PeopleServer, headers: Headers = {}, pair?: KeyPair): Promise<Who> {
    const { promise, resolve, reject } = Promise.withResolvers<Who>();
    const sent = request(
      {
        ...{ host: "127.0.0.1", port: at.port, path: "/api/v1/who", agent: false, ca: server.caPem },
        ...(pair && { cert: pair.certificatePem, key: pair.keyPem }),
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          if (response.statusCode === 200) resolve(JSON.parse(text) as Who);
          else reject(new Error(`${String(response.statusCode)} ${text}`));
        });
      },
    );
    sent.on("error", reject);
    for (const [name, value] of Object.entries(headers)) sent.setHeader(name, value);
    sent.end();
    return promise;
  }

  describe("by a token", () => {
    it("is whose token it is, with the address that it came from", async () => {
      expect(await who(withoutProxy, { authorization: "Bearer good" })).to.deep.equal({
        user: anna,
        login: "token",
      });
      expect(reviewed).to.deep.equal([{ token: "good", from: "127.0.0.1" }]);
    });

    for (const scheme of ["bearer", "BEARER", "Bearer "]) {
      it(`takes the scheme as "${scheme}"`, async () => {
        expect(await who(withoutProxy, { authorization: `${scheme} good` })).to.include({ login: "token" });
      });
    }

    it("is nobody where the token is no good", async () => {
      expect(await who(withoutProxy, { authorization: "Bearer bad" })).to.equal("nobody");
    });

    const none: [title: string, headers: Headers][] = [
      ["nothing", {}],
      ["a password", { authorization: "Basic Z29vZDpnb29k" }],
      ["a scheme without token", { authorization: "Bearer" }],
      ["two words", { authorization: "Bearer good better" }],
      ["a longer scheme", { authorization: "NotBearer good" }],
      ["two headers", { authorization: ["Bearer good", "Bearer good"] }],
      ["a token in a cookie", { cookie: "authorization=Bearer good; token=good" }],
      ["another header", { "proxy-authorization": "Bearer good" }],
    ];
    for (const [title, headers] of none) {
      it(`is nobody, and the API server is not asked, with ${title}`, async () => {
        expect(await who(withoutProxy, headers)).to.equal("nobody");
        expect(reviewed).to.deep.equal([]);
      });
    }
  });

  describe("by a proxy", () => {
    it("is whom it names, with groups, uid and everything else", async () => {
      const headers = {
        "X-Remote-User": "anna@example.test",
        "X-Remote-Uid": "42",
        "X-Remote-Group": ["CN=Team A,OU=people", "", "ops", "system:masters"],
        "X-Remote-Extra-Scopes": ["read", "write"],
        "X-Remote-Extra-Example.test%2FRole": "viewer",
        "X-Remote-Extra-Bad%zz": "as written",
        "X-Remote-Extra-": "no key",
      };
      expect(await who(believing, headers, frontProxy)).to.deep.equal({
        user: {
          username: "anna@example.test",
          uid: "42",
          groups: ["CN=Team A,OU=people", "ops", "system:masters", "system:authenticated"],
          extra: {
            scopes: ["read", "write"],
            "example.test/role": ["viewer"],
            "bad%zz": ["as written"],
          },
        },
        login: "proxy",
      });
      expect(reviewed).to.deep.equal([]);
    });

    it("is in the group of all who are known once, also where the proxy says so", async () => {
      const headers = { "X-Remote-User": "ben", "X-Remote-Group": ["system:authenticated", "ops"] };
      expect(await who(believing, headers, frontProxy))
        .to.have.nested.property("user.groups")
        .deep.equal(["system:authenticated", "ops"]);
    });

    it("has its name in UTF-8", async () => {
      const bytes = Buffer.from("анна").toString("latin1");
      const found = await who(believing, { "X-Remote-User": bytes }, frontProxy);
      expect(found).to.have.nested.property("user.username", "анна");
    });

    it("takes any certificate of the CA where no names are given", async () => {
      const found = await who(believingAny, { "X-Remote-User": "anna" }, otherName);
      expect(found).to.include({ login: "proxy" });
    });

    const unclear: [title: string, headers: Headers][] = [
      ["no name", {}],
      ["no name but groups", { "X-Remote-Group": "system:masters" }],
      ["an empty name", { "X-Remote-User": "" }],
      ["two names", { "X-Remote-User": ["anna", "root"] }],
      ["the same name twice", { "X-Remote-User": ["anna", "anna"] }],
      ["a name with underscores in its header", { X_Remote_User: "anna" }],
      ["a name that is nobody's", { "X-Remote-User": "system:anonymous" }],
      ["two uids", { "X-Remote-User": "anna", "X-Remote-Uid": ["1", "2"] }],
      ["a name that is no UTF-8", { "X-Remote-User": "anna\u00ff" }],
      ["a group that is no UTF-8", { "X-Remote-User": "anna", "X-Remote-Group": ["a", "\u00c3("] }],
      ["a name longer than any", { "X-Remote-User": "a".repeat(1_025) }],
      ["a token and no name", { authorization: "Bearer good" }],
    ];
    for (const [title, headers] of unclear) {
      it(`is nobody with ${title}`, async () => {
        expect(await who(believing, headers, frontProxy)).to.equal("no token either");
        expect(reviewed).to.deep.equal([]);
      });
    }

    it("is nobody where there are so many headers that a second name could be among those that are dropped", async () => {
      const many = Object.fromEntries(Array.from({ length: 501 }, (_, index) => [`a${String(index)}`, "1"]));
      expect(await who(believing, { "X-Remote-User": "anna", ...many }, frontProxy)).to.equal(
        "no token either",
      );
    });
  });

  describe("by headers that nobody vouches for", () => {
    const forged = { "X-Remote-User": "root", "X-Remote-Group": "system:masters", "X-Remote-Uid": "0" };

    const connections: [title: string, at: () => PeopleServer, pair: () => KeyPair | undefined][] = [
      ["without a certificate", () => believing, () => undefined],
      ["without a certificate, where any of the CA is taken", () => believingAny, () => undefined],
      ["with a certificate of another CA, by the proxy's name", () => believing, () => ofOtherCa],
      ["with one of another CA, where any of the right one is taken", () => believingAny, () => ofOtherCa],
      ["with a certificate of the CA by another name", () => believing, () => otherName],
      ["with the proxy's certificate, where no proxy is believed", () => withoutProxy, () => frontProxy],
    ];
    for (const [title, at, pair] of connections) {
      it(`is nobody ${title}`, async () => {
        expect(await who(at(), forged, pair())).to.equal("nobody");
      });

      it(`is whose token it is ${title}, whatever the headers say`, async () => {
        const found = await who(at(), { ...forged, authorization: "Bearer good" }, pair());
        expect(found).to.deep.equal({ user: anna, login: "token" });
      });
    }

    it("is nobody with a certificate of the CA that is for servers", async () => {
      const pair = await proxyAuthority.issueServer();
      expect(await who(believingAny, forged, pair)).to.equal("nobody");
    });

    it("is nobody on a session that is resumed without a certificate", async () => {
      const session = await sessionWith(believingAny);
      const { reused, text } = await askOn(believingAny, session, forged);
      expect(reused).to.equal(true);
      expect(text).to.match(/^HTTP\/1\.1 200 [^]*"nobody"$/);
    });
  });

  /** What a client without a certificate is given to resume. */
  function sessionWith(at: PeopleServer): Promise<Buffer> {
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const socket = dial(at);
    socket.on("error", reject);
    socket.once("session", (session) => {
      socket.destroy();
      resolve(session);
    });
    // Tickets of TLS 1.3 come with the first bytes that are read.
    socket.write(head({}));
    return promise;
  }

  function askOn(at: PeopleServer, session: Buffer, headers: Readonly<Record<string, string>>) {
    const { promise, resolve, reject } = Promise.withResolvers<{ reused: boolean; text: string }>();
    const socket = dial(at, session);
    const chunks: Buffer[] = [];
    socket.on("error", reject);
    socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    socket.on("end", () => {
      resolve({ reused: socket.isSessionReused(), text: Buffer.concat(chunks).toString() });
    });
    socket.write(head(headers));
    return promise;
  }

  function dial(at: PeopleServer, session?: Buffer): TLSSocket {
    const options = { host: "127.0.0.1", port: at.port, ca: server.caPem, minVersion: "TLSv1.3" as const };
    return connect({ ...options, ...(session && { session }) });
  }

  function head(headers: Readonly<Record<string, string>>): string {
    const lines = Object.entries({ host: "localhost", connection: "close", ...headers });
    return `GET /api/v1/who HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
  }

  describe("may see", () => {
    const access = createPeopleAccess(needs);
    const caller: Caller = { user: anna, login: "token" };

    it("a namespace in which they may create Pods", async () => {
      expect(await access.mayUse(caller, "shop", signal)).to.equal(true);
      const right = { group: "", resource: "pods", verb: "create", namespace: "shop" };
      expect(rights).to.deep.equal([{ user: anna, right }]);
    });

    it("all namespaces, if they may do so everywhere", async () => {
      await access.mayUse(caller, "*", signal);
      expect(rights.map(({ right }) => right)).to.deep.equal([
        { group: "", resource: "pods", verb: "create" },
      ]);
    });

    it("the platform, if they may list what it is made of", async () => {
      expect(await access.seesPlatform(caller, signal)).to.equal(true);
      const right = { group: "", resource: "configmaps", verb: "list", namespace: "berth-system" };
      expect(rights).to.deep.equal([{ user: anna, right }]);
    });

    it("nothing, if nobody knows who they are", async () => {
      const unknown: Caller = { user: null, login: "none" };
      expect(await access.mayUse(unknown, "shop", signal)).to.equal(false);
      expect(await access.seesPlatform(unknown, signal)).to.equal(false);
      expect(rights).to.deep.equal([]);
    });
  });

  it("is everybody, and sees everything, where there is no cluster to ask", async () => {
    const at = await listen(openAccess);
    const caller = await who(at, { authorization: "Bearer good" });
    expect(caller).to.deep.equal({ user: null, login: "none" });
    if (typeof caller === "string") return;
    expect(await openAccess.mayUse(caller, "*", signal)).to.equal(true);
    expect(await openAccess.seesPlatform(caller, signal)).to.equal(true);
  });
});
