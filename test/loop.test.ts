import { expect } from "chai";
import { mock } from "node:test";
import { createLoop, type Loop, type LoopOptions } from "../src/loop.ts";
import { createRecordingLog, type RecordingLog } from "./fakes/recording-log.ts";

// Node's own timers are replaced by a clock that only the test moves.
describe("a loop", () => {
  let log: RecordingLog;
  let loop: Loop;
  let runs: number;
  let signals: AbortSignal[];
  let run: () => Promise<void> | void;

  beforeEach(() => {
    mock.timers.enable({ apis: ["setTimeout"] });
    log = createRecordingLog();
    runs = 0;
    signals = [];
    run = () => undefined;
  });
  afterEach(async () => {
    await loop.stop();
    mock.timers.reset();
  });

  function create(more: Partial<LoopOptions> = {}): void {
    loop = createLoop({
      name: "listing",
      everyMs: 10_000,
      async run(signal) {
        runs += 1;
        signals.push(signal);
        await run();
      },
      log,
      random: () => 0,
      ...more,
    });
  }

  /** What is settled already has its say first, as between two events of a real loop. */
  const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  async function after(ms: number): Promise<number> {
    mock.timers.tick(ms);
    await settle();
    return runs;
  }
  /** A run that lasts until it is told to end. */
  function longRuns(): { end(): Promise<void> } {
    let resolve: () => void = () => undefined;
    run = () => new Promise((done) => (resolve = done));
    return {
      async end() {
        resolve();
        await settle();
      },
    };
  }

  it("runs at once, but not before it is returned, and then on its beat", async () => {
    create();
    expect(runs).to.equal(0);
    expect(await after(0)).to.equal(1);
    expect(await after(9_999)).to.equal(1);
    expect(await after(1)).to.equal(2);
    expect(await after(10_000)).to.equal(3);
  });

  it("counts the beat from the end of a run, and never begins one during another", async () => {
    const long = longRuns();
    create();
    await after(0);
    expect(await after(60_000)).to.equal(1);
    await long.end();
    expect(await after(9_999)).to.equal(1);
    expect(await after(1)).to.equal(2);
    await long.end();
  });

  it("shortens the beat by up to a tenth, so that replicas do not beat together", async () => {
    create({ random: () => 0.5 });
    await after(0);
    expect(await after(9_499)).to.equal(1);
    expect(await after(1)).to.equal(2);
  });

  describe("woken", () => {
    it("runs at once, and the beat counts from there", async () => {
      create();
      await after(0);
      await after(6_000);
      loop.wake();
      await settle();
      expect(runs).to.equal(2);
      expect(await after(9_999)).to.equal(2);
      expect(await after(1)).to.equal(3);
    });

    it("before its first run, runs once", async () => {
      create();
      loop.wake();
      await settle();
      expect(await after(9_999)).to.equal(1);
    });

    it("a hundred times during a run, runs exactly once more", async () => {
      const long = longRuns();
      create();
      await after(0);
      for (let wake = 0; wake < 100; wake += 1) loop.wake();
      await settle();
      expect(runs).to.equal(1);
      await long.end();
      expect(runs).to.equal(2);
      await long.end();
      expect(await after(9_999)).to.equal(2);
    });

    it("during the second run for a first wake-up, runs again", async () => {
      const long = longRuns();
      create();
      await after(0);
      loop.wake();
      await long.end();
      loop.wake();
      await long.end();
      expect(runs).to.equal(3);
      await long.end();
    });
  });

  describe("whose run fails", () => {
    const failing = (): void => {
      run = () => Promise.reject(new Error("502"));
    };

    it("says so with its name, and repeats after a time that doubles up to its bound", async () => {
      failing();
      create({ backoffMs: 1_000, maxBackoffMs: 5_000 });
      await after(0);
      for (const [index, delay] of [1_000, 2_000, 4_000, 5_000, 5_000].entries()) {
        expect(await after(delay - 1)).to.equal(index + 1);
        expect(await after(1)).to.equal(index + 2);
      }
      expect(log.lines).to.have.lengthOf(6);
      expect(log.lines[2]).to.deep.include({ level: "warn" });
      expect(log.lines[2]?.facts).to.deep.include({ loop: "listing", failures: 3 });
      expect(log.lines[2]?.facts["err"]).to.have.property("message", "502");
    });

    it("does so by default from a second on, up to its beat", async () => {
      failing();
      create({ everyMs: 3_000 });
      await after(0);
      for (const [index, delay] of [1_000, 2_000, 3_000, 3_000].entries()) {
        expect(await after(delay - 1)).to.equal(index + 1);
        expect(await after(1)).to.equal(index + 2);
      }
    });

    it("goes back to its beat with the first run that succeeds, and begins the doubling anew", async () => {
      failing();
      create();
      await after(0);
      await after(1_000);
      run = () => undefined;
      expect(await after(2_000)).to.equal(3);
      expect(await after(9_999)).to.equal(3);
      failing();
      expect(await after(1)).to.equal(4);
      expect(await after(1_000)).to.equal(5);
    });

    it("is the same for one that throws before its first await", async () => {
      run = () => {
        throw new Error("at once");
      };
      create();
      await after(0);
      expect(await after(1_000)).to.equal(2);
    });

    it("runs at once when it is woken, without waiting its time", async () => {
      failing();
      create();
      await after(0);
      loop.wake();
      await settle();
      expect(runs).to.equal(2);
    });

    it("never gives up", async () => {
      failing();
      create({ backoffMs: 1_000, maxBackoffMs: 1_000 });
      await after(0);
      for (let failure = 0; failure < 1_100; failure += 1) await after(1_000);
      expect(runs).to.equal(1_101);
    });
  });

  describe("that is stopped", () => {
    it("aborts the run under way, waits for it, and runs no more", async () => {
      const long = longRuns();
      create();
      await after(0);
      expect(signals[0]?.aborted).to.equal(false);
      let stopped = false;
      const stopping = loop.stop().then(() => (stopped = true));
      await settle();
      expect([signals[0]?.aborted, stopped]).to.deep.equal([true, false]);
      await long.end();
      await stopping;
      loop.wake();
      expect(await after(60_000)).to.equal(1);
    });

    it("before its first run, never runs", async () => {
      create();
      await loop.stop();
      expect(await after(60_000)).to.equal(0);
    });

    it("during a run that was woken, does not run again", async () => {
      const long = longRuns();
      create();
      await after(0);
      loop.wake();
      const stopping = loop.stop();
      await long.end();
      await stopping;
      expect(await after(60_000)).to.equal(1);
    });

    it("says nothing of the run that failed because of it", async () => {
      let fail: (err: Error) => void = () => undefined;
      run = () => new Promise((_, reject) => (fail = reject));
      create();
      await after(0);
      const stopping = loop.stop();
      fail(new Error("aborted"));
      await stopping;
      expect(log.lines).to.deep.equal([]);
    });

    it("may be stopped twice", async () => {
      create();
      await after(0);
      await Promise.all([loop.stop(), loop.stop()]);
      await loop.stop();
      expect(runs).to.equal(1);
    });
  });
});
