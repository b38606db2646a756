import { expect } from "chai";
import type { KubeClient } from "../../src/kubernetes/kube-client.ts";
import {
  createWebhookConfigurations,
  type WebhookConfigurations,
} from "../../src/kubernetes/webhook-configurations.ts";
import { silentLog } from "../../src/log.ts";
import { eventually } from "../eventually.ts";
import { kubeClientTo, quickWatch } from "../fakes/kube-client-to.ts";
import { type FakeKubeApi, startFakeKubeApi } from "../fakes/kube-api.ts";

const { signal } = new AbortController();
const base64 = (text: string) => Buffer.from(text).toString("base64");
const service = (name: string, namespace = "berth-system") => ({
  service: { name, namespace, path: "/validate" },
});

interface Stored {
  readonly webhooks: readonly { name: string; failurePolicy: string; clientConfig: { caBundle?: string } }[];
}

describe("the webhook configurations", () => {
  let api: FakeKubeApi;
  let client: KubeClient;
  beforeEach(async () => {
    api = await startFakeKubeApi();
    client = kubeClientTo(api.url);
  });
  afterEach(async () => {
    client.close();
    await api.close();
  });

  const create = (url?: string): WebhookConfigurations =>
    createWebhookConfigurations({
      client,
      name: "berth",
      service: { namespace: "berth-system", name: "berth" },
      url,
      log: silentLog,
      now: Date.now,
      random: () => 0,
      timing: quickWatch,
    });
  function put(resource: "mutating" | "validating", ...clients: readonly object[]): void {
    api.put(`${resource}webhookconfigurations`, {
      metadata: { name: "berth", labels: { chart: "berth" } },
      webhooks: clients.map((clientConfig, at) => ({ name: `w${at}`, clientConfig, failurePolicy: "Fail" })),
    });
  }
  const bundles = (resource: "mutating" | "validating") =>
    (api.get(`${resource}webhookconfigurations`, "berth") as unknown as Stored).webhooks.map(
      ({ clientConfig: { caBundle } }) => caBundle && Buffer.from(caBundle, "base64").toString(),
    );

  it("are read with the bundle of each webhook that points at Berth's service", async () => {
    put("mutating", service("berth"));
    put(
      "validating",
      { ...service("berth"), caBundle: base64("one") },
      { ...service("berth"), caBundle: "" },
    );
    const read = await create().read(signal);
    expect(read.map(({ title, bundles: held }) => [title, held])).to.deep.equal([
      ["MutatingWebhookConfiguration berth", [""]],
      ["ValidatingWebhookConfiguration berth", ["one", ""]],
    ]);
  });

  it("may be missing, both or one", async () => {
    expect(await create().read(signal)).to.deep.equal([]);
    put("validating", service("berth"));
    const read = await create().read(signal);
    expect(read.map(({ title }) => title)).to.deep.equal(["ValidatingWebhookConfiguration berth"]);
  });

  const others: readonly [what: string, client: object, url?: string][] = [
    ["another service", service("other")],
    ["a service of that name elsewhere", service("berth", "tenant")],
    ["a url", { url: "https://berth.test/validate" }],
    ["another url", { url: "https://other.test/validate" }, "https://berth.test"],
    ["a url that is none", { url: "::" }, "https://berth.test"],
    ["a host that begins like ours", { url: "https://berth.test.evil/validate" }, "https://berth.test"],
    ["nothing", {}],
  ];
  for (const [what, other, url] of others) {
    it(`are written without a touch of a webhook that points at ${what}`, async () => {
      put("validating", { ...other, caBundle: base64("theirs") }, service("berth"));
      const configurations = create(url);
      const [read] = await configurations.read(signal);
      expect(read?.bundles).to.deep.equal([""]);
      expect(await configurations.write(read!, "ours", signal)).to.equal("written");
      expect(bundles("validating")).to.deep.equal(["theirs", "ours"]);
    });
  }

  it("are written at the url too, where that is what the API server calls", async () => {
    put("mutating", { url: "https://10.0.0.5:8443/mutate" });
    const configurations = create("https://10.0.0.5:8443");
    const [read] = await configurations.read(signal);
    await configurations.write(read!, "ours", signal);
    expect(bundles("mutating")).to.deep.equal(["ours"]);
  });

  it("keep everything else that stands in them", async () => {
    put("validating", service("berth"));
    const before = api.get("validatingwebhookconfigurations", "berth");
    const configurations = create();
    const [read] = await configurations.read(signal);
    await configurations.write(read!, "ours", signal);
    const after = api.get("validatingwebhookconfigurations", "berth");
    expect(after?.metadata.labels).to.deep.equal(before?.metadata.labels);
    const [webhook] = (after as unknown as Stored).webhooks;
    expect(webhook?.failurePolicy).to.equal("Fail");
    expect(webhook?.clientConfig).to.deep.equal({ ...service("berth"), caBundle: base64("ours") });
  });

  it("are not overwritten where somebody changed or removed them meanwhile", async () => {
    put("validating", service("berth"));
    const configurations = create();
    const [read] = await configurations.read(signal);
    put("validating", service("berth"), service("new"));
    expect(await configurations.write(read!, "ours", signal)).to.equal("conflict");
    expect(bundles("validating")).to.deep.equal([undefined, undefined]);
    api.remove("validatingwebhookconfigurations", "berth");
    expect(await configurations.write(read!, "ours", signal)).to.equal("conflict");
  });

  it("throw when they may not be read or written, and say which", async () => {
    put("validating", service("berth"));
    const configurations = create();
    const [read] = await configurations.read(signal);
    api.switches.failures.push({ on: "update", status: 403 });
    const write: unknown = await configurations.write(read!, "ours", signal).catch((err: unknown) => err);
    expect(String(write)).to.match(/update ValidatingWebhookConfiguration berth: 403/);
    api.switches.failures.push({ on: "get", status: 403 });
    const look: unknown = await configurations.read(signal).catch((err: unknown) => err);
    expect(String(look)).to.match(/read (Mutating|Validating)WebhookConfiguration berth: 403/);
  });

  it("call back when one of them changes, and ask for no others", async () => {
    put("mutating", service("berth"));
    let changes = 0;
    const watches = create().watch(() => (changes += 1));
    await eventually(() => changes === 2 && api.openWatches() === 2);
    put("validating", service("berth"));
    await eventually(() => changes === 3);
    const watched = api.requests.filter(({ kind }) => kind === "list" || kind === "watch");
    for (const { query } of watched) expect(query.get("fieldSelector")).to.equal("metadata.name=berth");
    expect([...watches.keys()]).to.deep.equal([
      "mutatingwebhookconfigurations",
      "validatingwebhookconfigurations",
    ]);
    for (const watch of watches.values()) await watch.stop();
  });
});
