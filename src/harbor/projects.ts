// Harbor's projects as spaces: all of them, or one by name. An answer that an anonymous caller would have got never
// passes for knowledge here, and neither does half a listing.

import { isObject } from "../domain/json.ts";
import type { Listing, Space } from "../domain/catalogue.ts";
import { isSpaceName } from "../domain/space-name.ts";
import { describeAnswer, firstErrorOf } from "../http-exchange.ts";
import { HarborError, type HarborAnswer } from "./harbor-answer.ts";
import type { HarborClient } from "./harbor-client.ts";

/** Harbor's ceiling: above it the answer is 422. */
const pageSize = 100;
/** 100,000 spaces, ten times the largest Harbor that its users report about; a total beyond it is a mistake. */
const maxPages = 1_000;
/**
 * Pages asked for at a time. Harbor fills in a page with a goroutine and a database connection for each project:
 * all 15 pages at once took half the time of one after another, and four take most of that gain.
 */
const pagesAtATime = 4;
/** Projects that come and go while the pages are read shift them; thrice in a row something else is wrong. */
const maxPasses = 3;
/** 1,000 pages of some 0.3 s, four at a time and thrice, take less than four minutes. */
const listingTimeoutMs = 5 * 60_000;

/** All spaces that the login sees, which for an administrator or a robot that may list projects is all there are. */
export async function listSpaces(
  { client, now }: { readonly client: HarborClient; readonly now: () => number },
  signal: AbortSignal,
): Promise<Listing> {
  const deadline = AbortSignal.timeout(listingTimeoutMs);
  const ending = AbortSignal.any([signal, deadline]);
  try {
    await client.proveIdentity(ending);
    for (let pass = 1; ; pass += 1) {
      const readAt = now();
      const pages = await readPages(client, ending);
      const discord = discordOf(pages);
      if (discord === undefined) {
        // A login that died half-way would have turned the rest into what everybody sees.
        await client.proveIdentity(ending);
        return { server: client.url, readAt, spaces: livingSpaces(pages) };
      }
      if (pass === maxPasses) {
        throw new HarborError(
          "malformed",
          `list projects of ${client.url}: the pages do not add up, ${discord}, after ${maxPasses} passes`,
        );
      }
    }
  } catch (err) {
    if (!deadline.aborted || signal.aborted) throw err;
    const took = `list projects of ${client.url}: not done within ${listingTimeoutMs / 60_000} min`;
    throw new HarborError("timeout", took, { cause: err });
  }
}

/** A project as it stands in a page; those marked as deleted count for the total only. */
interface Project {
  readonly space: Space;
  readonly deleted: boolean;
}

interface Page {
  readonly total: number;
  readonly projects: readonly Project[];
}

/** By number up to the total of the first page: Harbor's Link header is relative and not escaped. */
async function readPages(client: HarborClient, signal: AbortSignal): Promise<readonly Page[]> {
  const first = await readPage(client, 1, signal);
  const count = Math.ceil(first.total / pageSize);
  if (count > maxPages) {
    const text = `list projects of ${client.url}: ${first.total} projects, expected ${maxPages * pageSize} at most`;
    throw new HarborError("malformed", text);
  }
  const pages = [first];
  let next = 2;
  const failed = new AbortController();
  const ending = AbortSignal.any([signal, failed.signal]);
  async function readOn(): Promise<void> {
    while (next <= count) {
      const page = next;
      next += 1;
      pages[page - 1] = await readPage(client, page, ending);
    }
  }
  try {
    await Promise.all(Array.from({ length: pagesAtATime }, readOn));
  } catch (err) {
    failed.abort();
    throw err;
  }
  return pages;
}

async function readPage(client: HarborClient, page: number, signal: AbortSignal): Promise<Page> {
  // Details are left on: without them Harbor drops the metadata, and the visibility with it.
  const path = `/api/v2.0/projects?page=${page}&page_size=${pageSize}`;
  const answer = await client.send({ what: `list projects, page ${page}`, path, signal });
  return readList(answer);
}

function readList(answer: HarborAnswer): Page {
  if (answer.status !== 200) throw answer.failure("client-error", describeAnswer(answer));
  const total = answer.headers["x-total-count"];
  if (typeof total !== "string" || !/^\d{1,9}$/.test(total)) {
    throw answer.failure("malformed", "it does not say how many there are (X-Total-Count)");
  }
  if (!Array.isArray(answer.body)) throw answer.failure("malformed", "expected a list");
  const projects = answer.body.map((project: unknown) => readProject(project, answer));
  return { total: Number(total), projects };
}

function readProject(project: unknown, answer: HarborAnswer): Project {
  if (!isObject(project)) throw answer.failure("malformed", "a project is not an object");
  const { name, project_id: id, metadata, registry_id: registryId, deleted } = project;
  if (typeof name !== "string" || name === "") throw answer.failure("malformed", "a project has no name");
  if (typeof id !== "number" || !Number.isSafeInteger(id) || id < 1) {
    throw answer.failure("malformed", "a project's project_id is not a whole number");
  }
  const space: Space = {
    name,
    id,
    visibility: isPublic(metadata) ? "public" : "private",
    proxyCache: typeof registryId === "number" && registryId > 0,
  };
  return { space, deleted: deleted === true };
}

/**
 * Harbor writes the text "true" or "false", and nothing at all for a project that was made without saying so, which
 * is private. Its own check takes other cases and "1" as well, while its `public=` filter does not: the case is
 * forgiven here, and whatever else there may be counts as private. That errs on the closed side, and a bound space
 * can still be pulled.
 */
function isPublic(metadata: unknown): boolean {
  const value = isObject(metadata) ? metadata["public"] : undefined;
  return typeof value === "string" && value.toLowerCase() === "true";
}

/** Why pages read one after another cannot all be of one table; undefined when they can. */
function discordOf(pages: readonly Page[]): string | undefined {
  const ids = new Set<number>();
  const names = new Set<string>();
  for (const { projects } of pages) {
    for (const { space } of projects) {
      ids.add(space.id);
      names.add(space.name);
    }
  }
  const totals = new Set(pages.map(({ total }) => total));
  if (totals.size > 1) return `the total went from ${[...totals].join(" to ")}`;
  const [total = 0] = totals;
  if (ids.size !== total) return `${ids.size} projects came for a total of ${total}`;
  return names.size === ids.size ? undefined : "two projects have one name";
}

function livingSpaces(pages: readonly Page[]): readonly Space[] {
  return pages.flatMap(({ projects }) =>
    projects.filter(({ deleted }) => !deleted).map(({ space }) => space),
  );
}

/**
 * Does Harbor say for certain that there is no such project? It says 404 to administrators only: whoever may not see
 * all projects gets the same 403 for one that is there as for one that is not.
 */
export async function isProjectGone(
  client: HarborClient,
  name: string,
  signal: AbortSignal,
): Promise<boolean> {
  const answer = await askForProject(client, name, signal);
  return answer.status === 404 && firstErrorOf(answer.body)?.code === "NOT_FOUND";
}

function askForProject(client: HarborClient, name: string, signal: AbortSignal): Promise<HarborAnswer> {
  return client.send({
    what: `look up project ${name}`,
    path: `/api/v2.0/projects/${encodeURIComponent(name)}`,
    // Else a name of digits only would be taken as an id.
    headers: { "x-is-resource-name": "true" },
    signal,
  });
}

/**
 * One space by name, or null when Harbor has none. What an answer is worth depends on the caller:
 *
 * - 200 is the truth for everybody. To a login that went bad Harbor still shows public projects, as to anybody; that
 *   the project is public is true all the same.
 * - 404 is said to administrators only, so it is certain.
 * - 401 is said to anonymous callers only (see harbor-answer.ts): the login is bad, and nothing is known.
 * - 403 is said to robots, and means that the project is not there or may not be read by itself, which takes a
 *   permission that listing does not. It proves that the login is good, so that the listing can be asked: absent
 *   there is as absent as the catalogue itself would have it. And absence never opens anything.
 */
export async function readSpace(
  client: HarborClient,
  name: string,
  signal: AbortSignal,
): Promise<Space | null> {
  if (!isSpaceName(name)) return null;
  const answer = await askForProject(client, name, signal);
  switch (answer.status) {
    case 200:
      return spaceNamed(name, [readProject(answer.body, answer)], answer);
    case 404:
      // Only in Harbor's own words: something in front may have lost its way to Harbor.
      if (firstErrorOf(answer.body)?.code === "NOT_FOUND") return null;
      throw answer.failure("client-error", describeAnswer(answer));
    case 403:
      return findInListing(client, name, signal);
    default:
      throw answer.failure("client-error", describeAnswer(answer));
  }
}

async function findInListing(client: HarborClient, name: string, signal: AbortSignal): Promise<Space | null> {
  const path = `/api/v2.0/projects?q=${encodeURIComponent(`name=${name}`)}`;
  const answer = await client.send({ what: `look up project ${name} in the listing`, path, signal });
  const { projects } = readList(answer);
  return projects.length === 0 ? null : spaceNamed(name, projects, answer);
}

function spaceNamed(name: string, [project]: readonly Project[], answer: HarborAnswer): Space | null {
  if (project?.space.name !== name)
    throw answer.failure("malformed", "another project came than was asked for");
  return project.deleted ? null : project.space;
}
