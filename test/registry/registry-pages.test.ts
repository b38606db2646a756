import { expect } from "chai";

import { RegistryError } from "../../src/registry/registry-answer.ts";
import { createRegistryClient, type RegistryClient } from "../../src/registry/registry-client.ts";
import { repositoryNames, tagNames, type WantedNames } from "../../src/registry/registry-pages.ts";
import { startFakeRegistry, type FakeRegistry } from "../fakes/registry.ts";

const never = new AbortController().signal;

const numbered = (prefix: string, count: number) =>
  Array.from({ length: count }, (_, n) => `${prefix}${String(n).padStart(4, "0")}`);

/** What a registry that is none, or a wrong one, may tell, to whoever reads it. */
const hostileRepositories = [
  '<img src=x onerror="alert(1)">',
  "Team/App",
  "team/../app",
  "team//app",
  "/team/app",
  "team/app/",
  "team/app\u202egpj",
  "team/app\u0000",
  "team/app\nother",
  "team/app:1",
  "-team/app",
  "team/a..b",
  "",
  "x".repeat(256),
];
const hostileTags = ["<b>1</b>", "1\u202e", "1\u0007", "-1", ".1", "a b", "a/b", "a:b", "", "x".repeat(129)];

describe("the names of a registry, in parts", () => {
  let registry: FakeRegistry;
  let client: RegistryClient;

  beforeEach(async () => {
    registry = await startFakeRegistry();
    client = createRegistryClient({
      url: registry.url,
      credentials: () => ({ username: "reader", password: "not-to-be-told" }),
      timeoutMs: 2_000,
      now: () => 0,
      random: () => 0,
    });
  });
  afterEach(async () => {
    client.close();
    await registry.close();
  });

  const wanted = (more: Partial<WantedNames>): WantedNames => ({
    search: "",
    after: undefined,
    limit: 50,
    ...more,
  });
  const pagesRead = () => registry.requests.map(({ path }) => path);

  async function failureOf(promise: Promise<unknown>): Promise<RegistryError> {
    const err: unknown = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(err).to.be.instanceOf(RegistryError);
    return err as RegistryError;
  }

  /** All parts, each begun with what the one before ended with. */
  async function allOf(part: (after: string | undefined) => Promise<unknown>): Promise<string[][]> {
    const parts: string[][] = [];
    let after: string | undefined;
    do {
      const { items, next } = (await part(after)) as { items: string[]; next: string | null };
      parts.push(items);
      after = next ?? undefined;
    } while (after !== undefined && parts.length < 100);
    return parts;
  }

  describe("of repositories", () => {
    const list = (more: Partial<WantedNames> = {}) => repositoryNames(client, wanted(more), never);
    const hold = (names: readonly string[]) =>
      (registry.repositories = Object.fromEntries(names.map((name) => [name, ["1"]])));

    it("are in the registry's order, with no way on at the end", async () => {
      hold(["team/app", "app"]);
      expect(await list()).to.deep.equal({ items: ["app", "team/app"], next: null });
    });

    it("go on after the last that was shown", async () => {
      hold(numbered("r", 25));
      const parts = await allOf((after) => list({ after, limit: 10 }));
      expect(parts.map(({ length }) => length)).to.deep.equal([10, 10, 5]);
      expect(parts.flat()).to.deep.equal(numbered("r", 25));
    });

    it("are looked for in all that the registry lists, by a part and in any case", async () => {
      hold([...numbered("a", 150), "team/payments", "z/pay"]);
      expect(await list({ search: "PAY" })).to.deep.equal({ items: ["team/payments", "z/pay"], next: null });
    });

    it("are none where nothing matches, also with what names do not hold", async () => {
      hold(["app"]);
      for (const search of ["nowhere", "*", "<b>", "%"])
        expect(await list({ search }), search).to.deep.equal({ items: [], next: null });
    });

    it("go on after the last that was found", async () => {
      hold(numbered("r", 40).flatMap((name) => [name, `${name}/x`]));
      const parts = await allOf((after) => list({ search: "/x", after, limit: 15 }));
      expect(parts.map(({ length }) => length)).to.deep.equal([15, 15, 10]);
      expect(parts.flat()).to.deep.equal(numbered("r", 40).map((name) => `${name}/x`));
    });

    it("are looked for no further than to where enough was found", async () => {
      hold(numbered("r", 3_000));
      registry.maxPage = 100;
      expect(await list({ search: "r", limit: 5 })).to.deep.equal({ items: numbered("r", 5), next: "r0004" });
      expect(registry.requests).to.have.length(10);
    });

    it("are looked for among ten thousand at a time, and go on from there", async () => {
      hold([...numbered("r", 9_999), "s-last", "z-here"]);
      registry.maxPage = 1_000;
      registry.instead = (path) => {
        if (path !== "/v2/_catalog") return undefined;
        const names = Object.keys(registry.repositories).sort();
        const [, last] = /last=([^&]*)/.exec(registry.requests.at(-1)!.path) ?? [];
        const start = last === undefined ? 0 : names.indexOf(decodeURIComponent(last)) + 1;
        const shown = names.slice(start, start + 1_000);
        const link = { link: `</v2/_catalog?last=${shown.at(-1) ?? ""}&n=1000>; rel="next"` };
        const headers = {
          "content-type": "application/json",
          ...(start + 1_000 < names.length ? link : {}),
        };
        return { status: 200, headers, body: JSON.stringify({ repositories: shown }) };
      };
      expect(await list({ search: "here" })).to.deep.equal({ items: [], next: "s-last" });
      expect(registry.requests).to.have.length(10);
      expect(await list({ search: "here", after: "s-last" })).to.deep.equal({
        items: ["z-here"],
        next: null,
      });
    });

    it("are none after a name behind all others, whoever made it up", async () => {
      hold(["app"]);
      registry.instead = () => ({
        status: 200,
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ repositories: null }),
      });
      const after = "\u202e&n=9999#<b>";
      expect(await list({ after })).to.deep.equal({ items: [], next: null });
      expect(pagesRead()).to.deep.equal([`/v2/_catalog?last=${encodeURIComponent(after)}`]);
    });

    it("leave out what no image could be of, and go on behind it", async () => {
      hold([...hostileRepositories, "app", "team/app", "x__y/a--b"]);
      const parts = await allOf((after) => list({ after, limit: 4 }));
      expect(parts.flat()).to.deep.equal(["app", "team/app", "x__y/a--b"]);
    });

    it("are off where the registry lists them to nobody", async () => {
      const body = JSON.stringify({ errors: [{ code: "UNSUPPORTED", message: "no" }] });
      registry.instead = () => ({ status: 405, headers: { "content-type": "application/json" }, body });
      expect(await list()).to.equal("off");
      expect(await list({ search: "app" })).to.equal("off");
    });

    it("are a failure with a story where the registry cannot be asked", async () => {
      registry.instead = () => ({ status: 500 });
      const err = await failureOf(list());
      expect(err.message).to.equal(`list repositories of ${registry.url}: 500, after 3 tries`);
    });
  });

  describe("of tags", () => {
    const tags = (more: Partial<WantedNames> = {}) => tagNames(client, "team/app", wanted(more), never);
    const hold = (names: readonly string[] | null) => (registry.repositories = { "team/app": names });

    it("have what looks newest first, as people count", async () => {
      hold(["1.10", "1.2", "1.9", "2.0-rc.1", "2.0", "latest", "v1.10.0", "v1.9.0", "10"]);
      expect(await tags()).to.deep.equal({
        items: ["v1.10.0", "v1.9.0", "latest", "10", "2.0-rc.1", "2.0", "1.10", "1.9", "1.2"],
        next: null,
      });
    });

    it("go on after the last that was shown", async () => {
      hold(numbered("t", 25));
      const parts = await allOf((after) => tags({ after, limit: 10 }));
      expect(parts.map(({ length }) => length)).to.deep.equal([10, 10, 5]);
      expect(parts.flat()).to.deep.equal(numbered("t", 25).reverse());
    });

    it("go on in their place when the last that was shown is gone by then", async () => {
      hold(["1", "2", "3", "4"]);
      expect(await tags({ limit: 2 })).to.deep.equal({ items: ["4", "3"], next: "3" });
      hold(["1", "2", "4", "5"]);
      expect(await tags({ limit: 2, after: "3" })).to.deep.equal({ items: ["2", "1"], next: null });
    });

    it("are each in one part only, also those that count as the same number", async () => {
      const alike = ["1", "01", "001", "A", "a", "1.0", "1.00", "1_0", "1-0"];
      hold(alike);
      const parts = await allOf((after) => tags({ after, limit: 1 }));
      expect(parts.flat()).to.have.members(alike);
    });

    it("are looked for by a part, as it is written", async () => {
      hold(["v1-rc", "v1-RC", "v1"]);
      expect(await tags({ search: "-rc" })).to.deep.equal({ items: ["v1-rc"], next: null });
    });

    it("are none behind all others", async () => {
      hold(["1", "2"]);
      for (const after of ["0", "-", "\u0000", " "])
        expect(await tags({ after }), after).to.deep.equal({ items: [], next: null });
    });

    it("leave out what no image could have", async () => {
      hold([...hostileTags, "ok", "x".repeat(128)]);
      expect(await tags()).to.deep.equal({ items: ["x".repeat(128), "ok"], next: null });
    });

    it("are none where the last one was deleted, and null where there is no such repository", async () => {
      hold(null);
      expect(await tags()).to.deep.equal({ items: [], next: null });
      registry.repositories = {};
      expect(await tags()).to.equal(null);
    });

    it("are null without a request for what is no repository", async () => {
      for (const name of ["../_catalog", "Team/app", "team/app?n=1", ""])
        expect(await tagNames(client, name, wanted({}), never), name).to.equal(null);
      expect(registry.requests).to.deep.equal([]);
    });

    it("are a failure with a story, and without the login, where it is refused", async () => {
      registry.access = { kind: "basic" };
      const err = await failureOf(tags());
      expect(err.kind).to.equal("login-refused");
      expect(err.message).to.match(/^list tags of team\/app of http/);
      expect(JSON.stringify([err.message, err.stack, String(err.cause)])).to.not.include("not-to-be-told");
    });
  });
});
