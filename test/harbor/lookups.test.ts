import { expect } from "chai";

import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { createHarborClient, type HarborClient } from "../../src/harbor/harbor-client.ts";
import { createLookups, type Lookups } from "../../src/harbor/lookups.ts";
import { eventually } from "../eventually.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";

const never = new AbortController().signal;

describe("look-ups", () => {
  let harbor: StandInHarbor;
  let client: HarborClient;
  let lookups: Lookups;
  let log: RecordingLog;
  let observed: string[];
  let now: number;
  let login: { username: string; password: string };

  beforeEach(async () => {
    now = 1_000_000;
    observed = [];
    login = { username: "admin", password: "right" };
    log = createRecordingLog();
    harbor = await startStandInHarbor({
      adminPassword: "right",
      lockMs: 0,
      projects: [{ name: "library", visibility: "public" }, { name: "team-a" }],
    });
    client = createHarborClient({
      url: harbor.url,
      credentials: () => login,
      timeoutMs: 2_000,
      now: () => now,
      random: () => 0,
    });
    lookups = lookupsWithin(10_000);
  });
  afterEach(async () => {
    client.close();
    await harbor.close();
  });

  function lookupsWithin(flightTimeoutMs: number): Lookups {
    const clientOf = (name: string) => (name === "managed" || name === "other" ? client : undefined);
    return createLookups({
      clientOf,
      pullClientOf: clientOf,
      now: () => now,
      log,
      observe: (registry, outcome) => observed.push(`${registry} ${outcome}`),
      flightTimeoutMs,
    });
  }

  const lookUp = (space: string, namespace = "ns", signal = never) =>
    lookups.space("managed", space, namespace, signal);
  const library = { name: "library", id: 1, visibility: "public", proxyCache: false };

  it("count for no longer where the clock is set back", async () => {
    let passed = 0;
    const clientOf = () => client;
    const steady = createLookups({
      ...{ clientOf, pullClientOf: clientOf, now: () => now, monotonic: () => passed, log },
    });
    await steady.space("managed", "library", "ns", never);
    harbor.projects.setVisibility("library", "private");
    now -= 3_600_000;
    passed += 5_001;
    const answer = await steady.space("managed", "library", "ns", never);
    expect(answer).to.deep.equal({
      kind: "read",
      reading: { readAt: now, space: { ...library, visibility: "private" } },
    });
  });

  it("say what the space is, and as of when", async () => {
    expect(await lookUp("library")).to.deep.equal({
      kind: "read",
      reading: { readAt: 1_000_000, space: library },
    });
    expect(await lookUp("nowhere")).to.deep.equal({
      kind: "read",
      reading: { readAt: 1_000_000, space: null },
    });
    expect(observed).to.deep.equal(["managed found", "managed absent"]);
  });

  it("date a reading by when it was asked for, since nothing later is known from it", async () => {
    harbor.faults.meanwhile = () => (now += 3_000);
    expect(await lookUp("library")).to.have.nested.property("reading.readAt", 1_000_000);
  });

  it("ask once for many who want to know the same", async () => {
    harbor.faults.always({ kind: "slow", ms: 20 });
    const answers = await Promise.all(Array.from({ length: 50 }, (_, n) => lookUp("team-a", `ns-${n}`)));
    expect(new Set(answers.map((answer) => JSON.stringify(answer)))).to.have.property("size", 1);
    expect(harbor.requests).to.have.length(1);
  });

  it("let an answer count for five seconds, that there is no such space as well", async () => {
    for (const name of ["team-a", "nowhere"]) {
      const before = harbor.requests.length;
      await lookUp(name);
      now += 4_999;
      await lookUp(name);
      expect(harbor.requests).to.have.length(before + 1);
      now += 1;
      await lookUp(name);
      expect(harbor.requests).to.have.length(before + 2);
    }
  });

  it("see a space that was made public, or made at all, once the old answer is over", async () => {
    await Promise.all([lookUp("team-a"), lookUp("new")]);
    harbor.projects.setVisibility("team-a", "public");
    harbor.projects.create({ name: "new" });
    now += 5_000;
    expect(await lookUp("team-a")).to.have.nested.property("reading.space.visibility", "public");
    expect(await lookUp("new")).to.have.nested.property("reading.space.visibility", "private");
  });

  it("ask nothing about a name that no project can have", async () => {
    expect(await lookUp("te__am")).to.have.nested.property("reading.space", null);
    expect(await lookups.grant("managed", "te__am/app", "ns", never)).to.include({ granted: false });
    expect(harbor.requests).to.deep.equal([]);
  });

  it("know nothing of a registry that nobody names", async () => {
    const answer = await lookups.space("nobody", "library", "ns", never);
    expect(answer).to.deep.equal({ kind: "unavailable", why: "failed" });
  });

  it("keep registries apart, though they be one server", async () => {
    await lookUp("library");
    await lookups.space("other", "library", "ns", never);
    expect(harbor.requests).to.have.length(2);
  });

  describe("under a flood of invented names", () => {
    it("let a namespace have ten, cost Harbor no more, and others nothing", async () => {
      const flood = await Promise.all(Array.from({ length: 300 }, (_, n) => lookUp(`made-up-${n}`, "loud")));
      expect(flood.filter(({ kind }) => kind === "read")).to.have.length(10);
      expect(flood.at(-1)).to.deep.equal({ kind: "unavailable", why: "limited" });
      expect(harbor.requests).to.have.length(10);
      expect(await lookUp("library", "quiet")).to.have.property("kind", "read");
    });

    it("answer what is remembered, or being asked, beyond the limit", async () => {
      await lookUp("library", "loud");
      harbor.faults.always({ kind: "slow", ms: 20 });
      const underWay = lookUp("team-a", "quiet");
      await Promise.all(Array.from({ length: 20 }, (_, n) => lookUp(`made-up-${n}`, "loud")));
      expect(await lookUp("library", "loud")).to.have.property("kind", "read");
      const [joined, first] = await Promise.all([lookUp("team-a", "loud"), underWay]);
      expect(joined).to.deep.equal(first);
    });
  });

  describe("when the caller's time is up", () => {
    it("say so at once, and go on for the others", async () => {
      harbor.faults.always({ kind: "slow", ms: 60 });
      const hasty = new AbortController();
      const [first, second] = [lookUp("team-a", "ns", hasty.signal), lookUp("team-a")];
      hasty.abort();
      expect(await first).to.deep.equal({ kind: "unavailable", why: "deadline" });
      expect(await second).to.have.property("kind", "read");
      expect(harbor.requests).to.have.length(1);
      expect(observed).to.deep.equal(["managed deadline", "managed found"]);
    });

    it("keep the answer for whoever asks next", async () => {
      harbor.faults.next({ kind: "slow", ms: 30 });
      expect(await lookUp("team-a", "ns", AbortSignal.timeout(10))).to.include({ why: "deadline" });
      await eventually(() => observed.includes("managed found"));
      expect(await lookUp("team-a")).to.have.property("kind", "read");
      expect(harbor.requests).to.have.length(1);
    });

    it("ask nothing for a caller who is gone already", async () => {
      expect(await lookUp("team-a", "ns", AbortSignal.abort())).to.include({ why: "deadline" });
      expect(harbor.requests).to.deep.equal([]);
    });
  });

  describe("when Harbor has no answer", () => {
    it("end with their own timeout, whoever waits", async () => {
      harbor.faults.always({ kind: "silence" });
      lookups = lookupsWithin(100);
      expect(await lookUp("team-a")).to.deep.equal({ kind: "unavailable", why: "failed" });
      expect(observed).to.deep.equal(["managed failed"]);
    });

    it("take no page of a proxy for the absence of a space", async () => {
      harbor.faults.always({ kind: "html", status: 404 });
      expect(await lookUp("team-a")).to.include({ why: "failed" });
    });

    it("take no refusal of the login for the absence of a space", async () => {
      login.password = "wrong";
      expect(await lookUp("nowhere")).to.include({ why: "failed" });
    });

    it("remember no failure", async () => {
      harbor.faults.next({ kind: "half" });
      expect(await lookUp("team-a")).to.include({ why: "failed" });
      expect(await lookUp("team-a")).to.include({ kind: "read" });
    });

    it("are reported once, and once when they work again", async () => {
      harbor.faults.next({ kind: "half" }, 3);
      for (let n = 0; n < 4; n += 1) await lookUp("team-a");
      expect(log.lines.map(({ level, text }) => `${level}: ${text}`)).to.deep.equal([
        "warn: a look-up failed; more of this are counted only",
        "info: look-ups are answered again",
      ]);
    });
  });

  describe("of grants", () => {
    const grantOf = (repository: string, namespace = "ns") =>
      lookups.grant("managed", repository, namespace, never);

    it("ask the token service once for all repositories of a space", async () => {
      expect(await grantOf("team-a/app")).to.deep.equal({ kind: "read", granted: true });
      expect(await grantOf("team-a/other/app")).to.deep.equal({ kind: "read", granted: true });
      expect(await grantOf("nowhere/app")).to.deep.equal({ kind: "read", granted: false });
      expect(harbor.requests.map(({ path }) => path)).to.deep.equal([
        "/service/token?service=harbor-registry&scope=repository%3Ateam-a%2Fany%3Apull",
        "/service/token?service=harbor-registry&scope=repository%3Anowhere%2Fany%3Apull",
      ]);
    });

    it("share the limits with look-ups of spaces", async () => {
      await Promise.all(Array.from({ length: 10 }, (_, n) => lookUp(`made-up-${n}`)));
      expect(await grantOf("team-a/app")).to.deep.equal({ kind: "unavailable", why: "limited" });
    });

    it("have no answer for a bad login", async () => {
      login.password = "wrong";
      expect(await grantOf("library/app")).to.deep.equal({ kind: "unavailable", why: "failed" });
    });
  });
});
