// Questions to a Harbor that cannot wait for its next listing: is there such a space, and what is it now; may this
// login pull from it? Made for the admission path: one request for many who ask the same, answers that count for
// some seconds, a limit for everybody, and each caller's own deadline. It never throws: no answer is an answer.

import { LRUCache } from "lru-cache";

import type { GrantAnswer, SpaceAnswer, Unavailable } from "../domain/knowledge.ts";
import { isSpaceName } from "../domain/space-name.ts";
import type { Log } from "../log.ts";
import type { HarborClient } from "./harbor-client.ts";
import { createLookUpLimits } from "./look-up-limits.ts";
import { readSpace } from "./projects.ts";
import { readPullGrant } from "./token-service.ts";

export interface Lookups {
  /** What the space is at this moment. */
  space(registry: string, space: string, namespace: string, signal: AbortSignal): Promise<SpaceAnswer>;
  /** Does Harbor grant pull on the repository to the login that namespaces get for this registry? */
  grant(registry: string, repository: string, namespace: string, signal: AbortSignal): Promise<GrantAnswer>;
}

export type LookupOutcome = "found" | "absent" | "granted" | "not-granted" | "cached" | Unavailable["why"];

export interface LookupsNeeds {
  /** By the registry's name; undefined for one that the policy does not name. */
  readonly clientOf: (registry: string) => HarborClient | undefined;
  readonly pullClientOf: (registry: string) => HarborClient | undefined;
  /** Wall clock: as of when an answer is true. */
  readonly now: () => number;
  /** Never set back or forth: for how long an answer counts. */
  readonly monotonic?: () => number;
  readonly log: Log;
  readonly observe?: (registry: string, outcome: LookupOutcome) => void;
  /** How long a request to Harbor may take, whoever still waits for it. */
  readonly flightTimeoutMs?: number;
}

/** So long an answer counts, the absence of a space as well. */
const answerLifeMs = 5_000;
/** In 5 s a registry gives at most 150 answers (its burst and its rate): enough for 26 registries flooded at once. */
const maxAnswers = 4_000;
/** The API server waits 10 s for a webhook at most, unless told to wait longer. */
const defaultFlightTimeoutMs = 10_000;

export function createLookups(needs: LookupsNeeds): Lookups {
  const { now, log } = needs;
  const observe = needs.observe ?? (() => undefined);
  const monotonic = needs.monotonic ?? now;
  const shared: Shared = {
    ...needs,
    observe,
    monotonic,
    flightTimeoutMs: needs.flightTimeoutMs ?? defaultFlightTimeoutMs,
    limits: createLookUpLimits(monotonic),
    report: createReport(log),
  };
  const spaces = createDesk<SpaceAnswer & { kind: "read" }>(shared, async (client, space, signal) => {
    const readAt = now();
    const found = await readSpace(client, space, signal);
    const answer = { kind: "read", reading: { readAt, space: found } } as const;
    return { answer, outcome: found === null ? "absent" : "found" };
  });
  const grants = createDesk<GrantAnswer & { kind: "read" }>(shared, async (client, space, signal) => {
    const granted = await readPullGrant(client, space, signal);
    return { answer: { kind: "read", granted }, outcome: granted ? "granted" : "not-granted" };
  });

  return {
    async space(registry, space, namespace, signal) {
      if (!isSpaceName(space)) return { kind: "read", reading: { readAt: now(), space: null } };
      return spaces(registry, needs.clientOf(registry), space, namespace, signal);
    },
    async grant(registry, repository, namespace, signal) {
      const [space = ""] = repository.split("/", 1);
      if (!isSpaceName(space)) return { kind: "read", granted: false };
      return grants(registry, needs.pullClientOf(registry), space, namespace, signal);
    },
  };
}

type Shared = Required<Pick<LookupsNeeds, "monotonic" | "observe" | "flightTimeoutMs">> & {
  readonly limits: ReturnType<typeof createLookUpLimits>;
  readonly report: ReturnType<typeof createReport>;
};

interface Answered<A> {
  readonly answer: A;
  readonly outcome: LookupOutcome;
}

/** Answers one kind of question; each kind has its own memory, and all share the limits. */
function createDesk<A>(
  { monotonic, observe, flightTimeoutMs, limits, report }: Shared,
  ask: (client: HarborClient, space: string, signal: AbortSignal) => Promise<Answered<A>>,
) {
  const answers = new LRUCache<string, { readonly answer: A; readonly until: number }>({ max: maxAnswers });
  /** At most as many as the limits let through within a flight's timeout: 200 a registry. */
  const flights = new Map<string, Promise<A | Unavailable>>();

  async function fly(
    key: string,
    registry: string,
    client: HarborClient,
    space: string,
  ): Promise<A | Unavailable> {
    try {
      const { answer, outcome } = await ask(client, space, AbortSignal.timeout(flightTimeoutMs));
      answers.set(key, { answer, until: monotonic() + answerLifeMs });
      observe(registry, outcome);
      report.answered(registry);
      return answer;
    } catch (err) {
      observe(registry, "failed");
      report.failed(registry, err);
      return unavailable("failed");
    } finally {
      flights.delete(key);
    }
  }

  return async (
    registry: string,
    client: HarborClient | undefined,
    space: string,
    namespace: string,
    signal: AbortSignal,
  ): Promise<A | Unavailable> => {
    if (client === undefined) return unavailable("failed");
    // Two registries on one server see it with two logins, and a registry whose url changed is another server.
    const key = `${registry}/${space} ${client.url}`;
    const known = answers.get(key);
    if (known !== undefined && monotonic() < known.until) {
      observe(registry, "cached");
      return known.answer;
    }
    let flight = flights.get(key);
    if (flight === undefined && !signal.aborted) {
      if (!limits.take(registry, namespace)) {
        observe(registry, "limited");
        return unavailable("limited");
      }
      flight = fly(key, registry, client, space);
      flights.set(key, flight);
    }
    const answer = flight && (await beforeAbort(flight, signal));
    if (answer !== undefined) return answer;
    observe(registry, "deadline");
    return unavailable("deadline");
  };
}

/** The flight goes on for whoever else waits, and for the memory; undefined when the signal came first. */
async function beforeAbort<T>(flight: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  if (signal.aborted) return undefined;
  let onAbort: (() => void) | undefined;
  const aborted = new Promise<undefined>((resolve) => {
    onAbort = () => resolve(undefined);
    signal.addEventListener("abort", onAbort);
  });
  try {
    return await Promise.race([flight, aborted]);
  } finally {
    if (onAbort !== undefined) signal.removeEventListener("abort", onAbort);
  }
}

function unavailable(why: Unavailable["why"]): Unavailable {
  return { kind: "unavailable", why };
}

/** One line when a registry's look-ups begin to fail, and one when they work again. */
function createReport(log: Log) {
  const failing = new LRUCache<string, true>({ max: 1_000 });
  return {
    answered(registry: string): void {
      if (failing.delete(registry)) log.info({ registry }, "look-ups are answered again");
    },
    failed(registry: string, err: unknown): void {
      if (!failing.has(registry))
        log.warn({ registry, err }, "a look-up failed; more of this are counted only");
      failing.set(registry, true);
    },
  };
}
