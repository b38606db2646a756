// Where a registry's challenge sends for a token, and whether the login may go there. Whoever answers in a
// registry's name chooses the realm, so that it is trusted with the login only where the registry itself would be.

export interface TokenRealm {
  /** May get the login that was given for the registry. */
  readonly isTrusted: boolean;
  readonly origin: string;
  /** With service and scopes. */
  readonly target: URL;
}

/** Docker Hub, whose one token service is on another host than its registry. */
const hubHosts: ReadonlySet<string> = new Set(["registry-1.docker.io", "index.docker.io", "docker.io"]);
const hubTokenOrigin = "https://auth.docker.io";

/**
 * Undefined for a realm that is not asked at all: one on a foreign host over plain HTTP is asked for no token, since
 * its answer goes to the registry and inside a cluster there are addresses that hand out secrets to whoever asks.
 */
export function readRealm(
  realm: string | undefined,
  { registry, service, scope }: { registry: string; service: string | undefined; scope: string | undefined },
): TokenRealm | undefined {
  const target = URL.parse(realm ?? "");
  // A login inside the address would be sent along.
  if (target?.username !== "" || target.password !== "") return undefined;
  const isTrusted = target.origin === new URL(registry).origin || isHubPair(target, new URL(registry));
  if (!isTrusted && target.protocol !== "https:") return undefined;
  target.hash = "";
  if (service !== undefined) target.searchParams.append("service", service);
  for (const one of (scope ?? "").split(" ")) if (one !== "") target.searchParams.append("scope", one);
  return { isTrusted, origin: target.origin, target };
}

function isHubPair(realm: URL, registry: URL): boolean {
  return realm.origin === hubTokenOrigin && registry.protocol === "https:" && hubHosts.has(registry.host);
}
