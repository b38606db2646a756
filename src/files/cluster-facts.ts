// What one manifest file says about the cluster: its Namespaces, and the policy ConfigMaps and Secrets of Berth's own
// namespace. Every other kind is somebody else's business. Facts are plain values, so that a worker can send them.
//
// Texts about Secrets name keys and types, never values.

import { isObject } from "../domain/json.ts";
import type { PolicyConfigMap, Position, TextOrigin } from "../domain/policy.ts";
import {
  type ManifestObject,
  type ManifestProblem,
  type Manifests,
  parseManifestBytes,
  typeName,
} from "./manifests.ts";
import type { FieldPath } from "./manifest-documents.ts";

export type ClusterFact =
  | (Named & { readonly kind: "Namespace"; readonly labels: Readonly<Record<string, string>> })
  | (Named & { readonly kind: "ConfigMap"; readonly configMap: PolicyConfigMap })
  | (Named & { readonly kind: "Secret"; readonly data: Readonly<Record<string, string>> });

interface Named {
  readonly name: string;
  readonly file: string;
  readonly position: Position | null;
}

export interface FileFacts {
  readonly facts: readonly ClusterFact[];
  readonly problems: readonly ManifestProblem[];
  /** {@link factKey} of objects that the file means to define, and that are wrong. */
  readonly broken: readonly string[];
  /** False when the file, or something in it that cannot even be named, is wrong: then nothing is withdrawn by it. */
  readonly whole: boolean;
}

export interface FactsJob {
  /** The file's name in problems and positions. */
  readonly file: string;
  readonly bytes: Uint8Array;
  readonly berthNamespace: string;
}

export const noFacts: FileFacts = { facts: [], problems: [], broken: [], whole: true };

/** A file of which nothing could be read. */
export function unreadFacts(problem: ManifestProblem): FileFacts {
  return { ...noFacts, problems: [problem], whole: false };
}

export function factKey({ kind, name }: Pick<ClusterFact, "kind" | "name">): string {
  return `${kind}/${name}`;
}

/** Reads one file; all of it synchronous, some 60 µs an object. */
export function readFacts({ file, bytes, berthNamespace }: FactsJob): FileFacts {
  const manifests = parseManifestBytes(bytes, file);
  return clusterFacts(manifests, berthNamespace);
}

function clusterFacts(manifests: Manifests, berthNamespace: string): FileFacts {
  const facts: ClusterFact[] = [];
  const problems = [...manifests.problems];
  const broken: string[] = [];
  let whole = problems.length === 0;
  for (const object of manifests.objects) {
    const reading = readObject(object, berthNamespace);
    if (reading === undefined) continue;
    problems.push(...reading.problems);
    if (reading.fact) facts.push(reading.fact);
    else if (reading.broken !== undefined) broken.push(reading.broken);
    else if (reading.problems.some(({ severity }) => severity === "error")) whole = false;
  }
  return { facts, problems, broken, whole };
}

interface ObjectReading {
  readonly fact?: ClusterFact;
  /** The key of an object that has a name and errors. */
  readonly broken?: string;
  readonly problems: readonly ManifestProblem[];
}

function readObject(object: ManifestObject, berthNamespace: string): ObjectReading | undefined {
  const { apiVersion, kind } = object.value;
  if (apiVersion !== "v1") return undefined;
  if (kind === "Namespace") return readNamed(object, kind, readNamespace);
  if (kind !== "ConfigMap" && kind !== "Secret") return undefined;

  const metadata = metadataOf(object);
  const isPolicy = Object.hasOwn(labelsOf(metadata), policyLabel);
  if (kind === "ConfigMap" && !isPolicy) return undefined;
  const namespace = metadata["namespace"];
  if (namespace === undefined || namespace === null) {
    return readNamed(object, kind, (_object, _named, report) => {
      const text = `expected metadata.namespace, found none; only what is in ${berthNamespace} counts`;
      report(["metadata"], text, "warning");
      return undefined;
    });
  }
  if (namespace !== berthNamespace) return undefined;
  return readNamed(object, kind, kind === "Secret" ? readSecret : readConfigMap);
}

const policyLabel = "berth.io/policy";

/** Collects what is wrong with an object while it is read. */
type Report = (path: FieldPath, text: string, severity?: ManifestProblem["severity"]) => void;

type ReadFact = (object: ManifestObject, named: Named, report: Report) => ClusterFact | undefined;

function readNamed(object: ManifestObject, kind: ClusterFact["kind"], read: ReadFact): ObjectReading {
  const { file, source } = object;
  const { name } = metadataOf(object);
  const isNamed = typeof name === "string" && name !== "";
  const subject = isNamed ? `${kind} ${name}` : kind;
  const problems: ManifestProblem[] = [];
  const report: Report = (path, text, severity = "error") => {
    problems.push({ severity, file, source, position: object.positionOf(path), text: `${subject}: ${text}` });
  };
  if (!isNamed) {
    report(["metadata", "name"], `metadata.name: ${expectedText(name)}`);
    return { problems };
  }
  const fact = read(object, { name, file, position: object.positionOf([]) }, report);
  if (problems.length > 0) return { problems, broken: factKey({ kind, name }) };
  return fact ? { fact, problems } : { problems };
}

function readNamespace(object: ManifestObject, named: Named, report: Report): ClusterFact {
  const labels = metadataOf(object)["labels"];
  return { kind: "Namespace", ...named, labels: readTexts(["metadata", "labels"], labels, report) };
}

function readConfigMap(object: ManifestObject, named: Named, report: Report): ClusterFact | undefined {
  const label = labelsOf(metadataOf(object))[policyLabel];
  const path = ["metadata", "labels", policyLabel];
  if (typeof label !== "string") report(path, `${fieldName(path)}: ${expectedText(label)}`);
  if (label !== "true") return undefined;
  const data = readTexts(["data"], object.value["data"], report);
  const positions = Object.keys(data).flatMap((key): [string, TextOrigin][] => {
    const origin = object.textOriginOf(["data", key]);
    return origin ? [[key, origin]] : [];
  });
  const origin = { file: object.file, positions: Object.fromEntries(positions) };
  const configMap = { name: named.name, data, origin };
  return { kind: "ConfigMap", ...named, configMap };
}

/** As the API server does it: `stringData` is laid over `data`. */
function readSecret(object: ManifestObject, named: Named, report: Report): ClusterFact {
  const encoded = readTexts(["data"], object.value["data"], report);
  const decoded = Object.entries(encoded).map(([key, text]) => {
    const plain = decodeBase64(text);
    if (plain === undefined)
      report(["data", key], `${fieldName(["data", key])} is not base64; ${plainTextHint}`);
    return [key, plain ?? ""] as const;
  });
  const plain = readTexts(["stringData"], object.value["stringData"], report);
  return { kind: "Secret", ...named, data: { ...Object.fromEntries(decoded), ...plain } };
}

const plainTextHint = "plain text belongs in stringData";

/** Line breaks are allowed in it, as they are to the API server. */
function decodeBase64(text: string): string | undefined {
  const compact = text.replace(/[\r\n]/g, "");
  const isBase64 = compact.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(compact);
  return isBase64 ? Buffer.from(compact, "base64").toString("utf8") : undefined;
}

/** A mapping from text to text, as labels and data are; absent and null mean empty. */
function readTexts(path: FieldPath, value: unknown, report: Report): Record<string, string> {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) {
    report(path, `${fieldName(path)}: expected a mapping, found ${typeName(value)}`);
    return {};
  }
  const texts: [string, string][] = [];
  for (const [key, text] of Object.entries(value)) {
    const field = [...path, key];
    if (typeof text === "string") texts.push([key, text]);
    // The API server takes a null value as empty text.
    else if (text === null) texts.push([key, ""]);
    else report(field, `${fieldName(field)}: ${expectedText(text)}`);
  }
  return Object.fromEntries(texts);
}

function expectedText(found: unknown): string {
  const what = `expected text, found ${found === "" ? "an empty one" : typeName(found)}`;
  if (typeof found === "number" || typeof found === "boolean") return `${what}; put it in quotes`;
  return isObject(found) ? `${what}; a document inside a value begins with "|"` : what;
}

/** `metadata.labels["workspace.ghippo.io/id"]`. */
function fieldName(path: FieldPath): string {
  return path
    .map((part) => (/^[A-Za-z]+$/.test(String(part)) ? `.${part}` : `["${part}"]`))
    .join("")
    .replace(/^\./, "");
}

function metadataOf(object: ManifestObject): Readonly<Record<string, unknown>> {
  const metadata = object.value["metadata"];
  return isObject(metadata) ? metadata : {};
}

function labelsOf(metadata: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  const labels = metadata["labels"];
  return isObject(labels) ? labels : {};
}
