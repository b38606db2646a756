// The Harbors that harbor-operator runs in the namespaces that count: of each HarborCluster its external URL, and of the
// one Secret that it names the administrator's password. Read on a slow beat: one comes or goes a few times a year.
// Whether it becomes a registry is not known here. Secrets stay in memory and are never logged.

import type {
  FoundHarborCluster,
  FoundHarborClusters,
  HarborClusterLogin,
} from "../domain/joined-registries.ts";
import { silentLog } from "../log.ts";
import { createLoop, type Stoppable } from "../loop.ts";
import { KubeAnswerError, type KubeClient, unexpectedAnswer } from "./kube-client.ts";
import { isKubeObject, type KubeObject, textRecord } from "./kube-object.ts";
import { type Collection, listCollection } from "./listing.ts";
import { isObject } from "../domain/json.ts";

export interface HarborClustersNeeds {
  readonly client: KubeClient;
  /** No other is ever asked about. */
  readonly namespaces: readonly string[];
  readonly everyMs?: number;
  readonly random: () => number;
}

/** A new Harbor takes minutes to come up; half a minute more goes unnoticed. */
const defaultEveryMs = 30_000;
/** A platform has a handful; each costs a request a beat. */
const maxClusters = 50;
/**
 * What cannot be read at first keeps the policy waiting, so that bindings find their registry; longer than these
 * rounds, some 3 s where the API server refuses at once and half a minute where it is silent, all others would suffer.
 */
const roundsBeforeGivingUp = 3;

/** What a namespace showed when it last could be read. */
type Known = Map<string, FoundHarborCluster>;

/** Calls back after each round, each time with all there is. */
export function startHarborClusters(
  needs: HarborClustersNeeds,
  onRead: (found: FoundHarborClusters) => void,
): Stoppable {
  const { client, namespaces, everyMs = defaultEveryMs, random } = needs;
  const known = new Map<string, Known>();
  let failedRounds = 0;

  async function round(signal: AbortSignal): Promise<void> {
    const problems: string[] = [];
    let failure: unknown;
    for (const namespace of namespaces) {
      try {
        const reading = await readNamespace({ client, signal }, namespace, known.get(namespace));
        known.set(namespace, reading.clusters);
        problems.push(...reading.problems);
        failure ??= reading.failure;
      } catch (err) {
        signal.throwIfAborted();
        problems.push(`what HarborClusters namespace ${namespace} has cannot be told: ${textOf(err)}`);
        // Without the right to know it, all that may be known is known.
        if (!isForbidden(err)) failure ??= err;
        else if (!known.has(namespace)) known.set(namespace, new Map());
      }
    }
    failedRounds = failure === undefined ? 0 : failedRounds + 1;
    const isComplete = namespaces.every((namespace) => known.has(namespace));
    if (isComplete || failedRounds >= roundsBeforeGivingUp) {
      onRead({ clusters: [...known.values()].flatMap((clusters) => [...clusters.values()]), problems });
    }
    // The loop tries again sooner; what is wrong is told by whoever takes the problems.
    if (failure !== undefined) throw new Error("a HarborCluster could not be read", { cause: failure });
  }

  return createLoop({ name: "HarborClusters", everyMs, run: round, log: silentLog, random });
}

interface Asking {
  readonly client: KubeClient;
  readonly signal: AbortSignal;
}

interface NamespaceReading {
  readonly clusters: Known;
  readonly problems: readonly string[];
  /** That asking again may mend. */
  readonly failure: unknown;
}

async function readNamespace(
  asking: Asking,
  namespace: string,
  before: Known | undefined,
): Promise<NamespaceReading> {
  const written = await listClusters(asking, namespace);
  const clusters: Known = new Map();
  const problems: string[] = [];
  let failure: unknown;
  for (const cluster of [...written.values()].slice(0, maxClusters)) {
    const { name, secret } = cluster;
    try {
      const login = await readLogin(asking, namespace, secret);
      clusters.set(name, { ...cluster, login });
    } catch (err) {
      asking.signal.throwIfAborted();
      problems.push(`the login of HarborCluster ${namespace}/${name} cannot be read: ${textOf(err)}`);
      const last = before?.get(name);
      // No answer takes nothing away; a Secret that is not there, or not Berth's to read, is an answer.
      const isAnswer = err instanceof UnusableSecretError || isForbidden(err);
      if (!isAnswer) failure ??= err;
      clusters.set(name, { ...cluster, login: !isAnswer && last?.secret === secret ? last.login : null });
    }
  }
  if (written.size > maxClusters) {
    problems.push(`namespace ${namespace} has ${written.size} HarborClusters; only ${maxClusters} are read`);
  }
  return { clusters, problems, failure };
}

type WrittenCluster = Omit<FoundHarborCluster, "login">;

/** In the order of their names. */
async function listClusters(asking: Asking, namespace: string): Promise<ReadonlyMap<string, WrittenCluster>> {
  const collection: Collection<WrittenCluster> = {
    path: `/apis/goharbor.io/v1beta1/namespaces/${encodeURIComponent(namespace)}/harborclusters`,
    pick: (object) => writtenCluster(namespace, object),
  };
  try {
    const { entries } = await listCollection(asking, collection);
    return new Map([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
  } catch (err) {
    // There is no such kind: the operator is not installed.
    if (err instanceof KubeAnswerError && err.status === 404) return new Map();
    throw err;
  }
}

/** Source: goharbor/harbor-operator, apis/goharbor.io/v1beta1: both fields are required there. */
function writtenCluster(namespace: string, { metadata, ["spec"]: spec }: KubeObject): WrittenCluster {
  const { externalURL: url, harborAdminPasswordRef: secret } = isObject(spec) ? spec : {};
  return {
    ...{ namespace, name: metadata.name },
    url: typeof url === "string" ? url : "",
    secret: typeof secret === "string" ? secret : "",
  };
}

/** The Secret is not there, or not what harbor-operator would take. */
class UnusableSecretError extends Error {}

/** The pattern of the CRD is not anchored, and the name goes into a path. */
const objectName = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;

/** Source: harbor-operator's meta/v1alpha1 SharedSecretKey. The administrator is always called admin. */
async function readLogin(
  { client, signal }: Asking,
  namespace: string,
  name: string,
): Promise<HarborClusterLogin> {
  if (!objectName.test(name)) throw new UnusableSecretError("harborAdminPasswordRef is no name of a Secret");
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets/${encodeURIComponent(name)}`;
  const answer = await client.request("GET", path, { signal });
  if (answer.status === 404) throw new UnusableSecretError(`there is no Secret ${namespace}/${name}`);
  if (answer.status !== 200 || !isKubeObject(answer.body)) {
    throw unexpectedAnswer(`read Secret ${namespace}/${name}`, answer);
  }
  const data = textRecord(answer.body["data"]);
  const password = decoded(data, "secret");
  if (password === null) throw new UnusableSecretError(`Secret ${namespace}/${name} has no key secret`);
  return { password, ca: decoded(data, "ca.crt") };
}

/** Null where it is empty too. */
function decoded(data: Readonly<Record<string, string>>, key: string): string | null {
  const encoded = Object.hasOwn(data, key) ? data[key] : undefined;
  return encoded === undefined || encoded === "" ? null : Buffer.from(encoded, "base64").toString("utf8");
}

function isForbidden(err: unknown): boolean {
  return err instanceof KubeAnswerError && err.status === 403;
}

function textOf(err: unknown): string {
  const text = err instanceof Error ? err.message : String(err);
  return isForbidden(err) ? `${text}; a Role in that namespace has to grant it to Berth's account` : text;
}
