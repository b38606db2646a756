// What keeps the gate itself, before a real API server: who may say which workspace a namespace belongs to, and
// what a policy must look like. One platform for all tests, which run in order.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { berthNamespace, mustCreate, runBerth } from "./berth.ts";
import { findBinaries } from "./binaries.ts";
import { createNamespace, waitFor, type Kube } from "./kube.ts";
import { imageOf, startPlatform, workspaceLabel, type Platform } from "./platform.ts";
import { webhookNames } from "./webhooks.ts";
import { pod } from "./workloads.ts";

const denial = `admission webhook "${webhookNames.namespaces}" denied the request: `;
const group = "rbac.authorization.k8s.io";

describe("the guards before a real API server", () => {
  let platform: Platform;
  /** May do everything with namespaces, and assign no workspace. */
  let tenant: Kube;
  /** May assign workspace 12 besides. */
  let keeper: Kube;

  before(async () => {
    platform = await startPlatform(["--drain", "1s"], {
      workspaceLabel,
      exemptNames: ["kube-system", berthNamespace, "cni"],
    });
    await platform.setPolicy("settings", { exemptNamespaces: ["kube-system", "cni", "late"] });
    const { plane } = platform;
    tenant = await plane.clientFor("tenant");
    keeper = await plane.clientFor("keeper");
    const resources = ["namespaces", "namespaces/status", "namespaces/finalize", "pods"];
    await grant("namespaces", ["tenant", "keeper"], [{ apiGroups: [""], resources, verbs: ["*"] }]);
    await grant(
      "workspace-12",
      ["keeper"],
      [{ apiGroups: ["berth.io"], resources: ["workspaces"], resourceNames: ["12"], verbs: ["assign"] }],
    );
  });
  after(() => (platform as Platform | undefined)?.stop());

  async function grant(name: string, users: readonly string[], rules: readonly object[]): Promise<void> {
    const { admin } = platform.plane;
    const subjects = users.map((user) => ({ kind: "User", name: user, apiGroup: group }));
    const roleRef = { apiGroup: group, kind: "ClusterRole", name };
    await mustCreate(admin, { kind: "ClusterRole", metadata: { name }, ...{ rules } });
    await mustCreate(admin, { kind: "ClusterRoleBinding", metadata: { name }, ...{ roleRef, subjects } });
  }

  const namespace = (name: string, workspace?: string) =>
    ({
      kind: "Namespace",
      metadata: { name, ...(workspace === undefined ? {} : { labels: { [workspaceLabel]: workspace } }) },
    }) as const;
  const label = (kube: Kube, name: string, workspace: string | null) =>
    kube.mergePatch("Namespace", { name }, { metadata: { labels: { [workspaceLabel]: workspace } } });

  /** Reviews of namespaces that Berth has answered so far. */
  async function reviews(): Promise<number> {
    const { text } = await platform.berth.operations("/metrics");
    const lines = text
      .split("\n")
      .filter((line) => /^berth_admission_reviews_total\{.*kind="Namespace"/.test(line));
    return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }

  describe("of the workspace label", () => {
    it("leave alone whoever does not touch it, and are not even asked", async () => {
      const before = await reviews();
      expect((await tenant.create(namespace("plain"))).status).to.equal(201);
      const annotated = { metadata: { annotations: { note: "x" }, labels: { other: "y" } } };
      expect((await tenant.mergePatch("Namespace", { name: "plain" }, annotated)).status).to.equal(200);
      expect(await reviews()).to.equal(before);
    });

    it("refuse it to whoever has no right to assign the workspace, and say so", async () => {
      const born = await tenant.create(namespace("born", "12"));
      expect(born.status).to.equal(403);
      expect(born.message).to.equal(
        `${denial}the label workspace.ghippo.io/id of namespace "born" says which workspace it belongs to, and ` +
          'changing it for workspace "12" needs the right "assign" on workspaces.berth.io "12", which user ' +
          '"tenant" has not. Ask a platform administrator to do it, or to grant the right.',
      );
      expect((await label(tenant, "plain", "12")).message).to.match(/^admission webhook/);
    });

    it("refuse it through status and finalize, which change labels too", async () => {
      const { body } = await tenant.request("GET", "/api/v1/namespaces/plain");
      const changed = structuredClone(body) as { metadata: { labels: Record<string, string> } };
      changed.metadata.labels[workspaceLabel] = "12";
      for (const subresource of ["status", "finalize"]) {
        const path = `/api/v1/namespaces/plain/${subresource}`;
        const { status, message } = await tenant.request("PUT", path, changed);
        expect(status, subresource).to.equal(403);
        expect(message, subresource).to.contain(denial);
      }
      const after = await tenant.get("Namespace", { name: "plain" });
      expect(after.body.metadata?.labels).to.not.have.property(workspaceLabel);
    });

    it("allow it to whoever has the right, for that workspace alone", async () => {
      expect((await keeper.create(namespace("kept", "12"))).status).to.equal(201);
      expect((await keeper.create(namespace("other", "13"))).status).to.equal(403);
      expect((await label(keeper, "plain", "12")).status).to.equal(200);
      expect((await label(keeper, "plain", "13")).message, "the one that it joins").to.contain(
        '"assign" on workspaces.berth.io "13"',
      );
      expect((await label(tenant, "plain", null)).message, "the one that it leaves").to.contain(
        '"assign" on workspaces.berth.io "12"',
      );
      expect((await label(keeper, "plain", null)).status).to.equal(200);
    });

    it("refuse a new namespace with a name that is exempt", async () => {
      const { status, message } = await tenant.create(namespace("cni"));
      expect(status).to.equal(403);
      expect(message).to.contain('namespace "cni" has a name that the image policy exempts');
      expect((await platform.plane.admin.create(namespace("cni"))).status, "an administrator may").to.equal(
        201,
      );
    });

    it("let the system finalize and delete namespaces that have it", async function () {
      const { status } = await tenant.delete("Namespace", { name: "kept" });
      expect(status).to.be.oneOf([200, 202]);
      if (findBinaries().paths["kube-controller-manager"] === undefined) return;
      await waitFor("namespace kept is gone", async () => {
        return (await tenant.get("Namespace", { name: "kept" })).status === 404;
      });
    });
  });

  describe("of the policy", () => {
    const broken = "unlistedRegistries: deny\nmode: enforced\n";
    const edit = (text: string) => {
      const metadata = { name: "settings", namespace: berthNamespace, labels: { "berth.io/policy": "true" } };
      return platform.plane.admin.apply(
        { kind: "ConfigMap", metadata, ...{ data: { "policy.yaml": text } } },
        "suite",
      );
    };

    it("refuse an edit that would break it, with the words of check-policy", async () => {
      const { status, message } = await edit(broken);
      expect(status).to.equal(403);
      const folder = await mkdtemp(join(tmpdir(), "berth-guards-"));
      const file = join(folder, "policy.yaml");
      await writeFile(file, broken);
      const { stdout, code } = await runBerth(["check-policy", file]);
      await rm(folder, { recursive: true });
      expect(code).to.equal(1);
      const [said = ""] = stdout.split("\n");
      const words = said.slice(said.indexOf(":2:7:"));
      expect(words).to.match(/^:2:7: error: mode: expected enforce, warn or audit/);
      expect(message).to.contain(`admission webhook "${webhookNames.policy}" denied the request: `);
      expect(message).to.contain(words);
    });

    it("let a good one pass", async () => {
      expect((await edit("mode: enforce\nexemptNamespaces: [kube-system, cni, late]\n")).status).to.equal(
        200,
      );
    });
  });

  it("warn when a Pod's account lets it use only the Secrets that it lists", async () => {
    const { admin } = platform.plane;
    await createNamespace(admin, "strict", { [workspaceLabel]: "12" });
    const annotations = { "kubernetes.io/enforce-mountable-secrets": "true" };
    await mustCreate(admin, {
      kind: "ServiceAccount",
      metadata: { name: "strict", namespace: "strict", ...{ annotations } },
    });
    const warning = 'service account "strict" has the annotation kubernetes.io/enforce-mountable-secrets';
    await waitFor("the warning", async () => {
      const tried = pod({ namespace: "strict", name: "tried" }, imageOf("team-a"), {
        serviceAccountName: "strict",
      });
      const { warnings, status } = await admin.create(tried, { query: { dryRun: "All" } });
      return status === 403 && warnings.join(" ").includes(warning);
    });
  });

  describe("without Berth", () => {
    before(() => platform.berth.stop());
    after(() => platform.berth.start());

    it("namespaces are made, annotated and deleted as ever, and no workspace is assigned", async () => {
      expect((await tenant.create(namespace("alone"))).status).to.equal(201);
      const annotated = { metadata: { annotations: { note: "x" } } };
      expect((await tenant.mergePatch("Namespace", { name: "alone" }, annotated)).status).to.equal(200);
      expect((await keeper.create(namespace("labelled", "12"))).message).to.contain("failed calling webhook");
      expect((await label(keeper, "alone", "12")).message).to.contain("failed calling webhook");
      expect((await tenant.delete("Namespace", { name: "alone" })).status).to.be.oneOf([200, 202]);
      if (findBinaries().paths["kube-controller-manager"] === undefined) return;
      await waitFor("namespace alone is gone", async () => {
        return (await tenant.get("Namespace", { name: "alone" })).status === 404;
      });
    });

    it("a namespace that has a workspace is deleted and finalized as ever", async () => {
      expect((await tenant.delete("Namespace", { name: "strict" })).status).to.be.oneOf([200, 202]);
      if (findBinaries().paths["kube-controller-manager"] === undefined) return;
      await waitFor("namespace strict is gone", async () => {
        return (await tenant.get("Namespace", { name: "strict" })).status === 404;
      });
    });

    it("the policy can be edited", async () => {
      await platform.setPolicy("settings", { mode: "warn" });
      await platform.setPolicy("settings");
    });
  });
});
