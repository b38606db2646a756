// What a deleted policy ConfigMap said, for an hour after: verdicts forget it at once, while robots and pull secrets
// are planned from it a little longer, so that a mistake can be undone before anything stops working. There is no
// clock here; whoever calls says what time it is.

import { harborClusterOf } from "./joined-registries.ts";
import { parsePolicyDocument, type PolicyContent } from "./policy-document.ts";
import { mergeDocuments } from "./policy-merge.ts";
import { goodDocuments, type LastGoodText, type ParsedPolicies } from "./policies.ts";
import type { Policy, PolicyConfigMap } from "./policy.ts";

/** A document of a ConfigMap that is gone, as it last was good. Plain data, to be published. */
export interface WithdrawnDocument {
  readonly configMap: string;
  readonly key: string;
  readonly text: string;
  /** Milliseconds since the epoch. */
  readonly withdrawnAt: number;
}

export const withdrawnForMs = 60 * 60_000;

/**
 * Together they are published, and read again at each change of the policy. No platform deletes so many policies
 * within an hour; of more, those deleted first are forgotten.
 */
export const maxWithdrawn = 100;
/** Four ConfigMaps of the largest size that there is. */
export const maxWithdrawnLength = 4 * 1024 * 1024;

/**
 * From one set of ConfigMaps to the next: documents of those that are gone entirely are withdrawn, and those that
 * are back, or were withdrawn an hour ago, are not any more. A key taken out of a ConfigMap that stays is an edit,
 * and withdraws nothing.
 */
export function withdraw(
  previous: readonly LastGoodText[],
  configMaps: readonly Pick<PolicyConfigMap, "name">[],
  before: readonly WithdrawnDocument[],
  now: number,
): readonly WithdrawnDocument[] {
  const present = new Set(configMaps.map(({ name }) => name));
  const gone = previous
    .filter(({ configMap }) => !present.has(configMap))
    .map(({ configMap, key, text }) => ({ configMap, key, text, withdrawnAt: now }));
  const still = before.filter(({ configMap }) => !present.has(configMap));
  return pruneWithdrawn(mergeWithdrawn(still, gone), now);
}

/** What is known here with what another replica knows; of two withdrawals of one document the newer counts. */
export function mergeWithdrawn(
  known: readonly WithdrawnDocument[],
  others: readonly WithdrawnDocument[],
): readonly WithdrawnDocument[] {
  const byId = new Map(known.map((document) => [documentId(document), document]));
  for (const document of others) {
    const id = documentId(document);
    const held = byId.get(id);
    if (held === undefined || document.withdrawnAt > held.withdrawnAt) byId.set(id, document);
  }
  return [...byId.values()];
}

/** Neither part can hold a slash. */
function documentId({ configMap, key }: Pick<WithdrawnDocument, "configMap" | "key">): string {
  return `${configMap}/${key}`;
}

/** Without those that were withdrawn an hour ago, and within the bounds. */
export function pruneWithdrawn(
  documents: readonly WithdrawnDocument[],
  now: number,
): readonly WithdrawnDocument[] {
  const kept = new Set<WithdrawnDocument>();
  let length = 0;
  for (const document of [...documents].sort((a, b) => b.withdrawnAt - a.withdrawnAt)) {
    length += document.text.length;
    if (kept.size === maxWithdrawn || length > maxWithdrawnLength) break;
    // By the clock of whoever withdrew it, which may be a little ahead; one far ahead would keep it for ever.
    if (Math.abs(now - document.withdrawnAt) < withdrawnForMs) kept.add(document);
  }
  return documents.filter((document) => kept.has(document));
}

/**
 * What robots and pull secrets are planned from: the policy in force, and what withdrawn documents said as far as
 * it does not contradict it. They displace nothing, and their mode and exemptions are over. Where nothing is
 * withdrawn it is the policy in force itself.
 */
export function retainedPolicy(parsed: ParsedPolicies, withdrawn: readonly WithdrawnDocument[]): Policy {
  if (withdrawn.length === 0) return parsed.policy;
  const contents = withdrawn.map((document) => ({ document, content: contentOf(document) }));
  const moved = movedRegistries(parsed.policy, contents);
  const documents = contents.map(({ document, content }) => {
    const id = documentId(document);
    return { id, name: id, content: withoutJoined(claimsOnly(content, moved), parsed.policy) };
  });
  // Last, and against what is in force: where two disagree, that stays.
  const good = [...goodDocuments(parsed), ...documents];
  const { policy } = mergeDocuments(good, parsed, parsed.harborClusters);
  const { registries, registriesByHost, spaces, bindings } = policy;
  return { ...parsed.policy, registries, registriesByHost, spaces, bindings };
}

/** Registries that are another server now than the withdrawn documents meant by the name. */
function movedRegistries(
  { registries }: Policy,
  contents: readonly { readonly content: PolicyContent }[],
): ReadonlySet<string> {
  const withdrawn = contents.flatMap(({ content }) => content.registries);
  return new Set(
    withdrawn
      .filter(({ value: { name, url } }) => registries.has(name) && registries.get(name)?.url !== url)
      .map(({ value: { name } }) => name),
  );
}

function claimsOnly(content: PolicyContent, moved: ReadonlySet<string>): PolicyContent {
  return {
    mode: null,
    unlistedRegistries: null,
    exemptNamespaces: null,
    registries: content.registries,
    spaces: content.spaces.filter(({ value }) => !moved.has(value.registry)),
    bindings: content.bindings.filter(({ value }) => !moved.has(value.registry)),
  };
}

/** Without registries whose name or host one has now that joined by itself, and that a document would displace. */
function withoutJoined(content: PolicyContent, { registries }: Policy): PolicyContent {
  const joined = [...registries.values()].filter((registry) => harborClusterOf(registry) !== null);
  const isFree = ({ value: { name, hosts } }: PolicyContent["registries"][number]): boolean =>
    joined.every((other) => other.name !== name && !other.hosts.some((host) => hosts.includes(host)));
  return { ...content, registries: content.registries.filter(isFree) };
}

const nothing: PolicyContent = {
  mode: null,
  unlistedRegistries: null,
  exemptNamespaces: null,
  registries: [],
  spaces: [],
  bindings: [],
};

/** Reading a large document takes seconds, and a withdrawn one is needed at every change of the policy. */
const readContents = new WeakMap<WithdrawnDocument, PolicyContent>();

function contentOf(document: WithdrawnDocument): PolicyContent {
  const known = readContents.get(document);
  if (known !== undefined) return known;
  // It was good once; another release may read it otherwise.
  const content = parsePolicyDocument(document.text).content ?? nothing;
  readContents.set(document, content);
  return content;
}
