// What a Docker Registry holds: its repositories where it has a catalog, the tags of a repository, and the digest
// that a tag or digest stands for. Every list is bounded; nothing is remembered.

import { isObject } from "../domain/json.ts";
import { describeAnswer, firstErrorOf, inOneLine } from "../http-exchange.ts";

import { RegistryError, type RegistryAnswer } from "./registry-answer.ts";
import type { RegistryCall, RegistryClient } from "./registry-client.ts";

export type RepositoryListing =
  | {
      readonly kind: "listed";
      /** In the registry's order, which is that of their names. */
      readonly repositories: readonly string[];
      /** To go on from; null when there are no more. */
      readonly last: string | null;
    }
  /** The registry lists its repositories to nobody, or not to this login: the catalog is no part of the standard. */
  | { readonly kind: "off"; readonly why: string };

/** A registry may give fewer at a time than it was asked for, and a mistaken one could go on forever. */
const maxPages = 200;
/** Pages come at some 50 a second from a registry on disk; S3 may take a second for each. */
const listingTimeoutMs = 60_000;

/** Up to `n` repositories after the one named `last`. */
export async function listRepositories(
  client: RegistryClient,
  { n, last }: { readonly n: number; readonly last?: string | undefined },
  signal: AbortSignal,
): Promise<RepositoryListing> {
  // Without a number of its own choice: a registry gives 100 then, or as many as its ceiling lets it, while a number
  // above that ceiling is an error.
  const query = last === undefined ? "" : `?last=${encodeURIComponent(last)}`;
  const call = {
    what: "list repositories",
    path: `/v2/_catalog${query}`,
    scope: "registry:catalog:*",
    signal,
  };
  const repositories: string[] = [];
  for await (const answer of pagesOf(client, call)) {
    if (isCatalogOff(answer)) return { kind: "off", why: describeAnswer(answer) };
    repositories.push(...textsOf(answer, "repositories"));
    if (repositories.length > n || (repositories.length === n && nextOf(answer, client.url) !== undefined)) {
      return { kind: "listed", repositories: repositories.slice(0, n), last: repositories[n - 1] ?? null };
    }
  }
  return { kind: "listed", repositories, last: null };
}

/** Switched off (404, 405), or closed to this login, whose token does not open it (401, 403). */
function isCatalogOff({ status, body }: RegistryAnswer): boolean {
  return [401, 403, 404, 405].includes(status) || firstErrorOf(body)?.code === "UNSUPPORTED";
}

/** All tags of a repository, in the registry's order; null when it has no such repository. */
export async function listTags(
  client: RegistryClient,
  repository: string,
  signal: AbortSignal,
): Promise<readonly string[] | null> {
  if (!isRepository(repository)) return null;
  const call = {
    what: `list tags of ${repository}`,
    path: `/v2/${repository}/tags/list`,
    scope: pullFrom(repository),
    signal,
  };
  const tags: string[] = [];
  for await (const answer of pagesOf(client, call)) {
    if (isNotThere(answer)) return null;
    tags.push(...textsOf(answer, "tags"));
  }
  return tags;
}

/** Both kinds of index and both kinds of manifest: without them old registries answer with another one, or 404. */
const manifestTypes = [
  "application/vnd.oci.image.index.v1+json",
  "application/vnd.docker.distribution.manifest.list.v2+json",
  "application/vnd.oci.image.manifest.v1+json",
  "application/vnd.docker.distribution.manifest.v2+json",
].join(", ");

/** The digest that a tag or digest of the repository stands for; null when there is none. */
export async function readManifestDigest(
  client: RegistryClient,
  repository: string,
  reference: string,
  signal: AbortSignal,
): Promise<string | null> {
  if (!isRepository(repository) || !isReference(reference)) return null;
  const answer = await client.send({
    what: `look up ${repository} ${reference}`,
    method: "HEAD",
    path: `/v2/${repository}/manifests/${reference}`,
    headers: { accept: manifestTypes },
    scope: pullFrom(repository),
    signal,
  });
  // There is no body to say more.
  if (answer.status === 404) return null;
  if (answer.status !== 200) throw answer.failure("client-error", describeAnswer(answer));
  const digest = answer.headers["docker-content-digest"];
  if (typeof digest === "string" && /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-f]{32,128}$/.test(digest))
    return digest;
  throw answer.failure("malformed", "it does not say the digest (Docker-Content-Digest)");
}

function pullFrom(repository: string): string {
  return `repository:${repository}:pull`;
}

/** By the grammar of repository names, so that nothing else ends up in a path. */
function isRepository(text: string): boolean {
  return (
    text.length <= 255 && text.split("/").every((element) => /^[a-z0-9]+(?:[._-]+[a-z0-9]+)*$/.test(element))
  );
}

/** A tag or a digest. */
function isReference(text: string): boolean {
  return /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/.test(text) || /^[a-z0-9]{1,32}:[0-9a-f]{32,128}$/.test(text);
}

/** The answers of a list, page after page; the last one may be a refusal. */
async function* pagesOf(client: RegistryClient, call: RegistryCall): AsyncGenerator<RegistryAnswer> {
  const deadline = AbortSignal.timeout(listingTimeoutMs);
  const signal = AbortSignal.any([call.signal, deadline]);
  let path: string | undefined = call.path;
  try {
    for (let page = 1; path !== undefined; page += 1) {
      if (page > maxPages) {
        throw new RegistryError("malformed", `${call.what} of ${client.url}: more than ${maxPages} pages`);
      }
      const answer: RegistryAnswer = await client.send({ ...call, path, signal });
      yield answer;
      path = answer.status === 200 ? nextOf(answer, client.url) : undefined;
    }
  } catch (err) {
    if (!deadline.aborted || call.signal.aborted) throw err;
    const took = `${call.what} of ${client.url}: not done within ${listingTimeoutMs / 1_000} s`;
    throw new RegistryError("timeout", took, { cause: err });
  }
}

/**
 * Path and query of the page after this one. Registries write it relative or with their own address, as they
 * believe to be called; scheme and login stay those of the url, and another host is never asked.
 */
function nextOf({ headers, failure }: RegistryAnswer, url: string): string | undefined {
  const { link } = headers;
  const text = Array.isArray(link) ? link.join(",") : link;
  const [, written] = /<([^<>]{1,4096})>[^<>]{0,256};[ \t]*rel="?next"?/i.exec(text ?? "") ?? [];
  if (written === undefined) return undefined;
  const next = URL.parse(written, url);
  if (next?.hostname !== new URL(url).hostname || !next.pathname.startsWith("/v2/")) {
    throw failure(
      "malformed",
      `its next page is not on its own host: ${inOneLine(written.split("?", 1)[0] ?? "", 200)}`,
    );
  }
  return next.pathname + next.search;
}

function textsOf(answer: RegistryAnswer, key: "repositories" | "tags"): readonly string[] {
  if (answer.status !== 200) throw answer.failure("client-error", describeAnswer(answer));
  // A repository whose last tag was deleted has `null` for its tags.
  const texts: unknown = isObject(answer.body) ? (answer.body[key] ?? []) : undefined;
  if (!Array.isArray(texts)) throw answer.failure("malformed", `expected an object with a list of ${key}`);
  return texts.filter((text: unknown) => typeof text === "string");
}

/** In the registry's own words: something in front may have lost its way to it. */
function isNotThere({ status, body }: RegistryAnswer): boolean {
  return status === 404 && firstErrorOf(body)?.code === "NAME_UNKNOWN";
}
