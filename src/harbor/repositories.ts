// What the spaces of a Harbor hold, for people who choose an image: repositories, tags with digest, size and platforms.
// What is no name of a repository or tag is left out, since nobody could deploy it; what else is odd becomes null. It
// remembers nothing, and does not judge who may see what.
//
// By Harbor's source, 2.4 and on: src/lib/q/builder.go (the grammar of `q`), src/lib/orm/query.go (a fuzzy value finds
// any part of a name, whatever the case; an or-list one of its values), src/server/v2.0/handler/repository.go (the
// listing across projects takes such a list of project ids from everybody, and beside it shows a robot or a user only
// what is theirs), src/pkg/artifact/dao/dao.go (what `tags` finds; there the case counts).

import { isDigestOfImage, isRepositoryText, isTagText } from "../domain/image-reference.ts";
import { isObject, type JsonObject } from "../domain/json.ts";
import { isSpaceName } from "../domain/space-name.ts";
import { gather } from "../gather.ts";
import { describeAnswer, firstErrorOf } from "../http-exchange.ts";
import type { HarborAnswer } from "./harbor-answer.ts";
import type { HarborClient } from "./harbor-client.ts";

export interface FoundRepository {
  /** With the project in front: `team-a/api`. */
  readonly name: string;
  readonly artifacts: number | null;
  /** Milliseconds since the epoch. */
  readonly updatedAt: number | null;
}

export interface FoundTag {
  readonly name: string;
  readonly digest: string | null;
  readonly sizeBytes: number | null;
  /** Such as `linux/arm64/v8`; empty where Harbor does not say. */
  readonly platforms: readonly string[];
  /** When the tag was put where it is. */
  readonly pushedAt: number | null;
}

export interface WantedRows {
  /** Part of the name; empty for all. */
  readonly search: string;
  /** What `next` was before; undefined for the first part. */
  readonly after: string | undefined;
  readonly limit: number;
}

export interface Rows<T> {
  readonly items: readonly T[];
  /** Null at the end. */
  readonly next: string | null;
}

export interface SearchedProject {
  readonly name: string;
  readonly id: number;
}

/** Harbor's ceiling: above it the answer is 422. */
const maxPageSize = 100;
/** 10,000 repositories or artifacts in the smallest pages, and far more than anybody turns in larger ones. */
const maxPage = 10_000;
/**
 * Pages looked through for the first one that has anything to show: Helm charts are artifacts too, and a page may hold
 * nothing else. Past that whoever asked goes on if they like.
 */
const maxPagesAtOnce = 5;

const nothing = { items: [], next: null } as const;

/** Repositories of one project by name. */
export async function listRepositories(
  client: HarborClient,
  project: string,
  { search, after, limit }: WantedRows,
  signal: AbortSignal,
): Promise<Rows<FoundRepository>> {
  const page = after === undefined ? { number: 1 } : readCursor(after);
  if (page === undefined || !isSpaceName(project) || !mayBeInRepository(search)) return nothing;
  const size = pageSizeOf(limit);
  const answer = await client.send({
    what: `list repositories of ${project}, page ${page.number}`,
    path: `/api/v2.0/projects/${encodeURIComponent(project)}/repositories?${queryOf({
      // Within a project no two have one name, so that pages do not overlap.
      ...(search === "" ? {} : { q: `name=~${search.toLowerCase()}` }),
      ...{ sort: "name", page: page.number, page_size: size },
    })}`,
    headers: byName,
    signal,
  });
  const { rows, total } = readList(answer, "repository:list");
  const items = rows.flatMap(readRepository).filter(({ name }) => projectOf(name) === project);
  return { items, next: page.number * size < total ? String(page.number + 1) : null };
}

/** Else a name of digits only is taken as an id, by the routes that take either. */
const byName = { "x-is-resource-name": "true" };

/** With ids of ten digits they make an address of 5.5 kB, and proxies in front take 8. */
const projectsAtATime = 500;
/**
 * 3,000 projects, twice as many as the large Harbors that are known. A robot's request costs Harbor a listing of all
 * projects each; two at a time leave most of it to others.
 */
const maxSearches = 6;
const searchesAtATime = 2;

/**
 * Repositories of these projects with a text in their names, which have the project in front. How often Harbor is asked,
 * and for how much, depends on nothing but the projects: what else there is must not show, not even by the time it
 * takes. `next` is "more" when not all is there.
 */
export async function searchRepositories(
  client: HarborClient,
  projects: readonly SearchedProject[],
  { search, limit }: Omit<WantedRows, "after">,
  signal: AbortSignal,
): Promise<Rows<FoundRepository>> {
  const chunks = chunksOf(projects.filter(isProject), projectsAtATime);
  if (search === "" || !mayBeInRepository(search) || chunks.length === 0) return nothing;
  // A login that is no good would find what is public, with nothing to show that there may be more.
  await client.proveIdentity(signal);
  const size = pageSizeOf(limit);
  const results = await gather(chunks.slice(0, maxSearches), searchesAtATime, (chunk) =>
    searchIn(client, chunk, search, size, signal),
  );
  const items: FoundRepository[] = [];
  let hasMore = chunks.length > maxSearches;
  for (const result of results) {
    if (result.status === "rejected") throw result.reason;
    items.push(...result.value.items);
    hasMore ||= result.value.hasMore;
  }
  items.sort((a, b) => (a.name < b.name ? -1 : 1));
  return { items: items.slice(0, size), next: hasMore || items.length > size ? "more" : null };
}

async function searchIn(
  client: HarborClient,
  projects: readonly SearchedProject[],
  search: string,
  size: number,
  signal: AbortSignal,
): Promise<{ readonly items: readonly FoundRepository[]; readonly hasMore: boolean }> {
  const ids = projects.map(({ id }) => id).join(" ");
  const answer = await client.send({
    what: `search the repositories of ${projects.length} projects`,
    path: `/api/v2.0/repositories?${queryOf({
      q: `name=~${search.toLowerCase()},project_id={${ids}}`,
      ...{ sort: "name", page: 1, page_size: size },
    })}`,
    signal,
  });
  const { rows, total } = readList(answer, "repository:list");
  const names = new Set(projects.map(({ name }) => name));
  // Whatever came: what is in no project that was asked for is nobody's business here.
  const items = rows.flatMap(readRepository).filter(({ name }) => names.has(projectOf(name)));
  return { items, hasMore: total > size };
}

/** Tags of a repository, what was pushed last first. Null where Harbor has no such repository. */
export async function listTags(
  client: HarborClient,
  repository: string,
  { search, after, limit }: WantedRows,
  signal: AbortSignal,
): Promise<Rows<FoundTag> | null> {
  if (!isRepository(repository)) return null;
  const start = after === undefined ? { number: 1, shown: 0 } : readCursor(after);
  if (start === undefined || !mayBeInTag(search)) return nothing;
  const size = pageSizeOf(limit);
  let { number, shown } = start;
  for (let pages = 1; ; pages += 1) {
    const { tags, total } = await readTagPage(client, repository, { search, number, size }, signal);
    // Harbor knows no difference between a repository that is not there and one without tags.
    if (total === 0) return (await isThere(client, repository, signal)) ? nothing : null;
    const items = tags.slice(shown, shown + size);
    if (shown + size < tags.length) return { items, next: `${number}.${shown + size}` };
    if (number * size >= total) return { items, next: null };
    number += 1;
    shown = 0;
    if (items.length > 0 || pages === maxPagesAtOnce) return { items, next: String(number) };
  }
}

/**
 * The tags of a page of artifacts, newest first. Harbor can sort artifacts only: a tag that was moved to an older one
 * comes with that one's page.
 */
async function readTagPage(
  client: HarborClient,
  repository: string,
  { search, number, size }: { readonly search: string; readonly number: number; readonly size: number },
  signal: AbortSignal,
): Promise<{ readonly tags: readonly FoundTag[]; readonly total: number }> {
  const answer = await client.send({
    what: `list tags of ${repository}, page ${number}`,
    path: `${artifactsOf(repository)}?${queryOf({
      q: search === "" ? "tags=*" : `tags=~${search}`,
      ...{ sort: "-push_time,-id", page: number, page_size: size, with_tag: "true" },
    })}`,
    headers: byName,
    signal,
  });
  const { rows, total } = readList(answer, "artifact:list");
  // An artifact comes with all its tags, however many, whichever of them has the text.
  const tags = rows.flatMap(tagsOf).filter(({ name }) => name.includes(search));
  return { tags: tags.sort(newestFirst), total };
}

function newestFirst(a: FoundTag, b: FoundTag): number {
  return (b.pushedAt ?? 0) - (a.pushedAt ?? 0) || (a.name < b.name ? -1 : 1);
}

/** By the listing, which takes no further right: to read one repository by itself is another one. */
async function isThere(client: HarborClient, repository: string, signal: AbortSignal): Promise<boolean> {
  const project = projectOf(repository);
  const answer = await client.send({
    what: `look for repository ${repository}`,
    path: `/api/v2.0/projects/${encodeURIComponent(project)}/repositories?${queryOf({
      q: `name=${repository}`,
      ...{ page: 1, page_size: 1 },
    })}`,
    headers: byName,
    signal,
  });
  return !isNotThere(answer) && readList(answer, "repository:list").total > 0;
}

/** One tag with its digest; null where Harbor has none of that name, or no such repository. */
export async function readTag(
  client: HarborClient,
  repository: string,
  tag: string,
  signal: AbortSignal,
): Promise<FoundTag | null> {
  if (!isRepository(repository) || !isTagText(tag)) return null;
  const answer = await client.send({
    what: `look up tag ${tag} of ${repository}`,
    path: `${artifactsOf(repository)}/${encodeURIComponent(tag)}?with_tag=true`,
    headers: byName,
    signal,
  });
  if (isNotThere(answer)) return null;
  if (answer.status !== 200) throw refusal(answer, "artifact:read");
  if (!isObject(answer.body)) throw answer.failure("malformed", "expected an object");
  return tagsOf(answer.body).find(({ name }) => name === tag) ?? null;
}

/** The part behind the project is encoded twice: with one encoding a proxy in front turns it into another path. */
function artifactsOf(repository: string): string {
  const project = projectOf(repository);
  const rest = encodeURIComponent(encodeURIComponent(repository.slice(project.length + 1)));
  return `/api/v2.0/projects/${encodeURIComponent(project)}/repositories/${rest}/artifacts`;
}

function projectOf(repository: string): string {
  return repository.slice(0, repository.indexOf("/"));
}

/** With a project in front. */
function isRepository(text: string): boolean {
  return text.includes("/") && isRepositoryText(text) && isSpaceName(projectOf(text));
}

function isProject({ name, id }: SearchedProject): boolean {
  return isSpaceName(name) && Number.isSafeInteger(id) && id > 0;
}

/** Harbor takes what is no part of a name for its own grammar's: `,` `=` `~` `{` `(` `[`, and `%` twice. */
function mayBeInRepository(text: string): boolean {
  return text.length <= 255 && /^[A-Za-z0-9._/-]*$/.test(text);
}

/** The same for tags. */
function mayBeInTag(text: string): boolean {
  return text.length <= 128 && /^[A-Za-z0-9._-]*$/.test(text);
}

function pageSizeOf(limit: number): number {
  return Math.min(Math.max(limit, 1), maxPageSize);
}

interface Cursor {
  /** Of the page that comes next. */
  readonly number: number;
  /** How many of its tags were shown before: one page of artifacts may have more than a list of tags. */
  readonly shown: number;
}

/** `7` or `7.300`. Undefined for what nobody was given. */
function readCursor(after: string): Cursor | undefined {
  const [, number, shown = "0"] = /^([1-9][0-9]{0,4})(?:\.([1-9][0-9]{0,6}))?$/.exec(after) ?? [];
  if (number === undefined || Number(number) > maxPage) return undefined;
  return { number: Number(number), shown: Number(shown) };
}

function queryOf(parameters: Readonly<Record<string, string | number>>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) query.set(name, String(value));
  return query.toString();
}

function chunksOf<T>(items: readonly T[], size: number): readonly (readonly T[])[] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, index) => items.slice(index * size, (index + 1) * size));
}

/** `right` is what a robot needs for it. */
function readList(
  answer: HarborAnswer,
  right: string,
): { readonly rows: readonly unknown[]; readonly total: number } {
  if (answer.status !== 200) throw refusal(answer, right);
  const total = answer.headers["x-total-count"];
  if (typeof total !== "string" || !/^\d{1,9}$/.test(total)) {
    throw answer.failure("malformed", "it does not say how many there are (X-Total-Count)");
  }
  // In the place of an empty list some of its routes write null.
  const rows: unknown = answer.body ?? [];
  if (!Array.isArray(rows)) throw answer.failure("malformed", "expected a list");
  return { rows, total: Number(total) };
}

function refusal(answer: HarborAnswer, right: string): Error {
  const needs = answer.status === 403 ? `, the login needs ${right} on the project` : "";
  return answer.failure("client-error", describeAnswer(answer) + needs);
}

/** Only in Harbor's own words: something in front may have lost its way to Harbor. */
function isNotThere({ status, body }: HarborAnswer): boolean {
  return status === 404 && firstErrorOf(body)?.code === "NOT_FOUND";
}

function readRepository(row: unknown): readonly FoundRepository[] {
  if (!isObject(row)) return [];
  const { name, artifact_count: artifacts, update_time: updated } = row;
  if (typeof name !== "string" || !isRepository(name)) return [];
  return [{ name, artifacts: countOf(artifacts), updatedAt: timeOf(updated) }];
}

/** What no Pod can run or mount, by the names that Harbor gives to kinds of artifacts. */
const kindsWithoutImage: ReadonlySet<unknown> = new Set(["CHART", "CNAB", "SBOM"]);

function tagsOf(artifact: unknown): readonly FoundTag[] {
  if (!isObject(artifact)) return [];
  const { type, digest, size, tags } = artifact;
  if (kindsWithoutImage.has(type) || !Array.isArray(tags)) return [];
  const shared = {
    digest: typeof digest === "string" && isDigestOfImage(digest) ? digest : null,
    sizeBytes: countOf(size),
    platforms: platformsOf(artifact),
  };
  return tags.flatMap((tag: unknown) => {
    const { name, push_time: pushed } = isObject(tag) ? tag : {};
    if (typeof name !== "string" || !isTagText(name)) return [];
    return [{ name, ...shared, pushedAt: timeOf(pushed) }];
  });
}

/** Go knows some fifty; past that an index is for no people to choose from. */
const maxPlatforms = 50;

/** An image has its own; an index has those of the images that it names. */
function platformsOf({ extra_attrs: attributes, references }: JsonObject): readonly string[] {
  const named: readonly unknown[] = Array.isArray(references) ? references : [];
  const ofIndex = named.flatMap((reference) =>
    isObject(reference) ? platformOf(reference["platform"]) : [],
  );
  return [...new Set([...platformOf(attributes), ...ofIndex])].slice(0, maxPlatforms);
}

function platformOf(value: unknown): readonly string[] {
  if (!isObject(value)) return [];
  const { os, architecture, variant } = value;
  // What was signed or described is listed beside the images, for "unknown/unknown".
  if (!isPlatformPart(os) || !isPlatformPart(architecture) || os === "unknown") return [];
  return [`${os}/${architecture}${isPlatformPart(variant) ? `/${variant}` : ""}`];
}

function isPlatformPart(value: unknown): value is string {
  return typeof value === "string" && /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/.test(value);
}

function countOf(value: unknown): number | null {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** The last moment that is written with a year of four digits. */
const maxTime = Date.UTC(10_000, 0, 1) - 1;

/** In Harbor the year 1 stands for never. */
function timeOf(value: unknown): number | null {
  if (typeof value !== "string" || !/^\d{4}-\d\d-\d\dT[0-9:.]{8,20}(?:Z|[+-]\d\d:\d\d)$/.test(value))
    return null;
  const time = Date.parse(value);
  return time > 0 && time <= maxTime ? time : null;
}
