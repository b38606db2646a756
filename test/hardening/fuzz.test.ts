// Whatever comes in, the webhook answers, and no image that the rule refuses gets through: arbitrary reviews, pod
// specs and images, and recorded reviews with random damage, against a search that knows no pod spec.

import { expect } from "chai";
import fc from "fast-check";
import { applyPatch } from "rfc6902";
import { builtInKinds, type PatchOperation } from "../../src/domain/pod-spec.ts";
import { createAdmission, type AdmissionNeeds } from "../../src/http/admission.ts";
import type { LookUps } from "../../src/http/look-ups.ts";
import type { AdmissionPath } from "../../src/http/workload-question.ts";
import { presentPullSecrets } from "../../src/http/pull-secret-wait.ts";
import { silentLog } from "../../src/log.ts";
import { readAt } from "../builders.ts";
import { recordedReview, recordedReviewNames } from "../fixtures.ts";
import { imageReferences } from "./image-references.ts";
import { modelFinding, type World } from "./naive-model.ts";
import { fuzzRuns } from "./runs.ts";
import { snapshotFrom } from "./worlds.ts";

const world: World = {
  policyRead: true,
  stale: "serve",
  unlisted: "deny",
  exempt: ["kube-system"],
  registries: [
    {
      name: "managed",
      type: "harbor",
      spellings: ["harbor.example.test"],
      workspace: null,
      proxyCachesArePrivate: false,
      login: true,
      pullLogin: false,
    },
  ],
  bindings: ["team-a", "models"].map((space) => ({
    workspace: "12",
    registry: "managed",
    space,
    id: null,
    pin: null,
  })),
  declared: [],
  recordsOwnSpaces: true,
  catalogues: [
    {
      registry: "managed",
      stale: false,
      spaces: [
        { name: "platform", visibility: "public", id: 1, proxyCache: false },
        { name: "team-a", visibility: "private", id: 2, proxyCache: false },
        { name: "team-b", visibility: "private", id: 3, proxyCache: false },
        { name: "models", visibility: "private", id: 4, proxyCache: false },
      ],
    },
  ],
  namespaces: { demo: "12", demo2: "13" },
  liveNamespaces: {},
  namespacesAreSilent: false,
  live: [],
  grants: [],
  grantsAreSilent: false,
};
const snapshot = snapshotFrom(world);
const good = ["harbor.example.test/platform/app:1", "harbor.example.test/team-a/app:1"];
const evil = [
  ...["evil.example/app", "nginx", "harbor.example.test/team-b/app", "harbor.example.test/team-a-evil/app"],
  ...[
    "HARBOR.example.test:443/team-b/x",
    "harbor.example.test/app",
    "harbor.example.test.evil/team-a/x",
    " ",
  ],
];

const lookUps: LookUps = {
  namespace: () => Promise.resolve({ kind: "read", exists: false, workspace: null }),
  space: (registry, name) => {
    const found = snapshot.catalogues.get(registry)?.spaces.get(name) ?? null;
    return Promise.resolve({ kind: "read", reading: { readAt: readAt + 1, space: found } });
  },
  grant: () => Promise.resolve({ kind: "read", granted: false }),
};
const needs: AdmissionNeeds = {
  snapshot: () => snapshot,
  lookUps,
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
};
const admission = createAdmission(needs);
/** Where a refused image does not keep the pull secret from the others. */
const warning = createAdmission({
  ...needs,
  snapshot: () => ({ ...snapshot, policy: { ...snapshot.policy, mode: "warn" } }),
});

interface Answered {
  readonly status: number;
  readonly allowed: boolean | undefined;
  readonly patch: PatchOperation[];
}

/** Asks, and holds what is true of every answer: one AdmissionReview with the request's uid, or a 400. */
async function ask(path: AdmissionPath, review: unknown, asked = admission): Promise<Answered> {
  const body = typeof review === "string" ? review : JSON.stringify(review);
  const { status, body: text } = await asked(path, Buffer.from(body), 5_000);
  const uid = uidOf(review);
  if (uid === undefined) {
    expect(status).to.equal(400);
    return { status, allowed: undefined, patch: [] };
  }
  expect(status).to.equal(200);
  const answer = JSON.parse(text) as { response: { uid: string; allowed: boolean; patch?: string } };
  expect(answer).to.include({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview" });
  expect(answer.response.uid).to.equal(uid);
  expect(answer.response.allowed).to.be.a("boolean");
  if (path === "mutate") expect(answer.response.allowed, "/mutate never refuses").to.equal(true);
  else expect(answer.response).to.not.have.property("patch");
  const { allowed, patch } = answer.response;
  const decoded = patch === undefined ? "[]" : Buffer.from(patch, "base64").toString();
  return { status, allowed, patch: JSON.parse(decoded) as PatchOperation[] };
}

type Json = Readonly<Record<string, unknown>>;
const isRecord = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const memberOf = (value: unknown, name: string): unknown =>
  isRecord(value) && Object.hasOwn(value, name) ? value[name] : undefined;

function uidOf(review: unknown): string | undefined {
  const uid = memberOf(memberOf(review, "request"), "uid");
  const isReview =
    memberOf(review, "kind") === "AdmissionReview" &&
    memberOf(review, "apiVersion") === "admission.k8s.io/v1";
  return isReview && typeof uid === "string" && uid !== "" && uid.length <= 256 ? uid : undefined;
}

/**
 * Every text under a key `image`, or under `reference` below an `image`, wherever it is, but for what is no reference
 * by the API's own account: an rbd volume's image, status, managed fields and annotations.
 */
function imagesAnywhere(value: unknown): ReadonlySet<string> {
  const found = new Set<string>();
  const search = (at: unknown, keys: readonly string[]): void => {
    if (Array.isArray(at)) {
      for (const element of at) search(element, keys);
    } else if (isRecord(at)) {
      for (const [key, below] of Object.entries(at)) {
        const isNone = ["status", "managedFields", "annotations", "rbd"].includes(key);
        if (!isNone) search(below, [...keys, key]);
      }
    } else if (typeof at === "string" && at !== "") {
      const [key, ...above] = keys.toReversed();
      if (key === "image" || (key === "reference" && above.includes("image"))) found.add(at);
    }
  };
  search(value, []);
  return found;
}

/** An image in it that the rule refuses, and for which the webhook has no excuse. */
function inexcusable(review: unknown): string | undefined {
  const request = memberOf(review, "request");
  const operation = memberOf(request, "operation");
  const namespace = memberOf(request, "namespace");
  if (operation === "DELETE" || operation === "CONNECT" || typeof namespace !== "string") return undefined;
  if (["kube-system", "berth-system"].includes(namespace)) return undefined;
  const before = operation === "UPDATE" ? imagesAnywhere(memberOf(request, "oldObject")) : new Set<string>();
  const images = [...imagesAnywhere(memberOf(request, "object"))];
  return images.find((image) => !before.has(image) && !modelFinding(world, namespace, image).allowed);
}

async function neverLetsThrough(review: unknown): Promise<boolean> {
  const { allowed } = await ask("validate", review);
  const image = inexcusable(review);
  if (image !== undefined && allowed === true) expect.fail(`${image} got through`);
  return allowed === true;
}

async function patchesOnlyPullSecrets(review: unknown, asked = admission): Promise<boolean> {
  const { patch } = await ask("mutate", review, asked);
  if (patch.length === 0) return false;
  const object = structuredClone(memberOf(memberOf(review, "request"), "object")) as Json;
  const before = structuredClone(object);
  expect(applyPatch(object, patch)).to.deep.equal(patch.map(() => null));
  expect(withoutPullSecrets(object)).to.deep.equal(withoutPullSecrets(before));
  const again = { ...(review as Json), request: { ...(memberOf(review, "request") as Json), object } };
  expect((await ask("mutate", again, asked)).patch, "twice changes nothing").to.deep.equal([]);
  return true;
}

function withoutPullSecrets(object: Json): Json {
  const spec = Object.entries((object["spec"] ?? {}) as Json).filter(([key]) => key !== "imagePullSecrets");
  return { ...object, spec: Object.fromEntries(spec) };
}

const imageTexts = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...good) },
  { weight: 3, arbitrary: fc.constantFrom(...evil) },
  { weight: 1, arbitrary: fc.constantFrom(...imageReferences) },
  { weight: 1, arbitrary: fc.string({ unit: "binary" }) },
);
/** What stands where something else is expected. */
const oddities = fc.oneof(
  fc.constantFrom(null, true, 0, "", "text", [], {}, [[]], [null], "__proto__"),
  fc.jsonValue({ maxDepth: 2 }),
);
const mostly = <T>(
  usual: fc.Arbitrary<T>,
  unusual: fc.Arbitrary<unknown> = oddities,
): fc.Arbitrary<unknown> => fc.oneof({ weight: 30, arbitrary: usual }, { weight: 1, arbitrary: unusual });

const container = fc.record(
  {
    name: mostly(fc.constantFrom("a", "b", "")),
    image: mostly(
      imageTexts,
      fc.oneof(oddities, fc.array(imageTexts), fc.dictionary(fc.string(), imageTexts)),
    ),
    env: mostly(fc.constant([{ name: "A", value: "evil.example/x" }])),
  },
  { requiredKeys: [] },
);
const volume = fc.oneof(
  fc.record({ name: mostly(fc.constant("v")), image: mostly(fc.record({ reference: mostly(imageTexts) })) }),
  fc.record({ name: fc.constant("w"), rbd: fc.record({ image: imageTexts }) }),
  fc.record({ name: fc.constant("x"), emptyDir: fc.constant({}) }),
);
const listOf = (element: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  mostly(
    fc.array(mostly(element, fc.oneof(oddities, fc.array(element))), { maxLength: 3 }),
    fc.oneof(oddities, element, fc.dictionary(fc.string(), element)),
  );
const podSpecs = mostly(
  fc.record(
    {
      containers: listOf(container),
      initContainers: listOf(container),
      ephemeralContainers: listOf(container),
      volumes: listOf(volume),
      imagePullSecrets: mostly(fc.array(mostly(fc.constantFrom({ name: "mine" }, { name: "berth-pull" })))),
      serviceAccountName: mostly(fc.constant("default")),
      nodeName: fc.jsonValue({ maxDepth: 1 }),
    },
    { requiredKeys: [] },
  ),
);

/** The object of a kind whose pod spec this is, by the API reference. */
function wrapped(kind: string, podSpec: unknown): Json {
  const template = { spec: podSpec };
  switch (kind) {
    case "/Pod":
      return { metadata: { name: "x" }, spec: podSpec };
    case "/PodTemplate":
      return { metadata: { name: "x" }, template };
    case "batch/CronJob":
      return { spec: { schedule: "@daily", jobTemplate: { spec: { template } } } };
    default:
      return { spec: { replicas: 1, template }, status: { image: "evil.example/x" } };
  }
}

const reviewOf = (kind: string, more: Json): Json => {
  const [group = "", name = ""] = kind.split("/");
  return {
    kind: "AdmissionReview",
    apiVersion: "admission.k8s.io/v1",
    request: {
      uid: "a-uid",
      kind: { group, version: "v1", kind: name },
      resource: { group, version: "v1", resource: "things" },
      name: "x",
      namespace: "demo",
      operation: "CREATE",
      userInfo: { username: "somebody", groups: [] },
      object: null,
      oldObject: null,
      dryRun: false,
      ...more,
    },
  };
};

const workloadReviews = fc
  .record({
    kind: fc.constantFrom(...builtInKinds.keys()),
    podSpec: podSpecs,
    oldSpec: fc.option(podSpecs),
    keepsSpec: fc.boolean(),
    namespace: fc.constantFrom("demo", "demo", "demo2", "kube-system", "nowhere"),
    operation: fc.constantFrom("CREATE", "CREATE", "UPDATE", "UPDATE", "DELETE"),
    subResource: fc.constantFrom("", "", "ephemeralcontainers", "status"),
  })
  .map(({ kind, podSpec, oldSpec, keepsSpec, ...rest }) => {
    const before = isRecord(podSpec) && isRecord(oldSpec) && keepsSpec ? { ...podSpec, ...oldSpec } : oldSpec;
    const oldObject = rest.operation === "CREATE" ? null : wrapped(kind, before);
    return reviewOf(kind, { ...rest, oldObject, object: wrapped(kind, podSpec) });
  });

/** Every node of the JSON below the root, as a way to it. */
function waysInto(
  value: unknown,
  way: readonly (string | number)[] = [],
): readonly (readonly (string | number)[])[] {
  if (typeof value !== "object" || value === null) return [way];
  const below = Array.isArray(value)
    ? value.flatMap((element, index) => waysInto(element, [...way, index]))
    : Object.entries(value).flatMap(([key, member]) => waysInto(member, [...way, key]));
  return way.length === 0 ? below : [way, ...below];
}

function withGoodImages(value: unknown): unknown {
  const text = JSON.stringify(value).replaceAll(
    /"(image|reference)":"(?:[^"\\]|\\.)+"/g,
    `"$1":"${good[1] ?? ""}"`,
  );
  return JSON.parse(text);
}

interface Damage {
  readonly at: number;
  readonly how: "delete" | "replace" | "repeat" | "reimage" | "move";
  readonly put: unknown;
  readonly image: string;
}

function damaged(review: unknown, damages: readonly Damage[]): unknown {
  const copy: unknown = structuredClone(review);
  for (const { at, how, put, image } of damages) {
    const ways = waysInto(copy);
    const images = ways.filter((way) => way.at(-1) === "image" || way.at(-1) === "reference");
    const choice = how === "reimage" ? images : ways;
    const way = choice[at % Math.max(1, choice.length)];
    if (way === undefined) continue;
    const last = way.at(-1) ?? "";
    let parent = copy as Record<string | number, unknown>;
    for (const step of way.slice(0, -1)) parent = parent[step] as Record<string | number, unknown>;
    if (how === "delete") {
      if (Array.isArray(parent)) parent.splice(Number(last), 1);
      else Reflect.deleteProperty(parent, last);
    } else if (how === "reimage") parent[last] = image;
    else if (how === "replace") parent[last] = structuredClone(put);
    else if (Array.isArray(parent)) parent.push(structuredClone(parent[Number(last)]));
    else if (last === "containers")
      parent[how === "move" ? "ephemeralContainers" : "initContainers"] = parent[last];
  }
  return copy;
}

const damages: fc.Arbitrary<Damage[]> = fc.array(
  fc.record({
    at: fc.nat(),
    how: fc.constantFrom("delete", "replace", "repeat", "reimage", "reimage", "move"),
    put: fc.constantFrom(null, "", "text", 7, true, [], {}, ["text"], [[]], { 0: "text" }),
    image: imageTexts,
  }),
  { minLength: 1, maxLength: 6 },
);
const recorded = fc.constantFrom(...recordedReviewNames).map((name) => recordedReview(name));
/** As recorded, but for images that the rule allows, so that damage decides. */
const damagedReviews = fc
  .tuple(recorded, fc.boolean(), damages)
  .map(([review, pure, some]) => {
    return damaged(pure ? review : withGoodImages(review), some);
  })
  // A review for another kind or subresource asks about something else, and its object is not what it was.
  .filter((review) => isStillAboutTheObject(review));

function isStillAboutTheObject(review: unknown): boolean {
  const request = memberOf(review, "request");
  const kind = memberOf(request, "kind");
  const name = [memberOf(kind, "group") ?? "", memberOf(kind, "kind")].join("/");
  return builtInKinds.has(name) || memberOf(request, "subResource") === undefined;
}

/** Enough of the cases have to be of both sorts, else a property proves nothing. */
async function sometimes(
  runs: number,
  check: (count: (hit: boolean) => void) => Promise<void>,
): Promise<void> {
  let hits = 0;
  await check((hit) => {
    hits += hit ? 1 : 0;
  });
  expect(hits, "of the cases that matter").to.be.greaterThan(runs / 50);
}

describe("whatever is asked", () => {
  it("arbitrary JSON is answered with its uid, or with 400", async () => {
    const reviewish = fc.record(
      {
        kind: fc.oneof(fc.constant("AdmissionReview"), fc.jsonValue()),
        apiVersion: fc.constantFrom("admission.k8s.io/v1", "v1"),
        request: fc.oneof(
          fc.jsonValue(),
          fc.record(
            {
              uid: mostly(fc.string({ unit: "binary" })),
              operation: mostly(fc.constantFrom("CREATE", "UPDATE", "DELETE", "CONNECT")),
              kind: mostly(fc.record({ group: mostly(fc.constant("")), kind: mostly(fc.constant("Pod")) })),
              resource: mostly(fc.record({ resource: mostly(fc.constant("pods")) })),
              namespace: mostly(fc.constant("demo")),
              object: fc.jsonValue(),
              oldObject: fc.jsonValue(),
              userInfo: fc.jsonValue(),
              dryRun: fc.jsonValue(),
            },
            { requiredKeys: [] },
          ),
        ),
      },
      { requiredKeys: [] },
    );
    await fc.assert(
      fc.asyncProperty(fc.oneof(fc.jsonValue(), reviewish), async (review) => {
        // A unpaired surrogate does not survive the way to bytes.
        const sent: unknown = JSON.parse(Buffer.from(JSON.stringify(review)).toString());
        await ask("validate", sent);
        await ask("mutate", sent);
      }),
      { numRuns: fuzzRuns(1_500) },
    );
  });

  it("arbitrary bytes are answered with 400", async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const { status } = await admission("validate", Buffer.from(bytes), 5_000);
        expect(status).to.equal(400);
      }),
      { numRuns: fuzzRuns(500) },
    );
  });

  for (const deep of ["[", '{"containers":', '{"image":']) {
    it(`so is an object with 100,000 times ${deep} inside`, async () => {
      const close = deep === "[" ? "]" : "}";
      const nested = `${deep.repeat(100_000)}null${close.repeat(100_000)}`;
      for (const operation of ["CREATE", "UPDATE"]) {
        for (const object of [`{"spec":${nested}}`, `{"spec":{"containers":${nested}}}`, `{"x":${nested}}`]) {
          const more = { operation, object: "$object", oldObject: "$object" };
          const body = JSON.stringify(reviewOf("/Pod", more)).replaceAll('"$object"', object);
          for (const path of ["validate", "mutate"] as const) {
            expect((await admission(path, Buffer.from(body), 5_000)).status).to.equal(200);
          }
        }
      }
    });
  }

  it("arbitrary text as an image is allowed only where the model allows it", async () => {
    await sometimes(3_000, async (count) => {
      await fc.assert(
        fc.asyncProperty(imageTexts, async (image) => {
          const text = Buffer.from(image).toString();
          const object = { spec: { containers: [{ name: "c", image: text }] } };
          const { allowed } = await ask("validate", reviewOf("/Pod", { object }));
          expect(allowed).to.equal(text === "" || modelFinding(world, "demo", text).allowed);
          count(allowed === true);
        }),
        { numRuns: fuzzRuns(3_000) },
      );
    });
  });
});

describe("no refused image gets through", () => {
  it("in any built-in kind, whatever the pod spec looks like", async () => {
    await sometimes(8_000, async (count) => {
      await fc.assert(
        fc.asyncProperty(workloadReviews, async (review) => count(await neverLetsThrough(review))),
        { numRuns: fuzzRuns(8_000) },
      );
    });
  });

  it("in recorded reviews with random damage", async () => {
    await sometimes(3_000, async (count) => {
      await fc.assert(
        fc.asyncProperty(damagedReviews, async (review) => count(await neverLetsThrough(review))),
        { numRuns: fuzzRuns(3_000) },
      );
    });
  });
});

describe("a patch", () => {
  it("changes nothing but imagePullSecrets, and applied twice nothing more", async () => {
    await sometimes(3_000, async (count) => {
      const pods = podSpecs.map((podSpec) => reviewOf("/Pod", { object: withGoodImages({ spec: podSpec }) }));
      await fc.assert(
        fc.asyncProperty(pods, async (review) => count(await patchesOnlyPullSecrets(review))),
        { numRuns: fuzzRuns(3_000) },
      );
    });
  });

  it("of a damaged recorded review neither", async () => {
    await fc.assert(
      fc.asyncProperty(damagedReviews, async (review) => {
        await patchesOnlyPullSecrets(review);
        await patchesOnlyPullSecrets(review, warning);
      }),
      { numRuns: fuzzRuns(1_500) },
    );
  });
});

describe("the time to judge", () => {
  // Generous, since machines are noisy: what is guarded against grows with the square, a thousandfold at this size.
  const multiple = 25;
  const size = 1024 * 1024;
  const of = (unit: string, length: number) => unit.repeat(Math.ceil(length / unit.length)).slice(0, length);
  const host = "harbor.example.test";

  const imagesOf = (unit: string, prefix: string, length: number) =>
    Array.from({ length: Math.floor(size / length) }, () => prefix + of(unit, length - prefix.length));
  const units = [
    "a",
    "a/",
    "a.",
    "a-",
    "-",
    "a__",
    "_",
    ":",
    "a:",
    "@",
    "@sha256:",
    "[:",
    "0x",
    "A",
    "\u212a",
    "\0",
    "%2F",
  ];
  const hostile: [title: string, images: readonly string[]][] = units.flatMap((unit) => [
    [`one image of ${JSON.stringify(unit)}`, [of(unit, size)]] as [string, string[]],
    [`many images of ${JSON.stringify(unit)}`, imagesOf(unit, `${host}/`, 700)] as [string, string[]],
    [`many spaces of ${JSON.stringify(unit)}`, imagesOf(unit, `${host}/team-`, 240)] as [string, string[]],
  ]);

  async function quickest(images: readonly string[]): Promise<number> {
    const object = { spec: { containers: images.map((image) => ({ name: "c", image })) } };
    const body = Buffer.from(JSON.stringify(reviewOf("/Pod", { object })));
    let best = Infinity;
    for (let round = 0; round < 3; round += 1) {
      const begun = performance.now();
      expect((await admission("validate", body, 5_000)).status).to.equal(200);
      best = Math.min(best, performance.now() - begun);
    }
    return best;
  }

  it(`grows with the size of what is asked, within ${String(multiple)} times that of plain images`, async () => {
    const plain = Array.from({ length: Math.floor(size / 700) }, (_, index) => {
      const name = `${host}/platform/app-${String(index)}`;
      return `${name}:${"1".repeat(120)}@sha256:${"0".repeat(64)}`;
    });
    // As many bytes of plain images, whatever their number.
    const plainMs = await quickest([...plain, ...plain, ...plain]);
    for (const [title, images] of hostile) {
      expect(await quickest(images), title).to.be.below(multiple * Math.max(plainMs, 1));
    }
  });
});
