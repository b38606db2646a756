// Snapshots are replaced while reviews are under way. Each verdict is one that the snapshot named in its audit
// annotation gives, whole: never half of one snapshot and half of another.

import { expect } from "chai";
import { selfSigned } from "../../src/certificates/self-signed.ts";
import { catalogueOf } from "../../src/domain/catalogue.ts";
import { decide, questionAbout, type FinalVerdict } from "../../src/domain/decision.ts";
import type { Knowledge, SpaceAnswer } from "../../src/domain/knowledge.ts";
import { builtInKinds } from "../../src/domain/pod-spec.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { createAdmission } from "../../src/http/admission.ts";
import type { LookUps } from "../../src/http/look-ups.ts";
import { startWebhookServer, type WebhookServer } from "../../src/http/server.ts";
import { presentPullSecrets } from "../../src/http/pull-secret-wait.ts";
import { silentLog } from "../../src/log.ts";
import { createState, type State } from "../../src/state.ts";
import { policyOf, readAt, registry, rules, space } from "../builders.ts";
import {
  createWebhookCaller,
  podReview,
  type WebhookCaller,
  type WebhookResponse,
} from "../fakes/api-server.ts";

const managed = registry("managed", { spellings: ["harbor.test"] });

/** What there is of each part; a swap replaces one part by its next. */
const policies = [
  policyOf({ registries: [managed], bindings: ["12 managed/team-a"] }),
  policyOf({ registries: [managed], bindings: ["13 managed/team-a", "12 managed/team-b 3"] }),
  policyOf({ registries: [managed], rest: { exemptNamespaces: new Set(["shop"]) } }),
  policyOf({ registries: [], rest: { unlistedRegistries: "warn" } }),
];
const namespaceMaps = [
  new Map([["shop", "12"]]),
  new Map([["shop", "13"]]),
  new Map<string, string | null>([["shop", null]]),
  new Map<string, string | null>(),
];
const catalogues = [
  [space("team-a", "private", 2), space("team-b", "private", 3)],
  [space("team-a", "public", 2), space("team-b", "private", 4)],
  [space("team-b", "public", 3)],
].map((spaces) => catalogueOf("https://harbor.test", readAt, spaces));

const images = ["harbor.test/team-a/app", "harbor.test/team-b/app", "harbor.test/ghost/app"];

describe("snapshots that are replaced under load, over HTTPS", () => {
  let state: State;
  let server: WebhookServer;
  let caller: WebhookCaller;
  /** Generation → the snapshot that had it. */
  let published: Map<string, Snapshot>;
  let lookUps: LookUps;
  let turn = 0;

  before(async () => {
    const issued = await selfSigned(["localhost"], Date.now());
    const admission = createAdmission({
      snapshot: () => state.snapshot(),
      lookUps: {
        namespace: (...asked) => lookUps.namespace(...asked),
        space: (...asked) => lookUps.space(...asked),
        grant: (...asked) => lookUps.grant(...asked),
      },
      kinds: builtInKinds,
      guards: [],
      pullSecretMustBeNamed: false,
      askersAreTrusted: true,
      count: () => undefined,
      countRefusal: () => undefined,
      countWarning: () => undefined,
      pullSecrets: presentPullSecrets,
      log: silentLog,
      now: () => 0,
    });
    server = await startWebhookServer(
      { admission, certificate: issued, log: silentLog },
      { port: 0, host: "localhost" },
    );
    caller = createWebhookCaller({ port: server.port, ca: issued.ca });
  });
  after(async () => {
    caller.close();
    await server.drain(0);
  });
  beforeEach(() => {
    state = createState(rules);
    published = new Map([["0", state.snapshot()]]);
    state.subscribe((snapshot) => published.set(String(snapshot.generation), snapshot));
    turn = 0;
    for (let count = 0; count < 3; count += 1) swap();
  });

  /** One part after another, at paces that bring all combinations about. */
  function swap(): void {
    const step = Math.floor(turn / 3);
    switch (turn % 3) {
      case 0:
        state.replacePolicy(policies[step % policies.length]!);
        break;
      case 1:
        state.replaceNamespaces(namespaceMaps[(step * 3) % namespaceMaps.length]!);
        break;
      default:
        state.replaceCatalogue("managed", catalogues[step % catalogues.length]);
    }
    turn += 1;
  }

  /** Swaps on every turn of the event loop until all have been answered. */
  async function whileSwapping<T>(work: readonly Promise<T>[]): Promise<readonly T[]> {
    const under = { way: true };
    const swapping = (async () => {
      while (under.way) {
        swap();
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    try {
      return await Promise.all(work);
    } finally {
      under.way = false;
      await swapping;
    }
  }

  async function ask(
    some: readonly string[],
  ): Promise<{ some: readonly string[]; response: WebhookResponse }> {
    const { response } = await caller.post("/validate?timeout=10s", podReview("shop", some));
    if (response === undefined) throw new Error("no AdmissionReview came back");
    return { some, response };
  }

  function expected(snapshot: Snapshot, some: readonly string[], knowledge: Knowledge): FinalVerdict {
    const uses = some.map((image, index) => ({
      path: `spec.containers[${String(index)}].image`,
      container: `c${String(index)}`,
      image,
    }));
    const verdict = decide(snapshot, questionAbout("shop", uses, { knowledge }));
    if (verdict.kind === "not-known-yet") throw new Error("final knowledge leaves nothing to ask");
    return verdict;
  }

  function hold(answers: readonly Awaited<ReturnType<typeof ask>>[], knowledge: Knowledge): void {
    const generations = new Set<string>();
    const verdicts = new Set<boolean>();
    for (const { some, response } of answers) {
      const annotations = response.auditAnnotations;
      const snapshot = published.get(annotations?.snapshot ?? "");
      if (snapshot === undefined) throw new Error("no snapshot had that generation");
      const verdict = expected(snapshot, some, knowledge);
      const reasons = new Set(verdict.judgements.map(({ reason }) => reason));
      expect(response.allowed).to.equal(verdict.kind !== "refuse");
      expect(annotations).to.deep.equal({
        verdict: verdict.kind === "refuse" ? "refuse" : "allow",
        reasons: [...reasons].join(","),
        workspace: snapshot.namespaces.get("shop") ?? "",
        snapshot: String(snapshot.generation),
      });
      generations.add(annotations?.snapshot ?? "");
      verdicts.add(response.allowed);
    }
    expect(generations.size, "the load met many snapshots").to.be.greaterThan(20);
    expect(verdicts.size, "and both verdicts").to.equal(2);
  }

  const loads = Array.from({ length: 600 }, (_, index) =>
    images.filter((_image, place) => ((index % 7) + 1) & (1 << place)),
  );

  /** At most 50 connections at a time, as an API server under load. */
  async function load(): Promise<Awaited<ReturnType<typeof ask>>[]> {
    const waiting = [...loads];
    const answers: Awaited<ReturnType<typeof ask>>[] = [];
    const lane = async (): Promise<void> => {
      for (let some = waiting.pop(); some !== undefined; some = waiting.pop()) answers.push(await ask(some));
    };
    await whileSwapping(Array.from({ length: 50 }, lane));
    return answers;
  }

  it("give no verdict that the snapshot named in the answer would not give", async () => {
    // Look-ups have no answer, so that the snapshot alone decides.
    const silent = { kind: "unavailable", why: "failed" } as const;
    lookUps = {
      namespace: () => Promise.resolve(silent),
      space: () => Promise.resolve(silent),
      grant: () => Promise.resolve(silent),
    };
    hold(await load(), { spaces: new Map(), grants: new Map(), final: true });
  });

  it("nor with look-ups in flight across the replacements", async () => {
    let late = 0;
    const later = async <T>(answer: T, signal: AbortSignal): Promise<T> => {
      late += 1;
      for (let turns = late % 12; turns > 0 && !signal.aborted; turns -= 1) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      return answer;
    };
    const namespace = { kind: "read", exists: true, workspace: "12" } as const;
    const read = (name: string): SpaceAnswer => ({
      kind: "read",
      reading: { readAt: readAt + 1, space: name === "ghost" ? space("ghost", "public", 9) : null },
    });
    lookUps = {
      namespace: (_namespace, signal) => later(namespace, signal),
      space: (_registry, name, _for, signal) => later(read(name), signal),
      grant: (_registry, _repository, _for, signal) => later({ kind: "read", granted: false }, signal),
    };
    const answers = await load();
    expect(late, "look-ups were asked for").to.be.greaterThan(100);

    // An answer may have been asked for under one snapshot and be used under another. Which answers a review had is
    // its own business; that some of them make the named snapshot give just this verdict is not.
    const names = ["team-a", "team-b", "ghost"];
    const choices = Array.from({ length: 8 }, (_, bits) =>
      names.filter((_name, place) => bits & (1 << place)),
    );
    const knowledges = [undefined, namespace].flatMap((home) =>
      choices.map((some): Knowledge => ({
        ...(home ? { namespace: home } : {}),
        spaces: new Map(some.map((name) => [`managed/${name}`, read(name)])),
        grants: new Map(),
        final: true,
      })),
    );
    const generations = new Set<string>();
    for (const { some, response } of answers) {
      const { auditAnnotations } = response;
      const snapshot = published.get(auditAnnotations?.snapshot ?? "");
      if (snapshot === undefined) throw new Error("no snapshot had that generation");
      generations.add(auditAnnotations?.snapshot ?? "");
      const possible = knowledges.map((knowledge) => {
        const verdict = expected(snapshot, some, knowledge);
        const reasons = [...new Set(verdict.judgements.map(({ reason }) => reason))].join(",");
        return `${verdict.kind === "refuse" ? "refuse" : "allow"} ${reasons}`;
      });
      const given = `${response.allowed ? "allow" : "refuse"} ${auditAnnotations?.reasons ?? ""}`;
      expect(possible, JSON.stringify({ some, auditAnnotations })).to.include(given);
    }
    expect(generations.size, "the load met many snapshots").to.be.greaterThan(20);
  });
});
