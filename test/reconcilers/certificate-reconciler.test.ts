import { expect } from "chai";
import fc from "fast-check";
import { startCertificateReconciler, timingOf } from "../../src/reconcilers/certificate-reconciler.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";
import { eventually } from "../eventually.ts";
import { createWorld, wordsOf, type World } from "./certificate-world.ts";

const minute = 60_000;
const hour = 60 * minute;
const day = 24 * hour;
const years = { caLifetimeMs: 365 * day, leafLifetimeMs: 7 * day };
/** A CA of a minute: beats of a second, two seconds to settle. */
const minutes = { caLifetimeMs: minute, leafLifetimeMs: 20_000 };

describe("the certificate of a replica", () => {
  let world: World;
  beforeEach(() => (world = createWorld(years)));

  const served = (replica: ReturnType<World["replica"]>) => replica.served.map(({ facts }) => facts.id);
  const reasons = (replica: ReturnType<World["replica"]>, text: string) =>
    replica.log.lines.filter((line) => line.text === text).map(({ facts }) => facts["reason"]);

  it("comes after its CA stands in the Secret and for two seconds in both configurations", async () => {
    const replica = world.replica();
    expect(await replica.look()).to.equal(2_000);
    expect(world.writes).to.deep.equal(["Secret: ca-1", "M: ca-1", "V: ca-1"]);
    expect(replica.served).to.deep.equal([]);
    expect(replica.rounds.problems()[0]).to.match(/no certificate is served yet/);
    world.at += 1_999;
    expect(await replica.look()).to.equal(1);
    expect(replica.served).to.deep.equal([]);
    world.at += 1;
    await replica.look();
    expect(served(replica)).to.deep.equal(["leaf-2"]);
    expect(replica.rounds.problems()).to.deep.equal([]);
    expect(wordsOf(replica.rounds.trusted())).to.equal("ca-1");
    expect(reasons(replica, "a new CA is in the Secret")).to.deep.equal(["there is none"]);
  });

  it("is renewed when two thirds of its life are over, by the same CA and without a write", async () => {
    const replica = world.replica();
    await world.pass(3_000);
    const writes = world.writes.length;
    await world.pass(15 * day, 6 * hour);
    expect(served(replica)).to.have.lengthOf(4);
    expect(reasons(replica, "a new certificate is in service").slice(1)).to.deep.equal(
      Array(3).fill("two thirds of its life are over"),
    );
    expect(world.writes).to.have.lengthOf(writes);
  });

  it("is the only one of its process: another replica has its own, of the same CA", async () => {
    const [one, two] = [world.replica(), world.replica()];
    await world.pass(3_000);
    expect(one.served[0]?.ca).to.equal(two.served[0]?.ca);
    expect(one.served[0]?.facts.id).not.to.equal(two.served[0]?.facts.id);
    expect(world.writes).to.deep.equal(["Secret: ca-1", "M: ca-1", "V: ca-1"]);
  });

  it("costs nothing while nothing is due: each look reads, and writes nothing", async () => {
    world.replica();
    await world.pass(3_000);
    world.writes.length = 0;
    await world.pass(hour, 15_000);
    expect(world.writes).to.deep.equal([]);
  });

  describe("when its CA has lived two thirds of its life", () => {
    it("follows the new CA only after both configurations hold it; the old one stays until it has expired", async () => {
      const [one, two] = [world.replica(), world.replica()];
      await world.pass(3_000);
      world.writes.length = 0;
      await world.pass(244 * day, day);
      await world.pass(minute, 5_000);
      const [secret, ...configurations] = world.writes;
      expect(secret).to.match(/^Secret: (ca-\d+) ca-1$/);
      const bundle = secret?.slice("Secret: ".length) ?? "";
      expect(configurations).to.deep.equal([`M: ${bundle}`, `V: ${bundle}`]);
      for (const replica of [one, two]) {
        expect(wordsOf(replica.served.at(-1)?.ca ?? "")).to.equal(bundle.split(" ")[0]);
        expect(reasons(replica, "a new certificate is in service")).to.include(
          "another CA signs now than the one that signed it",
        );
      }
      await world.pass(120 * day, day);
      expect(new Set(world.bundleWords())).to.deep.equal(new Set([bundle]));
      await world.pass(3 * day, day);
      expect(new Set(world.bundleWords())).to.deep.equal(new Set([bundle.split(" ")[0]]));
    });

    it("goes on with the old CA while one of the configurations cannot be written", async () => {
      const replica = world.replica();
      await world.pass(3_000);
      world.at += 244 * day;
      for (let beats = 0; beats < 10; beats += 1) {
        world.failures.push("write a configuration");
        const error: unknown = await replica.look().catch((err: unknown) => err);
        expect(String(error)).to.include("write a configuration failed");
        world.at += 3 * day;
      }
      expect(new Set(replica.served.map(({ ca }) => wordsOf(ca)))).to.deep.equal(new Set(["ca-1"]));
      expect(replica.served.at(-1)?.facts.validTo).to.be.above(world.at);
      await world.pass(4_000);
      expect(wordsOf(replica.served.at(-1)?.ca ?? "")).to.equal(
        wordsOf(world.secret?.bundle ?? "").split(" ")[0],
      );
    });
  });

  describe("when several replicas do the same thing at the same moment", () => {
    it("make one CA between them, at the start and at its renewal", async () => {
      const replicas = [world.replica(), world.replica(), world.replica()];
      const all = () => Promise.all(replicas.map((replica) => replica.look()));
      await all();
      world.at += 2_000;
      await all();
      expect(world.writes.filter((write) => write.startsWith("Secret"))).to.have.lengthOf(1);
      world.at += 244 * day;
      await all();
      expect(world.writes.filter((write) => write.startsWith("Secret"))).to.have.lengthOf(2);
      for (let beats = 0; beats < 3; beats += 1) {
        world.at += 2_000;
        await all();
      }
      expect(new Set(replicas.map((replica) => replica.served.at(-1)?.ca)).size).to.equal(1);
      for (const { log } of replicas)
        expect(log.lines.filter(({ level }) => level === "warn")).to.deep.equal([]);
    });
  });

  describe("when the Secret", () => {
    const cases: readonly [what: string, spoil: (world: World) => void, reason: RegExp][] = [
      ["is deleted", (at) => at.putSecret(undefined), /there is none/],
      ["is emptied", (at) => at.putSecret({ bundle: "", key: "" }), /certificate cannot be read/],
      ["holds rubbish", (at) => at.putSecret({ bundle: "text", key: "text" }), /certificate cannot be read/],
      [
        "has lost its key",
        (at) => at.putSecret({ bundle: at.secret?.bundle ?? "", key: "" }),
        /private key is missing/,
      ],
      [
        "holds the key of another CA",
        (at) => at.putSecret({ bundle: at.secret?.bundle ?? "", key: "key of ca-99" }),
        /another certificate's/,
      ],
      [
        "holds a leaf",
        (at) => at.putSecret({ bundle: `<leaf-9 0 ${at.at * 2} x>`, key: "key of leaf-9" }),
        /not that of a CA/,
      ],
    ];
    for (const [what, spoil, reason] of cases) {
      it(`${what}, a new CA is made, and nothing in service is unverified for a moment`, async () => {
        const [one, two] = [world.replica(), world.replica()];
        await world.pass(hour, minute);
        spoil(world);
        await world.pass(4_000);
        expect(reasons(one, "a new CA is in the Secret").at(-1)).to.match(reason);
        for (const { served: leaves } of [one, two]) {
          expect(leaves).to.have.lengthOf(2);
          expect(wordsOf(leaves[1]?.ca ?? "")).to.equal(wordsOf(world.secret?.bundle ?? "").split(" ")[0]);
        }
        expect(two.served[1]?.ca).to.equal(one.served[1]?.ca);
      });
    }

    it("is deleted, the CA that was in it is trusted no more when nobody can be serving it", async () => {
      world.replica();
      world.replica();
      await world.pass(hour, minute);
      world.putSecret(undefined);
      await world.pass(1_000);
      const both = world.bundleWords()[0] ?? "";
      expect(both.split(" ")).to.have.lengthOf(2).and.to.include("ca-1");
      await world.pass(2 * minute, 5_000);
      expect(new Set(world.bundleWords())).to.deep.equal(new Set([wordsOf(world.secret?.bundle ?? "")]));
      expect(world.bundleWords()[0]).not.to.include("ca-1");
    });

    it("is deleted and caBundle wiped in one stroke, both CAs are there again at once", async () => {
      const replica = world.replica();
      await world.pass(hour, minute);
      world.putSecret(undefined);
      for (const title of world.configurations.keys()) world.putConfiguration(title, "");
      await replica.look();
      for (const words of world.bundleWords()) expect(words).to.match(/^ca-\d+ ca-1$/);
    });

    it("is deleted over and over, makes a CA every five seconds and no faster", async () => {
      const replica = world.replica();
      await world.pass(hour, minute);
      for (let tries = 0; tries < 100; tries += 1) {
        world.putSecret(undefined);
        world.at += 100;
        expect(await replica.look()).to.be.at.most(5_000);
      }
      const made = replica.log.lines.filter(({ text }) => text === "a new CA is in the Secret");
      expect(made).to.have.lengthOf(1 + 2);
      expect(world.unverified()).to.deep.equal([]);
    });

    it("is spoiled again before any new CA can be trusted, the CA before signs on from memory", async () => {
      world = createWorld(minutes);
      const replica = world.replica();
      await world.pass(4_000);
      for (let seconds = 0; seconds < 30; seconds += 1) {
        world.putSecret({ bundle: world.secret?.bundle ?? "", key: "spoiled" });
        await world.pass(1_000);
        expect(world.unverified()).to.deep.equal([]);
        expect(replica.served.at(-1)?.facts.validTo).to.be.above(world.at);
        expect(wordsOf(replica.served.at(-1)?.ca ?? "")).to.equal("ca-1");
      }
      await world.pass(10_000);
      expect(wordsOf(replica.served.at(-1)?.ca ?? "")).to.equal(
        wordsOf(world.secret?.bundle ?? "").split(" ")[0],
      );
    });

    it("is spoiled for longer than a CA lives, no certificate is made that is over before it begins", async () => {
      world = createWorld(minutes);
      const replica = world.replica();
      await world.pass(4_000);
      for (let seconds = 0; seconds < 120; seconds += 1) {
        world.putSecret({ bundle: "", key: "spoiled" });
        await world.pass(1_000);
      }
      const made = replica.served.length;
      for (const { facts } of replica.served) expect(facts.validTo).to.be.above(facts.validFrom + 2_000);
      await world.pass(10_000);
      expect(replica.served.length).to.equal(made + 1);
      expect(replica.served.at(-1)?.facts.validTo).to.be.above(world.at);
    });

    it("cannot be read, the certificate in service stays, and the round says why", async () => {
      const replica = world.replica();
      await world.pass(3_000);
      world.failures.push("read the Secret");
      const error: unknown = await replica.look().catch((err: unknown) => err);
      expect(String(error)).to.include("read the Secret failed");
      expect(served(replica)).to.have.lengthOf(1);
    });
  });

  describe("when caBundle", () => {
    const spoiled: readonly [what: string, bundle: (good: string) => string][] = [
      ["is wiped", () => ""],
      ["is rubbish", () => "text"],
      ["has something beside it", (good) => `${good}text`],
    ];
    for (const [what, bundle] of spoiled) {
      it(`${what} by somebody, it is whole again after the next look`, async () => {
        const replica = world.replica();
        await world.pass(3_000);
        const [title = "", { bundles: [good = ""] = [] } = {}] = [...world.configurations][1] ?? [];
        world.putConfiguration(title, bundle(good), good);
        await replica.look();
        expect(world.bundleWords()).to.deep.equal(["ca-1", "ca-1", "ca-1"]);
      });
    }

    it("is written at the same moment by two, each sees it done", async () => {
      const replicas = [world.replica(), world.replica()];
      await world.pass(3_000);
      world.writes.length = 0;
      for (const title of world.configurations.keys()) world.putConfiguration(title, "");
      await Promise.all(replicas.map((replica) => replica.look()));
      expect(world.writes).to.have.members(["M: ca-1", "V: ca-1"]);
    });

    it("holds a CA that nobody needs, it goes after a minute, and not before", async () => {
      world.replica();
      await world.pass(3_000);
      const foreign = `<ca-77 0 ${world.at * 2} >`;
      for (const title of world.configurations.keys()) world.putConfiguration(title, foreign);
      await world.pass(minute, 5_000);
      expect(world.bundleWords()).to.deep.equal(["ca-1 ca-77", "ca-1 ca-77"]);
      await world.pass(minute, 5_000);
      expect(world.bundleWords()).to.deep.equal(["ca-1", "ca-1"]);
    });

    it("is somebody else's to keep, nothing is written, and the certificate waits for it", async () => {
      const replica = world.replica({ keepsBundle: false });
      await world.pass(minute, 5_000);
      expect(world.writes).to.deep.equal(["Secret: ca-1"]);
      expect(served(replica)).to.deep.equal([]);
      for (const title of world.configurations.keys())
        world.putConfiguration(title, world.secret?.bundle ?? "");
      await world.pass(3_000);
      expect(served(replica)).to.have.lengthOf(1);
      expect(world.writes).to.have.lengthOf(1);
    });

    it("comes, goes and comes again, the certificate waits from when it came for the last time", async () => {
      const replica = world.replica({ keepsBundle: false });
      await replica.look();
      for (const bundle of [world.secret?.bundle ?? "", "", world.secret?.bundle ?? ""]) {
        world.at += 1_500;
        for (const title of world.configurations.keys()) world.putConfiguration(title, bundle);
        await replica.look();
      }
      world.at += 1_500;
      await replica.look();
      expect(served(replica)).to.deep.equal([]);
      world.at += 500;
      await replica.look();
      expect(served(replica)).to.have.lengthOf(1);
    });
  });

  describe("when a webhook configuration", () => {
    it("is not there, that is said once, and it is given the bundle when it comes", async () => {
      const gone = "ValidatingWebhookConfiguration berth";
      world.removeConfiguration(gone);
      const replica = world.replica();
      await world.pass(minute, 5_000);
      const warnings = () =>
        replica.log.lines.filter(({ level }) => level === "warn").map(({ text }) => text);
      expect(warnings()).to.have.lengthOf(1);
      expect(warnings()[0]).to.match(/^only MutatingWebhookConfiguration berth is there/);
      expect(replica.rounds.problems()).to.deep.equal(warnings());
      expect(served(replica)).to.have.lengthOf(1);
      world.putConfiguration(gone, "");
      await replica.look();
      expect(world.bundleWords()).to.deep.equal(["ca-1", "ca-1"]);
      expect(replica.rounds.problems()).to.deep.equal([]);
    });

    it("is not there, nor the other, the certificate is served all the same", async () => {
      for (const title of [...world.configurations.keys()]) world.removeConfiguration(title);
      const replica = world.replica();
      await world.pass(3_000);
      expect(served(replica)).to.have.lengthOf(1);
      expect(replica.rounds.problems()[0]).to.match(/^none of its webhook configurations is there/);
    });

    it("points at somebody else only, that is said, and it is not written", async () => {
      world.putConfiguration("MutatingWebhookConfiguration berth");
      const replica = world.replica();
      await world.pass(3_000);
      expect(replica.rounds.problems()).to.deep.equal([
        "no webhook in MutatingWebhookConfiguration berth points at Berth",
      ]);
      expect(world.writes).to.deep.equal(["Secret: ca-1", "V: ca-1"]);
    });
  });

  describe("when a machine", () => {
    it("slept past the renewal of the CA, is right again at its first look and the pause after", async () => {
      const [awake, sleeper] = [world.replica(), world.replica()];
      await world.pass(3_000);
      sleeper.asleep = true;
      await world.pass(250 * day, day);
      await world.pass(minute, 5_000);
      sleeper.asleep = false;
      await world.pass(4_000);
      expect(sleeper.served.at(-1)?.ca).to.equal(awake.served.at(-1)?.ca);
      expect(sleeper.served.at(-1)?.facts.validTo).to.be.above(world.at);
    });

    it("slept with all others until everything had expired, the cluster comes back by itself", async () => {
      const replicas = [world.replica(), world.replica()];
      await world.pass(3_000);
      world.at += 2 * 365 * day;
      await world.pass(4_000);
      for (const { served: leaves } of replicas) expect(leaves.at(-1)?.facts.validTo).to.be.above(world.at);
      expect(world.bundleWords()[0]).to.equal(wordsOf(world.secret?.bundle ?? ""));
    });

    it("slept beside another that serves the CA of a Secret that is gone, takes nothing from it", async () => {
      const [one, other] = [world.replica(), world.replica()];
      await world.pass(hour, minute);
      world.putSecret(undefined);
      for (let looks = 0; looks < 3; looks += 1) {
        await one.look();
        world.at += 2_000;
      }
      expect([one.served.length, other.served.length]).to.deep.equal([2, 1]);
      // Minutes pass for both at once, in which neither looks.
      world.at += 10 * minute;
      await one.look();
      expect(world.unverified()).to.deep.equal([]);
    });

    it("has its clock, a month ahead, set back, makes certificates that are valid now", async () => {
      const replica = world.replica();
      replica.offsetMs = 30 * day;
      await world.pass(hour, minute);
      replica.offsetMs = 0;
      await world.pass(4_000);
      expect(reasons(replica, "a new CA is in the Secret").at(-1)).to.equal("it is not valid yet");
      expect(replica.served.at(-1)?.facts.validFrom).to.be.below(world.at);
    });

    it("has its clock set back by half an hour, goes on with what it has", async () => {
      const replica = world.replica();
      await world.pass(minute, 5_000);
      replica.offsetMs -= hour / 2;
      await world.pass(4_000);
      expect(served(replica)).to.have.lengthOf(1);
    });

    it("is a day ahead or behind of the others, they agree on one CA after two looks", async () => {
      for (const offsetMs of [day, -day]) {
        world = createWorld(years);
        const [off] = [world.replica(), world.replica(), world.replica()];
        off.offsetMs = offsetMs;
        await world.pass(minute, 5_000);
        const writes = world.writes.length;
        await world.pass(hour, minute);
        expect(world.writes).to.have.lengthOf(writes);
      }
    });
  });

  it("is for other names after a start with other settings, since the last one was in memory", async () => {
    const replica = world.replica({ names: ["gate.berth-system.svc", "10.0.0.5"] });
    await world.pass(3_000);
    expect(replica.served[0]?.facts.names).to.deep.equal(["gate.berth-system.svc", "10.0.0.5"]);
  });

  it("has beats and pauses that fit into the last third of a life, and no beat is longer than a minute", () => {
    expect(timingOf(365 * day, 7 * day)).to.deep.equal({ beatMs: 15_000, settleMs: 2_000 });
    expect(timingOf(minute, 20_000)).to.deep.equal({ beatMs: 1_000, settleMs: 2_000 });
    expect(timingOf(minute, 10_000)).to.deep.equal({ beatMs: 500, settleMs: 2_000 });
  });

  it("with a CA of a minute is valid and verified for an hour, at every second", async () => {
    world = createWorld(minutes);
    const replicas = [world.replica(), world.replica()];
    await world.pass(4_000);
    for (let seconds = 0; seconds < 3_600; seconds += 1) {
      await world.pass(1_000);
      expect(world.unverified()).to.deep.equal([]);
      for (const { served: leaves } of replicas) expect(leaves.at(-1)?.facts.validTo).to.be.above(world.at);
    }
    expect(Math.max(...world.bundleWords().map((words) => words.split(" ").length))).to.be.at.most(3);
  });

  describe("whatever happens, in whatever order requests are answered", () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ kind: fc.constant("beat"), ms: fc.integer({ min: 1, max: 1_000 }) }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constantFrom("delete", "spoil", "fail"), ms: fc.constant(0) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("sleep", "wake"), ms: fc.constant(0) }) },
    );

    it("every certificate in service can be verified, and all is well in the end", async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.scheduler(),
          fc.array(step, { maxLength: 80 }),
          fc.tuple(fc.integer({ min: -3_000, max: 3_000 }), fc.integer({ min: -3_000, max: 3_000 })),
          async (scheduler, steps, offsets) => {
            const own = createWorld(minutes);
            const replicas = [own.replica(), own.replica(), own.replica()];
            offsets.forEach((offsetMs, at) => ((replicas[at] ?? replicas[0]!).offsetMs = offsetMs));
            const sleeper = replicas[2]!;
            /** A failed round is repeated at the next beat. */
            const beat = async () => {
              own.turn = () => scheduler.schedule(Promise.resolve());
              const awake = replicas.filter(({ asleep }) => !asleep);
              const looks = awake.map(async (replica) => {
                try {
                  await replica.look();
                } catch (err) {
                  if (!String(err).includes("as the test ordered")) throw err;
                }
              });
              await scheduler.waitFor(Promise.all(looks));
            };
            let faults = 0;
            for (const { kind, ms } of steps) {
              own.at += ms;
              if (kind === "beat") await beat();
              if (kind === "sleep") sleeper.asleep = true;
              if (kind === "wake" && sleeper.asleep) {
                own.turn = () => Promise.resolve();
                // Before its first look nobody can know what it serves.
                sleeper.served.length = 0;
                sleeper.asleep = false;
              }
              // Each keeps the new CA from being trusted for some seconds, and CAs live for sixty.
              if (faults > 5) continue;
              if (kind === "delete") own.putSecret(undefined);
              if (kind === "spoil") own.putSecret({ bundle: own.secret?.bundle ?? "", key: "spoiled" });
              if (kind === "fail") own.failures.push("write a configuration");
              if (["delete", "spoil", "fail"].includes(kind)) faults += 1;
            }
            sleeper.asleep = false;
            own.failures.length = 0;
            for (let seconds = 0; seconds < 20; seconds += 1) {
              own.at += 1_000;
              await beat();
            }
            const newest = wordsOf(own.secret?.bundle ?? "").split(" ")[0];
            expect(own.unverified()).to.deep.equal([]);
            for (const words of own.bundleWords()) expect(words).to.include(newest);
            for (const { served: leaves } of replicas) {
              expect(leaves.at(-1)?.facts.validTo ?? Infinity).to.be.above(own.at);
            }
          },
        ),
        { numRuns: 150 },
      );
    });
  });

  it("looks by itself: on the beat, when it is woken, and when something it waits for is due", async () => {
    const own = createWorld({ caLifetimeMs: 3_000, leafLifetimeMs: 3_000 });
    let reads = 0;
    const started = startCertificateReconciler({
      secret: {
        read: () => Promise.resolve(undefined),
        write: () => Promise.resolve("conflict" as const),
      },
      configurations: { read: () => Promise.resolve([]), write: () => Promise.resolve("written" as const) },
      authority: {
        newCa: () => Promise.resolve({ certificate: "", key: "" }),
        newLeaf: () => Promise.resolve({ certificate: "", key: "" }),
        keyFits: () => true,
        readBundle() {
          reads += 1;
          return { certificates: [], isSound: true };
        },
      },
      names: [],
      caLifetimeMs: 3_000,
      leafLifetimeMs: 3_000,
      keepsBundle: true,
      serve: () => undefined,
      log: createRecordingLog(),
      now: () => own.at,
    });
    await eventually(() => reads >= 3);
    const before = reads;
    started.wake();
    await eventually(() => reads > before);
    const later = reads + 3;
    await eventually(() => reads >= later);
    await started.stop();
    const last = reads;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(reads).to.equal(last);
  });
});
