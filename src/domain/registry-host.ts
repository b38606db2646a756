/** One key for all spellings of a server: lower case, numeric port, 443 dropped, IPv6 in one form. */
export function canonicalHost(_host: string): string {
  throw new Error("to be written");
}
