// Asks the API server whose token this is (TokenReview). A token is held no longer than it takes to ask: what is kept
// of it is a digest, and neither errors nor logs have any of it.

import { isObject, type JsonObject } from "../domain/json.ts";
import { createKeptAnswers, type AnswerLimits } from "./kept-answers.ts";
import { KubeAnswerError, type KubeAnswer, type KubeClient } from "./kube-client.ts";

export interface ReviewedUser {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Whose it is; undefined where it is no good. `from` is where it came from, such as an address. */
export type ReviewToken = (
  token: string,
  from: string,
  signal: AbortSignal,
) => Promise<ReviewedUser | undefined>;

/** Of a sign-in system that puts hundreds of groups into it; what comes with a request has to fit in its headers. */
const maxTokenLength = 16 * 1024;

const limits: AnswerLimits = {
  // As long as the API server itself remembers a token that was good. One that was withdrawn works for so long.
  lifeMs: 10_000,
  // A proxy in front of Berth is one address for everybody: two hundred people who are at work at the same moment.
  ratePerAsker: { perSecond: 20, burst: 100 },
  // Invented tokens cost the API server no more than this, and what comes from one address leaves half of it to others.
  // Who is known already is answered all the same.
  rate: { perSecond: 40, burst: 200 },
};

export function createTokenReviews({
  client,
  now,
}: {
  readonly client: Pick<KubeClient, "request">;
  readonly now: () => number;
}): ReviewToken {
  const recall = createKeptAnswers<ReviewedUser | undefined>("review a token", limits, now);

  async function ask(token: string): Promise<ReviewedUser | undefined> {
    const path = "/apis/authentication.k8s.io/v1/tokenreviews";
    // Without audiences: the token has to be one that is meant for the API server.
    const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } };
    const answer = await client.request("POST", path, { body });
    const status = isObject(answer.body) ? answer.body["status"] : undefined;
    if (answer.status !== 201 || !isObject(status)) throw unexpected(answer);
    if (status["authenticated"] !== true || isGiven(status["error"])) return undefined;
    const user = userOf(status["user"]);
    if (user === undefined) throw unexpected(answer);
    return user;
  }

  return async (token, from, signal) => {
    if (!isToken(token)) return undefined;
    return recall({ key: token, asker: from, ask: () => ask(token) }, signal);
  };
}

/** What can stand in a header, without blanks: all that the API server itself would find there. */
function isToken(text: string): boolean {
  return text.length <= maxTokenLength && /^[!-~]+$/.test(text);
}

/** Without the API server's own words: some of its refusals quote what they could not read. */
function unexpected(answer: KubeAnswer): KubeAnswerError {
  const hint = answer.status === 403 ? ": Berth's account needs the right to create tokenreviews" : "";
  return new KubeAnswerError(
    `review a token: expected 201 and a status with a user, got ${answer.status}${hint}`,
    answer,
  );
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== "";
}

function userOf(value: unknown): ReviewedUser | undefined {
  if (!isObject(value)) return undefined;
  const { username, uid, groups = [], extra = {} } = value;
  if (typeof username !== "string" || username === "" || !isTexts(groups)) return undefined;
  if (!isObject(extra) || !holdsTexts(extra)) return undefined;
  return { username, ...(typeof uid === "string" && uid !== "" ? { uid } : {}), groups, extra };
}

function holdsTexts(record: JsonObject): record is Readonly<Record<string, readonly string[]>> {
  return Object.values(record).every(isTexts);
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((one) => typeof one === "string");
}
