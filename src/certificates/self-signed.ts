// A certificate made at start, for where nobody brings one: `--from`, the demo, development. Its CA lives as long
// as the process, and no key is ever written.

import { generateKeyPair, randomBytes } from "node:crypto";
import { isIP } from "node:net";
import { promisify } from "node:util";
import forge from "node-forge";

export interface IssuedCertificate {
  readonly certificate: string;
  readonly key: string;
  /** PEM of the CA that signed it, for `caBundle`. */
  readonly ca: string;
}

const lifetimeDays = 365;
/** A peer whose clock is behind by less than this trusts a certificate made now. */
const clockSkewMs = 5 * 60_000;

/** A new CA and a server certificate of it for these DNS names and addresses. */
export async function selfSigned(names: readonly string[], now: number): Promise<IssuedCertificate> {
  const [caKeys, leafKeys] = await Promise.all([rsaKeys(), rsaKeys()]);
  const caName = [{ name: "commonName", value: "Berth self-signed CA" }];
  const ca = unsigned(caKeys.publicKey, now);
  ca.setSubject(caName);
  ca.setIssuer(caName);
  ca.setExtensions([
    { name: "basicConstraints", cA: true, critical: true },
    { name: "keyUsage", keyCertSign: true, cRLSign: true, critical: true },
  ]);
  ca.sign(forge.pki.privateKeyFromPem(caKeys.privateKey), forge.md.sha256.create());

  const leaf = unsigned(leafKeys.publicKey, now);
  leaf.setSubject([{ name: "commonName", value: "berth" }]);
  leaf.setIssuer(caName);
  leaf.setExtensions([
    { name: "basicConstraints", cA: false, critical: true },
    { name: "keyUsage", digitalSignature: true, keyEncipherment: true, critical: true },
    { name: "extKeyUsage", serverAuth: true },
    {
      name: "subjectAltName",
      altNames: names.map((name) => (isIP(name) === 0 ? { type: 2, value: name } : { type: 7, ip: name })),
    },
  ]);
  leaf.sign(forge.pki.privateKeyFromPem(caKeys.privateKey), forge.md.sha256.create());
  return {
    certificate: forge.pki.certificateToPem(leaf),
    key: leafKeys.privateKey,
    ca: forge.pki.certificateToPem(ca),
  };
}

/** Made off the loop by OpenSSL: node-forge's own generation in JavaScript takes seconds. */
function rsaKeys(): Promise<{ publicKey: string; privateKey: string }> {
  return promisify(generateKeyPair)("rsa", {
    modulusLength: 2_048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
}

function unsigned(publicKey: string, now: number): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(publicKey);
  certificate.serialNumber = serialNumberOf(randomBytes(16));
  certificate.validity.notBefore = new Date(now - clockSkewMs);
  certificate.validity.notAfter = new Date(now + lifetimeDays * 86_400_000);
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
