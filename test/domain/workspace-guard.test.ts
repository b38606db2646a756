import { expect } from "chai";
import { missingRightMessage, rightsFor, type NamespaceChange } from "../../src/domain/workspace-guard.ts";
import { policyOf, snapshotOf } from "../builders.ts";

// Which rights a change needs is a table in test/http/guards.test.ts, where the review is judged.

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
