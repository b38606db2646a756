import { expect } from "chai";
import { decide, questionAbout, type Question } from "../../src/domain/decision.ts";
import { nothingToAsk, type Knowledge } from "../../src/domain/knowledge.ts";
import {
  lateSecretWarning,
  missingSecretWarning,
  refusalMessage,
  spellingWarning,
  strictAccountWarning,
  unlistedWarning,
} from "../../src/domain/refusal.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { policyOf, registry, snapshotOf, space } from "../builders.ts";

const managed = registry("managed", { spellings: ["harbor.test", "10.6.232.5:30010"] });
const snapshot = snapshotOf({
  policy: policyOf({
    registries: [
      managed,
      registry("twelve", { workspace: "12" }),
      registry("slow"),
      registry("archive", { type: "docker-registry" }),
    ],
    bindings: ["12 managed/team-a", "12 managed/reused", "13 managed/team-b", "12 managed/gone"],
  }),
  namespaces: { shop: "12", lab: "13", bare: null },
  catalogues: {
    managed: [
      space("platform", "public", 1),
      space("library", "public", 2),
      space("team-a", "private", 3),
      space("team-b", "private", 4),
      space("team-x", "public", 5),
      space("reused", "private", 51),
    ],
  },
  pins: { "managed/reused/12": 50 },
});

const use = (image: string, container: string | null = "app", path = "spec.containers[0].image") => ({
  path,
  container,
  image,
});

function messageOf(
  namespace: string,
  image: string | ReturnType<typeof use>,
  rest: Partial<Question> = {},
  suggest: "public" | "workspace" = "workspace",
  on: Snapshot = snapshot,
): string {
  const images = typeof image === "string" ? [use(image)] : [image];
  const verdict = decide(on, questionAbout(namespace, images, { knowledge: nothingToAsk, ...rest }));
  if (verdict.kind !== "refuse") throw new Error(`expected a refusal, got ${verdict.kind}`);
  return refusalMessage(on, namespace, verdict.refusals, { suggest });
}

// Golden texts: whoever changes one reads it as the person refused.
describe("the message a refused person reads", () => {
  const limited: Knowledge = {
    ...nothingToAsk,
    spaces: new Map([["managed/ghost", { kind: "unavailable", why: "limited" }]]),
  };
  const cases: [title: string, message: string, expected: string][] = [
    [
      "a private space that is not bound",
      messageOf("shop", "harbor.test/team-b/app:1"),
      'container "app": image "harbor.test/team-b/app:1" is refused: space "team-b" of registry "managed" is private and not bound to workspace "12" of namespace "shop", or there is no such space. Ask a platform administrator to bind it, or use a space that is open to the namespace: team-a, team-x, library, platform.',
    ],
    [
      "the same to somebody whom anybody could be: public spaces only",
      messageOf("shop", "harbor.test/team-b/app:1", {}, "public"),
      'container "app": image "harbor.test/team-b/app:1" is refused: space "team-b" of registry "managed" is private and not bound to workspace "12" of namespace "shop", or there is no such space. Ask a platform administrator to bind it, or use a space that is open to the namespace: team-x, library, platform.',
    ],
    [
      "a namespace without workspace",
      messageOf("bare", "harbor.test/team-a/app"),
      'container "app": image "harbor.test/team-a/app" is refused: namespace "bare" belongs to no workspace, so only public spaces are open to it; space "team-a" of registry "managed" is not public, or there is no such space. Ask a workspace administrator to bind the namespace to a workspace that has the space, or use a space that is open to the namespace: team-x, library, platform.',
    ],
    [
      "a space that was made anew",
      messageOf("shop", "harbor.test/reused/app"),
      'container "app": image "harbor.test/reused/app" is refused: space "reused" of registry "managed" was deleted and made anew since it was bound to workspace "12", so it may be somebody else\'s now. Ask a platform administrator to check it and to bind it anew (delete the binding and add it again, or name the space\'s new id in it).',
    ],
    [
      "a namespace that is not known",
      messageOf("new", "harbor.test/team-a/app"),
      'container "app": image "harbor.test/team-a/app" is refused: namespace "new" is not known yet, and with it the workspace. Try again in a few seconds; if it lasts, tell a platform administrator.',
    ],
    [
      "another workspace's registry",
      messageOf("lab", "twelve.test/x/app"),
      'container "app": image "twelve.test/x/app" is refused: registry "twelve" was integrated by another workspace and is open to that one only, not to workspace "13" of namespace "lab". Use an image from harbor.test, slow.test, archive.test.',
    ],
    [
      "a host that no registry claims",
      messageOf("shop", "quay.io/x/app"),
      'container "app": image "quay.io/x/app" is refused: no registry of this platform serves host "quay.io". Use an image from harbor.test, slow.test, archive.test, or ask a platform administrator to add the host.',
    ],
    [
      "a short name",
      messageOf("shop", "nginx"),
      'container "app": image "nginx" is refused: no registry of this platform serves host "docker.io" (which is meant when an image names no host). Use an image from harbor.test, slow.test, archive.test, or ask a platform administrator to add the host.',
    ],
    [
      "no space in the name",
      messageOf("shop", "harbor.test/app"),
      'container "app": image "harbor.test/app" is refused: an image of registry "managed" is named <host>/<space>/<repository>, and this name has no space. Write for example harbor.test/<space>/app.',
    ],
    [
      "no image reference",
      messageOf("shop", "https://harbor.test/team-a/app"),
      'container "app": image "https://harbor.test/team-a/app" is refused: this is not an image reference: expected <host>/<space>/<repository>:<tag> or ...@<digest>, without scheme, blanks or other characters.',
    ],
    [
      "upper case",
      messageOf("shop", "harbor.test/Team/app"),
      'container "app": image "harbor.test/Team/app" is refused: this is not an image reference: a repository is written in lower-case letters, digits and . _ - / only.',
    ],
    [
      "an image id",
      messageOf("shop", `sha256:${"a".repeat(64)}`),
      `container "app": image "sha256:${"a".repeat(64)}" is refused: this is the id of an image, and a node would run whatever it holds under it. Name the image by registry, space and repository; a digest may follow after @.`,
    ],
    [
      "a malformed object",
      messageOf("shop", "x", { malformed: ["spec.containers: expected a list, got text"] }),
      "the object is not what Kubernetes has there: spec.containers: expected a list, got text.",
    ],
    [
      "a registry not read yet",
      messageOf("shop", "slow.test/x/app"),
      'container "app": image "slow.test/x/app" is refused: the spaces of registry "slow" have not been read yet. Try again in a minute; if it lasts, tell a platform administrator that Berth cannot read the registry.',
    ],
    [
      "a policy not read yet",
      messageOf("shop", "harbor.test/team-a/app", {}, "public", { ...snapshot, policyRead: false }),
      'container "app": image "harbor.test/team-a/app" is refused: Berth has just started and has not read its policy yet. Try again in a few seconds.',
    ],
    [
      "a Pod that was not given its pull secret",
      messageOf("shop", "harbor.test/team-a/app", { lacksPullSecret: true }),
      "the Pod needs the pull secret of Berth and does not name it yet: the policy changed while it was being admitted. Try again; a controller does so by itself.",
    ],
    [
      "a look-up that was over the limit",
      messageOf("shop", "harbor.test/ghost/app", { knowledge: limited }),
      'container "app": image "harbor.test/ghost/app" is refused: space "ghost" of registry "managed" is private and not bound to workspace "12" of namespace "shop", or there is no such space. Ask a platform administrator to bind it, or use a space that is open to the namespace: library, platform, team-a, team-x. (The registry could not be asked just now, because too many unknown names were asked for; try again in a few seconds if this is new.)',
    ],
  ];
  for (const [title, message, expected] of cases) {
    it(title, () => expect(message).to.equal(expected));
  }

  const malformed: [image: string, expected: string][] = [
    [`harbor.test/${"x".repeat(256)}`, "its path is longer than 255 characters"],
    [
      "harbor.test/a/b@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
      "its digest has not the length or the lower-case hex digits that its algorithm needs",
    ],
    [
      `harbor.test/a/b@md5:${"f".repeat(32)}`,
      "its digest is of an algorithm that container runtimes do not know (sha256, sha384 and sha512 are known)",
    ],
    ["a".repeat(64), "64 hex digits alone are the id of an image, not a name"],
  ];
  for (const [image, expected] of malformed) {
    it(`says what is malformed: ${expected}`, () => {
      expect(messageOf("shop", image)).to.contain(`this is not an image reference: ${expected}.`);
    });
  }

  it("says that nothing is set up where nothing is, and that a look-up failed", () => {
    const bareSnapshot = snapshotOf({ namespaces: { shop: "12" } });
    expect(messageOf("shop", "nginx", {}, "public", bareSnapshot)).to.contain("(none is set up yet)");
    const failed: Knowledge = {
      ...nothingToAsk,
      spaces: new Map([["managed/ghost", { kind: "unavailable", why: "failed" }]]),
    };
    expect(messageOf("shop", "harbor.test/ghost/app", { knowledge: failed })).to.contain(
      "could not be asked just now; try again",
    );
  });

  it("has no alternative to suggest where the registry has none", () => {
    const empty = snapshotOf({
      policy: policyOf({ registries: [managed] }),
      namespaces: { shop: "12" },
      catalogues: { managed: [] },
    });
    expect(messageOf("shop", "harbor.test/ghost/app", {}, "workspace", empty)).to.contain(
      "or use an image from another registry.",
    );
  });

  it("says that a catalogue is too old", () => {
    const catalogue = { ...snapshot.catalogues.get("managed")!, stale: true };
    const stale: Snapshot = {
      ...snapshot,
      rules: { ...snapshot.rules, stale: "refuse-unbound" },
      catalogues: new Map([["managed", catalogue]]),
    };
    expect(messageOf("shop", "harbor.test/platform/app", {}, "workspace", stale)).to.equal(
      'container "app": image "harbor.test/platform/app" is refused: what is known of registry "managed" is too old to be trusted, and space "platform" is not bound to the workspace of namespace "shop". Tell a platform administrator that Berth cannot read the registry.',
    );
  });

  it("tells a namespace without workspace that a registry is another workspace's", () => {
    expect(messageOf("bare", "twelve.test/x/app")).to.contain(
      'open to that one only; namespace "bare" belongs to no workspace.',
    );
  });

  it("reads the same for a space that does not exist and one that is not bound", () => {
    for (const namespace of ["shop", "bare"]) {
      const unknown = messageOf(namespace, "harbor.test/team-q/app");
      const closed = messageOf(namespace, "harbor.test/team-b/app");
      expect(unknown.replaceAll("team-q", "team-b")).to.equal(closed);
    }
  });

  it("never names another workspace's private space", () => {
    for (const namespace of ["shop", "bare"]) {
      for (const wanted of ["team-c", "team", "reuse", "gone2"]) {
        const words = messageOf(namespace, `harbor.test/${wanted}/app`).split(/[ ,.]+/);
        expect(words).to.not.include.members(["team-b"]);
        expect(words, "nor one that is no longer what was bound").to.not.include.members(["reused"]);
        if (namespace === "bare") expect(words).to.not.include.members(["team-a"]);
      }
    }
  });

  it("tells where the image is: init, ephemeral, image volume, or the path where there is no name", () => {
    const at = (path: string, name: string | null = "x") =>
      messageOf("shop", use("nginx", name, path)).split(": image")[0];
    expect(at("spec.template.spec.initContainers[0].image")).to.equal('init container "x"');
    expect(at("spec.ephemeralContainers[0].image")).to.equal('ephemeral container "x"');
    expect(at("spec.volumes[0].image.reference")).to.equal('image volume "x"');
    expect(at("spec.containers[3].image", null)).to.equal("spec.containers[3].image");
  });

  it("shows every refusal on a line of its own, within about 1 kB, and counts the rest", () => {
    const images = Array.from({ length: 50 }, (_, index) =>
      use(`quay.io/x/app:${String(index)}`, `c${String(index)}`),
    );
    const verdict = decide(snapshot, questionAbout("shop", images, { knowledge: nothingToAsk }));
    if (verdict.kind !== "refuse") throw new Error("expected a refusal");
    const message = refusalMessage(snapshot, "shop", verdict.refusals, { suggest: "public" });
    const lines = message.split("\n");
    expect(message.length).to.be.at.most(1_024);
    expect(lines[0]).to.contain('container "c0"');
    expect(lines.at(-1)).to.equal(`(and ${String(50 - (lines.length - 1))} more refused)`);
  });

  it("puts what passes by itself after what a person has to mend", () => {
    const images = [use("slow.test/x/app", "first"), use("nginx", "second")];
    const verdict = decide(snapshot, questionAbout("shop", images, { knowledge: nothingToAsk }));
    if (verdict.kind !== "refuse") throw new Error("expected a refusal");
    const lines = refusalMessage(snapshot, "shop", verdict.refusals, { suggest: "public" }).split("\n");
    expect(lines.map((line) => line.split(":")[0])).to.deep.equal([
      'container "second"',
      'container "first"',
    ]);
  });

  it("shows hostile text as ASCII on one line, cut", () => {
    const message = messageOf("shop", use(`bad\n\u001b[31m\u202e${"x".repeat(2_000)}`, 'c"\r\n\u0000'));
    expect(message).to.match(/^[\x20-\x7e]+$/);
    expect(message.length).to.be.below(500);
  });
});

describe("warnings about an allowed image", () => {
  const judgement = (image: string, on = snapshot) => {
    const verdict = decide(on, questionAbout("shop", [use(image)], { knowledge: nothingToAsk }));
    if (verdict.kind === "not-known-yet") throw new Error("nothing was to be asked");
    return verdict.judgements[0]!;
  };

  it("a spelling that no pull secret's key can match is named, with the one to use", () => {
    expect(spellingWarning(judgement("harbor.test/team-a/app"))).to.equal(undefined);
    expect(spellingWarning(judgement("10.6.232.5:30010/team-a/app"))).to.equal(undefined);
    expect(spellingWarning(judgement("HARBOR.test:443/team-a/app"))).to.equal(
      'container "app": write the host as "harbor.test", not "HARBOR.test:443": the kubelet finds a pull secret by the exact spelling',
    );
    expect(spellingWarning(judgement("HARBOR.test/platform/app")), "a public image needs none").to.equal(
      undefined,
    );
    expect(spellingWarning(judgement("nginx")), "nor does a refused one").to.equal(undefined);
  });

  it("no spelling is warned about that a pull secret has a key for", () => {
    const on = {
      ...snapshot,
      policy: policyOf({
        registries: [registry("managed", { spellings: ["harbor.test:443"] })],
        bindings: ["12 managed/team-a"],
      }),
    };
    expect(spellingWarning(judgement("harbor.test:443/team-a/app", on))).to.equal(undefined);
    expect(spellingWarning(judgement("harbor.test/team-a/app", on)), "the bare host").to.equal(undefined);
    expect(spellingWarning(judgement("HARBOR.test/team-a/app", on))).to.contain('"harbor.test:443"');
  });

  for (const state of ["missing", "outdated"] as const) {
    it(`a pull secret that is ${state} is told on one line that every client shows whole`, () => {
      const warning = missingSecretWarning("berth-pull", state);
      expect(warning).to.match(/^pull secret berth-pull is not .* yet: .* platform administrator$/);
      expect(warning).to.match(/^[\x20-\x7e]{1,120}$/);
    });
  }

  it("an image that comes into a Pod without the pull secret, and an account that will not let it be used", () => {
    expect(lateSecretWarning(judgement("harbor.test/team-a/app"), "berth-pull")).to.equal(
      'container "app": this Pod was made without pull secret "berth-pull", and it cannot be added any more: a node that does not hold the image yet cannot pull it',
    );
    expect(strictAccountWarning("builder", "berth-pull")).to.equal(
      'service account "builder" has the annotation kubernetes.io/enforce-mountable-secrets: list "berth-pull" in its imagePullSecrets, or its Pods with private images are refused',
    );
  });

  it("an unlisted host is named where the policy says warn", () => {
    const on = { ...snapshot, policy: { ...snapshot.policy, unlistedRegistries: "warn" as const } };
    expect(unlistedWarning(on.policy, judgement("quay.io/x", on))).to.contain('serves host "quay.io"');
    expect(unlistedWarning(on.policy, judgement("harbor.test/platform/app", on))).to.equal(undefined);
    const allowing = { ...on.policy, unlistedRegistries: "allow" as const };
    expect(unlistedWarning(allowing, judgement("quay.io/x", on))).to.equal(undefined);
  });
});
