import { expect } from "chai";
import { parsePolicy } from "../../src/domain/policies.ts";
import type { PublishedPolicy } from "../../src/domain/published-policy.ts";
import { withdrawnForMs } from "../../src/domain/withdrawal.ts";
import {
  startClusterFeed,
  type ClusterFeed,
  type ClusterSink,
  type PolicyInForce,
  type SecretData,
} from "../../src/feeds/cluster-feed.ts";
import { createCell, createState, type State } from "../../src/state.ts";
import { rules } from "../builders.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";

const label = "workspace.ghippo.io/id";
const policy = (text: string, name = "policy") => [{ name, data: { "a.yaml": text } }];

describe("the cluster feed", () => {
  let state: State;
  let sink: ClusterSink;
  let log: RecordingLog;
  let generations: number;
  let now: number;
  const secrets = createCell<ReadonlyMap<string, SecretData>>(new Map());

  beforeEach(() => {
    state = createState(rules);
    now = 1_000_000;
    log = createRecordingLog();
    startClusterFeed({
      source(given) {
        sink = given;
        return { stop: () => Promise.resolve() };
      },
      state,
      secrets,
      workspaceLabel: label,
      log,
      now: () => now,
    });
    generations = 0;
    state.subscribe(() => (generations += 1));
  });

  it("makes workspaces of labels: text, and none where it is empty or absent", () => {
    expect(state.snapshot().namespacesRead).to.equal(false);
    sink.namespaces(
      new Map([
        ["shop", { [label]: "012" }],
        ["empty", { [label]: "" }],
        ["bare", {}],
      ]),
    );
    const { namespaces, namespacesRead } = state.snapshot();
    expect(namespacesRead).to.equal(true);
    expect(Object.fromEntries(namespaces)).to.deep.equal({ shop: "012", empty: null, bare: null });
  });

  it("knows an empty cluster from one that was not read", () => {
    sink.namespaces(new Map());
    sink.policyConfigMaps([]);
    expect(state.snapshot()).to.include({ namespacesRead: true, policyRead: true });
  });

  it("publishes nothing where nothing changed", () => {
    const all = new Map([["shop", { [label]: "12" }]]);
    sink.namespaces(all);
    sink.namespaces(new Map([["shop", { [label]: "12", other: "x" }]]));
    sink.policyConfigMaps(policy("mode: warn"));
    sink.policyConfigMaps(policy("mode: warn"));
    expect(generations).to.equal(2);
    sink.namespaces(new Map([["shop", {}]]));
    sink.namespaces(new Map([["other", {}]]));
    expect(generations).to.equal(4);
  });

  it("puts a policy in force, keeps the last good one of a document that breaks, and withdraws one that is gone", () => {
    sink.policyConfigMaps(policy("mode: warn"));
    expect(state.snapshot().policy.mode).to.equal("warn");
    sink.policyConfigMaps(policy("mode: nonsense"));
    expect(state.snapshot().policy.mode).to.equal("warn");
    expect(state.snapshot().policy.problems).to.have.length(1);
    sink.policyConfigMaps([]);
    expect(state.snapshot().policy.mode).to.equal("enforce");
    expect(state.snapshot().policy.problems).to.deep.equal([]);
  });

  it("says each problem once for as long as it stays, and again when it comes back", () => {
    const said = () => log.lines.filter(({ text }) => text.includes("nonsense")).length;
    sink.policyConfigMaps(policy("mode: nonsense"));
    sink.policyConfigMaps([...policy("mode: nonsense"), ...policy("unlistedRegistries: deny", "other")]);
    expect(said()).to.equal(1);
    sink.policyConfigMaps(policy("mode: warn"));
    sink.policyConfigMaps(policy("mode: nonsense"));
    expect(said()).to.equal(2);
  });

  it("says which exempt name no namespace has, once, until one has it", () => {
    const said = () => log.lines.filter(({ text }) => text.includes('no namespace "cni"')).length;
    sink.policyConfigMaps(policy("exemptNamespaces: [cni]"));
    expect(said(), "not before the namespaces were read").to.equal(0);
    sink.namespaces(new Map([["shop", {}]]));
    sink.namespaces(new Map([["lab", {}]]));
    expect(said()).to.equal(1);
    sink.namespaces(new Map([["cni", {}]]));
    sink.namespaces(new Map());
    expect(said()).to.equal(2);
  });

  it("keeps Secrets out of the snapshot", () => {
    sink.secrets(new Map([["login", { password: "s3cret" }]]));
    expect(secrets.current().get("login")).to.deep.equal({ password: "s3cret" });
    expect(JSON.stringify([...state.snapshot().catalogues, state.snapshot().policy])).to.not.contain(
      "s3cret",
    );
    expect(generations).to.equal(0);
  });

  it("notes the service accounts that enforce their list", () => {
    sink.strictServiceAccounts(new Set(["shop/strict"]));
    expect([...state.snapshot().strictServiceAccounts]).to.deep.equal(["shop/strict"]);
  });
});

describe("the cluster feed beside what is published", () => {
  const harbor = `registries: [{ name: managed, type: harbor, url: "https://managed.test", credentialsSecret: s }]\n`;
  const binding = (space: string): string =>
    `bindings: [{ workspace: "12", registry: managed, spaces: [${space}] }]\n`;
  const configMaps = (texts: Readonly<Record<string, string>>) =>
    Object.entries(texts).map(([name, text]) => ({ name, data: { "a.yaml": text } }));
  const publishedOf = (
    texts: Readonly<Record<string, string>>,
    more: Partial<PublishedPolicy> = {},
  ): PublishedPolicy => ({
    texts: parsePolicy(undefined, configMaps(texts)).lastGoodTexts,
    withdrawn: [],
    pins: new Map(),
    ownSpaces: new Map(),
    ...more,
  });

  let state: State;
  let sink: ClusterSink;
  let feed: ClusterFeed;
  let told: PolicyInForce[];
  let leads: boolean;
  let now: number;

  beforeEach(() => start(true));

  function start(awaitsPublished: boolean): void {
    state = createState(rules);
    told = [];
    leads = false;
    now = 100 * withdrawnForMs;
    feed = startClusterFeed({
      source(given) {
        sink = given;
        return { stop: () => Promise.resolve() };
      },
      state,
      secrets: createCell<ReadonlyMap<string, SecretData>>(new Map()),
      workspaceLabel: label,
      log: createRecordingLog(),
      now: () => now,
      awaitsPublished,
      leads: () => leads,
      onPolicy: (inForce) => told.push(inForce),
    });
  }

  const boundSpaces = () => [...state.snapshot().policy.bindings.keys()];
  const retainedSpaces = () => [...(feed.current()?.retained.bindings.keys() ?? [])];
  const good = { a: harbor, b: binding("x") };
  const broken = { a: harbor, b: "bindings: [" };

  for (const order of ["published first", "policy first"]) {
    it(`decides after a restart on a broken document as its peers do, ${order}`, () => {
      const steps = [
        () => sink.publishedPolicy(publishedOf(good)),
        () => sink.policyConfigMaps(configMaps(broken)),
      ];
      if (order === "policy first") steps.reverse();
      steps[0]?.();
      expect(state.snapshot().policyRead, "not with half of it").to.equal(false);
      expect(feed.current()).to.equal(undefined);
      steps[1]?.();
      expect(state.snapshot().policyRead).to.equal(true);
      expect(boundSpaces()).to.deep.equal(["managed/x"]);
      expect(state.snapshot().policy.problems).to.have.length(1);
    });
  }

  it("puts the policy of now in force, not what was published of it", () => {
    sink.publishedPolicy(publishedOf({ ...good, c: "mode: audit" }));
    sink.policyConfigMaps(configMaps({ a: harbor, b: binding("z") }));
    expect(state.snapshot().policy.mode).to.equal("enforce");
    expect(boundSpaces()).to.deep.equal(["managed/z"]);
    sink.publishedPolicy(publishedOf({ ...good, c: "mode: audit" }));
    expect(boundSpaces(), "nor later").to.deep.equal(["managed/z"]);
  });

  it("has the policy read, be it the very one that was published", () => {
    sink.publishedPolicy(publishedOf(good));
    sink.policyConfigMaps(configMaps(good));
    expect(state.snapshot().policyRead).to.equal(true);
    expect(boundSpaces()).to.deep.equal(["managed/x"]);
    const { generation } = state.snapshot();
    sink.policyConfigMaps(configMaps(good));
    expect(state.snapshot().generation, "and nothing new the second time").to.equal(generation);
    expect(told).to.have.length(1);
  });

  it("goes on without where nothing is published: then no space is Berth's own", () => {
    sink.policyConfigMaps(configMaps(broken));
    sink.publishedPolicy(null);
    expect(state.snapshot()).to.include({ policyRead: true, ownSpacesRead: true });
    expect(boundSpaces()).to.deep.equal([]);
  });

  it("does not wait where the source never says what is published", () => {
    start(false);
    sink.policyConfigMaps(configMaps(good));
    expect(state.snapshot()).to.include({ policyRead: true, ownSpacesRead: false });
  });

  it("takes pins and own spaces over, when it starts and later, unless it is the one who publishes", () => {
    const pinned = (id: number) =>
      publishedOf(good, { pins: new Map([["managed/x/12", id]]), ownSpaces: new Map([["managed/x", id]]) });
    const known = () => [...state.snapshot().pins.values(), ...state.snapshot().ownSpaces.values()];
    leads = true;
    sink.publishedPolicy(pinned(3));
    sink.policyConfigMaps(configMaps(good));
    expect(known(), "what another leader left").to.deep.equal([3, 3]);
    sink.publishedPolicy(pinned(4));
    expect(known(), "an echo of its own").to.deep.equal([3, 3]);
    leads = false;
    sink.publishedPolicy(pinned(5));
    expect(known()).to.deep.equal([5, 5]);
    sink.publishedPolicy(null);
    expect(known(), "what is known stays known").to.deep.equal([5, 5]);
  });

  describe("a deleted ConfigMap", () => {
    beforeEach(() => {
      sink.publishedPolicy(null);
      sink.policyConfigMaps(configMaps(good));
      told.length = 0;
    });

    it("is out of force at once, and planned from for an hour", () => {
      sink.policyConfigMaps(configMaps({ a: harbor }));
      expect(boundSpaces()).to.deep.equal([]);
      expect(retainedSpaces()).to.deep.equal(["managed/x"]);
      expect(told).to.have.length(1);
      expect(told[0]).to.equal(feed.current());
      expect(feed.current()?.withdrawn).to.deep.equal([
        { configMap: "b", key: "a.yaml", text: binding("x"), withdrawnAt: now },
      ]);
      feed.prune(now + withdrawnForMs - 1);
      expect(told, "nothing happened").to.have.length(1);
      feed.prune(now + withdrawnForMs);
      expect(retainedSpaces()).to.deep.equal([]);
      expect(feed.current()?.retained).to.equal(state.snapshot().policy);
      expect(told).to.have.length(2);
    });

    it("that comes back is in force as if nothing had been", () => {
      sink.policyConfigMaps(configMaps({ a: harbor }));
      sink.policyConfigMaps(configMaps(good));
      expect(boundSpaces()).to.deep.equal(["managed/x"]);
      expect(feed.current()?.withdrawn).to.deep.equal([]);
      expect(feed.current()?.retained).to.equal(state.snapshot().policy);
    });

    it("that was broken by then is withdrawn as it last was good", () => {
      sink.policyConfigMaps(configMaps(broken));
      sink.policyConfigMaps(configMaps({ a: harbor }));
      expect(retainedSpaces()).to.deep.equal(["managed/x"]);
    });

    it("is known to other replicas, and from them", () => {
      const withdrawn = [{ configMap: "c", key: "a.yaml", text: binding("why"), withdrawnAt: now - 1 }];
      sink.publishedPolicy(publishedOf(good, { withdrawn }));
      expect(retainedSpaces()).to.deep.equal(["managed/x", "managed/why"]);
      expect(told).to.have.length(1);
      sink.publishedPolicy(publishedOf(good, { withdrawn }));
      expect(told, "no news").to.have.length(1);
    });

    it("that others saw deleted and that is back here is not withdrawn", () => {
      const withdrawn = [{ configMap: "b", key: "a.yaml", text: binding("why"), withdrawnAt: now - 1 }];
      sink.publishedPolicy(publishedOf(good, { withdrawn }));
      expect(feed.current()?.withdrawn).to.deep.equal([]);
      expect(told).to.have.length(0);
    });
  });

  it("takes what was deleted while no replica ran for deleted just now", () => {
    const withdrawn = [{ configMap: "old", key: "a.yaml", text: binding("old"), withdrawnAt: now - 9 }];
    sink.publishedPolicy(publishedOf(good, { withdrawn }));
    sink.policyConfigMaps(configMaps({ a: harbor }));
    expect(boundSpaces()).to.deep.equal([]);
    expect(retainedSpaces().sort()).to.deep.equal(["managed/old", "managed/x"]);
    expect(feed.current()?.withdrawn.map(({ withdrawnAt }) => withdrawnAt)).to.deep.equal([now - 9, now]);
  });

  it("has nothing to forget before the policy was read", () => {
    feed.prune(now);
    expect(told).to.deep.equal([]);
  });
});
