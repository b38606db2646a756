import { expect } from "chai";
import { startServing } from "../../src/commands/serve.ts";
import { readSettings } from "../../src/settings.ts";
import { eventually } from "../eventually.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";
import { startSamplePlatform, type SamplePlatform } from "../fakes/sample-platform.ts";

describe("what serve tells administrators of public proxy caches", () => {
  let platform: SamplePlatform;
  before(async () => {
    platform = await startSamplePlatform();
  });
  after(() => platform.close());

  it("is one warning, and a line of /readyz?verbose for as long as they are there, with what closes them", async () => {
    const log = createRecordingLog();
    const flags = {
      from: platform.folder,
      webhookPort: "0",
      peoplePort: "0",
      operationsPort: "0",
      bindAddress: "127.0.0.1",
    };
    const serving = await startServing(readSettings({ ...flags, catalogueInterval: "1s" }, {}), log);
    const details = async () => {
      const answer = await fetch(`http://127.0.0.1:${serving.operationsPort}/readyz?verbose`);
      return (await answer.text()).split("\n").filter((line) => line.includes("proxy cache"));
    };
    const warnings = () => log.lines.filter(({ text }) => text.startsWith("public proxy caches"));
    try {
      await serving.ready;
      const [line, ...others] = await details();
      expect(others).to.deep.equal([]);
      expect(line).to.match(
        /managed\/hub-mirror is public, and opens the whole registry.*proxyCaches: private/,
      );
      expect(warnings().map(({ level, facts }) => [level, facts["spaces"]])).to.deep.equal([
        ["warn", ["managed/hub-mirror"]],
      ]);
      platform.harbor.projects.setVisibility("hub-mirror", "private");
      await eventually(async () => expect(await details()).to.deep.equal([]));
      expect(warnings()).to.have.length(1);
    } finally {
      await serving.stop(0);
    }
  });
});
