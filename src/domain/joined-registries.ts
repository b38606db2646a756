// Harbors that harbor-operator runs in the cluster, as registries beside those of the policy. The policy wins, always,
// whichever came first: else whoever may write a HarborCluster could take a host from an administrator. Which
// namespaces count, and how they are read, is not known here.

import { urlProblem } from "./policy-document.ts";
import { shown } from "./policy-problem.ts";
import type { PolicyProblem, Registry } from "./policy.ts";
import { hostsOfUrl, spellingsOfUrl } from "./registry-host.ts";
import type { Secrets } from "./registry-access.ts";

/** As much of a HarborCluster as makes a registry. No credential is among it. */
export interface HarborCluster {
  readonly namespace: string;
  readonly name: string;
  /** Its external URL as it is written there. */
  readonly url: string;
  /** Of its administrator's password, in its own namespace. */
  readonly secret: string;
  /** The Secret has a CA's certificate beside the password. */
  readonly hasCa: boolean;
}

/** Its administrator's login; null where the Secret cannot be read or does not have it. */
export interface HarborClusterLogin {
  readonly password: string;
  /** PEM. */
  readonly ca: string | null;
}

export interface FoundHarborCluster extends Omit<HarborCluster, "hasCa"> {
  readonly login: HarborClusterLogin | null;
}

/** What there is in the namespaces that count, and what could not be read of it, in words. */
export interface FoundHarborClusters {
  readonly clusters: readonly FoundHarborCluster[];
  readonly problems: readonly string[];
}

/** The same without logins: what a policy is made with. */
export interface HarborClusters {
  readonly clusters: readonly HarborCluster[];
  readonly problems: readonly string[];
}

export const noHarborClusters: HarborClusters = { clusters: [], problems: [] };

export function withoutLogins({ clusters, problems }: FoundHarborClusters): HarborClusters {
  return {
    clusters: clusters.map(({ login, ...cluster }) => ({
      ...cluster,
      hasCa: login !== null && login.ca !== null,
    })),
    problems,
  };
}

/** What the documents of the policy claim, by themselves. */
export interface Claimed {
  /** Names of registries, of those too that are left without any host. */
  readonly names: Pick<ReadonlyMap<string, unknown>, "has">;
  readonly registriesByHost: ReadonlyMap<string, readonly Registry[]>;
}

export interface Joined {
  readonly registries: readonly Registry[];
  readonly problems: readonly PolicyProblem[];
}

/** Those that contradict neither the policy nor each other. Of two that contradict each other none joins. */
export function joinRegistries({ clusters, problems: unread }: HarborClusters, claimed: Claimed): Joined {
  const registries: Registry[] = [];
  const problems = unread.map((text) => problemOf("HarborClusters", "error", text));
  const sound = clusters.filter((cluster) => faultOf(cluster) === undefined);
  for (const cluster of clusters) {
    const report = (severity: PolicyProblem["severity"], text: string): void => {
      problems.push(problemOf(`HarborCluster ${cluster.namespace}/${cluster.name}`, severity, text));
    };
    const fault = faultOf(cluster);
    if (fault !== undefined) {
      report("error", `it does not join: ${fault}`);
      continue;
    }
    const registry = registryOf(cluster);
    if (isInPolicy(registry, claimed)) continue;
    const claim = claimOfPolicy(registry, claimed);
    const rival = sound.find((other) => other !== cluster && contradicts(registryOf(other), registry));
    if (claim !== undefined) report("warning", `it does not join: ${claim}`);
    else if (rival !== undefined) report("error", `it does not join: ${claimOfRival(rival)}`);
    else {
      registries.push(registry);
      if (registry.url.startsWith("http:")) report("warning", clearText);
    }
  }
  return { registries, problems };
}

/** Told where problems of the policy are. */
function problemOf(place: string, severity: PolicyProblem["severity"], text: string): PolicyProblem {
  return { severity, source: { configMap: null, key: null, file: place }, position: null, text };
}

/** Where a registry comes from that no document names; null for one of the policy. */
export function harborClusterOf({
  name,
  credentialsSecret,
}: Pick<Registry, "name" | "credentialsSecret">): Pick<HarborCluster, "namespace" | "name"> | null {
  const slash = credentialsSecret?.indexOf("/") ?? -1;
  if (credentialsSecret === null || slash < 0) return null;
  const namespace = credentialsSecret.slice(0, slash);
  return { namespace, name: name.slice(namespace.length + 1) };
}

/** The logins, of those too that do not join, under names that no Secret of Berth's own namespace can have. */
export function secretsOf(clusters: readonly FoundHarborCluster[]): Secrets {
  return new Map(
    clusters.flatMap((cluster) => {
      const { login } = cluster;
      if (login === null) return [];
      const data = { username: "admin", password: login.password };
      return [[secretKey(cluster), login.ca === null ? data : { ...data, "ca.crt": login.ca }]];
    }),
  );
}

/** With a slash: a policy document cannot name it, and no Secret can have it as its name. */
function secretKey({ namespace, secret }: Pick<HarborCluster, "namespace" | "secret">): string {
  return `${namespace}/${secret}`;
}

function registryOf(cluster: HarborCluster): Registry {
  const { namespace, name, url } = cluster;
  return {
    name: `${namespace}-${name}`,
    type: "harbor",
    url: new URL(url).origin,
    hosts: [...new Set(hostsOfUrl(url))],
    spellings: [...new Set(spellingsOfUrl(url))],
    credentialsSecret: secretKey(cluster),
    pullCredentialsSecret: null,
    caSecret: cluster.hasCa ? secretKey(cluster) : null,
    treatsProxyCachesAsPrivate: false,
    workspace: null,
  };
}

function faultOf({ namespace, name, url }: HarborCluster): string | undefined {
  const registryName = `${namespace}-${name}`;
  if (!/^[a-z0-9][a-z0-9-]{0,61}[a-z0-9]$/.test(registryName)) {
    const rule = "at most 63 lower-case letters, digits and dashes";
    return `its registry would be called ${shown(registryName)}, and names of registries are ${rule}; write it in the policy`;
  }
  const problem = urlProblem(url);
  if (problem !== undefined) return `externalURL: ${problem}`;
  // By mistake or not, it would take the images of everybody.
  return hostsOfUrl(url).includes("docker.io") ? "Docker Hub is no Harbor" : undefined;
}

const clearText = "its externalURL is http://, which sends logins and images in clear text";

function contradicts(a: Registry, b: Registry): boolean {
  return a.name === b.name || a.hosts.some((host) => b.hosts.includes(host));
}

function claimOfRival({ namespace, name }: HarborCluster): string {
  return `HarborCluster ${namespace}/${name} claims the same host or name, and then neither joins; change one of them, or write the one that counts in the policy`;
}

/** The policy names this very Harbor: administrators say more of it there, and nothing is contradicted. */
function isInPolicy({ url, hosts }: Registry, { registriesByHost }: Claimed): boolean {
  const holders = hosts.flatMap((host) => registriesByHost.get(host) ?? []);
  return holders.some((held) => held.type === "harbor" && held.url === url && held.workspace === null);
}

function claimOfPolicy({ name, hosts }: Registry, claimed: Claimed): string | undefined {
  const host = hosts.find((each) => claimed.registriesByHost.has(each));
  if (host !== undefined) return `the policy claims its host ${host}, and stays in force`;
  if (!claimed.names.has(name)) return undefined;
  return `the policy has a registry called ${name}, which stays in force; give that one another name`;
}
