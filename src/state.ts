// The one mutable cell of the process: the current snapshot. Background work builds a new part, one assignment
// publishes it, and whoever subscribed is told afterwards. A reader holds a value that never changes under it.

import type { Catalogue } from "./domain/catalogue.ts";
import { pinBindings } from "./domain/pins.ts";
import type { Policy } from "./domain/policy.ts";
import { firstSnapshot, type Rules, type Snapshot } from "./domain/snapshot.ts";
import type { Namespaces } from "./domain/workspaces.ts";

export interface Cell<T> {
  current(): T;
  replace(next: T): void;
  /** Called after each replacement, synchronously, in the order of subscription; returns how to end it. */
  subscribe(listener: (current: T, previous: T) => void): () => void;
}

export function createCell<T>(first: T): Cell<T> {
  let value = first;
  const listeners = new Set<(current: T, previous: T) => void>();
  return {
    current: () => value,
    replace(next) {
      const previous = value;
      value = next;
      for (const listener of listeners) listener(next, previous);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

export interface State {
  snapshot(): Snapshot;
  replacePolicy(policy: Policy): void;
  replaceNamespaces(namespaces: Namespaces): void;
  replaceStrictServiceAccounts(accounts: ReadonlySet<string>): void;
  /** `undefined` forgets the catalogue, for a registry that the policy no longer names. */
  replaceCatalogue(registry: string, catalogue: Catalogue | undefined): void;
  subscribe(listener: (current: Snapshot, previous: Snapshot) => void): () => void;
}

export function createState(rules: Rules): State {
  const cell = createCell(firstSnapshot(rules));

  function publish(part: Partial<Snapshot>): void {
    const previous = cell.current();
    const next = { ...previous, ...part };
    const pinsMayMove = part.policy !== undefined || part.catalogues !== undefined;
    cell.replace({
      ...next,
      pins: pinsMayMove ? pinBindings(previous.pins, next.policy, next.catalogues) : previous.pins,
      generation: previous.generation + 1,
    });
  }

  return {
    snapshot: () => cell.current(),
    replacePolicy: (policy) => publish({ policy, policyRead: true }),
    replaceNamespaces: (namespaces) => publish({ namespaces, namespacesRead: true }),
    replaceStrictServiceAccounts: (strictServiceAccounts) => publish({ strictServiceAccounts }),
    replaceCatalogue(registry, catalogue) {
      const catalogues = new Map(cell.current().catalogues);
      if (catalogue === undefined) catalogues.delete(registry);
      else catalogues.set(registry, catalogue);
      publish({ catalogues });
    },
    subscribe: (listener) => cell.subscribe(listener),
  };
}
