import { expect } from "chai";
import { builtInKinds, podSpecPath } from "../../src/domain/pod-spec.ts";
import type { Review } from "../../src/http/admission-review.ts";
import { questionOf } from "../../src/http/workload-question.ts";

const jobSet = "jobset.x-k8s.io/JobSet";
const kinds = new Map([...builtInKinds, [jobSet, [podSpecPath("spec.jobs[].template.spec")]]]);

function malformedOnUpdate(kind: string, oldObject: Review["object"], object: Review["object"]): number {
  const review: Review = {
    uid: "uid",
    operation: "UPDATE",
    kind,
    resource: "",
    subResource: "",
    namespace: "shop",
    name: "x",
    username: "somebody",
    userInfo: {},
    dryRun: false,
    object,
    oldObject,
  };
  return questionOf({ kinds, pullSecretMustBeNamed: true }, "validate", review)?.malformed.length ?? 0;
}

const pod = (spec: unknown, more: object = {}) => ({ metadata: { name: "x" }, spec, ...more });
const image = { image: "evil.example/app" };
const many = Array<unknown>(10_001).fill({ image: "a" });

describe("what was malformed before an update", () => {
  const held: [title: string, oldSpec: unknown, spec: unknown][] = [
    ["an image comes where a list should be", { containers: {} }, { containers: { 0: image } }],
    ["an image comes into what should be an object", { containers: [[]] }, { containers: [[image]] }],
    ["text is replaced by other text", { containers: "x" }, { containers: "y" }],
    [
      "another field is malformed, behind those that are listed",
      { containers: [1, 2, 3, 4, 5] },
      { containers: [1, 2, 3, 4, 5, [image]] },
    ],
    ["an image comes after ten thousand", { containers: many }, { containers: [...many, image] }],
    ["a well-formed image comes beside it", { volumes: 1 }, { volumes: 1, containers: [image] }],
    ["a member goes", { containers: { a: 1, b: 2 } }, { containers: { a: 1 } }],
    ["a list becomes an object", { containers: [["a"]] }, { containers: [{ 0: "a", image: [] }] }],
  ];
  for (const [title, before, after] of held) {
    it(`is held against it when ${title}`, () => {
      expect(malformedOnUpdate("/Pod", pod(before), pod(after))).to.be.greaterThan(0);
    });
  }

  const odd = { containers: { 0: image }, volumes: "x", deep: [{ a: [null, 1, "x"] }] };
  it("is not held against it when the pod spec stays as it was, whatever the order of its members", () => {
    const { deep, volumes, containers } = structuredClone(odd);
    const same = { volumes, deep, containers };
    expect(malformedOnUpdate("/Pod", pod(odd), pod(same, { metadata: { finalizers: [] } }))).to.equal(0);
    const template = (spec: unknown, replicas: number) => pod({ replicas, template: { spec } });
    expect(malformedOnUpdate("apps/Deployment", template(odd, 1), template(same, 2)), "scaled").to.equal(0);
  });
  it("is told of kinds with lists of templates likewise", () => {
    const jobs = (...specs: unknown[]) => pod({ jobs: specs.map((spec) => ({ template: { spec } })) });
    expect(malformedOnUpdate(jobSet, jobs(odd), jobs(odd))).to.equal(0);
    expect(malformedOnUpdate(jobSet, jobs(odd), jobs({ ...odd, volumes: [[image]] }))).to.be.greaterThan(0);
    expect(malformedOnUpdate(jobSet, pod({ jobs: "x" }), pod({ jobs: "x" }))).to.equal(0);
    expect(malformedOnUpdate(jobSet, pod("x"), pod("y"))).to.be.greaterThan(0);
  });
});
