import { expect } from "chai";
import type { Fault } from "../../src/demo/stand-in-faults.ts";
import type { Failure } from "../fakes/kube-api.ts";
import {
  expectNoSecrets,
  image,
  startClusterPlatform,
  type ClusterPlatform,
  type Replica,
} from "./cluster-platform.ts";

const second = 1_000;
const minute = 60 * second;

const making = /\/robots$/;
const removing = /\/robots\/\d+$/;
const askingForTokens = /\/service\/token/;

describe("robots and pull secrets when something fails", () => {
  let platform: ClusterPlatform;
  let replica: Replica;
  /** Every robot that there ever was: id → name. */
  let everMade: Map<number, string>;
  /** Namespaces whose pulls failed at any moment. */
  let broken: Set<string>;

  beforeEach(async () => {
    platform = await startClusterPlatform();
    everMade = new Map();
    broken = new Set();
    platform.harbor.faults.meanwhile = () => {
      for (const { id, name } of platform.robots()) everMade.set(id, name);
      for (const namespace of platform.broken()) broken.add(namespace);
    };
  });
  afterEach(async () => {
    try {
      expect([...platform.harbor.logins.failures], "failed logins").to.deep.equal([]);
      expect([...broken], "namespaces that could not pull").to.deep.equal([]);
      expectNoSecrets(platform);
    } finally {
      await platform.close();
    }
  });

  async function settle(): Promise<void> {
    replica = await platform.startReplica();
    await platform.time.turn(minute);
    expectOneEach();
  }

  /** A robot for each of the two workspaces, in the Secrets of their namespaces, and no name ever used twice. */
  function expectOneEach(spaceOf12 = "team-a"): void {
    const spaces = platform.robots().map(({ permissions }) => permissions.map(({ namespace }) => namespace));
    expect(spaces.flat().sort()).to.deep.equal(["models", spaceOf12].sort());
    for (const namespace of ["shop", "shop-test"])
      expect(platform.pulls(namespace, spaceOf12), namespace).to.equal(true);
    expect(platform.pulls("lab", "models")).to.equal(true);
    for (const { id, name } of platform.robots()) everMade.set(id, name);
    expect(new Set(everMade.values()).size, "names used once").to.equal(everMade.size);
  }

  const asked = (method: string, path: RegExp): number =>
    platform.harbor.requests.filter((request) => request.method === method && path.test(request.path)).length;
  const details = async (): Promise<string> => (await replica.details()).join("\n");
  const warnings = () => replica.logged().filter(({ level }) => level === "warn" || level === "error");

  function bindTo(space: string): void {
    platform.policy("bindings", {
      bindings: [
        { workspace: "12", registry: "managed", spaces: [space] },
        { workspace: "13", registry: "managed", spaces: ["models"] },
      ],
    });
  }

  describe("when Harbor, asked for a robot,", () => {
    const rows: readonly [title: string, fault: Fault, report: RegExp][] = [
      [
        "makes it and answers 500",
        { kind: "lost", status: 500 },
        /make a robot \(berth-\S+\) of http\S+: 500/,
      ],
      [
        "makes it and breaks off",
        { kind: "cut" },
        /make a robot \(berth-\S+\) of http\S+: the answer broke off/,
      ],
      [
        "makes it and tells half of it",
        { kind: "half" },
        /make a robot \(berth-\S+\) of http\S+: the JSON of \d+ characters/,
      ],
      [
        "makes it too late",
        { kind: "slow", ms: 40 * second },
        /make a robot \(berth-\S+\) of http\S+: no complete answer/,
      ],
      [
        "makes none and answers 500",
        { kind: "status", status: 500 },
        /make a robot \(berth-\S+\) of http\S+: 500/,
      ],
      ["breaks the connection", { kind: "reset" }, /make a robot \(berth-\S+\) of http\S+: socket hang up/],
      [
        "never answers",
        { kind: "silence" },
        /make a robot \(berth-\S+\) of http\S+: no complete answer within 30 s/,
      ],
      [
        "says that it may not",
        { kind: "status", status: 403 },
        /the login may not make robots; it needs robot:create/,
      ],
      [
        "says that there is one of the name",
        { kind: "status", status: 409 },
        /make a robot for workspace 1\d on managed: there is one of its name already \(berth-/,
      ],
    ];
    for (const [title, fault, report] of rows) {
      it(`${title}: it is asked a bounded number of times, and there is one in the end`, async () => {
        platform.harbor.faults.always(fault, making);
        replica = await platform.startReplica();
        await platform.time.turn(5 * minute);
        expect(await replica.reason("shop", image("team-a"))).to.equal("bound-space,pull-secret-missing");
        expect(platform.held("shop")).to.equal(undefined);
        expect(await details()).to.match(report);
        // For each workspace a try in half a minute at the slowest, and quicker ones at the beginning.
        expect(asked("POST", making)).to.be.within(2, 2 * 16);
        // One for each try at most, and those of the start.
        expect(warnings().length, "lines").to.be.below(24);

        platform.harbor.faults.clear();
        await platform.time.turn(10 * minute);
        expectOneEach();
        expect(await details()).not.to.match(/make a robot/);
        // Nothing goes on without need.
        const before = [asked("POST", making), asked("DELETE", removing)];
        await platform.time.turn(10 * minute);
        expect([asked("POST", making), asked("DELETE", removing)]).to.deep.equal(before);
      }).timeout(60_000);
    }
  });

  it("a robot that cannot be removed holds up nobody, and goes when it can be", async () => {
    await settle();
    const old = platform.robots().map(({ id }) => id);
    platform.harbor.faults.always({ kind: "status", status: 500 }, removing);
    bindTo("team-b");
    await platform.time.turn(15 * minute);
    expect(platform.pulls("shop", "team-b")).to.equal(true);
    expect(platform.pulls("shop-test", "team-b")).to.equal(true);
    expect(platform.robots()).to.have.lengthOf(3);
    expect(asked("DELETE", removing)).to.be.within(1, 40);
    expect(await details()).to.match(/remove robot \d+ of http\S+: 500/);

    platform.harbor.faults.clear();
    await platform.time.turn(5 * minute);
    expectOneEach("team-b");
    expect(old.filter((id) => platform.robots().some((robot) => robot.id === id))).to.have.lengthOf(1);
  }).timeout(60_000);

  it("a robot that Harbor's token service says nothing about is handed to nobody, and no other is made", async () => {
    platform.harbor.faults.always({ kind: "status", status: 500 }, askingForTokens);
    replica = await platform.startReplica();
    await platform.time.turn(10 * minute);
    expect(platform.held("shop")).to.equal(undefined);
    expect(everMade.size).to.equal(2);
    // Half a minute between the tries at the slowest, and each is three requests.
    expect(asked("GET", askingForTokens)).to.be.below(2 * 3 * 30);
    expect(await details()).to.match(/ask for a token to pull from team-a of http\S+: 500/);

    platform.harbor.faults.clear();
    await platform.time.turn(5 * minute + 30 * second);
    expectOneEach();
    expect(everMade.size).to.equal(2);
  }).timeout(60_000);

  it("a successor that cannot be checked is handed to nobody, while the old robot goes on pulling", async () => {
    await settle();
    const old = platform.held("shop");
    platform.harbor.faults.always({ kind: "html", status: 502 }, askingForTokens);
    platform.policy("more", { bindings: [{ workspace: "12", registry: "managed", spaces: ["team-b"] }] });
    await platform.time.turn(10 * minute);
    expect(platform.held("shop")).to.deep.equal(old);
    expect(platform.pulls("shop", "team-a")).to.equal(true);

    platform.harbor.faults.clear();
    await platform.time.turn(6 * minute);
    expect(platform.pulls("shop", "team-a")).to.equal(true);
    expect(platform.pulls("shop", "team-b")).to.equal(true);
    expect(platform.robots()).to.have.lengthOf(2);
  }).timeout(60_000);

  describe("when the API server, asked to write", () => {
    const fail = (failure: Omit<Failure, "on">): void => {
      for (const on of ["create", "update", "patch"] as const) {
        platform.kube.switches.failures.push({ ...failure, on, always: true });
      }
    };
    const heal = (): void => void (platform.kube.switches.failures = []);
    const record = /\/berth-system\/secrets(\/|$)/;
    const inShop = /\/namespaces\/shop\/secrets(\/|$)/;

    for (const status of [409, 500]) {
      it(`a record, says ${String(status)}: no robot is made without one, and one in the end`, async () => {
        fail({ status, when: record });
        replica = await platform.startReplica();
        await platform.time.turn(5 * minute);
        expect(asked("POST", making)).to.equal(0);
        heal();
        await platform.time.turn(5 * minute + 30 * second);
        expectOneEach();
      }).timeout(60_000);

      it(`a record, says ${String(status)} while robots are replaced: what is there goes on pulling`, async () => {
        await settle();
        fail({ status, when: record });
        bindTo("team-b");
        await platform.time.turn(3 * minute);
        expect(platform.pulls("shop", "team-a")).to.equal(true);
        expect(platform.robots()).to.have.lengthOf(2);
        heal();
        await platform.time.turn(10 * minute + 30 * second);
        expectOneEach("team-b");
      }).timeout(60_000);
    }

    const inOneNamespace: readonly [
      title: string,
      failure: Omit<Failure, "on" | "when">,
      report: RegExp,
      slowestMs: number,
    ][] = [
      [
        "500",
        { status: 500 },
        /namespace shop: create Secret berth-pull in namespace shop: 500/,
        40 * second,
      ],
      [
        "409 all the time",
        { status: 409 },
        /namespace shop: somebody else changes it all the time/,
        6 * minute,
      ],
      [
        "403 for a quota",
        {
          status: 403,
          body: JSON.stringify({
            kind: "Status",
            message: 'secrets "berth-pull" is forbidden: exceeded quota',
          }),
        },
        /namespace shop: create Secret berth-pull in namespace shop: 403 secrets "berth-pull" is forbidden: exceeded quota/,
        6 * minute,
      ],
    ];
    for (const [title, failure, report, slowestMs] of inOneNamespace) {
      it(`one namespace's Secret, says ${title}: others wait for nothing, and it comes when it can`, async () => {
        fail({ ...failure, when: inShop });
        replica = await platform.startReplica();
        await platform.time.turn(15 * second);
        expect(platform.pulls("shop-test", "team-a")).to.equal(true);
        expect(platform.pulls("lab", "models")).to.equal(true);
        await platform.time.turn(10 * minute);
        expect(platform.held("shop")).to.equal(undefined);
        expect(await details()).to.match(report);
        const tries = platform.kube.requests.filter(({ kind, path }) => kind !== "get" && inShop.test(path));
        expect(tries.length).to.be.within(2, 30);
        expect(warnings().filter(({ msg }) => msg === "a pull secret cannot be written")).to.have.lengthOf(1);
        heal();
        await platform.time.turn(slowestMs);
        expectOneEach();
      }).timeout(60_000);
    }

    it("one namespace's Secret, refuses: the robot that was taken away dies all the same", async () => {
      await settle();
      const [old] = platform.robots();
      fail({ status: 403, when: inShop });
      bindTo("team-b");
      await platform.time.turn(5 * minute);
      expect(platform.robots().some(({ id }) => id === old?.id)).to.equal(false);
      expect(platform.pulls("shop-test", "team-b")).to.equal(true);
      expect([...broken], "which nobody could write").to.deep.equal(["shop"]);
      heal();
      await platform.time.turn(6 * minute);
      expectOneEach("team-b");
      expect(platform.broken()).to.deep.equal([]);
      broken.clear();
    }).timeout(60_000);
  });
});
