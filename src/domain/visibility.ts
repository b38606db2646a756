// Whether a space counts as public. Harbor says so, except of a proxy cache, for which the policy may know better: it
// holds whatever its upstream has, so that a public one opens a whole foreign registry.

import type { Space, Visibility } from "./catalogue.ts";
import type { Registry } from "./policy.ts";
import type { Snapshot } from "./snapshot.ts";

/** Every reader of a space's visibility asks here, whether the space comes from a catalogue or a look-up. */
export function visibilityOn(
  { treatsProxyCachesAsPrivate }: Pick<Registry, "treatsProxyCachesAsPrivate">,
  { visibility, proxyCache }: Pick<Space, "visibility" | "proxyCache">,
): Visibility {
  return proxyCache && treatsProxyCachesAsPrivate ? "private" : visibility;
}

/** A proxy cache that every namespace may use, and with it the registry behind. */
export interface OpenProxyCache {
  readonly registry: string;
  readonly space: string;
}

/** For reports: by registry, then in the order of its catalogue. What a workspace integrated is open to it alone. */
export function openProxyCaches({ policy, catalogues }: Snapshot): readonly OpenProxyCache[] {
  const open: OpenProxyCache[] = [];
  for (const registry of policy.registries.values()) {
    if (registry.workspace !== null) continue;
    for (const space of catalogues.get(registry.name)?.spaces.values() ?? []) {
      if (space.proxyCache && visibilityOn(registry, space) === "public") {
        open.push({ registry: registry.name, space: space.name });
      }
    }
  }
  return open;
}
