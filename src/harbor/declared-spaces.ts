// What a policy's declared spaces need of Harbor: a project made, its visibility set, its storage quota read and
// set, and whose it is. It deletes nothing, and decides nothing.

import type { Visibility } from "../domain/catalogue.ts";
import { isObject } from "../domain/json.ts";
import { describeAnswer, firstErrorOf } from "../http-exchange.ts";
import type { HarborAnswer } from "./harbor-answer.ts";
import type { HarborClient } from "./harbor-client.ts";

export type SpaceMaking =
  | { readonly kind: "made"; readonly id: number }
  | { readonly kind: "exists" }
  /** What is in the way, and what to do about it. */
  | { readonly kind: "refused"; readonly why: string };

export interface StorageQuota {
  readonly quotaId: number;
  /** Null for no limit. */
  readonly bytes: number | null;
}

export interface SpaceOwner {
  readonly id: number;
  /** The user who made it; of a robot's projects it is Harbor's first administrator. Null where Harbor has none. */
  readonly ownerName: string | null;
}

const route = "/api/v2.0/projects";
/** Else a name of digits only would be taken as an id. */
const byName = { "x-is-resource-name": "true" };
/** How Harbor writes that there is no limit. */
const noLimit = -1;

/** Without bytes Harbor's own default holds; so it does, whatever the bytes, for a login without project:create. */
export async function makeSpace(
  client: HarborClient,
  space: { readonly name: string; readonly visibility: Visibility; readonly storageBytes: number | null },
  signal: AbortSignal,
): Promise<SpaceMaking> {
  const { name, visibility, storageBytes } = space;
  const limit = storageBytes === null ? {} : { storage_limit: storageBytes };
  const body = { project_name: name, metadata: metadataOf(visibility), ...limit };
  const call = { method: "POST", path: route, headers: byName, body, signal } as const;
  const answer = await client.send({ what: `make project ${name}`, ...call });
  switch (answer.status) {
    case 201:
      return { kind: "made", id: readId(answer) };
    case 409:
      return { kind: "exists" };
    case 400:
    case 403:
      return { kind: "refused", why: inWords(answer, "make projects", "project:create on the system") };
    default:
      throw answer.failure("client-error", describeAnswer(answer));
  }
}

/** The new project's id is at the end of where it is to be found. */
function readId(answer: HarborAnswer): number {
  const [, id] = /\/projects\/([1-9][0-9]{0,15})$/.exec(answer.headers.location ?? "") ?? [];
  if (id === undefined) throw answer.failure("malformed", "it does not say the project's id (Location)");
  return Number(id);
}

export async function setVisibility(
  client: HarborClient,
  name: string,
  visibility: Visibility,
  signal: AbortSignal,
): Promise<void> {
  const body = { metadata: metadataOf(visibility) };
  const call = { method: "PUT", path: pathOf(name), headers: byName, body, signal } as const;
  const answer = await client.send({ what: `make project ${name} ${visibility}`, ...call });
  if (answer.status < 300) return;
  const text = inWords(answer, "change this project", `project:update on all projects ("*")`);
  throw answer.failure("client-error", text);
}

export async function readStorageQuota(
  client: HarborClient,
  spaceId: number,
  signal: AbortSignal,
): Promise<StorageQuota> {
  const path = `/api/v2.0/quotas?reference=project&reference_id=${spaceId}`;
  const what = `read the quota of project ${spaceId}`;
  const answer = await client.send({ what, path, headers: byName, signal });
  if (answer.status !== 200) {
    throw answer.failure(
      "client-error",
      inWords(answer, "read quotas", "quota:list and quota:read on the system"),
    );
  }
  const listed: unknown = answer.body;
  const quota: unknown = Array.isArray(listed) ? listed[0] : undefined;
  if (!isObject(quota)) {
    throw answer.failure("client-error", "the project has no quota; are quotas switched off in Harbor?");
  }
  const { id, hard, ref } = quota;
  // Harbors that do not know the parameter would answer with somebody else's.
  if (isObject(ref) && ref["id"] !== spaceId)
    throw answer.failure("malformed", "the quota of another project came");
  const bytes = isObject(hard) ? hard["storage"] : undefined;
  if (typeof id !== "number" || typeof bytes !== "number") {
    throw answer.failure("malformed", "expected a quota with an id and a number of bytes");
  }
  return { quotaId: id, bytes: bytes < 0 ? null : bytes };
}

/** Null for no limit. */
export async function setStorageQuota(
  client: HarborClient,
  quotaId: number,
  bytes: number | null,
  signal: AbortSignal,
): Promise<void> {
  const body = { hard: { storage: bytes ?? noLimit } };
  const call = { method: "PUT", path: `/api/v2.0/quotas/${quotaId}`, headers: byName, body, signal } as const;
  const answer = await client.send({ what: `set quota ${quotaId}`, ...call });
  if (answer.status < 300) return;
  throw answer.failure("client-error", inWords(answer, "change quotas", "quota:update on the system"));
}

/** Null when there is no project of that name. */
export async function readOwner(
  client: HarborClient,
  name: string,
  signal: AbortSignal,
): Promise<SpaceOwner | null> {
  const what = `read whose project ${name} is`;
  const answer = await client.send({ what, path: pathOf(name), headers: byName, signal });
  if (answer.status === 404 && firstErrorOf(answer.body)?.code === "NOT_FOUND") return null;
  if (answer.status !== 200) {
    const text = inWords(answer, "read this project", `project:read on all projects ("*")`);
    throw answer.failure("client-error", text);
  }
  const { project_id: id, name: named, owner_name: owner } = isObject(answer.body) ? answer.body : {};
  if (typeof id !== "number" || named !== name) {
    throw answer.failure("malformed", "another project came than was asked for");
  }
  return { id, ownerName: typeof owner === "string" && owner !== "" ? owner : null };
}

function pathOf(name: string): string {
  return `${route}/${encodeURIComponent(name)}`;
}

/** Harbor takes these two texts, and no booleans. */
function metadataOf(visibility: Visibility): { readonly public: "true" | "false" } {
  return { public: visibility === "public" ? "true" : "false" };
}

/** Harbor's words, and what to do where it is a right that lacks. */
function inWords(answer: HarborAnswer, what: string, right: string): string {
  if (answer.status !== 403) return describeAnswer(answer);
  return `${describeAnswer(answer)}: the login may not ${what}; it needs ${right}, or to be an administrator`;
}
