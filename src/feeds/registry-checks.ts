// Is each registry what the policy says, and can Berth do its work there? Asked when a registry joins, when its
// entry or its Secrets change, and on a slow beat. What is found goes to people: no verdict depends on it.

import type { Registry } from "../domain/policy.ts";
import { accessOf, type AccessReading, type Secrets } from "../domain/registry-access.ts";
import { gather } from "../gather.ts";
import { withoutNotes } from "../http-exchange.ts";
import type { Log } from "../log.ts";
import { createLoop, type Stoppable } from "../loop.ts";
import type { Cell, State } from "../state.ts";

export interface RegistryFindings {
  /** It answers as a registry of its type, to the login if there is one. */
  readonly up: boolean;
  /** As the registry tells it; null where it does not. */
  readonly version: string | null;
  /** Each says what is wrong and what to do about it. */
  readonly problems: readonly string[];
  /** What works, and could be better. */
  readonly advice: readonly string[];
}

/** Asks the registry itself; throws where it cannot be asked. */
export type CheckRegistry = (registry: Registry, signal: AbortSignal) => Promise<RegistryFindings>;

export interface RegistryReport extends RegistryFindings {
  /** Milliseconds since the epoch. */
  readonly checkedAt: number;
}

export interface RegistryChecksNeeds {
  readonly state: State;
  /** Secrets of Berth's own namespace; undefined until they are read. */
  readonly secrets: Cell<Secrets | undefined>;
  readonly check: CheckRegistry;
  readonly log: Log;
  readonly now: () => number;
  readonly random?: () => number;
  /** A registry has other problems than before. */
  readonly onChange?: (registry: Registry, report: RegistryReport) => void;
}

export interface RegistryChecks extends Stoppable {
  /** By registry name; without those not checked yet. */
  reports(): ReadonlyMap<string, RegistryReport>;
}

/** Each check is two or three requests; more at a time would make one slow registry's wait no shorter. */
const atATime = 4;
/** A registry that takes longer does not work, whatever it answers in the end. */
const checkTimeoutMs = 60_000;

export function startRegistryChecks(needs: RegistryChecksNeeds, everyMs: number): RegistryChecks {
  const { state, secrets, log, now } = needs;
  const known = new Map<string, { readonly askedWith: string; readonly report: RegistryReport }>();

  async function round(signal: AbortSignal): Promise<void> {
    const held = secrets.current();
    const { policyRead, policy } = state.snapshot();
    // Of Secrets not read yet none can be said to be missing.
    if (held === undefined || !policyRead) return;
    for (const name of known.keys()) if (!policy.registries.has(name)) known.delete(name);
    const due = [...policy.registries.values()].filter((registry) => {
      const last = known.get(registry.name);
      if (last?.askedWith !== askedWith(registry, held)) return true;
      // A beat comes a little early or late; a wake-up for another registry is no reason to ask this one.
      return now() - last.report.checkedAt > everyMs * 0.8;
    });
    await gather(due, atATime, async (registry) => {
      const report = await ask(registry, held, signal);
      if (!signal.aborted) settle(registry, askedWith(registry, held), report);
    });
  }

  async function ask(registry: Registry, held: Secrets, signal: AbortSignal): Promise<RegistryReport> {
    const checkedAt = now();
    const access: AccessReading | undefined =
      registry.credentialsSecret === null ? undefined : accessOf(registry, held);
    if (access?.kind === "missing") return failed(access.what, checkedAt);
    try {
      const timeout = AbortSignal.timeout(checkTimeoutMs);
      const findings = await needs.check(registry, AbortSignal.any([signal, timeout]));
      return { ...findings, checkedAt };
    } catch (err) {
      return failed(err instanceof Error ? err.message : String(err), checkedAt);
    }
  }

  /** One line when what there is to say changes. */
  function settle(registry: Registry, key: string, report: RegistryReport): void {
    const before = known.get(registry.name)?.report;
    known.set(registry.name, { askedWith: key, report });
    if (before !== undefined && isSameNews(before, report)) return;
    const { problems, advice, version } = report;
    const facts = { registry: registry.name, ...(version === null ? {} : { version }) };
    if (problems.length > 0) log.error({ ...facts, problems }, "the registry does not work as it should");
    else if (before !== undefined && before.problems.length > 0) log.info(facts, "the registry works");
    if (advice.length > 0) log.warn({ ...facts, advice }, "the registry works, and could be safer");
    needs.onChange?.(registry, report);
  }

  const { random } = needs;
  const loop = createLoop({
    name: "registry checks",
    everyMs,
    run: round,
    log,
    ...(random === undefined ? {} : { random }),
  });
  const unsubscribe = [
    state.subscribe((current, previous) => {
      if (current.policy !== previous.policy) loop.wake();
    }),
    secrets.subscribe(() => loop.wake()),
  ];
  return {
    reports: () => new Map([...known].map(([name, { report }]) => [name, report])),
    async stop() {
      for (const cancel of unsubscribe) cancel();
      await loop.stop();
    },
  };
}

function isSameNews(a: RegistryReport, b: RegistryReport): boolean {
  const [one, other] = [a, b].map(({ problems, advice }) =>
    JSON.stringify([problems.map(withoutNotes), advice]),
  );
  return one === other;
}

function failed(problem: string, checkedAt: number): RegistryReport {
  return { up: false, version: null, problems: [problem], advice: [], checkedAt };
}

/** All that an answer depends on, as text: compared, never logged. */
function askedWith(registry: Registry, secrets: Secrets): string {
  const { type, url, workspace, credentialsSecret, caSecret } = registry;
  const access = credentialsSecret === null ? null : accessOf(registry, secrets);
  const ca = caSecret === null ? null : (secrets.get(caSecret)?.["ca.crt"] ?? null);
  return JSON.stringify([type, url, workspace, credentialsSecret, access, ca]);
}
