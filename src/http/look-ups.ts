// A decision that needs knowledge from outside: asked for once, within the request's deadline, then decided again.

import { decide, type FinalVerdict, type Question } from "../domain/decision.ts";
import {
  noKnowledge,
  type GrantAnswer,
  type Knowledge,
  type NamespaceAnswer,
  type SpaceAnswer,
  type Unavailable,
  type Unknown,
} from "../domain/knowledge.ts";
import { spaceKey } from "../domain/policy.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import type { Log } from "../log.ts";
import { reserveMs } from "./guard.ts";

/** Knowledge from outside, for what no snapshot says. An answer may fail; the promise need not. */
export interface LookUps {
  namespace(namespace: string, signal: AbortSignal): Promise<NamespaceAnswer>;
  space(registry: string, space: string, namespace: string, signal: AbortSignal): Promise<SpaceAnswer>;
  grant(registry: string, repository: string, namespace: string, signal: AbortSignal): Promise<GrantAnswer>;
}

export interface LookUpNeeds {
  readonly snapshot: () => Snapshot;
  readonly lookUps: LookUps;
  readonly log: Log;
}

/** Namespace, then space, then grant: no image makes more than three things unknown one after another. */
const maxRounds = 3;

export async function decideAfterLookUps(
  needs: LookUpNeeds,
  question: Question,
  unknowns: readonly Unknown[],
  timeoutMs: number,
): Promise<{ readonly snapshot: Snapshot; readonly verdict: FinalVerdict; readonly knowledge: Knowledge }> {
  const aborter = new AbortController();
  const timer = setTimeout(() => aborter.abort(), Math.max(0, timeoutMs - reserveMs));
  try {
    let knowledge = noKnowledge;
    let asked = unknowns;
    for (let round = 1; round <= maxRounds; round += 1) {
      knowledge = await ask(needs, question.namespace, asked, knowledge, aborter.signal);
      if (round === maxRounds || aborter.signal.aborted) knowledge = { ...knowledge, final: true };
      // The snapshot of now, not that of the first try: it may know by itself what was asked.
      const snapshot = needs.snapshot();
      const verdict = decide(snapshot, { ...question, knowledge });
      if (verdict.kind !== "not-known-yet") return { snapshot, verdict, knowledge };
      asked = verdict.unknowns;
    }
    throw new Error("a decision with final knowledge asked for more");
  } finally {
    clearTimeout(timer);
  }
}

/**
 * A request asks for no more at once; what is beyond it counts as over the limit. The limits on look-ups let a
 * namespace have ten, so the rest could only be answers that are remembered. And an object can name thousands of
 * spaces, while each question that waits is compared with all others that wait on the request's signal.
 */
export const maxAsked = 100;

/** Asks for everything at once and adds the answers to what is known. */
async function ask(
  { lookUps, log }: LookUpNeeds,
  namespace: string,
  unknowns: readonly Unknown[],
  known: Knowledge,
  signal: AbortSignal,
): Promise<Knowledge> {
  const spaces = new Map(known.spaces);
  const grants = new Map(known.grants);
  let ofNamespace = known.namespace;
  const failed = (err: unknown): Unavailable => {
    log.warn({ err, namespace }, "a look-up failed");
    return { kind: "unavailable", why: "failed" };
  };
  const limited: Unavailable = { kind: "unavailable", why: "limited" };
  for (const unknown of unknowns.slice(maxAsked)) {
    if (unknown.what === "space") spaces.set(spaceKey(unknown.registry, unknown.space), limited);
    if (unknown.what === "grant") grants.set(spaceKey(unknown.registry, unknown.repository), limited);
  }
  await Promise.all(
    unknowns.slice(0, maxAsked).map(async (unknown) => {
      switch (unknown.what) {
        case "namespace":
          ofNamespace = await unlessAborted(lookUps.namespace(namespace, signal), signal).catch(failed);
          return;
        case "space": {
          const { registry, space } = unknown;
          const answer = unlessAborted(lookUps.space(registry, space, namespace, signal), signal);
          spaces.set(spaceKey(registry, space), await answer.catch(failed));
          return;
        }
        case "grant": {
          const { registry, repository } = unknown;
          const answer = unlessAborted(lookUps.grant(registry, repository, namespace, signal), signal);
          grants.set(spaceKey(registry, repository), await answer.catch(failed));
          return;
        }
      }
    }),
  );
  return { ...(ofNamespace ? { namespace: ofNamespace } : {}), spaces, grants, final: false };
}

/** The answer, or that the deadline came first: a look-up that overlooks its signal must not hold up an answer. */
export function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T | Unavailable> {
  const deadline: Unavailable = { kind: "unavailable", why: "deadline" };
  if (signal.aborted) return Promise.resolve(deadline);
  return new Promise((resolve, reject) => {
    const onAbort = (): void => resolve(deadline);
    signal.addEventListener("abort", onAbort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
