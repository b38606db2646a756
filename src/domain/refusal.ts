// The words a refused person reads: one line a refusal, and within it what was refused, what is missing, who can
// mend it, and what else the namespace may use. The codes are in reasons.ts.
//
// All text is ASCII on one line: a warning with any other control character is dropped whole by the API server,
// and what a terminal shows must not be for the author of an image name to choose.

import type { Judgement, Refusal } from "./decision.ts";
import type { Malformation } from "./image-reference.ts";
import type { Policy } from "./policy.ts";
import { keyHostsOf } from "./key-spellings.ts";
import { publicReason, type ImageRefusalReason } from "./reasons.ts";
import type { Snapshot } from "./snapshot.ts";
import { suggestHosts, suggestSpaces } from "./suggestion.ts";

export interface Audience {
  /** Where anybody may ask, only public spaces are suggested; else also those bound to the workspace. */
  readonly suggest: "public" | "workspace";
}

/** About what a person reads and an event keeps: the API server cuts an event's message at 1024 bytes. */
const maxMessageLength = 1_000;

/** Why a workload is refused: the most useful line first, at most about 1 kB. */
export function refusalMessage(
  snapshot: Snapshot,
  namespace: string,
  refusals: readonly Refusal[],
  audience: Audience,
): string {
  const lines: string[] = [];
  let length = 0;
  for (const refusal of mostUsefulFirst(refusals)) {
    const line = refusalLine(snapshot, namespace, refusal, audience);
    if (lines.length > 0 && length + line.length > maxMessageLength - 40) {
      lines.push(`(and ${String(refusals.length - lines.length)} more refused)`);
      break;
    }
    lines.push(line);
    length += line.length + 1;
  }
  return lines.join("\n");
}

/** What passes by itself in a moment comes last; among equals, the order of the object. */
function mostUsefulFirst(refusals: readonly Refusal[]): readonly Refusal[] {
  if (refusals.length < 2) return refusals;
  const transient: ReadonlySet<ImageRefusalReason> = new Set([
    "catalogue-not-ready",
    "catalogue-stale",
    "namespace-unknown",
    "pull-secret-not-injected",
  ]);
  return [
    ...refusals.filter((refusal) => !transient.has(refusal.reason)),
    ...refusals.filter((refusal) => transient.has(refusal.reason)),
  ];
}

function refusalLine(snapshot: Snapshot, namespace: string, refusal: Refusal, audience: Audience): string {
  const { use } = refusal;
  const subject =
    use === null
      ? ""
      : `${whereInWords(use.container, use.path)}: image "${printable(use.image, 200)}" is refused: `;
  // What concerns a namespace says already that one should try again.
  const { unanswered } = refusal;
  const tryAgain =
    unanswered === null || refusal.reason === "namespace-unknown" ? "" : ` ${unansweredInWords(unanswered)}`;
  return `${subject}${explanation(snapshot, namespace, refusal, audience)}${tryAgain}`;
}

function whereInWords(name: string | null, path: string): string {
  if (name === null) return printable(path, 100);
  const kinds: readonly (readonly [string, string])[] = [
    ["initContainers[", "init container"],
    ["ephemeralContainers[", "ephemeral container"],
    ["volumes[", "image volume"],
  ];
  const kind = kinds.find(([list]) => path.includes(list))?.[1] ?? "container";
  return `${kind} "${printable(name, 63)}"`;
}

function explanation(snapshot: Snapshot, namespace: string, refusal: Refusal, audience: Audience): string {
  const { workspace } = refusal;
  const registry = textOf(refusal.registry?.name);
  const space = textOf(refusal.space);
  const host = textOf(refusal.reference?.host);
  const home = `namespace "${printable(namespace, 63)}"`;
  switch (publicReason(refusal.reason, workspace)) {
    case "space-not-bound":
      return (
        `space "${space}" of registry "${registry}" is private and not bound to workspace ` +
        `"${textOf(workspace)}" of ${home}, or there is no such space. Ask a platform administrator to bind it, ` +
        `or use ${alternatives(snapshot, refusal, audience)}.`
      );
    case "namespace-without-workspace":
      return (
        `${home} belongs to no workspace, so only public spaces are open to it; space "${space}" of registry ` +
        `"${registry}" is not public, or there is no such space. Ask a workspace administrator to bind the ` +
        `namespace to a workspace that has the space, or use ${alternatives(snapshot, refusal, audience)}.`
      );
    case "space-replaced":
      return (
        `space "${space}" of registry "${registry}" was deleted and made anew since it was bound to workspace ` +
        `"${textOf(workspace)}", so it may be somebody else's now. Ask a platform administrator to check it and ` +
        `to bind it anew (delete the binding and add it again, or name the space's new id in it).`
      );
    case "namespace-unknown":
      return `${home} is not known yet, and with it the workspace. Try again in a few seconds; if it lasts, tell a platform administrator.`;
    case "registry-of-another-workspace":
      return (
        `registry "${registry}" was integrated by another workspace and is open to that one only` +
        `${workspace === null ? `; ${home} belongs to no workspace` : `, not to workspace "${workspace}" of ${home}`}. ` +
        `Use an image from ${hostsInWords(snapshot, workspace)}.`
      );
    case "unlisted-registry":
      return (
        `no registry of this platform serves host "${host}"` +
        `${shortName(refusal)}. Use an image from ${hostsInWords(snapshot, workspace)}, or ask a platform ` +
        `administrator to add the host.`
      );
    case "no-space-in-name":
      return (
        `an image of registry "${registry}" is named <host>/<space>/<repository>, and this name has no space. ` +
        `Write for example ${host}/<space>/${textOf(refusal.reference?.repository)}.`
      );
    case "malformed-image":
      return `this is not an image reference: ${malformationInWords(refusal.malformation)}.`;
    case "image-by-id":
      return "this is the id of an image, and a node would run whatever it holds under it. Name the image by registry, space and repository; a digest may follow after @.";
    case "malformed-object":
      return `the object is not what Kubernetes has there: ${textOf(refusal.detail, 200)}.`;
    case "catalogue-not-ready":
      return registry === ""
        ? "Berth has just started and has not read its policy yet. Try again in a few seconds."
        : `the spaces of registry "${registry}" have not been read yet. Try again in a minute; if it lasts, tell a platform administrator that Berth cannot read the registry.`;
    case "catalogue-stale":
      return `what is known of registry "${registry}" is too old to be trusted, and space "${space}" is not bound to the workspace of ${home}. Tell a platform administrator that Berth cannot read the registry.`;
    case "pull-secret-not-injected":
      return "the Pod needs the pull secret of Berth and does not name it yet: the policy changed while it was being admitted. Try again; a controller does so by itself.";
  }
}

/** The nearest spaces that the namespace may use, as `<host>/<space>/...`, or words where there are none. */
function alternatives(snapshot: Snapshot, refusal: Refusal, audience: Audience): string {
  const { registry, space, workspace } = refusal;
  if (registry === null) return "another image";
  const names = suggestSpaces(snapshot, registry, workspace, textOf(space), audience.suggest);
  if (names.length === 0) return "an image from another registry";
  return `a space that is open to the namespace: ${names.join(", ")}`;
}

function hostsInWords(snapshot: Snapshot, workspace: string | null): string {
  const hosts = suggestHosts(snapshot, workspace);
  return hosts.length === 0 ? "a registry of this platform (none is set up yet)" : hosts.join(", ");
}

/** People write `nginx` and do not think of a host. */
function shortName(refusal: Refusal): string {
  const { reference, use } = refusal;
  const implied = reference?.host === "docker.io" && use?.image.includes("docker.io/") === false;
  return implied ? " (which is meant when an image names no host)" : "";
}

function malformationInWords(malformation: Malformation | null): string {
  switch (malformation) {
    case "uppercase":
      return "a repository is written in lower-case letters, digits and . _ - / only";
    case "length":
      return "its path is longer than 255 characters";
    case "digest":
      return "its digest has not the length or the lower-case hex digits that its algorithm needs";
    case "unsupported-digest":
      return "its digest is of an algorithm that container runtimes do not know (sha256, sha384 and sha512 are known)";
    case "identifier":
      return "64 hex digits alone are the id of an image, not a name";
    case "format":
    case null:
      return "expected <host>/<space>/<repository>:<tag> or ...@<digest>, without scheme, blanks or other characters";
  }
}

function unansweredInWords(why: NonNullable<Refusal["unanswered"]>): string {
  switch (why) {
    case "limited":
      return "(The registry could not be asked just now, because too many unknown names were asked for; try again in a few seconds if this is new.)";
    case "failed":
    case "deadline":
      return "(The registry could not be asked just now; try again in a few seconds if this is new.)";
  }
}

/** The image's spelling is judged as the server it names, but no key of a pull secret can match it. */
export function spellingWarning(judgement: Judgement): string | undefined {
  if (!judgement.allowed || !judgement.needsPullSecret) return undefined;
  const { registry, reference, use } = judgement;
  if (registry === null || reference === null || use === null) return undefined;
  if (keyHostsOf(registry).includes(reference.host)) return undefined;
  const where = whereInWords(use.container, use.path);
  return `${where}: write the host as "${textOf(registry.spellings[0])}", not "${printable(reference.host, 100)}": the kubelet finds a pull secret by the exact spelling`;
}

/** The Pod is admitted without the login that it needs; one line of at most 120 characters, which no client cuts. */
export function missingSecretWarning(secret: string, state: "missing" | "outdated"): string {
  const fault = state === "missing" ? "is not there yet" : "is not up to date yet";
  return `pull secret ${secret} ${fault}: the node tries until it is; if that lasts, tell a platform administrator`;
}

/** An image that comes into a Pod which was made without the pull secret: the list cannot be changed any more. */
export function lateSecretWarning({ use }: Judgement, secret: string): string {
  const where = use === null ? "" : `${whereInWords(use.container, use.path)}: `;
  return `${where}this Pod was made without pull secret "${secret}", and it cannot be added any more: a node that does not hold the image yet cannot pull it`;
}

/** The API server will refuse the Pod after Berth has added the secret, unless the account lists it. */
export function strictAccountWarning(account: string, secret: string): string {
  return `service account "${printable(account, 100)}" has the annotation kubernetes.io/enforce-mountable-secrets: list "${secret}" in its imagePullSecrets, or its Pods with private images are refused`;
}

/** What to say of an image on a host that the policy lets pass with a warning. */
export function unlistedWarning(policy: Policy, judgement: Judgement): string | undefined {
  if (judgement.reason !== "unlisted-registry-allowed" || policy.unlistedRegistries !== "warn")
    return undefined;
  const { reference, use } = judgement;
  const where = use === null ? "" : `${whereInWords(use.container, use.path)}: `;
  return `${where}no registry of this platform serves host "${textOf(reference?.host)}"; it will not be allowed for ever`;
}

/** For what does not apply there is no text; a case that needs it has it. */
function textOf(text: string | null | undefined, length = 100): string {
  return printable(text ?? "", length);
}

/** ASCII only, one line, cut to `length` characters; what is not printable is shown as JSON would escape it. */
export function printable(text: string, length: number): string {
  const cut = text.length > length ? `${text.slice(0, length - 3)}...` : text;
  return /^[\x20-\x7e]*$/.test(cut)
    ? cut
    : cut.replace(/[^\x20-\x7e]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
