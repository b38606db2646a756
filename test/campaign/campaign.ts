// The fault campaign: a walk by chance through everything that may change or break, with replicas of Berth asked all the
// time, and each answer judged. The same seed takes the same steps.

import { createChance, type Chance } from "./chance.ts";
import { startClusterWorld } from "./cluster-world.ts";
import { startFolderWorld } from "./folder-world.ts";
import { createJudge, createTally, inSeconds, type Question, type Tally } from "./judge.ts";
import { steps, type Walk, type World } from "./steps.ts";
import type { Replica } from "./world.ts";

export type Kind = World["kind"];

export interface CampaignOptions {
  readonly kind: Kind;
  readonly seed: number;
  readonly steps: number;
  /** Real milliseconds after which no further step is taken. */
  readonly withinMs?: number;
  readonly onStep?: (line: string) => void;
}

export interface CampaignReport {
  readonly kind: Kind;
  readonly seed: number;
  readonly steps: number;
  readonly turnedMs: number;
  readonly tally: Tally;
  readonly taken: ReadonlyMap<string, number>;
  /** Empty where every answer was right. */
  readonly wrong: readonly string[];
  readonly lastSteps: readonly string[];
  /** What the policy says at the end, and what replicas logged last. */
  readonly evidence: readonly string[];
}

const stepsTold = 30;

export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const { kind, seed } = options;
  const chance = createChance(seed);
  // The clock of the machine, which the walk does not turn.
  const realNow = performance.now.bind(performance);
  const begunAt = realNow();
  const world = kind === "cluster" ? await startClusterWorld() : await startFolderWorld();
  const tally = createTally();
  const taken = new Map<string, number>();
  const lastSteps: string[] = [];
  const judge = createJudge(world, tally);
  const walk: Walk = { world, chance, faults: new Map(), broken: new Set(), passwords: 0 };
  const open = new Set<Promise<void>>();
  // What the replicas spread by chance comes of the seed too.
  const ownRandom = Math.random.bind(Math);
  const spread = createChance(seed + 1);
  Math.random = () => spread.next();

  function askSoon(replica: Replica, question: Question): void {
    const answered = judge.ask(replica, question).finally(() => open.delete(answered));
    open.add(answered);
  }
  function askAround(perReplica: number): void {
    const questions = Array.from({ length: perReplica }, () => questionBy(chance, world));
    for (const replica of world.replicas) {
      for (const question of questions) askSoon(replica, question);
    }
  }

  let number = 0;
  try {
    await startFirst(world);
    while (number < options.steps && judge.wrong.length === 0 && !isOver()) {
      number += 1;
      // Under way while the step is taken.
      if (chance.happens(0.3)) askAround(1);
      const step = chance.weighted(steps);
      const words = await step.take(walk);
      if (words === undefined) {
        await world.turn(0);
        continue;
      }
      taken.set(step.name, (taken.get(step.name) ?? 0) + 1);
      note(`${String(number)}. at ${inSeconds(world.now())}: ${words}`);
      askAround(1);
      await world.turn(pauseBy(chance));
      askAround(chance.between(1, 2));
      await world.turn(0);
      if (world.replicas.length + world.starting.size === 0) world.startReplica();
    }
    for (const mend of walk.faults.values()) await mend();
    await world.turn(30_000);
    if (open.size > 0 && judge.wrong.length === 0)
      judge.wrong.push(`${String(open.size)} calls have no answer`);
  } catch (err) {
    judge.wrong.push(
      `step ${String(number)} failed: ${err instanceof Error ? (err.stack ?? "") : String(err)}`,
    );
  }
  const turnedMs = world.now();
  const evidence = judge.wrong.length === 0 ? [] : evidenceOf(world);
  await world.close().finally(() => {
    Math.random = ownRandom;
  });
  return { kind, seed, steps: number, turnedMs, tally, taken, wrong: judge.wrong, lastSteps, evidence };

  function isOver(): boolean {
    return options.withinMs !== undefined && realNow() - begunAt > options.withinMs;
  }
  function note(line: string): void {
    lastSteps.push(line);
    if (lastSteps.length > stepsTold) lastSteps.shift();
    options.onStep?.(line);
  }
}

function evidenceOf({ model, replicas }: World): readonly string[] {
  const { registries, bindings, spaces, namespaces } = model;
  const shown = (all: ReadonlyMap<string, { readonly current: () => unknown }>): string =>
    JSON.stringify(Object.fromEntries([...all].map(([name, timeline]) => [name, timeline.current()])));
  return [
    `registries: ${JSON.stringify(registries.current())}`,
    ...Object.entries(bindings).map(([name, timeline]) => `${name}: ${JSON.stringify(timeline.current())}`),
    `spaces: ${shown(spaces)}`,
    `namespaces: ${shown(namespaces)}`,
    ...replicas.flatMap(({ facts, serving, logTail }) => [
      `${facts.name}${serving.engine.leads() === true ? ", which leads" : ""}:`,
      ...logTail()
        .filter((line) => !line.includes('"msg":"refused"'))
        .slice(-12)
        .map((line) => `  ${line.slice(0, 400)}`),
    ]),
  ];
}

async function startFirst(world: World): Promise<void> {
  for (let count = 0; count < 2; count += 1) {
    world.startReplica();
    for (let tries = 0; world.starting.size > 0 && tries < 120; tries += 1) await world.turn(500);
    if (world.starting.size > 0) throw new Error("a replica is not ready within a minute");
  }
  // Until the first robots are made and every Secret is there.
  await world.turn(10_000);
}

/** Mostly moments, at which nothing need be in force yet; sometimes long enough for all that takes minutes. */
function pauseBy(chance: Chance): number {
  const kind = chance.next();
  if (kind < 0.25) return chance.between(0, 400);
  if (kind < 0.75) return chance.between(400, 8_000);
  if (kind < 0.96) return chance.between(8_000, 30_000);
  return chance.between(30_000, 180_000);
}

function questionBy(chance: Chance, { model, harbor }: World): Question {
  const namespace = chance.one([...model.namespaces.keys(), "ghost"]);
  const images = [imageBy(chance, model, harbor.url)];
  if (chance.happens(0.15)) images.push(imageBy(chance, model, harbor.url));
  const form = chance.weighted([
    { form: "pod" as const, weight: 70 },
    { form: "deployment" as const, weight: 15 },
    { form: "update" as const, weight: 12 },
    { form: "touch" as const, weight: 3 },
  ]).form;
  return { namespace, images, form };
}

function imageBy(chance: Chance, model: World["model"], harborUrl: string): string {
  const { host } = chance.weighted([
    { host: "harbor.example.test", weight: 70 },
    { host: "harbor.corp.test:5000", weight: 8 },
    { host: new URL(harborUrl).host, weight: 4 },
    { host: "HARBOR.example.TEST", weight: 4 },
    { host: "archive.example.test:5000", weight: 4 },
    { host: "other.example.test", weight: 5 },
    { host: "registry.elsewhere.test", weight: 3 },
  ]);
  const space = chance.happens(0.04) ? "nowhere" : chance.one([...model.spaces.keys()]);
  return chance.happens(0.02) ? `${host}/app` : `${host}/${space}/app:1`;
}
