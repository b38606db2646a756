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
import {
  modelParse,
  modelVerdict,
  server,
  type LiveSpace,
  type ModelQuestion,
  type ModelVerdict,
  type World,
} from "./naive-model.ts";
import { hostA, questions, workspaces, worlds } from "./random-worlds.ts";
import { fuzzRuns } from "./runs.ts";
import { snapshotFrom, spaceFrom } from "./worlds.ts";

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
