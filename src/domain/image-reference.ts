// Reads and prints image references by the grammar that container runtimes use (github.com/distribution/reference),
// and says what they resolve to. Nothing is trimmed, lower-cased or decoded before the grammar has accepted the
// text. Which server a host is, and what a repository means to a registry, is decided elsewhere.
//
//   reference = name [ ":" tag ] [ "@" digest ]
//   name      = [ host "/" ] path
//   host      = ( label *( "." label ) / "[" 1*( HEX / ":" ) "]" ) [ ":" 1*DIGIT ]
//   label     = ALNUM [ *( ALNUM / "-" ) ALNUM ]
//   path      = element *( "/" element )                ; at most 255 characters
//   element   = 1*LOWER *( separator 1*LOWER )          ; LOWER = "a"-"z" / "0"-"9"
//   separator = "." / "_" / "__" / 1*"-"
//   tag       = WORD *127( WORD / "." / "-" )           ; WORD = ALNUM / "_"
//   digest    = algorithm ":" 32*HEX                    ; then exactly the hex of sha256, sha384 or sha512, in lower case
//   algorithm = ALPHA *ALNUM *( ( "+" / "." / "-" / "_" ) ALPHA *ALNUM )
//
// The text before the first "/" is a host if it is "localhost" or holds ".", ":" or an upper-case letter; otherwise,
// and without a "/", the host is docker.io, where a path of one element gains "library/". Each rule reads one
// character ahead and never goes back, so that the time is linear in the text.
//
// Three readings differ from the grammar, each because of what runtimes do with the text:
// - A digest as the whole text is an image id, though by the grammar `sha256` is a repository and the hex its tag.
//   containerd looks for a local image of that id first, for every algorithm that it knows, and runs it unasked.
//   The beginning of a digest, `sha256:e6`, is one too: it takes it for the only local image whose id begins so.
// - A first element with a dot and an inner "_" is a host. By the grammar it is a path without host, but a runtime
//   connects to whatever is before the first "/".
// - A text longer than any that a runtime could pull is malformed: see `maxReferenceLength`.

export interface ImageReference {
  /** As written, case and port included; `docker.io` where none is written. */
  readonly host: string;
  /** Path without host, for example `library/nginx`. */
  readonly repository: string;
  readonly tag: string | null;
  /** `sha256:<hex>` and the like. */
  readonly digest: string | null;
}

/** Why a text is not an image reference; the names are those of the test vectors. */
export type Malformation = "format" | "uppercase" | "length" | "digest" | "unsupported-digest" | "identifier";

export type ParsedImage =
  | { readonly kind: "reference"; readonly reference: ImageReference }
  /** A digest, or the beginning of one, as the whole text: container runtimes run a local image of that id. */
  | { readonly kind: "image-id" }
  | { readonly kind: "malformed"; readonly malformation: Malformation };

/** A DNS name as text (RFC 1035: 255 octets on the wire, 253 without length and root octets), ":" and a port. */
export const maxHostLength = 253 + 1 + 5;
const maxRepositoryLength = 255;
const maxTagLength = 128;
const maxDigestLength = "sha512:".length + 128;
/**
 * 780. The grammar bounds neither a host nor the zeros before a port, but a host longer than DNS allows cannot be
 * reached; what is refused here could be pulled by nobody (or only with a hundred zeros before the port).
 */
export const maxReferenceLength =
  maxHostLength + 1 + maxRepositoryLength + 1 + maxTagLength + 1 + maxDigestLength;

const dockerHub = "docker.io";
/** Folded into `docker.io` while parsing, as the only host that is. */
const legacyDockerHub = "index.docker.io";

export function parseImageReference(text: string): ParsedImage {
  if (text.length > maxReferenceLength) return { kind: "malformed", malformation: "length" };
  if (isImageId(text)) return { kind: "image-id" };
  if (isIdentifier(text)) return { kind: "malformed", malformation: "identifier" };
  const read = readReference(text);
  if (typeof read !== "string") return { kind: "reference", reference: read };
  return { kind: "malformed", malformation: malformationOf(text, read) };
}

/** `host/repository[:tag][@digest]`, with host and `library/` written out and nothing else added or dropped. */
export function printImageReference({ host, repository, tag, digest }: ImageReference): string {
  return `${host}/${repository}${tag === null ? "" : `:${tag}`}${digest === null ? "" : `@${digest}`}`;
}

/** What containerd resolves: a digest displaces the tag, and where neither is written the tag is `latest`. */
export function canonicalImageReference(reference: ImageReference): string {
  const tag = reference.digest === null ? (reference.tag ?? "latest") : null;
  return printImageReference({ ...reference, tag });
}

/** Whether the grammar lets `text` be the host of a reference, the reading of hosts with an inner "_" included. */
export function isHostText(text: string): boolean {
  return isDomain(text, text.length) || (text.includes(".") && endOfElement(text, 0) === text.length);
}

/** A repository as registries list it, without host: whether the grammar lets `text` be the path of a reference. */
export function isRepositoryText(text: string): boolean {
  return text.length <= maxRepositoryLength && endOfPath(text, 0) === text.length;
}

/** Whether the grammar lets `text` be the tag of a reference. */
export function isTagText(text: string): boolean {
  return text.length <= maxTagLength && endOfTag(`:${text}`, 0) === text.length + 1;
}

/** Whether `text` is a digest that a reference may end with. */
export function isDigestOfImage(text: string): boolean {
  return isSupportedDigest(text, 0);
}

function readReference(text: string): ImageReference | Malformation {
  const firstSlash = text.indexOf("/");
  const hostEnd = firstSlash > 0 && namesHost(text, firstSlash) ? firstSlash : 0;
  const hostHasUnderscore = hostEnd > 0 && !isDomain(text, hostEnd);
  if (hostHasUnderscore && endOfElement(text, 0) !== hostEnd) return "format";

  const pathStart = hostEnd === 0 ? 0 : hostEnd + 1;
  const pathEnd = endOfPath(text, pathStart);
  if (pathEnd === nowhere) return "format";
  const tagEnd = endOfTag(text, pathEnd);
  if (tagEnd === nowhere) return "format";
  const hasDigest = tagEnd < text.length;
  if (hasDigest && text.charCodeAt(tagEnd) !== at) return "format";
  const digestStart = tagEnd + 1;
  const digestIsGood = !hasDigest || isSupportedDigest(text, digestStart);
  if (!digestIsGood && !isDigestText(text, digestStart)) return "format";

  const writtenHost = hostEnd === 0 ? dockerHub : text.slice(0, hostEnd);
  const host = writtenHost === legacyDockerHub ? dockerHub : writtenHost;
  const path = text.slice(pathStart, pathEnd);
  const repository = host === dockerHub && !path.includes("/") ? `library/${path}` : path;
  // To the runtimes' parser a host with "_" is part of the path, and counts with it.
  const countedLength = hostHasUnderscore ? pathEnd : repository.length;
  if (countedLength > maxRepositoryLength) return "length";
  if (!digestIsGood) return digestMalformation(text, digestStart);
  return {
    host,
    repository,
    tag: tagEnd === pathEnd ? null : text.slice(pathEnd + 1, tagEnd),
    digest: hasDigest ? text.slice(digestStart) : null,
  };
}

/**
 * The class that the runtimes' parser reports: it looks for upper case before all else, and blames it too for a
 * text that its lower-case form would mend. Only refused texts come here.
 */
function malformationOf(text: string, found: Malformation): Malformation {
  const firstSlash = text.indexOf("/");
  const afterHost = firstSlash > 0 && namesHost(text, firstSlash) ? text.slice(firstSlash + 1) : text;
  const [beforeColon = ""] = afterHost.split(":", 1);
  if (beforeColon !== beforeColon.toLowerCase()) return "uppercase";
  if (found !== "format") return found;
  return readReference(text.toLowerCase()) === "format" ? "format" : "uppercase";
}

/** A character beyond ASCII is in no name; taken for a host's, it leads to the malformation that runtimes report. */
function namesHost(text: string, end: number): boolean {
  for (let index = 0; index < end; index += 1) {
    const code = text.charCodeAt(index);
    if (code === dot || code === colon || code > lastAscii || isIn(code, upper)) return true;
  }
  return end === "localhost".length && text.startsWith("localhost");
}

/** Whether the text up to `end`, where it ends or has a "/", is a host of the grammar. */
function isDomain(text: string, end: number): boolean {
  const nameEnd = text.charCodeAt(0) === openBracket ? endOfAddress(text) : endOfDomainName(text);
  if (nameEnd === nowhere || nameEnd === end) return nameEnd === end;
  const portStart = nameEnd + 1;
  return text.charCodeAt(nameEnd) === colon && portStart < end && endOfRun(text, portStart, digit) === end;
}

function endOfAddress(text: string): number {
  const end = endOfRun(text, 1, hex | colonClass);
  return end > 1 && text.charCodeAt(end) === closeBracket ? end + 1 : nowhere;
}

function endOfDomainName(text: string): number {
  let end = endOfLabel(text, 0);
  while (end !== nowhere && text.charCodeAt(end) === dot) end = endOfLabel(text, end + 1);
  return end;
}

function endOfLabel(text: string, from: number): number {
  const end = endOfRun(text, from, lower | upper | digit | dash);
  const bounded = end > from && !isIn(text.charCodeAt(from), dash) && !isIn(text.charCodeAt(end - 1), dash);
  return bounded ? end : nowhere;
}

function endOfPath(text: string, from: number): number {
  let end = endOfElement(text, from);
  while (end !== nowhere && text.charCodeAt(end) === slash) end = endOfElement(text, end + 1);
  return end;
}

function endOfElement(text: string, from: number): number {
  let end = endOfRun(text, from, lower | digit);
  if (end === from) return nowhere;
  for (;;) {
    const separatorEnd = endOfSeparator(text, end);
    if (separatorEnd === end) return end;
    end = endOfRun(text, separatorEnd, lower | digit);
    if (end === separatorEnd) return nowhere;
  }
}

/** `from` itself where there is no separator. */
function endOfSeparator(text: string, from: number): number {
  const code = text.charCodeAt(from);
  if (code === dot) return from + 1;
  if (code === underscore) return text.charCodeAt(from + 1) === underscore ? from + 2 : from + 1;
  return endOfRun(text, from, dash);
}

/** `from` itself where there is no tag. */
function endOfTag(text: string, from: number): number {
  if (text.charCodeAt(from) !== colon) return from;
  const start = from + 1;
  const end = endOfRun(text, start, lower | upper | digit | dash | dotClass | underscoreClass);
  const startsWithWord = end > start && !isIn(text.charCodeAt(start), dash | dotClass);
  return startsWithWord && end - start <= maxTagLength ? end : nowhere;
}

function isDigestText(text: string, from: number): boolean {
  let end = from;
  do {
    const start = end === from ? from : end + 1;
    if (!isIn(text.charCodeAt(start), lower | upper)) return false;
    end = endOfRun(text, start, lower | upper | digit);
  } while (isIn(text.charCodeAt(end), plus | dotClass | dash | underscoreClass));
  const hexStart = end + 1;
  if (text.charCodeAt(end) !== colon || text.length - hexStart < 32) return false;
  return endOfRun(text, hexStart, hex) === text.length;
}

/** Whether the text from there to its end is a digest of an algorithm that runtimes have built in. */
function isSupportedDigest(text: string, from: number): boolean {
  const hexStart = from + "sha256:".length;
  switch (text.length - hexStart) {
    case 64:
      return text.startsWith("sha256:", from) && isLowerHexToEnd(text, hexStart);
    case 96:
      return text.startsWith("sha384:", from) && isLowerHexToEnd(text, hexStart);
    case 128:
      return text.startsWith("sha512:", from) && isLowerHexToEnd(text, hexStart);
    default:
      return false;
  }
}

/** Why a text that has a digest's form is none: an algorithm in upper case is no name of an algorithm at all. */
function digestMalformation(text: string, from: number): Malformation {
  const algorithm = text.slice(from, text.indexOf(":", from));
  const isKnown = algorithm === "sha256" || algorithm === "sha384" || algorithm === "sha512";
  return isKnown || algorithm !== algorithm.toLowerCase() ? "digest" : "unsupported-digest";
}

/** Of any length: what is longer than a digest is no reference that anybody needs. */
function isImageId(text: string): boolean {
  const hexStart = "sha256:".length;
  const hasAlgorithm = text.startsWith("sha256:") || text.startsWith("sha384:") || text.startsWith("sha512:");
  return hasAlgorithm && text.length > hexStart && isLowerHexToEnd(text, hexStart);
}

/** The hex of a sha256 alone: runtimes refuse it, since it could be meant as an image id. */
function isIdentifier(text: string): boolean {
  return text.length === 64 && isLowerHexToEnd(text, 0);
}

function isLowerHexToEnd(text: string, from: number): boolean {
  return endOfRun(text, from, digit | lowerHexLetter) === text.length;
}

/** The first index, from `from` on, whose character is in none of the classes; the text's length if there is none. */
function endOfRun(text: string, from: number, classes: number): number {
  let end = from;
  while (end < text.length && isIn(text.charCodeAt(end), classes)) end += 1;
  return end;
}

function isIn(code: number, classes: number): boolean {
  return code <= lastAscii && ((classesOf[code] ?? 0) & classes) !== 0;
}

/** What an `endOf…` function returns where its rule does not match. */
const nowhere = -1;

const lastAscii = 127;
const dot = 46;
const slash = 47;
const colon = 58;
const at = 64;
const openBracket = 91;
const closeBracket = 93;
const underscore = 95;

// Character classes, one bit each.
const digit = 1;
const lower = 2;
const upper = 4;
const lowerHexLetter = 8;
const upperHexLetter = 16;
const dash = 32;
const dotClass = 64;
const underscoreClass = 128;
const colonClass = 256;
const plus = 512;
const hex = digit | lowerHexLetter | upperHexLetter;

const classesOf = characterClasses([
  ["0123456789", digit],
  ["abcdefghijklmnopqrstuvwxyz", lower],
  ["ABCDEFGHIJKLMNOPQRSTUVWXYZ", upper],
  ["abcdef", lowerHexLetter],
  ["ABCDEF", upperHexLetter],
  ["-", dash],
  [".", dotClass],
  ["_", underscoreClass],
  [":", colonClass],
  ["+", plus],
]);

function characterClasses(rows: readonly (readonly [characters: string, bit: number])[]): Uint16Array {
  const classes = new Uint16Array(lastAscii + 1);
  for (const [characters, bit] of rows) {
    for (const character of characters) {
      const code = character.charCodeAt(0);
      classes[code] = (classes[code] ?? 0) | bit;
    }
  }
  return classes;
}
