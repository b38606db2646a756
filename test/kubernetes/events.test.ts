import { expect } from "chai";
import { createEvents, type Events, type EventFacts } from "../../src/kubernetes/events.ts";
import type { KubeClient } from "../../src/kubernetes/kube-client.ts";
import { eventually } from "../eventually.ts";
import { kubeClientTo } from "../fakes/kube-client-to.ts";
import { type FakeKubeApi, startFakeKubeApi } from "../fakes/kube-api.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";

const regarding = { kind: "ConfigMap", name: "policy", apiVersion: "v1" };
const event: EventFacts = { regarding, type: "Warning", reason: "PolicyProblem", note: "line 3: expected …" };

describe("Events", () => {
  let api: FakeKubeApi;
  let client: KubeClient;
  let log: RecordingLog;
  let events: Events;
  let time = 1_800_000_000_000;

  beforeEach(async () => {
    api = await startFakeKubeApi();
    client = kubeClientTo(api.url);
    log = createRecordingLog();
    time = 1_800_000_000_000;
    events = createEvents({ client, namespace: "berth-system", identity: "berth-1", log, now: () => time });
  });
  afterEach(async () => {
    client.close();
    await api.close();
  });

  const sent = (count: number) => eventually(() => expect(api.requests).to.have.length(count));
  const bodies = () => api.requests.map(({ body }) => body as Record<string, unknown>);

  it("are written beside the object that they regard", async () => {
    events.emit({ ...event, regarding: { ...regarding, uid: "u-1" } });
    await sent(1);
    expect(api.requests[0]?.path).to.equal("/apis/events.k8s.io/v1/namespaces/berth-system/events");
    expect(bodies()[0]).to.deep.equal({
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { generateName: "berth-", namespace: "berth-system" },
      eventTime: "2027-01-15T08:00:00.000000Z",
      reportingController: "berth.io/berth",
      reportingInstance: "berth-1",
      action: "PolicyProblem",
      regarding: { ...regarding, uid: "u-1", namespace: "berth-system" },
      type: "Warning",
      reason: "PolicyProblem",
      note: "line 3: expected …",
    });
  });

  it("that say the same within the hour are one", async () => {
    events.emit(event);
    events.emit(event);
    events.emit({ ...event, note: "line 4" });
    await sent(2);
    time += 3_600_001;
    events.emit(event);
    await sent(3);
  });

  it("are limited: 25 at once, later one in ten seconds", async () => {
    for (let count = 0; count < 40; count += 1) events.emit({ ...event, note: String(count) });
    await sent(25);
    time += 20_000;
    for (let count = 40; count < 50; count += 1) events.emit({ ...event, note: String(count) });
    await sent(27);
    expect(bodies().at(-1)).to.include({ note: "41" });
  });

  it("fit in what the API server takes", async () => {
    events.emit({ ...event, note: "😀".repeat(1_000) });
    await sent(1);
    const note = String(bodies()[0]?.["note"]);
    expect(Buffer.byteLength(note)).to.be.within(800, 1_024);
    expect(note).to.match(/…$/);
  });

  it("that fail are logged once, and come through when they are said again", async () => {
    api.switches.failures.push({ on: "create", status: 403 }, { on: "create", status: 500 });
    events.emit(event);
    await eventually(() => expect(log.lines).to.have.length(1));
    events.emit(event);
    await sent(2);
    await eventually(() => {
      events.emit(event);
      expect(api.objects("events")).to.have.length(1);
    });
    expect(log.lines).to.have.length(1);
    await api.close();
    events.emit({ ...event, note: "nobody there" });
    await eventually(() => expect(log.lines).to.have.length(2));
  });
});
