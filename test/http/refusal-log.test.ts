import { expect } from "chai";
import type { NamespaceAnswer } from "../../src/domain/knowledge.ts";
import { builtInKinds } from "../../src/domain/pod-spec.ts";
import { createAdmission } from "../../src/http/admission.ts";
import type { Guard } from "../../src/http/guard.ts";
import { presentPullSecrets } from "../../src/http/pull-secret-wait.ts";
import { policyOf, readAt, registry, snapshotOf, space } from "../builders.ts";
import { podReview } from "../fakes/api-server.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";

const closed = "harbor.test/team-b/app:1";

const snapshot = snapshotOf({
  policy: policyOf({
    registries: [registry("managed", { spellings: ["harbor.test"] })],
    bindings: ["12 managed/team-a"],
  }),
  namespaces: { shop: "12", bare: null },
  catalogues: { managed: [space("team-a", "private", 2), space("team-b", "private", 3)] },
});

/** Each look at the clock is a millisecond later. */
function ticking(): () => number {
  let now = 1_000;
  return () => (now += 1);
}

async function linesOf(review: unknown, guards: readonly Guard[] = []) {
  const log = createRecordingLog();
  const answer = createAdmission({
    snapshot: () => snapshot,
    lookUps: {
      namespace: (): Promise<NamespaceAnswer> =>
        Promise.resolve({ kind: "read", exists: true, workspace: "12" }),
      space: () =>
        Promise.resolve({
          kind: "read",
          reading: { readAt: readAt + 1, space: space("team-b", "private", 3) },
        }),
      grant: () => Promise.reject(new Error("no grant is asked for here")),
    },
    kinds: builtInKinds,
    guards,
    pullSecretMustBeNamed: false,
    askersAreTrusted: false,
    count: () => undefined,
    countRefusal: () => undefined,
    countWarning: () => undefined,
    pullSecrets: presentPullSecrets,
    log,
    now: ticking(),
  });
  await answer("validate", Buffer.from(JSON.stringify(review)), 5_000);
  return log.lines;
}

describe("the log line of a refusal", () => {
  it("is one, with all that it takes to find out what happened", async () => {
    const [line, ...others] = await linesOf(podReview("shop", [closed, "quay.io/x", closed]));
    expect(others).to.deep.equal([]);
    expect(line).to.include({ level: "info", text: "refused" });
    const { durationMs, ...facts } = line!.facts;
    expect(durationMs).to.be.a("number").and.be.greaterThan(0);
    expect(facts).to.deep.equal({
      uid: `uid-shop-${closed}+quay.io/x+${closed}`,
      namespace: "shop",
      workspace: "12",
      kind: "/Pod",
      name: "pod",
      operation: "CREATE",
      mode: "enforce",
      reasons: ["space-not-bound", "unlisted-registry"],
      images: [closed, "quay.io/x", closed],
      generation: snapshot.generation,
    });
  });

  it("tells no workspace where there is none", async () => {
    const [line] = await linesOf(podReview("bare", [closed]));
    expect(line?.facts).to.include({ workspace: null, namespace: "bare" });
  });

  it("tells the workspace of a namespace that is younger than its watch event", async () => {
    const [line] = await linesOf(podReview("new", [closed]));
    expect(line?.facts).to.include({ workspace: "12", namespace: "new" });
  });

  it("has the same facts where a guard refuses", async () => {
    const guard: Guard = () =>
      Promise.resolve({
        refused: { reason: "policy-invalid", message: "because" },
        mode: "enforce",
        warnings: [],
      });
    const [line, ...others] = await linesOf(podReview("shop", []), [guard]);
    expect(others).to.deep.equal([]);
    const { durationMs, ...facts } = line!.facts;
    expect(durationMs).to.be.a("number").and.be.greaterThan(0);
    expect(facts).to.deep.equal({
      uid: "uid-shop-",
      namespace: "shop",
      workspace: "12",
      kind: "/Pod",
      name: "pod",
      operation: "CREATE",
      username: "somebody",
      mode: "enforce",
      reasons: ["policy-invalid"],
      generation: snapshot.generation,
    });
  });

  it("is none for what is allowed", async () => {
    expect(await linesOf(podReview("shop", ["harbor.test/team-a/app:1"]))).to.deep.equal([]);
  });
});
