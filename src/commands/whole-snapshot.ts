// One whole snapshot for a command that judges and ends: policy, namespaces, and the catalogue of each Harbor.

import { missingParts, type Snapshot } from "../domain/snapshot.ts";
import { formatProblem } from "../domain/policy-problem.ts";
import { silentLog, type Log } from "../log.ts";
import type { Settings } from "../settings.ts";
import { startEngine, untilWhole, type Engine } from "./engine.ts";
import type { Terminal } from "./terminal.ts";

/** A large Harbor is listed within seconds; whoever waits at a terminal wants to hear of one that is down. */
export const patienceMs = 20_000;

/** What could not be read is told on standard error, and missing in the snapshot. */
export function readSnapshot(settings: Settings, terminal: Terminal, waitMs = patienceMs): Promise<Snapshot> {
  return withSnapshot(settings, terminal, waitMs, (snapshot) => Promise.resolve(snapshot));
}

/** The same for who goes on asking: the engine runs until `use` is done with it. */
export async function withSnapshot<T>(
  settings: Settings,
  terminal: Terminal,
  waitMs: number,
  use: (snapshot: Snapshot, engine: Engine) => Promise<T>,
): Promise<T> {
  const failures = new Map<string, string>();
  const engine = await startEngine(settings, logFor(terminal, failures));
  try {
    const snapshot = await untilWhole(engine.state, waitMs);
    for (const problem of snapshot.policy.problems) terminal.err(`${formatProblem(problem)}\n`);
    for (const part of missingParts(snapshot)) {
      const name = part.replace(/^catalogue of /, "");
      const why = engine.registryStatus().get(name)?.problem;
      terminal.err(`could not read the ${part}${why ? `: ${why}` : ""}\n`);
    }
    if (!snapshot.policyRead || !snapshot.namespacesRead) {
      const reasons = new Set(failures.values());
      throw new Error(["the policy and the namespaces could not be read", ...reasons].join(": "));
    }
    return await use(snapshot, engine);
  } finally {
    await engine.stop();
  }
}

/** Of what a process that stays would log, what a person must know and is not told otherwise. */
export function logFor(terminal: Terminal, failures: Map<string, string>): Log {
  return {
    ...silentLog,
    warn({ file, resource, err }, text) {
      if (file !== undefined) terminal.err(`${text}\n`);
      if (typeof resource === "string" && err instanceof Error) failures.set(resource, err.message);
    },
  };
}
