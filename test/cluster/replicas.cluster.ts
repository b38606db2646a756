// Two and three replicas behind one address, and an API server that goes on calling while they are replaced, killed,
// robbed of their certificate or cut off from what they know. Whatever happens, no call is answered wrongly; those that
// are not answered at all are counted, and each has its reason. The CA lives for a minute, so that it changes all the
// time. One control plane for all tests, which run in order.

import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { readBundle } from "../../src/certificates/authority.ts";
import type { StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { createWebhookCaller, creationReview } from "../../src/demo/webhook-caller.ts";
import { installed, theOnly } from "../chart/manifests.ts";
import { startBalancer, type Balancer } from "./balancer.ts";
import { berthNamespace, mustCreate, prepareBerth, type Berth } from "./berth.ts";
import { binaryPath, skipWithout } from "./binaries.ts";
import { startControlPlane, type ControlPlane } from "./control-plane.ts";
import { createNamespace, waitFor, type Identified } from "./kube.ts";
import { imageOf, startHarbor, workspaceLabel } from "./platform.ts";
import { run } from "./process.ts";
import { startRush, type Call, type Rush } from "./rush.ts";
import { webhookConfigurations } from "./webhooks.ts";
import { pod, workload } from "./workloads.ts";

const open = imageOf("open");
/** For workspace 12, and so for namespaces shop and rush. */
const teamA = imageOf("team-a");
const teamB = imageOf("team-b");
const unknown = imageOf("no-such-space");
const pullSecretsOf: Readonly<Record<string, readonly string[]>> = { [open]: [], [teamA]: ["berth-pull"] };

/** On a host that no registry claims. */
const foreign = "registry.example.test/vital:1";
const podKind = { group: "", kind: "Pod", resource: "pods" };
/** Asked of every replica. */
const questions: readonly (readonly [namespace: string, image: string, allowed: boolean])[] = [
  ...["shop", "lab", "loose"].flatMap((namespace) => [
    [namespace, open, true] as const,
    [namespace, teamA, namespace === "shop"] as const,
    ...[teamB, unknown, foreign, "Not An Image"].map((image) => [namespace, image, false] as const),
  ]),
  ["kube-system", foreign, true],
];

/** What the API server says of a call whose connection was lost, or never came about. */
const connectionLost =
  /failed calling webhook .*(connection refused|connection reset by peer|broken pipe|EOF|server closed idle connection)/;
/** What it says, or its absence, when it has not come as far as to ask anybody, or cannot store what was allowed. */
const ofApiServer =
  /^the API server: |not yet ready to handle request|apiserver is shutting down|etcdserver|^Timeout: request did not complete|storage is \(re\)initializing/;
/** A lease that nobody renews is over after 15 s, and those that wait look at it every two. */
const takeoverMs = 40_000;
const guarding = { workspaceLabel, exemptNames: ["kube-system", berthNamespace] };
const configurationKinds = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] as const;
const caSecretAt = { namespace: berthNamespace, name: "berth-ca" };

interface Replica {
  readonly berth: Berth;
  /** There is a process, ready or not. */
  runs: boolean;
}

/** Why calls that overlap this time may have no answer. */
interface Reason {
  readonly text: RegExp;
  readonly from: number;
  readonly to: number;
}

describe("replicas behind one address, before a real API server", function () {
  this.timeout(300_000);
  let plane: ControlPlane;
  let harbor: StandInHarbor;
  let balancer: Balancer;
  let a: Replica;
  let b: Replica;
  let c: Replica;
  const undo: (() => unknown)[] = [];

  before(async function () {
    skipWithout("kube-controller-manager", this);
    skipWithout("kubectl", this);
    plane = await startControlPlane({ controllerManager: true });
    undo.push(() => plane.stop());
    await createNamespace(admin(), berthNamespace);
    await createNamespace(admin(), "shop", { [workspaceLabel]: "12" });
    await createNamespace(admin(), "rush", { [workspaceLabel]: "12" });
    await createNamespace(admin(), "lab", { [workspaceLabel]: "34" });
    await createNamespace(admin(), "loose");
    harbor = await startHarbor(plane);
    undo.push(() => harbor.close());
    await mustCreate(admin(), policyFor(harbor.url));
    balancer = await startBalancer();
    undo.push(() => balancer.close());
    const berth = await prepareBerth({
      ...{ plane, guarding, keepsCertificate: true, frontPort: balancer.port },
      flags: [
        ...["--catalogue-interval", "1s", "--drain", "5s"],
        // The last third of both is longer than etcd is away, which keeps everybody from renewing them.
        ...["--ca-lifetime", "1m", "--leaf-lifetime", "1m"],
      ],
    });
    a = replicaOf(berth);
    b = replicaOf(await berth.another());
    c = replicaOf(await berth.another());
    await Promise.all([start(a), start(b)]);
    await serving(a, b);
    await pullSecretIsThere("rush");
  });
  after(async () => {
    while (undo.length > 0) await undo.pop()?.();
  });

  const admin = () => plane.admin;
  const all = () => [a, b, c];
  const running = () => all().filter(({ runs }) => runs);

  function replicaOf(berth: Berth): Replica {
    const replica: Replica = { berth, runs: false };
    const isReady = async () => replica.runs && (await berth.operations("/readyz")).status === 200;
    balancer.add({ port: berth.webhook.port, isReady });
    undo.push(() => (replica.runs ? berth.stop() : undefined));
    return replica;
  }

  const serving = (...replicas: readonly Replica[]) =>
    balancer.untilServing(replicas.map(({ berth }) => berth.webhook.port));

  async function start(replica: Replica): Promise<void> {
    await replica.berth.start();
    replica.runs = true;
  }

  /** As a node ends a Pod: by then nothing new must come to it. */
  async function stop(replica: Replica): Promise<void> {
    const { port } = replica.berth.webhook;
    expect(await replica.berth.stop()).to.deep.equal({ code: 0, signal: null });
    const endedAt = Date.now();
    replica.runs = false;
    const out = balancer.changes.findLast((change) => change.port === port);
    expect(out?.serves, "the balancer learned of the drain before it was over").to.equal(false);
    expect(out?.at).to.be.below(endedAt);
  }

  async function kill(replica: Replica): Promise<void> {
    await replica.berth.kill();
    replica.runs = false;
  }

  /**
   * Calls from before `act` until after it: most change nothing, and some make Pods. Prints what became of them, and
   * fails for a single wrong one.
   */
  async function underLoad(act: (rush: Rush) => Promise<void>): Promise<readonly Call[]> {
    const common = { kube: admin(), namespace: "rush" };
    const images = { admit: [open, teamA], refuse: [teamB, unknown] };
    const rushes = [
      startRush({ ...common, images, dryRun: true, pauseMs: 25 }),
      startRush({ ...common, images: { admit: [teamA], refuse: [] }, pauseMs: 200 }),
    ] as const;
    const connectionsBefore = balancer.connections();
    const calls: Call[] = [];
    try {
      await rushes[0].goOnFor(40);
      await act(rushes[0]);
      await rushes[0].goOnFor(100);
    } finally {
      for (const made of await Promise.all(rushes.map((rush) => rush.stop()))) calls.push(...made);
      console.log(`      ${balancer.connections() - connectionsBefore} connections`);
      tell(calls);
    }
    expect(calls.filter(isWrong)).to.deep.equal([]);
    return calls;
  }

  /** Resolves when some calls wait at this replica for an answer of Harbor; what it resolves to tells of all of them. */
  async function holdCallsAt(replica: Replica): Promise<() => Promise<readonly Call[]>> {
    harbor.faults.always({ kind: "slow", ms: 3_000 });
    // As many names as a namespace may have looked up at once; each is refused when Harbor has answered.
    const refuse = Array.from({ length: 10 }, (_, number) => imageOf(`unheard-of-${number}`));
    const namespaces = ["shop", "lab"];
    const rushes = namespaces.map((namespace) =>
      startRush({ kube: admin(), namespace, images: { admit: [], refuse }, dryRun: true, pauseMs: 100 }),
    );
    await waitFor("calls wait for their answer", async () => {
      return Number((await metricsOf(replica)).get("berth_admission_in_flight")) >= 3;
    });
    return async () => {
      harbor.faults.clear();
      return (await Promise.all(rushes.map((rush) => rush.stop()))).flat();
    };
  }

  /** While `act` lasts, no replica says that it is not ready. */
  async function nobodyDropsOut(act: () => Promise<unknown>): Promise<void> {
    const before = balancer.changes.length;
    await act();
    expect(balancer.changes.slice(before)).to.deep.equal([]);
  }

  function expectExplained(calls: readonly Call[], ...reasons: readonly Reason[]): void {
    const isExplained = ({ message, begunAt, endedAt }: Call) =>
      reasons.some(({ text, from, to }) => text.test(message) && endedAt >= from && begunAt <= to);
    expect(calls.filter((call) => isUnanswered(call) && !isExplained(call))).to.deep.equal([]);
  }

  async function metricsOf({ berth }: Replica): Promise<ReadonlyMap<string, string>> {
    const { text } = await berth.operations("/metrics");
    const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), line.split(" ").at(-1) ?? ""]));
  }

  /** Resolves when exactly one of those that run leads, and all others say that they do not. */
  function theLeader(): Promise<Replica> {
    const look = async () => {
      const replicas = running();
      const leads = await Promise.all(
        replicas.map(async (replica) => (await metricsOf(replica)).get("berth_leader")),
      );
      if (leads.filter((value) => value === "0").length !== replicas.length - 1) return undefined;
      return replicas[leads.indexOf("1")];
    };
    return waitFor("exactly one leads", look, takeoverMs);
  }

  /** All are ready, one leads, and whoever is asked gives the same verdict, which is the right one. */
  async function expectAgreement(): Promise<void> {
    const replicas = running();
    await serving(...replicas);
    await theLeader();
    const facts = () => Promise.all(replicas.map(async (replica) => sharedFacts(await metricsOf(replica))));
    await waitFor("the replicas' metrics tell the same", async () => {
      const [first, ...others] = await facts();
      return others.every((other) => other === first);
    });
    const ca = (await bundles())[0] ?? "";
    const [first, ...others] = await Promise.all(replicas.map(({ berth }) => verdictsOf(berth, ca)));
    expect(first?.map(({ asked, allowed }) => [...asked, allowed])).to.deep.equal(
      questions.map(([namespace, image, allowed]) => [namespace, image, allowed]),
    );
    for (const other of others) expect(other).to.deep.equal(first);
  }

  async function verdictsOf({ webhook }: Berth, ca: string) {
    const caller = createWebhookCaller({ ...webhook, ca });
    try {
      const given = [];
      for (const [namespace, image] of questions) {
        const spec = { imagePullSecrets: [{ name: "berth-pull" }] };
        const review = creationReview(podKind, pod({ namespace, name: "asked" }, image, spec));
        const { patch } = await caller.review("/mutate", review);
        const { allowed, auditAnnotations } = await caller.review("/validate", review);
        const { verdict, reasons, workspace } = auditAnnotations ?? {};
        given.push({ asked: [namespace, image], allowed, verdict, reasons, workspace, patch });
      }
      return given;
    } finally {
      caller.close();
    }
  }

  async function bundles(): Promise<readonly string[]> {
    const read = await Promise.all(configurationKinds.map((kind) => admin().get(kind, { name: "berth" })));
    return read.flatMap(({ body }) =>
      (body.webhooks ?? []).map(({ clientConfig: { caBundle = "" } }) =>
        Buffer.from(caBundle, "base64").toString(),
      ),
    );
  }

  /** Of the newest CA in the Secret; undefined where there is none. */
  async function newestCa(): Promise<string | undefined> {
    const { body } = await admin().get("Secret", caSecretAt);
    return readBundle(Buffer.from(body.data?.["ca.crt"] ?? "", "base64").toString()).certificates[0]?.id;
  }

  /** Resolves when there is another CA than this one, and all trust it. */
  async function nextCa(before: string | undefined): Promise<string> {
    return waitFor(
      "another CA is in the Secret and in both configurations",
      async () => {
        const newest = await newestCa();
        if (newest === undefined || newest === before) return undefined;
        const isThere = (bundle: string) => readBundle(bundle).certificates.some(({ id }) => id === newest);
        return (await bundles()).every(isThere) ? newest : undefined;
      },
      90_000,
    );
  }

  const pullSecretIsThere = (namespace: string) =>
    waitFor(
      `${namespace} has its pull secret`,
      async () => (await admin().get("Secret", { namespace, name: "berth-pull" })).status === 200,
    );

  it("are two that agree", expectAgreement);

  it("are replaced as a Deployment does it, a new one first, without a call that fails", async () => {
    const calls = await underLoad(async () => {
      for (const [old, next] of [
        [b, c],
        [a, b],
      ] as const) {
        await start(next);
        await serving(...running());
        await stop(old);
      }
    });
    expectExplained(calls);
    await expectAgreement();
  });

  it("are robbed of their leader, and only calls on their way to it fail, until nobody is sent there", async () => {
    const leader = await theLeader();
    const held: Call[] = [];
    let killedAt = 0;
    let outAt = 0;
    const calls = await underLoad(async (rush) => {
      const endHolding = await holdCallsAt(leader);
      killedAt = Date.now();
      await kill(leader);
      await serving(...running());
      outAt = Date.now();
      held.push(...(await endHolding()));
      await rush.goOnFor(50);
      expect(await theLeader()).not.to.equal(leader);
      console.log(`      another leads after ${Date.now() - killedAt} ms`);
      await start(leader);
      await serving(...running());
    });
    tell(held);
    expect(held.filter(isWrong)).to.deep.equal([]);
    expect(held.filter(isUnanswered), "calls that were on their way").not.to.be.empty;
    expectExplained([...calls, ...held], { text: connectionLost, from: killedAt, to: outAt });
    await expectAgreement();
  });

  it("become three, restart one by one while the CA changes, and no call fails", async () => {
    let changes = 0;
    let restarts = 0;
    const calls = await underLoad(async () => {
      await Promise.all(
        all()
          .filter(({ runs }) => !runs)
          .map(start),
      );
      await serving(...all());
      const rotate = async () => {
        for (let ca = await newestCa(); changes < 2; changes += 1) ca = await nextCa(ca);
      };
      const restart = async () => {
        for (const replica of all()) {
          await stop(replica);
          await start(replica);
          await serving(...all());
          restarts += 1;
        }
      };
      await Promise.all([rotate(), restart()]);
    });
    console.log(`      ${restarts} restarts, ${changes} new CAs`);
    expectExplained(calls);
    await expectAgreement();
  });

  const spoiled: readonly [what: string, spoil: () => Promise<unknown>][] = [
    ["is deleted", () => admin().delete("Secret", caSecretAt)],
    [
      "is filled with rubbish",
      () =>
        admin().mergePatch("Secret", caSecretAt, { data: { "ca.crt": "cnViYmlzaA==", "ca.key": "AAAA" } }),
    ],
  ];
  for (const [what, spoil] of spoiled) {
    it(`agree on a new CA when the Secret of the old one ${what}, and no call fails`, async () => {
      const calls = await underLoad(async (rush) => {
        const before = await newestCa();
        await nobodyDropsOut(async () => {
          await spoil();
          await nextCa(before);
          await rush.goOnFor(150);
        });
      });
      expectExplained(calls);
      await expectAgreement();
    });
  }

  it("go on when the API server is back: none but its own time without it is without answers", async () => {
    let from = 0;
    let to = 0;
    const calls = await underLoad(async () => {
      from = Date.now();
      await nobodyDropsOut(() => plane.restartApiServer());
      to = Date.now();
    });
    expectExplained(calls, { text: ofApiServer, from, to });
    expect(calls.filter(isUnanswered)).not.to.be.empty;
    await expectAgreement();
  });

  it("refuse as ever while etcd stands still, and what has to be stored waits or fails", async () => {
    let from = 0;
    let resumedAt = 0;
    let to = 0;
    const calls = await underLoad(async () => {
      from = Date.now();
      await nobodyDropsOut(async () => {
        plane.pauseEtcd();
        try {
          // Longer than a leader leads without a word from etcd.
          await sleep(12_000);
        } finally {
          plane.resumeEtcd();
        }
        resumedAt = Date.now();
        await apiServerStores();
      });
      to = Date.now();
    });
    expectExplained(calls, { text: ofApiServer, from, to });
    const meanwhile = calls.filter(({ begunAt, endedAt }) => begunAt > from + 1_000 && endedAt < resumedAt);
    expect(meanwhile.map(({ outcome }) => outcome))
      .to.include("refuse")
      .and.not.include("admit");
    await expectAgreement();
  });

  it("come back without help when all were gone, and kube-system and their own Pods before them", async () => {
    const berthApp = "app.kubernetes.io/name=berth";
    const vitals = [
      ["kube-system", "app=vital"],
      [berthNamespace, berthApp],
    ] as const;
    await mustCreate(admin(), workload("Deployment", { namespace: "kube-system", name: "vital" }, foreign));
    await mustCreate(admin(), workload("Deployment", { namespace: "shop", name: "tenant" }, teamA));
    const account = {
      kind: "ServiceAccount",
      metadata: { namespace: berthNamespace, name: "berth" },
    } as const;
    await mustCreate(admin(), account);
    await mustCreate(admin(), { ...theOnly(installed, "Deployment"), kind: "Deployment" } as const);
    const before = [...vitals, ["shop", "app=tenant"] as const];
    for (const [namespace, labels] of before) await newPods(namespace, labels);

    let from = 0;
    let to = 0;
    const calls = await underLoad(async (rush) => {
      from = Date.now();
      await Promise.all(all().map(kill));
      // As after the loss of everything: no connection is left, nothing is remembered, and all Pods have to start.
      await plane.restartApiServer();
      const gone = new Map<string, ReadonlySet<string>>();
      for (const [namespace, labels] of before) gone.set(namespace, await deletePods(namespace, labels));

      for (const [namespace, labels] of vitals) await newPods(namespace, labels, gone.get(namespace));
      for (const namespace of ["kube-system", berthNamespace]) {
        const { status, message } = await admin().create(pod({ namespace, name: "by-hand" }, foreign));
        expect(status, message).to.equal(201);
      }
      const { status, message } = await admin().create(pod({ namespace: "shop", name: "waiting" }, open));
      expect(status).to.equal(500);
      expect(message).to.include('failed calling webhook "mutate.berth.io"');
      await createNamespace(admin(), "passing");
      expect((await admin().delete("Namespace", { name: "passing" })).status).to.equal(200);
      const labels = { [workspaceLabel]: "12" };
      const claimed = await admin().create({ kind: "Namespace", metadata: { name: "claimed", labels } });
      expect(claimed.status).to.equal(500);
      expect(claimed.message).to.include('failed calling webhook "namespaces.berth.io"');
      await waitFor("the tenant's Deployment says what it waits for", async () => {
        const { body } = await admin().get("Deployment", { namespace: "shop", name: "tenant" });
        const failure = body.status?.conditions?.find(({ type }) => type === "ReplicaFailure");
        return failure?.message?.includes("failed calling webhook");
      });
      expect(await podsOf("shop", "app=tenant")).to.deep.equal([]);

      // The Harbor may itself be waiting for them, and the CA is gone with whoever kept it.
      harbor.faults.always({ kind: "status", status: 503 });
      expect((await admin().delete("Secret", caSecretAt)).status).to.equal(200);
      await Promise.all(all().map(start));
      await serving(...all());
      to = Date.now();
      await rush.goOnFor(100);
      const [back] = await newPods("shop", "app=tenant", gone.get("shop"));
      expect(back?.spec?.imagePullSecrets).to.deep.equal([{ name: "berth-pull" }]);
      harbor.faults.clear();
    });
    expectExplained(calls, { text: connectionLost, from, to }, { text: ofApiServer, from, to });
    await expectAgreement();
  });

  it("can be done without, by what the runbook says, and come back", async () => {
    const [oneNamespace, failOpen, takeOut] = breakGlass();
    await Promise.all(all().map(kill));
    expect((await tryPod("lab", open)).status).to.equal(500);
    await shell(oneNamespace);
    await waitFor("one namespace is left out", async () => (await tryPod("lab", teamA)).status === 201);
    expect((await tryPod("shop", open)).status).to.equal(500);
    await shell(failOpen);
    await waitFor("calls that fail pass", async () => (await tryPod("shop", teamB)).status === 201);
    await shell(takeOut);
    for (const kind of configurationKinds)
      expect((await admin().get(kind, { name: "berth" })).status, kind).to.equal(404);
    expect((await tryPod("shop", teamB)).status).to.equal(201);

    const starting = Promise.all(all().map(start));
    await sleep(1_000);
    const url = `https://localhost:${balancer.port}`;
    for (const each of webhookConfigurations({ url, caPem: "" }, guarding)) await mustCreate(admin(), each);
    await starting;
    await serving(...all());
    expect((await tryPod("shop", teamB)).status).to.equal(403);
    expect((await tryPod("shop", teamA)).status).to.equal(201);
    await expectAgreement();
  });

  it("have let in only what was allowed, and have told nobody a secret", async () => {
    const { items } = (await admin().list("Pod", { namespace: "rush" })).body;
    expect(items).not.to.be.empty;
    for (const { spec } of items) {
      expect(spec?.containers[0]?.image).to.equal(teamA);
      expect(spec?.imagePullSecrets).to.deep.equal([{ name: "berth-pull" }]);
    }
    const { data } = (await admin().get("Secret", { namespace: berthNamespace, name: "harbor-login" })).body;
    const password = Buffer.from(data?.["password"] ?? "", "base64").toString();
    expect(password).to.have.length.above(10);
    for (const { berth } of all()) {
      const log = berth.output();
      expect(log.includes(password)).to.equal(false);
      expect(log.includes("PRIVATE KEY")).to.equal(false);
      const errors = log.split("\n").filter((line) => line.includes('"level":"error"'));
      expect(errors.filter((line) => !line.includes(": 503, after "))).to.deep.equal([]);
    }
  });

  const tryPod = (namespace: string, image: string) =>
    admin().create(pod({ namespace, name: "tried" }, image), { query: { dryRun: "All" } });

  const podsOf = async (namespace: string, labelSelector: string) =>
    (await admin().list("Pod", { namespace, query: { labelSelector } })).body.items;

  async function deletePods(namespace: string, labels: string): Promise<ReadonlySet<string>> {
    const names = (await podsOf(namespace, labels)).map(({ metadata }) => metadata?.name ?? "");
    for (const name of names) await admin().delete("Pod", { namespace, name });
    return new Set(names);
  }

  /** Waits for Pods other than those. A controller that failed tries again after as long as it has failed. */
  function newPods(namespace: string, labels: string, before: ReadonlySet<string> = new Set()) {
    const look = async () => {
      const found = (await podsOf(namespace, labels)).filter(
        ({ metadata }) => !before.has(metadata?.name ?? ""),
      );
      return found.length > 0 && found;
    };
    return waitFor(`${namespace} has new Pods`, look, 120_000);
  }

  const apiServerStores = () =>
    waitFor("the API server stores", async () => {
      const probe = { kind: "ConfigMap", metadata: { generateName: "probe-", namespace: "loose" } } as const;
      return (await admin().create(probe)).status === 201;
    });

  async function shell(script = ""): Promise<void> {
    const { code, stderr } = await run("bash", ["-ec", script.replaceAll("<namespace>", "lab")], {
      env: {
        PATH: `${dirname(binaryPath("kubectl"))}:${process.env["PATH"] ?? ""}`,
        KUBECONFIG: plane.adminKubeconfigPath,
        // Where kubectl keeps what it knows of servers, by their address; ports come back.
        HOME: plane.folder,
      },
    });
    expect(code, stderr).to.equal(0);
  }
});

/** The commands of the section, block by block: leave out a namespace, let failing calls pass, take all out. */
function breakGlass(): readonly string[] {
  const runbook = readFileSync(join(import.meta.dirname, "../../docs/runbook.md"), "utf8");
  const section = runbook.slice(runbook.indexOf("\n## Break-glass"), runbook.indexOf("\n### Come back"));
  const blocks = [...section.matchAll(/^ *```sh\n(.*?)^ *```$/gms)].map(([, script = ""]) => script);
  expect(blocks).to.have.length(3);
  return blocks;
}

function policyFor(harborUrl: string): Identified {
  const managed = {
    ...{ name: "managed", type: "harbor", url: harborUrl, aliases: [new URL(`https://${open}`).host] },
    ...{ credentialsSecret: "harbor-login", caSecret: "harbor-ca" },
  };
  const policy = {
    ...{ mode: "enforce", unlistedRegistries: "deny", exemptNamespaces: ["kube-system"] },
    ...{ registries: [managed], bindings: [{ workspace: "12", registry: "managed", spaces: ["team-a"] }] },
  };
  const metadata = { name: "policy", namespace: berthNamespace, labels: { "berth.io/policy": "true" } };
  return { kind: "ConfigMap", metadata, ...{ data: { "policy.yaml": JSON.stringify(policy) } } };
}

/** A verdict that is not the one to be given; also that somebody was asked who says that he knows too little. */
function isWrong({ image, wanted, outcome, pullSecrets }: Call): boolean {
  if (outcome === "no-answer" || outcome === "odd") return false;
  return outcome !== wanted || (outcome === "admit" && pullSecrets.join() !== pullSecretsOf[image]?.join());
}

function isUnanswered({ outcome }: Call): boolean {
  return outcome === "no-answer" || outcome === "odd";
}

function tell(calls: readonly Call[]): void {
  const unanswered = calls.filter(isUnanswered);
  const wrong = calls.filter(isWrong).length;
  console.log(
    `      ${calls.length} calls: ${calls.length - unanswered.length - wrong} as wanted, ${wrong} wrong, ` +
      `${unanswered.length} without an answer`,
  );
  const counts = new Map<string, number>();
  for (const { message } of unanswered) {
    const text = message.replaceAll(/:\d{4,5}\b/g, ":…").replaceAll(/rush-\w+/g, "rush-…");
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }
  for (const [text, count] of counts) console.log(`        ${count} × ${text}`);
}

/** Same at all replicas, whoever leads and however they came to know it. */
const shared =
  /^berth_(mode|policy_problems|policy_errors|policy_documents|workspaces|namespaces|catalogue_spaces)\b/;

function sharedFacts(metrics: ReadonlyMap<string, string>): string {
  const lines = [...metrics].filter(([name]) => shared.test(name));
  return lines.map((line) => line.join(" ")).join("\n");
}
