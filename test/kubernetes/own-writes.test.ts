import { expect } from "chai";
import { createOwnWrites } from "../../src/kubernetes/own-writes.ts";
import type { Known } from "../../src/kubernetes/watch.ts";

interface Thing {
  readonly uid: string;
  readonly resourceVersion: string;
}

const thing = (uid: string, version: number): Thing => ({ uid, resourceVersion: String(version) });
const known = (version: number, all: Readonly<Record<string, Thing>>): Known<Thing> => ({
  all: new Map(Object.entries(all)),
  resourceVersion: String(version),
});

describe("own writes over what a watch shows", () => {
  const rows: {
    readonly title: string;
    readonly writes: (own: ReturnType<typeof createOwnWrites<Thing>>) => void;
    readonly known: Known<Thing> | undefined;
    readonly expected: Readonly<Record<string, Thing>>;
  }[] = [
    {
      title: "shows what was written where the watch is behind",
      writes: (own) => own.wrote("a", thing("1", 12)),
      known: known(11, { a: thing("1", 9) }),
      expected: { a: thing("1", 12) },
    },
    {
      title: "shows what was made where the watch does not know it yet",
      writes: (own) => own.wrote("a", thing("1", 12)),
      known: known(11, {}),
      expected: { a: thing("1", 12) },
    },
    {
      title: "compares versions as numbers, not as text",
      writes: (own) => own.wrote("a", thing("1", 100)),
      known: known(99, { a: thing("1", 99) }),
      expected: { a: thing("1", 100) },
    },
    {
      title: "believes the watch where it is at the write, or past it",
      writes: (own) => own.wrote("a", thing("1", 12)),
      known: known(14, { a: thing("2", 14) }),
      expected: { a: thing("2", 14) },
    },
    {
      title: "believes the watch that what was made is gone since",
      writes: (own) => own.wrote("a", thing("1", 12)),
      known: known(14, {}),
      expected: {},
    },
    {
      title: "hides what was removed as long as the watch shows it",
      writes: (own) => own.removed("a", thing("1", 12)),
      known: known(20, { a: thing("1", 12) }),
      expected: {},
    },
    {
      title: "hides what was removed from a watch that is yet to see it made",
      writes: (own) => own.removed("a", thing("2", 12)),
      known: known(10, { a: thing("1", 7) }),
      expected: {},
    },
    {
      title: "shows what somebody made in the place of what was removed",
      writes: (own) => own.removed("a", thing("1", 12)),
      known: known(20, { a: thing("2", 19) }),
      expected: { a: thing("2", 19) },
    },
    {
      title: "shows own writes before anything else is known",
      writes: (own) => own.wrote("a", thing("1", 12)),
      known: undefined,
      expected: { a: thing("1", 12) },
    },
  ];
  for (const { title, writes, known: base, expected } of rows) {
    it(title, () => {
      const own = createOwnWrites<Thing>();
      writes(own);
      expect(Object.fromEntries(own.over(base))).to.deep.equal(expected);
    });
    it(`${title}, to whoever asks for one`, () => {
      const own = createOwnWrites<Thing>();
      writes(own);
      expect(own.at("a", base)).to.deep.equal(expected["a"]);
      expect(own.at("b", base)).to.equal(undefined);
    });
  }

  it("is never taken back by what the watch tells late", () => {
    const own = createOwnWrites<Thing>();
    own.wrote("a", thing("1", 12));
    for (const version of [9, 10, 11]) {
      const behind = known(version, { a: thing("1", version) });
      expect(own.over(behind).get("a")?.resourceVersion).to.equal("12");
      expect(own.at("a", behind)?.resourceVersion).to.equal("12");
    }
    const ahead = known(13, { a: thing("1", 13) });
    expect(own.at("a", ahead)?.resourceVersion).to.equal("13");
    expect(own.over(ahead).get("a")?.resourceVersion).to.equal("13");
  });

  it("hands out the same map as long as nothing changed, and changes none that it handed out", () => {
    const own = createOwnWrites<Thing>();
    const first = own.over(known(1, {}));
    expect(own.over(known(1, {}))).to.equal(first);
    own.wrote("a", thing("1", 2));
    expect(own.over(known(1, {}))).to.have.all.keys("a");
    expect(first.size).to.equal(0);
  });
});
