import { expect } from "chai";
import { startClusterFeed, type ClusterSink, type SecretData } from "../../src/feeds/cluster-feed.ts";
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
  const secrets = createCell<ReadonlyMap<string, SecretData>>(new Map());

  beforeEach(() => {
    state = createState(rules);
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
