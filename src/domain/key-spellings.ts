// Under which host texts a pull secret holds the login for a registry. The kubelet compares them as text, case and
// port included (kubernetes/pkg/credentialprovider/keyring.go), so that each spelling of a server needs its own.

import type { Registry } from "./policy.ts";

/** Docker's own name for Docker Hub: what `docker login` writes, and what the kubelet tries for a name without host. */
const dockerHubKey = "https://index.docker.io/v1/";

/**
 * Every spelling as the policy writes it, then the canonical form where that is another text (`h:443` is `h`),
 * without repeats.
 */
export function keyHostsOf({ spellings, hosts }: Pick<Registry, "spellings" | "hosts">): readonly string[] {
  const texts = new Set([...spellings, ...hosts]);
  if (texts.has("docker.io")) texts.add(dockerHubKey);
  return [...texts];
}
