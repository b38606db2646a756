// A real control plane for one suite: etcd, kube-apiserver and, if asked for, kube-controller-manager, on free
// ports of 127.0.0.1 in a temporary folder. No kubelet and no scheduler: Pods are admitted and stay Pending.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { createAuthority, newKeyPems } from "./authority.ts";
import { binaryPath } from "./binaries.ts";
import { createKube, kubeconfig, waitFor, type Kube, type KubeAccess } from "./kube.ts";
import { run, startProcess, tail, type Finished, type RunningProcess } from "./process.ts";

export interface ControlPlaneOptions {
  /** Makes Pods of Deployments and the like, service accounts, and collects garbage. */
  readonly controllerManager?: boolean;
  /** Added to those of kube-apiserver, for example for an audit log. */
  readonly apiServerArgs?: readonly string[];
}

export interface ControlPlane {
  readonly server: string;
  readonly caPem: string;
  /** Logs, keys and data; gone after `stop` unless `BERTH_TEST_KEEP=1`. */
  readonly folder: string;
  /** May do everything (group system:masters). */
  readonly admin: Kube;
  readonly adminKubeconfigPath: string;
  clientFor(user: string, groups?: readonly string[]): Promise<Kube>;
  /** The path of a kubeconfig; `system:serviceaccount:<namespace>:<name>` makes one for a service account. */
  userKubeconfig(user: string, groups?: readonly string[]): Promise<string>;
  /** Runs kubectl as the administrator, or with the kubeconfig given. */
  kubectl(args: readonly string[], options?: { input?: string; kubeconfigPath?: string }): Promise<Finished>;
  stopApiServer(): Promise<void>;
  startApiServer(): Promise<void>;
  restartApiServer(): Promise<void>;
  /** Freezes etcd: reads and writes of the API server hang and time out. */
  pauseEtcd(): void;
  resumeEtcd(): void;
  stop(): Promise<void>;
}

// Each starts in about two seconds on an idle machine; a busy one with two cores may need ten times that.
const startTimeoutMs = 60_000;
// A free port can be taken by someone else before its process binds it. Three times in a row, it is something else.
const portTries = 3;

export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const folder = await mkdtemp(join(tmpdir(), "berth-cluster-"));
  const started: RunningProcess[] = [];
  try {
    return await startIn(folder, started, options);
  } catch (error) {
    await stopAll(folder, started);
    throw error;
  }
}

async function startIn(
  folder: string,
  started: RunningProcess[],
  { controllerManager = false, apiServerArgs = [] }: ControlPlaneOptions,
): Promise<ControlPlane> {
  const authority = await createAuthority();
  const access = async (user: string, groups: readonly string[]): Promise<Omit<KubeAccess, "server">> => ({
    caPem: authority.caPem,
    certificate: await authority.issueClient(user, groups),
  });
  await writeKeys(folder, authority.caPem, await authority.issueServer());
  const adminAccess = await access("admin", ["system:masters"]);

  const { process: etcd, port: etcdPort } = await onFreePort((port) => startEtcd(folder, port, started));
  const apiServerAt = (port: number) =>
    startApiServerProcess(folder, port, started, adminAccess, [
      ...apiServerFlags(folder, { port, etcdPort }),
      ...apiServerArgs,
    ]);
  const first = await onFreePort(apiServerAt);
  const { port } = first;
  let apiServer = first.process;
  const server = `https://127.0.0.1:${port}`;
  const admin = createKube({ server, ...adminAccess });

  let files = 0;
  async function writeKubeconfig(who: Omit<KubeAccess, "server">): Promise<string> {
    files += 1;
    const path = join(folder, `kubeconfig-${files}.json`);
    await writeFile(path, kubeconfig({ server, ...who }), { mode: 0o600 });
    return path;
  }
  const adminKubeconfigPath = await writeKubeconfig(adminAccess);
  if (controllerManager) await startControllerManager(folder, started, admin, adminKubeconfigPath);

  async function stopApiServer(): Promise<void> {
    await apiServer.stop();
  }
  async function startApiServer(): Promise<void> {
    apiServer = await retryTakenPort(() => apiServerAt(port));
  }

  return {
    server,
    caPem: authority.caPem,
    folder,
    admin,
    adminKubeconfigPath,
    clientFor: async (user, groups = []) => createKube({ server, ...(await access(user, groups)) }),
    userKubeconfig: async (user, groups = []) => writeKubeconfig(await access(user, groups)),
    kubectl: (args, { input = "", kubeconfigPath = adminKubeconfigPath } = {}) =>
      // A cache folder of its own: kubectl's is keyed by address, and ports come back.
      run(
        binaryPath("kubectl"),
        ["--kubeconfig", kubeconfigPath, "--cache-dir", join(folder, "kubectl"), ...args],
        {
          input,
        },
      ),
    stopApiServer,
    startApiServer,
    async restartApiServer() {
      await stopApiServer();
      await startApiServer();
    },
    pauseEtcd: () => etcd.signal("SIGSTOP"),
    resumeEtcd: () => etcd.signal("SIGCONT"),
    stop: () => stopAll(folder, started),
  };
}

async function startEtcd(folder: string, port: number, started: RunningProcess[]): Promise<RunningProcess> {
  const url = `http://127.0.0.1:${port}`;
  const etcd = await startProcess({
    command: binaryPath("etcd"),
    args: [
      `--data-dir=${join(folder, "etcd")}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      // One member has no peers; the port is never used.
      "--listen-peer-urls=http://127.0.0.1:0",
      // Nothing here must survive the machine, and disks make the difference between 1 and 20 ms a write.
      "--unsafe-no-fsync",
      "--log-level=warn",
    ],
    logFile: join(folder, "etcd.log"),
  });
  started.push(etcd);
  await ready("etcd", etcd, async () => (await fetch(`${url}/health`)).ok);
  return etcd;
}

async function startApiServerProcess(
  folder: string,
  port: number,
  started: RunningProcess[],
  adminAccess: Omit<KubeAccess, "server">,
  args: readonly string[],
): Promise<RunningProcess> {
  const apiServer = await startProcess({
    command: binaryPath("kube-apiserver"),
    args,
    logFile: join(folder, "kube-apiserver.log"),
  });
  started.push(apiServer);
  const admin = createKube({ server: `https://127.0.0.1:${port}`, ...adminAccess });
  await ready("kube-apiserver", apiServer, async () => {
    if ((await admin.request("GET", "/readyz")).status !== 200) return false;
    // The last that it makes by itself when it starts on an empty etcd.
    return (await admin.get("Namespace", { name: "kube-system" })).status === 200;
  });
  return apiServer;
}

function apiServerFlags(folder: string, { port, etcdPort }: { port: number; etcdPort: number }): string[] {
  const file = (name: string) => join(folder, name);
  return [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${port}`,
    // Told, since it finds none by itself on a machine with nothing but a loopback interface.
    "--advertise-address=127.0.0.1",
    // The endpoints of the service `kubernetes` must not be loopback addresses; nobody here needs them.
    "--endpoint-reconciler-type=none",
    "--service-cluster-ip-range=10.96.0.0/16",
    `--tls-cert-file=${file("server.crt")}`,
    `--tls-private-key-file=${file("server.key")}`,
    `--client-ca-file=${file("ca.crt")}`,
    `--authentication-config=${file("authentication.json")}`,
    "--authorization-mode=RBAC",
    "--service-account-issuer=https://kubernetes.default.svc",
    `--service-account-key-file=${file("service-account.pub")}`,
    `--service-account-signing-key-file=${file("service-account.key")}`,
    "--allow-privileged=true",
    // Image volumes are beta in 1.34 and still off.
    "--feature-gates=ImageVolume=true",
  ];
}

/** Whoever shows no credentials may ask for health, and for nothing else. */
const authentication = {
  apiVersion: "apiserver.config.k8s.io/v1beta1",
  kind: "AuthenticationConfiguration",
  anonymous: {
    enabled: true,
    conditions: ["/livez", "/readyz", "/healthz"].map((path) => ({ path })),
  },
};

async function writeKeys(
  folder: string,
  caPem: string,
  server: { readonly certificatePem: string; readonly keyPem: string },
): Promise<void> {
  const serviceAccount = await newKeyPems();
  const files = {
    "ca.crt": caPem,
    "server.crt": server.certificatePem,
    "server.key": server.keyPem,
    "service-account.key": serviceAccount.privatePem,
    "service-account.pub": serviceAccount.publicPem,
    "authentication.json": JSON.stringify(authentication),
  };
  await Promise.all(
    Object.entries(files).map(([name, text]) => writeFile(join(folder, name), text, { mode: 0o600 })),
  );
}

const controllers = [
  // Fills the roles view, edit and admin, which are empty without it.
  "clusterrole-aggregation-controller",
  "cronjob-controller",
  "daemonset-controller",
  "deployment-controller",
  "garbage-collector-controller",
  "job-controller",
  "namespace-controller",
  "replicaset-controller",
  "replicationcontroller-controller",
  // Until it has counted, a namespace with a quota takes no Pods.
  "resourcequota-controller",
  "root-ca-certificate-publisher-controller",
  "serviceaccount-controller",
  "serviceaccount-token-controller",
  "statefulset-controller",
];

async function startControllerManager(
  folder: string,
  started: RunningProcess[],
  admin: Kube,
  kubeconfigPath: string,
): Promise<void> {
  const manager = await startProcess({
    command: binaryPath("kube-controller-manager"),
    args: [
      `--kubeconfig=${kubeconfigPath}`,
      `--controllers=${controllers.join(",")}`,
      "--leader-elect=false",
      // No server of its own, so no port that could clash.
      "--secure-port=0",
      `--service-account-private-key-file=${join(folder, "service-account.key")}`,
      `--root-ca-file=${join(folder, "ca.crt")}`,
      // Its own brake (20 a second) would make suites with many objects slow.
      "--kube-api-qps=500",
      "--kube-api-burst=1000",
    ],
    logFile: join(folder, "kube-controller-manager.log"),
  });
  started.push(manager);
  // The first thing that it does for every namespace.
  await ready("kube-controller-manager", manager, async () => {
    const account = await admin.get("ServiceAccount", { namespace: "default", name: "default" });
    return account.status === 200;
  });
}

/** Waits until `look` says yes; the error of one that ends or never gets there holds the end of its log. */
async function ready(name: string, child: RunningProcess, look: () => Promise<boolean>): Promise<void> {
  try {
    const state = await waitFor<"ready" | "ended">(
      `${name} is ready`,
      async () => (child.hasExited() ? "ended" : (await look()) && "ready"),
      startTimeoutMs,
    );
    if (state === "ended") throw new Error(`${name} ended while it started`);
  } catch (cause) {
    throw new Error(`${name} did not start; the end of its log:\n${tail(child.output())}`, { cause });
  }
}

interface OnPort {
  readonly process: RunningProcess;
  readonly port: number;
}

function onFreePort(start: (port: number) => Promise<RunningProcess>): Promise<OnPort> {
  return retryTakenPort(async () => {
    const port = await freePort();
    return { process: await start(port), port };
  });
}

async function retryTakenPort<T>(start: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await start();
    } catch (error) {
      if (tries === portTries || !String(error).includes("address already in use")) throw error;
      await sleep(500);
    }
  }
}

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** In reverse order, so that nobody waits for one that is gone already. */
async function stopAll(folder: string, started: readonly RunningProcess[]): Promise<void> {
  for (const child of started.toReversed()) await child.stop();
  if (process.env["BERTH_TEST_KEEP"] === "1") {
    console.error(`    kept: ${folder}`);
    return;
  }
  await rm(folder, { recursive: true, force: true });
}
