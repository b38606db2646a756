// The webhook's answers: body → question → decision → answer, counted and logged. It does no I/O of its own; what
// the snapshot does not know is asked of the look-ups, once, within the request's deadline.

import {
  credentialNeeds,
  decide,
  pullSecretName,
  questionAbout,
  type CredentialNeed,
  type FinalVerdict,
  type Judgement,
  type Question,
  type Refusal,
} from "../domain/decision.ts";
import type { Knowledge, Unknown } from "../domain/knowledge.ts";
import { isMirrorPod, pullSecretNames, pullSecretPatch, serviceAccountOf } from "../domain/pod-spec.ts";
import { publicReason, type WarningReason } from "../domain/reasons.ts";
import {
  lateSecretWarning,
  missingSecretWarning,
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
import { createWaitingRoom, type PullSecrets, type WaitingRoom } from "./pull-secret-wait.ts";
import { isNewPod, questionOf, type AdmissionPath, type QuestionRules } from "./workload-question.ts";

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
  readonly countWarning: (reason: WarningReason) => void;
  readonly pullSecrets: PullSecrets;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
}

export interface Reply {
  readonly status: number;
  readonly body: string;
}

/** Answers a body; at once when nothing has to be looked up or waited for. */
export type Admission = (path: AdmissionPath, body: Buffer, timeoutMs: number) => Reply | Promise<Reply>;

export function createAdmission(needs: AdmissionNeeds): Admission {
  const waitingRoom = createWaitingRoom(needs.pullSecrets, needs.log);
  return (path, body, timeoutMs) => {
    const begun = needs.now();
    const decoded = decodeReview(body);
    switch (decoded.kind) {
      case "undecodable":
        return { status: 400, body: `Berth answers AdmissionReviews only: ${decoded.problem}\n` };
      case "odd": {
        const question = questionAbout("", [], { malformed: [decoded.problem] });
        const review = oddReview(decoded.uid);
        return answerQuestion({ needs, waitingRoom, path, begun, timeoutMs, question, review });
      }
      case "review": {
        const { review } = decoded;
        const guarded = path === "validate" ? guardedAnswer(needs, begun, review, timeoutMs) : undefined;
        if (guarded !== undefined) return guarded;
        const question = questionOf(needs, path, review);
        if (question === undefined) return pass(needs, path, begun, review);
        return answerQuestion({ needs, waitingRoom, path, begun, timeoutMs, question, review });
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
  readonly waitingRoom: WaitingRoom;
  readonly path: AdmissionPath;
  readonly begun: number;
  readonly timeoutMs: number;
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
    needs.log.info(
      {
        uid,
        namespace,
        workspace: snapshot.namespaces.get(namespace) ?? null,
        kind: review.kind,
        name,
        operation,
        username,
        mode,
        reasons: [refused.reason],
        durationMs: inMs(seconds),
        generation: snapshot.generation,
      },
      "refused",
    );
  }
  const answer = { uid: review.uid, allowed, auditAnnotations, warnings: asWarnings(all) };
  const body = encodeAnswer(refused === null ? answer : { ...answer, message: refused.message });
  return { status: 200, body };
}

/** For what is none of Berth's business. */
function pass(needs: AdmissionNeeds, path: AdmissionPath, begun: number, review: Review): Reply {
  const seconds = elapsed(needs, begun);
  needs.count({
    path,
    operation: review.operation,
    kind: kindLabel(needs, review),
    verdict: "allow",
    seconds,
  });
  return { status: 200, body: encodeAnswer({ uid: review.uid, allowed: true }) };
}

function answerQuestion(passage: Passage): Reply | Promise<Reply> {
  const snapshot = passage.needs.snapshot();
  const verdict = decide(snapshot, passage.question);
  if (verdict.kind === "not-known-yet") return answerAfterLookUps(passage, verdict.unknowns);
  return answerInTime(passage, { snapshot, verdict, knowledge: passage.question.knowledge });
}

async function answerAfterLookUps(passage: Passage, unknowns: readonly Unknown[]): Promise<Reply> {
  const { needs, question, timeoutMs } = passage;
  return answerInTime(passage, await decideAfterLookUps(needs, question, unknowns, timeoutMs));
}

/** A verdict, and what it was made from. */
interface Decided {
  readonly snapshot: Snapshot;
  readonly verdict: FinalVerdict;
  readonly knowledge: Knowledge;
}

/** `/mutate` lets a Pod wait for its pull secret: at once where that is there, or none is needed. */
function answerInTime(passage: Passage, decided: Decided): Reply | Promise<Reply> {
  const { needs, waitingRoom, path, begun, timeoutMs, review } = passage;
  if (path === "validate") return reply(passage, decided);
  const needed = credentialsNeeded(review, decided);
  if (needed.length === 0) return reply(passage, decided);
  const remainingMs = timeoutMs - (needs.now() - begun);
  const { namespace } = passage.question;
  const arrival = waitingRoom.arrival(namespace, workspaceIn(namespace, decided), needed, remainingMs);
  return arrival === undefined ? reply(passage, decided) : arrival.then(() => reply(passage, decided));
}

/**
 * What a Pod that is being created will pull with. Nothing on a dry run, for which no Secret is written, and where
 * the Pod would not come to be or may not name a Secret.
 */
function credentialsNeeded(review: Review, { snapshot, verdict }: Decided): readonly CredentialNeed[] {
  const { object, dryRun } = review;
  if (!isNewPod(review) || dryRun || !needsSecret(snapshot, verdict)) return [];
  return object === null || isMirrorPod(object) ? [] : credentialNeeds(verdict.judgements);
}

/** Where a refusal does not hold, an image that is allowed needs its secret all the same. */
function needsSecret({ policy }: Snapshot, verdict: FinalVerdict): boolean {
  if (verdict.kind !== "refuse") return verdict.kind === "allow-with-pull-secret";
  return policy.mode !== "enforce" && verdict.judgements.some(needsPullSecret);
}

/** A namespace that has just been made may be known from a look-up alone. */
function workspaceIn(namespace: string, { snapshot, knowledge }: Decided): string | null {
  const live = knowledge.namespace?.kind === "read" ? knowledge.namespace.workspace : null;
  return snapshot.namespaces.get(namespace) ?? live;
}

function reply(passage: Passage, decided: Decided): Reply {
  const { needs, path, begun, review } = passage;
  const { snapshot, verdict } = decided;
  const answer = path === "mutate" ? mutation(passage, snapshot, verdict) : validation(passage, decided);
  const seconds = elapsed(needs, begun);
  const { operation } = review;
  needs.count({ path, operation, kind: kindLabel(needs, review), verdict: verdict.kind, seconds });
  if (path === "validate" && verdict.kind === "refuse") {
    for (const refusal of verdict.refusals) needs.countRefusal(refusal.reason);
    logRefusal(passage, decided, verdict.refusals, seconds);
  }
  return { status: 200, body: encodeAnswer(answer) };
}

/** `/mutate` never refuses: `/validate` does, once, when every webhook has had its say. */
function mutation({ review, question }: Passage, snapshot: Snapshot, verdict: FinalVerdict): Answer {
  const { uid, object } = review;
  const mirror = object !== null && isMirrorPod(object);
  const operation =
    needsSecret(snapshot, verdict) && !mirror ? pullSecretPatch(object, pullSecretName) : undefined;
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

function validation(passage: Passage, decided: Decided): Answer {
  const { needs, review, question } = passage;
  const { snapshot, verdict } = decided;
  const { uid } = review;
  const { mode } = snapshot.policy;
  const cautions = cautionsAbout(passage, decided);
  const codes = codesOf(cautions);
  for (const code of codes) needs.countWarning(code);
  const auditAnnotations = annotationsOf(needs, snapshot, question.namespace, verdict, codes);
  const warnings = cautions.map(({ text }) => text);
  if (verdict.kind !== "refuse")
    return { uid, allowed: true, auditAnnotations, warnings: asWarnings(warnings) };
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

/** A warning; those with a code are counted, and annotated. */
interface Caution {
  readonly reason: WarningReason | null;
  readonly text: string;
}

/** What may go wrong with an object that is admitted: about one that is not, its refusal says enough. */
function cautionsAbout(passage: Passage, decided: Decided): readonly Caution[] {
  const { snapshot, verdict } = decided;
  if (verdict.kind === "refuse" && snapshot.policy.mode === "enforce") return [];
  const cautions: Caution[] = [];
  for (const judgement of verdict.judgements) {
    const caution = cautionAbout(snapshot, judgement);
    if (caution !== undefined) cautions.push(caution);
  }
  for (const text of lateSecretWarnings(passage.review, verdict)) cautions.push({ reason: null, text });
  const missing = missingSecretCaution(passage, decided);
  if (missing !== undefined) cautions.push(missing);
  return cautions;
}

function codesOf(cautions: readonly Caution[]): readonly WarningReason[] {
  const codes: WarningReason[] = [];
  for (const { reason } of cautions) {
    if (reason !== null && !codes.includes(reason)) codes.push(reason);
  }
  return codes;
}

function cautionAbout({ policy }: Snapshot, judgement: Judgement): Caution | undefined {
  const spelling = spellingWarning(judgement);
  if (spelling !== undefined) return { reason: "pull-secret-does-not-match", text: spelling };
  const unlisted = unlistedWarning(policy, judgement);
  return unlisted === undefined ? undefined : { reason: null, text: unlisted };
}

/** `/mutate` has waited by now, so that what is missing still will be for a moment longer. */
function missingSecretCaution({ needs, review, question }: Passage, decided: Decided): Caution | undefined {
  const needed = credentialsNeeded(review, decided);
  if (needed.length === 0) return undefined;
  const { namespace } = question;
  const state = needs.pullSecrets.state(namespace, workspaceIn(namespace, decided), needed);
  if (state === "current") return undefined;
  return { reason: "pull-secret-missing", text: missingSecretWarning(pullSecretName, state) };
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
  warned: readonly WarningReason[],
): AuditAnnotations {
  // There are some twenty codes in all, so that looking through a list is as good as a Set, and made in no time.
  const reasons: string[] = [];
  const add = (code: string): void => {
    if (!reasons.includes(code)) reasons.push(code);
  };
  for (const judgement of verdict.judgements) add(codeOf(needs, judgement));
  if (verdict.kind === "refuse") for (const refusal of verdict.refusals) add(codeOf(needs, refusal));
  for (const code of warned) add(code);
  return {
    verdict: verdict.kind === "refuse" ? "refuse" : "allow",
    reasons: reasons.join(","),
    workspace: snapshot.namespaces.get(namespace) ?? "",
    snapshot: String(snapshot.generation),
  };
}

function codeOf({ askersAreTrusted }: AdmissionNeeds, judgement: Judgement): string {
  return judgement.allowed || askersAreTrusted
    ? judgement.reason
    : publicReason(judgement.reason, judgement.workspace);
}

/** What a requester invents is "other" in a label. */
function kindLabel({ kinds }: AdmissionNeeds, { kind }: Review): string {
  return kinds.has(kind) ? kind.slice(kind.indexOf("/") + 1) : "other";
}

function elapsed(needs: AdmissionNeeds, begun: number): number {
  return (needs.now() - begun) / 1_000;
}

/** To the microsecond: what is shorter says nothing. */
function inMs(seconds: number): number {
  return Math.round(seconds * 1e6) / 1e3;
}

function logRefusal(
  { needs, review, question }: Passage,
  decided: Decided,
  refusals: readonly Refusal[],
  seconds: number,
): void {
  const { snapshot } = decided;
  needs.log.info(
    {
      uid: review.uid,
      namespace: question.namespace,
      workspace: workspaceIn(question.namespace, decided),
      kind: review.kind,
      name: review.name,
      operation: review.operation,
      mode: snapshot.policy.mode,
      reasons: [...new Set(refusals.map((refusal) => refusal.reason))],
      images: refusals.slice(0, 10).map((refusal) => refusal.use?.image.slice(0, 300) ?? null),
      durationMs: inMs(seconds),
      generation: snapshot.generation,
    },
    "refused",
  );
}
