// A verdict as other programs read it: the one shape that `check` and `explain` print with `--output json` and that
// the API answers with. Keys are always present; what does not apply is null.

import { pullSecretName, type FinalVerdict, type Judgement } from "./decision.ts";
import { refusalMessage, type Audience } from "./refusal.ts";
import type { Snapshot } from "./snapshot.ts";

/** What was judged. */
export interface Subject {
  /** Where it comes from, for example a file's name. */
  readonly source: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

export interface Report extends Subject {
  readonly workspace: string | null;
  readonly verdict: "allow" | "refuse";
  readonly pullSecret: string | null;
  readonly message: string | null;
  readonly images: readonly ImageReport[];
}

export interface ImageReport {
  readonly path: string;
  readonly container: string | null;
  readonly image: string;
  /** As the reference grammar gives them; null for a malformed image. */
  readonly host: string | null;
  readonly repository: string | null;
  readonly tag: string | null;
  readonly digest: string | null;
  readonly registry: string | null;
  readonly space: string | null;
  readonly allowed: boolean;
  readonly reason: string;
}

export function reportOf(
  snapshot: Snapshot,
  { source, kind, namespace, name }: Subject,
  verdict: FinalVerdict,
  audience: Audience,
): Report {
  return {
    source,
    kind,
    namespace,
    name,
    workspace: snapshot.namespaces.get(namespace) ?? null,
    verdict: verdict.kind === "refuse" ? "refuse" : "allow",
    pullSecret: verdict.kind === "allow-with-pull-secret" ? pullSecretName : null,
    message:
      verdict.kind === "refuse" ? refusalMessage(snapshot, namespace, verdict.refusals, audience) : null,
    images: verdict.judgements.flatMap(imageReport),
  };
}

function imageReport({
  use,
  reference,
  registry,
  space,
  allowed,
  reason,
}: Judgement): readonly ImageReport[] {
  if (use === null) return [];
  return [
    {
      path: use.path,
      container: use.container,
      image: use.image,
      host: reference?.host ?? null,
      repository: reference?.repository ?? null,
      tag: reference?.tag ?? null,
      digest: reference?.digest ?? null,
      registry: registry?.name ?? null,
      space,
      allowed,
      reason,
    },
  ];
}
