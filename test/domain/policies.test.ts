import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import {
  parsePolicy,
  replayLastGood,
  validatePolicyDocument,
  type ParsedPolicies,
} from "../../src/domain/policies.ts";
import { formatProblem } from "../../src/domain/policy-problem.ts";
import { emptyPolicy, type PolicyConfigMap } from "../../src/domain/policy.ts";

const example = readFileSync(join(import.meta.dirname, "..", "fixtures", "policies", "example.yaml"), "utf8");

const configMap = (name: string, data: Readonly<Record<string, string>>): PolicyConfigMap => ({ name, data });
/** ConfigMaps of one document each. */
const documents = (texts: Readonly<Record<string, string>>): readonly PolicyConfigMap[] =>
  Object.entries(texts).map(([name, text]) => configMap(name, { "policy.yaml": text }));
const problemsOf = ({ policy }: ParsedPolicies): readonly string[] => policy.problems.map(formatProblem);

const harbor = (name: string, more = ""): string =>
  `registries: [{ name: ${name}, type: harbor, url: https://${name}.test, credentialsSecret: ${name}${more} }]\n`;
const binding = (space: string): string =>
  `bindings: [{ workspace: "1", registry: managed, spaces: [${space}] }]\n`;
const boundSpaces = ({ policy }: ParsedPolicies): readonly string[] => [...policy.bindings.keys()];

describe("a policy", () => {
  it("of no ConfigMap is the empty one", () => {
    expect(parsePolicy(undefined, []).policy).to.deep.equal(emptyPolicy);
  });

  it("is found by host, by space and by workspace", () => {
    const { policy } = parsePolicy(undefined, documents({ platform: example }));
    expect(policy.mode).to.equal("enforce");
    expect(policy.unlistedRegistries).to.equal("deny");
    expect([...policy.exemptNamespaces]).to.deep.equal(["kube-system"]);
    expect(policy.documents).to.equal(1);
    expect([...policy.registries.keys()]).to.deep.equal(["managed", "archive", "team-twelve"]);
    expect(
      [...policy.registriesByHost].map(([host, all]) => [host, ...all.map(({ name }) => name)]),
    ).to.deep.equal([
      ["harbor.example.test", "managed"],
      ["10.6.232.5:30010", "managed"],
      ["harbor.corp.test", "managed"],
      ["archive.example.test:5000", "archive"],
      ["other.example.test", "team-twelve"],
    ]);
    expect(policy.registriesByHost.get("harbor.corp.test")![0]).to.equal(policy.registries.get("managed"));
    expect([...policy.spaces.values()]).to.deep.equal([
      {
        registry: "managed",
        name: "team-a",
        visibility: "private",
        storageBytes: 50 * 1024 ** 3,
        adopt: false,
      },
    ]);
    expect(policy.bindings.get("managed/models")!.get("12")).to.deep.equal({
      workspace: "12",
      registry: "managed",
      space: "models",
      id: 42,
    });
    expect(policy.bindings.get("managed/team-a")!.get("12")!.id).to.equal(null);
    expect(policy.problems).to.have.lengthOf(1);
  });

  it("is made of the keys that end in .yaml, in the order of ConfigMap, then key, by code units", () => {
    const { policy } = parsePolicy(undefined, [
      configMap("b", {
        "z.yaml": harbor("b-z"),
        "a.yaml": harbor("b-a"),
        "README.md": "mode: warn",
        "x.yml": "?",
      }),
      configMap("a", { "B.yaml": harbor("a-b"), "a.yaml": harbor("a-a") }),
      configMap("a-1", { ".yaml": harbor("a1") }),
    ]);
    expect([...policy.registries.keys()]).to.deep.equal(["a-b", "a-a", "a1", "b-a", "b-z"]);
    expect(policy.documents).to.equal(5);
    expect(policy.mode).to.equal("enforce");
  });

  it("takes the later of two ConfigMaps of one name, as kubectl apply would", () => {
    const { policy } = parsePolicy(undefined, [
      configMap("a", { "a.yaml": harbor("old"), "b.yaml": harbor("gone") }),
      configMap("a", { "a.yaml": harbor("new") }),
    ]);
    expect([...policy.registries.keys()]).to.deep.equal(["new"]);
  });

  it("may have bindings in another document than the registry, before it too", () => {
    const parsed = parsePolicy(undefined, documents({ a: binding("x"), b: harbor("managed") }));
    expect(boundSpaces(parsed)).to.deep.equal(["managed/x"]);
    expect(problemsOf(parsed)).to.deep.equal([]);
  });

  describe("with a document that cannot be read", () => {
    const good = documents({ a: harbor("managed"), b: binding("x") });
    const broken = documents({ a: harbor("managed"), b: "bindings: [" });
    const invalid = documents({ a: harbor("managed"), b: "bindings: [{ workspace: 1, registry: managed }]" });

    it("holds nothing of it when it was never good, and the rest of the policy", () => {
      const parsed = parsePolicy(undefined, broken);
      expect(boundSpaces(parsed)).to.deep.equal([]);
      expect([...parsed.policy.registries.keys()]).to.deep.equal(["managed"]);
      expect(parsed.policy.documents).to.equal(1);
      expect(problemsOf(parsed)[0]).to.match(
        /^ConfigMap b\/policy\.yaml:1:12: error: this is no valid YAML: /,
      );
    });

    for (const [title, bad] of [
      ["broken", broken],
      ["invalid", invalid],
    ] as const) {
      it(`keeps what it said when it was last good, and shows that it is ${title}`, () => {
        const before = parsePolicy(undefined, good);
        const once = parsePolicy(before, bad);
        const twice = parsePolicy(once, documents({ a: harbor("managed"), b: "mode: [" }));
        for (const parsed of [once, twice]) {
          expect(boundSpaces(parsed)).to.deep.equal(["managed/x"]);
          expect(parsed.policy.documents).to.equal(2);
          expect(parsed.policy.problems).to.have.lengthOf(1);
          expect(parsed.policy.problems[0]!.severity).to.equal("error");
        }
        const mended = parsePolicy(twice, documents({ a: harbor("managed"), b: binding("z") }));
        expect(boundSpaces(mended)).to.deep.equal(["managed/z"]);
        expect(problemsOf(mended)).to.deep.equal([]);
      });
    }

    it("tells what its last good content has against the other documents without a place in the new text", () => {
      const before = parsePolicy(undefined, good);
      const parsed = parsePolicy(
        parsePolicy(before, broken),
        documents({ a: harbor("other"), b: "bindings: [" }),
      );
      expect(boundSpaces(parsed)).to.deep.equal([]);
      expect(problemsOf(parsed)[1]).to.equal(
        'ConfigMap b/policy.yaml: error: this binding is ignored, because no registry "managed" is in force ' +
          "(in its last good content, which stays in force)",
      );
    });

    it("withdraws it at once when its key or ConfigMap is deleted", () => {
      const kept = parsePolicy(parsePolicy(undefined, good), broken);
      expect(boundSpaces(parsePolicy(kept, documents({ a: harbor("managed") })))).to.deep.equal([]);
      const otherKey = [
        ...documents({ a: harbor("managed") }),
        configMap("b", { "other.yaml": "mode: warn" }),
      ];
      expect(boundSpaces(parsePolicy(kept, otherKey))).to.deep.equal([]);
      expect(parsePolicy(kept, []).policy).to.deep.equal(emptyPolicy);
    });

    it("does not remember what a deleted document said", () => {
      const gone = parsePolicy(parsePolicy(undefined, good), documents({ a: harbor("managed") }));
      expect(boundSpaces(parsePolicy(gone, broken))).to.deep.equal([]);
    });

    it("decides after a restart as it did before, from the last good texts as JSON", () => {
      const running = parsePolicy(parsePolicy(undefined, good), broken);
      const stored = JSON.stringify(running.lastGoodTexts);
      const replayed = replayLastGood(JSON.parse(stored) as ParsedPolicies["lastGoodTexts"]);
      expect(boundSpaces(replayed)).to.deep.equal(["managed/x"]);
      const restarted = parsePolicy(replayed, broken);
      expect(restarted.policy).to.deep.equal(running.policy);
      expect(restarted.lastGoodTexts).to.deep.equal(running.lastGoodTexts);
    });

    it("decides after a restart as it did before in what documents dispute", () => {
      const first = parsePolicy(undefined, documents({ b: harbor("managed", ", aliases: [b.test]") }));
      const disputed = documents({
        a: `${harbor("managed", ", aliases: [a.test]")}mode: warn\n`,
        b: harbor("managed", ", aliases: [b.test]"),
        c: harbor("late", ", aliases: [b.test, c.test]"),
      });
      const running = parsePolicy(first, disputed);
      expect(running.policy.registries.get("managed")!.spellings).to.deep.equal(["managed.test", "b.test"]);
      const restarted = parsePolicy(replayLastGood(running.lastGoodTexts), disputed);
      expect(restarted.policy).to.deep.equal(running.policy);
      expect(parsePolicy(undefined, disputed).policy).to.not.deep.equal(running.policy);
    });
  });

  describe("that is parsed again", () => {
    const configMaps = documents({ a: harbor("managed"), b: binding("x"), c: "mode: [" });

    it("is the same value when no document changed", () => {
      const parsed = parsePolicy(undefined, configMaps);
      const copies = configMaps
        .map(({ name, data }) => configMap(name, { ...data, NOTES: "changed" }))
        .reverse();
      expect(parsePolicy(parsed, copies)).to.equal(parsed);
      expect(parsePolicy(parsed, [])).to.not.equal(parsed);
      expect(parsePolicy(parsed, configMaps.slice(1))).to.not.equal(parsed);
    });

    it("reads only the texts that changed, broken ones included", () => {
      const before = parsePolicy(undefined, configMaps);
      const after = parsePolicy(before, [
        ...configMaps.slice(0, 1),
        ...documents({ b: binding("z"), c: "mode: [" }),
      ]);
      const isKept = (id: string): boolean =>
        before.documents.get(id)!.read === after.documents.get(id)!.read;
      expect(["a/policy.yaml", "b/policy.yaml", "c/policy.yaml"].map(isKept)).to.deep.equal([
        true,
        false,
        true,
      ]);
      expect(boundSpaces(after)).to.deep.equal(["managed/z"]);
    });

    it("tells the new places of problems when the text only moved in its file, without reading it", () => {
      const at = (line: number): readonly PolicyConfigMap[] => [
        {
          ...configMap("a", { "a.yaml": "mode: enforced" }),
          origin: { file: "all.yaml", positions: { "a.yaml": { line, column: 5, literal: true } } },
        },
      ];
      const before = parsePolicy(undefined, at(10));
      const after = parsePolicy(before, at(20));
      expect(problemsOf(before)[0]).to.match(/^all\.yaml:10:11: error: ConfigMap a\/a\.yaml: mode: /);
      expect(problemsOf(after)[0]).to.match(/^all\.yaml:20:11: error: ConfigMap a\/a\.yaml: mode: /);
      expect(after.documents.get("a/a.yaml")!.read).to.equal(before.documents.get("a/a.yaml")!.read);
      expect(parsePolicy(after, at(20))).to.equal(after);
    });
  });
});

describe("the check of one policy document", () => {
  const source = { configMap: null, key: null, file: "policy.yaml" };
  const check = (text: string): readonly string[] => validatePolicyDocument(text, source).map(formatProblem);

  it("says of the example what is said of it in force", () => {
    expect(check(example)).to.deep.equal([
      "policy.yaml:19:24: warning: registries[2].credentialsSecret: is handed out to every namespace of the workspace: name a login that cannot push as pullCredentialsSecret",
    ]);
  });

  it("finds what a document has against itself", () => {
    const told = check(
      `${harbor("a").trim().slice(0, -1)}, { name: a, type: docker-registry, url: https://b.test }]`,
    );
    expect(told).to.have.lengthOf(1);
    expect(told[0]).to.match(
      /^policy\.yaml:1:\d+: error: this registry is ignored: the name a is taken in this document/,
    );
  });

  it("says nothing of registries that other documents may define", () => {
    expect(
      check(`${binding("x")}spaces: [{ registry: managed, name: x, visibility: private }]`),
    ).to.deep.equal([]);
  });

  it("tells the file's own place when it knows where the text begins", () => {
    const inConfigMap = { configMap: "a", key: "b.yaml", file: "all.yaml" };
    const problems = validatePolicyDocument("\nmode: x", inConfigMap, { line: 7, column: 5, literal: true });
    expect(problems.map(({ position }) => position)).to.deep.equal([{ line: 8, column: 11 }]);
  });
});
