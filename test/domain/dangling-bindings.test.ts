import { expect } from "chai";
import { danglingBindings } from "../../src/domain/dangling-bindings.ts";
import type { DeclaredSpace } from "../../src/domain/policy.ts";
import { policyOf, registry, snapshotOf, space, type SnapshotParts } from "../builders.ts";

const registries = [registry("managed"), registry("other")];
const catalogues = { managed: [space("team-a", "private")] };
const namespaces = { shop: "12", sandbox: null };

const rows: readonly [title: string, bindings: readonly string[], sentences: readonly RegExp[]][] = [
  ["both are there", ["12 managed/team-a"], []],
  ["the space is not", ["12 managed/ghost"], [/spaces that registry managed does not have: ghost; mend/]],
  ["the registry has no catalogue yet", ["12 other/ghost"], []],
  ["the policy declares the space", ["12 managed/declared"], []],
  [
    "no namespace has the workspace",
    ["99 managed/team-a"],
    [
      /workspaces that no namespace of this cluster has: 99; mend the ids, or label .*workspace\.ghippo\.io\/id/,
    ],
  ],
  [
    "neither is, several times over",
    ["99 managed/b", "98 managed/b", "99 managed/a"],
    [/does not have: a, b;/, /has: 98, 99;/],
  ],
  [
    "they are many",
    Array.from({ length: 30 }, (_, index) => `12 managed/gone-${String(index + 10)}`),
    [/: gone-10, .*, gone-29 and 10 more; mend/],
  ],
];

describe("bindings to what is not there", () => {
  const declared: DeclaredSpace = {
    registry: "managed",
    name: "declared",
    visibility: "private",
    storageBytes: null,
    adopt: false,
  };
  const sentencesFor = (bindings: readonly string[], more: SnapshotParts = {}): readonly string[] => {
    const rest = { spaces: new Map([["managed/declared", declared]]) };
    return danglingBindings(
      snapshotOf({ policy: policyOf({ registries, bindings, rest }), namespaces, catalogues, ...more }),
    );
  };

  for (const [title, bindings, expected] of rows) {
    it(`are told of in ${String(expected.length)} sentences when ${title}`, () => {
      const sentences = sentencesFor(bindings);
      expect(sentences).to.have.lengthOf(expected.length);
      expected.forEach((each, index) => expect(sentences[index]).to.match(each));
    });
  }

  it("are not told of before the namespaces were read", () => {
    const policy = policyOf({ registries, bindings: ["99 managed/team-a"] });
    const snapshot = { ...snapshotOf({ policy, catalogues }), namespacesRead: false };
    expect(danglingBindings(snapshot)).to.deep.equal([]);
  });
});
