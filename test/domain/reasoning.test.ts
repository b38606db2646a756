import { expect } from "chai";
import { decide, questionAbout } from "../../src/domain/decision.ts";
import { nothingToAsk, type Knowledge, type SpaceAnswer } from "../../src/domain/knowledge.ts";
import { reasoningOf } from "../../src/domain/reasoning.ts";
import type { View } from "../../src/domain/reasons.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { policyOf, readAt, registry, snapshotOf, space } from "../builders.ts";

const managed = registry("managed", { spellings: ["harbor.test", "10.0.0.1:30010"] });
const wary = registry("wary", { treatsProxyCachesAsPrivate: true });
const twelve = registry("twelve", { workspace: "12" });
const declared = { registry: "managed", name: "taken", visibility: "private", storageBytes: null } as const;
const snapshot = snapshotOf({
  policy: policyOf({
    registries: [managed, wary, twelve, registry("unread"), registry("archive", { type: "docker-registry" })],
    bindings: [
      "12 managed/team",
      "12 managed/named 42",
      "12 managed/old 3",
      "12 managed/taken",
      "12 managed/gone",
      "13 managed/theirs",
    ],
    rest: {
      spaces: new Map([["managed/taken", { ...declared, adopt: false }]]),
      exemptNamespaces: new Set(["kube-system"]),
    },
  }),
  namespaces: { shop: "12", lab: "13", bare: null },
  catalogues: {
    managed: [
      space("library", "public", 1),
      space("team", "private", 2),
      space("named", "private", 42),
      space("old", "private", 4),
      space("taken", "private", 5),
      space("theirs", "private", 6),
    ],
    wary: [space("hub", "public", 7, true)],
    twelve: [space("own", "private", 8)],
  },
  pins: { "managed/team/12": 2 },
});

interface Asked {
  readonly view?: View;
  readonly knowledge?: Partial<Knowledge>;
  readonly on?: Snapshot;
}

function rows(namespace: string, image: string, { view = "platform", knowledge, on = snapshot }: Asked = {}) {
  const given = { ...nothingToAsk, ...knowledge };
  const use = { path: "image", container: null, image };
  const verdict = decide(on, questionAbout(namespace, [use], { knowledge: given }));
  if (verdict.kind === "not-known-yet") throw new Error("nothing was to be asked");
  const [judgement] = verdict.judgements;
  if (judgement === undefined) throw new Error("one image was asked for");
  const made = knowledge === undefined ? [] : ([given] as const);
  return reasoningOf(on, namespace, judgement, view, ...made).map(({ what, text }) => `${what}: ${text}`);
}

function lookedUp(key: string, answer: SpaceAnswer): { readonly knowledge: Partial<Knowledge> } {
  return { knowledge: { spaces: new Map([[key, answer]]) } };
}

const tenant: Asked = { view: "tenant" };

describe("the reasoning behind a verdict", () => {
  it("goes from the image to the verdict", () => {
    expect(rows("shop", "HARBOR.test/team/api:2")).to.deep.equal([
      "image: HARBOR.test/team/api:2",
      "reads as: host HARBOR.test, repository team/api, tag 2",
      'namespace: shop: in workspace "12"',
      "registry: managed (harbor): harbor.test, 10.0.0.1:30010",
      "space: team: private, id 2",
      'binding: workspace "12" has it, with id 2',
      "mode: enforce",
      "verdict: allow, with the pull secret (bound-space)",
      'warning: image: write the host as "harbor.test", not "HARBOR.test": the kubelet finds a pull secret by the exact spelling',
    ]);
  });

  const facts: readonly [what: string, namespace: string, image: string, lines: readonly string[]][] = [
    [
      "a digest",
      "bare",
      `harbor.test/library/a@sha256:${"a".repeat(64)}`,
      [
        `reads as: host harbor.test, repository library/a, digest sha256:${"a".repeat(64)}`,
        "namespace: bare: in no workspace",
        "space: library: public, id 1",
        "binding: none for this workspace",
        "verdict: allow (public-space)",
      ],
    ],
    [
      "a binding that was never pinned",
      "shop",
      "harbor.test/named/a",
      ['binding: workspace "12" has it, with id 42'],
    ],
    [
      "a space that was made anew",
      "shop",
      "harbor.test/old/a",
      [
        "space: old: private, id 4",
        'binding: workspace "12" has it, with id 3',
        "verdict: refuse (space-replaced)",
      ],
    ],
    [
      "a declared space that somebody else made",
      "shop",
      "harbor.test/taken/a",
      [
        'binding: workspace "12" has one that grants nothing (the policy declares the space, and Berth did not make the one that exists: adopt: true takes it over)',
        "verdict: refuse (space-not-bound)",
      ],
    ],
    [
      "a space that is not there",
      "shop",
      "harbor.test/gone/a",
      ["space: gone: not in the catalogue", "verdict: refuse (space-unknown)"],
    ],
    [
      "a proxy cache that the policy closes",
      "shop",
      "wary.test/hub/a",
      ["space: hub: private by the policy (public in Harbor), a proxy cache of a foreign registry, id 7"],
    ],
    [
      "another workspace's registry",
      "lab",
      "twelve.test/own/a",
      [
        'registry: twelve (harbor, of workspace "12"): twelve.test',
        "space: own: private, id 8",
        "verdict: refuse (registry-of-another-workspace)",
      ],
    ],
    ["a registry that was not read", "shop", "unread.test/x/a", ["space: x: the registry has not been read"]],
    ["a namespace that nobody knows", "nowhere", "harbor.test/team/a", ["namespace: nowhere: not known"]],
    ["an unlisted registry", "shop", "quay.io/x/a", ["registry: none claims this host"]],
  ];
  for (const [what, namespace, image, lines] of facts) {
    it(`names the facts to administrators: ${what}`, () => {
      expect(rows(namespace, image)).to.include.members(lines);
    });
  }

  it("has no space where the name has none, and no registry where none was looked for", () => {
    const whats = (namespace: string, image: string) =>
      rows(namespace, image).map((line) => line.replace(/:.*/, ""));
    expect(whats("shop", "archive.test/app")).to.not.include("space");
    expect(whats("shop", "harbor.test/app")).to.not.include("space");
    expect(whats("shop", "Not An Image")).to.deep.equal(["image", "namespace", "mode", "verdict"]);
    expect(whats("kube-system", "quay.io/x")).to.deep.equal(["image", "namespace", "mode", "verdict"]);
  });

  it("says when the policy has not been read", () => {
    const on = { ...snapshot, policyRead: false };
    expect(rows("shop", "harbor.test/team/a", { on })).to.include("registry: the policy has not been read");
  });

  it("tells of a space what was looked up for the decision, if it is newer than the catalogue", () => {
    const opened = space("team", "public", 2);
    const newer = { kind: "read", reading: { readAt: readAt + 1, space: opened } } as const;
    const older = { kind: "read", reading: { readAt: readAt - 1, space: opened } } as const;
    const gone = { kind: "read", reading: { readAt, space: null } } as const;
    const at = (answer: SpaceAnswer) => rows("lab", "harbor.test/team/a", lookedUp("managed/team", answer));
    expect(at(newer)).to.include.members([
      "space: team: public, id 2, as looked up just now",
      "verdict: allow (public-space)",
    ]);
    expect(at(older)).to.include("space: team: private, id 2");
    expect(at(gone)).to.include("space: team: not there, as looked up just now");
    expect(at({ kind: "unavailable", why: "failed" })).to.include("space: team: private, id 2");
  });

  it("tells of a namespace what was looked up for the decision", () => {
    const young = (namespace: Knowledge["namespace"]) =>
      rows("young", "harbor.test/team/a", { knowledge: namespace === undefined ? {} : { namespace } });
    const read = { kind: "read", exists: true } as const;
    expect(young({ ...read, workspace: "12" })).to.include.members([
      'namespace: young: in workspace "12"',
      'binding: workspace "12" has it, with id 2',
    ]);
    expect(young({ ...read, workspace: null })).to.include("namespace: young: in no workspace");
    expect(young({ kind: "read", exists: false, workspace: null })).to.include("namespace: young: not known");
    expect(young({ kind: "unavailable", why: "failed" })).to.include("namespace: young: not known");
  });
});

describe("the reasoning for a tenant", () => {
  const about = (namespace: string, image: string, asked: Asked = {}): readonly string[] =>
    rows(namespace, image, { ...tenant, ...asked }).filter((line) =>
      /^(?:registry|space|binding|verdict):/.test(line),
    );
  const onManaged = "registry: managed (harbor): harbor.test, 10.0.0.1:30010";
  const notBound = (name: string) => [
    onManaged,
    `space: ${name}: private and not bound to the workspace, or there is no such space`,
    "verdict: refuse (space-not-bound)",
  ];

  it("says the same of a space that does not exist, of one that is not bound, and of a binding that gives nothing", () => {
    for (const name of ["nobody", "theirs", "gone", "taken"])
      expect(about("shop", `harbor.test/${name}/a`)).to.deep.equal(notBound(name));
    for (const name of ["nobody", "theirs"]) {
      const inNone = [
        onManaged,
        `space: ${name}: not public, or there is no such space`,
        "verdict: refuse (namespace-without-workspace)",
      ];
      expect(about("bare", `harbor.test/${name}/a`)).to.deep.equal(inNone);
      expect(about("nowhere", `harbor.test/${name}/a`)).to.deep.equal([
        ...inNone.slice(0, 2),
        "verdict: refuse (namespace-unknown)",
      ]);
    }
  });
  it("says so too after a look-up", () => {
    const read = (found: ReturnType<typeof space> | null) =>
      ({ kind: "read", reading: { readAt: readAt + 1, space: found } }) as const;
    for (const found of [space("theirs", "private", 99), null]) {
      const asked = lookedUp("managed/theirs", read(found));
      expect(about("shop", "harbor.test/theirs/a", asked)).to.deep.equal(notBound("theirs"));
    }
    expect(
      about("shop", "harbor.test/theirs/a", lookedUp("managed/theirs", read(space("theirs", "public")))),
    ).to.include("space: theirs: public");
  });

  it("says of what is open no more than that it is", () => {
    expect(about("shop", "harbor.test/library/a")).to.deep.equal([
      onManaged,
      "space: library: public",
      "verdict: allow (public-space)",
    ]);
    expect(about("shop", "harbor.test/team/a")).to.deep.equal([
      onManaged,
      "space: team: private",
      'binding: workspace "12" has it',
      "verdict: allow, with the pull secret (bound-space)",
    ]);
    expect(about("shop", "twelve.test/own/a")).to.deep.equal([
      'registry: twelve (harbor, of workspace "12"): twelve.test',
      "space: own: open to the workspace, as is all of its registry that its login can pull",
      "verdict: allow, with the pull secret (workspace-registry)",
    ]);
    expect(about("shop", "archive.test/app")).to.deep.equal([
      "registry: archive (docker-registry): archive.test",
      "verdict: allow (open-registry)",
    ]);
  });
  it("names the workspace of a namespace that was looked up", () => {
    const namespace = { kind: "read", exists: true, workspace: "12" } as const;
    expect(about("young", "harbor.test/team/a", { knowledge: { namespace } })).to.include(
      'binding: workspace "12" has it',
    );
  });
  it("says of another workspace's registry its name, and not even that before the namespace is known", () => {
    expect(about("lab", "twelve.test/own/a")).to.deep.equal([
      "registry: twelve: integrated by another workspace",
      "verdict: refuse (registry-of-another-workspace)",
    ]);
    expect(about("nowhere", "twelve.test/own/a")).to.deep.equal(["verdict: refuse (namespace-unknown)"]);
  });
  it("says what the workspace had, and what cannot be known", () => {
    expect(about("shop", "harbor.test/old/a")).to.include(
      "space: old: deleted and made anew since it was bound to the workspace",
    );
    expect(about("shop", "unread.test/x/a")).to.include("space: x: the registry has not been read");
    const stale = new Map([...snapshot.catalogues].map(([name, one]) => [name, { ...one, stale: true }]));
    const on = {
      ...snapshot,
      catalogues: stale,
      rules: { ...snapshot.rules, stale: "refuse-unbound" } as const,
    };
    for (const name of ["theirs", "nobody", "library"]) {
      expect(about("shop", `harbor.test/${name}/a`, { on })).to.include(
        `space: ${name}: not bound to the workspace, and what is known of the registry is too old to be trusted`,
      );
    }
  });
});
