import { expect } from "chai";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { cleanup } from "../../src/commands/cleanup.ts";
import { runProgram } from "../../src/commands/program.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { printLoginRecord } from "../../src/domain/login-record.ts";
import { printRobotRecord, type AskedRobot, type MadeRobot } from "../../src/domain/robots.ts";
import { createHarborClient } from "../../src/harbor/harbor-client.ts";
import { makeRobot } from "../../src/harbor/robot-accounts.ts";
import { recordNames, shortHash } from "../../src/reconcilers/credentials.ts";
import { readSettings } from "../../src/settings.ts";
import { startFakeKubeApi, type FakeKubeApi } from "../fakes/kube-api.ts";
import { createRecordingTerminal } from "../fakes/recording-terminal.ts";

const { signal } = new AbortController();
const password = "Never-Shown-4711";
const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("berth cleanup", () => {
  let folder: string;
  let kubeconfig: string;
  let kube: FakeKubeApi;
  let harbor: StandInHarbor;
  let uid: string;

  beforeEach(async () => {
    harbor = await startStandInHarbor({
      adminPassword: password,
      lockMs: 10,
      projects: [{ name: "team-a", visibility: "private" }],
    });
    kube = await startFakeKubeApi();
    for (const name of ["kube-system", "berth-system", "shop"])
      kube.put("namespaces", { metadata: { name } });
    uid = String(kube.get("namespaces", "kube-system")?.metadata["uid"]);
    secret("harbor-login", { username: "admin", password });
    folder = await mkdtemp(join(tmpdir(), "berth-cleanup-"));
    kubeconfig = join(folder, "kubeconfig");
    await writeFile(kubeconfig, kubeconfigOf(kube.url));
  });
  afterEach(async () => {
    await Promise.all([kube.close(), harbor.close()]);
    await rm(folder, { recursive: true });
  });

  function secret(
    name: string,
    data: Readonly<Record<string, string>>,
    labels: Readonly<Record<string, string>> = {},
    namespace = "berth-system",
  ): void {
    const encoded = Object.fromEntries(Object.entries(data).map(([key, text]) => [key, base64(text)]));
    kube.put("secrets", { metadata: { name, namespace, labels }, data: encoded });
  }

  function record(name: string, text: string): void {
    secret(name, { record: text }, { "berth.io/robot": "true", "app.kubernetes.io/managed-by": "berth" });
  }

  const nameOfRobot = (workspace: string, serial: number, ofCluster = uid) =>
    `berth-cluster-${shortHash(ofCluster, harbor.url)}-${shortHash(workspace)}-${serial}`;

  async function make(name: string) {
    const client = createHarborClient({
      url: harbor.url,
      credentials: () => ({ username: "admin", password }),
      timeoutMs: 5_000,
      now: Date.now,
      random: Math.random,
    });
    const made = await makeRobot(client, { name, description: "", days: 30, spaces: ["team-a"] }, signal);
    client.close();
    if (made.kind !== "made") throw new Error(`robot ${name}: ${made.kind}`);
    return made.robot;
  }

  const home = (server = harbor.url) => ({
    registry: "managed",
    server,
    credentialsSecret: "harbor-login",
    caSecret: null,
  });

  async function recordWithRobot(workspace: string): Promise<string> {
    const made: MadeRobot = {
      ...{
        ...(await make(nameOfRobot(workspace, 1))),
        stage: "ready",
        serial: 1,
        spaces: [{ name: "team-a", id: 1 }],
      },
      ...{ madeAt: Date.now(), refusedAt: null, holders: ["shop"], retired: null },
    };
    const asked: AskedRobot = { stage: "asked", serial: 2, spaces: made.spaces, refusedAt: null };
    const name = recordNames.robots(harbor.url, workspace);
    record(name, printRobotRecord({ home: home(), workspace, serial: 2, robots: [made, asked] }));
    return name;
  }

  /** All that Berth makes, beside what is other people's. */
  async function lived(): Promise<void> {
    await recordWithRobot("12");
    // Made for what the record has as asked for.
    await make(nameOfRobot("12", 2));
    await make("somebodys");
    await make(nameOfRobot("12", 1, "uid-of-another-cluster"));
    const login = { registry: "archive", server: "https://archive.example.test", secret: "archive-pull" };
    record(
      recordNames.login("archive"),
      printLoginRecord({ ...login, username: "reader", password: "of the archive" }),
    );
    const own = { "app.kubernetes.io/managed-by": "berth" };
    secret("berth-pull", { ".dockerconfigjson": "{}" }, own, "shop");
    secret("berth-pull", { ".dockerconfigjson": "{}" }, {}, "foreign");
    secret("berth-ca", { "ca.key": "key" }, own);
    for (const name of ["berth-catalogue-managed", "berth-catalogue-managed.1.abc"]) {
      const labels = { ...own, "berth.io/published": "true" };
      kube.put("configmaps", { metadata: { name, namespace: "berth-system", labels } });
    }
    kube.put("configmaps", {
      metadata: { name: "policy", namespace: "berth-system", labels: { "berth.io/policy": "true" } },
    });
  }

  const left = () => ({
    robots: harbor.robots.list().map(({ name }) => name),
    secrets: kube.objects("secrets").map(({ metadata }) => `${metadata.namespace}/${metadata.name}`),
    configMaps: kube.objects("configmaps").map(({ metadata }) => metadata.name),
  });

  async function run(...words: readonly string[]) {
    const terminal = createRecordingTerminal();
    const code = await runProgram(["cleanup", "--kubeconfig", kubeconfig, ...words], terminal);
    const [out, err] = [terminal.outText(), terminal.errText()];
    for (const form of [password, base64(password), "of the archive"]) expect(out + err).to.not.include(form);
    return { code, out, err };
  }

  it("removes what Berth made, and nothing of anybody else's", async () => {
    await lived();
    const { code, out, err } = await run();
    expect({ code, err }).to.deep.equal({ code: 0, err: "" });
    expect(left()).to.deep.equal({
      robots: ["robot$somebodys", `robot$${nameOfRobot("12", 1, "uid-of-another-cluster")}`],
      secrets: ["berth-system/harbor-login", "foreign/berth-pull"],
      configMaps: ["policy"],
    });
    for (const line of [
      `removed robot robot$${nameOfRobot("12", 1)} of managed (${harbor.url})`,
      `removed robot robot$${nameOfRobot("12", 2)} of managed (${harbor.url})`,
      "removed Secret berth-pull in shop",
      "Secret berth-pull in foreign is not Berth's, and stays",
      `removed record ${recordNames.robots(harbor.url, "12")}`,
      "removed ConfigMap berth-catalogue-managed in berth-system",
      "namespaces had the login of registry archive (https://archive.example.test); change its password to end it",
      "8 removed, 0 left",
    ])
      expect(out.split("\n")).to.include(line);
  });

  it("removes robots before Secrets, Secrets before records, and what is published last", async () => {
    await lived();
    await run();
    const removals = kube.requests.filter(({ kind }) => kind === "delete").map(({ path }) => path);
    const parts = removals.map((path) => path.split("/").slice(-3).join("/"));
    expect(parts[0]).to.equal("shop/secrets/berth-pull");
    expect(parts.slice(1, 3).every((part) => /secrets\/berth-(robot|login)-/.test(part))).to.equal(true);
    expect(parts.slice(3)).to.have.members([
      "berth-system/configmaps/berth-catalogue-managed",
      "berth-system/configmaps/berth-catalogue-managed.1.abc",
      "berth-system/secrets/berth-ca",
    ]);
  });

  it("has nothing to do where nothing is left", async () => {
    await lived();
    await run();
    expect((await run()).out).to.equal(
      "Secret berth-pull in foreign is not Berth's, and stays\n0 removed, 0 left\n",
    );
  });

  it("tells what it would remove on a dry run, and writes nothing anywhere", async () => {
    await lived();
    const before = left();
    const { code, out } = await run("--dry-run");
    expect(code).to.equal(0);
    expect(out).to.match(/^8 to be removed, 0 left$/m);
    expect(out).to.include("would remove Secret berth-pull in shop");
    expect(left()).to.deep.equal(before);
    expect(kube.requests.filter(({ method }) => method !== "GET")).to.deep.equal([]);
  });

  it("holds the Lease while it works, and lets go of it", async () => {
    await lived();
    await run();
    const methods = kube.requests.filter(({ path }) => path.includes("/leases")).map(({ method }) => method);
    expect(methods.slice(0, 2)).to.deep.equal(["GET", "POST"]);
    const spec = kube.get("leases", "berth", "berth-system")?.["spec"] as { holderIdentity: string };
    expect(spec.holderIdentity).to.equal("");
  });

  it("does not begin while Berth runs, and says how to end it", async () => {
    await lived();
    const before = left();
    const holder = { holderIdentity: "berth-7_abc", leaseDurationSeconds: 15 };
    kube.put("leases", { metadata: { name: "berth", namespace: "berth-system" }, spec: holder });
    const terminal = createRecordingTerminal();
    const code = await cleanup(readSettings({ kubeconfig }, {}), { dryRun: false }, terminal, 300);
    expect(code).to.equal(2);
    expect(terminal.errText()).to.equal(
      "berth: Berth still runs: berth-7_abc holds the Lease berth-system/berth. End it first, for example with: " +
        "kubectl -n berth-system scale deployment berth --replicas=0\n",
    );
    expect(left()).to.deep.equal(before);
    expect((await run("--dry-run")).out).to.match(/^berth-7_abc holds the Lease: /);
  });

  it("keeps the record of robots that it could not remove, so that it can be run again", async () => {
    await lived();
    harbor.faults.always({ kind: "status", status: 503 }, /robots/);
    const { code, out, err } = await run();
    expect(code).to.equal(1);
    expect(err).to.match(/^left robots of managed \(http\S+\): list robots.*503/m);
    expect(err).to.include(
      `left record ${recordNames.robots(harbor.url, "12")}: robots of managed may be left`,
    );
    expect(err).to.match(/run it again\n$/);
    expect(out).to.include("removed Secret berth-pull in shop");
    expect(left().secrets).to.include(`berth-system/${recordNames.robots(harbor.url, "12")}`);
    harbor.faults.clear();
    expect((await run()).code).to.equal(0);
    expect(left().robots).to.have.length(2);
  });

  it("says which Secret it lacks to reach a Harbor", async () => {
    await recordWithRobot("12");
    kube.remove("secrets", "harbor-login", "berth-system");
    const { code, err } = await run();
    expect(code).to.equal(1);
    expect(err).to.match(/^left robots of managed .*login/m);
    expect(harbor.robots.list()).to.have.length(1);
  });

  it("leaves a record that it cannot read, and a Secret that the API server will not let go", async () => {
    record("berth-robot-odd", "not a record");
    secret("berth-pull", {}, { "app.kubernetes.io/managed-by": "berth" }, "shop");
    kube.switches.failures.push({ on: "delete", status: 403 });
    const { code, err } = await run();
    expect(code).to.equal(1);
    expect(err).to.match(/^left Secret berth-pull in shop: .*403/m);
    expect(err).to.match(/^left record berth-robot-odd: it cannot be read/m);
    expect(left().secrets).to.include.members(["shop/berth-pull", "berth-system/berth-robot-odd"]);
  });

  it("takes a Secret that a finalizer keeps for one that is left", async () => {
    secret("berth-pull", {}, { "app.kubernetes.io/managed-by": "berth" }, "shop");
    const body = JSON.stringify(kube.get("secrets", "berth-pull", "shop"));
    kube.switches.failures.push({ on: "delete", status: 200, body });
    const { code, err } = await run();
    expect({ code, err: err.split("\n")[0] }).to.deep.equal({
      code: 1,
      err: "left Secret berth-pull in shop: a finalizer keeps it",
    });
  });

  it("removes nothing where it may not read everything", async () => {
    await lived();
    const before = left();
    kube.switches.failures.push(
      { on: "list", status: 200, body: JSON.stringify({ metadata: { resourceVersion: "1" }, items: [] }) },
      { on: "list", status: 403 },
    );
    const { code, err } = await run();
    expect(code).to.equal(2);
    expect(err).to.match(/^berth: list \/api\/v1\/secrets.*403/);
    expect(left()).to.deep.equal(before);
  });

  it("has a help that ends with examples", async () => {
    const terminal = createRecordingTerminal();
    expect(await runProgram(["cleanup", "--help"], terminal)).to.equal(0);
    expect(terminal.outText()).to.match(/\nExamples:\n( {2}.*berth cleanup.*\n)+\n*$/);
  });

  it("is for a cluster", async () => {
    const terminal = createRecordingTerminal();
    process.env["BERTH_FROM"] = folder;
    const code = await runProgram(["cleanup"], terminal).finally(() => delete process.env["BERTH_FROM"]);
    expect(code).to.equal(2);
    expect(terminal.errText()).to.match(/^berth: cleanup is for a cluster/);
  });
});

function kubeconfigOf(server: string): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "here",
    clusters: [{ name: "here", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: "admin", user: { token: "of the administrator" } }],
    contexts: [{ name: "here", context: { cluster: "here", user: "admin" } }],
  });
}
