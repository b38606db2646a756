// Berth against a bare node:https server, on one machine in one run: `npm run bench` (`-- --short` for a quick look).
// Ratios are what counts: absolute figures are this machine's, at this moment. That of CPU time a request is the
// steadier one, where others work on the machine too; README.md says how it is measured.

import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";
import Table from "cli-table3";
import { stringify } from "yaml";
import { selfSigned } from "../src/certificates/self-signed.ts";
import { podReview } from "./bodies.ts";
import { decisionCosts } from "./decision-cost.ts";
import { measure, onCore, tool, type Load, type Measured } from "./load.ts";

const short = process.argv.includes("--short");
const rounds = short ? 2 : 7;
const seconds = short ? 1 : 3;
/** Before a case is measured: the engine compiles what the case runs, and is done within some 20,000 requests. */
const warmUpSeconds = short ? 1 : 4;
/** The thread in which large manifests are read ends when it has been idle for ten seconds. */
const settleMs = short ? 1_000 : 12_000;
const connections = 16;
const serverCore = 0;
const otherCore = 1;
const scale = { spaces: 10_000, workspaces: 1_000, namespaces: 5_000 };

/** Both servers alike: a small young generation takes some 25 MiB off under load and costs nothing. */
const nodeFlags = ["--max-semi-space-size=4"];

const password = "bench";
const folder = mkdtempSync(join(tmpdir(), "berth-bench-"));
const children: ChildProcess[] = [];

/** Starts a script of this folder on a core; resolves to what it prints after `pattern`. */
function start(
  core: number,
  command: readonly string[],
  pattern: RegExp,
): Promise<{ child: ChildProcess; found: string }> {
  const [program = "", ...args] = onCore(core, [process.execPath, ...command]);
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  children.push(child);
  return new Promise((resolve, reject) => {
    let text = "";
    child.stderr.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      const found = pattern.exec(text)?.[1];
      if (found !== undefined) resolve({ child, found });
      // What is logged later is not read, but must not fill the pipe either.
      if (text.length > 1e6) text = "";
    });
    child.on("exit", (code) => reject(new Error(`${command.join(" ")} ended with ${String(code)}: ${text}`)));
  });
}

/** The sample cluster: a tenth of the spaces is public, each workspace has five namespaces and ten spaces. */
function writeCluster(harborUrl: string): string {
  const cluster = join(folder, "cluster");
  mkdirSync(cluster);
  const namespaces = Array.from({ length: scale.namespaces }, (_, index) => ({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      name: `ns-${String(index)}`,
      labels: { "workspace.ghippo.io/id": String(index % scale.workspaces) },
    },
  }));
  writeFileSync(
    join(cluster, "namespaces.json"),
    JSON.stringify({ apiVersion: "v1", kind: "List", items: namespaces }),
  );
  const bindings = Array.from({ length: scale.workspaces }, (_, workspace) => ({
    workspace: String(workspace),
    registry: "managed",
    spaces: Array.from({ length: 10 }, (_unused, index) => `space-${String(workspace * 10 + index)}`),
  }));
  const registries = [
    {
      name: "managed",
      type: "harbor",
      url: harborUrl,
      aliases: ["harbor.example.test"],
      credentialsSecret: "login",
    },
  ];
  const metadata = { name: "policy", namespace: "berth-system", labels: { "berth.io/policy": "true" } };
  const secret = { name: "login", namespace: "berth-system" };
  writeFileSync(
    join(cluster, "policy.yaml"),
    [
      stringify({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata,
        data: { "policy.yaml": stringify({ registries, bindings }) },
      }),
      stringify({
        apiVersion: "v1",
        kind: "Secret",
        metadata: secret,
        stringData: { username: "admin", password },
      }),
    ].join("---\n"),
  );
  return cluster;
}

interface OfAServer extends Measured {
  /** A request. */
  readonly cpuUs: number;
}

/**
 * Throughput and latency with the load on another core; CPU time with the load on the server's own. From another core
 * each answer wakes the load generator if that sleeps, which the kernel charges to the server, some 10 µs where the
 * machine is virtual: and it sleeps the more, the slower the server is.
 */
async function measureServer(child: ChildProcess, load: Omit<Load, "core">): Promise<OfAServer> {
  const measured = await measure({ ...load, core: otherCore });
  const before = cpuUs(child);
  const onItsCore = await measure({ ...load, core: serverCore });
  const requests = onItsCore.requestsPerSecond * load.seconds;
  const errors = measured.errors + onItsCore.errors;
  return { ...measured, errors, cpuUs: (cpuUs(child) - before) / requests };
}

function rssMiB({ pid }: ChildProcess): number {
  const status = readFileSync(`/proc/${String(pid)}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
}

/** What the kernel has charged to a process, all threads, in µs; clock ticks are 10 ms on every Linux. */
function cpuUs({ pid }: ChildProcess): number {
  const stat = readFileSync(`/proc/${String(pid)}/stat`, "utf8");
  const [user = 0, system = 0] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13)
    .map(Number);
  return (user + system) * 10_000;
}

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;

try {
  const certificate = await selfSigned(["localhost"], Date.now());
  const files = { certificate: join(folder, "tls.crt"), key: join(folder, "tls.key") };
  writeFileSync(files.certificate, certificate.certificate);
  writeFileSync(files.key, certificate.key, { mode: 0o600 });

  const harbor = await start(
    otherCore,
    ["bench/stand-in.ts", String(scale.spaces), password],
    /listening on (\S+)/,
  );
  const bare = await start(
    serverCore,
    [...nodeFlags, "bench/bare-server.ts", files.certificate, files.key],
    /listening on (\d+)/,
  );
  const berth = await start(
    serverCore,
    [
      ...nodeFlags,
      "src/main.ts",
      "serve",
      ...[
        "--from",
        writeCluster(harbor.found),
        "--webhook-port",
        "0",
        "--people-port",
        "0",
        "--operations-port",
        "0",
      ],
      ...["--certificate-mode", "files", "--certificate-file", files.certificate, "--key-file", files.key],
    ],
    /"webhookPort":(\d+).*Berth is ready/,
  );
  await setTimeout(settleMs);
  const idleMiB = rssMiB(berth.child);

  const publicImage = "harbor.example.test/space-0/app:1.2.3";
  const boundImage = "harbor.example.test/space-121/app:1.2.3";
  const cases = [
    { name: "validate, public image", path: "/validate", body: podReview("ns-5", publicImage, false) },
    { name: "validate, bound image", path: "/validate", body: podReview("ns-12", boundImage, true) },
    { name: "mutate, secret injected", path: "/mutate", body: podReview("ns-12", boundImage, false) },
    {
      name: "validate, refused",
      path: "/validate",
      body: podReview("ns-13", "quay.io/elsewhere/app:1", false),
    },
  ];

  const rows: {
    name: string;
    bare: OfAServer;
    berth: OfAServer;
    cpuRatio: number;
    throughputRatio: number;
  }[] = [];
  for (const { name, path, body } of cases) {
    const urls = {
      bare: `https://localhost:${bare.found}${path}`,
      berth: `https://localhost:${berth.found}${path}?timeout=10s`,
    };
    const load = { body, connections };
    for (const url of [urls.bare, urls.berth]) {
      await measure({ ...load, url, core: otherCore, seconds: warmUpSeconds });
    }
    const pairs: { bare: OfAServer; berth: OfAServer }[] = [];
    // Turn by turn, so that what disturbs the machine disturbs both.
    for (let round = 0; round < rounds; round += 1) {
      pairs.push({
        bare: await measureServer(bare.child, { ...load, url: urls.bare, seconds }),
        berth: await measureServer(berth.child, { ...load, url: urls.berth, seconds }),
      });
    }
    const of = (side: "bare" | "berth", what: keyof OfAServer): number =>
      median(pairs.map((pair) => pair[side][what]));
    const measured = (side: "bare" | "berth"): OfAServer => ({
      cpuUs: of(side, "cpuUs"),
      requestsPerSecond: of(side, "requestsPerSecond"),
      p50Ms: of(side, "p50Ms"),
      p99Ms: of(side, "p99Ms"),
      errors: Math.max(...pairs.map((pair) => pair[side].errors)),
    });
    rows.push({
      name,
      bare: measured("bare"),
      berth: measured("berth"),
      cpuRatio: median(pairs.map((pair) => pair.bare.cpuUs / pair.berth.cpuUs)),
      throughputRatio: median(
        pairs.map((pair) => pair.berth.requestsPerSecond / pair.bare.requestsPerSecond),
      ),
    });
  }

  const table = new Table({
    head: [
      "6 kB review, 16 connections",
      "bare CPU µs",
      "Berth CPU µs",
      "ratio",
      "bare req/s",
      "Berth req/s",
      "ratio",
      "bare p50/p99 ms",
      "Berth p50/p99 ms",
      "errors",
    ],
    style: { head: [], border: [] },
  });
  for (const row of rows) {
    const latency = ({ p50Ms, p99Ms }: Measured): string => `${p50Ms.toFixed(2)} / ${p99Ms.toFixed(2)}`;
    table.push([
      row.name,
      row.bare.cpuUs.toFixed(1),
      row.berth.cpuUs.toFixed(1),
      row.cpuRatio.toFixed(2),
      row.bare.requestsPerSecond.toFixed(0),
      row.berth.requestsPerSecond.toFixed(0),
      row.throughputRatio.toFixed(2),
      latency(row.bare),
      latency(row.berth),
      String(row.bare.errors + row.berth.errors),
    ]);
  }
  const memory = { idleMiB, afterLoadMiB: rssMiB(berth.child), bareAfterLoadMiB: rssMiB(bare.child) };
  const costs = decisionCosts();
  const costTable = new Table({
    head: ["spaces", "bindings", "containers", "ns a decision"],
    style: { head: [], border: [] },
  });
  for (const cost of costs)
    costTable.push([cost.spaces, cost.bindings, cost.containers, cost.nanoseconds].map(String));
  const machine = {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    node: process.version,
    tool,
    rounds,
    seconds,
  };
  console.log(`${table.toString()}\n`);
  console.log(
    `RSS of Berth: ${String(memory.idleMiB)} MiB when ready, ${String(memory.afterLoadMiB)} MiB after the load (bare: ${String(memory.bareAfterLoadMiB)} MiB)`,
  );
  console.log(
    `with ${String(scale.spaces)} spaces, ${String(scale.workspaces)} workspaces, ${String(scale.namespaces)} namespaces\n`,
  );
  console.log(costTable.toString());
  console.log(`\n${JSON.stringify(machine)}`);
  mkdirSync("bench/results", { recursive: true });
  writeFileSync("bench/results/bench.json", JSON.stringify({ machine, scale, rows, memory, costs }, null, 2));
} finally {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
}
