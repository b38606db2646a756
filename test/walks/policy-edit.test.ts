import { expect } from "chai";
import { rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { eventually } from "../eventually.ts";
import { startSamplePlatform, type SamplePlatform } from "../fakes/sample-platform.ts";
import { startBerth, type RunningBerth } from "./serving.ts";

const image = "harbor.example.test/team-b/app:1";

describe("a policy edit, from the file to the verdict", () => {
  let platform: SamplePlatform;
  let berth: RunningBerth;
  beforeEach(async () => {
    platform = await startSamplePlatform();
    berth = await startBerth(platform.folder, "1h");
    await berth.serving.ready;
  });
  afterEach(async () => {
    await berth.stop();
    await platform.close();
  });

  /** As an editor saves: a new file takes the old one's place. */
  async function writeBindings(document: string): Promise<void> {
    const metadata = { name: "bindings", namespace: "berth-system", labels: { "berth.io/policy": "true" } };
    const manifest = { apiVersion: "v1", kind: "ConfigMap", metadata, data: { "bindings.yaml": document } };
    await writeFile(join(platform.folder, "bindings.new"), stringify(manifest));
    await rename(join(platform.folder, "bindings.new"), join(platform.folder, "bindings.yaml"));
  }
  const bind = (...spaces: readonly string[]): Promise<void> =>
    writeBindings(stringify({ bindings: [{ workspace: "12", registry: "managed", spaces }] }));

  const becomes = (allowed: boolean): Promise<void> =>
    eventually(async () => {
      expect((await berth.validate("shop", image)).allowed).to.equal(allowed);
    });

  it("opens with a binding, for its workspace alone, and closes when that is withdrawn", async () => {
    expect((await berth.validate("shop", image)).allowed).to.equal(false);
    await bind("team-a", "team-b");
    await becomes(true);
    expect((await berth.mutate("shop-test", image)).patch).to.have.lengthOf(1);
    expect((await berth.validate("lab", image)).allowed).to.equal(false);

    await bind("team-a");
    await becomes(false);
    expect((await berth.validate("shop", "harbor.example.test/team-a/api:1")).allowed).to.equal(true);
  });

  it("withdraws everything that a file said when the file is deleted", async () => {
    await bind("team-b");
    await becomes(true);
    await rm(join(platform.folder, "bindings.yaml"));
    await becomes(false);
  });

  it("asks Harbor for no listing", async () => {
    const listings = (): number =>
      platform.harbor.requests.filter(({ path }) => path.startsWith("/api/v2.0/projects?")).length;
    const before = listings();
    await bind("team-b");
    await becomes(true);
    expect(listings()).to.equal(before);
  });

  it("keeps the last good content of a document that breaks, and shows the problem", async () => {
    await bind("team-b");
    await becomes(true);
    expect(await berth.metric("berth_policy_problems")).to.equal(0);
    await writeBindings("bindings: [");
    await eventually(async () => {
      expect(await berth.metric("berth_policy_problems")).to.be.greaterThan(0);
    });
    await becomes(true);
    expect(berth.logText()).to.match(/"level":"error".*ConfigMap bindings\/bindings\.yaml/);

    await bind("team-a");
    await becomes(false);
    expect(await berth.metric("berth_policy_problems")).to.equal(0);
  });

  it("keeps what was good when a whole file is no YAML any more", async () => {
    await bind("team-b");
    await becomes(true);
    await writeFile(join(platform.folder, "bindings.yaml"), "apiVersion: [v1\n");
    await eventually(() => berth.logText().includes("bindings.yaml:"));
    await becomes(true);
  });

  it("follows a namespace into another workspace", async () => {
    await bind("team-b");
    await becomes(true);
    const labels = { "workspace.ghippo.io/id": "13" };
    const manifest = { apiVersion: "v1", kind: "Namespace", metadata: { name: "fresh", labels } };
    await writeFile(join(platform.folder, "fresh.yaml"), stringify(manifest));
    await eventually(async () => {
      const { auditAnnotations } = await berth.validate("fresh", image);
      expect(auditAnnotations).to.include({ reasons: "space-not-bound", workspace: "13" });
    });
    labels["workspace.ghippo.io/id"] = "12";
    await writeFile(join(platform.folder, "fresh.yaml"), stringify(manifest));
    await eventually(async () => {
      expect((await berth.validate("fresh", image)).allowed).to.equal(true);
    });
  });
});
