import { expect } from "chai";

import { RegistryError } from "../../src/registry/registry-answer.ts";
import { createRegistryClient, type RegistryClient } from "../../src/registry/registry-client.ts";
import { listRepositories, listTags, readManifestDigest } from "../../src/registry/registry-images.ts";
import { startFakeRegistry, type FakeRegistry } from "../fakes/registry.ts";

const never = new AbortController().signal;

async function failureOf(promise: Promise<unknown>): Promise<RegistryError> {
  const err: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(err).to.be.instanceOf(RegistryError);
  return err as RegistryError;
}

const numbered = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, n) => `${prefix}${String(n).padStart(4, "0")}`);

describe("the images of a registry", () => {
  let registry: FakeRegistry;
  let client: RegistryClient;

  beforeEach(async () => {
    registry = await startFakeRegistry({
      repositories: { app: ["1"], "team/app": ["1", "2"], "team/empty": null },
    });
    client = createRegistryClient({
      url: registry.url,
      credentials: () => undefined,
      timeoutMs: 2_000,
      now: () => 0,
      random: () => 0,
    });
  });
  afterEach(async () => {
    client.close();
    await registry.close();
  });

  const paths = () => registry.requests.map(({ path }) => path);

  describe("as repositories", () => {
    const listed = async (n: number, last?: string) => {
      const listing = await listRepositories(client, { n, last }, never);
      if (listing.kind === "off") throw new Error(listing.why);
      return listing;
    };

    it("are listed, with no way on when there are no more", async () => {
      expect(await listed(10)).to.deep.equal({
        kind: "listed",
        repositories: ["app", "team/app", "team/empty"],
        last: null,
      });
      expect(paths()).to.deep.equal(["/v2/_catalog"]);
    });

    it("are listed from one on", async () => {
      expect(await listed(2)).to.include({ last: "team/app" });
      expect(await listed(2, "team/app")).to.deep.equal({
        kind: "listed",
        repositories: ["team/empty"],
        last: null,
      });
      expect(paths()).to.deep.equal(["/v2/_catalog", "/v2/_catalog?last=team%2Fapp"]);
    });

    it("are exactly as many as were asked for, and no more", async () => {
      expect(await listed(3)).to.include({ last: null });
    });

    it("are listed page after page where the registry gives fewer than it was asked for", async () => {
      registry.repositories = Object.fromEntries(numbered("r", 25).map((name) => [name, []]));
      registry.maxPage = 10;
      const first = await listed(25);
      expect(first.repositories).to.deep.equal(numbered("r", 25));
      const part = await listed(15);
      expect(part.repositories).to.have.length(15);
      expect(part.last).to.equal("r0014");
    });

    it("are asked for without a number, since a registry may refuse the one that it gets", async () => {
      registry.repositories = Object.fromEntries(numbered("r", 250).map((name) => [name, []]));
      expect((await listed(1_000)).repositories).to.have.length(250);
      expect(paths()[0]).to.equal("/v2/_catalog");
      expect(paths()).to.have.length(3);
    });

    const off: [title: string, status: number, code: string][] = [
      ["is not there", 404, "NOT_FOUND"],
      ["is switched off", 405, "UNSUPPORTED"],
      ["is not supported", 400, "UNSUPPORTED"],
      ["is denied", 403, "DENIED"],
    ];
    for (const [title, status, code] of off) {
      it(`are none to be had where the catalog ${title}`, async () => {
        const body = JSON.stringify({ errors: [{ code, message: "no" }] });
        registry.instead = () => ({ status, headers: { "content-type": "application/json" }, body });
        expect(await listRepositories(client, { n: 10 }, never)).to.deep.equal({
          kind: "off",
          why: `${status} ${code}: no`,
        });
      });
    }

    it("are none to be had where the token does not open the catalog", async () => {
      registry.access = { kind: "token" };
      registry.opens = (scope) => scope !== "registry:catalog:*";
      expect(await listRepositories(client, { n: 10 }, never)).to.have.property("kind", "off");
    });

    it("are none to be had where a proxy has lost the catalog", async () => {
      registry.instead = () => ({ status: 404, headers: { "content-type": "text/html" }, body: "<html>" });
      expect(await listRepositories(client, { n: 10 }, never)).to.deep.equal({ kind: "off", why: "404" });
    });

    it("are an error where the registry is in trouble", async () => {
      registry.instead = () => ({ status: 429, headers: { "content-type": "application/json" }, body: "{}" });
      expect((await failureOf(listRepositories(client, { n: 10 }, never))).kind).to.equal("client-error");
    });
  });

  describe("as tags", () => {
    it("are listed", async () => {
      expect(await listTags(client, "team/app", never)).to.deep.equal(["1", "2"]);
    });

    it("are none where the last one was deleted", async () => {
      expect(await listTags(client, "team/empty", never)).to.deep.equal([]);
    });

    it("are null where there is no such repository", async () => {
      expect(await listTags(client, "team/none", never)).to.equal(null);
    });

    it("are no null where something else says 404", async () => {
      registry.instead = () => ({ status: 404, headers: { "content-type": "text/html" }, body: "<html>" });
      expect((await failureOf(listTags(client, "team/app", never))).message).to.match(
        /^list tags of team\/app of .*404/,
      );
    });

    it("are read page after page", async () => {
      registry.repositories = { many: numbered("t", 35) };
      registry.maxPage = 10;
      expect(await listTags(client, "many", never)).to.deep.equal(numbered("t", 35));
      expect(paths()).to.have.length(4);
    });

    it("are read by whole addresses too, over the scheme of the url", async () => {
      registry.repositories = { many: numbered("t", 15) };
      registry.maxPage = 10;
      registry.linkPrefix = registry.url.replace("http:", "https:");
      expect(await listTags(client, "many", never)).to.have.length(15);
    });

    for (const prefix of [
      "http://elsewhere.test",
      "https://127.0.0.1.evil.test",
      "//elsewhere.test",
      "/else",
    ]) {
      it(`are not read on from ${prefix}`, async () => {
        registry.repositories = { many: numbered("t", 15) };
        registry.maxPage = 10;
        registry.linkPrefix = prefix;
        const err = await failureOf(listTags(client, "many", never));
        expect(err.kind).to.equal("malformed");
        expect(err.message).to.match(/its next page is not on its own host/);
        expect(registry.requests).to.have.length(1);
      });
    }

    it("are not read for ever", async () => {
      registry.repositories = { many: numbered("t", 300) };
      registry.maxPage = 1;
      const err = await failureOf(listTags(client, "many", never));
      expect(err.message).to.match(/more than 200 pages$/);
      expect(registry.requests).to.have.length(200);
    });

    for (const name of [
      "",
      "Team/app",
      "../x",
      "a/../b",
      "a//b",
      "a/",
      "a b",
      "a%2fb",
      "a?b",
      "a".repeat(256),
    ]) {
      it(`are null for what cannot be a repository: ${JSON.stringify(name.slice(0, 20))}`, async () => {
        expect(await listTags(client, name, never)).to.equal(null);
        expect(registry.requests).to.deep.equal([]);
      });
    }
  });

  describe("as a digest", () => {
    it("are asked for with every kind of manifest", async () => {
      expect(await readManifestDigest(client, "team/app", "1", never)).to.equal(`sha256:${"a".repeat(64)}`);
      const [request] = registry.requests;
      expect(request).to.include({ method: "HEAD", path: "/v2/team/app/manifests/1" });
      for (const type of ["oci.image.index.v1", "manifest.list.v2", "oci.image.manifest.v1", "manifest.v2"]) {
        expect(request?.accept).to.include(type);
      }
    });

    it("are null where there is no such tag or repository", async () => {
      expect(await readManifestDigest(client, "team/app", "9", never)).to.equal(null);
      expect(await readManifestDigest(client, "none", "1", never)).to.equal(null);
    });

    it("are null for what can be no reference, without asking", async () => {
      for (const reference of ["", "..", "a/b", "a?b", "sha256:xyz", "a".repeat(129)]) {
        expect(await readManifestDigest(client, "team/app", reference, never)).to.equal(null);
      }
      expect(registry.requests).to.deep.equal([]);
    });

    it("are an error where the registry does not say it", async () => {
      registry.instead = () => ({ status: 200, headers: { "docker-content-digest": "none" } });
      expect((await failureOf(readManifestDigest(client, "app", "1", never))).kind).to.equal("malformed");
    });
  });
});
