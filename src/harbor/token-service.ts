// Harbor's token service as the judge of what a login may pull. It reads what a token grants and throws the token
// away; the signature is not checked, because the token comes from Harbor itself over a connection that is.

import { isObject } from "../domain/json.ts";
import { describeAnswer } from "./harbor-answer.ts";
import type { HarborClient } from "./harbor-client.ts";

/**
 * Any repository name serves: Harbor grants by project, whether or not the repository exists yet. A fixed one lets
 * one answer do for all repositories of a space.
 */
const anyRepository = "any";

/** May the client's login pull from the space? */
export async function readPullGrant(
  client: HarborClient,
  space: string,
  signal: AbortSignal,
): Promise<boolean> {
  const repository = `${space}/${anyRepository}`;
  const scope = encodeURIComponent(`repository:${repository}:pull`);
  const answer = await client.send({
    what: `ask for a token to pull from ${space}`,
    path: `/service/token?service=harbor-registry&scope=${scope}`,
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
  return grantsPull(claims["access"], repository);
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
