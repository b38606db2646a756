// What led to the verdict on one image, row by row, for people: how the image reads, what is known of the namespace,
// the registry and the space, and the verdict. The refusal itself, with its next step, is in refusal.ts.
//
// A tenant is told of a space what its verdict says, and nothing that the catalogue says beside it: rows for a space
// that does not exist and for a private one that is not bound are the same.

import { bindingFault } from "./binding-validity.ts";
import type { Space } from "./catalogue.ts";
import type { Judgement } from "./decision.ts";
import { nothingToAsk, readingSince, type Knowledge } from "./knowledge.ts";
import { boundId } from "./pins.ts";
import { spaceKey, type Registry } from "./policy.ts";
import { shownReason, type Reason, type View } from "./reasons.ts";
import { spellingWarning } from "./refusal.ts";
import { shownPlace } from "./report.ts";
import type { Snapshot } from "./snapshot.ts";
import { visibilityOn } from "./visibility.ts";

export interface ReasoningRow {
  readonly what:
    "image" | "reads as" | "namespace" | "registry" | "space" | "binding" | "mode" | "verdict" | "warning";
  readonly text: string;
}

/** `knowledge` is what the decision was made with, where something was looked up for it. */
export function reasoningOf(
  snapshot: Snapshot,
  namespace: string,
  judgement: Judgement,
  view: View,
  knowledge: Knowledge = nothingToAsk,
): readonly ReasoningRow[] {
  const home = homeOf(snapshot, namespace, knowledge);
  const warning = spellingWarning(judgement);
  return [
    row("image", judgement.use?.image ?? ""),
    ...referenceRows(judgement),
    row("namespace", `${namespace}: ${homeInWords(home)}`),
    ...registryRows(snapshot, judgement, view),
    ...(view === "platform"
      ? spaceRows(snapshot, judgement, home ?? null, knowledge)
      : spaceRowsForTenant(judgement, home ?? null)),
    row("mode", snapshot.policy.mode),
    row("verdict", verdictInWords(judgement, view)),
    ...(warning === undefined ? [] : [row("warning", warning)]),
  ];
}

function row(what: ReasoningRow["what"], text: string): ReasoningRow {
  return { what, text };
}

function referenceRows({ reference }: Judgement): readonly ReasoningRow[] {
  if (reference === null) return [];
  const parts = [`host ${reference.host}`, `repository ${reference.repository}`];
  if (reference.tag !== null) parts.push(`tag ${reference.tag}`);
  if (reference.digest !== null) parts.push(`digest ${reference.digest}`);
  return [row("reads as", parts.join(", "))];
}

/** The namespace's workspace, null for none; undefined for a namespace that is not known. */
function homeOf({ namespaces }: Snapshot, name: string, knowledge: Knowledge): string | null | undefined {
  const answer = knowledge.namespace;
  const lookedUp = answer?.kind === "read" && answer.exists ? answer.workspace : undefined;
  return namespaces.has(name) ? namespaces.get(name) : lookedUp;
}

function homeInWords(home: string | null | undefined): string {
  if (home === undefined) return "not known";
  return home === null ? "in no workspace" : `in workspace "${home}"`;
}

/** None where no registry was looked for: the image has no host, or nothing is judged. */
function registryRows({ policyRead }: Snapshot, judgement: Judgement, view: View): readonly ReasoningRow[] {
  if (judgement.reference === null) return [];
  if (!policyRead) return [row("registry", "the policy has not been read")];
  if (judgement.registry === null) return [row("registry", "none claims this host")];
  const { registry } = shownPlace(judgement, view);
  if (registry === null) return [];
  const { name, type, workspace, spellings } = registry;
  if (view === "tenant" && judgement.reason === "registry-of-another-workspace")
    return [row("registry", `${name}: integrated by another workspace`)];
  const owner = workspace === null ? "" : `, of workspace "${workspace}"`;
  return [row("registry", `${name} (${type}${owner}): ${spellings.join(", ")}`)];
}

function spaceRows(
  snapshot: Snapshot,
  { registry, space: name }: Judgement,
  workspace: string | null,
  knowledge: Knowledge,
): readonly ReasoningRow[] {
  if (registry === null || name === null) return [];
  const catalogue = snapshot.catalogues.get(registry.name);
  if (catalogue === undefined) return [row("space", `${name}: the registry has not been read`)];
  const key = spaceKey(registry.name, name);
  const reading = readingSince(catalogue, knowledge.spaces.get(key));
  const space = reading === undefined ? (catalogue.spaces.get(name) ?? null) : reading.space;
  const source = reading === undefined ? "" : ", as looked up just now";
  if (space === null)
    return [
      row("space", `${name}: ${reading === undefined ? "not in the catalogue" : `not there${source}`}`),
    ];
  return [
    row("space", `${spaceInWords(registry, space)}${source}`),
    row("binding", bindingInWords(snapshot, key, workspace, space)),
  ];
}

function spaceInWords(registry: Registry, space: Space): string {
  const proxy = space.proxyCache ? ", a proxy cache of a foreign registry" : "";
  const visibility = visibilityOn(registry, space);
  const differs = visibility === space.visibility ? "" : ` by the policy (${space.visibility} in Harbor)`;
  return `${space.name}: ${visibility}${differs}${proxy}, id ${String(space.id)}`;
}

function bindingInWords(snapshot: Snapshot, key: string, workspace: string | null, space: Space): string {
  const binding = workspace === null ? undefined : snapshot.policy.bindings.get(key)?.get(workspace);
  if (binding === undefined) return "none for this workspace";
  if (bindingFault(snapshot, binding, space) === "not-adopted") {
    const mend =
      "the policy declares the space, and Berth did not make the one that exists: adopt: true takes it over";
    return `workspace "${binding.workspace}" has one that grants nothing (${mend})`;
  }
  const id = boundId(snapshot.pins, binding);
  return `workspace "${binding.workspace}" has it${id === undefined ? "" : `, with id ${String(id)}`}`;
}

/** By the code that the tenant reads; a code that is not about the space of an image has none. */
const spaceForTenant: Partial<Record<Reason, string>> = {
  "public-space": "public",
  "bound-space": "private",
  "workspace-registry": "open to the workspace, as is all of its registry that its login can pull",
  "space-not-bound": "private and not bound to the workspace, or there is no such space",
  "namespace-without-workspace": "not public, or there is no such space",
  "namespace-unknown": "not public, or there is no such space",
  "space-replaced": "deleted and made anew since it was bound to the workspace",
  "catalogue-not-ready": "the registry has not been read",
  "catalogue-stale": "not bound to the workspace, and what is known of the registry is too old to be trusted",
};

function spaceRowsForTenant(judgement: Judgement, workspace: string | null): readonly ReasoningRow[] {
  const { space } = shownPlace(judgement, "tenant");
  const reason = shownReason(judgement, "tenant");
  const text = spaceForTenant[reason];
  if (space === null || text === undefined) return [];
  const found = row("space", `${space}: ${text}`);
  return reason === "bound-space"
    ? [found, row("binding", `workspace "${workspace ?? ""}" has it`)]
    : [found];
}

function verdictInWords(judgement: Judgement, view: View): string {
  const secret = judgement.allowed && judgement.needsPullSecret ? ", with the pull secret" : "";
  return `${judgement.allowed ? "allow" : "refuse"}${secret} (${shownReason(judgement, view)})`;
}
