// The advisories that befell peers of this webhook, each as a case to survive. The title names the advisory.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { selfSigned } from "../../src/certificates/self-signed.ts";
import { parsePolicyDocument } from "../../src/domain/policy-document.ts";
import { parsePolicy } from "../../src/domain/policies.ts";
import { createAdmission } from "../../src/http/admission.ts";
import { startWebhookServer } from "../../src/http/server.ts";
import { presentPullSecrets } from "../../src/http/pull-secret-wait.ts";
import { readFacts } from "../../src/files/cluster-facts.ts";
import { builtInKinds } from "../../src/domain/pod-spec.ts";
import { silentLog } from "../../src/log.ts";
import { snapshotOf } from "../builders.ts";
import { namespaceRules, validatingRules } from "../cluster/webhooks.ts";
import { createWebhookCaller, podReview } from "../fakes/api-server.ts";
import { recordedReview } from "../fixtures.ts";
import { bound, closed, createGate, open, ordinary, reasonFor, specReview } from "./gate.ts";

/** Every advisory that was weighed. */
const weighed = [
  ...["CVE-2023-2727", "CVE-2023-2728", "CVE-2024-3177", "CVE-2021-25735", "CVE-2020-8561"],
  ...["CVE-2025-1974", "CVE-2025-1097", "CVE-2025-1098", "CVE-2025-24513", "CVE-2025-24514"],
  ...["Connaisseur 1.3.0", "Connaisseur 3.1.1", "Connaisseur 3.3.0", "Portieris d305814", "Reversec 2025-07"],
  ...["gatekeeper-library#529", "CVE-2026-78427", "CVE-2022-47633", "CVE-2023-47630", "CVE-2023-34091"],
  ...["CVE-2025-46342", "CVE-2024-48921", "CVE-2026-84200", "GHSA-gg4x-fgg2-h9w9", "CVE-2025-47281"],
  ...["CVE-2026-23881", "CVE-2026-41485", "CVE-2026-22039", "CVE-2026-41068", "CVE-2026-4789"],
  ...["CVE-2026-84199", "CVE-2026-41323", "GHSA-79gf-7frw-68m9", "CVE-2022-35930", "CVE-2025-24376"],
  ...["CVE-2025-24784", "CVE-2026-23634", "CVE-2024-39690", "CVE-2025-55205", "CVE-2026-30963"],
  ...["CVE-2026-55636", "CVE-2026-22872"],
];

/** Advisory → why there is nothing to test. */
const notCovered: Readonly<Record<string, string>> = {
  "CVE-2025-24376": "Berth writes no reports",
};

/** Advisory → test file and a piece of the test's title. */
const elsewhere: Readonly<Record<string, readonly [file: string, title: string]>> = {
  "GHSA-79gf-7frw-68m9": [
    "reconcilers/robot-life.test.ts",
    "begins with one for each workspace that has bindings and namespaces",
  ],
  "CVE-2026-22872": ["cluster/gate.cluster.ts", "does what it has to, writes nothing else"],
  "CVE-2025-24784": ["chart/install.test.ts", "no other Secret of anybody"],
  "CVE-2026-23634": ["chart/install.test.ts", "no wildcard, no escalation"],
};

const covered = new Set<string>();

/** A test that stands for advisories. */
function survives(ids: readonly string[], behaviour: string, test: () => Promise<void> | void): void {
  for (const id of ids) covered.add(id);
  it(`${ids.join(", ")}: ${behaviour}`, test);
}

const policyMap = (data: Readonly<Record<string, string>>) => ({ name: "policy", data });
const update = (object: unknown, oldObject: unknown, more: object = {}) =>
  podReview("shop", [], { operation: "UPDATE", object, oldObject, ...more });
const pod = (...images: readonly string[]) => podReview("shop", images).request.object;

describe("advisories of peers", () => {
  survives(
    ["CVE-2023-2727", "Connaisseur 3.1.1"],
    "an ephemeral container is judged, on its subresource and in a plain update",
    async () => {
      const before = { metadata: {}, spec: { containers: [{ name: "a", image: open }] } };
      const after = {
        ...before,
        spec: { ...before.spec, ephemeralContainers: [{ name: "d", image: closed }] },
      };
      for (const subResource of ["ephemeralcontainers", ""]) {
        expect((await createGate().validate(update(after, before, { subResource }))).allowed).to.equal(false);
      }
      expect(
        (await createGate().validate(recordedReview("pod-update-ephemeral-containers"))).allowed,
      ).to.equal(false);
      const rules = validatingRules.filter(({ resources }) => resources.includes("pods/ephemeralcontainers"));
      expect(rules.flatMap(({ operations }) => operations)).to.include("UPDATE");
    },
  );

  survives(["Connaisseur 1.3.0"], "an init container is judged, a sidecar too", async () => {
    for (const more of [{}, { restartPolicy: "Always" }]) {
      const spec = {
        containers: [{ name: "a", image: open }],
        initContainers: [{ name: "b", image: closed, ...more }],
      };
      expect((await createGate().validate(specReview("shop", spec))).allowed).to.equal(false);
    }
  });

  survives(
    ["CVE-2023-2728", "CVE-2024-3177"],
    "every field that can name an image is read: image volumes beside the three lists of containers",
    async () => {
      const fields: readonly object[] = [
        { containers: [{ image: closed }] },
        { initContainers: [{ image: closed }] },
        { ephemeralContainers: [{ image: closed }] },
        { volumes: [{ name: "v", image: { reference: closed } }] },
      ];
      for (const spec of fields) {
        const { reasons } = await createGate().validate(specReview("shop", spec));
        expect(reasons, JSON.stringify(spec)).to.equal("space-not-bound");
      }
    },
  );

  survives(
    ["CVE-2021-25735"],
    "the old object excuses texts and nothing else, and only on an update",
    async () => {
      const gate = createGate();
      const created = podReview("shop", [closed], { oldObject: pod(closed) });
      expect((await gate.validate(created)).allowed, "on creation it means nothing").to.equal(false);
      expect((await gate.validate(update(pod(closed), null))).allowed, "absent").to.equal(false);
      const incomplete = { metadata: {}, spec: {} };
      expect((await gate.validate(update(pod(closed), incomplete))).allowed, "incomplete").to.equal(false);
      expect((await gate.validate(update(pod(closed), "text"))).allowed, "odd").to.equal(false);
      const labelled = {
        metadata: { annotations: { image: closed } },
        image: closed,
        spec: { note: closed },
      };
      expect((await gate.validate(update(pod(closed), labelled))).allowed, "elsewhere").to.equal(false);
      expect((await gate.validate(update(pod(closed), pod(closed)))).allowed).to.equal(true);
    },
  );

  survives(["CVE-2020-8561"], "no answer redirects, whatever is asked", async () => {
    const issued = await selfSigned(["localhost"], Date.now());
    const admission = createAdmission({
      snapshot: () => ordinary,
      lookUps: {
        namespace: () => Promise.reject(new Error("not asked")),
        space: () => Promise.reject(new Error("not asked")),
        grant: () => Promise.reject(new Error("not asked")),
      },
      kinds: builtInKinds,
      guards: [],
      pullSecretMustBeNamed: false,
      askersAreTrusted: false,
      count: () => undefined,
      countRefusal: () => undefined,
      countWarning: () => undefined,
      pullSecrets: presentPullSecrets,
      log: silentLog,
      now: () => 0,
    });
    const server = await startWebhookServer(
      { admission, certificate: issued, log: silentLog },
      { port: 0, host: "localhost" },
    );
    const caller = createWebhookCaller({ port: server.port, ca: issued.ca });
    try {
      const paths = [
        "/validate",
        "/validate/",
        "/mutate",
        "//evil.example/validate",
        "/",
        "/validate/../mutate",
      ];
      for (const path of paths) {
        for (const method of ["POST", "PUT"]) {
          const { status, headers } = await caller.post(path, podReview("shop", [closed]), { method });
          expect(status, path).to.be.oneOf([200, 404, 405]);
          expect(headers).to.not.have.property("location");
        }
      }
    } finally {
      caller.close();
      await server.drain(0);
    }
  });

  survives(
    ["CVE-2025-1974", "CVE-2025-1097", "CVE-2025-1098", "CVE-2025-24513", "CVE-2025-24514"],
    "nothing in a review is evaluated, and nothing outside is asked for what it names",
    async () => {
      const hostile = [
        "${process.exit()}",
        "$(id)",
        "{{ .Values }}",
        "file:///etc/passwd",
        "../../../etc/passwd",
        "a;ssl_engine /tmp/evil.so;",
        "evil.example/__proto__/constructor",
        "harbor.test/__proto__/app",
        "harbor.test/constructor/app",
      ];
      const gate = createGate();
      for (const text of hostile) {
        const annotations = { [text]: text };
        const object = { metadata: { annotations }, spec: { containers: [{ name: text, image: text }] } };
        expect((await gate.validate(podReview("shop", [], { object, name: text }))).allowed).to.equal(false);
      }
      expect(gate.asked).to.deep.equal(["space managed/constructor"]);
    },
  );

  survives(
    ["Connaisseur 3.3.0"],
    "a long hostile image costs no more than a plain one (see fuzz.test.ts)",
    async () => {
      for (const unit of ["a", "a/", "a-", "a.", "[:", "a@sha256:"]) {
        const gate = createGate();
        const { reasons, message } = await gate.validate(podReview("shop", [unit.repeat(500_000)]));
        expect(reasons).to.equal("malformed-image");
        expect(message.length).to.be.below(1_100);
      }
    },
  );

  survives(["Portieris d305814"], "a host ends at the first slash", async () => {
    for (const image of [
      "evil.io/x.harbor.test/team-a/y",
      "evil.io/harbor.test/platform/app",
      "evil.harbor.test/platform/app",
      "x.harbor.test/org/y",
    ]) {
      expect(await reasonFor(image), image).to.equal("unlisted-registry");
    }
  });

  survives(["Reversec 2025-07"], "a port is no tag, and a tag is no port", async () => {
    expect(await reasonFor("10.6.232.5:30010/platform/app")).to.equal("public-space");
    expect(await reasonFor("10.6.232.5:30010/team-b/app")).to.equal("space-not-bound");
    expect(await reasonFor("harbor.test:30010/platform/app")).to.equal("unlisted-registry");
    expect(await reasonFor("harbor.test:443")).to.equal("unlisted-registry");
  });

  survives(
    ["gatekeeper-library#529"],
    "names are compared whole: no prefix of a host or a space is enough",
    async () => {
      for (const host of ["harbor.test.evil", "harbor.testx", "xharbor.test", "harbor.tes"]) {
        expect(await reasonFor(`${host}/platform/app`), host).to.equal("unlisted-registry");
      }
      // To a tenant a space that is not there reads as one that is not bound.
      for (const name of ["team-a-evil", "team-ax", "team", "xteam-a", "platformx", "platform-evil"]) {
        expect(await reasonFor(`harbor.test/${name}/app`), name).to.equal("space-not-bound");
      }
    },
  );

  survives(["CVE-2026-78427"], "no image is exempt for its path, a sidecar's least of all", async () => {
    for (const image of [
      "evil.example/istio/proxyv2:1",
      "docker.io/istio/proxyv2",
      "registry.k8s.io/pause:3.9",
      "evil.example/berth-system/berth",
      "pause",
    ]) {
      expect(await reasonFor(image), image).to.equal("unlisted-registry");
    }
  });

  survives(
    ["CVE-2022-47633", "CVE-2023-47630"],
    "nothing is resolved between check and use: an image is judged by its name, and stays as it was written",
    async () => {
      const image = `${bound}@sha256:${"0".repeat(64)}`;
      const gate = createGate();
      expect((await gate.validate(podReview("shop", [image]))).allowed).to.equal(true);
      const { patch } = await gate.mutate(podReview("shop", [image]));
      expect(patch.map(({ path }) => path)).to.deep.equal(["/spec/imagePullSecrets"]);
      expect(gate.asked).to.deep.equal([]);
    },
  );

  survives(["CVE-2023-34091"], "an object held by its finalizers is judged", async () => {
    const dying = { metadata: { deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: ["a/b"] } };
    const after = { ...dying, spec: { containers: [{ name: "a", image: closed }] } };
    const before = { ...dying, spec: { containers: [{ name: "a", image: open }] } };
    expect((await createGate().validate(update(after, before))).allowed).to.equal(false);
    expect((await createGate().validate(update(after, after))).allowed).to.equal(true);
  });

  survives(["CVE-2025-46342"], "a look-up that fails refuses", async () => {
    const broken = () => Promise.reject(new Error("the API server is away"));
    const gate = createGate(ordinary, { lookUps: { namespace: broken, space: broken, grant: broken } });
    for (const [namespace, image] of [
      ["nowhere", bound],
      ["shop", "harbor.test/ghost/app"],
      ["lab", bound],
    ] as const) {
      expect((await gate.validate(podReview(namespace, [image]))).allowed).to.equal(false);
    }
  });

  survives(["CVE-2024-48921"], "only Berth's own namespace holds policy", () => {
    const configMap = (namespace: string) =>
      JSON.stringify({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "p", namespace, labels: { "berth.io/policy": "true" } },
        data: { "a.yaml": "unlistedRegistries: allow\n" },
      });
    const kinds = (namespace: string) =>
      readFacts({
        file: "a.yaml",
        bytes: Buffer.from(configMap(namespace)),
        berthNamespace: "berth-system",
      }).facts.map(({ kind }) => kind);
    expect(kinds("berth-system")).to.deep.equal(["ConfigMap"]);
    for (const namespace of ["shop", "kube-system", "berth-system-2", ""]) {
      expect(kinds(namespace), namespace).to.deep.equal([]);
    }
  });

  survives(
    ["CVE-2026-84200", "GHSA-gg4x-fgg2-h9w9"],
    "of two documents that say the same thing differently the stricter holds",
    () => {
      const { policy } = parsePolicy(undefined, [
        policyMap({
          "a.yaml": "mode: audit\nunlistedRegistries: allow\nexemptNamespaces: [kube-system, shop]\n",
          "b.yaml": "mode: warn\nunlistedRegistries: deny\nexemptNamespaces: [kube-system, lab]\n",
        }),
      ]);
      expect(policy.mode).to.equal("warn");
      expect(policy.unlistedRegistries).to.equal("deny");
      expect([...policy.exemptNamespaces]).to.deep.equal(["kube-system"]);
      expect(policy.problems).to.not.be.empty;
    },
  );

  survives(
    ["CVE-2025-47281"],
    "a policy has no expressions: what looks like one is text that names nothing",
    () => {
      const text =
        'registries: [{ name: "{{ x }}", type: harbor, url: "https://{{ request.object }}", credentialsSecret: a }]\n';
      expect(parsePolicyDocument(text).problems.map(({ severity }) => severity)).to.include("error");
    },
  );

  survives(["CVE-2026-23881"], "what a policy document may unfold to is bounded", () => {
    const doubled = Array.from(
      { length: 30 },
      (_, index) => `a${String(index + 1)}: &a${String(index + 1)} [*a${String(index)}, *a${String(index)}]`,
    );
    for (const text of [
      ["a0: &a0 [x]", ...doubled].join("\n"),
      "[".repeat(1_000_000),
      `mode: ${"x".repeat(2_000_000)}`,
    ]) {
      const { content, problems } = parsePolicyDocument(text);
      expect(content).to.equal(null);
      expect(problems.length).to.be.within(1, 50);
    }
  });

  survives(["CVE-2026-41485"], "null where something should be is an answer, not an exception", async () => {
    const gate = createGate();
    for (const object of [
      null,
      {},
      { spec: null },
      { metadata: null, spec: { containers: null, imagePullSecrets: null } },
      { metadata: { annotations: null }, spec: { containers: [null], volumes: [null] } },
      { spec: { containers: [{ image: null }], volumes: [{ image: null }, { image: { reference: null } }] } },
      { spec: { containers: [{ image: bound }], imagePullSecrets: [null] } },
    ]) {
      expect((await gate.mutate(podReview("shop", [], { object }))).allowed).to.equal(true);
      expect((await gate.validate(podReview("shop", [], { object }))).uid).to.equal("uid-shop-");
    }
  });

  survives(
    ["CVE-2026-22039", "CVE-2026-41068"],
    "a tenant has nothing read for it but a space's name on a registry of the policy, and its own namespace",
    async () => {
      const gate = createGate();
      const images = [
        closed,
        "evil.example/a/b",
        "10.6.232.5:30010/ghost/app",
        "harbor.test/kube-system/secrets",
      ];
      await gate.validate(podReview("lab", images, { userInfo: { username: "mallory" } }));
      expect([...gate.asked].sort()).to.deep.equal([
        "space managed/ghost",
        "space managed/kube-system",
        "space managed/team-b",
      ]);
      const young = createGate();
      const object = { metadata: { namespace: "victim" }, spec: { containers: [{ image: bound }] } };
      await young.validate(podReview("young", [], { object }));
      expect(young.asked, "the namespace of the request, whatever the object says").to.deep.equal([
        "namespace young",
        "space managed/team-a",
      ]);
    },
  );

  survives(
    ["CVE-2026-4789", "CVE-2026-84199", "CVE-2026-41323"],
    "no host of an image is ever asked; redirects that a Harbor answers are in test/harbor/harbor-client.test.ts",
    async () => {
      const gate = createGate();
      for (const image of [
        "169.254.169.254/latest/meta-data",
        "localhost:8080/a/b",
        "kubernetes.default.svc/a/b",
        "harbor.test:8443/a/b",
        "http://harbor.test/a/b",
        "harbor.test@evil.example/a/b",
      ]) {
        expect((await gate.validate(podReview("shop", [image]))).allowed, image).to.equal(false);
      }
      expect(gate.asked).to.deep.equal([]);
    },
  );

  survives(["CVE-2022-35930"], "nothing to compare with allows nothing", async () => {
    const nothing = snapshotOf({ namespaces: { shop: "12" } });
    expect(await reasonFor(open, "shop", nothing), "no policy").to.equal("unlisted-registry");
    const unread = { ...ordinary, catalogues: new Map() };
    expect(await reasonFor(open, "shop", unread), "no catalogue").to.equal("catalogue-not-ready");
    const empty = {
      ...ordinary,
      catalogues: new Map([["managed", { ...ordinary.catalogues.get("managed")!, spaces: new Map() }]]),
    };
    expect(await reasonFor(open, "shop", empty), "no spaces").to.equal("space-not-bound");
    const unbound = { ...ordinary, policy: { ...ordinary.policy, bindings: new Map() } };
    expect(await reasonFor(bound, "shop", unbound), "no bindings").to.equal("space-not-bound");
  });

  survives(
    ["CVE-2024-39690", "CVE-2025-55205"],
    "taking a namespace into a workspace needs the right for it, for one without workspace too",
    async () => {
      const label = "workspace.ghippo.io/id";
      const namespace = (labels: object) => ({ metadata: { name: "free", labels } });
      const kind = { group: "", version: "v1", kind: "Namespace" };
      const gate = createGate();
      const taken = podReview("free", [], {
        kind,
        operation: "UPDATE",
        oldObject: namespace({}),
        object: namespace({ [label]: "13" }),
      });
      expect((await gate.validate(taken)).reasons).to.equal("workspace-label-protected");
      const born = podReview("free", [], { kind, object: namespace({ [label]: "13" }) });
      expect((await gate.validate(born)).reasons).to.equal("workspace-label-protected");
      expect(gate.rights).to.deep.equal(["assign 13", "assign 13"]);
    },
  );

  survives(
    ["CVE-2026-30963", "CVE-2026-55636"],
    "the label is guarded through namespaces, namespaces/status and namespaces/finalize",
    async () => {
      for (const name of [
        "namespace-update-workspace-label",
        "namespace-status-update-workspace-label",
        "namespace-finalize-workspace-label",
      ]) {
        expect((await createGate().validate(recordedReview(name))).reasons).to.equal(
          "workspace-label-protected",
        );
      }
      expect(namespaceRules.flatMap(({ resources }) => resources)).to.deep.equal([
        "namespaces",
        "namespaces/status",
        "namespaces/finalize",
      ]);
    },
  );

  for (const [id, [file, title]] of Object.entries(elsewhere)) {
    it(`${id} is tested in test/${file}: ${title}`, () => {
      expect(readFileSync(join(import.meta.dirname, "..", file), "utf8")).to.contain(title);
    });
  }

  it("are each tested, or named with the reason why not", () => {
    const named = [...covered, ...Object.keys(elsewhere), ...Object.keys(notCovered)];
    expect(named.sort()).to.deep.equal([...weighed].sort());
  });
});
