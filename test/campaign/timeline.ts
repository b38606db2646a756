// What was true when, and until when somebody may still go by what was true before. Times are those of the turned
// clock, in milliseconds from its start; a jump of the wall clock does not show in them.

export interface Version<T> {
  readonly at: number;
  readonly value: T;
}

/** Oldest first; never empty. */
export interface Timeline<T> {
  readonly versions: readonly Version<T>[];
  current(): T;
  put(at: number, value: T): void;
}

export function createTimeline<T>(first: T): Timeline<T> {
  const versions: Version<T>[] = [{ at: 0, value: first }];
  return {
    versions,
    current: () => versions[versions.length - 1]!.value,
    put: (at, value) => void versions.push({ at, value }),
  };
}

/**
 * What may have been in force at some moment from `from` to `until`: going back from the newest, everything up to the
 * first that had to be in force by then.
 */
export function possible<T>(
  { versions }: Timeline<T>,
  from: number,
  until: number,
  deadlineOf: (at: number) => number,
): readonly Version<T>[] {
  const found: Version<T>[] = [];
  for (const version of versions.toReversed()) {
    if (version.at > until) continue;
    found.push(version);
    if (deadlineOf(version.at) <= from) break;
  }
  return found;
}

/** A time in which a source of knowledge need not work, and after which what it missed is known again. */
interface Outage {
  readonly from: number;
  /** Infinity for as long as it lasts. */
  caughtUpAt: number;
}

export interface Outages {
  /** For so long from now. */
  add(source: string, from: number, caughtUpAt: number): void;
  /** Until what is returned is called with when it is caught up. */
  begin(source: string, from: number): (caughtUpAt: number) => void;
  /** When a change must be in force that its sources would bring within `withinMs` if all were well. */
  deadline(sources: readonly string[], at: number, withinMs: number): number;
  /** Was one of them out at any moment of this time, or not caught up yet? */
  isOut(sources: readonly string[], from: number, until: number): boolean;
}

export function createOutages(): Outages {
  const bySource = new Map<string, Outage[]>();
  function insert(source: string, outage: Outage): void {
    const known = bySource.get(source) ?? [];
    known.push(outage);
    bySource.set(source, known);
  }
  return {
    add: (source, from, caughtUpAt) => insert(source, { from, caughtUpAt }),
    begin(source, from) {
      const outage: Outage = { from, caughtUpAt: Infinity };
      insert(source, outage);
      return (caughtUpAt) => void (outage.caughtUpAt = caughtUpAt);
    },
    deadline(sources, at, withinMs) {
      const all = sources.flatMap((source) => bySource.get(source) ?? []);
      let by = at + withinMs;
      for (;;) {
        // One outage may last into the next.
        const later = all.filter(({ from, caughtUpAt }) => from <= by && caughtUpAt > by);
        if (later.length === 0) return by;
        by = Math.max(...later.map(({ caughtUpAt }) => caughtUpAt));
        if (by === Infinity) return by;
      }
    },
    isOut: (sources, from, until) =>
      sources.some((source) =>
        (bySource.get(source) ?? []).some((outage) => outage.from <= until && outage.caughtUpAt >= from),
      ),
  };
}
