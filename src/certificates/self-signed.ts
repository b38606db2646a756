// A certificate made at start, for where nobody brings one: `--from`, the demo, development. Its CA lives as long
// as the process, and no key is ever written.

import { newCa, newLeaf } from "./authority.ts";

export interface IssuedCertificate {
  readonly certificate: string;
  readonly key: string;
  /** PEM of the CA that signed it, for `caBundle`. */
  readonly ca: string;
}

const lifetimeMs = 365 * 86_400_000;

/** A new CA and a server certificate of it for these DNS names and addresses. */
export async function selfSigned(names: readonly string[], now: number): Promise<IssuedCertificate> {
  const ca = await newCa(lifetimeMs, now);
  return { ...(await newLeaf(ca, names, lifetimeMs, now)), ca: ca.certificate };
}
