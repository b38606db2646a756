import { expect } from "chai";

import { catalogueOf, type Catalogue, type Listing, type Space } from "../../src/domain/catalogue.ts";
import type { Registry } from "../../src/domain/policy.ts";
import type { Secrets } from "../../src/domain/registry-access.ts";
import type { Fault } from "../../src/demo/stand-in-faults.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import {
  catalogueFacts,
  startCatalogueFeed,
  startCatalogueUpkeep,
  type CatalogueFeed,
  type ListSpaces,
  type RefreshOutcome,
} from "../../src/feeds/catalogue-feed.ts";
import { createHarborClients } from "../../src/harbor/harbor-clients.ts";
import { listSpaces } from "../../src/harbor/projects.ts";
import type { Stoppable } from "../../src/loop.ts";
import { createCell, createState, type Cell, type State } from "../../src/state.ts";
import { policyOf, registry, rules, space } from "../builders.ts";
import { eventually } from "../eventually.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";

const everyMs = 10;

function untilStopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(new Error("stopped")));
  });
}

describe("the catalogue feed", () => {
  let state: State;
  let secrets: Cell<Secrets>;
  let log: RecordingLog;
  let observed: [registry: string, outcome: RefreshOutcome][];
  let now: number;
  let running: Stoppable[];

  const login = { username: "admin", password: "right" };
  const managed = registry("managed");

  beforeEach(() => {
    state = createState(rules);
    secrets = createCell<Secrets>(new Map([["managed-login", login]]));
    log = createRecordingLog();
    observed = [];
    now = 1_000_000;
    running = [];
  });
  afterEach(async () => {
    await Promise.all(running.map((each) => each.stop()));
  });

  function start(list: ListSpaces, maxAgeMs = 3_600_000): CatalogueFeed {
    const feed = startCatalogueFeed(
      {
        state,
        secrets,
        listSpaces: list,
        log,
        now: () => now,
        random: () => 0,
        observe: (name, outcome) => observed.push([name, outcome]),
      },
      { everyMs, maxAgeMs },
    );
    running.push(feed);
    return feed;
  }

  const follow = (...registries: Registry[]) => state.replacePolicy(policyOf({ registries }));
  const catalogueOfManaged = (): Catalogue | undefined => state.snapshot().catalogues.get("managed");
  const listingOf = ({ url }: Registry, ...spaces: Space[]): Listing => ({
    server: url,
    readAt: now,
    spaces,
  });
  const texts = () => log.lines.map(({ level, text }) => `${level}: ${text}`);
  const beats = (count: number) => {
    const before = observed.length;
    return eventually(() => observed.length >= before + count);
  };

  it("lists each Harbor of the policy, and no Docker Registry", async () => {
    const asked: string[] = [];
    const feed = start((each) => {
      asked.push(each.name);
      return Promise.resolve(listingOf(each, space("library", "public")));
    });
    secrets.replace(new Map([...secrets.current(), ["other-login", login]]));
    follow(managed, registry("other"), registry("archive", { type: "docker-registry" }));
    await eventually(
      () => feed.status().get("other")?.outcome === "read" && catalogueOfManaged() !== undefined,
    );
    expect(catalogueOfManaged()).to.deep.equal(
      catalogueOf("https://managed.test", 1_000_000, [space("library", "public")]),
    );
    expect(new Set(asked)).to.deep.equal(new Set(["managed", "other"]));
    expect([...feed.status().keys()]).to.deep.equal(["managed", "other"]);
  });

  it("moves the reading on with each beat, and keeps the map while nothing changed", async () => {
    start((each) => Promise.resolve(listingOf(each, space("library", "public"))));
    follow(managed);
    await eventually(() => catalogueOfManaged() !== undefined);
    const first = catalogueOfManaged()!;
    now += 15_000;
    await eventually(() => catalogueOfManaged()?.readAt === now);
    expect(catalogueOfManaged()!.spaces).to.equal(first.spaces);
  });

  it("says once that a registry is read, and each change", async () => {
    let spaces = [space("library", "public"), space("team-a", "private")];
    start((each) => Promise.resolve(listingOf(each, ...spaces)));
    follow(managed);
    await beats(3);
    spaces = [space("library", "public"), space("team-a", "public")];
    await beats(3);
    expect(texts()).to.deep.equal([
      "info: the catalogue changed: 2 added (library, team-a)",
      "info: the registry is being read",
      "info: the catalogue changed: 1 opened (team-a)",
    ]);
  });

  it("keeps a listing out that lacks most spaces, until the third in a row", async () => {
    const all = [space("a", "public"), space("b", "public"), space("c", "public")];
    const few = [space("a", "private")];
    const listings = [all, few, few, all, few, few, few];
    const seen: string[] = [];
    let round = 0;
    const feed = startCatalogueFeed(
      {
        state,
        secrets,
        listSpaces: (each) => Promise.resolve(listingOf(each, ...(listings[round++] ?? few))),
        log,
        now: () => now,
        observe: (_, outcome) => {
          const spaces = [...(catalogueOfManaged()?.spaces.values() ?? [])];
          seen.push(
            `${outcome}: ${spaces.map(({ name, visibility }) => `${name} ${visibility}`).join(", ")}`,
          );
        },
      },
      { everyMs, maxAgeMs: 3_600_000 },
    );
    running.push(feed);
    follow(managed);
    await eventually(() => seen.length >= listings.length);
    const closed = "implausible: a private, b public, c public";
    expect(seen.slice(0, listings.length)).to.deep.equal([
      "read: a public, b public, c public",
      closed,
      closed,
      "read: a public, b public, c public",
      closed,
      closed,
      "read: a private",
    ]);
  });

  describe("with a Harbor that answers", () => {
    let harbor: StandInHarbor;
    let feed: CatalogueFeed;

    beforeEach(async () => {
      harbor = await startStandInHarbor({ adminPassword: "right", lockMs: 0 });
      for (let n = 0; n < 150; n += 1) harbor.projects.create({ name: `p${n}`, visibility: "public" });
      const clients = createHarborClients({
        secrets: () => secrets.current(),
        timeoutMs: 250,
        now: () => now,
        random: () => 0,
      });
      running.push({
        stop: () => {
          clients.close();
          return Promise.resolve();
        },
      });
      feed = start((each, signal) => listSpaces({ client: clients.clientOf(each), now: () => now }, signal));
      follow({ ...managed, url: harbor.url });
      await eventually(() => catalogueOfManaged() !== undefined);
    });
    afterEach(() => harbor.close());

    const page2 = /page=2/;
    const projects = /projects/;
    const cases: [title: string, fault: Fault, when: RegExp, outcome: RefreshOutcome, problem: RegExp][] = [
      [
        "HTML",
        { kind: "html", status: 200 },
        page2,
        "failed",
        /page 2 of .*200 with text\/html instead of JSON/,
      ],
      ["half a page", { kind: "half" }, page2, "failed", /page 2 of .*the JSON of \d+ characters is broken/],
      ["half a page and hangs up", { kind: "cut" }, page2, "failed", /page 2 of .*broke off, after 3 tries/],
      [
        "wrong totals",
        { kind: "total", total: 151 },
        projects,
        "failed",
        /150 projects came for a total of 151/,
      ],
      ["401", { kind: "status", status: 401 }, page2, "login-refused", /401, it does not accept the login/],
      ["403", { kind: "status", status: 403 }, page2, "failed", /403 FORBIDDEN/],
      ["500", { kind: "status", status: 500 }, page2, "failed", /500, after 3 tries/],
      [
        "a redirect",
        { kind: "redirect", to: "/login?x=y" },
        page2,
        "failed",
        /302, a redirect to \/login, is not/,
      ],
      ["nothing", { kind: "silence" }, page2, "failed", /no complete answer within 0.25 s/],
      ["nothing at all", { kind: "reset" }, /^/, "failed", /prove the identity of .*after 3 tries/],
    ];
    for (const [title, fault, when, outcome, problem] of cases) {
      it(`${title}: says so, and loses nothing good`, async () => {
        harbor.faults.always(fault, when);
        await eventually(() => feed.status().get("managed")?.outcome === outcome);
        expect(feed.status().get("managed")).to.have.property("up", false);
        const errors = log.lines.filter(({ level }) => level === "error");
        expect(errors).to.have.length(1);
        expect(errors[0]!.facts["problem"]).to.match(problem);
        expect(catalogueOfManaged()!.spaces.size).to.equal(150);
        expect(
          harbor.requests.every(({ cookie, login: name }) => cookie === null && name === "admin"),
        ).to.equal(true);
        expect(JSON.stringify(log.lines)).to.not.include("right");
      });
    }

    it("as to an anonymous caller: keeps what it knows", async () => {
      harbor.projects.create({ name: "secret" });
      await eventually(() => catalogueOfManaged()!.spaces.has("secret"));
      harbor.faults.anonymous = true;
      await eventually(() => feed.status().get("managed")?.outcome === "login-refused");
      expect(catalogueOfManaged()!.spaces.size).to.equal(151);
    });

    it("again after a while: says that too", async () => {
      harbor.faults.always({ kind: "half" });
      await eventually(() => feed.status().get("managed")?.outcome === "failed");
      harbor.faults.clear();
      await eventually(() => feed.status().get("managed")?.outcome === "read");
      expect(texts().slice(-2)).to.deep.equal([
        "error: the registry cannot be read; its last good catalogue stays in force",
        "info: the registry is being read",
      ]);
    });
  });

  it("slows down after failures, to a quarter of the beat, and logs one line", async () => {
    let rounds = 0;
    start(() => {
      rounds += 1;
      return Promise.reject(new Error("list projects: 502"));
    });
    follow(managed);
    const startedAt = Date.now();
    await eventually(() => rounds === 6);
    // 10, 20, 40, 40, 40 ms at least: a timer may be late, but is never early.
    expect(Date.now() - startedAt).to.be.at.least(140);
    expect(texts()).to.deep.equal([
      "error: the registry cannot be read; its last good catalogue stays in force",
    ]);
    expect(log.lines[0]!.facts).to.deep.equal({
      registry: "managed",
      outcome: "failed",
      problem: "list projects: 502",
    });
  });

  describe("without a login", () => {
    const missing: [title: string, secrets: Secrets, problem: string][] = [
      ["no Secret", new Map(), "Secret managed-login does not exist"],
      [
        "a Secret without password",
        new Map([["managed-login", { username: "admin" }]]),
        "Secret managed-login has no key password",
      ],
    ];
    for (const [title, held, problem] of missing) {
      it(`asks nothing and says so once: ${title}`, async () => {
        let asked = 0;
        secrets.replace(held);
        const feed = start((each) => {
          asked += 1;
          return Promise.resolve(listingOf(each));
        });
        follow(managed);
        secrets.replace(new Map([...held, ["unrelated", {}]]));
        await new Promise((resolve) => setTimeout(resolve, 5 * everyMs));
        expect(asked).to.equal(0);
        expect(feed.status().get("managed")).to.deep.equal({ outcome: "no-credentials", up: false, problem });
        expect(log.lines).to.have.length(1);
        expect(log.lines[0]!.facts).to.deep.include({ registry: "managed", problem });

        secrets.replace(new Map([["managed-login", login]]));
        await eventually(() => feed.status().get("managed")?.outcome === "read");
      });
    }

    it("waits in silence for Secrets that are not read yet", async () => {
      const unread = createCell<Secrets | undefined>(undefined);
      const list: ListSpaces = (each) => Promise.resolve(listingOf(each, space("a", "public")));
      const needs = { state, secrets: unread, listSpaces: list, log, now: () => now };
      const feed = startCatalogueFeed(needs, { everyMs, maxAgeMs: 3_600_000 });
      running.push(feed);
      follow(managed);
      expect(feed.status().size).to.equal(0);
      expect(log.lines).to.deep.equal([]);
      unread.replace(new Map([["managed-login", login]]));
      await eventually(() => feed.status().get("managed")?.outcome === "read");
    });

    it("keeps the catalogue when the Secret vanishes", async () => {
      const feed = start((each) => Promise.resolve(listingOf(each, space("a", "public"))));
      follow(managed);
      await eventually(() => catalogueOfManaged() !== undefined);
      secrets.replace(new Map());
      expect(feed.status().get("managed")).to.have.property("outcome", "no-credentials");
      expect(catalogueOfManaged()!.spaces.size).to.equal(1);
    });
  });

  describe("following the policy", () => {
    it("forgets a registry that left it", async () => {
      const feed = start((each) => Promise.resolve(listingOf(each, space("a", "public"))));
      follow(managed);
      await eventually(() => catalogueOfManaged() !== undefined);
      follow();
      await eventually(() => catalogueOfManaged() === undefined);
      expect(feed.status().size).to.equal(0);
      const seen = observed.length;
      await new Promise((resolve) => setTimeout(resolve, 5 * everyMs));
      expect(observed).to.have.length(seen);
    });

    it("begins anew when the url changes: what the old server showed is gone at once", async () => {
      const { promise: held, resolve: answer } = Promise.withResolvers<Listing>();
      start((each) =>
        each.url === managed.url ? Promise.resolve(listingOf(each, space("old", "public"))) : held,
      );
      follow(managed);
      await eventually(() => catalogueOfManaged() !== undefined);
      const moved = { ...managed, url: "https://moved.test" };
      follow(moved);
      await eventually(() => catalogueOfManaged() === undefined);
      answer(listingOf(moved, space("new", "public")));
      await eventually(() => catalogueOfManaged()?.server === "https://moved.test");
      expect([...catalogueOfManaged()!.spaces.keys()]).to.deep.equal(["new"]);
    });

    it("drops a listing that was under way when its registry went", async () => {
      const { promise: held, resolve: answer } = Promise.withResolvers<Listing>();
      const signals: AbortSignal[] = [];
      start((_, signal) => {
        signals.push(signal);
        return held;
      });
      follow(managed);
      await eventually(() => signals.length === 1);
      follow();
      expect(signals[0]!.aborted).to.equal(true);
      answer(listingOf(managed, space("a", "public")));
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(catalogueOfManaged()).to.equal(undefined);
      expect(observed).to.deep.equal([]);
    });

    it("reads with a changed login at once, whatever the beat", async () => {
      let refuse = true;
      const refused = Object.assign(new Error("it does not accept the login"), { kind: "login-refused" });
      const feed = startCatalogueFeed(
        {
          state,
          secrets,
          listSpaces: (each) => (refuse ? Promise.reject(refused) : Promise.resolve(listingOf(each))),
          log,
          now: () => now,
        },
        { everyMs: 3_600_000, maxAgeMs: 3_600_000 },
      );
      running.push(feed);
      follow(managed);
      await eventually(() => feed.status().get("managed")?.outcome === "login-refused");
      refuse = false;
      secrets.replace(new Map([["managed-login", { ...login, password: "changed" }]]));
      await eventually(() => feed.status().get("managed")?.outcome === "read");
    });

    it("goes on as it was when only other things change", async () => {
      let began = 0;
      start((_, signal) => {
        began += 1;
        return untilStopped(signal);
      });
      follow(managed);
      await eventually(() => began === 1);
      follow({ ...managed, spellings: ["managed.test", "alias.test"] }, registry("other"));
      secrets.replace(new Map([...secrets.current(), ["unrelated", { a: "b" }]]));
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(began).to.equal(1);
    });

    it("asks one server for one listing at a time, whatever its registries are called", async () => {
      let atATime = 0;
      let most = 0;
      const feed = start(async (each) => {
        atATime += 1;
        most = Math.max(most, atATime);
        await new Promise((resolve) => setTimeout(resolve, 5));
        atATime -= 1;
        return listingOf(each);
      });
      const names = ["managed", "one", "two", "three"];
      secrets.replace(new Map(names.map((name) => [`${name}-login`, login])));
      follow(...names.map((name) => registry(name, { url: "https://managed.test" })));
      await eventually(() => names.every((name) => feed.status().get(name)?.outcome === "read"));
      expect(most).to.equal(1);
    });

    it("does not let a slow server hold up another", async () => {
      const feed = start((each, signal) => {
        if (each.name === "managed") return Promise.resolve(listingOf(each));
        return untilStopped(signal);
      });
      secrets.replace(new Map([...secrets.current(), ["slow-login", login]]));
      follow(registry("slow"), managed);
      await eventually(() => feed.status().get("managed")?.outcome === "read");
      expect(feed.status().get("slow")).to.have.property("outcome", null);
    });
  });

  describe("the upkeep that every replica does", () => {
    const published = (readAt: number, server = "https://managed.test") =>
      catalogueOf(server, readAt, [space("a", "public")]);

    function upkeep(maxAgeMs: number): void {
      running.push(startCatalogueUpkeep({ state, log, now: () => now }, maxAgeMs));
    }

    it("marks a catalogue that is too old, once, and not before", async () => {
      follow(managed);
      upkeep(60_000);
      state.replaceCatalogue("managed", published(now - 60_000));
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(catalogueOfManaged()).to.have.property("stale", false);
      now += 1;
      state.replaceCatalogue("other", undefined);
      await eventually(() => catalogueOfManaged()?.stale === true);
      expect(texts()).to.deep.equal(["warn: the catalogue is stale"]);
    });

    it("notices by itself that time has passed", async () => {
      follow(managed);
      upkeep(200);
      state.replaceCatalogue("managed", published(now));
      await new Promise((resolve) => setTimeout(resolve, 20));
      now += 201;
      await eventually(() => catalogueOfManaged()?.stale === true);
    });

    it("is undone by the next listing", async () => {
      follow(managed);
      state.replaceCatalogue("managed", { ...published(0), stale: true });
      start((each) => Promise.resolve(listingOf(each, space("a", "public"))), 60_000);
      await eventually(() => catalogueOfManaged()?.readAt === now);
      expect(catalogueOfManaged()).to.have.property("stale", false);
    });

    it("forgets what was published of another server, or of no registry", async () => {
      follow(managed, registry("archive", { type: "docker-registry" }));
      upkeep(60_000);
      state.replaceCatalogue("managed", published(now, "https://before.test"));
      state.replaceCatalogue("gone", published(now));
      state.replaceCatalogue("archive", published(now, "https://archive.test"));
      await eventually(() => state.snapshot().catalogues.size === 0);
    });

    it("forgets nothing before the policy was read", async () => {
      state.replaceCatalogue("managed", published(now));
      upkeep(60_000);
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(catalogueOfManaged()).to.not.equal(undefined);
    });

    it("tells every listener of changes in the order in which they happened", async () => {
      follow(managed);
      upkeep(60_000);
      const generations: number[] = [];
      state.subscribe(({ generation }) => generations.push(generation));
      state.replaceCatalogue("managed", published(0));
      await eventually(() => catalogueOfManaged()?.stale === true);
      expect(generations).to.deep.equal([...generations].sort((a, b) => a - b));
      expect(generations).to.have.length(2);
    });
  });

  it("gives metrics the age and the spaces of each catalogue", () => {
    state.replaceCatalogue(
      "managed",
      catalogueOf("https://managed.test", now - 5_000, [space("a", "public"), space("b", "private")]),
    );
    expect(catalogueFacts(state.snapshot(), now).get("managed")).to.deep.equal({
      ageMs: 5_000,
      spaces: { public: 1, private: 1 },
    });
  });

  it("counts proxy caches as the policy has them count", () => {
    const mirror = space("mirror", "public", 2, true);
    state.replaceCatalogue(
      "managed",
      catalogueOf("https://managed.test", now, [space("a", "public"), mirror]),
    );
    const counted = () => catalogueFacts(state.snapshot(), now).get("managed")?.spaces;
    expect(counted()).to.deep.equal({ public: 2, private: 0 });
    state.replacePolicy(
      policyOf({ registries: [registry("managed", { treatsProxyCachesAsPrivate: true })] }),
    );
    expect(counted()).to.deep.equal({ public: 1, private: 1 });
  });
});
