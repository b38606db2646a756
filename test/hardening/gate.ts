// The webhook without its listener, over a snapshot with one of each: for tests that ask one question and look at
// the answer.

import { expect } from "chai";
import type { SpaceAnswer } from "../../src/domain/knowledge.ts";
import { builtInKinds, type PatchOperation } from "../../src/domain/pod-spec.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import type { Right } from "../../src/domain/workspace-guard.ts";
import { createAdmission, type AdmissionNeeds } from "../../src/http/admission.ts";
import { createNamespaceGuard } from "../../src/http/namespace-guard.ts";
import type { AdmissionPath } from "../../src/http/workload-question.ts";
import { presentPullSecrets } from "../../src/http/pull-secret-wait.ts";
import { silentLog } from "../../src/log.ts";
import { policyOf, readAt, registry, snapshotOf, space } from "../builders.ts";
import { podReview } from "../fakes/api-server.ts";

export const managed = registry("managed", { spellings: ["harbor.test", "10.6.232.5:30010"] });
export const open = "harbor.test/platform/app:1";
export const bound = "harbor.test/team-a/app:1";
export const closed = "harbor.test/team-b/app:1";

export const ordinary = snapshotOf({
  policy: policyOf({
    registries: [managed],
    bindings: ["12 managed/team-a"],
    rest: { exemptNamespaces: new Set(["kube-system"]) },
  }),
  namespaces: { shop: "12", lab: "13", bare: null },
  catalogues: {
    managed: [
      space("platform", "public", 1),
      space("team-a", "private", 2),
      space("team-b", "private", 3),
      space("team-a-evil", "private", 4),
    ],
  },
});

export interface GateAnswer {
  readonly uid: string;
  readonly allowed: boolean;
  readonly message: string;
  readonly reasons: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
  readonly patch: readonly PatchOperation[];
}

export interface Gate {
  validate(review: unknown): Promise<GateAnswer>;
  mutate(review: unknown): Promise<GateAnswer>;
  /** What was asked of the outside, in words. */
  readonly asked: readonly string[];
  /** The rights that somebody had to have, for changes of namespaces. */
  readonly rights: readonly string[];
}

/** With nothing given, look-ups say what the snapshot says, and nobody has any right. */
export function createGate(snapshot: Snapshot = ordinary, needs: Partial<AdmissionNeeds> = {}): Gate {
  const asked: string[] = [];
  const rights: string[] = [];
  const spaceAnswer = (on: string, name: string): SpaceAnswer => {
    const found = snapshot.catalogues.get(on)?.spaces.get(name) ?? null;
    return { kind: "read", reading: { readAt: readAt + 1, space: found } };
  };
  const admission = createAdmission({
    snapshot: () => snapshot,
    lookUps: {
      namespace(namespace) {
        asked.push(`namespace ${namespace}`);
        return Promise.resolve({ kind: "read", exists: false, workspace: null });
      },
      space(on, name) {
        asked.push(`space ${on}/${name}`);
        return Promise.resolve(spaceAnswer(on, name));
      },
      grant(on, repository) {
        asked.push(`grant ${on}/${repository}`);
        return Promise.resolve({ kind: "read", granted: false });
      },
    },
    kinds: builtInKinds,
    guards: [
      createNamespaceGuard({
        enforced: true,
        log: silentLog,
        hasRight(_userInfo, { verb, name }: Right) {
          rights.push(`${verb} ${name}`);
          return Promise.resolve(false);
        },
      }),
    ],
    pullSecretMustBeNamed: false,
    askersAreTrusted: false,
    count: () => undefined,
    countRefusal: () => undefined,
    countWarning: () => undefined,
    pullSecrets: presentPullSecrets,
    log: silentLog,
    now: () => 0,
    ...needs,
  });

  async function ask(path: AdmissionPath, review: unknown): Promise<GateAnswer> {
    const reply = await admission(path, Buffer.from(JSON.stringify(review)), 5_000);
    expect(reply.status, reply.body).to.equal(200);
    const { response } = JSON.parse(reply.body) as {
      response: {
        uid: string;
        allowed: boolean;
        status?: { message: string };
        auditAnnotations?: Record<string, string>;
        warnings?: string[];
        patch?: string;
      };
    };
    const patch = response.patch === undefined ? "[]" : Buffer.from(response.patch, "base64").toString();
    return {
      uid: response.uid,
      allowed: response.allowed,
      message: response.status?.message ?? "",
      reasons: response.auditAnnotations?.["reasons"] ?? "",
      annotations: response.auditAnnotations ?? {},
      warnings: response.warnings ?? [],
      patch: JSON.parse(patch) as PatchOperation[],
    };
  }

  return {
    asked,
    rights,
    validate: (review) => ask("validate", review),
    mutate: (review) => ask("mutate", review),
  };
}

/** The reason for one image in a namespace of workspace 12, or another one. */
export async function reasonFor(image: string, namespace = "shop", snapshot = ordinary): Promise<string> {
  return (await createGate(snapshot).validate(podReview(namespace, [image]))).reasons;
}

/** A review about a Pod with this spec. */
export function specReview(namespace: string, spec: unknown, more: Readonly<Record<string, unknown>> = {}) {
  return podReview(namespace, [], { object: { metadata: { name: "pod" }, spec }, ...more });
}
