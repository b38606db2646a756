// What the image selector may show to a namespace: registries, and spaces of which every image is admitted, each with
// the reason that a verdict gives. It says what a decision without look-ups would say, for all spaces at once; what is
// in a space is read elsewhere, from the registry.
//
// A space is listed for the registry that admits its images by every host of that registry. On a host that several
// Harbors claim the administrators' one is judged first, so that what it opens is listed as its own, and of the Harbor
// that the workspace integrated there only what that one alone opens.

import type { Space, Visibility } from "./catalogue.ts";
import { parseImageReference } from "./image-reference.ts";
import { spaceKey, type Registry } from "./policy.ts";
import type { AllowReason } from "./reasons.ts";
import { derived } from "./derived.ts";
import type { Snapshot } from "./snapshot.ts";
import { bindingsOf, byName, publicSpaces, spacesBoundBy, type ReadRegistry } from "./space-lists.ts";
import { visibilityOn } from "./visibility.ts";

export interface OpenRegistry {
  readonly registry: Registry;
  /** By its spaces; open to every namespace; integrated by this very workspace. */
  readonly access: "shared" | "open" | "workspace";
}

export interface OpenSpace {
  readonly registry: Registry;
  readonly space: Space;
  /** As it counts. */
  readonly visibility: Visibility;
  readonly reason: Extract<AllowReason, "public-space" | "bound-space" | "workspace-registry">;
}

/** The administrators' first, then by name. Those of other workspaces are not among them. */
export function openRegistries(
  { policy, policyRead }: Snapshot,
  workspace: string | null,
): readonly OpenRegistry[] {
  // Before the policy was read nothing is allowed.
  const registries = policyRead ? byName([...policy.registries.values()]) : [];
  return [
    ...registries
      .filter((registry) => registry.workspace === null)
      .map((registry) => ({ registry, access: registry.type === "harbor" ? "shared" : "open" }) as const),
    ...registries
      .filter((registry) => registry.workspace !== null && registry.workspace === workspace)
      .map((registry) => ({ registry, access: "workspace" }) as const),
  ];
}

/** Whether what its login may pull decides about each of its spaces: an own registry on a host of several. */
export function needsGrants({ policy }: Snapshot, { workspace, hosts }: Registry): boolean {
  return workspace !== null && hosts.some((host) => (policy.registriesByHost.get(host)?.length ?? 0) > 1);
}

/**
 * By registry, then by name. `grants` are the spaces, by {@link spaceKey}, that the login of a registry with
 * {@link needsGrants} may pull from; what is not among them is left out.
 */
export function openSpaces(
  snapshot: Snapshot,
  workspace: string | null,
  grants: ReadonlySet<string> = new Set(),
): readonly OpenSpace[] {
  const harbors = openRegistries(snapshot, workspace)
    .map(({ registry }) => registry)
    .filter(({ type }) => type === "harbor");
  return byName(harbors).flatMap((registry) =>
    registry.workspace === null
      ? openByVisibility(snapshot, registry, workspace)
      : openToItsWorkspace(snapshot, registry, workspace, grants),
  );
}

/** Of a Harbor of the platform: what is public, and what is bound. */
function openByVisibility(
  snapshot: Snapshot,
  registry: Registry,
  workspace: string | null,
): readonly OpenSpace[] {
  const catalogue = snapshot.catalogues.get(registry.name);
  if (catalogue === undefined) return [];
  // What was public is not believed of a catalogue that is too old, except where a binding says that it was meant.
  const isMistrusted = catalogue.stale && snapshot.rules.stale === "refuse-unbound";
  const toAll = isMistrusted ? [] : openToAll({ registry, catalogue });
  const bound = spacesBoundBy(bindingsOf(snapshot.policy, workspace), { registry, catalogue }, snapshot)
    .filter(isInImageNames)
    .map((space) => openSpace(registry, space))
    .filter(({ visibility }) => visibility === "private" || isMistrusted);
  return bound.length === 0 ? toAll : bySpace([...toAll, ...bound]);
}

const openToAll = derived(
  ({ registry, catalogue }: ReadRegistry) => [registry, catalogue.spaces],
  (read) =>
    publicSpaces(read)
      .filter(isInImageNames)
      .map((space) => openSpace(read.registry, space)),
);

/** Of a Harbor that the workspace integrated: everything, or what its login may pull where it shares a host. */
function openToItsWorkspace(
  snapshot: Snapshot,
  registry: Registry,
  workspace: string | null,
  grants: ReadonlySet<string>,
): readonly OpenSpace[] {
  const catalogue = snapshot.catalogues.get(registry.name);
  if (catalogue === undefined) return [];
  const all = everySpace({ registry, catalogue });
  if (!needsGrants(snapshot, registry)) return all;
  const judgedBefore = new Set(
    platformRegistriesOn(snapshot, registry.hosts)
      .flatMap((other) => openByVisibility(snapshot, other, workspace))
      .map(({ space }) => space.name),
  );
  return all.filter(
    ({ space }) => grants.has(spaceKey(registry.name, space.name)) && !judgedBefore.has(space.name),
  );
}

const everySpace = derived(
  ({ registry, catalogue }: ReadRegistry) => [registry, catalogue.spaces],
  ({ registry, catalogue }) =>
    byName([...catalogue.spaces.values()])
      .filter(isInImageNames)
      .map((space) => openSpace(registry, space)),
);

function platformRegistriesOn({ policy }: Snapshot, hosts: readonly string[]): readonly Registry[] {
  const claimants = new Set(hosts.flatMap((host) => policy.registriesByHost.get(host) ?? []));
  return [...claimants].filter(({ workspace }) => workspace === null);
}

function openSpace(registry: Registry, space: Space): OpenSpace {
  const visibility = visibilityOn(registry, space);
  const ofPlatform = visibility === "public" ? "public-space" : "bound-space";
  return {
    registry,
    space,
    visibility,
    reason: registry.workspace === null ? ofPlatform : "workspace-registry",
  };
}

function bySpace(open: readonly OpenSpace[]): readonly OpenSpace[] {
  return [...open].sort((a, b) => (a.space.name < b.space.name ? -1 : 1));
}

/** Harbor's rule for names is narrower than that of images, so this leaves out only what no Harbor can have. */
function isInImageNames({ name }: Space): boolean {
  const parsed = parseImageReference(`registry.test/${name}/x`);
  return parsed.kind === "reference" && parsed.reference.repository === `${name}/x` && !name.includes("/");
}

/**
 * The spellings with which a name of an image can begin: one without dot or port would be read as a path on Docker
 * Hub. Never empty.
 */
export function hostsInImageNames({ spellings }: Pick<Registry, "spellings">): readonly string[] {
  const usable = spellings.filter((host) => {
    const parsed = parseImageReference(`${host}/space/x`);
    return parsed.kind === "reference" && parsed.reference.host === host;
  });
  return usable.length > 0 ? usable : spellings.map((host) => `${host}:443`);
}
