// What else a refused namespace may use: the spaces it may see, nearest names first. It never names a private
// space that is not bound to the namespace's workspace, since that would tell a tenant of other tenants' spaces.

import { bindingHolds } from "./binding-validity.ts";
import type { Catalogue } from "./catalogue.ts";
import { editDistance } from "./edit-distance.ts";
import type { Binding, Policy, Registry } from "./policy.ts";
import type { Snapshot } from "./snapshot.ts";
import { visibilityOn } from "./visibility.ts";

/** Enough to choose from, short enough to read. */
const maxSuggestions = 5;
/**
 * Names compared for one suggestion. Comparing one costs well under a microsecond when lengths differ much and
 * some two when they do not, so this stays near a millisecond; beyond it the names nearest in the alphabet count.
 */
const maxCompared = 1_000;

/** Space names on this registry that the workspace may use, the nearest to `wanted` first. */
export function suggestSpaces(
  snapshot: Snapshot,
  registry: Registry,
  workspace: string | null,
  wanted: string,
  audience: "public" | "workspace",
): readonly string[] {
  const catalogue = snapshot.catalogues.get(registry.name);
  if (catalogue === undefined) return [];
  const names = new Set(around(publicNames(registry, catalogue), wanted));
  if (audience === "workspace" && workspace !== null) {
    for (const name of boundNames(snapshot, registry, workspace, catalogue)) names.add(name);
  }
  names.delete(wanted);
  return [...names]
    .map((name) => ({ name, distance: distance(wanted, name) }))
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, maxSuggestions)
    .map(({ name }) => name);
}

/** Sorted once a catalogue's spaces: they are never edited, so what was sorted stays right. */
const sortedPublicNames = new WeakMap<Catalogue["spaces"], readonly string[]>();
/** The same where the policy has proxy caches count as private. */
const sortedWithoutProxyCaches: typeof sortedPublicNames = new WeakMap();

function publicNames(registry: Registry, catalogue: Catalogue): readonly string[] {
  const sorted = registry.treatsProxyCachesAsPrivate ? sortedWithoutProxyCaches : sortedPublicNames;
  const known = sorted.get(catalogue.spaces);
  if (known !== undefined) return known;
  const names: string[] = [];
  for (const space of catalogue.spaces.values()) {
    if (visibilityOn(registry, space) === "public") names.push(space.name);
  }
  names.sort();
  sorted.set(catalogue.spaces, names);
  return names;
}

/** The part of a sorted list that lies around the place where `wanted` would stand. */
function around(sorted: readonly string[], wanted: string): readonly string[] {
  if (sorted.length <= maxCompared) return sorted;
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? "") < wanted) low = middle + 1;
    else high = middle;
  }
  const start = Math.min(Math.max(0, low - maxCompared / 2), sorted.length - maxCompared);
  return sorted.slice(start, start + maxCompared);
}

/** The spaces of this registry that are bound to the workspace and still those that the binding meant. */
function boundNames(
  snapshot: Snapshot,
  registry: Registry,
  workspace: string,
  catalogue: Catalogue,
): readonly string[] {
  const bindings = bindingsByWorkspace(snapshot.policy).get(workspace) ?? [];
  const names: string[] = [];
  for (const binding of bindings.slice(0, maxCompared)) {
    if (binding.registry !== registry.name) continue;
    const space = catalogue.spaces.get(binding.space);
    if (space !== undefined && bindingHolds(snapshot, binding, space)) names.push(binding.space);
  }
  return names;
}

const groupedBindings = new WeakMap<Policy, ReadonlyMap<string, readonly Binding[]>>();

function bindingsByWorkspace(policy: Policy): ReadonlyMap<string, readonly Binding[]> {
  const known = groupedBindings.get(policy);
  if (known !== undefined) return known;
  const grouped = new Map<string, Binding[]>();
  for (const byWorkspace of policy.bindings.values()) {
    for (const binding of byWorkspace.values()) {
      const group = grouped.get(binding.workspace);
      if (group === undefined) grouped.set(binding.workspace, [binding]);
      else group.push(binding);
    }
  }
  groupedBindings.set(policy, grouped);
  return grouped;
}

/** Names further apart than this are not alike; they sort by the alphabet. */
const farApart = 4;

/** Longer names are compared by their beginning alone, since comparing takes time with the product of lengths. */
const maxComparedLength = 64;

function distance(wanted: string, name: string): number {
  if (wanted.startsWith(name) || name.startsWith(wanted)) return 1;
  return wanted.length > maxComparedLength ? farApart : editDistance(wanted, name, farApart);
}

/** Registries whose spaces this workspace may use, as hosts people can write, the administrators' first. */
export function suggestHosts(snapshot: Snapshot, workspace: string | null): readonly string[] {
  const hosts: string[] = [];
  for (const registry of snapshot.policy.registries.values()) {
    const host = registry.spellings[0];
    if (host === undefined || (registry.workspace !== null && registry.workspace !== workspace)) continue;
    hosts.push(host);
    if (hosts.length === maxSuggestions) break;
  }
  return hosts;
}
