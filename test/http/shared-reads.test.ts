import { expect } from "chai";

import type { Registry } from "../../src/domain/policy.ts";
import type { RegistryContents } from "../../src/http/registry-contents.ts";
import {
  createSharedReads,
  TooBusy,
  withSharedReads,
  type Shared,
  type SharedContents,
  type SharedReads,
} from "../../src/http/shared-reads.ts";
import { registry } from "../builders.ts";
import { startVirtualTime } from "../virtual-time.ts";

const never = new AbortController().signal;

/** What is under way; the test decides how it ends. */
interface Asked {
  readonly key: string;
  readonly signal: AbortSignal;
  answer(value: unknown): void;
  fail(err: Error): void;
}

/** Lets happen all that waits for nothing from outside. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

async function failureOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => expect.fail(`it came to ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
}

describe("what is read of registries for people", () => {
  let now: number;
  let reads: SharedReads;
  let asked: Asked[];
  let unhandled: unknown[];
  const onUnhandled = (reason: unknown): void => void unhandled.push(reason);

  beforeEach(() => {
    now = 1_000_000;
    reads = createSharedReads({ now: () => now });
    asked = [];
    unhandled = [];
    process.on("unhandledRejection", onUnhandled);
  });
  afterEach(async () => {
    await settled();
    process.off("unhandledRejection", onUnhandled);
    expect(unhandled).to.deep.equal([]);
  });

  /** As an adapter does, the asking ends with the signal. */
  function read(key: string, signal = never, of = "managed"): Promise<Shared<unknown>> {
    const ask = (flight: AbortSignal): Promise<unknown> => {
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      flight.addEventListener("abort", () => reject(flight.reason as Error), { once: true });
      asked.push({ key, signal: flight, answer: resolve, fail: reject });
      return promise;
    };
    return reads.read({ registry: of, key, ask }, signal);
  }

  const keysAsked = () => asked.map(({ key }) => key);

  /** A read whose end is looked at later. */
  function beginning(key: string, of?: string) {
    const aborter = new AbortController();
    const end = read(key, aborter.signal, of).then(
      (shared) => shared.value,
      (reason: unknown) => reason,
    );
    return { end, leave: () => aborter.abort(new Error(`${key} left`)) };
  }

  async function answered(key: string, value: unknown): Promise<Shared<unknown>> {
    const count = asked.length;
    const reading = read(key);
    await settled();
    expect(asked).to.have.length(count + 1);
    asked.at(-1)!.answer(value);
    return reading;
  }

  describe("counts for a while", () => {
    it("of thirty seconds, with the time at which it came", async () => {
      const shared = { value: ["a"], readAt: 1_000_000, stale: false };
      expect(await answered("tags", ["a"])).to.deep.equal(shared);
      now += 29_999;
      expect(await read("tags")).to.deep.equal(shared);
      expect(asked).to.have.length(1);
      now += 1;
      const next = { value: ["a", "b"], readAt: 1_030_000, stale: false };
      expect(await answered("tags", ["a", "b"])).to.deep.equal(next);
    });

    it("from the end of the asking on", async () => {
      const first = read("tags");
      await settled();
      now += 20_000;
      asked[0]!.answer("late");
      expect(await first).to.have.property("readAt", 1_020_000);
      now += 20_000;
      expect(await read("tags")).to.have.property("value", "late");
    });

    it("also where it is that there is none", async () => {
      expect(await answered("tags", null)).to.deep.equal({ value: null, readAt: 1_000_000, stale: false });
      expect(await read("tags")).to.have.property("value", null);
      expect(asked).to.have.length(1);
    });

    it("only for the same question of the same registry", async () => {
      await answered("tags", 1);
      beginning("other");
      beginning("tags", "other");
      await settled();
      expect(keysAsked()).to.deep.equal(["tags", "other", "tags"]);
    });

    it("unless so much was said since that there is no room for it", async () => {
      const rows = (count: number) => ({ items: Array.from({ length: count }, (_, n) => n), next: null });
      await answered("first", rows(10));
      await answered("large", rows(49_000));
      await read("first");
      await answered("names", new Set(rows(2_000).items));
      await read("first");
      expect(asked).to.have.length(3);
      await answered("large", rows(49_000));
      await answered("names", new Set(rows(2_000).items));
      await answered("larger than all room", rows(60_000));
      await answered("larger than all room", rows(60_000));
    });

    it("not where the asking failed", async () => {
      const first = failureOf(read("tags"));
      await settled();
      asked[0]!.fail(new Error("down"));
      expect(await first).to.have.property("message", "down");
      await answered("tags", 1);
    });
  });

  describe("is asked once", () => {
    it("for all who ask the same meanwhile", async () => {
      const all = Promise.all([read("tags"), read("tags"), read("tags")]);
      await settled();
      expect(asked).to.have.length(1);
      asked[0]!.answer(7);
      expect((await all).map(({ value }) => value)).to.deep.equal([7, 7, 7]);
    });

    it("and all of them are told of a failure", async () => {
      const all = Promise.all([failureOf(read("tags")), failureOf(read("tags"))]);
      await settled();
      const down = new Error("down");
      asked[0]!.fail(down);
      expect(await all).to.deep.equal([down, down]);
    });

    it("and what throws before it has begun is a failure like others", async () => {
      const ask = (): Promise<never> => {
        throw new Error("no client");
      };
      const err = await failureOf(reads.read({ registry: "managed", key: "x", ask }, never));
      expect(err).to.have.property("message", "no client");
    });

    it("and not at all for who has gone before", async () => {
      const gone = AbortSignal.abort(new Error("gone"));
      expect(await failureOf(read("tags", gone))).to.have.property("message", "gone");
      expect(asked).to.deep.equal([]);
    });
  });

  describe("is dropped", () => {
    it("when the last who waits has gone, and not before", async () => {
      const [one, two] = [beginning("tags"), beginning("tags")];
      await settled();
      one.leave();
      expect(await one.end).to.have.property("message", "tags left");
      expect(asked[0]!.signal.aborted).to.equal(false);
      two.leave();
      expect(await two.end).to.have.property("message", "tags left");
      expect(asked[0]!.signal.aborted).to.equal(true);
    });

    it("never for one who came while the last was leaving", async () => {
      const one = beginning("tags");
      await settled();
      one.leave();
      const two = read("tags");
      await one.end;
      await settled();
      expect(asked).to.have.length(1);
      expect(asked[0]!.signal.aborted).to.equal(false);
      asked[0]!.answer("there");
      expect(await two).to.have.property("value", "there");
    });

    it("and asked anew by who comes after that", async () => {
      const one = beginning("tags");
      await settled();
      one.leave();
      await one.end;
      const two = read("tags");
      await settled();
      expect(asked).to.have.length(2);
      expect(asked[1]!.signal.aborted).to.equal(false);
      // A third joins the second, though the first has ended meanwhile.
      const three = read("tags");
      await settled();
      expect(asked).to.have.length(2);
      asked[1]!.answer("anew");
      expect([(await two).value, (await three).value]).to.deep.equal(["anew", "anew"]);
    });

    it("and what it says in spite of that is remembered by nobody", async () => {
      const aborter = new AbortController();
      const late = Promise.withResolvers<string>();
      const deaf = { registry: "managed", key: "tags", ask: () => late.promise };
      const one = reads.read(deaf, aborter.signal).catch((err: unknown) => err);
      await settled();
      aborter.abort(new Error("gone"));
      await one;
      late.resolve("too late");
      await settled();
      await answered("tags", "new");
    });

    it("after a time, which is the registry's failure and not the end of the request", async () => {
      const time = startVirtualTime();
      try {
        const err = failureOf(read("tags"));
        await time.turn(24_999);
        expect(asked[0]!.signal.aborted).to.equal(false);
        await time.turn(1);
        const failure = await err;
        expect(failure).to.be.instanceOf(Error).and.not.instanceOf(DOMException);
        expect(failure).to.have.property("message", "the registry gave no answer within 25 s");
      } finally {
        time.end();
      }
    });
  });

  describe("is asked a few at a time", () => {
    const questions = (count: number, of?: string) =>
      Array.from({ length: count }, (_, n) => beginning(`q${n}`, of));

    it("four of one registry, the others in their order", async () => {
      const all = questions(9);
      await settled();
      expect(keysAsked()).to.deep.equal(["q0", "q1", "q2", "q3"]);
      asked[2]!.answer("two");
      await settled();
      expect(keysAsked().slice(4)).to.deep.equal(["q4"]);
      asked[0]!.fail(new Error("zero"));
      await settled();
      expect(keysAsked().slice(4)).to.deep.equal(["q4", "q5"]);
      expect(await all[2]!.end).to.equal("two");
      expect(await all[0]!.end).to.have.property("message", "zero");
    });

    it("as many again when several end at once", async () => {
      const all = questions(8);
      await settled();
      for (const each of asked.slice(0, 4)) each.answer("first");
      await settled();
      expect(keysAsked().slice(4)).to.deep.equal(["q4", "q5", "q6", "q7"]);
      for (const each of asked.slice(4)) each.answer("then");
      expect(await Promise.all(all.map(({ end }) => end))).to.have.length(8);
    });

    it("and nobody who comes meanwhile gets in between", async () => {
      questions(5);
      await settled();
      asked[0]!.answer("first");
      beginning("pushy");
      await Promise.resolve();
      beginning("pushier");
      await settled();
      expect(keysAsked()).to.deep.equal(["q0", "q1", "q2", "q3", "q4"]);
      asked[1]!.answer("second");
      await settled();
      expect(keysAsked().at(-1)).to.equal("pushy");
    });

    it("while another registry is not held up", async () => {
      questions(10);
      questions(2, "other");
      await settled();
      expect(asked).to.have.length(6);
    });

    it("also after a registry had nothing to do", async () => {
      await answered("before", 1);
      questions(6);
      await settled();
      expect(asked.slice(1)).to.have.length(4);
    });

    it("and where eighty wait, the next hears so at once", async () => {
      const all = questions(84);
      expect(await failureOf(read("one too many"))).to.be.instanceOf(TooBusy);
      // Who asks what is waiting already takes up no more room.
      const joined = beginning("q83");
      all[10]!.leave();
      await all[10]!.end;
      const after = beginning("in its place");
      await settled();
      // It grows meanwhile.
      for (const each of asked) {
        each.answer(each.key);
        await settled();
      }
      expect(keysAsked()).to.have.length(84).and.not.include("q10");
      expect(keysAsked().at(-1)).to.equal("in its place");
      expect([await after.end, await joined.end]).to.deep.equal(["in its place", "q83"]);
    });

    it("without asking what nobody waits for any more", async () => {
      const all = questions(7);
      await settled();
      all[4]!.leave();
      all[5]!.leave();
      asked[0]!.answer("first");
      await settled();
      expect(keysAsked().slice(4)).to.deep.equal(["q6"]);
    });

    it("though one leaves in the moment in which its turn comes", async () => {
      for (const turns of [0, 1, 2, 3, 4, 5, 6, 7, 8]) {
        for (const leavesFirst of [true, false]) {
          reads = createSharedReads({ now: () => now });
          asked = [];
          const all = questions(6);
          await settled();
          if (leavesFirst) all[4]!.leave();
          else asked[0]!.answer("first");
          for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
          if (leavesFirst) asked[0]!.answer("first");
          else all[4]!.leave();
          await settled();
          // Whatever came of it, the one behind it has its turn, and four are under way again.
          expect(keysAsked(), `${turns} ${leavesFirst}`).to.include("q5");
          for (const each of asked) each.answer(each.key);
          await settled();
          questions(6);
          await settled();
          expect(asked.filter(({ key }) => key === "q0")).to.have.length(1);
        }
      }
    });

    it("for good: no place is lost by leaving, failing and coming", async () => {
      let underWay = 0;
      let most = 0;
      let seed = 7;
      const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below;
      const ends: Promise<unknown>[] = [];
      const leaving: (() => void)[] = [];
      for (let n = 0; n < 400; n += 1) {
        const aborter = new AbortController();
        const ask = async (signal: AbortSignal): Promise<number> => {
          most = Math.max(most, (underWay += 1));
          try {
            for (let turns = random(6); turns >= 0; turns -= 1) await Promise.resolve();
            signal.throwIfAborted();
            if (random(4) === 0) throw new Error("down");
            return n;
          } finally {
            underWay -= 1;
          }
        };
        const question = { registry: "managed", key: String(random(50)), ask };
        ends.push(reads.read(question, aborter.signal).catch((err: unknown) => err));
        leaving.push(() => aborter.abort(new Error("left")));
        now += 10_000;
        if (random(3) === 0) leaving[random(leaving.length)]!();
        for (let turns = random(4); turns > 0; turns -= 1) await Promise.resolve();
      }
      await Promise.all(ends);
      expect([most, underWay]).to.deep.equal([4, 0]);
      now += 3_600_000;
      questions(5);
      await settled();
      expect(asked).to.have.length(4);
    });
  });

  describe("is answered for by what was said before", () => {
    const failing = async () => {
      const reading = read("tags");
      reading.catch(() => undefined);
      await settled();
      asked.at(-1)!.fail(new Error("down"));
      return reading;
    };

    it("for ten minutes while the registry fails", async () => {
      await answered("tags", "before");
      now += 10 * 60_000;
      expect(await failing()).to.deep.equal({ value: "before", readAt: 1_000_000, stale: true });
    });

    it("and not after that", async () => {
      await answered("tags", "before");
      now += 10 * 60_000 + 1;
      expect(await failureOf(failing())).to.have.property("message", "down");
    });

    it("also where it said that there is none", async () => {
      await answered("tags", null);
      now += 60_000;
      expect(await failing()).to.include({ value: null, stale: true });
    });

    it("and the registry is asked again each time", async () => {
      await answered("tags", "before");
      now += 60_000;
      await failing();
      now += 1_000;
      const fresh = { value: "again", readAt: now, stale: false };
      expect(await answered("tags", "again")).to.deep.equal(fresh);
    });

    it("where too many wait", async () => {
      await answered("tags", "before");
      now += 60_000;
      for (let n = 0; n < 84; n += 1) beginning(`q${n}`);
      expect(await read("tags")).to.include({ value: "before", stale: true });
    });

    it("and to nobody who has gone", async () => {
      await answered("tags", "before");
      now += 60_000;
      const one = beginning("tags");
      one.leave();
      expect(await one.end).to.have.property("message", "tags left");
    });
  });
});

describe("the contents of registries, shared", () => {
  let asked: string[];
  let contents: SharedContents;

  beforeEach(() => {
    asked = [];
    const part = { items: [], next: null };
    const note = <T>(what: string, value: T): Promise<T> => {
      asked.push(what);
      return Promise.resolve(value);
    };
    const real: RegistryContents = {
      repositories: ({ name }, space) => note(`repositories ${name} ${String(space)}`, part),
      search: ({ name }, spaces) => note(`search ${name} ${spaces.map((each) => each.name).join(" ")}`, part),
      tags: ({ name }, repository) => note(`tags ${name} ${repository}`, null),
      tag: ({ name }, repository, tag) => note(`tag ${name} ${repository} ${tag}`, null),
      granted: ({ name }, spaces) => note(`granted ${name} ${spaces.join(" ")}`, new Set(spaces)),
    };
    contents = withSharedReads(real, createSharedReads({ now: () => 0 }));
  });

  const wanted = { search: "", after: undefined, limit: 50 };
  const managed = registry("managed");

  const others: [title: string, other: Registry][] = [
    ["of another name", { ...managed, name: "other" }],
    ["at another address", { ...managed, url: "https://elsewhere.test" }],
    ["with another login", { ...managed, credentialsSecret: "other" }],
    ["with another login for pulling", { ...managed, pullCredentialsSecret: "other" }],
    ["with another authority", { ...managed, caSecret: "other" }],
  ];
  for (const [title, other] of others) {
    it(`are another question for a registry ${title}`, async () => {
      await contents.tags(managed, "team-a/app", wanted, never);
      await contents.tags({ ...managed }, "team-a/app", { ...wanted }, never);
      expect(asked).to.have.length(1);
      await contents.tags(other, "team-a/app", wanted, never);
      expect(asked).to.have.length(2);
    });
  }

  it("are another question for each thing that is asked", async () => {
    const space = (name: string, id: number) => ({ name, id });
    const questions: (() => Promise<Shared<unknown>>)[] = [
      () => contents.repositories(managed, "team-a", wanted, never),
      () => contents.repositories(managed, null, wanted, never),
      () => contents.repositories(managed, "team-a", { ...wanted, search: "x" }, never),
      () => contents.repositories(managed, "team-a", { ...wanted, after: "2" }, never),
      () => contents.repositories(managed, "team-a", { ...wanted, limit: 10 }, never),
      () => contents.search(managed, [space("team-a", 1)], { search: "x", limit: 50 }, never),
      () => contents.search(managed, [space("team-b", 2)], { search: "x", limit: 50 }, never),
      () => contents.tags(managed, "team-a/app", wanted, never),
      () => contents.tag(managed, "team-a/app", "1", never),
      () => contents.tag(managed, "team-a/app", "2", never),
      () => contents.granted(managed, ["team-a"], never),
      () => contents.granted(managed, ["team-a", "team-b"], never),
    ];
    for (const question of questions) {
      expect(await question()).to.include({ readAt: 0, stale: false });
      await question();
    }
    expect(asked).to.have.length(questions.length);
  });
});
