import { expect } from "chai";
import { sha256 } from "../../src/digest.ts";
import type { KubeClient } from "../../src/kubernetes/kube-client.ts";
import { createPullSecretStore, type PullSecretStore } from "../../src/kubernetes/pull-secret-store.ts";
import type { Watch } from "../../src/kubernetes/watch.ts";
import { silentLog } from "../../src/log.ts";
import { eventually } from "../eventually.ts";
import { kubeClientTo, quickWatch } from "../fakes/kube-client-to.ts";
import { type FakeKubeApi, startFakeKubeApi } from "../fakes/kube-api.ts";

const { signal } = new AbortController();
const content = '{"auths":{"harbor.test":{"auth":"cm9ib3Q6eA=="}}}';
const base64 = (text: string) => Buffer.from(text).toString("base64");
const name = "berth-pull";
const type = "kubernetes.io/dockerconfigjson";
const labels = { "app.kubernetes.io/managed-by": "berth", "app.kubernetes.io/name": "berth" };
const data = (text: string) => ({ ".dockerconfigjson": base64(text) });

describe("the pull secrets of a cluster", () => {
  let api: FakeKubeApi;
  let client: KubeClient;
  let store: PullSecretStore;
  let watch: Watch;
  let changes = 0;

  beforeEach(async () => {
    api = await startFakeKubeApi();
    client = kubeClientTo(api.url);
    api.put("secrets", { metadata: { namespace: "ours", name, labels }, type, data: data("old") });
    api.put("secrets", { metadata: { namespace: "theirs", name }, type, data: data(content) });
    api.put("secrets", { metadata: { namespace: "shop", name: "other", labels }, data: data("x") });
    changes = 0;
    store = createPullSecretStore({
      client,
      fieldManager: "berth",
      log: silentLog,
      now: Date.now,
      random: () => 0,
      timing: quickWatch,
    });
  });
  afterEach(async () => {
    await watch.stop();
    client.close();
    await api.close();
  });

  /** Back when the first list is in and the watch is open. */
  async function start(): Promise<void> {
    expect(store.isRead()).to.equal(false);
    watch = store.start(() => (changes += 1));
    await eventually(() => expect([store.isRead(), api.openWatches()]).to.deep.equal([true, 1]));
    api.requests.length = 0;
  }
  const stored = (namespace: string) => api.get("secrets", name, namespace);
  const written = () => api.requests.filter(({ method }) => method !== "GET");

  it("are read by one list and watch of that one name", async () => {
    watch = store.start(() => (changes += 1));
    await eventually(() => expect(api.openWatches()).to.equal(1));
    const seen = ["ours", "shop", "theirs"].filter((namespace) => store.current().has(namespace));
    expect(seen).to.deep.equal(["ours", "theirs"]);
    expect(changes).to.equal(1);
    for (const { path, query } of api.requests) {
      expect(path).to.equal("/api/v1/secrets");
      expect(query.get("fieldSelector")).to.equal("metadata.name=berth-pull");
    }
  });

  const observations: [title: string, object: object, expected: object][] = [
    [
      "ours by its label",
      { labels, managedFields: [] },
      { owner: "berth", labelled: true, writable: true, digest: sha256("old") },
    ],
    [
      "ours by its manager, though somebody stripped the label",
      { managedFields: [{ manager: "kubectl" }, { manager: "berth" }] },
      { owner: "berth", labelled: false },
    ],
    ["foreign with neither", { managedFields: [{ manager: "kubectl" }] }, { owner: "foreign" }],
    [
      "foreign with another's label",
      { labels: { "app.kubernetes.io/managed-by": "Helm" } },
      { owner: "foreign", labelled: false },
    ],
  ];
  for (const [title, metadata, expected] of observations) {
    it(`are ${title}`, async () => {
      api.put("secrets", { metadata: { namespace: "shop", name, ...metadata }, type, data: data("old") });
      await start();
      expect(store.current().get("shop")).to.include(expected);
    });
  }
  const notWritable: [title: string, object: object, digest: string][] = [
    ["immutable", { type, immutable: true, data: data("old") }, sha256("old")],
    ["of another type", { type: "Opaque", data: { other: base64("x") } }, ""],
    ["empty", { type: "Opaque" }, ""],
  ];
  for (const [title, object, digest] of notWritable) {
    it(`have to be made anew when ${title}, and are`, async () => {
      api.put("secrets", { metadata: { namespace: "ours", name, labels }, ...object });
      await start();
      const before = store.current().get("ours");
      expect(before).to.include({ writable: false, digest });
      expect(await store.write("ours", content, signal)).to.deep.equal({ kind: "written" });
      expect(store.current().get("ours")).to.include({ writable: true, digest: sha256(content) });
      expect(stored("ours")?.metadata["uid"]).to.not.equal(before?.uid);
      const { uid, resourceVersion } = before!;
      expect(written()[0]?.body).to.deep.include({ preconditions: { uid, resourceVersion } });
    });
  }

  it("keep nothing of what is in them", async () => {
    await start();
    await store.write("shop", content, signal);
    for (const namespace of ["shop", "ours", "theirs"]) {
      expect(store.current().has(namespace)).to.equal(true);
      const kept = JSON.stringify(store.current().get(namespace));
      expect(kept).to.not.match(/auths|cm9ib3Q|harbor\.test/);
    }
  });

  it("are made where there is none, typed and labelled", async () => {
    await start();
    expect(await store.write("shop", content, signal)).to.deep.equal({ kind: "written" });
    expect(stored("shop")).to.deep.include({ type, data: data(content) });
    expect(stored("shop")?.metadata.labels).to.deep.equal(labels);
    expect(stored("shop")?.metadata["managedFields"]).to.deep.equal([{ manager: "berth" }]);
  });

  it("are replaced, and what others added stays", async () => {
    const more = { ...labels, team: "blue" };
    api.put("secrets", { metadata: { namespace: "ours", name, labels: more }, type, data: data("old") });
    await start();
    expect(await store.write("ours", content, signal)).to.deep.equal({ kind: "written" });
    expect(stored("ours")?.metadata.labels).to.deep.equal(more);
    expect(stored("ours")?.["data"]).to.deep.equal(data(content));
  });

  it("get back a label that somebody stripped", async () => {
    await start();
    await store.write("shop", content, signal);
    const { metadata, ...rest } = stored("shop")!;
    api.put("secrets", { ...rest, metadata: { ...metadata, labels: {} } });
    await eventually(() => expect(store.current().get("shop")?.labelled).to.equal(false));
    expect(await store.write("shop", content, signal)).to.deep.equal({ kind: "written" });
    expect(stored("shop")?.metadata.labels).to.deep.equal(labels);
  });

  it("are left alone when Berth did not make them", async () => {
    await start();
    const before = stored("theirs");
    const refused = { kind: "refused", why: "a Secret berth-pull that Berth did not make is there" };
    expect(await store.write("theirs", content, signal)).to.deep.equal(refused);
    expect(await store.remove("theirs", signal)).to.deep.equal(refused);
    expect(written()).to.deep.equal([]);
    expect(stored("theirs")).to.equal(before);
  });

  for (const [title, text] of [
    ["other", "old"],
    ["equal", content],
  ] as const) {
    it(`are left alone when somebody makes one with ${title} content in the same moment`, async () => {
      await start();
      api.switches.silent = true;
      api.put("secrets", { metadata: { namespace: "shop", name }, type, data: data(text) });
      const before = stored("shop");
      expect(await store.write("shop", content, signal)).to.deep.equal({ kind: "conflict" });
      expect(stored("shop")).to.equal(before);
    });
  }

  it("are not overwritten when somebody changed or replaced them meanwhile", async () => {
    await start();
    api.switches.silent = true;
    api.put("secrets", { metadata: { namespace: "ours", name, labels }, type, data: data("edited") });
    expect(await store.write("ours", content, signal)).to.deep.equal({ kind: "conflict" });
    expect(await store.remove("ours", signal)).to.deep.equal({ kind: "conflict" });
    api.remove("secrets", name, "ours");
    expect(await store.write("ours", content, signal)).to.deep.equal({ kind: "conflict" });
    expect(stored("ours")).to.equal(undefined);
  });

  it("show a write at once, and a watch that lags does not take it back", async () => {
    await start();
    await store.write("shop", "first", signal);
    await eventually(() => expect(changes).to.equal(2));
    api.switches.silent = true;
    api.put("secrets", { metadata: { namespace: "late", name }, type, data: data("x") });
    await store.write("shop", content, signal);
    await store.write("new", content, signal);
    expect(store.current().get("shop")?.digest).to.equal(sha256(content));
    expect(store.current().get("new")?.digest).to.equal(sha256(content));
    // Something older comes in late.
    const late = stored("late");
    api.writeRaw(`${JSON.stringify({ type: "ADDED", object: late })}\n`);
    await eventually(() => expect(store.current().has("late")).to.equal(true));
    expect(store.current().get("shop")?.digest).to.equal(sha256(content));
    // The next write goes from there, without a conflict.
    expect(await store.write("shop", "third", signal)).to.deep.equal({ kind: "written" });
  });

  it("are removed, shown so at once, and can be made again", async () => {
    await start();
    api.switches.silent = true;
    expect(await store.remove("ours", signal)).to.deep.equal({ kind: "written" });
    expect(stored("ours")).to.equal(undefined);
    expect(store.current().has("ours")).to.equal(false);
    expect(await store.remove("ours", signal)).to.deep.equal({ kind: "written" });
    expect(written()).to.have.length(1);
    expect(await store.write("ours", content, signal)).to.deep.equal({ kind: "written" });
    expect(store.current().get("ours")?.digest).to.equal(sha256(content));
  });

  it("count as removed when somebody else was faster", async () => {
    await start();
    api.switches.silent = true;
    api.remove("secrets", name, "ours");
    expect(await store.remove("ours", signal)).to.deep.equal({ kind: "written" });
  });

  it("say so when a finalizer keeps one that should go", async () => {
    await start();
    const kept = { kind: "Secret", metadata: { name, finalizers: ["x/y"] } };
    api.switches.failures.push({ on: "delete", status: 200, body: JSON.stringify(kept) });
    expect(await store.remove("ours", signal)).to.deep.equal({
      kind: "refused",
      why: "remove Secret berth-pull in namespace ours: a finalizer keeps it",
    });
  });

  for (const status of [400, 403, 404, 413, 422]) {
    it(`cannot be written, in the API server's words, after a ${status}`, async () => {
      await start();
      api.switches.failures.push({ on: "create", status }, { on: "patch", status });
      for (const [namespace, verb] of [
        ["shop", "create"],
        ["ours", "write"],
      ] as const) {
        expect(await store.write(namespace, content, signal)).to.deep.equal({
          kind: "refused",
          why: `${verb} Secret berth-pull in namespace ${namespace}: ${status} as the test ordered: ${status}`,
        });
      }
    });
  }
  for (const status of [429, 500, 503]) {
    it(`throw after a ${status}, without their content`, async () => {
      await start();
      api.switches.failures.push({ on: "create", status });
      const error: unknown = await store.write("shop", content, signal).catch((err: unknown) => err);
      expect(error).to.be.an("error");
      expect(String(error)).to.equal(
        `KubeAnswerError: create Secret berth-pull in namespace shop: ${status} as the test ordered: ${status}`,
      );
      expect(store.current().has("shop")).to.equal(false);
    });
  }
});
