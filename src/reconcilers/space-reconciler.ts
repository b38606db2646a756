// Makes the spaces that the policy declares, and keeps their visibility and quota. It deletes nothing, and a space
// of a declared name that Berth did not make it leaves as it is, until the policy says `adopt: true`: whoever took
// the name first would still push into it.
//
// Invariant: that a space is to be made is published before Harbor hears of it (id 0), and its id as soon as Harbor
// has told it; so whoever goes on after a crash can tell Berth's own from what others made.

import { ownSpaceKey } from "../domain/binding-validity.ts";
import type { Space } from "../domain/catalogue.ts";
import { type DeclaredSpace, type Registry } from "../domain/policy.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { gather } from "../gather.ts";
import type { Log } from "../log.ts";
import { createAttempts } from "./attempts.ts";

/** What Harbor does with projects; harbor/declared-spaces.ts. */
export interface SpaceApi {
  make(
    registry: Registry,
    space: {
      readonly name: string;
      readonly visibility: "public" | "private";
      readonly storageBytes: number | null;
    },
    signal: AbortSignal,
  ): Promise<
    | { readonly kind: "made"; readonly id: number }
    | { readonly kind: "exists" }
    | { readonly kind: "refused"; readonly why: string }
  >;
  setVisibility(
    registry: Registry,
    name: string,
    visibility: "public" | "private",
    signal: AbortSignal,
  ): Promise<void>;
  /** Bytes null: no limit. */
  readQuota(
    registry: Registry,
    spaceId: number,
    signal: AbortSignal,
  ): Promise<{ readonly quotaId: number; readonly bytes: number | null }>;
  setQuota(registry: Registry, quotaId: number, bytes: number, signal: AbortSignal): Promise<void>;
  /** Null where there is no such project. */
  readOwner(
    registry: Registry,
    name: string,
    signal: AbortSignal,
  ): Promise<{ readonly id: number; readonly ownerName: string | null } | null>;
  /** The name in Berth's own login. */
  loginName(registry: Registry): string | undefined;
}

export interface SpaceNeeds {
  readonly snapshot: () => Snapshot;
  readonly api: SpaceApi;
  /** Resolves when the id (0: about to be made; null: not Berth's own) is published. */
  readonly keepOwn: (key: string, id: number | null, signal: AbortSignal) => Promise<void>;
  /** A space was made or changed, so that the catalogue is worth reading anew. */
  readonly onChange: (registry: string) => void;
  readonly log: Log;
  readonly now: () => number;
  readonly random: () => number;
}

export interface SpaceReconciler {
  /** Makes and mends whatever can be now. */
  round(signal: AbortSignal): Promise<void>;
  problems(): readonly string[];
}

/** Making a project is a transaction of Harbor's database; nobody waits for more than a few at a time. */
const atATime = 4;
/** A quota that somebody changed in Harbor is noticed after this. */
const quotaEveryMs = 5 * 60_000;

export function createSpaceReconciler(needs: SpaceNeeds): SpaceReconciler {
  const { api, log, now } = needs;
  const attempts = createAttempts({ ...needs, what: "declared spaces" });
  const foreign = new Map<string, string>();
  /** When the space was made or changed here: an older catalogue says nothing about it. */
  const changedAt = new Map<string, number>();
  const quotas = new Map<string, { readonly bytes: number; readonly at: number }>();

  async function round(signal: AbortSignal): Promise<void> {
    const snapshot = needs.snapshot();
    if (!snapshot.policyRead || !snapshot.ownSpacesRead) return;
    const { spaces, registries } = snapshot.policy;
    const declarations = new Map<string, { readonly declared: DeclaredSpace; readonly registry: Registry }>();
    for (const declared of spaces.values()) {
      const registry = registries.get(declared.registry);
      if (registry?.type !== "harbor") continue;
      declarations.set(ownSpaceKey(registry.url, declared.name), { declared, registry });
    }
    await gather([...declarations], atATime, async ([key, { declared, registry }]) => {
      await attempts.run(key, signal, () => keep(key, declared, registry, signal));
    });
    attempts.keepOnly((key) => declarations.has(key));
    for (const about of [foreign, changedAt, quotas]) {
      for (const key of about.keys()) if (!declarations.has(key)) about.delete(key);
    }
  }

  async function keep(
    key: string,
    declared: DeclaredSpace,
    registry: Registry,
    signal: AbortSignal,
  ): Promise<void> {
    const { catalogues, ownSpaces } = needs.snapshot();
    const catalogue = catalogues.get(registry.name);
    if (catalogue?.server !== registry.url || catalogue.readAt <= (changedAt.get(key) ?? -Infinity)) return;
    const space = catalogue.spaces.get(declared.name);
    if (space === undefined) return make(key, declared, registry, signal);

    const own = ownSpaces.get(key);
    if (own === space.id) return maintain(key, declared, registry, space, signal);
    if (declared.adopt || (own === 0 && (await isByBerth(registry, space, signal)))) {
      await needs.keepOwn(key, space.id, signal);
      log.info(
        { registry: registry.name, space: space.name, id: space.id },
        "the space is Berth's own from now on",
      );
      return maintain(key, declared, registry, space, signal);
    }
    if (own !== undefined) await needs.keepOwn(key, null, signal);
    reportForeign(key, declared);
  }

  /** Asked for by Berth, whose end came before the answer, or by somebody else in that very moment? */
  async function isByBerth(registry: Registry, space: Space, signal: AbortSignal): Promise<boolean> {
    const owner = await api.readOwner(registry, space.name, signal);
    return owner?.id === space.id && owner.ownerName !== null && owner.ownerName === api.loginName(registry);
  }

  async function make(
    key: string,
    declared: DeclaredSpace,
    registry: Registry,
    signal: AbortSignal,
  ): Promise<void> {
    foreign.delete(key);
    await needs.keepOwn(key, 0, signal);
    const making = await api.make(registry, declared, signal);
    switch (making.kind) {
      case "made":
        changedAt.set(key, now());
        await needs.keepOwn(key, making.id, signal);
        log.info({ registry: registry.name, space: declared.name, id: making.id }, "made a declared space");
        needs.onChange(registry.name);
        return;
      case "exists":
        // Since the catalogue was read: the next one shows whose it is.
        changedAt.set(key, now());
        needs.onChange(registry.name);
        return;
      case "refused":
        await needs.keepOwn(key, null, signal);
        throw new Error(`make space ${declared.name} on ${registry.name}: ${making.why}`);
    }
  }

  async function maintain(
    key: string,
    declared: DeclaredSpace,
    registry: Registry,
    space: Space,
    signal: AbortSignal,
  ): Promise<void> {
    foreign.delete(key);
    const facts = { registry: registry.name, space: space.name };
    if (space.visibility !== declared.visibility) {
      await api.setVisibility(registry, space.name, declared.visibility, signal);
      changedAt.set(key, now());
      log.warn(
        { ...facts, visibility: declared.visibility },
        "the space had another visibility than declared",
      );
      needs.onChange(registry.name);
    }
    const { storageBytes } = declared;
    const checked = quotas.get(key);
    const isChecked = checked?.bytes === storageBytes && now() - checked.at < quotaEveryMs;
    if (storageBytes === null || isChecked) return;
    const quota = await api.readQuota(registry, space.id, signal);
    if (quota.bytes !== storageBytes) {
      await api.setQuota(registry, quota.quotaId, storageBytes, signal);
      log.warn({ ...facts, storageBytes, found: quota.bytes }, "the space had another quota than declared");
    }
    quotas.set(key, { bytes: storageBytes, at: now() });
  }

  function reportForeign(key: string, { registry, name }: DeclaredSpace): void {
    if (foreign.has(key)) return;
    const text =
      `space ${name} of ${registry} is declared, but Berth did not make it: it is left as it is, and its ` +
      "bindings grant nothing; take it over with adopt: true, or declare another name";
    foreign.set(key, text);
    log.error({ registry, space: name }, text);
  }

  return { round, problems: () => [...attempts.problems(), ...foreign.values()] };
}
