import { expect } from "chai";

import { selfSigned } from "../../src/certificates/self-signed.ts";
import { createRegistryContents } from "../../src/commands/registry-contents-of.ts";
import type { Permission } from "../../src/demo/stand-in-callers.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import type { Registry } from "../../src/domain/policy.ts";
import { createHarborClients, type HarborClients } from "../../src/harbor/harbor-clients.ts";
import type { Wanted } from "../../src/http/registry-contents.ts";
import { registry } from "../builders.ts";
import { startFakeRegistry, type FakeRegistry } from "../fakes/registry.ts";

const never = new AbortController().signal;
const wanted: Wanted = { search: "", after: undefined, limit: 50 };

describe("the contents of registries", () => {
  const stops: (() => unknown)[] = [];
  let secrets: Map<string, Record<string, string>>;
  let clients: HarborClients;
  let contents: ReturnType<typeof createRegistryContents>;

  beforeEach(() => {
    secrets = new Map();
    const facts = { secrets: () => secrets, timeoutMs: 2_000, now: Date.now, random: () => 0 };
    clients = createHarborClients(facts);
    contents = createRegistryContents({ clients, secrets: () => secrets, metrics: undefined });
    stops.push(
      () => clients.close(),
      () => contents.close(),
    );
  });
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });

  async function failureOf(promise: Promise<unknown>): Promise<Error> {
    const err: unknown = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(err).to.be.instanceOf(Error);
    return err as Error;
  }

  describe("of a Harbor", () => {
    let harbor: StandInHarbor;
    let managed: Registry;
    const pushedAt = Date.parse("2026-02-03T04:05:06Z");

    beforeEach(async () => {
      harbor = await startStandInHarbor({
        adminPassword: "right",
        lockMs: 0,
        now: () => pushedAt,
        projects: [{ name: "library", visibility: "public" }, { name: "team-a" }, { name: "team-b" }],
      });
      stops.push(() => harbor.close());
      for (const name of ["team-a/a/b", "team-a/app", "team-b/app"])
        harbor.repositories.push(name, { tags: ["1.0"], sizeBytes: 5_000 });
      const pull: Permission = {
        kind: "project",
        namespace: "team-a",
        access: [{ resource: "repository", action: "pull" }],
      };
      const robot = { kind: "robot", name: "robot$pull", secret: "s", disabled: false } as const;
      harbor.logins.robots.set(robot.name, { ...robot, permissions: [pull] });
      secrets.set("own", { username: "admin", password: "right" });
      secrets.set("pull", { username: "robot$pull", password: "s" });
      managed = {
        ...registry("managed", { credentialsSecret: "own", pullCredentialsSecret: "pull" }),
        url: harbor.url,
      };
    });

    const logins = () => [...new Set(harbor.requests.map(({ login }) => login))];

    it("are the repositories of a space, with what Harbor says of them", async () => {
      expect(await contents.repositories(managed, "team-a", wanted, never)).to.deep.equal({
        items: [
          { name: "team-a/a/b", artifacts: 1, updatedAt: pushedAt },
          { name: "team-a/app", artifacts: 1, updatedAt: pushedAt },
        ],
        next: null,
      });
      expect(logins()).to.deep.equal(["admin"]);
    });

    it("are found in the given spaces, and in no other", async () => {
      const spaces = [{ name: "team-b", id: harbor.projects.find("team-b")!.id }];
      const found = await contents.search(managed, spaces, { search: "app", limit: 50 }, never);
      expect(found).to.deep.equal({
        items: [{ name: "team-b/app", artifacts: 1, updatedAt: pushedAt }],
        next: null,
      });
      expect(logins()).to.deep.equal(["admin"]);
    });

    it("are tags with digest, size and platforms", async () => {
      const { digest } = harbor.repositories.find("team-a/a/b")!.artifacts[0]!;
      const tag = { name: "1.0", digest, sizeBytes: 5_000, platforms: ["linux/amd64"], pushedAt };
      const tags = await contents.tags(managed, "team-a/a/b", wanted, never);
      expect(tags).to.deep.equal({ items: [tag], next: null });
      expect(await contents.tag(managed, "team-a/a/b", "1.0", never)).to.deep.equal(tag);
      expect(logins()).to.deep.equal(["admin"]);
    });

    it("are null where there is none", async () => {
      expect(await contents.tags(managed, "team-a/none", wanted, never)).to.equal(null);
      expect(await contents.tag(managed, "team-a/app", "2.0", never)).to.equal(null);
      expect(await contents.tag(managed, "team-a/none", "1.0", never)).to.equal(null);
    });

    it("are granted by what the login of namespaces may pull, and not by Berth's own", async () => {
      const granted = await contents.granted(managed, ["team-a", "team-b", "library", "nowhere"], never);
      expect([...granted].sort()).to.deep.equal(["library", "team-a"]);
      expect(logins()).to.deep.equal(["robot$pull"]);
    });

    it("are granted by the only login that there is, where there is no other", async () => {
      const one = { ...managed, pullCredentialsSecret: null };
      expect([...(await contents.granted(one, ["team-a", "team-b"], never))]).to.deep.equal([
        "team-a",
        "team-b",
      ]);
      expect(logins()).to.deep.equal(["admin"]);
    });

    it("are granted to nobody where that login is refused", async () => {
      secrets.set("pull", { username: "robot$pull", password: "not-to-be-told" });
      const err = await failureOf(contents.granted(managed, ["library"], never));
      expect(err.message).to.match(/^ask for a token to pull from library of http/);
      expect(String(err.stack)).to.not.include("not-to-be-told");
    });
  });

  describe("of a Docker Registry", () => {
    let served: FakeRegistry;
    let archive: Registry;

    async function start(tls?: { key: string; cert: string }): Promise<void> {
      served = await startFakeRegistry({
        ...(tls === undefined ? {} : { tls }),
        access: { kind: "token" },
        login: { username: "reader", password: "right" },
        repositories: { app: ["1", "2"], "team/app": ["1"] },
      });
      stops.push(() => served.close());
      secrets.set("own", { username: "reader", password: "right" });
      archive = {
        ...registry("archive", { type: "docker-registry", credentialsSecret: "own" }),
        url: served.url,
      };
    }

    const tokensAsked = () => served.requests.filter(({ path }) => path.startsWith("/token")).length;
    const names = async () => {
      const listed = await contents.repositories(archive, null, wanted, never);
      return listed === "off" ? listed : listed.items.map(({ name }) => name);
    };

    it("are names alone", async () => {
      await start();
      expect(await contents.repositories(archive, null, { ...wanted, limit: 1 }, never)).to.deep.equal({
        items: [{ name: "app", artifacts: null, updatedAt: null }],
        next: "app",
      });
      const found = await contents.search(archive, [], { search: "team", limit: 50 }, never);
      expect(found).to.deep.equal({
        items: [{ name: "team/app", artifacts: null, updatedAt: null }],
        next: null,
      });
      const named = { sizeBytes: null, platforms: [], pushedAt: null };
      expect(await contents.tags(archive, "app", wanted, never)).to.deep.equal({
        items: [
          { name: "2", digest: null, ...named },
          { name: "1", digest: null, ...named },
        ],
        next: null,
      });
      const digest = `sha256:${"a".repeat(64)}`;
      expect(await contents.tag(archive, "app", "2", never)).to.deep.equal({ name: "2", digest, ...named });
    });

    it("are off where it lists its repositories to nobody", async () => {
      await start();
      served.opens = (scope) => scope !== "registry:catalog:*";
      expect(await names()).to.equal("off");
      expect(await contents.search(archive, [], { search: "app", limit: 50 }, never)).to.equal("off");
    });

    it("are null where there is none", async () => {
      await start();
      expect(await contents.tags(archive, "none", wanted, never)).to.equal(null);
      expect(await contents.tag(archive, "app", "3", never)).to.equal(null);
    });

    it("are read over one connection's token, call after call", async () => {
      await start();
      expect([await names(), await names()]).to.deep.equal([
        ["app", "team/app"],
        ["app", "team/app"],
      ]);
      expect(tokensAsked()).to.equal(1);
    });

    it("are read with a changed login at once", async () => {
      await start();
      await names();
      served.login = { username: "reader", password: "changed" };
      secrets.set("own", { username: "reader", password: "changed" });
      expect(await names()).to.deep.equal(["app", "team/app"]);
      expect([tokensAsked(), served.failedLogins]).to.deep.equal([2, 0]);
    });

    it("are read anew at another address, and under another name", async () => {
      await start();
      await names();
      const other = await startFakeRegistry({ repositories: { other: ["1"] } });
      stops.push(() => other.close());
      archive = { ...archive, url: other.url };
      expect(await names()).to.deep.equal(["other"]);
      archive = { ...archive, name: "renamed", url: served.url };
      await names();
      expect(tokensAsked()).to.equal(2);
    });

    it("are read over a connection that is made anew when the authority changes", async () => {
      const [issued, foreign] = await Promise.all([
        selfSigned(["127.0.0.1"], Date.now()),
        selfSigned(["127.0.0.1"], Date.now()),
      ]);
      await start({ key: issued.key, cert: issued.certificate });
      archive = { ...archive, caSecret: "ca" };
      secrets.set("ca", { "ca.crt": foreign.ca });
      const err = await failureOf(names());
      expect(err).to.have.property("kind", "unreachable");
      expect(err.message).to.match(/^list repositories of https:.* certificate/);
      expect(served.requests).to.deep.equal([]);
      secrets.set("ca", { "ca.crt": issued.ca });
      expect(await names()).to.deep.equal(["app", "team/app"]);
      expect(await names()).to.deep.equal(["app", "team/app"]);
      expect(tokensAsked()).to.equal(1);
      secrets.set("ca", { "ca.crt": `${issued.ca}\n` });
      expect(await names()).to.deep.equal(["app", "team/app"]);
      expect(tokensAsked()).to.equal(2);
    });
  });

  it("are asked for no longer than whoever asked waits", async () => {
    const harbor = await startStandInHarbor({
      adminPassword: "right",
      lockMs: 0,
      projects: [{ name: "team-a" }],
    });
    stops.push(() => harbor.close());
    secrets.set("own", { username: "admin", password: "right" });
    harbor.faults.always({ kind: "silence" });
    const managed = { ...registry("managed", { credentialsSecret: "own" }), url: harbor.url };
    const aborter = new AbortController();
    harbor.faults.meanwhile = () => aborter.abort(new Error("gone"));
    const err = await failureOf(contents.repositories(managed, "team-a", wanted, aborter.signal));
    expect(err.message).to.equal("gone");
  });
});
