// Berth as a process beside a control plane: with an account that has no more rights than it needs, the API server
// pointed at it, and a port that stays the same from one start to the next.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { selfSigned } from "../../src/certificates/self-signed.ts";
import type { CallerTarget } from "../../src/demo/webhook-caller.ts";
import { freePort, type ControlPlane } from "./control-plane.ts";
import type { Identified, Kube } from "./kube.ts";
import { run, startProcess, type Exit, type Finished, type RunningProcess } from "./process.ts";
import { webhookConfigurations, type Guarding } from "./webhooks.ts";

export const berthNamespace = "berth-system";
/** A service account, and known to the API server by its certificate. */
export const berthUser = `system:serviceaccount:${berthNamespace}:berth`;

export interface Berth {
  /** Resolves when it says that it is ready. */
  start(): Promise<void>;
  /** SIGTERM; resolves when it has ended. */
  stop(): Promise<Exit>;
  kill(): Promise<Exit>;
  /** Of the latest start. */
  pid(): number;
  /** Standard output and standard error of every start so far. */
  output(): string;
  /** What its operations port answers. */
  operations(
    path: "/livez" | "/readyz" | "/readyz?verbose" | "/metrics",
  ): Promise<{ status: number; text: string }>;
  /** For those who ask it as the API server does. */
  readonly webhook: CallerTarget;
  /** A second replica with the same account and certificate, on ports of its own; the API server does not ask it. */
  another(): Promise<Berth>;
}

/** The drain that a suite sets, 5 s for connections that nobody closes, and time on a busy machine. */
const stopTimeoutMs = 20_000;

export interface BerthOptions {
  readonly plane: ControlPlane;
  readonly flags?: readonly string[];
  /** Installs the guards of namespaces and policy too. */
  readonly guarding?: Guarding | undefined;
}

/** The account, the certificate and the webhook configurations; `start` is left to the caller. */
export async function prepareBerth({ plane, flags = [], guarding }: BerthOptions): Promise<Berth> {
  await grantRights(plane.admin);
  const kubeconfigPath = await plane.userKubeconfig(berthUser, [`system:serviceaccounts:${berthNamespace}`]);
  const webhookPort = await freePort();
  const url = `https://localhost:${webhookPort}`;
  const { certificate, key, ca } = await selfSigned(["localhost"], Date.now());
  const certificateFile = join(plane.folder, "berth.crt");
  const keyFile = join(plane.folder, "berth.key");
  await writeFile(certificateFile, certificate);
  await writeFile(keyFile, key, { mode: 0o600 });
  for (const configuration of webhookConfigurations({ url, caPem: ca }, guarding)) {
    await mustCreate(plane.admin, configuration);
  }

  const common = [
    ...["serve", "--kubeconfig", kubeconfigPath, "--webhook-url", url],
    ...["--certificate-mode", "files", "--certificate-file", certificateFile, "--key-file", keyFile],
    ...["--operations-port", "0", "--bind-address", "127.0.0.1", ...flags],
  ];
  const name = (number: number) => join(plane.folder, `berth-${number}`);
  let replicas = 0;
  const replicaAt = (port: number): Berth => {
    const args = [...common, "--webhook-port", String(port)];
    const another = async () => replicaAt(await freePort());
    replicas += 1;
    return { ...replicaOf(args, name(replicas)), webhook: { port, ca }, another };
  };
  return replicaAt(webhookPort);
}

function replicaOf(args: readonly string[], logs: string): Omit<Berth, "webhook" | "another"> {
  const runs: RunningProcess[] = [];
  let operationsPort: number | undefined;

  function latest(): RunningProcess {
    const current = runs.at(-1);
    if (current === undefined) throw new Error("Berth was never started");
    return current;
  }
  return {
    async start() {
      const logFile = `${logs}-${runs.length + 1}.log`;
      runs.push(await startProcess({ ...berthCommand(args), logFile }));
      const { input: line } = await latest().waitForLine(/Berth is ready/);
      operationsPort = (JSON.parse(line) as { operationsPort: number }).operationsPort;
    },
    stop: () => latest().stop(stopTimeoutMs),
    async kill() {
      latest().signal("SIGKILL");
      return latest().exited;
    },
    pid: () => latest().pid,
    output: () => runs.map((each) => each.output()).join(""),
    async operations(path) {
      const answer = await fetch(`http://127.0.0.1:${operationsPort ?? 0}${path}`);
      return { status: answer.status, text: await answer.text() };
    },
  };
}

/** Another command of Berth, to its end. */
export function runBerth(args: readonly string[], input = ""): Promise<Finished> {
  const { command, args: all, env } = berthCommand(args);
  return run(command, all, { input, env });
}

function berthCommand(args: readonly string[]) {
  const main = join(import.meta.dirname, "../../src/main.ts");
  // Settings of the person who runs the suites are none of theirs.
  const settings = Object.keys(process.env).filter((name) => name.startsWith("BERTH_"));
  const env = Object.fromEntries(settings.map((name) => [name, undefined]));
  return { command: process.execPath, args: [main, ...args], env };
}

const readOnly = ["get", "list", "watch"];

/**
 * What serving takes: namespaces and accounts are read everywhere, pull secrets written by their one name; in Berth's
 * own namespace policy and logins are read, and the lease, robots' records and published values written.
 */
async function grantRights(admin: Kube): Promise<void> {
  const name = "berth";
  const subjects = [{ kind: "User", name: berthUser, apiGroup: "rbac.authorization.k8s.io" }];
  const roleOf = (kind: "Role" | "ClusterRole") => ({ apiGroup: "rbac.authorization.k8s.io", kind, name });
  const inBerths = { name, namespace: berthNamespace };
  const rights: readonly Identified[] = [
    {
      kind: "ClusterRole",
      metadata: { name },
      ...{
        rules: [
          { apiGroups: [""], resources: ["namespaces"], verbs: readOnly },
          { apiGroups: [""], resources: ["serviceaccounts"], verbs: ["list", "watch"] },
          { apiGroups: [""], resources: ["secrets"], verbs: ["create"] },
          {
            apiGroups: [""],
            resources: ["secrets"],
            resourceNames: ["berth-pull"],
            verbs: [...readOnly, "patch", "delete"],
          },
          {
            apiGroups: ["authorization.k8s.io"],
            resources: ["subjectaccessreviews"],
            verbs: ["create"],
          },
        ],
      },
    },
    { kind: "ClusterRoleBinding", metadata: { name }, ...{ roleRef: roleOf("ClusterRole"), subjects } },
    {
      kind: "Role",
      metadata: inBerths,
      ...{
        rules: [
          {
            apiGroups: [""],
            resources: ["configmaps", "secrets"],
            verbs: [...readOnly, "create", "update", "patch", "delete"],
          },
          { apiGroups: ["events.k8s.io"], resources: ["events"], verbs: ["create"] },
          { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["create"] },
          {
            apiGroups: ["coordination.k8s.io"],
            resources: ["leases"],
            resourceNames: ["berth"],
            verbs: ["get", "update"],
          },
        ],
      },
    },
    { kind: "RoleBinding", metadata: inBerths, ...{ roleRef: roleOf("Role"), subjects } },
  ];
  for (const right of rights) await mustCreate(admin, right);
}

export async function mustCreate(kube: Kube, object: Identified): Promise<void> {
  const { status, message } = await kube.create(object);
  if (status !== 201) throw new Error(`create ${object.kind} ${object.metadata?.name ?? ""}: ${message}`);
}
