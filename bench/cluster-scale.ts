// What a large platform costs, with a real API server and the stand-in Harbor: `npm run bench:cluster`. From an empty
// start to the first complete catalogue and to the last pull secret, what was asked of Harbor and of the API server
// meanwhile and in a minute of rest, and the memory of the process. Reported, not gated: the control plane, Harbor
// and Berth share this machine's cores.

import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, totalmem } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import Table from "cli-table3";
import { startStandInHarbor } from "../src/demo/stand-in-harbor.ts";
import { gather } from "../src/gather.ts";
import { berthNamespace, berthUser, mustCreate, prepareBerth } from "../test/cluster/berth.ts";
import { startControlPlane } from "../test/cluster/control-plane.ts";
import { waitFor, type Identified } from "../test/cluster/kube.ts";

const short = process.argv.includes("--short");
const scale = short
  ? { spaces: 1_000, workspaces: 100, namespaces: 500, bindings: 2_000, restSeconds: 20 }
  : { spaces: 10_000, workspaces: 1_000, namespaces: 5_000, bindings: 20_000, restSeconds: 60 };
/** As a document of a careful administrator: below the size that an edit is told about within a second. */
const bindingsPerDocument = 2_000;
const password = "bench-Only-1";
const patienceMs = 20 * 60_000;

const said: [string, string][] = [];
function say(what: string, value: string): void {
  said.push([what, value]);
  process.stderr.write(`${what}: ${value}\n`);
}

function spaceName(index: number): string {
  return `space-${String(index)}`;
}

function policies(harborUrl: string): readonly Identified[] {
  const configMap = (name: string, document: object): Identified => ({
    kind: "ConfigMap",
    metadata: { name, namespace: berthNamespace, ...{ labels: { "berth.io/policy": "true" } } },
    ...{ data: { "policy.yaml": JSON.stringify(document) } },
  });
  const registry = { name: "managed", type: "harbor", url: harborUrl, credentialsSecret: "harbor-login" };
  const aliases = ["harbor.example.test"];
  const perWorkspace = scale.bindings / scale.workspaces;
  const bindings = Array.from({ length: scale.workspaces }, (_, workspace) => ({
    workspace: `w${String(workspace)}`,
    registry: "managed",
    spaces: Array.from({ length: perWorkspace }, (_unused, index) =>
      spaceName((workspace * 10 + index) % scale.spaces),
    ),
  }));
  const workspacesADocument = bindingsPerDocument / perWorkspace;
  const documents = Array.from({ length: Math.ceil(bindings.length / workspacesADocument) }, (_, index) =>
    bindings.slice(index * workspacesADocument, (index + 1) * workspacesADocument),
  );
  return [
    configMap("registries", { exemptNamespaces: ["kube-system"], registries: [{ ...registry, aliases }] }),
    ...documents.map((some, index) => configMap(`bindings-${String(index)}`, { bindings: some })),
  ];
}

function rssMb(pid: number): string {
  const [, kb = "0"] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${String(pid)}/status`, "utf8")) ?? [];
  return (Number(kb) / 1024).toFixed(0);
}

const auditPolicy = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [{ level: "Metadata", userGroups: [`system:serviceaccounts:${berthNamespace}`] }, { level: "None" }],
};

const results = join(import.meta.dirname, "results");
mkdirSync(results, { recursive: true });
const auditPolicyFile = join(results, "audit-policy.json");
const auditLog = join(results, `audit-${String(process.pid)}.log`);
writeFileSync(auditPolicyFile, JSON.stringify(auditPolicy));

/** What Berth asked of the API server: requests by verb and resource. */
function asked(since: number): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const line of readFileSync(auditLog, "utf8").split("\n")) {
    if (line === "") continue;
    const { verb, objectRef, user, stageTimestamp } = JSON.parse(line) as {
      verb: string;
      objectRef?: { resource?: string };
      user: { username: string };
      stageTimestamp: string;
    };
    if (user.username !== berthUser || Date.parse(stageTimestamp) < since) continue;
    const what = `${verb} ${objectRef?.resource ?? "?"}`;
    counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  return counts;
}

function inWords(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .sort((a, b) => b[1] - a[1])
    .map(([what, count]) => `${what} ${String(count)}`)
    .join(", ");
}

const plane = await startControlPlane({
  apiServerArgs: [`--audit-policy-file=${auditPolicyFile}`, `--audit-log-path=${auditLog}`],
});
const harbor = await startStandInHarbor({
  adminPassword: password,
  projects: Array.from({ length: scale.spaces }, (_, index) => ({
    name: spaceName(index),
    visibility: index % 10 === 9 ? ("public" as const) : ("private" as const),
  })),
});
try {
  await mustCreate(plane.admin, { kind: "Namespace", metadata: { name: berthNamespace } });
  const names = Array.from({ length: scale.namespaces }, (_, index) => index);
  await gather(names, 16, (index) =>
    mustCreate(plane.admin, {
      kind: "Namespace",
      metadata: {
        name: `ns-${String(index)}`,
        ...{ labels: { "workspace.ghippo.io/id": `w${String(index % scale.workspaces)}` } },
      },
    }),
  );
  await mustCreate(plane.admin, {
    kind: "Secret",
    metadata: { name: "harbor-login", namespace: berthNamespace },
    ...{ stringData: { username: "admin", password } },
  });
  for (const policy of policies(harbor.url)) await mustCreate(plane.admin, policy);

  const berth = await prepareBerth({ plane, flags: [] });
  const begun = Date.now();
  await berth.start();
  say("start to ready (first complete catalogue)", `${((Date.now() - begun) / 1000).toFixed(1)} s`);

  async function gauge(name: string): Promise<number> {
    const { text } = await berth.operations("/metrics");
    const [, value = "0"] =
      new RegExp(`^berth_${name.replace(/[{}]/g, "\\$&")} ([0-9.e+]+)$`, "m").exec(text) ?? [];
    return Number(value);
  }
  await waitFor(
    "every namespace with its Secret",
    async () => (await gauge('pull_secrets{state="current"}')) === scale.namespaces,
    patienceMs,
  );
  const doneAt = Date.now();
  const secretsAfter = (doneAt - begun) / 1000;
  say("start to the last pull secret", `${secretsAfter.toFixed(1)} s`);
  say("robots made", String(harbor.robots.list().length));
  say("requests to Harbor until then", String(harbor.requests.length));
  say("failed logins", String([...harbor.logins.failures.values()].reduce((sum, count) => sum + count, 0)));
  await pause(2_000);
  say("asked of the API server until then", inWords(asked(begun)));
  say("RSS then", `${rssMb(berth.pid())} MB`);

  await pause(5_000);
  const restBegun = Date.now();
  const before = harbor.requests.length;
  await pause(scale.restSeconds * 1_000);
  say(
    `requests to Harbor in ${String(scale.restSeconds)} s of rest`,
    String(harbor.requests.length - before),
  );
  await pause(2_000);
  say(`asked of the API server in ${String(scale.restSeconds)} s of rest`, inWords(asked(restBegun)));
  say("RSS after it", `${rssMb(berth.pid())} MB`);
  const { text } = await berth.operations("/metrics");
  const mb = (name: string): string => {
    const [, bytes = "0"] = new RegExp(`^${name} ([0-9.e+]+)$`, "m").exec(text) ?? [];
    return (Number(bytes) / 2 ** 20).toFixed(0);
  };
  const heap = `${mb("nodejs_heap_size_used_bytes")} of ${mb("nodejs_heap_size_total_bytes")} MB`;
  say("heap in use, and outside of it", `${heap}, ${mb("nodejs_external_memory_bytes")} MB`);
  const [, p99 = "?"] = /^nodejs_eventloop_lag_p99_seconds ([0-9.e-]+)$/m.exec(text) ?? [];
  const [, max = "?"] = /^nodejs_eventloop_lag_max_seconds ([0-9.e-]+)$/m.exec(text) ?? [];
  say("event loop lag in the last interval, p99 and longest", `${p99} s, ${max} s`);
  const [, cpu = "?"] = /^process_cpu_seconds_total ([0-9.e-]+)$/m.exec(text) ?? [];
  say("processor time of Berth in all", `${cpu} s`);
  await berth.stop();
} finally {
  await harbor.close();
  await plane.stop();
}

const table = new Table({ style: { head: [], border: [] }, colWidths: [44, 70], wordWrap: true });
table.push(...said);
process.stdout.write(`${table.toString()}\n`);
const machine = { cpu: cpus()[0]?.model, cores: cpus().length, memoryMiB: Math.round(totalmem() / 2 ** 20) };
writeFileSync(
  join(results, "cluster-scale.json"),
  `${JSON.stringify({ at: new Date().toISOString(), node: process.version, machine, scale, results: said }, null, 2)}\n`,
);
