// Problems of policy documents in words: one line each, with its place, the same on the terminal, in the log, in
// Events and in what the API server answers. What is a problem is told in policy-document.ts and policy-merge.ts.

import { editDistance } from "./edit-distance.ts";
import type { PolicyProblem, PolicySource, Position, TextOrigin } from "./policy.ts";

/** A problem at its place in the document's own text; {@link placed} tells where that is in a file. */
export interface DocumentProblem {
  readonly severity: PolicyProblem["severity"];
  readonly position: Position | null;
  readonly text: string;
}

/**
 * A screenful. Whoever mends twenty reads the next twenty afterwards; beyond them the document is of another sort
 * altogether, and logs, Events and admission answers have no room for more.
 */
export const maxListedProblems = 20;

/** Errors before warnings, each in the order of the text, no more than {@link maxListedProblems} of `total`. */
export function listed(
  problems: readonly DocumentProblem[],
  total = problems.length,
): readonly DocumentProblem[] {
  const sorted = [...problems].sort((a, b) => rank(a) - rank(b) || inOrder(a.position, b.position));
  const left = total - Math.min(sorted.length, maxListedProblems);
  if (left === 0) return sorted;
  const severity = sorted[maxListedProblems]?.severity ?? sorted[0]?.severity ?? "error";
  const text = `and ${left} more ${left === 1 ? "problem" : "problems"} in this document`;
  return [...sorted.slice(0, maxListedProblems), { severity, position: null, text }];
}

function rank({ severity }: DocumentProblem): number {
  return severity === "error" ? 0 : 1;
}

function inOrder(a: Position | null, b: Position | null): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null);
  return a.line - b.line || a.column - b.column;
}

/** The problem where its source has it: in the file, if the text came from one, or else in the text itself. */
export function placed(problem: DocumentProblem, source: PolicySource, origin?: TextOrigin): PolicyProblem {
  const { severity, position, text } = problem;
  if (origin === undefined || position === null) return { severity, source, position, text };
  if (!origin.literal) {
    const place = { line: origin.line, column: origin.column };
    return { severity, source, position: place, text: `${text} (line ${position.line} inside)` };
  }
  // A block literal keeps its lines, and drops the same indentation from each.
  const line = origin.line + position.line - 1;
  return { severity, source, position: { line, column: origin.column + position.column - 1 }, text };
}

/** One line: `policy.yaml:3:5: error: …`, or `ConfigMap platform/policy.yaml:3:5: error: …` from the API server. */
export function formatProblem({ severity, source, position, text }: PolicyProblem): string {
  const place = position === null ? "" : `:${position.line}:${position.column}`;
  const name = sourceName(source);
  if (source.file === null) return `${name}${place}: ${severity}: ${text}`;
  const inside = source.configMap === null ? "" : `${name}: `;
  return `${printable(source.file)}${place}: ${severity}: ${inside}${text}`;
}

/** The document as people know it: by ConfigMap and key, a bare one by its file. */
export function sourceName({ configMap, key, file }: PolicySource): string {
  if (configMap === null) return printable(file ?? "policy");
  return `ConfigMap ${printable(configMap)}/${printable(key ?? "")}`;
}

/** Longer than any legal name of a policy but those of spaces, and still one line of a terminal. */
const maxShownLength = 80;

/** A text of the document within a problem: quoted, short, on one line, and without the login that a url may hold. */
export function shown(text: string): string {
  const authority = text.indexOf("//");
  const mayHoldLogin = authority >= 0 && text.includes("@", authority);
  const open = mayHoldLogin ? `${text.slice(0, authority)}//…` : text;
  return open.length <= maxShownLength
    ? `"${printable(open)}"`
    : `"${printable(open.slice(0, maxShownLength))}…"`;
}

/** Control characters, and those that reorder or hide text, as escapes: a problem is one line that says what it says. */
export function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, (char) => {
    return `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, "0")}`;
  });
}

/** Beyond this a word is no misspelling of another; comparing them takes time with the product of their lengths. */
const maxComparedLength = 64;

/** The name that was most likely meant, if one is near enough. */
export function nearestName(written: string, names: Iterable<string>): string | undefined {
  if (written.length > maxComparedLength) return undefined;
  const word = written.toLowerCase();
  let nearest: string | undefined;
  // A third of the letters may be wrong, or two that changed places: `credentialSecret`, `mdoe`, but not `name`.
  let least = Math.max(word.length > 3 ? 2 : 1, Math.floor(word.length / 3)) + 1;
  for (const name of names) {
    const edits = editDistance(word, name.toLowerCase(), least);
    if (edits >= least) continue;
    least = edits;
    nearest = name;
  }
  return nearest;
}
