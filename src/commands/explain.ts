// The verdict for one image in one namespace, with everything that led to it.

import { styleText } from "node:util";
import { decide, questionAbout, type FinalVerdict, type Judgement } from "../domain/decision.ts";
import { nothingToAsk } from "../domain/knowledge.ts";
import { bindingFault } from "../domain/binding-validity.ts";
import { boundId } from "../domain/pins.ts";
import { spaceKey } from "../domain/policy.ts";
import { spellingWarning } from "../domain/refusal.ts";
import { reportOf } from "../domain/report.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { visibilityOn } from "../domain/visibility.ts";
import type { Settings } from "../settings.ts";
import { couldNotJudge } from "./check.ts";
import { exitCodes, type Terminal } from "./terminal.ts";
import { readSnapshot } from "./whole-snapshot.ts";

export interface ExplainOptions {
  readonly namespace: string;
  readonly output: "text" | "json";
}

export async function explain(
  image: string,
  settings: Settings,
  { namespace, output }: ExplainOptions,
  terminal: Terminal,
  waitMs?: number,
): Promise<number> {
  const snapshot = await readSnapshot(settings, terminal, waitMs);
  const use = { path: "image", container: null, image };
  const verdict = decide(snapshot, questionAbout(namespace, [use], { knowledge: nothingToAsk }));
  if (verdict.kind === "not-known-yet") throw new Error("a decision with final knowledge asked for more");
  const subject = { source: "command line", kind: "Image", namespace, name: "" };
  const report = reportOf(snapshot, subject, verdict, { suggest: "workspace" });
  if (output === "json") terminal.out(`${JSON.stringify([report], null, 2)}\n`);
  else terminal.out(reasoning(snapshot, namespace, verdict, report.message, terminal));
  if (couldNotJudge(verdict)) return exitCodes.couldNotJudge;
  return verdict.kind === "refuse" ? exitCodes.refused : exitCodes.allowed;
}

function reasoning(
  snapshot: Snapshot,
  namespace: string,
  verdict: FinalVerdict,
  message: string | null,
  terminal: Terminal,
): string {
  const [judgement] = verdict.judgements;
  if (judgement === undefined) return "nothing to judge: the image is empty\n";
  const rows = [
    ["image", judgement.use?.image ?? ""],
    ...referenceRows(judgement),
    ["namespace", namespaceInWords(snapshot, namespace)],
    ...registryRows(snapshot, namespace, judgement),
    ["mode", snapshot.policy.mode],
    ["verdict", verdictInWords(judgement, terminal)],
  ];
  const warning = spellingWarning(judgement);
  if (warning !== undefined) rows.push(["warning", warning]);
  if (message !== null) rows.push(["message", message]);
  return rows.map(([name = "", value = ""]) => `${name.padEnd(10)} ${value}\n`).join("");
}

function referenceRows({ reference }: Judgement): string[][] {
  if (reference === null) return [];
  const parts = [`host ${reference.host}`, `repository ${reference.repository}`];
  if (reference.tag !== null) parts.push(`tag ${reference.tag}`);
  if (reference.digest !== null) parts.push(`digest ${reference.digest}`);
  return [["reads as", parts.join(", ")]];
}

function namespaceInWords(snapshot: Snapshot, namespace: string): string {
  const workspace = snapshot.namespaces.get(namespace);
  if (workspace === undefined) return `${namespace}: not known`;
  return workspace === null ? `${namespace}: in no workspace` : `${namespace}: in workspace "${workspace}"`;
}

function registryRows(snapshot: Snapshot, namespace: string, { registry, space }: Judgement): string[][] {
  if (registry === null) return [["registry", "none claims this host"]];
  const owner = registry.workspace === null ? "" : `, of workspace "${registry.workspace}"`;
  const rows = [
    ["registry", `${registry.name} (${registry.type}${owner}): ${registry.spellings.join(", ")}`],
  ];
  if (space === null) return rows;
  const catalogue = snapshot.catalogues.get(registry.name);
  if (catalogue === undefined) return [...rows, ["space", `${space}: the registry has not been read`]];
  const known = catalogue.spaces.get(space);
  if (known === undefined) return [...rows, ["space", `${space}: not in the catalogue`]];
  const proxy = known.proxyCache ? ", a proxy cache of a foreign registry" : "";
  const visibility = visibilityOn(registry, known);
  const differs = visibility === known.visibility ? "" : ` by the policy (${known.visibility} in Harbor)`;
  rows.push(["space", `${space}: ${visibility}${differs}${proxy}, id ${String(known.id)}`]);
  const workspace = snapshot.namespaces.get(namespace) ?? "";
  const binding = snapshot.policy.bindings.get(spaceKey(registry.name, space))?.get(workspace);
  if (binding === undefined) return [...rows, ["binding", "none for this workspace"]];
  if (bindingFault(snapshot, binding, known) === "not-adopted") {
    const mend =
      "the policy declares the space, and Berth did not make the one that exists: adopt: true takes it over";
    return [...rows, ["binding", `workspace "${workspace}" has one that grants nothing (${mend})`]];
  }
  const id = boundId(snapshot.pins, binding);
  return [
    ...rows,
    ["binding", `workspace "${workspace}" has it${id === undefined ? "" : `, with id ${String(id)}`}`],
  ];
}

function verdictInWords({ allowed, reason, ...rest }: Judgement, { stream }: Terminal): string {
  const secret = "needsPullSecret" in rest && rest.needsPullSecret ? ", with the pull secret" : "";
  return `${styleText(allowed ? "green" : "red", allowed ? "allow" : "refuse", { stream })}${secret} (${reason})`;
}
