import { expect } from "chai";
import {
  image,
  expectNoSecrets,
  startClusterPlatform,
  type ClusterPlatform,
  type Replica,
} from "./cluster-platform.ts";

const second = 1_000;
const minute = 60 * second;

describe("two replicas, of which the one that leads loses the lease in the middle of its work", () => {
  let platform: ClusterPlatform;
  let first: Replica;
  let other: Replica;
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

  async function start(): Promise<void> {
    first = await platform.startReplica();
    await platform.time.turn(second);
    expect(leads(first)).to.equal(true);
    other = await platform.startReplica();
    await platform.time.turn(second);
    expect(leads(other)).to.equal(false);
  }

  const leads = ({ serving }: Replica): boolean => serving.engine.leads() === true;

  /** As if its clock had stood still and another replica, which then dies, had won. */
  function depose(): void {
    const renewTime = new Date(Date.now()).toISOString().replace("Z", "000Z");
    platform.kube.put("leases", {
      metadata: { name: "berth", namespace: "berth-system" },
      spec: { holderIdentity: "somebody-else", leaseDurationSeconds: 15, renewTime, leaseTransitions: 7 },
    });
  }

  /** All that changes something, anywhere. */
  const writes = (): number =>
    platform.harbor.requests.filter(({ method }) => method !== "GET").length +
    platform.kube.requests.filter(({ kind }) => !["get", "list", "watch"].includes(kind)).length;

  /** Deposed, silent, succeeded; each in good time. */
  async function expectSuccession(): Promise<void> {
    depose();
    await platform.time.turnUntil(() => !leads(first), 6 * second);
    const before = writes();
    await platform.time.turn(8 * second);
    expect([leads(first), leads(other)]).to.deep.equal([false, false]);
    expect(writes() - before, "writes while nobody leads").to.equal(0);
    await platform.time.turnUntil(() => leads(first) !== leads(other), 15 * second);
  }

  function expectOneEach(spaceOf12: string): void {
    const spaces = platform.robots().map(({ permissions }) => permissions.map(({ namespace }) => namespace));
    expect(spaces.flat().sort()).to.deep.equal(["models", spaceOf12].sort());
    for (const namespace of ["shop", "shop-test"])
      expect(platform.pulls(namespace, spaceOf12), namespace).to.equal(true);
    expect(platform.pulls("lab", "models")).to.equal(true);
    for (const { id, name } of platform.robots()) everMade.set(id, name);
    expect(new Set(everMade.values()).size, "names used once").to.equal(everMade.size);
  }

  const wasAsked = (method: string, path: RegExp, since: number): boolean =>
    platform.harbor.requests
      .slice(since)
      .some((request) => request.method === method && path.test(request.path));

  const moments: readonly [title: string, method: string, path: RegExp][] = [
    ["while Harbor makes a robot", "POST", /\/robots$/],
    ["while Harbor is asked what the robot may pull", "GET", /\/service\/token/],
  ];
  for (const [title, method, path] of moments) {
    it(`${title}, at the beginning: the other ends with one robot, and the deposed one writes nothing more`, async () => {
      platform.harbor.faults.always({ kind: "slow", ms: 9 * second }, path);
      await start();
      await platform.time.turnUntil(() => wasAsked(method, path, 0), 20 * second);
      await expectSuccession();
      platform.harbor.faults.clear();
      await platform.time.turn(6 * minute);
      expectOneEach("team-a");
      expect(await first.reason("shop", image("team-a"))).to.equal("bound-space");
      expect(await other.reason("shop", image("team-a"))).to.equal("bound-space");
    }).timeout(60_000);
  }

  for (const [title, method, path] of [
    ...moments,
    ["while Harbor removes the old robot", "DELETE", /\/robots\/\d+$/] as const,
  ]) {
    it(`${title}, in a rotation: nobody's pull breaks, and the old robot is gone in the end`, async () => {
      await start();
      await platform.time.turn(minute);
      expectOneEach("team-a");
      const [old] = platform.robots();
      const since = platform.harbor.requests.length;
      platform.harbor.faults.always({ kind: "slow", ms: 9 * second }, path);
      platform.policy("bindings", {
        bindings: [
          { workspace: "12", registry: "managed", spaces: ["team-b"] },
          { workspace: "13", registry: "managed", spaces: ["models"] },
        ],
      });
      await platform.time.turnUntil(() => wasAsked(method, path, since), 4 * minute);
      await expectSuccession();
      platform.harbor.faults.clear();
      await platform.time.turn(8 * minute);
      expectOneEach("team-b");
      expect(platform.robots().some(({ id }) => id === old?.id)).to.equal(false);
    }).timeout(60_000);
  }

  it("while Secrets are half written: the other writes the rest", async () => {
    await start();
    await platform.time.turn(minute);
    for (const on of ["create", "patch"] as const) {
      platform.kube.switches.failures.push({
        on,
        status: 500,
        when: /\/namespaces\/shop\/secrets/,
        always: true,
      });
    }
    platform.policy("bindings", {
      bindings: [
        { workspace: "12", registry: "managed", spaces: ["team-b"] },
        { workspace: "13", registry: "managed", spaces: ["models"] },
      ],
    });
    await platform.time.turnUntil(() => platform.pulls("shop-test", "team-b"), minute);
    expect(platform.pulls("shop", "team-a"), "the old robot lives").to.equal(true);
    await expectSuccession();
    platform.kube.switches.failures = [];
    await platform.time.turn(8 * minute);
    expectOneEach("team-b");
  }).timeout(60_000);

  it("because the API server does not answer it: it stops by itself before another can begin", async () => {
    await start();
    await platform.time.turn(minute);
    platform.kube.switches.failures.push({
      on: "update",
      status: 500,
      when: /\/leases\/berth$/,
      always: true,
    });
    await platform.time.turnUntil(() => !leads(first), 20 * second);
    expect(leads(other)).to.equal(false);
    platform.kube.switches.failures = [];
    await platform.time.turn(minute);
    expect(leads(first) !== leads(other)).to.equal(true);
    expectOneEach("team-a");
    expect(everMade.size).to.equal(2);
  }).timeout(60_000);
});
