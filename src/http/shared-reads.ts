// What registries were asked by people, shared by all who ask the same: an answer counts for a while, equal questions
// under way are one, few are under way at a registry at once, and a registry that fails is answered for by what it said
// before. A question is dropped when the last who waits for it has gone.

import { LRUCache } from "lru-cache";
import { sha256 } from "../digest.ts";
import { isObject } from "../domain/json.ts";
import type { Registry } from "../domain/policy.ts";
import type { RegistryContents } from "./registry-contents.ts";
import { waitUnlessAborted } from "../waiting.ts";

export interface Shared<T> {
  readonly value: T;
  /** Milliseconds since the epoch. */
  readonly readAt: number;
  /** It is what the registry said before; it cannot be asked just now. */
  readonly stale: boolean;
}

/** {@link RegistryContents}, each answer with its age. */
export type SharedContents = {
  readonly [K in keyof RegistryContents]: (
    ...asked: Parameters<RegistryContents[K]>
  ) => Promise<Shared<Awaited<ReturnType<RegistryContents[K]>>>>;
};

/** More wait for a registry than it can serve in the time that people wait. */
export class TooBusy extends Error {
  override readonly name = "TooBusy";
}

export interface SharedQuestion<T> {
  /** What is asked; the name of it, its address and its login, so that a changed registry starts afresh. */
  readonly registry: string;
  readonly key: string;
  readonly ask: (signal: AbortSignal) => Promise<T>;
}

export interface SharedReads {
  /** Throws as `ask` does, {@link TooBusy}, or the signal's reason. */
  read<T>(question: SharedQuestion<T>, signal: AbortSignal): Promise<Shared<T>>;
}

/** Whoever goes back and forth between two lists sees the same; what was pushed just now shows after that. */
const freshMs = 30_000;
/** As long as somebody may go on choosing while a registry restarts. */
const keptMs = 10 * 60_000;
/** Rows of some 300 bytes: 15 MB. A page has a hundred at most, what a login is granted is as long as its spaces. */
const maxRows = 50_000;
/** Most are of one row, or of none. */
const maxAnswers = 5_000;
/** A Harbor fills in a list with a database connection each; the leader's listing asks four at a time beside this. */
const maxFlightsPerRegistry = 4;
/** At some 100 ms an answer, these are served within two seconds. */
const maxWaitingPerRegistry = 80;
/** Below the time that a person's request has. */
const flightTimeoutMs = 25_000;

interface Flight {
  readonly answer: Promise<Shared<unknown>>;
  readonly aborter: AbortController;
  waiting: number;
}

export function createSharedReads({ now }: { readonly now: () => number }): SharedReads {
  const answers = new LRUCache<string, { readonly value: unknown; readonly readAt: number }>({
    max: maxAnswers,
    maxSize: maxRows,
    sizeCalculation: ({ value }) => 1 + rowsIn(value),
  });
  /** A clock that was set back makes nothing young. */
  const age = ({ readAt }: { readonly readAt: number }): number => Math.abs(now() - readAt);
  /** Bounded by what may be under way and wait for each registry. */
  const flights = new Map<string, Flight>();
  const lanes = new Map<string, Lane>();

  async function fly<T>(
    id: string,
    { registry, ask }: SharedQuestion<T>,
    signal: AbortSignal,
  ): Promise<Shared<T>> {
    const lane = lanes.get(registry) ?? createLane();
    lanes.set(registry, lane);
    try {
      const value = await lane.take(() => askInTime(ask, signal), signal);
      const readAt = now();
      if (!signal.aborted) answers.set(id, { value, readAt });
      return { value, readAt, stale: false };
    } catch (err) {
      const before = answers.get(id);
      if (before === undefined || age(before) > keptMs) throw err;
      return { value: before.value as T, readAt: before.readAt, stale: true };
    } finally {
      if (lane.isEmpty() && lanes.get(registry) === lane) lanes.delete(registry);
    }
  }

  function begin<T>(id: string, question: SharedQuestion<T>): Flight {
    const aborter = new AbortController();
    const answer = fly(id, question, aborter.signal).finally(() => {
      if (flights.get(id)?.aborter === aborter) flights.delete(id);
    });
    // Who waits is told; where nobody does any more, there is nobody to tell.
    answer.catch(() => undefined);
    const flight = { answer, aborter, waiting: 0 };
    flights.set(id, flight);
    return flight;
  }

  return {
    async read<T>(question: SharedQuestion<T>, signal: AbortSignal) {
      signal.throwIfAborted();
      // What was asked may be long: the names of all spaces, or what somebody pasted.
      const id = sha256(`${question.registry}\n${question.key}`);
      const known = answers.get(id);
      if (known !== undefined && age(known) < freshMs) return { ...(known as Shared<T>), stale: false };
      const flight = flights.get(id) ?? begin(id, question);
      flight.waiting += 1;
      try {
        return (await waitUnlessAborted(flight.answer, signal)) as Shared<T>;
      } finally {
        flight.waiting -= 1;
        if (flight.waiting === 0) {
          flight.aborter.abort();
          // Whoever asks now begins anew, rather than join what is being dropped.
          if (flights.get(id) === flight) flights.delete(id);
        }
      }
    },
  };
}

/** By this an answer's size is estimated. */
function rowsIn(value: unknown): number {
  if (value instanceof Set) return value.size;
  const items = isObject(value) ? value["items"] : undefined;
  return Array.isArray(items) ? items.length : 0;
}

/** The end of the time is told as the registry's failure, not as if whoever asked had gone. */
async function askInTime<T>(ask: SharedQuestion<T>["ask"], signal: AbortSignal): Promise<T> {
  const deadline = AbortSignal.timeout(flightTimeoutMs);
  try {
    return await ask(AbortSignal.any([signal, deadline]));
  } catch (err) {
    if (!deadline.aborted || signal.aborted) throw err;
    throw new Error(`the registry gave no answer within ${flightTimeoutMs / 1_000} s`, { cause: err });
  }
}

/** Few at a time, the others in their order. */
interface Lane {
  take<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T>;
  isEmpty(): boolean;
}

/** A place is taken, handed on and given back in one step each: nobody sees a lane in between. */
function createLane(): Lane {
  let taken = 0;
  /** Each starts the one who waits. Nobody waits while a place is free. */
  const waiting = new Set<() => void>();

  async function enter(signal: AbortSignal): Promise<void> {
    if (taken < maxFlightsPerRegistry) {
      taken += 1;
      return;
    }
    if (waiting.size >= maxWaitingPerRegistry) throw new TooBusy("too many wait for this registry");
    const { promise, resolve } = Promise.withResolvers<undefined>();
    const start = (): void => resolve(undefined);
    const giveUp = (): void => void waiting.delete(start);
    waiting.add(start);
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      await waitUnlessAborted(promise, signal);
    } finally {
      signal.removeEventListener("abort", giveUp);
    }
  }

  function leave(): void {
    const [next] = waiting;
    if (next === undefined) {
      taken -= 1;
      return;
    }
    waiting.delete(next);
    next();
  }

  return {
    async take(task, signal) {
      await enter(signal);
      try {
        // Its turn may have come in the moment in which it was given up.
        signal.throwIfAborted();
        return await task();
      } finally {
        leave();
      }
    },
    isEmpty: () => taken === 0,
  };
}

/** The contents of registries, asked through `reads`. */
export function withSharedReads(contents: RegistryContents, reads: SharedReads): SharedContents {
  function share<T>(
    registry: Registry,
    key: readonly unknown[],
    ask: (signal: AbortSignal) => Promise<T>,
    signal: AbortSignal,
  ): Promise<Shared<T>> {
    const { name, url, credentialsSecret, pullCredentialsSecret, caSecret } = registry;
    const of = [name, url, credentialsSecret, pullCredentialsSecret, caSecret].join("\n");
    return reads.read({ registry: of, key: JSON.stringify(key), ask }, signal);
  }
  return {
    repositories: (registry, space, wanted, signal) =>
      share(
        registry,
        ["repositories", space, wanted],
        (flight) => contents.repositories(registry, space, wanted, flight),
        signal,
      ),
    search: (registry, spaces, wanted, signal) =>
      share(
        registry,
        ["search", spaces.map(({ id }) => id), wanted],
        (flight) => contents.search(registry, spaces, wanted, flight),
        signal,
      ),
    tags: (registry, repository, wanted, signal) =>
      share(
        registry,
        ["tags", repository, wanted],
        (flight) => contents.tags(registry, repository, wanted, flight),
        signal,
      ),
    tag: (registry, repository, tag, signal) =>
      share(
        registry,
        ["tag", repository, tag],
        (flight) => contents.tag(registry, repository, tag, flight),
        signal,
      ),
    granted: (registry, spaces, signal) =>
      share(registry, ["granted", spaces], (flight) => contents.granted(registry, spaces, flight), signal),
  };
}
