import { expect } from "chai";
import { createKubeClient } from "../../src/kubernetes/kube-client.ts";
import { textRecord } from "../../src/kubernetes/kube-object.ts";
import {
  type CollectionWatch,
  startWatch,
  type Watch,
  type WatchOptions,
  type WatchTiming,
} from "../../src/kubernetes/watch.ts";
import { eventually } from "../eventually.ts";
import { type FakeKubeApi, startFakeKubeApi } from "../fakes/kube-api.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";

const quick: Partial<WatchTiming> = { steadyMs: 20, backoffMs: 4, maxBackoffMs: 20, coalesceMs: 4 };

describe("A watch", () => {
  let api: FakeKubeApi;
  let log: RecordingLog;
  let seen: Record<string, string>[];
  let restarts: number;
  let running: Watch[];

  beforeEach(async () => {
    api = await startFakeKubeApi();
    log = createRecordingLog();
    seen = [];
    restarts = 0;
    running = [];
  });

  afterEach(async () => {
    await Promise.all(running.map((one) => one.stop()));
    await api.close();
  });

  function watch(more: Partial<WatchOptions<string>> = {}): CollectionWatch<string> {
    const access = { server: api.url, headers: {}, tls: {} };
    const client = createKubeClient({
      current: () => Promise.resolve(access),
      renewed: () => Promise.resolve(access),
    });
    const one = startWatch<string>({
      client,
      resource: "namespaces",
      path: "/api/v1/namespaces",
      metadataOnly: true,
      pick: (object) => textRecord(object.metadata["labels"])["team"] ?? "",
      onChange: (all) => seen.push(Object.fromEntries(all)),
      onRestart: () => (restarts += 1),
      log,
      now: Date.now,
      random: () => 0,
      timing: quick,
      ...more,
    });
    running.push(one);
    return one;
  }

  function put(name: string, team?: string): void {
    api.put("namespaces", { metadata: { name, ...(team === undefined ? {} : { labels: { team } }) } });
  }

  const asked = (kind: string) => api.requests.filter((request) => request.kind === kind);
  const latest = () => seen.at(-1);
  const open = () => eventually(() => api.openWatches() === 1);

  describe("while all is well", () => {
    it("hands on the full set after the list, even an empty one", async () => {
      watch();
      await eventually(() => seen.length === 1);
      expect(latest()).to.deep.equal({});
    });

    it("hands on the full set after each event", async () => {
      put("a", "1");
      watch();
      await open();
      put("b", "2");
      await eventually(() => expect(latest()).to.deep.equal({ a: "1", b: "2" }));
      put("b", "3");
      await eventually(() => expect(latest()).to.deep.equal({ a: "1", b: "3" }));
      api.remove("namespaces", "a");
      await eventually(() => expect(latest()).to.deep.equal({ b: "3" }));
      expect(restarts).to.equal(0);
      expect(asked("list")).to.have.length(1);
    });

    it("says what it knows, and up to which version, ahead of what it hands on", async () => {
      put("a", "1");
      const one = watch({ timing: { ...quick, coalesceMs: 60_000 } });
      expect(one.known()).to.equal(undefined);
      await open();
      expect(one.known()).to.deep.equal({ all: new Map([["a", "1"]]), resourceVersion: "1001" });
      put("b", "2");
      await eventually(() => expect(one.known()?.resourceVersion).to.equal("1002"));
      expect(one.known()?.all).to.have.all.keys("a", "b");
      api.bookmark();
      await eventually(() => expect(one.known()?.resourceVersion).to.equal("1003"));
      expect(latest()).to.deep.equal({ a: "1" });
    });

    it("asks for the newest state, for metadata alone, for bookmarks, and goes on from the list", async () => {
      put("a");
      watch({ labelSelector: "team" });
      await open();
      const [list] = asked("list");
      expect(list?.query.has("resourceVersion")).to.be.false;
      expect(list?.headers.accept).to.equal(
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
      );
      const [stream] = asked("watch");
      expect(stream?.headers.accept).to.equal("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1");
      expect(Object.fromEntries(stream?.query ?? [])).to.deep.equal({
        labelSelector: "team",
        watch: "1",
        resourceVersion: "1001",
        allowWatchBookmarks: "true",
        timeoutSeconds: "240",
      });
    });

    it("reads a long list page by page", async () => {
      for (const name of ["a", "b", "c", "d", "e"]) put(name, "1");
      watch({ timing: { ...quick, pageSize: 2 } });
      await eventually(() => seen.length === 1);
      expect(Object.keys(latest() ?? {})).to.have.members(["a", "b", "c", "d", "e"]);
      expect(asked("list")).to.have.length(3);
    });

    it("asks for smaller pages when one is larger than it will hold", async () => {
      const annotations = { note: "x".repeat(6 * 2 ** 20) };
      for (const name of ["a", "b", "c"]) api.put("namespaces", { metadata: { name, annotations } });
      watch({ timing: { ...quick, pageSize: 10 } });
      await eventually(() => seen.length === 1);
      expect(Object.keys(latest() ?? {})).to.have.members(["a", "b", "c"]);
      expect(asked("list").map((request) => request.query.get("limit"))).to.deep.equal(["10", "1", "1", "1"]);
    });

    it("says nothing when what changed is of no interest", async () => {
      put("a", "1");
      watch();
      await open();
      api.put("namespaces", { metadata: { name: "a", labels: { team: "1" }, annotations: { other: "x" } } });
      put("b", "2");
      await eventually(() => expect(latest()).to.deep.equal({ a: "1", b: "2" }));
      expect(seen).to.have.length(2);
    });

    it("drops an object that became of no interest", async () => {
      put("a", "1");
      watch({
        pick: (object) => {
          const team = textRecord(object.metadata["labels"])["team"];
          return team === "none" ? undefined : team;
        },
      });
      await open();
      put("a", "none");
      await eventually(() => expect(latest()).to.deep.equal({}));
    });

    it("can tell objects apart by something else than their names", async () => {
      for (const namespace of ["one", "two"]) {
        api.put("secrets", { metadata: { name: "berth-pull", namespace } });
      }
      watch({
        path: "/api/v1/secrets",
        fieldSelector: "metadata.name=berth-pull",
        keyOf: (object) => String(object.metadata["namespace"]),
        pick: (object) => object.metadata.name,
      });
      await eventually(() => expect(latest()).to.deep.equal({ one: "berth-pull", two: "berth-pull" }));
    });

    it("hands on a burst of events as few full sets", async () => {
      watch({ timing: { ...quick, coalesceMs: 50 } });
      await open();
      for (let index = 0; index < 500; index += 1) put(`n${index}`, "1");
      await eventually(() => Object.keys(latest() ?? {}).length === 500);
      expect(seen.length).to.be.below(20);
    });

    it("hands on the first event at once, and holds back only those close behind it", async () => {
      let time = 0;
      watch({ now: () => time, timing: { coalesceMs: 60_000 } });
      await open();
      time += 60_000;
      put("a", "1");
      await eventually(() => expect(latest()).to.deep.equal({ a: "1" }));
      put("b", "1");
      put("c", "1");
      api.bookmark();
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(seen).to.have.length(2);
    });

    it("goes on without a list or a pause when the server ends the stream in time", async () => {
      watch({ timing: { ...quick, minStreamMs: 300, maxStreamMs: 300 } });
      await eventually(() => asked("watch").length === 2);
      expect(asked("watch")[0]?.query.get("timeoutSeconds")).to.equal("1");
      expect(asked("list")).to.have.length(1);
      expect(restarts).to.equal(0);
    });

    it("goes on from the last bookmark", async () => {
      watch();
      await open();
      api.bookmark();
      await new Promise((resolve) => setTimeout(resolve, 40));
      api.endWatches("ended");
      await eventually(() => asked("watch").length === 2);
      expect(asked("watch").map((request) => request.query.get("resourceVersion"))).to.deep.equal([
        "1000",
        "1001",
      ]);
    });

    it("knows when it last heard from the server: a list, an event, a bookmark", async () => {
      let time = 1;
      const one = watch({ now: () => time });
      expect(one.lastEventAt()).to.be.undefined;
      await open();
      expect(one.lastEventAt()).to.equal(1);
      time = 2;
      put("a");
      await eventually(() => one.lastEventAt() === 2);
      time = 3;
      api.bookmark();
      await eventually(() => one.lastEventAt() === 3);
    });
  });

  describe("when the outside fails", () => {
    const failures: [title: string, status: number, body?: string, contentType?: string][] = [
      ["401", 401],
      ["403", 403],
      ["429", 429],
      ["500", 500],
      ["a redirect", 302],
      ["a login page that says 200", 200, "<html><body>Sign in</body></html>", "text/html"],
      ["a balancer's page", 502, "<html>bad gateway</html>", "text/html"],
      ["JSON that is cut off", 200, '{"kind":"NamespaceList","metadata":{"resourceVersion":"1"},"items":[{'],
      ["an empty body", 200, ""],
      ["JSON that is no list", 200, "{}"],
      ["null", 200, "null"],
      ["a list without version", 200, '{"metadata":{},"items":[]}'],
      [
        "a list with an item without name",
        200,
        '{"metadata":{"resourceVersion":"5"},"items":[{"metadata":{}}]}',
      ],
      ["a list whose items are no list", 200, '{"metadata":{"resourceVersion":"5"},"items":{}}'],
    ];
    for (const [title, status, body, contentType] of failures) {
      const failure = {
        status,
        ...(body === undefined ? {} : { body }),
        ...(contentType === undefined ? {} : { headers: { "content-type": contentType } }),
      };

      it(`gets over ${title} as the answer to its list`, async () => {
        put("a", "1");
        api.switches.failures = Array.from({ length: 4 }, () => ({ on: "list" as const, ...failure }));
        watch();
        await eventually(() => seen.length === 1);
        expect(seen).to.deep.equal([{ a: "1" }]);
        expect(restarts).to.be.greaterThan(0);
      });

      it(`gets over ${title} as the answer to its watch, and keeps the set it has`, async () => {
        put("a", "1");
        api.switches.failures = Array.from({ length: 4 }, () => ({ on: "watch" as const, ...failure }));
        watch();
        await open();
        put("b", "2");
        await eventually(() => expect(latest()).to.deep.equal({ a: "1", b: "2" }));
        expect(seen).to.deep.equal([{ a: "1" }, { a: "1", b: "2" }]);
      });
    }

    const lines: [title: string, text: string][] = [
      ["a line that is not JSON", "oops\n"],
      ["a line of HTML", "<html></html>\n"],
      ["null", "null\n"],
      ["an empty line", "\n"],
      ["an event without object", '{"type":"ADDED"}\n'],
      ["an object without metadata", '{"type":"ADDED","object":{}}\n'],
      ["an object without name", '{"type":"ADDED","object":{"metadata":{"resourceVersion":"1002"}}}\n'],
      ["an object without version", '{"type":"ADDED","object":{"metadata":{"name":"x"}}}\n'],
      ["an unknown type", '{"type":"MOVED","object":{"metadata":{"name":"x","resourceVersion":"1002"}}}\n'],
      ["a bookmark without version", '{"type":"BOOKMARK","object":{"metadata":{}}}\n'],
      ["an error without status", '{"type":"ERROR","object":null}\n'],
      ["410 Gone", '{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}\n'],
      ["500", '{"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd is away"}}\n'],
      ["a line without end", `"${"x".repeat(11 * 2 ** 20)}`],
    ];
    for (const [title, text] of lines) {
      it(`gets over ${title} in its stream by a new list`, async () => {
        put("a", "1");
        watch();
        await open();
        api.writeRaw(text);
        await eventually(() => asked("list").length === 2);
        await open();
        put("b", "2");
        await eventually(() => expect(latest()).to.deep.equal({ a: "1", b: "2" }));
        expect(seen).to.deep.equal([{ a: "1" }, { a: "1", b: "2" }]);
        expect(restarts).to.equal(1);
      });
    }

    it("gets over a connection that breaks in the middle of a line", async () => {
      watch();
      await open();
      api.writeRaw('{"type":"ADDED","object":{"metadata":{"name":"half');
      await new Promise((resolve) => setTimeout(resolve, 20));
      api.endWatches("broken");
      await eventually(() => asked("watch").length === 2);
      put("b", "2");
      await eventually(() => expect(latest()).to.deep.equal({ b: "2" }));
    });

    it("takes no half line at the end of a stream for an event", async () => {
      watch();
      await open();
      api.writeRaw('{"type":"ADDED","object":{"metadata":{"name":"x","resourceVersion":"1001"}}}');
      api.endWatches("ended");
      await eventually(() => asked("watch").length === 2);
      expect(seen).to.deep.equal([{}]);
    });

    it("lists anew when the version it wants to go on from is gone", async () => {
      watch();
      await open();
      put("a", "1");
      await eventually(() => expect(latest()).to.deep.equal({ a: "1" }));
      api.compact();
      api.endWatches("ended");
      await eventually(() => asked("list").length === 2);
      await open();
      put("b", "1");
      await eventually(() => expect(latest()).to.deep.equal({ a: "1", b: "1" }));
    });

    it("begins a list again whose pages age out, and never hands on a part of one", async () => {
      for (const name of ["a", "b", "c", "d", "e"]) put(name, "1");
      api.switches.delayMs = 30;
      watch({ timing: { ...quick, pageSize: 2 } });
      await eventually(() => asked("list").length === 1);
      api.compact();
      await eventually(() => seen.length === 1);
      expect(Object.keys(latest() ?? {})).to.have.members(["a", "b", "c", "d", "e"]);
      expect(asked("list").map((request) => request.query.has("continue"))).to.deep.equal([
        false,
        true,
        false,
        true,
        true,
      ]);
      expect(restarts).to.equal(0);
    });

    it("finds out that a stream died in silence, and sees what it missed", async () => {
      watch({ timing: { ...quick, minStreamMs: 60, maxStreamMs: 60, graceMs: 20 } });
      await open();
      api.switches.silent = true;
      put("a", "1");
      await eventually(() => expect(latest()).to.deep.equal({ a: "1" }));
      expect(restarts).to.be.greaterThan(0);
      expect(String(log.lines[0]?.facts["err"])).to.match(/not finished after 80 ms/);
    });

    it("heals an event that never came by a full list at intervals", async () => {
      watch({ timing: { ...quick, resyncMs: 500, graceMs: 60_000 } });
      await open();
      api.switches.silent = true;
      put("a", "1");
      api.switches.silent = false;
      await eventually(() => expect(latest()).to.deep.equal({ a: "1" }));
      expect(asked("list")).to.have.length(2);
      expect(restarts).to.equal(0);
    });

    it("makes no storm when each stream ends as soon as it is open", async () => {
      api.switches.endAtOnce = true;
      watch({ timing: { ...quick, steadyMs: 1_000, backoffMs: 20, maxBackoffMs: 40 } });
      await new Promise((resolve) => setTimeout(resolve, 400));
      // 20 ms, then 40 ms after each: 1 + 1 + 9 in 400 ms.
      expect(asked("watch").length).to.be.within(2, 12);
      expect(asked("list")).to.have.length(1);
      expect(restarts).to.be.within(1, 12);
    });

    it("makes no storm when each watch is gone at once", async () => {
      api.switches.failures = Array.from({ length: 1_000 }, () => ({ on: "watch" as const, status: 410 }));
      watch({ timing: { ...quick, steadyMs: 1_000, backoffMs: 20, maxBackoffMs: 40 } });
      await new Promise((resolve) => setTimeout(resolve, 400));
      expect(api.requests.length).to.be.within(4, 24);
    });

    it("pauses longer after each failure, up to a limit, and less so by chance", async () => {
      api.switches.failures = Array.from({ length: 6 }, () => ({ on: "list" as const, status: 500 }));
      watch({ random: () => 0.5, timing: { ...quick, backoffMs: 4, maxBackoffMs: 32 } });
      await eventually(() => seen.length === 1);
      expect(log.lines.map((line) => line.facts["pauseMs"])).to.deep.equal([3, 6, 12, 24, 24, 24]);
    });

    it("waits as long as an overloaded server asks for, and can be stopped meanwhile", async () => {
      api.switches.failures = [{ on: "list", status: 429, headers: { "retry-after": "30" } }];
      const one = watch();
      await eventually(() => log.lines.length === 1);
      expect(log.lines[0]?.facts["pauseMs"]).to.equal(30_000);
      await one.stop();
      expect(api.requests).to.have.length(1);
    });

    it("comes back when the server was away", async () => {
      put("a", "1");
      watch();
      await open();
      api.switches.failures = [
        { on: "list", status: 503 },
        { on: "list", status: 503 },
      ];
      api.endWatches("broken");
      await eventually(() => asked("list").length === 4);
      await open();
      put("a", "2");
      await eventually(() => expect(latest()).to.deep.equal({ a: "2" }));
      expect(seen).to.deep.equal([{ a: "1" }, { a: "2" }]);
    });

    it("survives a receiver that throws, and offers the set again with the next list", async () => {
      put("a", "1");
      let calls = 0;
      watch({
        onChange: (all) => {
          calls += 1;
          if (calls === 1) throw new Error("not now");
          seen.push(Object.fromEntries(all));
        },
      });
      await open();
      expect(log.lines.map((line) => line.level)).to.deep.equal(["error"]);
      api.endWatches("broken");
      await eventually(() => expect(seen).to.deep.equal([{ a: "1" }]));
    });

    it("survives a pick that throws", async () => {
      let bad = true;
      watch({
        pick: () => {
          if (bad) throw new Error("cannot read this");
          return "1";
        },
      });
      await open();
      put("a");
      await eventually(() => restarts > 0);
      bad = false;
      await eventually(() => expect(latest()).to.deep.equal({ a: "1" }));
    });
  });

  describe("when stopped", () => {
    it("ends its stream and hands nothing on any more", async () => {
      const one = watch();
      await open();
      await one.stop();
      await one.stop();
      await eventually(() => api.openWatches() === 0);
      put("a", "1");
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(seen).to.deep.equal([{}]);
      expect(restarts).to.equal(0);
    });

    it("gives up a list under way", async () => {
      api.switches.delayMs = 5_000;
      const one = watch();
      await new Promise((resolve) => setTimeout(resolve, 20));
      await one.stop();
      expect(seen).to.be.empty;
      expect(log.lines).to.be.empty;
    });
  });
});
