// What administrators wrote, as the values that a decision reads. How texts become a policy is told in policies.ts,
// what a document may say in policy-document.ts, and what documents say together in policy-merge.ts.

export type Mode = "enforce" | "warn" | "audit";
export type UnlistedRegistries = "deny" | "warn" | "allow";

export interface Registry {
  readonly name: string;
  readonly type: "harbor" | "docker-registry";
  /** Origin without trailing slash, for example `https://harbor.example.test:8443`. */
  readonly url: string;
  /** Canonical hosts (registry-host.ts) that this registry claims: those of its url, then of its aliases. */
  readonly hosts: readonly string[];
  /** The same hosts as written, for messages and pull-secret keys, which the kubelet compares as text. */
  readonly spellings: readonly string[];
  readonly credentialsSecret: string | null;
  readonly pullCredentialsSecret: string | null;
  readonly caSecret: string | null;
  /** Its proxy caches count as private, whatever Harbor says of them (visibility.ts). */
  readonly treatsProxyCachesAsPrivate: boolean;
  /** The workspace that integrated it; null when administrators did. */
  readonly workspace: string | null;
}

export interface DeclaredSpace {
  readonly registry: string;
  readonly name: string;
  readonly visibility: "public" | "private";
  /** Bytes; null when the document sets none. */
  readonly storageBytes: number | null;
  readonly adopt: boolean;
}

export interface Binding {
  readonly workspace: string;
  readonly registry: string;
  readonly space: string;
  /** Harbor's project id when the document names it, else null. */
  readonly id: number | null;
}

/** A policy ConfigMap: label `berth.io/policy: "true"`, in Berth's own namespace. */
export interface PolicyConfigMap {
  readonly name: string;
  readonly data: Readonly<Record<string, string>>;
  /** Where each key's text begins in the file it was read from; absent from the API server. */
  readonly origin?: {
    readonly file: string;
    readonly positions: Readonly<Record<string, TextOrigin>>;
  };
}

/** How a position inside a YAML scalar becomes a position of the file. */
export interface TextOrigin {
  /** Line and column (from 1) of the scalar's first line of text. */
  readonly line: number;
  readonly column: number;
  /** A block literal keeps its lines, so line and column of the file can be told; quoted and folded text does not. */
  readonly literal: boolean;
}

/** Where in a file a problem sits; line and column count from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface PolicyProblem {
  /** An error keeps the document, or the part that `text` names, out of force; a warning does not. */
  readonly severity: "error" | "warning";
  /** ConfigMap name and key, or the file given to `berth check-policy`: see {@link PolicySource}. */
  readonly source: PolicySource;
  readonly position: Position | null;
  /** One line: what was expected, what was found, and how to mend it. */
  readonly text: string;
}

export interface PolicySource {
  /** Name of the ConfigMap, or null for a bare document in a file. */
  readonly configMap: string | null;
  /** The key in the ConfigMap's data, or null for a bare document. */
  readonly key: string | null;
  /** The file that it was read from, or null when it came from the API server. */
  readonly file: string | null;
}

export interface Policy {
  readonly mode: Mode;
  readonly unlistedRegistries: UnlistedRegistries;
  readonly exemptNamespaces: ReadonlySet<string>;
  readonly registries: ReadonlyMap<string, Registry>;
  /** Canonical host → who claims it: one registry, or several Harbors that differ in `workspace`. */
  readonly registriesByHost: ReadonlyMap<string, readonly Registry[]>;
  /** By {@link spaceKey}. */
  readonly spaces: ReadonlyMap<string, DeclaredSpace>;
  /** {@link spaceKey} → workspace → binding. */
  readonly bindings: ReadonlyMap<string, ReadonlyMap<string, Binding>>;
  /** How many documents are in force. */
  readonly documents: number;
  readonly problems: readonly PolicyProblem[];
}

/** Key for a space of a registry; neither name can hold a slash. */
export function spaceKey(registry: string, space: string): string {
  return `${registry}/${space}`;
}

/** In force where nobody wrote a policy: every image is on an unlisted registry, and refused. */
export const emptyPolicy: Policy = {
  mode: "enforce",
  unlistedRegistries: "deny",
  exemptNamespaces: new Set(),
  registries: new Map(),
  registriesByHost: new Map(),
  spaces: new Map(),
  bindings: new Map(),
  documents: 0,
  problems: [],
};
