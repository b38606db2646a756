// Under which host texts a pull secret holds the login for a registry. The kubelet compares them as text, case and
// port included (kubernetes/pkg/credentialprovider/keyring.go), so that each spelling of a server needs its own.

import type { Registry } from "./policy.ts";

/**
 * Every spelling as the policy writes it, then the canonical form where that is another text (`h:443` is `h`),
 * without repeats.
 */
export function keyHostsOf({ spellings, hosts }: Pick<Registry, "spellings" | "hosts">): readonly string[] {
  return [...new Set([...spellings, ...hosts])];
}
