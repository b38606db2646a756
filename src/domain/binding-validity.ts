// Does a binding hold for a space, as both are now? The one rule that verdicts, suggestions and robots share.

import type { Space } from "./catalogue.ts";
import { boundId } from "./pins.ts";
import { spaceKey, type Binding } from "./policy.ts";
import type { Snapshot } from "./snapshot.ts";

/**
 * Why a binding gives nothing: `not-adopted` where the policy declares a space of that name, and the one that exists
 * is neither made by Berth nor to be taken over; `replaced` where the name has another id than when it was bound.
 */
export type BindingFault = "not-adopted" | "replaced";

/** What a binding's validity depends on, beside the space. */
export type BindingFacts = Pick<Snapshot, "policy" | "pins" | "ownSpaces" | "ownSpacesRead">;

/** Undefined where the binding holds. `space` is the one that has the binding's name at this moment. */
export function bindingFault(facts: BindingFacts, binding: Binding, space: Space): BindingFault | undefined {
  if (isForeign(facts, binding, space)) return "not-adopted";
  const id = boundId(facts.pins, binding);
  return id === undefined || id === space.id ? undefined : "replaced";
}

export function bindingHolds(facts: BindingFacts, binding: Binding, space: Space): boolean {
  return bindingFault(facts, binding, space) === undefined;
}

/**
 * Whoever may create projects could take a declared name before Berth does, and would get the binding that was meant
 * for Berth's own space. Where nobody keeps a record of what Berth made, a policy is taken at its word.
 */
function isForeign(
  { policy, ownSpaces, ownSpacesRead }: BindingFacts,
  binding: Binding,
  space: Space,
): boolean {
  if (!ownSpacesRead) return false;
  const declared = policy.spaces.get(spaceKey(binding.registry, binding.space));
  const server = policy.registries.get(binding.registry)?.url ?? "";
  const own = ownSpaces.get(ownSpaceKey(server, binding.space));
  return declared !== undefined && !declared.adopt && own !== space.id;
}

/** An id belongs to the server that gave it: a registry that is another server now has no space of Berth's there. */
export function ownSpaceKey(server: string, space: string): string {
  return `${server}/${space}`;
}
