import { expect } from "chai";
import { catalogueOf } from "../../src/domain/catalogue.ts";
import { decodePublishedPolicy, type PublishedPolicy } from "../../src/domain/published-policy.ts";
import { createPublisher, type PublishedValue, type Publisher } from "../../src/reconcilers/publisher.ts";
import { createState, type State } from "../../src/state.ts";
import { policyOf, registry, rules, space } from "../builders.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";

const second = 1_000;
const minute = 60_000;
const hour = 60 * minute;
const signal = new AbortController().signal;
const teamA = space("team-a", "private", 1);

describe("the publisher", () => {
  let now: number;
  let state: State;
  let log: RecordingLog;
  let published: Map<string, PublishedValue>;
  let calls: string[];
  /** Names that cannot be written. */
  let failing: Set<string>;
  let policy: Pick<PublishedPolicy, "texts" | "withdrawn"> | undefined;
  let publisher: Publisher;
  /** Answers to what the store was asked, in order; while there are none it answers at once. */
  let gates: (() => void)[] | undefined;

  function begin(maxAgeMs = hour): void {
    publisher = createPublisher({
      ...{ state, log, maxAgeMs, now: () => now, random: () => 0 },
      policy: () => policy,
      published: () => published,
      store: {
        async publish(name, value) {
          calls.push(`publish ${name}`);
          if (gates !== undefined) await new Promise<void>((resolve) => gates?.push(resolve));
          if (failing.has(name)) throw new Error(`${name} cannot be written`);
          published = new Map([...published, [name, value]]);
        },
        withdraw(name) {
          calls.push(`withdraw ${name}`);
          if (failing.has(name)) return Promise.reject(new Error(`${name} cannot be removed`));
          published = new Map([...published].filter(([other]) => other !== name));
          return Promise.resolve();
        },
      },
    });
  }
  beforeEach(() => {
    now = 1_800_000_000_000;
    state = createState(rules);
    log = createRecordingLog();
    published = new Map();
    calls = [];
    failing = new Set();
    gates = undefined;
    policy = { texts: [{ configMap: "p", key: "a.yaml", text: "mode: warn", yields: false }], withdrawn: [] };
    state.replaceOwnSpaces(new Map());
    state.replacePolicy(policyOf({ registries: [registry("managed")], bindings: ["12 managed/team-a"] }));
    begin();
  });

  function read(readAt = now, spaces = [teamA], name = "managed"): void {
    const known = state.snapshot().catalogues.get(name);
    const catalogue = catalogueOf(`https://${name}.test`, readAt, spaces);
    const isSame =
      known !== undefined && JSON.stringify([...known.spaces.values()]) === JSON.stringify(spaces);
    state.replaceCatalogue(name, isSame ? { ...catalogue, spaces: known.spaces } : catalogue);
  }
  async function round(): Promise<readonly string[]> {
    calls = [];
    await publisher.round(signal);
    return calls;
  }
  function ownSpaces(): object {
    const reading = decodePublishedPolicy(published.get("berth-last-good-policy")?.text ?? "");
    if (reading.kind !== "read") throw new Error("no policy is published");
    return Object.fromEntries(reading.published.ownSpaces);
  }

  it("publishes nothing before the policy was read", async () => {
    state = createState(rules);
    begin();
    expect(await round()).to.deep.equal([]);
  });

  it("publishes the policy with its pins and the catalogues, once", async () => {
    read();
    expect(await round()).to.deep.equal([
      "publish berth-last-good-policy",
      "publish berth-catalogue-managed",
    ]);
    expect(published.get("berth-catalogue-managed")).to.deep.equal({
      facts: { server: "https://managed.test", readAt: String(now) },
      text: '{"format":1,"spaces":[["team-a",1,0]]}',
    });
    const reading = decodePublishedPolicy(published.get("berth-last-good-policy")?.text ?? "");
    expect(reading.kind === "read" && [...reading.published.pins]).to.deep.equal([["managed/team-a/12", 1]]);
    expect(await round()).to.deep.equal([]);
  });

  it("publishes the age of a catalogue alone once a minute at most", async () => {
    read();
    await round();
    const written: number[] = [];
    const begin = now;
    for (let beat = 15 * second; beat <= 3 * minute; beat += 15 * second) {
      now = begin + beat;
      read();
      if ((await round()).length > 0) written.push(beat);
    }
    expect(written).to.deep.equal([minute, 2 * minute, 3 * minute]);
  });

  it("publishes the age more often where catalogues get stale sooner", async () => {
    begin(minute);
    read();
    await round();
    now += 15 * second - 1;
    read();
    expect(await round()).to.deep.equal([]);
    now += 1;
    read();
    expect(await round()).to.deep.equal(["publish berth-catalogue-managed"]);
  });

  it("publishes a change of spaces, of the server or of the policy at once", async () => {
    read();
    await round();
    read(now, [teamA, space("new", "public", 2)]);
    expect(await round()).to.deep.equal(["publish berth-catalogue-managed"]);
    policy = { texts: [], withdrawn: [] };
    expect(await round()).to.deep.equal(["publish berth-last-good-policy"]);
    state.replaceCatalogue("managed", catalogueOf("https://new.test", now, [teamA]));
    expect(await round()).to.deep.equal(["publish berth-catalogue-managed"]);
  });

  it("leaves a newer reading of the same spaces as another has published it", async () => {
    read();
    await round();
    const name = "berth-catalogue-managed";
    const there = published.get(name);
    const isLaterBy = (ms: number): void => {
      const facts = { ...there?.facts, readAt: String(now + ms) };
      published = new Map([...published, [name, { text: there?.text ?? "", facts }]]);
    };
    isLaterBy(30_000);
    expect(await round()).to.deep.equal([]);
    isLaterBy(hour);
    expect(await round(), "of a time that is yet to come, by a clock that was set back").to.deep.equal([
      "publish berth-catalogue-managed",
    ]);
  });

  it("publishes again what somebody took away", async () => {
    read();
    await round();
    published = new Map();
    expect(await round()).to.deep.equal([
      "publish berth-last-good-policy",
      "publish berth-catalogue-managed",
    ]);
  });

  it("withdraws the catalogue of a registry that left, and of one that has none any more", async () => {
    read();
    read(now, [teamA], "old");
    state.replacePolicy(policyOf({ registries: [registry("managed"), registry("old")] }));
    await round();
    expect([...published.keys()].sort()).to.deep.equal([
      "berth-catalogue-managed",
      "berth-catalogue-old",
      "berth-last-good-policy",
    ]);
    state.replacePolicy(policyOf({ registries: [registry("old", { type: "docker-registry" })] }));
    const made = await round();
    expect([...made].sort()).to.include.members([
      "withdraw berth-catalogue-managed",
      "withdraw berth-catalogue-old",
    ]);
    expect([...published.keys()], "though the state may know them a little longer").to.deep.equal([
      "berth-last-good-policy",
    ]);
    expect(await round(), "and does not bring them back").to.deep.equal([]);
  });

  it("leaves alone what is published under other names", async () => {
    published = new Map([["something-else", { facts: {}, text: "" }]]);
    await round();
    expect([...published.keys()]).to.include("something-else");
  });

  it("tells of what cannot be published, once, and publishes the others", async () => {
    state.replacePolicy(policyOf({ registries: [registry("policy"), registry("managed")] }));
    read();
    read(now, [teamA], "policy");
    failing = new Set(["berth-last-good-policy", "berth-catalogue-managed"]);
    await round();
    expect([...published.keys()], "also a registry of that name").to.deep.equal(["berth-catalogue-policy"]);
    expect(publisher.problems()).to.have.members([
      "berth-last-good-policy cannot be written",
      "berth-catalogue-managed cannot be written",
    ]);
    expect(await round(), "not yet again").to.deep.equal([]);
    now += 2 * second;
    await round();
    expect(log.lines.filter(({ level }) => level === "warn")).to.have.length(2);
    failing.clear();
    now += minute;
    await round();
    expect(publisher.problems()).to.deep.equal([]);
  });

  it("does not try a withdrawal that fails at every round", async () => {
    published = new Map([["berth-catalogue-gone", { facts: {}, text: "" }]]);
    failing = new Set(["berth-catalogue-gone"]);
    await round();
    expect(await round()).to.deep.equal([]);
    expect(publisher.problems()).to.deep.equal(["berth-catalogue-gone cannot be removed"]);
    published = new Map();
    await round();
    expect(publisher.problems()).to.deep.equal([]);
  });

  describe("keeping which spaces are Berth's own", () => {
    it("resolves when it is published", async () => {
      await publisher.keepOwn("managed/team-a", 0, signal);
      expect(ownSpaces()).to.deep.equal({ "managed/team-a": 0 });
      await publisher.keepOwn("managed/team-a", 7, signal);
      expect(ownSpaces()).to.deep.equal({ "managed/team-a": 7 });
      expect(state.snapshot().ownSpaces.get("managed/team-a")).to.equal(7);
      await publisher.keepOwn("managed/team-a", null, signal);
      expect(ownSpaces()).to.deep.equal({});
    });

    it("and not before", async () => {
      gates = [];
      let isKept = false;
      const keeping = publisher.keepOwn("managed/team-a", 0, signal).then(() => (isKept = true));
      await untilAsked();
      expect([isKept, published.size]).to.deep.equal([false, 0]);
      gates.forEach((open) => open());
      await keeping;
      expect(ownSpaces()).to.deep.equal({ "managed/team-a": 0 });
    });

    it("writes nothing for what is published already", async () => {
      await publisher.keepOwn("managed/team-a", 7, signal);
      calls = [];
      await publisher.keepOwn("managed/team-a", 7, signal);
      await publisher.keepOwn("managed/other", null, signal);
      expect(calls).to.deep.equal([]);
    });

    it("fails where it cannot be published, and does not take that for done the next time", async () => {
      failing.add("berth-last-good-policy");
      const failed = await Promise.allSettled([publisher.keepOwn("managed/team-a", 0, signal)]);
      expect(failed[0].status).to.equal("rejected");
      const again = await Promise.allSettled([publisher.keepOwn("managed/team-a", 0, signal)]);
      expect(again[0].status).to.equal("rejected");
      failing.clear();
      await publisher.keepOwn("managed/team-a", 0, signal);
      expect(ownSpaces()).to.deep.equal({ "managed/team-a": 0 });
    });

    it("fails while the policy is not read, which would be published without its texts", async () => {
      policy = undefined;
      const [kept] = await Promise.allSettled([publisher.keepOwn("managed/team-a", 0, signal)]);
      expect([kept.status, calls]).to.deep.equal(["rejected", []]);
    });

    it("comes one after another, each with what is known by then", async () => {
      gates = [];
      const both = Promise.all([
        publisher.keepOwn("managed/team-a", 0, signal),
        publisher.keepOwn("managed/team-b", 0, signal),
      ]);
      await untilAsked();
      expect(calls, "the first alone").to.have.length(1);
      const [first] = gates;
      gates = undefined;
      first?.();
      await both;
      expect(ownSpaces()).to.deep.equal({ "managed/team-a": 0, "managed/team-b": 0 });
    });

    it("goes on after a failure before it", async () => {
      failing.add("berth-last-good-policy");
      gates = [];
      const first = publisher.keepOwn("managed/team-a", 0, signal);
      const second = publisher.keepOwn("managed/team-b", 0, signal);
      await untilAsked();
      const [open] = gates;
      gates = undefined;
      const settled = Promise.allSettled([first, second.then(() => undefined)]);
      failing.add("berth-last-good-policy");
      open?.();
      await Promise.allSettled([first]);
      failing.clear();
      await settled;
      await publisher.keepOwn("managed/team-b", 0, signal);
      expect(ownSpaces()).to.deep.equal({ "managed/team-a": 0, "managed/team-b": 0 });
    });
  });

  /** Until the store was asked, which takes a few turns of the loop. */
  async function untilAsked(): Promise<void> {
    for (let turns = 0; turns < 20; turns += 1) await Promise.resolve();
  }
});
