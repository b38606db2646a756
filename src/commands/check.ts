// Judges manifests with the decision of admission, and no server. It writes nothing anywhere, and counts pull
// secrets as present: manifests are judged as written.

import { styleText } from "node:util";
import { decide, type FinalVerdict } from "../domain/decision.ts";
import { nothingToAsk } from "../domain/knowledge.ts";
import { questionOfManifest } from "../domain/manifest-question.ts";
import { builtInKinds, type WorkloadKinds } from "../domain/pod-spec.ts";
import { reportOf, type Report } from "../domain/report.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { readManifestsAt } from "../files/manifest-files.ts";
import {
  manifestProblemLine,
  parseManifestBytes,
  type Manifest,
  type Manifests,
} from "../files/manifests.ts";
import type { Settings } from "../settings.ts";
import { exitCodes, type Terminal } from "./terminal.ts";
import { readSnapshot } from "./whole-snapshot.ts";

export interface CheckOptions {
  /** For objects that name no namespace. */
  readonly namespace: string;
  readonly output: "text" | "json";
  readonly onlyRefused: boolean;
}

export async function check(
  files: readonly string[],
  settings: Settings,
  options: CheckOptions,
  terminal: Terminal,
  waitMs?: number,
): Promise<number> {
  const manifests = await Promise.all(files.map((file) => readManifests(file, terminal)));
  const problems = manifests.flatMap((each) => each.problems.map(manifestProblemLine));
  const snapshot = await readSnapshot(settings, terminal, waitMs);
  const kinds = new Map([...builtInKinds, ...settings.podTemplates]);
  const judged = manifests
    .flatMap((each) => each.objects)
    .flatMap(({ source, value }) => judgeManifest(snapshot, kinds, source, value, options.namespace));
  const reports = judged.map(({ report }) => report);
  if (options.output === "json") terminal.out(`${JSON.stringify(reports, null, 2)}\n`);
  else terminal.out(asText(reports, options.onlyRefused, terminal));
  for (const problem of problems) terminal.err(`${problem}\n`);
  if (problems.length > 0 || judged.some(({ verdict }) => couldNotJudge(verdict)))
    return exitCodes.couldNotJudge;
  return reports.some(({ verdict }) => verdict === "refuse") ? exitCodes.refused : exitCodes.allowed;
}

async function readManifests(file: string, terminal: Terminal): Promise<Manifests> {
  return file === "-"
    ? parseManifestBytes(await terminal.readInput(), "standard input")
    : readManifestsAt(file);
}

interface Judged {
  readonly report: Report;
  readonly verdict: FinalVerdict;
}

/** Nothing for kinds that hold no Pod template. */
function judgeManifest(
  snapshot: Snapshot,
  kinds: WorkloadKinds,
  source: string,
  manifest: Manifest,
  defaultNamespace: string,
): readonly Judged[] {
  const found = questionOfManifest(kinds, manifest, defaultNamespace);
  if (found === undefined) return [];
  const { subject, question, mirrorPod } = found;
  // What `kubectl get pods` shows is there already, the nodes' own Pods among it.
  const verdict = decide(snapshot, { ...question, mirrorPodOfNode: mirrorPod, knowledge: nothingToAsk });
  if (verdict.kind === "not-known-yet") throw new Error("a decision with final knowledge asked for more");
  const reader = { suggest: "workspace", view: "platform" } as const;
  return [{ report: reportOf(snapshot, { source, ...subject }, verdict, reader), verdict }];
}

/** A registry that was never read says nothing about its images. */
export function couldNotJudge(verdict: FinalVerdict): boolean {
  return verdict.kind === "refuse" && verdict.refusals.some(({ reason }) => reason === "catalogue-not-ready");
}

function asText(reports: readonly Report[], onlyRefused: boolean, terminal: Terminal): string {
  const refused = reports.filter(({ verdict }) => verdict === "refuse");
  const lines = (onlyRefused ? refused : reports).map((report) => reportLines(report, terminal));
  const counts = `${String(reports.length)} judged, ${String(refused.length)} refused`;
  return `${lines.join("")}${counts}\n`;
}

function reportLines(
  { verdict, kind, namespace, name, pullSecret, message, source }: Report,
  terminal: Terminal,
) {
  const word = styleText(verdict === "allow" ? "green" : "red", verdict.padEnd(6), {
    stream: terminal.stream,
  });
  const secret = pullSecret === null ? "" : `, with pull secret ${pullSecret}`;
  const lines = [`${word}  ${kind} ${namespace}/${name === "" ? "(no name)" : name}${secret}  [${source}]`];
  for (const line of message?.split("\n") ?? []) lines.push(`        ${line}`);
  return `${lines.join("\n")}\n`;
}
