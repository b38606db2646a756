import { expect } from "chai";
import { gather } from "../src/gather.ts";

/** Tasks that end when the test says so, and how many of them were under way together. */
function setUp() {
  const open = new Map<number, () => void>();
  let most = 0;
  return {
    most: () => most,
    underWay: () => [...open.keys()],
    task: async (item: number): Promise<number> => {
      await new Promise<void>((resolve) => {
        open.set(item, resolve);
        most = Math.max(most, open.size);
      });
      open.delete(item);
      return item * 10;
    },
    end: async (...items: number[]): Promise<void> => {
      for (const item of items) open.get(item)?.();
      await new Promise((resolve) => setImmediate(resolve));
    },
  };
}

describe("gather", () => {
  it("begins as many as it may, and the next when one is over", async () => {
    const { task, end, underWay, most } = setUp();
    const done = gather([1, 2, 3, 4, 5], 2, task);
    expect(underWay()).to.deep.equal([1, 2]);
    await end(2);
    expect(underWay()).to.deep.equal([1, 3]);
    await end(3, 1);
    expect(underWay()).to.deep.equal([4, 5]);
    await end(4, 5);
    const results = await done;
    expect(results.map((each) => each.status === "fulfilled" && each.value)).to.deep.equal([
      10, 20, 30, 40, 50,
    ]);
    expect(most()).to.equal(2);
  });

  it("goes on after a task that fails, which says so in its place", async () => {
    const results = await gather([1, 2, 3], 1, (item) =>
      item === 2 ? Promise.reject(new Error("no")) : Promise.resolve(item),
    );
    expect(results.map(({ status }) => status)).to.deep.equal(["fulfilled", "rejected", "fulfilled"]);
  });

  it("goes on after a task that fails before it began", async () => {
    const results = await gather([1, 2], 1, (item) => {
      if (item === 1) throw new Error("no");
      return Promise.resolve(item);
    });
    expect(results.map(({ status }) => status)).to.deep.equal(["rejected", "fulfilled"]);
  });

  it("begins no more workers than there are items", async () => {
    expect(await gather([], 8, () => Promise.reject(new Error("asked")))).to.deep.equal([]);
    const { task, end, most } = setUp();
    const done = gather([1], 8, task);
    await end(1);
    await done;
    expect(most()).to.equal(1);
  });
});
