// What else a refused namespace may use: the spaces it may see, nearest names first. It never names a private
// space that is not bound to the namespace's workspace, since that would tell a tenant of other tenants' spaces.

import type { Space } from "./catalogue.ts";
import { editDistance } from "./edit-distance.ts";
import type { Registry } from "./policy.ts";
import type { Snapshot } from "./snapshot.ts";
import { bindingsOf, publicSpaces, spacesBoundBy } from "./space-lists.ts";

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
  const open = [...around(publicSpaces({ registry, catalogue }), wanted)];
  if (audience === "workspace") {
    const bindings = bindingsOf(snapshot.policy, workspace).slice(0, maxCompared);
    open.push(...spacesBoundBy(bindings, { registry, catalogue }, snapshot));
  }
  const names = new Set(open.map(({ name }) => name));
  names.delete(wanted);
  return [...names]
    .map((name) => ({ name, distance: distance(wanted, name) }))
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, maxSuggestions)
    .map(({ name }) => name);
}

/** The part of a sorted list that lies around the place where `wanted` would stand. */
function around(sorted: readonly Space[], wanted: string): readonly Space[] {
  if (sorted.length <= maxCompared) return sorted;
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle]?.name ?? "") < wanted) low = middle + 1;
    else high = middle;
  }
  const start = Math.min(Math.max(0, low - maxCompared / 2), sorted.length - maxCompared);
  return sorted.slice(start, start + maxCompared);
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
