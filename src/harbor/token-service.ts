// Harbor's token service as the judge of what a login may pull. It reads what a token grants and throws the token
// away; the signature is not checked, because the token comes from Harbor itself over a connection that is.

import { isObject } from "../domain/json.ts";
import { describeAnswer } from "../http-exchange.ts";
import type { HarborClient } from "./harbor-client.ts";

/**
 * Any repository name serves: Harbor grants by project, whether or not the repository exists yet. A fixed one lets
 * one answer do for all repositories of a space.
 */
const anyRepository = "any";

/**
 * Spaces in one request: with names of 255 characters they make an address of 6 kB, and proxies in front take 8.
 */
const spacesAtATime = 20;

/** May the client's login pull from the space? */
export async function readPullGrant(
  client: HarborClient,
  space: string,
  signal: AbortSignal,
): Promise<boolean> {
  return (await readPullGrants(client, [space], signal)).get(space) === true;
}

/** Which of these spaces may the client's login pull from? */
export async function readPullGrants(
  client: HarborClient,
  spaces: readonly string[],
  signal: AbortSignal,
): Promise<ReadonlyMap<string, boolean>> {
  const grants = new Map<string, boolean>();
  for (let start = 0; start < spaces.length; start += spacesAtATime) {
    const asked = spaces.slice(start, start + spacesAtATime);
    const access = await readAccess(client, asked, signal);
    for (const space of asked) grants.set(space, grantsPull(access, repositoryIn(space)));
  }
  return grants;
}

/** What a token for all of the spaces grants, as Harbor writes it. */
async function readAccess(
  client: HarborClient,
  spaces: readonly string[],
  signal: AbortSignal,
): Promise<unknown> {
  const scopes = spaces.map((space) => encodeURIComponent(`repository:${repositoryIn(space)}:pull`));
  const [first = ""] = spaces;
  const others = spaces.length > 1 ? ` and ${spaces.length - 1} other spaces` : "";
  const answer = await client.send({
    what: `ask for a token to pull from ${first}${others}`,
    path: `/service/token?service=harbor-registry${scopes.map((scope) => `&scope=${scope}`).join("")}`,
    signal,
  });
  if (answer.status !== 200) throw answer.failure("client-error", describeAnswer(answer));
  const claims = isObject(answer.body)
    ? claimsOf(answer.body["token"] ?? answer.body["access_token"])
    : undefined;
  if (claims === undefined) throw answer.failure("malformed", "it gave no token that can be read");
  // A bad login gets a token too, one for nobody, with what is public.
  if (typeof claims["sub"] !== "string" || claims["sub"] === "") {
    client.restLogin();
    throw answer.failure("login-refused", "it does not accept the login, and gave an anonymous token");
  }
  return claims["access"];
}

function repositoryIn(space: string): string {
  return `${space}/${anyRepository}`;
}

/** The middle part of a JSON web token. */
function claimsOf(token: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof token !== "string") return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8"));
    return isObject(claims) ? claims : undefined;
  } catch {
    return undefined;
  }
}

function grantsPull(access: unknown, repository: string): boolean {
  if (!Array.isArray(access)) return false;
  return access.some((entry: unknown) => {
    if (!isObject(entry) || entry["type"] !== "repository" || entry["name"] !== repository) return false;
    const { actions } = entry;
    return Array.isArray(actions) && actions.includes("pull");
  });
}
