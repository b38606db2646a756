// Policy ConfigMaps → the policy in force. A text that did not change is not read again, and one that cannot be read
// leaves in force what it said when it last could. What a document says is told in policy-document.ts, what documents
// say together in policy-merge.ts.

import { noHarborClusters, type HarborClusters } from "./joined-registries.ts";
import {
  parsePolicyDocument,
  type Placed,
  type PolicyContent,
  type PolicyDocument,
} from "./policy-document.ts";
import { mergeDocuments, type Finding, type GoodDocument, type InForce } from "./policy-merge.ts";
import { listed, placed, sourceName, type DocumentProblem } from "./policy-problem.ts";
import type { Policy, PolicyConfigMap, PolicyProblem, PolicySource, TextOrigin } from "./policy.ts";

/** A policy, and what the next one needs of it. */
export interface ParsedPolicies extends InForce {
  readonly policy: Policy;
  /** In the order in which they are merged; the keys are of {@link documentId}. */
  readonly documents: ReadonlyMap<string, KeptDocument>;
  /** Those that would be registries beside the ones of the documents. */
  readonly harborClusters: HarborClusters;
  /** What another process needs to decide as this one does: see {@link replayLastGood}. */
  readonly lastGoodTexts: readonly LastGoodText[];
}

interface KeptDocument {
  readonly text: string;
  readonly source: PolicySource;
  readonly origin: TextOrigin | undefined;
  readonly read: PolicyDocument;
  /** What is in force: what was read, or else what was read when the text was last good. */
  readonly good: { readonly text: string; readonly content: PolicyContent } | null;
}

/** Plain data, to be published, and read by a replica that starts while a document is broken. */
export interface LastGoodText {
  readonly configMap: string;
  readonly key: string;
  readonly text: string;
  /** It claims something that another document has in force; such documents are replayed after the others. */
  readonly yields: boolean;
}

/**
 * The policy that these ConfigMaps make. Documents are merged in the order of ConfigMap name, then key, by code
 * units. A document that is gone leaves nothing in force. Where nothing changed, `previous` itself is returned.
 */
export function parsePolicy(
  previous: ParsedPolicies | undefined,
  configMaps: readonly PolicyConfigMap[],
  harborClusters: HarborClusters = noHarborClusters,
): ParsedPolicies {
  const documents = new Map<string, KeptDocument>();
  for (const written of writtenDocuments(configMaps)) {
    const id = documentId(written.source);
    documents.set(id, keepDocument(previous?.documents.get(id), written));
  }
  const isSame =
    previous !== undefined &&
    areSame(previous.documents, documents) &&
    JSON.stringify(previous.harborClusters) === JSON.stringify(harborClusters);
  return isSame ? previous : mergeAll(documents, previous, harborClusters);
}

/** What {@link ParsedPolicies} was in a process that ended, without its broken documents. */
export function replayLastGood(texts: readonly LastGoodText[]): ParsedPolicies {
  const undisputed = parsePolicy(undefined, asConfigMaps(texts.filter(({ yields }) => !yields)));
  return parsePolicy(undisputed, asConfigMaps(texts));
}

function asConfigMaps(texts: readonly LastGoodText[]): readonly PolicyConfigMap[] {
  const byName = Map.groupBy(texts, ({ configMap }) => configMap);
  return [...byName].map(([name, some]) => ({
    name,
    data: Object.fromEntries(some.map(({ key, text }) => [key, text])),
  }));
}

/** The problems of one document by itself, whatever others say: for an edit, or a file that is checked. */
export function validatePolicyDocument(
  text: string,
  source: PolicySource,
  origin?: TextOrigin,
): readonly PolicyProblem[] {
  const read = parsePolicyDocument(text);
  const own = read.content && withoutForeign(read.content);
  const document = { text, source, origin, read, good: own && { text, content: own } };
  return mergeAll(new Map([[documentId(source), document]]), undefined).policy.problems;
}

/** Without entries that name registries of other documents, which are not here to be compared with. */
function withoutForeign(content: PolicyContent): PolicyContent {
  const own = new Set(content.registries.map(({ value }) => value.name));
  const isOwn = ({ value }: Placed<{ readonly registry: string }>): boolean => own.has(value.registry);
  return { ...content, spaces: content.spaces.filter(isOwn), bindings: content.bindings.filter(isOwn) };
}

type WrittenDocument = Pick<KeptDocument, "text" | "source" | "origin">;

function writtenDocuments(configMaps: readonly PolicyConfigMap[]): readonly WrittenDocument[] {
  // Of two ConfigMaps of one name, which only files can hold, the later one is meant, as with `kubectl apply`.
  const byName = new Map(configMaps.map((configMap) => [configMap.name, configMap]));
  return [...byName.values()].sort((a, b) => inCodeUnits(a.name, b.name)).flatMap(documentsOf);
}

function documentsOf({ name, data, origin }: PolicyConfigMap): readonly WrittenDocument[] {
  return Object.entries(data)
    .filter(([key]) => key.endsWith(".yaml"))
    .sort(([a], [b]) => inCodeUnits(a, b))
    .map(([key, text]) => ({
      text,
      source: { configMap: name, key, file: origin?.file ?? null },
      origin: origin?.positions[key],
    }));
}

function inCodeUnits(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

/** Neither names of ConfigMaps nor their keys can hold a slash. */
function documentId({ configMap, key }: PolicySource): string {
  return `${configMap ?? ""}/${key ?? ""}`;
}

function keepDocument(previous: KeptDocument | undefined, written: WrittenDocument): KeptDocument {
  if (previous?.text === written.text) return { ...previous, ...written };
  const read = parsePolicyDocument(written.text);
  const good = read.content && { text: written.text, content: read.content };
  return { ...written, read, good: good ?? previous?.good ?? null };
}

function areSame(
  before: ReadonlyMap<string, KeptDocument>,
  after: ReadonlyMap<string, KeptDocument>,
): boolean {
  if (before.size !== after.size) return false;
  return [...after].every(([id, document]) => {
    const old = before.get(id);
    return old?.read === document.read && hasSamePlace(old, document);
  });
}

function hasSamePlace(a: KeptDocument, b: KeptDocument): boolean {
  const isSameOrigin =
    a.origin?.line === b.origin?.line &&
    a.origin?.column === b.origin?.column &&
    a.origin?.literal === b.origin?.literal;
  return a.source.file === b.source.file && isSameOrigin;
}

function mergeAll(
  documents: ReadonlyMap<string, KeptDocument>,
  previous: ParsedPolicies | undefined,
  harborClusters: HarborClusters = noHarborClusters,
): ParsedPolicies {
  const good = goodDocuments({ documents });
  const { policy, holders, findings, problemsOfJoined } = mergeDocuments(good, previous, harborClusters);
  const findingOf = new Map(findings.map((finding) => [finding.id, finding]));
  const problems = [...documents].flatMap(([id, document]) => problemsOf(document, findingOf.get(id)));
  const lastGoodTexts = [...documents].flatMap(([id, document]) => lastGoodOf(document, findingOf.get(id)));
  return {
    policy: { ...policy, problems: [...problems, ...problemsOfJoined] },
    ...{ holders, documents, harborClusters, lastGoodTexts },
  };
}

/** What is in force of each document that was ever good, as the merge takes it. */
export function goodDocuments({ documents }: Pick<ParsedPolicies, "documents">): readonly GoodDocument[] {
  return [...documents].flatMap(([id, { source, good }]) =>
    good === null ? [] : [{ id, name: sourceName(source), content: good.content }],
  );
}

function problemsOf(
  { read, source, origin }: KeptDocument,
  finding: Finding | undefined,
): readonly PolicyProblem[] {
  const found = listed(finding?.problems ?? []);
  // Positions in what was last good say nothing about the text that is there now.
  const merged = read.content === null ? found.map(ofLastGood) : found;
  return [...read.problems, ...merged].map((problem) => placed(problem, source, origin));
}

function ofLastGood({ severity, text }: DocumentProblem): DocumentProblem {
  return { severity, position: null, text: `${text} (in its last good content, which stays in force)` };
}

function lastGoodOf({ source, good }: KeptDocument, finding: Finding | undefined): readonly LastGoodText[] {
  if (good === null) return [];
  const { configMap, key } = source;
  return [{ configMap: configMap ?? "", key: key ?? "", text: good.text, yields: finding?.yields ?? false }];
}
