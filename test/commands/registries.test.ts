import { expect } from "chai";
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseAllDocuments, stringify } from "yaml";
import { runProgram } from "../../src/commands/program.ts";
import { registries as registriesCommand, type RegistryRow } from "../../src/commands/registries.ts";
import { readSettings } from "../../src/settings.ts";
import { startFakeKubeApi } from "../fakes/kube-api.ts";
import { createRecordingTerminal } from "../fakes/recording-terminal.ts";
import {
  harborPassword,
  passwordForms,
  startSamplePlatform,
  type SamplePlatform,
} from "../fakes/sample-platform.ts";

describe("berth registries", () => {
  let platform: SamplePlatform;
  before(async () => {
    platform = await startSamplePlatform();
  });
  after(() => platform.close());
  afterEach(() => platform.harbor.faults.clear());

  async function ask(...words: readonly string[]) {
    const terminal = createRecordingTerminal();
    const code = await runProgram(["registries", "--from", platform.folder, ...words], terminal);
    const [out, err] = [terminal.outText(), terminal.errText()];
    for (const form of passwordForms()) expect(out + err).not.to.include(form);
    return { code, out, err };
  }

  async function rows() {
    const { code, out } = await ask("--output", "json");
    return { code, rows: JSON.parse(out) as readonly RegistryRow[] };
  }

  /** A policy document of its own beside the sample's, for as long as the task takes. */
  async function withRegistry<T>(registry: object, task: () => Promise<T>): Promise<T> {
    const file = join(platform.folder, "more.yaml");
    const metadata = { name: "more", namespace: "berth-system", labels: { "berth.io/policy": "true" } };
    const data = { "more.yaml": stringify({ registries: [registry] }) };
    await writeFile(file, stringify({ apiVersion: "v1", kind: "ConfigMap", metadata, data }));
    try {
      return await task();
    } finally {
      await rm(file);
    }
  }

  it("shows each registry, and ends with 0 where all is well", async () => {
    const { code, out, err } = await ask();
    expect({ code, err }).to.deep.equal({ code: 0, err: "" });
    expect(out).to.match(
      /│ managed +│ harbor +│ https:\S+ +│ platform +│ up +│ v2\.\S+ +│ 3 +│ 3 +│ \d+ s old +│/,
    );
    expect(out).to.match(
      /│ archive +│ docker-registry +│ https:\S+ +│ platform +│ up +│ - +│ - +│ - +│ - +│/,
    );
    expect(out).to.match(/^managed: advice: .*Project Creation/m);
    expect(out).not.to.include("problem:");
  });

  it("names the public proxy caches, what they open, and what closes them", async () => {
    const { out } = await ask();
    expect(out).to.match(
      /^managed: public proxy caches, .*: hub-mirror; proxyCaches: private .*closes them$/m,
    );
  });

  it("prints the same for programs", async () => {
    const { code, rows: all } = await rows();
    expect(code).to.equal(0);
    expect(all.map(({ name }) => name)).to.deep.equal(["managed", "archive"]);
    expect(all[0]).to.deep.include({
      type: "harbor",
      owner: "platform",
      workspace: null,
      state: "up",
      spaces: { public: 3, private: 3 },
      problems: [],
      openProxyCaches: ["hub-mirror"],
    });
    expect(all[0]?.catalogueAgeSeconds).to.be.a("number");
    expect(all[1]).to.deep.include({
      ...{ type: "docker-registry", state: "up", version: null },
      ...{ spaces: null, catalogueAgeSeconds: null, problems: [], advice: [], openProxyCaches: [] },
    });
  });

  it("asks, and changes nothing", async () => {
    const before = platform.harbor.requests.length;
    await ask();
    const methods = platform.harbor.requests.slice(before).map(({ method }) => method);
    expect(new Set(methods)).to.deep.equal(new Set(["GET"]));
  });

  it("says what a Harbor that does not work lacks, and ends with 1", async () => {
    platform.harbor.faults.always({ kind: "status", status: 503 });
    const { code, rows: all } = await rows();
    expect(code).to.equal(1);
    expect(all[0]).to.deep.include({ state: "down", version: null, spaces: null, catalogueAgeSeconds: null });
    expect(all[0]?.problems).to.have.length(1);
    expect(all[0]?.problems[0]).to.include("503");
    expect(all[1]).to.include({ state: "up" });
  });

  it("says so where a Harbor answers and its spaces cannot be listed", async () => {
    platform.harbor.faults.always({ kind: "total", total: 4_711 }, /\/projects\b/);
    const { code, rows: all } = await rows();
    expect(code).to.equal(1);
    expect(all[0]).to.deep.include({ state: "problems", spaces: null });
    expect(all[0]?.problems[0]).to.match(/^its spaces could not be listed: .*4711/);
  });

  it("tells the owner of a registry, and which Secret is missing", async () => {
    const own = {
      ...{ name: "twelve", type: "harbor", url: "https://twelve.example.test" },
      ...{ credentialsSecret: "absent", workspace: "12" },
    };
    const { code, out } = await withRegistry(own, () => ask());
    expect(code).to.equal(1);
    expect(out).to.match(/│ twelve +│ harbor +│ \S+ +│ workspace "12" +│ down +│/);
    expect(out).to.match(/^twelve: problem: Secret absent does not exist$/m);
  });

  it("waits no longer than it says for one that never answers", async () => {
    platform.harbor.faults.always({ kind: "silence" });
    const terminal = createRecordingTerminal();
    const settings = readSettings({ from: platform.folder }, {});
    expect(await registriesCommand(settings, { output: "text" }, terminal, 1_000)).to.equal(1);
    expect(terminal.outText()).to.match(/^managed: problem: it did not answer within 1 s: /m);
    expect(terminal.outText()).to.match(/│ archive .*│ up +│/);
  });

  it("shows a policy without registries as that", async () => {
    const terminal = createRecordingTerminal();
    const folder = join(import.meta.dirname, "..", "..", "src", "demo", "sample");
    const code = await runProgram(["registries", "--from", folder], terminal);
    expect({ code, out: terminal.outText() }).to.deep.equal({
      code: 0,
      out: "the policy names no registry\n",
    });
  });

  /** For a user whose token must not show. */
  async function kubeconfigFor(server: string): Promise<string> {
    const kubeconfig = join(platform.folder, "kubeconfig");
    const context = { name: "here", context: { cluster: "here", user: "me" } };
    const config = {
      ...{ apiVersion: "v1", kind: "Config", "current-context": "here", contexts: [context] },
      // Without TLS there is nothing to verify, and the client asks for it to be said.
      clusters: [{ name: "here", cluster: { server, "insecure-skip-tls-verify": true } }],
      users: [{ name: "me", user: { token: "never-shown" } }],
    };
    await writeFile(kubeconfig, stringify(config));
    return kubeconfig;
  }

  it("asks the Harbors too that join from HarborClusters, and tells where they come from", async () => {
    const api = await startFakeKubeApi();
    const manifests = await readFile(join(platform.folder, "registries.yaml"), "utf8");
    const [ca = ""] = parseAllDocuments(manifests).flatMap((document) => {
      const text: unknown = document.getIn(["stringData", "ca.crt"]);
      return typeof text === "string" ? [text] : [];
    });
    const base64 = (text: string) => Buffer.from(text).toString("base64");
    const externalURL = platform.harbor.url.replace("127.0.0.1", "localhost");
    const metadata = { namespace: "registry", name: "main" };
    api.put("harborclusters", { metadata, spec: { externalURL, harborAdminPasswordRef: "admin" } });
    const data = { secret: base64(harborPassword), "ca.crt": base64(ca) };
    api.put("secrets", { metadata: { namespace: "registry", name: "admin" }, data });
    const words = ["--kubeconfig", await kubeconfigFor(api.url), "--harbor-clusters", "registry"];
    const terminal = createRecordingTerminal();
    const code = await runProgram(["registries", ...words, "--output", "json"], terminal);
    await api.close();
    await rm(words[1] ?? "");
    const [row, ...others] = JSON.parse(terminal.outText()) as readonly RegistryRow[];
    expect({ code, err: terminal.errText(), others }).to.deep.equal({ code: 0, err: "", others: [] });
    expect(row).to.deep.include({
      ...{ name: "registry-main", owner: "platform", harborCluster: "registry/main", state: "up" },
      spaces: { public: 3, private: 3 },
    });
    for (const form of passwordForms()) expect(terminal.outText()).not.to.include(form);
    for (const { method } of api.requests) expect(method).to.equal("GET");
  });

  it("ends with 2 where nothing could be asked", async () => {
    const kubeconfig = await kubeconfigFor("https://127.0.0.1:1");
    const settings = readSettings({ kubeconfig }, {});
    const failed = await registriesCommand(settings, { output: "text" }, createRecordingTerminal(), 700).then(
      () => "it did not fail",
      (err: unknown) => (err as Error).message,
    );
    await rm(kubeconfig);
    expect(failed).to.match(/^the policy could not be read: .*ECONNREFUSED/);
    expect(failed).not.to.include("never-shown");
  });
});
