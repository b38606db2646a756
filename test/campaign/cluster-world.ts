// Replicas in a cluster: the fake API server, a bearer for each replica, and the ways in which one of them or all lose
// sight of it. Each disturbance is told to the model with the time by which it must be overcome.

import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { startFakeKubeApi, type FakeKubeApi, type Failure } from "../fakes/kube-api.ts";
import type { Bindings, BindingsName, Registries } from "./model.ts";
import { policyTexts } from "./policy-texts.ts";
import {
  adminPassword,
  createCertificates,
  createReplicas,
  firstBindings,
  firstNamespaces,
  firstRegistries,
  modelOf,
  startClocks,
  startHarbor,
  type CampaignWorld,
  type Replica,
} from "./world.ts";

export interface ClusterWorld extends CampaignWorld {
  readonly kind: "cluster";
  readonly kube: FakeKubeApi;
  /** Of all replicas, or of one. */
  endWatches(how: "ended" | "broken" | "gone", replica?: Replica): void;
  muteWatches(replica: Replica): void;
  /** Lists and watches are refused; all replicas that have to begin again wait. */
  refuseReads(): () => void;
  /** What Berth itself writes is refused, but for its Lease. */
  refuseWrites(): () => void;
  answerLate(ms: number): () => void;
  cutOff(replica: Replica): () => void;
}

/** A lease of 15 s, a look of 2 s at most, and what the new leader does first. */
const successionMs = 20_000;
/** watch.ts waits at most so long between two tries; so long a list may take. */
const longestPauseMs = 30_000;
/** The longest life that a stream asks for, and its grace: what a watchdog allows a dead one. */
export const deadStreamMs = 6 * 60_000 + 15_000;
const slackMs = 1_500;
/** What fails is tried again after a pause that doubles, up to five minutes, by a round every 5 s; its sight comes back first. */
const publishingTailMs = (lastedMs: number): number =>
  Math.min(5 * 60_000, 2 * lastedMs + 12_000) + longestPauseMs;

export async function startClusterWorld(): Promise<ClusterWorld> {
  const folder = await mkdtemp(join(tmpdir(), "berth-campaign-"));
  const certificates = await createCertificates(folder);
  const clocks = startClocks();
  const { time, now } = clocks;
  const harbor = await startHarbor(clocks.steady);
  const kube = await startFakeKubeApi();
  const model = modelOf("cluster", harbor);
  const { outages } = model;
  const texts = policyTexts(harbor.url);
  const all = createReplicas({ now, time, model, certificates, flagsOf });
  /** By replica: when its watches were disturbed. */
  const disturbances = new Map<string, number[]>();
  const cut = new Set<string>();
  const met = new Set<string>();
  let lateMs = 0;

  function flagsOf(name: string): { readonly kubeconfig: string } {
    const kubeconfig = join(folder, `${name}.kubeconfig`);
    writeFileSync(kubeconfig, kubeconfigOf(kube.url, name));
    return { kubeconfig };
  }

  function put(
    kind: "configmaps" | "secrets",
    name: string,
    labels: Record<string, string>,
    data: object,
  ): void {
    kube.put(kind, { metadata: { name, namespace: "berth-system", labels }, data });
  }
  const putPolicy = (name: string, text: string): void =>
    put("configmaps", name, { "berth.io/policy": "true" }, { [`${name}.yaml`]: text });
  function putNamespace(name: string, workspace: string | null): void {
    const labels = workspace === null ? {} : { "workspace.ghippo.io/id": workspace };
    kube.put("namespaces", { metadata: { name, labels } });
  }
  function putLogin(password: string): void {
    const data = { username: "admin", password };
    const encoded = Object.entries(data).map(([key, text]) => [key, Buffer.from(text).toString("base64")]);
    put("secrets", "harbor-login", {}, Object.fromEntries(encoded) as object);
  }

  const watchSources = (name: string): readonly string[] =>
    ["policy", "namespaces", "published"].map((source) => `${source}@${name}`);

  /** From now until the watches of this replica are back, which is later the more often they failed lately. */
  function disturb(name: string, forMs = 0): void {
    const at = now();
    const recent = (disturbances.get(name) ?? []).filter((when) => at - when < 120_000);
    recent.push(at);
    disturbances.set(name, recent);
    const pauseMs = Math.min(longestPauseMs, 500 * 2 ** (recent.length - 1));
    for (const source of watchSources(name))
      outages.add(source, at, at + forMs + pauseMs + 4 * lateMs + slackMs);
  }

  /** Whoever leads may have been hit. */
  function unsettleLead(): void {
    outages.add("leading", now(), now() + successionMs);
  }

  const names = (): readonly string[] => [...all.replicas.map(({ facts }) => facts.name), ...all.starting];
  let endHeadless: ((caughtUpAt: number) => void) | undefined;
  /** As long as nobody who can lead is there. */
  function watchHeads(): void {
    for (const { facts } of all.replicas) {
      if (met.has(facts.name)) continue;
      met.add(facts.name);
      // It is ready with what it listed; its watches may still be on their way.
      if (lateMs > 0) disturb(facts.name);
    }
    const heads = all.replicas.filter(({ facts }) => !cut.has(facts.name)).length;
    if (heads === 0) endHeadless ??= outages.begin("leading", now());
    else {
      endHeadless?.(now() + successionMs);
      endHeadless = undefined;
    }
  }

  function persistent(sources: readonly string[], tailMs: (lastedMs: number) => number): () => void {
    const begun = now();
    const ends = sources.map((source) => outages.begin(source, begun));
    return () => {
      for (const end of ends) end(now() + tailMs(now() - begun));
    };
  }

  const world: ClusterWorld = {
    kind: "cluster",
    model,
    harbor,
    time,
    kube,
    certificates,
    replicas: all.replicas,
    starting: all.starting,
    now,
    jump: clocks.jump,
    async turn(forMs) {
      // Who is ready meanwhile may lead from then on.
      const until = now() + forMs;
      for (;;) {
        watchHeads();
        const left = until - now();
        await time.turn(Math.min(1_000, Math.max(0, left)));
        watchHeads();
        if (all.failures.length > 0) throw new Error(all.failures.join("\n"));
        if (now() >= until) break;
      }
      kube.requests.length = 0;
    },
    writeRegistries(value: Registries) {
      if (value === null) kube.remove("configmaps", "registries", "berth-system");
      else putPolicy("registries", texts.registries(value));
      model.registries.put(now(), value);
      return Promise.resolve();
    },
    writeBindings(name: BindingsName, value: Bindings) {
      putPolicy(name, texts.bindings(value));
      model.bindings[name].put(now(), value);
      return Promise.resolve();
    },
    breakBindings(name) {
      putPolicy(name, `bindings: [\n  { workspace: 12, spaces: `);
      return Promise.resolve();
    },
    writeNamespace(name, value) {
      if (value === undefined) kube.remove("namespaces", name);
      else putNamespace(name, value);
      model.namespaces.get(name)?.put(now(), value);
      return Promise.resolve();
    },
    writePassword(password) {
      putLogin(password);
      return Promise.resolve();
    },
    startReplica: () => void all.start(),
    stopReplica(replica, how) {
      const { name } = replica.facts;
      if (how === "crashed") {
        kube.switches.cutOff.add(name);
        kube.endWatches("broken", name);
      }
      unsettleLead();
      all.stop(replica);
      cut.delete(name);
      watchHeads();
    },
    endWatches(how, replica) {
      if (how === "gone") kube.compact();
      kube.endWatches(how === "ended" ? "ended" : "broken", replica?.facts.name);
      for (const name of replica === undefined ? names() : [replica.facts.name]) disturb(name);
      if (how === "gone") for (const name of names()) disturb(name);
    },
    muteWatches({ facts: { name } }) {
      kube.muteWatches(name);
      disturb(name, deadStreamMs);
    },
    refuseReads() {
      const failures: Failure[] = (["list", "watch", "get"] as const).map((on) => ({
        on,
        status: 500,
        always: true,
        when: /^(?!.*\/leases)/,
      }));
      kube.switches.failures.push(...failures);
      const sources = names().flatMap((name) => [...watchSources(name), `reads@${name}`]);
      const end = persistent(sources, (lastedMs) => Math.min(longestPauseMs, 2 * lastedMs + 2_000) + slackMs);
      // A leader that does not see what is published cannot replace it.
      const endPublishing = persistent(["publishing"], publishingTailMs);
      return () => {
        kube.switches.failures = kube.switches.failures.filter((one) => !failures.includes(one));
        end();
        endPublishing();
        for (const name of names()) disturb(name, Math.min(longestPauseMs, 2_000));
      };
    },
    refuseWrites() {
      const failures: Failure[] = (["create", "update", "patch", "delete"] as const).map((on) => ({
        on,
        status: 500,
        always: true,
        when: /\/(configmaps|secrets)(\/|$)/,
      }));
      kube.switches.failures.push(...failures);
      const end = persistent(["publishing"], publishingTailMs);
      return () => {
        kube.switches.failures = kube.switches.failures.filter((one) => !failures.includes(one));
        end();
      };
    },
    answerLate(ms) {
      kube.switches.delayMs = ms;
      lateMs = ms;
      const reads = names().map((name) => `reads@${name}`);
      const disturbed = names().filter((name) =>
        (disturbances.get(name) ?? []).some((at) => now() - at < 60_000),
      );
      const end = persistent(
        ["publishing", "leading", ...reads, ...disturbed.flatMap(watchSources)],
        () => successionMs + 10 * ms,
      );
      return () => {
        kube.switches.delayMs = 0;
        lateMs = 0;
        end();
      };
    },
    cutOff({ facts: { name } }) {
      kube.switches.cutOff.add(name);
      kube.endWatches("broken", name);
      cut.add(name);
      unsettleLead();
      watchHeads();
      const end = persistent(
        [...watchSources(name), `reads@${name}`],
        (lastedMs) => Math.min(longestPauseMs, 2 * lastedMs + 2_000) + slackMs,
      );
      const endPublishing = persistent(["publishing"], publishingTailMs);
      return () => {
        endPublishing();
        kube.switches.cutOff.delete(name);
        cut.delete(name);
        end();
        unsettleLead();
        watchHeads();
      };
    },
    async close() {
      try {
        await all.close();
      } finally {
        time.end();
      }
      await Promise.all([harbor.close(), kube.close()]);
      await rm(folder, { recursive: true });
    },
  };

  putLogin(adminPassword);
  for (const [name, workspace] of Object.entries(firstNamespaces)) {
    if (workspace !== undefined) putNamespace(name, workspace);
  }
  if (firstRegistries !== null) putPolicy("registries", texts.registries(firstRegistries));
  for (const [name, value] of Object.entries(firstBindings)) putPolicy(name, texts.bindings(value));
  return world;
}

function kubeconfigOf(server: string, token: string): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "here",
    clusters: [{ name: "here", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: "berth", user: { token } }],
    contexts: [{ name: "here", context: { cluster: "here", user: "berth" } }],
  });
}
