// What a walk was, in words: how much was judged, and, where something was wrong, how to have it again.

import type { CampaignReport } from "./campaign.ts";

export function reportText(report: CampaignReport): string {
  const { kind, seed, steps, turnedMs, tally, taken, wrong, lastSteps, evidence } = report;
  const counts = (of: ReadonlyMap<string, number>): string =>
    [...of]
      .sort(([, a], [, b]) => b - a)
      .map(([name, count]) => `${name} ${String(count)}`)
      .join(", ");
  const lines = [
    `${kind}, seed ${String(seed)}: ${String(steps)} steps over ${(turnedMs / 3_600_000).toFixed(1)} h of turned time`,
    `reviews judged: ${String(tally.reviews)}, ${String(tally.refused)} refused; ` +
      `${String(tally.uncertain)} with more than one right answer, ${String(tally.unjudged)} with too many; ` +
      `${String(tally.combinations)} combinations of knowledge judged`,
    `failed calls: ${counts(tally.failedCalls) || "none"}`,
    `reasons: ${counts(tally.reasons)}`,
    `steps: ${counts(taken)}`,
  ];
  if (wrong.length === 0) return lines.join("\n");
  return [
    ...lines,
    `WRONG at step ${String(steps)}. To have it again: npm run campaign -- --mode ${kind} --seed ${String(seed)} --steps ${String(steps)}`,
    "the last steps:",
    ...lastSteps.map((line) => `  ${line}`),
    ...evidence,
    ...wrong.map((line) => `- ${line}`),
  ].join("\n");
}
