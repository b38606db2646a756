import { expect } from "chai";
import type { KubeClient } from "../../src/kubernetes/kube-client.ts";
import { createRobotRecords, type RobotRecords } from "../../src/kubernetes/robot-records.ts";
import type { Watch } from "../../src/kubernetes/watch.ts";
import { silentLog } from "../../src/log.ts";
import { eventually } from "../eventually.ts";
import { kubeClientTo, quickWatch } from "../fakes/kube-client-to.ts";
import { type FakeKubeApi, startFakeKubeApi } from "../fakes/kube-api.ts";

const { signal } = new AbortController();
const namespace = "berth-system";
const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("the records of robots", () => {
  let api: FakeKubeApi;
  let client: KubeClient;
  let watch: Watch;
  let records: RobotRecords;

  const put = (name: string, text: string, labels: Readonly<Record<string, string>> = robot) =>
    api.put("secrets", { metadata: { namespace, name, labels }, data: { record: base64(text) } });
  const robot = { "berth.io/robot": "true" };
  const stored = (name: string) => api.get("secrets", name, namespace);
  const current = () => Object.fromEntries(records.current());
  const create = () =>
    createRobotRecords({
      client,
      namespace,
      log: silentLog,
      now: Date.now,
      random: () => 0,
      timing: quickWatch,
    });

  beforeEach(async () => {
    api = await startFakeKubeApi();
    client = kubeClientTo(api.url);
    put("one", "röbot");
    put("login", "x", {});
    records = create();
    expect(records.isRead()).to.equal(false);
    watch = records.start(() => undefined);
    await eventually(() => expect([records.isRead(), api.openWatches()]).to.deep.equal([true, 1]));
  });
  afterEach(async () => {
    await watch.stop();
    client.close();
    await api.close();
  });

  it("are the texts of the labelled Secrets of Berth's own namespace", () => {
    expect(current()).to.deep.equal({ one: "röbot" });
    for (const { path } of api.requests) expect(path).to.equal("/api/v1/namespaces/berth-system/secrets");
  });

  it("are made, changed and removed, and show so at once", async () => {
    api.switches.silent = true;
    expect(await records.write("two", "a", signal)).to.equal("written");
    expect(stored("two")?.metadata.labels).to.include(robot);
    expect(current()).to.deep.equal({ one: "röbot", two: "a" });
    expect(await records.write("two", "b", signal)).to.equal("written");
    expect(await records.write("one", "c", signal)).to.equal("written");
    expect(current()).to.deep.equal({ one: "c", two: "b" });
    expect(await records.remove("two", signal)).to.equal("written");
    expect(await records.remove("two", signal)).to.equal("written");
    expect(current()).to.deep.equal({ one: "c" });
    expect(stored("two")).to.equal(undefined);
  });

  it("are not overwritten where another process wrote meanwhile", async () => {
    api.switches.silent = true;
    put("one", "theirs");
    put("two", "theirs");
    expect(await records.write("one", "x", signal)).to.equal("conflict");
    expect(await records.write("two", "x", signal)).to.equal("conflict");
    expect(await records.remove("one", signal)).to.equal("conflict");
    api.remove("secrets", "one", namespace);
    expect(await records.write("one", "x", signal)).to.equal("conflict");
    expect(await records.remove("one", signal)).to.equal("written");
  });

  it("can be read anew, and are current then whatever the watch shows", async () => {
    api.switches.silent = true;
    put("one", "theirs");
    put("two", "theirs");
    expect(current()).to.deep.equal({ one: "röbot" });
    const fresh = await records.reread(signal);
    expect(Object.fromEntries(fresh)).to.deep.equal({ one: "theirs", two: "theirs" });
    expect(current()).to.deep.equal({ one: "theirs", two: "theirs" });
    expect(await records.write("two", "mine", signal)).to.equal("written");
    expect(current()).to.deep.equal({ one: "theirs", two: "mine" });
    const last = api.requests.filter(({ kind }) => kind === "list").at(-1);
    expect(last?.query.has("resourceVersion"), "a quorum read names no version").to.equal(false);
  });

  it("follow the watch again when it has overtaken what was read", async () => {
    put("two", "a");
    await records.reread(signal);
    put("two", "b");
    api.remove("secrets", "one", namespace);
    await eventually(() => expect(current()).to.deep.equal({ two: "b" }));
  });

  it("can be read anew before the watch has begun", async () => {
    const others = create();
    await others.reread(signal);
    expect(others.isRead()).to.equal(true);
    expect(Object.fromEntries(others.current())).to.deep.equal({ one: "röbot" });
  });

  it("throw where it is not known what became of a write, without the text", async () => {
    for (const [on, act] of [
      ["create", () => records.write("two", "hush", signal)],
      ["update", () => records.write("one", "hush", signal)],
      ["delete", () => records.remove("one", signal)],
    ] as const) {
      api.switches.failures.push({ on, status: 500 });
      const error: unknown = await act().catch((err: unknown) => err);
      expect(String(error)).to.match(/robot record (one|two): 500/);
      expect(String(error)).to.not.contain("hush");
    }
    expect(current()).to.deep.equal({ one: "röbot" });
  });
});
