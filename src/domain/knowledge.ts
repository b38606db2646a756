// What a decision may ask of the outside, and what the outside answered. The core asks for knowledge and never
// fetches: an adapter looks up, and the decision is made again with the answers.

import type { Catalogue, SpaceReading } from "./catalogue.ts";

/** Something that the snapshot does not say, and that one look-up could. */
export type Unknown =
  | { readonly what: "namespace"; readonly namespace: string }
  | { readonly what: "space"; readonly registry: string; readonly space: string }
  /** May the login of this workspace's registry pull the repository? Asked where several registries share a host. */
  | { readonly what: "grant"; readonly registry: string; readonly repository: string };

/**
 * Why there is no answer: a limit on look-ups was reached, the outside failed, or the request's own deadline came
 * first. The verdict of the snapshot then stands, and the message says to try again.
 */
export interface Unavailable {
  readonly kind: "unavailable";
  readonly why: "limited" | "failed" | "deadline";
}

export type NamespaceAnswer =
  { readonly kind: "read"; readonly exists: boolean; readonly workspace: string | null } | Unavailable;
export type SpaceAnswer = { readonly kind: "read"; readonly reading: SpaceReading } | Unavailable;
export type GrantAnswer = { readonly kind: "read"; readonly granted: boolean } | Unavailable;

export interface Knowledge {
  readonly namespace?: NamespaceAnswer;
  /** By {@link spaceKey}. */
  readonly spaces: ReadonlyMap<string, SpaceAnswer>;
  /** By {@link spaceKey} of registry and repository. */
  readonly grants: ReadonlyMap<string, GrantAnswer>;
  /** Nothing more will be asked: where there is no answer, the verdict of the snapshot stands. */
  readonly final: boolean;
}

export const noKnowledge: Knowledge = { spaces: new Map(), grants: new Map(), final: false };
/** For judging offline: the snapshot is all there is. */
export const nothingToAsk: Knowledge = { spaces: new Map(), grants: new Map(), final: true };

/** The reading of a look-up where it counts: of two readings the newer wins. */
export function readingSince(
  catalogue: Catalogue,
  answer: SpaceAnswer | undefined,
): SpaceReading | undefined {
  const reading = answer?.kind === "read" ? answer.reading : undefined;
  return reading !== undefined && reading.readAt >= catalogue.readAt ? reading : undefined;
}
