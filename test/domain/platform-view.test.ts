import { expect } from "chai";
import { inKeyOrder, pageOf } from "../../src/domain/paging.ts";
import {
  platformOverview,
  platformProblems,
  platformSpaces,
  platformWorkspaces,
} from "../../src/domain/platform-view.ts";
import type { PolicyProblem } from "../../src/domain/policy.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { policyOf, registry, snapshotOf, space, type SnapshotParts } from "../builders.ts";

const declared = { registry: "managed", visibility: "private", storageBytes: null, adopt: false } as const;
const problem: PolicyProblem = {
  severity: "error",
  source: { configMap: "platform", key: "policy.yaml", file: null },
  position: { line: 3, column: 5 },
  text: "expected a url",
};
const parts: SnapshotParts = {
  policy: policyOf({
    registries: [
      registry("managed", { treatsProxyCachesAsPrivate: true }),
      registry("a-second"),
      registry("archive", { type: "docker-registry" }),
      registry("twelve", { workspace: "12" }),
      registry("unread"),
      registry("files", { type: "docker-registry", workspace: "15" }),
    ],
    bindings: [
      "13 managed/team",
      "12 managed/team",
      "12 managed/open",
      "12 managed/old 3",
      "12 managed/taken",
      "12 managed/hub",
      "12 managed/gone",
      "12 a-second/zoo",
      "14 managed/old 4",
    ],
    rest: {
      mode: "warn",
      exemptNamespaces: new Set(["kube-system", "cni"]),
      documents: 2,
      spaces: new Map([
        ["managed/taken", { ...declared, name: "taken" }],
        ["managed/team", { ...declared, name: "team" }],
      ]),
      problems: [problem],
    },
  }),
  namespaces: { shop: "12", "a-shop": "12", lab: "13", bare: null, "kube-system": null },
  catalogues: {
    managed: [
      space("team", "private", 1),
      space("open", "public", 2),
      space("old", "private", 4),
      space("taken", "private", 5),
      space("hub", "public", 6, true),
    ],
    "a-second": [space("zoo", "private", 9)],
    twelve: [space("own", "public", 7)],
    archive: [space("left-over", "public", 8)],
  },
  ownSpaces: { "managed/team": 1 },
};
const snapshot = snapshotOf(parts);

describe("the platform's spaces", () => {
  it("are those of all Harbors, with visibility as it counts, and the state of each binding", () => {
    const texts = platformSpaces(snapshot).map(
      ({ registry: on, name, id, visibility, proxyCache, declared: kept, bindings }) =>
        `${on}/${name} ${String(id)} ${visibility}${proxyCache ? " proxy" : ""}${kept ? " declared" : ""}: ` +
        bindings.map(({ workspace, state }) => `${workspace} ${state}`).join(", "),
    );
    expect(texts).to.deep.equal([
      "a-second/zoo 9 private: 12 holds",
      "managed/hub 6 private proxy: 12 holds",
      "managed/old 4 private: 12 replaced, 14 holds",
      "managed/open 2 public: 12 holds",
      "managed/taken 5 private declared: 12 not-adopted",
      "managed/team 1 private declared: 12 holds, 13 holds",
      "twelve/own 7 public: ",
    ]);
  });
  it("can be paged", () => {
    const by = {
      key: (one: { registry: string; name: string }) => `${one.registry}/${one.name}`,
      name: (one: { name: string }) => one.name,
    };
    const first = pageOf(platformSpaces(snapshot), { search: "T", limit: 1 }, by);
    expect(first).to.deep.include({ next: "managed/taken", total: 2 });
    const { items } = pageOf(platformSpaces(snapshot), { search: "T", after: "managed/taken", limit: 9 }, by);
    expect(items.map(({ name }) => name)).to.deep.equal(["team"]);
  });
  it("are made once for each registry, and again when what they say may be another", () => {
    const [zoo, hub] = platformSpaces(snapshot);
    const later: Snapshot = { ...snapshot, generation: 8, namespaces: new Map() };
    expect(platformSpaces(later)[0]).to.equal(zoo);
    const stateOf = (on: Snapshot, at: string) =>
      platformSpaces(on).find(({ name }) => name === at)?.bindings[0]?.state;
    expect(stateOf({ ...snapshot, pins: new Map([["managed/hub/12", 60]]) }, "hub")).to.equal("replaced");
    expect(stateOf({ ...snapshot, ownSpacesRead: false }, "taken")).to.equal("holds");
    const own = new Map([["https://managed.test/taken", 5]]);
    expect(stateOf({ ...snapshot, ownSpaces: own }, "taken")).to.equal("holds");
    expect(platformSpaces(snapshot)[1]).to.deep.equal(hub);
  });
});

describe("the platform's workspaces", () => {
  it("are known from namespaces, bindings and registries, with what they reach", () => {
    expect(platformWorkspaces(snapshot)).to.deep.equal([
      {
        workspace: "12",
        namespaces: ["a-shop", "shop"],
        namespaceCount: 2,
        spaces: [
          { registry: "a-second", name: "zoo" },
          { registry: "managed", name: "hub" },
          { registry: "managed", name: "team" },
        ],
        registries: ["twelve"],
      },
      {
        workspace: "13",
        namespaces: ["lab"],
        namespaceCount: 1,
        spaces: [{ registry: "managed", name: "team" }],
        registries: [],
      },
      {
        workspace: "14",
        namespaces: [],
        namespaceCount: 0,
        spaces: [{ registry: "managed", name: "old" }],
        registries: [],
      },
      { workspace: "15", namespaces: [], namespaceCount: 0, spaces: [], registries: ["files"] },
    ]);
  });
  it("name the first namespaces, and count all", () => {
    const many = Object.fromEntries(
      Array.from({ length: 25 }, (_, index) => [`n${String(99 - index)}`, "12"]),
    );
    const [twelve] = platformWorkspaces(snapshotOf({ ...parts, namespaces: many }));
    expect(twelve?.namespaceCount).to.equal(25);
    expect(twelve?.namespaces).to.have.length(20).and.include("n75").and.not.include("n99");
  });
  it("come in the order of keys", () => {
    const ids = ["b", "a/1", "a-1", "B"];
    const bindings = ids.map((id) => `${id} managed/team`);
    const made = snapshotOf({ policy: policyOf({ registries: [registry("managed")], bindings }) });
    const found = platformWorkspaces(made).map(({ workspace }) => workspace);
    expect(found).to.deep.equal(["B", "a/1", "a-1", "b"]);
    expect([...found].sort(inKeyOrder)).to.deep.equal(found);
  });
  it("are told anew when spaces, bindings or namespaces are others", () => {
    const spacesOf = (on: Snapshot, id: string) =>
      platformWorkspaces(on)
        .find(({ workspace }) => workspace === id)
        ?.spaces.map(({ name }) => name);
    const beat = new Map(
      [...snapshot.catalogues].map(([name, one]) => [name, { ...one, readAt: 2_000_000 }]),
    );
    expect(spacesOf({ ...snapshot, catalogues: beat }, "12")).to.deep.equal(["zoo", "hub", "team"]);
    expect(spacesOf({ ...snapshot, catalogues: new Map() }, "12")).to.deep.equal([]);
    expect(spacesOf({ ...snapshot, pins: new Map([["managed/team/13", 9]]) }, "13")).to.deep.equal([]);
    expect(spacesOf(snapshot, "13")).to.deep.equal(["team"]);
    expect(
      platformWorkspaces({ ...snapshot, namespaces: new Map([["x", "99"]]) }).at(-1)?.workspace,
    ).to.equal("99");
  });
});

describe("the platform's problems", () => {
  it("are those of the documents, and what the policy names that is not there", () => {
    const nowhere = { configMap: null, key: null, file: null, line: null, column: null };
    expect(platformProblems(snapshot)).to.deep.equal([
      {
        severity: "error",
        ...nowhere,
        configMap: "platform",
        key: "policy.yaml",
        line: 3,
        column: 5,
        text: "expected a url",
      },
      {
        ...{ severity: "warning", ...nowhere },
        text: "bindings name spaces that registry managed does not have: gone; mend the names, or make the spaces",
      },
      {
        ...{ severity: "warning", ...nowhere },
        text: "bindings name workspaces that no namespace of this cluster has: 14; mend the ids, or label namespaces with workspace.ghippo.io/id",
      },
      {
        ...{ severity: "warning", ...nowhere },
        text: 'exemptNamespaces: there is no namespace "cni"; whoever creates one of that name is out of every rule',
      },
    ]);
  });
  it("are none where there are none", () => {
    expect(platformProblems(snapshotOf({}))).to.deep.equal([]);
  });
});

describe("the platform in numbers", () => {
  it("counts what the lists have", () => {
    expect(platformOverview(snapshot)).to.deep.equal({
      mode: "warn",
      unlistedRegistries: "deny",
      exemptNamespaces: ["cni", "kube-system"],
      documents: 2,
      generation: 7,
      namespaces: 5,
      workspaces: 4,
      problems: 4,
      berthNamespace: "berth-system",
      workspaceLabel: "workspace.ghippo.io/id",
    });
  });
});
