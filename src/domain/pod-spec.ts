// Where images and pull secrets sit in each workload kind, and the smallest JSON Patch that adds a pull secret.
// The one enumerator of images: whatever judges, lists or explains images gets them from here.
//
// A pod spec names images in four places (Kubernetes API reference, PodSpec):
//   containers[].image  initContainers[].image  ephemeralContainers[].image  volumes[].image.reference

import { isObject, type JsonObject } from "./json.ts";

/** One place in an object that names an image. */
export interface ImageUse {
  /** Path of the field in the object, for example `spec.template.spec.containers[0].image`. */
  readonly path: string;
  /** Name of the container or of the image volume; null where it has none. */
  readonly container: string | null;
  /** The text as written; never empty. */
  readonly image: string;
}

/** What Berth reads of an object that holds pod specs. */
export interface Workload {
  readonly images: readonly ImageUse[];
  /** Fields of a type that no Kubernetes version has there, in words. Such an object is refused. */
  readonly malformed: readonly string[];
}

/** Where an object of one kind holds its pod specs; `[]` steps over every element of a list. */
export type PodSpecPath = readonly string[];

/** `<group>/<Kind>` → where its pod specs are; the core group is the empty text. */
export type WorkloadKinds = ReadonlyMap<string, readonly PodSpecPath[]>;

const underTemplate = "spec.template.spec";

/** The kinds of Kubernetes itself. Older groups are what manifests on disk may still say. */
export const builtInKinds: WorkloadKinds = new Map(
  Object.entries({
    "/Pod": "spec",
    "/PodTemplate": "template.spec",
    "/ReplicationController": underTemplate,
    "apps/Deployment": underTemplate,
    "apps/StatefulSet": underTemplate,
    "apps/DaemonSet": underTemplate,
    "apps/ReplicaSet": underTemplate,
    "extensions/Deployment": underTemplate,
    "extensions/DaemonSet": underTemplate,
    "extensions/ReplicaSet": underTemplate,
    "batch/Job": underTemplate,
    "batch/CronJob": "spec.jobTemplate.spec.template.spec",
  }).map(([kind, path]) => [kind, [podSpecPath(path)]]),
);

/** `spec.replicatedJobs[].template.spec` → its steps. */
export function podSpecPath(text: string): PodSpecPath {
  return text.split(".").flatMap((step) => (step.endsWith("[]") ? [step.slice(0, -2), "[]"] : [step]));
}

const customKind =
  /^([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\/[A-Z][A-Za-z0-9]{0,62})=([A-Za-z0-9]+(?:\[\])?(?:\.[A-Za-z0-9]+(?:\[\])?)*)$/;
/** Each is asked about at every review of its kind; nobody runs a hundred kinds of controllers. */
const maxCustomKinds = 100;

/**
 * Kinds of custom resources that hold Pod templates, written `<group>/<Kind>=<path of the pod spec>`, separated by
 * commas or blanks; a kind with several templates is written once for each. Undefined where that cannot be read.
 */
export function parseCustomKinds(text: string): WorkloadKinds | undefined {
  const kinds = new Map<string, readonly PodSpecPath[]>();
  for (const entry of text.split(/[\s,]+/).filter((part) => part !== "")) {
    const [, kind, path] = customKind.exec(entry) ?? [];
    if (kind === undefined || path === undefined || builtInKinds.has(kind)) return undefined;
    kinds.set(kind, [...(kinds.get(kind) ?? []), podSpecPath(path)]);
  }
  return kinds.size > maxCustomKinds ? undefined : kinds;
}

/** The group of an `apiVersion` such as `apps/v1`; the core group is the empty text. */
export function groupOf(apiVersion: string): string {
  const slash = apiVersion.indexOf("/");
  return slash < 0 ? "" : apiVersion.slice(0, slash);
}

export function readWorkload(paths: readonly PodSpecPath[], object: unknown): Workload {
  const found: Found = { images: [], malformed: [] };
  for (const path of paths) walk(object, path, 0, "", found);
  return found;
}

interface Found {
  readonly images: ImageUse[];
  readonly malformed: string[];
}

/** More than this says nothing new, and an object of 3 MiB could hold a million of them. */
const maxMalformed = 5;
/**
 * An object in etcd has at most 1.5 MiB, and a container that the API server has completed some 150 bytes: no real
 * object holds more images, and judging them stays within some 10 ms.
 */
const maxImages = 10_000;

function walk(value: unknown, path: PodSpecPath, step: number, at: string, found: Found): void {
  // Absent and null are the same to the API server, and hold no images.
  if (value === undefined || value === null) return;
  const name = path[step];
  if (name === "[]") {
    if (!Array.isArray(value)) return wrongType(found, at, "a list", value);
    for (const [index, element] of value.entries()) {
      walk(element, path, step + 1, `${at}[${String(index)}]`, found);
    }
    return;
  }
  if (!isObject(value)) return wrongType(found, at === "" ? "the object" : at, "an object", value);
  if (name === undefined) return readPodSpec(value, at, found);
  walk(value[name], path, step + 1, at === "" ? name : `${at}.${name}`, found);
}

const containerLists = ["initContainers", "containers", "ephemeralContainers"] as const;

function readPodSpec(spec: JsonObject, at: string, found: Found): void {
  for (const list of containerLists) {
    eachObject(spec[list], `${at}.${list}`, found, (container, path) => {
      readImage(container["image"], container["name"], `${path}.image`, found);
    });
  }
  eachObject(spec["volumes"], `${at}.volumes`, found, (volume, path) => {
    const image = volume["image"];
    if (image === undefined || image === null) return;
    if (!isObject(image)) return wrongType(found, `${path}.image`, "an object", image);
    readImage(image["reference"], volume["name"], `${path}.image.reference`, found);
  });
}

function eachObject(
  list: unknown,
  at: string,
  found: Found,
  read: (element: JsonObject, path: string) => void,
): void {
  if (list === undefined || list === null) return;
  if (!Array.isArray(list)) return wrongType(found, at, "a list", list);
  for (let index = 0; index < list.length; index += 1) {
    const element: unknown = list[index];
    const path = `${at}[${String(index)}]`;
    if (isObject(element)) read(element, path);
    else wrongType(found, path, "an object", element);
  }
}

/** Absent, null and empty are left to the API server, whose validation judges them after admission. */
function readImage(image: unknown, name: unknown, path: string, found: Found): void {
  if (image === undefined || image === null || image === "") return;
  if (typeof image !== "string") return wrongType(found, path, "text", image);
  if (found.images.length === maxImages) {
    if (found.malformed.length === 0) found.malformed.push(`more than ${String(maxImages)} images`);
    return;
  }
  found.images.push({ path, container: typeof name === "string" && name !== "" ? name : null, image });
}

function wrongType(found: Found, at: string, expected: string, value: unknown): void {
  if (found.malformed.length < maxMalformed) {
    found.malformed.push(`${at}: expected ${expected}, got ${typeInWords(value)}`);
  }
}

function typeInWords(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  switch (typeof value) {
    case "object":
      return "an object";
    case "string":
      return "text";
    case "number":
      return "a number";
    case "boolean":
      return "true or false";
    default:
      return "nothing";
  }
}

/** What a node shows the API server of a static Pod. It may not refer to Secrets (validation of Pods). */
export function isMirrorPod(pod: JsonObject): boolean {
  const annotations = isObject(pod["metadata"]) ? pod["metadata"]["annotations"] : undefined;
  return isObject(annotations) && Object.hasOwn(annotations, "kubernetes.io/config.mirror");
}

/** The names in a Pod's `imagePullSecrets`; entries of another shape name nothing. */
export function pullSecretNames(pod: unknown): readonly string[] {
  const list = isObject(pod) && isObject(pod["spec"]) ? pod["spec"]["imagePullSecrets"] : undefined;
  if (!Array.isArray(list)) return [];
  return list.flatMap((entry) =>
    isObject(entry) && typeof entry["name"] === "string" ? [entry["name"]] : [],
  );
}

/** The account that a Pod runs as; the API server's default where it names none. */
export function serviceAccountOf(pod: unknown): string {
  const name = isObject(pod) && isObject(pod["spec"]) ? pod["spec"]["serviceAccountName"] : undefined;
  return typeof name === "string" && name !== "" ? name : "default";
}

export interface PatchOperation {
  readonly op: "add";
  readonly path: string;
  readonly value: unknown;
}

/**
 * The JSON Patch (RFC 6902) that makes a Pod name the pull secret, and touches nothing else: the list is made
 * where it is absent or null (`add` on a member that exists replaces it), else one entry is appended. Undefined
 * when the Pod names it already.
 */
export function pullSecretPatch(pod: unknown, secret: string): PatchOperation | undefined {
  if (!isObject(pod) || !isObject(pod["spec"])) return undefined;
  const list = pod["spec"]["imagePullSecrets"];
  if (list === undefined || list === null) {
    return { op: "add", path: "/spec/imagePullSecrets", value: [{ name: secret }] };
  }
  // A list of another type is for the API server to refuse.
  if (!Array.isArray(list) || pullSecretNames(pod).includes(secret)) return undefined;
  return { op: "add", path: "/spec/imagePullSecrets/-", value: { name: secret } };
}
