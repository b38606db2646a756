import { expect } from "chai";
import * as fc from "fast-check";

import {
  catalogueOf,
  changesBetween,
  describeChanges,
  haveSameSpaces,
  succeed,
  type Catalogue,
  type Space,
  type Successor,
} from "../../src/domain/catalogue.ts";

const server = "https://managed.test";

/** `"team-a"` private, `"library+"` public, `"team-a#7"` with that id, `"hub~"` a proxy cache. */
function spaceOf(text: string): Space {
  const [, name = "", isPublic, isProxy, id] = /^([a-z0-9-]+)(\+)?(~)?(?:#(\d+))?$/.exec(text) ?? [];
  return {
    name,
    id: id === undefined ? 1 : Number(id),
    visibility: isPublic === undefined ? "private" : "public",
    proxyCache: isProxy !== undefined,
  };
}

function textOf({ name, id, visibility, proxyCache }: Space): string {
  return `${name}${visibility === "public" ? "+" : ""}${proxyCache ? "~" : ""}${id === 1 ? "" : `#${id}`}`;
}

const spacesOf = (text: string): Space[] => (text === "" ? [] : text.split(" ").map(spaceOf));
const catalogue = (text: string): Catalogue => catalogueOf(server, 1_000, spacesOf(text));
const listing = (text: string, readAt = 2_000) => ({ server, readAt, spaces: spacesOf(text) });
const shown = ({ catalogue: { spaces } }: Pick<Successor, "catalogue">) =>
  [...spaces.values()].map(textOf).join(" ");

describe("what changed between two catalogues", () => {
  const cases: [title: string, before: string, after: string, changes: string][] = [
    ["nothing", "a b+", "b+ a", ""],
    ["a new space", "a", "a b+", "b added"],
    ["a space that is gone", "a b", "a", "b removed"],
    ["a space made public", "a", "a+", "a opened"],
    ["a space made private", "a+", "a", "a closed"],
    ["a space deleted and made anew", "a#1", "a#2", "a replaced"],
    ["one made anew as public is another space first of all", "a#1", "a+#2", "a replaced"],
    ["a space that became a proxy cache", "a", "a~", "a proxying-changed"],
    ["several", "a b+ c", "b c+ d", "b closed, c opened, d added, a removed"],
  ];
  for (const [title, before, after, changes] of cases) {
    it(title, () => {
      const found = changesBetween(catalogue(before).spaces, catalogue(after).spaces);
      expect(found.map(({ name, kind }) => `${name} ${kind}`).join(", ")).to.equal(changes);
    });
  }

  it("fits into a line, however much it is", () => {
    const found = changesBetween(catalogue("gone").spaces, catalogue("a b c d e f g").spaces);
    expect(describeChanges(found)).to.equal("7 added (a, b, c, d, e, …), 1 removed (gone)");
  });
});

describe("the successor of a catalogue", () => {
  /** Which listings are believed at once. */
  const cases: [title: string, before: string, listed: string, plausible: boolean][] = [
    ["an unchanged listing", "a b c d", "a b c d", true],
    ["one with more", "a", "a b c d", true],
    ["half of them gone", "a b c d", "a b", true],
    ["more than half of them gone", "a b c d e", "a b", false],
    ["all of them gone", "a b c", "", false],
    ["the only one gone", "a", "", false],
    ["all gone and as many others come", "a b c", "d e f", false],
    ["all made private", "a+ b+ c+", "a b c", true],
    ["all made public", "a b c", "a+ b+ c+", true],
    ["all made anew, as after a new installation: then no old binding applies", "a#1 b#2", "a#7 b#8", true],
    ["nothing known before", "", "a b", true],
    ["nothing known before, and nothing now", "", "", true],
  ];
  for (const [title, before, listed, plausible] of cases) {
    it(`${plausible ? "believes" : "does not believe"} ${title}`, () => {
      const successor = succeed({ catalogue: catalogue(before), implausibleInARow: 0 }, listing(listed));
      expect(successor.implausible === null).to.equal(plausible);
      expect(successor.implausibleInARow).to.equal(plausible ? 0 : 1);
      expect(successor.catalogue.readAt).to.equal(plausible ? 2_000 : 1_000);
      expect(shown(successor).split(" ").sort()).to.deep.equal(
        (plausible ? listed : before).split(" ").sort(),
      );
    });
  }

  it("is the first listing, whatever that is", () => {
    const successor = succeed({ catalogue: undefined, implausibleInARow: 0 }, listing("a b+"));
    expect(successor.catalogue).to.deep.include({ server, readAt: 2_000, stale: false });
    expect(shown(successor)).to.equal("a b+");
    expect(successor.changes).to.have.length(2);
  });

  it("begins anew with another server: what was known of the old one says nothing", () => {
    const other = { ...listing("x+"), server: "https://other.test" };
    const successor = succeed({ catalogue: catalogue("a b c"), implausibleInARow: 1 }, other);
    expect(successor.implausible).to.equal(null);
    expect(shown(successor)).to.equal("x+");
    expect(successor.catalogue.server).to.equal("https://other.test");
  });

  it("keeps the very map when only time has passed", () => {
    const before = { ...catalogue("a b+"), stale: true };
    const { catalogue: after } = succeed({ catalogue: before, implausibleInARow: 0 }, listing("b+ a"));
    expect(after.spaces).to.equal(before.spaces);
    expect(after).to.deep.include({ readAt: 2_000, stale: false });
  });

  it("is not the old map when something changed", () => {
    const before = catalogue("a b+");
    const { catalogue: after } = succeed({ catalogue: before, implausibleInARow: 0 }, listing("a b"));
    expect(after.spaces).to.not.equal(before.spaces);
    expect([...before.spaces.values()].map(textOf)).to.deep.equal(["a", "b+"]);
  });

  it("believes an implausible listing the third time in a row, and tells why not before", () => {
    let current = { catalogue: catalogue("a b c"), implausibleInARow: 0 };
    const reasons: (string | null)[] = [];
    for (let beat = 1; beat <= 3; beat += 1) {
      const successor = succeed(current, listing("x", 1_000 + beat));
      reasons.push(successor.implausible);
      current = successor;
    }
    const reason = "it lacks 3 of the 3 spaces known before";
    expect(reasons).to.deep.equal([reason, reason, null]);
    expect(shown(current)).to.equal("x");
    expect(current.implausibleInARow).to.equal(0);
  });

  it("believes one never, however often it comes, while what it lacks is not known to be gone", () => {
    let current = { catalogue: catalogue("a b c"), implausibleInARow: 0 };
    for (let beat = 1; beat <= 10; beat += 1) {
      current = succeed({ ...current, isConfirmed: false }, listing("a", 1_000 + beat));
      expect(shown(current)).to.equal("a b c");
    }
    expect(shown(succeed({ ...current, isConfirmed: true }, listing("a")))).to.equal("a");
  });

  it("counts anew after a plausible one", () => {
    let current = { catalogue: catalogue("a b c"), implausibleInARow: 0 };
    const kept: boolean[] = [];
    for (const listed of ["x", "x", "a b c", "x", "x", "x"]) {
      const successor = succeed(current, listing(listed));
      kept.push(successor.implausible !== null);
      current = successor;
    }
    expect(kept).to.deep.equal([true, true, false, true, true, false]);
  });

  /** What an implausible listing takes away at once; it never gives. */
  const closing: [title: string, before: string, listed: string, after: string][] = [
    ["a public space shown as private is private", "a+ b+ c+", "a", "a b+ c+"],
    ["a private space shown as public stays private", "a b c", "a+", "a b c"],
    ["a space that is not shown stays as it was", "a b+ c", "a", "a b+ c"],
    ["a space shown with another id is that one", "a#1 b c", "a#9", "a#9 b c"],
    ["one made anew as public is not opened by it", "a#1 b c", "a+#9", "a#9 b c"],
    ["one that was public and is made anew as public stays open", "a+#1 b c", "a+#9", "a+#9 b c"],
    ["new spaces are left out", "a b c", "a x+ y", "a b c"],
  ];
  for (const [title, before, listed, after] of closing) {
    it(`with an implausible listing: ${title}`, () => {
      const successor = succeed({ catalogue: catalogue(before), implausibleInARow: 0 }, listing(listed));
      expect(successor.implausible).to.not.equal(null);
      expect(shown(successor)).to.equal(after);
      expect(successor.catalogue.readAt).to.equal(1_000);
    });
  }

  it("is the very same catalogue when an implausible listing closes nothing", () => {
    const before = catalogue("a b c");
    const successor = succeed({ catalogue: before, implausibleInARow: 0 }, listing("a"));
    expect(successor.catalogue).to.equal(before);
    expect(successor.changes).to.deep.equal([]);
  });

  it("never opens anything by a listing that is not believed", () => {
    const space = fc.tuple(
      fc.constantFrom("a", "b", "c", "d", "e"),
      fc.boolean(),
      fc.integer({ min: 1, max: 3 }),
    );
    const some = fc.uniqueArray(space, { selector: ([name]) => name }).map((all) =>
      all.map(([name, isPublic, id]): Space => ({
        name,
        id,
        visibility: isPublic ? "public" : "private",
        proxyCache: false,
      })),
    );
    fc.assert(
      fc.property(some, some, (before, listed) => {
        const known = catalogueOf(server, 1_000, before);
        const successor = succeed(
          { catalogue: known, implausibleInARow: 0 },
          { server, readAt: 2_000, spaces: listed },
        );
        if (successor.implausible === null) return;
        for (const after of successor.catalogue.spaces.values()) {
          const was = known.spaces.get(after.name);
          const open = (each: Space | undefined) => each?.visibility === "public";
          expect(open(after) && !open(was)).to.equal(false);
          expect(after.id === was?.id || listed.some(({ id }) => id === after.id)).to.equal(true);
        }
        expect(successor.catalogue.spaces.size).to.equal(known.spaces.size);
      }),
    );
  });
});

describe("the spaces of all registries", () => {
  const team = [spaceOf("team-a")];
  const first = catalogueOf("https://one.test", 1, team);
  const rows: [title: string, a: Record<string, Catalogue>, b: Record<string, Catalogue>, same: boolean][] = [
    ["are the same though read later", { one: first }, { one: { ...first, readAt: 2 } }, true],
    ["are others where the map is", { one: first }, { one: catalogueOf("https://one.test", 1, team) }, false],
    [
      "are others on another server",
      { one: first },
      { one: { ...first, server: "https://two.test" } },
      false,
    ],
    ["are others with a registry more", { one: first }, { one: first, two: first }, false],
    ["are others under another name", { one: first }, { two: first }, false],
  ];
  for (const [title, a, b, same] of rows) {
    it(title, () => {
      expect(haveSameSpaces(new Map(Object.entries(a)), new Map(Object.entries(b)))).to.equal(same);
    });
  }

  it("are the same in one map", () => {
    const all = new Map([["one", first]]);
    expect(haveSameSpaces(all, all)).to.equal(true);
  });
});
