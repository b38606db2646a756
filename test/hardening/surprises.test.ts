// What a naive webhook gets wrong about Harbor, the platform, images and admission: 48 surprises, by number. Those that
// touch images or admission are tested here; for the others the list at the end says where.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { applyPatch } from "rfc6902";
import { selfSigned } from "../../src/certificates/self-signed.ts";
import { asWarnings } from "../../src/http/admission-review.ts";
import { startWebhookServer, timeoutOf } from "../../src/http/server.ts";
import { silentLog } from "../../src/log.ts";
import { policyOf, readAt, registry, snapshotOf, space } from "../builders.ts";
import { namespaceSelector, validatingRules } from "../cluster/webhooks.ts";
import { createWebhookCaller, podReview } from "../fakes/api-server.ts";
import { recordedReview } from "../fixtures.ts";
import { bound, closed, createGate, managed, open, ordinary, reasonFor, specReview } from "./gate.ts";

const hex = "e6693c20186f837fc393390135d8a598a96a833917917789d63766cab6c59582";
const here = new Set<number>();

function surprise(number: number, behaviour: string, test: () => Promise<void> | void): void {
  here.add(number);
  it(`${String(number)}: ${behaviour}`, test);
}

const update = (object: unknown, oldObject: unknown, more: object = {}) =>
  podReview("shop", [], { operation: "UPDATE", object, oldObject, ...more });

describe("surprises of Harbor and the platform, where they touch admission", () => {
  surprise(
    8,
    "a deleted project's name that comes back is another project: an old binding opens nothing",
    async () => {
      const on = { ...ordinary, pins: new Map([["managed/team-a/12", 99]]) };
      expect(await reasonFor(bound, "shop", on)).to.equal("space-replaced");
    },
  );
  surprise(17, "a name that no Harbor project can have is refused without a look-up", async () => {
    const gate = createGate();
    for (const name of ["te__am", "te--am", "te---am"]) {
      const { reasons } = await gate.validate(podReview("shop", [`harbor.test/${name}/app`]));
      expect(reasons, name).to.equal("space-not-bound");
    }
    expect(gate.asked).to.deep.equal([]);
  });
  surprise(18, "a workspace is compared as text", async () => {
    const on = { ...ordinary, namespaces: new Map([["padded", "012"]]) };
    expect(await reasonFor(bound, "padded", on)).to.equal("space-not-bound");
  });
  surprise(19, "whoever labels a namespace needs the right for it", async () => {
    const gate = createGate();
    expect((await gate.validate(recordedReview("namespace-update-workspace-label"))).allowed).to.equal(false);
    expect(gate.rights).to.not.be.empty;
  });
  surprise(20, "public wins over bindings, whatever they say", async () => {
    const policy = policyOf({ registries: [managed], bindings: ["13 managed/platform 77"] });
    const on = { ...ordinary, policy };
    for (const namespace of ["shop", "lab", "bare"]) {
      expect(await reasonFor(open, namespace, on)).to.equal("public-space");
    }
  });
  surprise(21, "a space that was made a moment ago is looked up before a refusal", async () => {
    const gate = createGate(ordinary, {
      lookUps: {
        namespace: () => Promise.reject(new Error("not asked")),
        space: () =>
          Promise.resolve({
            kind: "read",
            reading: { readAt: readAt + 1, space: space("new", "public", 9) },
          }),
        grant: () => Promise.reject(new Error("not asked")),
      },
    });
    expect((await gate.validate(podReview("shop", ["harbor.test/new/app"]))).reasons).to.equal(
      "public-space",
    );
  });
  surprise(22, "in a workspace's registry even a public space is for that workspace only", async () => {
    const on = snapshotOf({
      policy: policyOf({ registries: [registry("twelve", { workspace: "12" })] }),
      namespaces: { shop: "12", lab: "13", bare: null },
      catalogues: { twelve: [space("anything", "public", 1)] },
    });
    expect(await reasonFor("twelve.test/anything/app", "shop", on)).to.equal("workspace-registry");
    for (const namespace of ["lab", "bare"]) {
      expect(await reasonFor("twelve.test/anything/app", namespace, on)).to.equal(
        "registry-of-another-workspace",
      );
    }
  });
  surprise(23, "a Docker Registry is open, and may need a login all the same", async () => {
    const archive = registry("archive", { type: "docker-registry", pullCredentialsSecret: "archive-pull" });
    const on = snapshotOf({ policy: policyOf({ registries: [archive] }), namespaces: { bare: null } });
    expect(await reasonFor("archive.test/app", "bare", on)).to.equal("open-registry");
    expect((await createGate(on).mutate(podReview("bare", ["archive.test/app"]))).patch).to.have.length(1);
  });
  surprise(24, "the secret is Berth's own, beside whatever the Pod names already", async () => {
    const spec = { containers: [{ image: bound }], imagePullSecrets: [{ name: "registry-secret" }] };
    const { patch } = await createGate().mutate(specReview("shop", spec));
    expect(patch).to.deep.equal([
      { op: "add", path: "/spec/imagePullSecrets/-", value: { name: "berth-pull" } },
    ]);
  });
  surprise(25, "one Harbor has several addresses", async () => {
    expect(await reasonFor("10.6.232.5:30010/team-a/app")).to.equal("bound-space");
    expect(await reasonFor("10.6.232.6:30010/team-a/app")).to.equal("unlisted-registry");
  });
});

describe("surprises of images", () => {
  surprise(27, "an image id runs whatever the node holds under it, and is refused", async () => {
    for (const id of [`sha256:${hex}`, `sha512:${hex}${hex}`, "sha256:e6693c", "sha256:e"])
      expect(await reasonFor(id)).to.equal("image-by-id");
    expect(await reasonFor(hex)).to.equal("malformed-image");
  });
  surprise(
    28,
    "a short host is Docker Hub, one in capitals is a host, and a port alone is a tag",
    async () => {
      const hosts = ["harbor.test", "MyHarbor", "test.com:5000"];
      const on = { ...ordinary, policy: policyOf({ registries: [registry("named", { spellings: hosts })] }) };
      const named = { ...on, catalogues: new Map([["named", ordinary.catalogues.get("managed")!]]) };
      expect(await reasonFor("myharbor/platform/app", "shop", named)).to.equal("unlisted-registry");
      expect(await reasonFor("MyHarbor/platform/app", "shop", named)).to.equal("public-space");
      expect(await reasonFor("test.com:5000", "shop", named)).to.equal("unlisted-registry");
      expect(await reasonFor("test.com:5000/platform/app", "shop", named)).to.equal("public-space");
    },
  );
  surprise(29, "host case and :443 are one server, though no kubelet finds a key for them", async () => {
    for (const host of ["HARBOR.test", "harbor.test:443", "Harbor.Test:0443"]) {
      const { reasons, warnings } = await createGate().validate(podReview("shop", [`${host}/team-a/app`]));
      expect(reasons, host).to.equal("bound-space,pull-secret-does-not-match");
      expect(warnings.join(" "), host).to.contain('write the host as "harbor.test"');
      expect(await reasonFor(`${host}/team-b/app`), host).to.equal("space-not-bound");
    }
  });
  surprise(30, "a space's name is compared whole", async () => {
    expect(await reasonFor("harbor.test/team-a/app")).to.equal("bound-space");
    expect(await reasonFor("harbor.test/team-a-evil/app")).to.equal("space-not-bound");
  });
  surprise(31, "one path element on a Harbor names no space, and gains no library/", async () => {
    const library = new Map([
      [
        "managed",
        {
          ...ordinary.catalogues.get("managed")!,
          spaces: new Map([["library", space("library", "public", 1)]]),
        },
      ],
    ]);
    const on = { ...ordinary, catalogues: library };
    expect(await reasonFor("harbor.test/app", "shop", on)).to.equal("no-space-in-name");
    expect(await reasonFor("harbor.test/library/app", "shop", on)).to.equal("public-space");
  });
  surprise(
    32,
    "with tag and digest the space decides as ever, and nothing is added to the text",
    async () => {
      for (const suffix of ["", ":1", `@sha256:${hex}`, `:1@sha256:${hex}`]) {
        expect(await reasonFor(`harbor.test/team-a/app${suffix}`)).to.equal("bound-space");
        expect(await reasonFor(`harbor.test/team-b/app${suffix}`)).to.equal("space-not-bound");
      }
    },
  );
  surprise(33, "a node runs what it has pulled already: so the image is judged, not the pull", async () => {
    const spec = {
      containers: [{ image: closed, imagePullPolicy: "Never" }],
      imagePullSecrets: [{ name: "mine" }],
    };
    expect((await createGate().validate(specReview("shop", spec))).reasons).to.equal("space-not-bound");
  });
});

describe("surprises of admission", () => {
  surprise(
    34,
    "ephemeral containers have a subresource, image volumes are images, sidecars are init containers",
    async () => {
      const places: readonly object[] = [
        { ephemeralContainers: [{ name: "d", image: closed }] },
        { volumes: [{ name: "v", image: { reference: closed } }] },
        { initContainers: [{ name: "s", image: closed, restartPolicy: "Always" }] },
      ];
      for (const spec of places) {
        const review = specReview("shop", { containers: [{ image: open }], ...spec });
        const { reasons } = await createGate().validate(review);
        expect(reasons.split(",")).to.have.members(["space-not-bound", "public-space"]);
      }
      expect(validatingRules.flatMap(({ resources }) => resources)).to.include("pods/ephemeralcontainers");
    },
  );
  surprise(35, "secrets go into new Pods alone: no template, no update, no mirror Pod", async () => {
    const gate = createGate();
    const mirror = {
      metadata: { annotations: { "kubernetes.io/config.mirror": "x" } },
      spec: { containers: [{ image: bound }] },
    };
    const template = { spec: { template: { spec: { containers: [{ image: bound }] } } } };
    for (const review of [
      podReview("shop", [bound], { operation: "UPDATE" }),
      podReview("shop", [bound], { operation: "UPDATE", subResource: "ephemeralcontainers" }),
      podReview("shop", [], { object: mirror }),
      podReview("shop", [], { kind: { group: "apps", version: "v1", kind: "Deployment" }, object: template }),
    ]) {
      expect((await gate.mutate(review)).patch).to.deep.equal([]);
    }
    expect((await gate.mutate(podReview("shop", [bound]))).patch).to.have.length(1);
  });
  surprise(
    36,
    "an account that enforces its list makes the API server refuse what was injected: said in time",
    async () => {
      const on = { ...ordinary, strictServiceAccounts: new Set(["shop/default"]) };
      const { patch, warnings } = await createGate(on).mutate(podReview("shop", [bound]));
      expect(patch).to.have.length(1);
      expect(warnings.join(" ")).to.contain('list "berth-pull" in its imagePullSecrets');
    },
  );
  surprise(
    37,
    "empty, null and missing images are the API server's to refuse, a blank one is ours",
    async () => {
      for (const container of [{}, { image: null }, { image: "" }]) {
        expect(
          (await createGate().validate(specReview("shop", { containers: [container] }))).allowed,
        ).to.equal(true);
      }
      const blank = await createGate().validate(specReview("shop", { containers: [{ image: " " }] }));
      expect(blank.reasons).to.equal("malformed-image");
      const recorded = await createGate().validate(recordedReview("pod-create-blank-and-missing-image"));
      expect(recorded.allowed, "as a real API server sends them").to.equal(true);
    },
  );
  surprise(38, "a patch applies whatever the list was", async () => {
    for (const list of [undefined, null, [], [{ name: "mine" }], [null]]) {
      const review = specReview("shop", { containers: [{ image: bound }], imagePullSecrets: list });
      const object: unknown = JSON.parse(JSON.stringify(review.request.object));
      const { patch } = await createGate().mutate(review);
      expect(applyPatch(object, [...patch])).to.deep.equal([null]);
    }
    const odd = specReview("shop", { containers: [{ image: bound }], imagePullSecrets: "text" });
    expect((await createGate().mutate(odd)).patch, "what would not apply is not sent").to.deep.equal([]);
  });
  surprise(39, "a denial is HTTP 200 with allowed: false", async () => {
    // The gate asserts the status of every answer.
    expect((await createGate().validate(podReview("shop", [closed]))).allowed).to.equal(false);
  });
  surprise(40, "no warning holds a line break or is long, and no audit key holds a slash", async () => {
    const warn = { ...ordinary, policy: { ...ordinary.policy, mode: "warn" as const } };
    const images = [
      "evil.example/a\nb",
      "evil.example/a\u0007",
      `harbor.test/${"x".repeat(300)}/a`,
      "\u{1f6a2}",
    ];
    const { warnings } = await createGate(warn).validate(podReview("shop", images));
    expect(warnings).to.not.be.empty;
    for (const warning of [...warnings, ...asWarnings(["a\nb", "c".repeat(500)])]) {
      expect(warning).to.match(/^[\x20-\x7e]{1,120}$/);
    }
    const { annotations } = await createGate().validate(podReview("shop", [closed]));
    expect(Object.keys(annotations)).to.have.members(["verdict", "reasons", "workspace", "snapshot"]);
  });
  surprise(41, "the query's timeout is the deadline, and a body may have 7 MiB", async () => {
    expect(timeoutOf("timeout=3s")).to.equal(3_000);
    expect(timeoutOf("a=b&timeout=1m30s")).to.equal(30_000);
    expect(timeoutOf("")).to.equal(10_000);
    const review = podReview("shop", [open], {
      object: { spec: { containers: [{ image: open, args: ["x".repeat(6_900_000)] }] } },
    });
    expect((await createGate().validate(review)).allowed).to.equal(true);
  });
  surprise(42, "an idle connection outlives the API server's 90 seconds", async () => {
    const issued = await selfSigned(["localhost"], Date.now());
    const server = await startWebhookServer(
      { admission: () => ({ status: 200, body: "{}" }), certificate: issued, log: silentLog },
      { port: 0, host: "localhost" },
    );
    const caller = createWebhookCaller({ port: server.port, ca: issued.ca });
    try {
      const { headers } = await caller.post("/validate", {});
      const [, seconds] = /timeout=(\d+)/.exec(String(headers["keep-alive"])) ?? [];
      expect(Number(seconds)).to.be.greaterThan(90);
    } finally {
      caller.close();
      await server.drain(0);
    }
  });
  surprise(43, "a dry run is answered like any other, and reads at most", async () => {
    const gate = createGate();
    const wet = await gate.mutate(podReview("shop", [bound]));
    expect(await gate.mutate(podReview("shop", [bound], { dryRun: true }))).to.deep.equal(wet);
    expect(gate.asked).to.deep.equal([]);
  });
  surprise(44, "a finalizer goes from an old Pod, whatever has become of its images", async () => {
    const spec = { containers: [{ image: closed }, { image: "Malformed" }, { image: `sha256:${hex}` }] };
    const old = { metadata: { finalizers: ["a/b"], deletionTimestamp: "2026-01-01T00:00:00Z" }, spec };
    const object = { ...old, metadata: { deletionTimestamp: "2026-01-01T00:00:00Z" } };
    expect((await createGate().validate(update(object, old))).reasons).to.equal("unchanged");
    expect((await createGate().validate(recordedReview("pod-update-label"))).allowed).to.equal(true);
  });
  surprise(45, "a namespace that is not known yet is read once, and its first Pod is admitted", async () => {
    const asked: string[] = [];
    const gate = createGate(ordinary, {
      lookUps: {
        namespace(namespace) {
          asked.push(namespace);
          return Promise.resolve({ kind: "read", exists: true, workspace: "12" });
        },
        space: () => Promise.reject(new Error("not asked")),
        grant: () => Promise.reject(new Error("not asked")),
      },
    });
    expect((await gate.validate(podReview("young", [bound, bound]))).allowed).to.equal(true);
    expect(asked).to.deep.equal(["young"]);
  });
  surprise(46, "Berth's own namespace is never judged, nor asked about", async () => {
    const none = snapshotOf({});
    const review = podReview("berth-system", [closed, " "]);
    expect((await createGate({ ...none, policyRead: false }).validate(review)).reasons).to.equal(
      "exempt-namespace",
    );
    expect(namespaceSelector.matchExpressions[0]?.values).to.include.members(["berth-system", "kube-system"]);
  });
  surprise(48, "what is known of a Harbor that is down has an age, and past it its own reason", async () => {
    const stale = new Map([["managed", { ...ordinary.catalogues.get("managed")!, stale: true }]]);
    const away = () => Promise.reject(new Error("Harbor is down"));
    const on = (how: "serve" | "refuse-unbound") =>
      createGate(
        { ...ordinary, catalogues: stale, rules: { ...ordinary.rules, stale: how } },
        { lookUps: { namespace: away, space: away, grant: away } },
      );
    const reasons = async (how: "serve" | "refuse-unbound", image: string) =>
      (await on(how).validate(podReview("shop", [image]))).reasons;
    expect(await reasons("serve", open)).to.equal("public-space");
    expect(await reasons("refuse-unbound", open)).to.equal("catalogue-stale");
    expect(await reasons("refuse-unbound", bound)).to.equal("bound-space");
    const unread = createGate({ ...ordinary, catalogues: new Map() });
    expect((await unread.validate(podReview("shop", [open]))).reasons).to.equal("catalogue-not-ready");
  });
});

/** Number → test file and a piece of the test's title. */
const elsewhere: Readonly<Record<number, readonly [file: string, title: string]>> = {
  1: ["harbor/projects.test.ts", "with a wrong password, which Harbor answers with what is public"],
  2: ["harbor/projects.test.ts", "no metadata at all is private"],
  3: ["harbor/projects.test.ts", "the text false is private, though it is not empty"],
  4: ["harbor/projects.test.ts", "are read again when one vanishes between two pages"],
  5: ["feeds/catalogue-feed.test.ts", "moves the reading on with each beat"],
  6: ["harbor/projects.test.ts", "are read by name even when that is a number"],
  7: ["harbor/projects.test.ts", "are null when the administrator hears that there is none"],
  9: ["harbor/projects.test.ts", "tell proxy caches from others"],
  10: ["harbor/robot-accounts.test.ts", "are asked for once, by a name without prefix"],
  11: ["reconcilers/robot-life.test.ts", "Harbor's prefix for robots changes"],
  12: ["harbor/robot-accounts.test.ts", "are never changed"],
  13: ["reconcilers/robot-life.test.ts", "its life is two thirds over"],
  14: [
    "harbor/harbor-client.test.ts",
    "rests a login that was refused, so as not to keep the account locked",
  ],
  15: ["harbor/harbor-client.test.ts", "asks with its login on every call, and keeps no cookie"],
  47: ["kubernetes/watch.test.ts", "finds out that a stream died in silence, and sees what it missed"],
};

/** Number → why there is nothing to test here. */
const nothingToTest: Readonly<Record<number, string>> = {
  16: "update_time is never read",
  26: "a cluster's Berth knows no other cluster",
};

describe("the other surprises", () => {
  for (const [number, [file, title]] of Object.entries(elsewhere)) {
    it(`${number} is tested in test/${file}: ${title}`, () => {
      expect(readFileSync(join(import.meta.dirname, "..", file), "utf8")).to.contain(title);
    });
  }
  it("leave none out", () => {
    const numbers = [...here, ...[elsewhere, nothingToTest].flatMap((list) => Object.keys(list).map(Number))];
    expect(numbers.sort((a, b) => a - b)).to.deep.equal(Array.from({ length: 48 }, (_, index) => index + 1));
  });
});
