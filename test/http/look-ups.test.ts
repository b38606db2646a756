import { expect } from "chai";
import { questionAbout } from "../../src/domain/decision.ts";
import type { GrantAnswer, NamespaceAnswer, SpaceAnswer, Unknown } from "../../src/domain/knowledge.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { decideAfterLookUps, maxAsked, type LookUps } from "../../src/http/look-ups.ts";
import { policyOf, readAt, registry, snapshotOf, space } from "../builders.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";

const shared = (name: string, workspace: string | null) =>
  registry(name, { spellings: ["harbor.test"], workspace });
const policy = policyOf({
  registries: [shared("managed", null), shared("ours", "12")],
  bindings: ["12 managed/team-a"],
});
const parts = {
  policy,
  namespaces: { shop: "12", lab: "13" },
  catalogues: { managed: [space("team-a", "private", 3)] },
};

const use = (image: string) => ({ path: "spec.containers[0].image", container: "app", image });
const ask = (namespace: string, ...images: readonly string[]) => questionAbout(namespace, images.map(use));
const aboutSpace = (name: string): Unknown => ({ what: "space", registry: "managed", space: name });
const never = new Promise<never>(() => undefined);

describe("a decision that needs knowledge from outside", () => {
  let snapshot: Snapshot;
  let asked: string[];
  let spaceAnswer: (name: string, signal: AbortSignal) => Promise<SpaceAnswer>;
  let namespaceAnswer: () => Promise<NamespaceAnswer>;
  let grantAnswer: () => Promise<GrantAnswer>;
  const log = createRecordingLog();
  const lookUps: LookUps = {
    namespace(namespace) {
      asked.push(`namespace ${namespace}`);
      return namespaceAnswer();
    },
    space(registryName, name, namespace, signal) {
      asked.push(`${registryName}/${name} for ${namespace}`);
      return spaceAnswer(name, signal);
    },
    grant(registryName, repository, namespace) {
      asked.push(`grant ${registryName}/${repository} for ${namespace}`);
      return grantAnswer();
    },
  };
  const read = (answer: ReturnType<typeof space> | null): Promise<SpaceAnswer> =>
    Promise.resolve({ kind: "read", reading: { readAt: readAt + 1, space: answer } });

  beforeEach(() => {
    snapshot = snapshotOf(parts);
    asked = [];
    log.lines.length = 0;
    spaceAnswer = () => read(null);
    namespaceAnswer = () => Promise.resolve({ kind: "read", exists: false, workspace: null });
    grantAnswer = () => Promise.resolve({ kind: "read", granted: false });
  });

  async function decided(question: ReturnType<typeof ask>, unknowns: readonly Unknown[], timeoutMs = 5_000) {
    const { verdict, snapshot: of } = await decideAfterLookUps(
      { snapshot: () => snapshot, lookUps, log },
      question,
      unknowns,
      timeoutMs,
    );
    const reasons =
      verdict.kind === "refuse"
        ? verdict.refusals.map(({ reason, unanswered }) => `${reason} (${unanswered ?? "answered"})`)
        : verdict.judgements.map(({ reason }) => reason);
    return { kind: verdict.kind, reasons, of };
  }

  it("asks for everything at once, before any answer is there", async () => {
    const answers: (() => void)[] = [];
    spaceAnswer = (name) =>
      new Promise((resolve) => {
        answers.push(() =>
          resolve({ kind: "read", reading: { readAt: readAt + 1, space: space(name, "public") } }),
        );
      });
    const decision = decided(ask("lab", "harbor.test/a/x", "harbor.test/b/x"), [
      aboutSpace("a"),
      aboutSpace("b"),
    ]);
    expect(asked).to.deep.equal(["managed/a for lab", "managed/b for lab"]);
    for (const answer of answers) answer();
    expect(await decided(ask("lab"), [])).to.include({ kind: "allow" });
    expect(await decision).to.deep.include({ kind: "allow", reasons: ["public-space", "public-space"] });
    expect(asked, "and for nothing twice").to.have.lengthOf(2);
  });

  it("asks on for what an answer makes unknown: namespace, then grant, and no further", async () => {
    namespaceAnswer = () => Promise.resolve({ kind: "read", exists: true, workspace: "12" });
    grantAnswer = () => Promise.resolve({ kind: "read", granted: true });
    const image = "harbor.test/team-c/app";
    const outcome = await decided(ask("new", image), [{ what: "namespace", namespace: "new" }]);
    expect(outcome).to.deep.include({ kind: "allow-with-pull-secret", reasons: ["workspace-registry"] });
    expect(asked).to.deep.equal(["namespace new", "managed/team-c for new", "grant ours/team-c/app for new"]);
  });

  it("decides on the snapshot of the answer's moment, and returns that one", async () => {
    const later = snapshotOf({
      ...parts,
      policy: policyOf({ registries: [...policy.registries.values()], bindings: ["13 managed/team-a"] }),
    });
    spaceAnswer = () => {
      snapshot = later;
      return read(space("team-a", "private", 3));
    };
    const outcome = await decided(ask("lab", "harbor.test/team-a/x"), [aboutSpace("team-a")]);
    expect(outcome).to.deep.include({ kind: "allow-with-pull-secret", reasons: ["bound-space"] });
    expect(outcome.of).to.equal(later);
  });

  const failing: [what: string, image: string, unknown: Unknown, expected: string][] = [
    ["of a space", "harbor.test/team-a/x", aboutSpace("team-a"), "space-not-bound (failed)"],
    [
      "of a namespace",
      "harbor.test/team-a/x",
      { what: "namespace", namespace: "new" },
      "namespace-unknown (failed)",
    ],
  ];
  for (const [what, image, unknown, expected] of failing) {
    it(`refuses when the look-up ${what} fails, logs it, and asks no second time`, async () => {
      spaceAnswer = () => Promise.reject(new Error("Harbor is down"));
      namespaceAnswer = () => Promise.reject(new Error("the API server is down"));
      const namespace = unknown.what === "namespace" ? "new" : "lab";
      const { kind, reasons } = await decided(ask(namespace, image), [unknown]);
      expect([kind, reasons]).to.deep.equal(["refuse", [expected]]);
      expect(new Set(asked).size).to.equal(asked.length);
      expect(log.lines.map(({ level }) => level)).to.include("warn");
    });
  }

  it("refuses what a failed grant would have allowed", async () => {
    grantAnswer = () => Promise.reject(new Error("the token service is down"));
    spaceAnswer = () => read(null);
    const outcome = await decided(ask("shop", "harbor.test/team-c/x"), [
      aboutSpace("team-c"),
      { what: "grant", registry: "ours", repository: "team-c/x" },
    ]);
    expect(outcome.kind).to.equal("refuse");
  });

  it("one answer that fails takes nothing from another", async () => {
    spaceAnswer = (name) => (name === "a" ? read(space("a", "public")) : Promise.reject(new Error("reset")));
    const { kind, reasons } = await decided(ask("lab", "harbor.test/a/x", "harbor.test/b/x"), [
      aboutSpace("a"),
      aboutSpace("b"),
    ]);
    expect([kind, reasons]).to.deep.equal(["refuse", ["space-unknown (failed)"]]);
  });

  it("asks for a hundred things and no more; the rest counts as over the limit", async () => {
    const names = Array.from({ length: 150 }, (_, index) => `s${String(index)}`);
    const images = names.map((name) => `harbor.test/${name}/x`);
    const { kind, reasons } = await decided(ask("lab", ...images), names.map(aboutSpace));
    expect(asked).to.have.lengthOf(maxAsked);
    expect([kind, reasons.length]).to.deep.equal(["refuse", 150]);
    expect(reasons.filter((reason) => reason.includes("(limited)"))).to.have.lengthOf(150 - maxAsked);
  });

  it("keeps half a second of the deadline back for itself, and tells those asked", async () => {
    let given: AbortSignal | undefined;
    spaceAnswer = (_name, signal) => {
      given = signal;
      return never;
    };
    const { reasons } = await decided(ask("lab", "harbor.test/team-a/x"), [aboutSpace("team-a")], 520);
    expect(reasons).to.deep.equal(["space-not-bound (deadline)"]);
    expect(given?.aborted).to.equal(true);
  });

  it("takes a late answer, or a late failure, for nothing", async () => {
    let fail: (err: Error) => void = () => undefined;
    spaceAnswer = () => new Promise((_, reject) => (fail = reject));
    const { reasons } = await decided(ask("lab", "harbor.test/team-a/x"), [aboutSpace("team-a")], 510);
    expect(reasons).to.deep.equal(["space-not-bound (deadline)"]);
    fail(new Error("too late for anybody"));
    // An unhandled rejection would end the process here.
    await new Promise((resolve) => setImmediate(resolve));
    expect(log.lines).to.deep.equal([]);
  });

  it("does not begin another round past the deadline", async () => {
    namespaceAnswer = () => never;
    const { reasons } = await decided(
      ask("new", "harbor.test/team-a/x"),
      [{ what: "namespace", namespace: "new" }],
      510,
    );
    expect(reasons).to.deep.equal(["namespace-unknown (deadline)"]);
    expect(asked).to.deep.equal(["namespace new"]);
  });

  it("lets the signal be when the answer came in time", async () => {
    let given: AbortSignal | undefined;
    spaceAnswer = (_name, signal) => {
      given = signal;
      return read(null);
    };
    await decided(ask("lab", "harbor.test/team-a/x"), [aboutSpace("team-a")], 505);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(given?.aborted).to.equal(false);
  });
});
