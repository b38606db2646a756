// The platform as its administrators see it: all spaces with their bindings, all workspaces with what they reach, and
// what is wrong with the policy. Nothing here is for tenants; how registries are doing is not known here.

import { bindingFault, type BindingFault } from "./binding-validity.ts";
import type { Space, Visibility } from "./catalogue.ts";
import { danglingBindings } from "./dangling-bindings.ts";
import { inKeyOrder } from "./paging.ts";
import { spaceKey, type Mode, type PolicyProblem, type Registry, type UnlistedRegistries } from "./policy.ts";
import { derived } from "./derived.ts";
import { danglingExemptionInWords, danglingExemptions, type Snapshot } from "./snapshot.ts";
import { bindingsOf, boundWorkspaces, byName, spacesBoundBy, type ReadRegistry } from "./space-lists.ts";
import { visibilityOn } from "./visibility.ts";

export interface PlatformOverview {
  readonly mode: Mode;
  readonly unlistedRegistries: UnlistedRegistries;
  /** As the policy lists them; Berth's own is always exempt. */
  readonly exemptNamespaces: string[];
  /** The rest are numbers of what there is, and the snapshot's own. */
  readonly documents: number;
  readonly generation: number;
  readonly namespaces: number;
  readonly workspaces: number;
  readonly problems: number;
  readonly berthNamespace: string;
  readonly workspaceLabel: string;
}

export function platformOverview(snapshot: Snapshot): PlatformOverview {
  const { policy, generation, namespaces, rules } = snapshot;
  return {
    mode: policy.mode,
    unlistedRegistries: policy.unlistedRegistries,
    exemptNamespaces: [...policy.exemptNamespaces].sort(),
    documents: policy.documents,
    generation,
    namespaces: namespaces.size,
    workspaces: platformWorkspaces(snapshot).length,
    problems: platformProblems(snapshot).length,
    berthNamespace: rules.berthNamespace,
    workspaceLabel: rules.workspaceLabel,
  };
}

export interface PlatformBinding {
  readonly workspace: string;
  readonly state: "holds" | BindingFault;
}

export interface PlatformSpace {
  readonly registry: string;
  readonly name: string;
  readonly id: number;
  /** As it counts. */
  readonly visibility: Visibility;
  readonly proxyCache: boolean;
  /** The policy has Berth keep it. */
  readonly declared: boolean;
  /** By workspace. */
  readonly bindings: PlatformBinding[];
}

/** Of every Harbor that was read, those of workspaces too; by registry, then by name. */
export function platformSpaces(snapshot: Snapshot): readonly PlatformSpace[] {
  return harborsOf(snapshot).flatMap((read) => spacesOfHarbor({ snapshot, read }));
}

function harborsOf({ policy, catalogues }: Snapshot): readonly ReadRegistry[] {
  return byName([...policy.registries.values()]).flatMap((registry) => {
    const catalogue = registry.type === "harbor" ? catalogues.get(registry.name) : undefined;
    return catalogue === undefined ? [] : [{ registry, catalogue }];
  });
}

const spacesOfHarbor = derived(
  ({ snapshot: { policy, pins, ownSpaces, ownSpacesRead }, read }: Harbor) => [
    read.catalogue.spaces,
    ...[read.registry, policy, pins, ownSpaces, ownSpacesRead],
  ],
  ({ snapshot, read: { registry, catalogue } }): readonly PlatformSpace[] =>
    byName([...catalogue.spaces.values()]).map((space) => platformSpace(snapshot, registry, space)),
);

interface Harbor {
  readonly snapshot: Snapshot;
  readonly read: ReadRegistry;
}

function platformSpace(snapshot: Snapshot, registry: Registry, space: Space): PlatformSpace {
  const { name, id, proxyCache } = space;
  const key = spaceKey(registry.name, name);
  const bindings = [...(snapshot.policy.bindings.get(key)?.values() ?? [])].map((binding) => ({
    workspace: binding.workspace,
    state: bindingFault(snapshot, binding, space) ?? ("holds" as const),
  }));
  return {
    ...{ registry: registry.name, name, id, proxyCache },
    visibility: visibilityOn(registry, space),
    declared: snapshot.policy.spaces.has(key),
    bindings: bindings.sort((a, b) => inKeyOrder(a.workspace, b.workspace)),
  };
}

export interface PlatformWorkspace {
  readonly workspace: string;
  /** The first of them by name. */
  readonly namespaces: string[];
  readonly namespaceCount: number;
  /** Private ones that it may use, by registry, then by name. */
  readonly spaces: { readonly registry: string; readonly name: string }[];
  /** That it integrated itself, by name. */
  readonly registries: string[];
}

/** What a row of a table shows; a workspace has a handful, and rarely some hundred. */
const maxNamespacesNamed = 20;

/** Known from the namespaces, from the bindings, or from the registries that they integrated; by id. */
export function platformWorkspaces(snapshot: Snapshot): readonly PlatformWorkspace[] {
  const namespaces = namespacesByWorkspace(snapshot);
  const spaces = privateSpacesByWorkspace(snapshot);
  const registries = registriesByWorkspace(snapshot);
  const known = new Set([...namespaces.keys(), ...boundWorkspaces(snapshot.policy), ...registries.keys()]);
  return [...known].sort(inKeyOrder).map((workspace) => {
    const all = namespaces.get(workspace) ?? [];
    return {
      workspace,
      namespaces: all.slice(0, maxNamespacesNamed),
      namespaceCount: all.length,
      spaces: [...(spaces.get(workspace) ?? [])],
      registries: [...(registries.get(workspace) ?? [])],
    };
  });
}

const namespacesByWorkspace = derived(
  ({ namespaces }: Snapshot) => [namespaces],
  ({ namespaces }): ReadonlyMap<string, readonly string[]> => {
    const named = [...namespaces].map(([name, workspace]) => ({ name, workspace }));
    return grouped(byName(named));
  },
);

/** The names of what belongs to each workspace, in the order given. */
function grouped(
  items: readonly { readonly name: string; readonly workspace: string | null }[],
): ReadonlyMap<string, readonly string[]> {
  const names = new Map<string, string[]>();
  for (const { name, workspace } of items) {
    if (workspace === null) continue;
    const ofWorkspace = names.get(workspace);
    if (ofWorkspace === undefined) names.set(workspace, [name]);
    else ofWorkspace.push(name);
  }
  return names;
}

function registriesByWorkspace({ policy }: Snapshot): ReadonlyMap<string, readonly string[]> {
  return grouped(byName([...policy.registries.values()]));
}

const privateSpacesByWorkspace = derived(
  ({ policy, catalogues, pins, ownSpaces, ownSpacesRead }: Snapshot) => [
    policy,
    ...[pins, ownSpaces, ownSpacesRead, ...spacesIn(catalogues)],
  ],
  (snapshot): ReadonlyMap<string, PlatformWorkspace["spaces"]> => {
    const ofPlatform = harborsOf(snapshot).filter(({ registry }) => registry.workspace === null);
    return new Map(
      [...boundWorkspaces(snapshot.policy)].map((workspace) => {
        const bindings = bindingsOf(snapshot.policy, workspace);
        const spaces = ofPlatform.flatMap((read) =>
          byName(spacesBoundBy(bindings, read, snapshot))
            .filter((space) => visibilityOn(read.registry, space) === "private")
            .map(({ name }) => ({ registry: read.registry.name, name })),
        );
        return [workspace, spaces];
      }),
    );
  },
);

/** A catalogue is another at every beat, its spaces only where something changed. */
function spacesIn(catalogues: Snapshot["catalogues"]): readonly unknown[] {
  return [...catalogues].flatMap(([registry, { spaces }]) => [registry, spaces]);
}

export interface PlatformProblem {
  readonly severity: PolicyProblem["severity"];
  readonly configMap: string | null;
  readonly key: string | null;
  readonly file: string | null;
  readonly line: number | null;
  readonly column: number | null;
  readonly text: string;
}

/** Of the documents, in their order; then what the policy names and nothing is there of. */
export function platformProblems(snapshot: Snapshot): PlatformProblem[] {
  const dangling = [
    ...danglingBindingsOf(snapshot),
    ...danglingExemptions(snapshot).map(danglingExemptionInWords),
  ];
  return [
    ...snapshot.policy.problems.map(problemOf),
    ...dangling.map((text) => problemOf({ severity: "warning", source: nowhere, position: null, text })),
  ];
}

const danglingBindingsOf = derived(
  ({ policy, namespaces, namespacesRead, rules, catalogues }: Snapshot) => [
    policy,
    ...[namespaces, namespacesRead, rules, ...spacesIn(catalogues)],
  ],
  danglingBindings,
);

/** It is about the policy as a whole. */
const nowhere = { configMap: null, key: null, file: null };

function problemOf({ severity, source, position, text }: PolicyProblem): PlatformProblem {
  const { configMap, key, file } = source;
  const { line, column } = position ?? { line: null, column: null };
  return { severity, configMap, key, file, line, column, text };
}
