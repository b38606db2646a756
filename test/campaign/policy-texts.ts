// The policy documents of the walk as texts. JSON is YAML, and a part of it from the beginning never is: whoever reads
// a file in the middle of its being written sees that it is broken.

import { hostsOf } from "./world.ts";
import type { Bindings, RegistriesDocument } from "./model.ts";

export function policyTexts(harborUrl: string) {
  const hosts = hostsOf(harborUrl);
  return {
    registries({ mode, unlisted, exempt, archive, twelve, alias }: RegistriesDocument): string {
      return JSON.stringify({
        mode,
        unlistedRegistries: unlisted,
        exemptNamespaces: exempt,
        registries: [
          {
            name: "managed",
            type: "harbor",
            url: harborUrl,
            aliases: ["harbor.example.test", ...(alias ? [hosts.alias] : [])],
            credentialsSecret: "harbor-login",
          },
          // Nobody listens at either: neither is needed for a verdict.
          ...(archive
            ? [
                {
                  name: "archive",
                  type: "docker-registry",
                  url: "http://127.0.0.1:9",
                  aliases: [hosts.archive],
                },
              ]
            : []),
          ...(twelve
            ? [
                {
                  name: "twelve",
                  type: "harbor",
                  url: "http://127.0.0.2:9",
                  aliases: [hosts.twelve],
                  credentialsSecret: "harbor-login",
                  workspace: "12",
                },
              ]
            : []),
        ],
      });
    },
    bindings: (bindings: Bindings): string =>
      JSON.stringify({
        bindings: bindings.map(({ workspace, space, id }) => ({
          workspace,
          registry: "managed",
          spaces: [id === null ? space : { name: space, id }],
        })),
      }),
  };
}
