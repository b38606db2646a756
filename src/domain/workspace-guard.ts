// Whoever labels a namespace chooses its tenant. Which rights a change of a namespace needs, and the words for who
// has them not. Asking for the rights is the caller's business.

import { printable } from "./refusal.ts";
import type { Snapshot } from "./snapshot.ts";
import { workspaceOf } from "./workspaces.ts";

export interface NamespaceChange {
  readonly name: string;
  readonly isNew: boolean;
  /** Labels before; null for a new namespace. */
  readonly previous: Readonly<Record<string, string>> | null;
  readonly current: Readonly<Record<string, string>> | null;
}

/** On `workspaces.berth.io`, a resource that exists in RBAC only. */
export interface Right {
  readonly verb: "assign" | "exempt";
  /** The workspace's id for `assign`, the namespace's name for `exempt`. */
  readonly name: string;
}

/**
 * The rights that a change needs: `assign` for the workspace that a namespace leaves and for the one that it joins;
 * `exempt` for a new namespace with a name that the policy exempts, which otherwise would be a way out for whoever
 * may create namespaces. Nothing for a change of anything else, so that namespaces are finalized and deleted as ever.
 */
export function rightsFor(snapshot: Snapshot, change: NamespaceChange): readonly Right[] {
  const { workspaceLabel, berthNamespace } = snapshot.rules;
  const rights: Right[] = [];
  const left = change.isNew ? null : workspaceOf(change.previous, workspaceLabel);
  const joined = workspaceOf(change.current, workspaceLabel);
  if (left !== joined) {
    if (left !== null) rights.push({ verb: "assign", name: left });
    if (joined !== null) rights.push({ verb: "assign", name: joined });
  }
  const exempt = change.name === berthNamespace || snapshot.policy.exemptNamespaces.has(change.name);
  if (change.isNew && exempt) rights.push({ verb: "exempt", name: change.name });
  return rights;
}

/** What somebody without a right reads; `asked` is false when the right could not be asked for. */
export function missingRightMessage(
  snapshot: Snapshot,
  change: NamespaceChange,
  { verb, name }: Right,
  username: string,
  asked: boolean,
): string {
  const namespace = `namespace "${printable(change.name, 63)}"`;
  const subject =
    verb === "exempt"
      ? `${namespace} has a name that the image policy exempts, so that creating it`
      : `the label ${snapshot.rules.workspaceLabel} of ${namespace} says which workspace it belongs to, and changing it for workspace "${printable(name, 100)}"`;
  const right = `the right "${verb}" on workspaces.berth.io "${printable(name, 100)}"`;
  return asked
    ? `${subject} needs ${right}, which user "${printable(username, 100)}" has not. Ask a platform administrator to do it, or to grant the right.`
    : `${subject} needs ${right}, and the API server could not be asked for it just now. Try again in a moment.`;
}
