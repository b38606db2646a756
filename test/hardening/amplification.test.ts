// No answer, and no line of the log, grows with what was asked: neither a client nor a disk can be filled through us.

import { expect } from "chai";
import { validatePolicyDocument } from "../../src/domain/policies.ts";
import { builtInKinds } from "../../src/domain/pod-spec.ts";
import { createAdmission } from "../../src/http/admission.ts";
import { createNamespaceGuard } from "../../src/http/namespace-guard.ts";
import { createPolicyGuard } from "../../src/http/policy-guard.ts";
import { presentPullSecrets } from "../../src/http/pull-secret-wait.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";
import { podReview } from "../fakes/api-server.ts";
import { ordinary } from "./gate.ts";

const log = createRecordingLog();
const gate = (mode: "enforce" | "warn", hasRight: () => Promise<boolean>) =>
  createAdmission({
    snapshot: () => ({ ...ordinary, policy: { ...ordinary.policy, mode } }),
    lookUps: {
      namespace: () => Promise.reject(new Error("away")),
      space: () => Promise.reject(new Error("away")),
      grant: () => Promise.reject(new Error("away")),
    },
    kinds: builtInKinds,
    guards: [
      createNamespaceGuard({ enforced: true, log, hasRight }),
      createPolicyGuard({
        readProblems(texts) {
          const result = texts.flatMap(({ text, source }) => validatePolicyDocument(text, source));
          return Promise.resolve({ kind: "done", result });
        },
      }),
    ],
    pullSecretMustBeNamed: true,
    askersAreTrusted: true,
    count: () => undefined,
    countRefusal: () => undefined,
    countWarning: () => undefined,
    pullSecrets: presentPullSecrets,
    log,
    now: () => 0,
  });

const long = (unit: string) => unit.repeat(Math.floor(1_000_000 / unit.length));
const about = (kind: string, more: object) =>
  podReview("berth-system", [], { kind: { group: "", version: "v1", kind }, uid: "uid", ...more });
const policyEdit = (name: string, data: Readonly<Record<string, string>>) =>
  about("ConfigMap", { name, object: { metadata: { labels: { "berth.io/policy": "true" } }, data } });
const mistakes = Array.from({ length: 30 }, (_, index) => `key${String(index)}: 1`).join("\n");
const label = { "workspace.ghippo.io/id": long("w") };
const ofPod = (more: object) => ({ ...about("Pod", { namespace: "shop", uid: "uid", ...more }) });
const containers = (make: (index: number) => object) => ({
  object: { spec: { containers: Array.from({ length: 9_000 }, (_, index) => make(index)) } },
});

const hostile: readonly (readonly [title: string, review: unknown])[] = [
  ["a policy whose name is long", policyEdit(long("n"), { "a.yaml": mistakes })],
  ["a policy whose key is long", policyEdit("a", { [`${long("k")}.yaml`]: mistakes })],
  [
    "a policy of thousands of broken documents",
    policyEdit(
      "a",
      Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`${String(i)}.yaml`, "x: 1"])),
    ),
  ],
  ["a policy of one long line", policyEdit("a", { "a.yaml": `mode: ${long("x")}` })],
  [
    "a namespace whose name is long",
    about("Namespace", { name: long("n"), object: { metadata: { labels: label } } }),
  ],
  [
    "a namespace's name in the object",
    about("Namespace", { name: "", object: { metadata: { name: long("n"), labels: label } } }),
  ],
  ["a long label", about("Namespace", { name: "a", object: { metadata: { labels: label } } })],
  [
    "a long user",
    about("Namespace", {
      name: "a",
      userInfo: { username: long("u") },
      object: { metadata: { labels: label } },
    }),
  ],
  ["a long kind", ofPod({ kind: { group: "", version: "v1", kind: long("K") } })],
  [
    "a long name, user and namespace",
    ofPod({
      name: long("n"),
      namespace: long("m"),
      userInfo: { username: long("u") },
      ...containers(() => ({ image: "evil.test/a" })),
    }),
  ],
  [
    "long images",
    ofPod(containers(() => ({ name: "a".repeat(500), image: `evil.test/${"a".repeat(300)}` }))),
  ],
  [
    "an image of a megabyte",
    ofPod({ object: { spec: { containers: [{ name: long("\0"), image: long("\0") }] } } }),
  ],
  [
    "thousands of spellings to warn of",
    ofPod({ namespace: "shop", ...containers(() => ({ image: "HARBOR.test/team-a/app" })) }),
  ],
];

describe("what an answer and the log hold", () => {
  for (const [title, review] of hostile) {
    it(`stays small for ${title}`, async () => {
      for (const [mode, hasRight] of [
        ["enforce", () => Promise.resolve(false)],
        ["warn", () => Promise.resolve(true)],
        ["enforce", () => Promise.reject(new Error("away"))],
      ] as const) {
        log.lines.length = 0;
        const { status, body } = await gate(mode, hasRight)(
          "validate",
          Buffer.from(JSON.stringify(review)),
          5_000,
        );
        expect(status).to.equal(200);
        expect(body.length).to.be.below(40_000);
        for (const line of log.lines) expect(JSON.stringify(line).length).to.be.below(40_000);
      }
    });
  }
});
