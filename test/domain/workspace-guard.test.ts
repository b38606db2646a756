import { expect } from "chai";
import { missingRightMessage, rightsFor, type NamespaceChange } from "../../src/domain/workspace-guard.ts";
import { policyOf, snapshotOf } from "../builders.ts";

const label = "workspace.ghippo.io/id";
const snapshot = snapshotOf({ policy: policyOf({ rest: { exemptNamespaces: new Set(["cni"]) } }) });
const change = (more: Partial<NamespaceChange>): NamespaceChange => ({
  name: "shop",
  isNew: false,
  previous: {},
  current: {},
  ...more,
});

describe("the rights that a change of a namespace needs", () => {
  const of = (id: string) => ({ [label]: id });
  const rows: [what: string, change: NamespaceChange, rights: string[]][] = [
    ["a namespace that joins", change({ current: of("12") }), ["assign 12"]],
    ["one that leaves", change({ previous: of("12") }), ["assign 12"]],
    ["one that moves", change({ previous: of("12"), current: of("13") }), ["assign 12", "assign 13"]],
    ["ids compared as text", change({ previous: of("12"), current: of("012") }), ["assign 12", "assign 012"]],
    ["one that stays", change({ previous: of("12"), current: of("12") }), []],
    ["an empty id for none", change({ previous: {}, current: of("") }), []],
    ["an empty id in the place of one", change({ previous: of("12"), current: of("") }), ["assign 12"]],
    ["a new one with a workspace", change({ isNew: true, previous: null, current: of("12") }), ["assign 12"]],
    ["a new one without", change({ isNew: true, previous: null }), []],
    ["a new one with an exempt name", change({ name: "cni", isNew: true }), ["exempt cni"]],
    [
      "a new one with both",
      change({ name: "cni", isNew: true, current: of("12") }),
      ["assign 12", "exempt cni"],
    ],
    ["Berth's own, made anew", change({ name: "berth-system", isNew: true }), ["exempt berth-system"]],
    ["an exempt one that is there already", change({ name: "cni", current: of("12") }), ["assign 12"]],
  ];
  for (const [what, each, rights] of rows) {
    it(`${what}: ${rights.join(", ") || "none"}`, () => {
      expect(rightsFor(snapshot, each).map(({ verb, name }) => `${verb} ${name}`)).to.deep.equal(rights);
    });
  }

  it("are none for a change of anything but the workspace", () => {
    expect(rightsFor(snapshot, change({ previous: { a: "1" }, current: { b: "2" } }))).to.deep.equal([]);
    expect(rightsFor(snapshot, change({ previous: null, current: null }))).to.deep.equal([]);
  });
  it("do not look at what a new namespace was before, since it was nothing", () => {
    const odd = change({ isNew: true, previous: { [label]: "12" }, current: { [label]: "12" } });
    expect(rightsFor(snapshot, odd)).to.deep.equal([{ verb: "assign", name: "12" }]);
  });
  it("follow the label that the settings name", () => {
    const other = { ...snapshot, rules: { ...snapshot.rules, workspaceLabel: "tenant" } };
    expect(rightsFor(other, change({ current: { [label]: "12" } }))).to.deep.equal([]);
    expect(rightsFor(other, change({ current: { tenant: "12" } }))).to.deep.equal([
      { verb: "assign", name: "12" },
    ]);
  });
});

describe("the words for a missing right", () => {
  it("show hostile names as ASCII on one line", () => {
    const right = { verb: "assign", name: "1\n2\u202e" } as const;
    const message = missingRightMessage(snapshot, change({ name: "a\u0000b" }), right, "mal\r\nlory", true);
    expect(message).to.match(/^[\x20-\x7e]+$/);
  });
  it("tell a right that is missing from one that could not be asked for", () => {
    const right = { verb: "exempt", name: "cni" } as const;
    expect(missingRightMessage(snapshot, change({ name: "cni" }), right, "anna", true)).to.contain(
      'which user "anna" has not',
    );
    expect(missingRightMessage(snapshot, change({ name: "cni" }), right, "anna", false)).to.contain(
      "could not be asked for it just now",
    );
  });
});
