// What a 401 asks for: the WWW-Authenticate header of RFC 9110, of which one may hold several challenges.
//
//   header    = challenge *( "," challenge )
//   challenge = scheme [ SP ( token68 / param *( "," param ) ) ]
//   param     = token BWS "=" BWS ( token / quoted-string )
//
// Commas separate challenges and parameters alike, and stand inside quotes as well (`scope="repository:a:pull,push"`);
// what tells a scheme from a parameter is that no "=" follows it.

export interface Challenge {
  /** In lower case, as the names of the parameters are. */
  readonly scheme: string;
  readonly parameters: ReadonlyMap<string, string>;
}

/** No server needs more; Node itself stops at 16 kB for all headers. */
const maxHeaderLength = 8 * 1024;

/** What can be read of it: an odd part is passed over, since the server may be asking for the next one too. */
export function parseChallenges(header: string): readonly Challenge[] {
  const challenges: { scheme: string; parameters: Map<string, string> }[] = [];
  const text = header.slice(0, maxHeaderLength);
  for (const [, parameter, quoted, plain, scheme] of text.matchAll(part)) {
    if (scheme !== undefined) {
      challenges.push({ scheme: scheme.toLowerCase(), parameters: new Map() });
      continue;
    }
    const value = quoted === undefined ? plain : quoted.replace(/\\(.)/g, "$1");
    // The first counts: a second one of the same name is not to change what was read.
    const parameters = challenges.at(-1)?.parameters;
    const name = parameter?.toLowerCase();
    if (name !== undefined && value !== undefined && parameters?.has(name) === false) {
      parameters.set(name, value);
    }
  }
  return challenges;
}

const token = "[!#$%&'*+.^_`|~0-9A-Za-z-]+";
// A quotation that nobody closed ends with the header.
const quotation = `"((?:[^"\\\\]|\\\\.?)*)(?:"|$)`;
const part = new RegExp(
  `(${token})[ \\t]{0,8}=[ \\t]{0,8}(?:${quotation}|(${token}))|(${token})|${quotation}`,
  "g",
);
