import { expect } from "chai";
import { createWorld } from "./credential-world.ts";

const minute = 60_000;

describe("a robot that has the id of one on record", () => {
  // A Harbor restored from a backup counts on from an older id, and a record restored into another cluster has ids of
  // the first one's robots.
  it("and none of Berth's names, is never removed", async () => {
    const world = createWorld();
    await world.run(minute);
    const { robots } = world.harbor;
    const [ours] = [...robots.values()];
    const another = { ...ours!, name: "ci-of-somebody", secret: "Of somebody" };
    world.tampered = true;
    robots.set(another.id, another);
    await world.run(10 * minute);
    expect(robots.get(another.id)).to.equal(another);
    expect(world.pulls("web", "team-a"), "a robot of its own was made").to.equal(true);

    world.bindings = [];
    await world.run(10 * minute);
    expect([...robots.values()]).to.deep.equal([another]);
    expect([...world.records.keys()]).to.deep.equal([]);
  });
});
