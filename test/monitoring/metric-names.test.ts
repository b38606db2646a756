// Alerts, dashboard and runbook, held to the metrics that there are and to each other; without Prometheus.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { parseAllDocuments } from "yaml";
import { refusalReasons } from "../../src/domain/reasons.ts";
import { createMetrics } from "../../src/metrics.ts";
import type { PullSecretState } from "../../src/reconcilers/pull-secret-reconciler.ts";
import type { RobotNeeds } from "../../src/reconcilers/robot-reconciler.ts";
import {
  askedIn,
  readAlerts,
  readDashboard,
  readRunbook,
  readRunbookSections,
  type Selector,
} from "./monitoring-files.ts";

/** Of the API server, with their labels: k8s.io/apiserver, pkg/admission/metrics and pkg/endpoints/metrics. */
const apiServerMetrics: Readonly<Record<string, readonly string[]>> = {
  apiserver_admission_webhook_rejection_count: ["name", "type", "operation", "error_type", "rejection_code"],
  apiserver_admission_webhook_fail_open_count: ["name", "type"],
  apiserver_admission_webhook_admission_duration_seconds_bucket: [
    "name",
    "type",
    "operation",
    "rejected",
    "le",
  ],
  apiserver_request_total: ["verb", "group", "version", "resource", "subresource", "code"],
};

/** What Prometheus adds to whatever it scrapes in a Pod. */
const targetLabels = ["job", "instance", "pod"];

/** The values of labels, where expressions ask for some. */
const states = ["current", "missing", "outdated", "foreign", "refused"] satisfies PullSecretState[];
type RotationOutcome = Parameters<NonNullable<RobotNeeds["observe"]>>[0];
const rotations = ["made", "failed", "removed"] satisfies RotationOutcome[];
const values: Readonly<Record<string, readonly string[]>> = {
  "berth_mode mode": ["enforce", "warn", "audit"],
  "berth_pull_secrets state": states,
  "berth_robot_rotations_total outcome": rotations,
  "berth_admission_refusals_total reason": [...refusalReasons],
  "berth_admission_reviews_total path": ["mutate", "validate"],
  "berth_admission_duration_seconds_bucket path": ["mutate", "validate"],
  "berth_admission_failures_total status": ["500", "503"],
};

interface Described {
  readonly name: string;
  readonly type: string;
  readonly labelNames: readonly string[];
}

interface Installed {
  readonly webhooks?: readonly { readonly name: string; readonly failurePolicy: string }[];
}

function exportedMetrics(): ReadonlyMap<string, readonly string[]> {
  const { registry } = createMetrics("1.2.3", { processMetrics: true });
  const all = new Map(Object.entries(apiServerMetrics));
  for (const { name, type, labelNames } of registry.getMetricsAsArray() as unknown as Described[]) {
    if (type !== "histogram") all.set(name, labelNames);
    else {
      for (const suffix of ["_count", "_sum"]) all.set(name + suffix, labelNames);
      all.set(`${name}_bucket`, [...labelNames, "le"]);
    }
  }
  return all;
}

const exported = exportedMetrics();

function expectExists({ metric, matchers }: Selector): void {
  expect([...exported.keys()]).to.include(metric);
  for (const { label, operator, value } of matchers) {
    expect(exported.get(metric), metric).to.include(label);
    const known = values[`${metric} ${label}`];
    if (known === undefined) continue;
    const alternatives = operator.endsWith("~") ? value.split("|") : [value];
    for (const each of alternatives) {
      const isKnown = known.some((one) => new RegExp(`^(?:${each})$`).test(one));
      expect(isKnown, `${metric}{${label}="${each}"}`).to.equal(true);
    }
  }
}

function expectSound(expr: string): void {
  const { selectors, groupedBy } = askedIn(expr);
  expect(selectors).not.to.be.empty;
  for (const selector of selectors) expectExists(selector);
  const labels = selectors.flatMap(({ metric }) => exported.get(metric) ?? []);
  for (const label of groupedBy) expect([...labels, ...targetLabels]).to.include(label);
}

describe("what is asked for by an expression", () => {
  it("is found: metrics, matchers, and labels to group by", () => {
    const expr =
      'sum by (le, path) (rate(a_bucket{path="x", k=~"a|b"}[5m])) > 2 * max(b) and on () c offset 15m or vector(0)';
    expect(askedIn(expr)).to.deep.equal({
      selectors: [
        {
          metric: "a_bucket",
          matchers: [
            { label: "path", operator: "=", value: "x" },
            { label: "k", operator: "=~", value: "a|b" },
          ],
        },
        { metric: "b", matchers: [] },
        { metric: "c", matchers: [] },
      ],
      groupedBy: ["le", "path"],
    });
  });

  for (const wrong of [
    "max(berth_policy_eror)",
    'max(berth_mode{mood="enforce"})',
    'max(berth_mode{mode="enforced"})',
    'max(berth_pull_secrets{state=~"missing|lost"})',
    "sum by (namespace) (berth_leader)",
    "rate(berth_admission_duration_seconds[5m])",
  ]) {
    it(`is missed where it does not exist: ${wrong}`, () => {
      expect(() => expectSound(wrong)).to.throw();
    });
  }
});

describe("the alerts", () => {
  for (const { alert, expr, labels, annotations } of readAlerts()) {
    it(`ask for what there is: ${alert}`, () => {
      expectSound(expr);
      const { selectors, groupedBy } = askedIn(expr);
      const told = [...JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label);
      expect(groupedBy, "labels that survive").to.include.members(told);
      expect(selectors.some(({ metric }) => /^(berth_|apiserver_)/.test(metric))).to.equal(true);
      expect(labels["severity"]).to.be.oneOf(["critical", "warning"]);
      expect(Object.keys(annotations)).to.deep.equal(["summary", "description", "runbook_url"]);
    });
  }

  it("have one name each", () => {
    const names = readAlerts().map(({ alert }) => alert);
    expect(new Set(names).size).to.equal(names.length);
    for (const name of names) expect(name).to.match(/^Berth[A-Z][A-Za-z]+$/);
  });

  it("know the webhooks by the names that the API server calls them", () => {
    const text = readFileSync(join(import.meta.dirname, "..", "..", "deploy", "install.yaml"), "utf8");
    const objects = parseAllDocuments(text).map((document) => document.toJS() as Installed | null);
    const webhooks = objects.flatMap((object) => object?.webhooks ?? []);
    const asked = readAlerts().flatMap(({ expr }) =>
      askedIn(expr).selectors.flatMap(({ metric, matchers }) =>
        metric.startsWith("apiserver_admission_") ? matchers.filter(({ label }) => label === "name") : [],
      ),
    );
    expect(asked).not.to.be.empty;
    for (const { operator, value } of asked) {
      if (operator === "=~")
        for (const { name } of webhooks) expect(name).to.match(new RegExp(`^(?:${value})$`));
      else {
        const opens = webhooks.filter(({ failurePolicy }) => failurePolicy === "Ignore");
        expect(opens.map(({ name }) => name)).to.deep.equal([value]);
      }
    }
  });
});

describe("the runbook", () => {
  const sections = readRunbookSections();
  const alerts = readAlerts();

  for (const { alert, annotations } of alerts) {
    it(`says of ${alert} what it means, what people notice, how to look, and how to mend`, () => {
      const section = sections.find(({ title }) => title === alert);
      // The chart puts another address in the place of the path.
      expect(annotations["runbook_url"]).to.equal(`docs/runbook.md#${alert.toLowerCase()}`);
      for (const part of ["**Means.**", "**People notice.**", "**Look.**", "**Mend.**"])
        expect(section?.text, part).to.include(part);
    });
  }

  it("has no section for an alert that there is not", () => {
    const titles = sections.map(({ title }) => title).filter((title) => title.startsWith("Berth"));
    expect(titles).to.have.members(alerts.map(({ alert }) => alert));
  });

  it("has a heading for each of its own links", () => {
    const text = readRunbook();
    const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) =>
      heading
        .toLowerCase()
        .replace(/[^a-z0-9_ -]/g, "")
        .replaceAll(" ", "-"),
    );
    expect(new Set(headings).size, "headings").to.equal(headings.length);
    for (const [, anchor] of text.matchAll(/\]\(#([^)]+)\)/g)) expect(headings).to.include(anchor);
  });

  it("speaks of metrics that there are", () => {
    for (const { title, text } of sections) {
      for (const [name] of text.matchAll(/\bberth_[a-z_]+\b/g))
        expect([...exported.keys()], title).to.include(name);
    }
  });
});

describe("the dashboard", () => {
  const { panels, templating } = readDashboard();

  for (const { title, targets = [] } of panels) {
    for (const { expr, legendFormat } of targets) {
      it(`asks for what there is: ${title}: ${legendFormat}`, () => {
        expectSound(expr);
        const { groupedBy } = askedIn(expr);
        const shown = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label);
        expect([...groupedBy, ...targetLabels]).to.include.members(shown);
      });
    }
  }

  it("shows every metric of Berth, but for what only an alert compares with", () => {
    const shown = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
    const watched = readAlerts().map(({ expr }) => expr);
    const asked = [...shown, ...watched].flatMap((expr) =>
      askedIn(expr).selectors.map(({ metric }) => metric),
    );
    const { registry } = createMetrics("1.2.3", { processMetrics: false });
    for (const { name } of registry.getMetricsAsArray())
      expect(
        asked.some((metric) => metric.startsWith(name)),
        name,
      ).to.equal(true);
  });

  it("has panels that lie beside each other, within the width that Grafana has", () => {
    expect(new Set(panels.map(({ id }) => id)).size).to.equal(panels.length);
    const taken = new Set<string>();
    for (const { title, gridPos } of panels) {
      expect(gridPos.x + gridPos.w, title).to.be.at.most(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect(taken.has(`${x} ${y}`), title).to.equal(false);
          taken.add(`${x} ${y}`);
        }
      }
    }
  });

  it("takes the data source that the person chooses", () => {
    expect(templating.list.map(({ name }) => name)).to.deep.equal(["datasource"]);
    expect(JSON.stringify(panels).match(/"uid":"(?!\$\{datasource\})/g)).to.equal(null);
  });
});
