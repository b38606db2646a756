// Values of the domain for tests, written short: a snapshot is named by what differs from an ordinary one.

import { ownSpaceKey } from "../src/domain/binding-validity.ts";
import { catalogueOf, type Catalogue, type Space, type Visibility } from "../src/domain/catalogue.ts";
import { emptyPolicy, spaceKey, type Binding, type Policy, type Registry } from "../src/domain/policy.ts";
import { canonicalHost } from "../src/domain/registry-host.ts";
import { firstSnapshot, type Rules, type Snapshot } from "../src/domain/snapshot.ts";

export const rules: Rules = {
  berthNamespace: "berth-system",
  workspaceLabel: "workspace.ghippo.io/id",
  stale: "serve",
};

export function registry(name: string, more: Partial<Registry> = {}): Registry {
  const spellings = more.spellings ?? [`${name}.test`];
  return {
    name,
    type: "harbor",
    url: `https://${spellings[0] ?? ""}`,
    credentialsSecret: `${name}-login`,
    pullCredentialsSecret: null,
    caSecret: null,
    treatsProxyCachesAsPrivate: false,
    workspace: null,
    ...more,
    spellings,
    hosts: spellings.map(canonicalHost),
  };
}

export function space(name: string, visibility: Visibility, id = 1, proxyCache = false): Space {
  return { name, visibility, id, proxyCache };
}

/** `"12 managed/team-a"` or `"12 managed/team-a 42"`: workspace, registry and space, id. */
export function binding(text: string): Binding {
  const [workspace = "", place = "", id] = text.split(" ");
  const [registryName = "", spaceName = ""] = place.split("/");
  return { workspace, registry: registryName, space: spaceName, id: id === undefined ? null : Number(id) };
}

export function policyOf(more: {
  registries?: readonly Registry[];
  bindings?: readonly string[];
  rest?: Partial<Policy>;
}): Policy {
  const byHost = new Map<string, Registry[]>();
  for (const each of more.registries ?? []) {
    for (const host of each.hosts) byHost.set(host, [...(byHost.get(host) ?? []), each]);
  }
  const bindings = new Map<string, Map<string, Binding>>();
  for (const each of (more.bindings ?? []).map(binding)) {
    const key = spaceKey(each.registry, each.space);
    bindings.set(key, new Map([...(bindings.get(key) ?? []), [each.workspace, each]]));
  }
  return {
    ...emptyPolicy,
    registries: new Map((more.registries ?? []).map((each) => [each.name, each])),
    registriesByHost: byHost,
    bindings,
    documents: 1,
    ...more.rest,
  };
}

export interface SnapshotParts {
  readonly rules?: Partial<Rules>;
  readonly policy?: Policy;
  readonly namespaces?: Readonly<Record<string, string | null>>;
  /** Registry name → its spaces; a registry left out has no catalogue. */
  readonly catalogues?: Readonly<Record<string, readonly Space[] | Catalogue>>;
  readonly pins?: Readonly<Record<string, number>>;
  /** Left out, Berth has made no space; null where nobody keeps a record of them. */
  readonly ownSpaces?: Readonly<Record<string, number>> | null;
  readonly strictServiceAccounts?: readonly string[];
}

/** `managed/team-a`, or the key itself with the server's url. */
function ownKeyOf({ policy }: SnapshotParts, key: string): string {
  if (key.includes("://")) return key;
  const [name = "", space = ""] = key.split("/");
  return ownSpaceKey(policy?.registries.get(name)?.url ?? "", space);
}

/** When the catalogues of tests were read. */
export const readAt = 1_000_000;

export function snapshotOf(parts: SnapshotParts): Snapshot {
  return {
    ...firstSnapshot({ ...rules, ...parts.rules }),
    generation: 7,
    policyRead: true,
    policy: parts.policy ?? emptyPolicy,
    namespacesRead: true,
    namespaces: new Map(Object.entries(parts.namespaces ?? {})),
    catalogues: new Map(
      Object.entries(parts.catalogues ?? {}).map(([name, spaces]) => [
        name,
        "spaces" in spaces ? spaces : catalogueOf(`https://${name}.test`, readAt, spaces),
      ]),
    ),
    pins: new Map(Object.entries(parts.pins ?? {})),
    ownSpaces: new Map(Object.entries(parts.ownSpaces ?? {}).map(([key, id]) => [ownKeyOf(parts, key), id])),
    ownSpacesRead: parts.ownSpaces !== null,
    strictServiceAccounts: new Set(parts.strictServiceAccounts),
  };
}
