// Writes docs/configuration.md from the settings themselves and the chart's values; with --check it only says whether
// the file is what it would write.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isMap, isPair, parseDocument, visit } from "yaml";
import { format, resolveConfig } from "prettier";
import { flagOf, settingSpecs, variableOf } from "../src/settings.ts";

const checkout = join(import.meta.dirname, "..");
const file = join(checkout, "docs", "configuration.md");
const valuesFile = join(checkout, "deploy", "chart", "values.yaml");

const opening = `<!-- Written by scripts/configuration-reference.ts (npm run docs); a test holds it to the settings. -->

# Configuration

Every setting of \`berth serve\` is an environment variable with a flag of the same name; a flag wins over its variable,
and an empty variable is none. An unknown flag or a value that is not valid ends the start with exit code 2 and one line
that says what was expected. Durations are written \`15s\`, \`5m\`, \`1h\`, and those of certificates \`30d\` too. Port 0 is any
free one; the ports in use are in the log line that says that Berth is ready.

Commands that ask a folder or a cluster (\`check\`, \`explain\`, \`registries\`, \`cleanup\`) take those settings of it that
bear on their answer. There Berth's own namespace is \`--berth-namespace\`, since \`--namespace\` is that of the manifests.
`;

const closing = `A setting without a chart value is one that the chart makes itself, or that has no place in a cluster;
\`extraEnv\` and \`extraArgs\` set any of them.

What is policy and no setting (registries, spaces, bindings, mode, exempt namespaces) is in ConfigMaps, and in force
within seconds of an edit; see the README.
`;

const text = await configurationReference();
if (!process.argv.includes("--check")) {
  writeFileSync(file, text);
} else if (!existsSync(file) || readFileSync(file, "utf8") !== text) {
  console.error("docs/configuration.md is not what the settings say: run npm run docs");
  process.exitCode = 1;
}

async function configurationReference(): Promise<string> {
  const values = chartValues(readFileSync(valuesFile, "utf8"));
  const rows = Object.entries(settingSpecs).map(([name, spec]) => {
    const byDefault = "default" in spec && spec.default !== "" ? code(spec.default) : "";
    const value = values.get(variableOf(name));
    return [
      code(variableOf(name)),
      code(`${flagOf(name)} <${spec.value}>`),
      byDefault,
      inCell(spec.help),
      value === undefined ? "" : code(value),
    ];
  });
  const head = ["Variable", "Flag", "Default", "What it does", "Chart value"];
  const table = [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
  const options = await resolveConfig(file);
  return format(`${opening}\n${table}\n\n${closing}`, { ...options, parser: "markdown" });
}

/** Variable → the path of the chart's value whose comment names it. */
function chartValues(yaml: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  visit(parseDocument(yaml), {
    Pair(_, pair, ancestors) {
      const keys = [...ancestors.filter((node) => isPair(node)), pair].map(({ key }) => String(key));
      const comment = commentOn(pair, ancestors.at(-1));
      for (const [variable = ""] of comment.matchAll(/BERTH_[A-Z_]+/g)) {
        if (!values.has(variable)) values.set(variable, keys.join("."));
      }
    },
  });
  return values;
}

/** The library hangs the comment above the first key of a map on the map, and any other on its key. */
function commentOn(pair: unknown, map: unknown): string {
  if (!isPair(pair)) return "";
  const own = (pair.key as { commentBefore?: string | null }).commentBefore ?? "";
  const isFirst = isMap(map) && map.items[0] === pair;
  return isFirst ? `${map.commentBefore ?? ""}\n${own}` : own;
}

function code(text: string): string {
  return `\`${text}\``;
}

/** A bar would end the cell, and what stands between angle brackets would be taken for HTML. */
function inCell(text: string): string {
  return text.replace(/[|<]/g, "\\$&");
}
