// What a guard says of a review that is not about images: the namespace guard and the policy guard fit this.

import type { Mode } from "../domain/policy.ts";
import type { GuardReason } from "../domain/reasons.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import type { Review } from "./admission-review.ts";

export interface GuardVerdict {
  /** Null where nothing is refused. */
  readonly refused: { readonly reason: GuardReason; readonly message: string } | null;
  /** What becomes of a refusal. */
  readonly mode: Mode;
  readonly warnings: readonly string[];
}

/** Undefined where a review is none of its business. */
export type Guard = (
  review: Review,
  snapshot: Snapshot,
  timeoutMs: number,
) => Promise<GuardVerdict> | undefined;

/** Kept back from a request's deadline for deciding and answering. */
export const reserveMs = 500;
