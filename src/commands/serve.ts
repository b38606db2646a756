// The webhook: build, wire, start, wait for a signal, stop in reverse order.

import { readFile } from "node:fs/promises";
import { danglingBindings } from "../domain/dangling-bindings.ts";
import { builtInKinds } from "../domain/pod-spec.ts";
import type { PolicyProblem } from "../domain/policy.ts";
import { danglingExemptions, missingParts } from "../domain/snapshot.ts";
import { openProxyCaches } from "../domain/visibility.ts";
import { catalogueFacts } from "../feeds/catalogue-feed.ts";
import { createAdmission } from "../http/admission.ts";
import { createNamespaceGuard } from "../http/namespace-guard.ts";
import { startOperationsServer } from "../http/operations.ts";
import { createPolicyGuard, policyWorkerUrl, type PolicyText } from "../http/policy-guard.ts";
import { startSelfCheck, type SelfCheck } from "../http/self-check.ts";
import { startWebhookServer } from "../http/server.ts";
import { createLog, type Log } from "../log.ts";
import { createAdmissionTally, createMetrics, type Metrics } from "../metrics.ts";
import type { Settings } from "../settings.ts";
import { createWorkerDesk } from "../worker-desk.ts";
import { openCertificate, type OpenCertificate, type Validities } from "./certificate.ts";
import { startEngine, untilWhole, type Engine } from "./engine.ts";
import { startPeople } from "./people.ts";
import { version } from "./version.ts";

/** A replica waits so long for the first catalogues; a Harbor that is down must not keep all others from working. */
const readinessTimeoutMs = 60_000;

/**
 * A document within the bounds of the parser takes at most some 4 s, of which a webhook has 10; few people edit
 * policies at once, and whoever floods the guard only gets warnings instead of answers.
 */
const policyDeskLimits = { timeoutMs: 5_000, maxHeapMb: 512, maxWaiting: 4 };

export interface Serving {
  readonly webhookPort: number;
  readonly operationsPort: number;
  /** Null where it is off. */
  readonly peoplePort: number | null;
  /** PEM, where Berth made the certificate itself. */
  readonly ca: string | undefined;
  readonly engine: Engine;
  readonly ready: Promise<void>;
  stop(drainMs: number): Promise<void>;
}

/** Serves until the process is told to end. Resolves to its exit code. */
export async function serve(settings: Settings): Promise<number> {
  const log = createLog(settings.logLevel);
  const serving = await startServing(settings, log);
  const signal = await new Promise<string>((resolve) => {
    for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => resolve(name));
  });
  log.info({ signal, drainMs: settings.drain }, "stopping: new connections find another replica meanwhile");
  await serving.stop(settings.drain);
  log.info({}, "stopped");
  return 0;
}

/** When one part cannot start, those that have are stopped: a process with nothing to serve must end. */
export async function startServing(settings: Settings, log: Log): Promise<Serving> {
  const started: (() => Promise<void>)[] = [];
  try {
    return await startParts(settings, log, started);
  } catch (err) {
    for (const stop of started.reverse()) await stop();
    throw err;
  }
}

async function startParts(settings: Settings, log: Log, started: (() => Promise<void>)[]): Promise<Serving> {
  const metrics = createMetrics(version, { processMetrics: true });
  const engine = await startEngine(settings, log, { metrics });
  started.push(() => engine.stop());
  const { state } = engine;
  const certificate = await openCertificate(settings, log, engine.certificates);
  started.push(() => certificate.stop());
  const clientCa = settings.webhookClientCa && (await readFile(settings.webhookClientCa, "utf8"));
  const host = settings.bindAddress === undefined ? {} : { host: settings.bindAddress };

  const tally = createAdmissionTally(metrics);
  const policyDesk = createWorkerDesk<readonly PolicyText[], readonly PolicyProblem[]>({
    url: policyWorkerUrl,
    ...policyDeskLimits,
  });
  const admission = createAdmission({
    snapshot: () => state.snapshot(),
    lookUps: engine.lookUps,
    kinds: new Map([...builtInKinds, ...settings.podTemplates]),
    guards: [
      createNamespaceGuard({
        hasRight: engine.hasRight,
        enforced: settings.namespaceGuard === "enforce",
        log,
      }),
      createPolicyGuard({ readProblems: (texts) => policyDesk.ask(texts) }),
    ],
    // Without a cluster nobody asks /mutate before, and manifests are judged as written.
    pullSecretMustBeNamed: settings.from === undefined,
    askersAreTrusted: settings.from !== undefined || clientCa !== undefined,
    count: (reviewed) => tally.countReview(reviewed, reviewed.seconds),
    countRefusal: (reason) => metrics.admissionRefusals.inc({ reason }),
    countWarning: (reason) => metrics.admissionWarnings.inc({ reason }),
    pullSecrets: engine.pullSecrets,
    log,
    now: () => performance.now(),
  });
  const webhook = await startWebhookServer(
    {
      admission,
      certificate: certificate.current(),
      ...(clientCa === undefined ? {} : { clientCa }),
      log,
      inFlight: (change) => tally.inFlight(change),
      failed: (status) => metrics.admissionFailures.inc({ status: String(status) }),
    },
    { port: settings.webhookPort, ...host },
  );
  started.push(() => webhook.drain(0));
  const selfCheck = startSelfCheck({
    dialled() {
      const trust = certificate.current() && certificate.trust();
      const at = { host: settings.bindAddress ?? "localhost", port: webhook.port };
      return trust && { ...trust, ...at, wantsClientCertificate: clientCa !== undefined };
    },
    log,
  });
  started.push(() => selfCheck.stop());
  certificate.onChange((changed) => {
    webhook.replaceCertificate(changed);
    selfCheck.again();
  });
  const people = await startPeople(settings, { engine, certificate, metrics, log });
  started.push(() => people.stop());
  metrics.catalogueMaxAge.set(settings.catalogueMaxAge / 1_000);

  let becameReady = false;
  let draining = false;
  const operations = await startOperationsServer(
    {
      notReady() {
        if (draining) return ["draining"];
        const missing = becameReady ? [] : missingParts(state.snapshot());
        return [...unreachableBecause(certificate, selfCheck), ...missing];
      },
      details: () => [...detailsOf(engine), ...certificate.problems()],
      metrics() {
        tally.handOver();
        collect(metrics, engine);
        collectValidities(metrics, { ...certificate.validities(), ...people.validities() });
        for (const [configuration, isInUse] of Object.entries(certificate.configured()))
          metrics.webhookConfigured.set({ configuration }, isInUse ? 1 : 0);
        return metrics.registry.metrics();
      },
      metricsType: metrics.registry.contentType,
      log,
    },
    { port: settings.operationsPort, ...host },
  );

  const stopping = new AbortController();
  const ready = untilReady(engine, selfCheck, stopping.signal).then(() => {
    if (stopping.signal.aborted) return;
    becameReady = true;
    const ports = {
      webhookPort: webhook.port,
      ...(people.port === null ? {} : { peoplePort: people.port }),
      operationsPort: operations.port,
    };
    const missing = missingParts(state.snapshot());
    log.info({ ...ports, ...(missing.length > 0 ? { missing } : {}) }, "Berth is ready");
  });
  return {
    webhookPort: webhook.port,
    operationsPort: operations.port,
    peoplePort: people.port,
    get ca() {
      return certificate.ca();
    },
    engine,
    ready,
    async stop(drainMs) {
      draining = true;
      stopping.abort();
      await selfCheck.stop();
      await webhook.drain(drainMs);
      await people.stop();
      await operations.stop();
      await policyDesk.stop();
      await certificate.stop();
      await engine.stop();
    },
  };
}

/**
 * Policy, namespaces and the webhook's own port without condition, then the catalogues for as long as a Harbor may take;
 * in any case no longer than to the signal.
 */
async function untilReady({ state }: Engine, selfCheck: SelfCheck, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      unsubscribe();
      resolve();
    };
    const look = (): void => {
      const { policyRead, namespacesRead } = state.snapshot();
      if (policyRead && namespacesRead) done();
    };
    const unsubscribe = state.subscribe(look);
    signal.addEventListener("abort", done, { once: true });
    look();
  });
  await untilWhole(state, readinessTimeoutMs, signal);
  const aborted = new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
  if (!signal.aborted) await Promise.race([selfCheck.passed, aborted]);
}

/** What keeps the API server's calls from this replica, whatever it knows. */
function unreachableBecause(certificate: OpenCertificate, selfCheck: SelfCheck): readonly string[] {
  const { webhook } = certificate.validities();
  if (webhook === undefined) return ["there is no certificate to serve yet"];
  if (webhook.to <= Date.now()) return ["the webhook's certificate has expired"];
  const problem = selfCheck.problem();
  return problem === undefined ? [] : [problem];
}

function collectValidities(metrics: Metrics, validities: Validities): void {
  for (const [certificate, { from, to }] of Object.entries(validities)) {
    metrics.certificateExpiry.set({ certificate }, (to - Date.now()) / 1_000);
    metrics.certificateLifetime.set({ certificate }, (to - from) / 1_000);
  }
}

/** What is known only at the moment when somebody asks. */
function collect(metrics: Metrics, engine: Engine): void {
  const now = Date.now();
  const snapshot = engine.state.snapshot();
  const { policy, namespaces } = snapshot;
  for (const mode of ["enforce", "warn", "audit"] as const)
    metrics.mode.set({ mode }, policy.mode === mode ? 1 : 0);
  metrics.policyProblems.set(policy.problems.length + danglingExemptions(snapshot).length);
  metrics.policyErrors.set(policy.problems.filter(({ severity }) => severity === "error").length);
  metrics.policyDocuments.set(policy.documents);
  metrics.snapshotGeneration.set(snapshot.generation);

  const workspaces = new Set<string>();
  let bound = 0;
  for (const workspace of namespaces.values()) {
    if (workspace === null) continue;
    workspaces.add(workspace);
    bound += 1;
  }
  metrics.workspaces.set(workspaces.size);
  metrics.namespaces.set({ workspace: "bound" }, bound);
  metrics.namespaces.set({ workspace: "none" }, namespaces.size - bound);

  // Registries come and go with the policy, and a gauge of one that is gone would stay for ever.
  for (const gauge of [metrics.catalogueAge, metrics.catalogueSpaces, metrics.registryUp]) gauge.reset();
  for (const [registry, facts] of catalogueFacts(snapshot, now)) {
    metrics.catalogueAge.set({ registry }, facts.ageMs / 1_000);
    metrics.catalogueSpaces.set({ registry, visibility: "public" }, facts.spaces.public);
    metrics.catalogueSpaces.set({ registry, visibility: "private" }, facts.spaces.private);
  }
  for (const [registry, { up }] of engine.registryReports()) metrics.registryUp.set({ registry }, up ? 1 : 0);
  for (const [registry, { up, outcome }] of engine.registryStatus()) {
    if (outcome !== null) metrics.registryUp.set({ registry }, up ? 1 : 0);
  }
  const leads = engine.leads();
  // Where there is nothing to lead, a 0 would say that nobody does.
  if (leads === null) metrics.leader.remove();
  else metrics.leader.set(leads ? 1 : 0);
  metrics.pullSecrets.reset();
  for (const [state, count] of Object.entries(engine.pullSecretStates() ?? {})) {
    metrics.pullSecrets.set({ state }, count);
  }
  for (const [resource, at] of engine.lastEventAt()) {
    metrics.watchLastEventAge.set({ resource }, (now - at) / 1_000);
  }
}

/** For people who ask `/readyz?verbose`: each registry, then what is not as the policy wants it. */
function detailsOf(engine: Engine): readonly string[] {
  const snapshot = engine.state.snapshot();
  const facts = catalogueFacts(snapshot, Date.now());
  const reports = engine.registryReports();
  const readings = engine.registryStatus();
  const registries = [...snapshot.policy.registries.values()].map((registry) => {
    const report = reports.get(registry.name);
    const reading = readings.get(registry.name);
    const catalogue = facts.get(registry.name);
    const parts = [
      report === undefined ? "not checked by this replica" : report.up ? "up" : "down",
      ...(catalogue === undefined
        ? []
        : [
            `catalogue of ${Math.round(catalogue.ageMs / 1_000)} s ago with ` +
              `${catalogue.spaces.public} public and ${catalogue.spaces.private} private spaces`,
          ]),
      ...(reading?.outcome === "implausible"
        ? [`its listing is not believed: ${reading.problem ?? ""}`]
        : []),
      ...(report?.problems ?? []),
    ];
    return `registry ${registry.name} (${registry.type}): ${parts.join("; ")}`;
  });
  const leads = engine.leads();
  const role = leads === null ? [] : [leads ? "this replica leads" : "another replica leads"];
  const open = openProxyCaches(snapshot).map(
    ({ registry, space }) =>
      `the proxy cache ${registry}/${space} is public, and opens the whole registry behind it to every namespace; ` +
      "proxyCaches: private at its registry in the policy closes it",
  );
  const shown = [open, danglingBindings(snapshot), engine.problems()].flatMap((lines) =>
    lines.slice(0, maxProblemsShown),
  );
  return [...role, ...registries, ...shown];
}

/** A screenful. */
const maxProblemsShown = 50;
