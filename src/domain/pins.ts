// A binding holds for the space that had the name when the binding was first seen: the id of that moment is its
// pin. Harbor lets a deleted project's name be taken again, by anybody, and the new project has another id.

import type { Catalogue } from "./catalogue.ts";
import { spaceKey, type Binding, type Policy } from "./policy.ts";

/** Key of a binding without an id of its own. */
export function pinKey(binding: Pick<Binding, "registry" | "space" | "workspace">): string {
  return `${spaceKey(binding.registry, binding.space)}/${binding.workspace}`;
}

/**
 * The pins that go with a policy: those of bindings that stay are kept, a binding that is gone loses its pin (so
 * that one made anew is pinned anew), and a new one is pinned as soon as its space is in a catalogue. Bindings
 * that name their id need none.
 */
export function pinBindings(
  previous: ReadonlyMap<string, number>,
  policy: Policy,
  catalogues: ReadonlyMap<string, Catalogue>,
): ReadonlyMap<string, number> {
  const pins = new Map<string, number>();
  for (const byWorkspace of policy.bindings.values()) {
    for (const binding of byWorkspace.values()) {
      if (binding.id !== null) continue;
      const key = pinKey(binding);
      const id = previous.get(key) ?? catalogues.get(binding.registry)?.spaces.get(binding.space)?.id;
      if (id !== undefined) pins.set(key, id);
    }
  }
  return pins;
}

/** The id of the space that a binding is for; undefined while no catalogue has shown it. */
export function boundId(pins: ReadonlyMap<string, number>, binding: Binding): number | undefined {
  return binding.id ?? pins.get(pinKey(binding));
}
