// Before an uninstallation: removes what Berth has made outside its chart, in the order in which nothing is forgotten
// that is still there. Robots first, since only the records tell of them; then the pull secrets, the records, and what
// is published. It holds the Lease meanwhile, so that no Berth makes anew what it removes.

import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { parseLoginRecord, type LoginRecord } from "../domain/login-record.ts";
import type { Secrets } from "../domain/registry-access.ts";
import { parseRobotRecord, type RobotHome, type RobotRecord } from "../domain/robots.ts";
import { gather } from "../gather.ts";
import { createHarborClients } from "../harbor/harbor-clients.ts";
import { listRobots, removeRobot, type SeenRobot } from "../harbor/robot-accounts.ts";
import type { Leftover } from "../kubernetes/leftovers.ts";
import { silentLog, type Log } from "../log.ts";
import { shortHash } from "../reconcilers/credentials.ts";
import { ourName } from "../reconcilers/robot-reconciler.ts";
import { SettingsError, type Settings } from "../settings.ts";
import type { KubernetesCluster } from "./kubernetes-cluster.ts";
import { registryAt } from "./leader.ts";
import type { Terminal } from "./terminal.ts";

export interface CleanupOptions {
  /** Tells what would be removed, and writes nothing anywhere. */
  readonly dryRun: boolean;
}

/** Of `cleanup`. */
export const cleanupCodes = { done: 0, somethingIsLeft: 1, couldNotBegin: 2 } as const;

/** Longer than the 15 s for which a leader that died holds the Lease, and the 2 s between two looks at it. */
const leaseWaitMs = 20_000;
/** A person waits for each try, and there are three. */
const harborTimeoutMs = 10_000;
/** As many as the reconcilers do, which neither Harbor nor the API server notices. */
const atATime = 8;

export async function cleanup(
  settings: Settings,
  { dryRun }: CleanupOptions,
  terminal: Terminal,
  waitMs = leaseWaitMs,
): Promise<number> {
  if (settings.from !== undefined) {
    throw new SettingsError("cleanup is for a cluster: in a folder there is nothing that Berth made");
  }
  const { openKubernetes } = await import("./kubernetes-cluster.ts");
  const identity = `cleanup_${hostname()}_${randomUUID().slice(0, 8)}`;
  const troubles = createTroubles();
  const cluster = await openKubernetes({ settings, identity, log: troubles.log, metrics: undefined });
  try {
    const { namespace } = settings;
    const report = createReport(terminal, dryRun);
    if (dryRun) return await clean({ report, cluster, namespace, signal: AbortSignal.timeout(maxRunMs) });
    return await withLease(cluster, waitMs, async (lead) => {
      if (lead === undefined) {
        terminal.err(`berth: ${await whyNot(settings, cluster, troubles)}\n`);
        return cleanupCodes.couldNotBegin;
      }
      return clean({ report, cluster, namespace, signal: lead });
    });
  } finally {
    cluster.close();
  }
}

/** 5,000 Secrets, one removal in 20 ms; what takes an hour hangs. */
const maxRunMs = 3_600_000;

/** Runs the task while this process leads; with undefined where another one does. */
async function withLease<T>(
  cluster: KubernetesCluster,
  waitMs: number,
  task: (lead: AbortSignal | undefined) => Promise<T>,
): Promise<T> {
  const won = Promise.withResolvers<AbortSignal>();
  const lease = cluster.startLease(won.resolve);
  const waiting = new AbortController();
  const over = sleep(waitMs, undefined, { signal: waiting.signal }).catch(() => undefined);
  try {
    return await task(await Promise.race([won.promise, over]));
  } finally {
    waiting.abort();
    await lease.stop();
  }
}

interface Troubles {
  readonly log: Log;
  /** What the lease last met. */
  last(): string | undefined;
}

function createTroubles(): Troubles {
  let last: string | undefined;
  const warn: Log["warn"] = ({ err }) => {
    if (err instanceof Error) last = err.message;
  };
  return { log: { ...silentLog, warn }, last: () => last };
}

async function whyNot(settings: Settings, cluster: KubernetesCluster, troubles: Troubles): Promise<string> {
  const { namespace } = settings;
  const trouble = troubles.last();
  if (trouble !== undefined) return `the Lease ${namespace}/berth could not be taken: ${trouble}`;
  const holder = await cluster.leftovers.leaseHolder(AbortSignal.timeout(harborTimeoutMs));
  return (
    `Berth still runs: ${holder === "" ? "another process" : holder} holds the Lease ${namespace}/berth. ` +
    `End it first, for example with: kubectl -n ${namespace} scale deployment berth --replicas=0`
  );
}

/** What was done, or would be; and what is left. */
interface Report {
  readonly dryRun: boolean;
  removed(what: string): void;
  left(what: string, why: string): void;
  remark(text: string): void;
  finish(): number;
}

function createReport(terminal: Terminal, dryRun: boolean): Report {
  let removed = 0;
  let left = 0;
  return {
    dryRun,
    removed(what) {
      removed += 1;
      terminal.out(`${dryRun ? "would remove" : "removed"} ${what}\n`);
    },
    left(what, why) {
      left += 1;
      terminal.err(`left ${what}: ${why}\n`);
    },
    remark: (text) => terminal.out(`${text}\n`),
    finish() {
      terminal.out(`${removed} ${dryRun ? "to be removed" : "removed"}, ${left} left\n`);
      if (left > 0) terminal.err("mend what is named above, and run it again\n");
      return left === 0 ? cleanupCodes.done : cleanupCodes.somethingIsLeft;
    },
  };
}

interface Work {
  readonly report: Report;
  readonly cluster: KubernetesCluster;
  /** Berth's own. */
  readonly namespace: string;
  readonly signal: AbortSignal;
}

interface Records {
  readonly robots: ReadonlyMap<string, RobotRecord>;
  readonly logins: ReadonlyMap<string, LoginRecord>;
  readonly unreadable: readonly string[];
}

/** Everything is read before anything is removed: who may not read is told so while all is still there. */
async function clean(work: Work): Promise<number> {
  const { report, signal } = work;
  const { cluster } = work;
  const { leftovers, robotRecords } = cluster;
  const holder = report.dryRun ? await leftovers.leaseHolder(signal) : "";
  if (holder !== "")
    report.remark(`${holder} holds the Lease: where it still runs, it has to be ended first`);
  const uid = await cluster.readUid(signal);
  const records = recordsOf(await robotRecords.reread(signal));
  const pullSecrets = await leftovers.pullSecrets(signal);
  const rest = [...(await leftovers.published(signal)), ...(await leftovers.certificateAuthority(signal))];
  try {
    const cleared = await removeRobots(work, records, uid);
    await removeAll(work, pullSecrets.own);
    for (const namespace of pullSecrets.foreign) {
      report.remark(`Secret berth-pull in ${namespace} is not Berth's, and stays`);
    }
    await removeRecords(work, records, cleared);
    await removeAll(work, rest);
  } catch (err) {
    // What was removed was told; what is left is still on record.
    if (!signal.aborted) throw err;
    report.left("what was not named", messageOf(signal.reason));
  }
  return report.finish();
}

function recordsOf(texts: ReadonlyMap<string, string>): Records {
  const robots = new Map<string, RobotRecord>();
  const logins = new Map<string, LoginRecord>();
  const unreadable: string[] = [];
  for (const [name, text] of texts) {
    const [robot, login] = [parseRobotRecord(text), parseLoginRecord(text)];
    if (robot !== undefined) robots.set(name, robot);
    else if (login !== undefined) logins.set(name, login);
    else unreadable.push(name);
  }
  return { robots, logins, unreadable };
}

/** Resolves to the servers on which no robot of this cluster is left. */
async function removeRobots(work: Work, { robots }: Records, uid: string): Promise<ReadonlySet<string>> {
  const cleared = new Set<string>();
  const homes = new Map([...robots.values()].map(({ home }) => [home.server, home]));
  for (const home of homes.values()) {
    const ofHome = [...robots.values()].filter((record) => record.home.server === home.server);
    const hashes = new Set([shortHash(uid, home.server), ...ofHome.flatMap(hashesIn)]);
    if (await removeRobotsAt(work, home, hashes)) cleared.add(home.server);
  }
  return cleared;
}

/** Of a cluster whose kube-system was made anew, the names tell which it was. */
function hashesIn({ robots }: RobotRecord): readonly string[] {
  return robots.flatMap((robot) => {
    const hash = robot.stage === "asked" ? undefined : clusterHashOf(robot);
    return hash === undefined ? [] : [hash];
  });
}

const hashLength = 16;

/** What stands in its name for the cluster and the server; undefined where it is none of Berth's. */
function clusterHashOf({ fullName }: Pick<SeenRobot, "fullName">): string | undefined {
  return ourName.exec(fullName)?.groups?.["begin"]?.slice(-hashLength);
}

/** By their names, which no other cluster uses: a record may not know of one, and an id may be another's by now. */
async function removeRobotsAt(work: Work, home: RobotHome, hashes: ReadonlySet<string>): Promise<boolean> {
  const { report, signal } = work;
  const place = `${home.registry} (${home.server})`;
  const common = { timeoutMs: harborTimeoutMs, now: Date.now, random: Math.random };
  let clients: ReturnType<typeof createHarborClients> | undefined;
  try {
    const secrets = await secretsOf(work, home);
    clients = createHarborClients({ ...common, secrets: () => secrets });
    const client = clients.clientOf(registryAt(home));
    const robots: SeenRobot[] = [];
    for (const hash of hashes) {
      const listed = await listRobots(client, hash, signal);
      robots.push(...listed.filter((robot) => clusterHashOf(robot) === hash));
    }
    const removals = await gather(robots, atATime, async ({ id, fullName }) => {
      if (!report.dryRun) await removeRobot(client, id, signal);
      report.removed(`robot ${fullName} of ${place}`);
    });
    const failed = removals.find((each) => each.status === "rejected");
    if (failed !== undefined) throw failed.reason;
    return true;
  } catch (err) {
    signal.throwIfAborted();
    report.left(`robots of ${place}`, messageOf(err));
    return false;
  } finally {
    clients?.close();
  }
}

/** The login and the CA of a Harbor, under the names that it has them by. */
async function secretsOf(work: Work, { credentialsSecret, caSecret }: RobotHome): Promise<Secrets> {
  const secrets = new Map<string, Readonly<Record<string, string>>>();
  for (const name of new Set([credentialsSecret, caSecret])) {
    const data = name === null ? undefined : await readLogin(work, name);
    if (name !== null && data !== undefined) secrets.set(name, data);
  }
  return secrets;
}

/** One of a HarborCluster lies in another namespace, and has its administrator's password alone. */
async function readLogin({ cluster: { leftovers }, namespace, signal }: Work, name: string) {
  const [first = "", second] = name.split("/", 2);
  if (second === undefined) return leftovers.readSecret(namespace, first, signal);
  const data = await leftovers.readSecret(first, second, signal);
  return data && { ...data, username: "admin", password: data["secret"] ?? "" };
}

async function removeRecords(
  { report, cluster: { robotRecords }, signal }: Work,
  { robots, logins, unreadable }: Records,
  cleared: ReadonlySet<string>,
): Promise<void> {
  for (const name of unreadable) {
    report.left(
      `record ${name}`,
      "it cannot be read; look in Harbor whether its robot is there, and delete both",
    );
  }
  for (const { registry, server } of logins.values()) {
    report.remark(
      `namespaces had the login of registry ${registry} (${server}); change its password to end it`,
    );
  }
  const removable: string[] = [];
  for (const [name, { home }] of robots) {
    if (cleared.has(home.server)) removable.push(name);
    else report.left(`record ${name}`, `robots of ${home.registry} may be left`);
  }
  await gather([...removable, ...logins.keys()], atATime, async (name) => {
    const what = `record ${name}`;
    try {
      const outcome = report.dryRun ? "written" : await robotRecords.remove(name, signal);
      if (outcome === "written") report.removed(what);
      else report.left(what, "somebody changed it meanwhile");
    } catch (err) {
      report.left(what, messageOf(err));
    }
  });
  signal.throwIfAborted();
}

async function removeAll(
  { report, cluster: { leftovers }, signal }: Work,
  objects: readonly Leftover[],
): Promise<void> {
  await gather(objects, atATime, async (object) => {
    const what = `${object.kind} ${object.name} in ${object.namespace}`;
    try {
      if (!report.dryRun) {
        const removal = await leftovers.remove(object, signal);
        if (removal.kind === "kept") {
          report.left(what, removal.why);
          return;
        }
      }
      report.removed(what);
    } catch (err) {
      report.left(what, messageOf(err));
    }
  });
  signal.throwIfAborted();
}

function messageOf(err: unknown): string {
  return err instanceof Error ? err.message : String(err);
}
