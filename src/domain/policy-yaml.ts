// One policy document's text → plain values that know where they stand, or why it cannot be read. Everything that
// YAML allows and a policy has no use for ends here, before it costs time. What the values mean is not judged here.

import {
  CST,
  Composer,
  type Document,
  type ErrorCode,
  Lexer,
  LineCounter,
  Parser,
  type ScalarTag,
  type YAMLError,
  isMap,
  isNode,
  isScalar,
  isSeq,
} from "yaml";
import type { Position } from "./policy.ts";
import { type DocumentProblem, listed, maxListedProblems, printable, shown } from "./policy-problem.ts";

/** A ConfigMap holds at most 1 MiB, all keys together, and a text is never longer in UTF-16 units than in bytes. */
export const maxTextLength = 1024 * 1024;

/**
 * Words and punctuation of a document, blanks and line ends included. A binding of two spaces takes 15 to 50, so
 * there is room for some 3,000 to 9,000 of them; reading that many takes a quarter of a second. The costliest text
 * of this size is one that is nothing but mistakes, each an error object of 10 µs or more: one or two seconds.
 */
export const maxLexemes = 150_000;

/**
 * Open collections at a time. A policy needs six: document, bindings, a binding, its spaces, a space, a value.
 * Some of what the parser does with nested collections takes time with the square of the depth, and stacks end.
 */
export const maxDepth = 32;

export type YamlReading =
  | { readonly kind: "read"; readonly yaml: YamlText }
  | { readonly kind: "unreadable"; readonly problems: readonly DocumentProblem[] };

export type Path = readonly PropertyKey[];

export interface YamlText {
  /** Plain maps, lists, texts, numbers, booleans and nulls. */
  readonly value: unknown;
  /** What stands at a path, or the nearest thing around it. */
  find(path: Path): Found;
  /** Where a mapping's key stands. */
  findKey(path: Path, key: string): Position;
}

export interface Found {
  /** The path of what was found: the path that was asked for, or its beginning. */
  readonly path: Path;
  readonly position: Position;
  readonly kind: "text" | "number" | "boolean" | "nothing" | "list" | "mapping";
  /** A scalar as written, without its quotes; empty for lists and mappings. */
  readonly source: string;
}

/** Reads one document. Never throws, and takes time in proportion to the text, up to the bounds above. */
export function readYaml(text: string): YamlReading {
  if (text.length > maxTextLength) return unreadable([tooLong]);
  const lines = new LineCounter();
  lines.addNewLine(0);
  const problems: DocumentProblem[] = [];
  const report = (offset: number, problem: string): void => {
    problems.push({ severity: "error", position: positionAt(lines, offset), text: problem });
  };

  const document = compose(withoutByteOrderMark(text), lines, report);
  if (document === undefined || problems.length > 0) return unreadable(problems);
  const faults: readonly YAMLError[] = [...document.errors, ...document.warnings];
  if (faults.length > 0) {
    for (const fault of faults.slice(0, maxListedProblems)) report(fault.pos[0], faultText(fault));
    return unreadable(problems, faults.length);
  }
  reportRepeatedKeys(document.contents, report);
  if (problems.length > 0) return unreadable(problems);
  return { kind: "read", yaml: locate(document, lines) };
}

const tooLong: DocumentProblem = {
  severity: "error",
  position: null,
  text: `the document is longer than ${maxTextLength / 1024 / 1024} MiB: split it into several`,
};

function unreadable(problems: readonly DocumentProblem[], total = problems.length): YamlReading {
  return { kind: "unreadable", problems: listed(problems, total) };
}

type Report = (offset: number, problem: string) => void;

/** The only document of the text; undefined once a bound was met or a second document was found. */
function compose(text: string, lines: LineCounter, report: Report): Document | undefined {
  // `stringKeys`: collections as keys would have to be printed. `uniqueKeys` compares each key with all before it;
  // reportRepeatedKeys does it in one pass.
  const composer = new Composer({
    stringKeys: true,
    prettyErrors: false,
    uniqueKeys: false,
    customTags: (tags) => [...tags, booleanOfOldYaml],
  });
  let first: Document | undefined;
  for (const document of composer.compose(boundedTokens(text, lines, report), true, text.length)) {
    if (first === undefined) {
      first = document;
      continue;
    }
    report(
      document.range[0],
      "expected one document, found a second one after ---: put it under its own key",
    );
    return undefined;
  }
  return first;
}

/**
 * YAML 1.1, which much of the Kubernetes world still reads, takes these for booleans, and YAML 1.2 for text.
 * Whoever means a name has to quote them, so that no two readers of the file differ.
 */
const booleanOfOldYaml: ScalarTag = {
  tag: "tag:yaml.org,2002:bool",
  default: true,
  test: /^(?:y|Y|yes|Yes|YES|n|N|no|No|NO|on|On|ON|off|Off|OFF)$/,
  resolve: (text) => /^(?:y|on)/i.test(text),
};

/** The parser's tokens, as long as the text keeps to the bounds. Past one, the composer sees no document at all. */
function* boundedTokens(text: string, lines: LineCounter, report: Report): Generator<CST.Token, void> {
  const parser = new Parser(lines.addNewLine);
  let lexemes = 0;
  let refused = 0;
  let scalarFollows = false;
  for (const lexeme of new Lexer().lex(text)) {
    const type: CST.TokenType | null = scalarFollows ? null : CST.tokenType(lexeme);
    scalarFollows = type === "scalar";
    const refusal = refusalOf(type, lexeme);
    if (refusal !== undefined) {
      report(parser.offset, refusal);
      refused += 1;
    }
    yield* parser.next(lexeme);
    lexemes += 1;
    if (refused === maxListedProblems) return;
    if (parser.stack.length > maxDepth) {
      report(parser.offset, `expected at most ${maxDepth} levels of nesting, found more`);
      return;
    }
    if (lexemes > maxLexemes) {
      report(parser.offset, `the document has more than ${maxLexemes} words: split it into several`);
      return;
    }
  }
  yield* parser.end();
}

/** What YAML has and a policy does not: values that stand for others, and ways to change how the text is read. */
function refusalOf(type: CST.TokenType | null, lexeme: string): string | undefined {
  switch (type) {
    case "anchor":
    case "alias":
      return `expected a value, found the YAML ${type} ${shown(lexeme)}: write the value out, or put text that begins with ${lexeme.slice(0, 1)} in quotes`;
    case "tag":
      return `expected a value, found the YAML tag ${shown(lexeme)}: leave it out, and put text in quotes`;
    case "directive-line":
      return `expected a policy, found the YAML directive ${shown(lexeme)}: leave it out`;
    default:
      return undefined;
  }
}

/** What mends the mistakes that people make most. */
const mending: Partial<Record<ErrorCode, string>> = {
  TAB_AS_INDENT: "use spaces",
  BLOCK_AS_IMPLICIT_KEY: 'put a value that holds ": " in quotes, and begin a nested mapping on a new line',
  MULTILINE_IMPLICIT_KEY: "is a colon missing on the line before?",
  UNEXPECTED_TOKEN: "put text that holds YAML's own characters in quotes",
};

function faultText(fault: YAMLError): string {
  if (fault.code === "NON_STRING_KEY") {
    return "expected text as a key, found a list or a mapping: is this a template that was not filled in?";
  }
  // The parser's messages may end in a piece of the text, of any length.
  const message = printable(fault.message.replace(/: ".*$/s, "").slice(0, 200));
  const mend = mending[fault.code];
  return `this is no valid YAML: ${message}${mend === undefined ? "" : ` (${mend})`}`;
}

function reportRepeatedKeys(node: unknown, report: Report): void {
  if (isSeq(node)) for (const item of node.items) reportRepeatedKeys(item, report);
  if (!isMap(node)) return;
  const seen = new Set<unknown>();
  for (const { key, value } of node.items) {
    if (isScalar(key)) {
      if (seen.has(key.value)) {
        report(startOf(key), `the key ${shown(String(key.value))} is there twice: keep one of the two`);
      }
      seen.add(key.value);
    }
    reportRepeatedKeys(value, report);
  }
}

function locate(document: Document, lines: LineCounter): YamlText {
  const nodeAt = (path: Path): unknown =>
    path.length === 0 ? document.contents : document.getIn(path, true);
  return {
    // No alias gets this far; 0 keeps it so.
    value: document.toJS({ maxAliasCount: 0 }) as unknown,
    find(path) {
      for (let length = path.length; length > 0; length -= 1) {
        const node = nodeAt(path.slice(0, length));
        if (isNode(node)) return foundAt(path.slice(0, length), node, lines);
      }
      return foundAt([], document.contents, lines);
    },
    findKey(path, key) {
      const node = nodeAt(path);
      const pair = isMap(node)
        ? node.items.find((item) => isScalar(item.key) && item.key.value === key)
        : null;
      return positionAt(lines, startOf(pair?.key ?? node));
    },
  };
}

function foundAt(path: Path, node: unknown, lines: LineCounter): Found {
  const found = { path, position: positionAt(lines, startOf(node)), source: "" };
  if (isSeq(node)) return { ...found, kind: "list" };
  if (isMap(node)) return { ...found, kind: "mapping" };
  if (!isScalar(node) || node.value === null) return { ...found, kind: "nothing" };
  const source = node.source ?? "";
  if (typeof node.value === "number") return { ...found, kind: "number", source };
  if (typeof node.value === "boolean") return { ...found, kind: "boolean", source };
  return { ...found, kind: "text", source };
}

function startOf(node: unknown): number {
  return isNode(node) ? (node.range?.[0] ?? 0) : 0;
}

function positionAt(lines: LineCounter, offset: number): Position {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
}

/** Some editors begin a file with it; the columns they show do not count it. */
function withoutByteOrderMark(text: string): string {
  return text.startsWith("\ufeff") ? text.slice(1) : text;
}
