import { expect } from "chai";
import { image, startClusterPlatform, type ClusterPlatform } from "./cluster-platform.ts";

const second = 1_000;
const hour = 3_600 * second;

describe("clocks that are set back by an hour", () => {
  let platform: ClusterPlatform;
  let turned: () => number;
  let behindMs: number;
  beforeEach(async () => {
    platform = await startClusterPlatform();
    turned = Date.now;
    behindMs = 0;
    // Before anybody takes the function for its clock.
    Date.now = () => turned() - behindMs;
  });
  afterEach(async () => {
    Date.now = turned;
    await platform.close();
  });
  const setBack = (): void => void (behindMs = hour);

  it("keep no replica from what changes in Harbor, whoever reads it", async () => {
    const replicas = [await platform.startReplica(), await platform.startReplica()];
    await platform.time.turn(20 * second);
    for (const replica of replicas)
      expect(await replica.reason("sandbox", image("library"))).to.equal("public-space");
    setBack();
    await platform.time.turn(20 * second);
    platform.harbor.projects.setVisibility("library", "private");
    await platform.time.turn(20 * second);
    for (const replica of replicas)
      expect(await replica.reason("sandbox", image("library"))).to.equal("namespace-without-workspace");
    platform.harbor.projects.setVisibility("library", "public");
    await platform.time.turn(20 * second);
    for (const replica of replicas)
      expect(await replica.reason("sandbox", image("library"))).to.equal("public-space");
  }).timeout(60_000);

  it("leave a login that was refused at rest for no longer", async () => {
    const replica = await platform.startReplica();
    await platform.time.turn(20 * second);
    platform.harbor.faults.anonymous = true;
    await platform.time.turn(20 * second);
    setBack();
    platform.harbor.faults.anonymous = false;
    await platform.time.turn(90 * second);
    platform.harbor.projects.setVisibility("library", "private");
    await platform.time.turn(20 * second);
    expect(await replica.reason("sandbox", image("library"))).to.equal("namespace-without-workspace");
  }).timeout(60_000);
});
