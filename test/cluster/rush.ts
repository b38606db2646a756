// Clients that make Pods without a break while something happens to Berth, and what became of each call. Every one
// knows what its image deserves, so that a wrong answer shows, however rare.

import { setTimeout as sleep } from "node:timers/promises";
import type { Kube } from "./kube.ts";
import { webhookNames } from "./webhooks.ts";

export interface Call {
  readonly image: string;
  readonly wanted: "admit" | "refuse";
  readonly outcome: Outcome;
  /** For who reads of a call that went wrong. */
  readonly message: string;
  /** Of the Pod that was admitted. */
  readonly pullSecrets: readonly string[];
  readonly begunAt: number;
  readonly endedAt: number;
}

/**
 * `not-yet`: refused by a process that has just started and says that it knows too little. `no-answer`: the API server
 * could not reach Berth, and let nothing pass.
 */
export type Outcome = "admit" | "refuse" | "not-yet" | "no-answer" | "odd";

export interface Rush {
  /** Resolves when so many more calls have come back. */
  goOnFor(calls: number): Promise<void>;
  stop(): Promise<readonly Call[]>;
}

export interface RushOptions {
  readonly kube: Kube;
  readonly namespace: string;
  readonly images: Readonly<Record<Call["wanted"], readonly string[]>>;
  /** Judged as any other, and nothing is made. */
  readonly dryRun?: boolean;
  /** By default short enough for calls to be under way at any moment; without any they would leave Berth no processor. */
  readonly pauseMs?: number;
}

/** Of clients for each image. */
const clientsEach = 2;

export function startRush({ kube, namespace, images, dryRun = false, pauseMs = 10 }: RushOptions): Rush {
  const calls: Call[] = [];
  const how = dryRun ? { query: { dryRun: "All" } } : {};
  let stopped = false;

  async function keepCalling(image: string, wanted: Call["wanted"]): Promise<void> {
    while (!stopped) {
      const begunAt = Date.now();
      const became = await callOnce(image);
      calls.push({ image, wanted, ...became, begunAt, endedAt: Date.now() });
      await sleep(pauseMs);
    }
  }

  async function callOnce(image: string): Promise<Pick<Call, "outcome" | "message" | "pullSecrets">> {
    try {
      const { status, message, body } = await kube.create(
        {
          kind: "Pod",
          metadata: { generateName: "rush-", namespace },
          ...{ spec: { containers: [{ name: "app", image }] } },
        } as const,
        how,
      );
      // A refusal is a Status, which has none.
      const pullSecrets = (body.spec?.imagePullSecrets ?? []).map(({ name = "" }) => name);
      return { outcome: outcomeOf(status, message), message: message || String(status), pullSecrets };
    } catch (error) {
      const { cause } = error as Error;
      return { outcome: "odd", message: `the API server: ${String(cause)}`, pullSecrets: [] };
    }
  }

  const clients = [
    ...images.admit.map((image) => ({ image, wanted: "admit" as const })),
    ...images.refuse.map((image) => ({ image, wanted: "refuse" as const })),
  ].flatMap(({ image, wanted }) => Array.from({ length: clientsEach }, () => keepCalling(image, wanted)));
  const ended = Promise.all(clients);

  return {
    async goOnFor(count) {
      const enough = calls.length + count;
      while (calls.length < enough) await Promise.race([sleep(20), ended]);
    },
    async stop() {
      stopped = true;
      await ended;
      return calls;
    },
  };
}

/** The last is said where `/mutate` knew too little and `/validate` a moment later enough. */
const notYet = /not read its policy yet|have not been read yet|is not known yet|does not name it yet/;

/** Nobody listens, or whoever did is gone. A time-out or an answer with another HTTP status is something else. */
const nobodyThere =
  /failed calling webhook .*(connection refused|connection reset by peer|broken pipe|EOF|server closed idle connection)/;

/** Told apart by the words that a person reads, since the status alone does not say whose no it was. */
function outcomeOf(status: number, message: string): Outcome {
  if (status === 201) return "admit";
  if (status === 500 && nobodyThere.test(message)) return "no-answer";
  const refused = `admission webhook "${webhookNames.validate}" denied the request: `;
  if (status !== 403 || !message.startsWith(refused)) return "odd";
  return notYet.test(message) ? "not-yet" : "refuse";
}
