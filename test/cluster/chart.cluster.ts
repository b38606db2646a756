// The life of one installation, by Helm itself on a real API server: installed on a cluster in use, upgraded to enforce,
// down, and uninstalled. Berth runs as a process with just what the chart gives a container: its arguments, its
// environment, and a token of its service account. Only the ports, and where the API server is, are the machine's.

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { V1MutatingWebhookConfiguration } from "@kubernetes/client-node";
import { expect } from "chai";
import { chartFolder, installFile } from "../../scripts/chart.ts";
import { environmentOf } from "../chart/manifests.ts";
import { berthNamespace, berthUser, mustCreate } from "./berth.ts";
import { skipWithout } from "./binaries.ts";
import { freePort, startControlPlane, type ControlPlane } from "./control-plane.ts";
import { helm } from "./helm.ts";
import { createKube, createNamespace, kubeconfig, waitFor, type Identified, type Kube } from "./kube.ts";
import { imageOf, startHarbor, workspaceLabel, type AuditEvent } from "./platform.ts";
import { startProcess, type RunningProcess } from "./process.ts";
import { startServiceFront, type ServiceFront } from "./service-front.ts";
import { pod } from "./workloads.ts";

const name = "berth";
const inBerths = { namespace: berthNamespace };
/** Workspace 12 is `shop`; `cni` is exempt. */
const exempt = "exemptNamespaces={kube-system,cni}";
const bound = imageOf("team-a");
const unbound = imageOf("team-b");
const secretType = "kubernetes.io/dockerconfigjson";

describe("the chart, on a real API server", function () {
  this.timeout(120_000);
  let folder: string;
  let plane: ControlPlane;
  let admin: Kube;
  let front: ServiceFront;
  let berth: RunningProcess;
  /** Of Berth's account, by the token that its process has. */
  let account: Kube;
  let starts = 0;
  const undo: (() => Promise<unknown>)[] = [];

  before(async function () {
    skipWithout("helm", this);
    skipWithout("kube-controller-manager", this);
    folder = await mkdtemp(join(tmpdir(), "berth-chart-"));
    undo.push(() => rm(folder, { recursive: true, force: true }));
    front = await startServiceFront(folder);
    undo.push(() => front.close());
    await writeFile(auditFile("policy"), JSON.stringify(whatIsAudited));
    plane = await startControlPlane({
      controllerManager: true,
      apiServerArgs: [
        ...front.apiServerArgs,
        `--audit-policy-file=${auditFile("policy")}`,
        `--audit-log-path=${auditFile("log")}`,
      ],
    });
    undo.push(() => plane.stop());
    admin = plane.admin;
    await createNamespace(admin, berthNamespace, { "pod-security.kubernetes.io/enforce": "restricted" });
    await createNamespace(admin, "shop", { [workspaceLabel]: "12" });
    await createNamespace(admin, "cni");
    const harbor = await startHarbor(plane);
    undo.push(() => harbor.close());
    await writePolicy("registries", {
      registries: [
        {
          ...{ name: "managed", type: "harbor", url: harbor.url, aliases: [imageOf("").split("/")[0]] },
          ...{ credentialsSecret: "harbor-login", caSecret: "harbor-ca" },
        },
      ],
      bindings: [{ workspace: "12", registry: "managed", spaces: ["team-a"] }],
    });
  });
  after(async () => {
    while (undo.length > 0) await undo.pop()?.();
  });

  const auditFile = (what: string) => join(folder, `audit-${what}`);
  const audited = async () =>
    // What follows the last line break is still being written.
    (await readFile(auditFile("log"), "utf8"))
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as AuditEvent);
  const tryPod = (namespace: string, image: string) =>
    admin.create(pod({ namespace, name: "tried" }, image), { query: { dryRun: "All" } });
  const becomes = (status: number, namespace: string, image: string) =>
    waitFor(`${image} in ${namespace} gets ${status}`, async () => {
      return (await tryPod(namespace, image)).status === status;
    });

  async function writePolicy(document: string, contents: object): Promise<void> {
    const metadata = { name: document, ...inBerths, labels: { "berth.io/policy": "true" } };
    const data = { "policy.yaml": JSON.stringify(contents) };
    await mustCreate(admin, { kind: "ConfigMap", metadata, ...{ data } });
  }

  async function withHelm(...words: string[]): Promise<string> {
    const where = ["--kubeconfig", plane.adminKubeconfigPath, "--namespace", berthNamespace];
    const { code, stdout, stderr } = await helm([...words, ...where], folder);
    if (code !== 0) throw new Error(`helm ${words.join(" ")}: ${stderr}`);
    return stdout;
  }

  /** As a kubelet would, with what the Deployment says now. */
  async function startBerth(): Promise<void> {
    const deployment = (await admin.get("Deployment", { ...inBerths, name })).body;
    const container = deployment.spec?.template.spec?.containers[0];
    if (container === undefined) throw new Error("expected a container");
    const token = await tokenOf(deployment.spec?.template.spec?.serviceAccountName ?? "");
    const access = { server: plane.server, caPem: plane.caPem, token };
    account = createKube(access);
    const kubeconfigFile = join(folder, "kubeconfig.json");
    await writeFile(kubeconfigFile, kubeconfig(access), { mode: 0o600 });
    const port = await freePort();
    starts += 1;
    berth = await startProcess({
      command: process.execPath,
      args: [join(import.meta.dirname, "../../src/main.ts"), ...(container.args ?? [])],
      env: {
        ...ownSettings(),
        ...environmentOf(container.env ?? [], berthNamespace),
        BERTH_KUBECONFIG: kubeconfigFile,
        BERTH_WEBHOOK_PORT: String(port),
        BERTH_PEOPLE_PORT: "0",
        BERTH_OPERATIONS_PORT: "0",
        BERTH_BIND_ADDRESS: "127.0.0.1",
      },
      logFile: join(folder, `berth-${String(starts)}.log`),
    });
    undo.push(() => berth.stop());
    await berth.waitForLine(/Berth is ready/, { timeoutMs: 60_000 });
    front.setPorts([port]);
  }

  async function tokenOf(serviceAccount: string): Promise<string> {
    const path = `/api/v1/namespaces/${berthNamespace}/serviceaccounts/${serviceAccount}/token`;
    const spec = { expirationSeconds: 3_600 };
    const { body, status, message } = await admin.request("POST", path, {
      ...{ apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec },
    });
    if (status !== 201) throw new Error(`token of ${serviceAccount}: ${message}`);
    return (body as { status: { token: string } }).status.token;
  }

  async function configurations() {
    const read = await Promise.all([
      admin.get("MutatingWebhookConfiguration", { name }),
      admin.get("ValidatingWebhookConfiguration", { name }),
    ]);
    return read.flatMap(({ body }) => (body as V1MutatingWebhookConfiguration).webhooks ?? []);
  }
  const failurePolicies = async () => new Set((await configurations()).map((one) => one.failurePolicy));
  const bundles = async () => [...new Set((await configurations()).map((one) => one.clientConfig.caBundle))];

  // Stages, one after another: Mocha runs the tests of a suite before the suites in it.
  describe("installed and upgraded", () => {
    it("installs on a cluster in use, and stops nothing while no replica answers", async () => {
      const notes = await withHelm("install", name, chartFolder, "--set", exempt);
      expect(await failurePolicies()).to.deep.equal(new Set(["Ignore"]));
      for (const namespace of ["shop", "default", "cni"]) {
        expect((await tryPod(namespace, unbound)).status, namespace).to.equal(201);
      }
      expect(notes).to.contain("Nothing is refused yet");
      expect(notes).to.contain("until the next upgrade");
      expect(notes).to.contain(
        "kubectl get pods --all-namespaces --output json | berth check --only-refused -",
      );
      expect(notes).to.contain("--set policy.mode=enforce");
    });

    it("has Pods that the standard `restricted`, the priority and its quota admit", async () => {
      await waitFor("two Pods are made", async () => {
        const { body } = await admin.list("Pod", inBerths);
        return (
          body.items.filter((one) => one.metadata?.labels?.["app.kubernetes.io/name"] === name).length === 2
        );
      });
    });

    it("runs Berth under its service account, called through its Service by the CA that it keeps", async () => {
      await startBerth();
      const warned = await waitFor("a warning comes", async () => {
        const answer = await tryPod("shop", unbound);
        return answer.warnings.length > 0 && answer;
      });
      expect(warned.status).to.equal(201);
      expect(warned.warnings.join(" ")).to.contain('space "team-b"');
      const [bundle, ...others] = await bundles();
      expect(others, "one CA for all four").to.deep.equal([]);
      expect(Buffer.from(bundle ?? "", "base64").toString()).to.contain("BEGIN CERTIFICATE");
    });

    it("enforces by an upgrade, which leaves the CA alone and closes the gate for good", async () => {
      const before = await bundles();
      const values = ["--set", "policy.mode=enforce", "--set", "replicaCount=3"];
      const notes = await withHelm("upgrade", name, chartFolder, "--reset-then-reuse-values", ...values);
      expect(notes).to.contain("The policy is enforced");
      expect(await bundles()).to.deep.equal(before);
      expect(await failurePolicies()).to.deep.equal(new Set(["Fail", "Ignore"]));
      await becomes(403, "shop", unbound);
      expect((await tryPod("cni", unbound)).status, "the exempt list of the first install").to.equal(201);
    });

    it("keeps pull secrets within its fence", async () => {
      await waitFor("the pull secret is there", async () => {
        return (await admin.get("Secret", { namespace: "shop", name: "berth-pull" })).status === 200;
      });
      const { body, status } = await tryPod("shop", bound);
      expect(status).to.equal(201);
      expect(body.spec?.imagePullSecrets).to.deep.equal([{ name: "berth-pull" }]);
    });

    it("has made no call that it may not make", async () => {
      const own = (await audited()).filter(({ user }) => user.username === berthUser);
      expect(own.length).to.be.greaterThan(10);
      const failed = own.filter(({ responseStatus }) => [401, 403, 422].includes(responseStatus?.code ?? 0));
      expect(failed.map(({ verb, requestURI }) => `${verb} ${requestURI}`)).to.deep.equal([]);
      // What is not used should not be granted: these have no other reason to be in the roles.
      const used = new Set(own.map(({ verb, objectRef }) => `${verb} ${objectRef?.resource ?? ""}`));
      expect([...used]).to.include.members([
        "update validatingwebhookconfigurations",
        "list serviceaccounts",
        "create leases",
      ]);
    });
  });

  describe("gives Berth's token no way", () => {
    const refused = async (object: Identified, why: RegExp) => {
      const { status, message } = await account.create(object, { query: { dryRun: "All" } });
      expect(status, message).to.equal(403);
      expect(message).to.match(why);
    };
    const secret = (namespace: string, more: object = {}): Identified => ({
      kind: "Secret",
      metadata: { namespace, name: "berth-pull" },
      ...{ type: secretType, stringData: { ".dockerconfigjson": "{}" } },
      ...more,
    });
    const tokenSecret = (namespace: string): Identified => ({
      kind: "Secret",
      metadata: {
        ...{ namespace, name: "berth-pull" },
        ...{ annotations: { "kubernetes.io/service-account.name": "default" } },
      },
      ...{ type: "kubernetes.io/service-account-token" },
    });

    it("to another Secret", async () => {
      await mustCreate(admin, { kind: "Secret", metadata: { namespace: "shop", name: "theirs" } });
      for (const namespace of ["shop", "kube-system"]) {
        expect((await account.list("Secret", { namespace })).status).to.equal(403);
      }
      expect((await account.list("Secret")).status).to.equal(403);
      const at = { namespace: "shop", name: "theirs" };
      expect((await account.get("Secret", at)).status).to.equal(403);
      expect((await account.mergePatch("Secret", at, { data: {} })).status).to.equal(403);
      expect((await account.delete("Secret", at)).status).to.equal(403);
      const pullSecrets = { query: { fieldSelector: "metadata.name=berth-pull" } };
      expect((await account.list("Secret", pullSecrets)).status).to.equal(200);
    });

    it("to make a token of a service account, in whatever namespace", async () => {
      await refused(tokenSecret("kube-system"), /no Secret outside its namespace|exempt namespaces/);
      await refused(tokenSecret("shop"), /no Secret outside its namespace/);
      await refused(tokenSecret(berthNamespace), /no tokens of service accounts/);
    });

    it("to make or change a Secret into anything but a pull secret", async () => {
      await refused(secret("shop", { metadata: { namespace: "shop", name: "other" } }), /no Secret outside/);
      await refused(
        secret("shop", { metadata: { namespace: "shop", generateName: "berth-pull" } }),
        /no Secret/,
      );
      await createNamespace(admin, "empty");
      await refused(secret("empty", { type: "Opaque" }), /no Secret outside its namespace/);
      const genuine = await account.create(secret("empty"), { query: { dryRun: "All" } });
      expect(genuine.status, genuine.message).to.equal(201);
    });

    it("into an exempt namespace", async () => {
      for (const namespace of ["kube-system", "cni"]) await refused(secret(namespace), /exempt namespaces/);
    });

    it("to widen its rights, or to touch another webhook", async () => {
      const role = { kind: "ClusterRole" as const, metadata: { name: "mine" }, ...{ rules: [] } };
      expect((await account.create(role)).status).to.equal(403);
      expect((await account.list("ValidatingWebhookConfiguration")).status).to.equal(403);
      const deleted = await account.delete("ValidatingWebhookConfiguration", { name });
      expect(deleted.status).to.equal(403);
      expect((await account.list("Pod")).status).to.equal(403);
    });
  });

  describe("in the end", () => {
    it("without a replica lets exempt Pods start and namespaces come and go, and nothing else", async () => {
      front.setPorts([]);
      await berth.stop(30_000);
      for (const namespace of ["kube-system", "cni", berthNamespace]) {
        const { status, message } = await tryPod(namespace, "cni.test/agent:1");
        // The standard `restricted` may have its own opinion of this Pod there.
        if (namespace === berthNamespace) expect(message).to.not.contain("failed calling webhook");
        else expect(status, message).to.equal(201);
      }
      const failed = await tryPod("shop", bound);
      expect(failed.status).to.equal(500);
      expect(failed.message).to.contain('failed calling webhook "mutate.berth.io"');
      await createNamespace(admin, "passing");
      expect((await admin.delete("Namespace", { name: "passing" })).status).to.equal(200);
    });

    it("is uninstalled with the webhooks first, so that nothing is held up, even with no replica left", async () => {
      await withHelm("uninstall", name);
      for (const namespace of ["shop", "default"]) {
        expect((await tryPod(namespace, unbound)).status, namespace).to.equal(201);
      }
      const deleted = (await audited()).filter(
        ({ verb, user }) => verb === "delete" && user.username === "admin",
      );
      const resources = deleted.map(({ objectRef }) => objectRef?.resource ?? "");
      const lastWebhook = Math.max(
        resources.indexOf("mutatingwebhookconfigurations"),
        resources.indexOf("validatingwebhookconfigurations"),
      );
      expect(resources.indexOf("mutatingwebhookconfigurations")).to.be.greaterThan(-1);
      expect(resources.indexOf("services")).to.be.greaterThan(lastWebhook);
      expect(resources.indexOf("deployments")).to.be.greaterThan(lastWebhook);
      for (const kind of [
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ClusterRole",
        "ClusterRoleBinding",
      ] as const) {
        const { body } = await admin.list(kind);
        const names = body.items.map(({ metadata }) => metadata?.name ?? "");
        expect(
          names.filter((one) => one.startsWith("berth")),
          kind,
        ).to.deep.equal([]);
      }
    });

    it("is installed by kubectl from deploy/install.yaml as well, which fails closed at once", async function () {
      skipWithout("kubectl", this);
      const applied = await plane.kubectl(["apply", "--filename", installFile]);
      expect(applied.code, applied.stderr).to.equal(0);
      expect(await failurePolicies()).to.deep.equal(new Set(["Fail", "Ignore"]));
      const again = await plane.kubectl(["diff", "--filename", installFile]);
      expect(again.code, again.stdout).to.equal(0);
    });
  });
});

/** Settings of the person who runs the suites are none of theirs. */
function ownSettings(): Record<string, undefined> {
  const names = Object.keys(process.env).filter((each) => each.startsWith("BERTH_"));
  return Object.fromEntries(names.map((each) => [each, undefined]));
}

const whatIsAudited = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    { level: "Metadata", userGroups: ["system:serviceaccounts:berth-system"] },
    { level: "Metadata", verbs: ["delete"] },
    { level: "None" },
  ],
};
