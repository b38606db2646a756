// Tells administrators of proxy caches that every namespace may use: one such space opens the whole registry behind
// it, which is easily done and seldom meant. It changes nothing; that is theirs to do.

import { haveSameSpaces } from "../domain/catalogue.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { openProxyCaches } from "../domain/visibility.ts";
import type { Log } from "../log.ts";
import type { State } from "../state.ts";

export interface ProxyCacheWarningsNeeds {
  readonly state: Pick<State, "snapshot" | "subscribe">;
  readonly log: Log;
}

/** A line of a log that somebody reads; whoever has closed these sees the next. */
const maxNamed = 20;

/** One warning when such spaces appear, and again for one that was closed meanwhile. Returns how to end it. */
export function startProxyCacheWarnings({ state, log }: ProxyCacheWarningsNeeds): () => void {
  let told: ReadonlySet<string> = new Set();

  function look(snapshot: Snapshot): void {
    const open = openProxyCaches(snapshot).map(({ registry, space }) => `${registry}/${space}`);
    const appeared = open.filter((space) => !told.has(space));
    told = new Set(open);
    if (appeared.length === 0) return;
    log.warn(
      { spaces: appeared.slice(0, maxNamed), count: appeared.length },
      "public proxy caches open the whole registries behind them to every namespace; " +
        "proxyCaches: private at their registry in the policy closes them",
    );
  }

  look(state.snapshot());
  return state.subscribe((current, previous) => {
    const isSame =
      current.policy === previous.policy && haveSameSpaces(current.catalogues, previous.catalogues);
    if (!isSame) look(current);
  });
}
