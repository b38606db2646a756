// What is rendered of the chart, as the tests read it.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
}

export const deployFolder = join(import.meta.dirname, "..", "..", "deploy");

export function manifestsOf(text: string): readonly Manifest[] {
  return parseAllDocuments(text).flatMap((document) => {
    const object = document.toJS() as Manifest | null;
    return object === null ? [] : [object];
  });
}

/** deploy/install.yaml, which a suite with Helm holds to be what the chart renders. */
export const installed = manifestsOf(readFileSync(join(deployFolder, "install.yaml"), "utf8"));

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

interface Kinds {
  readonly ClusterRole: { readonly rules: readonly Rule[] };
  readonly ConfigMap: { readonly data: Readonly<Record<string, string>> };
  readonly Deployment: Deployment;
  readonly Ingress: { readonly spec: IngressSpec };
  readonly Namespace: object;
  readonly NetworkPolicy: {
    readonly spec: {
      readonly ingress: readonly {
        readonly ports: readonly { readonly port: number }[];
        readonly from?: readonly object[];
      }[];
    };
  };
  readonly PodDisruptionBudget: { readonly spec: object };
  readonly Role: { readonly rules: readonly Rule[] };
  readonly Service: {
    readonly spec: {
      readonly type: string;
      readonly ports: readonly {
        readonly name: string;
        readonly port: number;
        readonly targetPort: string;
      }[];
    };
  };
  readonly ValidatingAdmissionPolicy: {
    readonly spec: {
      readonly failurePolicy: string;
      readonly matchConditions: readonly { readonly expression: string }[];
      readonly validations: readonly { readonly expression: string }[];
    };
  };
  readonly ValidatingAdmissionPolicyBinding: { readonly spec: object };
}

/** The only one of its kind, or of its kind and name. */
export function theOnly<K extends keyof Kinds>(
  objects: readonly Manifest[],
  kind: K,
  name?: string,
): Manifest & Kinds[K] {
  const found = objects.filter(
    (one) => one.kind === kind && (name === undefined || one.metadata.name === name),
  );
  if (found.length !== 1) throw new Error(`expected one ${kind} ${name ?? ""}, got ${String(found.length)}`);
  return found[0] as Manifest & Kinds[K];
}

interface IngressSpec {
  readonly ingressClassName?: string;
  readonly tls?: readonly object[];
  readonly rules: readonly {
    readonly host: string;
    readonly http: { readonly paths: readonly { readonly path: string; readonly backend: object }[] };
  }[];
}

interface Deployment {
  readonly spec: {
    readonly replicas?: number;
    readonly strategy: object;
    readonly template: { readonly metadata: Manifest["metadata"]; readonly spec: PodSpec };
  };
}

interface PodSpec {
  readonly serviceAccountName: string;
  readonly terminationGracePeriodSeconds: number;
  readonly enableServiceLinks: boolean;
  readonly priorityClassName: string;
  readonly securityContext: object;
  readonly topologySpreadConstraints: readonly { readonly labelSelector: object }[];
  readonly volumes?: readonly { readonly name: string; readonly secret?: { readonly secretName: string } }[];
  readonly containers: readonly Container[];
}

interface Container {
  readonly image: string;
  readonly args: readonly string[];
  readonly env: readonly EnvVariable[];
  readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
  readonly resources: { readonly requests: object; readonly limits: object };
  readonly securityContext: object;
  readonly lifecycle?: object;
  readonly volumeMounts?: readonly { readonly name: string; readonly mountPath: string }[];
  readonly livenessProbe: Probe;
  readonly readinessProbe: Probe;
  readonly startupProbe: Probe;
}

interface Probe {
  readonly httpGet: { readonly path: string; readonly port: string };
}

export interface EnvVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } };
}

export function containerOf(objects: readonly Manifest[]): Container {
  const container = theOnly(objects, "Deployment").spec.template.spec.containers[0];
  if (container === undefined) throw new Error("expected a container");
  return container;
}

/** The environment that a kubelet makes of it, in a Pod of this namespace. */
export function environmentOf(variables: readonly EnvVariable[], namespace: string): Record<string, string> {
  return Object.fromEntries(
    variables.map(({ name, value, valueFrom }) => {
      // The API server leaves an empty value out.
      if (valueFrom === undefined) return [name, value ?? ""];
      if (valueFrom.fieldRef?.fieldPath === "metadata.namespace") return [name, namespace];
      throw new Error(`${name}: expected a value or the namespace`);
    }),
  );
}
