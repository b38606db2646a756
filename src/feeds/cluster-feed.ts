// Cluster, or a folder read as one → state: namespaces become workspaces, policy ConfigMaps become a policy, and
// the Secrets of Berth's own namespace go to a cell of their own, since credentials are no part of a snapshot.

import type { PolicyConfigMap } from "../domain/policy.ts";
import type { Stoppable } from "../loop.ts";

/** Secret key → decoded text. */
export type SecretData = Readonly<Record<string, string>>;

/** Takes what a cluster shows. Each call carries the full set, never a difference. */
export interface ClusterSink {
  /** Namespace name → labels. */
  namespaces(all: ReadonlyMap<string, Readonly<Record<string, string>>>): void;
  policyConfigMaps(all: readonly PolicyConfigMap[]): void;
  /** The Secrets of Berth's own namespace, by name. */
  secrets(all: ReadonlyMap<string, SecretData>): void;
}

/** Starts to deliver to the sink; kubernetes/ and files/ each have one. */
export type ClusterSource = (sink: ClusterSink) => Stoppable;
