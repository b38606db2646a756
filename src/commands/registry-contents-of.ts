// What registries hold, by the adapter for their type, in the words of http/registry-contents.ts.

import { LRUCache } from "lru-cache";
import type { Registry } from "../domain/policy.ts";
import { accessOf, type Secrets } from "../domain/registry-access.ts";
import type { HarborClients } from "../harbor/harbor-clients.ts";
import * as harbor from "../harbor/repositories.ts";
import { readPullGrants } from "../harbor/token-service.ts";
import type { Part, RegistryContents, RepositoryFact, TagFact } from "../http/registry-contents.ts";
import type { Metrics } from "../metrics.ts";
import { createRegistryClient, type RegistryClient } from "../registry/registry-client.ts";
import { readManifestDigest } from "../registry/registry-images.ts";
import { repositoryNames, tagNames, type Names } from "../registry/registry-pages.ts";

export interface RegistryContentsNeeds {
  readonly clients: HarborClients;
  /** Of Berth's own namespace, as they are now. */
  readonly secrets: () => Secrets;
  readonly metrics: Metrics | undefined;
}

/** Longer than a registry on slow storage takes for a page of its catalog. */
const timeoutMs = 15_000;
/** As many registries as people look at on one replica; the one longest unused is connected to anew. */
const maxClients = 100;

export function createRegistryContents(needs: RegistryContentsNeeds): RegistryContents & { close(): void } {
  const { clients } = needs;
  const registries = createRegistryClients(needs);
  return {
    async repositories(registry, space, wanted, signal) {
      if (registry.type === "harbor") {
        // Whoever asks has seen to it that there is a space.
        return harbor.listRepositories(clients.clientOf(registry), space ?? "", wanted, signal);
      }
      const names = await repositoryNames(registries.clientOf(registry), wanted, signal);
      return names === "off" ? "off" : repositoriesOf(names);
    },
    async search(registry, spaces, wanted, signal) {
      if (registry.type === "harbor")
        return harbor.searchRepositories(clients.clientOf(registry), spaces, wanted, signal);
      const names = await repositoryNames(
        registries.clientOf(registry),
        { ...wanted, after: undefined },
        signal,
      );
      return names === "off" ? "off" : repositoriesOf(names);
    },
    async tags(registry, repository, wanted, signal) {
      if (registry.type === "harbor")
        return harbor.listTags(clients.clientOf(registry), repository, wanted, signal);
      const names = await tagNames(registries.clientOf(registry), repository, wanted, signal);
      return names && { items: names.items.map((name) => tagOf(name, null)), next: names.next };
    },
    async tag(registry, repository, tag, signal) {
      if (registry.type === "harbor")
        return harbor.readTag(clients.clientOf(registry), repository, tag, signal);
      const digest = await readManifestDigest(registries.clientOf(registry), repository, tag, signal);
      return digest === null ? null : tagOf(tag, digest);
    },
    async granted(registry, spaces, signal) {
      const grants = await readPullGrants(clients.pullClientOf(registry), spaces, signal);
      return new Set(spaces.filter((space) => grants.get(space) === true));
    },
    close: () => registries.close(),
  };
}

function repositoriesOf({ items, next }: Names): Part<RepositoryFact> {
  return { items: items.map((name) => ({ name, artifacts: null, updatedAt: null })), next };
}

function tagOf(name: string, digest: string | null): TagFact {
  return { name, digest, sizeBytes: null, platforms: [], pushedAt: null };
}

/** Kept as long as address, login and CA stay what they are. */
function createRegistryClients({ secrets, metrics }: RegistryContentsNeeds) {
  const kept = new LRUCache<string, RegistryClient>({
    max: maxClients,
    dispose: (client) => client.close(),
  });
  return {
    clientOf(registry: Registry): RegistryClient {
      const { name, url, caSecret, credentialsSecret } = registry;
      const ca = caSecret === null ? undefined : secrets().get(caSecret)?.["ca.crt"];
      const key = JSON.stringify([name, url, credentialsSecret, ca]);
      const known = kept.get(key);
      if (known !== undefined) return known;
      const client = createRegistryClient({
        url,
        credentials() {
          const access = accessOf(registry, secrets());
          return access.kind === "access" ? access.access : undefined;
        },
        ca,
        timeoutMs,
        now: Date.now,
        random: Math.random,
        observe: (outcome, seconds) =>
          metrics?.registryRequestDuration.observe({ registry: name, outcome }, seconds),
      });
      kept.set(key, client);
      return client;
    },
    close: () => kept.clear(),
  };
}
