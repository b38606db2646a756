import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import type { KubeClient } from "../../src/kubernetes/kube-client.ts";
import {
  createPublishedStore,
  type PublishedStore,
  type PublishedValue,
} from "../../src/kubernetes/published-store.ts";
import type { Watch } from "../../src/kubernetes/watch.ts";
import { eventually } from "../eventually.ts";
import { kubeClientTo, quickWatch } from "../fakes/kube-client-to.ts";
import { type FakeKubeApi, type FakeObject, startFakeKubeApi } from "../fakes/kube-api.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";

const { signal } = new AbortController();
const namespace = "berth-system";
const name = "berth-catalogue-managed";
/** Does not compress below three parts. */
const longText = () => randomBytes(1_200).toString("hex");
const maxPartBytes = 512;

interface Replica {
  readonly store: PublishedStore;
  readonly log: RecordingLog;
  /** What was delivered, oldest first. */
  readonly deliveries: ReadonlyMap<string, PublishedValue>[];
  readonly last: () => ReadonlyMap<string, PublishedValue> | undefined;
  readonly watch: Watch;
}

describe("published values", () => {
  let api: FakeKubeApi;
  let client: KubeClient;
  let started: Replica[] = [];

  beforeEach(async () => {
    api = await startFakeKubeApi();
    client = kubeClientTo(api.url);
    started = [];
  });
  afterEach(async () => {
    await Promise.all(started.map(({ watch }) => watch.stop()));
    client.close();
    await api.close();
  });

  function create(): { store: PublishedStore; log: RecordingLog } {
    const log = createRecordingLog();
    const clocks = { now: Date.now, random: () => 0, timing: quickWatch };
    return { store: createPublishedStore({ client, namespace, log, ...clocks, maxPartBytes }), log };
  }

  async function startReplica(): Promise<Replica> {
    const { store, log } = create();
    const deliveries: ReadonlyMap<string, PublishedValue>[] = [];
    const watch = store.start((all) => deliveries.push(all));
    const replica = { store, log, deliveries, last: () => deliveries.at(-1), watch };
    started.push(replica);
    await eventually(() => expect([deliveries.length, api.openWatches()]).to.deep.equal([1, started.length]));
    return replica;
  }

  const names = () => (api.objects("configmaps") as FakeObject[]).map(({ metadata }) => metadata.name).sort();
  const writes = () => api.requests.filter(({ method }) => method !== "GET");
  const shows = (replica: Replica, value: PublishedValue | undefined) =>
    eventually(() => expect(replica.last()?.get(name)).to.deep.equal(value));

  it("are delivered first after the first list, even when there are none", async () => {
    const { deliveries } = await startReplica();
    expect(deliveries).to.deep.equal([new Map()]);
  });

  it("come to every replica, and to one that starts later", async () => {
    const [writer, reader] = [await startReplica(), await startReplica()];
    const value = { facts: { readAt: "1" }, text: "spaces ü" };
    await writer.store.publish(name, value, signal);
    await shows(writer, value);
    await shows(reader, value);
    const later = await startReplica();
    expect(later.last()?.get(name)).to.deep.equal(value);
  });

  it("are one ConfigMap when small, labelled, and never as policy", async () => {
    const { store } = await startReplica();
    await store.publish(name, { facts: {}, text: "" }, signal);
    expect(names()).to.deep.equal([name]);
    expect(api.get("configmaps", name, namespace)?.metadata.labels).to.deep.equal({
      "berth.io/published": "true",
      "app.kubernetes.io/managed-by": "berth",
    });
  });

  it("are written in parts when large, the head last, and the old parts go then", async () => {
    const [writer, reader] = [await startReplica(), await startReplica()];
    const first = { facts: {}, text: longText() };
    await writer.store.publish(name, first, signal);
    await shows(reader, first);
    expect(names()).to.have.length(3);
    const oldParts = names().slice(1);
    api.requests.length = 0;

    const second = { facts: {}, text: longText() };
    await writer.store.publish(name, second, signal);
    await shows(reader, second);
    expect(writes().map(({ kind }) => kind)).to.deep.equal(["patch", "patch", "update", "delete", "delete"]);
    expect(names()).to.have.length(3);
    expect(names()).to.not.include.members(oldParts);

    await writer.store.publish(name, { facts: {}, text: "short" }, signal);
    await shows(reader, { facts: {}, text: "short" });
    expect(names()).to.deep.equal([name]);
  });

  it("with the same text only change their facts, and keep the very string", async () => {
    const [writer, reader] = [await startReplica(), await startReplica()];
    const text = longText();
    await writer.store.publish(name, { facts: { readAt: "1", gone: "x" }, text }, signal);
    await eventually(() => expect(reader.last()?.get(name)?.text).to.equal(text));
    const before = reader.last();
    api.requests.length = 0;
    await writer.store.publish(name, { facts: { readAt: "2" }, text }, signal);
    await shows(reader, { facts: { readAt: "2" }, text });
    expect(writes()).to.have.length(1);
    expect(writes()[0]?.headers["content-type"]).to.equal("application/merge-patch+json");
    expect(JSON.stringify(writes()[0]?.body)).to.have.length.below(400);
    expect(before?.get(name)?.facts, "what was delivered does not change").to.have.property("gone");
    api.requests.length = 0;
    await writer.store.publish(name, { facts: { readAt: "2" }, text }, signal);
    expect(writes(), "nothing to do").to.deep.equal([]);
  });

  it("stay as they were when the writer dies before the head", async () => {
    const [writer, reader] = [await startReplica(), await startReplica()];
    const first = { facts: {}, text: longText() };
    await writer.store.publish(name, first, signal);
    await shows(reader, first);
    api.switches.failures.push({ on: "update", status: 500 });
    const error: unknown = await writer.store
      .publish(name, { facts: {}, text: longText() }, signal)
      .catch((err: unknown) => err);
    expect(String(error)).to.contain(`publish ${name}: 500`);
    expect(names()).to.have.length(5);
    expect((await startReplica()).last()?.get(name)).to.deep.equal(first);
    expect(reader.last()?.get(name)).to.deep.equal(first);
    // The next publication clears up.
    await eventually(async () => {
      await writer.store.publish(name, { facts: {}, text: "after" }, signal);
      expect(names()).to.deep.equal([name]);
    });
  });

  it("stay as they were while a head is incomplete, damaged or of another format, which is said once", async () => {
    const [writer, reader] = [await startReplica(), await startReplica()];
    const value = { facts: {}, text: longText() };
    await writer.store.publish(name, value, signal);
    await shows(reader, value);
    const good = api.get("configmaps", name, namespace)!;
    const goodData = good["data"] as Record<string, string>;
    const damages: [data: Record<string, string>, why: RegExp][] = [
      [{ ...goodData, format: "2" }, /expected format 1, got 2/],
      [{ ...goodData, digest: "0".repeat(64) }, /digest/],
      [{ ...goodData, digest: "1", generation: "none" }, /unexpected end of file/],
      [{ ...goodData, parts: "1000000" }, /expected 1 to 64 parts/],
      [{ ...goodData, facts: "[" }, /facts/],
      [{}, /format/],
    ];
    for (const [index, [data, why]] of damages.entries()) {
      api.put("configmaps", { ...good, data });
      api.put("configmaps", { ...good, data: { ...data, irrelevant: "x" } });
      await eventually(() => expect(reader.log.lines).to.have.length(index + 1));
      expect(reader.log.lines.at(-1)?.facts).to.include({ configMap: name });
      expect(reader.log.lines.at(-1)?.facts["why"]).to.match(why);
      expect(reader.last()?.get(name)).to.deep.equal(value);
    }
    expect(reader.deliveries).to.have.length(2);
  });

  it("are published anew where somebody removed or edited a part", async () => {
    const writer = await startReplica();
    const value = { facts: {}, text: longText() };
    await writer.store.publish(name, value, signal);
    const [, part = ""] = names();
    for (const damage of [
      () => api.remove("configmaps", part, namespace),
      () => api.put("configmaps", { ...api.get("configmaps", part, namespace)!, binaryData: { part: "" } }),
    ]) {
      damage();
      await eventually(async () => {
        await writer.store.publish(name, value, signal);
        const later = await startReplica();
        expect(later.last()?.get(name)).to.deep.equal(value);
      });
    }
  });

  it("do not inflate beyond what is held", async () => {
    const writer = await startReplica();
    const { gzipSync } = await import("node:zlib");
    const bomb = gzipSync(Buffer.alloc(65 * 2 ** 20)).toString("base64");
    await writer.store.publish(name, { facts: {}, text: "small" }, signal);
    const good = api.get("configmaps", name, namespace)!;
    const data = { ...(good["data"] as object), digest: "f".repeat(64) };
    api.put("configmaps", { ...good, data, binaryData: { part: bomb } });
    await eventually(() => expect(writer.log.lines.at(-1)?.facts["why"]).to.match(/larger than/));
    expect(writer.last()?.get(name)?.text).to.equal("small");
    const error: unknown = await writer.store
      .publish("other", { facts: {}, text: "x".repeat(65 * 2 ** 20) }, signal)
      .catch((err: unknown) => err);
    expect(String(error)).to.match(/publish other: expected at most 67108864 bytes/);
  });

  it("of a deposed writer do not replace a successor's", async () => {
    const [deposed, successor] = [await startReplica(), await startReplica()];
    await deposed.store.publish(name, { facts: {}, text: "first" }, signal);
    await shows(successor, { facts: {}, text: "first" });
    api.switches.silent = true;
    const newer = { facts: {}, text: longText() };
    await successor.store.publish(name, newer, signal);
    for (const late of [
      { facts: {}, text: longText() },
      { facts: { readAt: "0" }, text: "first" },
    ]) {
      const error: unknown = await deposed.store.publish(name, late, signal).catch((err: unknown) => err);
      expect(String(error)).to.match(/another process has written it: 409/);
    }
    const error: unknown = await deposed.store.withdraw(name, signal).catch((err: unknown) => err);
    expect(String(error)).to.match(/withdraw .*another process has written it: 409/);
    api.switches.silent = false;
    expect((await startReplica()).last()?.get(name)).to.deep.equal(newer);
  });

  it("are withdrawn head first, with their parts, and without those of a name that begins alike", async () => {
    const [writer, reader] = [await startReplica(), await startReplica()];
    const value = { facts: {}, text: longText() };
    await writer.store.publish(name, value, signal);
    await writer.store.publish(`${name}-a-1`, value, signal);
    await eventually(() => expect(reader.last()).to.have.all.keys(name, `${name}-a-1`));
    api.requests.length = 0;
    await writer.store.withdraw(name, signal);
    await eventually(() => expect(reader.last()).to.have.all.keys(`${name}-a-1`));
    expect(writes()[0]?.path).to.match(/berth-catalogue-managed$/);
    expect(names()).to.have.length(3);
    for (const left of names()) expect(left).to.match(/^berth-catalogue-managed-a-1/);
    await writer.store.withdraw(name, signal);
    expect(writes()).to.have.length(3);
  });

  it("need a name that is not that of a part, and a first list", async () => {
    const { store } = create();
    const early: unknown = await store
      .publish(name, { facts: {}, text: "" }, signal)
      .catch((err: unknown) => err);
    expect(String(early)).to.match(/has not been read yet/);
    const replica = await startReplica();
    for (const bad of ["", "a.b", "A", "-a", "a/../b", "a".repeat(201)]) {
      const error: unknown = await replica.store
        .publish(bad, { facts: {}, text: "" }, signal)
        .catch((err: unknown) => err);
      expect(String(error), bad).to.match(/expected a name/);
    }
    expect(writes()).to.deep.equal([]);
  });

  it("are not delivered any more after the stop", async () => {
    const [writer, reader] = [await startReplica(), await startReplica()];
    await reader.watch.stop();
    await writer.store.publish(name, { facts: {}, text: "x" }, signal);
    await shows(writer, { facts: {}, text: "x" });
    await sleep(20);
    expect(reader.deliveries).to.have.length(1);
  });
});
