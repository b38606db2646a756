import { expect } from "chai";
import {
  hostsInImageNames,
  needsGrants,
  openRegistries,
  openSpaces,
  type OpenSpace,
} from "../../src/domain/selection.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { policyOf, registry, snapshotOf, space, type SnapshotParts } from "../builders.ts";

const managed = registry("managed", { spellings: ["harbor.test", "10.0.0.1:30010"] });
const second = registry("a-second");
const archive = registry("archive", { type: "docker-registry" });
const twelve = registry("twelve", { workspace: "12" });
const thirteen = registry("thirteen", { workspace: "13" });
const files = registry("files", { type: "docker-registry", workspace: "12" });

const parts: SnapshotParts = {
  policy: policyOf({
    registries: [twelve, managed, archive, thirteen, second, files],
    bindings: [
      "12 managed/team",
      "12 managed/open",
      "13 managed/others",
      "12 a-second/gone",
      "12 managed/old 3",
    ],
  }),
  catalogues: {
    managed: [
      space("team", "private", 1),
      space("open", "public", 2),
      space("old", "private", 4),
      space("others", "private", 5),
      space("b.2", "public", 6),
      space("b-1", "public", 7),
    ],
    "a-second": [space("zoo", "public", 1)],
    twelve: [space("own", "private", 1), space("hall", "public", 2, true)],
    thirteen: [space("secret", "public", 1)],
  },
};

const said = ({ registry: { name }, space: { name: at }, visibility, reason }: OpenSpace): string =>
  `${name}/${at} ${visibility} ${reason}`;
const open = (snapshot: Snapshot, workspace: string | null, grants?: readonly string[]) =>
  openSpaces(snapshot, workspace, grants && new Set(grants)).map(said);

describe("openRegistries", () => {
  const names = (workspace: string | null, snapshot = snapshotOf(parts)) =>
    openRegistries(snapshot, workspace).map(({ registry: { name }, access }) => `${name} ${access}`);

  it("names the administrators' by name, then those of this very workspace", () => {
    const ofAll = ["a-second shared", "archive open", "managed shared"];
    expect(names("12")).to.deep.equal([...ofAll, "files workspace", "twelve workspace"]);
    expect(names("13")).to.deep.equal([...ofAll, "thirteen workspace"]);
    expect(names("012"), "compared as text").to.deep.equal(ofAll);
    expect(names(null)).to.deep.equal(ofAll);
  });
  it("names none before the policy was read", () => {
    const unread = { ...snapshotOf(parts), policyRead: false };
    expect(names("12", unread)).to.deep.equal([]);
    expect(open(unread, "12")).to.deep.equal([]);
  });
});

describe("openSpaces", () => {
  const ofAll = ["managed/b-1", "managed/b.2", "managed/open"].map((name) => `${name} public public-space`);

  it("lists what is public, what is bound and still meant, and all of the workspace's own, in order", () => {
    expect(open(snapshotOf(parts), "12")).to.deep.equal([
      "a-second/zoo public public-space",
      ...ofAll,
      "managed/team private bound-space",
      "twelve/hall public workspace-registry",
      "twelve/own private workspace-registry",
    ]);
    expect(open(snapshotOf(parts), null)).to.deep.equal(["a-second/zoo public public-space", ...ofAll]);
  });

  it("does not believe of a catalogue that is too old that a space is public, but where it is bound", () => {
    const made = snapshotOf({ ...parts, rules: { stale: "refuse-unbound" } });
    const stale = new Map([...made.catalogues].map(([name, one]) => [name, { ...one, stale: true }]));
    const snapshot = { ...made, catalogues: stale };
    expect(open(snapshot, "12")).to.deep.equal([
      "managed/open public public-space",
      "managed/team private bound-space",
      "twelve/hall public workspace-registry",
      "twelve/own private workspace-registry",
    ]);
    expect(open(snapshot, null)).to.deep.equal([]);
    const serving = { ...snapshot, rules: { ...snapshot.rules, stale: "serve" } as const };
    expect(open(serving, null)).to.have.length(4);
  });

  it("knows nothing of a registry that was not read, nor of one that has no spaces any more", () => {
    expect(open(snapshotOf({ ...parts, catalogues: {} }), "12")).to.deep.equal([]);
    const changed = policyOf({ registries: [{ ...managed, type: "docker-registry" }] });
    expect(open(snapshotOf({ ...parts, policy: changed }), "12")).to.deep.equal([]);
  });

  it("takes proxy caches for private where the policy does", () => {
    const wary = { ...managed, treatsProxyCachesAsPrivate: true };
    const at = (registries: (typeof wary)[]) =>
      snapshotOf({
        policy: policyOf({ registries, bindings: ["12 managed/hub"] }),
        catalogues: { managed: [space("hub", "public", 1, true), space("quay", "public", 2, true)] },
      });
    expect(open(at([wary]), "12")).to.deep.equal(["managed/hub private bound-space"]);
    expect(open(at([wary]), "13")).to.deep.equal([]);
    expect(open(at([managed]), "13")).to.have.length(2);
  });

  it("offers no declared space that somebody else made", () => {
    const declared = { registry: "managed", name: "team", visibility: "private" } as const;
    const spaces = new Map([["managed/team", { ...declared, storageBytes: null, adopt: false }]]);
    const made = snapshotOf({
      ...parts,
      policy: policyOf({ registries: [managed], bindings: ["12 managed/team"], rest: { spaces } }),
    });
    expect(open(made, "12")).to.deep.equal(ofAll);
    const own = { ...made, ownSpaces: new Map([["https://harbor.test/team", 1]]) };
    expect(open(own, "12")).to.include("managed/team private bound-space");
  });

  it("leaves out what no image name can have, be it public, bound or the workspace's own", () => {
    const odd = ["Upper", "a b", "a/b", "a:1", "-a", "x".repeat(254)];
    const snapshot = snapshotOf({
      policy: policyOf({ registries: [managed, twelve], bindings: odd.map((name) => `12 managed/${name}`) }),
      catalogues: {
        managed: odd.map((name, index) => space(name, index % 2 === 0 ? "public" : "private")),
        twelve: [...odd.map((name) => space(name, "public")), space("x".repeat(253), "public")],
      },
    });
    expect(open(snapshot, "12")).to.deep.equal([`twelve/${"x".repeat(253)} public workspace-registry`]);
  });

  describe("on a host of several", () => {
    const ofTwelve = registry("a-twelve", { workspace: "12", spellings: ["harbor.test", "twelve.test"] });
    const shared = snapshotOf({
      policy: policyOf({ registries: [managed, ofTwelve, thirteen], bindings: ["12 managed/bound"] }),
      catalogues: {
        managed: [space("hall", "public"), space("bound", "private"), space("own", "private")],
        "a-twelve": [space("hall", "public"), space("bound", "private"), space("own", "private")],
      },
    });
    const ofPlatform = ["managed/bound private bound-space", "managed/hall public public-space"];
    const granted = ["a-twelve/hall", "a-twelve/bound", "a-twelve/own"];

    it("says whose spaces depend on what a login may pull", () => {
      expect(needsGrants(shared, ofTwelve)).to.equal(true);
      expect(needsGrants(shared, managed), "the platform's are judged by their spaces").to.equal(false);
      expect(needsGrants(shared, thirteen), "alone on its host").to.equal(false);
      expect(needsGrants(shared, twelve), "not in the policy").to.equal(false);
    });
    it("lists what the administrators' registry opens as its own, and what the other alone opens where granted", () => {
      expect(open(shared, "12")).to.deep.equal(ofPlatform);
      expect(open(shared, "12", granted)).to.deep.equal([
        "a-twelve/own private workspace-registry",
        ...ofPlatform,
      ]);
      expect(open(shared, "12", granted.slice(0, 2))).to.deep.equal(ofPlatform);
      expect(open(shared, "13", granted)).to.deep.equal(["managed/hall public public-space"]);
    });
  });

  it("makes the list of public spaces once, and again when spaces or the registry are others", () => {
    const made = snapshotOf(parts);
    const [first] = openSpaces(made, null);
    const beat = new Map(
      [...made.catalogues].map(([name, one]) => [name, { ...one, readAt: one.readAt + 1 }]),
    );
    expect(openSpaces({ ...made, catalogues: beat }, "99")[0]).to.equal(first);
    const changed = snapshotOf({ ...parts, catalogues: { "a-second": [space("zoo", "private")] } });
    expect(open(changed, null)).to.deep.equal([]);
    expect(open(made, null)).to.have.length(4);
    const renamed = { ...second, url: "https://new.test" };
    const policy = policyOf({ registries: [renamed] });
    expect(openSpaces({ ...made, policy }, null)[0]?.registry).to.equal(renamed);
  });
});

describe("hostsInImageNames", () => {
  it("are the spellings that begin an image name", () => {
    expect(hostsInImageNames(managed)).to.deep.equal(["harbor.test", "10.0.0.1:30010"]);
    expect(
      hostsInImageNames({ spellings: ["harbor", "localhost", "harbor.test", "[::1]:5000"] }),
    ).to.deep.equal(["localhost", "harbor.test", "[::1]:5000"]);
  });
  it("have the port where a bare name would be read as a path", () => {
    expect(hostsInImageNames({ spellings: ["harbor"] })).to.deep.equal(["harbor:443"]);
  });
});
