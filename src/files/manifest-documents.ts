// The text of a manifest file, YAML or JSON, as the documents in it: plain values, and where each field sits in the
// file. It does not know what a Kubernetes object is.
//
// A file is one thing: its first fault makes all of it unusable, so that half a file never counts as a whole one.
// What it says about a fault never quotes the file, which may hold passwords.

import {
  Composer,
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  Parser,
  type Scalar,
  visit,
  type YAMLError,
  type YAMLMap,
} from "yaml";
import type { Position, TextOrigin } from "../domain/policy.ts";

/** `["metadata", "name"]`, `["items", 3, "kind"]`. */
export type FieldPath = readonly (string | number)[];

export interface ManifestDocument {
  readonly value: unknown;
  /** Where the field begins, or else the nearest one around it; null where nobody counted (large JSON). */
  readonly positionOf: (path: FieldPath) => Position | null;
  /** Where the text of a field begins, when the field is text. */
  readonly textOriginOf: (path: FieldPath) => TextOrigin | null;
}

export type ParsedText =
  | { readonly kind: "documents"; readonly documents: readonly ManifestDocument[] }
  | { readonly kind: "fault"; readonly position: Position | null; readonly text: string };

/**
 * Characters of YAML in one file. 10,000 Namespaces (as many as Kubernetes is tested with) of some 700 bytes, as
 * kubectl prints them, fit; they take about 4 s and half a gigabyte to parse, so more is asked for as JSON.
 */
export const maxYamlLength = 8 * 1024 * 1024;

/** Positions in JSON are found by reading it once more as YAML, at about half a second a mebibyte: not in dumps. */
const maxLengthToLocateJson = 1024 * 1024;

/** Kubernetes is tested with 150,000 pods in a cluster: the longest stream of objects there can be. */
const maxDocuments = 200_000;

/**
 * Aliases in one document: Helm output has a handful. Resolving them costs time with the square of their number,
 * and aliases of aliases are how a few lines of YAML become gigabytes.
 */
const maxAliases = 100;

/** Reads the documents of a file; empty ones (a comment between two `---`) are left out. */
export function parseDocuments(text: string): ParsedText {
  const plain = text.startsWith("\uFEFF") ? text.slice(1) : text;
  if (!/^\s*\{/.test(plain)) return parseYaml(plain);
  // Like kubectl: what begins with a brace is JSON if it can be, a stream of objects too, and YAML if not.
  const json = parseJson(plain);
  if (json) return json;
  const unlikeJson: ParsedText = { kind: "fault", position: null, text: "is not JSON that can be read" };
  const yaml = plain.length > maxYamlLength ? unlikeJson : parseYaml(plain);
  return yaml.kind === "fault" ? (jsonFault(plain) ?? yaml) : yaml;
}

function parseJson(text: string): ParsedText | undefined {
  const values = jsonValues(text);
  if (values === undefined) return undefined;
  if (values.length > maxDocuments) return tooManyDocuments;
  // Only a lone document is located; a second one would need its offset carried along, for the sake of a message.
  const locatable = values.length === 1 && text.length <= maxLengthToLocateJson;
  const locate = locatable ? locateJson(text) : nowhere;
  return { kind: "documents", documents: values.map((value) => ({ value, ...locate })) };
}

/** The JSON values that follow one another in a text; undefined when it is no JSON. */
function jsonValues(text: string): unknown[] | undefined {
  const values: unknown[] = [];
  let rest = text;
  while (values.length <= maxDocuments && /\S/.test(rest)) {
    const first = firstJsonValue(rest);
    if (first === undefined) return undefined;
    values.push(first.value);
    rest = rest.slice(first.length);
  }
  return values;
}

/** V8 says where a complete JSON value is followed by something else. */
function firstJsonValue(text: string): { value: unknown; length: number } | undefined {
  try {
    return { value: JSON.parse(text), length: text.length };
  } catch (err) {
    const match = /after JSON at position (\d+)/.exec(messageOf(err));
    if (!match) return undefined;
    const length = Number(match[1]);
    return { value: JSON.parse(text.slice(0, length)), length };
  }
}

type Locator = Pick<ManifestDocument, "positionOf" | "textOriginOf">;

const nowhere: Locator = { positionOf: () => null, textOriginOf: () => null };

/** JSON is YAML too, so the same nodes tell where a field is; parsed when somebody asks, which is rare. */
function locateJson(text: string): Locator {
  let known: Locator | undefined;
  function locator(): Locator {
    if (known) return known;
    const lines = new LineCounter();
    const [document] = composeDocuments(text, lines);
    known = document ? locateYaml(text, document, lines) : nowhere;
    return known;
  }
  return {
    positionOf: (path) => locator().positionOf(path),
    textOriginOf: (path) => locator().textOriginOf(path),
  };
}

function parseYaml(text: string): ParsedText {
  if (text.length > maxYamlLength) return { kind: "fault", position: null, text: tooLong };
  const lines = new LineCounter();
  const documents: ManifestDocument[] = [];
  try {
    for (const document of composeDocuments(text, lines)) {
      const fault = firstFault(document);
      if (fault) {
        return {
          kind: "fault",
          position: positionAt(lines, fault.offset),
          text: `is not YAML that can be read: ${fault.text}`,
        };
      }
      const value: unknown = document.toJS({ maxAliasCount: maxAliases });
      if (value === null) continue;
      if (documents.length === maxDocuments) return tooManyDocuments;
      documents.push({ value, ...locateYaml(text, document, lines) });
    }
  } catch (err) {
    // Nesting that outgrows the stack, or aliases of aliases.
    const found = err instanceof RangeError ? "it is nested too deeply" : "its aliases cannot be resolved";
    return { kind: "fault", position: null, text: `is not YAML that can be read: ${found}` };
  }
  return { kind: "documents", documents };
}

const tooLong =
  `is more than ${maxYamlLength / 1024 / 1024} MiB of YAML: split it, or give it as JSON ` +
  "(kubectl get … -o json), which may be larger";

/**
 * What V8 tells of a text that is neither JSON nor YAML: its positions are better for JSON, where YAML reads on over
 * a missing comma. Only those of its messages that do not quote the text are taken.
 */
function jsonFault(text: string): Extract<ParsedText, { kind: "fault" }> | undefined {
  const message = jsonErrorMessage(text);
  const cut = message.includes("end of JSON input");
  const match = /^([^"]*) in JSON at position (\d+)/.exec(message);
  if (!cut && !match) return undefined;
  const before = text.slice(0, cut ? text.length : Number(match?.[2])).split("\n");
  const position = { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
  const found = cut ? "it ends in the middle" : match?.[1];
  return { kind: "fault", position, text: `is not JSON that can be read: ${found ?? ""}` };
}

function jsonErrorMessage(text: string): string {
  try {
    JSON.parse(text);
    return "";
  } catch (err) {
    return messageOf(err);
  }
}

function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : "";
}

const tooManyDocuments: ParsedText = {
  kind: "fault",
  position: null,
  text: `holds more than ${maxDocuments} documents`,
};

/**
 * `stringKeys`, because mappings as keys stall the parser for seconds; the parser's own check for keys that occur
 * twice takes time with the square of their number, so {@link firstFault} does it.
 */
function composeDocuments(text: string, lines: LineCounter): Iterable<Document> {
  const composer = new Composer({ stringKeys: true, prettyErrors: false, uniqueKeys: false, merge: true });
  return composer.compose(new Parser(lines.addNewLine).parse(text));
}

interface Fault {
  readonly offset: number;
  readonly text: string;
}

function firstFault(document: Document): Fault | undefined {
  const [error] = document.errors;
  if (error) return { offset: error.pos[0], text: faultText(error) };
  let fault: Fault | undefined;
  let aliases = 0;
  const anchors = new Set<string>();
  visit(document, (_key, node, ancestors) => {
    if (isAlias(node)) {
      aliases += 1;
      const text = aliasFault(node.source, anchors, ancestors, aliases);
      fault = text === undefined ? undefined : { offset: startOf(node), text };
    } else if (isNode(node)) {
      if (node.anchor !== undefined) anchors.add(node.anchor);
      if (isMap(node)) fault = repeatedKey(node);
    }
    return fault ? visit.BREAK : undefined;
  });
  return fault;
}

function aliasFault(
  anchor: string,
  anchorsBefore: ReadonlySet<string>,
  ancestors: readonly unknown[],
  aliases: number,
): string | undefined {
  if (aliases > maxAliases) return `more than ${maxAliases} aliases`;
  if (!anchorsBefore.has(anchor)) return "an alias has no anchor before it";
  const isInItself = ancestors.some(
    (around) => isNode(around) && !isAlias(around) && around.anchor === anchor,
  );
  return isInItself ? "an alias stands inside what it stands for" : undefined;
}

/** The parser's messages quote the file after a colon, and in the texts on escapes and tags. */
function faultText(error: YAMLError): string {
  if (error.code === "BAD_DQ_ESCAPE") return "there is an invalid escape sequence in double quotes";
  if (error.code === "TAG_RESOLVE_FAILED")
    return "there is an unknown tag: put text that begins with ! in quotes";
  if (error.code === "RESOURCE_EXHAUSTION") return "it is nested too deeply";
  return error.message.split(": ")[0] ?? error.code;
}

function repeatedKey(map: YAMLMap): Fault | undefined {
  const keys = new Set<unknown>();
  for (const { key } of map.items) {
    if (!isScalar(key)) continue;
    if (keys.has(key.value)) return { offset: startOf(key), text: "a key occurs twice in one mapping" };
    keys.add(key.value);
  }
  return undefined;
}

function locateYaml(text: string, document: Document, lines: LineCounter): Locator {
  return {
    positionOf: (path) => {
      for (let length = path.length; length >= 0; length -= 1) {
        const node = nodeAt(document, path.slice(0, length));
        if (node?.range) return positionAt(lines, startOf(node));
      }
      return null;
    },
    textOriginOf: (path) => {
      const found = nodeAt(document, path);
      const node = isAlias(found) ? found.resolve(document) : found;
      return isScalar(node) && typeof node.value === "string" ? originOf(text, node, lines) : null;
    },
  };
}

function nodeAt(document: Document, path: FieldPath): Node | undefined {
  const node: unknown = path.length === 0 ? document.contents : document.getIn(path, true);
  return isNode(node) ? node : undefined;
}

/**
 * A block's text begins on the line after its header (`|`, `>-`, `|2+`). A literal's lines are those of the file
 * less their common indentation, so the column is where what is left begins; quoted and plain text begins where
 * the scalar does.
 */
function originOf(text: string, scalar: Scalar, lines: LineCounter): TextOrigin | null {
  if (!scalar.range) return null;
  const header = positionAt(lines, scalar.range[0]);
  const isBlock = scalar.type === "BLOCK_LITERAL" || scalar.type === "BLOCK_FOLDED";
  if (!isBlock || scalar.value === "") return { ...header, literal: false };
  const [, ...sourceLines] = text.slice(scalar.range[0], scalar.range[1]).split("\n");
  const literal = scalar.type === "BLOCK_LITERAL";
  return { line: header.line + 1, column: blockIndent(sourceLines, String(scalar.value)) + 1, literal };
}

/** How far the block is indented: spaces of its first line that is not blank, less those that are part of the text. */
function blockIndent(sourceLines: readonly string[], value: string): number {
  const source = sourceLines.find((line) => line.trim() !== "") ?? "";
  const kept = value.split("\n").find((line) => line.trim() !== "") ?? "";
  return leadingSpaces(source) - leadingSpaces(kept);
}

function leadingSpaces(line: string): number {
  return line.length - line.replace(/^ +/, "").length;
}

function startOf(node: Node): number {
  return node.range?.[0] ?? 0;
}

function positionAt(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}
