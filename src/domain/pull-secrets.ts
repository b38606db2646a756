// What the pull secrets hold: the logins of a workspace as a Docker configuration, and what has to be written or
// taken away where the Secrets of a cluster are others. Whoever writes them is told nothing else.

import { keyHostsOf } from "./key-spellings.ts";
import type { Registry } from "./policy.ts";
import { canonicalHost } from "./registry-host.ts";

/** A login that a workspace's namespaces get for one registry. */
export interface PullLogin {
  readonly registry: Registry;
  readonly username: string;
  readonly password: string;
  /** What a robot may pull; null for a login of the policy, which may do what its registry lets it. */
  readonly spaces: readonly string[] | null;
}

/** Docker's own key for Docker Hub: what `docker login` writes, and what the kubelet tries when no other key matches. */
const dockerHubKey = "https://index.docker.io/v1/";

/**
 * The text of `.dockerconfigjson`; null when there is no login. The same logins give the same text, in whatever
 * order they come.
 *
 * The kubelet compares a key's host as text and its path as a prefix, and tries the longer keys first (domain of
 * kubernetes/pkg/credentialprovider). A registry alone on its hosts is written by host; where two logins meet on
 * one, a robot is written by space, with the slash at the end that keeps `team` from opening `team-evil`, and the
 * other login stays with the host, for everything else there.
 */
export function dockerConfigOf(logins: readonly PullLogin[]): string | null {
  if (logins.length === 0) return null;
  const auths = new Map<string, { readonly auth: string }>();
  for (const [host, meeting] of byHost(logins)) {
    // Two robots never meet: only registries of different workspaces may share a host.
    const isShared = meeting.length > 1;
    for (const { username, password, spaces } of meeting) {
      const auth = { auth: base64(`${username}:${password}`) };
      const paths = isShared && spaces !== null ? spaces.map((space) => `/${space}/`) : [""];
      for (const path of paths) auths.set(host + path, auth);
    }
  }
  // A whole host's key, so that it never stands for a login by space.
  const dockerHub = auths.get("docker.io");
  if (dockerHub !== undefined) auths.set(dockerHubKey, dockerHub);
  const sorted = [...auths].sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify({ auths: Object.fromEntries(sorted) });
}

/** Host text of a key → the logins for it. Registries that share a server share all spellings of it. */
function byHost(logins: readonly PullLogin[]): ReadonlyMap<string, readonly PullLogin[]> {
  const onServer = new Map<string, { readonly texts: Set<string>; readonly logins: Set<PullLogin> }>();
  for (const login of logins) {
    for (const text of keyHostsOf(login.registry)) {
      const server = canonicalHost(text);
      const found = onServer.get(server) ?? { texts: new Set<string>(), logins: new Set<PullLogin>() };
      found.texts.add(text);
      found.logins.add(login);
      onServer.set(server, found);
    }
  }
  const hosts = new Map<string, readonly PullLogin[]>();
  for (const { texts, logins: meeting } of onServer.values()) {
    for (const text of texts) hosts.set(text, [...meeting]);
  }
  return hosts;
}

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

/** The Secret of a namespace as it was seen. */
export interface SeenPullSecret {
  readonly owner: "berth" | "foreign";
  readonly digest: string;
  /** False when somebody made it immutable, or of another type: it has to be made anew. */
  readonly writable: boolean;
  readonly labelled: boolean;
}

/** By namespace. */
export type SeenPullSecrets = Pick<ReadonlyMap<string, SeenPullSecret>, "get">;

export type PullSecretChange =
  | { readonly kind: "write"; readonly namespace: string; readonly text: string }
  | { readonly kind: "remove"; readonly namespace: string };

/** A Secret that a namespace should have; `waiting` while what it will hold is not certain. */
export type WantedPullSecret = { readonly text: string; readonly digest: string } | "waiting" | null;

/** Is it the Secret that the namespace should have? */
export function isAsWanted(wanted: WantedPullSecret, seen: SeenPullSecret | undefined): boolean {
  if (wanted === "waiting") return false;
  if (wanted === null) return seen?.owner !== "berth";
  return seen?.owner === "berth" && seen.digest === wanted.digest && seen.writable && seen.labelled;
}

/**
 * Wanted less seen. Namespaces without their Secret come first: a Pod may be waiting there, while the others have
 * one that works. A Secret that Berth did not make is never touched.
 */
export function planPullSecrets(
  wanted: ReadonlyMap<string, WantedPullSecret>,
  seen: SeenPullSecrets,
): readonly PullSecretChange[] {
  const missing: PullSecretChange[] = [];
  const others: PullSecretChange[] = [];
  for (const [namespace, secret] of wanted) {
    const found = seen.get(namespace);
    if (secret === "waiting" || found?.owner === "foreign" || isAsWanted(secret, found)) continue;
    if (secret === null) others.push({ kind: "remove", namespace });
    else (found === undefined ? missing : others).push({ kind: "write", namespace, text: secret.text });
  }
  return [...missing, ...others];
}
