// Values that the leader publishes as ConfigMaps of Berth's own namespace and that every replica reads. A reader only
// ever sees complete values: further parts are written before the head that names them and removed after the head
// that names them no more, and what comes incomplete leaves the last complete value in force. Does not know what the
// values say.

import { isDeepStrictEqual } from "node:util";
import { sha256 } from "../digest.ts";
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
import { createOwnWrites } from "./own-writes.ts";
import {
  defaultPartBytes,
  factsData,
  generationOf,
  type Head,
  headData,
  isHeadName,
  isPartOf,
  pack,
  parseHead,
  partName,
  unpack,
} from "./published-format.ts";
import { type CollectionWatch, startWatch, type Watch, type WatchTiming } from "./watch.ts";

export interface PublishedValue {
  /** Small, and changed cheaply: with the same text only they are written. */
  readonly facts: Readonly<Record<string, string>>;
  readonly text: string;
}

export interface PublishedStore {
  /**
   * Complete values by name, first after the first list, even when there are none. A text that did not change is
   * the same string.
   */
  start(onChange: (all: ReadonlyMap<string, PublishedValue>) => void): Watch;
  /**
   * Replaces the state that this process knows of; throws if another process wrote meanwhile, and before the first
   * list. A name is a DNS label's characters, without dots.
   */
  publish(name: string, value: PublishedValue, signal: AbortSignal): Promise<void>;
  /** As `publish`; nothing to do is fine. */
  withdraw(name: string, signal: AbortSignal): Promise<void>;
}

export interface PublishedStoreNeeds {
  readonly client: KubeClient;
  /** Berth's own. */
  readonly namespace: string;
  readonly onRestart?: () => void;
  readonly log: Log;
  readonly now: () => number;
  readonly random: () => number;
  readonly timing?: Partial<WatchTiming>;
  readonly maxPartBytes?: number;
}

/** A ConfigMap of ours. */
interface Stored extends ObjectVersion {
  readonly data: Readonly<Record<string, string>>;
  /** In base64; empty when there is none. */
  readonly part: string;
}
type StoredByName = ReadonlyMap<string, Stored>;

const label = "berth.io/published";
const labels = { [label]: "true", "app.kubernetes.io/managed-by": "berth" };

/** Parts are up to 0.7 MiB of base64, and an answer up to 16 MiB is read. */
const pageSize = 20;

export function createPublishedStore(needs: PublishedStoreNeeds): PublishedStore {
  const { client, namespace, log, maxPartBytes = defaultPartBytes } = needs;
  const path = `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps`;
  const own = createOwnWrites<Stored>();
  let watch: CollectionWatch<Stored> | undefined;

  function start(onChange: (all: ReadonlyMap<string, PublishedValue>) => void): Watch {
    const reader = createReader(onChange, log);
    const watched = startWatch({
      ...needs,
      timing: { pageSize, ...needs.timing },
      resource: "published-configmaps",
      path,
      labelSelector: `${label}=true`,
      pick: storedOf,
      onChange: (all) => reader.read(all),
    });
    watch = watched;
    return {
      lastEventAt: () => watched.lastEventAt(),
      async stop() {
        await watched.stop();
        await reader.stop();
      },
    };
  }

  async function publish(name: string, value: PublishedValue, signal: AbortSignal): Promise<void> {
    const what = `publish ${name}`;
    const all = known(what, name);
    const before = all.get(name);
    const digest = sha256(value.text);
    const head = before === undefined ? undefined : completeHead(name, before, all);
    if (before !== undefined && head?.digest === digest) {
      if (!isDeepStrictEqual(head.facts, value.facts))
        await writeFacts(what, name, before, value.facts, signal);
      return;
    }
    const { generation, parts } = await packed(what, value.text);
    const kept = parts.map((_, index) => (index === 0 ? name : partName(name, generation, index)));
    // One after the other: together they are some MiB, and nobody waits for them.
    for (const [index, part] of parts.entries()) {
      if (index > 0) await writePart(what, kept[index] ?? "", part, signal);
    }
    const data = headData({ facts: value.facts, digest, generation, parts: parts.length });
    await writeHead(what, name, before, { data, binaryData: { part: parts[0] } }, signal);
    await removeParts(what, name, all, new Set(kept), signal);
  }

  /** What is there, as far as this process knows; a value that was deposed meanwhile shows by its version. */
  function known(what: string, name: string): StoredByName {
    if (!isHeadName(name)) throw new Error(`${what}: expected a name of letters, digits and dashes`);
    const watched = watch?.known();
    if (watched === undefined) throw new Error(`${what}: what is published has not been read yet`);
    return own.over(watched);
  }

  async function packed(what: string, text: string): ReturnType<typeof pack> {
    try {
      return await pack(text, maxPartBytes);
    } catch (err) {
      throw new Error(`${what}: ${err instanceof Error ? err.message : "it cannot be packed"}`, {
        cause: err,
      });
    }
  }

  /** Whatever is there under this name has the same bytes, or was edited by somebody. */
  async function writePart(what: string, name: string, part: string, signal: AbortSignal): Promise<void> {
    const answer = await client.request("PATCH", `${pathOf(name)}?fieldManager=berth&force=true`, {
      body: configMap({ name, namespace, labels }, { binaryData: { part } }),
      contentType: "application/apply-patch+yaml",
      signal,
    });
    take(`${what}, part ${name}`, name, answer);
  }

  async function writeHead(
    what: string,
    name: string,
    before: Stored | undefined,
    contents: object,
    signal: AbortSignal,
  ): Promise<void> {
    const body = configMap({ name, namespace, labels, ...versionIn(before) }, contents);
    const answer =
      before === undefined
        ? await client.request("POST", path, { body, signal })
        : await client.request("PUT", pathOf(name), { body, signal });
    take(what, name, answer);
  }

  async function writeFacts(
    what: string,
    name: string,
    before: Stored,
    facts: PublishedValue["facts"],
    signal: AbortSignal,
  ): Promise<void> {
    const body = { metadata: versionIn(before), data: factsData(facts) };
    const contentType = "application/merge-patch+json";
    take(what, name, await client.request("PATCH", pathOf(name), { body, contentType, signal }));
  }

  function take(what: string, name: string, answer: KubeAnswer): void {
    if (answer.status === 409) throw unexpectedAnswer(`${what}: another process has written it`, answer);
    if ((answer.status !== 200 && answer.status !== 201) || !isKubeObject(answer.body)) {
      throw unexpectedAnswer(what, answer);
    }
    own.wrote(name, storedOf(answer.body));
  }

  async function withdraw(name: string, signal: AbortSignal): Promise<void> {
    const what = `withdraw ${name}`;
    const all = known(what, name);
    const head = all.get(name);
    if (head !== undefined) await remove(what, name, head, signal);
    await removeParts(what, name, all, new Set(), signal);
  }

  /**
   * Of those that were there before the head was written: a later part may belong to a head that is still to come.
   * What fails is left for the next publication.
   */
  async function removeParts(
    what: string,
    name: string,
    before: StoredByName,
    kept: ReadonlySet<string>,
    signal: AbortSignal,
  ): Promise<void> {
    const superfluous = [...before].filter(([other]) => isPartOf(name, other) && !kept.has(other));
    for (const [other, part] of superfluous) await remove(what, other, part, signal);
  }

  async function remove(what: string, name: string, last: ObjectVersion, signal: AbortSignal): Promise<void> {
    const answer = await client.request("DELETE", pathOf(name), { body: deletionOf(last), signal });
    if (answer.status === 409) throw unexpectedAnswer(`${what}: another process has written it`, answer);
    if (answer.status !== 200 && answer.status !== 404) throw unexpectedAnswer(what, answer);
    own.removed(name, last);
  }

  function pathOf(name: string): string {
    return `${path}/${encodeURIComponent(name)}`;
  }

  return { start, publish, withdraw };
}

interface Reader {
  read(all: StoredByName): void;
  /** Resolves when nothing will be delivered any more. */
  stop(): Promise<void>;
}

/** Reads one state after the other, and skips those that a newer one has overtaken. */
function createReader(onChange: (all: ReadonlyMap<string, PublishedValue>) => void, log: Log): Reader {
  const taken = new Map<string, { readonly digest: string; readonly value: PublishedValue }>();
  /** What was said of which head, so that it is said once. */
  const complaints = new Map<string, string>();
  let owed = true;
  let next: StoredByName | undefined;
  let isReading = false;
  let reading = Promise.resolve();
  let stopped = false;

  async function readAll(): Promise<void> {
    while (next !== undefined && !stopped) {
      const all = next;
      next = undefined;
      forgetAllBut(all);
      const heads = [...all].filter(([name]) => isHeadName(name));
      for (const [name, stored] of heads) await readOne(name, stored, all);
      deliver();
    }
    isReading = false;
  }

  function forgetAllBut(all: StoredByName): void {
    for (const name of complaints.keys()) if (!all.has(name)) complaints.delete(name);
    for (const name of taken.keys()) {
      if (all.has(name)) continue;
      taken.delete(name);
      owed = true;
    }
  }

  async function readOne(name: string, stored: Stored, all: StoredByName): Promise<void> {
    try {
      const head = parseHead(stored.data);
      if (typeof head === "string") throw new Error(head);
      const before = taken.get(name);
      if (before?.digest !== head.digest || !isDeepStrictEqual(before.value.facts, head.facts)) {
        const isSameText = before?.digest === head.digest;
        const text = isSameText
          ? before.value.text
          : await unpack(partsOf(name, head, stored, all), head.digest);
        taken.set(name, { digest: head.digest, value: { facts: head.facts, text } });
        owed = true;
      }
      complaints.delete(name);
    } catch (err) {
      const why = err instanceof Error ? err.message : String(err);
      if (complaints.get(name) === why) return;
      complaints.set(name, why);
      log.warn({ configMap: name, why }, "a published value cannot be read; the last one stays in force");
    }
  }

  function deliver(): void {
    if (stopped || !owed) return;
    try {
      onChange(new Map([...taken].map(([name, { value }]) => [name, value])));
      owed = false;
    } catch (err) {
      log.error(
        { err },
        "published values could not be taken in; they are offered again with the next change",
      );
    }
  }

  return {
    read(all) {
      next = all;
      if (isReading) return;
      isReading = true;
      reading = readAll();
    },
    async stop() {
      stopped = true;
      await reading;
    },
  };
}

/** In force and as it was written. */
function completeHead(name: string, stored: Stored, all: StoredByName): Head | undefined {
  const head = parseHead(stored.data);
  if (typeof head === "string") return undefined;
  const parts = partsOf(name, head, stored, all);
  return generationOf(parts) === head.generation ? head : undefined;
}

/** Those that are there. */
function partsOf(name: string, head: Head, stored: Stored, all: StoredByName): readonly string[] {
  const further = Array.from({ length: head.parts - 1 }, (_, index) =>
    all.get(partName(name, head.generation, index + 1)),
  );
  return [stored, ...further].map((one) => one?.part ?? "");
}

function storedOf(object: KubeObject): Stored {
  const part = textRecord(object["binaryData"])["part"] ?? "";
  return { ...versionOf(object), data: textRecord(object["data"]), part };
}

function versionIn(before: ObjectVersion | undefined): Partial<ObjectVersion> {
  return before === undefined ? {} : { uid: before.uid, resourceVersion: before.resourceVersion };
}

function configMap(metadata: object, contents: object): object {
  return { apiVersion: "v1", kind: "ConfigMap", metadata, ...contents };
}
