// May this namespace run these images? One synchronous function of (snapshot, question): no clock, no I/O, no log.
// What the snapshot does not know, the core asks for (`not-known-yet`); the caller looks it up and decides again.

import { bindingFault } from "./binding-validity.ts";
import type { Space } from "./catalogue.ts";
import { parseImageReference, type ImageReference, type Malformation } from "./image-reference.ts";
import { noKnowledge, readingSince, type Knowledge, type Unavailable, type Unknown } from "./knowledge.ts";
import { spaceKey, type Registry } from "./policy.ts";
import type { ImageUse } from "./pod-spec.ts";
import type { AllowReason, ImageRefusalReason } from "./reasons.ts";
import { canonicalHost } from "./registry-host.ts";
import { isExempt, type Snapshot } from "./snapshot.ts";
import { isSpaceName } from "./space-name.ts";
import { visibilityOn } from "./visibility.ts";

/** Name of the pull secret that Berth keeps in each namespace that needs one. */
export const pullSecretName = "berth-pull";

export interface Question {
  readonly namespace: string;
  readonly images: readonly ImageUse[];
  /** Fields of the wrong type, in words: any refuses the object. */
  readonly malformed: readonly string[];
  /** Texts of images that the object held before this update: they are not judged again. */
  readonly unchanged: ReadonlySet<string>;
  /** A mirror Pod made by a node: refusing it would not stop the static Pod, only hide it. */
  readonly mirrorPodOfNode: boolean;
  /** The object is a Pod being created that must name the pull secret itself, and does not. */
  readonly lacksPullSecret: boolean;
  readonly knowledge: Knowledge;
}

/** A question with the parts that most callers leave alone. */
export function questionAbout(
  namespace: string,
  images: readonly ImageUse[],
  rest: Partial<Omit<Question, "namespace" | "images">> = {},
): Question {
  const {
    malformed = nothingMalformed,
    unchanged = noTexts,
    mirrorPodOfNode = false,
    lacksPullSecret = false,
    knowledge = noKnowledge,
  } = rest;
  return { namespace, images, malformed, unchanged, mirrorPodOfNode, lacksPullSecret, knowledge };
}

const nothingMalformed: readonly string[] = [];
export const noTexts: ReadonlySet<string> = new Set();

export type Verdict =
  | { readonly kind: "allow"; readonly judgements: readonly Judgement[] }
  /** Allowed, and the Pod needs the pull secret named {@link pullSecretName}. */
  | { readonly kind: "allow-with-pull-secret"; readonly judgements: readonly Judgement[] }
  /** With every refusal, not only the first. */
  | {
      readonly kind: "refuse";
      readonly judgements: readonly Judgement[];
      readonly refusals: readonly Refusal[];
    }
  | { readonly kind: "not-known-yet"; readonly unknowns: readonly Unknown[] };

/** A verdict that leaves nothing to look up. */
export type FinalVerdict = Exclude<Verdict, { kind: "not-known-yet" }>;

/** What was found about one image. */
export type Judgement = Allowance | Refusal;

interface Finding {
  /** Null for what concerns the object as a whole. */
  readonly use: ImageUse | null;
  readonly reference: ImageReference | null;
  readonly registry: Registry | null;
  readonly space: string | null;
}

export interface Allowance extends Finding {
  readonly allowed: true;
  readonly reason: AllowReason;
  readonly needsPullSecret: boolean;
}

export interface Refusal extends Finding {
  readonly allowed: false;
  readonly reason: ImageRefusalReason;
  /** The namespace's workspace; null for none, or where it does not matter. */
  readonly workspace: string | null;
  /** Set where a look-up that might have changed the verdict had no answer. */
  readonly unanswered: Unavailable["why"] | null;
  readonly malformation: Malformation | null;
  /** For an object as a whole: what is wrong with it. */
  readonly detail: string | null;
}

export function decide(snapshot: Snapshot, question: Question): Verdict {
  const { images } = question;
  if (isExempt(snapshot, question.namespace)) {
    return {
      kind: "allow",
      judgements: images.map((use) => allow({ ...unread, use }, "exempt-namespace", false)),
    };
  }
  if (question.malformed.length > 0) {
    return refusal(question.malformed.map((detail) => aboutObject("malformed-object", detail)));
  }
  if (question.mirrorPodOfNode) {
    return { kind: "allow", judgements: images.map((use) => allow({ ...unread, use }, "mirror-pod", false)) };
  }

  const judgements: Judgement[] = [];
  const refusals: Refusal[] = [];
  const unknowns: Unknown[] = [];
  let needsPullSecret = false;
  for (const use of images) {
    const judgement = judge(snapshot, question, use, unknowns);
    if (judgement === undefined) continue;
    judgements.push(judgement);
    if (!judgement.allowed) refusals.push(judgement);
    else if (judgement.needsPullSecret) needsPullSecret = true;
  }

  if (unknowns.length > 0) return { kind: "not-known-yet", unknowns: withoutRepeats(unknowns) };
  if (refusals.length > 0) return { kind: "refuse", judgements, refusals };
  if (!needsPullSecret) return { kind: "allow", judgements };
  if (question.lacksPullSecret) {
    return { kind: "refuse", judgements, refusals: [aboutObject("pull-secret-not-injected", null)] };
  }
  return { kind: "allow-with-pull-secret", judgements };
}

/** Undefined when something was added to `unknowns`: the image is judged once that is answered. */
function judge(
  snapshot: Snapshot,
  question: Question,
  use: ImageUse,
  unknowns: Unknown[],
): Judgement | undefined {
  if (question.unchanged.has(use.image)) return allow({ ...unread, use }, "unchanged", false);
  const parsed = parseImageReference(use.image);
  switch (parsed.kind) {
    case "malformed":
      return refuse({ ...unread, use }, "malformed-image", { malformation: parsed.malformation });
    case "image-id":
      return refuse({ ...unread, use }, "image-by-id");
    case "reference":
      break;
  }
  const { reference } = parsed;
  const image: Finding = { use, reference, registry: null, space: null };
  if (!snapshot.policyRead) return refuse(image, "catalogue-not-ready");
  const registries = snapshot.policy.registriesByHost.get(canonicalHost(reference.host));
  const first = registries?.[0];
  if (registries === undefined || first === undefined) {
    return snapshot.policy.unlistedRegistries === "deny"
      ? refuse(image, "unlisted-registry")
      : allow(image, "unlisted-registry-allowed", false);
  }
  if (registries.length === 1) {
    return judgeOn({ snapshot, question, reference, use, registry: first, shared: false }, unknowns);
  }
  return judgeOnShared({ snapshot, question, reference, use, shared: true }, registries, unknowns);
}

interface Case {
  readonly snapshot: Snapshot;
  readonly question: Question;
  readonly use: ImageUse;
  readonly reference: ImageReference;
  readonly registry: Registry;
  /** Several registries claim the host. */
  readonly shared: boolean;
}

/**
 * On a host that several Harbors claim, an image is allowed if any of them allows it. Of several refusals the
 * administrators' registry speaks, since its spaces are what most people on that host use.
 */
function judgeOnShared(
  shared: Omit<Case, "registry">,
  registries: readonly Registry[],
  unknowns: Unknown[],
): Judgement | undefined {
  const asked: Unknown[] = [];
  const refusals: Refusal[] = [];
  for (const registry of byOwner(registries)) {
    const judgement = judgeOn({ ...shared, registry }, asked);
    if (judgement === undefined) continue;
    if (judgement.allowed) return judgement;
    refusals.push(judgement);
  }
  if (asked.length > 0) {
    unknowns.push(...asked);
    return undefined;
  }
  return refusals.find((refusal) => refusal.reason !== "registry-of-another-workspace") ?? refusals[0];
}

/** Administrators' registries before those of workspaces. */
function byOwner(registries: readonly Registry[]): readonly Registry[] {
  const ofAdministrators = registries.filter((registry) => registry.workspace === null);
  return [...ofAdministrators, ...registries.filter((registry) => registry.workspace !== null)];
}

function judgeOn(at: Case, unknowns: Unknown[]): Judgement | undefined {
  const { registry } = at;
  if (registry.workspace !== null) return judgeOnWorkspaceRegistry(at, registry.workspace, unknowns);
  if (registry.type === "docker-registry") {
    return allow(finding(at, null), "open-registry", registry.pullCredentialsSecret !== null);
  }
  const space = spaceOf(at.reference);
  if (space === undefined) return refuse(finding(at, null), "no-space-in-name");
  return judgeSpace(at, space, unknowns);
}

/** A registry that a workspace integrated: everything in it is for that workspace, and for nobody else. */
function judgeOnWorkspaceRegistry(at: Case, owner: string, unknowns: Unknown[]): Judgement | undefined {
  const { registry, reference } = at;
  const space = registry.type === "harbor" ? (spaceOf(reference) ?? null) : null;
  const home = homeOf(at, unknowns);
  if (home === undefined) return undefined;
  const found = finding(at, space);
  if (home.kind === "unknown") return refuse(found, "namespace-unknown", { unanswered: home.unanswered });
  if (home.workspace !== owner) {
    return refuse(found, "registry-of-another-workspace", { workspace: home.workspace });
  }
  const needsPullSecret = (registry.pullCredentialsSecret ?? registry.credentialsSecret) !== null;
  if (!at.shared) return allow(found, "workspace-registry", needsPullSecret);

  if (space === null) return refuse(found, "no-space-in-name");
  const grant = at.question.knowledge.grants.get(spaceKey(registry.name, reference.repository));
  if (grant === undefined && !at.question.knowledge.final) {
    unknowns.push({ what: "grant", registry: registry.name, repository: reference.repository });
    return undefined;
  }
  if (grant?.kind === "read" && grant.granted) return allow(found, "workspace-registry", needsPullSecret);
  const unanswered = grant?.kind === "unavailable" ? grant.why : null;
  return refuse(found, "space-not-bound", { workspace: owner, unanswered });
}

function judgeSpace(at: Case, name: string, unknowns: Unknown[]): Judgement | undefined {
  const { snapshot, question, registry } = at;
  const found = finding(at, name);
  const catalogue = snapshot.catalogues.get(registry.name);
  if (catalogue === undefined) return refuse(found, "catalogue-not-ready");

  const key = spaceKey(registry.name, name);
  const answer = question.knowledge.spaces.get(key);
  const fresh = readingSince(catalogue, answer);
  const space = fresh === undefined ? (catalogue.spaces.get(name) ?? null) : fresh.space;

  const mistrusted = catalogue.stale && snapshot.rules.stale === "refuse-unbound" && fresh === undefined;
  const isPublic = space !== null && visibilityOn(registry, space) === "public";
  if (isPublic && !mistrusted) return allow(found, "public-space", false);

  const judged = judgePrivate(at, found, space, mistrusted, unknowns);
  if (judged === undefined || judged.allowed) return judged;
  // A refusal for its space is final only when the space was looked up, once, live. A name that no Harbor
  // project can have needs no look-up.
  if (answer === undefined && !question.knowledge.final && isSpaceName(name)) {
    unknowns.push({ what: "space", registry: registry.name, space: name });
    return undefined;
  }
  return answer?.kind === "unavailable" && isSpaceName(name) ? { ...judged, unanswered: answer.why } : judged;
}

/** A space that is private, or not there, or public by a catalogue too old to be believed. */
function judgePrivate(
  at: Case,
  found: Finding,
  space: Space | null,
  mistrusted: boolean,
  unknowns: Unknown[],
): Judgement | undefined {
  const { snapshot, registry } = at;
  // Asked for even when there is no such space: else a namespace not known yet would tell the two apart.
  const home = homeOf(at, unknowns);
  if (home === undefined) return undefined;
  if (home.kind === "unknown") return refuse(found, "namespace-unknown", { unanswered: home.unanswered });
  const { workspace } = home;
  if (space === null) return refuse(found, mistrusted ? "catalogue-stale" : "space-unknown", { workspace });
  const binding =
    workspace === null
      ? undefined
      : snapshot.policy.bindings.get(spaceKey(registry.name, space.name))?.get(workspace);
  const fault = binding && bindingFault(snapshot, binding, space);
  // A space that the policy declares and that somebody else made is as good as not bound.
  if (binding === undefined || fault === "not-adopted") {
    if (mistrusted) return refuse(found, "catalogue-stale", { workspace });
    return refuse(found, workspace === null ? "namespace-without-workspace" : "space-not-bound", {
      workspace,
    });
  }
  if (fault === "replaced") return refuse(found, "space-replaced", { workspace });
  return visibilityOn(registry, space) === "public"
    ? allow(found, "public-space", false)
    : allow(found, "bound-space", true);
}

type Home =
  | { readonly kind: "known"; readonly workspace: string | null }
  | { readonly kind: "unknown"; readonly unanswered: Unavailable["why"] | null };

/** The workspace of the question's namespace; undefined when it has to be asked for first. */
function homeOf(at: Case, unknowns: Unknown[]): Home | undefined {
  const { snapshot, question } = at;
  const workspace = snapshot.namespaces.get(question.namespace);
  if (workspace !== undefined) return { kind: "known", workspace };
  const answer = question.knowledge.namespace;
  if (answer === undefined && !question.knowledge.final) {
    unknowns.push({ what: "namespace", namespace: question.namespace });
    return undefined;
  }
  if (answer?.kind === "read") {
    return answer.exists
      ? { kind: "known", workspace: answer.workspace }
      : { kind: "unknown", unanswered: null };
  }
  return { kind: "unknown", unanswered: answer?.why ?? null };
}

/** A login that a Pod needs to pull: that of a space's robot, or the registry's own where `space` is null. */
export interface CredentialNeed {
  readonly registry: string;
  readonly space: string | null;
}

/** What the pull secret has to hold for the images that are allowed; each once. */
export function credentialNeeds(judgements: readonly Judgement[]): readonly CredentialNeed[] {
  const needs = new Map<string, CredentialNeed>();
  for (const judgement of judgements) {
    if (!judgement.allowed || !judgement.needsPullSecret || judgement.registry === null) continue;
    const space = judgement.reason === "bound-space" ? judgement.space : null;
    const registry = judgement.registry.name;
    needs.set(spaceKey(registry, space ?? ""), { registry, space });
  }
  return [...needs.values()];
}

/** The Harbor project that a repository belongs to: its first path element, if there is a second. */
export function spaceOf(reference: ImageReference): string | undefined {
  const slash = reference.repository.indexOf("/");
  return slash < 0 ? undefined : reference.repository.slice(0, slash);
}

const unread: Finding = { use: null, reference: null, registry: null, space: null };

function finding(at: Case, space: string | null): Finding {
  return { use: at.use, reference: at.reference, registry: at.registry, space };
}

function allow(found: Finding, reason: AllowReason, needsPullSecret: boolean): Allowance {
  const { use, reference, registry, space } = found;
  return { use, reference, registry, space, allowed: true, reason, needsPullSecret };
}

function refuse(
  found: Finding,
  reason: ImageRefusalReason,
  more: Partial<Pick<Refusal, "workspace" | "unanswered" | "malformation" | "detail">> = {},
): Refusal {
  const { use, reference, registry, space } = found;
  const { workspace = null, unanswered = null, malformation = null, detail = null } = more;
  return {
    use,
    reference,
    registry,
    space,
    allowed: false,
    reason,
    workspace,
    unanswered,
    malformation,
    detail,
  };
}

function aboutObject(reason: ImageRefusalReason, detail: string | null): Refusal {
  return refuse(unread, reason, { detail });
}

function refusal(refusals: readonly Refusal[]): Verdict {
  return { kind: "refuse", judgements: refusals, refusals };
}

function withoutRepeats(unknowns: readonly Unknown[]): readonly Unknown[] {
  if (unknowns.length < 2) return unknowns;
  return [...new Map(unknowns.map((unknown) => [Object.values(unknown).join(" "), unknown])).values()];
}
