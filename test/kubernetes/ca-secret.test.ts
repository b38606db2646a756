import { expect } from "chai";
import { createCaSecret, type CaSecret } from "../../src/kubernetes/ca-secret.ts";
import type { KubeClient } from "../../src/kubernetes/kube-client.ts";
import { kubeClientTo } from "../fakes/kube-client-to.ts";
import { type FakeKubeApi, startFakeKubeApi } from "../fakes/kube-api.ts";

const { signal } = new AbortController();
const namespace = "berth-system";
const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("the Secret of the CA", () => {
  let api: FakeKubeApi;
  let client: KubeClient;
  let secret: CaSecret;
  beforeEach(async () => {
    api = await startFakeKubeApi();
    client = kubeClientTo(api.url);
    secret = createCaSecret({ client, namespace });
  });
  afterEach(async () => {
    client.close();
    await api.close();
  });
  const stored = () => api.get("secrets", "berth-ca", namespace);
  const put = (more: object = {}) =>
    api.put("secrets", {
      metadata: { name: "berth-ca", namespace, annotations: { "example.test/kept": "yes" } },
      type: "Opaque",
      data: { "ca.crt": base64("old"), "ca.key": base64("key") },
      ...more,
    });

  it("is made, read and replaced, and nothing else is asked for", async () => {
    expect(await secret.read(signal)).to.equal(undefined);
    expect(await secret.write({ bundle: "one", key: "k1" }, undefined, signal)).to.equal("written");
    const read = await secret.read(signal);
    expect(read).to.include({ bundle: "one", key: "k1" });
    expect(await secret.write({ bundle: "two", key: "k2" }, read, signal)).to.equal("written");
    expect(await secret.read(signal)).to.include({ bundle: "two", key: "k2" });
    const own = /^\/api\/v1\/namespaces\/berth-system\/secrets(\/berth-ca)?$/;
    for (const { path } of api.requests) expect(path).to.match(own);
  });

  it("keeps the annotations that somebody put there, such as an injector's", async () => {
    put();
    await secret.write({ bundle: "two", key: "k2" }, await secret.read(signal), signal);
    expect(stored()?.metadata["annotations"]).to.deep.equal({ "example.test/kept": "yes" });
  });

  it("is never overwritten where another replica was faster, whatever it did", async () => {
    put();
    expect(await secret.write({ bundle: "mine", key: "k" }, undefined, signal)).to.equal("conflict");
    const read = await secret.read(signal);
    put({ data: { "ca.crt": base64("theirs") } });
    expect(await secret.write({ bundle: "mine", key: "k" }, read, signal)).to.equal("conflict");
    expect(await secret.read(signal)).to.include({ bundle: "theirs", key: "" });
    api.remove("secrets", "berth-ca", namespace);
    expect(await secret.write({ bundle: "mine", key: "k" }, read, signal)).to.equal("conflict");
    expect(stored()).to.equal(undefined);
  });

  it("goes where somebody made it immutable, to be made anew", async () => {
    put({ immutable: true });
    expect(await secret.write({ bundle: "new", key: "k" }, await secret.read(signal), signal)).to.equal(
      "conflict",
    );
    expect(await secret.read(signal)).to.equal(undefined);
  });

  it("reads as empty where it holds none of it", async () => {
    put({ data: null });
    expect(await secret.read(signal)).to.include({ bundle: "", key: "" });
  });

  it("throws where it is not known what became of it, without a word of the key", async () => {
    put();
    const read = await secret.read(signal);
    const texts = { bundle: "b", key: "hush-hush" };
    for (const [on, act] of [
      ["get", () => secret.read(signal)],
      ["create", () => secret.write(texts, undefined, signal)],
      ["update", () => secret.write(texts, read, signal)],
    ] as const) {
      api.switches.failures.push({ on, status: 403 });
      const error: unknown = await act().catch((err: unknown) => err);
      expect(String(error)).to.match(/(read|create|update) Secret berth-ca: 403/);
      expect(String(error)).to.not.contain("hush");
    }
  });
});
