// Writes what is made of the chart: deploy/install.yaml, which Helm renders, and the table of values in the chart's
// README. Tests render both anew and compare. Run with `node scripts/chart.ts` after every change of the chart.

import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { format, resolveConfig } from "prettier";
import { isNode, parse, parseDocument } from "yaml";
import { binaryPath } from "../test/cluster/binaries.ts";

const root = join(import.meta.dirname, "..");
export const chartFolder = join(root, "deploy", "chart");
export const installFile = join(root, "deploy", "install.yaml");
export const readmeFile = join(chartFolder, "README.md");

export interface ChartValue {
  /** For example `image.tag`. */
  readonly path: string;
  readonly byDefault: unknown;
  readonly help: string;
}

/**
 * The values that are documented, each by a comment of one line that begins with `--`; what lies below one is documented
 * by it. Names are found by their lines, two blanks of indentation a level, as Prettier keeps them.
 */
export function chartValues(yaml: string): readonly ChartValue[] {
  const document = parseDocument(yaml);
  const names: string[] = [];
  const found: ChartValue[] = [];
  let help: string | undefined;
  for (const line of yaml.split("\n")) {
    const comment = /^ *# -- (.+)$/.exec(line)?.[1];
    const [, blanks = "", name] = /^( *)([A-Za-z]+):/.exec(line) ?? [];
    if (name !== undefined) {
      names.splice(blanks.length / 2, Infinity, name);
      if (help !== undefined) {
        const node = document.getIn(names, true);
        const byDefault: unknown = isNode(node) ? node.toJS(document) : node;
        found.push({ path: names.join("."), byDefault, help });
      }
    }
    help = comment;
  }
  return found;
}

const tableBegins = "<!-- values: made by scripts/chart.ts of values.yaml -->";
const tableEnds = "<!-- /values -->";

/** The README with the table of just these values. */
export async function readmeWith(readme: string, values: readonly ChartValue[]): Promise<string> {
  const [before, rest] = readme.split(tableBegins);
  const after = rest?.split(tableEnds)[1];
  if (before === undefined || after === undefined)
    throw new Error(`expected ${tableBegins} and ${tableEnds}`);
  const cell = (text: string) => text.replaceAll("|", "\\|");
  const rows = values.map(
    ({ path, byDefault, help }) => `| \`${path}\` | \`${cell(JSON.stringify(byDefault))}\` | ${cell(help)} |`,
  );
  const table = ["| value | default | what it is |", "| --- | --- | --- |", ...rows].join("\n");
  return formatted(`${before}${tableBegins}\n\n${table}\n\n${tableEnds}${after}`, readmeFile);
}

const installHead = (version: string) => `# Berth without Helm: kubectl apply --filename install.yaml
# Rendered from deploy/chart with its default values by scripts/chart.ts; change it there.
#
# Nothing is refused at first, since the mode of ConfigMap berth-policy is warn. The webhooks fail closed all the same:
# while no replica answers, nothing new starts outside kube-system and berth-system. So see to it that the nodes can pull
# the image, and that the API server reaches port 8443 of the Pods, before applying this to a cluster that is in use.
apiVersion: v1
kind: Namespace
metadata:
  name: berth-system
  labels:
    app.kubernetes.io/name: berth
    app.kubernetes.io/instance: berth
    app.kubernetes.io/version: "${version}"
    app.kubernetes.io/component: webhook
    app.kubernetes.io/part-of: berth
    app.kubernetes.io/managed-by: kubectl
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/audit: restricted
    pod-security.kubernetes.io/warn: restricted
`;

/** What install.yaml has to be, by the Helm that the suites use. */
export async function renderInstall(): Promise<string> {
  const helm = spawnSync(
    binaryPath("helm"),
    ["template", "berth", chartFolder, "--namespace", "berth-system", "--no-hooks"],
    { encoding: "utf8" },
  );
  if (helm.status !== 0) throw new Error(`helm template ${chartFolder}: ${helm.stderr}`);
  const objects = helm.stdout.replaceAll(
    "app.kubernetes.io/managed-by: Helm",
    "app.kubernetes.io/managed-by: kubectl",
  );
  const chart = parse(readFileSync(join(chartFolder, "Chart.yaml"), "utf8")) as {
    readonly appVersion: string;
  };
  return formatted(`${installHead(chart.appVersion)}${objects}`, installFile);
}

async function formatted(text: string, filepath: string): Promise<string> {
  return format(text, { ...(await resolveConfig(filepath)), filepath });
}

async function writeAll(): Promise<void> {
  const values = chartValues(readFileSync(join(chartFolder, "values.yaml"), "utf8"));
  writeFileSync(readmeFile, await readmeWith(readFileSync(readmeFile, "utf8"), values));
  writeFileSync(installFile, await renderInstall());
}

if (import.meta.main) await writeAll();
