// Brings the pull secrets of all namespaces to what they should hold: wanted less seen, a few at a time, the ones that
// Pods may be waiting for first. What one namespace does not let happen is reported, and delays no other.

import {
  isAsWanted,
  planPullSecrets,
  type PullSecretChange,
  type SeenPullSecrets,
} from "../domain/pull-secrets.ts";
import { printLoginRecord } from "../domain/login-record.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { gather } from "../gather.ts";
import type { Log } from "../log.ts";
import type { Credentials } from "./credentials.ts";
import type { RobotRecords } from "./robot-reconciler.ts";

/** The Secrets; kubernetes/pull-secret-store.ts. What was written shows at once. */
export interface PullSecrets {
  /** False until they were listed once. */
  isRead(): boolean;
  /** By namespace. */
  current(): SeenPullSecrets;
  write(namespace: string, dockerConfigJson: string, signal: AbortSignal): Promise<WriteOutcome>;
  remove(namespace: string, signal: AbortSignal): Promise<WriteOutcome>;
}

export type WriteOutcome =
  | { readonly kind: "written" }
  /** Somebody else changed it meanwhile. */
  | { readonly kind: "conflict" }
  /** A full quota, a namespace that is being deleted, another webhook: in words. */
  | { readonly kind: "refused"; readonly why: string };

export interface PullSecretNeeds {
  readonly snapshot: () => Snapshot;
  readonly credentials: () => Credentials;
  readonly secrets: PullSecrets;
  readonly records: RobotRecords;
  readonly log: Log;
  readonly now: () => number;
  readonly random: () => number;
  readonly observe?: (outcome: "written" | "removed" | "conflict" | "refused" | "failed") => void;
}

export type PullSecretState = "current" | "missing" | "outdated" | "foreign" | "refused";

export interface PullSecretReconciler {
  /** Writes and removes whatever can be now. */
  round(signal: AbortSignal): Promise<void>;
  /** Does the namespace's Secret hold what it should, or can it not be written? */
  isSettled(namespace: string): boolean;
  /** How many namespaces' Secrets are in which state. */
  states(): Readonly<Record<PullSecretState, number>>;
  problems(): readonly string[];
}

/**
 * A write takes an API server some 5 ms: 5,000 Secrets are written within seconds, and the API server's own limit
 * for one account's requests (API Priority and Fairness) is not felt by others.
 */
const atATime = 16;
/** Between two plans no more are written: a new namespace is not kept waiting behind thousands. */
const batch = 128;
/** A namespace that refused is asked again after this, doubled each time, up to the slowest. */
const firstRetryMs = 10_000;
const slowestRetryMs = 5 * 60_000;
/** An API server that is back is not kept waiting for long. */
const slowestAfterFailureMs = 30_000;
/** In one namespace: then it is somebody who writes all the time. */
const conflictsInARow = 3;

interface Setback {
  readonly kind: "refused" | "conflict" | "failed";
  /** What was to be done: something else is tried at once. */
  readonly change: string;
  readonly why: string;
  readonly inARow: number;
  /** When to try again. */
  readonly at: number;
}

export function createPullSecretReconciler(needs: PullSecretNeeds): PullSecretReconciler {
  const { secrets, log, now } = needs;
  const setbacks = new Map<string, Setback>();
  let missingLogins: readonly string[] = [];

  async function round(signal: AbortSignal): Promise<void> {
    const { policyRead, namespacesRead } = needs.snapshot();
    if (!policyRead || !namespacesRead || !secrets.isRead() || !needs.records.isRead()) return;
    await keepLogins(signal);
    for (;;) {
      const due = plan()
        .filter((change) => isDue(change))
        .slice(0, batch);
      if (due.length === 0 || signal.aborted) return;
      await gather(due, atATime, (change) => carryOut(change, signal));
    }
  }

  /** A login is on record before it is handed out, and for as long as it is. */
  async function keepLogins(signal: AbortSignal): Promise<void> {
    const credentials = needs.credentials();
    for (const [name, login] of credentials.loginsToRecord()) {
      const outcome = await needs.records.write(name, printLoginRecord(login), signal);
      if (outcome === "conflict") throw new Error("the record of a login was changed by another meanwhile");
    }
    for (const name of credentials.loginsToForget()) await needs.records.remove(name, signal);
    const missing = credentials.missingLogins();
    for (const text of missing)
      if (!missingLogins.includes(text)) log.warn({}, `no login to hand out: ${text}`);
    missingLogins = missing;
  }

  /** What is to be done everywhere; a setback with what is not to be done any more is over. */
  function plan(): readonly PullSecretChange[] {
    const changes = changesIn([...needs.snapshot().namespaces.keys()]);
    const planned = new Set(changes.map(({ namespace }) => namespace));
    for (const namespace of setbacks.keys()) if (!planned.has(namespace)) setbacks.delete(namespace);
    return changes;
  }

  function changesIn(namespaces: readonly string[]): readonly PullSecretChange[] {
    const credentials = needs.credentials();
    const wanted = namespaces.map((namespace) => [namespace, credentials.wantedSecret(namespace)] as const);
    return planPullSecrets(new Map(wanted), secrets.current());
  }

  /** Another webhook may alter what is written, and it would be written again and again. */
  function isStillToDo(change: PullSecretChange): boolean {
    const [again] = changesIn([change.namespace]);
    return again !== undefined && keyOf(again) === keyOf(change);
  }

  function isDue(change: PullSecretChange): boolean {
    const setback = setbacks.get(change.namespace);
    return setback?.change !== keyOf(change) || now() >= setback.at;
  }

  async function carryOut(change: PullSecretChange, signal: AbortSignal): Promise<void> {
    const { namespace } = change;
    try {
      const outcome = await (change.kind === "write"
        ? secrets.write(namespace, change.text, signal)
        : secrets.remove(namespace, signal));
      if (outcome.kind === "written") {
        needs.observe?.(change.kind === "write" ? "written" : "removed");
        if (isStillToDo(change))
          putOff(change, "conflict", "it is not as it was written: somebody alters it");
        else setbacks.delete(namespace);
        return;
      }
      needs.observe?.(outcome.kind);
      const why = outcome.kind === "refused" ? outcome.why : "somebody else changes it all the time";
      putOff(change, outcome.kind, why);
    } catch (err) {
      if (signal.aborted) return;
      needs.observe?.("failed");
      putOff(change, "failed", err instanceof Error ? err.message : String(err));
    }
  }

  function putOff(change: PullSecretChange, kind: Setback["kind"], why: string): void {
    const { namespace } = change;
    const before = setbacks.get(namespace);
    const inARow = before?.change === keyOf(change) ? before.inARow + 1 : 1;
    const isPassing = passes({ kind, inARow });
    const slowestMs = kind === "failed" ? slowestAfterFailureMs : slowestRetryMs;
    const pauseMs = Math.min(firstRetryMs * 2 ** (inARow - 1), slowestMs) * (1 - needs.random() / 4);
    const at = isPassing ? now() : now() + pauseMs;
    setbacks.set(namespace, { change: keyOf(change), kind, why, inARow, at });
    const isNews = before?.why !== why || passes(before);
    if (!isPassing && isNews) log.warn({ namespace, why }, "a pull secret cannot be written");
  }

  /** A conflict is most often over as soon as the other's change is seen. */
  function passes({ kind, inARow }: Pick<Setback, "kind" | "inARow">): boolean {
    return kind === "conflict" && inARow < conflictsInARow;
  }

  /** Is it not for Berth to mend? An API server in trouble says nothing about the Secret. */
  function stands({ kind, inARow }: Setback): boolean {
    return kind === "refused" || (kind === "conflict" && !passes({ kind, inARow }));
  }

  function keyOf(change: PullSecretChange): string {
    return change.kind === "write" ? change.text : "";
  }

  function stateOf(namespace: string): PullSecretState | null {
    const wanted = needs.credentials().wantedSecret(namespace);
    const seen = secrets.current().get(namespace);
    if (wanted === null && seen?.owner !== "berth") return null;
    if (seen?.owner === "foreign") return "foreign";
    if (isAsWanted(wanted, seen)) return "current";
    const setback = wanted === "waiting" ? undefined : setbacks.get(namespace);
    const isForThis = wanted !== "waiting" && setback?.change === (wanted?.text ?? "");
    if (setback !== undefined && isForThis && stands(setback)) return "refused";
    return seen === undefined ? "missing" : "outdated";
  }

  return {
    round,
    isSettled(namespace) {
      const state = stateOf(namespace);
      return state === null || state === "current" || state === "foreign" || state === "refused";
    },
    states() {
      const counts = { current: 0, missing: 0, outdated: 0, foreign: 0, refused: 0 };
      for (const namespace of needs.snapshot().namespaces.keys()) {
        const state = stateOf(namespace);
        if (state !== null) counts[state] += 1;
      }
      return counts;
    },
    problems() {
      const refused = [...setbacks].map(([namespace, { why }]) => `namespace ${namespace}: ${why}`);
      const foreign = [...needs.snapshot().namespaces.keys()]
        .filter((namespace) => stateOf(namespace) === "foreign")
        .map((namespace) => `namespace ${namespace}: a Secret berth-pull that Berth did not make is there`);
      return [...missingLogins, ...refused, ...foreign];
    },
  };
}
