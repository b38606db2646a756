// Helm as a person runs it. What it keeps between runs lies in a folder of its own, never in somebody's home.

import { join } from "node:path";
import { chartFolder } from "../../scripts/chart.ts";
import { manifestsOf, type Manifest } from "../chart/manifests.ts";
import { berthNamespace } from "./berth.ts";
import { binaryPath } from "./binaries.ts";
import { run, type Finished } from "./process.ts";

export function helm(args: readonly string[], folder: string, input = ""): Promise<Finished> {
  const homes = { HELM_CACHE_HOME: "cache", HELM_CONFIG_HOME: "config", HELM_DATA_HOME: "data" };
  const env = Object.fromEntries(
    Object.entries(homes).map(([name, place]) => [name, join(folder, "helm", place)]),
  );
  return run(binaryPath("helm"), args, { input, env: { ...env, KUBECONFIG: undefined } });
}

/** Values as `--set` takes them, or further arguments; in Berth's own namespace unless they name another. */
export async function render(
  folder: string,
  values: readonly string[] = [],
  more: readonly string[] = [],
): Promise<readonly Manifest[]> {
  const { code, stdout, stderr } = await renderTo(folder, values, more);
  if (code !== 0) throw new Error(`helm template: ${stderr}`);
  return manifestsOf(stdout);
}

/** Where it may fail. */
export function renderTo(
  folder: string,
  values: readonly string[],
  more: readonly string[] = [],
): Promise<Finished> {
  const set = values.flatMap((value) => ["--set", value]);
  const common = ["template", "berth", chartFolder, "--namespace", berthNamespace];
  return helm([...common, ...set, ...more], folder);
}
