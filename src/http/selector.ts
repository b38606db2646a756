// What a namespace may run, as people choose it: registries, spaces, repositories, tags. It says the same as admission,
// since it asks the same functions of the same snapshot; what registries hold is read when somebody looks.

import { pageOf } from "../domain/paging.ts";
import { spaceKey, type Registry } from "../domain/policy.ts";
import {
  hostsInImageNames,
  needsGrants,
  openRegistries,
  openSpaces,
  type OpenSpace,
} from "../domain/selection.ts";
import { isExempt, type Snapshot } from "../domain/snapshot.ts";
import { gather } from "../gather.ts";
import type { Log } from "../log.ts";
import type { LookUps } from "./look-ups.ts";
import type * as shapes from "./people-shapes.ts";
import { asking, notFound, ProblemError } from "./problem-details.ts";
import type { RepositoryFact, TagFact } from "./registry-contents.ts";
import { TooBusy, type Shared, type SharedContents } from "./shared-reads.ts";

export interface SelectorNeeds {
  readonly snapshot: () => Snapshot;
  readonly lookUps: Pick<LookUps, "namespace">;
  readonly contents: SharedContents;
  readonly log: Log;
}

/** One question about a namespace. */
export interface InNamespace<Query = unknown> {
  readonly namespace: string;
  readonly query: Query;
  readonly signal: AbortSignal;
}

export interface PageWanted {
  readonly search: string;
  readonly after?: string | undefined;
  readonly limit: number;
}

/** What is found at once: a screenful of each kind. */
const maxFound = 50;

/** A namespace that was made a moment ago is asked for, as admission does. */
async function workspaceOf(
  { snapshot, lookUps }: SelectorNeeds,
  { namespace, signal }: Pick<InNamespace, "namespace" | "signal">,
): Promise<string | null> {
  const known = snapshot().namespaces.get(namespace);
  if (known !== undefined) return known;
  const answer = await asking(lookUps.namespace(namespace, signal));
  if (answer.kind === "unavailable")
    throw new ProblemError(503, "The namespace is not known yet; try again in a moment.");
  if (!answer.exists) throw notFound("namespace");
  return answer.workspace;
}

export async function namespaceView(
  needs: SelectorNeeds,
  asked: Pick<InNamespace, "namespace" | "signal">,
): Promise<shapes.NamespaceView> {
  const { namespace } = asked;
  const workspace = await workspaceOf(needs, asked);
  const snapshot = needs.snapshot();
  return {
    name: namespace,
    workspace,
    exempt: isExempt(snapshot, namespace),
    mode: snapshot.policy.mode,
    generation: snapshot.generation,
    registries: openRegistries(snapshot, workspace).map(({ registry, access }) => ({
      name: registry.name,
      type: registry.type,
      access,
      host: hostOf(registry),
      hosts: [...hostsInImageNames(registry)],
      catalogue: catalogueStateOf(snapshot, registry),
    })),
  };
}

/** How people write it. */
function hostOf(registry: Registry): string {
  return hostsInImageNames(registry)[0] ?? "";
}

export function catalogueStateOf(
  { catalogues }: Snapshot,
  { name, type }: Registry,
): { state: "current" | "stale" | "missing"; readAt: string | null } | null {
  if (type !== "harbor") return null;
  const catalogue = catalogues.get(name);
  if (catalogue === undefined) return { state: "missing", readAt: null };
  return { state: catalogue.stale ? "stale" : "current", readAt: timeOf(catalogue.readAt) };
}

export function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

/** The spaces of {@link openSpaces}, after the registries that share a host were asked for what they grant. */
async function spacesFor(
  needs: SelectorNeeds,
  asked: Pick<InNamespace, "namespace" | "signal">,
): Promise<readonly OpenSpace[]> {
  const workspace = await workspaceOf(needs, asked);
  const snapshot = needs.snapshot();
  const sharing = openRegistries(snapshot, workspace).filter(({ registry }) =>
    needsGrants(snapshot, registry),
  );
  const grants = new Set<string>();
  await gather(sharing, registriesAtATime, async ({ registry }) => {
    const names = [...(snapshot.catalogues.get(registry.name)?.spaces.keys() ?? [])];
    try {
      const { value } = await needs.contents.granted(registry, names, asked.signal);
      for (const name of value) grants.add(spaceKey(registry.name, name));
    } catch (err) {
      // Nothing is offered that it might not be able to pull.
      needs.log.warn({ err, registry: registry.name }, "what a login may pull could not be asked");
    }
  });
  return openSpaces(snapshot, workspace, grants);
}

const registriesAtATime = 4;

export async function listSpaces(
  needs: SelectorNeeds,
  asked: InNamespace<
    {
      visibility?: "public" | "private" | undefined;
      registry?: string | undefined;
    } & PageWanted
  >,
): Promise<shapes.OpenSpaceList> {
  const { visibility, registry, ...page } = asked.query;
  const spaces = (await spacesFor(needs, asked)).filter(
    (open) =>
      (registry === undefined || open.registry.name === registry) &&
      (visibility === undefined || tabOf(open) === visibility),
  );
  const { items, next, total } = pageOf(spaces, page, {
    key: keyOf,
    name: ({ space }) => space.name,
  });
  return { items: items.map(presentSpace), next, total };
}

/** Everything of a workspace's own registry is for that workspace alone. */
function tabOf({ reason, visibility }: OpenSpace): "public" | "private" {
  return reason === "workspace-registry" ? "private" : visibility;
}

function keyOf({ registry, space }: OpenSpace): string {
  return spaceKey(registry.name, space.name);
}

function presentSpace({ registry, space, visibility, reason }: OpenSpace): shapes.OpenSpace {
  return {
    registry: registry.name,
    name: space.name,
    visibility,
    reason,
    proxyCache: space.proxyCache,
    reference: `${hostOf(registry)}/${space.name}`,
  };
}

interface Opened {
  readonly registry: Registry;
  /** Null for a registry without spaces. */
  readonly space: OpenSpace | null;
}

/** The registry, where the namespace may use it, and the space in it. Nothing is asked of a registry before. */
async function opened(
  needs: SelectorNeeds,
  asked: Pick<InNamespace, "namespace" | "signal">,
  name: string,
  space: string | undefined,
): Promise<Opened> {
  const workspace = await workspaceOf(needs, asked);
  const found = openRegistries(needs.snapshot(), workspace).find(({ registry }) => registry.name === name);
  if (found === undefined) throw notFound("registry");
  const { registry } = found;
  if (registry.type === "docker-registry") return { registry, space: null };
  if (space === undefined) throw new ProblemError(400, "space: expected one, since this registry has spaces");
  const spaces = await spacesFor(needs, asked);
  const open = spaces.find((each) => each.registry.name === name && each.space.name === space);
  if (open === undefined) throw notFound("space");
  return { registry, space: open };
}

export async function listRepositories(
  needs: SelectorNeeds,
  asked: InNamespace<
    {
      registry: string;
      space?: string | undefined;
    } & PageWanted
  >,
): Promise<shapes.RepositoryList> {
  const { query, signal } = asked;
  const { registry, space } = await opened(needs, asked, query.registry, query.space);
  const wanted = { search: query.search, after: query.after, limit: query.limit };
  const { value, ...read } = await reading(
    needs.contents.repositories(registry, space?.space.name ?? null, wanted, signal),
  );
  if (value === "off") return { items: [], next: null, listing: "off", ...presentReading(read) };
  return {
    items: value.items.map((fact) => presentRepository(registry, space, fact)),
    next: value.next,
    listing: "listed",
    ...presentReading(read),
  };
}

function presentRepository(
  registry: Registry,
  space: OpenSpace | null,
  { name, artifacts, updatedAt }: RepositoryFact,
): shapes.RepositoryEntry {
  return {
    registry: registry.name,
    space: space?.space.name ?? null,
    visibility: space && tabOf(space),
    name,
    reference: `${hostOf(registry)}/${name}`,
    artifacts,
    updatedAt: updatedAt === null ? null : timeOf(updatedAt),
  };
}

function presentReading({ readAt, stale }: Omit<Shared<unknown>, "value">): {
  readAt: string;
  stale: boolean;
} {
  return { readAt: timeOf(readAt), stale };
}

export async function listTags(
  needs: SelectorNeeds,
  asked: InNamespace<
    {
      registry: string;
      repository: string;
    } & PageWanted
  >,
): Promise<shapes.TagList> {
  const { registry: name, repository, search, after, limit } = asked.query;
  const { registry } = await opened(needs, asked, name, spaceOfRepository(repository));
  const wanted = { search, after, limit };
  const { value, ...read } = await reading(needs.contents.tags(registry, repository, wanted, asked.signal));
  if (value === null) throw notFound("repository");
  return {
    items: value.items.map((fact) => presentTag(registry, repository, fact)),
    next: value.next,
    ...presentReading(read),
  };
}

/** Undefined where there is no second element, and so no space. */
function spaceOfRepository(repository: string): string | undefined {
  const slash = repository.indexOf("/");
  return slash < 0 ? undefined : repository.slice(0, slash);
}

export async function readTag(
  needs: SelectorNeeds,
  asked: InNamespace<{ registry: string; repository: string; tag: string }>,
): Promise<shapes.TagDetail> {
  const { registry: name, repository, tag } = asked.query;
  const { registry } = await opened(needs, asked, name, spaceOfRepository(repository));
  const { value, ...read } = await reading(needs.contents.tag(registry, repository, tag, asked.signal));
  if (value === null) throw notFound("tag");
  return { ...presentTag(registry, repository, value), ...presentReading(read) };
}

function presentTag(registry: Registry, repository: string, fact: TagFact): shapes.TagEntry {
  const base = `${hostOf(registry)}/${repository}`;
  return {
    name: fact.name,
    reference: `${base}:${fact.name}`,
    digest: fact.digest,
    referenceByDigest: fact.digest === null ? null : `${base}@${fact.digest}`,
    sizeBytes: fact.sizeBytes,
    platforms: [...fact.platforms],
    pushedAt: fact.pushedAt === null ? null : timeOf(fact.pushedAt),
  };
}

/** What a registry was asked for. Its own words may tell of what is not for the caller, and go to the log only. */
async function reading<T>(answer: Promise<Shared<T>>): Promise<Shared<T>> {
  try {
    return await answer;
  } catch (err) {
    if (err instanceof DOMException) throw err;
    if (err instanceof TooBusy) {
      const detail = "Too many people ask this registry just now; try again in a few seconds.";
      throw new ProblemError(503, detail, { cause: err, headers: { "retry-after": "3" } });
    }
    const detail = "The registry could not be asked just now; what may be deployed from it is not affected.";
    throw new ProblemError(502, detail, { cause: err });
  }
}

export async function searchAll(
  needs: SelectorNeeds,
  asked: InNamespace<{ q: string }>,
): Promise<shapes.Findings> {
  const { q } = asked.query;
  const wanted = { search: q, limit: maxFound };
  const spaces = await spacesFor(needs, asked);
  const found = pageOf(spaces, wanted, { key: keyOf, name: ({ space }) => space.name });
  const workspace = await workspaceOf(needs, asked);
  const registries = openRegistries(needs.snapshot(), workspace);
  const repositories: shapes.RepositoryEntry[] = [];
  const unread: string[] = [];
  let more = found.next !== null;
  await gather(registries, registriesAtATime, async ({ registry }) => {
    const own = new Map(
      spaces.filter((open) => open.registry.name === registry.name).map((open) => [open.space.name, open]),
    );
    if (registry.type === "harbor" && own.size === 0) return;
    const searched = [...own.values()].map(({ space }) => space);
    try {
      const { value } = await needs.contents.search(registry, searched, wanted, asked.signal);
      // A registry that lists its repositories to nobody has nothing to search.
      if (value === "off") return;
      for (const fact of value.items) {
        const space = registry.type === "harbor" ? own.get(spaceOfRepository(fact.name) ?? "") : null;
        // What is in no space that is open is never shown, whatever a registry answers.
        if (space !== undefined) repositories.push(presentRepository(registry, space, fact));
      }
      more ||= value.next !== null;
    } catch (err) {
      needs.log.warn({ err, registry: registry.name }, "a registry could not be searched");
      unread.push(registry.name);
    }
  });
  repositories.sort((a, b) => (a.reference < b.reference ? -1 : 1));
  return {
    spaces: found.items.map(presentSpace),
    repositories: repositories.slice(0, maxFound),
    more: more || repositories.length > maxFound,
    unread: unread.sort(),
  };
}
