// What is known of each registry at this moment: does it answer as the policy says, what does it hold, and what is to
// be done where something is wrong. It asks the registries itself, and writes nothing anywhere.

import { setTimeout as sleep } from "node:timers/promises";
import { styleText } from "node:util";
import Table from "cli-table3";
import { formatProblem } from "../domain/policy-problem.ts";
import { harborClusterOf } from "../domain/joined-registries.ts";
import type { Registry } from "../domain/policy.ts";
import { openProxyCaches } from "../domain/visibility.ts";
import { catalogueFacts, type CatalogueFacts, type RegistryStatus } from "../feeds/catalogue-feed.ts";
import type { RegistryReport } from "../feeds/registry-checks.ts";
import type { Settings } from "../settings.ts";
import { startEngine, type Engine } from "./engine.ts";
import { exitCodes, type Terminal } from "./terminal.ts";
import { logFor, patienceMs } from "./whole-snapshot.ts";

export interface RegistriesOptions {
  readonly output: "text" | "json";
}

/** One registry, as `--output json` prints it: keys are always there, and null where they do not apply. */
export interface RegistryRow {
  readonly name: string;
  readonly type: Registry["type"];
  readonly url: string;
  readonly owner: "platform" | "workspace";
  readonly workspace: string | null;
  /** `<namespace>/<name>` where it joined by itself, and no policy document names it. */
  readonly harborCluster: string | null;
  /** Down: it does not answer, or not to the login. Problems: it answers, and something is wrong. */
  readonly state: "up" | "down" | "problems";
  readonly version: string | null;
  readonly spaces: CatalogueFacts["spaces"] | null;
  readonly catalogueAgeSeconds: number | null;
  /** Each says what to do. */
  readonly problems: readonly string[];
  /** What works, and could be better. */
  readonly advice: readonly string[];
  /** Spaces by which every namespace can use all of a foreign registry. */
  readonly openProxyCaches: readonly string[];
}

export async function registries(
  settings: Settings,
  { output }: RegistriesOptions,
  terminal: Terminal,
  waitMs = patienceMs,
): Promise<number> {
  const failures = new Map<string, string>();
  const engine = await startEngine(settings, logFor(terminal, failures), { checksRegistries: true });
  try {
    await untilAsked(engine, waitMs);
    const { policy, policyRead } = engine.state.snapshot();
    for (const problem of policy.problems) terminal.err(`${formatProblem(problem)}\n`);
    const neverAsked = policy.registries.size > 0 && engine.registryReports().size === 0;
    if (!policyRead || neverAsked) {
      const what = policyRead ? "no registry could be asked" : "the policy could not be read";
      throw new Error([what, ...new Set(failures.values())].join(": "));
    }
    const rows = [...policy.registries.values()].map((registry) => rowOf(registry, engine, waitMs));
    terminal.out(output === "json" ? `${JSON.stringify(rows, null, 2)}\n` : asText(rows, terminal));
    return rows.every(({ problems }) => problems.length === 0) ? exitCodes.allowed : exitCodes.refused;
  } finally {
    await engine.stop();
  }
}

/** Nothing tells of a finished check; a person does not notice this delay. */
const lookEveryMs = 50;

/** Each registry was checked, and each Harbor listed or not, as of the policy of this moment; or the time is over. */
async function untilAsked(engine: Engine, waitMs: number): Promise<void> {
  const deadline = Date.now() + waitMs;
  while (!isAsked(engine) && Date.now() < deadline) await sleep(lookEveryMs);
}

function isAsked(engine: Engine): boolean {
  const { policy, policyRead } = engine.state.snapshot();
  const [reports, statuses] = [engine.registryReports(), engine.registryStatus()];
  const isDone = ({ name, type }: Registry): boolean =>
    reports.has(name) && (type !== "harbor" || (statuses.get(name)?.outcome ?? null) !== null);
  return policyRead && [...policy.registries.values()].every(isDone);
}

function rowOf(registry: Registry, engine: Engine, waitMs: number): RegistryRow {
  const { name, type, url, workspace } = registry;
  const snapshot = engine.state.snapshot();
  const harborCluster = harborClusterOf(registry);
  const report = engine.registryReports().get(name);
  const facts = catalogueFacts(snapshot, Date.now()).get(name);
  const problems = problemsOf(report, engine.registryStatus().get(name), waitMs);
  return {
    ...{ name, type, url },
    owner: workspace === null ? "platform" : "workspace",
    workspace,
    harborCluster: harborCluster && `${harborCluster.namespace}/${harborCluster.name}`,
    state: report?.up !== true ? "down" : problems.length > 0 ? "problems" : "up",
    version: report?.version ?? null,
    spaces: facts?.spaces ?? null,
    catalogueAgeSeconds: facts === undefined ? null : Math.round(facts.ageMs / 1_000),
    problems,
    advice: report?.advice ?? [],
    openProxyCaches: openProxyCaches(snapshot).flatMap((open) =>
      open.registry === name ? [open.space] : [],
    ),
  };
}

function problemsOf(
  report: RegistryReport | undefined,
  status: RegistryStatus | undefined,
  waitMs: number,
): readonly string[] {
  if (report === undefined) {
    const why = `it did not answer within ${waitMs / 1_000} s: see whether it is up, and whether a firewall is between`;
    return [why];
  }
  // Where the check has found something, the listing has most often failed for the same reason.
  if (report.problems.length > 0 || !status?.problem) return report.problems;
  return [`its spaces could not be listed: ${status.problem}`];
}

function asText(rows: readonly RegistryRow[], terminal: Terminal): string {
  if (rows.length === 0) return "the policy names no registry\n";
  const table = new Table({
    head: ["registry", "type", "url", "owner", "state", "version", "public", "private", "catalogue"],
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) table.push(cellsOf(row, terminal));
  return `${table.toString()}\n${rows.flatMap(remarksOn).join("")}`;
}

function cellsOf(row: RegistryRow, { stream }: Terminal): string[] {
  const colour = { up: "green", problems: "yellow", down: "red" } as const;
  const { workspace, harborCluster, spaces, catalogueAgeSeconds: age } = row;
  const platform = harborCluster === null ? "platform" : `HarborCluster ${harborCluster}`;
  return [
    ...[row.name, row.type, row.url],
    workspace === null ? platform : `workspace "${workspace}"`,
    styleText(colour[row.state], row.state, { stream }),
    row.version ?? "-",
    spaces === null ? "-" : String(spaces.public),
    spaces === null ? "-" : String(spaces.private),
    age === null ? "-" : `${String(age)} s old`,
  ];
}

/** A screenful; whoever closes these sees the others. */
const maxProxyCachesNamed = 10;

function remarksOn({ name, problems, advice, openProxyCaches: open }: RegistryRow): readonly string[] {
  const more = open.length > maxProxyCachesNamed ? `, and ${open.length - maxProxyCachesNamed} more` : "";
  const named = `${open.slice(0, maxProxyCachesNamed).join(", ")}${more}`;
  return [
    ...problems.map((text) => `${name}: problem: ${text}\n`),
    ...advice.map((text) => `${name}: advice: ${text}\n`),
    ...(open.length === 0
      ? []
      : [
          `${name}: public proxy caches, each of which opens the whole registry behind it to every namespace: ` +
            `${named}; proxyCaches: private at this registry in the policy closes them\n`,
        ]),
  ];
}
