// Tells people about Berth's own objects by Events beside them, where `kubectl get events` shows them. A courtesy:
// nothing waits for it, nothing depends on it, and what fails or is too much is left out.

import { LRUCache } from "lru-cache";
import type { Log } from "../log.ts";
import { createTokenBucket, type Rate } from "../token-bucket.ts";
import { type KubeClient, unexpectedAnswer } from "./kube-client.ts";

export interface Regarding {
  readonly kind: string;
  readonly name: string;
  readonly apiVersion: string;
  /** With it, `kubectl describe` shows the Event too. */
  readonly uid?: string;
}

export interface EventFacts {
  /** An object of Berth's own namespace. */
  readonly regarding: Regarding;
  readonly type: "Normal" | "Warning";
  /** One word, such as `PolicyProblem`. */
  readonly reason: string;
  readonly note: string;
}

export interface Events {
  emit(event: EventFacts): void;
}

export interface EventsNeeds {
  readonly client: Pick<KubeClient, "request">;
  /** Berth's own. */
  readonly namespace: string;
  /** Of this replica. */
  readonly identity: string;
  readonly log: Log;
  readonly now: () => number;
}

/** The API server forgets Events after an hour by default; said again then, what still is so stays visible. */
const repeatAfterMs = 3_600_000;
/** More problems at a time than a person reads. */
const maxRemembered = 1_000;
/** 25 at once as in the Go client; later one in ten seconds, 360 in the hour for which they are kept. */
const rate: Rate = { perSecond: 0.1, burst: 25 };
/** The API server's limits. */
const maxNoteBytes = 1_024;
const maxIdentityLength = 128;

export function createEvents({ client, namespace, identity, log, now }: EventsNeeds): Events {
  const emitted = new LRUCache<string, true>({
    max: maxRemembered,
    ttl: repeatAfterMs,
    ttlResolution: 0,
    perf: { now },
  });
  const bucket = createTokenBucket(rate, now);
  let isFailing = false;

  async function send({ regarding, type, reason, note }: EventFacts): Promise<void> {
    const body = {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { generateName: "berth-", namespace },
      eventTime: new Date(now()).toISOString().replace("Z", "000Z"),
      reportingController: "berth.io/berth",
      reportingInstance: identity.slice(0, maxIdentityLength),
      action: reason,
      regarding: { ...regarding, namespace },
      type,
      reason,
      note: shortened(note),
    };
    const path = `/apis/events.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/events`;
    const answer = await client.request("POST", path, { body });
    if (answer.status !== 201) throw unexpectedAnswer("write an Event", answer);
  }

  return {
    emit(event) {
      const { regarding, type, reason, note } = event;
      const key = JSON.stringify([regarding.kind, regarding.name, type, reason, note]);
      if (emitted.has(key) || !bucket.holds()) return;
      bucket.take();
      emitted.set(key, true);
      send(event).then(
        () => (isFailing = false),
        (err: unknown) => {
          // The next time that it is said it may come through.
          emitted.delete(key);
          if (!isFailing) log.warn({ reason, err }, "an Event could not be written");
          isFailing = true;
        },
      );
    },
  };
}

function shortened(note: string): string {
  let text = note;
  while (Buffer.byteLength(text) > maxNoteBytes - 3) text = text.slice(0, -Math.ceil(text.length / 10));
  return text === note ? note : `${text.toWellFormed()}…`;
}
