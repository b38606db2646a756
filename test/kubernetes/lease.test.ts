import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import type { KubeClient } from "../../src/kubernetes/kube-client.ts";
import { type Lease, startLease } from "../../src/kubernetes/lease.ts";
import { eventually } from "../eventually.ts";
import { kubeClientTo } from "../fakes/kube-client-to.ts";
import { type FakeKubeApi, startFakeKubeApi } from "../fakes/kube-api.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";

// A lease lasts 60 s of the clocks here, which stand still unless a test moves them, so that a slow machine loses
// nothing. Looks and renewals happen in real time.
const timing = { leaseMs: 60_000, deadlineMs: 40_000, renewMs: 15, retryMs: 10 };
const namespace = "berth-system";

interface Replica {
  readonly lease: Lease;
  readonly terms: AbortSignal[];
  readonly log: RecordingLog;
  /** Its own clocks. */
  readonly clock: { monotonic: number; wall: number };
}

describe("the lease", () => {
  let api: FakeKubeApi;
  let client: KubeClient;
  let replicas: Replica[] = [];

  beforeEach(async () => {
    api = await startFakeKubeApi();
    client = kubeClientTo(api.url);
    replicas = [];
  });
  afterEach(async () => {
    await Promise.all(replicas.map(({ lease }) => lease.stop()));
    client.close();
    await api.close();
  });

  function start(identity: string, wall = 1_800_000_000_000): Replica {
    const clock = { monotonic: 0, wall };
    const terms: AbortSignal[] = [];
    const log = createRecordingLog();
    const lease = startLease(
      {
        client,
        namespace,
        name: "berth",
        identity,
        log,
        now: () => clock.wall,
        monotonic: () => clock.monotonic,
        random: () => 0.5,
        timing,
      },
      (signal) => terms.push(signal),
    );
    const replica = { lease, terms, log, clock };
    replicas.push(replica);
    return replica;
  }
  const leads = ({ lease }: Replica) => lease.isLeader();
  const until = (check: () => unknown) => eventually(() => expect(check()).to.equal(true));
  const spec = () => api.get("leases", "berth", namespace)?.["spec"] as Record<string, unknown> | undefined;
  const lookAgain = () => sleep(60);

  function putLease(holderIdentity: string | undefined, more: object = {}): void {
    const renewTime = "2020-01-01T00:00:00.000000Z";
    const of = { leaseDurationSeconds: 60, renewTime, leaseTransitions: 4, ...more };
    api.put("leases", {
      metadata: { namespace, name: "berth", labels: { team: "blue" } },
      spec: { ...of, ...(holderIdentity === undefined ? {} : { holderIdentity }) },
    });
  }

  it("is made by the first, who leads, and kept", async () => {
    const a = start("a");
    await until(() => leads(a));
    expect(a.terms).to.have.length(1);
    expect(spec()).to.deep.equal({
      holderIdentity: "a",
      leaseDurationSeconds: 60,
      acquireTime: "2027-01-15T08:00:00.000000Z",
      renewTime: "2027-01-15T08:00:00.000000Z",
      leaseTransitions: 1,
    });
    a.clock.wall += 5_000;
    a.clock.monotonic += 5_000;
    await until(() => spec()?.["renewTime"] === "2027-01-15T08:00:05.000000Z");
    expect(spec()).to.include({ acquireTime: "2027-01-15T08:00:00.000000Z", leaseTransitions: 1 });
    expect(a.terms).to.have.length(1);
  });

  it("has one leader, whatever the others' clocks say", async () => {
    const a = start("a");
    await until(() => leads(a));
    const [b, c] = [start("b", 2_000_000_000_000), start("c", 0)];
    await lookAgain();
    expect([leads(a), leads(b), leads(c)]).to.deep.equal([true, false, false]);
    // Each look sees a renewal, however long the time between them.
    for (let count = 0; count < 5; count += 1) {
      a.clock.wall += 1;
      await until(() => Date.parse(String(spec()?.["renewTime"])) === a.clock.wall);
      b.clock.monotonic += 50_000;
      await lookAgain();
    }
    expect(leads(b)).to.equal(false);
    expect(b.terms).to.have.length(0);
  });

  it("of many who start at once has one leader", async () => {
    const many = Array.from({ length: 8 }, (_, index) => start(`r-${index}`));
    await until(() => many.some(leads));
    await lookAgain();
    expect(many.filter(leads)).to.have.length(1);
    expect(many.flatMap(({ terms }) => terms)).to.have.length(1);
  });

  it("passes to the next at once when it is released", async () => {
    const a = start("a");
    await until(() => leads(a));
    const b = start("b");
    await lookAgain();
    await a.lease.stop();
    expect(leads(a)).to.equal(false);
    expect(a.terms[0]?.aborted).to.equal(true);
    await until(() => leads(b));
    expect(b.clock.monotonic).to.equal(0);
    expect(spec()).to.include({ holderIdentity: "b", leaseTransitions: 2 });
  });

  it("passes to the next when its time is over since the last change that was seen", async () => {
    putLease("dead");
    const b = start("b");
    await lookAgain();
    b.clock.monotonic += 59_999;
    await lookAgain();
    expect(leads(b), "the time in it is years old and says nothing").to.equal(false);
    b.clock.wall += 3_600_000;
    await lookAgain();
    expect(leads(b), "nor does a clock that was set").to.equal(false);
    b.clock.monotonic += 1;
    await until(() => leads(b));
    expect(spec()).to.include({ holderIdentity: "b", leaseTransitions: 5 });
    expect(api.get("leases", "berth", namespace)?.metadata.labels).to.deep.equal({ team: "blue" });
  });

  it("does not wait for ever for one that says it lasts for a year", async () => {
    putLease("dead", { leaseDurationSeconds: 31_536_000 });
    const b = start("b");
    await lookAgain();
    b.clock.monotonic += 239_999;
    await lookAgain();
    expect(leads(b)).to.equal(false);
    b.clock.monotonic += 1;
    await until(() => leads(b));
  });

  for (const [title, holder] of [
    ["an empty holder", ""],
    ["no holder", undefined],
    ["this very process as holder", "b"],
  ] as const) {
    it(`with ${title} is taken at once`, async () => {
      putLease(holder);
      const b = start("b");
      await until(() => leads(b));
      expect(spec()).to.include({ holderIdentity: "b" });
    });
  }

  const failWrites = (status: number) =>
    api.switches.failures.push(
      ...Array.from({ length: 10_000 }, () => ({ on: "update", status }) as const),
      ...Array.from({ length: 10_000 }, () => ({ on: "get", status }) as const),
    );

  it("that cannot be renewed is lost at the deadline, before others may take it, and won again later", async () => {
    const a = start("a");
    await until(() => leads(a));
    failWrites(500);
    await lookAgain();
    expect(leads(a), "one failure is not the end").to.equal(true);
    a.clock.monotonic += 39_999;
    await lookAgain();
    expect([leads(a), a.terms[0]?.aborted]).to.deep.equal([true, false]);
    a.clock.monotonic += 1;
    expect(leads(a), "known without a timer").to.equal(false);
    const warnings = a.log.lines.filter(({ level }) => level === "warn");
    expect(warnings, "said once").to.have.length(1);
    api.switches.failures = [];
    await until(() => leads(a));
  });

  it("ends by the wall clock too, since the other stands still while a machine sleeps", async () => {
    const a = start("a");
    await until(() => leads(a));
    failWrites(500);
    await lookAgain();
    a.clock.wall += 40_000;
    expect(leads(a)).to.equal(false);
    a.clock.wall -= 80_000;
    expect(leads(a), "set back, it takes nothing away").to.equal(true);
  });

  it("aborts the signal by itself at the deadline", async () => {
    const terms: AbortSignal[] = [];
    const log = createRecordingLog();
    const brief = { leaseMs: 2_000, deadlineMs: 200, renewMs: 15, retryMs: 10 };
    const needs = { client, namespace, name: "berth", identity: "a", log, now: Date.now, random: () => 0 };
    const lease = startLease({ ...needs, timing: brief }, (signal) => terms.push(signal));
    try {
      await until(() => terms.length === 1);
      failWrites(503);
      await until(() => terms[0]?.aborted === true);
      expect(lease.isLeader()).to.equal(false);
      expect(String(terms[0]?.reason)).to.equal("Error: the lease is lost: it could not be renewed in time");
      api.switches.failures = [];
      await until(() => terms.length === 2 && lease.isLeader());
      expect(terms[1]?.aborted).to.equal(false);
    } finally {
      await lease.stop();
    }
  });

  it("is lost as soon as it is seen in another's hands", async () => {
    const a = start("a");
    await until(() => leads(a));
    putLease("rival");
    await until(() => a.terms[0]?.aborted === true);
    expect(leads(a)).to.equal(false);
    await lookAgain();
    expect(spec()).to.include({ holderIdentity: "rival" });
  });

  it("survives an edit that leaves the holder alone", async () => {
    const a = start("a");
    await until(() => leads(a));
    const { metadata, ...rest } = api.get("leases", "berth", namespace)!;
    api.put("leases", { ...rest, metadata: { ...metadata, annotations: { note: "x" } } });
    a.clock.wall += 7_000;
    await until(() => spec()?.["renewTime"] === "2027-01-15T08:00:07.000000Z");
    expect(a.terms).to.have.length(1);
    expect(a.terms[0]?.aborted).to.equal(false);
  });

  it("that somebody removed is made anew by who holds it", async () => {
    const a = start("a");
    await until(() => leads(a));
    api.remove("leases", "berth", namespace);
    await until(() => spec()?.["holderIdentity"] === "a");
    expect(a.terms).to.have.length(1);
    expect(a.terms[0]?.aborted).to.equal(false);
  });

  it("that somebody removed is not taken by others before its time is over", async () => {
    putLease("other");
    const b = start("b");
    await lookAgain();
    api.remove("leases", "berth", namespace);
    await lookAgain();
    expect(leads(b)).to.equal(false);
    b.clock.monotonic += 60_000;
    await until(() => leads(b));
  });

  it("is released even where the write that won it was cut off", async () => {
    const a = start("a");
    await until(() => leads(a));
    api.switches.delayMs = 30;
    await a.lease.stop();
    await a.lease.stop();
    expect(spec()).to.include({ holderIdentity: "" });
  });

  it("can be stopped while the API server fails", async () => {
    const a = start("a");
    await until(() => leads(a));
    failWrites(500);
    await a.lease.stop();
    expect(a.terms[0]?.aborted).to.equal(true);
    expect(a.log.lines.at(-1)?.text).to.match(/could not be released/);
  });
});
