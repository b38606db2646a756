// Lists of spaces and bindings that several readers need in order: sorted once for a catalogue or a policy, which are
// replaced and never edited. Who may see which of them is not decided here.

import { bindingHolds, type BindingFacts } from "./binding-validity.ts";
import type { Catalogue, Space } from "./catalogue.ts";
import type { Binding, Policy, Registry } from "./policy.ts";
import { derived } from "./derived.ts";
import { visibilityOn } from "./visibility.ts";

/** A registry, and what is known of its spaces. */
export interface ReadRegistry {
  readonly registry: Registry;
  readonly catalogue: Catalogue;
}

/** Those that count as public, by name. */
export const publicSpaces: (read: ReadRegistry) => readonly Space[] = derived(
  ({ registry, catalogue }) => [catalogue.spaces, registry.treatsProxyCachesAsPrivate],
  ({ registry, catalogue }) =>
    byName([...catalogue.spaces.values()].filter((space) => visibilityOn(registry, space) === "public")),
);

/** A copy, in the order of code units. */
export function byName<T extends { readonly name: string }>(items: readonly T[]): readonly T[] {
  return [...items].sort((a, b) => (a.name < b.name ? -1 : 1));
}

const bindingsByWorkspace = derived(
  (policy: Policy) => [policy],
  ({ bindings }) => {
    const grouped = new Map<string, Binding[]>();
    for (const byWorkspace of bindings.values()) {
      for (const binding of byWorkspace.values()) {
        const group = grouped.get(binding.workspace);
        if (group === undefined) grouped.set(binding.workspace, [binding]);
        else group.push(binding);
      }
    }
    return grouped;
  },
);

/** Whether they hold or not. */
export function bindingsOf(policy: Policy, workspace: string | null): readonly Binding[] {
  return workspace === null ? [] : (bindingsByWorkspace(policy).get(workspace) ?? []);
}

/** Of every workspace that has bindings, by its id. */
export function boundWorkspaces(policy: Policy): Iterable<string> {
  return bindingsByWorkspace(policy).keys();
}

/** The spaces of this registry that these bindings name and hold for. */
export function spacesBoundBy(
  bindings: readonly Binding[],
  { registry, catalogue }: ReadRegistry,
  facts: BindingFacts,
): readonly Space[] {
  return bindings.flatMap((binding) => {
    if (binding.registry !== registry.name) return [];
    const space = catalogue.spaces.get(binding.space);
    return space !== undefined && bindingHolds(facts, binding, space) ? [space] : [];
  });
}
