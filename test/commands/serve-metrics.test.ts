// What `/metrics` of a process with its real wiring says, where alerts rest on it.

import { expect } from "chai";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { startServing, type Serving } from "../../src/commands/serve.ts";
import { silentLog } from "../../src/log.ts";
import { readSettings, type SettingName } from "../../src/settings.ts";
import { eventually } from "../eventually.ts";
import { startFakeKubeApi, type FakeKubeApi } from "../fakes/kube-api.ts";

const kinds = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] as const;

describe("the metrics of berth serve", () => {
  let folder: string;
  let serving: Serving;
  let kube: FakeKubeApi | undefined;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-metrics-"));
  });
  afterEach(async () => {
    await serving.stop(0);
    await kube?.close();
    kube = undefined;
    await rm(folder, { recursive: true });
  });

  async function start(flags: Partial<Record<SettingName, string>>): Promise<void> {
    const ports = { webhookPort: "0", peoplePort: "0", operationsPort: "0", bindAddress: "127.0.0.1" };
    serving = await startServing(readSettings({ ...ports, ...flags }, {}), silentLog);
  }
  /** Undefined where there is no such sample. */
  async function sample(name: string): Promise<number | undefined> {
    const answer = await fetch(`http://127.0.0.1:${String(serving.operationsPort)}/metrics`);
    const line = (await answer.text()).split("\n").find((each) => each.startsWith(`${name} `));
    return line === undefined ? undefined : Number(line.slice(name.length));
  }

  it("tell on a folder what is true there, and nothing of a leader or of configurations", async () => {
    const problems = {
      bindings: [{ workspace: "12", registry: "nowhere", spaces: ["a"] }],
      registries: [{ name: "plain", type: "docker-registry", url: "http://127.0.0.1:1" }],
    };
    await writeFile(
      join(folder, "policy.yaml"),
      stringify({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "policy", namespace: "berth-system", labels: { "berth.io/policy": "true" } },
        data: { "policy.yaml": stringify(problems) },
      }),
    );
    await start({ from: folder, catalogueMaxAge: "2h" });
    await serving.ready;
    expect(await sample("berth_policy_errors"), "the registry that nobody knows").to.equal(1);
    expect(await sample("berth_policy_problems"), "http:// too").to.equal(2);
    expect(await sample("berth_catalogue_max_age_seconds")).to.equal(7_200);
    expect(await sample("berth_leader")).to.equal(undefined);
    for (const configuration of ["mutating", "validating"])
      expect(await sample(`berth_webhook_configured{configuration="${configuration}"}`)).to.equal(undefined);
    for (const certificate of ["webhook", "ca"]) {
      const [left = 0, whole = 0] = await Promise.all([
        sample(`berth_certificate_expiry_seconds{certificate="${certificate}"}`),
        sample(`berth_certificate_lifetime_seconds{certificate="${certificate}"}`),
      ]);
      expect(whole).to.be.greaterThan(86_400);
      expect(left).to.be.within(whole - 86_400, whole);
    }
  });

  it("tell in a cluster whether each webhook configuration sends something to Berth", async () => {
    const api = (kube = await startFakeKubeApi());
    const kubeconfig = join(folder, "kubeconfig");
    await writeFile(kubeconfig, kubeconfigOf(api.url));
    for (const name of ["berth-system", "kube-system"]) api.put("namespaces", { metadata: { name } });
    const point = (kind: (typeof kinds)[number], service: string): void => {
      const clientConfig = { service: { namespace: "berth-system", name: service } };
      api.put(kind, { metadata: { name: "berth" }, webhooks: [{ name: "one.berth.io", clientConfig }] });
    };
    for (const kind of kinds) point(kind, "berth");
    await start({ kubeconfig });
    await serving.ready;
    const configured = () =>
      Promise.all(
        ["mutating", "validating"].map((kind) => sample(`berth_webhook_configured{configuration="${kind}"}`)),
      );
    const until = (mutating: number, validating: number): Promise<void> =>
      eventually(async () => (await configured()).join() === `${mutating},${validating}`);
    await until(1, 1);
    expect(await sample('berth_certificate_expiry_seconds{certificate="ca"}')).to.be.greaterThan(0);
    await eventually(async () => (await sample("berth_leader")) === 1);

    api.remove("validatingwebhookconfigurations", "berth");
    await until(1, 0);
    point("mutatingwebhookconfigurations", "somebody-else");
    await until(0, 0);
    for (const kind of kinds) point(kind, "berth");
    await until(1, 1);
  });
});

function kubeconfigOf(server: string): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "here",
    clusters: [{ name: "here", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: "berth", user: { token: "of the test" } }],
    contexts: [{ name: "here", context: { cluster: "here", user: "berth" } }],
  });
}
