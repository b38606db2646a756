// The image selector against the decision and against the naive model, over random worlds: it offers what is admitted,
// all of it, and tells a tenant of nothing else.

import { expect } from "chai";
import fc from "fast-check";
import { decide, questionAbout, type FinalVerdict } from "../../src/domain/decision.ts";
import { nothingToAsk, type Knowledge } from "../../src/domain/knowledge.ts";
import type { Registry } from "../../src/domain/policy.ts";
import { reasoningOf } from "../../src/domain/reasoning.ts";
import { reportOf } from "../../src/domain/report.ts";
import { needsGrants, openRegistries, openSpaces } from "../../src/domain/selection.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { modelFinding, server, type ModelRegistry, type World } from "./naive-model.ts";
import { spellings, worlds } from "./random-worlds.ts";
import { fuzzRuns } from "./runs.ts";
import { snapshotFrom } from "./worlds.ts";

const known = ["of12", "of13", "of012", "bare"];
const selected = new Set(["public-space", "bound-space", "workspace-registry"]);

/** Without look-ups, but for what logins may pull, which the selector is told too. */
function told(world: World): World {
  return { ...world, live: [], grantsAreSilent: false };
}

function knowledgeOf({ grants }: World): Knowledge {
  const granted = { kind: "read", granted: true } as const;
  return { ...nothingToAsk, grants: new Map(grants.map((key) => [key, granted])) };
}

/** Of `twelve/team/app` the space. */
function grantedSpaces({ grants }: World): ReadonlySet<string> {
  return new Set(grants.filter((key) => key.endsWith("/app")).map((key) => key.slice(0, -"/app".length)));
}

function judged(
  snapshot: Snapshot,
  namespace: string,
  image: string,
  knowledge: Knowledge = nothingToAsk,
): FinalVerdict {
  const use = { path: "image", container: null, image };
  const verdict = decide(snapshot, questionAbout(namespace, [use], { knowledge }));
  if (verdict.kind === "not-known-yet") throw new Error("nothing was to be asked");
  return verdict;
}

/** All that are known here of the servers that the registry claims, its own among them. */
function allSpellings({ spellings: own }: Pick<Registry, "spellings">): readonly string[] {
  const servers = new Set(own.map(server));
  return [...own, ...spellings.filter((spelling) => servers.has(server(spelling)))];
}

function offered(world: World, snapshot: Snapshot, namespace: string) {
  return openSpaces(snapshot, world.namespaces[namespace] ?? null, grantedSpaces(world));
}

describe("the image selector", () => {
  it("offers what every spelling of a registry admits, for the same reason, in order, and nothing else", () => {
    const met = new Map<string, number>();
    fc.assert(
      fc.property(worlds.map(told), fc.constantFrom(...known), (world, namespace) => {
        const snapshot = snapshotFrom(world);
        const expected = world.registries
          .filter(({ type }) => type === "harbor")
          .map(({ name }) => name)
          .sort()
          .flatMap((name) => admittedOf(world, snapshot, namespace, name));
        const found = offered(world, snapshot, namespace).map(
          ({ registry, space, reason }) => `${registry.name}/${space.name} ${reason}`,
        );
        for (const text of found) {
          const reason = text.replace(/.* /, "");
          met.set(reason, (met.get(reason) ?? 0) + 1);
        }
        expect(found).to.deep.equal(expected);
      }),
      { numRuns: fuzzRuns(4_000) },
    );
    expect([...met.keys()].sort(), "each was met").to.deep.equal([...selected].sort());
  });

  /** By the decision alone, spelling by spelling. */
  function admittedOf(world: World, snapshot: Snapshot, namespace: string, name: string): readonly string[] {
    const registry = snapshot.policy.registries.get(name);
    const names = [...(snapshot.catalogues.get(name)?.spaces.keys() ?? [])].sort();
    if (registry === undefined) return [];
    return names.flatMap((space) => {
      const findings = allSpellings(registry).map((host) => {
        const image = `${host}/${space}/app`;
        const [judgement] = judged(snapshot, namespace, image, knowledgeOf(world)).judgements;
        const isAdmitted = judgement?.allowed === true && selected.has(judgement.reason);
        return isAdmitted ? `${judgement.registry?.name ?? ""}/${space} ${judgement.reason}` : "";
      });
      const [first = ""] = new Set(findings);
      return new Set(findings).size === 1 && first.startsWith(`${name}/`) ? [first] : [];
    });
  }

  it("offers each space that a decision allows, but where a login might not be able to pull by another host", () => {
    fc.assert(
      fc.property(worlds.map(told), fc.constantFrom(...known), (world, namespace) => {
        const snapshot = snapshotFrom(world);
        const open = offered(world, snapshot, namespace);
        for (const { name } of world.registries) {
          const registry = snapshot.policy.registries.get(name);
          if (registry?.type !== "harbor") continue;
          for (const space of snapshot.catalogues.get(name)?.spaces.keys() ?? []) {
            for (const host of registry.spellings) {
              const image = `${host}/${space}/app`;
              const [judgement] = judged(snapshot, namespace, image, knowledgeOf(world)).judgements;
              if (judgement === undefined || !selected.has(judgement.reason)) continue;
              const by = judgement.registry;
              if (by !== null && (by.name !== name || needsGrants(snapshot, by))) continue;
              expect(
                open.map((one) => `${one.registry.name}/${one.space.name}`),
                image,
              ).to.include(`${name}/${space}`);
            }
          }
        }
      }),
      { numRuns: fuzzRuns(2_000) },
    );
  });

  it("lists private spaces only where the naive model has them bound to the workspace, or its own", () => {
    fc.assert(
      fc.property(worlds.map(told), fc.constantFrom(...known), (world, namespace) => {
        const workspace = world.namespaces[namespace] ?? null;
        for (const { registry, space, visibility, reason } of offered(
          world,
          snapshotFrom(world),
          namespace,
        )) {
          const owner = world.registries.find(({ name }) => name === registry.name)?.workspace ?? null;
          const bound = world.bindings.some(
            (one) =>
              one.workspace === workspace && one.registry === registry.name && one.space === space.name,
          );
          if (visibility === "private" && owner === null) expect(bound).to.equal(true);
          if (owner !== null) expect(owner).to.equal(workspace);
          for (const host of registry.spellings) {
            const finding = modelFinding(world, namespace, `${host}/${space.name}/app`);
            expect(finding).to.include({ allowed: true, reason });
          }
        }
      }),
      { numRuns: fuzzRuns(4_000) },
    );
  });
});

describe("what a tenant learns at the people's port", () => {
  // No word of any text, and none a part of another; the target is as far from all of them as the one that is nowhere.
  const target = "qqqqqqq-1";
  const nowhere = "qqqqqqq-2";
  const disguised = (name: string): string => (name === "team" ? target : `zq.${name}.qz`);

  function disguise(world: World): World {
    const place = (key: string): string => {
      const [on = "", space = "", ...rest] = key.split("/");
      return [on, disguised(space), ...rest].join("/");
    };
    return {
      ...told(world),
      bindings: world.bindings.map((one) => ({ ...one, space: disguised(one.space) })),
      declared: world.declared.map((one) => ({ ...one, space: disguised(one.space) })),
      catalogues: world.catalogues.map((one) => ({
        ...one,
        spaces: one.spaces.map((space) => ({ ...space, name: disguised(space.name) })),
      })),
      grants: world.grants.map(place),
    };
  }

  const isOpenIn = ({ workspace }: ModelRegistry, own: string | null): boolean =>
    workspace === null || workspace === own;

  /** Every name that the world has for a space, but those that by the naive model the workspace may know. */
  function hiddenNames(world: World, namespace: string): readonly string[] {
    const own = world.namespaces[namespace] ?? null;
    const shown = new Set<string>();
    for (const registry of world.registries.filter((one) => isOpenIn(one, own))) {
      for (const space of world.catalogues.find((one) => one.registry === registry.name)?.spaces ?? []) {
        const isClosed = space.proxyCache && registry.proxyCachesArePrivate;
        const isPublic = space.visibility === "public" && !isClosed;
        const isAdmitted = registry.spellings.some(
          (host) => modelFinding(world, namespace, `${host}/${space.name}/app`).allowed,
        );
        if (isPublic || isAdmitted) shown.add(space.name);
      }
    }
    const all = new Set([
      ...world.catalogues.flatMap(({ spaces }) => spaces.map(({ name }) => name)),
      ...world.bindings.map(({ space }) => space),
      ...world.declared.map(({ space }) => space),
    ]);
    return [...all].filter((name) => !shown.has(name));
  }

  interface Words {
    readonly verdict: FinalVerdict;
    readonly text: string;
  }

  /** All that the API says of one image. */
  function wordsOn(snapshot: Snapshot, namespace: string, image: string, knowledge: Knowledge): Words {
    const verdict = judged(snapshot, namespace, image, knowledge);
    const subject = { source: "API", kind: "Image", namespace, name: "" };
    const report = reportOf(snapshot, subject, verdict, { suggest: "workspace", view: "tenant" });
    const [judgement] = verdict.judgements;
    const rows = judgement && reasoningOf(snapshot, namespace, judgement, "tenant", knowledge);
    return { verdict, text: JSON.stringify({ report, rows }) };
  }

  const namespaces = fc.constantFrom(...known, "nobody", "of12");
  const spaces = fc.constantFrom("team", "team", "team-evil", "team.x", "12", "ghost").map(disguised);

  it("no name of a space that is not for it, in lists and in what is said of other images", () => {
    let met = 0;
    fc.assert(
      fc.property(
        worlds.map(disguise),
        namespaces,
        fc.constantFrom(...spellings),
        spaces,
        (world, namespace, host, wanted) => {
          const snapshot = snapshotFrom(world);
          const workspace = world.namespaces[namespace] ?? null;
          const hidden = hiddenNames(world, namespace);
          const lists = JSON.stringify([
            openRegistries(snapshot, workspace),
            offered(world, snapshot, namespace),
          ]);
          expect(hidden.filter((name) => lists.includes(name))).to.deep.equal([]);
          const names = openRegistries(snapshot, workspace).map(({ registry }) => registry.name);
          const foreign = world.registries.filter((one) => !isOpenIn(one, workspace));
          expect(foreign.filter(({ name }) => names.includes(name))).to.deep.equal([]);

          const { text } = wordsOn(snapshot, namespace, `${host}/${wanted}/app`, knowledgeOf(world));
          const others = hidden.filter((name) => name !== wanted);
          met += others.length;
          expect(others.filter((name) => text.includes(name))).to.deep.equal([]);
        },
      ),
      { numRuns: fuzzRuns(4_000) },
    );
    expect(met, "there was something to hide").to.be.greaterThan(fuzzRuns(4_000));
  });

  it("of a space that is not bound to it the same as of one that does not exist", () => {
    let met = 0;
    fc.assert(
      fc.property(
        worlds.map(disguise),
        namespaces,
        fc.constantFrom(...spellings),
        fc.boolean(),
        (world, namespace, host, isLimited) => {
          const snapshot = snapshotFrom(world);
          const answers = [target, nowhere].map((name) => {
            const limited = { kind: "unavailable", why: "limited" } as const;
            const keys = isLimited ? world.registries.map((one) => `${one.name}/${name}`) : [];
            const knowledge = { ...knowledgeOf(world), spaces: new Map(keys.map((key) => [key, limited])) };
            const { verdict, text } = wordsOn(snapshot, namespace, `${host}/${name}/app`, knowledge);
            return { verdict, text: text.replaceAll(name, "<name>") };
          });
          const [there, absent] = answers;
          if (there === undefined || absent === undefined) throw new Error("two were asked for");
          // What is public may be suggested. A binding that was made for another space of the name is the
          // workspace's own business.
          if (!hiddenNames(world, namespace).includes(target)) return;
          if (there.verdict.judgements.some(({ allowed, reason }) => allowed || reason === "space-replaced"))
            return;
          if (there.verdict.judgements.some(({ reason }) => reason !== "space-unknown")) met += 1;
          expect(there.text).to.equal(absent.text);
        },
      ),
      { numRuns: fuzzRuns(6_000) },
    );
    expect(met, "private spaces were asked for").to.be.greaterThan(fuzzRuns(500));
  });

  it("no id, no binding of others and no owner", () => {
    fc.assert(
      fc.property(
        worlds.map(disguise),
        namespaces,
        fc.constantFrom(...spellings),
        (world, namespace, host) => {
          // Ids that no other number is.
          const marked = {
            ...world,
            catalogues: world.catalogues.map((one) => ({
              ...one,
              spaces: one.spaces.map((space) => ({ ...space, id: space.id + 7_770 })),
            })),
            namespaces: { of12: "mine", of13: "theirs-13", of012: "theirs-012", bare: null },
            bindings: world.bindings.map((one) => ({ ...one, workspace: renamedWorkspace(one.workspace) })),
            registries: world.registries.map((one) => ({
              ...one,
              workspace: one.workspace && renamedWorkspace(one.workspace),
            })),
          };
          const { verdict, text } = wordsOn(
            snapshotFrom(marked),
            namespace,
            `${host}/${target}/app`,
            knowledgeOf(world),
          );
          const own = marked.namespaces[namespace as keyof typeof marked.namespaces] as string | undefined;
          const others = ["mine", "theirs-13", "theirs-012"].filter((workspace) => workspace !== own);
          expect(others.filter((workspace) => text.includes(workspace))).to.deep.equal([]);
          if (verdict.kind === "refuse") expect(text).not.to.match(/777[0-9]/);
        },
      ),
      { numRuns: fuzzRuns(2_000) },
    );
  });

  function renamedWorkspace(workspace: string): string {
    return workspace === "12" ? "mine" : `theirs-${workspace}`;
  }
});
