// A certificate authority for one control plane, made when it starts: it signs the API server's certificate and
// one for every person and program of a suite. Its keys live as long as the suite, in a temporary folder.

import { generateKeyPair, randomBytes } from "node:crypto";
import { promisify } from "node:util";
import forge from "node-forge";

export interface KeyPair {
  readonly certificatePem: string;
  readonly keyPem: string;
}

export interface Authority {
  readonly caPem: string;
  issueServer(): Promise<KeyPair>;
  /** Kubernetes reads the common name as the user and the organizations as the groups. */
  issueClient(user: string, groups: readonly string[]): Promise<KeyPair>;
}

const hourMs = 3_600_000;

export async function createAuthority(): Promise<Authority> {
  const ca = await newKeys();
  const caName = [{ name: "commonName", value: "berth test authority" }];
  const caCertificate = newCertificate(ca, caName, caName, [
    { name: "basicConstraints", cA: true, critical: true },
    { name: "keyUsage", keyCertSign: true, critical: true },
  ]);
  caCertificate.sign(ca.privateKey, forge.md.sha256.create());

  async function issue(subject: forge.pki.CertificateField[], extensions: object[]): Promise<KeyPair> {
    const keys = await newKeys();
    const certificate = newCertificate(keys, subject, caName, extensions);
    certificate.sign(ca.privateKey, forge.md.sha256.create());
    return { certificatePem: forge.pki.certificateToPem(certificate), keyPem: keys.privatePem };
  }

  return {
    caPem: forge.pki.certificateToPem(caCertificate),
    issueServer: () =>
      issue(
        [{ name: "commonName", value: "kube-apiserver" }],
        [{ name: "extKeyUsage", serverAuth: true }, serverNames],
      ),
    issueClient: (user, groups) =>
      issue(clientSubject(user, groups), [{ name: "extKeyUsage", clientAuth: true }]),
  };
}

const serverNames = {
  name: "subjectAltName",
  altNames: [
    { type: 7, ip: "127.0.0.1" },
    { type: 2, value: "localhost" },
    { type: 2, value: "kubernetes.default.svc" },
  ],
};

interface Keys {
  readonly privatePem: string;
  readonly privateKey: forge.pki.rsa.PrivateKey;
  readonly publicKey: forge.pki.PublicKey;
}

/** 2048 bits: the smallest that Go's TLS takes; made by OpenSSL, which is some fifty times faster than forge. */
export async function newKeyPems(): Promise<{ readonly privatePem: string; readonly publicPem: string }> {
  const { privateKey, publicKey } = await promisify(generateKeyPair)("rsa", {
    modulusLength: 2048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
  return { privatePem: privateKey, publicPem: publicKey };
}

async function newKeys(): Promise<Keys> {
  const { privatePem, publicPem } = await newKeyPems();
  return {
    privatePem,
    privateKey: forge.pki.privateKeyFromPem(privatePem),
    publicKey: forge.pki.publicKeyFromPem(publicPem),
  };
}

function newCertificate(
  keys: Keys,
  subject: forge.pki.CertificateField[],
  issuer: forge.pki.CertificateField[],
  extensions: object[],
): forge.pki.Certificate {
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = keys.publicKey;
  // A leading zero keeps the number positive.
  certificate.serialNumber = `00${randomBytes(16).toString("hex")}`;
  certificate.validity.notBefore = new Date(Date.now() - hourMs);
  certificate.validity.notAfter = new Date(Date.now() + 24 * hourMs);
  certificate.setSubject(subject);
  certificate.setIssuer(issuer);
  certificate.setExtensions(extensions);
  return certificate;
}

/** UTF-8, since Go refuses a PrintableString with an `@` or `_` in it. */
function clientSubject(user: string, groups: readonly string[]): forge.pki.CertificateField[] {
  const field = (name: string, value: string) => ({ name, value, valueTagClass: forge.asn1.Type.UTF8 });
  return [
    ...groups.map((group) => field("organizationName", group)),
    field("commonName", user),
  ] as unknown as forge.pki.CertificateField[];
}
