// Makes CAs and the leaves that they sign, and reads certificates as plain facts. Keys are made off the loop by OpenSSL,
// since node-forge's own generation in JavaScript takes seconds; node-forge writes and signs the certificates. Decides
// nothing: when a certificate is due is domain/renewal.ts's to say.

import { createPrivateKey, generateKeyPair, randomBytes, X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { promisify } from "node:util";
import forge from "node-forge";
import { backdatingMs, type CertificateFacts } from "../domain/renewal.ts";

/** Both in PEM. */
export interface CertificateAndKey {
  readonly certificate: string;
  readonly key: string;
}

/** A certificate of a bundle: what it says, and itself. */
export interface BundledCertificate extends CertificateFacts {
  readonly pem: string;
}

export interface ReadBundle {
  /** In their order, each once. */
  readonly certificates: readonly BundledCertificate[];
  /** Something in it is no certificate; an API server then may take none of it. */
  readonly isSound: boolean;
}

export async function newCa(lifetimeMs: number, now: number): Promise<CertificateAndKey> {
  const keys = await rsaKeys();
  const ca = unsigned(keys.publicKey, { from: now, to: now + lifetimeMs, lifetimeMs });
  // A name of its own: where two CAs share one, OpenSSL may try the wrong one and look no further.
  const name = [{ name: "commonName", value: `Berth CA ${ca.serialNumber.slice(0, 12)}` }];
  ca.setSubject(name);
  ca.setIssuer(name);
  ca.setExtensions([
    // It signs leaves and no other CA.
    { name: "basicConstraints", cA: true, pathLenConstraint: 0, critical: true },
    { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
    { name: "subjectKeyIdentifier" },
  ]);
  return signed(ca, keys.privateKey, keys.privateKey);
}

/** A server's certificate for these DNS names and addresses; it does not outlive its CA. */
export async function newLeaf(
  ca: CertificateAndKey,
  names: readonly string[],
  lifetimeMs: number,
  now: number,
): Promise<CertificateAndKey> {
  const issuer = forge.pki.certificateFromPem(ca.certificate);
  const keys = await rsaKeys();
  const to = Math.min(now + lifetimeMs, issuer.validity.notAfter.getTime());
  const leaf = unsigned(keys.publicKey, { from: now, to, lifetimeMs });
  leaf.setSubject([{ name: "commonName", value: "berth" }]);
  leaf.setIssuer(issuer.subject.attributes);
  leaf.setExtensions([
    { name: "basicConstraints", cA: false, critical: true },
    { name: "keyUsage", digitalSignature: true, keyEncipherment: true, critical: true },
    { name: "extKeyUsage", serverAuth: true },
    {
      name: "subjectAltName",
      altNames: names.map((name) => (isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name })),
    },
    { name: "authorityKeyIdentifier", keyIdentifier: issuer.generateSubjectKeyIdentifier().getBytes() },
  ]);
  return signed(leaf, ca.key, keys.privateKey);
}

function signed(certificate: forge.pki.Certificate, signingKey: string, key: string): CertificateAndKey {
  certificate.sign(forge.pki.privateKeyFromPem(signingKey), forge.md.sha256.create());
  // node-forge ends lines as the first mailers did.
  return { certificate: forge.pki.certificateToPem(certificate).replaceAll("\r\n", "\n"), key };
}

/** 2048 bits: what everybody takes; a leaf lives for days. */
function rsaKeys(): Promise<{ publicKey: string; privateKey: string }> {
  return promisify(generateKeyPair)("rsa", {
    modulusLength: 2_048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
}

interface Life {
  readonly from: number;
  readonly to: number;
  readonly lifetimeMs: number;
}

function unsigned(publicKey: string, { from, to, lifetimeMs }: Life): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  certificate.serialNumber = serialNumberOf(randomBytes(16));
  certificate.validity.notBefore = new Date(from - backdatingMs(lifetimeMs));
  certificate.validity.notAfter = new Date(to);
  return certificate;
}

/**
 * Positive (RFC 5280, 4.1.2.2), and without a zero in front, which OpenSSL refuses as padding: the first byte is
 * from 0x40 to 0x7f.
 */
export function serialNumberOf(random: Uint8Array): string {
  const [first = 0, ...rest] = random;
  return Buffer.from([(first & 0x3f) | 0x40, ...rest]).toString("hex");
}

const pemBlock = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;
/** A bundle of ours has two or three; whatever else stands there is not worth reading on. */
const maxCertificates = 100;

/** Reads what can be read. An empty bundle is sound. */
export function readBundle(pem: string): ReadBundle {
  const blocks = [...pem.matchAll(pemBlock)].slice(0, maxCertificates).map(([block]) => block);
  const certificates = new Map<string, BundledCertificate>();
  let isSound = pem.replace(pemBlock, "").trim() === "";
  for (const block of blocks) {
    const read = readBlock(block);
    if (read === undefined) isSound = false;
    else certificates.set(read.id, read);
  }
  return { certificates: [...certificates.values()], isSound };
}

function readBlock(block: string): BundledCertificate | undefined {
  try {
    const {
      fingerprint256,
      validFromDate,
      validToDate,
      ca,
      subjectAltName = "",
    } = new X509Certificate(block);
    return {
      id: fingerprint256,
      validFrom: validFromDate.getTime(),
      validTo: validToDate.getTime(),
      isCa: ca,
      names: namesIn(subjectAltName),
      pem: `${block}\n`,
    };
  } catch {
    return undefined;
  }
}

/** `DNS:berth.svc, IP Address:127.0.0.1` → both, without what they are. */
function namesIn(subjectAltName: string): readonly string[] {
  const entries = subjectAltName.split(", ").filter((entry) => entry !== "");
  return entries.map((entry) => asWritten(entry.replace(/^(?:DNS|IP Address):/, "")));
}

/** OpenSSL shows IPv6 in full, `0:0:0:0:0:0:0:1`; people and URLs write it short. */
function asWritten(name: string): string {
  return isIP(name) === 6 ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name;
}

/** Whether this is the certificate's key, and one that node-forge can sign with. */
export function keyFits(certificatePem: string, keyPem: string): boolean {
  try {
    const key = createPrivateKey(keyPem);
    return key.asymmetricKeyType === "rsa" && new X509Certificate(certificatePem).checkPrivateKey(key);
  } catch {
    return false;
  }
}
