// One client for each Harbor and login, made when first asked for, and made anew when its address or its CA
// changes. Logins are read from the Secrets before every call, so that a changed password needs no new client.

import { LRUCache } from "lru-cache";

import type { Registry } from "../domain/policy.ts";
import { accessOf, pullAccessOf, type AccessReading, type Secrets } from "../domain/registry-access.ts";
import type { HarborFailure } from "./harbor-answer.ts";
import { createHarborClient, type HarborClient } from "./harbor-client.ts";

export interface HarborClients {
  /** With the login that Berth itself reads with. */
  clientOf(registry: Registry): HarborClient;
  /** With the login that namespaces get for a registry of a workspace. */
  pullClientOf(registry: Registry): HarborClient;
  close(): void;
}

export interface HarborClientsNeeds {
  readonly secrets: () => Secrets;
  readonly timeoutMs: number;
  readonly now: () => number;
  readonly random: () => number;
  readonly observe?: (registry: string, outcome: "ok" | HarborFailure, seconds: number) => void;
}

/** A registry for each of 500 workspaces, each with two logins; past it the one longest unused is made anew. */
const maxClients = 1_000;

export function createHarborClients(needs: HarborClientsNeeds): HarborClients {
  const { secrets, timeoutMs, now, random, observe } = needs;
  const clients = new LRUCache<string, { readonly client: HarborClient; readonly ca: string | null }>({
    max: maxClients,
    dispose: ({ client }) => client.close(),
  });

  function find(registry: Registry, purpose: string, read: () => AccessReading): HarborClient {
    const reading = read();
    const ca = reading.kind === "access" ? reading.access.ca : null;
    const { name, url, credentialsSecret, pullCredentialsSecret, caSecret } = registry;
    const key = [name, purpose, url, credentialsSecret, pullCredentialsSecret, caSecret].join("\n");
    const known = clients.get(key);
    if (known?.ca === ca) return known.client;
    const client = createHarborClient({
      url,
      credentials: () => {
        const current = read();
        return current.kind === "access" ? current.access : undefined;
      },
      ca: ca ?? undefined,
      timeoutMs,
      now,
      random,
      observe: observe && ((outcome, seconds) => observe(name, outcome, seconds)),
    });
    clients.set(key, { client, ca });
    return client;
  }

  return {
    clientOf: (registry) => find(registry, "own", () => accessOf(registry, secrets())),
    pullClientOf: (registry) => find(registry, "pull", () => pullAccessOf(registry, secrets())),
    close: () => clients.clear(),
  };
}
