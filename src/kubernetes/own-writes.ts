// What this process wrote and its watch has not shown yet, laid over what the watch shows: who has just written an
// object must not take the state before it for the present and write again. Makes no requests.
//
// Resource versions are compared as numbers. The API server promises since Kubernetes 1.35 that they can be (and says
// how); the revisions of etcd, which they are, always could. They fit in a double for some hundred thousand years.

import type { ObjectVersion } from "./kube-object.ts";
import type { Known } from "./watch.ts";

export interface OwnWrites<V extends ObjectVersion> {
  /** The object as the API server's answer shows it. */
  wrote(key: string, value: V): void;
  /** The object that was last seen in this state is gone. */
  removed(key: string, last: ObjectVersion): void;
  /** A map of its own, which does not change, and the same one as long as nothing did; empty where nothing is known. */
  over(known: Known<V> | undefined): ReadonlyMap<string, V>;
  /** The one of that key in {@link over}, without a map of them all: that would be thousands, at each of thousands of writes. */
  at(key: string, known: Known<V> | undefined): V | undefined;
}

/** One for each object that was written since the watch caught up, so no more than the collection has keys. */
type Mark<V> =
  | { readonly kind: "written"; readonly value: V; readonly version: ObjectVersion }
  | { readonly kind: "removed"; readonly version: ObjectVersion };

export function createOwnWrites<V extends ObjectVersion>(): OwnWrites<V> {
  const marks = new Map<string, Mark<V>>();
  /** Thousands of entries, and some callers ask for each of them. */
  let last:
    { readonly resourceVersion: string | undefined; readonly all: ReadonlyMap<string, V> } | undefined;

  /** The version that the marks were last held against; undefined where a mark has come since. */
  let settledAt: { readonly resourceVersion: string | undefined } | undefined;

  function mark(key: string, made: Mark<V>): void {
    marks.set(key, made);
    last = undefined;
    settledAt = undefined;
  }

  /** Leaves the marks of what is not shown yet. */
  function settle(known: Known<V> | undefined): void {
    const resourceVersion = known?.resourceVersion;
    if (settledAt !== undefined && settledAt.resourceVersion === resourceVersion) return;
    for (const [key, made] of marks) if (isShown(made, known, known?.all.get(key))) marks.delete(key);
    settledAt = { resourceVersion };
  }

  return {
    wrote: (key, value) => mark(key, { kind: "written", value, version: value }),
    removed: (key, version) => mark(key, { kind: "removed", version }),
    over(known) {
      if (last !== undefined && last.resourceVersion === known?.resourceVersion) return last.all;
      settle(known);
      const all = new Map(known?.all);
      for (const [key, made] of marks) {
        if (made.kind === "written") all.set(key, made.value);
        else all.delete(key);
      }
      last = { resourceVersion: known?.resourceVersion, all };
      return all;
    },
    at(key, known) {
      settle(known);
      const made = marks.get(key);
      if (made === undefined) return known?.all.get(key);
      return made.kind === "written" ? made.value : undefined;
    },
  };
}

/**
 * A deletion has no version of its own to wait for, the answer to it names none; but a watch that has come to a state
 * in which the object was there, and does not show it, has seen it go.
 */
function isShown<V extends ObjectVersion>(
  mark: Mark<V>,
  known: Known<V> | undefined,
  shown: V | undefined,
): boolean {
  if (known === undefined || !isAtLeast(known.resourceVersion, mark.version.resourceVersion)) return false;
  return mark.kind === "written" || shown?.uid !== mark.version.uid;
}

export function isAtLeast(version: string, other: string): boolean {
  return Number(version) >= Number(other);
}
