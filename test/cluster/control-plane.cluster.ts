// The harness itself: what the other suites take for granted about the control plane that it starts.

import { expect } from "chai";
import { skipWithout } from "./binaries.ts";
import { startControlPlane, type ControlPlane } from "./control-plane.ts";
import { createKube, createNamespace, waitFor } from "./kube.ts";

const image = "registry.example.test/app:1";
const containers = [{ name: "app", image }];

describe("a control plane for the suites", () => {
  let plane: ControlPlane;
  before(async () => {
    plane = await startControlPlane();
    await createNamespace(plane.admin, "plain", { "workspace.ghippo.io/id": "12" });
  });
  after(() => plane.stop());

  it("serves the administrator", async () => {
    const { status, body } = await plane.admin.get("Namespace", { name: "plain" });
    expect(status).to.equal(200);
    expect(body.metadata?.labels).to.include({ "workspace.ghippo.io/id": "12" });
  });

  it("tells whoever shows no credentials about its health, and nothing else", async () => {
    expect(await anonymousStatus(plane, "/readyz")).to.equal(200);
    expect(await anonymousStatus(plane, "/api/v1/namespaces")).to.equal(401);
  });

  it("refuses a user without rights, with a message", async () => {
    const alice = await plane.clientFor("alice", ["tenants"]);
    const { status, message } = await alice.list("Pod", { namespace: "plain" });
    expect(status).to.equal(403);
    expect(message).to.include('User "alice" cannot list resource "pods"');
  });

  it("gives users their groups, and service accounts their names", async () => {
    const at = { namespace: "plain", name: "pod-reader" };
    await plane.admin.create({
      kind: "Role",
      metadata: at,
      rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["list"] }],
    });
    await plane.admin.create({
      kind: "RoleBinding",
      metadata: at,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "pod-reader" },
      subjects: [
        { apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: "tenants" },
        { kind: "ServiceAccount", name: "berth", namespace: "berth-system" },
      ],
    });
    const alice = await plane.clientFor("alice", ["tenants"]);
    const berth = await plane.clientFor("system:serviceaccount:berth-system:berth");
    for (const kube of [alice, berth]) {
      await waitFor("the binding is in force", async () => {
        return (await kube.list("Pod", { namespace: "plain" })).status === 200;
      });
    }
  });

  it("admits Pods through the ServiceAccount plugin, image volumes included", async () => {
    const { status, body, message } = await plane.admin.create({
      kind: "Pod",
      metadata: { name: "with-image-volume", namespace: "plain" },
      spec: { containers, volumes: [{ name: "models", image: { reference: image } }] },
    });
    expect(status, message).to.equal(201);
    expect(body.spec?.serviceAccountName).to.equal("default");
    expect(body.spec?.volumes?.[0]?.image?.reference).to.equal(image);
  });

  it("writes in every way that the suites use", async () => {
    const at = { namespace: "plain", name: "notes" };
    const created = await plane.admin.create({ kind: "ConfigMap", metadata: at, data: { a: "1" } });
    expect(created.status, created.message).to.equal(201);
    const updated = await plane.admin.update({ ...created.body, data: { a: "2" } });
    expect(updated.body.data).to.deep.equal({ a: "2" });
    await plane.admin.mergePatch("ConfigMap", at, { data: { b: "3" } });
    await plane.admin.jsonPatch("ConfigMap", at, [{ op: "remove", path: "/data/a" }]);
    const applied = await plane.admin.apply({ kind: "ConfigMap", metadata: at, data: { c: "4" } }, "suite");
    expect(applied.body.data).to.deep.equal({ b: "3", c: "4" });
    const stale = await plane.admin.update(created.body);
    expect(stale.status).to.equal(409);
    expect((await plane.admin.delete("ConfigMap", at)).status).to.equal(200);
    expect((await plane.admin.get("ConfigMap", at)).message).to.equal('configmaps "notes" not found');
  });

  it("passes warnings on", async () => {
    const { status, message, warnings } = await plane.admin.create(
      {
        kind: "Pod",
        metadata: { name: "warned", namespace: "plain" },
        spec: { containers, nodeSelector: { "beta.kubernetes.io/os": "linux" } },
      },
      { query: { dryRun: "All" } },
    );
    expect(status, message).to.equal(201);
    expect(warnings.join()).to.include("beta.kubernetes.io/os");
  });

  it("brings a kubectl of the same version", async function () {
    skipWithout("kubectl", this);
    const version = await plane.kubectl(["version", "--output", "json"]);
    const { clientVersion, serverVersion } = JSON.parse(version.stdout) as Record<
      string,
      { gitVersion: string }
    >;
    expect(clientVersion?.gitVersion).to.equal(serverVersion?.gitVersion);
    const manifest = JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "piped" } });
    const applied = await plane.kubectl(["apply", "-n", "plain", "-f", "-"], { input: manifest });
    expect(applied).to.include({ code: 0, stdout: "configmap/piped created\n" });
    const kubeconfigPath = await plane.userKubeconfig("mallory");
    const refused = await plane.kubectl(["get", "secrets", "-A"], { kubeconfigPath });
    expect(refused.code).to.equal(1);
    expect(refused.stderr).to.include('User "mallory" cannot list resource "secrets"');
  });

  it("freezes etcd and lets it go on", async () => {
    plane.pauseEtcd();
    try {
      const answer = await plane.admin.create(
        { kind: "ConfigMap", metadata: { name: "late", namespace: "plain" } },
        { query: { timeout: "1s" } },
      );
      expect(answer.status).to.equal(504);
    } finally {
      plane.resumeEtcd();
    }
    await waitFor("etcd answers again", async () => {
      return (await plane.admin.get("ConfigMap", { namespace: "plain", name: "late" })).status < 500;
    });
  });

  it("restarts the API server at the same address with the same objects", async () => {
    const uid = async () => (await plane.admin.get("Namespace", { name: "plain" })).body.metadata?.uid;
    const uidBefore = await uid();
    await plane.stopApiServer();
    const gone = await plane.admin.request("GET", "/readyz").catch((error: unknown) => error);
    expect(gone).to.be.instanceOf(Error);
    await plane.startApiServer();
    expect(await uid()).to.equal(uidBefore);
    await plane.restartApiServer();
    expect(await uid()).to.equal(uidBefore);
  });
});

describe("a control plane with its controllers", () => {
  let plane: ControlPlane;
  before(async function () {
    skipWithout("kube-controller-manager", this);
    plane = await startControlPlane({ controllerManager: true });
    await createNamespace(plane.admin, "busy");
  });
  // A `before` that skips leaves nothing to stop.
  after(() => (plane as ControlPlane | undefined)?.stop());

  it("makes the Pods of a Deployment", async () => {
    const labels = { app: "web" };
    const created = await plane.admin.create({
      kind: "Deployment",
      metadata: { name: "web", namespace: "busy" },
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers } },
      },
    });
    expect(created.status, created.message).to.equal(201);
    const pods = await waitFor("two Pods", async () => {
      const { items } = (await plane.admin.list("Pod", { namespace: "busy" })).body;
      return items.length === 2 && items;
    });
    expect(pods.map((pod) => pod.status?.phase)).to.deep.equal(["Pending", "Pending"]);
    expect(pods[0]?.metadata?.ownerReferences?.[0]?.kind).to.equal("ReplicaSet");
  });

  it("collects what a deleted namespace leaves", async () => {
    await plane.admin.delete("Namespace", { name: "busy" });
    await waitFor("the namespace is gone", async () => {
      return (await plane.admin.get("Namespace", { name: "busy" })).status === 404;
    });
  });
});

async function anonymousStatus({ server, caPem }: ControlPlane, path: string): Promise<number> {
  return (await createKube({ server, caPem }).request("GET", path)).status;
}
