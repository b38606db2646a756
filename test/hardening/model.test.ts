// The decision against a model of the same rule that shares no line with it, over random snapshots and images near
// the edges; and what a refused tenant may learn from the words of a refusal.

import { expect } from "chai";
import fc from "fast-check";
import { decide, questionAbout, type FinalVerdict, type Question } from "../../src/domain/decision.ts";
import { noKnowledge, type Knowledge, type SpaceAnswer, type Unknown } from "../../src/domain/knowledge.ts";
import { refusalMessage } from "../../src/domain/refusal.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { policyOf, readAt, registry, snapshotOf, space } from "../builders.ts";
import { podReview } from "../fakes/api-server.ts";
import { createGate } from "./gate.ts";
import { imageReferences } from "./image-references.ts";
import {
  modelParse,
  modelVerdict,
  server,
  type LiveSpace,
  type ModelBinding,
  type ModelDeclared,
  type ModelQuestion,
  type ModelRegistry,
  type ModelSpace,
  type ModelVerdict,
  type World,
} from "./naive-model.ts";
import { fuzzRuns } from "./runs.ts";
import { snapshotFrom, spaceFrom } from "./worlds.ts";

const hex = "e6693c20186f837fc393390135d8a598a96a833917917789d63766cab6c59582";

// A few of everything, so that the pieces meet.
const hostA = "harbor.test";
const hostB = "10.6.232.5:30010";
const hostSix = "[2001:db8::1]:5000";
const spellings = [
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
const workspaces = ["12", "13", "012"];
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
    twelveShares: fc.boolean(),
    thirteenShares: fc.boolean(),
    wary: fc.subarray(["managed", "second", "twelve"]),
    login: fc.boolean(),
    pullLogin: fc.boolean(),
    left: fc.subarray(["managed", "second", "archive", "hub", "twelve", "thirteen", "open"], {
      minLength: 4,
    }),
  })
  .map(({ aliases, twelveShares, thirteenShares, wary, login, pullLogin, left }) => {
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
      of("twelve", "harbor", twelveShares ? [hostA] : ["twelve.test"], "12"),
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

const worlds: fc.Arbitrary<World> = fc.record({
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

const questions: fc.Arbitrary<ModelQuestion> = fc
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

/** Asks the world for what a decision does not know, as the webhook does, and decides again. */
function decided(world: World, snapshot: Snapshot, question: Question): FinalVerdict {
  let knowledge = noKnowledge;
  for (let round = 0; round <= 3; round += 1) {
    const verdict = decide(snapshot, { ...question, knowledge: { ...knowledge, final: round === 3 } });
    if (verdict.kind !== "not-known-yet") return verdict;
    for (const unknown of verdict.unknowns) knowledge = learned(world, knowledge, unknown);
  }
  throw new Error("the decision asks on and on");
}

function learned(world: World, known: Knowledge, unknown: Unknown): Knowledge {
  const silent = { kind: "unavailable", why: "failed" } as const;
  switch (unknown.what) {
    case "namespace": {
      if (world.namespacesAreSilent) return { ...known, namespace: silent };
      const workspace = world.liveNamespaces[unknown.namespace];
      const exists = workspace !== undefined;
      return { ...known, namespace: { kind: "read", exists, workspace: workspace ?? null } };
    }
    case "space": {
      const key = `${unknown.registry}/${unknown.space}`;
      const live = world.live.find((one) => `${one.registry}/${one.space}` === key);
      return { ...known, spaces: new Map([...known.spaces, [key, answerOf(unknown.space, live)]]) };
    }
    case "grant": {
      const key = `${unknown.registry}/${unknown.repository}`;
      const answer = world.grantsAreSilent
        ? silent
        : { kind: "read" as const, granted: world.grants.includes(key) };
      return { ...known, grants: new Map([...known.grants, [key, answer]]) };
    }
  }
}

function answerOf(name: string, live: LiveSpace | undefined): SpaceAnswer {
  if (live === undefined || live.answer === "silent") return { kind: "unavailable", why: "limited" };
  const at = live.answer === "newer" ? readAt + 1 : readAt - 1;
  const found = live.found === null ? null : spaceFrom({ name, ...live.found });
  return { kind: "read", reading: { readAt: at, space: found } };
}

function asQuestion({
  namespace,
  images: texts,
  unchanged,
  malformed,
  mirror,
  lacksPullSecret,
}: ModelQuestion) {
  return questionAbout(
    namespace,
    texts.map((image, index) => ({ path: `spec.containers[${String(index)}].image`, container: "c", image })),
    {
      unchanged: new Set(unchanged),
      malformed: malformed ? ["spec.volumes: expected a list, got text"] : [],
      mirrorPodOfNode: mirror,
      lacksPullSecret,
    },
  );
}

function inWords(verdict: FinalVerdict): ModelVerdict {
  const whole = verdict.kind === "refuse" ? verdict.refusals.filter(({ use }) => use === null) : [];
  const judgements = verdict.judgements.filter(({ use }) => use !== null);
  return { kind: verdict.kind, reasons: [...judgements, ...whole].map(({ reason }) => reason) };
}

describe("the decision and a naive model of the rule", () => {
  it("agree on random snapshots, namespaces and images near the edges", () => {
    const met = new Map<string, number>();
    fc.assert(
      fc.property(worlds, questions, (world, question) => {
        const expected = modelVerdict(world, question);
        for (const reason of expected.reasons) met.set(reason, (met.get(reason) ?? 0) + 1);
        expect(inWords(decided(world, snapshotFrom(world), asQuestion(question)))).to.deep.equal(expected);
      }),
      { numRuns: fuzzRuns(30_000) },
    );
    expect([...met.keys()].sort(), "a random world in which nothing happens proves nothing").to.deep.equal([
      ...["bound-space", "catalogue-not-ready", "catalogue-stale", "exempt-namespace", "image-by-id"],
      ...["malformed-image", "malformed-object", "mirror-pod", "namespace-unknown"],
      ...["namespace-without-workspace", "no-space-in-name", "open-registry", "public-space"],
      ...["pull-secret-not-injected", "registry-of-another-workspace", "space-not-bound", "space-replaced"],
      ...[
        "space-unknown",
        "unchanged",
        "unlisted-registry",
        "unlisted-registry-allowed",
        "workspace-registry",
      ],
    ]);
  });

  it("have models that know the edges: spellings of one server, and what is no image", () => {
    for (const [one, other] of [
      ["harbor.test", "Harbor.Test:0443"],
      ["10.6.232.5:30010", "[::ffff:a06:e805]:30010"],
      ["[2001:db8::1]", "[2001:0DB8:0:0::1]:443"],
    ] as const) {
      expect(server(one)).to.equal(server(other));
    }
    expect(server("harbor.test")).to.not.equal(server("harbor.test:80"));
    expect(modelParse("harbor.test/a/b:1")).to.deep.equal({ host: "harbor.test", path: ["a", "b"] });
    expect(modelParse("harbor.test/A/b")).to.equal("malformed");
  });
});

describe("what a refused tenant learns", () => {
  // Names that no word of a message is.
  const vaults = Array.from({ length: 8 }, (_, index) => `vault-${String(index)}`);
  const halls = Array.from({ length: 5 }, (_, index) => `hall-${String(index)}`);
  const subset = (names: readonly string[]) => fc.subarray([...names]);
  const places = fc.record({
    closed: subset(vaults),
    open: subset(halls),
    bound: fc.array(
      fc.tuple(fc.constantFrom(...workspaces), fc.constantFrom(...vaults), fc.option(fc.constant(2))),
      {
        minLength: 4,
      },
    ),
    namespace: fc.constantFrom("of12", "of13", "bare"),
    wanted: fc.constantFrom(...vaults, "vault", "vault-9", "vault-00", "hall-9", "elsewhere"),
  });

  function placesSnapshot(
    closed: readonly string[],
    open: readonly string[],
    bound: readonly (readonly [string, string, number | null])[],
  ): Snapshot {
    return snapshotOf({
      policy: policyOf({
        registries: [registry("managed", { spellings: [hostA] })],
        bindings: bound.map(
          ([of, name, id]) => `${of} managed/${name}${id === null ? "" : ` ${String(id)}`}`,
        ),
      }),
      namespaces: { of12: "12", of13: "13", bare: null },
      catalogues: {
        managed: [
          ...closed.map((name) => space(name, "private", 1)),
          ...open.map((name) => space(name, "public", 1)),
        ],
      },
    });
  }

  function messageTo(snapshot: Snapshot, namespace: string, wanted: string, suggest: "public" | "workspace") {
    const use = { path: "spec.containers[0].image", container: "app", image: `${hostA}/${wanted}/app:1` };
    const knowledge = { ...noKnowledge, final: true };
    const verdict = decide(snapshot, questionAbout(namespace, [use], { knowledge }));
    if (verdict.kind !== "refuse") return undefined;
    const reason = verdict.refusals[0]?.reason ?? "";
    return { reason, text: refusalMessage(snapshot, namespace, verdict.refusals, { suggest }) };
  }

  const namesIn = (text: string) =>
    vaults.filter((name) => new RegExp(`(?<![a-z0-9-])${name}(?![a-z0-9-])`).test(text));

  it("where anybody may ask, no private space but the one in the image", () => {
    fc.assert(
      fc.property(places, ({ closed, open, bound, namespace, wanted }) => {
        const message = messageTo(placesSnapshot(closed, open, bound), namespace, wanted, "public");
        expect(namesIn(message?.text ?? "").filter((name) => name !== wanted)).to.deep.equal([]);
      }),
      { numRuns: fuzzRuns(1_000) },
    );
  });

  it("where only the API server may ask, private spaces of the own workspace, as long as they are those that were bound", () => {
    let named = 0;
    fc.assert(
      fc.property(places, ({ closed, open, bound, namespace, wanted }) => {
        const message = messageTo(placesSnapshot(closed, open, bound), namespace, wanted, "workspace");
        const workspace = namespace.replace("of", "");
        const own = new Set(
          bound.flatMap(([of, name, id]) => (of === workspace && id === null ? [name] : [])),
        );
        // Of two bindings of one space the later one counts, so that either may be meant here.
        const others = namesIn(message?.text ?? "").filter((name) => name !== wanted);
        named += others.length;
        expect(others.filter((name) => !own.has(name))).to.deep.equal([]);
      }),
      { numRuns: fuzzRuns(1_000) },
    );
    expect(named, "suggestions came").to.be.greaterThan(fuzzRuns(20));
  });

  it("nothing about whether a space is closed or not there at all", () => {
    fc.assert(
      fc.property(
        places,
        fc.constantFrom("public", "workspace"),
        ({ closed, open, bound, namespace }, suggest) => {
          // The same image in a world with that space and in one without it.
          const rest = closed.filter((name) => name !== "vault-0");
          const others = bound.filter(([, name]) => name !== "vault-0");
          const there = messageTo(
            placesSnapshot([...rest, "vault-0"], open, others),
            namespace,
            "vault-0",
            suggest,
          );
          const absent = messageTo(placesSnapshot(rest, open, others), namespace, "vault-0", suggest);
          expect(absent?.reason).to.equal("space-unknown");
          expect(there?.reason).to.be.oneOf(["space-not-bound", "namespace-without-workspace"]);
          expect(there?.text).to.equal(absent?.text);
          // And two names in one world, where what else there is to use is told in another order.
          const other = messageTo(
            placesSnapshot([...rest, "vault-0"], open, others),
            namespace,
            "vault-9",
            "public",
          );
          const ours = messageTo(
            placesSnapshot([...rest, "vault-0"], open, others),
            namespace,
            "vault-0",
            "public",
          );
          expect(withoutName(other?.text, "vault-9")).to.deep.equal(withoutName(ours?.text, "vault-0"));
        },
      ),
      { numRuns: fuzzRuns(500) },
    );
  });

  it("nor from any part of the webhook's answer, in any mode, with and without look-ups, of a catalogue that is too old too", async () => {
    const circumstances = fc.record({
      mode: fc.constantFrom("enforce", "warn", "audit"),
      stale: fc.boolean(),
      rule: fc.constantFrom("serve", "refuse-unbound"),
      silent: fc.boolean(),
      namespace: fc.constantFrom("of12", "of13", "bare", "nowhere"),
      path: fc.constantFrom("validate", "mutate"),
      wanted: fc.constantFrom("vault-0", "vault-0", "te--am"),
    });
    await fc.assert(
      fc.asyncProperty(places, circumstances, async ({ closed, open, bound }, how) => {
        const { wanted, path, namespace } = how;
        const rest = closed.filter((name) => name !== wanted);
        const others = bound.filter(([, name]) => name !== wanted);
        const answers = [[...rest, wanted], rest].map((names) => {
          const plain = placesSnapshot(names, open, others);
          const snapshot: Snapshot = {
            ...plain,
            rules: { ...plain.rules, stale: how.rule },
            policy: { ...plain.policy, mode: how.mode },
            catalogues: new Map([...plain.catalogues].map(([on, one]) => [on, { ...one, stale: how.stale }])),
          };
          const away = () => Promise.reject(new Error("nobody answers"));
          const lookUps = { namespace: away, space: away, grant: away };
          const gate = createGate(snapshot, how.silent ? { lookUps } : {});
          return gate[path](podReview(namespace, [`${hostA}/${wanted}/app:1`, `${hostA}/hall-0/app`]));
        });
        const [there, absent] = await Promise.all(answers);
        expect(there).to.deep.equal(absent);
      }),
      { numRuns: fuzzRuns(1_000) },
    );
  });

  function withoutName(text: string | undefined, name: string): readonly string[] {
    return (text ?? "").replaceAll(name, "<name>").replaceAll(/[,.]/g, "").split(" ").sort();
  }
});
