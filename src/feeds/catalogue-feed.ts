// Harbor → state: each Harbor of the policy is listed on a beat of its own, and what it shows becomes its
// catalogue. A listing that fails, or that domain/catalogue.ts does not believe, takes away nothing that was good;
// it only grows older. How a listing is read is not known here.

import {
  describeChanges,
  implausibleListingsBelieved,
  missingFrom,
  succeed,
  type Catalogue,
  type Listing,
  type Visibility,
} from "../domain/catalogue.ts";
import type { Registry } from "../domain/policy.ts";
import { accessOf, type Secrets } from "../domain/registry-access.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { visibilityOn } from "../domain/visibility.ts";
import { silentLog, type Log } from "../log.ts";
import { createLoop, type Loop, type Stoppable } from "../loop.ts";
import type { Cell, State } from "../state.ts";

/**
 * Lists all spaces of a registry; harbor/projects.ts. Throws when it could not, or not all, or only as an anonymous
 * caller; an error whose `kind` is `login-refused` means that asking again soon would do harm.
 */
export type ListSpaces = (registry: Registry, signal: AbortSignal) => Promise<Listing>;

/** Does the registry say for certain that it has no space of this name? harbor/projects.ts. */
export type IsGone = (registry: Registry, space: string, signal: AbortSignal) => Promise<boolean>;

export type RefreshOutcome = "read" | "implausible" | "failed" | "login-refused" | "no-credentials";

export interface RegistryStatus {
  /** Null before the first round has ended. */
  readonly outcome: RefreshOutcome | null;
  /** Harbor answered the last round, and knew us. */
  readonly up: boolean;
  /** What went wrong, in words; null when nothing did. */
  readonly problem: string | null;
}

export interface CatalogueFeedNeeds {
  readonly state: State;
  /** Secrets of Berth's own namespace; undefined until they are read. */
  readonly secrets: Cell<Secrets | undefined>;
  readonly listSpaces: ListSpaces;
  /** Without, a listing that shows much less than the one before is taken at its word in the end. */
  readonly isGone?: IsGone | undefined;
  readonly log: Log;
  readonly now: () => number;
  readonly random?: () => number;
  readonly observe?: (registry: string, outcome: RefreshOutcome) => void;
}

export interface CatalogueFeedOptions {
  readonly everyMs: number;
  readonly maxAgeMs: number;
}

export interface CatalogueFeed extends Stoppable {
  /** Reads the registry now rather than at its next beat; of no effect where it is not being read. */
  refresh(registry: string): void;
  /** By registry name: each Harbor that is being read. */
  status(): ReadonlyMap<string, RegistryStatus>;
}

/** What reads a registry, or would if it could; another takes its place when what it began with changes. */
interface Reader {
  readonly beganWith: string;
  loop: Loop | undefined;
  implausibleInARow: number;
  status: RegistryStatus;
}

/**
 * After failures the beat slows down to a quarter, or to five minutes where that is sooner; it never quickens. A
 * Harbor that is back is then seen within a minute at the usual 15 s.
 */
const slowestBeatMs = 5 * 60_000;

export function startCatalogueFeed(
  needs: CatalogueFeedNeeds,
  { everyMs, maxAgeMs }: CatalogueFeedOptions,
): CatalogueFeed {
  const { state, secrets, log } = needs;
  const readers = new Map<string, Reader>();
  const ending = new Set<Promise<void>>();
  const takeTurn = createTurns();
  const upkeep = startCatalogueUpkeep(needs, maxAgeMs);

  /** Level, not edge: compares the readers there are with those that policy and Secrets call for. */
  function follow(): void {
    const { registries } = state.snapshot().policy;
    const held = secrets.current();
    // Policy and Secrets come in any order, and of Secrets not read yet none can be said to be missing.
    if (held === undefined) return;
    for (const [name, reader] of readers) {
      const registry = registries.get(name);
      const goesOn = registry && beginningOf(registry, held) === reader.beganWith;
      if (!goesOn) end(name, reader);
    }
    for (const registry of registries.values()) {
      if (registry.type === "harbor" && !readers.has(registry.name)) begin(registry, held);
    }
  }

  function begin(registry: Registry, held: Secrets): void {
    const beganWith = beginningOf(registry, held);
    const reader: Reader = { beganWith, loop: undefined, implausibleInARow: 0, status: notReadYet };
    readers.set(registry.name, reader);
    const access = accessOf(registry, held);
    if (access.kind === "missing") {
      settle(registry, reader, "no-credentials", access.what);
      return;
    }
    reader.loop = createLoop({
      name: `catalogue of ${registry.name}`,
      everyMs,
      backoffMs: everyMs,
      maxBackoffMs: Math.max(everyMs, Math.min(4 * everyMs, slowestBeatMs)),
      run: (signal) => round(registry, reader, signal),
      // One line when the outcome changes, from here; the loop's own would come at every beat.
      log: silentLog,
      ...(needs.random === undefined ? {} : { random: needs.random }),
    });
  }

  function end(name: string, reader: Reader): void {
    readers.delete(name);
    if (reader.loop === undefined) return;
    const ended = reader.loop.stop().finally(() => ending.delete(ended));
    ending.add(ended);
  }

  async function round(registry: Registry, reader: Reader, signal: AbortSignal): Promise<void> {
    try {
      const listing = await takeTurn(registry.url, () => {
        signal.throwIfAborted();
        return needs.listSpaces(registry, signal);
      });
      // Whoever stopped this has put another reader, or nothing, in its place.
      signal.throwIfAborted();
      const isConfirmed = await confirms(registry, reader, listing, signal);
      signal.throwIfAborted();
      const implausible = accept(registry, reader, listing, isConfirmed);
      settle(registry, reader, implausible === null ? "read" : "implausible", implausible);
    } catch (err) {
      if (!signal.aborted) settle(registry, reader, outcomeOf(err), textOf(err));
      throw err;
    }
  }

  /**
   * Of a listing that lacks much: is what it lacks gone? A login that lost its rights would be shown as little again
   * and again. Past its maximum age the known catalogue is no better than such a listing.
   */
  async function confirms(
    registry: Registry,
    { implausibleInARow }: Reader,
    listing: Listing,
    signal: AbortSignal,
  ): Promise<boolean> {
    const catalogue = state.snapshot().catalogues.get(registry.name);
    const isAsked = implausibleInARow + 1 >= implausibleListingsBelieved;
    if (!isAsked || needs.isGone === undefined || catalogue === undefined || catalogue.stale) return true;
    const shown = new Set(listing.spaces.map(({ name }) => name));
    const [missing] = missingFrom(catalogue.spaces, shown);
    return missing === undefined || needs.isGone(registry, missing, signal);
  }

  function accept({ name }: Registry, reader: Reader, listing: Listing, isConfirmed: boolean): string | null {
    const catalogue = state.snapshot().catalogues.get(name);
    const { implausibleInARow } = reader;
    const successor = succeed({ catalogue, implausibleInARow, isConfirmed }, listing);
    reader.implausibleInARow = successor.implausibleInARow;
    if (successor.catalogue !== catalogue) state.replaceCatalogue(name, successor.catalogue);
    if (successor.changes.length > 0) {
      const facts = { registry: name, spaces: successor.catalogue.spaces.size };
      log.info(facts, `the catalogue changed: ${describeChanges(successor.changes)}`);
    }
    return successor.implausible;
  }

  /** One log line a change of outcome: a Harbor that is down for a night is one line, not four thousand. */
  function settle(registry: Registry, reader: Reader, outcome: RefreshOutcome, problem: string | null): void {
    const before = reader.status.outcome;
    reader.status = { outcome, up: outcome === "read" || outcome === "implausible", problem };
    needs.observe?.(registry.name, outcome);
    if (outcome === before) return;
    const facts = { registry: registry.name, outcome, ...(problem === null ? {} : { problem }) };
    if (outcome === "read") log.info(facts, inWords[outcome]);
    else log.error(facts, inWords[outcome]);
  }

  const unsubscribe = [
    state.subscribe((current, previous) => {
      if (current.policy !== previous.policy) follow();
    }),
    secrets.subscribe(follow),
  ];
  follow();

  return {
    refresh: (registry) => readers.get(registry)?.loop?.wake(),
    status: () => new Map([...readers].map(([name, { status }]) => [name, status])),
    async stop() {
      for (const cancel of unsubscribe) cancel();
      for (const [name, reader] of readers) end(name, reader);
      await Promise.all([upkeep.stop(), ...ending]);
    },
  };
}

const inWords: Readonly<Record<RefreshOutcome, string>> = {
  read: "the registry is being read",
  implausible: "the registry's listing is not believed yet; its last good catalogue stays in force",
  failed: "the registry cannot be read; its last good catalogue stays in force",
  "login-refused": "the registry does not accept the login; its last good catalogue stays in force",
  "no-credentials":
    "the registry is not read for want of its Secrets; its last good catalogue stays in force",
};

const notReadYet: RegistryStatus = { outcome: null, up: false, problem: null };

/** All that a reader depends on, as text: compared, never logged. */
function beginningOf(registry: Registry, secrets: Secrets): string {
  const { type, url, credentialsSecret, caSecret } = registry;
  return JSON.stringify([type, url, credentialsSecret, caSecret, accessOf(registry, secrets)]);
}

function outcomeOf(err: unknown): RefreshOutcome {
  return err instanceof Error && "kind" in err && err.kind === "login-refused" ? "login-refused" : "failed";
}

function textOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err);
}

/**
 * One at a time for each server: several registries may stand for one Harbor, each with its own login, and a
 * listing takes a connection of Harbor's database pool for every project of a page.
 */
function createTurns(): <T>(server: string, task: () => Promise<T>) => Promise<T> {
  const last = new Map<string, Promise<void>>();
  return (server, task) => {
    const result = (last.get(server) ?? Promise.resolve()).then(task);
    const over = result.then(
      () => undefined,
      () => undefined,
    );
    last.set(server, over);
    void over.then(() => {
      if (last.get(server) === over) last.delete(server);
    });
    return result;
  };
}

export type CatalogueUpkeepNeeds = Pick<CatalogueFeedNeeds, "state" | "log" | "now">;

/** An age is told in tenths of the maximum, and at least every 10 s. */
const slowestAgeingMs = 10_000;

/**
 * What every replica does with its catalogues, whether it reads the registries itself or gets them published: it
 * forgets those of registries that left the policy or are another server now, and marks those that are too old.
 */
export function startCatalogueUpkeep({ state, log, now }: CatalogueUpkeepNeeds, maxAgeMs: number): Stoppable {
  const loop = createLoop({
    name: "catalogue upkeep",
    everyMs: Math.min(slowestAgeingMs, maxAgeMs / 10),
    // Never inside the notification of another change, which would tell later listeners of the two in reverse.
    run: () =>
      Promise.resolve().then(() => {
        forgetUnnamed(state);
        markStale(state, log, now() - maxAgeMs);
      }),
    log,
  });
  const unsubscribe = state.subscribe((current, previous) => {
    if (current.policy !== previous.policy || current.catalogues !== previous.catalogues) loop.wake();
  });
  return {
    async stop() {
      unsubscribe();
      await loop.stop();
    },
  };
}

function forgetUnnamed(state: State): void {
  const { policyRead, policy, catalogues } = state.snapshot();
  // Catalogues that were published may be there before the policy is.
  if (!policyRead) return;
  for (const [name, { server }] of catalogues) {
    const registry = policy.registries.get(name);
    if (registry?.type !== "harbor" || registry.url !== server) state.replaceCatalogue(name, undefined);
  }
}

function markStale(state: State, log: Log, oldest: number): void {
  for (const [registry, catalogue] of state.snapshot().catalogues) {
    if (catalogue.stale || catalogue.readAt >= oldest) continue;
    state.replaceCatalogue(registry, { ...catalogue, stale: true });
    log.warn({ registry, readAt: new Date(catalogue.readAt).toISOString() }, "the catalogue is stale");
  }
}

/** What metrics say of a catalogue. */
export interface CatalogueFacts {
  readonly ageMs: number;
  readonly spaces: Readonly<Record<Visibility, number>>;
}

/** By registry name, for each catalogue of the snapshot. */
export function catalogueFacts(snapshot: Snapshot, now: number): ReadonlyMap<string, CatalogueFacts> {
  const { catalogues, policy } = snapshot;
  return new Map(
    [...catalogues].map(([name, catalogue]) => [name, factsOf(policy.registries.get(name), catalogue, now)]),
  );
}

/** The registry is undefined for a moment after it left the policy. */
function factsOf(registry: Registry | undefined, catalogue: Catalogue, now: number): CatalogueFacts {
  const spaces = { public: 0, private: 0 };
  for (const space of catalogue.spaces.values()) {
    spaces[registry === undefined ? space.visibility : visibilityOn(registry, space)] += 1;
  }
  return { ageMs: now - catalogue.readAt, spaces };
}
