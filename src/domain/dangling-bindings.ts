// Bindings that give nothing to anybody, because what they name is not there: most often a name mistyped, or a space
// that somebody deleted. They stay in force, and begin to give what they say as soon as it is there.

import { spaceKey } from "./policy.ts";
import type { Snapshot } from "./snapshot.ts";

/** What fits in a line that people read; who has mended these sees the next. */
const maxNamed = 20;

/**
 * A sentence for each registry, and one for workspaces; none before what they are held against was read. A space that
 * the policy declares is on its way, and a workspace may have its namespaces in other clusters.
 */
export function danglingBindings(snapshot: Snapshot): readonly string[] {
  const { policy, catalogues, namespaces, namespacesRead } = snapshot;
  const inhabited = new Set(namespaces.values());
  const spaces = new Map<string, Set<string>>();
  const workspaces = new Set<string>();
  for (const byWorkspace of policy.bindings.values()) {
    for (const { registry, space, workspace } of byWorkspace.values()) {
      if (namespacesRead && !inhabited.has(workspace)) workspaces.add(workspace);
      const catalogue = catalogues.get(registry);
      if (catalogue === undefined || catalogue.spaces.has(space)) continue;
      if (policy.spaces.has(spaceKey(registry, space))) continue;
      const ofRegistry = spaces.get(registry) ?? new Set<string>();
      spaces.set(registry, ofRegistry.add(space));
    }
  }
  const ofSpaces = [...spaces].map(
    ([registry, names]) =>
      `bindings name spaces that registry ${registry} does not have: ${listed(names)}; ` +
      "mend the names, or make the spaces",
  );
  if (workspaces.size === 0) return ofSpaces;
  const ofWorkspaces =
    `bindings name workspaces that no namespace of this cluster has: ${listed(workspaces)}; ` +
    `mend the ids, or label namespaces with ${snapshot.rules.workspaceLabel}`;
  return [...ofSpaces, ofWorkspaces];
}

function listed(names: ReadonlySet<string>): string {
  const shown = [...names].sort().slice(0, maxNamed);
  const more = names.size - shown.length;
  return shown.join(", ") + (more > 0 ? ` and ${more} more` : "");
}
