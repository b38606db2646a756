// Keeps up with one collection: lists it, watches it from there, and hands on the full set whenever something in it
// changed. Events are hints that save time; the list is the truth, and comes back at intervals to heal what an
// event that never came left wrong. Does not know what the objects are for, and never throws into the process.
//
// Invariants: the set handed on is always a complete one, so a failure keeps the last good set in force; between
// two requests after a failure lies a pause that grows; no stream lives longer than it asked the server for, so a
// connection that died silently is found; after `stop()` resolves nothing is handed on any more.

import { isObject } from "../domain/json.ts";
import { setTimeout as pause } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { Log } from "../log.ts";
import type { Stoppable } from "../loop.ts";
import { KubeAnswerError, type KubeClient } from "./kube-client.ts";
import { isKubeObject, metadataOnly, type KubeObject } from "./kube-object.ts";
import { type Collection, defaultPageSize, listCollection, nameOf, queryOf } from "./listing.ts";

export interface WatchOptions<V> extends Collection<V> {
  readonly client: KubeClient;
  /** What the collection is called in log lines and metrics. */
  readonly resource: string;
  /** The full set, first after the first list. */
  readonly onChange: (all: ReadonlyMap<string, V>) => void;
  /** The watch starts again for another reason than that its time was over. */
  readonly onRestart?: () => void;
  readonly log: Log;
  readonly now: () => number;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly timing?: Partial<WatchTiming>;
}

export interface Watch extends Stoppable {
  /** When the API server last told us something: an event, a bookmark, a complete list. */
  lastEventAt(): number | undefined;
}

/** One state of the collection. */
export interface Known<V> {
  readonly all: ReadonlyMap<string, V>;
  /** Everything that was written up to this version is in it, and nothing that was written later. */
  readonly resourceVersion: string;
}

export interface CollectionWatch<V> extends Watch {
  /**
   * At this moment, so it may be ahead of what was handed on; `undefined` before the first list. The map goes on
   * changing: for whoever reads it at once.
   */
  known(): Known<V> | undefined;
}

export interface WatchTiming {
  /** How long one stream is asked to live: between the two, so that replicas do not come back together. */
  readonly minStreamMs: number;
  readonly maxStreamMs: number;
  /** What a stream may live longer than it was asked to before it counts as dead. */
  readonly graceMs: number;
  /** From one full list to the next, give or take a tenth. */
  readonly resyncMs: number;
  /** A stream that ends sooner has not worked: #1933 of the JavaScript client was a storm of such streams. */
  readonly steadyMs: number;
  /** The pause after a failure, doubled each time up to the maximum, less up to half. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** From one hand-over to the next. */
  readonly coalesceMs: number;
  readonly pageSize: number;
}

const defaultTiming: WatchTiming = {
  // The Go client asks for 5 to 10 minutes. Shorter, because this bounds how long a stream that died in silence
  // keeps a withdrawn binding in force; at one request in five minutes the API server does not notice.
  minStreamMs: 4 * 60_000,
  maxStreamMs: 6 * 60_000,
  graceMs: 15_000,
  // 5,000 namespaces are ten pages and some 5 MB of JSON, about 0.1 s of work: nothing in ten minutes.
  resyncMs: 10 * 60_000,
  steadyMs: 5_000,
  backoffMs: 500,
  maxBackoffMs: 30_000,
  // To copy 5,000 entries and to make workspaces of them takes 1 to 2 ms, so a storm of events costs a tenth of a
  // core at most, and a person does not notice 20 ms.
  coalesceMs: 20,
  pageSize: defaultPageSize,
};

export function startWatch<V>(options: WatchOptions<V>): CollectionWatch<V> {
  const { client, resource, keyOf = nameOf, pick, log, now, random } = options;
  const timing = { ...defaultTiming, ...options.timing };
  const aborter = new AbortController();
  const { signal } = aborter;
  const stopped = () => signal.aborted;
  let entries = new Map<string, V>();
  let lastEventAt: number | undefined;
  /** Where a stream may go on from; `undefined` calls for a list. */
  let resumeFrom: string | undefined;
  /** What `entries` shows; unlike `resumeFrom` it outlives a failure. Both change in one go. */
  let knownTo: string | undefined;
  let resyncAt = 0;
  let failures = 0;
  const handOver = createHandOver({ ...options, coalesceMs: timing.coalesceMs, all: () => new Map(entries) });

  async function run(): Promise<void> {
    while (!stopped()) {
      try {
        const from = await listIfDue();
        const livedMs = await followStream(from);
        if (livedMs < timing.steadyMs && !stopped()) {
          await pauseAfter(new Error(`the stream ended after ${livedMs} ms`));
        }
      } catch (err) {
        if (stopped()) return;
        // What was missed is unknown, so only a list can tell.
        resumeFrom = undefined;
        await pauseAfter(err);
      }
    }
  }

  async function listIfDue(): Promise<string> {
    if (resumeFrom !== undefined && now() < resyncAt) return resumeFrom;
    const listing = await listCollection({ client, signal, pageSize: timing.pageSize }, options);
    lastEventAt = now();
    resyncAt = now() + timing.resyncMs * (0.9 + random() / 5);
    resumeFrom = listing.resourceVersion;
    knownTo = listing.resourceVersion;
    replaceAll(listing.entries);
    return listing.resourceVersion;
  }

  /** Ends when the server ends the stream in good order, and says how long it lived. */
  async function followStream(from: string): Promise<number> {
    const spreadMs = timing.maxStreamMs - timing.minStreamMs;
    const askedMs = Math.max(
      timing.steadyMs,
      Math.min(timing.minStreamMs + random() * spreadMs, resyncAt - now()),
    );
    const startedAt = now();
    try {
      for await (const line of client.stream(watchPath(options, from, askedMs), {
        signal,
        timeoutMs: askedMs + timing.graceMs,
        ...(options.metadataOnly === true ? { accept: metadataOnly } : {}),
      })) {
        apply(watchEvent(line));
      }
    } finally {
      if (now() - startedAt >= timing.steadyMs) failures = 0;
    }
    return now() - startedAt;
  }

  function apply(event: WatchEvent): void {
    lastEventAt = now();
    resumeFrom = event.resourceVersion;
    knownTo = event.resourceVersion;
    if (event.type === "BOOKMARK") return;
    const key = keyOf(event.object);
    const value = event.type === "DELETED" ? undefined : pick(event.object);
    if (isDeepStrictEqual(entries.get(key), value)) return;
    if (value === undefined) entries.delete(key);
    else entries.set(key, value);
    handOver.soon();
  }

  function replaceAll(listed: Map<string, V>): void {
    if (handOver.done() && isDeepStrictEqual(entries, listed)) return;
    entries = listed;
    handOver.soon();
  }

  async function pauseAfter(err: unknown): Promise<void> {
    failures += 1;
    options.onRestart?.();
    const backoffMs = Math.min(timing.backoffMs * 2 ** (failures - 1), timing.maxBackoffMs);
    const askedMs = err instanceof KubeAnswerError ? (err.retryAfterMs ?? 0) : 0;
    const pauseMs = Math.max(backoffMs * (1 - random() / 2), askedMs);
    log.warn(
      { resource, failures, pauseMs: Math.round(pauseMs), err },
      "a watch broke off and will start again",
    );
    // The only way for a pause to fail is that the watch is stopped.
    await pause(pauseMs, undefined, { signal }).catch(() => undefined);
  }

  const running = run();
  return {
    lastEventAt: () => lastEventAt,
    known: () => (knownTo === undefined ? undefined : { all: entries, resourceVersion: knownTo }),
    async stop() {
      aborter.abort();
      handOver.stop();
      await running;
    },
  };
}

interface HandOver {
  /** At once if the last time is long enough ago, else when it is. */
  soon(): void;
  /** Nothing is owed: the set as it is has been handed on. */
  done(): boolean;
  stop(): void;
}

interface HandOverNeeds<V> {
  readonly resource: string;
  readonly coalesceMs: number;
  readonly all: () => ReadonlyMap<string, V>;
  readonly onChange: (all: ReadonlyMap<string, V>) => void;
  readonly log: Log;
  readonly now: () => number;
}

function createHandOver<V>({ resource, coalesceMs, all, onChange, log, now }: HandOverNeeds<V>): HandOver {
  let owed = true;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let lastAt = Number.NEGATIVE_INFINITY;

  function handOver(): void {
    timer = undefined;
    lastAt = now();
    try {
      onChange(all());
      owed = false;
    } catch (err) {
      log.error({ resource, err }, "a change could not be taken in; it is offered again with the next list");
    }
  }

  return {
    soon() {
      owed = true;
      if (stopped || timer !== undefined) return;
      const elapsedMs = now() - lastAt;
      // A clock that was set back must not hold a change up.
      if (elapsedMs >= coalesceMs || elapsedMs < 0) handOver();
      else timer = setTimeout(handOver, coalesceMs - elapsedMs);
    },
    done: () => !owed,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

type WatchEvent =
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string }
  | {
      readonly type: "ADDED" | "MODIFIED" | "DELETED";
      readonly resourceVersion: string;
      readonly object: KubeObject;
    };

/** Throws for what is no event, since what it stood for is lost, and for the server's own word that it is over. */
function watchEvent(line: string): WatchEvent {
  const { type, object } = parsedLine(line);
  if (type === "ERROR") throw new Error(`the API server ended the watch: ${statusOf(object)}`);
  const metadata = isObject(object) && isObject(object["metadata"]) ? object["metadata"] : {};
  const { resourceVersion } = metadata;
  if (typeof resourceVersion === "string" && resourceVersion !== "") {
    if (type === "BOOKMARK") return { type, resourceVersion };
    const known = type === "ADDED" || type === "MODIFIED" || type === "DELETED";
    if (known && isKubeObject(object)) return { type, resourceVersion, object };
  }
  throw new Error(`a line of ${line.length} characters that is no watch event`);
}

function parsedLine(line: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(line);
    return isObject(parsed) ? parsed : {};
  } catch {
    // The parser's message quotes the line, which may hold a Secret.
    return {};
  }
}

function statusOf(object: unknown): string {
  const { code, message } = isObject(object) ? object : {};
  return `${typeof code === "number" ? code : "no code"} ${typeof message === "string" ? message : ""}`;
}

function watchPath(collection: Collection<unknown>, resourceVersion: string, askedMs: number): string {
  const query = queryOf(collection, {
    watch: "1",
    resourceVersion,
    allowWatchBookmarks: "true",
    timeoutSeconds: String(Math.ceil(askedMs / 1000)),
  });
  return `${collection.path}?${query}`;
}
