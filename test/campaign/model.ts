// What the walk has done to the world, and from it every answer that would be right now: all combinations of what
// each source of knowledge may still, or must by now, have brought, judged by the naive model of the rule. Nothing of
// src is used here; the promises are those of the product's documents.

import { modelVerdict, type LiveSpace, type ModelRegistry, type World } from "../hardening/naive-model.ts";
import { createOutages, createTimeline, possible, type Timeline, type Version } from "./timeline.ts";

export interface RegistriesDocument {
  readonly mode: "enforce" | "warn" | "audit";
  readonly unlisted: "deny" | "warn" | "allow";
  readonly exempt: readonly string[];
  /** Besides the Harbor itself. */
  readonly archive: boolean;
  readonly twelve: boolean;
  readonly alias: boolean;
}

export interface BindingDocument {
  readonly workspace: string;
  readonly space: string;
  readonly id: number | null;
}

/** Null for what is not there. */
export type Registries = RegistriesDocument | null;
export type Bindings = readonly BindingDocument[];

/** Null for what is not there. */
export type SpaceTruth = { readonly id: number; readonly visibility: "public" | "private" } | null;

/** `undefined` for a namespace that is not there. */
export type Workspace = string | null | undefined;

export type BindingsName = "bindings-a" | "bindings-b";
export const bindingsNames: readonly BindingsName[] = ["bindings-a", "bindings-b"];

export interface ReplicaFacts {
  readonly name: string;
  readonly startedAt: number;
  /** Infinity as long as it is not. */
  readyAt: number;
}

export interface Promises {
  /** A policy edit, or a label's, at a replica whose watches work. */
  readonly editMs: number;
  /** A visibility that changed in a Harbor that answers: a beat and a second. */
  readonly visibilityMs: number;
  /** What a look-up said counts for so long, give or take nothing. */
  readonly lookUpLifeMs: number;
  readonly namespaceLifeMs: number;
}

export interface Asked {
  readonly replica: ReplicaFacts;
  readonly namespace: string;
  readonly images: readonly string[];
  readonly unchanged: readonly string[];
  /** The Pod does not name `berth-pull`. */
  readonly lacksPullSecret: boolean;
  readonly from: number;
  readonly until: number;
}

export interface Expected {
  /** Empty where there are too many to tell right from wrong. */
  readonly outcomes: ReadonlyMap<string, Outcome>;
  readonly combinations: number;
}

export interface Outcome {
  readonly kind: "allow" | "allow-with-pull-secret" | "refuse";
  readonly reasons: readonly string[];
  readonly mode: "enforce" | "warn" | "audit";
  /** An image that is allowed needs the pull secret. */
  readonly someNeedSecret: boolean;
}

export interface ModelOptions {
  readonly promises: Promises;
  /** Of the managed Harbor, as images may name it: its url's, and beside the alias. */
  readonly hosts: {
    readonly url: string;
    readonly alias: string;
    readonly archive: string;
    readonly twelve: string;
  };
  readonly spaces: Readonly<Record<string, SpaceTruth>>;
  readonly namespaces: Readonly<Record<string, Workspace>>;
  readonly registries: Registries;
  readonly bindings: Readonly<Record<BindingsName, Bindings>>;
  /** Replicas share pins, and namespaces can be looked up. */
  readonly isCluster: boolean;
}

const agePublishedMs = 60_000;
/** Some 20 ms of judging. */
const mostCombinations = 2_000;

export type CampaignModel = ReturnType<typeof createCampaignModel>;

export function createCampaignModel(options: ModelOptions) {
  const { promises, hosts, isCluster } = options;
  const outages = createOutages();
  const registries = createTimeline<Registries>(options.registries);
  const bindings: Readonly<Record<BindingsName, Timeline<Bindings>>> = {
    "bindings-a": createTimeline(options.bindings["bindings-a"]),
    "bindings-b": createTimeline(options.bindings["bindings-b"]),
  };
  const namespaces = new Map(
    Object.entries(options.namespaces).map(([name, value]) => [name, createTimeline<Workspace>(value)]),
  );
  const spaces = new Map(
    Object.entries(options.spaces).map(([name, value]) => [name, createTimeline<SpaceTruth>(value)]),
  );
  const replicas: ReplicaFacts[] = [];
  const setBack: { readonly at: number; readonly byMs: number }[] = [];
  /** Replica and space → until when a look-up of it may have been asked. */
  const lookedUp = new Map<string, number>();
  const budgets = new Map<string, { tokens: number; at: number }>();

  const nobody: Timeline<Workspace> = createTimeline<Workspace>(undefined);
  const nowhere: Timeline<SpaceTruth> = createTimeline<SpaceTruth>(null);

  /** What was edited before a replica began is in force there when it is ready. */
  function editDeadline(replica: ReplicaFacts, source: "policy" | "namespaces") {
    return (at: number): number =>
      at <= replica.startedAt
        ? replica.readyAt
        : outages.deadline([`${source}@${replica.name}`], at, promises.editMs);
  }

  function spaceDeadline(replica: ReplicaFacts) {
    const sources = isCluster ? ["harbor", "leading", "publishing", `published@${replica.name}`] : ["harbor"];
    const deadline = (at: number): number => outages.deadline(sources, at, promises.visibilityMs);
    // Without a cluster a replica begins with nothing, and reads at once.
    return (at: number): number =>
      !isCluster && at <= replica.startedAt ? deadline(replica.startedAt) : deadline(at);
  }

  const latest = (deadlines: readonly number[]): number => Math.max(...deadlines, -Infinity);

  /** Pins are shared in a cluster: whoever saw something last may have had the last word. */
  function anyEditDeadline(asked: ReplicaFacts, at: number): number {
    if (!isCluster) return editDeadline(asked, "policy")(at);
    const of = replicas.map((replica) => outages.deadline([`policy@${replica.name}`], at, promises.editMs));
    const shared = outages.deadline(["leading", "publishing"], at, promises.editMs);
    return latest([...of, shared]);
  }

  function anySpaceDeadline(asked: ReplicaFacts, at: number): number {
    if (!isCluster) return spaceDeadline(asked)(at);
    return latest(replicas.map((replica) => spaceDeadline(replica)(at)));
  }

  /** From when to when a binding without an id of its own was in force, by the policy as it was written. */
  function runsOf(asked: ReplicaFacts, workspace: string, space: string) {
    const runs: { readonly bornAt: number; endedAt: number }[] = [];
    const times = [registries, ...Object.values(bindings)].flatMap(({ versions }) =>
      versions.map(({ at }) => at),
    );
    // In a folder nothing outlives the process.
    const since = isCluster ? 0 : asked.startedAt;
    const moments = [...new Set([since, ...times.filter((at) => at > since)])].sort((a, b) => a - b);
    for (const at of moments) {
      const holds =
        valueAt(registries, at) !== null &&
        bindingsNames.some((name) =>
          valueAt(bindings[name], at).some(
            (one) => one.workspace === workspace && one.space === space && one.id === null,
          ),
        );
      const last = runs.at(-1);
      const isOpen = last?.endedAt === Infinity;
      if (holds && !isOpen) runs.push({ bornAt: at, endedAt: Infinity });
      if (!holds && isOpen) last.endedAt = at;
    }
    return runs;
  }

  /** The ids that a binding may be for; null where it may not be for one yet. */
  function pinsOf(
    { replica, from, until }: Asked,
    workspace: string,
    space: string,
  ): readonly (number | null)[] {
    const found = new Set<number | null>();
    let before: { readonly endedAt: number; readonly ids: ReadonlySet<number | null> } | undefined;
    for (const { bornAt, endedAt } of runsOf(replica, workspace, space)) {
      if (bornAt > until) break;
      const ids = new Set(idsSeen(replica, space, bornAt, until));
      // Nobody may have seen that it was gone for a while.
      if (before !== undefined && bornAt < anyEditDeadline(replica, before.endedAt)) {
        for (const id of before.ids) ids.add(id);
      }
      before = { endedAt, ids };
      if (endedAt === Infinity || anyEditDeadline(replica, endedAt) > from)
        for (const id of ids) found.add(id);
    }
    return [...found];
  }

  /** When the Harbor began to be read: it came into the policy, or the process to life. */
  function begunAt(replica: ReplicaFacts): readonly number[] {
    const came = registries.versions.flatMap(({ at, value }, index) =>
      value !== null && registries.versions[index - 1]?.value === null ? [at] : [],
    );
    return isCluster ? came : [replica.startedAt, ...came.filter((at) => at > replica.startedAt)];
  }

  function idsSeen(replica: ReplicaFacts, space: string, bornAt: number, until: number): (number | null)[] {
    const timeline = spaces.get(space) ?? nowhere;
    const seenBy = anyEditDeadline(replica, bornAt);
    // Where there is no catalogue yet, it is pinned by the first.
    const firstBy = begunAt(replica)
      .filter((at) => at <= seenBy)
      .map((at) => anySpaceDeadline(replica, anyEditDeadline(replica, at)));
    const by = Math.min(until, Math.max(seenBy, ...firstBy));
    const deadlineOf = (at: number): number => anySpaceDeadline(replica, at);
    const seen = possible(timeline, bornAt, by, deadlineOf);
    const ids = seen.map(({ value }) => value?.id ?? null);
    if (!ids.includes(null)) return ids;
    // It is pinned to the first that is seen; one that came and went may have been missed.
    const last = Math.max(...seen.map(({ at }) => at));
    for (const [index, version] of timeline.versions.entries()) {
      if (version.at <= last || version.value === null) continue;
      ids.push(version.value.id);
      const next = timeline.versions[index + 1];
      if (next === undefined || deadlineOf(version.at) < next.at) break;
    }
    return ids;
  }

  /** Has this question's look-up surely been within the limits? Counts as if each of its calls had asked anew. */
  function withinLimits(replica: ReplicaFacts, namespace: string, at: number, looks: number): boolean {
    const ofRegistry = take(`${replica.name}/managed`, { perSecond: 10, burst: 100 }, at, looks);
    const ofNamespace = take(`${replica.name}/managed/${namespace}`, { perSecond: 1, burst: 10 }, at, looks);
    return ofRegistry && ofNamespace;
  }

  function take(key: string, rate: { perSecond: number; burst: number }, at: number, looks: number): boolean {
    const budget = budgets.get(key) ?? { tokens: rate.burst, at };
    const filled = Math.min(rate.burst, budget.tokens + ((at - budget.at) / 1_000) * rate.perSecond);
    const left = Math.max(0, filled - looks);
    budgets.set(key, { tokens: left, at });
    return filled >= looks + 1;
  }

  /** What a look-up in this time may have said; "silent" for nothing. */
  function liveOf(asked: Asked, space: string, isLimited: boolean): readonly LiveSpace[] {
    const { replica, from, until } = asked;
    const timeline = spaces.get(space) ?? nowhere;
    const key = `${replica.name}/${space}`;
    const mayBeRemembered = (lookedUp.get(key) ?? -Infinity) >= from - promises.lookUpLifeMs;
    const since = mayBeRemembered ? from - promises.lookUpLifeMs : from;
    const at = { registry: "managed", space } as const;
    const live: LiveSpace[] = [];
    for (const { value } of possible(timeline, since, until, (when) => when)) {
      const found = value && { id: value.id, visibility: value.visibility, proxyCache: false };
      live.push({ ...at, answer: "newer", found });
    }
    const isSure = !isLimited && !outages.isOut(["look-ups"], from, until) && !isBehind(replica, from, until);
    if (!isSure || mayBeRemembered) live.push({ ...at, answer: "silent", found: null });
    return live;
  }

  /**
   * By a clock that was set back a look-up seems older than the catalogue, until a newer one is there: published for
   * its age alone where it would be more than a minute.
   */
  function isBehind(replica: ReplicaFacts, from: number, until: number): boolean {
    return setBack.some(({ at, byMs }) => {
      const behindMs = Math.min(byMs, agePublishedMs) + 2 * promises.visibilityMs;
      return at <= until && spaceDeadline(replica)(at) + behindMs > from;
    });
  }

  /** All that may be said to a question that was asked and answered in this time. */
  function expected(asked: Asked): Expected {
    const { replica, namespace, images, unchanged, lacksPullSecret, from, until } = asked;
    const ofPolicy = editDeadline(replica, "policy");
    const named = [...new Set(images.map(spaceIn).filter((space) => space !== undefined))];
    const isLimited = !withinLimits(replica, namespace, from, 2 * named.length);
    const ofNamespaces = namespaces.get(namespace) ?? nobody;
    const seenNamespaces = possible(ofNamespaces, from, until, editDeadline(replica, "namespaces"));
    const remembered = possible(ofNamespaces, from - promises.namespaceLifeMs, until, (at) => at);
    const namespaceIsSure = isCluster && !outages.isOut([`reads@${replica.name}`], from, until);
    const lives = isCluster ? remembered.map(({ value }) => ({ value, silent: false })) : [];
    if (isCluster && !namespaceIsSure) lives.push({ value: undefined, silent: true });
    if (!isCluster) lives.push({ value: undefined, silent: false });

    const outcomes = new Map<string, Outcome>();
    let combinations = 0;
    const spaceChoices = product(
      named.map((space) => {
        const known = catalogueChoices(asked, space);
        const live = liveOf(asked, space, isLimited);
        return different(known).flatMap((one) =>
          different(live).map((other) => ({ space, known: one, live: other })),
        );
      }),
    );
    for (const space of named) lookedUp.set(`${replica.name}/${space}`, until);
    const homes = different(seenNamespaces.map(({ value }) => value));
    const anyHome = new Set([...homes, ...lives.map(({ value }) => value)]);
    // Of a document, what has nothing to do with the question is the same to it.
    const relevantIn = (all: Bindings): Bindings =>
      all.filter(({ space, workspace }) => named.includes(space) && anyHome.has(workspace));
    const [someA, someB] = bindingsNames.map((name) =>
      different(possible(bindings[name], from, until, ofPolicy).map(({ value }) => relevantIn(value))),
    );
    for (const policy of different(possible(registries, from, until, ofPolicy).map(({ value }) => value))) {
      for (const a of someA ?? []) {
        for (const b of someB ?? []) {
          const relevant = [...a, ...b];
          const pinChoices = product(
            relevant.map((one) =>
              one.id === null
                ? withNull(pinsOf(asked, one.workspace, one.space)).map((pin) => ({ ...one, pin }))
                : [{ ...one, pin: null }],
            ),
          );
          combinations += pinChoices.length * spaceChoices.length * homes.length * lives.length;
          // After minutes without sight of the API server nearly anything may be known: that judges nothing.
          if (combinations > mostCombinations) return { outcomes: new Map(), combinations };
          for (const pinned of pinChoices)
            for (const chosen of spaceChoices)
              for (const home of homes)
                for (const live of different(lives)) {
                  const world = worldOf(policy, pinned, chosen, namespace, home, live);
                  const question = { namespace, images, unchanged, lacksPullSecret };
                  const outcome = outcomeOf(world, policy, question);
                  const told = isCluster ? asTold(outcome, home === undefined ? live.value : home) : outcome;
                  outcomes.set(JSON.stringify(told), told);
                }
        }
      }
    }
    return { outcomes, combinations };
  }

  /** "none" where there may be no catalogue at all. */
  function catalogueChoices(
    { replica, from, until }: Asked,
    space: string,
  ): readonly (SpaceTruth | "none")[] {
    const seen = possible(spaces.get(space) ?? nowhere, from, until, spaceDeadline(replica));
    const readBy = spaceDeadline(replica);
    const mayLack = begunAt(replica).some(
      (at) => at <= until && readBy(editDeadline(replica, "policy")(at)) > from,
    );
    return [...seen.map(({ value }) => value), ...(mayLack ? (["none"] as const) : [])];
  }

  function worldOf(
    policy: Registries,
    pinned: readonly (BindingDocument & { readonly pin: number | null })[],
    chosen: readonly {
      readonly space: string;
      readonly known: SpaceTruth | "none";
      readonly live: LiveSpace;
    }[],
    namespace: string,
    home: Workspace,
    live: { readonly value: Workspace; readonly silent: boolean },
  ): World {
    const lacksCatalogue = chosen.some(({ known }) => known === "none");
    const known = chosen.flatMap(({ space, known: truth }) =>
      truth === "none" || truth === null ? [] : [{ name: space, ...truth, proxyCache: false }],
    );
    return {
      policyRead: true,
      stale: "serve",
      unlisted: policy?.unlisted ?? "deny",
      exempt: policy?.exempt ?? [],
      registries: policy === null ? [] : registriesOf(policy, hosts),
      bindings: policy === null ? [] : pinned.map((one) => ({ registry: "managed", ...one })),
      declared: [],
      recordsOwnSpaces: false,
      catalogues: lacksCatalogue ? [] : [{ registry: "managed", spaces: known, stale: false }],
      namespaces: home === undefined ? {} : { [namespace]: home },
      liveNamespaces: live.value === undefined ? {} : { [namespace]: live.value },
      namespacesAreSilent: live.silent,
      live: chosen.map(({ live: answer }) => answer),
      grants: [],
      grantsAreSilent: true,
    };
  }

  /** The space of an image on the managed Harbor, under whatever name. */
  function spaceIn(image: string): string | undefined {
    const [host = "", space = ""] = image.split("/");
    const isManaged = [hosts.url, hosts.alias, "harbor.example.test"].includes(host.toLowerCase());
    return isManaged ? space : undefined;
  }

  return {
    outages,
    setBack,
    registries,
    bindings,
    namespaces,
    spaces,
    replicas,
    expected,
    /** Nothing that was changed in these may still be on its way. */
    isSettled(replica: ReplicaFacts, now: number): boolean {
      const edit = editDeadline(replica, "policy");
      const label = editDeadline(replica, "namespaces");
      const shown = spaceDeadline(replica);
      return (
        [registries, ...Object.values(bindings)].every((one) => edit(lastOf(one)) <= now) &&
        [...namespaces.values()].every((one) => label(lastOf(one)) <= now) &&
        [...spaces.values()].every((one) => shown(lastOf(one)) <= now)
      );
    },
    anyEditDeadline,
  };
}

function lastOf({ versions }: Timeline<unknown>): number {
  return versions[versions.length - 1]!.at;
}

function valueAt<T>({ versions }: Timeline<T>, at: number): T {
  let found: Version<T> = versions[0]!;
  for (const version of versions) if (version.at <= at) found = version;
  return found.value;
}

function withNull(ids: readonly (number | null)[]): readonly (number | null)[] {
  return ids.length === 0 ? [null] : ids;
}

/** Each once. */
function different<T>(all: readonly T[]): readonly T[] {
  return [...new Map(all.map((one) => [JSON.stringify(one), one])).values()];
}

/** One of each, in every combination. */
function product<T>(choices: readonly (readonly T[])[]): readonly (readonly T[])[] {
  return choices.reduce<readonly (readonly T[])[]>(
    (all, these) => all.flatMap((chosen) => these.map((one) => [...chosen, one])),
    [[]],
  );
}

function registriesOf(policy: RegistriesDocument, hosts: ModelOptions["hosts"]): readonly ModelRegistry[] {
  const common = { proxyCachesArePrivate: false, workspace: null, login: true, pullLogin: false };
  const managed = ["harbor.example.test", hosts.url, ...(policy.alias ? [hosts.alias] : [])];
  return [
    { ...common, name: "managed", type: "harbor", spellings: managed },
    ...(policy.archive
      ? [
          {
            ...common,
            name: "archive",
            type: "docker-registry" as const,
            spellings: [hosts.archive],
            login: false,
          },
        ]
      : []),
    ...(policy.twelve
      ? [{ ...common, name: "twelve", type: "harbor" as const, spellings: [hosts.twelve], workspace: "12" }]
      : []),
  ];
}

/** To who may not know whether a space exists, none and a closed one read the same. */
function asTold(outcome: Outcome, home: Workspace): Outcome {
  const instead = home === null ? "namespace-without-workspace" : "space-not-bound";
  const told = outcome.reasons.map((reason) => (reason === "space-unknown" ? instead : reason));
  return { ...outcome, reasons: [...new Set(told)].sort() };
}

function outcomeOf(
  world: World,
  policy: Registries,
  question: Pick<Asked, "namespace" | "images" | "unchanged" | "lacksPullSecret">,
): Outcome {
  const mode = policy?.mode ?? "enforce";
  const asked = { ...question, malformed: false, mirror: false };
  const { kind, reasons } = modelVerdict(world, asked);
  const someNeedSecret = question.images.some((image) => {
    const alone = { ...asked, images: [image], lacksPullSecret: false };
    return modelVerdict(world, alone).kind === "allow-with-pull-secret";
  });
  return { kind, reasons: [...new Set(reasons)].sort(), mode, someNeedSecret };
}
