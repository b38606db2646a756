// Which robots a policy and the catalogues call for: one for each workspace that has namespaces, on each Harbor of
// the administrators, with the spaces that its bindings hold for at this moment.

import type { Catalogue, Space } from "./catalogue.ts";
import type { Binding, Policy, Registry } from "./policy.ts";
import type { RobotHome, Wanted } from "./robots.ts";
import type { Namespaces } from "./workspaces.ts";

/** Workspace → its bindings, registry → those on it. */
export type BindingsOfWorkspaces = ReadonlyMap<string, ReadonlyMap<string, readonly Binding[]>>;

export function bindingsOfWorkspaces({ bindings }: Policy): BindingsOfWorkspaces {
  const all = new Map<string, Map<string, Binding[]>>();
  for (const byWorkspace of bindings.values()) {
    for (const binding of byWorkspace.values()) {
      const ofWorkspace = all.get(binding.workspace) ?? new Map<string, Binding[]>();
      const onRegistry = ofWorkspace.get(binding.registry) ?? [];
      onRegistry.push(binding);
      ofWorkspace.set(binding.registry, onRegistry);
      all.set(binding.workspace, ofWorkspace);
    }
  }
  return all;
}

/** Workspace → its namespaces that are judged, and so need to pull, in order. */
export type NamespacesOfWorkspaces = ReadonlyMap<string, readonly string[]>;

export function namespacesOfWorkspaces(
  namespaces: Namespaces,
  isJudged: (namespace: string) => boolean,
): NamespacesOfWorkspaces {
  const all = new Map<string, string[]>();
  for (const [namespace, workspace] of namespaces) {
    if (workspace === null || !isJudged(namespace)) continue;
    const known = all.get(workspace);
    if (known === undefined) all.set(workspace, [namespace]);
    else known.push(namespace);
  }
  for (const names of all.values()) names.sort();
  return all;
}

/** A Harbor that Berth makes robots on: one of a workspace brings its own login. */
export function takesRobots(registry: Registry): boolean {
  return homeOn(registry) !== undefined;
}

/** Where robots of the registry live; undefined where Berth makes none. */
export function homeOn({ name, type, url, workspace, ...secrets }: Registry): RobotHome | undefined {
  const { credentialsSecret, caSecret } = secrets;
  if (type !== "harbor" || workspace !== null || credentialsSecret === null) return undefined;
  return { registry: name, server: url, credentialsSecret, caSecret };
}

export interface RobotQuestion {
  readonly registry: Registry;
  readonly workspace: string;
  readonly catalogue: Catalogue | undefined;
  /** Those of the workspace on the registry. */
  readonly bindings: readonly Binding[];
  /** Those of the workspace. */
  readonly namespaces: readonly string[];
  /** Does the binding hold for this space, now? */
  readonly holds: (binding: Binding, space: Space) => boolean;
}

/** The robot that the workspace needs on the registry. */
export function wantedRobot(question: RobotQuestion): Wanted {
  const { registry, workspace, catalogue, bindings, namespaces, holds } = question;
  const home = homeOn(registry);
  if (home === undefined || bindings.length === 0 || namespaces.length === 0) return undefined;
  if (catalogue?.server !== home.server) return "unknown";
  const spaces = bindings.flatMap((binding) => {
    const space = catalogue.spaces.get(binding.space);
    return space !== undefined && holds(binding, space) ? [{ name: space.name, id: space.id }] : [];
  });
  if (spaces.length === 0) return undefined;
  spaces.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { home, workspace, spaces, namespaces };
}
