// Documents that are good by themselves → one policy, and what they say against each other. Where two disagree, what
// is in force stays in force, so that a new document, wherever its name sorts, takes nothing over from an old one.

import { joinRegistries, noHarborClusters, type HarborClusters } from "./joined-registries.ts";
import type { BindingEntry, Placed, PolicyContent } from "./policy-document.ts";
import { type DocumentProblem, maxListedProblems, nearestName, shown } from "./policy-problem.ts";
import {
  spaceKey,
  type Binding,
  type DeclaredSpace,
  type Policy,
  type PolicyProblem,
  type Registry,
} from "./policy.ts";
import { canonicalHost } from "./registry-host.ts";

export interface GoodDocument {
  readonly id: string;
  /** For people. */
  readonly name: string;
  readonly content: PolicyContent;
}

/** What a merge leaves for the next one. */
export interface InForce {
  readonly policy: Omit<Policy, "problems">;
  /** Registry name → id of the document that it is in force from. */
  readonly holders: ReadonlyMap<string, string>;
}

export interface Merged extends InForce {
  /** What was found against each document, in the order of the documents. */
  readonly findings: readonly Finding[];
  /** What was found against registries that no document names. */
  readonly problemsOfJoined: readonly PolicyProblem[];
}

export interface Finding {
  readonly id: string;
  readonly problems: readonly DocumentProblem[];
  /** It lost a claim to another document, or to another entry of its own. */
  readonly yields: boolean;
}

/** A document and what is being found against it. */
interface Contribution extends GoodDocument {
  readonly problems: DocumentProblem[];
  yields: boolean;
}

/** Something that a document says, and that documents can disagree about. */
interface Claim<T> extends Placed<T> {
  readonly by: Contribution;
}

/**
 * In the order of the documents, except where `previous` had something else in force. What the documents claim is
 * settled among them alone, before any HarborCluster joins.
 */
export function mergeDocuments(
  documents: readonly GoodDocument[],
  previous: InForce | undefined,
  harborClusters: HarborClusters = noHarborClusters,
): Merged {
  const contributions = documents.map((document) => ({ ...document, problems: [], yields: false }));
  const claims = settleNames(contributions, previous);
  const settled = settleHosts(claims, previous);
  const joined = joinRegistries(harborClusters, { ...settled, names: claims });
  const { registries, registriesByHost } = withJoined(settled, joined.registries);
  const policy: Omit<Policy, "problems"> = {
    mode: strictest(contributions, "mode", ({ mode }) => mode, ["enforce", "warn", "audit"]),
    unlistedRegistries: strictest(
      contributions,
      "unlistedRegistries",
      ({ unlistedRegistries }) => unlistedRegistries,
      ["deny", "warn", "allow"],
    ),
    exemptNamespaces: exemptInAll(contributions),
    registries,
    registriesByHost,
    spaces: settleSpaces(contributions, registries, previous),
    bindings: settleBindings(contributions, registries, previous),
    documents: documents.length,
  };
  const holders = new Map([...claims].map(([name, { by }]) => [name, by.id]));
  return { policy, holders, findings: contributions, problemsOfJoined: joined.problems };
}

/** None of them has a name or a host that is claimed. */
function withJoined(
  { registries, registriesByHost }: SettledRegistries,
  joined: readonly Registry[],
): SettledRegistries {
  const hostsOfJoined = joined.flatMap((registry) =>
    registry.hosts.map((host) => [host, [registry]] as const),
  );
  return {
    registries: new Map([...registries, ...joined.map((registry) => [registry.name, registry] as const)]),
    registriesByHost: new Map([...registriesByHost, ...hostsOfJoined]),
  };
}

function report({ by, position }: Claim<unknown>, text: string, severity: DocumentProblem["severity"]): void {
  by.problems.push({ severity, position, text });
}

/** The claim in force and the one that is not: what was in force before stays, and else what comes first. */
function contest<T>(
  held: Claim<T>,
  challenger: Claim<T>,
  seniority: (claim: Claim<T>) => number,
): readonly [winner: Claim<T>, loser: Claim<T>] {
  return seniority(challenger) > seniority(held) ? [challenger, held] : [held, challenger];
}

function lose(claim: Claim<unknown>, text: string): void {
  claim.by.yields = true;
  report(claim, text, "error");
}

/** Where a claim stands, for the one that lost against it. */
function placeOf(winner: Claim<unknown>, loser: Claim<unknown>): string {
  return winner.by === loser.by ? "this document too" : winner.by.name;
}

// --- Registries ---

/** One registry a name. The document that has the name in force keeps it, whatever it changes of the registry. */
function settleNames(
  contributions: readonly Contribution[],
  previous: InForce | undefined,
): ReadonlyMap<string, Claim<Registry>> {
  const seniority = ({ value: { name, url }, by }: Claim<Registry>): number => {
    if (previous?.holders.get(name) !== by.id) return 0;
    // Two of one name in one document: the server that was meant before is still meant.
    return previous.policy.registries.get(name)?.url === url ? 2 : 1;
  };
  const claims = new Map<string, Claim<Registry>>();
  for (const claim of claimsOf(contributions, ({ registries }) => registries)) {
    const { name } = claim.value;
    const held = claims.get(name);
    const [winner, loser] = held === undefined ? [claim] : contest(held, claim, seniority);
    claims.set(name, winner);
    if (loser === undefined) continue;
    const place = placeOf(winner, loser);
    lose(loser, `this registry is ignored: the name ${name} is taken in ${place}; give one of them another`);
  }
  return claims;
}

function* claimsOf<T>(
  contributions: readonly Contribution[],
  entries: (content: PolicyContent) => readonly Placed<T>[],
): Generator<Claim<T>> {
  for (const by of contributions) {
    for (const { value, position } of entries(by.content)) yield { value, position, by };
  }
}

interface SettledRegistries {
  readonly registries: ReadonlyMap<string, Registry>;
  readonly registriesByHost: ReadonlyMap<string, readonly Registry[]>;
}

/**
 * Who claims which host. A registry that comes too late for a host loses that host only: dropped as a whole, one
 * wrong alias would turn all its other images into ones of an unlisted registry, refused, or under
 * `unlistedRegistries: allow` open to everybody. One that is left without any host is not in force.
 */
function settleHosts(
  claims: ReadonlyMap<string, Claim<Registry>>,
  previous: InForce | undefined,
): SettledRegistries {
  const claimants = new Map<string, Claim<Registry>[]>();
  for (const claim of claims.values()) {
    for (const host of claim.value.hosts) {
      const others = claimants.get(host);
      if (others === undefined) claimants.set(host, [claim]);
      else others.push(claim);
    }
  }
  const owners = new Map([...claimants].map(([host, all]) => [host, settleHost(host, all, previous)]));

  const registries = new Map<string, Registry>();
  for (const [name, { value }] of claims) {
    const registry = withHosts(value, (host) => owners.get(host)?.has(name) === true);
    if (registry.hosts.length > 0) registries.set(name, registry);
  }
  const inForce = (names: ReadonlySet<string>): readonly Registry[] =>
    [...names].flatMap((name) => registries.get(name) ?? []);
  const byHost = [...owners].map(([host, names]) => [host, inForce(names)] as const);
  return { registries, registriesByHost: new Map(byHost) };
}

/**
 * The names of the registries that have the host: one, or Harbors that differ in workspace. One Harbor may be the
 * platform's, for its public and bound spaces, and that of workspaces too, for the spaces that their logins open.
 */
function settleHost(
  host: string,
  claims: readonly Claim<Registry>[],
  previous: InForce | undefined,
): ReadonlySet<string> {
  const byWorkspace = new Map<string | null, Claim<Registry>>();
  for (const claim of heldFirst(host, claims, previous)) {
    const { type, workspace } = claim.value;
    const [first] = byWorkspace.values();
    const areHarbors = type === "harbor" && first?.value.type === "harbor";
    const rival = areHarbors ? byWorkspace.get(workspace) : first;
    if (rival === undefined) byWorkspace.set(workspace, claim);
    else loseHost(claim, host, rival);
  }
  return new Set([...byWorkspace.values()].map(({ value }) => value.name));
}

/** Those first that had the host before, and are still what they were then. */
function heldFirst(
  host: string,
  claims: readonly Claim<Registry>[],
  previous: InForce | undefined,
): readonly Claim<Registry>[] {
  const before = new Map(previous?.policy.registriesByHost.get(host)?.map((held) => [held.name, held]));
  const isHeld = ({ value: { name, type, workspace }, by }: Claim<Registry>): boolean => {
    const held = before.get(name);
    return held?.type === type && held.workspace === workspace && previous?.holders.get(name) === by.id;
  };
  return [...claims.filter(isHeld), ...claims.filter((claim) => !isHeld(claim))];
}

function loseHost(claim: Claim<Registry>, host: string, rival: Claim<Registry>): void {
  const owner = `registry ${rival.value.name} in ${placeOf(rival, claim)}`;
  const rule = "registries share a host only if all are Harbors and no two of the same workspace or of none";
  lose(
    claim,
    `registry ${claim.value.name} does not get the host ${host}, which stays with ${owner}: ${rule}`,
  );
}

function withHosts(registry: Registry, isHeld: (host: string) => boolean): Registry {
  const hosts = registry.hosts.filter(isHeld);
  if (hosts.length === registry.hosts.length) return registry;
  return {
    ...registry,
    hosts,
    spellings: registry.spellings.filter((text) => hosts.includes(canonicalHost(text))),
  };
}

// --- What one document should say ---

function strictest<T extends string>(
  contributions: readonly Contribution[],
  key: string,
  setting: (content: PolicyContent) => Placed<T> | null,
  fromStrictest: readonly [T, ...T[]],
): T {
  const claims = settingsOf(contributions, setting);
  const said = new Set(claims.map(({ value }) => value));
  const inForce = fromStrictest.find((value) => said.has(value)) ?? fromStrictest[0];
  reportRepeated(claims, key, `the stricter value, ${inForce}, holds`);
  return inForce;
}

function exemptInAll(contributions: readonly Contribution[]): ReadonlySet<string> {
  const claims = settingsOf(contributions, ({ exemptNamespaces }) => exemptNamespaces);
  reportRepeated(claims, "exemptNamespaces", "only namespaces that all of them list are exempt");
  const [first, ...others] = claims.map(({ value }) => new Set(value));
  const isInAll = (namespace: string): boolean => others.every((other) => other.has(namespace));
  return new Set([...(first ?? [])].filter(isInAll));
}

function settingsOf<T>(
  contributions: readonly Contribution[],
  setting: (content: PolicyContent) => Placed<T> | null,
): readonly Claim<T>[] {
  return [...claimsOf(contributions, (content) => [setting(content)].filter((each) => each !== null))];
}

function reportRepeated([first, ...others]: readonly Claim<unknown>[], key: string, outcome: string): void {
  for (const claim of others) {
    report(
      claim,
      `${key} is set in ${first?.by.name ?? ""} already: set it in one document; ${outcome}`,
      "error",
    );
  }
}

// --- Spaces and bindings ---

/** The registry whose spaces an entry speaks of; undefined, and reported, where there are none to speak of. */
function harborOf(
  claim: Claim<{ readonly registry: string }>,
  what: string,
  registries: ReadonlyMap<string, Registry>,
): Registry | undefined {
  const name = claim.value.registry;
  const registry = registries.get(name);
  if (registry === undefined) {
    // A suggestion costs a comparison with each registry; problems that are not listed need none.
    const nearest =
      claim.by.problems.length < maxListedProblems ? nearestName(name, registries.keys()) : undefined;
    const mend = nearest === undefined ? "" : `: did you mean ${nearest}?`;
    report(claim, `${what} is ignored, because no registry ${shown(name)} is in force${mend}`, "error");
    return undefined;
  }
  if (registry.type === "harbor") return registry;
  report(claim, `${what} is ignored, because ${name} is a docker-registry and has no spaces`, "warning");
  return undefined;
}

function settleSpaces(
  contributions: readonly Contribution[],
  registries: ReadonlyMap<string, Registry>,
  previous: InForce | undefined,
): Policy["spaces"] {
  const claims = new Map<string, Claim<DeclaredSpace>>();
  for (const claim of claimsOf(contributions, ({ spaces }) => spaces)) {
    const { registry, name } = claim.value;
    if (harborOf(claim, `the space ${name}`, registries) === undefined) continue;
    const key = spaceKey(registry, name);
    const seniority = ({ value }: Claim<DeclaredSpace>): number =>
      Number(isSameSpace(value, previous?.policy.spaces.get(key)));
    const held = claims.get(key);
    if (held === undefined) {
      claims.set(key, claim);
    } else if (!isSameSpace(held.value, claim.value)) {
      const [winner, loser] = contest(held, claim, seniority);
      claims.set(key, winner);
      lose(
        loser,
        `the space ${key} is declared otherwise in ${placeOf(winner, loser)}, and stays as it is there`,
      );
    }
  }
  return new Map([...claims].map(([key, { value }]) => [key, value]));
}

function isSameSpace(a: DeclaredSpace, b: DeclaredSpace | undefined): boolean {
  return a.visibility === b?.visibility && a.storageBytes === b.storageBytes && a.adopt === b.adopt;
}

function settleBindings(
  contributions: readonly Contribution[],
  registries: ReadonlyMap<string, Registry>,
  previous: InForce | undefined,
): Policy["bindings"] {
  const claims = new Map<string, Map<string, Claim<Binding>>>();
  for (const entry of claimsOf(contributions, ({ bindings }) => bindings)) {
    if (!isOfUse(entry, registries)) continue;
    for (const claim of bindingsOf(entry)) addBinding(claims, claim, previous);
  }
  const values = (byWorkspace: ReadonlyMap<string, Claim<Binding>>): ReadonlyMap<string, Binding> =>
    new Map([...byWorkspace].map(([workspace, { value }]) => [workspace, value]));
  return new Map([...claims].map(([key, byWorkspace]) => [key, values(byWorkspace)]));
}

function isOfUse(entry: Claim<BindingEntry>, registries: ReadonlyMap<string, Registry>): boolean {
  const registry = harborOf(entry, "this binding", registries);
  if (registry === undefined) return false;
  if (registry.workspace === null) return true;
  const owner = `registry ${registry.name} belongs to workspace ${shown(registry.workspace)}`;
  report(entry, `this binding is ignored, because ${owner}, all of it and to no other`, "warning");
  return false;
}

function* bindingsOf({ value: entry, by }: Claim<BindingEntry>): Generator<Claim<Binding>> {
  const { workspace, registry } = entry;
  for (const { value, position } of entry.spaces) {
    yield { value: { workspace, registry, space: value.name, id: value.id }, position, by };
  }
}

function addBinding(
  claims: Map<string, Map<string, Claim<Binding>>>,
  claim: Claim<Binding>,
  previous: InForce | undefined,
): void {
  const { workspace, registry, space } = claim.value;
  const key = spaceKey(registry, space);
  const byWorkspace = claims.get(key) ?? new Map<string, Claim<Binding>>();
  claims.set(key, byWorkspace);
  const held = byWorkspace.get(workspace);
  if (held === undefined) {
    byWorkspace.set(workspace, claim);
    return;
  }
  if (held.value.id === claim.value.id) return;
  const before = previous?.policy.bindings.get(key)?.get(workspace);
  const [winner, loser] = contest(held, claim, ({ value }) => Number(value.id === before?.id));
  byWorkspace.set(workspace, winner);
  const id = winner.value.id === null ? "no id" : `the id ${winner.value.id}`;
  lose(
    loser,
    `${key} is bound to workspace ${shown(workspace)} in ${placeOf(winner, loser)} with ${id}, which stays`,
  );
}
