import { expect } from "chai";
import { applyPatch } from "rfc6902";
import {
  builtInKinds,
  groupOf,
  isMirrorPod,
  parseCustomKinds,
  podSpecPath,
  pullSecretNames,
  pullSecretPatch,
  readWorkload,
  serviceAccountOf,
} from "../../src/domain/pod-spec.ts";
import { recordedReview, recordedReviewNames } from "../fixtures.ts";

const read = (kind: string, object: unknown) => readWorkload(builtInKinds.get(kind) ?? [], object);
const paths = (kind: string, object: unknown) => read(kind, object).images.map((use) => use.path);

const podSpec = {
  initContainers: [{ name: "sidecar", image: "a", restartPolicy: "Always" }],
  containers: [
    { name: "app", image: "b" },
    { name: "other", image: "c" },
  ],
  ephemeralContainers: [{ name: "debug", image: "d" }],
  volumes: [
    { name: "model", image: { reference: "e" } },
    { name: "tmp", emptyDir: {} },
  ],
};
const places = [
  "initContainers[0].image",
  "containers[0].image",
  "containers[1].image",
  "ephemeralContainers[0].image",
  "volumes[0].image.reference",
];

describe("readWorkload", () => {
  const wrap: Readonly<Record<string, [prefix: string, object: unknown]>> = {
    "/Pod": ["spec", { spec: podSpec }],
    "/PodTemplate": ["template.spec", { template: { spec: podSpec } }],
    "/ReplicationController": ["spec.template.spec", { spec: { template: { spec: podSpec } } }],
    "apps/Deployment": ["spec.template.spec", { spec: { template: { spec: podSpec } } }],
    "apps/StatefulSet": ["spec.template.spec", { spec: { template: { spec: podSpec } } }],
    "apps/DaemonSet": ["spec.template.spec", { spec: { template: { spec: podSpec } } }],
    "apps/ReplicaSet": ["spec.template.spec", { spec: { template: { spec: podSpec } } }],
    "batch/Job": ["spec.template.spec", { spec: { template: { spec: podSpec } } }],
    "batch/CronJob": [
      "spec.jobTemplate.spec.template.spec",
      { spec: { jobTemplate: { spec: { template: { spec: podSpec } } } } },
    ],
  };
  for (const [kind, [prefix, object]] of Object.entries(wrap)) {
    it(`finds every image of ${kind}, in the order of the spec, with its place`, () => {
      expect(paths(kind, object)).to.deep.equal(places.map((place) => `${prefix}.${place}`));
      expect(read(kind, object).malformed).to.deep.equal([]);
    });
  }

  it("names the container or the volume, for messages", () => {
    const { images } = read("/Pod", { spec: podSpec });
    expect(images.map((use) => use.container)).to.deep.equal(["sidecar", "app", "other", "debug", "model"]);
  });

  it("steps into every element of a list that a path names", () => {
    const path = podSpecPath("spec.replicatedJobs[].template.spec.template.spec");
    const job = (image: string) => ({
      template: { spec: { template: { spec: { containers: [{ image }] } } } },
    });
    const { images } = readWorkload([path], { spec: { replicatedJobs: [job("a"), job("b")] } });
    expect(images.map((use) => `${use.path}=${use.image}`)).to.deep.equal([
      "spec.replicatedJobs[0].template.spec.template.spec.containers[0].image=a",
      "spec.replicatedJobs[1].template.spec.template.spec.containers[0].image=b",
    ]);
  });

  const calm: [title: string, spec: unknown][] = [
    ["no spec", undefined],
    ["a null spec", null],
    ["no lists", {}],
    ["null lists", { containers: null, initContainers: null, ephemeralContainers: null, volumes: null }],
    ["empty lists", { containers: [], volumes: [] }],
    ["an absent, a null and an empty image", { containers: [{}, { image: null }, { image: "" }] }],
    [
      "an image volume without reference",
      { volumes: [{ image: {} }, { image: null }, { image: { reference: null } }] },
    ],
    ["images that are none: rbd, status", { volumes: [{ rbd: { image: "disk" } }] }],
  ];
  for (const [title, spec] of calm) {
    it(`leaves to the API server: ${title}`, () => {
      expect(read("/Pod", { spec })).to.deep.equal({ images: [], malformed: [] });
    });
  }

  const wrong: [spec: unknown, expected: string][] = [
    ["text", "spec: expected an object, got text"],
    [[], "spec: expected an object, got a list"],
    [{ containers: "x" }, "spec.containers: expected a list, got text"],
    [{ containers: { 0: { image: "x" } } }, "spec.containers: expected a list, got an object"],
    [{ initContainers: 3 }, "spec.initContainers: expected a list, got a number"],
    [{ ephemeralContainers: true }, "spec.ephemeralContainers: expected a list, got true or false"],
    [{ volumes: "x" }, "spec.volumes: expected a list, got text"],
    [{ containers: ["nginx"] }, "spec.containers[0]: expected an object, got text"],
    [{ containers: [null] }, "spec.containers[0]: expected an object, got null"],
    [{ containers: [{ image: ["nginx"] }] }, "spec.containers[0].image: expected text, got a list"],
    [
      { containers: [{ image: { toString: "nginx" } }] },
      "spec.containers[0].image: expected text, got an object",
    ],
    [{ volumes: [{ image: "nginx" }] }, "spec.volumes[0].image: expected an object, got text"],
    [
      { volumes: [{ image: { reference: 1 } }] },
      "spec.volumes[0].image.reference: expected text, got a number",
    ],
  ];
  for (const [spec, expected] of wrong) {
    it(`finds malformed: ${expected}`, () => {
      expect(read("/Pod", { spec }).malformed).to.deep.equal([expected]);
    });
  }

  it("says so of an object that is none, and of a list that is none on the way", () => {
    expect(read("/Pod", "x").malformed).to.deep.equal(["the object: expected an object, got text"]);
    const path = podSpecPath("spec.jobs[].template");
    expect(readWorkload([path], { spec: { jobs: {} } }).malformed).to.deep.equal([
      "spec.jobs: expected a list, got an object",
    ]);
    expect(readWorkload([path], { spec: { jobs: null } }).malformed).to.deep.equal([]);
  });

  it("lists a few malformed fields and no more", () => {
    expect(read("/Pod", { spec: { containers: Array(1_000).fill(7) } }).malformed).to.have.length(5);
  });

  it("refuses more images than any real object holds", () => {
    const { images, malformed } = read("/Pod", { spec: { containers: Array(10_001).fill({ image: "a" }) } });
    expect(images).to.have.length(10_000);
    expect(malformed).to.deep.equal(["more than 10000 images"]);
  });

  it("names of the prototype are no fields", () => {
    expect(
      read("/Pod", JSON.parse('{"__proto__": {"spec": {"containers": [{"image": "x"}]}}}')).images,
    ).to.deep.equal([]);
  });

  it("tells the group of an apiVersion", () => {
    expect(["v1", "apps/v1", "batch/v1beta1"].map(groupOf)).to.deep.equal(["", "apps", "batch"]);
  });
});

describe("parseCustomKinds", () => {
  // The ready examples of the documentation.
  const examples = `
    jobset.x-k8s.io/JobSet=spec.replicatedJobs[].template.spec.template.spec,
    leaderworkerset.x-k8s.io/LeaderWorkerSet=spec.leaderWorkerTemplate.leaderTemplate.spec,
    leaderworkerset.x-k8s.io/LeaderWorkerSet=spec.leaderWorkerTemplate.workerTemplate.spec,
    argoproj.io/Rollout=spec.template.spec,
    apps.kruise.io/CloneSet=spec.template.spec,
    serving.knative.dev/Service=spec.template.spec`;

  it("reads kinds and their paths, several for one kind", () => {
    const kinds = parseCustomKinds(examples);
    expect([...(kinds?.keys() ?? [])]).to.deep.equal([
      "jobset.x-k8s.io/JobSet",
      "leaderworkerset.x-k8s.io/LeaderWorkerSet",
      "argoproj.io/Rollout",
      "apps.kruise.io/CloneSet",
      "serving.knative.dev/Service",
    ]);
    const template = (image: string) => ({ spec: { containers: [{ image }] } });
    const set = {
      spec: { leaderWorkerTemplate: { leaderTemplate: template("a"), workerTemplate: template("b") } },
    };
    const { images } = readWorkload(kinds?.get("leaderworkerset.x-k8s.io/LeaderWorkerSet") ?? [], set);
    expect(images.map(({ image }) => image)).to.deep.equal(["a", "b"]);
  });
  it("reads none from an empty text", () => expect(parseCustomKinds("")?.size).to.equal(0));

  const wrong = [
    "Rollout=spec.template.spec",
    "argoproj.io/Rollout",
    "argoproj.io/Rollout=",
    "argoproj.io/rollout=spec",
    "argoproj.io/Rollout=spec..spec",
    "argoproj.io/Rollout=spec[0].spec",
    "apps/Deployment=spec.nowhere",
    Array.from({ length: 101 }, (_, index) => `x.test/K${String(index)}=spec`).join(","),
  ];
  for (const text of wrong) {
    it(`cannot read ${text.slice(0, 40)}`, () => expect(parseCustomKinds(text)).to.equal(undefined));
  }
});

describe("pullSecretPatch", () => {
  const name = "berth-pull";
  const cases: [title: string, pullSecrets: unknown, expected: unknown][] = [
    ["missing", undefined, [{ name }]],
    ["null", null, [{ name }]],
    ["empty", [], [{ name }]],
    ["another one there", [{ name: "mine" }], [{ name: "mine" }, { name }]],
    ["an odd entry there", [{}, null], [{}, null, { name }]],
    ["already there", [{ name: "mine" }, { name }], [{ name: "mine" }, { name }]],
  ];
  for (const [title, pullSecrets, expected] of cases) {
    it(`${title}: adds the name once, by add alone, and changes nothing else`, () => {
      const before = {
        apiVersion: "v1",
        metadata: { name: "x", annotations: { unknown: "field" } },
        spec: { containers: [{ image: "a" }], future: { field: [1] }, imagePullSecrets: pullSecrets },
      };
      const pod = JSON.parse(JSON.stringify(before)) as typeof before;
      const patch = pullSecretPatch(pod, name);
      if (patch !== undefined) {
        expect(patch.op).to.equal("add");
        expect(applyPatch(pod, [patch])).to.deep.equal([null]);
      }
      expect(pod).to.deep.equal({ ...before, spec: { ...before.spec, imagePullSecrets: expected } });
      expect(pullSecretPatch(pod, name), "applied twice changes nothing").to.equal(undefined);
      expect(pullSecretNames(pod)).to.include(name);
    });
  }

  for (const odd of ["text", 3, {}]) {
    it(`leaves imagePullSecrets of a wrong type alone: ${JSON.stringify(odd)}`, () => {
      expect(pullSecretPatch({ spec: { imagePullSecrets: odd } }, name)).to.equal(undefined);
    });
  }

  it("tells the account that a Pod runs as, and which Pods are mirrors", () => {
    expect(serviceAccountOf({ spec: { serviceAccountName: "builder" } })).to.equal("builder");
    for (const pod of [
      {},
      null,
      { spec: {} },
      { spec: { serviceAccountName: "" } },
      { spec: { serviceAccountName: 3 } },
    ]) {
      expect(serviceAccountOf(pod)).to.equal("default");
    }
    const annotated = (annotations: unknown) => isMirrorPod({ metadata: { annotations } });
    expect(annotated({ "kubernetes.io/config.mirror": "" })).to.equal(true);
    expect(annotated({ other: "x" })).to.equal(false);
    expect(annotated(null)).to.equal(false);
    expect(isMirrorPod({})).to.equal(false);
  });

  it("has nothing to add where there is no Pod spec", () => {
    expect(pullSecretPatch({}, name)).to.equal(undefined);
    expect(pullSecretPatch(null, name)).to.equal(undefined);
    expect(pullSecretNames({ spec: null })).to.deep.equal([]);
  });
});

describe("recorded objects", () => {
  const withoutPodSpec = ["Namespace", "ConfigMap"];
  for (const name of recordedReviewNames) {
    const { request } = recordedReview(name);
    if (withoutPodSpec.includes(request.kind.kind) || request.object === null) continue;
    it(`${name}: is well formed`, () => {
      const { images, malformed } = read(`${request.kind.group}/${request.kind.kind}`, request.object);
      expect(malformed).to.deep.equal([]);
      if (name !== "pod-create-blank-and-missing-image") expect(images).to.not.be.empty;
    });
  }
});
