// Why not? The verdict for an image or for manifests, in the words of the refusal, by the decision of admission with its
// look-ups.

import { decide, questionAbout, type FinalVerdict, type Question } from "../domain/decision.ts";
import type { Knowledge } from "../domain/knowledge.ts";
import { questionOfManifest } from "../domain/manifest-question.ts";
import type { WorkloadKinds } from "../domain/pod-spec.ts";
import { reasoningOf } from "../domain/reasoning.ts";
import { reportOf, type Report, type Subject } from "../domain/report.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { gather } from "../gather.ts";
import type { Log } from "../log.ts";
import type { WorkerAnswer } from "../worker-desk.ts";
import { decideAfterLookUps, type LookUps } from "./look-ups.ts";
import type { PeopleAccess } from "./people-access.ts";
import { isNamespaceName, type Asked } from "./people-api.ts";
import type * as shapes from "./people-shapes.ts";
import { asking, notFound, ProblemError } from "./problem-details.ts";

export interface VerdictNeeds {
  readonly snapshot: () => Snapshot;
  readonly access: Pick<PeopleAccess, "mayUse" | "seesPlatform">;
  readonly lookUps: LookUps;
  readonly kinds: WorkloadKinds;
  /** Reads pasted text apart from everything else; what cannot be read is said with line and column. */
  readonly readManifests: (text: string) => Promise<WorkerAnswer<PastedText>>;
  readonly log: Log;
}

export interface PastedText {
  readonly objects: readonly {
    readonly source: string;
    readonly value: Readonly<Record<string, unknown>> & {
      readonly apiVersion: string;
      readonly kind: string;
    };
  }[];
  readonly problems: readonly string[];
}

/** Well within the time of the whole request. */
const decisionTimeoutMs = 10_000;

interface Judged {
  readonly snapshot: Snapshot;
  readonly verdict: FinalVerdict;
  readonly knowledge: Knowledge;
}

/** As admission does: look-ups included. */
async function judge(needs: VerdictNeeds, question: Question): Promise<Judged> {
  const snapshot = needs.snapshot();
  const verdict = decide(snapshot, question);
  if (verdict.kind !== "not-known-yet") return { snapshot, verdict, knowledge: question.knowledge };
  return decideAfterLookUps(needs, question, verdict.unknowns, decisionTimeoutMs);
}

export async function judgeImage(
  needs: VerdictNeeds,
  asked: Asked<{ image: string }>,
): Promise<shapes.Explanation> {
  const { namespace, query } = asked;
  const view = await viewOf(needs, asked);
  const use = { path: "image", container: null, image: query.image.trim() };
  const { snapshot, verdict, knowledge } = await judge(needs, questionAbout(namespace, [use]));
  const subject = { source: "API", kind: "Image", namespace, name: "" };
  const [judgement] = verdict.judgements;
  return {
    report: presentReport(reportOf(snapshot, subject, verdict, { suggest: "workspace", view })),
    reasoning:
      judgement === undefined ? [] : [...reasoningOf(snapshot, namespace, judgement, view, knowledge)],
  };
}

async function viewOf(
  { access }: VerdictNeeds,
  { caller, signal }: Pick<Asked, "caller" | "signal">,
): Promise<"tenant" | "platform"> {
  return (await asking(access.seesPlatform(caller, signal))) ? "platform" : "tenant";
}

function presentReport(report: Report): shapes.ReportShape {
  return { ...report, images: [...report.images] };
}

/** What a Helm chart of a large application renders; each may ask a registry. */
const maxWorkloads = 200;
/** Each is a right to ask for. */
const maxNamespaces = 20;

export async function judgeManifests(needs: VerdictNeeds, asked: Asked): Promise<shapes.ReportShape[]> {
  const read = await needs.readManifests(asked.body);
  if (read.kind === "failed") throw new ProblemError(422, `The text could not be read: ${read.why}.`);
  const { objects, problems } = read.result;
  if (problems.length > 0) throw new ProblemError(422, problems.slice(0, 10).join("\n"));
  const workloads = objects.flatMap(({ source, value }) => {
    const workload = questionOfManifest(needs.kinds, value, asked.namespace);
    return workload === undefined ? [] : [{ ...workload, subject: { ...workload.subject, source } }];
  });
  if (workloads.length > maxWorkloads)
    throw new ProblemError(422, `The text has more than ${maxWorkloads} workloads; ask for fewer at a time.`);
  await checkNamespaces(needs, asked, workloads);
  const view = await viewOf(needs, asked);
  const judged = await gather(workloads, workloadsAtATime, async ({ subject, question }) => {
    const { snapshot, verdict } = await judge(needs, question);
    return presentReport(reportOf(snapshot, subject, verdict, { suggest: "workspace", view }));
  });
  return judged.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

/** Enough that a few slow look-ups do not add up. */
const workloadsAtATime = 4;

/** Whoever may not use a namespace learns nothing about it by a manifest that names it. */
async function checkNamespaces(
  { access }: VerdictNeeds,
  { caller, signal, namespace: own }: Asked,
  workloads: readonly { readonly subject: Subject }[],
): Promise<void> {
  const named = new Set(workloads.map(({ subject }) => subject.namespace));
  named.delete(own);
  if (named.size > maxNamespaces)
    throw new ProblemError(
      422,
      `The text names more than ${maxNamespaces} namespaces; ask for fewer at a time.`,
    );
  for (const namespace of named) {
    const mayUse = isNamespaceName(namespace) && (await asking(access.mayUse(caller, namespace, signal)));
    if (!mayUse) throw notFound(`namespace as the text names ("${namespace.slice(0, 63)}")`);
  }
}
