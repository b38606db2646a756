// `berth serve` with the CA that it keeps itself, its real wiring before a fake API server.

import { expect } from "chai";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startServing, type Serving } from "../../src/commands/serve.ts";
import { readSettings, type SettingName } from "../../src/settings.ts";
import { createWebhookCaller, podReview } from "../fakes/api-server.ts";
import { startFakeKubeApi, type FakeKubeApi } from "../fakes/kube-api.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";
import { eventually } from "../eventually.ts";

const kinds = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] as const;

/** How the base64 of every private key begins. */
const base64OfKey = Buffer.from("-----BEGIN RSA PRIVATE KEY").toString("base64").slice(0, 32);

interface Configuration {
  readonly webhooks: readonly { readonly clientConfig: { readonly caBundle?: string } }[];
}

describe("berth serve with a certificate of its own keeping", () => {
  let folder: string;
  let kube: FakeKubeApi;
  let kubeconfig: string;
  let replicas: Serving[];
  let log: RecordingLog;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-managed-"));
    kube = await startFakeKubeApi();
    kubeconfig = join(folder, "kubeconfig");
    await writeFile(kubeconfig, kubeconfigOf(kube.url));
    for (const name of ["berth-system", "kube-system", "shop"])
      kube.put("namespaces", { metadata: { name } });
    for (const kind of kinds) putConfiguration(kind);
    replicas = [];
    log = createRecordingLog();
  });
  afterEach(async () => {
    for (const replica of replicas) await replica.stop(0);
    await kube.close();
    await rm(folder, { recursive: true });
  });

  function putConfiguration(kind: (typeof kinds)[number]): void {
    const clientConfig = { service: { namespace: "berth-system", name: "berth", path: "/validate" } };
    kube.put(kind, { metadata: { name: "berth" }, webhooks: [{ name: "one.berth.io", clientConfig }] });
  }
  const bundleOf = (kind: (typeof kinds)[number]): string => {
    const { webhooks } = kube.get(kind, "berth") as unknown as Configuration;
    return Buffer.from(webhooks[0]?.clientConfig.caBundle ?? "", "base64").toString();
  };
  const caTexts = () => {
    const { "ca.crt": ca = "", "ca.key": key = "" } = (kube.get("secrets", "berth-ca", "berth-system")?.[
      "data"
    ] ?? {}) as Record<string, string>;
    return { ca: Buffer.from(ca, "base64").toString(), key: Buffer.from(key, "base64").toString() };
  };
  async function start(flags: Partial<Record<SettingName, string>> = {}): Promise<Serving> {
    const ports = { webhookPort: "0", peoplePort: "0", operationsPort: "0", bindAddress: "127.0.0.1" };
    const settings = readSettings(
      { kubeconfig, ...ports, caLifetime: "1m", leafLifetime: "20s", ...flags },
      {},
    );
    const serving = await startServing(settings, log);
    replicas.push(serving);
    return serving;
  }
  async function get(serving: Serving, path: string): Promise<{ status: number; text: string }> {
    const answer = await fetch(`http://127.0.0.1:${String(serving.operationsPort)}${path}`);
    return { status: answer.status, text: await answer.text() };
  }
  /** Whether it is answered who asks as the API server does: with the bundle of a configuration, and by the service's name. */
  async function ask(serving: Serving, kind: (typeof kinds)[number]): Promise<boolean> {
    const target = { port: serving.webhookPort, ca: bundleOf(kind), servername: "berth.berth-system.svc" };
    const caller = createWebhookCaller(target);
    try {
      const { response } = await caller.post("/validate", podReview("kube-system", ["x"]));
      return response !== undefined;
    } finally {
      caller.close();
    }
  }

  it("is unready until its own port is one that the API server can verify, then ready and asked", async () => {
    kube.switches.failures = Array.from({ length: 3 }, () => ({ on: "update" as const, status: 500 }));
    const serving = await start();
    const { status, text } = await get(serving, "/readyz");
    expect(status).to.equal(503);
    expect(text).to.include("not ready: there is no certificate to serve yet");
    await serving.ready;
    expect((await get(serving, "/readyz")).status).to.equal(200);
    for (const kind of kinds) expect(await ask(serving, kind)).to.equal(true);
  });

  it("shares one CA among replicas, each with a leaf and a key that nobody else ever sees", async () => {
    const both = await Promise.all([start(), start()]);
    await Promise.all(both.map(({ ready }) => ready));
    const { ca, key } = caTexts();
    expect(new X509Certificate(ca).ca).to.equal(true);
    for (const kind of kinds) {
      expect(bundleOf(kind)).to.equal(ca);
      for (const serving of both) expect(await ask(serving, kind)).to.equal(true);
    }
    const sent = kube.requests.filter(({ body }) => JSON.stringify(body ?? "").includes(base64OfKey));
    expect(new Set(sent.map(({ path }) => path))).to.deep.equal(
      new Set(["/api/v1/namespaces/berth-system/secrets"]),
    );
    expect(JSON.stringify(log.lines)).not.to.include("PRIVATE KEY").and.not.to.include(key.slice(60, 100));
  });

  it("heals a Secret that is deleted and bundles that are wiped, without a failed call", async () => {
    const serving = await start();
    await serving.ready;
    const first = caTexts().ca;
    kube.remove("secrets", "berth-ca", "berth-system");
    await eventually(
      () => caTexts().ca !== "" && kinds.every((kind) => bundleOf(kind).includes(caTexts().ca.trim())),
    );
    expect(caTexts().ca).not.to.equal(first);
    for (const kind of kinds) {
      expect(bundleOf(kind)).to.include(first.trim());
      expect(await ask(serving, kind)).to.equal(true);
    }
    putConfiguration("mutatingwebhookconfigurations");
    await eventually(() => bundleOf("mutatingwebhookconfigurations") !== "");
    expect(await ask(serving, "mutatingwebhookconfigurations")).to.equal(true);
    expect((await get(serving, "/readyz")).status).to.equal(200);
  });

  it("writes no configuration where somebody else keeps them, and is ready when they have", async () => {
    const serving = await start({ caBundle: "leave" });
    await eventually(() => caTexts().ca !== "");
    await eventually(async () =>
      (await get(serving, "/readyz?verbose")).text.includes("its CA has to stand"),
    );
    expect(
      kube.requests.filter(({ kind, path }) => kind === "update" && path.includes("webhook")),
    ).to.deep.equal([]);
    for (const kind of kinds) {
      const clientConfig = {
        service: { namespace: "berth-system", name: "berth" },
        caBundle: Buffer.from(caTexts().ca).toString("base64"),
      };
      kube.put(kind, { metadata: { name: "berth" }, webhooks: [{ name: "one.berth.io", clientConfig }] });
    }
    await serving.ready;
    expect(await ask(serving, "validatingwebhookconfigurations")).to.equal(true);
  });

  it("tells how long CA and leaf live, and when they end", async () => {
    const serving = await start();
    await serving.ready;
    const { text } = await get(serving, "/metrics");
    const value = (sample: string) => Number(new RegExp(`^berth_${sample} (.+)$`, "m").exec(text)?.[1]);
    expect(value('certificate_lifetime_seconds{certificate="ca"}')).to.be.within(65, 67);
    expect(value('certificate_expiry_seconds{certificate="ca"}')).to.be.within(1, 60);
    expect(value('certificate_lifetime_seconds{certificate="webhook"}')).to.be.within(20, 23);
    expect(value('certificate_expiry_seconds{certificate="webhook"}')).to.be.within(1, 20);
    expect(text).to.match(/berth_watch_last_event_age_seconds\{resource="mutatingwebhookconfigurations"\}/);
  });
});

function kubeconfigOf(server: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "here",
    clusters: [{ name: "here", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: "berth", user: { token: "of the test" } }],
    contexts: [{ name: "here", context: { cluster: "here", user: "berth" } }],
  });
}
