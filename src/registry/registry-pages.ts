// A Docker Registry's repositories and tags in parts, by part of a name, for people who choose an image. The registry
// itself knows neither: it lists, and the choice is made here. What is no name of a repository or tag is left out: it
// could not be deployed, and may be meant for whoever reads it.

import { isRepositoryText, isTagText } from "../domain/image-reference.ts";
import type { RegistryClient } from "./registry-client.ts";
import { listRepositories, listTags } from "./registry-images.ts";

export interface WantedNames {
  /** Part of the name; empty for all. */
  readonly search: string;
  /** What `next` was before; undefined for the first part. */
  readonly after: string | undefined;
  readonly limit: number;
}

export interface Names {
  readonly items: readonly string[];
  readonly next: string | null;
}

/** Ten pages of a registry's usual size: looked through together, before it is seen whether enough was found. */
const searchedAtATime = 1_000;
/** A hundred pages of the usual size; in a larger catalog a search goes on from there when it is asked to. */
const maxSearched = 10_000;

/** Repositories by name; "off" where the registry lists them to nobody. */
export async function repositoryNames(
  client: RegistryClient,
  { search, after, limit }: WantedNames,
  signal: AbortSignal,
): Promise<Names | "off"> {
  const text = search.toLowerCase();
  const n = text === "" ? limit : searchedAtATime;
  const found: string[] = [];
  let last = after ?? null;
  let searched = 0;
  do {
    const listing = await listRepositories(client, { n, last: last ?? undefined }, signal);
    if (listing.kind === "off") return "off";
    found.push(...listing.repositories.filter((name) => isRepositoryText(name) && name.includes(text)));
    last = listing.last;
    searched += n;
  } while (text !== "" && last !== null && found.length <= limit && searched < maxSearched);
  const items = found.slice(0, limit);
  // Past what was searched it goes on from the last name that was looked at.
  return { items, next: found.length > limit ? (items.at(-1) ?? null) : last };
}

/** Tags, versions descending; null where there is no such repository. */
export async function tagNames(
  client: RegistryClient,
  repository: string,
  { search, after, limit }: WantedNames,
  signal: AbortSignal,
): Promise<Names | null> {
  const tags = await listTags(client, repository, signal);
  if (tags === null) return null;
  const found = tags.filter((tag) => isTagText(tag) && tag.includes(search)).sort(newestFirst);
  const start = after === undefined ? 0 : found.findIndex((tag) => newestFirst(tag, after) > 0);
  if (start < 0) return { items: [], next: null };
  const items = found.slice(start, start + limit);
  return { items, next: start + limit < found.length ? (items.at(-1) ?? null) : null };
}

const inNumbers = new Intl.Collator("en", { numeric: true });

/** `1.10` before `1.9`: nothing says when a tag was pushed, so what looks newest comes first. */
function newestFirst(a: string, b: string): number {
  return inNumbers.compare(b, a) || (a < b ? 1 : a > b ? -1 : 0);
}
