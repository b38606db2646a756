import { expect } from "chai";
import type { PolicyConfigMap } from "../../src/domain/policy.ts";
import { createKubernetesSource } from "../../src/kubernetes/cluster-source.ts";
import { createKubeClient } from "../../src/kubernetes/kube-client.ts";
import { silentLog } from "../../src/log.ts";
import type { Stoppable } from "../../src/loop.ts";
import { eventually } from "../eventually.ts";
import { startFakeKubeApi, type FakeKubeApi } from "../fakes/kube-api.ts";

const label = "workspace.ghippo.io/id";
const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("a cluster as a source", () => {
  let api: FakeKubeApi;
  let source: ReturnType<typeof createKubernetesSource>;
  let running: Stoppable;
  let namespaces: Record<string, Readonly<Record<string, string>>> = {};
  let policies: readonly PolicyConfigMap[] = [];
  let secrets: Record<string, Readonly<Record<string, string>>> = {};
  let accounts: readonly string[] = [];

  beforeEach(async () => {
    api = await startFakeKubeApi();
    const own = { namespace: "berth-system" };
    const policy = { ...own, labels: { "berth.io/policy": "true" } };
    api.put("namespaces", { metadata: { name: "shop", labels: { [label]: "12", other: "x" } } });
    api.put("namespaces", { metadata: { name: "bare" } });
    api.put("configmaps", { metadata: { ...policy, name: "policy" }, data: { "a.yaml": "mode: warn" } });
    api.put("configmaps", { metadata: { ...own, name: "unlabelled" }, data: { "a.yaml": "x" } });
    api.put("configmaps", {
      metadata: { ...policy, namespace: "shop", name: "elsewhere" },
      data: { "a.yaml": "x" },
    });
    api.put("secrets", {
      metadata: { ...own, name: "login" },
      data: { username: base64("admin"), password: base64("pässword") },
    });
    const robot = { "berth.io/robot": "true" };
    api.put("secrets", { metadata: { ...own, name: "robot", labels: robot }, data: { record: base64("x") } });
    api.put("secrets", { metadata: { namespace: "shop", name: "of-a-tenant" }, data: { key: base64("x") } });
    const strict = { "kubernetes.io/enforce-mountable-secrets": "true" };
    api.put("serviceaccounts", { metadata: { namespace: "shop", name: "strict", annotations: strict } });
    api.put("serviceaccounts", { metadata: { namespace: "shop", name: "default" } });
    const access = { server: api.url, headers: {}, tls: {} };
    source = createKubernetesSource({
      client: createKubeClient({
        current: () => Promise.resolve(access),
        renewed: () => Promise.resolve(access),
      }),
      berthNamespace: "berth-system",
      workspaceLabel: label,
      log: silentLog,
      now: Date.now,
      random: () => 0,
      timing: { steadyMs: 20, backoffMs: 4, maxBackoffMs: 20, coalesceMs: 4 },
    });
    running = source.start({
      namespaces: (all) => (namespaces = Object.fromEntries(all)),
      policyConfigMaps: (all) => (policies = all),
      secrets: (all) => (secrets = Object.fromEntries(all)),
      strictServiceAccounts: (all) => (accounts = [...all]),
    });
    await eventually(() => {
      expect(source.lastEventAt().size).to.equal(4);
      expect(api.openWatches()).to.equal(4);
    });
  });
  afterEach(async () => {
    await running.stop();
    await api.close();
  });

  it("shows each namespace with the one label that matters", () => {
    expect(namespaces).to.deep.equal({ shop: { [label]: "12" }, bare: {} });
  });
  it("shows as policy what is labelled so in Berth's own namespace, and nothing else", () => {
    expect(policies).to.deep.equal([{ name: "policy", data: { "a.yaml": "mode: warn" } }]);
  });
  it("shows Secrets of Berth's own namespace, decoded, without records of robots, and asks for no others", () => {
    expect(secrets).to.deep.equal({ login: { username: "admin", password: "pässword" } });
    const asked = api.requests.filter(({ path }) => path.includes("secrets")).map(({ path }) => path);
    expect([...new Set(asked)]).to.deep.equal(["/api/v1/namespaces/berth-system/secrets"]);
  });
  it("shows which service accounts enforce their list of Secrets", () => {
    expect(accounts).to.deep.equal(["shop/strict"]);
  });
  it("asks for metadata alone where that is all it needs", () => {
    for (const resource of ["namespaces", "serviceaccounts"]) {
      const asked = api.requests.filter(({ path }) => path === `/api/v1/${resource}`);
      expect(asked.length).to.be.at.least(2);
      for (const { headers } of asked) expect(headers.accept).to.contain("as=PartialObjectMetadata");
    }
  });
  it("follows changes of each", async () => {
    api.put("namespaces", { metadata: { name: "shop", labels: { [label]: "13" } } });
    api.remove("configmaps", "policy", "berth-system");
    api.put("secrets", {
      metadata: { namespace: "berth-system", name: "login" },
      data: { username: base64("robot") },
    });
    api.remove("serviceaccounts", "strict", "shop");
    await eventually(() => {
      expect(namespaces["shop"]).to.deep.equal({ [label]: "13" });
      expect(policies).to.deep.equal([]);
      expect(secrets).to.deep.equal({ login: { username: "robot" } });
      expect(accounts).to.deep.equal([]);
    });
  });
});
