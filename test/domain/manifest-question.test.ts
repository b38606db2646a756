import { expect } from "chai";
import { questionOfManifest } from "../../src/domain/manifest-question.ts";
import { builtInKinds, parseCustomKinds } from "../../src/domain/pod-spec.ts";

const spec = { containers: [{ name: "app", image: "harbor.test/team/app:1" }] };
const of = (manifest: { apiVersion: string; kind: string; [field: string]: unknown }, kinds = builtInKinds) =>
  questionOfManifest(kinds, manifest, "lab");

describe("the question of a manifest", () => {
  it("has the images of a kind that holds pod specs, and leaves open what is known", () => {
    const found = of({ apiVersion: "v1", kind: "Pod", metadata: { name: "web", namespace: "shop" }, spec });
    expect(found?.subject).to.deep.equal({ kind: "Pod", namespace: "shop", name: "web" });
    expect(found?.question).to.deep.include({
      namespace: "shop",
      images: [{ path: "spec.containers[0].image", container: "app", image: "harbor.test/team/app:1" }],
      malformed: [],
      mirrorPodOfNode: false,
      lacksPullSecret: false,
    });
    expect(found?.question.knowledge.final).to.equal(false);
    expect(found?.mirrorPod).to.equal(false);
  });

  const namespaces: readonly [what: string, metadata: unknown, namespace: string, name: string][] = [
    ["none", { name: "web" }, "lab", "web"],
    ["an empty one", { namespace: "" }, "lab", ""],
    ["one that is no text", { name: 7, namespace: 12 }, "lab", ""],
    ["no metadata at all", undefined, "lab", ""],
    ["metadata that is a list", [], "lab", ""],
  ];
  for (const [what, metadata, namespace, name] of namespaces) {
    it(`is about the given namespace where the object names ${what}`, () => {
      const found = of({ apiVersion: "v1", kind: "Pod", metadata, spec });
      expect(found?.subject).to.deep.equal({ kind: "Pod", namespace, name });
      expect(found?.question.namespace).to.equal(namespace);
    });
  }

  it("is none for a kind without, or of another group", () => {
    expect(of({ apiVersion: "v1", kind: "ConfigMap", data: {} })).to.equal(undefined);
    expect(of({ apiVersion: "example.org/v1", kind: "Deployment", spec: {} })).to.equal(undefined);
  });
  it("knows custom kinds", () => {
    const kinds = parseCustomKinds("example.org/Rollout=spec.pod");
    const found = of({ apiVersion: "example.org/v1", kind: "Rollout", spec: { pod: spec } }, kinds);
    expect(found?.question.images.map(({ path }) => path)).to.deep.equal(["spec.pod.containers[0].image"]);
  });
  it("says what is malformed", () => {
    const found = of({ apiVersion: "v1", kind: "Pod", spec: { containers: "app" } });
    expect(found?.question.malformed).to.have.length(1);
  });
  it("tells a mirror Pod by its own word, which the question does not take", () => {
    const metadata = { annotations: { "kubernetes.io/config.mirror": "abc" } };
    const pod = of({ apiVersion: "v1", kind: "Pod", metadata, spec });
    expect(pod).to.include({ mirrorPod: true });
    expect(pod?.question.mirrorPodOfNode).to.equal(false);
    const template = { template: { spec } };
    const deployment = { apiVersion: "apps/v1", kind: "Deployment", metadata, spec: template };
    expect(of(deployment)).to.include({ mirrorPod: false });
  });
});
