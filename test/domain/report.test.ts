import { expect } from "chai";
import { decide, questionAbout } from "../../src/domain/decision.ts";
import { nothingToAsk } from "../../src/domain/knowledge.ts";
import type { View } from "../../src/domain/reasons.ts";
import { reportOf, type Report } from "../../src/domain/report.ts";
import { policyOf, registry, snapshotOf, space } from "../builders.ts";

const snapshot = snapshotOf({
  policy: policyOf({
    registries: [
      registry("managed"),
      registry("archive", { type: "docker-registry" }),
      registry("thirteen", { workspace: "13" }),
    ],
    bindings: ["12 managed/team-a"],
  }),
  namespaces: { shop: "12", lab: "13", bare: null },
  catalogues: {
    managed: [space("team-a", "private", 1), space("open", "public", 2), space("theirs", "private", 3)],
  },
});

function report(
  namespace: string,
  images: readonly string[],
  malformed: readonly string[] = [],
  view: View = "platform",
): Report {
  const uses = images.map((image, index) => ({
    path: `spec.containers[${String(index)}].image`,
    container: index === 0 ? "app" : null,
    image,
  }));
  const verdict = decide(snapshot, questionAbout(namespace, uses, { malformed, knowledge: nothingToAsk }));
  if (verdict.kind === "not-known-yet") throw new Error("nothing was to be asked");
  const subject = { source: "a.yaml", kind: "Pod", namespace, name: "web" };
  return reportOf(snapshot, subject, verdict, { suggest: "workspace", view });
}

describe("a report", () => {
  it("of an allowed workload: every key is there, null where it does not apply", () => {
    expect(report("shop", ["managed.test/team-a/app:1"])).to.deep.equal({
      source: "a.yaml",
      kind: "Pod",
      namespace: "shop",
      name: "web",
      workspace: "12",
      verdict: "allow",
      pullSecret: "berth-pull",
      message: null,
      images: [
        {
          path: "spec.containers[0].image",
          container: "app",
          image: "managed.test/team-a/app:1",
          host: "managed.test",
          repository: "team-a/app",
          tag: "1",
          digest: null,
          registry: "managed",
          space: "team-a",
          allowed: true,
          reason: "bound-space",
        },
      ],
    });
  });

  it("of a refused one: what is malformed has neither host nor repository", () => {
    const { verdict, pullSecret, message, workspace, images } = report("bare", [
      "Bad Image",
      "nginx@sha256:" + "a".repeat(64),
    ]);
    expect({ verdict, pullSecret, workspace }).to.deep.equal({
      verdict: "refuse",
      pullSecret: null,
      workspace: null,
    });
    expect(message?.split("\n")).to.have.length(2);
    expect(images[0]).to.include({
      host: null,
      repository: null,
      tag: null,
      digest: null,
      registry: null,
      space: null,
      reason: "malformed-image",
    });
    expect(images[1]).to.include({
      host: "docker.io",
      repository: "library/nginx",
      tag: null,
      digest: `sha256:${"a".repeat(64)}`,
      registry: null,
      container: null,
      reason: "unlisted-registry",
    });
  });

  it("of a Docker Registry's image names no space, and of a public one needs no pull secret", () => {
    expect(report("bare", ["archive.test/x/app"]).images[0]).to.include({
      registry: "archive",
      space: null,
      reason: "open-registry",
    });
    expect(report("bare", ["managed.test/open/app"])).to.include({ verdict: "allow", pullSecret: null });
  });

  it("of a namespace that nobody knows has no workspace", () => {
    expect(report("nowhere", ["managed.test/open/app"]).workspace).to.equal(null);
  });

  it("of a malformed object lists no images that were not judged", () => {
    const { images, message } = report(
      "shop",
      ["managed.test/open/app"],
      ["spec.volumes: expected a list, got text"],
    );
    expect(images).to.deep.equal([]);
    expect(message).to.contain("spec.volumes: expected a list, got text");
  });
});

describe("a report for a tenant", () => {
  const imageOf = (namespace: string, image: string) => report(namespace, [image], [], "tenant").images[0];

  it("says the same of a space that does not exist and of one that is not bound", () => {
    for (const [namespace, reason] of [
      ["shop", "space-not-bound"],
      ["bare", "namespace-without-workspace"],
    ] as const) {
      const texts = ["theirs", "nobody"].map((name) => {
        const { images, message } = report(namespace, [`managed.test/${name}/app`], [], "tenant");
        expect(images[0]).to.include({ registry: "managed", space: name, reason });
        return JSON.stringify({ images, message }).replaceAll(name, "<name>");
      });
      expect(texts[0]).to.equal(texts[1]);
    }
    expect(report("shop", ["managed.test/nobody/app"]).images[0]?.reason, "administrators").to.equal(
      "space-unknown",
    );
  });
  it("says of another workspace's registry its name, and not even that before the namespace is known", () => {
    const image = "thirteen.test/team/app";
    const foreign = { registry: "thirteen", space: null, reason: "registry-of-another-workspace" };
    expect(imageOf("shop", image)).to.include(foreign);
    expect(imageOf("nowhere", image)).to.include({
      registry: null,
      space: null,
      reason: "namespace-unknown",
    });
    expect(imageOf("lab", image)).to.include({ registry: "thirteen", space: "team", allowed: true });
    expect(report("shop", [image]).images[0]).to.include({ registry: "thirteen", space: "team" });
  });
  it("leaves what is allowed as it is", () => {
    const image = "managed.test/team-a/app";
    expect(report("shop", [image], [], "tenant")).to.deep.equal(report("shop", [image]));
  });
});
