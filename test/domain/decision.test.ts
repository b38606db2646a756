import { expect } from "chai";
import { catalogueOf } from "../../src/domain/catalogue.ts";
import {
  credentialNeeds,
  decide,
  questionAbout,
  type Judgement,
  type Question,
} from "../../src/domain/decision.ts";
import { noKnowledge, nothingToAsk, type Knowledge } from "../../src/domain/knowledge.ts";
import type { DeclaredSpace, Policy } from "../../src/domain/policy.ts";
import { publicReason } from "../../src/domain/reasons.ts";
import { policyOf, readAt, registry, snapshotOf, space } from "../builders.ts";

const managed = registry("managed", { spellings: ["harbor.test", "10.6.232.5:30010"] });
const archive = registry("archive", { type: "docker-registry", credentialsSecret: null });
const guarded = registry("guarded", { type: "docker-registry", pullCredentialsSecret: "guarded-pull" });
const twelve = registry("twelve", { workspace: "12" });
const thirteen = registry("thirteen", { workspace: "13", type: "docker-registry", credentialsSecret: null });
const slow = registry("slow");
const hex = "e6693c20186f837fc393390135d8a598a96a833917917789d63766cab6c59582";

const policy = policyOf({
  registries: [managed, archive, guarded, twelve, thirteen, slow],
  bindings: [
    "12 managed/team-a",
    "12 managed/platform",
    "12 managed/models 42",
    "12 managed/reused",
    "13 managed/team-b",
  ],
  rest: { exemptNamespaces: new Set(["kube-system"]) },
});
const spaces = [
  space("platform", "public", 1),
  space("library", "public", 2),
  space("team-a", "private", 3),
  space("team-b", "private", 4),
  space("models", "private", 41),
  space("reused", "private", 51),
  space("mirror", "public", 6, true),
];
const snapshot = snapshotOf({
  policy,
  namespaces: { shop: "12", lab: "13", bare: null, padded: "012" },
  catalogues: { managed: spaces, twelve: [space("anything", "public", 1)] },
  pins: { "managed/reused/12": 50, "managed/team-a/12": 3 },
});

const use = (image: string) => ({ path: "spec.containers[0].image", container: "app", image });
const ask = (namespace: string, image: string, rest: Partial<Question> = {}) =>
  questionAbout(namespace, [use(image)], { knowledge: nothingToAsk, ...rest });

function outcome(judgement: Judgement | undefined): string {
  if (judgement === undefined) return "nothing";
  if (!judgement.allowed) return judgement.reason;
  return judgement.needsPullSecret ? `${judgement.reason} +secret` : judgement.reason;
}

function judgeOne(namespace: string, image: string, rest: Partial<Question> = {}, on = snapshot): string {
  const verdict = decide(on, ask(namespace, image, rest));
  return verdict.kind === "not-known-yet"
    ? `asks for ${verdict.unknowns.map((unknown) => unknown.what).join(", ")}`
    : outcome(verdict.kind === "refuse" ? (verdict.refusals[0] ?? undefined) : verdict.judgements[0]);
}

describe("decide", () => {
  const cases: [title: string, namespace: string, image: string, expected: string][] = [
    [
      "a public space is open to a namespace with workspace",
      "shop",
      "harbor.test/platform/app:1",
      "public-space",
    ],
    [
      "a public space is open to a namespace without workspace",
      "bare",
      "harbor.test/library/app",
      "public-space",
    ],
    [
      "a public space is open to a namespace nobody knows",
      "nowhere",
      "harbor.test/library/app",
      "public-space",
    ],
    [
      "a private space is open to the workspace it is bound to",
      "shop",
      "harbor.test/team-a/app:1",
      "bound-space +secret",
    ],
    ["a private space is closed to another workspace", "lab", "harbor.test/team-a/app:1", "space-not-bound"],
    [
      "a private space is closed to a namespace without workspace",
      "bare",
      "harbor.test/team-a/app",
      "namespace-without-workspace",
    ],
    ["workspace ids are text: 012 is not 12", "padded", "harbor.test/team-a/app", "space-not-bound"],
    [
      "a namespace nobody knows gets no private space",
      "nowhere",
      "harbor.test/team-a/app",
      "namespace-unknown",
    ],
    [
      "a namespace nobody knows does not tell an unknown space from a private one",
      "nowhere",
      "harbor.test/ghost/app",
      "namespace-unknown",
    ],
    ["a space that is not there", "shop", "harbor.test/ghost/app", "space-unknown"],
    [
      "a space whose name only begins like a bound one",
      "shop",
      "harbor.test/team-a-evil/app",
      "space-unknown",
    ],
    [
      "a bound name with another id is somebody else's space",
      "shop",
      "harbor.test/reused/app",
      "space-replaced",
    ],
    ["a binding that names another id", "shop", "harbor.test/models/app", "space-replaced"],
    ["a space in the repository's middle is none", "shop", "harbor.test/ghost/team-a/app", "space-unknown"],
    ["the repository below a space may be deep", "shop", "harbor.test/team-a/x/y/z", "bound-space +secret"],
    ["an alias names the same registry", "shop", "10.6.232.5:30010/team-a/app", "bound-space +secret"],
    ["the host's case does not matter", "shop", "HARBOR.test/team-a/app", "bound-space +secret"],
    ["nor does port 443", "shop", "harbor.test:0443/team-a/app", "bound-space +secret"],
    ["another port is another server", "shop", "harbor.test:8443/team-a/app", "unlisted-registry"],
    [
      "a host that only begins like a registry",
      "shop",
      "harbor.test.evil.example/team-a/app",
      "unlisted-registry",
    ],
    ["a host in the path is no host", "shop", "evil.example/harbor.test/team-a/app", "unlisted-registry"],
    ["a short name is Docker Hub", "shop", "nginx", "unlisted-registry"],
    ["a short host without a dot is Docker Hub", "shop", "harbor/team-a/app", "unlisted-registry"],
    ["one path element names no space", "shop", "harbor.test/team-a:1", "no-space-in-name"],
    ["a Docker Registry is open to everybody", "bare", "archive.test/app", "open-registry"],
    [
      "a Docker Registry with a login is open, with its secret",
      "bare",
      "guarded.test/x/app",
      "open-registry +secret",
    ],
    [
      "a workspace's registry is open to its workspace, whatever the space",
      "shop",
      "twelve.test/whatever/app",
      "workspace-registry +secret",
    ],
    ["and needs no space in the name", "shop", "twelve.test/app", "workspace-registry +secret"],
    [
      "a workspace's registry is closed to others, its public spaces too",
      "lab",
      "twelve.test/anything/app",
      "registry-of-another-workspace",
    ],
    [
      "and to namespaces without workspace",
      "bare",
      "twelve.test/anything/app",
      "registry-of-another-workspace",
    ],
    ["a workspace's Docker Registry is open to it", "lab", "thirteen.test/app", "workspace-registry"],
    ["and closed to others", "shop", "thirteen.test/app", "registry-of-another-workspace"],
    ["a registry that was never read", "shop", "slow.test/library/app", "catalogue-not-ready"],
    ["an image id runs whatever the node holds", "shop", `sha256:${hex}`, "image-by-id"],
    ["64 hex digits are an id too", "shop", hex, "malformed-image"],
    ["a blank image", "shop", "  ", "malformed-image"],
    ["an upper-case repository", "shop", "harbor.test/Team-a/app", "malformed-image"],
    ["an exempt namespace is not judged", "kube-system", "evil.example/x", "exempt-namespace"],
    ["nor is Berth's own", "berth-system", "not an image", "exempt-namespace"],
  ];
  for (const [title, namespace, image, expected] of cases) {
    it(`${title}: ${image.slice(0, 60)} in ${namespace}`, () => {
      expect(judgeOne(namespace, image)).to.equal(expected);
    });
  }

  describe("of a proxy cache that the policy has count as private", () => {
    const wary = { ...managed, treatsProxyCachesAsPrivate: true };
    const on = { ...snapshot, policy: policyOf({ registries: [wary], bindings: ["12 managed/mirror"] }) };
    const image = "harbor.test/mirror/library/nginx";
    const opened: Knowledge = {
      ...noKnowledge,
      spaces: new Map([
        [
          "managed/mirror",
          { kind: "read", reading: { readAt: readAt + 1, space: space("mirror", "public", 6, true) } },
        ],
      ]),
    };
    const cases: [title: string, namespace: string, rest: Partial<Question>, expected: string][] = [
      ["opens it to the workspace it is bound to", "shop", {}, "bound-space +secret"],
      ["closes it to others", "lab", {}, "space-not-bound"],
      ["closes it to namespaces without workspace", "bare", {}, "namespace-without-workspace"],
      ["looks it up before that is final", "lab", { knowledge: noKnowledge }, "asks for space"],
      ["and takes no public reading for an answer", "lab", { knowledge: opened }, "space-not-bound"],
    ];
    for (const [title, namespace, rest, expected] of cases) {
      it(title, () => expect(judgeOne(namespace, image, rest, on)).to.equal(expected));
    }
    it("else it is as Harbor says", () => {
      expect(judgeOne("lab", image)).to.equal("public-space");
      expect(judgeOne("lab", "harbor.test/library/app", {}, on), "as is any other space").to.equal(
        "public-space",
      );
    });
  });

  describe("of a space that the policy declares", () => {
    const declaring = (adopt: boolean, ownSpaces: Readonly<Record<string, number>> | null, stale = false) => {
      const named = (name: string): [string, DeclaredSpace] => [
        `managed/${name}`,
        { registry: "managed", name, visibility: "private", storageBytes: null, adopt },
      ];
      const made = snapshotOf({
        rules: { stale: "refuse-unbound" },
        policy: { ...policy, spaces: new Map(["team-a", "platform", "reused"].map(named)) },
        namespaces: { shop: "12", bare: null },
        catalogues: { managed: { ...catalogueOf("https://harbor.test", readAt, spaces), stale } },
        pins: { "managed/reused/12": 50 },
        ownSpaces,
      });
      return made;
    };
    const cases: [title: string, on: ReturnType<typeof declaring>, image: string, expected: string][] = [
      ["binds nothing that somebody else made", declaring(false, {}), "team-a", "space-not-bound"],
      ["says so of a replaced one too", declaring(false, {}), "reused", "space-not-bound"],
      ["leaves a public one open", declaring(false, {}), "platform", "public-space"],
      ["unless the catalogue is too old", declaring(false, {}, true), "platform", "catalogue-stale"],
      ["opens what Berth made", declaring(false, { "managed/team-a": 3 }), "team-a", "bound-space +secret"],
      ["not what has its name now", declaring(false, { "managed/team-a": 2 }), "team-a", "space-not-bound"],
      ["opens what is to be adopted", declaring(true, {}), "team-a", "bound-space +secret"],
      ["keeps to its pin even then", declaring(true, {}), "reused", "space-replaced"],
      [
        "is taken at its word where nobody keeps a record",
        declaring(false, null),
        "team-a",
        "bound-space +secret",
      ],
    ];
    for (const [title, on, name, expected] of cases) {
      it(title, () => expect(judgeOne("shop", `harbor.test/${name}/app`, {}, on)).to.equal(expected));
    }
    it("tells a namespace without workspace what it lacks", () => {
      expect(judgeOne("bare", "harbor.test/team-a/app", {}, declaring(false, {}))).to.equal(
        "namespace-without-workspace",
      );
    });
  });

  it("says which logins a Pod needs, each once: a space's robot, or that of a whole registry", () => {
    const images = [
      ...[
        "harbor.test/team-a/app",
        "10.6.232.5:30010/team-a/other",
        "twelve.test/x/app",
        "twelve.test/y/app",
      ],
      ...[
        "guarded.test/x",
        "archive.test/app",
        "harbor.test/platform/app",
        "harbor.test/team-b/app",
        "nginx",
      ],
    ].map(use);
    const verdict = decide(snapshot, questionAbout("shop", images, { knowledge: nothingToAsk }));
    expect(verdict.kind !== "not-known-yet" && credentialNeeds(verdict.judgements)).to.deep.equal([
      { registry: "managed", space: "team-a" },
      { registry: "twelve", space: null },
      { registry: "guarded", space: null },
    ]);
    const exempt = decide(snapshot, ask("kube-system", "harbor.test/team-a/app"));
    expect(exempt.kind !== "not-known-yet" && credentialNeeds(exempt.judgements)).to.deep.equal([]);
  });

  it("allows, asks for the pull secret, or refuses with every refusal", () => {
    const open = use("harbor.test/platform/app");
    const bound = use("harbor.test/team-a/app");
    const closed = [use("harbor.test/team-b/app"), use("nginx")];
    const verdict = (images: readonly ReturnType<typeof use>[]) =>
      decide(snapshot, questionAbout("shop", images, { knowledge: nothingToAsk }));
    expect(verdict([])).to.deep.equal({ kind: "allow", judgements: [] });
    expect(verdict([open]).kind).to.equal("allow");
    expect(verdict([open, bound]).kind).to.equal("allow-with-pull-secret");
    const refused = verdict([open, ...closed, bound]);
    expect(refused.kind).to.equal("refuse");
    if (refused.kind !== "refuse") return;
    expect(refused.judgements.map(outcome)).to.deep.equal([
      "public-space",
      "space-not-bound",
      "unlisted-registry",
      "bound-space +secret",
    ]);
    expect(refused.refusals.map(outcome)).to.deep.equal(["space-not-bound", "unlisted-registry"]);
  });

  it("judges no image again whose text the object held before", () => {
    const unchanged = new Set(["nginx"]);
    expect(judgeOne("shop", "nginx", { unchanged })).to.equal("unchanged");
    expect(judgeOne("shop", "nginx:1", { unchanged })).to.equal("unlisted-registry");
  });

  it("refuses an object of a wrong shape, unless its namespace is exempt", () => {
    const malformed = ["spec.containers: expected a list, got text"];
    expect(judgeOne("shop", "harbor.test/platform/app", { malformed })).to.equal("malformed-object");
    expect(judgeOne("kube-system", "harbor.test/platform/app", { malformed })).to.equal("exempt-namespace");
  });

  it("lets a node's mirror Pod pass: refusing it would only hide it", () => {
    expect(judgeOne("shop", "nginx", { mirrorPodOfNode: true })).to.equal("mirror-pod");
  });

  it("refuses a Pod that needs the pull secret and does not name it", () => {
    const rest = { lacksPullSecret: true };
    expect(judgeOne("shop", "harbor.test/team-a/app", rest)).to.equal("pull-secret-not-injected");
    expect(judgeOne("shop", "harbor.test/platform/app", rest)).to.equal("public-space");
    expect(judgeOne("shop", "harbor.test/team-b/app", rest)).to.equal("space-not-bound");
  });

  const unlisted: [Policy["unlistedRegistries"], string][] = [
    ["deny", "unlisted-registry"],
    ["warn", "unlisted-registry-allowed"],
    ["allow", "unlisted-registry-allowed"],
  ];
  for (const [value, expected] of unlisted) {
    it(`unlistedRegistries: ${value}`, () => {
      const on = { ...snapshot, policy: { ...policy, unlistedRegistries: value } };
      expect(judgeOne("shop", "nginx", {}, on)).to.equal(expected);
      expect(judgeOne("shop", "harbor.test/team-b/app", {}, on), "a listed host is judged as ever").to.equal(
        "space-not-bound",
      );
      expect(judgeOne("shop", "no image", {}, on), "what is no image is on no host").to.equal(
        "malformed-image",
      );
    });
  }

  it("refuses everything while the policy has not been read", () => {
    const on = { ...snapshot, policyRead: false };
    expect(judgeOne("shop", "nginx", {}, on)).to.equal("catalogue-not-ready");
    expect(judgeOne("shop", "harbor.test/platform/app", {}, on)).to.equal("catalogue-not-ready");
  });

  it("with no policy at all every image is on an unlisted registry", () => {
    const on = snapshotOf({ namespaces: { shop: "12" } });
    expect(judgeOne("shop", "harbor.test/platform/app", {}, on)).to.equal("unlisted-registry");
  });

  describe("asks for what the snapshot does not know, before a refusal is final", () => {
    const open = { knowledge: noKnowledge };
    const cases: [title: string, namespace: string, image: string, expected: string][] = [
      ["nothing for a public space", "shop", "harbor.test/platform/app", "public-space"],
      ["nothing for a bound space", "shop", "harbor.test/team-a/app", "bound-space +secret"],
      ["the space, when it is unknown", "shop", "harbor.test/ghost/app", "asks for space"],
      ["the space, when it is private and not bound", "lab", "harbor.test/team-a/app", "asks for space"],
      ["the space, when the namespace has no workspace", "bare", "harbor.test/team-a/app", "asks for space"],
      ["the space, when the binding was for another one", "shop", "harbor.test/reused/app", "asks for space"],
      [
        "the namespace, when it is unknown and the space private",
        "new",
        "harbor.test/team-a/app",
        "asks for namespace",
      ],
      ["the namespace, for an unknown space likewise", "new", "harbor.test/ghost/app", "asks for namespace"],
      ["the namespace, for a workspace's registry", "new", "twelve.test/x/app", "asks for namespace"],
      [
        "nothing for a name that no Harbor project can have",
        "shop",
        "harbor.test/te__am/app",
        "space-unknown",
      ],
      ["nothing for a host that no registry claims", "shop", "nginx", "unlisted-registry"],
      [
        "nothing for another workspace's registry",
        "lab",
        "twelve.test/x/app",
        "registry-of-another-workspace",
      ],
      ["nothing before the first catalogue", "shop", "slow.test/library/app", "catalogue-not-ready"],
    ];
    for (const [title, namespace, image, expected] of cases) {
      it(`${title}: ${image} in ${namespace}`, () => {
        expect(judgeOne(namespace, image, open)).to.equal(expected);
      });
    }

    it("asks for everything at once, and for nothing twice", () => {
      const images = ["harbor.test/ghost/a", "harbor.test/ghost/b", "harbor.test/team-b/c"].map(use);
      const verdict = decide(snapshot, questionAbout("shop", images));
      expect(verdict).to.deep.equal({
        kind: "not-known-yet",
        unknowns: [
          { what: "space", registry: "managed", space: "ghost" },
          { what: "space", registry: "managed", space: "team-b" },
        ],
      });
    });
  });

  describe("decides again with the answers", () => {
    const read = (answer: ReturnType<typeof space> | null, at = readAt + 1): Knowledge => ({
      ...noKnowledge,
      spaces: new Map([["managed/ghost", { kind: "read", reading: { readAt: at, space: answer } }]]),
    });
    const ghost = "harbor.test/ghost/app";

    it("a space made public a moment ago is open", () => {
      expect(judgeOne("bare", ghost, { knowledge: read(space("ghost", "public", 9)) })).to.equal(
        "public-space",
      );
    });
    it("a space that is still not there is refused, with no second question", () => {
      expect(judgeOne("shop", ghost, { knowledge: read(null) })).to.equal("space-unknown");
    });
    it("a space made a moment ago is open to the workspace that has it", () => {
      const on = { ...snapshot, policy: policyOf({ registries: [managed], bindings: ["12 managed/ghost"] }) };
      const knowledge = read(space("ghost", "private", 9));
      expect(judgeOne("shop", ghost, { knowledge }, on)).to.equal("bound-space +secret");
      expect(judgeOne("lab", ghost, { knowledge }, on)).to.equal("space-not-bound");
    });
    it("of two readings the newer wins", () => {
      const newer = {
        ...snapshot,
        catalogues: new Map([
          ["managed", catalogueOf("https://harbor.test", readAt, [space("ghost", "private", 9)])],
        ]),
      };
      const knowledge = read(space("ghost", "public", 9), readAt - 1);
      expect(judgeOne("shop", ghost, { knowledge }, newer)).to.equal("space-not-bound");
    });
    it("without an answer the verdict of the catalogue stands, and says that it was not asked", () => {
      const knowledge: Knowledge = {
        ...noKnowledge,
        spaces: new Map([["managed/ghost", { kind: "unavailable", why: "limited" }]]),
      };
      const verdict = decide(snapshot, ask("shop", ghost, { knowledge }));
      expect(verdict.kind === "refuse" && verdict.refusals[0]).to.include({
        reason: "space-unknown",
        unanswered: "limited",
      });
    });
    it("a namespace read live is judged by the workspace it has", () => {
      const knowledge = (workspace: string | null, exists = true): Knowledge => ({
        ...noKnowledge,
        namespace: { kind: "read", exists, workspace },
        final: true,
      });
      expect(judgeOne("new", "harbor.test/team-a/app", { knowledge: knowledge("12") })).to.equal(
        "bound-space +secret",
      );
      expect(judgeOne("new", "harbor.test/team-a/app", { knowledge: knowledge(null) })).to.equal(
        "namespace-without-workspace",
      );
      expect(judgeOne("new", "harbor.test/team-a/app", { knowledge: knowledge(null, false) })).to.equal(
        "namespace-unknown",
      );
      expect(judgeOne("new", "twelve.test/x", { knowledge: knowledge("12") })).to.equal(
        "workspace-registry +secret",
      );
    });
    it("a namespace that could not be read is unknown, and so is its workspace", () => {
      const knowledge: Knowledge = { ...noKnowledge, namespace: { kind: "unavailable", why: "failed" } };
      expect(judgeOne("new", "harbor.test/team-a/app", { knowledge })).to.equal("asks for space");
      const verdict = decide(snapshot, ask("new", "twelve.test/x", { knowledge }));
      expect(verdict.kind === "refuse" && verdict.refusals[0]).to.include({
        reason: "namespace-unknown",
        unanswered: "failed",
      });
    });
  });

  describe("with a stale catalogue", () => {
    const stale = (what: "serve" | "refuse-unbound") =>
      snapshotOf({
        rules: { stale: what },
        policy,
        namespaces: { shop: "12", lab: "13", bare: null },
        catalogues: { managed: { ...catalogueOf("https://harbor.test", readAt, spaces), stale: true } },
        pins: { "managed/reused/12": 50 },
      });
    const cases: [title: string, namespace: string, image: string, served: string, refused: string][] = [
      ["a public space", "lab", "harbor.test/library/app", "public-space", "catalogue-stale"],
      ["a public space that is bound", "shop", "harbor.test/platform/app", "public-space", "public-space"],
      ["a bound space", "shop", "harbor.test/team-a/app", "bound-space +secret", "bound-space +secret"],
      [
        "a private space that is not bound",
        "lab",
        "harbor.test/team-a/app",
        "space-not-bound",
        "catalogue-stale",
      ],
      ["a space that is not there", "lab", "harbor.test/ghost/app", "space-unknown", "catalogue-stale"],
      ["a space that was replaced", "shop", "harbor.test/reused/app", "space-replaced", "space-replaced"],
      ["a namespace without workspace", "bare", "harbor.test/library/app", "public-space", "catalogue-stale"],
    ];
    for (const [title, namespace, image, served, refused] of cases) {
      it(title, () => {
        expect(judgeOne(namespace, image, {}, stale("serve"))).to.equal(served);
        expect(judgeOne(namespace, image, {}, stale("refuse-unbound"))).to.equal(refused);
      });
    }

    it("refuse-unbound asks first, and believes what it hears", () => {
      const image = "harbor.test/library/app";
      const on = stale("refuse-unbound");
      expect(judgeOne("lab", image, { knowledge: noKnowledge }, on)).to.equal("asks for space");
      const knowledge: Knowledge = {
        ...noKnowledge,
        spaces: new Map([
          [
            "managed/library",
            { kind: "read", reading: { readAt: readAt + 1, space: space("library", "public", 2) } },
          ],
        ]),
      };
      expect(judgeOne("lab", image, { knowledge }, on)).to.equal("public-space");
    });
  });

  describe("on a host that several Harbors claim", () => {
    const shared = (name: string, workspace: string | null) =>
      registry(name, { spellings: ["harbor.test"], workspace });
    const on = snapshotOf({
      policy: policyOf({
        // In the policy's order the workspace's registry comes first; the administrators' speaks first all the same.
        registries: [shared("ours", "12"), shared("managed", null), shared("theirs", "13")],
        bindings: ["14 managed/team-a"],
      }),
      namespaces: { shop: "12", lab: "13", other: "14", bare: null },
      catalogues: { managed: spaces },
    });
    const grant = (name: string, granted: boolean): Knowledge => ({
      ...nothingToAsk,
      spaces: new Map(),
      grants: new Map([[`${name}/team-a/app`, { kind: "read", granted }]]),
    });
    const image = "harbor.test/team-a/app";

    it("any of them may allow", () => {
      expect(judgeOne("bare", "harbor.test/library/app", {}, on)).to.equal("public-space");
      expect(judgeOne("other", image, {}, on)).to.equal("bound-space +secret");
    });
    it("a workspace's registry allows what its login is granted to pull, for its workspace", () => {
      expect(judgeOne("shop", image, { knowledge: grant("ours", true) }, on)).to.equal(
        "workspace-registry +secret",
      );
      expect(judgeOne("shop", image, { knowledge: grant("ours", false) }, on)).to.equal("space-not-bound");
      expect(
        judgeOne("lab", image, { knowledge: grant("ours", true) }, on),
        "another workspace's login opens nothing",
      ).to.equal("space-not-bound");
    });
    it("a grant that could not be asked for opens nothing, and says so", () => {
      const knowledge: Knowledge = {
        ...nothingToAsk,
        grants: new Map([["ours/team-a/app", { kind: "unavailable", why: "failed" }]]),
      };
      const alone = {
        ...on,
        policy: policyOf({ registries: [shared("ours", "12"), shared("theirs", "13")] }),
      };
      const verdict = decide(alone, ask("shop", image, { knowledge }));
      expect(verdict.kind === "refuse" && verdict.refusals[0]).to.include({
        reason: "space-not-bound",
        unanswered: "failed",
      });
    });
    it("asks for the grant only of the registry that could allow", () => {
      const verdict = decide(on, ask("shop", image, { knowledge: noKnowledge }));
      expect(verdict.kind === "not-known-yet" && verdict.unknowns).to.deep.equal([
        { what: "space", registry: "managed", space: "team-a" },
        { what: "grant", registry: "ours", repository: "team-a/app" },
      ]);
    });
    it("the administrators' registry says why not", () => {
      const verdict = decide(on, ask("lab", image));
      expect(
        verdict.kind === "refuse" && verdict.refusals.map((refusal) => refusal.registry?.name),
      ).to.deep.equal(["managed"]);
    });
    it("a name without space is in no registry's space", () => {
      expect(judgeOne("shop", "harbor.test/app", {}, on)).to.equal("no-space-in-name");
    });
    it("where only workspaces claim it, others hear so", () => {
      const private_ = snapshotOf({
        policy: policyOf({ registries: [shared("ours", "12"), shared("theirs", "13")] }),
        namespaces: { other: "14" },
      });
      expect(judgeOne("other", image, {}, private_)).to.equal("registry-of-another-workspace");
    });
  });

  it("tells people without the platform view no unknown space from a private one", () => {
    expect(publicReason("space-unknown", "12")).to.equal("space-not-bound");
    expect(publicReason("space-unknown", null)).to.equal("namespace-without-workspace");
    expect(publicReason("space-replaced", "12")).to.equal("space-replaced");
  });
});
