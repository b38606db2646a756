// The check of one registry, by the adapter for its type, in the words of feeds/registry-checks.ts.

import type { Registry } from "../domain/policy.ts";
import { accessOf, type Secrets } from "../domain/registry-access.ts";
import type { CheckRegistry } from "../feeds/registry-checks.ts";
import { checkHarbor } from "../harbor/harbor-check.ts";
import type { HarborClients } from "../harbor/harbor-clients.ts";
import type { Metrics } from "../metrics.ts";
import { checkRegistry } from "../registry/registry-check.ts";
import { createRegistryClient } from "../registry/registry-client.ts";

export interface RegistryCheckNeeds {
  readonly clients: HarborClients;
  readonly secrets: () => Secrets;
  readonly metrics: Metrics | undefined;
}

/** Longer than a registry takes for `/v2/`, whatever it does behind it. */
const timeoutMs = 10_000;

export function createRegistryCheck(needs: RegistryCheckNeeds): CheckRegistry {
  return (registry, signal) =>
    registry.type === "harbor"
      ? checkOfHarbor(needs, registry, signal)
      : checkOfRegistry(needs, registry, signal);
}

async function checkOfHarbor({ clients }: RegistryCheckNeeds, registry: Registry, signal: AbortSignal) {
  const integration = registry.workspace === null ? "platform" : "workspace";
  const { caller, version, problems, advice } = await checkHarbor(
    clients.clientOf(registry),
    signal,
    integration,
  );
  return { up: caller !== null, version, problems, advice };
}

async function checkOfRegistry(
  { secrets, metrics }: RegistryCheckNeeds,
  registry: Registry,
  signal: AbortSignal,
) {
  const { name, url, caSecret } = registry;
  const access = accessOf(registry, secrets());
  const ca = caSecret === null ? undefined : secrets().get(caSecret)?.["ca.crt"];
  const client = createRegistryClient({
    url,
    credentials: () => (access.kind === "access" ? access.access : undefined),
    ca,
    timeoutMs,
    now: Date.now,
    random: Math.random,
    observe: (outcome, seconds) =>
      metrics?.registryRequestDuration.observe({ registry: name, outcome }, seconds),
  });
  try {
    const { problems } = await checkRegistry(client, signal);
    return { up: problems.length === 0, version: null, problems, advice: [] };
  } finally {
    client.close();
  }
}
