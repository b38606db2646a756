import { expect } from "chai";
import { applyPatch } from "rfc6902";
import { selfSigned, type IssuedCertificate } from "../../src/certificates/self-signed.ts";
import type { SpaceAnswer } from "../../src/domain/knowledge.ts";
import { builtInKinds } from "../../src/domain/pod-spec.ts";
import type { Mode } from "../../src/domain/policy.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { createAdmission, type Reviewed } from "../../src/http/admission.ts";
import type { LookUps } from "../../src/http/look-ups.ts";
import { startWebhookServer, type WebhookServer } from "../../src/http/server.ts";
import {
  presentPullSecrets,
  type PullSecrets,
  type PullSecretState,
} from "../../src/http/pull-secret-wait.ts";
import { silentLog } from "../../src/log.ts";
import { policyOf, readAt, registry, snapshotOf, space } from "../builders.ts";
import { createWebhookCaller, podReview, type WebhookCaller } from "../fakes/api-server.ts";
import { eventually } from "../eventually.ts";
import { recordedReview, recordedReviewNames } from "../fixtures.ts";

const managed = registry("managed", { spellings: ["harbor.test"] });

function snapshotIn(mode: Mode, unlistedRegistries: "deny" | "warn" = "deny"): Snapshot {
  return snapshotOf({
    policy: policyOf({
      registries: [managed],
      bindings: ["12 managed/team-a"],
      rest: { mode, unlistedRegistries, exemptNamespaces: new Set(["kube-system"]) },
    }),
    namespaces: { shop: "12", demo: "12", lab: "13", bare: null },
    catalogues: {
      managed: [space("platform", "public", 1), space("team-a", "private", 2), space("team-b", "private", 3)],
    },
  });
}

const open = "harbor.test/platform/app:1";
const bound = "harbor.test/team-a/app:1";
const closed = "harbor.test/team-b/app:1";

describe("the webhook over HTTPS", () => {
  let issued: IssuedCertificate;
  let server: WebhookServer;
  let caller: WebhookCaller;
  let snapshot = snapshotIn("enforce");
  let asked: string[] = [];
  let reviewed: Reviewed[] = [];
  let refusals: string[] = [];
  let warned: string[] = [];
  let pullSecrets: PullSecrets = presentPullSecrets;
  let spaceAnswer: (space: string, signal: AbortSignal) => Promise<SpaceAnswer>;
  const failing = { trusted: false, mustName: false };

  const lookUps: LookUps = {
    namespace(namespace) {
      asked.push(`namespace ${namespace}`);
      return Promise.resolve({ kind: "read", exists: namespace === "new", workspace: "12" });
    },
    space(registryName, name, namespace, signal) {
      asked.push(`space ${registryName}/${name} for ${namespace}`);
      return spaceAnswer(name, signal);
    },
    grant: () => Promise.reject(new Error("no grant is asked for here")),
  };
  const read = (answer: ReturnType<typeof space> | null): Promise<SpaceAnswer> =>
    Promise.resolve({ kind: "read", reading: { readAt: readAt + 1, space: answer } });

  before(async () => {
    issued = await selfSigned(["localhost"], Date.now());
    const needs = {
      snapshot: () => snapshot,
      lookUps,
      kinds: builtInKinds,
      guards: [],
      get pullSecretMustBeNamed() {
        return failing.mustName;
      },
      get askersAreTrusted() {
        return failing.trusted;
      },
      count: (one: Reviewed) => reviewed.push(one),
      countRefusal: (reason: string) => refusals.push(reason),
      countWarning: (reason: string) => warned.push(reason),
      pullSecrets: {
        state: (...asked: Parameters<PullSecrets["state"]>) => pullSecrets.state(...asked),
        arrival: (...asked: Parameters<PullSecrets["arrival"]>) => pullSecrets.arrival(...asked),
      },
      log: silentLog,
      now: () => performance.now(),
    };
    server = await startWebhookServer(
      { admission: createAdmission(needs), certificate: issued, log: silentLog },
      { port: 0, host: "localhost" },
    );
    caller = createWebhookCaller({ port: server.port, ca: issued.ca });
  });
  after(async () => {
    caller.close();
    await server.drain(0);
  });
  beforeEach(() => {
    snapshot = snapshotIn("enforce");
    asked = [];
    reviewed = [];
    refusals = [];
    warned = [];
    pullSecrets = presentPullSecrets;
    spaceAnswer = (name) => read(snapshot.catalogues.get("managed")?.spaces.get(name) ?? null);
    failing.trusted = false;
    failing.mustName = false;
  });

  async function validate(review: unknown) {
    const { status, response } = await caller.post("/validate?timeout=5s", review);
    expect(status, "a denial is HTTP 200 too").to.equal(200);
    if (response === undefined) throw new Error("no AdmissionReview came back");
    return response;
  }
  async function mutate(review: unknown) {
    const { status, response } = await caller.post("/mutate?timeout=5s", review);
    expect(status).to.equal(200);
    if (response === undefined) throw new Error("no AdmissionReview came back");
    expect(response.allowed, "/mutate always allows").to.equal(true);
    return response;
  }

  it("allows what is public, with audit annotations, and asks nobody outside", async () => {
    const response = await validate(podReview("bare", [open]));
    expect(response).to.deep.equal({
      uid: `uid-bare-${open}`,
      allowed: true,
      auditAnnotations: { verdict: "allow", reasons: "public-space", workspace: "", snapshot: "7" },
    });
    expect(asked).to.deep.equal([]);
  });

  it("refuses with code 403 and the message, in HTTP 200", async () => {
    const response = await validate(podReview("lab", [open, closed]));
    expect(response.allowed).to.equal(false);
    expect(response.status).to.include({ code: 403, reason: "Forbidden" });
    expect(response.status?.message).to.contain(
      'container "c1": image "harbor.test/team-b/app:1" is refused',
    );
    expect(response.auditAnnotations).to.deep.equal({
      verdict: "refuse",
      reasons: "public-space,space-not-bound",
      workspace: "13",
      snapshot: "7",
    });
    expect(refusals).to.deep.equal(["space-not-bound"]);
    expect(reviewed[0]).to.include({ path: "validate", operation: "CREATE", kind: "Pod", verdict: "refuse" });
  });

  it("tells an unknown space from a closed one in metrics only, unless its askers are trusted", async () => {
    const review = podReview("shop", ["harbor.test/ghost/app"]);
    const response = await validate(review);
    expect(response.auditAnnotations?.reasons).to.equal("space-not-bound");
    expect(refusals).to.deep.equal(["space-unknown"]);
    failing.trusted = true;
    expect((await validate(review)).auditAnnotations?.reasons).to.equal("space-unknown");
  });

  it("injects the pull secret into a Pod that needs it, and touches nothing else", async () => {
    const review = podReview("shop", [bound]);
    const { patch, patchType } = await mutate(review);
    expect(patchType).to.equal("JSONPatch");
    const pod = structuredClone(review.request.object);
    expect(applyPatch(pod, [...(patch ?? [])])).to.deep.equal([null]);
    expect(pod).to.deep.equal({
      ...review.request.object,
      spec: { containers: [{ name: "c0", image: bound }], imagePullSecrets: [{ name: "berth-pull" }] },
    });
  });

  it("warns when the Pod's service account will not let it use the secret", async () => {
    snapshot = { ...snapshot, strictServiceAccounts: new Set(["shop/default", "shop/strict"]) };
    const named = podReview("shop", [bound]);
    const spec = { ...(named.request.object?.["spec"] as object), serviceAccountName: "lenient" };
    const lenient = { ...named, request: { ...named.request, object: { ...named.request.object, spec } } };
    expect((await mutate(named)).warnings?.join(" ")).to.contain(
      'service account "default" has the annotation',
    );
    expect((await mutate(named)).patch, "the API server judges, not Berth").to.have.length(1);
    expect((await mutate(lenient)).warnings).to.equal(undefined);
    expect((await mutate(podReview("shop", [open]))).warnings, "nothing is added").to.equal(undefined);
  });

  describe("when the Pod is faster than its pull secret", () => {
    let known: string[];
    let state: PullSecretState;
    /** The wait of one review ends when this is called. */
    let arrive: (state: PullSecretState) => void;
    let signals: AbortSignal[];

    beforeEach(() => {
      known = [];
      state = "missing";
      signals = [];
      pullSecrets = {
        state(...asked) {
          known.push(JSON.stringify(asked));
          return state;
        },
        arrival: (_namespace, _workspace, _needs, signal) =>
          new Promise((resolve) => {
            signals.push(signal);
            arrive = (arrived) => {
              state = arrived;
              resolve(arrived);
            };
            signal.addEventListener("abort", () => resolve(state));
          }),
      };
    });

    it("/mutate waits until it is there", async () => {
      let answered = false;
      const waiting = mutate(podReview("shop", [bound])).then((response) => {
        answered = true;
        return response;
      });
      await eventually(() => signals.length === 1);
      expect(answered).to.equal(false);
      arrive("current");
      expect((await waiting).patch).to.have.length(1);
      expect(known).to.deep.equal(['["shop","12",[{"registry":"managed","space":"team-a"}]]']);
    });

    it("/mutate does not wait past the request's own deadline, and then lets the Pod go", async () => {
      const { response } = await caller.post("/mutate?timeout=600ms", podReview("shop", [bound]));
      expect(response?.patch).to.have.length(1);
      expect(signals.map(({ aborted }) => aborted)).to.deep.equal([true]);
    });

    it("knows the workspace of a namespace from its look-up", async () => {
      state = "current";
      await mutate(podReview("new", [bound]));
      expect(known).to.deep.equal(['["new","12",[{"registry":"managed","space":"team-a"}]]']);
    });

    const unasked: [title: string, review: unknown][] = [
      ["a dry run, for which none is written", podReview("shop", [bound], { dryRun: true })],
      ["a Pod that needs none", podReview("shop", [open])],
      ["a Pod that is refused", podReview("shop", [bound, closed])],
      ["a mirror Pod", mirrorPod("somebody", [])],
      ["an update", podReview("shop", [bound], { operation: "UPDATE" })],
    ];
    for (const [title, review] of unasked) {
      it(`neither waits nor warns for ${title}`, async () => {
        await mutate(review);
        const { warnings = [] } = await validate(review);
        expect(warnings.join(" ")).to.not.contain("pull secret berth-pull is not");
        expect([...known, ...signals, ...warned]).to.deep.equal([]);
      });
    }

    for (const found of ["missing", "outdated"] as const) {
      it(`/validate admits with a warning, a code and a count when it is still ${found}`, async () => {
        state = found;
        const response = await validate(podReview("shop", [bound, bound]));
        expect(response.allowed).to.equal(true);
        expect(response.warnings).to.have.length(1);
        expect(response.warnings?.[0]).to.match(/^pull secret berth-pull is not .* yet: /);
        expect(response.auditAnnotations).to.include({
          verdict: "allow",
          reasons: "bound-space,pull-secret-missing",
        });
        expect(warned).to.deep.equal(["pull-secret-missing"]);
        expect(signals, "and does not wait").to.deep.equal([]);
      });
    }

    it("/validate says nothing when it is there", async () => {
      state = "current";
      expect((await validate(podReview("shop", [bound]))).warnings).to.equal(undefined);
      expect(warned).to.deep.equal([]);
    });

    it("waits and warns for the image that is allowed where refusals do not hold", async () => {
      snapshot = snapshotIn("warn");
      const review = podReview("shop", [bound, closed]);
      const waiting = mutate(review);
      await eventually(() => signals.length === 1);
      arrive("outdated");
      await waiting;
      const { warnings = [], auditAnnotations } = await validate(review);
      expect(warnings.at(-1)).to.contain("pull secret berth-pull is not up to date yet");
      expect(auditAnnotations?.reasons).to.equal("bound-space,space-not-bound,pull-secret-missing");
      snapshot = snapshotIn("audit");
      expect(await validate(review)).to.not.have.property("warnings");
      expect(warned).to.deep.equal(["pull-secret-missing", "pull-secret-missing"]);
    });
  });

  const unpatched: [title: string, review: unknown][] = [
    ["a Pod that needs none", podReview("shop", [open])],
    ["a Pod of which one image is refused", podReview("shop", [bound, closed])],
    [
      "an update, since the list cannot be changed any more",
      podReview("shop", [bound], { operation: "UPDATE" }),
    ],
    ["a deletion", podReview("shop", [bound], { operation: "DELETE", object: null })],
    ["an exempt namespace", podReview("kube-system", [bound])],
    [
      "a workload's template, since that would silence the service account's own",
      recordedReview("deployment-create"),
    ],
    ["a mirror Pod, since it may refer to no Secret", mirrorPod("system:node:one", ["system:nodes"])],
    ["a mirror Pod of anybody", mirrorPod("somebody", [])],
    ["a review of an odd shape", podReview("shop", [bound], { object: "text" })],
  ];
  for (const [title, review] of unpatched) {
    it(`patches nothing for ${title}`, async () => {
      const response = await mutate(review);
      expect(response.patch).to.equal(undefined);
      expect(response).to.not.have.property("patchType");
    });
  }

  function mirrorPod(username: string, groups: readonly string[]) {
    const review = podReview("shop", [bound, closed], { userInfo: { username, groups } });
    const metadata = { name: "static", annotations: { "kubernetes.io/config.mirror": "hash" } };
    return { ...review, request: { ...review.request, object: { ...review.request.object, metadata } } };
  }

  it("lets a node's mirror Pod be, and judges one that somebody else makes", async () => {
    expect(await validate(mirrorPod("system:node:one", ["system:nodes"]))).to.include({ allowed: true });
    expect((await validate(mirrorPod("system:node:one", []))).allowed, "the name alone is no node").to.equal(
      false,
    );
    expect((await validate(mirrorPod("somebody", ["system:nodes"]))).allowed).to.equal(false);
  });

  it("refuses a Pod that needs the pull secret and does not name it, where /mutate was asked before", async () => {
    const review = podReview("shop", [bound]);
    expect((await validate(review)).allowed, "with --from nobody mutates").to.equal(true);
    failing.mustName = true;
    expect((await validate(review)).auditAnnotations?.reasons).to.equal(
      "bound-space,pull-secret-not-injected",
    );
    const { patch } = await mutate(review);
    applyPatch(review.request.object, [...(patch ?? [])]);
    expect((await validate(review)).allowed).to.equal(true);
    expect((await validate(podReview("shop", [open]))).allowed, "a Pod that needs none").to.equal(true);
    expect((await validate(podReview("shop", [bound], { operation: "UPDATE" }))).allowed).to.equal(true);
  });

  describe("on an update", () => {
    const update = (
      images: readonly string[],
      old: readonly string[],
      more: Readonly<Record<string, unknown>> = {},
    ) =>
      podReview("lab", images, {
        operation: "UPDATE",
        oldObject: podReview("lab", old).request.object,
        ...more,
      });

    it("judges only images that were not there before, wherever they stood", async () => {
      expect((await validate(update([closed, open], [open, closed]))).allowed).to.equal(true);
      expect((await validate(update([closed], [closed]))).auditAnnotations?.reasons).to.equal("unchanged");
      expect((await validate(update([closed], [open]))).allowed).to.equal(false);
      expect((await validate(update([closed, `${closed}2`], [closed]))).allowed).to.equal(false);
    });
    it("judges an object that is being deleted like any other", async () => {
      const review = update([closed], [open]);
      const metadata = { name: "pod", deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: ["x/y"] };
      const dying = {
        ...review,
        request: { ...review.request, object: { ...review.request.object, metadata } },
      };
      expect((await validate(dying)).allowed).to.equal(false);
    });
    it("judges all images when there is no old object to compare with", async () => {
      expect((await validate(update([closed], [], { oldObject: null }))).allowed).to.equal(false);
    });
    it("judges ephemeral containers", async () => {
      const review = recordedReview("pod-update-ephemeral-containers");
      expect((await validate(review)).allowed).to.equal(false);
    });
    it("does not hold what was malformed before against the update", async () => {
      const odd = { metadata: {}, spec: { containers: "text" } };
      expect((await validate(update([], [], { object: odd, oldObject: odd }))).allowed).to.equal(true);
      expect((await validate(update([], [], { object: odd }))).allowed).to.equal(false);
    });
  });

  const passing: [title: string, review: unknown][] = [
    ["a deletion", recordedReview("pod-delete")],
    ["a connection", podReview("lab", [closed], { operation: "CONNECT" })],
    [
      "a binding",
      podReview("lab", [], { kind: { group: "", version: "v1", kind: "Binding" }, subResource: "binding" }),
    ],
    [
      "a scale",
      podReview("lab", [], {
        kind: { group: "autoscaling", version: "v1", kind: "Scale" },
        subResource: "scale",
        operation: "UPDATE",
      }),
    ],
  ];
  for (const [title, review] of passing) {
    it(`lets pass what brings no image: ${title}`, async () => {
      expect((await validate(review)).allowed).to.equal(true);
    });
  }

  it("warns of a bound image that comes into a Pod made without the pull secret", async () => {
    const old = podReview("shop", [open]).request.object;
    const update = { operation: "UPDATE", oldObject: old };
    const edited = await validate(podReview("shop", [bound], update));
    expect(edited.allowed).to.equal(true);
    expect(edited.warnings?.join(" ")).to.contain('made without pull secret "berth-pull"');
    const debug = await validate(
      podReview("shop", [open, bound], { ...update, subResource: "ephemeralcontainers" }),
    );
    expect(debug.warnings?.join(" ")).to.contain('container "c1": this Pod was made without');
    const same = await validate(
      podReview("shop", [bound], {
        operation: "UPDATE",
        oldObject: podReview("shop", [bound]).request.object,
      }),
    );
    expect(same.warnings, "an image that was there before").to.equal(undefined);
    const named = podReview("shop", [bound], update);
    applyPatch(named.request.object, [
      { op: "add", path: "/spec/imagePullSecrets", value: [{ name: "berth-pull" }] },
    ]);
    expect((await validate(named)).warnings, "a Pod that names it").to.equal(undefined);
  });

  describe("look-ups before a refusal", () => {
    it("a space made public a moment ago is open at once", async () => {
      spaceAnswer = () => read(space("fresh", "public", 9));
      expect((await validate(podReview("bare", ["harbor.test/fresh/app"]))).allowed).to.equal(true);
      expect(asked).to.deep.equal(["space managed/fresh for bare"]);
    });
    it("a namespace younger than its watch event is read live, then judged", async () => {
      expect((await validate(podReview("new", [bound]))).allowed).to.equal(true);
      expect((await mutate(podReview("new", [bound]))).patch).to.have.length(1);
      expect((await validate(podReview("newer", [bound]))).allowed).to.equal(false);
      expect(asked).to.deep.equal([
        "namespace new",
        "namespace new",
        "namespace newer",
        "space managed/team-a for newer",
      ]);
    });
    it("a look-up that fails refuses, and says to try again", async () => {
      spaceAnswer = () => Promise.reject(new Error("Harbor is down"));
      const response = await validate(podReview("lab", [closed]));
      expect(response.status?.message).to.contain("try again");
    });
    it("a look-up that never answers is given up before the deadline", async () => {
      spaceAnswer = () => new Promise(() => undefined);
      const { response } = await caller.post("/validate?timeout=600ms", podReview("lab", [closed]));
      expect(response?.allowed).to.equal(false);
      expect(response?.status?.message).to.contain("could not be asked just now");
    });
    it("is told when nobody waits any more", async () => {
      let aborted = false;
      spaceAnswer = (_name, signal) =>
        new Promise(() => signal.addEventListener("abort", () => (aborted = true)));
      await caller.post("/validate?timeout=510ms", podReview("lab", [closed]));
      expect(aborted).to.equal(true);
    });
  });

  describe("in warn and audit mode", () => {
    it("warn lets pass, and warns with what enforce would have said, in short ASCII lines", async () => {
      snapshot = snapshotIn("warn");
      const response = await validate(podReview("lab", [closed]));
      expect(response.allowed).to.equal(true);
      expect(response.warnings?.join(" ")).to.match(
        /^would be refused: container "c0": image "harbor.test\/team-b\/app:1"/,
      );
      for (const warning of response.warnings ?? []) expect(warning).to.match(/^[\x20-\x7e]{1,120}$/);
      expect(response.auditAnnotations).to.include({ verdict: "refuse", reasons: "space-not-bound" });
      expect(refusals).to.deep.equal(["space-not-bound"]);
      expect(reviewed[0]).to.include({ verdict: "refuse" });
    });
    it("audit lets pass without a word to the user", async () => {
      snapshot = snapshotIn("audit");
      const response = await validate(podReview("lab", [closed]));
      expect(response).to.include({ allowed: true });
      expect(response.warnings).to.equal(undefined);
      expect(response.auditAnnotations).to.include({ verdict: "refuse" });
      expect(refusals).to.deep.equal(["space-not-bound"]);
    });
    it("the pull secret is injected for the image that is allowed", async () => {
      snapshot = snapshotIn("warn");
      expect((await mutate(podReview("shop", [bound, closed]))).patch).to.have.length(1);
      expect((await mutate(podReview("shop", [open, closed]))).patch).to.equal(undefined);
    });
    it("a hundred refusals stay within the API server's limit for warnings", async () => {
      snapshot = snapshotIn("warn");
      const images = Array.from({ length: 100 }, (_, index) => `quay.io/x/app:${String(index)}`);
      const { warnings = [] } = await validate(podReview("lab", images));
      expect(warnings.join("").length).to.be.below(4_096);
      expect(warnings.at(-1)).to.match(/more refused\)$/);
    });
  });

  it("warns about a spelling that the kubelet finds no key for, and about unlisted hosts where the policy says so", async () => {
    const spelled = await validate(podReview("shop", ["HARBOR.test/team-a/app"]));
    expect(spelled.warnings?.join(" ")).to.contain('write the host as "harbor.test"');
    expect(spelled.auditAnnotations?.reasons).to.equal("bound-space,pull-secret-does-not-match");
    expect(warned).to.deep.equal(["pull-secret-does-not-match"]);
    warned = [];
    const refused = await validate(podReview("shop", ["HARBOR.test/team-a/app", closed]));
    expect(refused.auditAnnotations?.reasons, "a Pod that does not come to be").to.equal(
      "bound-space,space-not-bound",
    );
    expect(warned).to.deep.equal([]);
    snapshot = snapshotIn("enforce", "warn");
    const unlisted = await validate(podReview("shop", ["quay.io/x"]));
    expect(unlisted.allowed).to.equal(true);
    expect(unlisted.warnings?.join(" ")).to.contain('"quay.io"');
  });

  describe("bad input", () => {
    const huge = (bytes: number) => JSON.stringify(podReview("shop", ["x".repeat(bytes)]));
    const undecodable: [title: string, body: unknown][] = [
      ["an empty body", ""],
      ["a blank body", "  \n"],
      ["bytes that are no UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d])],
      ["half a body", JSON.stringify(podReview("shop", [open])).slice(0, 200)],
      ["HTML", "<html></html>"],
      ["null", "null"],
      ["a list", []],
      ["another kind", { ...podReview("shop", [open]), kind: "Pod" }],
      ["version v1beta1", { ...podReview("shop", [open]), apiVersion: "admission.k8s.io/v1beta1" }],
      ["no request", { kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1" }],
      [
        "a request that is text",
        { kind: "AdmissionReview", apiVersion: "admission.k8s.io/v1", request: "x" },
      ],
      ["no uid", podReview("shop", [open], { uid: undefined })],
      ["a uid that is a number", podReview("shop", [open], { uid: 3 })],
      ["a uid of a megabyte", podReview("shop", [open], { uid: "u".repeat(1_000_000) })],
      ["a hundred thousand brackets", "[".repeat(100_000)],
    ];
    for (const path of ["/validate", "/mutate"]) {
      for (const [title, body] of undecodable) {
        it(`${path} answers 400 with a sentence to ${title}`, async () => {
          const { status, text, response } = await caller.post(path, body);
          expect(status).to.equal(400);
          expect(response).to.equal(undefined);
          expect(text).to.match(/^Berth answers AdmissionReviews only: .{5,80}\n$/);
        });
      }
    }

    const odd: [title: string, more: Readonly<Record<string, unknown>>][] = [
      ["no object", { object: null }],
      ["an object that is a list", { object: [] }],
      ["an old object that is text", { operation: "UPDATE", oldObject: "x" }],
      ["no namespace", { namespace: undefined }],
      ["a namespace that is a number", { namespace: 4 }],
      ["no operation", { operation: undefined }],
      ["an unknown operation", { operation: "PATCH" }],
      ["no kind", { kind: undefined }],
      ["no resource", { resource: undefined }],
      ["a kind that Berth does not know", { kind: { group: "x.test", version: "v1", kind: "Thing" } }],
      ["containers that are text", { object: { spec: { containers: "nginx" } } }],
      ["an image that is a list", { object: { spec: { containers: [{ image: [] }] } } }],
      ["userInfo whose name is a list", { userInfo: { username: [] } }],
    ];
    for (const [title, more] of odd) {
      it(`refuses, as malformed, a review with ${title}`, async () => {
        const response = await validate(podReview("shop", [open], more));
        expect(response.uid).to.equal(`uid-shop-${open}`);
        expect(response.allowed).to.equal(false);
        expect(response.auditAnnotations?.reasons).to.equal("malformed-object");
        expect(response.status?.message).to.match(/^[\x20-\x7e]+$/);
      });
    }

    it("takes 7 MiB and turns more away with 413", async () => {
      const fits = await caller.post("/validate", huge(7 * 1024 * 1024 - 1_000));
      expect(fits.response?.auditAnnotations?.reasons).to.equal("malformed-image");
      expect(fits.response?.status?.message.length).to.be.below(1_024);
      const tooMuch = await caller.post("/validate", huge(7 * 1024 * 1024 + 1));
      expect(tooMuch.status).to.equal(413);
    });
    it("knows two paths and one method, and never redirects", async () => {
      expect((await caller.post("/", podReview("shop", [open]))).status).to.equal(404);
      expect((await caller.post("/validate/", podReview("shop", [open]))).status).to.equal(404);
      expect((await caller.post("/validate", podReview("shop", [open]), { method: "PUT" })).status).to.equal(
        405,
      );
    });
    it("goes on answering after all that", async () => {
      expect((await validate(podReview("shop", [open]))).allowed).to.equal(true);
    });
  });

  for (const name of recordedReviewNames) {
    it(`answers the recorded review ${name} with its uid, on both paths`, async () => {
      const review = recordedReview(name);
      for (const path of ["/validate", "/mutate"]) {
        const { status, response } = await caller.post(`${path}?timeout=10s`, review);
        expect(status).to.equal(200);
        expect(response?.uid).to.equal(review.request.uid);
      }
    });
  }
});
