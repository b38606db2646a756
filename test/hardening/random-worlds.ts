// Random worlds of the naive model, and images and namespaces near their edges.

import fc from "fast-check";
import { imageReferences } from "./image-references.ts";
import type {
  LiveSpace,
  ModelBinding,
  ModelDeclared,
  ModelQuestion,
  ModelRegistry,
  ModelSpace,
  World,
} from "./naive-model.ts";

const hex = "e6693c20186f837fc393390135d8a598a96a833917917789d63766cab6c59582";

// A few of everything, so that the pieces meet.
export const hostA = "harbor.test";
const hostB = "10.6.232.5:30010";
const hostSix = "[2001:db8::1]:5000";
export const spellings = [
  ...[hostA, "HARBOR.test", "harbor.test:443", "Harbor.Test:0443"],
  ...[hostB, "10.6.232.05:30010", "[::ffff:10.6.232.5]:30010", "[::ffff:a06:e805]:030010"],
  ...[hostSix, "[2001:DB8:0::1]:05000", "[2001:0db8:0:0:0:0:0:1]:5000"],
  ...["docker.io", "index.docker.io", "registry-1.docker.io", "docker.io:443"],
  ...["archive.test:5000", "twelve.test", "thirteen.test", "open.test", "my_harbor.test", "localhost"],
];
const lookalikes = [
  ...[
    "harbor.test:80",
    "harbor.test:4430",
    "harbor.test.evil.example",
    "xharbor.test",
    "harbor",
    "harbor.tes",
  ],
  ...["10.6.232.5", "10.6.232.5:30011", "[2001:db8::1]", "[2001:db8::11]:5000", "quay.io", "hub.docker.com"],
  ...["evil.example/harbor.test", "harbor.test.", "harbor_test", "user@harbor.test", "https://harbor.test"],
];
const spaceNames = ["team", "team-evil", "team.x", "te_am", "te__am", "te--am", "12", "library", "ghost"];
/** Most of what happens is about these, so that bindings, spaces and images meet. */
const hotSpaces = ["team", "team-evil"];
export const workspaces = ["12", "13", "012"];
const namespaceNames = ["of12", "of13", "of012", "bare", "young", "nobody", "kube-system", "berth-system"];

// Not one of the ends, which come up more often.
const rarely = fc.integer({ min: 0, max: 40 }).map((number) => number === 23);

const spaceOn: fc.Arbitrary<ModelSpace> = fc.record({
  name: fc.constantFrom(...hotSpaces, ...spaceNames.filter((name) => !/__|--/.test(name))),
  visibility: fc.constantFrom("public", "private"),
  id: fc.integer({ min: 1, max: 3 }),
  proxyCache: fc.boolean(),
});
const spacesOn = fc.uniqueArray(spaceOn, { selector: ({ name }) => name, minLength: 3, maxLength: 6 });
const harborNames = ["managed", "second", "twelve", "thirteen"];

const registriesOf: fc.Arbitrary<readonly ModelRegistry[]> = fc
  .record({
    aliases: fc.subarray([hostB, "my_harbor.test", "Localhost:443"]),
    hostsOfTwelve: fc.constantFrom([hostA], ["twelve.test"], [hostA, "twelve.test"], ["twelve.test", hostA]),
    thirteenShares: fc.boolean(),
    wary: fc.subarray(["managed", "second", "twelve"]),
    login: fc.boolean(),
    pullLogin: fc.boolean(),
    left: fc.subarray(["managed", "second", "archive", "hub", "twelve", "thirteen", "open"], {
      minLength: 4,
    }),
  })
  .map(({ aliases, hostsOfTwelve, thirteenShares, wary, login, pullLogin, left }) => {
    const of = (
      name: string,
      type: ModelRegistry["type"],
      hosts: readonly string[],
      workspace: string | null = null,
    ): ModelRegistry => ({
      ...{ name, type, spellings: hosts, workspace, login, pullLogin },
      proxyCachesArePrivate: wary.includes(name),
    });
    return [
      of("thirteen", "harbor", thirteenShares ? ["HARBOR.test:443"] : ["thirteen.test"], "13"),
      of("managed", "harbor", [hostA, ...aliases]),
      of("second", "harbor", [hostSix]),
      of("archive", "docker-registry", ["archive.test:5000"]),
      of("hub", "docker-registry", ["docker.io"]),
      of("twelve", "harbor", hostsOfTwelve, "12"),
      of("open", "docker-registry", ["open.test"], "12"),
    ].filter(({ name }) => left.includes(name));
  });

const bindingOf: fc.Arbitrary<ModelBinding> = fc.record({
  workspace: fc.constantFrom("12", ...workspaces),
  registry: fc.constantFrom("managed", "managed", "second"),
  space: fc.constantFrom(...hotSpaces, ...hotSpaces, ...spaceNames),
  id: fc.option(fc.integer({ min: 1, max: 3 }), { freq: 3 }),
  pin: fc.option(fc.integer({ min: 1, max: 3 }), { freq: 3 }),
});

const declaredOf: fc.Arbitrary<ModelDeclared> = fc.record({
  registry: fc.constantFrom("managed", "second"),
  space: fc.constantFrom(...hotSpaces, ...spaceNames),
  adopt: fc.boolean(),
  own: fc.option(fc.integer({ min: 1, max: 3 })),
});

const liveOf: fc.Arbitrary<LiveSpace> = fc.record({
  registry: fc.constantFrom("managed", "second"),
  space: fc.constantFrom(...spaceNames),
  answer: fc.constantFrom("silent", "older", "newer", "newer"),
  found: fc.option(
    fc.record({
      visibility: fc.constantFrom("public", "private"),
      id: fc.integer({ min: 1, max: 3 }),
      proxyCache: fc.boolean(),
    }),
  ),
});

export const worlds: fc.Arbitrary<World> = fc.record({
  policyRead: rarely.map((never) => !never),
  stale: fc.constantFrom("serve", "refuse-unbound"),
  unlisted: fc.constantFrom("deny", "warn", "allow"),
  exempt: fc.constantFrom([], ["kube-system"]),
  registries: registriesOf,
  bindings: fc.uniqueArray(bindingOf, {
    selector: ({ workspace, registry: on, space: name }) => `${workspace} ${on} ${name}`,
    minLength: 6,
    maxLength: 16,
  }),
  declared: fc.uniqueArray(declaredOf, {
    selector: ({ registry: on, space: name }) => `${on} ${name}`,
    maxLength: 4,
  }),
  recordsOwnSpaces: fc.boolean(),
  catalogues: fc
    .tuple(...harborNames.map(() => fc.option(fc.tuple(spacesOn, fc.boolean()), { freq: 8 })))
    .map((all) =>
      all.flatMap((one, index) =>
        one === null ? [] : [{ registry: harborNames[index] ?? "", spaces: one[0], stale: one[1] }],
      ),
    ),
  namespaces: fc.constant({ of12: "12", of13: "13", of012: "012", bare: null }),
  liveNamespaces: fc.constantFrom({ young: "12" }, { young: null }, {}),
  namespacesAreSilent: fc.boolean(),
  live: fc.uniqueArray(liveOf, {
    selector: ({ registry: on, space: name }) => `${on}/${name}`,
    maxLength: 12,
  }),
  grants: fc.subarray(["twelve/team/app", "thirteen/team/app", "twelve/ghost/app", "twelve/team/a/b"]),
  grantsAreSilent: fc.boolean(),
});

const tags = ["", ":1", `@sha256:${hex}`, `:1@sha256:${hex}`];
const repositories = ["app", "a/b"];
const oddTags = [":", ":-", `@sha256:${hex.slice(1)}`, `@md5:${hex}`];
const oddRepositories = ["App", "a//b", "", "..", "a%2Fb", "te___am"];
const usually = (usual: readonly string[], odd: readonly string[]) =>
  fc.oneof(
    { weight: 20, arbitrary: fc.constantFrom(...usual) },
    { weight: 1, arbitrary: fc.constantFrom(...odd) },
  );
const built = fc
  .record({
    host: fc.oneof(
      { weight: 6, arbitrary: fc.constantFrom(...spellings) },
      { weight: 12, arbitrary: fc.constantFrom(...spellings.slice(0, 8)) },
      { weight: 2, arbitrary: fc.constantFrom(...lookalikes) },
    ),
    inSpace: fc.oneof(
      {
        weight: 8,
        arbitrary: fc
          .constantFrom(...hotSpaces, ...hotSpaces, ...hotSpaces, ...spaceNames)
          .map((name) => `${name}/`),
      },
      { weight: 1, arbitrary: fc.constant("") },
    ),
    repository: usually(repositories, oddRepositories),
    tag: usually(tags, oddTags),
  })
  .map(({ host, inSpace, repository, tag }) => `${host}/${inSpace}${repository}${tag}`);
const nearlyBuilt = fc
  .record({
    text: built,
    at: fc.nat(),
    cut: fc.integer({ min: 0, max: 2 }),
    put: fc.constantFrom(
      "",
      "/",
      ":",
      "@",
      ".",
      "_",
      "-",
      "0",
      "A",
      "\u212a",
      " ",
      "\n",
      "\0",
      "%",
      "[",
      "sha256:",
    ),
  })
  .map(({ text, at, cut, put }) => {
    const index = at % (text.length + 1);
    return text.slice(0, index) + put + text.slice(index + cut);
  });
const images = fc.oneof(
  { weight: 16, arbitrary: built },
  { weight: 4, arbitrary: nearlyBuilt },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      "nginx",
      "team/app",
      `sha256:${hex}`,
      hex,
      " ",
      "harbor.test",
      "harbor/team/app",
    ),
  },
  { weight: 1, arbitrary: fc.constantFrom(...imageReferences) },
  { weight: 1, arbitrary: fc.string({ minLength: 1, maxLength: 20 }) },
);

export const questions: fc.Arbitrary<ModelQuestion> = fc
  .record({
    namespace: fc.oneof(
      { weight: 2, arbitrary: fc.constantFrom(...namespaceNames) },
      { weight: 3, arbitrary: fc.constantFrom(...namespaceNames.slice(0, 5)) },
    ),
    images: fc.array(images, { minLength: 1, maxLength: 2 }),
    keepsFirst: rarely,
    malformed: rarely,
    mirror: rarely,
    lacksPullSecret: fc.boolean(),
  })
  .map(({ keepsFirst, ...rest }) => ({ ...rest, unchanged: keepsFirst ? rest.images.slice(0, 1) : [] }));
