import { expect } from "chai";
import type { FoundHarborCluster } from "../../src/domain/joined-registries.ts";
import {
  startClusterFeed,
  type ClusterSink,
  type PolicyInForce,
  type SecretData,
} from "../../src/feeds/cluster-feed.ts";
import { createCell, createState, type State } from "../../src/state.ts";
import { rules } from "../builders.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";

const main: FoundHarborCluster = {
  ...{ namespace: "registry", name: "main", url: "https://harbor.test", secret: "admin" },
  login: { password: "s3cret", ca: null },
};
const found = (...clusters: readonly FoundHarborCluster[]) => ({ clusters, problems: [] });
const policy = (text: string) => [{ name: "policy", data: { "a.yaml": text } }];
const binding = policy('bindings: [{ workspace: "12", registry: registry-main, spaces: [a] }]');
const claim = policy(
  "registries: [{ name: managed, type: harbor, url: https://harbor.test, credentialsSecret: login }]",
);

describe("Harbors that join, in the cluster feed", () => {
  let state: State;
  let sink: ClusterSink;
  let log: RecordingLog;
  let settled: PolicyInForce[];
  const secrets = createCell<ReadonlyMap<string, SecretData> | undefined>(undefined);

  function start(awaitsHarborClusters: boolean): void {
    state = createState(rules);
    log = createRecordingLog();
    settled = [];
    secrets.replace(undefined);
    startClusterFeed({
      source(given) {
        sink = given;
        return { stop: () => Promise.resolve() };
      },
      ...{ state, secrets, log, awaitsHarborClusters },
      workspaceLabel: "workspace.ghippo.io/id",
      now: () => 1_000_000,
      onPolicy: (inForce) => settled.push(inForce),
    });
  }
  beforeEach(() => start(true));

  const names = () => [...state.snapshot().policy.registries.keys()];

  it("are there as soon as the policy is, so that no binding to one dangles meanwhile", () => {
    sink.policyConfigMaps(binding);
    expect(state.snapshot().policyRead).to.equal(false);
    sink.harborClusters(found(main));
    expect(state.snapshot().policyRead).to.equal(true);
    expect(names()).to.deep.equal(["registry-main"]);
    expect(state.snapshot().policy.problems).to.deep.equal([]);
    expect(log.lines).to.deep.equal([]);
  });

  it("keep no policy waiting where no namespace is named for them", () => {
    start(false);
    sink.policyConfigMaps(binding);
    expect(state.snapshot().policyRead).to.equal(true);
    expect(names()).to.deep.equal([]);
  });

  it("come and go, and yield to the policy at once", () => {
    sink.harborClusters(found());
    sink.policyConfigMaps([]);
    expect(names()).to.deep.equal([]);
    sink.harborClusters(found(main));
    expect(names()).to.deep.equal(["registry-main"]);
    sink.policyConfigMaps(claim);
    expect(names()).to.deep.equal(["managed"]);
    sink.policyConfigMaps([]);
    expect(names()).to.deep.equal(["registry-main"]);
    sink.harborClusters(found());
    expect(names()).to.deep.equal([]);
    expect(settled).not.to.have.length(0);
  });

  it("bring their logins beside the Secrets of Berth's own namespace, whichever comes first", () => {
    const own = new Map([["login", { password: "x" }]]);
    sink.harborClusters(found(main));
    expect(secrets.current(), "nothing is said of Secrets that were not read").to.equal(undefined);
    sink.secrets(own);
    const expected = {
      login: { password: "x" },
      "registry/admin": { username: "admin", password: "s3cret" },
    };
    expect(Object.fromEntries(secrets.current() ?? [])).to.deep.equal(expected);
    sink.harborClusters(found());
    expect([...(secrets.current()?.keys() ?? [])]).to.deep.equal(["login"]);
    sink.harborClusters(found(main));
    expect(Object.fromEntries(secrets.current() ?? [])).to.deep.equal(expected);
    expect(JSON.stringify([...state.snapshot().policy.registries])).not.to.include("s3cret");
  });

  it("take a new password without a new policy", () => {
    sink.secrets(new Map());
    sink.policyConfigMaps([]);
    sink.harborClusters(found(main));
    const { generation } = state.snapshot();
    sink.harborClusters(found({ ...main, login: { password: "n3w", ca: null } }));
    expect(secrets.current()?.get("registry/admin")?.["password"]).to.equal("n3w");
    expect(state.snapshot().generation).to.equal(generation);
  });

  it("wake nobody when a beat shows the same", () => {
    sink.secrets(new Map());
    sink.harborClusters(found(main));
    let replaced = 0;
    const end = secrets.subscribe(() => (replaced += 1));
    sink.harborClusters(found({ ...main }));
    end();
    expect(replaced).to.equal(0);
  });

  it("are reported once for as long as something is wrong with them", () => {
    const problems = ["namespace registry: 403"];
    sink.policyConfigMaps([]);
    for (const clusters of [[], [main], []]) sink.harborClusters({ clusters, problems });
    expect(log.lines.map(({ level, text }) => `${level} ${text}`)).to.deep.equal([
      "error HarborClusters: error: namespace registry: 403",
    ]);
  });
});
