// `npm run campaign`: walks for as many steps or minutes as it is told, tells what it does, and ends with 1 where an
// answer was wrong.

import { parseArgs } from "node:util";
import { runCampaign, type Kind } from "./campaign.ts";
import { reportText } from "./report-text.ts";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: String(Math.floor(Date.now() / 1_000) % 1_000_000) },
    steps: { type: "string", default: "2000" },
    minutes: { type: "string" },
    mode: { type: "string", default: "both" },
    verbose: { type: "boolean", default: false },
  },
});
const kinds: readonly Kind[] = values.mode === "both" ? ["cluster", "folder"] : [values.mode as Kind];
const print = (text: string): void => void process.stdout.write(`${text}\n`);

for (const kind of kinds) {
  print(`campaign, ${kind}: seed ${values.seed}`);
  const report = await runCampaign({
    kind,
    seed: Number(values.seed),
    steps: values.minutes === undefined ? Number(values.steps) : Infinity,
    ...(values.minutes === undefined ? {} : { withinMs: (Number(values.minutes) * 60_000) / kinds.length }),
    ...(values.verbose ? { onStep: print } : {}),
  });
  print(reportText(report));
  if (report.wrong.length > 0) process.exitCode = 1;
}
