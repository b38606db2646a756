// Questions to the API server whose answers count for a while: equal ones under way are asked once, and how many are
// asked is limited, for all askers and for each. What an answer means is its caller's business.

import { LRUCache } from "lru-cache";
import { sha256 } from "../digest.ts";
import { createTokenBucket, type Rate, type TokenBucket } from "../token-bucket.ts";
import { waitUnlessAborted } from "../waiting.ts";

export interface AnswerLimits {
  /** So long an answer counts. */
  readonly lifeMs: number;
  /** Questions of all askers together. */
  readonly rate: Rate;
  /** Of each, so that no asker uses up what all have; absent where all are one. */
  readonly ratePerAsker?: Rate;
}

/** More is asked than the limits allow; answers that are known are given all the same. */
export class TooManyQuestionsError extends Error {
  override readonly name = "TooManyQuestionsError";
}

export interface Question<A> {
  /** Equal for equal questions. Only a digest of it is kept. */
  readonly key: string;
  readonly asker: string;
  /** Goes on when one who waits for it gives up: others may wait too, and its answer is kept. */
  readonly ask: () => Promise<A>;
}

export type AskOrRecall<A> = (question: Question<A>, signal: AbortSignal) => Promise<A>;

/** An asker who is forgotten starts with a full burst, and is still within what all may ask. */
const maxAskers = 2_000;

/** `what` is for the error's story, as `ask for a right`. */
export function createKeptAnswers<A>(
  what: string,
  { lifeMs, rate, ratePerAsker }: AnswerLimits,
  now: () => number,
): AskOrRecall<A> {
  const answers = new LRUCache<string, { readonly answer: A }>({
    // All that can be asked in the life of an answer and in that before, which may still stand there: nothing that
    // counts is pushed out, however many questions are invented.
    max: rate.burst + Math.ceil((2 * rate.perSecond * lifeMs) / 1_000),
    ttl: lifeMs,
    ttlResolution: 0,
    perf: { now },
  });
  const underWay = new Map<string, Promise<A>>();
  const all = createTokenBucket(rate, now);
  const each = new LRUCache<string, TokenBucket>({ max: maxAskers });

  function limitsOf(asker: string): readonly TokenBucket[] {
    if (ratePerAsker === undefined) return [all];
    const own = each.get(asker) ?? createTokenBucket(ratePerAsker, now);
    each.set(asker, own);
    return [own, all];
  }

  function begin(key: string, { asker, ask }: Question<A>): Promise<A> {
    const limits = limitsOf(asker);
    if (!limits.every((bucket) => bucket.holds())) {
      throw new TooManyQuestionsError(`${what}: too many questions at once`);
    }
    for (const bucket of limits) bucket.take();
    const asking = ask()
      .then((answer) => {
        answers.set(key, { answer });
        return answer;
      })
      .finally(() => underWay.delete(key));
    underWay.set(key, asking);
    return asking;
  }

  return async (question, signal) => {
    signal.throwIfAborted();
    const key = sha256(question.key);
    const known = answers.get(key);
    if (known !== undefined) return known.answer;
    return waitUnlessAborted(underWay.get(key) ?? begin(key, question), signal);
  };
}
