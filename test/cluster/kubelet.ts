// What a kubelet does about an image, over and over: it reads the pull secret from the API server, pulls, and after a
// failure reads it again and goes on trying. What became of each try is kept, so that a single failure shows.

import { setTimeout as sleep } from "node:timers/promises";
import type { Finished } from "./process.ts";

export interface PullTry {
  readonly begunAt: number;
  readonly endedAt: number;
  readonly succeeded: boolean;
  /** For who reads of one that failed. */
  readonly why: string;
}

export interface Kubelet {
  readonly tries: readonly PullTry[];
  /** Resolves when a pull that begins from now on has succeeded. */
  pulls(withinMs?: number): Promise<void>;
  stop(): Promise<void>;
}

export interface KubeletNeeds {
  /** The text of `.dockerconfigjson`; undefined while there is no Secret. */
  readonly readSecret: () => Promise<string | undefined>;
  readonly pull: (dockerConfigJson: string) => Promise<Finished>;
  /** So long it goes on with what it has read, as one that is slow does; 0 reads before every pull. */
  readonly keepsMs?: number;
}

/** Several pulls a second in all, and still a processor for everybody else. */
const pauseMs = 400;

export function startKubelet({ readSecret, pull, keepsMs = 0 }: KubeletNeeds): Kubelet {
  const tries: PullTry[] = [];
  let stopped = false;
  let held: { readonly text: string; readonly readAt: number } | undefined;

  async function tryOnce(): Promise<void> {
    const begunAt = Date.now();
    const failure = await pullOnce().catch((error: unknown) => String(error));
    if (failure !== undefined) held = undefined;
    tries.push({ begunAt, endedAt: Date.now(), succeeded: failure === undefined, why: failure ?? "" });
  }

  /** Why it failed. */
  async function pullOnce(): Promise<string | undefined> {
    if (held === undefined || Date.now() - held.readAt >= keepsMs) {
      const text = await readSecret();
      if (text === undefined) return "there is no pull secret";
      held = { text, readAt: Date.now() };
    }
    const { code, stderr } = await pull(held.text);
    return code === 0 ? undefined : stderr.trim();
  }

  async function run(): Promise<void> {
    while (!stopped) {
      await tryOnce();
      await sleep(pauseMs);
    }
  }

  const running = run();
  return {
    tries,
    async pulls(withinMs = 10_000) {
      const from = Date.now();
      while (!tries.some(({ begunAt, succeeded }) => succeeded && begunAt >= from)) {
        const last = tries.at(-1);
        if (Date.now() > from + withinMs)
          throw new Error(`no pull within ${withinMs} ms: ${last?.why ?? ""}`);
        await sleep(50);
      }
    },
    async stop() {
      stopped = true;
      await running;
    },
  };
}
