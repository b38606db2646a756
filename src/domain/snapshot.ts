// Catalogue + policy + workspaces as one immutable value: the only thing a decision reads. A change makes a new
// snapshot (state.ts); nothing here is ever edited.

import type { Catalogue } from "./catalogue.ts";
import { emptyPolicy, type Policy } from "./policy.ts";
import type { Namespaces } from "./workspaces.ts";

/** What settings contribute to every decision of a process; it does not change while the process runs. */
export interface Rules {
  /** Berth's own namespace: always exempt. */
  readonly berthNamespace: string;
  /** Key of the label that holds a namespace's workspace. */
  readonly workspaceLabel: string;
  /** Past the maximum age of a catalogue: go on with it, or refuse what is not bound. */
  readonly stale: "serve" | "refuse-unbound";
}

export interface Snapshot {
  /** Counts up by one with every replacement; metrics and audit annotations name it. */
  readonly generation: number;
  readonly rules: Rules;
  /** False until the policy was read once: then nothing is allowed yet. */
  readonly policyRead: boolean;
  readonly policy: Policy;
  /** False until the namespaces were listed once. */
  readonly namespacesRead: boolean;
  readonly namespaces: Namespaces;
  /** Registry name → its last complete catalogue. A registry without one is not in the map. */
  readonly catalogues: ReadonlyMap<string, Catalogue>;
  /** `<namespace>/<name>` of accounts whose Pods may use only the Secrets that the account lists. */
  readonly strictServiceAccounts: ReadonlySet<string>;
  /** Binding (see pins.ts) → the id that its space had when the binding was first seen. */
  readonly pins: ReadonlyMap<string, number>;
  /** Server and space (binding-validity.ts) → the id of the declared space that Berth made or adopted there; 0 while it is being made. */
  readonly ownSpaces: ReadonlyMap<string, number>;
  /** False where nobody keeps such a record, as beside a folder: declared spaces then count as Berth's own. */
  readonly ownSpacesRead: boolean;
}

/** Never judged: Berth's own namespace, and those that the policy exempts. */
export function isExempt({ rules, policy }: Snapshot, namespace: string): boolean {
  return namespace === rules.berthNamespace || policy.exemptNamespaces.has(namespace);
}

export function firstSnapshot(rules: Rules): Snapshot {
  return {
    generation: 0,
    rules,
    policyRead: false,
    policy: emptyPolicy,
    namespacesRead: false,
    namespaces: new Map(),
    catalogues: new Map(),
    strictServiceAccounts: new Set(),
    pins: new Map(),
    ownSpaces: new Map(),
    ownSpacesRead: false,
  };
}

/** What has not been read yet, in words, for `/readyz`. Registries of workspaces and Docker Registries never count. */
export function missingParts(snapshot: Snapshot): readonly string[] {
  const missing: string[] = [];
  if (!snapshot.policyRead) missing.push("policy");
  if (!snapshot.namespacesRead) missing.push("namespaces");
  for (const registry of snapshot.policy.registries.values()) {
    const counts = registry.type === "harbor" && registry.workspace === null;
    if (counts && !snapshot.catalogues.has(registry.name)) missing.push(`catalogue of ${registry.name}`);
  }
  return missing;
}

/**
 * Names that the policy exempts and that no namespace has: whoever may create namespaces could take one, and be out
 * of every rule (the namespace guard asks for the right to, where its matchCondition lists the name).
 */
export function danglingExemptions({ policy, namespaces, namespacesRead }: Snapshot): readonly string[] {
  return namespacesRead ? [...policy.exemptNamespaces].filter((name) => !namespaces.has(name)) : [];
}

export function danglingExemptionInWords(name: string): string {
  return `exemptNamespaces: there is no namespace "${name}"; whoever creates one of that name is out of every rule`;
}
