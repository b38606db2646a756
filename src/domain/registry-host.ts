// When two spellings are the same server, and which hosts a registry's url and aliases claim. Everything is told
// from the text: no name is resolved, so that two addresses of one server are the same only where a policy says so.

import { isHostText, maxHostLength } from "./image-reference.ts";

/** Names of Docker Hub's one server: the first is from its early days, the second is where runtimes connect to. */
const dockerHubNames: ReadonlySet<string> = new Set(["index.docker.io", "registry-1.docker.io"]);

/**
 * One key for all spellings of a server, given the host of an image reference or of {@link isHost}: lower case,
 * numeric port, 443 dropped, IP addresses in one form. It names a key, not something to connect to.
 */
export function canonicalHost(host: string): string {
  const lowerCase = upperCase.test(host) ? host.replace(upperCases, lowerLetters) : host;
  const nameEnd = endOfName(lowerCase);
  const writtenName = lowerCase.slice(0, nameEnd);
  const writtenPort = lowerCase.slice(nameEnd + 1);
  const name = canonicalName(writtenName);
  const port = canonicalPort(writtenPort);
  if (port === "") return dockerHubNames.has(name) ? "docker.io" : name;
  return name === writtenName && port === writtenPort ? lowerCase : `${name}:${port}`;
}

/** Whether an image name can have this host, and there can be a server of it: an address or name, a port from 1 to 65535. */
export function isHost(text: string): boolean {
  if (text.length > maxHostLength || !isHostText(text)) return false;
  // WHATWG's parser knows what an address is, and that ports end at 65535.
  return URL.canParse(`https://${text}`) && canonicalPort(text.slice(endOfName(text) + 1)) !== "0";
}

/**
 * The hosts that a registry claims by its url, as an image name would spell them. A host without a port means 443
 * there whatever the scheme, so that an `http://` url without one claims port 80, and the bare host because that is
 * what people write. Empty if the text is no http(s) url or has a host that no image name can have.
 */
export function spellingsOfUrl(url: string): readonly string[] {
  const [, scheme = "", host = ""] = /^(https?):\/\/([^/?#]*)/i.exec(url) ?? [];
  if (!isHost(host)) return [];
  const hasPort = endOfName(host) < host.length;
  return scheme.toLowerCase() === "http" && !hasPort ? [`${host}:80`, host] : [host];
}

/** {@link spellingsOfUrl} as {@link canonicalHost} has them. */
export function hostsOfUrl(url: string): readonly string[] {
  return spellingsOfUrl(url).map(canonicalHost);
}

/** Where the name ends and the port, if there is one, begins with its colon. */
function endOfName(host: string): number {
  const lastColon = host.lastIndexOf(":");
  return lastColon > host.lastIndexOf("]") ? lastColon : host.length;
}

function canonicalName(name: string): string {
  if (bracketed.test(name)) return canonicalIpv6(name);
  if (!numeric.test(name) || dottedQuad.test(name)) return name;
  // `10.6.232.05`, `0x0a06e805`: where such a name is reached at all, the resolver reads it as C's inet_aton does,
  // and so does WHATWG's parser. Null if it is no address after all, for example `10.6.232.300`.
  return URL.parse(`http://${name}`)?.hostname ?? name;
}

function canonicalIpv6(name: string): string {
  const address = URL.parse(`http://${name}`)?.hostname ?? name;
  const [, high, low] = ipv4Mapped.exec(address) ?? [];
  return high === undefined || low === undefined
    ? address
    : dottedQuadOf(parseInt(high, 16), parseInt(low, 16));
}

/** Sockets connect to an IPv4-mapped address over IPv4: it is the same server. */
function dottedQuadOf(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}

function canonicalPort(port: string): string {
  const significant = port.startsWith("0") ? port.replace(leadingZeros, "") : port;
  return significant === "443" ? "" : significant;
}

// ASCII only: KELVIN SIGN must not become a "k".
const upperCase = /[A-Z]/;
const upperCases = /[A-Z]+/g;
const lowerLetters = (letters: string): string => letters.toLowerCase();

const leadingZeros = /^0+(?=.)/;
const bracketed = /^\[[0-9a-f:]+\]$/;
const numeric = /^[0-9][0-9a-fx.]*$/;
const dottedQuad = /^(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}$/;
const ipv4Mapped = /^\[::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})\]$/;
