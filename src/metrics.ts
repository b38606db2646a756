// Every metric of the process, named and explained in one place. Never a namespace, an image or a user as a label:
// what a tenant can invent must not grow the table.

import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from "prom-client";
import { refusalReasons, warningReasons } from "./domain/reasons.ts";

export type Metrics = ReturnType<typeof createMetrics>;

/** From 100 microseconds, which a decision stays below, to 30 s, the longest time-out of a webhook. */
const admissionBuckets = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];
/** Among those that `http/server.ts` answers: the ones that are no fault of the asker. */
const statusesOfOurOwn = ["500", "503"];
const writeOutcomes = ["written", "removed", "conflict", "refused", "failed"];
const rotationOutcomes = ["made", "removed", "failed"];
const requestBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

export function createMetrics(version: string, options: { readonly processMetrics: boolean }) {
  const registry = new Registry();
  const registers = [registry];
  if (options.processMetrics) collectDefaultMetrics({ register: registry });

  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter({ name: `berth_${name}`, help, labelNames, registers });
  /** Its values are known ahead and begin at zero: Prometheus sees no increase in a series that begins with its first event. */
  const counterOf = <L extends string>(name: string, help: string, label: L, values: Iterable<string>) => {
    const counted = counter(name, help, [label]);
    for (const value of values) counted.inc({ [label]: value } as Record<L, string>, 0);
    return counted;
  };
  const gauge = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge({ name: `berth_${name}`, help, labelNames, registers });
  const histogram = <L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    buckets: readonly number[],
  ) => new Histogram({ name: `berth_${name}`, help, labelNames, buckets: [...buckets], registers });

  gauge("build_info", "Always 1; the version is a label.", ["version"]).set({ version }, 1);

  return {
    registry,
    admissionReviews: counter(
      "admission_reviews_total",
      "Reviews answered. In warn and audit mode the verdict is the one that enforce would give.",
      ["path", "operation", "kind", "verdict"],
    ),
    admissionRefusals: counterOf(
      "admission_refusals_total",
      "Refusals by reason; one review can have several.",
      "reason",
      refusalReasons,
    ),
    admissionWarnings: counterOf(
      "admission_warnings_total",
      "Reviews that would be admitted with a warning, by reason; one review can have several.",
      "reason",
      warningReasons,
    ),
    admissionFailures: counterOf(
      "admission_failures_total",
      "Requests to the webhook's port that got no AdmissionReview, by HTTP status: failed calls.",
      "status",
      statusesOfOurOwn,
    ),
    admissionDuration: histogram(
      "admission_duration_seconds",
      "From the whole body read to the answer ready.",
      ["path"],
      admissionBuckets,
    ),
    admissionInFlight: gauge("admission_in_flight", "Reviews being answered at this moment."),
    catalogueAge: gauge(
      "catalogue_age_seconds",
      "Since the reading that the catalogue in force comes from.",
      ["registry"],
    ),
    catalogueMaxAge: gauge(
      "catalogue_max_age_seconds",
      "From this age on a catalogue is stale: the setting.",
    ),
    catalogueSpaces: gauge("catalogue_spaces", "Spaces in the catalogue in force.", [
      "registry",
      "visibility",
    ]),
    catalogueRefreshes: counter("catalogue_refreshes_total", "Listings of a Harbor by outcome.", [
      "registry",
      "outcome",
    ]),
    registryUp: gauge("registry_up", "1 when the last listing of the registry succeeded.", ["registry"]),
    peopleRequestDuration: histogram(
      "people_request_duration_seconds",
      "Answers of the image selector's API, by route and HTTP status.",
      ["route", "status"],
      requestBuckets,
    ),
    registryRequestDuration: histogram(
      "registry_request_duration_seconds",
      "Requests to a registry.",
      ["registry", "outcome"],
      requestBuckets,
    ),
    lookups: counter("lookups_total", "Look-ups of a single space or grant before a refusal, by outcome.", [
      "registry",
      "outcome",
    ]),
    mode: gauge("mode", "1 for the mode in force, 0 for the others.", ["mode"]),
    policyProblems: gauge("policy_problems", "Problems of the policy documents, warnings included."),
    policyErrors: gauge(
      "policy_errors",
      "Those of the problems that keep a policy document, or a part of it, out of force.",
    ),
    policyDocuments: gauge("policy_documents", "Policy documents in force."),
    snapshotGeneration: gauge("snapshot_generation", "Counts the snapshots of this process."),
    workspaces: gauge("workspaces", "Workspaces that have a namespace."),
    namespaces: gauge("namespaces", "Namespaces by whether a workspace has them.", ["workspace"]),
    pullSecrets: gauge("pull_secrets", "Namespaces by the state of their pull secret; at the leader.", [
      "state",
    ]),
    pullSecretWrites: counterOf(
      "pull_secret_writes_total",
      "Writes of pull secrets by outcome.",
      "outcome",
      writeOutcomes,
    ),
    robotRotations: counterOf(
      "robot_rotations_total",
      "Robot accounts made, removed, and failures of both.",
      "outcome",
      rotationOutcomes,
    ),
    webhookConfigured: gauge(
      "webhook_configured",
      "1 when the webhook configuration is there and sends something to Berth; where Berth looks after it.",
      ["configuration"],
    ),
    certificateExpiry: gauge(
      "certificate_expiry_seconds",
      "Until the certificate expires; negative when it has.",
      ["certificate"],
    ),
    certificateLifetime: gauge(
      "certificate_lifetime_seconds",
      "From the beginning to the end of the certificate's validity.",
      ["certificate"],
    ),
    leader: gauge("leader", "1 at the replica that reads registries and writes robots, secrets and spaces."),
    watchRestarts: counter("watch_restarts_total", "Watches that ended and were begun anew.", ["resource"]),
    watchLastEventAge: gauge(
      "watch_last_event_age_seconds",
      "Since the API server last gave a sign of life on the watch.",
      ["resource"],
    ),
  };
}

export interface ReviewLabels {
  readonly path: string;
  readonly operation: string;
  readonly kind: string;
  readonly verdict: string;
}

/** What the admission path counts, in a form that costs next to nothing until somebody asks. */
export interface AdmissionTally {
  countReview(labels: ReviewLabels, seconds: number): void;
  inFlight(change: 1 | -1): void;
  /** Before the metrics are read, so that they are true at that moment. */
  handOver(): void;
}

/** Handed over in a fifth of a millisecond; 8 kB a path. */
const maxDurationsHeld = 1_000;

/**
 * prom-client checks and joins the labels at each call: half a microsecond a review in a loop, and up to 4 of 50 between
 * two reviews (bench/README.md). Here a review costs a look into a map, and the rest is done in one go.
 */
export function createAdmissionTally({
  admissionReviews,
  admissionDuration,
  admissionInFlight,
}: Pick<Metrics, "admissionReviews" | "admissionDuration" | "admissionInFlight">): AdmissionTally {
  const reviews = new Map<string, { readonly labels: ReviewLabels; count: number }>();
  const durations = new Map<string, number[]>();
  let inFlight = 0;

  function observe(path: string, held: number[]): void {
    for (const seconds of held) admissionDuration.observe({ path }, seconds);
    held.length = 0;
  }

  return {
    countReview(labels, seconds) {
      const { path, operation, kind, verdict } = labels;
      const key = `${path} ${operation} ${kind} ${verdict}`;
      const counted = reviews.get(key);
      if (counted === undefined) reviews.set(key, { labels: { path, operation, kind, verdict }, count: 1 });
      else counted.count += 1;
      const held = durations.get(path);
      if (held === undefined) durations.set(path, [seconds]);
      else if (held.push(seconds) === maxDurationsHeld) observe(path, held);
    },
    inFlight(change) {
      inFlight += change;
    },
    handOver() {
      for (const { labels, count } of reviews.values()) admissionReviews.inc({ ...labels }, count);
      reviews.clear();
      for (const [path, held] of durations) observe(path, held);
      admissionInFlight.set(inFlight);
    },
  };
}
