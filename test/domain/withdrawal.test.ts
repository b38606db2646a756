import { expect } from "chai";
import { parsePolicy, type LastGoodText } from "../../src/domain/policies.ts";
import {
  maxWithdrawn,
  maxWithdrawnLength,
  mergeWithdrawn,
  pruneWithdrawn,
  retainedPolicy,
  withdraw,
  withdrawnForMs,
  type WithdrawnDocument,
} from "../../src/domain/withdrawal.ts";

const good = (id: string, text = "mode: warn"): LastGoodText => {
  const [configMap = "", key = "a.yaml"] = id.split("/");
  return { configMap, key, text, yields: false };
};
const gone = (id: string, withdrawnAt: number, text = "mode: warn"): WithdrawnDocument => {
  const { configMap, key } = good(id);
  return { configMap, key, text, withdrawnAt };
};
const names = (...all: string[]) => all.map((name) => ({ name }));
const now = 10 * withdrawnForMs;

describe("withdraw", () => {
  it("withdraws the documents of a ConfigMap that is gone, with the time", () => {
    const previous = [good("kept"), good("lost/a.yaml"), good("lost/b.yaml")];
    expect(withdraw(previous, names("kept"), [], now)).to.deep.equal([
      gone("lost/a.yaml", now),
      gone("lost/b.yaml", now),
    ]);
  });
  it("takes a key that leaves a ConfigMap for an edit", () => {
    expect(withdraw([good("kept/a.yaml"), good("kept/b.yaml")], names("kept"), [], now)).to.deep.equal([]);
  });
  it("forgets what is back, and what was withdrawn an hour ago", () => {
    const before = [
      gone("back", now - 1),
      gone("old", now - withdrawnForMs),
      gone("recent", now - withdrawnForMs + 1),
    ];
    expect(withdraw([], names("back"), before, now)).to.deep.equal([before[2]]);
  });
  it("counts the hour anew when it is deleted again", () => {
    const before = [gone("a", now - 5, "mode: audit")];
    expect(withdraw([good("a")], [], before, now)).to.deep.equal([gone("a", now)]);
  });
  it("keeps what is withdrawn already, the very values", () => {
    const before = [gone("a", now - 1), gone("b", now - 2)];
    expect(withdraw([good("kept")], names("kept"), before, now)).to.have.ordered.members(before);
    expect(pruneWithdrawn(before, now)).to.have.ordered.members(before);
  });
  it("keeps nothing for long that a clock far ahead put down", () => {
    expect(
      pruneWithdrawn([gone("ahead", now + 1_000), gone("far", now + withdrawnForMs)], now),
    ).to.deep.equal([gone("ahead", now + 1_000)]);
  });
  it("keeps so many, and so much text, those that were deleted last", () => {
    const many = Array.from({ length: maxWithdrawn + 1 }, (_, index) => gone(`c${index}`, now - index));
    expect(pruneWithdrawn(many, now)).to.deep.equal(many.slice(0, maxWithdrawn));
    const text = "#".repeat(maxWithdrawnLength / 2);
    const long = [gone("first", now - 3, text), gone("second", now - 2, text), gone("third", now - 1, "#")];
    expect(pruneWithdrawn(long, now)).to.deep.equal(long.slice(1));
  });
});

describe("mergeWithdrawn", () => {
  it("takes what is new, and of two withdrawals of one document the newer", () => {
    const known = [gone("a", 5), gone("b", 5)];
    expect(mergeWithdrawn(known, [gone("a", 4), gone("b", 6), gone("c", 1)])).to.deep.equal([
      gone("a", 5),
      gone("b", 6),
      gone("c", 1),
    ]);
  });
  it("keeps the very values where there is no news", () => {
    const known = [gone("a", 5)];
    expect(mergeWithdrawn(known, [gone("a", 5)])).to.have.ordered.members(known);
  });
});

describe("retainedPolicy", () => {
  const harbor = (name: string, host = `${name}.test`): string =>
    `registries: [{ name: ${name}, type: harbor, url: "https://${host}", credentialsSecret: s }]\n`;
  const binding = (space: string, registry = "managed"): string =>
    `bindings: [{ workspace: "12", registry: ${registry}, spaces: [${space}] }]\n`;
  const declared = (visibility: string): string =>
    `spaces: [{ registry: managed, name: x, visibility: ${visibility} }]\n`;
  const inForce = (...texts: string[]) =>
    parsePolicy(
      undefined,
      texts.map((text, index) => ({ name: `in-force-${index}`, data: { "a.yaml": text } })),
    );
  const retained = (parsed: ReturnType<typeof inForce>, ...texts: string[]) =>
    retainedPolicy(
      parsed,
      texts.map((text, index) => gone(`gone-${index}`, now, text)),
    );
  const boundIn = ({ bindings }: ReturnType<typeof retained>): object =>
    Object.fromEntries([...bindings].map(([key, all]) => [key, [...all.values()].map(({ id }) => id)]));

  it("is the policy in force where nothing is withdrawn", () => {
    const parsed = inForce(harbor("managed"));
    expect(retained(parsed)).to.equal(parsed.policy);
  });

  it("has registries, bindings and spaces of withdrawn documents beside those in force", () => {
    const parsed = inForce(harbor("managed") + binding("a"));
    const policy = retained(
      parsed,
      harbor("second") + binding("b", "second"),
      binding("b") + declared("private"),
    );
    expect([...policy.registries.keys()]).to.deep.equal(["managed", "second"]);
    expect([...policy.registriesByHost.keys()]).to.deep.equal(["managed.test", "second.test"]);
    expect(boundIn(policy)).to.deep.equal({ "managed/a": [null], "second/b": [null], "managed/b": [null] });
    expect([...policy.spaces.keys()]).to.deep.equal(["managed/x"]);
  });

  it("has the mode, the exemptions and the problems of today", () => {
    const parsed = inForce("mode: enforce\nunlistedRegistries: deny\nexemptNamespaces: [a]");
    const policy = retained(
      parsed,
      "mode: audit\nunlistedRegistries: allow\nexemptNamespaces: [b]\n" + binding("a", "unheard-of"),
    );
    expect(policy).to.deep.include({
      mode: "enforce",
      unlistedRegistries: "deny",
      exemptNamespaces: new Set(["a"]),
      documents: 1,
      problems: [],
    });
  });

  it("displaces nothing, neither a registry nor a host, an id or a visibility", () => {
    const parsed = inForce(harbor("managed") + binding("{ name: a, id: 1 }") + declared("private"));
    const policy = retained(
      parsed,
      harbor("other", "managed.test") + binding("b", "other"),
      binding("{ name: a, id: 2 }") + declared("public"),
    );
    expect([...policy.registries.values()]).to.deep.equal([...parsed.policy.registries.values()]);
    expect(boundIn(policy)).to.deep.equal({ "managed/a": [1] });
    expect(policy.spaces.get("managed/x")?.visibility).to.equal("private");
  });

  it("does not carry bindings over to another server that has the registry's name now", () => {
    const parsed = inForce(harbor("managed", "new.test") + binding("a"));
    const policy = retained(parsed, harbor("managed", "old.test") + binding("b") + declared("private"));
    expect(policy.registries.get("managed")?.url).to.equal("https://new.test");
    expect(boundIn(policy)).to.deep.equal({ "managed/a": [null] });
    expect(policy.spaces.size).to.equal(0);
  });

  it("passes over a text that this release cannot read", () => {
    const parsed = inForce(harbor("managed") + binding("a"));
    expect(boundIn(retained(parsed, "bindings: ["))).to.deep.equal({ "managed/a": [null] });
  });

  it("reads a withdrawn document once", () => {
    const parsed = inForce(harbor("managed"));
    const withdrawn = [gone("gone", now, binding("a"))];
    const [first, second] = [retainedPolicy(parsed, withdrawn), retainedPolicy(parsed, withdrawn)];
    expect(first).to.deep.equal(second);
    expect(first.bindings.get("managed/a")?.get("12")).to.not.equal(undefined);
  });
});
