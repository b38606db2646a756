// Asks as the API server does, first /mutate and then /validate, and judges every answer against all that would be
// right for what may be known at the time. A call that fails has to be explained by what was done to the replica.

import { podReview, type WebhookAnswer, type WebhookResponse } from "../fakes/api-server.ts";
import type { Expected, Outcome } from "./model.ts";
import type { CampaignWorld, Replica } from "./world.ts";

export interface Question {
  readonly namespace: string;
  readonly images: readonly string[];
  readonly form: "pod" | "deployment" | "update" | "touch";
}

export interface Tally {
  reviews: number;
  refused: number;
  combinations: number;
  /** Answers for which more than one outcome would have been right. */
  uncertain: number;
  /** So many would have been right that nothing was judged. */
  unjudged: number;
  failedCalls: Map<string, number>;
  reasons: Map<string, number>;
}

export function createTally(): Tally {
  return {
    reviews: 0,
    refused: 0,
    combinations: 0,
    uncertain: 0,
    unjudged: 0,
    failedCalls: new Map(),
    reasons: new Map(),
  };
}

/** The API server's own deadline; an answer after it is none. */
const deadlineMs = 10_000;

/** Codes that warn, and are no part of a verdict. */
const warnings = new Set(["pull-secret-missing", "pull-secret-does-not-match"]);

export function createJudge(world: CampaignWorld, tally: Tally) {
  const { model } = world;
  const wrong: string[] = [];
  let count = 0;

  /** Resolves when the question is answered and judged; never rejects. */
  async function ask(replica: Replica, question: Question): Promise<void> {
    const isNewPod = question.form === "pod";
    const mutation = isNewPod ? await call(replica, "mutate", question, false) : undefined;
    if (isNewPod && mutation === undefined) return;
    const patched = (mutation?.response.patch ?? []).length > 0;
    if (mutation !== undefined) judgeMutation(replica, question, mutation, patched);
    const validation = await call(replica, "validate", question, patched);
    if (validation !== undefined) judgeValidation(replica, question, validation, patched);
  }

  interface Answered {
    readonly response: WebhookResponse;
    readonly from: number;
    readonly until: number;
  }

  async function call(
    replica: Replica,
    path: "mutate" | "validate",
    question: Question,
    patched: boolean,
  ): Promise<Answered | undefined> {
    const from = world.now();
    tally.reviews += 1;
    count += 1;
    try {
      const answer = await replica.caller.post(`/${path}?timeout=10s`, reviewOf(question, patched, count));
      const until = world.now();
      return settled(replica, path, answer, from, until);
    } catch (err) {
      failed(replica, `${path}: ${err instanceof Error ? err.message : String(err)}`);
      return undefined;
    }
  }

  function settled(
    replica: Replica,
    path: string,
    { status, text, response }: WebhookAnswer,
    from: number,
    until: number,
  ): Answered | undefined {
    if (response === undefined) {
      failed(replica, `${path}: ${String(status)} ${text.slice(0, 200)}`);
      return undefined;
    }
    if (until - from > deadlineMs) {
      failed(replica, `${path}: answered after ${String(until - from)} ms`);
      return undefined;
    }
    return { response, from, until };
  }

  function failed(replica: Replica, what: string): void {
    if (!replica.isStopping) wrong.push(`${replica.facts.name}: a call failed without a reason: ${what}`);
    const why = replica.isStopping ? "the replica was stopped" : "nothing explains it";
    tally.failedCalls.set(why, (tally.failedCalls.get(why) ?? 0) + 1);
  }

  function expectedOf(
    replica: Replica,
    question: Question,
    { from, until }: Answered,
    lacksPullSecret: boolean,
  ): Expected {
    const { namespace, images, form } = question;
    const unchanged = form === "touch" ? images : [];
    const expected = model.expected({
      ...{ replica: replica.facts, namespace, images, unchanged },
      ...{ lacksPullSecret, from, until },
    });
    tally.combinations += expected.combinations;
    return expected;
  }

  function judgeMutation(replica: Replica, question: Question, answered: Answered, patched: boolean): void {
    const { outcomes } = expectedOf(replica, question, answered, false);
    if (outcomes.size === 0) return;
    const isRight =
      answered.response.allowed && [...outcomes.values()].some((outcome) => needsSecret(outcome) === patched);
    if (!isRight)
      tell(replica, question, answered, `mutate: ${patched ? "patched" : "not patched"}`, outcomes);
  }

  /** As the mode says for one that would be refused. */
  function needsSecret({ kind, mode, someNeedSecret }: Outcome): boolean {
    return kind === "refuse" ? mode !== "enforce" && someNeedSecret : kind === "allow-with-pull-secret";
  }

  function judgeValidation(replica: Replica, question: Question, answered: Answered, patched: boolean): void {
    const lacksPullSecret = world.kind === "cluster" && question.form === "pod" && !patched;
    const { outcomes } = expectedOf(replica, question, answered, lacksPullSecret);
    if (outcomes.size === 0) {
      tally.unjudged += 1;
      return;
    }
    const { allowed, auditAnnotations } = answered.response;
    const said = (auditAnnotations?.reasons ?? "")
      .split(",")
      .filter((code) => code !== "" && !warnings.has(code));
    const verdict = auditAnnotations?.verdict ?? "allow";
    if (!allowed) tally.refused += 1;
    for (const reason of said) tally.reasons.set(reason, (tally.reasons.get(reason) ?? 0) + 1);
    const shown = new Set([...outcomes.values()].map(shownAs));
    if (shown.size > 1) tally.uncertain += 1;
    const words = inWords(verdict, allowed, said);
    if (!shown.has(words)) tell(replica, question, answered, `validate: ${words}`, outcomes);
  }

  function shownAs({ kind, reasons, mode }: Outcome): string {
    const isRefused = kind === "refuse";
    return inWords(isRefused ? "refuse" : "allow", !isRefused || mode !== "enforce", reasons);
  }

  function inWords(verdict: string, allowed: boolean, reasons: readonly string[]): string {
    return `${verdict}${allowed ? "" : " (enforced)"} for ${[...new Set(reasons)].sort().join(" ")}`;
  }

  function tell(
    replica: Replica,
    question: Question,
    { from, until, response }: Answered,
    what: string,
    outcomes: Expected["outcomes"],
  ): void {
    const right = [...outcomes.values()].map(
      ({ kind, reasons, mode }) => `${kind} for ${reasons.join(" ")} (${mode})`,
    );
    wrong.push(
      `${replica.facts.name} on ${question.form} in ${question.namespace} with ${question.images.join(" and ")}, ` +
        `asked at ${inSeconds(from)}, answered at ${inSeconds(until)}: ${what}; right would be ${right.join(", or ")}` +
        (response.status === undefined ? "" : ` [${response.status.message}]`),
    );
  }

  return { ask, wrong };
}

function reviewOf({ namespace, images, form }: Question, patched: boolean, number: number): unknown {
  const uid = `review-${String(number)}`;
  const containers = images.map((image, index) => ({ name: `c${String(index)}`, image }));
  const spec = { containers, ...(patched ? { imagePullSecrets: [{ name: "berth-pull" }] } : {}) };
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "pod", namespace }, spec };
  switch (form) {
    case "pod":
      return podReview(namespace, images, { uid, object: pod });
    case "touch":
      return podReview(namespace, images, { uid, operation: "UPDATE", object: pod, oldObject: pod });
    case "update": {
      const old = { ...pod, spec: { containers: [{ name: "c0", image: "old.test/a:1" }] } };
      return podReview(namespace, images, { uid, operation: "UPDATE", object: pod, oldObject: old });
    }
    case "deployment": {
      const object = {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "app", namespace },
        spec: { template: { spec } },
      };
      return podReview(namespace, images, {
        uid,
        object,
        kind: { group: "apps", version: "v1", kind: "Deployment" },
        resource: { group: "apps", version: "v1", resource: "deployments" },
      });
    }
  }
}

export function inSeconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}
