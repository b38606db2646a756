// Objects that hold images, as short as the API server takes them.

export interface Place {
  readonly namespace: string;
  readonly name: string;
}

/** A Pod with one container, `app`; `more` goes into its spec. */
export function pod(metadata: Place, image: string, more: object = {}) {
  return { kind: "Pod", metadata, spec: { containers: [{ name: "app", image }], ...more } } as const;
}

/** Kinds with a Pod template. */
export const templateKinds = [
  "Deployment",
  "StatefulSet",
  "DaemonSet",
  "ReplicaSet",
  "ReplicationController",
  "Job",
  "CronJob",
  "PodTemplate",
] as const;
export type TemplateKind = (typeof templateKinds)[number];

/** One with a single container, `app`, whose Pods carry the label `app` with its name. */
export function workload<K extends TemplateKind>(kind: K, metadata: Place, image: string) {
  return { kind, metadata, ...contents(kind, metadata.name, image) };
}

function contents(kind: TemplateKind, name: string, image: string): object {
  const labels = { app: name };
  const spec = { containers: [{ name: "app", image }] };
  const template = { metadata: { labels }, spec };
  const forJobs = { metadata: { labels }, spec: { ...spec, restartPolicy: "Never" } };
  const selector = { matchLabels: labels };
  switch (kind) {
    case "Deployment":
    case "ReplicaSet":
    case "DaemonSet":
      return { spec: { selector, template } };
    case "StatefulSet":
      return { spec: { serviceName: name, selector, template } };
    case "ReplicationController":
      return { spec: { selector: labels, template } };
    case "Job":
      return { spec: { template: forJobs } };
    case "CronJob":
      return { spec: { schedule: "0 3 * * *", jobTemplate: { spec: { template: forJobs } } } };
    case "PodTemplate":
      return { template };
  }
}
