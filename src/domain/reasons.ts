// The reason codes. They are stable: metrics, audit annotations, the API and tests use them.

export type AllowReason =
  | "public-space"
  | "bound-space"
  | "open-registry"
  | "workspace-registry"
  | "unlisted-registry-allowed"
  | "exempt-namespace"
  | "unchanged"
  | "mirror-pod";

/** Why an image, or the object that names it, is refused. */
const imageRefusalReasons = [
  "space-not-bound",
  "space-replaced",
  "pull-secret-not-injected",
  "namespace-without-workspace",
  "namespace-unknown",
  "space-unknown",
  "registry-of-another-workspace",
  "unlisted-registry",
  "no-space-in-name",
  "malformed-image",
  "image-by-id",
  "malformed-object",
  "catalogue-not-ready",
  "catalogue-stale",
] as const;
export type ImageRefusalReason = (typeof imageRefusalReasons)[number];

/** Why a guard refuses an edit of the policy, or of a namespace's workspace. */
const guardReasons = ["policy-invalid", "workspace-label-protected", "malformed-object"] as const;
export type GuardReason = (typeof guardReasons)[number];

export type RefusalReason = ImageRefusalReason | GuardReason;
/** Each code once. */
export const refusalReasons: ReadonlySet<RefusalReason> = new Set([...imageRefusalReasons, ...guardReasons]);

export const warningReasons = ["pull-secret-missing", "pull-secret-does-not-match"] as const;
export type WarningReason = (typeof warningReasons)[number];

export type Reason = AllowReason | RefusalReason;

/**
 * The code that people without the platform view may read: for them a space that does not exist and a private
 * one that is not bound are the same, else a refused tenant could find out other tenants' private spaces.
 */
export function publicReason(
  reason: ImageRefusalReason,
  workspace: string | null,
): Exclude<ImageRefusalReason, "space-unknown"> {
  if (reason !== "space-unknown") return reason;
  return workspace === null ? "namespace-without-workspace" : "space-not-bound";
}

/** Who reads: people of a namespace, or those who may see all of the platform. */
export type View = "tenant" | "platform";

/** An allowance tells nobody anything of others: the reason is as it is. */
export function shownReason(
  judgement:
    | { readonly allowed: true; readonly reason: AllowReason }
    | { readonly allowed: false; readonly reason: ImageRefusalReason; readonly workspace: string | null },
  view: View,
): AllowReason | ImageRefusalReason {
  return judgement.allowed || view === "platform"
    ? judgement.reason
    : publicReason(judgement.reason, judgement.workspace);
}
