import { expect } from "chai";
import { parsePolicy, type ParsedPolicies } from "../../src/domain/policies.ts";
import { formatProblem } from "../../src/domain/policy-problem.ts";
import type { PolicyConfigMap } from "../../src/domain/policy.ts";

/** ConfigMaps of one document each, by name. */
const documents = (texts: Readonly<Record<string, string>>): readonly PolicyConfigMap[] =>
  Object.entries(texts).map(([name, text]) => ({ name, data: { "p.yaml": text } }));

const problemsOf = ({ policy }: ParsedPolicies): readonly string[] => policy.problems.map(formatProblem);

interface Keys {
  readonly type?: "harbor" | "docker-registry";
  readonly url?: string;
  readonly workspace?: string;
  readonly aliases?: readonly string[];
}

function registry(
  name: string,
  { type = "harbor", url = `https://${name}.test`, ...keys }: Keys = {},
): object {
  return {
    name,
    type,
    url,
    credentialsSecret: "login",
    pullCredentialsSecret: type === "harbor" ? undefined : "pull",
    ...keys,
  };
}
const registries = (...all: readonly object[]): string => JSON.stringify({ registries: all });
const bindings = (...all: readonly object[]): string => JSON.stringify({ bindings: all });
const spaces = (...all: readonly object[]): string => JSON.stringify({ spaces: all });

/** `host → registry registry` for each host. */
function hostsOf({ policy }: ParsedPolicies): Readonly<Record<string, string>> {
  const all = [...policy.registriesByHost].map(([host, some]) => [
    host,
    some.map(({ name }) => name).join(" "),
  ]);
  return Object.fromEntries(all) as Record<string, string>;
}

/** What is told of disputes; that a workspace's login is handed out is told elsewhere. */
const disputesOf = (parsed: ParsedPolicies): readonly string[] =>
  problemsOf(parsed).filter((problem) => !problem.includes("is handed out"));

describe("documents merged to one policy", () => {
  describe("that name two registries alike", () => {
    const a = registries(registry("managed", { url: "https://a.test" }));
    const b = registries(registry("managed", { url: "https://b.test" }));
    const urlOf = ({ policy }: ParsedPolicies): string => policy.registries.get("managed")!.url;

    it("have the first in force, and tell of the second", () => {
      const parsed = parsePolicy(undefined, documents({ a, b }));
      expect(urlOf(parsed)).to.equal("https://a.test");
      expect(hostsOf(parsed)).to.deep.equal({ "a.test": "managed" });
      expect(problemsOf(parsed)).to.deep.equal([
        "ConfigMap b/p.yaml:1:16: error: this registry is ignored: the name managed is taken in ConfigMap a/p.yaml; give one of them another",
      ]);
    });

    it("leave the one in force that was, though the new one sorts before it", () => {
      const parsed = parsePolicy(parsePolicy(undefined, documents({ b })), documents({ a, b }));
      expect(urlOf(parsed)).to.equal("https://b.test");
      expect(problemsOf(parsed)[0]).to.match(/^ConfigMap a\/p\.yaml:1:16: error: this registry is ignored/);
    });

    it("leave it in force while its own document changes it, or is broken", () => {
      const disputed = parsePolicy(parsePolicy(undefined, documents({ b })), documents({ a, b }));
      const moved = registries(registry("managed", { url: "https://c.test" }));
      expect(urlOf(parsePolicy(disputed, documents({ a, b: moved })))).to.equal("https://c.test");
      expect(urlOf(parsePolicy(disputed, documents({ a, b: "[" })))).to.equal("https://b.test");
    });

    it("hand the name over when the one in force is withdrawn", () => {
      const disputed = parsePolicy(parsePolicy(undefined, documents({ b })), documents({ a, b }));
      const parsed = parsePolicy(disputed, documents({ a }));
      expect(urlOf(parsed)).to.equal("https://a.test");
      expect(problemsOf(parsed)).to.deep.equal([]);
    });

    it("may be one document, whose registry that was in force stays when they change places", () => {
      const first = registry("managed", { url: "https://a.test" });
      const second = registry("managed", { url: "https://b.test" });
      const before = parsePolicy(undefined, documents({ a: registries(first) }));
      const parsed = parsePolicy(before, documents({ a: registries(second, first) }));
      expect(urlOf(parsed)).to.equal("https://a.test");
      expect(problemsOf(parsed)[0]).to.include(
        "p.yaml:1:16: error: this registry is ignored: the name managed is taken in this document too",
      );
    });
  });

  describe("that claim one host twice", () => {
    const rows: readonly [title: string, first: Keys, second: Keys, shared: boolean][] = [
      ["two Harbors of the platform", {}, {}, false],
      ["two Harbors of one workspace", { workspace: "1" }, { workspace: "1" }, false],
      ["two docker-registries", { type: "docker-registry" }, { type: "docker-registry" }, false],
      [
        "docker-registries of two workspaces",
        { type: "docker-registry", workspace: "1" },
        { type: "docker-registry", workspace: "2" },
        false,
      ],
      ["a Harbor and a docker-registry", {}, { type: "docker-registry", workspace: "1" }, false],
      ["a docker-registry and a Harbor", { type: "docker-registry" }, { workspace: "1" }, false],
      ["a Harbor of the platform and one of a workspace", {}, { workspace: "1" }, true],
      ["a Harbor of a workspace and one of the platform", { workspace: "1" }, {}, true],
      ["Harbors of two workspaces", { workspace: "1" }, { workspace: "01" }, true],
    ];
    for (const [title, first, second, shared] of rows) {
      it(shared ? `may be ${title}` : `may not be ${title}`, () => {
        const url = "https://h.test";
        const parsed = parsePolicy(
          undefined,
          documents({
            a: registries(registry("a", { ...first, url })),
            b: registries(registry("b", { ...second, url })),
          }),
        );
        expect(hostsOf(parsed)).to.deep.equal({ "h.test": shared ? "a b" : "a" });
        expect([...parsed.policy.registries.keys()]).to.deep.equal(shared ? ["a", "b"] : ["a"]);
        expect(disputesOf(parsed)).to.have.lengthOf(shared ? 0 : 1);
      });
    }

    it("may be any number of workspaces beside the platform, each once", () => {
      const url = "https://h.test";
      const all = [
        registry("p", { url }),
        ...["1", "2", "3", "2"].map((workspace, index) => registry(`w${index}`, { url, workspace })),
      ];
      const parsed = parsePolicy(undefined, documents({ a: registries(...all) }));
      expect(hostsOf(parsed)).to.deep.equal({ "h.test": "p w0 w1 w2" });
      expect(disputesOf(parsed)[0]).to.include(
        "registry w3 does not get the host h.test, which stays with registry w1 in this document too",
      );
    });

    const spellings: readonly [host: string, other: string][] = [
      ["h.test", "H.test"],
      ["h.test", "h.test:443"],
      ["h.test:0443", "h.test"],
      ["[2001:db8::1]:5000", "[2001:DB8:0:0::1]:5000"],
    ];
    for (const [host, other] of spellings) {
      it(`are found out when they write it ${host} and ${other}`, () => {
        const a = registries(registry("a", { aliases: [host] }));
        const b = registries(registry("b", { aliases: [other] }));
        const parsed = parsePolicy(undefined, documents({ a, b }));
        expect(problemsOf(parsed)).to.have.lengthOf(1);
        expect(parsed.policy.registries.get("b")!.spellings).to.deep.equal(["b.test"]);
        expect(parsed.policy.registries.get("b")!.hosts).to.deep.equal(["b.test"]);
      });
    }

    it("lose that host to the first, and keep their others", () => {
      const a = registries(registry("a", { aliases: ["shared.test"] }));
      const b = registries(registry("b", { aliases: ["shared.test", "shared.test:443", "c.test"] }));
      const parsed = parsePolicy(undefined, documents({ a, b }));
      expect(hostsOf(parsed)).to.deep.equal({
        "a.test": "a",
        "shared.test": "a",
        "b.test": "b",
        "c.test": "b",
      });
      expect(parsed.policy.registries.get("b")!.spellings).to.deep.equal(["b.test", "c.test"]);
      expect(parsed.policy.registriesByHost.get("c.test")![0]).to.equal(parsed.policy.registries.get("b"));
      expect(problemsOf(parsed)).to.deep.equal([
        "ConfigMap b/p.yaml:1:16: error: registry b does not get the host shared.test, which stays with registry a in ConfigMap a/p.yaml: " +
          "registries share a host only if all are Harbors and no two of the same workspace or of none",
      ]);
    });

    it("leave the host where it was, though the new claim sorts before it", () => {
      const b = registries(registry("b", { aliases: ["shared.test"] }));
      const before = parsePolicy(undefined, documents({ b }));
      const a = registries(registry("a", { aliases: ["shared.test"] }));
      expect(hostsOf(parsePolicy(before, documents({ a, b })))["shared.test"]).to.equal("b");
    });

    it("leave the host with the registry that stays as it was, not with one that changes its workspace", () => {
      const a = (workspace: string): string =>
        registries(registry("a", { workspace, aliases: ["shared.test"] }));
      const b = registries(registry("b", { workspace: "2", aliases: ["shared.test"] }));
      const before = parsePolicy(undefined, documents({ a: a("1"), b }));
      expect(hostsOf(before)["shared.test"]).to.equal("a b");
      expect(hostsOf(parsePolicy(before, documents({ a: a("2"), b })))["shared.test"]).to.equal("b");
    });

    it("have no registry in force that is left without any host", () => {
      const a = registries(registry("a", { aliases: ["b.test"] }));
      const b = registries(registry("b"));
      const bound = bindings({ workspace: "1", registry: "b", spaces: ["x"] });
      const parsed = parsePolicy(undefined, documents({ a, b, c: bound }));
      expect([...parsed.policy.registries.keys()]).to.deep.equal(["a"]);
      expect([...parsed.policy.bindings]).to.deep.equal([]);
      expect(problemsOf(parsed)[1]).to.include(
        'this binding is ignored, because no registry "b" is in force',
      );
    });

    it("hand the host over when the one that had it gives it up", () => {
      const a = registries(registry("a", { aliases: ["shared.test"] }));
      const b = registries(registry("b", { aliases: ["shared.test"] }));
      const disputed = parsePolicy(undefined, documents({ a, b }));
      const parsed = parsePolicy(disputed, documents({ a: registries(registry("a")), b }));
      expect(hostsOf(parsed)["shared.test"]).to.equal("b");
      expect(problemsOf(parsed)).to.deep.equal([]);
    });
  });

  describe("that set what one document should set", () => {
    const modes: readonly [texts: readonly string[], mode: string, problems: number][] = [
      [[], "enforce", 0],
      [["{}", "mode: audit"], "audit", 0],
      [["mode: audit", "mode: warn"], "warn", 1],
      [["mode: warn", "mode: audit"], "warn", 1],
      [["mode: audit", "mode: enforce", "mode: warn"], "enforce", 2],
      [["mode: warn", "mode: warn"], "warn", 1],
    ];
    for (const [texts, mode, problems] of modes) {
      it(`are in mode ${mode} for ${texts.join(" and ") || "nothing"}`, () => {
        const parsed = parsePolicy(
          undefined,
          documents(Object.fromEntries(texts.map((text, index) => [`d${index}`, text]))),
        );
        expect(parsed.policy.mode).to.equal(mode);
        expect(parsed.policy.problems).to.have.lengthOf(problems);
      });
    }

    const unlisted: readonly [texts: readonly string[], value: string][] = [
      [["allow", "warn"], "warn"],
      [["warn", "deny"], "deny"],
      [["allow", "allow"], "allow"],
    ];
    for (const [[first = "", second = ""], value] of unlisted) {
      it(`have unlisted registries ${value} for ${first} and ${second}`, () => {
        const parsed = parsePolicy(
          undefined,
          documents({ a: `unlistedRegistries: ${first}`, b: `unlistedRegistries: ${second}` }),
        );
        expect(parsed.policy.unlistedRegistries).to.equal(value);
        expect(problemsOf(parsed)).to.deep.equal([
          `ConfigMap b/p.yaml:1:21: error: unlistedRegistries is set in ConfigMap a/p.yaml already: set it in one document; the stricter value, ${value}, holds`,
        ]);
      });
    }

    it("exempt what all of those list that list any", () => {
      const exempt = (...texts: readonly string[]): readonly string[] => [
        ...parsePolicy(
          undefined,
          documents(Object.fromEntries(texts.map((text, index) => [`d${index}`, text]))),
        ).policy.exemptNamespaces,
      ];
      expect(exempt("mode: warn")).to.deep.equal([]);
      expect(exempt("exemptNamespaces: [a, b]", "mode: warn")).to.deep.equal(["a", "b"]);
      expect(exempt("exemptNamespaces: [a, b]", "exemptNamespaces: [b, c]")).to.deep.equal(["b"]);
      expect(exempt("exemptNamespaces: [a, b]", "exemptNamespaces:")).to.deep.equal(["a", "b"]);
      expect(exempt("exemptNamespaces: [a, b]", "exemptNamespaces: []")).to.deep.equal([]);
      expect(
        exempt("exemptNamespaces: [a, b]", "exemptNamespaces: [b, a]", "exemptNamespaces: [a]"),
      ).to.deep.equal(["a"]);
    });
  });

  describe("that declare a space twice", () => {
    const managed = registries(registry("managed"));
    const space = (more: object): string =>
      spaces({ registry: "managed", name: "x", visibility: "private", ...more });
    const declared = ({ policy }: ParsedPolicies): readonly string[] =>
      [...policy.spaces.values()].map(({ visibility }) => visibility);

    it("say nothing new when both say the same", () => {
      const parsed = parsePolicy(
        undefined,
        documents({ m: managed, a: space({ storage: "1Ki" }), b: space({ storage: 1024 }) }),
      );
      expect(parsed.policy.spaces.size).to.equal(1);
      expect(problemsOf(parsed)).to.deep.equal([]);
    });

    for (const more of [{ visibility: "public" }, { storage: "1Gi" }, { adopt: true }]) {
      it(`have the first in force when they differ in ${Object.keys(more).join("")}`, () => {
        const parsed = parsePolicy(undefined, documents({ m: managed, a: space({}), b: space(more) }));
        expect([...parsed.policy.spaces.values()]).to.deep.equal([
          { registry: "managed", name: "x", visibility: "private", storageBytes: null, adopt: false },
        ]);
        expect(problemsOf(parsed)).to.deep.equal([
          "ConfigMap b/p.yaml:1:12: error: the space managed/x is declared otherwise in ConfigMap a/p.yaml, and stays as it is there",
        ]);
      });
    }

    it("leave the one in force that was, so that no new document makes a space public", () => {
      const before = parsePolicy(undefined, documents({ m: managed, b: space({}) }));
      const parsed = parsePolicy(
        before,
        documents({ m: managed, a: space({ visibility: "public" }), b: space({}) }),
      );
      expect(declared(parsed)).to.deep.equal(["private"]);
    });
  });

  describe("that bind a space twice", () => {
    const managed = registries(registry("managed"));
    const bind = (...bound: readonly unknown[]): string =>
      bindings({ workspace: "1", registry: "managed", spaces: bound });
    const idOf = ({ policy }: ParsedPolicies): number | null =>
      policy.bindings.get("managed/x")!.get("1")!.id;

    it("say nothing new when the ids are the same", () => {
      const parsed = parsePolicy(
        undefined,
        documents({ m: managed, a: bind("x", "x"), b: bind({ name: "x" }) }),
      );
      expect(idOf(parsed)).to.equal(null);
      expect(problemsOf(parsed)).to.deep.equal([]);
    });

    it("have the first in force when the ids differ", () => {
      const parsed = parsePolicy(
        undefined,
        documents({ m: managed, a: bind({ name: "x", id: 4 }), b: bind("x", { name: "x", id: 5 }) }),
      );
      expect(idOf(parsed)).to.equal(4);
      expect(problemsOf(parsed)).to.deep.equal([
        'ConfigMap b/p.yaml:1:62: error: managed/x is bound to workspace "1" in ConfigMap a/p.yaml with the id 4, which stays',
        'ConfigMap b/p.yaml:1:66: error: managed/x is bound to workspace "1" in ConfigMap a/p.yaml with the id 4, which stays',
      ]);
    });

    it("say so when the first names no id", () => {
      const parsed = parsePolicy(
        undefined,
        documents({ m: managed, a: bind("x"), b: bind({ name: "x", id: 5 }) }),
      );
      expect(idOf(parsed)).to.equal(null);
      expect(problemsOf(parsed)).to.deep.equal([
        'ConfigMap b/p.yaml:1:62: error: managed/x is bound to workspace "1" in ConfigMap a/p.yaml with no id, which stays',
      ]);
    });

    it("leave the id in force that was", () => {
      const before = parsePolicy(undefined, documents({ m: managed, b: bind({ name: "x", id: 4 }) }));
      const both = documents({ m: managed, a: bind({ name: "x", id: 5 }), b: bind({ name: "x", id: 4 }) });
      expect(idOf(parsePolicy(before, both))).to.equal(4);
    });

    it("may do so for two workspaces", () => {
      const other = bindings({ workspace: "01", registry: "managed", spaces: [{ name: "x", id: 7 }] });
      const { policy } = parsePolicy(undefined, documents({ m: managed, a: bind("x"), b: other }));
      expect(
        [...policy.bindings.get("managed/x")!].map(([workspace, { id }]) => [workspace, id]),
      ).to.deep.equal([
        ["1", null],
        ["01", 7],
      ]);
      expect(policy.problems).to.deep.equal([]);
    });
  });

  describe("with an entry that has nothing to speak of", () => {
    const all = registries(
      registry("managed"),
      registry("archive", { type: "docker-registry" }),
      registry("own", { workspace: "12" }),
    );
    const rows: readonly [
      title: string,
      entries: { readonly bindings?: object; readonly spaces?: object },
      problem: string,
    ][] = [
      [
        "a binding on an unknown registry",
        { bindings: { workspace: "1", registry: "manged", spaces: ["x"] } },
        'error: this binding is ignored, because no registry "manged" is in force: did you mean managed?',
      ],
      [
        "a space of an unknown registry",
        { spaces: { registry: "elsewhere", name: "x", visibility: "private" } },
        'error: the space x is ignored, because no registry "elsewhere" is in force',
      ],
      [
        "a binding on a docker-registry",
        { bindings: { workspace: "1", registry: "archive", spaces: ["x"] } },
        "warning: this binding is ignored, because archive is a docker-registry and has no spaces",
      ],
      [
        "a space of a docker-registry",
        { spaces: { registry: "archive", name: "x", visibility: "private" } },
        "warning: the space x is ignored, because archive is a docker-registry and has no spaces",
      ],
      [
        "a binding on a workspace's own registry",
        { bindings: { workspace: "12", registry: "own", spaces: ["x"] } },
        'warning: this binding is ignored, because registry own belongs to workspace "12", all of it and to no other',
      ],
    ];
    for (const [title, entries, problem] of rows) {
      it(`ignore ${title}, and hold the rest of the document`, () => {
        const kept = { workspace: "1", registry: "managed", spaces: ["kept"] };
        const b = JSON.stringify({
          spaces: [entries.spaces].filter((each) => each !== undefined),
          bindings: [entries.bindings, kept].filter((each) => each !== undefined),
        });
        const parsed = parsePolicy(undefined, documents({ all, b }));
        expect([...parsed.policy.bindings.keys()]).to.deep.equal(["managed/kept"]);
        expect([...parsed.policy.spaces.values()]).to.deep.equal([]);
        expect(disputesOf(parsed)).to.have.lengthOf(1);
        expect(disputesOf(parsed)[0]).to.include(problem);
      });
    }

    it("list a screenful of them, and count the others", () => {
      const lost = Array.from({ length: 50 }, (_, index) => ({
        workspace: "1",
        registry: `r${index}`,
        spaces: ["x"],
      }));
      const told = problemsOf(parsePolicy(undefined, documents({ a: bindings(...lost) })));
      expect(told).to.have.lengthOf(21);
      expect(told.at(-1)).to.equal("ConfigMap a/p.yaml: error: and 30 more problems in this document");
    });
  });
});
