// What the leader published → state: the catalogues that every replica enforces from, and beside them the last good
// policy, which goes on to the cluster feed. A replica that starts while a Harbor is down begins with what was good.

import {
  decodeCatalogue,
  registryOfPublished,
  type DecodedCatalogue,
} from "../domain/published-catalogue.ts";
import {
  decodePublishedPolicy,
  publishedPolicyName,
  type PublishedPolicy,
} from "../domain/published-policy.ts";
import type { Log } from "../log.ts";
import type { State } from "../state.ts";

export interface PublishedValue {
  readonly facts: Readonly<Record<string, string>>;
  readonly text: string;
}

export interface PublishedFeedNeeds {
  readonly state: State;
  readonly log: Log;
  /** The one who publishes reads the registries itself, and what it knows may be newer than its own echo. */
  readonly leads?: () => boolean;
}

/** Takes the full set of what is published, by name; says what the last good policy is, null for none. */
export type PublishedFeed = (
  all: ReadonlyMap<string, PublishedValue>,
  publishedPolicy: (published: PublishedPolicy | null) => void,
) => void;

export function createPublishedFeed({ state, log, leads = () => false }: PublishedFeedNeeds): PublishedFeed {
  let decoded: ReadonlyMap<string, DecodedCatalogue> = new Map();
  let policyText: string | null | undefined;

  // A catalogue may come before the policy that names its registry or its new server. Never inside the notification
  // of another change; for as long as there is a state.
  state.subscribe((current, previous) => {
    if (current.policy === previous.policy) return;
    queueMicrotask(() => decoded.forEach((read, registry) => offer(registry, read, false)));
  });

  function takeCatalogues(all: ReadonlyMap<string, PublishedValue>): void {
    const next = new Map<string, DecodedCatalogue>();
    for (const [name, value] of all) {
      const registry = registryOfPublished(name);
      if (registry === undefined) continue;
      const { server = "", readAt } = value.facts;
      const facts = { server, readAt: Number(readAt) };
      const read = Number.isFinite(facts.readAt)
        ? decodeCatalogue({ facts, text: value.text }, decoded.get(registry))
        : undefined;
      if (read === undefined) {
        log.error({ registry }, "the published catalogue cannot be read; what is known stays in force");
        continue;
      }
      next.set(registry, read);
      offer(registry, read, !isSameReading(read, decoded.get(registry)));
    }
    decoded = next;
  }

  /**
   * What is published anew counts, whatever its time says: clocks differ, and are set back. Only who reads the server
   * too compares the times. A reading of another server belongs to the policy that names it.
   */
  function offer(registry: string, { catalogue }: DecodedCatalogue, isNew: boolean): void {
    const { catalogues, policyRead, policy } = state.snapshot();
    const current = catalogues.get(registry);
    const isOfSameServer = current?.server === catalogue.server;
    if (isOfSameServer && (!isNew || (leads() && current.readAt >= catalogue.readAt))) return;
    if (policyRead && policy.registries.get(registry)?.url !== catalogue.server) return;
    state.replaceCatalogue(registry, catalogue);
  }

  function takePolicy(
    value: PublishedValue | undefined,
    publishedPolicy: (published: PublishedPolicy | null) => void,
  ): void {
    const text = value?.text ?? null;
    if (text === policyText) return;
    policyText = text;
    if (text === null) {
      publishedPolicy(null);
      return;
    }
    const reading = decodePublishedPolicy(text);
    if (reading.kind === "unreadable") {
      log.error({ problem: reading.problem }, "the published policy cannot be read");
    }
    publishedPolicy(reading.kind === "read" ? reading.published : null);
  }

  return (all, publishedPolicy) => {
    // The pins come first: a catalogue would pin bindings to what has their names today.
    takePolicy(all.get(publishedPolicyName), publishedPolicy);
    takeCatalogues(all);
  };
}

function isSameReading({ catalogue }: DecodedCatalogue, before: DecodedCatalogue | undefined): boolean {
  const { server, readAt, spaces } = catalogue;
  const last = before?.catalogue;
  return last?.server === server && last.readAt === readAt && last.spaces === spaces;
}
