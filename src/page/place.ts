// Where somebody is in the page: all that is chosen stands in the address, after the `#`, so that back, forward, reload
// and a link sent to a colleague work, and no server's log tells who looked at what.

import { useEffect, useState } from "preact/hooks";

const keys = [
  "view",
  "section",
  "namespace",
  "find",
  "registry",
  "space",
  "repository",
  "tag",
  "search",
  "image",
] as const;

/** `find` searches everything, `search` narrows the list that is shown. */
export type Place = Readonly<Partial<Record<(typeof keys)[number], string | undefined>>>;

export function placeOf(hash: string): Place {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  const chosen = keys.flatMap((key) => {
    const value = given.get(key);
    return value === null || value === "" ? [] : [[key, value] as const];
  });
  return Object.fromEntries(chosen);
}

/** Slashes and colons stay readable. */
export function hashOf(place: Place): string {
  const params = new URLSearchParams();
  for (const key of keys) if (place[key]) params.set(key, place[key]);
  return `#${params.toString().replaceAll("%2F", "/").replaceAll("%3A", ":")}`;
}

export interface Arrival {
  readonly place: Place;
  /** Whether what was opened takes the focus: not at the first look, and not while somebody types or picks a tab. */
  readonly takesFocus: boolean;
}

export interface Moves {
  /** As a link does. */
  readonly open: (place: Place) => void;
  /** As a tab does: a step in the history, and the focus stays. */
  readonly turn: (place: Place) => void;
  /** As typing does: no step in the history, and the focus stays. */
  readonly narrow: (place: Place) => void;
}

export function useArrival(start: Place): readonly [Arrival, Moves] {
  const [arrival, setArrival] = useState<Arrival>({ place: start, takesFocus: false });
  useEffect(() => {
    const arrive = (): void => setArrival({ place: placeOf(location.hash), takesFocus: true });
    addEventListener("hashchange", arrive);
    return () => removeEventListener("hashchange", arrive);
  }, []);
  const [moves] = useState<Moves>({
    open: (place) => {
      history.pushState(null, "", hashOf(place));
      setArrival({ place, takesFocus: true });
    },
    turn: (place) => {
      history.pushState(null, "", hashOf(place));
      setArrival({ place, takesFocus: false });
    },
    narrow: (place) => {
      history.replaceState(null, "", hashOf(place));
      setArrival({ place, takesFocus: false });
    },
  });
  return [arrival, moves];
}
