// A verdict as other programs read it: the one shape that `check` and `explain` print with `--output json` and that
// the API answers with. Keys are always present; what does not apply is null.

import { pullSecretName, type FinalVerdict, type Judgement } from "./decision.ts";
import { shownReason, type View } from "./reasons.ts";
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

export interface Reader extends Audience {
  readonly view: View;
}

export function reportOf(
  snapshot: Snapshot,
  { source, kind, namespace, name }: Subject,
  verdict: FinalVerdict,
  reader: Reader,
): Report {
  return {
    source,
    kind,
    namespace,
    name,
    workspace: snapshot.namespaces.get(namespace) ?? null,
    verdict: verdict.kind === "refuse" ? "refuse" : "allow",
    pullSecret: verdict.kind === "allow-with-pull-secret" ? pullSecretName : null,
    message: verdict.kind === "refuse" ? refusalMessage(snapshot, namespace, verdict.refusals, reader) : null,
    images: verdict.judgements.flatMap((judgement) => imageReport(judgement, reader.view)),
  };
}

function imageReport(judgement: Judgement, view: View): readonly ImageReport[] {
  const { use, reference, allowed } = judgement;
  if (use === null) return [];
  const { registry, space } = shownPlace(judgement, view);
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
      reason: shownReason(judgement, view),
    },
  ];
}

/**
 * The registry and the space of an image, as far as they are for the reader. Of a registry that may be another
 * workspace's, a tenant reads no more than the refusal says: its name where the reason is that it is another's.
 */
export function shownPlace(
  { registry, space, reason }: Judgement,
  view: View,
): Pick<Judgement, "registry" | "space"> {
  const isOfWorkspace = typeof registry?.workspace === "string";
  if (view === "platform" || !isOfWorkspace) return { registry, space };
  if (reason === "registry-of-another-workspace") return { registry, space: null };
  return reason === "namespace-unknown" ? { registry: null, space: null } : { registry, space };
}
