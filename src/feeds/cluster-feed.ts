// Cluster, or a folder read as one → state: namespaces become workspaces, policy ConfigMaps become a policy, and
// the Secrets of Berth's own namespace go to a cell of their own, since credentials are no part of a snapshot.

import { parsePolicy, type ParsedPolicies } from "../domain/policies.ts";
import { formatProblem } from "../domain/policy-problem.ts";
import type { PolicyConfigMap, PolicyProblem } from "../domain/policy.ts";
import { danglingExemptions } from "../domain/snapshot.ts";
import { workspaceOf } from "../domain/workspaces.ts";
import type { Log } from "../log.ts";
import type { Stoppable } from "../loop.ts";
import type { Cell, State } from "../state.ts";

/** Secret key → decoded text. */
export type SecretData = Readonly<Record<string, string>>;

/** Takes what a cluster shows. Each call carries the full set, never a difference. */
export interface ClusterSink {
  /** Namespace name → labels. */
  namespaces(all: ReadonlyMap<string, Readonly<Record<string, string>>>): void;
  policyConfigMaps(all: readonly PolicyConfigMap[]): void;
  /** The Secrets of Berth's own namespace, by name. */
  secrets(all: ReadonlyMap<string, SecretData>): void;
  /** `<namespace>/<name>` of the service accounts that enforce their list of Secrets. A folder knows of none. */
  strictServiceAccounts(all: ReadonlySet<string>): void;
}

/** Starts to deliver to the sink; kubernetes/ and files/ each have one. */
export type ClusterSource = (sink: ClusterSink) => Stoppable;

export interface ClusterFeedNeeds {
  readonly source: ClusterSource;
  readonly state: State;
  /** Secrets of Berth's own namespace. */
  readonly secrets: Pick<Cell<ReadonlyMap<string, SecretData>>, "replace">;
  readonly workspaceLabel: string;
  readonly log: Log;
}

export function startClusterFeed({
  source,
  state,
  secrets,
  workspaceLabel,
  log,
}: ClusterFeedNeeds): Stoppable {
  let policies: ParsedPolicies | undefined;
  let reported: ReadonlySet<string> = new Set();

  function report(): void {
    const snapshot = state.snapshot();
    const problems = snapshot.policy.problems.map((problem): Said => [
      problem.severity,
      formatProblem(problem),
    ]);
    const dangling = danglingExemptions(snapshot).map((name): Said => ["warning", danglingText(name)]);
    reported = sayNew([...problems, ...dangling], reported, log);
  }

  return source({
    namespaces(all) {
      const namespaces = new Map<string, string | null>();
      for (const [name, labels] of all) namespaces.set(name, workspaceOf(labels, workspaceLabel));
      const { namespacesRead, namespaces: previous } = state.snapshot();
      if (namespacesRead && isSame(previous, namespaces)) return;
      state.replaceNamespaces(namespaces);
      report();
    },
    policyConfigMaps(all) {
      const parsed = parsePolicy(policies, all);
      if (parsed === policies) return;
      policies = parsed;
      state.replacePolicy(parsed.policy);
      report();
    },
    secrets: (all) => secrets.replace(all),
    strictServiceAccounts: (all) => state.replaceStrictServiceAccounts(all),
  });
}

function isSame(
  previous: ReadonlyMap<string, string | null>,
  next: ReadonlyMap<string, string | null>,
): boolean {
  if (previous.size !== next.size) return false;
  for (const [name, workspace] of next) {
    // An absent name is undefined, which no workspace is.
    if (previous.get(name) !== workspace) return false;
  }
  return true;
}

type Said = readonly [severity: PolicyProblem["severity"], line: string];

function danglingText(name: string): string {
  return `exemptNamespaces: there is no namespace "${name}"; whoever creates one of that name is out of every rule`;
}

/** Logs each problem once, for as long as it stays. Returns what has been said. */
function sayNew(problems: readonly Said[], reported: ReadonlySet<string>, log: Log): ReadonlySet<string> {
  for (const [severity, line] of problems) {
    if (reported.has(line)) continue;
    if (severity === "error") log.error({}, line);
    else log.warn({}, line);
  }
  return new Set(problems.map(([, line]) => line));
}
