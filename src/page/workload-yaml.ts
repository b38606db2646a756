// YAML that people copy. Text of others is quoted wherever YAML could take it for something else.

import { unseen } from "./reading-text.ts";

export type WorkloadKind = "Pod" | "Deployment";
export type Pulling = "IfNotPresent" | "Always";

export interface WorkloadParts {
  readonly name: string;
  readonly namespace: string;
  readonly image: string;
  readonly pulling: Pulling;
}

/** A name that Kubernetes takes for a workload, its label and its container: of `team-a/My_Api` it is `my-api`. */
export function nameFor(repository: string): string {
  const last = repository.split("/").at(-1) ?? "";
  const label = last
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, "-")
    .slice(0, 63)
    .replaceAll(/^-+|-+$/g, "");
  return label === "" ? "app" : label;
}

export function workloadYaml(kind: WorkloadKind, { name, namespace, image, pulling }: WorkloadParts): string {
  const container = [
    "containers:",
    `  - name: ${yamlText(name)}`,
    `    image: ${yamlText(image)}`,
    `    imagePullPolicy: ${pulling}`,
  ];
  const metadata = ["metadata:", `  name: ${yamlText(name)}`, `  namespace: ${yamlText(namespace)}`];
  if (kind === "Pod")
    return lines("apiVersion: v1", "kind: Pod", ...metadata, "spec:", ...indented(2, container));
  const label = `app.kubernetes.io/name: ${yamlText(name)}`;
  return lines(
    "apiVersion: apps/v1",
    "kind: Deployment",
    ...metadata,
    "spec:",
    "  replicas: 1",
    "  selector:",
    "    matchLabels:",
    `      ${label}`,
    "  template:",
    "    metadata:",
    "      labels:",
    `        ${label}`,
    "    spec:",
    ...indented(6, container),
  );
}

export interface BindingParts {
  /** Berth's own. */
  readonly namespace: string;
  readonly workspace: string;
  readonly registry: string;
  readonly space: string;
  /** Binds this very space, and no later one of its name. */
  readonly id: number | null;
}

/** A policy of its own: what it binds ends when it is deleted, and no other text has to be changed. */
export function bindingYaml({ namespace, workspace, registry, space, id }: BindingParts): string {
  const named = id === null ? yamlText(space) : `{ name: ${yamlText(space)}, id: ${id} }`;
  return lines(
    "apiVersion: v1",
    "kind: ConfigMap",
    "metadata:",
    `  name: ${yamlText(nameFor(`bind-${registry}-${space}-to-${workspace}`.replaceAll("/", "-")))}`,
    `  namespace: ${yamlText(namespace)}`,
    "  labels:",
    '    berth.io/policy: "true"',
    "data:",
    "  bindings.yaml: |",
    "    bindings:",
    // Always quoted: 12 without quotes is a number, and workspaces are compared as text.
    `      - workspace: ${quoted(workspace)}`,
    `        registry: ${yamlText(registry)}`,
    `        spaces: [${named}]`,
  );
}

function indented(by: number, text: readonly string[]): readonly string[] {
  return text.map((line) => " ".repeat(by) + line);
}

function lines(...all: readonly string[]): string {
  return `${all.join("\n")}\n`;
}

/** What YAML 1.1, which Kubernetes reads, takes for null, a boolean or a number. */
const meansSomethingElse = /^(?:null|true|false|yes|no|on|off|y|n|[0-9.].*)$/i;

function yamlText(text: string): string {
  const isPlain = /^[a-z0-9](?:[a-z0-9._/@:-]*[a-z0-9])?$/i.test(text) && !meansSomethingElse.test(text);
  return isPlain ? text : quoted(text);
}

/** JSON's quoting is YAML's too; what would not be seen is escaped as well. */
function quoted(text: string): string {
  return JSON.stringify(text).replace(unseen, (char) => {
    const point = (char.codePointAt(0) ?? 0).toString(16);
    return point.length > 4 ? `\\U${point.padStart(8, "0")}` : `\\u${point.padStart(4, "0")}`;
  });
}
