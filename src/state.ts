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
  /**
   * What another replica pinned, which holds against what was pinned here. Before the policy is read all of it is
   * kept, so that a binding is not pinned anew to the space that took the name meanwhile.
   */
  adoptPins(published: ReadonlyMap<string, number>): void;
  /** By server and space (domain/binding-validity.ts): the declared spaces that Berth made or adopted, with their ids. */
  replaceOwnSpaces(ownSpaces: ReadonlyMap<string, number>): void;
  /** `undefined` forgets the catalogue, for a registry that the policy no longer names. */
  replaceCatalogue(registry: string, catalogue: Catalogue | undefined): void;
  subscribe(listener: (current: Snapshot, previous: Snapshot) => void): () => void;
}

export function createState(rules: Rules): State {
  const cell = createCell(firstSnapshot(rules));

  function publish(part: Partial<Snapshot>): void {
    const previous = cell.current();
    const next = { ...previous, ...part, generation: previous.generation + 1 };
    const pinsMayMove = part.policy !== undefined || part.catalogues !== undefined;
    cell.replace(pinsMayMove ? { ...next, pins: settled(previous.pins, next) } : next);
  }

  return {
    snapshot: () => cell.current(),
    replacePolicy: (policy) => publish({ policy, policyRead: true }),
    replaceNamespaces: (namespaces) => publish({ namespaces, namespacesRead: true }),
    replaceStrictServiceAccounts: (strictServiceAccounts) => publish({ strictServiceAccounts }),
    adoptPins(published) {
      const previous = cell.current();
      const pins = settled(new Map([...previous.pins, ...published]), previous);
      if (!isSameMap(pins, previous.pins)) publish({ pins });
    },
    replaceOwnSpaces(ownSpaces) {
      const previous = cell.current();
      if (previous.ownSpacesRead && isSameMap(previous.ownSpaces, ownSpaces)) return;
      publish({ ownSpaces, ownSpacesRead: true });
    },
    replaceCatalogue(registry, catalogue) {
      const catalogues = new Map(cell.current().catalogues);
      if (catalogue === undefined) catalogues.delete(registry);
      else catalogues.set(registry, catalogue);
      publish({ catalogues });
    },
    subscribe: (listener) => cell.subscribe(listener),
  };
}

/** The pins that go with a snapshot's policy and catalogues: the same map where nothing is different. */
function settled(
  pins: ReadonlyMap<string, number>,
  { policyRead, policy, catalogues }: Snapshot,
): Snapshot["pins"] {
  // A policy that was not read has no bindings yet, and would leave no pin.
  if (!policyRead) return pins;
  const next = pinBindings(pins, policy, catalogues);
  return isSameMap(next, pins) ? pins : next;
}

export function isSameMap<K, V extends string | number | boolean | null>(
  one: ReadonlyMap<K, V>,
  other: ReadonlyMap<K, V>,
): boolean {
  if (one.size !== other.size) return false;
  // A key that the other has not is undefined there, which no value is.
  for (const [key, value] of one) if (other.get(key) !== value) return false;
  return true;
}
