// What the people's API answers about namespaces: each route with its question, its answer and who may ask.

import { z } from "zod";
import type { Snapshot } from "../domain/snapshot.ts";
import type { PeopleAccess } from "./people-access.ts";
import { route, type Asked, type Route } from "./people-api.ts";
import * as shapes from "./people-shapes.ts";
import { judgeImage, judgeManifests, type VerdictNeeds } from "./people-verdicts.ts";
import { asking } from "./problem-details.ts";
import {
  listRepositories,
  listSpaces,
  listTags,
  namespaceView,
  readTag,
  searchAll,
  type PageWanted,
  type SelectorNeeds,
} from "./selector.ts";

export interface PeopleRoutesNeeds extends SelectorNeeds, VerdictNeeds {
  readonly lookUps: VerdictNeeds["lookUps"];
  readonly access: PeopleAccess;
  readonly version: string;
}

/** A screenful, and what a screen scrolls to at once. */
const defaultLimit = 50;
const maxLimit = 100;
/** Names are at most 255 characters long; a cursor is a name with a registry's. */
const text = (max: number) => z.string().max(max);
export const search = text(255).default("").describe("part of the name");
export const paging = {
  after: text(600).optional().describe("`next` of the part before"),
  limit: z.coerce.number().int().min(1).max(maxLimit).default(defaultLimit),
};
const repositoryName = z
  .string()
  .max(255)
  .regex(/^[a-z0-9]+(?:[._/-]+[a-z0-9]+)*$/, "expected a repository without host, such as team-a/api");
const tagName = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/, "expected a tag");
/** Longer is no reference: 255 characters of path, as many of host, a tag and a digest. */
const image = z.string().min(1).max(1_000);

export function namespaceRoutes(needs: PeopleRoutesNeeds): readonly Route[] {
  const { access } = needs;
  return [
    route(
      {
        method: "get",
        path: "/me",
        summary: "who asks",
        asks: "caller",
        query: z.strictObject({}),
        answer: shapes.identity,
      },
      async ({ caller, signal }) => ({
        user: caller.user?.username ?? null,
        login: caller.login,
        platform: await asking(access.seesPlatform(caller, signal)),
        version: needs.version,
      }),
    ),
    route(
      {
        method: "get",
        path: "/namespaces",
        summary: "namespaces in which the caller may create Pods",
        asks: "caller",
        query: z.strictObject({ search, ...paging }),
        answer: shapes.namespaceList,
      },
      (asked) => listNamespaces(needs, asked),
    ),
    route(
      {
        method: "get",
        path: "/namespaces/{namespace}",
        summary: "a namespace, its workspace and its registries",
        asks: "namespace",
        query: z.strictObject({}),
        answer: shapes.namespaceView,
      },
      (asked) => namespaceView(needs, asked),
    ),
    route(
      {
        method: "get",
        path: "/namespaces/{namespace}/spaces",
        summary: "spaces that the namespace may use",
        asks: "namespace",
        query: z.strictObject({
          visibility: z.enum(["public", "private"]).optional(),
          registry: text(253).optional(),
          search,
          ...paging,
        }),
        answer: shapes.openSpaceList,
      },
      (asked) => listSpaces(needs, asked),
    ),
    route(
      {
        method: "get",
        path: "/namespaces/{namespace}/repositories",
        summary: "repositories of a space, or of a Docker Registry",
        asks: "namespace",
        query: z.strictObject({ registry: text(253), space: text(255).optional(), search, ...paging }),
        answer: shapes.repositoryList,
      },
      (asked) => listRepositories(needs, asked),
    ),
    route(
      {
        method: "get",
        path: "/namespaces/{namespace}/tags",
        summary: "tags of a repository, the newest first where the registry says when they were pushed",
        asks: "namespace",
        query: z.strictObject({ registry: text(253), repository: repositoryName, search, ...paging }),
        answer: shapes.tagList,
      },
      (asked) => listTags(needs, asked),
    ),
    route(
      {
        method: "get",
        path: "/namespaces/{namespace}/tag",
        summary: "one tag with its digest",
        asks: "namespace",
        query: z.strictObject({ registry: text(253), repository: repositoryName, tag: tagName }),
        answer: shapes.tagDetail,
      },
      (asked) => readTag(needs, asked),
    ),
    route(
      {
        method: "get",
        path: "/namespaces/{namespace}/search",
        summary: "spaces and repositories by part of a name, across all that the namespace may use",
        asks: "namespace",
        query: z.strictObject({ q: z.string().min(2, "expected at least 2 characters").max(255) }),
        answer: shapes.findings,
      },
      (asked) => searchAll(needs, asked),
    ),
    route(
      {
        method: "get",
        path: "/namespaces/{namespace}/verdict",
        summary: "the verdict for one image",
        asks: "namespace",
        query: z.strictObject({ image }),
        answer: shapes.reports,
      },
      async (asked) => [(await judgeImage(needs, asked)).report],
    ),
    route(
      {
        method: "get",
        path: "/namespaces/{namespace}/explanation",
        summary: "the verdict for one image with all that led to it",
        asks: "namespace",
        query: z.strictObject({ image }),
        answer: shapes.explanation,
      },
      (asked) => judgeImage(needs, asked),
    ),
    route(
      {
        method: "post",
        path: "/namespaces/{namespace}/verdicts",
        summary: "the verdicts for manifests as they would be deployed to the namespace",
        asks: "namespace",
        query: z.strictObject({}),
        takesManifests: true,
        answer: shapes.reports,
      },
      (asked) => judgeManifests(needs, asked),
    ),
  ];
}

/** Rights asked for by one request, some at a time: who may use few of many thousand namespaces narrows the search. */
const maxRightsAsked = 1_000;
const rightsAtATime = 20;

async function listNamespaces(
  { snapshot, access }: PeopleRoutesNeeds,
  { caller, query, signal }: Asked<PageWanted>,
): Promise<shapes.NamespaceList> {
  const { namespaces } = snapshot();
  const { after = "", limit } = query;
  const wanted = query.search.toLowerCase();
  const names = sortedNames(namespaces).filter((name) => name > after && name.includes(wanted));
  const mayUseAll = await asking(access.mayUse(caller, "*", signal));
  const found: string[] = [];
  let seen = 0;
  while (seen < names.length && found.length <= limit && seen < maxRightsAsked) {
    const some = names.slice(seen, seen + rightsAtATime);
    const rights = mayUseAll
      ? some.map(() => true)
      : await asking(Promise.all(some.map((name) => access.mayUse(caller, name, signal))));
    found.push(...some.filter((_, index) => rights[index]));
    seen += some.length;
  }
  const items = found.slice(0, limit);
  const goesOn = found.length > limit || seen < names.length;
  const last = found.length > limit ? items.at(-1) : names[seen - 1];
  return {
    items: items.map((name) => ({ name, workspace: namespaces.get(name) ?? null })),
    next: goesOn ? (last ?? null) : null,
  };
}

const sortedNamesOf = new WeakMap<object, readonly string[]>();

/** Sorted once for each set of namespaces, which is replaced and never edited. */
function sortedNames(namespaces: Snapshot["namespaces"]): readonly string[] {
  const known = sortedNamesOf.get(namespaces);
  if (known !== undefined) return known;
  const names = [...namespaces.keys()].sort();
  sortedNamesOf.set(namespaces, names);
  return names;
}
