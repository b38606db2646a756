// What the people's API shows to administrators: registries with their health, spaces with their bindings, workspaces
// with what they reach, and what is wrong with the policy. Only who may read all of that anyway gets here.

import { z } from "zod";
import { pageOf } from "../domain/paging.ts";
import {
  platformOverview,
  platformProblems,
  platformSpaces,
  platformWorkspaces,
} from "../domain/platform-view.ts";
import type { Registry } from "../domain/policy.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { visibilityOn } from "../domain/visibility.ts";
import { gather } from "../gather.ts";
import { route, type Route } from "./people-api.ts";
import { paging, search } from "./people-routes.ts";
import * as shapes from "./people-shapes.ts";
import { catalogueStateOf, timeOf } from "./selector.ts";

export interface PlatformRoutesNeeds {
  readonly snapshot: () => Snapshot;
  /** How the registry is, as of at most a minute ago; undefined where it cannot be told. */
  readonly registryHealth: (registry: Registry) => Promise<RegistryHealth | undefined>;
}

export interface RegistryHealth {
  readonly up: boolean;
  readonly version: string | null;
  readonly problems: readonly string[];
  readonly advice: readonly string[];
  readonly checkedAt: number;
}

const registriesAtATime = 4;

export function platformRoutes({ snapshot, registryHealth }: PlatformRoutesNeeds): readonly Route[] {
  const noQuery = z.strictObject({});
  return [
    route(
      {
        method: "get",
        path: "/platform",
        summary: "the policy in force, in numbers",
        asks: "platform",
        query: noQuery,
        answer: shapes.platformOverview,
      },
      () => platformOverview(snapshot()),
    ),
    route(
      {
        method: "get",
        path: "/platform/registries",
        summary: "registries with their health and the age of their catalogues",
        asks: "platform",
        query: noQuery,
        answer: shapes.platformRegistryList,
      },
      async () => {
        const registries = [...snapshot().policy.registries.values()];
        const checked = await gather(registries, registriesAtATime, (registry) => registryHealth(registry));
        const items = registries.map((registry, index) => {
          const result = checked[index];
          const health = result?.status === "fulfilled" ? result.value : undefined;
          return presentRegistry(snapshot(), registry, health);
        });
        return { items };
      },
    ),
    route(
      {
        method: "get",
        path: "/platform/spaces",
        summary: "spaces of all Harbors with visibility and bindings",
        asks: "platform",
        query: z.strictObject({
          registry: z.string().max(253).optional(),
          name: z.string().max(255).optional().describe("the whole name"),
          search,
          ...paging,
        }),
        answer: shapes.platformSpaceList,
      },
      ({ query: { registry, name, ...page } }) => {
        const all = platformSpaces(snapshot());
        const some = all.filter(
          (space) =>
            (registry === undefined || space.registry === registry) &&
            (name === undefined || space.name === name),
        );
        return pageOf(some, page, {
          key: (space) => `${space.registry}/${space.name}`,
          name: (space) => space.name,
        });
      },
    ),
    route(
      {
        method: "get",
        path: "/platform/workspaces",
        summary: "workspaces with what they reach",
        asks: "platform",
        query: z.strictObject({ search, ...paging }),
        answer: shapes.platformWorkspaceList,
      },
      ({ query }) => {
        const all = platformWorkspaces(snapshot());
        return pageOf(all, query, { key: (each) => each.workspace, name: (each) => each.workspace });
      },
    ),
    route(
      {
        method: "get",
        path: "/platform/problems",
        summary: "what is wrong with the policy, and where",
        asks: "platform",
        query: noQuery,
        answer: shapes.platformProblemList,
      },
      () => ({ items: platformProblems(snapshot()) }),
    ),
  ];
}

function presentRegistry(
  snapshot: Snapshot,
  registry: Registry,
  health: RegistryHealth | undefined,
): shapes.PlatformRegistry {
  const { name, type, url, spellings, workspace } = registry;
  return {
    ...{ name, type, url, workspace },
    hosts: [...spellings],
    state: health === undefined ? "unknown" : health.up ? "up" : "down",
    version: health?.version ?? null,
    checkedAt: health === undefined ? null : timeOf(health.checkedAt),
    problems: [...(health?.problems ?? [])],
    advice: [...(health?.advice ?? [])],
    catalogue: catalogueStateOf(snapshot, registry),
    spaces: spaceCounts(snapshot, registry),
  };
}

function spaceCounts(
  { catalogues }: Snapshot,
  registry: Registry,
): { public: number; private: number } | null {
  const catalogue = catalogues.get(registry.name);
  if (catalogue === undefined) return null;
  const counts = { public: 0, private: 0 };
  for (const space of catalogue.spaces.values()) counts[visibilityOn(registry, space)] += 1;
  return counts;
}
