// What one decision costs, by the size of what is known: it should not matter.

import { catalogueOf, type Space } from "../src/domain/catalogue.ts";
import { decide, questionAbout } from "../src/domain/decision.ts";
import { nothingToAsk } from "../src/domain/knowledge.ts";
import { emptyPolicy, spaceKey, type Binding, type Registry } from "../src/domain/policy.ts";
import { firstSnapshot, type Snapshot } from "../src/domain/snapshot.ts";

const host = "harbor.example.test";

function snapshotWith(spaces: number, bindings: number): Snapshot {
  const registry: Registry = {
    name: "managed",
    type: "harbor",
    url: `https://${host}`,
    hosts: [host],
    spellings: [host],
    credentialsSecret: "login",
    pullCredentialsSecret: null,
    treatsProxyCachesAsPrivate: false,
    caSecret: null,
    workspace: null,
  };
  const all = Array.from({ length: spaces }, (_, index): Space => {
    return {
      name: `space-${String(index)}`,
      id: index + 1,
      visibility: index === 0 ? "public" : "private",
      proxyCache: false,
    };
  });
  const byKey = new Map<string, Map<string, Binding>>();
  for (let index = 0; index < bindings; index += 1) {
    const space = `space-${String(1 + (index % Math.max(1, spaces - 1)))}`;
    const workspace = String(Math.floor(index / Math.max(1, spaces - 1)) + 1);
    const binding = { workspace, registry: "managed", space, id: null };
    const key = spaceKey("managed", space);
    byKey.set(key, (byKey.get(key) ?? new Map<string, Binding>()).set(workspace, binding));
  }
  return {
    ...firstSnapshot({
      berthNamespace: "berth-system",
      workspaceLabel: "workspace.ghippo.io/id",
      stale: "serve",
    }),
    policyRead: true,
    namespacesRead: true,
    namespaces: new Map([["shop", "1"]]),
    policy: {
      ...emptyPolicy,
      registries: new Map([["managed", registry]]),
      registriesByHost: new Map([[host, [registry]]]),
      bindings: byKey,
    },
    catalogues: new Map([["managed", catalogueOf(`https://${host}`, 0, all)]]),
  };
}

function nanosecondsPerDecision(snapshot: Snapshot, containers: number): number {
  const images = Array.from({ length: containers }, (_, index) => ({
    path: `spec.containers[${String(index)}].image`,
    container: "app",
    image: `${host}/space-${String(index % 2)}/app:1.2.3`,
  }));
  const question = questionAbout("shop", images, { knowledge: nothingToAsk });
  const rounds = Math.ceil(400_000 / containers);
  const times: number[] = [];
  for (let repeat = 0; repeat < 7; repeat += 1) {
    const begun = performance.now();
    for (let round = 0; round < rounds; round += 1) decide(snapshot, question);
    times.push(((performance.now() - begun) * 1e6) / rounds);
  }
  return Math.round(times.sort((a, b) => a - b)[3] ?? 0);
}

export interface DecisionCost {
  readonly spaces: number;
  readonly bindings: number;
  readonly containers: number;
  readonly nanoseconds: number;
}

export function decisionCosts(): readonly DecisionCost[] {
  const sizes: [spaces: number, bindings: number, containers: number][] = [
    [10, 10, 2],
    [100_000, 10, 2],
    [100_000, 100_000, 2],
    [100_000, 100_000, 50],
  ];
  return sizes.map(([spaces, bindings, containers]) => ({
    spaces,
    bindings,
    containers,
    nanoseconds: nanosecondsPerDecision(snapshotWith(spaces, bindings), containers),
  }));
}
