import { expect } from "chai";
import * as fc from "fast-check";
import {
  asWarnings,
  decodeReview,
  encodeAnswer,
  type Answer,
  type Review,
} from "../../src/http/admission-review.ts";
import { podReview } from "../fakes/api-server.ts";
import { recordedReview, recordedReviewNames } from "../fixtures.ts";

const bodyOf = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

function reviewOf(value: unknown): Review {
  const decoded = decodeReview(bodyOf(value));
  if (decoded.kind !== "review")
    throw new Error(`expected a review, got ${decoded.kind}: ${decoded.problem}`);
  return decoded.review;
}

describe("a review, decoded", () => {
  const recorded: [name: string, kind: string, resource: string, subResource: string, operation: string][] = [
    ["pod-create-by-a-person", "/Pod", "/pods", "", "CREATE"],
    ["pod-update-ephemeral-containers", "/Pod", "/pods", "ephemeralcontainers", "UPDATE"],
    ["deployment-create", "apps/Deployment", "apps/deployments", "", "CREATE"],
    ["cronjob-create", "batch/CronJob", "batch/cronjobs", "", "CREATE"],
    ["namespace-status-update-workspace-label", "/Namespace", "/namespaces", "status", "UPDATE"],
    ["pod-delete", "/Pod", "/pods", "", "DELETE"],
  ];
  for (const [name, kind, resource, subResource, operation] of recorded) {
    it(`${name}: is what the API server meant`, () => {
      const { request } = recordedReview(name);
      const review = reviewOf(recordedReview(name));
      expect(review).to.include({ uid: request.uid, kind, resource, subResource, operation });
      expect([review.object, review.oldObject]).to.deep.equal([request.object, request.oldObject]);
      expect(review.userInfo).to.deep.equal(request["userInfo"]);
      expect(review.username).to.equal((request["userInfo"] as { username: string }).username);
    });
  }

  it("is one for everything that a real API server sent", () => {
    const kinds = recordedReviewNames.map((name) => decodeReview(bodyOf(recordedReview(name))).kind);
    expect(new Set(kinds)).to.deep.equal(new Set(["review"]));
  });

  const dryRuns: [value: unknown, expected: boolean][] = [
    [undefined, false],
    [null, false],
    [false, false],
    [true, true],
    // What may have side effects must be said plainly.
    ["false", true],
    [0, true],
  ];
  for (const [dryRun, expected] of dryRuns) {
    it(`dryRun ${dryRun === undefined ? "absent" : JSON.stringify(dryRun)} is ${expected ? "a" : "no"} dry run`, () => {
      expect(reviewOf(podReview("shop", [], { dryRun })).dryRun).to.equal(expected);
    });
  }

  it("has empty texts and nulls for what is absent or null", () => {
    const absent = { namespace: null, name: undefined, userInfo: null, object: undefined, oldObject: null };
    expect(
      reviewOf(podReview("shop", [], { ...absent, kind: {}, resource: { group: null } })),
    ).to.deep.include({
      kind: "/",
      resource: "/",
      subResource: "",
      namespace: "",
      name: "",
      username: "",
      userInfo: {},
      object: null,
      oldObject: null,
    });
  });

  it("takes no field from a prototype that the body brings", () => {
    const text = JSON.stringify(podReview("shop", ["a"])).replace(
      '"dryRun"',
      '"__proto__":{"subResource":"x"},"dryRun"',
    );
    const decoded = decodeReview(Buffer.from(text));
    expect(decoded.kind === "review" && decoded.review.subResource).to.equal("");
  });

  it("is none where a text holds bytes that are no UTF-8, which a decoder would replace in silence", () => {
    const body = bodyOf(podReview("shop", ["harbor.test/team-?/app"]));
    body[body.indexOf("?")] = 0xff;
    expect(decodeReview(body)).to.deep.equal({ kind: "undecodable", problem: "the body is not UTF-8" });
  });

  it("keeps the uid of what is odd, so that it can be refused", () => {
    const decoded = decodeReview(bodyOf(podReview("shop", [], { operation: "PATCH" })));
    expect(decoded).to.deep.equal({
      kind: "odd",
      uid: "uid-shop-",
      problem: "request.operation: expected CREATE, UPDATE, DELETE or CONNECT",
    });
  });

  it("never throws, whatever the bytes, and quotes none of them", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => Buffer.from(text)),
        ),
        (bytes) => {
          const decoded = decodeReview(Buffer.from(bytes));
          expect(decoded.kind).to.equal("undecodable");
          expect(decoded.kind === "undecodable" && decoded.problem).to.match(/^[a-zA-Z0-9 .-]{5,80}$/);
        },
      ),
    );
  });

  it("is a review or an odd one, never a throw, whatever the fields hold", () => {
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom({}, [], null, "", "CREATE", { kind: "Pod" }));
    const fields = [
      "operation",
      "kind",
      "resource",
      "object",
      "oldObject",
      "userInfo",
      "namespace",
      "name",
      "dryRun",
    ];
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...fields), value), (more) => {
        const decoded = decodeReview(bodyOf(podReview("shop", ["a"], more)));
        expect(decoded.kind).to.be.oneOf(["review", "odd"]);
      }),
    );
  });
});

describe("an answer, encoded", () => {
  const decode = (answer: Answer) => JSON.parse(encodeAnswer(answer)) as Record<string, unknown>;
  const envelope = { apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview" };

  it("is an AdmissionReview with the uid, and nothing that does not apply", () => {
    expect(decode({ uid: "u", allowed: true })).to.deep.equal({
      ...envelope,
      response: { uid: "u", allowed: true },
    });
  });

  it("has a status only where it refuses, and one even without a message", () => {
    expect(decode({ uid: "u", allowed: true, message: "left out" })["response"]).to.deep.equal({
      uid: "u",
      allowed: true,
    });
    expect(decode({ uid: "u", allowed: false })["response"]).to.deep.equal({
      uid: "u",
      allowed: false,
      status: { code: 403, reason: "Forbidden", message: "" },
    });
  });

  it("has patch and patchType both or neither", () => {
    const operation = { op: "add", path: "/spec/imagePullSecrets", value: [{ name: "berth-pull" }] } as const;
    const { response } = decode({ uid: "u", allowed: true, patch: [operation] }) as {
      response: { patch: string; patchType: string };
    };
    expect(response.patchType).to.equal("JSONPatch");
    expect(JSON.parse(Buffer.from(response.patch, "base64").toString())).to.deep.equal([operation]);
    expect(decode({ uid: "u", allowed: true, patch: [] })["response"]).to.deep.equal({
      uid: "u",
      allowed: true,
    });
  });

  it("has warnings and audit annotations where there are any, under keys that the API server takes", () => {
    const auditAnnotations = { verdict: "allow", reasons: "a,b", workspace: "", snapshot: "7" };
    const { response } = decode({ uid: "u", allowed: true, warnings: ["w"], auditAnnotations }) as {
      response: Record<string, unknown>;
    };
    expect(response).to.deep.equal({ uid: "u", allowed: true, warnings: ["w"], auditAnnotations });
    for (const key of Object.keys(auditAnnotations)) expect(key).to.match(/^[A-Za-z0-9]{1,63}$/);
    expect(decode({ uid: "u", allowed: true, warnings: [] })["response"]).not.to.have.property("warnings");
  });

  it("is JSON whatever its texts hold", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string({ unit: "binary" }), (uid, message) => {
        const { response } = decode({ uid, allowed: false, message, warnings: [message] }) as {
          response: { uid: string; status: { message: string }; warnings: string[] };
        };
        expect([response.uid, response.status.message, response.warnings]).to.deep.equal([
          uid,
          message,
          [message],
        ]);
      }),
    );
  });
});

describe("texts as warnings", () => {
  const words = (count: number) =>
    Array.from({ length: count }, (_, index) => `word${String(index)}`).join(" ");

  it("are left as they are where they are short", () => {
    expect(asWarnings(["one", "two"])).to.deep.equal(["one", "two"]);
    expect(asWarnings([])).to.deep.equal([]);
    expect(asWarnings(["x".repeat(120)])).to.deep.equal(["x".repeat(120)]);
  });

  it("are one line each", () => {
    expect(asWarnings(["one\ntwo", "three\n\n"])).to.deep.equal(["one", "two", "three"]);
  });

  it("go on in the next where they are long, broken between words", () => {
    const warnings = asWarnings([words(60)]);
    expect(warnings.join(" ")).to.equal(words(60));
    expect(warnings.length).to.be.greaterThan(2);
    for (const warning of warnings) expect(warning).to.match(/^word.{0,116}$/);
  });

  it("are broken within a word where that is too long", () => {
    expect(asWarnings(["x".repeat(121)])).to.deep.equal(["x".repeat(120), "x"]);
    expect(asWarnings([`short ${"x".repeat(130)}`])).to.deep.equal([
      `short ${"x".repeat(114)}`,
      "x".repeat(16),
    ]);
  });

  it("are counted where there are too many", () => {
    const warnings = asWarnings(
      Array.from({ length: 100 }, (_, index) => `${String(index).padStart(3)}${"x".repeat(97)}`),
    );
    expect(warnings).to.have.lengthOf(21);
    expect(warnings.at(-1)).to.equal("(80 more not shown)");
  });

  it("never exceed what the API server passes on whole, and lose nothing but at the end", () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 700 })), (texts) => {
        const warnings = asWarnings(texts);
        for (const warning of warnings) {
          expect(warning.length).to.be.within(1, 120);
          expect(warning).not.to.include("\n");
        }
        expect(warnings.join("").length).to.be.below(4_096);
        const shown =
          warnings.at(-1)?.endsWith("more not shown)") === true ? warnings.slice(0, -1) : warnings;
        const letters = (list: readonly string[]) => list.join("").replaceAll(/[ \n]/g, "");
        expect(letters(texts).startsWith(letters(shown))).to.equal(true);
        if (shown === warnings) expect(letters(shown)).to.equal(letters(texts));
      }),
    );
  });
});
