// The webhook's answers: body → question → decision → answer, counted and logged. It does no I/O of its own; what
// the snapshot does not know is asked of the look-ups, once, within the request's deadline.

import {
  decide,
  pullSecretName,
  questionAbout,
  type FinalVerdict,
  type Judgement,
  type Question,
  type Refusal,
} from "../domain/decision.ts";
import type { Unknown } from "../domain/knowledge.ts";
import { isMirrorPod, pullSecretNames, pullSecretPatch, serviceAccountOf } from "../domain/pod-spec.ts";
import { publicReason } from "../domain/reasons.ts";
import {
  lateSecretWarning,
  refusalMessage,
  spellingWarning,
  strictAccountWarning,
  unlistedWarning,
} from "../domain/refusal.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import {
  asWarnings,
  decodeReview,
  encodeAnswer,
  type Answer,
  type AuditAnnotations,
  type Review,
} from "./admission-review.ts";
import type { Guard, GuardVerdict } from "./guard.ts";
import { decideAfterLookUps, type LookUpNeeds } from "./look-ups.ts";
import { questionOf, type AdmissionPath, type QuestionRules } from "./workload-question.ts";

export interface Reviewed {
  readonly path: AdmissionPath;
  readonly operation: string;
  readonly kind: string;
  readonly verdict: string;
  readonly seconds: number;
}

export interface AdmissionNeeds extends LookUpNeeds, QuestionRules {
  /** Asked first, for what is not about images. */
  readonly guards: readonly Guard[];
  /** Only the API server, or the person who started the process, can ask: more may then be told. */
  readonly askersAreTrusted: boolean;
  readonly count: (reviewed: Reviewed) => void;
  readonly countRefusal: (reason: string) => void;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
}

export interface Reply {
  readonly status: number;
  readonly body: string;
}

/** Answers a body; at once when nothing has to be looked up. */
export type Admission = (path: AdmissionPath, body: Buffer, timeoutMs: number) => Reply | Promise<Reply>;

export function createAdmission(needs: AdmissionNeeds): Admission {
  return (path, body, timeoutMs) => {
    const begun = needs.now();
    const decoded = decodeReview(body);
    switch (decoded.kind) {
      case "undecodable":
        return { status: 400, body: `Berth answers AdmissionReviews only: ${decoded.problem}\n` };
      case "odd": {
        const question = questionAbout("", [], { malformed: [decoded.problem] });
        return answerQuestion({ needs, path, begun, question, review: oddReview(decoded.uid) }, timeoutMs);
      }
      case "review": {
        const { review } = decoded;
        const guarded = path === "validate" ? guardedAnswer(needs, begun, review, timeoutMs) : undefined;
        if (guarded !== undefined) return guarded;
        const question = questionOf(needs, path, review);
        if (question === undefined) return pass(needs, path, begun, review);
        return answerQuestion({ needs, path, begun, question, review }, timeoutMs);
      }
    }
  };
}

function oddReview(uid: string): Review {
  return {
    uid,
    operation: "CREATE",
    kind: "",
    resource: "",
    subResource: "",
    namespace: "",
    name: "",
    username: "",
    userInfo: {},
    dryRun: true,
    object: null,
    oldObject: null,
  };
}

/** One review on its way to an answer. */
interface Passage {
  readonly needs: AdmissionNeeds;
  readonly path: AdmissionPath;
  readonly begun: number;
  readonly review: Review;
  readonly question: Question;
}

/** Undefined when no guard takes the review for its own. */
function guardedAnswer(
  needs: AdmissionNeeds,
  begun: number,
  review: Review,
  timeoutMs: number,
): Promise<Reply> | undefined {
  // A deletion changes no label and no policy that a guard could keep.
  if (review.operation === "DELETE" || review.operation === "CONNECT") return undefined;
  const snapshot = needs.snapshot();
  for (const guard of needs.guards) {
    const verdict = guard(review, snapshot, timeoutMs);
    if (verdict !== undefined)
      return verdict.then((given) => guardReply(needs, begun, review, snapshot, given));
  }
  return undefined;
}

function guardReply(
  needs: AdmissionNeeds,
  begun: number,
  review: Review,
  snapshot: Snapshot,
  { refused, mode, warnings }: GuardVerdict,
): Reply {
  const kind = review.kind.slice(1);
  const verdict = refused === null ? "allow" : "refuse";
  const seconds = elapsed(needs, begun);
  needs.count({ path: "validate", operation: review.operation, kind, verdict, seconds });
  const auditAnnotations = {
    verdict,
    reasons: refused?.reason ?? "",
    workspace: snapshot.namespaces.get(review.namespace) ?? "",
    snapshot: String(snapshot.generation),
  };
  const allowed = refused === null || mode !== "enforce";
  const all =
    refused !== null && mode === "warn" ? [`would be refused: ${refused.message}`, ...warnings] : warnings;
  if (refused !== null) {
    needs.countRefusal(refused.reason);
    const { uid, namespace, name, operation, username } = review;
    const facts = {
      uid,
      namespace,
      kind: review.kind,
      name,
      operation,
      username,
      mode,
      reasons: [refused.reason],
    };
    needs.log.info({ ...facts, generation: snapshot.generation }, "refused");
  }
  const answer = { uid: review.uid, allowed, auditAnnotations, warnings: asWarnings(all) };
  const body = encodeAnswer(refused === null ? answer : { ...answer, message: refused.message });
  return { status: 200, body };
}

/** For what is none of Berth's business. */
function pass(needs: AdmissionNeeds, path: AdmissionPath, begun: number, review: Review): Reply {
  needs.count({ path, ...labelsOf(needs, review), verdict: "allow", seconds: elapsed(needs, begun) });
  return { status: 200, body: encodeAnswer({ uid: review.uid, allowed: true }) };
}

function answerQuestion(passage: Passage, timeoutMs: number): Reply | Promise<Reply> {
  const snapshot = passage.needs.snapshot();
  const verdict = decide(snapshot, passage.question);
  if (verdict.kind === "not-known-yet") return answerAfterLookUps(passage, verdict.unknowns, timeoutMs);
  return reply(passage, snapshot, verdict);
}

async function answerAfterLookUps(
  passage: Passage,
  unknowns: readonly Unknown[],
  timeoutMs: number,
): Promise<Reply> {
  const { needs, question } = passage;
  const { snapshot, verdict } = await decideAfterLookUps(needs, question, unknowns, timeoutMs);
  return reply(passage, snapshot, verdict);
}

function reply(passage: Passage, snapshot: Snapshot, verdict: FinalVerdict): Reply {
  const { needs, path, begun, review } = passage;
  const answer =
    path === "mutate" ? mutation(passage, snapshot, verdict) : validation(passage, snapshot, verdict);
  const seconds = elapsed(needs, begun);
  needs.count({ path, ...labelsOf(needs, review), verdict: verdict.kind, seconds });
  if (path === "validate" && verdict.kind === "refuse") {
    for (const refusal of verdict.refusals) needs.countRefusal(refusal.reason);
    logRefusal(passage, snapshot, verdict.refusals, seconds);
  }
  return { status: 200, body: encodeAnswer(answer) };
}

/** `/mutate` never refuses: `/validate` does, once, when every webhook has had its say. */
function mutation({ review, question }: Passage, snapshot: Snapshot, verdict: FinalVerdict): Answer {
  const { uid, object } = review;
  const wanted =
    verdict.kind === "allow-with-pull-secret" ||
    (verdict.kind === "refuse" &&
      snapshot.policy.mode !== "enforce" &&
      verdict.judgements.some(needsPullSecret));
  const mirror = object !== null && isMirrorPod(object);
  const operation = wanted && !mirror ? pullSecretPatch(object, pullSecretName) : undefined;
  if (operation === undefined) return { uid, allowed: true };
  const account = serviceAccountOf(object);
  if (!snapshot.strictServiceAccounts.has(`${question.namespace}/${account}`)) {
    return { uid, allowed: true, patch: [operation] };
  }
  // Said here, because a Pod that the API server itself refuses never comes to /validate.
  const warnings = asWarnings([strictAccountWarning(account, pullSecretName)]);
  return { uid, allowed: true, patch: [operation], warnings };
}

function needsPullSecret(judgement: Judgement): boolean {
  return judgement.allowed && judgement.needsPullSecret;
}

function validation(passage: Passage, snapshot: Snapshot, verdict: FinalVerdict): Answer {
  const { needs, review, question } = passage;
  const { uid } = review;
  const { mode } = snapshot.policy;
  const auditAnnotations = annotationsOf(needs, snapshot, question.namespace, verdict);
  const warnings = [...warningsAbout(snapshot, verdict.judgements), ...lateSecretWarnings(review, verdict)];
  if (verdict.kind !== "refuse") {
    return {
      uid,
      allowed: true,
      auditAnnotations,
      ...(warnings.length > 0 ? { warnings: asWarnings(warnings) } : {}),
    };
  }
  const suggest = needs.askersAreTrusted ? "workspace" : "public";
  const message = refusalMessage(snapshot, question.namespace, verdict.refusals, { suggest });
  switch (mode) {
    case "enforce":
      return { uid, allowed: false, message, auditAnnotations };
    case "warn":
      return {
        uid,
        allowed: true,
        auditAnnotations,
        warnings: asWarnings([`would be refused: ${message}`, ...warnings]),
      };
    case "audit":
      return { uid, allowed: true, auditAnnotations };
  }
}

function warningsAbout(snapshot: Snapshot, judgements: readonly Judgement[]): readonly string[] {
  const warnings: string[] = [];
  for (const judgement of judgements) {
    const warning = spellingWarning(judgement) ?? unlistedWarning(snapshot.policy, judgement);
    if (warning !== undefined) warnings.push(warning);
  }
  return warnings;
}

/** `kubectl debug` and image edits bring images into Pods that are there already. */
function lateSecretWarnings(
  { kind, operation, object }: Review,
  { judgements }: FinalVerdict,
): readonly string[] {
  if (kind !== "/Pod" || operation !== "UPDATE" || pullSecretNames(object).includes(pullSecretName))
    return [];
  return judgements.filter(needsPullSecret).map((judgement) => lateSecretWarning(judgement, pullSecretName));
}

function annotationsOf(
  needs: AdmissionNeeds,
  snapshot: Snapshot,
  namespace: string,
  verdict: FinalVerdict,
): AuditAnnotations {
  const found = verdict.kind === "refuse" ? [...verdict.judgements, ...verdict.refusals] : verdict.judgements;
  const reasons = new Set(
    found.map((judgement) =>
      judgement.allowed || needs.askersAreTrusted
        ? judgement.reason
        : publicReason(judgement.reason, judgement.workspace),
    ),
  );
  return {
    verdict: verdict.kind === "refuse" ? "refuse" : "allow",
    reasons: [...reasons].join(","),
    workspace: snapshot.namespaces.get(namespace) ?? "",
    snapshot: String(snapshot.generation),
  };
}

/** Kinds a label may have: what a requester invents is "other". */
function labelsOf(
  { kinds }: AdmissionNeeds,
  review: Review,
): { readonly operation: string; readonly kind: string } {
  const kind = kinds.has(review.kind) ? review.kind.slice(review.kind.indexOf("/") + 1) : "other";
  return { operation: review.operation, kind };
}

function elapsed(needs: AdmissionNeeds, begun: number): number {
  return (needs.now() - begun) / 1_000;
}

function logRefusal(
  { needs, review, question }: Passage,
  snapshot: Snapshot,
  refusals: readonly Refusal[],
  seconds: number,
): void {
  needs.log.info(
    {
      uid: review.uid,
      namespace: question.namespace,
      workspace: snapshot.namespaces.get(question.namespace) ?? null,
      kind: review.kind,
      name: review.name,
      operation: review.operation,
      mode: snapshot.policy.mode,
      reasons: [...new Set(refusals.map((refusal) => refusal.reason))],
      images: refusals.slice(0, 10).map((refusal) => refusal.use?.image.slice(0, 300) ?? null),
      durationMs: Math.round(seconds * 1e6) / 1e3,
      generation: snapshot.generation,
    },
    "refused",
  );
}
