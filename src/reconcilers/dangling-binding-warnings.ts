// Tells administrators of bindings to what is not there. It changes nothing; that is theirs to do.

import { haveSameSpaces } from "../domain/catalogue.ts";
import { danglingBindings } from "../domain/dangling-bindings.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import type { Log } from "../log.ts";
import type { State } from "../state.ts";

export interface DanglingBindingWarningsNeeds {
  readonly state: Pick<State, "snapshot" | "subscribe">;
  readonly log: Log;
}

/** Each sentence once, for as long as it is true. Returns how to end it. */
export function startDanglingBindingWarnings({ state, log }: DanglingBindingWarningsNeeds): () => void {
  let told: readonly string[] = [];

  function look(snapshot: Snapshot): void {
    const sentences = danglingBindings(snapshot);
    for (const text of sentences) if (!told.includes(text)) log.warn({}, text);
    told = sentences;
  }

  look(state.snapshot());
  return state.subscribe((current, previous) => {
    const isSame =
      current.policy === previous.policy &&
      haveSameSpaces(current.catalogues, previous.catalogues) &&
      current.namespaces === previous.namespaces;
    if (!isSame) look(current);
  });
}
