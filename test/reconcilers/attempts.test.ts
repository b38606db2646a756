import { expect } from "chai";
import { createAttempts, type AttemptsNeeds } from "../../src/reconcilers/attempts.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";

const second = 1_000;
const minute = 60_000;
const never = new AbortController().signal;

function setUp(more: Partial<AttemptsNeeds> = {}) {
  const clock = { now: 1_000_000 };
  const log = createRecordingLog();
  let failures = 0;
  const attempts = createAttempts({
    ...{ what: "robots", log, now: () => clock.now, random: () => 0 },
    onFailure: () => (failures += 1),
    ...more,
  });
  let runs = 0;
  /** Tries once; whether the task was run. */
  async function tries(task: () => Promise<void>, about = "a", signal = never): Promise<boolean> {
    const before = runs;
    await attempts.run(about, signal, () => {
      runs += 1;
      return task();
    });
    return runs > before;
  }
  /** How long after a failure the next try is made, to the tenth of a second. */
  function pauseMs(): number {
    for (let passed = 0; ; passed += 100) {
      if (!attempts.isResting("a")) return passed;
      clock.now += 100;
    }
  }
  return { attempts, clock, log, tries, pauseMs, failures: () => failures };
}

const works = (): Promise<void> => Promise.resolve();
const fails =
  (problem = new Error("it is down")) =>
  (): Promise<void> =>
    Promise.reject(problem);
const refusesLogin = fails(Object.assign(new Error("the login is not accepted"), { kind: "login-refused" }));

describe("attempts", () => {
  it("say whether the task ran to its end", async () => {
    const { attempts } = setUp();
    expect(await attempts.run("a", never, works)).to.equal(true);
    expect(await attempts.run("a", never, fails())).to.equal(false);
    expect(await attempts.run("a", never, works), "while it rests").to.equal(false);
  });

  it("rest no longer where the clock is set back", async () => {
    const { tries, clock } = setUp();
    await tries(fails());
    clock.now -= 60 * minute;
    expect(await tries(works)).to.equal(true);
  });

  const pauses: readonly (readonly [
    title: string,
    more: Partial<AttemptsNeeds>,
    task: () => Promise<void>,
    expected: readonly number[],
  ])[] = [
    [
      "pause longer after each failure, up to five minutes",
      {},
      fails(),
      [2, 4, 8, 16, 32, 64, 128, 256, 300, 300].map((each) => each * second),
    ],
    ["or to what they are told", { slowestRetryMs: 10 * second }, fails(), [2_000, 4_000, 8_000, 10_000]],
    [
      "pause longer from the beginning where a login was refused",
      {},
      refusesLogin,
      [30_000, 60_000, 120_000],
    ],
    ["are spread by up to a quarter", { random: () => 0.999 }, fails(), [1_600, 3_100, 6_100]],
  ];
  for (const [title, more, task, expected] of pauses) {
    it(title, async () => {
      const { tries, pauseMs } = setUp(more);
      const found: number[] = [];
      while (found.length < expected.length) {
        expect(await tries(task)).to.equal(true);
        found.push(pauseMs());
      }
      expect(found).to.deep.equal(expected);
    });
  }

  it("begin again with a short pause once something worked", async () => {
    const { tries, clock, pauseMs } = setUp();
    for (const task of [fails(), fails(), fails(), works, fails()]) {
      await tries(task);
      clock.now += minute;
    }
    clock.now -= minute;
    expect(pauseMs()).to.equal(2_000);
  });

  it("tell a failure once, another one anew, and that it works again", async () => {
    const { tries, clock, log } = setUp();
    for (const task of [
      fails(),
      fails(),
      fails(new Error("no right")),
      fails(new Error("no room")),
      works,
      works,
    ]) {
      await tries(task);
      clock.now += 10 * minute;
    }
    expect(log.lines.map(({ level, facts, text }) => [level, facts["problem"], text])).to.deep.equal([
      ["warn", "it is down", "robots: something failed, and is tried again"],
      ["warn", "no right", "robots: something failed, and is tried again"],
      ["warn", "no room", "robots: something failed, and is tried again"],
      ["info", undefined, "robots: it works again"],
    ]);
  });

  it("hold up nothing but what failed", async () => {
    const { tries, attempts } = setUp();
    await tries(fails());
    expect(await tries(works, "b")).to.equal(true);
    expect(await tries(works)).to.equal(false);
    expect(attempts.problems()).to.deep.equal(["it is down"]);
  });

  it("take a failure from elsewhere for their own, the first of several", async () => {
    const { attempts, tries, pauseMs, failures } = setUp();
    attempts.failed("a", new Error("it is down"));
    attempts.failed("a", new Error("it is down"));
    expect([attempts.isResting("a"), attempts.isFailing("a"), failures()]).to.deep.equal([true, true, 1]);
    expect(await tries(works)).to.equal(false);
    expect(pauseMs()).to.equal(2_000);
    expect([attempts.isResting("a"), attempts.isFailing("a")]).to.deep.equal([false, true]);
    expect(await tries(works)).to.equal(true);
    expect(attempts.isFailing("a")).to.equal(false);
  });

  it("forget what nobody will try again", async () => {
    const { attempts, tries } = setUp();
    await tries(fails());
    await tries(fails(), "b");
    attempts.keepOnly((about) => about === "b");
    expect(attempts.problems()).to.have.length(1);
    expect(await tries(works), "a").to.equal(true);
    expect(await tries(works, "b"), "b").to.equal(false);
  });

  it("begin nothing and count nothing once they are told to end", async () => {
    const { attempts, tries, failures, log } = setUp();
    const ended = AbortSignal.abort();
    expect(await tries(works, "a", ended)).to.equal(false);
    const ending = new AbortController();
    await tries(
      () => {
        ending.abort();
        return fails()();
      },
      "a",
      ending.signal,
    );
    expect([attempts.problems(), failures(), log.lines]).to.deep.equal([[], 0, []]);
  });
});
