// Manifest files as Kubernetes objects of any kind, one by one: documents and lists are taken apart, and each object
// knows where it stands in its file. What an object means is not judged here.

import { isObject } from "../domain/json.ts";
import type { Position, TextOrigin } from "../domain/policy.ts";
import { type FieldPath, type ManifestDocument, parseDocuments } from "./manifest-documents.ts";

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly [field: string]: unknown;
}

export interface ManifestObject {
  /** For people: the file, and which object of it when it holds several: `all.yaml: document 2, items[3]`. */
  readonly source: string;
  readonly file: string;
  readonly value: Manifest;
  /** Where a field of the object begins in the file, or else the nearest field around it; null if nobody counted. */
  readonly positionOf: (path: FieldPath) => Position | null;
  /** Where the text of a field begins in the file, when the field is text. */
  readonly textOriginOf: (path: FieldPath) => TextOrigin | null;
}

export interface ManifestProblem {
  /** An error keeps the file or the object out of force; a warning does not. */
  readonly severity: "error" | "warning";
  readonly file: string;
  /** As in {@link ManifestObject}; the file alone when all of it is meant. */
  readonly source: string;
  readonly position: Position | null;
  readonly text: string;
}

export interface Manifests {
  readonly objects: readonly ManifestObject[];
  readonly problems: readonly ManifestProblem[];
}

/** A list of lists of lists is as far as kubectl's own output never goes; more is somebody's experiment. */
const maxListDepth = 3;

/** Kubernetes is tested with 150,000 pods in a cluster. */
const maxObjects = 200_000;

/** Problems listed for one file: beyond these the file is of another sort altogether, and the first ones tell. */
const maxProblems = 100;

/** Reads a file's bytes; `file` is its name in sources and problems. */
export function parseManifestBytes(bytes: Uint8Array, file: string): Manifests {
  try {
    return parseManifests(new TextDecoder("utf-8", { fatal: true }).decode(bytes), file);
  } catch (err) {
    if (!(err instanceof TypeError)) throw err;
    return { objects: [], problems: [fileProblem(file, "is not text in UTF-8")] };
  }
}

/** Reads a file's text: YAML with any number of documents, or JSON. */
export function parseManifests(text: string, file: string): Manifests {
  const parsed = parseDocuments(text);
  if (parsed.kind === "fault") {
    return { objects: [], problems: [fileProblem(file, parsed.text, parsed.position)] };
  }
  const found: Found = { objects: [], problems: [] };
  const several = parsed.documents.length > 1;
  parsed.documents.forEach((document, index) => {
    const label = several ? `document ${index + 1}` : "";
    collect(found, { file, document, label, path: [], depth: 0 }, document.value);
  });
  if (found.objects.length <= maxObjects) return found;
  return { objects: [], problems: [fileProblem(file, `holds more than ${maxObjects} objects`)] };
}

/** One line for a terminal or a log: `deploy/ns.yaml:3:9: …`. */
export function manifestProblemLine({ file, source, position, text }: ManifestProblem): string {
  return position ? `${file}:${position.line}:${position.column}: ${text}` : `${source}: ${text}`;
}

/** A problem of a file as a whole. */
export function fileProblem(file: string, text: string, position: Position | null = null): ManifestProblem {
  return { severity: "error", file, source: file, position, text };
}

interface Found {
  readonly objects: ManifestObject[];
  readonly problems: ManifestProblem[];
}

/** Where in a file the walk has come to. */
interface Place {
  readonly file: string;
  readonly document: ManifestDocument;
  /** What follows the file's name in `source`; empty for a file's only object. */
  readonly label: string;
  readonly path: FieldPath;
  readonly depth: number;
}

function collect(found: Found, place: Place, value: unknown): void {
  if (found.objects.length > maxObjects) return;
  const list = isObject(value) ? listOf(value) : undefined;
  if (list) return collectItems(found, place, list);
  if (isManifest(value)) {
    found.objects.push(objectAt(place, value));
    return;
  }
  if (found.problems.length >= maxProblems) return;
  found.problems.push({
    severity: "error",
    file: place.file,
    source: sourceOf(place),
    position: place.document.positionOf(place.path),
    text: `expected a Kubernetes object with apiVersion and kind, found ${whatIsMissing(value)}`,
  });
}

function collectItems(found: Found, place: Place, list: ManifestList): void {
  if (place.depth === maxListDepth) {
    found.problems.push(fileProblem(place.file, `has lists in lists, more than ${maxListDepth} deep`));
    return;
  }
  // `document 2, items[3]`, but `items[0].items[1]`.
  const separator = place.depth === 0 ? ", " : ".";
  const labelBefore = place.label === "" ? "" : place.label + separator;
  list.items.forEach((item, index) => {
    const label = `${labelBefore}items[${index}]`;
    const at = { ...place, label, path: [...place.path, "items", index], depth: place.depth + 1 };
    collect(found, at, isObject(item) ? { ...list.inherited, ...item } : item);
  });
}

interface ManifestList {
  readonly items: readonly unknown[];
  /** What the items of a typed list leave out: the API server writes it once, at the list. */
  readonly inherited: Readonly<Record<string, unknown>>;
}

/** `List` as kubectl prints it, or `NamespaceList` as the API server does; a custom kind may be called so too. */
function listOf(value: Readonly<Record<string, unknown>>): ManifestList | undefined {
  const { apiVersion, kind, items } = value;
  if (typeof kind !== "string" || !kind.endsWith("List")) return undefined;
  if (!Array.isArray(items) && !(items === null && kind === "List")) return undefined;
  const inherited = kind === "List" ? {} : { apiVersion, kind: kind.slice(0, -"List".length) };
  return { items: items ?? [], inherited };
}

function objectAt(place: Place, value: Manifest): ManifestObject {
  const { file, document, path } = place;
  return {
    source: sourceOf(place),
    file,
    value,
    positionOf: (field) => document.positionOf([...path, ...field]),
    textOriginOf: (field) => document.textOriginOf([...path, ...field]),
  };
}

function sourceOf({ file, label }: Place): string {
  return label === "" ? file : `${file}: ${label}`;
}

function isManifest(value: unknown): value is Manifest {
  return isObject(value) && isFilledText(value["apiVersion"]) && isFilledText(value["kind"]);
}

function isFilledText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function whatIsMissing(value: unknown): string {
  if (!isObject(value)) return typeName(value);
  return isFilledText(value["kind"]) ? "one without apiVersion" : "a mapping without kind";
}

/** What a value is, in a sentence: never the value itself, which may be a secret. */
export function typeName(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a mapping";
  return typeof value === "string" ? "text" : `a ${typeof value}`;
}
