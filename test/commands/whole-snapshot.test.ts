import { expect } from "chai";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { readSnapshot } from "../../src/commands/whole-snapshot.ts";
import { missingParts } from "../../src/domain/snapshot.ts";
import { readSettings } from "../../src/settings.ts";
import { createRecordingTerminal } from "../fakes/recording-terminal.ts";
import { passwordForms, startSamplePlatform, type SamplePlatform } from "../fakes/sample-platform.ts";

describe("a whole snapshot", () => {
  let platform: SamplePlatform;
  before(async () => {
    platform = await startSamplePlatform();
  });
  after(() => platform.close());

  it("tells why a Harbor could not be read when patience ends, and leaves its catalogue out", async () => {
    const terminal = createRecordingTerminal();
    platform.harbor.faults.always({ kind: "status", status: 503 });
    const snapshot = await readSnapshot(readSettings({ from: platform.folder }, {}), terminal, 1_500);
    platform.harbor.faults.clear();
    expect(missingParts(snapshot)).to.deep.equal(["catalogue of managed"]);
    expect(terminal.errText()).to.match(/^could not read the catalogue of managed: [^\n]*503[^\n]*\n$/);
    for (const form of passwordForms()) expect(terminal.errText()).not.to.include(form);
  });

  it("is there as soon as the last catalogue is, long before patience ends", async () => {
    const terminal = createRecordingTerminal();
    const snapshot = await readSnapshot(readSettings({ from: platform.folder }, {}), terminal);
    expect([...snapshot.catalogues.keys()]).to.deep.equal(["managed"]);
    expect(terminal.errText()).to.equal("");
  });

  it("tells of a manifest that does not count", async () => {
    const terminal = createRecordingTerminal();
    const broken = join(platform.folder, "broken.yaml");
    await writeFile(broken, "apiVersion: v1\nkind: Namespace\nmetadata: { name: late, labels: [none] }\n");
    const snapshot = await readSnapshot(readSettings({ from: platform.folder }, {}), terminal);
    await rm(broken);
    expect(snapshot.namespaces.has("late")).to.equal(false);
    expect(terminal.errText()).to.match(/^[^\n]*broken\.yaml:3:\d+: [^\n]+\n$/);
  });

  it("fails with the reason when the cluster cannot be reached", async () => {
    const kubeconfig = join(platform.folder, "kubeconfig");
    await writeFile(
      kubeconfig,
      stringify({
        apiVersion: "v1",
        kind: "Config",
        "current-context": "here",
        contexts: [{ name: "here", context: { cluster: "here", user: "me" } }],
        // Port 1 is reserved, and nothing listens there.
        clusters: [{ name: "here", cluster: { server: "https://127.0.0.1:1" } }],
        users: [{ name: "me", user: { token: "never-shown" } }],
      }),
    );
    const terminal = createRecordingTerminal();
    let message = "";
    try {
      await readSnapshot(readSettings({ kubeconfig }, {}), terminal, 700);
    } catch (err) {
      message = err instanceof Error ? err.message : "";
    }
    expect(message).to.match(/^the policy and the namespaces could not be read: [^\n]*ECONNREFUSED[^\n]*$/);
    expect(terminal.errText() + message).not.to.include("never-shown");
  });
});
