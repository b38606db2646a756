// Reads a namespace that no watch event has shown yet: the first Pods of a new tenant come within milliseconds of
// their namespace. One request for many who ask, answers that count for a moment, and a limit for everybody: who
// invents names must not make the API server work. It never throws: no answer is an answer.

import { LRUCache } from "lru-cache";
import type { NamespaceAnswer } from "../domain/knowledge.ts";
import { workspaceOf } from "../domain/workspaces.ts";
import type { Log } from "../log.ts";
import { createTokenBucket, type Rate } from "../token-bucket.ts";

export type NamespaceLookup = (namespace: string, signal: AbortSignal) => Promise<NamespaceAnswer>;

export interface NamespaceLookupNeeds {
  /** The labels at this moment; null when there is no such namespace. */
  readonly readLabels: (
    namespace: string,
    signal: AbortSignal,
  ) => Promise<Readonly<Record<string, string>> | null>;
  readonly workspaceLabel: string;
  readonly log: Log;
  readonly now: () => number;
}

/** The watch has shown a namespace long before; an absence must not outlive the namespace's creation by much. */
const answerLifeMs = 1_000;
/** What the limit lets through while an answer lives, and as much again. */
const maxAnswers = 200;
/** A tenth of what the API server's own priority levels give one client by default. */
const rate: Rate = { perSecond: 50, burst: 100 };
/** The longest that the API server waits for a webhook by default. */
const flightTimeoutMs = 10_000;

export function createNamespaceLookup(needs: NamespaceLookupNeeds): NamespaceLookup {
  const { readLabels, workspaceLabel, log, now } = needs;
  const answers = new LRUCache<string, NamespaceAnswer>({
    max: maxAnswers,
    ttl: answerLifeMs,
    ttlResolution: 0,
    perf: { now },
  });
  const flights = new Map<string, Promise<NamespaceAnswer>>();
  const bucket = createTokenBucket(rate, now);

  async function fly(namespace: string): Promise<NamespaceAnswer> {
    try {
      const labels = await readLabels(namespace, AbortSignal.timeout(flightTimeoutMs));
      const workspace = workspaceOf(labels, workspaceLabel);
      const answer: NamespaceAnswer = { kind: "read", exists: labels !== null, workspace };
      answers.set(namespace, answer);
      return answer;
    } catch (err) {
      log.warn({ namespace, err }, "a namespace could not be read");
      return { kind: "unavailable", why: "failed" };
    } finally {
      flights.delete(namespace);
    }
  }

  // The caller gives up by its own signal; the flight goes on for the others, within its own time.
  return (namespace) => {
    const known = answers.get(namespace);
    if (known !== undefined) return Promise.resolve(known);
    const underWay = flights.get(namespace);
    if (underWay !== undefined) return underWay;
    if (!bucket.holds()) return Promise.resolve({ kind: "unavailable", why: "limited" });
    bucket.take();
    const flight = fly(namespace);
    flights.set(namespace, flight);
    return flight;
  };
}
