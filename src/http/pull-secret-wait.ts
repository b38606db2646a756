// A Pod may be faster than its namespace's pull secret: how long `/mutate` waits for it, and what is known of it. Nothing
// here writes a Secret; whoever does says when it is there.

import type { CredentialNeed } from "../domain/decision.ts";
import type { Log } from "../log.ts";
import { reserveMs } from "./guard.ts";
import { unlessAborted } from "./look-ups.ts";

/**
 * What is known of a namespace's pull secret: `outdated` where it is there and lacks a login that is needed, as the
 * policy is now.
 */
export type PullSecretState = "current" | "missing" | "outdated";

export interface PullSecrets {
  state(namespace: string, workspace: string | null, needs: readonly CredentialNeed[]): PullSecretState;
  /** Resolves with the state once it is current, or when the signal aborts. Never rejects. */
  arrival(
    namespace: string,
    workspace: string | null,
    needs: readonly CredentialNeed[],
    signal: AbortSignal,
  ): Promise<PullSecretState>;
}

/** Where none are written, they count as present. */
export const presentPullSecrets: PullSecrets = {
  state: () => "current",
  arrival: () => Promise.resolve("current"),
};

/**
 * A robot is made and a Secret written within half a second where Harbor and the API server are well. All mutating
 * webhooks of a request share some 34 s, and a Secret that comes later is found at the kubelet's next try.
 */
export const pullSecretWaitMs = 2_000;

/**
 * A review that waits holds its object, mostly below 20 kB: 20 MB in all. So many wait only where Secrets are not
 * being written at all, and then waiting helps nobody.
 */
export const maxWaitingReviews = 1_000;

/** One place where reviews wait, so that they can be counted. */
export interface WaitingRoom {
  /**
   * Resolves when the pull secret is current or the time is over; undefined where nobody has to wait, or nobody can.
   * `remainingMs` is what is left until the request's deadline.
   */
  arrival(
    namespace: string,
    workspace: string | null,
    needs: readonly CredentialNeed[],
    remainingMs: number,
  ): Promise<void> | undefined;
}

export function createWaitingRoom(pullSecrets: PullSecrets, log: Log): WaitingRoom {
  let waiting = 0;

  function arrival(
    ...[namespace, workspace, needs, remainingMs]: Parameters<WaitingRoom["arrival"]>
  ): ReturnType<WaitingRoom["arrival"]> {
    const waitMs = Math.min(pullSecretWaitMs, remainingMs - reserveMs);
    if (waitMs <= 0 || waiting >= maxWaitingReviews) return undefined;
    if (pullSecrets.state(namespace, workspace, needs) === "current") return undefined;
    return waitFor((signal) => pullSecrets.arrival(namespace, workspace, needs, signal), waitMs);
  }

  async function waitFor(
    arrive: (signal: AbortSignal) => Promise<PullSecretState>,
    waitMs: number,
  ): Promise<void> {
    const aborter = new AbortController();
    const timer = setTimeout(() => aborter.abort(), waitMs);
    waiting += 1;
    try {
      await unlessAborted(arrive(aborter.signal), aborter.signal);
    } catch (err) {
      // The Pod is admitted all the same: a Secret that comes late heals by itself.
      log.warn({ err }, "a review could not wait for a pull secret");
    } finally {
      waiting -= 1;
      clearTimeout(timer);
    }
  }

  return { arrival };
}
