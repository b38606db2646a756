// Cluster, or a folder read as one → state: namespaces become workspaces, policy ConfigMaps become a policy, and
// the Secrets of Berth's own namespace go to a cell of their own, since credentials are no part of a snapshot.

import { secretsOf, withoutLogins, type FoundHarborClusters } from "../domain/joined-registries.ts";
import { parsePolicy, replayLastGood, type ParsedPolicies } from "../domain/policies.ts";
import { formatProblem } from "../domain/policy-problem.ts";
import type { Policy, PolicyConfigMap, PolicyProblem } from "../domain/policy.ts";
import type { PublishedPolicy } from "../domain/published-policy.ts";
import { danglingExemptionInWords, danglingExemptions } from "../domain/snapshot.ts";
import {
  mergeWithdrawn,
  pruneWithdrawn,
  retainedPolicy,
  withdraw,
  type WithdrawnDocument,
} from "../domain/withdrawal.ts";
import { workspaceOf } from "../domain/workspaces.ts";
import type { Log } from "../log.ts";
import type { Stoppable } from "../loop.ts";
import { isSameMap, type Cell, type State } from "../state.ts";

/** Secret key → decoded text. */
export type SecretData = Readonly<Record<string, string>>;

/** Takes what a cluster shows. Each call carries the full set, never a difference. */
export interface ClusterSink {
  /** Namespace name → labels. */
  namespaces(all: ReadonlyMap<string, Readonly<Record<string, string>>>): void;
  policyConfigMaps(all: readonly PolicyConfigMap[]): void;
  /** What the leader published last; null where nothing is published, or nothing that can be read. */
  publishedPolicy(published: PublishedPolicy | null): void;
  /** The Secrets of Berth's own namespace, by name. */
  secrets(all: ReadonlyMap<string, SecretData>): void;
  /** What may join as a registry. A folder knows of none, and a cluster only where namespaces are named for it. */
  harborClusters(found: FoundHarborClusters): void;
  /** `<namespace>/<name>` of the service accounts that enforce their list of Secrets. A folder knows of none. */
  strictServiceAccounts(all: ReadonlySet<string>): void;
}

/** Starts to deliver to the sink; kubernetes/ and files/ each have one. */
export type ClusterSource = (sink: ClusterSink) => Stoppable;

/** What the leader publishes of the policy, and what credentials are planned from. */
export interface PolicyInForce {
  readonly parsed: ParsedPolicies;
  readonly withdrawn: readonly WithdrawnDocument[];
  /** The policy in force and, as far as it does not contradict it, what was withdrawn within the hour. */
  readonly retained: Policy;
}

export interface ClusterFeed extends Stoppable {
  /** Undefined before the policy was read. */
  current(): PolicyInForce | undefined;
  /** Forgets what was withdrawn an hour before; to be called every minute or so. */
  prune(now: number): void;
}

export interface ClusterFeedNeeds {
  readonly source: ClusterSource;
  readonly state: State;
  /** Secrets of Berth's own namespace. */
  readonly secrets: Pick<Cell<ReadonlyMap<string, SecretData>>, "replace">;
  readonly workspaceLabel: string;
  readonly log: Log;
  readonly now: () => number;
  /**
   * The source says what is published. No policy is read before it has: a replica that starts while a document is
   * broken is to decide as those do that saw it when it was good. A folder never says it.
   */
  readonly awaitsPublished?: boolean;
  /** The source says which HarborClusters there are. No policy is read before: bindings to them would lose their pins. */
  readonly awaitsHarborClusters?: boolean;
  /** The one who publishes takes nothing from what it published itself, which may be older than what it knows. */
  readonly leads?: () => boolean;
  /** Called after each change, with what {@link ClusterFeed.current} then says. */
  readonly onPolicy?: (inForce: PolicyInForce) => void;
}

export function startClusterFeed(needs: ClusterFeedNeeds): ClusterFeed {
  const { source, state, secrets, workspaceLabel, log, now } = needs;
  const { awaitsPublished = false, awaitsHarborClusters = false, leads = () => false } = needs;
  let configMaps: readonly PolicyConfigMap[] | undefined;
  /** Undefined until the source has said it. */
  let found: FoundHarborClusters | undefined;
  let ownSecrets: ReadonlyMap<string, SecretData> | undefined;
  /** Undefined until the source has said it. */
  let published: PublishedPolicy | null | undefined;
  let inForce: PolicyInForce | undefined;
  let reported: ReadonlySet<string> = new Set();

  /** Once both are known: what the policy ConfigMaps say, and before them what they said when they were last good. */
  function readPolicy(): void {
    if (configMaps === undefined || (awaitsPublished && published === undefined)) return;
    if (awaitsHarborClusters && found === undefined) return;
    const isFirst = inForce === undefined;
    // Old texts are no policy of today: they tell what a broken document said, and who had a claim first.
    const before = inForce?.parsed ?? (published ? replayLastGood(published.texts) : undefined);
    const parsed = parsePolicy(before, configMaps, found && withoutLogins(found));
    const known = inForce?.withdrawn ?? published?.withdrawn ?? [];
    const isSame = !isFirst && parsed === before;
    settle(parsed, withdraw(before?.lastGoodTexts ?? [], configMaps, known, now()));
    if (isSame) return;
    state.replacePolicy(parsed.policy);
    report();
  }

  function replaceSecrets(): void {
    if (ownSecrets === undefined) return;
    secrets.replace(
      found === undefined ? ownSecrets : new Map([...ownSecrets, ...secretsOf(found.clusters)]),
    );
  }

  function settle(parsed: ParsedPolicies, withdrawn: readonly WithdrawnDocument[]): void {
    if (parsed === inForce?.parsed && isSameList(withdrawn, inForce.withdrawn)) return;
    inForce = { parsed, withdrawn, retained: retainedPolicy(parsed, withdrawn) };
    needs.onPolicy?.(inForce);
  }

  function adopt({ pins, ownSpaces, withdrawn }: PublishedPolicy): void {
    state.adoptPins(pins);
    state.replaceOwnSpaces(ownSpaces);
    if (inForce === undefined || configMaps === undefined) return;
    const merged = mergeWithdrawn(inForce.withdrawn, withdrawn);
    settle(inForce.parsed, withdraw([], configMaps, merged, now()));
  }

  function report(): void {
    const snapshot = state.snapshot();
    const problems = snapshot.policy.problems.map((problem): Said => [
      problem.severity,
      formatProblem(problem),
    ]);
    const dangling = danglingExemptions(snapshot).map((name): Said => [
      "warning",
      danglingExemptionInWords(name),
    ]);
    reported = sayNew([...problems, ...dangling], reported, log);
  }

  const delivering = source({
    namespaces(all) {
      const namespaces = new Map<string, string | null>();
      for (const [name, labels] of all) namespaces.set(name, workspaceOf(labels, workspaceLabel));
      const { namespacesRead, namespaces: previous } = state.snapshot();
      if (namespacesRead && isSameMap(previous, namespaces)) return;
      state.replaceNamespaces(namespaces);
      report();
    },
    policyConfigMaps(all) {
      configMaps = all;
      readPolicy();
    },
    publishedPolicy(given) {
      const isFirst = published === undefined;
      published = given;
      if (given !== null && (isFirst || !leads())) adopt(given);
      if (!isFirst) return;
      if (given === null) state.replaceOwnSpaces(new Map());
      readPolicy();
    },
    secrets(all) {
      ownSecrets = all;
      replaceSecrets();
    },
    harborClusters(given) {
      if (JSON.stringify(given) === JSON.stringify(found)) return;
      found = given;
      // Logins first: what joins is read with them at once.
      replaceSecrets();
      readPolicy();
    },
    strictServiceAccounts: (all) => state.replaceStrictServiceAccounts(all),
  });

  return {
    current: () => inForce,
    prune(at) {
      if (inForce !== undefined) settle(inForce.parsed, pruneWithdrawn(inForce.withdrawn, at));
    },
    stop: () => delivering.stop(),
  };
}

function isSameList<T>(one: readonly T[], other: readonly T[]): boolean {
  return one.length === other.length && one.every((element, index) => element === other[index]);
}

type Said = readonly [severity: PolicyProblem["severity"], line: string];

/** Logs each problem once, for as long as it stays. Returns what has been said. */
function sayNew(problems: readonly Said[], reported: ReadonlySet<string>, log: Log): ReadonlySet<string> {
  for (const [severity, line] of problems) {
    if (reported.has(line)) continue;
    if (severity === "error") log.error({}, line);
    else log.warn({}, line);
  }
  return new Set(problems.map(([, line]) => line));
}
