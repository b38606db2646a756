// Keeps the webhook's certificate and what the API server trusts. Every replica runs it, none leads: the CA is shared in a
// Secret, the leaf is this process's own, in memory. A round compares all with all, and may end between any two steps.
//
// The invariant: a leaf is served only when both webhook configurations have held its CA for a while, and they hold it
// for as long as somebody serves it. So a round
//   1. makes a CA where the one in the Secret is not good any more; the ones before stay in the Secret behind it,
//   2. writes into the configurations the CAs of the Secret and the one of its own leaf. What else stands there may be
//      needed by another replica, and stays for a grace period,
//   3. makes a leaf of the newest CA when that has stood in the configurations for a moment, since API servers learn of
//      it by a watch of their own; until then the CA of the leaf before signs on.
// A Secret that is deleted makes a new CA, so that is how a CA that became known is put out of use.

import {
  caRenewalReason,
  isSurelyExpired,
  leafRenewalReason,
  type CertificateFacts,
} from "../domain/renewal.ts";
import type { Log } from "../log.ts";
import { createLoop, type Loop } from "../loop.ts";

export interface CertificateAndKey {
  readonly certificate: string;
  readonly key: string;
}

export interface ServedLeaf extends CertificateAndKey {
  readonly facts: CertificateFacts;
  /** PEM of its CA. */
  readonly ca: string;
}

interface BundledCertificate extends CertificateFacts {
  readonly pem: string;
}

interface Signer extends BundledCertificate {
  readonly key: string;
}

/** What makes and reads certificates. */
export interface Authority {
  newCa(lifetimeMs: number, now: number): Promise<CertificateAndKey>;
  newLeaf(
    ca: CertificateAndKey,
    names: readonly string[],
    lifetimeMs: number,
    now: number,
  ): Promise<CertificateAndKey>;
  readBundle(pem: string): {
    readonly certificates: readonly BundledCertificate[];
    readonly isSound: boolean;
  };
  keyFits(certificatePem: string, keyPem: string): boolean;
}

interface Texts {
  readonly bundle: string;
  readonly key: string;
}

/** The Secret; `S` is the state of it that was read. */
export interface CaStore<S extends Texts> {
  read(signal: AbortSignal): Promise<S | undefined>;
  write(texts: Texts, read: S | undefined, signal: AbortSignal): Promise<"written" | "conflict">;
}

interface Configuration {
  readonly title: string;
  readonly bundles: readonly string[];
}

export interface ConfigurationStore<C extends Configuration> {
  read(signal: AbortSignal): Promise<readonly C[]>;
  write(configuration: C, bundle: string, signal: AbortSignal): Promise<"written" | "conflict">;
}

export interface CertificateNeeds<S extends Texts, C extends Configuration> {
  readonly secret: CaStore<S>;
  readonly configurations: ConfigurationStore<C>;
  readonly authority: Authority;
  /** For which names and addresses leaves are. */
  readonly names: readonly string[];
  readonly caLifetimeMs: number;
  readonly leafLifetimeMs: number;
  /** Whether it writes `caBundle`; otherwise it waits until somebody else has. */
  readonly keepsBundle: boolean;
  /** Brings a leaf into service. */
  readonly serve: (leaf: ServedLeaf) => void;
  readonly log: Log;
  readonly now: () => number;
}

export interface CertificateRounds {
  /** Resolves to how long the next look may wait at most; throws when the outside failed. */
  round(signal: AbortSignal): Promise<number>;
  /** What keeps it from going on as it should, in words. */
  problems(): readonly string[];
  /** PEM: of the CAs that it wants to be trusted, those that were at the last look. */
  trusted(): string;
  /** The CA that signs, once there is one. */
  ca(): CertificateFacts | undefined;
  /** The titles of the configurations that send something to us, as the last look found them. */
  inUse(): readonly string[] | undefined;
}

export interface Timing {
  /** From one look to the next. */
  readonly beatMs: number;
  /** For how long a CA stands in the configurations before it is relied on. */
  readonly settleMs: number;
}

/** What a round reads costs an API server a millisecond; so soon a machine that slept is right again. */
const maxBeatMs = 15_000;
/** An API server's own watch brings it a change within milliseconds, and within a second when it is busy. */
const maxSettleMs = 2_000;

/** All of it has its place in a small part of the last third of a life, however short that is. */
export function timingOf(caLifetimeMs: number, leafLifetimeMs: number): Timing {
  const shorterMs = Math.min(caLifetimeMs, leafLifetimeMs);
  return {
    beatMs: Math.min(maxBeatMs, shorterMs / 20),
    settleMs: Math.min(maxSettleMs, caLifetimeMs / 30),
  };
}

/** Two who write at the same moment: the second reads and finds its work done. More often it waits for the next beat. */
const triesARound = 3;
/**
 * Two replicas whose clocks differ by more than a CA's life would each replace what the other has made; this is how
 * fast. Whoever deletes the Secret twice in a row waits no longer for it.
 */
const minMsBetweenCas = 5_000;
/** More are there only after such a quarrel, and 1 MiB would be the end of the Secret. */
const maxCas = 10;
/**
 * What a configuration holds and the Secret does not may be the CA of another replica's leaf. That replica puts it back
 * at once if it goes, and takes a leaf of the new CA within a beat; twice that, and some, is enough.
 */
const graceBeats = 4;

export function createCertificateRounds<S extends Texts, C extends Configuration>(
  needs: CertificateNeeds<S, C>,
): CertificateRounds {
  const { secret, configurations, authority, log, now } = needs;
  const { beatMs, settleMs } = timingOf(needs.caLifetimeMs, needs.leafLifetimeMs);
  const graceMs = graceBeats * beatMs + settleMs;
  const heldForMs: Ages = new Map();
  const unwantedForMs: Ages = new Map();
  let leaf: (ServedLeaf & { readonly signer: Signer }) | undefined;
  let signing: Signer | undefined;
  let trusted = "";
  let lastLookAt: number | undefined;
  let lastMadeAt: number | undefined;
  let problems: readonly string[] = [];
  let inUse: readonly string[] | undefined;

  async function round(signal: AbortSignal): Promise<number> {
    try {
      return await compareAll(signal);
    } catch (err) {
      // A right that is missing, or an API server that is away, may last longer than a leaf.
      if (leaf !== undefined) await renewLeaf(leaf.signer);
      throw err;
    }
  }

  async function compareAll(signal: AbortSignal): Promise<number> {
    const shared = await ensureCa(signal);
    const elapsedMs = sinceLastLook();
    signing = shared.signer ?? signing;
    const wanted = wantedCas(shared);
    const found = await publish(wanted, elapsedMs, signal);
    tell(found);
    const isHeld = ({ id }: BundledCertificate): boolean =>
      found.every(({ bundles }) => bundles.every((bundle) => has(bundle.certificates, id)));
    const held = wanted.filter(isHeld);
    trusted = pemOf(held);
    age(heldForMs, held, elapsedMs);
    return ensureLeaf(shared.signer);
  }

  /**
   * A machine that slept, or whose clock was set, has not been looking meanwhile: nothing is older for that than a beat.
   */
  function sinceLastLook(): number {
    const at = now();
    const elapsedMs = Math.max(0, Math.min(at - (lastLookAt ?? at), beatMs));
    lastLookAt = at;
    return elapsedMs;
  }

  interface Shared {
    readonly cas: readonly BundledCertificate[];
    /** The first of them; undefined where none can sign for now. */
    readonly signer: Signer | undefined;
  }

  /** The CAs in the Secret, made good first where that is due and may be done now. */
  async function ensureCa(signal: AbortSignal): Promise<Shared> {
    let cas: readonly BundledCertificate[] = [];
    for (let tries = 1; tries <= triesARound; tries += 1) {
      const stored = await secret.read(signal);
      cas = authority.readBundle(stored?.bundle ?? "").certificates;
      const [newest] = cas;
      const key = stored?.key ?? "";
      const keyFits = newest !== undefined && authority.keyFits(newest.pem, key);
      const reason = caRenewalReason(stored && { certificate: newest, keyFits }, now());
      if (newest !== undefined && reason === undefined) return { cas, signer: { ...newest, key } };
      if (lastMadeAt !== undefined && Math.abs(now() - lastMadeAt) < minMsBetweenCas) break;

      const made = await authority.newCa(needs.caLifetimeMs, now());
      const before = cas.filter((ca) => isTrustworthy(ca)).slice(0, maxCas - 1);
      const texts = { bundle: made.certificate + pemOf(before), key: made.key };
      if ((await secret.write(texts, stored, signal)) === "written") {
        lastMadeAt = now();
        log.info({ reason, before: before.length }, "a new CA is in the Secret");
      } else log.debug({ reason }, "the Secret of the CA changed at the same moment, and is read again");
    }
    return { cas, signer: undefined };
  }

  /** The one that signs and the one of our own leaf first, so that no others can push them out. */
  function wantedCas({ signer, cas }: Shared): readonly BundledCertificate[] {
    const all = [signer, leaf?.signer, ...cas].filter((ca) => ca !== undefined);
    return uniqueById(all).filter((ca) => isTrustworthy(ca));
  }

  function isTrustworthy(certificate: BundledCertificate): boolean {
    return certificate.isCa && !isSurelyExpired(certificate, now());
  }

  interface Found {
    readonly configuration: C;
    /** One for each webhook of ours in it. */
    readonly bundles: readonly ReturnType<Authority["readBundle"]>[];
  }

  /** The configurations as they were found at last. */
  async function publish(
    wanted: readonly BundledCertificate[],
    elapsedMs: number,
    signal: AbortSignal,
  ): Promise<readonly Found[]> {
    let found = await look(signal);
    const others = () =>
      uniqueById(found.flatMap(({ bundles }) => bundles.flatMap(({ certificates }) => certificates))).filter(
        ({ id }) => !has(wanted, id),
      );
    age(unwantedForMs, others(), elapsedMs);
    const mayWrite = needs.keepsBundle && wanted.length > 0;
    for (let tries = 1; mayWrite && tries <= triesARound; tries += 1) {
      const kept = others().filter((ca) => isTrustworthy(ca) && (unwantedForMs.get(ca.id) ?? 0) < graceMs);
      const next = [...wanted, ...kept].slice(0, maxCas);
      const due = found.filter(({ bundles }) => !bundles.every((bundle) => isJust(bundle, next)));
      if (due.length === 0) break;
      for (const { configuration } of due) {
        const outcome = await configurations.write(configuration, pemOf(next), signal);
        const facts = { configuration: configuration.title, cas: next.length };
        if (outcome === "written") log.info(facts, "caBundle is renewed");
        else log.debug(facts, "the configuration changed at the same moment, and is read again");
      }
      found = await look(signal);
    }
    return found;
  }

  async function look(signal: AbortSignal): Promise<readonly Found[]> {
    const read = await configurations.read(signal);
    return read.map((configuration) => ({
      configuration,
      bundles: configuration.bundles.map((pem) => authority.readBundle(pem)),
    }));
  }

  async function ensureLeaf(newest: Signer | undefined): Promise<number> {
    const heldMs = newest && heldForMs.get(newest.id);
    const isSettled = heldMs !== undefined && heldMs >= settleMs;
    // Where the newest is not trusted everywhere yet, the one before signs on, from memory.
    const signer = isSettled ? newest : leaf?.signer;
    if (signer !== undefined) await renewLeaf(signer);
    if (newest === undefined) return Math.min(minMsBetweenCas, beatMs);
    return isSettled || heldMs === undefined ? beatMs : Math.min(settleMs - heldMs, beatMs);
  }

  async function renewLeaf(signer: Signer): Promise<void> {
    const { names, leafLifetimeMs } = needs;
    const serving = leaf && { certificate: leaf.facts, signedBy: leaf.signer.id };
    const reason = leafRenewalReason(serving, { names, ca: signer.id }, now());
    if (reason === undefined || now() >= signer.validTo) return;
    const ca = { certificate: signer.pem, key: signer.key };
    const made = await authority.newLeaf(ca, names, leafLifetimeMs, now());
    const [facts] = authority.readBundle(made.certificate).certificates;
    if (facts === undefined) throw new Error("make a certificate: expected one that can be read");
    leaf = { ...made, facts, ca: signer.pem, signer };
    needs.serve(leaf);
    log.info({ reason, until: new Date(facts.validTo).toISOString() }, "a new certificate is in service");
  }

  /** Each once, for as long as it lasts. */
  function tell(found: readonly Found[]): void {
    const told = problems;
    problems = problemsOf(found);
    inUse = found.flatMap(({ configuration, bundles }) => (bundles.length > 0 ? configuration.title : []));
    for (const problem of problems) if (!told.includes(problem)) log.warn({}, problem);
  }

  function problemsOf(found: readonly Found[]): readonly string[] {
    const titles = found.map(({ configuration }) => configuration.title);
    const pointless = found
      .filter(({ bundles }) => bundles.length === 0)
      .map(({ configuration }) => `no webhook in ${configuration.title} points at Berth`);
    if (found.length >= 2) return pointless;
    const there = titles.length === 0 ? "none of its webhook configurations is" : `only ${titles.join()} is`;
    return [...pointless, `${there} there: the API server does not ask Berth all that it should`];
  }

  return {
    round,
    problems() {
      const unserved =
        "no certificate is served yet: first its CA has to stand in the webhook configurations";
      return leaf === undefined ? [unserved, ...problems] : problems;
    },
    trusted: () => trusted,
    ca: () => signing,
    inUse: () => inUse,
  };
}

/** By id, for how long every look has found it so. */
type Ages = Map<string, number>;

function age(ages: Ages, present: readonly CertificateFacts[], byMs: number): void {
  for (const id of ages.keys()) if (!has(present, id)) ages.delete(id);
  for (const { id } of present) {
    const before = ages.get(id);
    ages.set(id, before === undefined ? 0 : before + byMs);
  }
}

export interface CertificateReconciler
  extends Omit<CertificateRounds, "round">, Pick<Loop, "wake" | "stop"> {}

/** Looks on the beat, when it is woken, and when something that it waits for is due. */
export function startCertificateReconciler<S extends Texts, C extends Configuration>(
  needs: CertificateNeeds<S, C>,
): CertificateReconciler {
  const rounds = createCertificateRounds(needs);
  let due: NodeJS.Timeout | undefined;
  const loop = createLoop({
    name: "certificates",
    everyMs: timingOf(needs.caLifetimeMs, needs.leafLifetimeMs).beatMs,
    log: needs.log,
    async run(signal) {
      clearTimeout(due);
      const waitMs = await rounds.round(signal);
      if (!signal.aborted) due = setTimeout(() => loop.wake(), waitMs);
    },
  });
  return {
    ...rounds,
    wake: () => loop.wake(),
    async stop() {
      await loop.stop();
      clearTimeout(due);
    },
  };
}

function uniqueById(cas: readonly BundledCertificate[]): readonly BundledCertificate[] {
  return [...new Map(cas.map((ca) => [ca.id, ca])).values()];
}

function has(certificates: readonly CertificateFacts[], id: string): boolean {
  return certificates.some((one) => one.id === id);
}

/** These and no others, and nothing that is none. */
function isJust(
  { certificates, isSound }: ReturnType<Authority["readBundle"]>,
  wanted: readonly CertificateFacts[],
): boolean {
  return isSound && certificates.length === wanted.length && wanted.every(({ id }) => has(certificates, id));
}

function pemOf(cas: readonly BundledCertificate[]): string {
  return cas.map(({ pem }) => pem).join("");
}
