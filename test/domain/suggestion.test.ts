import { expect } from "chai";
import { suggestHosts, suggestSpaces } from "../../src/domain/suggestion.ts";
import { policyOf, registry, snapshotOf, space } from "../builders.ts";

const managed = registry("managed", { spellings: ["harbor.test", "10.0.0.1:30010"] });
const other = registry("other");
const snapshot = snapshotOf({
  policy: policyOf({
    registries: [managed, other],
    bindings: [
      "12 managed/team-private",
      "12 managed/replaced",
      "12 managed/named 5",
      "12 managed/misnamed 9",
      "12 managed/gone",
      "12 other/elsewhere",
      "13 managed/secret",
    ],
  }),
  catalogues: {
    managed: [
      space("library", "public"),
      space("platform", "public"),
      space("team-public", "public"),
      space("team-private", "private", 3),
      space("replaced", "private", 4),
      space("named", "private", 5),
      space("misnamed", "private", 6),
      space("secret", "private", 7),
    ],
    other: [space("elsewhere", "private", 1)],
  },
  pins: { "managed/replaced/12": 40, "managed/team-private/12": 3 },
});

const suggest = (
  wanted: string,
  workspace: string | null = "12",
  audience: "public" | "workspace" = "workspace",
) => suggestSpaces(snapshot, managed, workspace, wanted, audience);

describe("suggestSpaces", () => {
  it("puts the nearest name first, then the others in order", () => {
    expect(suggest("platfrom")).to.deep.equal([
      "platform",
      "library",
      "named",
      "team-private",
      "team-public",
    ]);
    expect(suggest("team-publik")[0]).to.equal("team-public");
    expect(suggest("team")[0], "a beginning is near").to.equal("team-private");
  });
  it("names private spaces that are bound, and still what was bound, and no others", () => {
    const names = suggest("x");
    expect(names).to.include.members(["team-private", "named"]);
    for (const hidden of ["secret", "replaced", "misnamed", "gone", "elsewhere"])
      expect(names).to.not.include(hidden);
  });
  it("names public spaces only to whom anybody could be, and to a namespace without workspace", () => {
    const open = ["library", "platform", "team-public"];
    expect(suggest("x", "12", "public")).to.deep.equal(open);
    expect(suggest("x", null)).to.deep.equal(open);
    expect(suggest("x", "99"), "a workspace that has no bindings").to.deep.equal(open);
  });
  it("names no proxy cache that the policy has count as private, unless it is bound", () => {
    const wary = { ...managed, treatsProxyCachesAsPrivate: true };
    const on = snapshotOf({
      policy: policyOf({ registries: [wary], bindings: ["12 managed/quay"] }),
      catalogues: {
        managed: [space("a", "public"), space("hub", "public", 2, true), space("quay", "public", 3, true)],
      },
    });
    expect(suggestSpaces(on, wary, "12", "x", "workspace")).to.deep.equal(["a", "quay"]);
    expect(suggestSpaces(on, wary, "13", "x", "workspace")).to.deep.equal(["a"]);
    expect(suggestSpaces(on, managed, "13", "x", "workspace")).to.deep.equal(["a", "hub", "quay"]);
  });
  it("names no declared space that somebody else made", () => {
    const declared = { registry: "managed", name: "team-private", visibility: "private" } as const;
    const spaces = new Map([["managed/team-private", { ...declared, storageBytes: null, adopt: false }]]);
    const on = { ...snapshot, policy: { ...snapshot.policy, spaces } };
    expect(suggestSpaces(on, managed, "12", "x", "workspace")).to.not.include("team-private");
    const own = { ...on, ownSpaces: new Map([["https://harbor.test/team-private", 3]]) };
    expect(suggestSpaces(own, managed, "12", "x", "workspace")).to.include("team-private");
  });
  it("does not suggest what was asked for", () => expect(suggest("library")).to.not.include("library"));
  it("has nothing to suggest of a registry that was not read", () => {
    expect(
      suggestSpaces({ ...snapshot, catalogues: new Map() }, managed, "12", "x", "workspace"),
    ).to.deep.equal([]);
  });
  it("compares no endless names", () => expect(suggest("x".repeat(10_000))).to.have.length(5));

  it("looks, in a large catalogue, where the name would stand", () => {
    const spaces = Array.from({ length: 5_000 }, (_, index) =>
      space(`space-${String(index).padStart(4, "0")}`, "public", index + 1),
    );
    const large = snapshotOf({
      policy: policyOf({ registries: [managed] }),
      catalogues: { managed: spaces },
    });
    const names = (wanted: string) => suggestSpaces(large, managed, null, wanted, "public");
    expect(names("space-2500x")[0]).to.equal("space-2500");
    expect(names("aaa")).to.have.length(5);
    expect(names("zzz")).to.have.length(5);
  });
});

describe("suggestHosts", () => {
  const hosts = (workspace: string | null) =>
    suggestHosts(
      snapshotOf({
        policy: policyOf({ registries: [managed, registry("twelve", { workspace: "12" }), other] }),
      }),
      workspace,
    );
  it("names one host a registry: the administrators', and the workspace's own", () => {
    expect(hosts("12")).to.deep.equal(["harbor.test", "twelve.test", "other.test"]);
    expect(hosts("13")).to.deep.equal(["harbor.test", "other.test"]);
    expect(hosts(null)).to.deep.equal(["harbor.test", "other.test"]);
  });
  it("names a few", () => {
    const registries = Array.from({ length: 20 }, (_, index) => registry(`r${String(index)}`));
    expect(suggestHosts(snapshotOf({ policy: policyOf({ registries }) }), null)).to.have.length(5);
  });
});
