// Certificates for development: a CA and a server certificate for the names given, into this folder or the one that
// `--into` names. Nothing of it is ever committed; in a cluster Berth makes its own, see README.md.

import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { selfSigned } from "../src/certificates/self-signed.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { into: { type: "string", default: import.meta.dirname } },
});
const names = positionals.length > 0 ? positionals : ["localhost", "127.0.0.1", "::1"];
const { certificate, key, ca } = await selfSigned(names, Date.now());

await mkdir(values.into, { recursive: true });
const file = (name: string) => join(values.into, name);
// The mode counts only where the file is new.
await writeFile(file("tls.key"), "", { mode: 0o600 });
await chmod(file("tls.key"), 0o600);
await writeFile(file("tls.key"), key);
await writeFile(file("tls.crt"), certificate);
await writeFile(file("ca.crt"), ca);
process.stdout.write(`${file("tls.crt")}, tls.key and ca.crt: for ${names.join(", ")}, for a year\n`);
