// A world of the naive model as the snapshot that a decision reads.

import { catalogueOf, type Space } from "../../src/domain/catalogue.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { policyOf, readAt, registry, snapshotOf, space } from "../builders.ts";
import type { ModelSpace, World } from "./naive-model.ts";

export function snapshotFrom(world: World): Snapshot {
  const { registries, bindings, declared, catalogues, unlisted, exempt } = world;
  const made = snapshotOf({
    rules: { stale: world.stale },
    policy: policyOf({
      registries: registries.map(
        ({ name, type, spellings: hosts, workspace, proxyCachesArePrivate, login, pullLogin }) =>
          registry(name, {
            type,
            spellings: hosts,
            workspace,
            treatsProxyCachesAsPrivate: proxyCachesArePrivate,
            credentialsSecret: login ? `${name}-login` : null,
            pullCredentialsSecret: pullLogin ? `${name}-pull` : null,
          }),
      ),
      bindings: bindings.map(
        ({ workspace, registry: on, space: name, id }) =>
          `${workspace} ${on}/${name}${id === null ? "" : ` ${String(id)}`}`,
      ),
      rest: {
        unlistedRegistries: unlisted,
        exemptNamespaces: new Set(exempt),
        spaces: new Map(
          declared.map(({ registry: on, space: name, adopt }) => [
            `${on}/${name}`,
            { registry: on, name, visibility: "private", storageBytes: null, adopt },
          ]),
        ),
      },
    }),
    namespaces: world.namespaces,
    catalogues: Object.fromEntries(
      catalogues.map(({ registry: on, spaces, stale }) => [
        on,
        { ...catalogueOf(`https://${on}.test`, readAt, spaces.map(spaceFrom)), stale },
      ]),
    ),
    ownSpaces: world.recordsOwnSpaces
      ? Object.fromEntries(
          declared.flatMap(({ registry: on, space: name, own }) =>
            own === null ? [] : [[`${on}/${name}`, own]],
          ),
        )
      : null,
    pins: Object.fromEntries(
      bindings.flatMap(({ workspace, registry: on, space: name, id, pin }) =>
        id === null && pin !== null ? [[`${on}/${name}/${workspace}`, pin]] : [],
      ),
    ),
  });
  return { ...made, policyRead: world.policyRead };
}

export function spaceFrom({ name, visibility, id, proxyCache }: ModelSpace): Space {
  return space(name, visibility, id, proxyCache);
}
