import { expect } from "chai";
import { createAdmissionTally, createMetrics } from "../src/metrics.ts";

/** Names without the prefix → labels: what dashboards and alerts are written against. */
const documented: Readonly<Record<string, readonly string[]>> = {
  admission_reviews_total: ["path", "operation", "kind", "verdict"],
  admission_refusals_total: ["reason"],
  admission_warnings_total: ["reason"],
  admission_duration_seconds: ["path"],
  admission_failures_total: ["status"],
  admission_in_flight: [],
  catalogue_age_seconds: ["registry"],
  catalogue_max_age_seconds: [],
  catalogue_spaces: ["registry", "visibility"],
  catalogue_refreshes_total: ["registry", "outcome"],
  registry_up: ["registry"],
  registry_request_duration_seconds: ["registry", "outcome"],
  lookups_total: ["registry", "outcome"],
  people_request_duration_seconds: ["route", "status"],
  mode: ["mode"],
  policy_problems: [],
  policy_errors: [],
  policy_documents: [],
  snapshot_generation: [],
  workspaces: [],
  namespaces: ["workspace"],
  pull_secrets: ["state"],
  pull_secret_writes_total: ["outcome"],
  robot_rotations_total: ["outcome"],
  webhook_configured: ["configuration"],
  certificate_expiry_seconds: ["certificate"],
  certificate_lifetime_seconds: ["certificate"],
  leader: [],
  watch_restarts_total: ["resource"],
  watch_last_event_age_seconds: ["resource"],
  build_info: ["version"],
};

interface Described {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly string[];
}

describe("the metrics", () => {
  const described = () =>
    createMetrics("1.2.3", { processMetrics: false }).registry.getMetricsAsArray() as unknown as Described[];

  it("are the documented ones, with their labels", () => {
    const found = Object.fromEntries(described().map(({ name, labelNames }) => [name, labelNames]));
    const expected = Object.entries(documented).map(([name, labels]) => [`berth_${name}`, labels]);
    expect(found).to.deep.equal(Object.fromEntries(expected));
  });

  it("say what they count", () => {
    for (const { name, help } of described()) expect(help, name).to.match(/^[A-Z0-9].{8,}\.$/);
  });

  it("have no label for what a tenant can invent", () => {
    const labels = new Set(described().flatMap(({ labelNames }) => labelNames));
    for (const invented of ["namespace", "image", "user", "username", "name", "space", "uid"])
      expect([...labels]).not.to.include(invented);
  });

  it("tell the version as a label of a constant", async () => {
    const { registry } = createMetrics("1.2.3", { processMetrics: false });
    expect(await registry.metrics()).to.include('berth_build_info{version="1.2.3"} 1');
  });

  it("time admissions from 100 microseconds to the longest time-out of a webhook", async () => {
    const { registry, admissionDuration } = createMetrics("1.2.3", { processMetrics: false });
    admissionDuration.observe({ path: "validate" }, 0.00005);
    const text = await registry.metrics();
    const bounds = [
      ...text.matchAll(/^berth_admission_duration_seconds_bucket\{le="([^"]+)",path="validate"\} 1$/gm),
    ];
    expect([bounds[0]?.[1], bounds.at(-2)?.[1], bounds.at(-1)?.[1]]).to.deep.equal(["0.0001", "30", "+Inf"]);
  });

  it("are each process's own: two sets count apart, and none is global", async () => {
    const [one, two] = [1, 2].map(() => createMetrics("1.2.3", { processMetrics: false }));
    one?.admissionRefusals.inc({ reason: "space-not-bound" });
    const sample = 'berth_admission_refusals_total{reason="space-not-bound"}';
    expect(await one?.registry.metrics()).to.include(`${sample} 1`);
    expect(await two?.registry.metrics()).to.include(`${sample} 0`);
  });

  it("begin at zero where their values are known ahead, so that the first event is an increase", async () => {
    const { registry } = createMetrics("1.2.3", { processMetrics: false });
    const text = await registry.metrics();
    for (const sample of [
      'berth_admission_refusals_total{reason="malformed-object"}',
      'berth_admission_refusals_total{reason="policy-invalid"}',
      'berth_admission_warnings_total{reason="pull-secret-missing"}',
      'berth_admission_failures_total{status="500"}',
      'berth_pull_secret_writes_total{outcome="failed"}',
      'berth_robot_rotations_total{outcome="failed"}',
    ]) {
      expect(text).to.include(`\n${sample} 0\n`);
    }
  });

  it("come with those of the process where that is wanted", async () => {
    const { registry } = createMetrics("1.2.3", { processMetrics: true });
    expect(await registry.metrics()).to.include("process_cpu_seconds_total");
    expect(described().filter(({ name }) => !name.startsWith("berth_"))).to.deep.equal([]);
  });
});

describe("the tally of the admission path", () => {
  const review = { path: "validate", operation: "CREATE", kind: "Pod", verdict: "allow" };
  const samplesOf = async (registry: { metrics(): Promise<string> }): Promise<readonly string[]> =>
    (await registry.metrics())
      .split("\n")
      .filter((line) => /^berth_admission_(reviews_total|duration_seconds_(count|sum)|in_flight)/.test(line));

  it("tells when it hands over what prom-client would have counted, and each review once", async () => {
    const metrics = createMetrics("1.2.3", { processMetrics: false });
    const tally = createAdmissionTally(metrics);
    tally.countReview(review, 0.25);
    tally.countReview({ ...review, verdict: "refuse" }, 0.5);
    tally.inFlight(1);
    tally.handOver();
    tally.countReview(review, 0.25);
    tally.countReview({ ...review, path: "mutate" }, 1);
    tally.inFlight(1);
    tally.inFlight(-1);
    tally.handOver();
    tally.handOver();
    expect(await samplesOf(metrics.registry)).to.have.members([
      'berth_admission_reviews_total{path="validate",operation="CREATE",kind="Pod",verdict="allow"} 2',
      'berth_admission_reviews_total{path="validate",operation="CREATE",kind="Pod",verdict="refuse"} 1',
      'berth_admission_reviews_total{path="mutate",operation="CREATE",kind="Pod",verdict="allow"} 1',
      'berth_admission_duration_seconds_sum{path="validate"} 1',
      'berth_admission_duration_seconds_count{path="validate"} 3',
      'berth_admission_duration_seconds_sum{path="mutate"} 1',
      'berth_admission_duration_seconds_count{path="mutate"} 1',
      "berth_admission_in_flight 1",
    ]);
  });

  it("holds no more than a thousand durations where nobody reads the metrics", async () => {
    const metrics = createMetrics("1.2.3", { processMetrics: false });
    const tally = createAdmissionTally(metrics);
    for (let count = 0; count < 1_500; count += 1) tally.countReview(review, 0);
    const handedOver = 'berth_admission_duration_seconds_count{path="validate"} ';
    expect(await samplesOf(metrics.registry)).to.include(`${handedOver}1000`);
    tally.handOver();
    expect(await samplesOf(metrics.registry)).to.include(`${handedOver}1500`);
  });
});
