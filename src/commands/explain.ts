// The verdict for one image in one namespace, with everything that led to it.

import { styleText } from "node:util";
import { decide, questionAbout, type FinalVerdict } from "../domain/decision.ts";
import { nothingToAsk } from "../domain/knowledge.ts";
import { reasoningOf } from "../domain/reasoning.ts";
import { reportOf } from "../domain/report.ts";
import type { Snapshot } from "../domain/snapshot.ts";
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
  const report = reportOf(snapshot, subject, verdict, { suggest: "workspace", view: "platform" });
  if (output === "json") terminal.out(`${JSON.stringify([report], null, 2)}\n`);
  else terminal.out(asText(snapshot, namespace, verdict, report.message, terminal));
  if (couldNotJudge(verdict)) return exitCodes.couldNotJudge;
  return verdict.kind === "refuse" ? exitCodes.refused : exitCodes.allowed;
}

function asText(
  snapshot: Snapshot,
  namespace: string,
  { judgements: [judgement] }: FinalVerdict,
  message: string | null,
  terminal: Terminal,
): string {
  if (judgement === undefined) return "nothing to judge: the image is empty\n";
  const rows: { readonly what: string; readonly text: string }[] = [
    ...reasoningOf(snapshot, namespace, judgement, "platform"),
  ];
  if (message !== null) rows.push({ what: "message", text: message });
  return rows
    .map(({ what, text }) => {
      const shown = what === "verdict" ? coloured(text, judgement.allowed, terminal) : text;
      return `${what.padEnd(10)} ${shown}\n`;
    })
    .join("");
}

/** The first word, `allow` or `refuse`. */
function coloured(verdict: string, allowed: boolean, { stream }: Terminal): string {
  return verdict.replace(/^\w+/, (word) => styleText(allowed ? "green" : "red", word, { stream }));
}
