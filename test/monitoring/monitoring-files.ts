// Alerts, dashboard and runbook as the tests read them, and the metrics that a PromQL expression asks for.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse } from "yaml";

const root = join(import.meta.dirname, "..", "..");
export const alertsFile = join(root, "deploy", "chart", "files", "alerts.yaml");
const dashboardFile = join(root, "deploy", "chart", "files", "dashboard.json");
const runbookFile = join(root, "docs", "runbook.md");

export interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly h: number; readonly w: number; readonly x: number; readonly y: number };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

export interface Dashboard {
  readonly uid: string;
  readonly templating: { readonly list: readonly { readonly name: string }[] };
  readonly panels: readonly Panel[];
}

export function readAlerts(): readonly Alert[] {
  const { groups } = parse(readFileSync(alertsFile, "utf8")) as {
    readonly groups: readonly { readonly rules: readonly Alert[] }[];
  };
  return groups.flatMap(({ rules }) => rules);
}

export function readDashboard(): Dashboard {
  return JSON.parse(readFileSync(dashboardFile, "utf8")) as Dashboard;
}

export function readRunbook(): string {
  return readFileSync(runbookFile, "utf8");
}

export interface Section {
  readonly title: string;
  readonly text: string;
}

/** By their headings of the third level. */
export function readRunbookSections(): readonly Section[] {
  const [, ...sections] = readRunbook().split(/^### /m);
  return sections.map((section) => {
    const [title = "", ...rest] = section.split(/\n(?:## [^]*)?/);
    return { title: title.trim(), text: rest.join("\n") };
  });
}

export interface Matcher {
  readonly label: string;
  readonly operator: string;
  readonly value: string;
}

export interface Selector {
  readonly metric: string;
  readonly matchers: readonly Matcher[];
}

export interface Asked {
  readonly selectors: readonly Selector[];
  /** What results are grouped or joined by. */
  readonly groupedBy: readonly string[];
}

/**
 * What an expression asks for. Reads as much of PromQL as the expressions here use: no name of a metric is a keyword,
 * and no text in a matcher holds a brace.
 */
export function askedIn(expr: string): Asked {
  const groupedBy: string[] = [];
  const ungrouped = expr.replace(/\b(?:by|on|group_left)\s*\(([^)]*)\)/g, (_all, labels: string) => {
    groupedBy.push(...labels.split(",").flatMap((label) => label.trim() || []));
    return " ";
  });
  const bare = ungrouped.replace(/\[[\w$]+\]/g, " ").replace(/\boffset \w+/g, " ");
  const selectors = [...bare.matchAll(/\b([a-zA-Z_]\w*)\b\s*(\(|\{[^}]*\})?/g)].flatMap(
    ([, metric = "", follows = ""]) => {
      if (follows === "(" || keywords.has(metric)) return [];
      const matchers = [...follows.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(
        ([, label = "", operator = "", value = ""]) => ({ label, operator, value }),
      );
      return [{ metric, matchers }];
    },
  );
  return { selectors, groupedBy };
}

const keywords = new Set(["and", "or", "unless"]);
