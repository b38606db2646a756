// Builds the binaries of a real control plane, and Helm, where they are missing: from the modules in tools/, into the
// cache of binaries.ts. Only `npm run test:cluster` calls it: `npm test` takes what is there and builds nothing.

import { spawnSync } from "node:child_process";
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { type BinaryName, cacheFolder, findBinaries, kubernetesVersion, toolModuleOf } from "./binaries.ts";

const packages: Readonly<Record<BinaryName, string>> = {
  etcd: "go.etcd.io/etcd/server/v3",
  "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
  "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
  kubectl: "k8s.io/kubernetes/cmd/kubectl",
  helm: "helm.sh/helm/v3/cmd/helm",
};

// Since this minor version Go fetches the newer toolchain that a go.mod asks for by itself.
const oldestGoMinor = 21;

process.exitCode = main();

function main(): number {
  const { missing } = findBinaries();
  if (missing.length === 0) return 0;
  const problem = goProblem();
  if (problem !== undefined) {
    console.error(
      `Cannot build ${missing.join(", ")}: ${problem}\n` +
        "Install Go 1.24 or newer (https://go.dev/dl), or set KUBEBUILDER_ASSETS to a folder that holds them.",
    );
    return 1;
  }
  console.error(
    `Building ${missing.join(", ")} into ${dirname(cacheFolder())}; on two cores this takes some minutes.`,
  );
  return missing.every(build) ? 0 : 1;
}

function goProblem(): string | undefined {
  const go = spawnSync("go", ["version"], { encoding: "utf8" });
  if (go.error !== undefined) return "there is no `go` on the PATH.";
  const minor = /go1\.(\d+)/.exec(go.stdout)?.[1];
  if (minor === undefined || Number(minor) >= oldestGoMinor) return undefined;
  return `${go.stdout.trim()} is too old.`;
}

function build(name: BinaryName): boolean {
  const module = toolModuleOf(name);
  const folder = cacheFolder(process.env, module);
  const target = join(folder, name);
  // Renaming at the end keeps a half-written binary, or that of a build beside this one, from ever being run.
  const unfinished = `${target}.building-${process.pid}`;
  mkdirSync(folder, { recursive: true });
  const startedAt = Date.now();
  console.error(`  ${name} …`);
  const go = spawnSync(
    "go",
    ["build", "-trimpath", "-ldflags", linkerFlags(name), "-o", unfinished, packages[name]],
    { cwd: module.folder, stdio: ["ignore", "inherit", "inherit"] },
  );
  if (go.status !== 0) {
    rmSync(unfinished, { force: true });
    console.error(`  ${name}: go build failed; its message is above.`);
    return false;
  }
  renameSync(unfinished, target);
  console.error(`  ${name}: ${Math.round((Date.now() - startedAt) / 1000)} s`);
  return true;
}

/** No symbol tables (half the size), and the versions that the projects' own build scripts link in. */
function linkerFlags(name: BinaryName): string {
  const version = kubernetesVersion();
  const [major = "", minor = ""] = version.slice(1).split(".");
  const facts = { gitVersion: version, gitMajor: major, gitMinor: minor, gitTreeState: "clean" };
  const kubernetes = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"].flatMap((module) =>
    Object.entries(facts).map(([fact, value]) => `-X ${module}.${fact}=${value}`),
  );
  // For which Kubernetes a chart is rendered where there is none to ask.
  const helm = ["chartutil", "lint/rules"].flatMap((part) => [
    `-X helm.sh/helm/v3/pkg/${part}.k8sVersionMajor=${major}`,
    `-X helm.sh/helm/v3/pkg/${part}.k8sVersionMinor=${minor}`,
  ]);
  return ["-s", "-w", ...(name === "helm" ? helm : kubernetes)].join(" ");
}
