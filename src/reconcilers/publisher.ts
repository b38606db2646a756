// Publishes what every replica is to know and only the leader finds out: the catalogues it has read, and beside them
// the last good policy with what bindings and declarations mean. A quiet registry costs one small write a minute.

import {
  encodeCatalogue,
  publishedCatalogueName,
  registryOfPublished,
} from "../domain/published-catalogue.ts";
import {
  encodePublishedPolicy,
  publishedPolicyName,
  type PublishedPolicy,
} from "../domain/published-policy.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import type { Log } from "../log.ts";
import type { State } from "../state.ts";
import { createAttempts } from "./attempts.ts";

/** Where it is kept; kubernetes/published-store.ts. */
export interface PublishedStore {
  publish(name: string, value: PublishedValue, signal: AbortSignal): Promise<void>;
  withdraw(name: string, signal: AbortSignal): Promise<void>;
}

export interface PublishedValue {
  readonly facts: Readonly<Record<string, string>>;
  readonly text: string;
}

export interface PublisherNeeds {
  readonly state: State;
  /** The last good texts and what was withdrawn; undefined before the policy was read. */
  readonly policy: () => Pick<PublishedPolicy, "texts" | "withdrawn"> | undefined;
  readonly store: PublishedStore;
  /** What is published under which names, whoever did it. */
  readonly published: () => ReadonlyMap<string, PublishedValue>;
  readonly maxAgeMs: number;
  readonly log: Log;
  readonly now: () => number;
  readonly random: () => number;
}

export interface Publisher {
  /** Publishes what is not published yet. */
  round(signal: AbortSignal): Promise<void>;
  /** The id of a space that is Berth's own (0: about to be made; null: not its own). Resolves when it is published. */
  keepOwn(key: string, id: number | null, signal: AbortSignal): Promise<void>;
  problems(): readonly string[];
}

/** A catalogue without changes is published anew for its age alone, which others then know to within this. */
const ageEveryMs = 60_000;

export function createPublisher(needs: PublisherNeeds): Publisher {
  const { state, store, now } = needs;
  const attempts = createAttempts({ ...needs, what: "publishing" });
  let publishedText: string | undefined;
  let encoded: { readonly of: PublishedPolicy; readonly text: string } | undefined;
  let turn: Promise<unknown> = Promise.resolve();

  async function round(signal: AbortSignal): Promise<void> {
    const snapshot = state.snapshot();
    if (!snapshot.policyRead) return;
    await attempts.run(publishedPolicyName, signal, () => publishPolicy(signal));
    for (const [registry, catalogue] of snapshot.catalogues) {
      // It is forgotten soon, and would be withdrawn below until then.
      if (!isNamed(snapshot, registry)) continue;
      const value = encodeCatalogue(catalogue);
      const facts = { server: value.facts.server, readAt: String(value.facts.readAt) };
      const name = publishedCatalogueName(registry);
      if (isPublished(name, { facts, text: value.text })) continue;
      await attempts.run(name, signal, () => store.publish(name, { facts, text: value.text }, signal));
    }
    for (const name of needs.published().keys()) {
      const registry = registryOfPublished(name);
      if (registry === undefined || isNamed(state.snapshot(), registry)) continue;
      await attempts.run(name, signal, () => store.withdraw(name, signal));
    }
    attempts.keepOnly((name) => {
      const registry = registryOfPublished(name);
      return registry === undefined || isNamed(state.snapshot(), registry) || needs.published().has(name);
    });
  }

  /** Is it there as it is here, or so nearly that its age is no reason to write? */
  function isPublished(name: string, { facts, text }: PublishedValue): boolean {
    const there = needs.published().get(name);
    if (there?.text !== text || there.facts["server"] !== facts["server"]) return false;
    // Of a time that is yet to come nothing is known: the clock was set back, or another one is ahead.
    const behindMs = Math.abs(Number(facts["readAt"]) - Number(there.facts["readAt"]));
    return behindMs < Math.min(ageEveryMs, needs.maxAgeMs / 4);
  }

  /** One after another: each takes what is known when its turn comes. */
  function publishPolicy(signal: AbortSignal): Promise<void> {
    const done = turn.then(async () => {
      const policy = needs.policy();
      if (policy === undefined) return;
      const text = textOf(policy, state.snapshot());
      if (text === publishedText && needs.published().get(publishedPolicyName)?.text === text) return;
      const facts = { at: new Date(now()).toISOString() };
      await store.publish(publishedPolicyName, { facts, text }, signal);
      publishedText = text;
    });
    turn = done.catch(() => undefined);
    return done;
  }

  /** Written anew only when a part of it is another: twenty thousand bindings take some 20 ms. */
  function textOf(
    { texts, withdrawn }: Pick<PublishedPolicy, "texts" | "withdrawn">,
    { pins, ownSpaces }: Pick<PublishedPolicy, "pins" | "ownSpaces">,
  ): string {
    const isSame =
      encoded?.of.texts === texts &&
      encoded.of.withdrawn === withdrawn &&
      encoded.of.pins === pins &&
      encoded.of.ownSpaces === ownSpaces;
    if (encoded !== undefined && isSame) return encoded.text;
    const of = { texts, withdrawn, pins, ownSpaces };
    encoded = { of, text: encodePublishedPolicy(of) };
    return encoded.text;
  }

  return {
    round,
    async keepOwn(key, id, signal) {
      if (needs.policy() === undefined) throw new Error("publish an own space: the policy is not read yet");
      const ownSpaces = new Map(state.snapshot().ownSpaces);
      if (id === null) ownSpaces.delete(key);
      else ownSpaces.set(key, id);
      state.replaceOwnSpaces(ownSpaces);
      // Also what is known here already: the last try to publish it may have failed.
      await publishPolicy(signal);
    },
    problems: () => attempts.problems(),
  };
}

function isNamed({ policy }: Snapshot, registry: string): boolean {
  return policy.registries.get(registry)?.type === "harbor";
}
