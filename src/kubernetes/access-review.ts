// Asks the API server whether somebody has a right (SubjectAccessReview). Answers count for some seconds, and the
// number of questions is limited: whoever reaches one of Berth's ports can make it ask. Each port has an instance of
// its own, so that neither uses up the other's questions.

import { isObject } from "../domain/json.ts";
import { createKeptAnswers, type AnswerLimits } from "./kept-answers.ts";
import { unexpectedAnswer, type KubeClient } from "./kube-client.ts";

export interface ResourceRight {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
  /** Absent asks for every name. */
  readonly name?: string;
  /** Absent asks for all namespaces at once, or for what is in none. */
  readonly namespace?: string;
}

/** As a review or a token's review carries it. */
export interface AskedUser {
  readonly username?: unknown;
  readonly uid?: unknown;
  readonly groups?: unknown;
  readonly extra?: unknown;
}

export type AskAccess = (user: AskedUser, right: ResourceRight, signal: AbortSignal) => Promise<boolean>;

/** For who may change the workspace of a namespace. */
export const guardLimits: AnswerLimits = {
  // A right that is taken away works for so long, like a token whose RBAC the API server itself caches.
  lifeMs: 5_000,
  // People and controllers label namespaces a few times an hour; a script that moves a tenant, some a second.
  rate: { perSecond: 20, burst: 100 },
};

/**
 * For who may look at what a namespace may use. To list the namespaces of somebody takes a question for each of the
 * cluster's, unless it is somebody who may use all: a thousand at once is usual for a large platform.
 */
export const peopleLimits: AnswerLimits = {
  // Whoever has lost a right sees names for so long, and can do nothing with them: what is deployed is judged anew.
  // A kubelet keeps a yes for five minutes and a no for this long. While somebody types into a search field, the
  // namespaces that were asked about are not asked about again.
  lifeMs: 30_000,
  // Of one person two lists of a thousand, one after another; then as many as turn a page of a hundred in a second.
  ratePerAsker: { perSecond: 100, burst: 2_000 },
  // Of all people on one replica: two such lists at once and what others ask beside them. An answer is worked out in
  // memory where RBAC decides, and the API server's own fairness stands before it.
  rate: { perSecond: 300, burst: 5_000 },
};

export function createAccessReviews({
  client,
  now,
  limits = guardLimits,
}: {
  readonly client: Pick<KubeClient, "request">;
  readonly now: () => number;
  readonly limits?: AnswerLimits;
}): AskAccess {
  const recall = createKeptAnswers<boolean>("ask for a right", limits, now);

  async function ask(spec: object): Promise<boolean> {
    const path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    const body = { apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview", spec };
    const answer = await client.request("POST", path, { body });
    const status = isObject(answer.body) ? answer.body["status"] : undefined;
    if (answer.status !== 201 || !isObject(status)) throw unexpectedAnswer("ask for a right", answer);
    // An authorizer that could not tell says neither yes nor no, and that is no.
    return status["allowed"] === true && status["denied"] !== true;
  }

  return ({ username, uid, groups, extra }, right, signal) => {
    const spec = { user: username, uid, groups, extra, resourceAttributes: right };
    return recall({ key: JSON.stringify(spec), asker: String(username), ask: () => ask(spec) }, signal);
  };
}
