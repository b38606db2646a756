// Can a Docker Registry of the policy be used as it is written there? What is wrong comes as sentences that say
// what to do; that something is wrong is never an error here.

import { describeAnswer, withRemedy } from "../http-exchange.ts";
import { parseChallenges } from "./challenge.ts";
import { RegistryError, type RegistryAnswer } from "./registry-answer.ts";
import type { RegistryClient } from "./registry-client.ts";

export interface RegistryCheck {
  /** What keeps the registry from serving as it should, most serious first; none when all is well. */
  readonly problems: readonly string[];
}

export async function checkRegistry(client: RegistryClient, signal: AbortSignal): Promise<RegistryCheck> {
  const call = { what: "greet the registry", path: "/v2/", signal };
  try {
    const greeting = await client.sendWithoutLogin(call);
    const wrong = whyNoRegistry(greeting, client.url);
    if (wrong !== undefined) return { problems: [wrong] };
    if (greeting.status !== 401) return { problems: [] };
    const answer = await client.send(call);
    return { problems: answer.status < 300 ? [] : [closedTo(answer, client.url)] };
  } catch (err) {
    if (!(err instanceof RegistryError)) throw err;
    return { problems: [withRemedy(err)] };
  }
}

/** Why what answers is nothing that can be used as a Docker Registry. */
function whyNoRegistry(greeting: RegistryAnswer, url: string): string | undefined {
  if (isHarbor(greeting)) {
    return `${url} is a Harbor: as a docker-registry all its private spaces would be open to every namespace; integrate it with type: harbor`;
  }
  const isRegistry = greeting.status < 300 || greeting.status === 401;
  if (isRegistry) return undefined;
  return `${url} is no registry: it answers /v2/ with ${describeAnswer(greeting)}; url has to be the registry's own address, without a path`;
}

/** By the token service that its challenge names, which everybody is told. */
function isHarbor({ headers }: RegistryAnswer): boolean {
  return parseChallenges(headers["www-authenticate"] ?? "").some(({ parameters }) => {
    const realm = URL.parse(parameters.get("realm") ?? "");
    return (
      parameters.get("service") === "harbor-registry" && realm?.pathname.endsWith("/service/token") === true
    );
  });
}

function closedTo(answer: RegistryAnswer, url: string): string {
  return `${url} takes the login and opens nothing to it: ${describeAnswer(answer)}`;
}
