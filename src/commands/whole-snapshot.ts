// One whole snapshot for a command that judges and ends: policy, namespaces, and the catalogue of each Harbor.

import { missingParts, type Snapshot } from "../domain/snapshot.ts";
import { formatProblem } from "../domain/policy-problem.ts";
import { createLog } from "../log.ts";
import type { Settings } from "../settings.ts";
import { startEngine, untilWhole } from "./engine.ts";
import type { Terminal } from "./terminal.ts";

/** A large Harbor is listed within seconds; whoever waits at a terminal wants to hear of one that is down. */
const patienceMs = 20_000;

/** What could not be read is told on standard error, and missing in the snapshot. */
export async function readSnapshot(settings: Settings, terminal: Terminal): Promise<Snapshot> {
  // Only what a person must know: the engine's own log is for a process that stays.
  const log = createLog("error");
  const engine = await startEngine(settings, log);
  try {
    const snapshot = await untilWhole(engine.state, patienceMs);
    for (const problem of snapshot.policy.problems) terminal.err(`${formatProblem(problem)}\n`);
    for (const part of missingParts(snapshot)) {
      const name = part.replace(/^catalogue of /, "");
      const why = engine.catalogues.status().get(name)?.problem;
      terminal.err(`could not read the ${part}${why ? `: ${why}` : ""}\n`);
    }
    if (!snapshot.policyRead || !snapshot.namespacesRead)
      throw new Error("the policy and the namespaces could not be read");
    return snapshot;
  } finally {
    await engine.stop();
  }
}
