// Is a namespace's pull secret there, with what a Pod needs? For the admission path: it answers from what the
// watches have shown, and can wait until they show more. It writes nothing.

import { isAsWanted, type SeenPullSecrets } from "../domain/pull-secrets.ts";
import type { Credentials, PullNeed } from "./credentials.ts";

export type PresentState = "current" | "missing" | "outdated";

export interface PullSecretStates {
  state(namespace: string, workspace: string | null, needs: readonly PullNeed[]): PresentState;
  /** Resolves with the state once it is current, or when the signal aborts; at once where nobody can bring it. */
  arrival(
    namespace: string,
    workspace: string | null,
    needs: readonly PullNeed[],
    signal: AbortSignal,
  ): Promise<PresentState>;
  /** Something that the answers follow from has changed. */
  changed(): void;
}

export interface PullSecretStatesNeeds {
  readonly credentials: () => Pick<Credentials, "wantedSecret" | "covers">;
  /** By namespace. */
  readonly seen: () => SeenPullSecrets;
}

export function createPullSecretStates({ credentials, seen }: PullSecretStatesNeeds): PullSecretStates {
  /** Each looks again, and takes itself out when it has what it waits for. As many as reviews wait. */
  const waiting = new Set<() => void>();

  function state(namespace: string, workspace: string | null, needs: readonly PullNeed[]): PresentState {
    const secret = seen().get(namespace);
    if (secret === undefined) return "missing";
    const known = credentials();
    const isCurrent = isAsWanted(known.wantedSecret(namespace), secret) && known.covers(workspace, needs);
    return isCurrent ? "current" : "outdated";
  }

  /** Nobody writes where a Secret is that Berth did not make. */
  function isInVain(namespace: string): boolean {
    return seen().get(namespace)?.owner === "foreign";
  }

  return {
    state,
    arrival(namespace, workspace, needs, signal) {
      return new Promise((resolve) => {
        const look = (): void => {
          const now = state(namespace, workspace, needs);
          if (now !== "current" && !signal.aborted && !isInVain(namespace)) return;
          waiting.delete(look);
          signal.removeEventListener("abort", look);
          resolve(now);
        };
        waiting.add(look);
        signal.addEventListener("abort", look);
        look();
      });
    },
    changed() {
      for (const look of [...waiting]) look();
    },
  };
}
