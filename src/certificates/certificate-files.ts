// A certificate that somebody else renews: two files, read again when they change. What cannot be used keeps the
// last good one in service.

import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { Log } from "../log.ts";
import { createLoop, type Stoppable } from "../loop.ts";

export interface CertificateFiles {
  readonly certificateFile: string;
  readonly keyFile: string;
}

export interface ReadCertificate {
  readonly certificate: string;
  readonly key: string;
}

/** Reads both files. Throws when they do not hold a certificate and its key. */
export async function readCertificateFiles({
  certificateFile,
  keyFile,
}: CertificateFiles): Promise<ReadCertificate> {
  const [certificate, key] = await Promise.all([
    readText("certificate", certificateFile),
    readText("private key", keyFile),
  ]);
  // Neither error of OpenSSL's parsers quotes what it read.
  let leaf: X509Certificate;
  try {
    leaf = new X509Certificate(certificate);
  } catch (err) {
    throw new Error(`${certificateFile}: expected a certificate in PEM`, { cause: err });
  }
  let matches: boolean;
  try {
    matches = leaf.checkPrivateKey(createPrivateKey(key));
  } catch (err) {
    throw new Error(`${keyFile}: expected a private key in PEM, without passphrase`, { cause: err });
  }
  if (!matches) throw new Error(`${keyFile}: this is not the key of the certificate in ${certificateFile}`);
  return { certificate, key };
}

async function readText(what: string, file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (err) {
    throw new Error(`read the ${what} in ${file}: ${err instanceof Error ? err.message : "failed"}`, {
      cause: err,
    });
  }
}

/** A certificate is renewed weeks before it ends; this is soon enough, and cheap. */
const lookEveryMs = 10_000;

export function watchCertificateFiles(
  files: CertificateFiles,
  inService: ReadCertificate,
  needs: {
    readonly log: Log;
    readonly onChange: (certificate: ReadCertificate) => void;
    readonly everyMs?: number;
  },
): Stoppable {
  const { log, onChange, everyMs = lookEveryMs } = needs;
  let current = inService;
  return createLoop({
    name: "certificate files",
    everyMs,
    log,
    async run() {
      const read = await readCertificateFiles(files);
      if (read.certificate === current.certificate && read.key === current.key) return;
      current = read;
      onChange(read);
      log.info(
        { file: files.certificateFile, until: new X509Certificate(read.certificate).validTo },
        "a new certificate is in service",
      );
    },
  });
}
