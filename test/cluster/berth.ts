// Berth as a process beside a control plane: with an account that has no more rights than it needs, the API server
// pointed at it, and a port that stays the same from one start to the next.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { selfSigned } from "../../src/certificates/self-signed.ts";
import { installed, type Manifest } from "../chart/manifests.ts";
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
  /** Of the people's port, on 127.0.0.1, in the latest start. */
  peoplePort(): number;
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
  /** Berth keeps CA, certificate and `caBundle` itself, which is empty at first; `webhook` then names no CA. */
  readonly keepsCertificate?: boolean;
  /** What the API server calls, where that is something in front of Berth. */
  readonly frontPort?: number;
}

/** The account, the certificate and the webhook configurations; `start` is left to the caller. */
export async function prepareBerth(options: BerthOptions): Promise<Berth> {
  const { plane, flags = [], guarding } = options;
  await grantRights(plane.admin);
  const kubeconfigPath = await plane.userKubeconfig(berthUser, [`system:serviceaccounts:${berthNamespace}`]);
  const webhookPort = await freePort();
  const url = `https://localhost:${options.frontPort ?? webhookPort}`;
  const { ca, certificateFlags } =
    options.keepsCertificate === true
      ? { ca: "", certificateFlags: [] }
      : await writeCertificate(plane.folder);
  for (const configuration of webhookConfigurations({ url, caPem: ca }, guarding)) {
    await mustCreate(plane.admin, configuration);
  }

  const common = [
    ...["serve", "--kubeconfig", kubeconfigPath, "--webhook-url", url],
    ...certificateFlags,
    ...["--people-port", "0", "--operations-port", "0", "--bind-address", "127.0.0.1", ...flags],
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

async function writeCertificate(folder: string) {
  const { certificate, key, ca } = await selfSigned(["localhost"], Date.now());
  const certificateFile = join(folder, "berth.crt");
  const keyFile = join(folder, "berth.key");
  await writeFile(certificateFile, certificate);
  await writeFile(keyFile, key, { mode: 0o600 });
  const files = ["--certificate-file", certificateFile, "--key-file", keyFile];
  return { ca, certificateFlags: ["--certificate-mode", "files", ...files] };
}

function replicaOf(args: readonly string[], logs: string): Omit<Berth, "webhook" | "another"> {
  const runs: RunningProcess[] = [];
  let ports: { readonly operationsPort: number; readonly peoplePort: number } | undefined;

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
      ports = JSON.parse(line) as { operationsPort: number; peoplePort: number };
    },
    stop: () => latest().stop(stopTimeoutMs),
    async kill() {
      latest().signal("SIGKILL");
      return latest().exited;
    },
    pid: () => latest().pid,
    peoplePort: () => ports?.peoplePort ?? 0,
    output: () => runs.map((each) => each.output()).join(""),
    async operations(path) {
      const answer = await fetch(`http://127.0.0.1:${ports?.operationsPort ?? 0}${path}`);
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

/** Those of deploy/install.yaml, to the letter. */
async function grantRights(admin: Kube): Promise<void> {
  for (const object of installed) {
    if (isRight(object)) await mustCreate(admin, object);
  }
}

const rightKinds = ["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];

function isRight(object: Manifest): object is Manifest & Identified {
  return rightKinds.includes(object.kind);
}

export async function mustCreate(kube: Kube, object: Identified): Promise<void> {
  const { status, message } = await kube.create(object);
  if (status !== 201) throw new Error(`create ${object.kind} ${object.metadata?.name ?? ""}: ${message}`);
}
