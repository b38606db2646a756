import { expect } from "chai";
import { createTokenBucket } from "../src/token-bucket.ts";

describe("a bucket of tokens", () => {
  let time = 0;
  const create = () => createTokenBucket({ perSecond: 2, burst: 3 }, () => time);
  const drain = (bucket: ReturnType<typeof create>): number => {
    let taken = 0;
    for (; bucket.holds(); taken += 1) bucket.take();
    return taken;
  };

  it("gives its burst, then what has filled since, and never more than its burst", () => {
    const bucket = create();
    expect(drain(bucket)).to.equal(3);
    time += 499;
    expect(drain(bucket)).to.equal(0);
    time += 1;
    expect(drain(bucket)).to.equal(1);
    time += 60_000;
    expect(drain(bucket)).to.equal(3);
  });
  it("takes nothing away when it is only asked", () => {
    const bucket = create();
    for (let asked = 0; asked < 10; asked += 1) expect(bucket.holds()).to.equal(true);
    expect(drain(bucket)).to.equal(3);
  });
  it("loses nothing when the clock is set back", () => {
    time = 10_000_000;
    const bucket = create();
    time -= 3_600_000;
    expect(drain(bucket)).to.equal(3);
    time += 500;
    expect(drain(bucket)).to.equal(1);
  });
});
