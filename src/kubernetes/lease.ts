// Agrees between replicas on one that leads, by a Lease that they write in turn. Who is not sure to hold it does not
// lead: the leader's signal aborts when its last renewal is older than the deadline, which is shorter than the time
// that the others let pass. Does not know what a leader does.
//
// Clocks of two machines are never compared. The leader counts from before it asked for its last renewal; the others
// count from when they first saw the Lease as it is now, which is later. So whatever their clocks show, the leader's
// time is over first, by the difference of the two times. Model: leaderelection.go of the Go client.

import { setTimeout as pause } from "node:timers/promises";
import { isObject } from "../domain/json.ts";
import type { Log } from "../log.ts";
import type { Stoppable } from "../loop.ts";
import { type KubeAnswer, type KubeClient, unexpectedAnswer } from "./kube-client.ts";
import { isKubeObject, type KubeObject } from "./kube-object.ts";

export interface Lease extends Stoppable {
  /** True only while nobody else can hold it. */
  isLeader(): boolean;
  /** Gives it up at once; the signal is aborted before. Work under way at that moment must be harmless by itself. */
  stop(): Promise<void>;
}

export interface LeaseNeeds {
  readonly client: Pick<KubeClient, "request">;
  readonly namespace: string;
  readonly name: string;
  /** Of this process alone, not of a pod that may start again. */
  readonly identity: string;
  readonly log: Log;
  /** Wall clock: what the Lease shows to people. */
  readonly now: () => number;
  /** Never set back or forth. */
  readonly monotonic?: () => number;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly timing?: Partial<LeaseTiming>;
}

export interface LeaseTiming {
  /** So long the others wait after they saw the last renewal. */
  readonly leaseMs: number;
  /** So long after its last renewal the leader leads. */
  readonly deadlineMs: number;
  /** From one renewal to the next. */
  readonly renewMs: number;
  /** From one look of a replica that waits to the next, and between tries after a failure; less up to half. */
  readonly retryMs: number;
}

const defaultTiming: LeaseTiming = {
  // Both as in the Go client: five seconds for timers that fire late and requests that are already on their way.
  leaseMs: 15_000,
  deadlineMs: 10_000,
  // Leaves time for two tries more before the deadline, and is one write in five seconds to etcd.
  renewMs: 5_000,
  retryMs: 2_000,
};

/** After a conflict a second try reads first; whoever loses twice waits for its next turn. */
const triesATurn = 2;

/** A process that ends has other things to do within its grace period. */
const releaseTimeoutMs = 2_000;

/** A Lease that somebody edited to last for a year must not keep everybody from leading. */
const maxLeaseTimes = 4;

/** Runs for the lead until stopped. `lead` is called each time it is won; its signal aborts when it is lost. */
export function startLease(needs: LeaseNeeds, lead: (signal: AbortSignal) => void): Lease {
  const { client, namespace, name, identity, log, now, random } = needs;
  const { monotonic = () => performance.now() } = needs;
  const timing = { ...defaultTiming, ...needs.timing };
  const collection = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`;
  const path = `${collection}/${encodeURIComponent(name)}`;
  const stopping = new AbortController();
  /** As last read or written; `undefined` calls for a look. */
  let lease: KubeObject | undefined;
  let observed: { readonly record: string; readonly at: number; readonly forMs: number } | undefined;
  let term: Term | undefined;
  let isUnclear = false;

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const ours = await turn();
      const pauseMs = ours ? timing.renewMs : timing.retryMs * (1 - random() / 2);
      // The only way for a pause to fail is that the lease is stopped.
      await pause(pauseMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  }

  async function turn(): Promise<boolean> {
    try {
      for (let tries = 1; tries <= triesATurn; tries += 1) {
        const outcome = await attempt();
        isUnclear = false;
        if (outcome !== "look again") return outcome === "ours";
      }
    } catch (err) {
      lease = undefined;
      if (!stopping.signal.aborted && !isUnclear) {
        log.warn({ lease: name, leads: term !== undefined, err }, "the lease cannot be read or written");
      }
      isUnclear = true;
    }
    return false;
  }

  async function attempt(): Promise<"ours" | "another's" | "look again"> {
    const at = clocks();
    if (term === undefined) lease = undefined;
    lease ??= await read();
    if (!isForUs()) {
      end("another replica holds it");
      return "another's";
    }
    const answer = await write(lease);
    // Somebody wrote it, made it or removed it meanwhile.
    if (answer.status === 409 || answer.status === 404) {
      lease = undefined;
      return "look again";
    }
    if ((answer.status !== 200 && answer.status !== 201) || !isKubeObject(answer.body)) {
      throw unexpectedAnswer(`write lease ${name}`, answer);
    }
    lease = answer.body;
    observe(lease);
    won(at);
    return "ours";
  }

  async function read(): Promise<KubeObject | undefined> {
    const answer = await request("GET", path);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200 || !isKubeObject(answer.body)) {
      throw unexpectedAnswer(`read lease ${name}`, answer);
    }
    observe(answer.body);
    return answer.body;
  }

  function observe(object: KubeObject): void {
    const spec = specOf(object);
    const record = JSON.stringify(spec);
    if (record === observed?.record) return;
    const seconds = Number(spec["leaseDurationSeconds"]);
    const forMs = Math.min(seconds > 0 ? seconds * 1000 : timing.leaseMs, maxLeaseTimes * timing.leaseMs);
    observed = { record, at: monotonic(), forMs };
  }

  /** One that was removed is somebody's until the time of who held it last is over. */
  function isForUs(): boolean {
    if (lease === undefined) return term !== undefined || isOver();
    const holder = holderOf(lease);
    return holder === "" || holder === identity || isOver();
  }

  function isOver(): boolean {
    return observed === undefined || monotonic() - observed.at >= observed.forMs;
  }

  function write(before: KubeObject | undefined): Promise<KubeAnswer> {
    const meta = { apiVersion: "coordination.k8s.io/v1", kind: "Lease" };
    if (before === undefined) {
      const body = { ...meta, metadata: { name, namespace }, spec: renewed({}) };
      return request("POST", collection, body);
    }
    return request("PUT", path, { ...meta, ...before, spec: renewed(specOf(before)) });
  }

  function renewed(spec: Readonly<Record<string, unknown>>): object {
    const time = microTime(now());
    const isNew = spec["holderIdentity"] !== identity;
    const transitions = Number(spec["leaseTransitions"] ?? 0);
    return {
      ...spec,
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(timing.leaseMs / 1000),
      renewTime: time,
      ...(isNew ? { acquireTime: time, leaseTransitions: transitions + 1 } : {}),
    };
  }

  /** Short enough for a second try before the deadline. */
  function request(method: "GET" | "POST" | "PUT", at: string, body?: object): Promise<KubeAnswer> {
    const { signal } = stopping;
    const timeoutMs = timing.deadlineMs / 2;
    return client.request(method, at, { ...(body === undefined ? {} : { body }), signal, timeoutMs });
  }

  function won(at: Clocks): void {
    // An answer that took that long says nothing about now.
    if (stopping.signal.aborted || isOverdue(at)) return;
    if (term !== undefined) {
      // Even where the deadline has passed unnoticed: nobody else wrote the Lease, or this renewal had met a conflict.
      term.renewedAt = at;
      return;
    }
    const aborter = new AbortController();
    term = { aborter, renewedAt: at, timer: setTimeout(endIfOverdue, timing.deadlineMs - elapsedMs(at)) };
    log.info({ lease: name, identity }, "this replica leads");
    lead(aborter.signal);
  }

  function endIfOverdue(): void {
    if (term === undefined) return;
    if (isOverdue(term.renewedAt)) end("it could not be renewed in time");
    else term.timer = setTimeout(endIfOverdue, timing.deadlineMs - elapsedMs(term.renewedAt));
  }

  function end(why: string): void {
    if (term === undefined) return;
    clearTimeout(term.timer);
    const { aborter } = term;
    term = undefined;
    log.info({ lease: name, identity, why }, "this replica does not lead any more");
    aborter.abort(new Error(`the lease is lost: ${why}`));
  }

  const clocks = (): Clocks => ({ monotonic: monotonic(), wall: now() });

  /** The larger of both: one stands still while the machine sleeps, the other may be set back. */
  function elapsedMs(since: Clocks): number {
    return Math.max(monotonic() - since.monotonic, now() - since.wall);
  }

  function isOverdue(since: Clocks): boolean {
    return elapsedMs(since) >= timing.deadlineMs;
  }

  /**
   * So that a successor need not wait. A renewal that was cut off may have come through, so only a look tells which
   * state to replace. Best effort: where it fails, the others wait as if this process had died.
   */
  async function release(): Promise<void> {
    const within = { timeoutMs: releaseTimeoutMs };
    try {
      const seen = await client.request("GET", path, within);
      if (seen.status === 404) return;
      if (seen.status !== 200 || !isKubeObject(seen.body)) throw unexpectedAnswer(`read lease ${name}`, seen);
      const { body } = seen;
      if (holderOf(body) !== identity) return;
      const spec = { ...specOf(body), holderIdentity: "", renewTime: microTime(now()) };
      const answer = await client.request("PUT", path, { ...within, body: { ...body, spec } });
      if (answer.status !== 200) throw unexpectedAnswer(`write lease ${name}`, answer);
    } catch (err) {
      log.warn(
        { lease: name, err },
        "the lease could not be released; the next replica leads when it is over",
      );
    }
  }

  async function stop(): Promise<void> {
    end("this replica stops");
    stopping.abort();
    await running;
    await release();
  }

  const running = run();
  let stopped: Promise<void> | undefined;
  return {
    isLeader: () => term !== undefined && !isOverdue(term.renewedAt),
    stop: () => (stopped ??= stop()),
  };
}

interface Clocks {
  readonly monotonic: number;
  readonly wall: number;
}

/** From winning the lease to losing it. */
interface Term {
  readonly aborter: AbortController;
  /** From before the request that was answered. */
  renewedAt: Clocks;
  timer: NodeJS.Timeout;
}

function specOf(lease: KubeObject): Readonly<Record<string, unknown>> {
  return isObject(lease["spec"]) ? lease["spec"] : {};
}

/** Empty: nobody. */
function holderOf(lease: KubeObject): string {
  const { holderIdentity } = specOf(lease);
  return typeof holderIdentity === "string" ? holderIdentity : "";
}

/** What the API calls MicroTime: six digits after the point. */
function microTime(ms: number): string {
  return new Date(ms).toISOString().replace("Z", "000Z");
}
