import { expect } from "chai";
import type { Right } from "../../src/domain/workspace-guard.ts";
import type { PolicyProblem } from "../../src/domain/policy.ts";
import { builtInKinds } from "../../src/domain/pod-spec.ts";
import { createAdmission } from "../../src/http/admission.ts";
import { createNamespaceGuard } from "../../src/http/namespace-guard.ts";
import { createPolicyGuard, policyWorkerUrl, type PolicyText } from "../../src/http/policy-guard.ts";
import { presentPullSecrets } from "../../src/http/pull-secret-wait.ts";
import { silentLog } from "../../src/log.ts";
import { createWorkerDesk, type WorkerDesk } from "../../src/worker-desk.ts";
import { policyOf, snapshotOf } from "../builders.ts";
import { recordedReview } from "../fixtures.ts";

const label = "workspace.ghippo.io/id";

interface Given {
  readonly operation?: string;
  readonly name?: string;
  readonly subResource?: string;
  readonly old?: Record<string, string> | null;
  readonly labels?: unknown;
}

function namespaceReview({ operation = "UPDATE", name = "shop", subResource, old = {}, labels = {} }: Given) {
  const object = (of: unknown) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels: of } });
  return {
    kind: "AdmissionReview",
    apiVersion: "admission.k8s.io/v1",
    request: {
      uid: "uid",
      kind: { group: "", version: "v1", kind: "Namespace" },
      resource: { group: "", version: "v1", resource: "namespaces" },
      ...(subResource === undefined ? {} : { subResource }),
      name,
      namespace: name,
      operation,
      userInfo: { username: "mallory", uid: "7", groups: ["tenants"] },
      object: object(labels),
      oldObject: operation === "CREATE" ? null : object(old),
    },
  };
}

describe("the guards", () => {
  let asked: string[] = [];
  let held = new Set<string>();
  let failing = false;
  let mode: "enforce" | "warn" | "audit" = "enforce";
  let enforced = true;
  let desk: WorkerDesk<readonly PolicyText[], readonly PolicyProblem[]>;
  const logged: string[] = [];
  const refusals: string[] = [];

  const inWords = ({ verb, name }: Right): string => `${verb} ${name}`;

  async function validate(review: unknown, timeoutMs = 5_000) {
    const guards = [
      createNamespaceGuard({
        enforced,
        log: { ...silentLog, info: (_facts, text) => logged.push(text) },
        hasRight(userInfo, right, signal) {
          expect(userInfo).to.include({ username: "mallory", uid: "7" });
          asked.push(inWords(right));
          if (failing)
            return new Promise((_resolve, reject) =>
              signal.addEventListener("abort", () => reject(new Error("late"))),
            );
          return Promise.resolve(held.has(inWords(right)));
        },
      }),
      createPolicyGuard({ readProblems: (texts) => desk.ask(texts) }),
    ];
    const answer = createAdmission({
      snapshot: () =>
        snapshotOf({
          policy: policyOf({ rest: { mode, exemptNamespaces: new Set(["kube-system", "cni"]) } }),
        }),
      lookUps: {
        namespace: () => Promise.reject(new Error("not asked")),
        space: () => Promise.reject(new Error("not asked")),
        grant: () => Promise.reject(new Error("not asked")),
      },
      kinds: builtInKinds,
      guards,
      pullSecretMustBeNamed: false,
      askersAreTrusted: false,
      count: () => undefined,
      countRefusal: (reason) => refusals.push(reason),
      countWarning: () => undefined,
      pullSecrets: presentPullSecrets,
      log: silentLog,
      now: () => performance.now(),
    });
    const reply = await answer("validate", Buffer.from(JSON.stringify(review)), timeoutMs);
    expect(reply.status).to.equal(200);
    const { response } = JSON.parse(reply.body) as {
      response: {
        uid: string;
        allowed: boolean;
        status?: { message: string };
        warnings?: string[];
        auditAnnotations: Record<string, string>;
      };
    };
    return response;
  }

  beforeEach(() => {
    asked = [];
    held = new Set();
    failing = false;
    mode = "enforce";
    enforced = true;
    logged.length = 0;
    refusals.length = 0;
    desk = createWorkerDesk({ url: policyWorkerUrl, timeoutMs: 20_000, maxHeapMb: 512, maxWaiting: 4 });
  });
  afterEach(() => desk.stop());

  describe("of the workspace label", () => {
    const cases: [title: string, given: Given, needed: string[]][] = [
      ["a namespace without the label", { operation: "CREATE" }, []],
      ["a namespace born with it", { operation: "CREATE", labels: { [label]: "12" } }, ["assign 12"]],
      ["a label added", { labels: { [label]: "12" } }, ["assign 12"]],
      ["a label removed", { old: { [label]: "12" } }, ["assign 12"]],
      [
        "a label changed: the one left and the one joined",
        { old: { [label]: "12" }, labels: { [label]: "13" } },
        ["assign 12", "assign 13"],
      ],
      ["a label that stays", { old: { [label]: "12" }, labels: { [label]: "12", other: "x" } }, []],
      ["empty and absent are the same", { old: {}, labels: { [label]: "" } }, []],
      ["emptied", { old: { [label]: "12" }, labels: { [label]: "" } }, ["assign 12"]],
      [
        "text, not a number",
        { old: { [label]: "012" }, labels: { [label]: "12" } },
        ["assign 012", "assign 12"],
      ],
      ["through namespaces/status", { subResource: "status", labels: { [label]: "12" } }, ["assign 12"]],
      ["through namespaces/finalize", { subResource: "finalize", labels: { [label]: "12" } }, ["assign 12"]],
      ["an exempt name's creation", { operation: "CREATE", name: "cni" }, ["exempt cni"]],
      [
        "an exempt name's creation with the label",
        { operation: "CREATE", name: "cni", labels: { [label]: "1" } },
        ["assign 1", "exempt cni"],
      ],
      ["Berth's own name's creation", { operation: "CREATE", name: "berth-system" }, ["exempt berth-system"]],
      ["an exempt name's update", { name: "cni" }, []],
      ["null labels", { labels: null }, []],
    ];
    for (const [title, given, needed] of cases) {
      it(`${title} needs ${needed.length === 0 ? "no right" : needed.join(" and ")}`, async () => {
        held = new Set(needed);
        expect((await validate(namespaceReview(given))).allowed).to.equal(true);
        expect(asked).to.deep.equal(needed);
        for (const missing of needed) {
          held = new Set(needed.filter((right) => right !== missing));
          const response = await validate(namespaceReview(given));
          expect(response.allowed, `without ${missing}`).to.equal(false);
          expect(response.auditAnnotations).to.include({
            verdict: "refuse",
            reasons: "workspace-label-protected",
          });
        }
      });
    }

    it("says what was tried, which right it needs, and who can help", async () => {
      const { status } = await validate(namespaceReview({ labels: { [label]: "12" } }));
      expect(status?.message).to.equal(
        'the label workspace.ghippo.io/id of namespace "shop" says which workspace it belongs to, and changing it for workspace "12" needs the right "assign" on workspaces.berth.io "12", which user "mallory" has not. Ask a platform administrator to do it, or to grant the right.',
      );
      const exempt = await validate(namespaceReview({ operation: "CREATE", name: "cni" }));
      expect(exempt.status?.message).to.match(/^namespace "cni" has a name that the image policy exempts/);
    });

    it("fails closed when the right cannot be asked for, within the deadline", async () => {
      failing = true;
      const { allowed, status } = await validate(namespaceReview({ labels: { [label]: "12" } }), 550);
      expect(allowed).to.equal(false);
      expect(status?.message).to.contain("could not be asked for it just now");
    });

    for (const object of [
      null,
      { metadata: "x" },
      { metadata: { labels: [] } },
      { metadata: { labels: { a: 1 } } },
    ]) {
      it(`refuses a namespace that is none: ${JSON.stringify(object)}`, async () => {
        const review = namespaceReview({});
        const odd = { ...review, request: { ...review.request, object } };
        expect((await validate(odd)).auditAnnotations["reasons"]).to.equal("malformed-object");
      });
    }

    it("warns in warn mode, and says nothing in audit mode", async () => {
      mode = "warn";
      const warned = await validate(namespaceReview({ labels: { [label]: "12" } }));
      expect(warned.allowed).to.equal(true);
      expect(warned.warnings?.join(" ")).to.match(/^would be refused: the label/);
      mode = "audit";
      const audited = await validate(namespaceReview({ labels: { [label]: "12" } }));
      expect(audited).to.include({ allowed: true });
      expect(audited).to.not.have.property("warnings");
      expect(refusals).to.deep.equal(["workspace-label-protected", "workspace-label-protected"]);
    });

    it("switched off, asks nobody, and still logs the change", async () => {
      enforced = false;
      expect((await validate(namespaceReview({ labels: { [label]: "12" } }))).allowed).to.equal(true);
      expect(asked).to.deep.equal([]);
      expect(logged).to.have.length(1);
    });

    it("logs a change that was allowed", async () => {
      held.add("assign 12");
      await validate(namespaceReview({ labels: { [label]: "12" } }));
      expect(logged).to.deep.equal(["a namespace's workspace changes"]);
    });

    const recorded: [name: string, needed: string[]][] = [
      ["namespace-create", []],
      ["namespace-update-annotation", []],
      ["namespace-update-workspace-label", ["assign 12"]],
      ["namespace-status-update-workspace-label", []],
      ["namespace-finalize-workspace-label", []],
    ];
    for (const [name] of recorded) {
      it(`asks, for the recorded review ${name}, exactly when the label differs`, async () => {
        const review = recordedReview(name);
        const labelOf = (object: unknown) =>
          (object as { metadata?: { labels?: Record<string, string> } } | null)?.metadata?.labels?.[label] ??
          "";
        const { object, oldObject } = review.request;
        const userInfo = { username: "mallory", uid: "7" };
        await validate({ ...review, request: { ...review.request, userInfo } });
        expect(asked.length > 0).to.equal(labelOf(object) !== labelOf(oldObject));
      });
    }
  });

  describe("of the policy", () => {
    const policyReview = (
      data: unknown,
      more: { old?: unknown; namespace?: string; label?: string } = {},
    ) => {
      const { old, namespace = "berth-system", label: value = "true" } = more;
      const object = (of: unknown) => ({
        metadata: { name: "policy", namespace, labels: { "berth.io/policy": value } },
        data: of,
      });
      const review = namespaceReview({ operation: old === undefined ? "CREATE" : "UPDATE" });
      const kind = { group: "", version: "v1", kind: "ConfigMap" };
      const resource = { group: "", version: "v1", resource: "configmaps" };
      const oldObject = old === undefined ? null : object(old);
      return {
        ...review,
        request: {
          ...review.request,
          kind,
          resource,
          name: "policy",
          namespace,
          object: object(data),
          oldObject,
        },
      };
    };

    it("lets a valid document pass", async () => {
      expect((await validate(policyReview({ "a.yaml": "mode: warn\n" }))).allowed).to.equal(true);
    });
    it("refuses one that is not, with the words of check-policy: file, line, column, what was expected", async () => {
      const response = await validate(
        policyReview({ "a.yaml": "unlistedRegistries: deny\nmode: enforced\n" }),
      );
      expect(response.allowed).to.equal(false);
      expect(response.auditAnnotations["reasons"]).to.equal("policy-invalid");
      expect(response.status?.message).to.equal(
        'ConfigMap policy/a.yaml:2:7: error: mode: expected enforce, warn or audit, found "enforced": did you mean enforce?',
      );
    });
    it("is no matter of the mode that is in force", async () => {
      mode = "audit";
      expect((await validate(policyReview({ "a.yaml": "mode: enforced\n" }))).allowed).to.equal(false);
    });
    it("passes warnings on", async () => {
      const text = 'registries:\n  - { name: a, type: docker-registry, url: "http://a.test" }\n';
      const response = await validate(policyReview({ "a.yaml": text }));
      expect(response.allowed).to.equal(true);
      expect(response.warnings?.join(" ")).to.contain("http://");
    });
    it("judges only what the edit brings, so that a broken document can be mended beside another", async () => {
      const old = { "a.yaml": "mode: enforced\n", "b.yaml": "mode: auditt\n" };
      expect((await validate(policyReview({ ...old, "b.yaml": "mode: audit\n" }, { old }))).allowed).to.equal(
        true,
      );
      expect((await validate(policyReview({ ...old, "b.yaml": "mode: x\n" }, { old }))).allowed).to.equal(
        false,
      );
    });
    const passing: [title: string, review: unknown][] = [
      ["another namespace's ConfigMap", policyReview({ "a.yaml": "mode: x" }, { namespace: "shop" })],
      ["a ConfigMap that is no policy", policyReview({ "a.yaml": "mode: x" }, { label: "false" })],
      ["a key that is no document", policyReview({ "readme.txt": "mode: x" })],
      ["no data at all", policyReview(undefined)],
    ];
    for (const [title, review] of passing) {
      it(`lets ${title} pass`, async () => expect((await validate(review)).allowed).to.equal(true));
    }
    it("passes with a warning what it cannot read in time, since the last good content protects anyway", async () => {
      const answers = await Promise.all(
        Array.from({ length: 12 }, () => validate(policyReview({ "a.yaml": "mode: enforced\n" }))),
      );
      const overloaded = answers.filter(({ allowed }) => allowed);
      expect(overloaded.length).to.be.greaterThan(0);
      for (const { warnings } of overloaded)
        expect(warnings?.join(" ")).to.contain("could not check this policy");
    });
  });
});
