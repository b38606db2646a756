import { expect } from "chai";
import { bindingFault, bindingHolds } from "../../src/domain/binding-validity.ts";
import type { DeclaredSpace } from "../../src/domain/policy.ts";
import { binding, policyOf, registry, snapshotOf, space } from "../builders.ts";

const declared = (name: string, adopt: boolean): [string, DeclaredSpace] => [
  `managed/${name}`,
  { registry: "managed", name, visibility: "private", storageBytes: null, adopt },
];
const policy = policyOf({
  registries: [registry("managed")],
  rest: { spaces: new Map([declared("made", false), declared("taken", true)]) },
});

describe("a binding", () => {
  const facts = (ownSpaces: Readonly<Record<string, number>> | null, pins = {}) =>
    snapshotOf({ policy, ownSpaces, pins });
  const rows: [title: string, on: ReturnType<typeof facts>, bound: string, id: number, fault?: string][] = [
    ["holds for a space that no catalogue has shown before", facts({}), "12 managed/a", 7],
    ["holds for the id of its pin", facts({}, { "managed/a/12": 7 }), "12 managed/a", 7],
    ["does not hold for another id", facts({}, { "managed/a/12": 7 }), "12 managed/a", 8, "replaced"],
    [
      "holds for the id that it names, whatever the pin",
      facts({}, { "managed/a/12": 8 }),
      "12 managed/a 7",
      7,
    ],
    ["does not hold for another id than it names", facts({}), "12 managed/a 7", 8, "replaced"],
    [
      "grants nothing of a declared space that Berth did not make",
      facts({}),
      "12 managed/made",
      7,
      "not-adopted",
    ],
    ["nor by naming its id", facts({}), "12 managed/made 7", 7, "not-adopted"],
    ["holds for the declared space that Berth made", facts({ "managed/made": 7 }), "12 managed/made", 7],
    [
      "not for one of that id that another server has",
      facts({ "https://before.test/made": 7 }),
      "12 managed/made",
      7,
      "not-adopted",
    ],
    ["not for what took its name later", facts({ "managed/made": 7 }), "12 managed/made", 8, "not-adopted"],
    [
      "nor while it is only about to be made",
      facts({ "managed/made": 0 }),
      "12 managed/made",
      8,
      "not-adopted",
    ],
    ["holds for a space of that name on another registry", facts({}), "12 other/made", 7],
    ["holds for a declared space that is to be taken over", facts({}), "12 managed/taken", 7],
    [
      "of a space taken over, is pinned too",
      facts({}, { "managed/taken/12": 7 }),
      "12 managed/taken",
      8,
      "replaced",
    ],
    ["is taken at its word where nobody keeps a record", facts(null), "12 managed/made", 7],
    ["but for the pin, there too", facts(null, { "managed/made/12": 7 }), "12 managed/made", 8, "replaced"],
  ];
  for (const [title, on, bound, id, fault] of rows) {
    it(title, () => {
      const found = space("x", "private", id);
      expect(bindingFault(on, binding(bound), found)).to.equal(fault);
      expect(bindingHolds(on, binding(bound), found)).to.equal(fault === undefined);
    });
  }
});
