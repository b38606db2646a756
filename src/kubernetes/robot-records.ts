// The master copies of what robots are and what they log in with, each the text of one Secret in Berth's own
// namespace. The text is its reader's business; here it is never logged. Two writers never overwrite each other.

import type { Log } from "../log.ts";
import { type KubeAnswer, type KubeClient, unexpectedAnswer } from "./kube-client.ts";
import {
  deletionOf,
  isKubeObject,
  type KubeObject,
  type ObjectVersion,
  textRecord,
  versionOf,
} from "./kube-object.ts";
import { type Collection, listCollection } from "./listing.ts";
import { createOwnWrites, isAtLeast } from "./own-writes.ts";
import { type CollectionWatch, type Known, startWatch, type Watch, type WatchTiming } from "./watch.ts";

export type RecordOutcome = "written" | "conflict";

export interface RobotRecords {
  /** Calls back after each change, first after the first list. */
  start(onChange: () => void): Watch;
  isRead(): boolean;
  /** Name of the Secret → its text, own writes included as soon as they are answered. */
  current(): ReadonlyMap<string, string>;
  /** As the API server has them at this moment, agreed by etcd; `current()` shows them too from then on. */
  reread(signal: AbortSignal): Promise<ReadonlyMap<string, string>>;
  /** Makes it, or replaces the state of it that `current()` shows. */
  write(name: string, text: string, signal: AbortSignal): Promise<RecordOutcome>;
  /** `written` as well when there is none. */
  remove(name: string, signal: AbortSignal): Promise<RecordOutcome>;
}

export interface RobotRecordsNeeds {
  readonly client: KubeClient;
  /** Berth's own. */
  readonly namespace: string;
  readonly onRestart?: () => void;
  readonly log: Log;
  readonly now: () => number;
  readonly random: () => number;
  readonly timing?: Partial<WatchTiming>;
}

interface Stored extends ObjectVersion {
  readonly text: string;
}

const label = "berth.io/robot";
const textKey = "record";

export function createRobotRecords(needs: RobotRecordsNeeds): RobotRecords {
  const { client, namespace } = needs;
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/secrets`;
  const collection: Collection<Stored> = { path, labelSelector: `${label}=true`, pick: stored };
  const own = createOwnWrites<Stored>();
  let watch: CollectionWatch<Stored> | undefined;
  let reread: Known<Stored> | undefined;

  /** Whatever is the newer of what the watch and the last reading show. */
  function known(): Known<Stored> | undefined {
    const watched = watch?.known();
    if (reread === undefined) return watched;
    if (watched === undefined || !isAtLeast(watched.resourceVersion, reread.resourceVersion)) return reread;
    reread = undefined;
    return watched;
  }
  const all = () => own.over(known());
  let texts:
    { readonly of: ReadonlyMap<string, Stored>; readonly all: ReadonlyMap<string, string> } | undefined;

  /** The same map as long as nothing changed. */
  function current(): ReadonlyMap<string, string> {
    const stored = all();
    if (texts?.of !== stored)
      texts = { of: stored, all: new Map([...stored].map(([name, { text }]) => [name, text])) };
    return texts.all;
  }

  async function write(name: string, text: string, signal: AbortSignal): Promise<RecordOutcome> {
    const there = all().get(name);
    const body = secret({ name, namespace, ...versionIn(there) }, text);
    const answer =
      there === undefined
        ? await client.request("POST", path, { body, signal })
        : await client.request("PUT", `${path}/${encodeURIComponent(name)}`, { body, signal });
    // A 404 is one that somebody removed, or a namespace that is gone: the next look shows which.
    if (answer.status === 409 || (answer.status === 404 && there !== undefined)) return "conflict";
    if ((answer.status !== 200 && answer.status !== 201) || !isKubeObject(answer.body)) {
      throw unexpectedAnswer(`write robot record ${name}`, answer);
    }
    own.wrote(name, stored(answer.body));
    return "written";
  }

  async function remove(name: string, signal: AbortSignal): Promise<RecordOutcome> {
    const there = all().get(name);
    if (there === undefined) return "written";
    const options = { body: deletionOf(there), signal };
    const answer: KubeAnswer = await client.request("DELETE", `${path}/${encodeURIComponent(name)}`, options);
    if (answer.status === 409) return "conflict";
    if (answer.status !== 200 && answer.status !== 404) {
      throw unexpectedAnswer(`remove robot record ${name}`, answer);
    }
    own.removed(name, there);
    return "written";
  }

  return {
    start(onChange) {
      watch = startWatch({ ...needs, ...collection, resource: "robot-records", onChange });
      return watch;
    },
    isRead: () => known() !== undefined,
    current,
    async reread(signal) {
      const { entries, resourceVersion } = await listCollection({ client, signal }, collection);
      // Two of these at a time may end in either order.
      if (reread === undefined || isAtLeast(resourceVersion, reread.resourceVersion)) {
        reread = { all: entries, resourceVersion };
      }
      return current();
    },
    write,
    remove,
  };
}

/** One without the key has an empty text, so that it shows and can be replaced. */
function stored(object: KubeObject): Stored {
  const encoded = textRecord(object["data"])[textKey] ?? "";
  return { ...versionOf(object), text: Buffer.from(encoded, "base64").toString("utf8") };
}

function versionIn(there: Stored | undefined): Partial<ObjectVersion> {
  return there === undefined ? {} : { uid: there.uid, resourceVersion: there.resourceVersion };
}

function secret(metadata: object, text: string): object {
  const labels = { [label]: "true", "app.kubernetes.io/managed-by": "berth" };
  const data = { [textKey]: Buffer.from(text).toString("base64") };
  return { apiVersion: "v1", kind: "Secret", metadata: { ...metadata, labels }, type: "Opaque", data };
}
