// Where the binaries of a real control plane, and Helm, lie: in the folder that `KUBEBUILDER_ASSETS` names (the
// convention of envtest), else in a cache outside the checkout. Only looks: building is build.ts, and nothing here
// starts one.

import { createHash } from "node:crypto";
import { accessSync, constants, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

export const binaryNames = ["etcd", "kube-apiserver", "kube-controller-manager", "kubectl", "helm"] as const;
export type BinaryName = (typeof binaryNames)[number];

/** Without these there is no API server; what needs one of the others skips by itself, see `skipWithout`. */
export const requiredBinaries: readonly BinaryName[] = ["etcd", "kube-apiserver"];

export interface FoundBinaries {
  readonly paths: Readonly<Partial<Record<BinaryName, string>>>;
  readonly missing: readonly BinaryName[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/** A Go module whose `tool` lines pin the versions of some binaries. */
export interface ToolModule {
  readonly folder: string;
  /** The module whose version names the cache. */
  readonly pinned: string;
  readonly title: string;
}

const toolsFolder = join(import.meta.dirname, "tools");
/** Pinned to what most clusters run; `BERTH_TEST_KUBERNETES=newest` takes the newest release there is. */
const kubernetesTools: ToolModule = {
  folder: process.env["BERTH_TEST_KUBERNETES"] === "newest" ? join(toolsFolder, "newest") : toolsFolder,
  pinned: "k8s.io/kubernetes",
  title: "kubernetes",
};
/** Apart, since Helm wants newer versions of what both depend on. */
const helmTools: ToolModule = { folder: join(toolsFolder, "helm"), pinned: "helm.sh/helm/v3", title: "helm" };

export function toolModuleOf(name: BinaryName): ToolModule {
  return name === "helm" ? helmTools : kubernetesTools;
}

/** Which binaries there are, each from `KUBEBUILDER_ASSETS` if it is there, else from the cache. */
export function findBinaries(env: Environment = process.env): FoundBinaries {
  const assets = env["KUBEBUILDER_ASSETS"];
  const paths: Partial<Record<BinaryName, string>> = {};
  for (const name of binaryNames) {
    const folders = [...(assets ? [assets] : []), cacheFolder(env, toolModuleOf(name))];
    const path = folders.map((folder) => join(folder, name)).find(isExecutable);
    if (path !== undefined) paths[name] = path;
  }
  return { paths, missing: binaryNames.filter((name) => paths[name] === undefined) };
}

/** The path of one binary, for those who cannot go on without it. */
export function binaryPath(name: BinaryName): string {
  const path = findBinaries().paths[name];
  if (path === undefined) throw new Error(`${name} is not built; \`npm run test:cluster\` builds it`);
  return path;
}

/** Skips a test or, from a `before` hook, a suite that needs a binary; where skipping is forbidden, it fails. */
export function skipWithout(name: BinaryName, context: Mocha.Context): void {
  if (findBinaries().paths[name] !== undefined) return;
  if (skipsAreForbidden()) throw new Error(`${name} is missing, and BERTH_TEST_FORBID_SKIPS forbids to skip`);
  context.skip();
}

export function skipsAreForbidden(env: Environment = process.env): boolean {
  return env["BERTH_TEST_FORBID_SKIPS"] === "1";
}

/**
 * The cache, outside the checkout so that clones share it. The name changes with every change of the pinned
 * modules, so that two checkouts with different pins never take each other's binaries.
 */
export function cacheFolder(env: Environment = process.env, module: ToolModule = kubernetesTools): string {
  const cache = env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache");
  const hash = createHash("sha256");
  for (const file of ["go.mod", "go.sum"]) hash.update(readFileSync(join(module.folder, file)));
  const key = hash.digest("hex").slice(0, 10);
  return join(cache, "berth", `${module.title}-${pinnedVersion(module).slice(1)}-${key}`);
}

/** As go.mod pins it, for example `v1.34.4`. */
export function pinnedVersion({ folder, pinned }: ToolModule): string {
  const lines = readFileSync(join(folder, "go.mod"), "utf8").split("\n");
  const version = lines
    .map((line) => /^\s*(?:require )?(\S+) (v\d+\.\d+\.\d+)/.exec(line))
    .find((match) => match?.[1] === pinned)?.[2];
  if (version === undefined) throw new Error(`expected a line \`${pinned} vX.Y.Z\` in go.mod`);
  return version;
}

export function kubernetesVersion(): string {
  return pinnedVersion(kubernetesTools);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
