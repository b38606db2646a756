// Says of a text whether it is the one that was meant, without showing it. No passwords: those need a slow digest.

import { createHash } from "node:crypto";

/** SHA-256 of the text's UTF-8, in hexadecimal. */
export function sha256(text: string): string {
  return createHash("sha256").update(text, "utf8").digest("hex");
}
