import { expect } from "chai";
import { catalogueOf, type Catalogue } from "../src/domain/catalogue.ts";
import { decide, questionAbout } from "../src/domain/decision.ts";
import { nothingToAsk } from "../src/domain/knowledge.ts";
import type { Snapshot } from "../src/domain/snapshot.ts";
import { createCell, createState, isSameMap, type State } from "../src/state.ts";
import { policyOf, registry, rules, space } from "./builders.ts";

describe("a cell", () => {
  it("holds what was put there last, and tells each subscriber in their order", () => {
    const cell = createCell("a");
    const told: string[] = [];
    cell.subscribe((current, previous) => told.push(`first: ${previous} > ${current}`));
    cell.subscribe((current, previous) => told.push(`second: ${previous} > ${current}`));
    expect(cell.current()).to.equal("a");
    cell.replace("b");
    expect(cell.current()).to.equal("b");
    expect(told).to.deep.equal(["first: a > b", "second: a > b"]);
  });

  it("has the new value already when it tells", () => {
    const cell = createCell(1);
    let seen = 0;
    cell.subscribe(() => (seen = cell.current()));
    cell.replace(2);
    expect(seen).to.equal(2);
  });

  it("tells nobody who has left, not even one who leaves while being told", () => {
    const cell = createCell(0);
    const told: string[] = [];
    const leave = cell.subscribe(() => told.push("a"));
    const leaveAtOnce = cell.subscribe(() => {
      told.push("b");
      leaveAtOnce();
    });
    cell.subscribe(() => told.push("c"));
    cell.replace(1);
    leave();
    leave();
    cell.replace(2);
    expect(told).to.deep.equal(["a", "b", "c", "c"]);
  });
});

describe("the state", () => {
  const managed = registry("managed");
  const policy = (...bindings: readonly string[]) => policyOf({ registries: [managed], bindings });
  const catalogue = (id: number, readAt = 1_000): Catalogue =>
    catalogueOf("https://managed.test", readAt, [space("team-a", "private", id)]);
  const namespaces = new Map([["shop", "12"]]);

  let state: State;
  let published: [current: Snapshot, previous: Snapshot][];
  beforeEach(() => {
    state = createState(rules);
    published = [];
    state.subscribe((...pair) => published.push(pair));
  });

  it("begins with nothing read", () => {
    expect(state.snapshot()).to.deep.include({
      generation: 0,
      rules,
      policyRead: false,
      namespacesRead: false,
      namespaces: new Map(),
      catalogues: new Map(),
      pins: new Map(),
    });
  });

  const parts: [what: string, replace: () => void, changed: readonly (keyof Snapshot)[]][] = [
    ["the policy", () => state.replacePolicy(policy()), ["policy", "policyRead"]],
    ["the namespaces", () => state.replaceNamespaces(namespaces), ["namespaces", "namespacesRead"]],
    ["a catalogue", () => state.replaceCatalogue("managed", catalogue(1)), ["catalogues"]],
    [
      "Berth's own spaces",
      () => state.replaceOwnSpaces(new Map([["managed/team-a", 1]])),
      ["ownSpaces", "ownSpacesRead"],
    ],
    [
      "the strict accounts",
      () => state.replaceStrictServiceAccounts(new Set(["shop/default"])),
      ["strictServiceAccounts"],
    ],
  ];
  for (const [what, replace, changed] of parts) {
    it(`publishes ${what} as a new snapshot, one generation on, and leaves all else as it was`, () => {
      const before = state.snapshot();
      const copy = structuredClone(before);
      replace();
      const after = state.snapshot();
      expect(after.generation).to.equal(before.generation + 1);
      expect(before, "a snapshot never changes").to.deep.equal(copy);
      expect(published).to.deep.equal([[after, before]]);
      const different = (Object.keys(after) as (keyof Snapshot)[]).filter(
        (key) => !["generation", "pins"].includes(key) && after[key] !== before[key],
      );
      expect(different.sort()).to.deep.equal([...changed].sort());
    });
  }

  it("knows Berth's own spaces once somebody has said which they are, if none", () => {
    expect(state.snapshot()).to.include({ ownSpacesRead: false });
    state.replaceOwnSpaces(new Map());
    const before = state.snapshot();
    expect(before).to.include({ ownSpacesRead: true });
    state.replaceOwnSpaces(new Map());
    expect(state.snapshot(), "nothing new").to.equal(before);
    const own = new Map([["managed/team-a", 3]]);
    state.replaceOwnSpaces(own);
    expect(state.snapshot()).to.include({ ownSpaces: own, generation: before.generation + 1 });
  });

  it("forgets the catalogue of a registry that is gone, and keeps the others", () => {
    state.replaceCatalogue("managed", catalogue(1));
    state.replaceCatalogue("other", catalogue(2));
    const before = state.snapshot();
    state.replaceCatalogue("managed", undefined);
    expect([...state.snapshot().catalogues.keys()]).to.deep.equal(["other"]);
    expect([...before.catalogues.keys()]).to.deep.equal(["managed", "other"]);
  });

  describe("pins", () => {
    const pins = (): object => Object.fromEntries(state.snapshot().pins);

    it("a binding for the id that its space has when both are first known, in either order", () => {
      state.replacePolicy(policy("12 managed/team-a"));
      expect(pins()).to.deep.equal({});
      state.replaceCatalogue("managed", catalogue(3));
      expect(pins()).to.deep.equal({ "managed/team-a/12": 3 });

      state = createState(rules);
      state.replaceCatalogue("managed", catalogue(3));
      state.replacePolicy(policy("12 managed/team-a"));
      expect(pins()).to.deep.equal({ "managed/team-a/12": 3 });
    });

    it("keeps a pin whatever the catalogue shows later, or while there is none", () => {
      state.replacePolicy(policy("12 managed/team-a"));
      state.replaceCatalogue("managed", catalogue(3));
      state.replaceCatalogue("managed", catalogue(9));
      state.replaceCatalogue("managed", undefined);
      state.replacePolicy(policy("12 managed/team-a", "13 managed/team-a"));
      expect(pins()).to.deep.equal({ "managed/team-a/12": 3 });
    });

    it("pins anew a binding that was withdrawn and made again", () => {
      state.replaceCatalogue("managed", catalogue(3));
      state.replacePolicy(policy("12 managed/team-a"));
      state.replaceCatalogue("managed", catalogue(9));
      state.replacePolicy(policy());
      expect(pins()).to.deep.equal({});
      state.replacePolicy(policy("12 managed/team-a"));
      expect(pins()).to.deep.equal({ "managed/team-a/12": 9 });
    });

    it("that are published keep a binding closed to the space that took the name meanwhile, whatever comes first", () => {
      const steps: readonly (() => void)[] = [
        () => state.adoptPins(new Map([["managed/team-a/12", 3]])),
        () => state.replaceCatalogue("managed", catalogue(9)),
        () => state.replacePolicy(policy("12 managed/team-a")),
      ];
      const orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
      ];
      for (const order of orders) {
        state = createState(rules);
        for (const step of order) steps[step]?.();
        expect(pins(), order.join()).to.deep.equal({ "managed/team-a/12": 3 });
        const use = { path: "spec.containers[0].image", container: "c", image: "managed.test/team-a/app" };
        state.replaceNamespaces(namespaces);
        const verdict = decide(state.snapshot(), questionAbout("shop", [use], { knowledge: nothingToAsk }));
        expect(verdict.kind === "refuse" && verdict.refusals[0]?.reason, order.join()).to.equal(
          "space-replaced",
        );
      }
    });

    it("that are published are kept until the policy is read, and then those of its bindings", () => {
      const all = new Map([
        ["managed/team-a/12", 3],
        ["managed/team-b/13", 4],
      ]);
      state.adoptPins(all);
      state.replaceCatalogue("managed", catalogue(9));
      expect(pins()).to.deep.equal(Object.fromEntries(all));
      state.replacePolicy(policy("12 managed/team-a"));
      expect(pins()).to.deep.equal({ "managed/team-a/12": 3 });
      state.adoptPins(all);
      expect(pins()).to.deep.equal({ "managed/team-a/12": 3 });
    });

    it("that are published and no news publish nothing", () => {
      state.replaceCatalogue("managed", catalogue(3));
      state.replacePolicy(policy("12 managed/team-a"));
      const before = state.snapshot();
      state.adoptPins(
        new Map([
          ["managed/team-a/12", 3],
          ["managed/gone/12", 1],
        ]),
      );
      expect(state.snapshot()).to.equal(before);
      state.replaceCatalogue("managed", catalogue(3, 2_000));
      expect(state.snapshot().pins, "and a listing that moves none leaves the very map").to.equal(
        before.pins,
      );
    });

    it("does not reckon when only the namespaces change", () => {
      state.replaceCatalogue("managed", catalogue(3));
      state.replacePolicy(policy("12 managed/team-a"));
      const before = state.snapshot().pins;
      state.replaceNamespaces(namespaces);
      expect(state.snapshot().pins).to.equal(before);
    });
  });
});

describe("two maps", () => {
  const one = new Map([["a", 1]]);
  const others: [title: string, other: ReadonlyMap<string, number | null>, same: boolean][] = [
    ["are the same with the same entries", new Map([["a", 1]]), true],
    ["differ in a value", new Map([["a", 2]]), false],
    ["differ in a key", new Map([["b", 1]]), false],
    ["differ in size", new Map(), false],
  ];
  for (const [title, other, same] of others) {
    it(title, () => expect(isSameMap<string, number | null>(one, other)).to.equal(same));
  }
});
