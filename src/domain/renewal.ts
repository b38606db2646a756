// Must this certificate be replaced at this moment, and why. Every judgement is its reason, the same words for the log
// and the test. Knows no PEM and makes no certificate: it is given facts.
//
// All times are milliseconds since 1970, by the clock of whoever asks: no timer says that a certificate is due, so that a
// machine that slept, or whose clock was set, is right again at its next look.

export interface CertificateFacts {
  /** Tells it from every other certificate. */
  readonly id: string;
  readonly validFrom: number;
  readonly validTo: number;
  readonly isCa: boolean;
  /** DNS names and addresses. */
  readonly names: readonly string[];
}

/** The newest CA of those that are shared, as far as it can be read. */
export interface CaFacts {
  readonly certificate: CertificateFacts | undefined;
  /** Whether the private key beside it is its own, and one that leaves can be signed with. */
  readonly keyFits: boolean;
}

export interface LeafFacts {
  readonly certificate: CertificateFacts;
  /** The {@link CertificateFacts.id} of the CA that signed it. */
  readonly signedBy: string;
}

export interface WantedLeaf {
  readonly names: readonly string[];
  /** The {@link CertificateFacts.id} of the CA that signs from now on. */
  readonly ca: string;
}

/** Why a CA has to be made; `undefined` where the one there is goes on. `ca` is undefined where nothing is stored. */
export function caRenewalReason(ca: CaFacts | undefined, at: number): string | undefined {
  if (ca === undefined) return "there is none";
  const { certificate, keyFits } = ca;
  if (certificate === undefined) return "its certificate cannot be read";
  if (!certificate.isCa) return "its certificate is not that of a CA";
  if (!keyFits) return "its private key is missing, cannot be read, or is another certificate's";
  return lifeReason(certificate, at);
}

/** Why a leaf has to be made; `undefined` where the one in service goes on. */
export function leafRenewalReason(
  leaf: LeafFacts | undefined,
  wanted: WantedLeaf,
  at: number,
): string | undefined {
  if (leaf === undefined) return "there is none";
  const missing = wanted.names.filter((name) => !leaf.certificate.names.includes(name));
  if (missing.length > 0) return `it is not for ${missing.join(", ")}`;
  if (leaf.signedBy !== wanted.ca) return "another CA signs now than the one that signed it";
  return lifeReason(leaf.certificate, at);
}

function lifeReason({ validFrom, validTo }: CertificateFacts, at: number): string | undefined {
  if (at >= validTo) return "it has expired";
  // Made by a clock that was ahead, of this machine or another; or ours was set back.
  if (at < validFrom) return "it is not valid yet";
  return at >= renewalTime({ validFrom, validTo }) ? "two thirds of its life are over" : undefined;
}

/** The last third is for whatever keeps the next one from being made: for a year's CA that is four months. */
export function renewalTime({ validFrom, validTo }: Pick<CertificateFacts, "validFrom" | "validTo">): number {
  return validFrom + (2 / 3) * (validTo - validFrom);
}

/** Clocks of machines in one cluster differ by seconds; an hour also covers a time zone that was set wrong by one. */
const maxBackdatingMs = 3_600_000;

/**
 * A certificate is valid from so long before it is made, so that a machine whose clock is behind takes it. Of one that
 * lives for minutes no more than a tenth: else its last third would be over before it began.
 */
export function backdatingMs(lifetimeMs: number): number {
  return Math.min(maxBackdatingMs, lifetimeMs / 10);
}

/** By any clock of the cluster; before that it may still be needed by somebody whose clock is behind ours. */
export function isSurelyExpired({ validFrom, validTo }: CertificateFacts, at: number): boolean {
  return at >= validTo + backdatingMs(validTo - validFrom);
}
