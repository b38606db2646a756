// Asks the API server whether somebody has a right (SubjectAccessReview). Answers count for some seconds, and the
// number of questions is limited: whoever reaches the webhook's port can make it ask.

import { isObject } from "../domain/json.ts";
import { LRUCache } from "lru-cache";
import { createTokenBucket, type Rate } from "../token-bucket.ts";
import { unexpectedAnswer, type KubeClient } from "./kube-client.ts";

export interface ResourceRight {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
  readonly name: string;
}

/** `userInfo` as a review carries it: username, uid, groups, extra. */
export type UserInfo = Readonly<Record<string, unknown>>;

export type AskAccess = (user: UserInfo, right: ResourceRight, signal: AbortSignal) => Promise<boolean>;

/** A right that is taken away works for so long, like a token whose RBAC the API server itself caches. */
const answerLifeMs = 5_000;
const maxAnswers = 1_000;
/** People and controllers label namespaces a few times an hour; a script that moves a tenant, some a second. */
const rate: Rate = { perSecond: 20, burst: 100 };

export function createAccessReviews({
  client,
  now,
}: {
  readonly client: Pick<KubeClient, "request">;
  readonly now: () => number;
}): AskAccess {
  const answers = new LRUCache<string, { readonly allowed: boolean }>({
    max: maxAnswers,
    ttl: answerLifeMs,
    ttlResolution: 0,
    perf: { now },
  });
  const bucket = createTokenBucket(rate, now);

  return async (user, right, signal) => {
    const { username, uid, groups, extra } = user;
    const spec = { user: username, uid, groups, extra, resourceAttributes: right };
    const key = JSON.stringify(spec);
    const known = answers.get(key);
    if (known !== undefined) return known.allowed;

    if (!bucket.holds()) throw new Error("ask for a right: too many questions at once");
    bucket.take();

    const path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    const body = { apiVersion: "authorization.k8s.io/v1", kind: "SubjectAccessReview", spec };
    const answer = await client.request("POST", path, { body, signal });
    const status = isObject(answer.body) ? answer.body["status"] : undefined;
    if (answer.status !== 201 || !isObject(status)) throw unexpectedAnswer("ask for a right", answer);
    // An authorizer that could not tell says neither yes nor no, and that is no.
    const allowed = status["allowed"] === true && status["denied"] !== true;
    answers.set(key, { allowed });
    return allowed;
  };
}
