// An uninstallation on a real API server: what a Berth that has worked leaves, and `berth cleanup` with the rights of
// the administrator.

import { expect } from "chai";
import { berthNamespace, runBerth } from "./berth.ts";
import { createNamespace, waitFor } from "./kube.ts";
import { startPlatform, workspaceLabel, type Platform } from "./platform.ts";

describe("berth cleanup, before a real API server", () => {
  let platform: Platform;
  before(async () => {
    platform = await startPlatform(["--catalogue-interval", "1s", "--drain", "0s"]);
    for (const name of ["shop", "shop-test"]) {
      await createNamespace(platform.plane.admin, name, { [workspaceLabel]: "12" });
    }
    await createNamespace(platform.plane.admin, "foreign");
    const metadata = { name: "berth-pull", namespace: "foreign" };
    await platform.plane.admin.create({ kind: "Secret", metadata });
    await waitFor(
      "both namespaces have their Secret",
      async () => (await left()).pullSecrets.length === 3,
      30_000,
    );
    await waitFor("the catalogue is published", async () => (await left()).published.length > 0, 30_000);
  });
  after(() => (platform as Platform | undefined)?.stop());

  async function left() {
    const { plane, harbor } = platform;
    const secrets = (await plane.admin.list("Secret")).body.items.map(({ metadata }) => metadata);
    const configMaps = (await plane.admin.list("ConfigMap", { namespace: berthNamespace })).body.items;
    return {
      robots: harbor.robots.list().map(({ name }) => name),
      pullSecrets: secrets.flatMap((each) => (each?.name === "berth-pull" ? [each.namespace] : [])),
      records: secrets.filter((each) => each?.labels?.["berth.io/robot"] === "true").length,
      published: configMaps.filter(({ metadata }) => metadata?.labels?.["berth.io/published"] === "true"),
      policies: configMaps.filter(({ metadata }) => metadata?.labels?.["berth.io/policy"] === "true").length,
    };
  }

  const cleanup = (...flags: readonly string[]) =>
    runBerth(["cleanup", "--kubeconfig", platform.plane.adminKubeconfigPath, ...flags]);

  it("does nothing while a replica leads", async () => {
    const before = await left();
    const { code, stderr } = await cleanup();
    expect(code).to.equal(2);
    expect(stderr).to.match(/^berth: Berth still runs: \S+ holds the Lease berth-system\/berth\. /);
    expect(await left()).to.deep.equal(before);
  });

  it("then removes all of it, and what people wrote stays", async () => {
    await platform.berth.stop();
    const before = await left();
    expect(before.robots).to.have.length(1);
    expect(before.records).to.equal(1);
    const dryRun = await cleanup("--dry-run");
    expect(dryRun.code, dryRun.stderr).to.equal(0);
    expect(await left()).to.deep.equal(before);

    const { code, stdout, stderr } = await cleanup();
    expect(code, stdout + stderr).to.equal(0);
    const after = {
      robots: [],
      pullSecrets: ["foreign"],
      records: 0,
      published: [],
      policies: before.policies,
    };
    expect(await left()).to.deep.equal(after);
    expect(stdout.replaceAll("removed", "would remove").split("\n").slice(0, -2)).to.have.members(
      dryRun.stdout.split("\n").slice(0, -2),
    );
  });

  it("is done at once where it was done before", async () => {
    const { code, stdout } = await cleanup();
    expect({ code, last: stdout.trimEnd().split("\n").at(-1) }).to.deep.equal({
      code: 0,
      last: "0 removed, 0 left",
    });
  });
});
