// What all files of a folder say together: one cluster's Namespaces, policy ConfigMaps and Secrets.

import type { PolicyConfigMap } from "../domain/policy.ts";
import { type ClusterFact, factKey, type FileFacts } from "./cluster-facts.ts";
import { fileProblem, type ManifestProblem } from "./manifests.ts";

export interface FolderContents {
  /** Namespace name → labels. */
  readonly namespaces: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly policyConfigMaps: readonly PolicyConfigMap[];
  /** Name → key → text. */
  readonly secrets: ReadonlyMap<string, Readonly<Record<string, string>>>;
  readonly problems: readonly ManifestProblem[];
}

/** Five times the Namespaces that Kubernetes is tested with. */
const maxFacts = 50_000;

/** All files' facts as one cluster; of two objects with one name the first stays. */
export function assemble(
  files: readonly FileFacts[],
  folderProblems: readonly ManifestProblem[],
): FolderContents {
  const problems = [...folderProblems, ...files.flatMap((file) => file.problems)];
  const facts = new Map<string, ClusterFact>();
  for (const fact of files.flatMap((file) => file.facts)) {
    const first = facts.get(factKey(fact));
    if (first) problems.push(repeatedProblem(fact, first));
    else if (facts.size < maxFacts) facts.set(factKey(fact), fact);
    else {
      problems.push(
        fileProblem(fact.file, `objects beyond the first ${maxFacts} of the folder do not count`),
      );
      break;
    }
  }
  return { ...sorted(facts.values()), problems };
}

function sorted(facts: Iterable<ClusterFact>): Omit<FolderContents, "problems"> {
  const namespaces = new Map<string, Readonly<Record<string, string>>>();
  const policyConfigMaps: PolicyConfigMap[] = [];
  const secrets = new Map<string, Readonly<Record<string, string>>>();
  for (const fact of facts) {
    switch (fact.kind) {
      case "Namespace":
        namespaces.set(fact.name, fact.labels);
        break;
      case "ConfigMap":
        policyConfigMaps.push(fact.configMap);
        break;
      case "Secret":
        secrets.set(fact.name, fact.data);
        break;
    }
  }
  return { namespaces, policyConfigMaps, secrets };
}

function repeatedProblem(fact: ClusterFact, first: ClusterFact): ManifestProblem {
  const where = first.position ? `${first.file}:${first.position.line}` : first.file;
  const text = `${fact.kind} ${fact.name} is there already, in ${where}; this one does not count`;
  return { severity: "error", file: fact.file, source: fact.file, position: fact.position, text };
}
