// One consistent list of a collection, page by page: all of it or an error, never a part. What it returns of each
// object is for the caller to pick; when to list is for watch.ts to know.

import { isObject } from "../domain/json.ts";
import {
  type KubeAnswer,
  KubeAnswerTooLargeError,
  type KubeClient,
  unexpectedAnswer,
} from "./kube-client.ts";
import { isKubeObject, type KubeObject, metadataOnlyList } from "./kube-object.ts";

export interface Collection<V> {
  /** For example `/api/v1/namespaces`. */
  readonly path: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
  /** Ask for `metadata` alone. */
  readonly metadataOnly?: boolean;
  /** What tells the objects of the collection apart; their names unless said otherwise. */
  readonly keyOf?: (object: KubeObject) => string;
  /** What is kept of an object; `undefined` when it is of no interest. */
  readonly pick: (object: KubeObject) => V | undefined;
}

export interface Listing<V> {
  /** The state of the cluster that the list shows, and that a watch may go on from. */
  readonly resourceVersion: string;
  readonly entries: Map<string, V>;
}

export interface ListingNeeds {
  readonly client: KubeClient;
  readonly signal?: AbortSignal;
  /** Objects a page at first. */
  readonly pageSize?: number;
}

/** As kubectl and the Go client ask for. */
export const defaultPageSize = 500;

/** 100,000 objects even if each page holds ten; Kubernetes itself is made for 10,000 namespaces. */
const maxPages = 10_000;

/** A list that ages out (after 5 minutes, etcd's compaction) while it is read is begun again this often. */
const maxRestarts = 2;

/** The API server's own limit for a request. */
const pageTimeoutMs = 60_000;

/** Asks without a resourceVersion, which means the newest state, agreed by etcd: never an older one than before. */
export async function listCollection<V>(needs: ListingNeeds, collection: Collection<V>): Promise<Listing<V>> {
  for (let restarts = 0; ; restarts += 1) {
    const listing = await listOnce(needs, collection);
    if (listing.kind === "complete") return listing;
    if (restarts === maxRestarts) throw unexpectedAnswer(`list ${collection.path}`, listing.answer);
  }
}

export function queryOf(collection: Collection<unknown>, more: Readonly<Record<string, string>>): string {
  const { labelSelector, fieldSelector } = collection;
  return new URLSearchParams({
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
    ...more,
  }).toString();
}

export function nameOf(object: KubeObject): string {
  return object.metadata.name;
}

type Outcome<V> =
  ({ readonly kind: "complete" } & Listing<V>) | { readonly kind: "aged-out"; readonly answer: KubeAnswer };

async function listOnce<V>(needs: ListingNeeds, collection: Collection<V>): Promise<Outcome<V>> {
  const { keyOf = nameOf, pick } = collection;
  const entries = new Map<string, V>();
  let limit = needs.pageSize ?? defaultPageSize;
  let next = "";
  for (let page = 1; page <= maxPages; page += 1) {
    const answer = await readPage(needs, collection, limit, next);
    if (answer === "too-large") {
      // The token goes on from where the last page ended, whatever the size of the next one.
      limit = Math.ceil(limit / 10);
      continue;
    }
    const what = `list ${collection.path}, page ${page}`;
    if (answer.status === 410 && next !== "") return { kind: "aged-out", answer };
    if (answer.status !== 200) throw unexpectedAnswer(what, answer);
    const { items, resourceVersion, next: token } = pageOf(what, answer.body);
    for (const item of items) {
      const value = pick(item);
      if (value !== undefined) entries.set(keyOf(item), value);
    }
    if (token === "") return { kind: "complete", resourceVersion, entries };
    next = token;
  }
  throw new Error(`list ${collection.path}: over ${maxPages} pages`);
}

async function readPage(
  { client, signal }: ListingNeeds,
  collection: Collection<unknown>,
  limit: number,
  next: string,
): Promise<KubeAnswer | "too-large"> {
  const query = queryOf(collection, { limit: String(limit), ...(next === "" ? {} : { continue: next }) });
  try {
    return await client.request("GET", `${collection.path}?${query}`, {
      timeoutMs: pageTimeoutMs,
      ...(collection.metadataOnly === true ? { accept: metadataOnlyList } : {}),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (err) {
    if (err instanceof KubeAnswerTooLargeError && limit > 1) return "too-large";
    throw err;
  }
}

interface Page {
  readonly items: readonly KubeObject[];
  readonly resourceVersion: string;
  readonly next: string;
}

/** One item that is not what it should be spoils the page: a list without it could pass for a deletion. */
function pageOf(what: string, body: unknown): Page {
  const { metadata, items } = isObject(body) ? body : {};
  const { resourceVersion, continue: next } = isObject(metadata) ? metadata : {};
  if (typeof resourceVersion !== "string" || resourceVersion === "") {
    throw new Error(`${what}: expected a list with a resourceVersion`);
  }
  // Go writes an empty slice that was never made as null.
  const objects: readonly unknown[] | undefined =
    items === null ? [] : Array.isArray(items) ? items : undefined;
  if (objects?.every(isKubeObject) !== true) throw new Error(`${what}: expected items, each with a name`);
  return { items: objects, resourceVersion, next: typeof next === "string" ? next : "" };
}
