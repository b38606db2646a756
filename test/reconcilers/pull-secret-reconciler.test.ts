import { expect } from "chai";
import { sha256 } from "../../src/digest.ts";
import type { LoginRecord } from "../../src/domain/login-record.ts";
import type { SeenPullSecret, WantedPullSecret } from "../../src/domain/pull-secrets.ts";
import type { Credentials } from "../../src/reconcilers/credentials.ts";
import {
  createPullSecretReconciler,
  type PullSecretReconciler,
  type WriteOutcome,
} from "../../src/reconcilers/pull-secret-reconciler.ts";
import { snapshotOf } from "../builders.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";

const second = 1_000;
const minute = 60_000;
const never = new AbortController().signal;
const quota: WriteOutcome = { kind: "refused", why: "exceeded quota" };

describe("the pull secret reconciler", () => {
  let now: number;
  let log: RecordingLog;
  let namespaces: Record<string, string | null>;
  let wanted: Map<string, WantedPullSecret>;
  let secrets: Map<string, SeenPullSecret>;
  /** `write web one`, `remove web`, in the order in which they came. */
  let asked: string[];
  /** What the API server answers instead. */
  let answers: Map<string, () => WriteOutcome>;
  let observed: string[];
  let isRead: { policy: boolean; namespaces: boolean; secrets: boolean; records: boolean };
  let logins: { record: Map<string, LoginRecord>; forget: string[]; missing: string[] };
  let recordOutcome: "written" | "conflict";
  let mostAtOnce: number;
  let reconciler: PullSecretReconciler;

  const fine = (text: string): SeenPullSecret => ({
    ...{ owner: "berth", digest: sha256(text), writable: true, labelled: true },
  });
  const want = (text: string): WantedPullSecret => ({ text, digest: sha256(text) });

  beforeEach(() => {
    now = 1_800_000_000_000;
    log = createRecordingLog();
    namespaces = { web: "12", jobs: "12", other: "13" };
    wanted = new Map([
      ["web", want("one")],
      ["jobs", want("one")],
      ["other", null],
    ]);
    secrets = new Map();
    asked = [];
    answers = new Map();
    observed = [];
    isRead = { policy: true, namespaces: true, secrets: true, records: true };
    logins = { record: new Map(), forget: [], missing: [] };
    recordOutcome = "written";
    mostAtOnce = 0;
    let underWay = 0;
    async function change(call: string, namespace: string, effect: () => void): Promise<WriteOutcome> {
      asked.push(call);
      underWay += 1;
      mostAtOnce = Math.max(mostAtOnce, underWay);
      await Promise.resolve();
      underWay -= 1;
      const answer = answers.get(namespace)?.();
      if (answer !== undefined && answer.kind !== "written") return answer;
      effect();
      return answer ?? { kind: "written" };
    }
    const credentials: Credentials = {
      wantedSecret: (namespace) => wanted.get(namespace) ?? null,
      covers: () => true,
      wantedRobots: () => new Map(),
      robotRecords: () => new Map(),
      loginRecords: () => new Map(),
      loginsToRecord: () => logins.record,
      loginsToForget: () => logins.forget,
      missingLogins: () => logins.missing,
    };
    reconciler = createPullSecretReconciler({
      ...{ log, now: () => now, random: () => 0, credentials: () => credentials },
      snapshot: () => ({
        ...snapshotOf({ namespaces }),
        policyRead: isRead.policy,
        namespacesRead: isRead.namespaces,
      }),
      secrets: {
        isRead: () => isRead.secrets,
        current: () => secrets,
        write: (namespace, text) =>
          change(`write ${namespace} ${text}`, namespace, () => void secrets.set(namespace, fine(text))),
        remove: (namespace) => change(`remove ${namespace}`, namespace, () => void secrets.delete(namespace)),
      },
      records: {
        isRead: () => isRead.records,
        current: () => new Map(),
        reread: () => Promise.resolve(new Map()),
        write(name, text) {
          asked.push(`record ${name} ${(JSON.parse(text) as LoginRecord).username}`);
          return Promise.resolve(recordOutcome);
        },
        remove(name) {
          asked.push(`forget ${name}`);
          return Promise.resolve("written");
        },
      },
      observe: (outcome) => observed.push(outcome),
    });
  });

  async function round(signal = never): Promise<readonly string[]> {
    asked.length = 0;
    await reconciler.round(signal);
    return [...asked];
  }

  for (const part of ["policy", "namespaces", "secrets", "records"] as const) {
    it(`does nothing before the ${part} are read`, async () => {
      isRead[part] = false;
      expect(await round()).to.deep.equal([]);
    });
  }

  it("writes what is missing, then what is old, and removes what nobody needs; once", async () => {
    secrets = new Map([
      ["web", fine("zero")],
      ["other", fine("zero")],
    ]);
    expect(await round()).to.deep.equal(["write jobs one", "write web one", "remove other"]);
    expect(await round()).to.deep.equal([]);
    expect(observed).to.deep.equal(["written", "written", "removed"]);
  });

  it("leaves alone what is not certain, and what Berth did not make", async () => {
    wanted.set("web", "waiting");
    secrets = new Map([
      ["web", fine("zero")],
      ["jobs", { ...fine("zero"), owner: "foreign" }],
      ["other", { ...fine("zero"), owner: "foreign" }],
    ]);
    expect(await round()).to.deep.equal([]);
    expect(reconciler.problems()).to.deep.equal([
      "namespace jobs: a Secret berth-pull that Berth did not make is there",
    ]);
  });

  describe("a namespace that refuses", () => {
    beforeEach(() => answers.set("web", () => quota));

    it("delays no other, and is told of once", async () => {
      await round();
      expect([...secrets.keys()]).to.deep.equal(["jobs"]);
      now += minute;
      await round();
      expect(log.lines.map(({ level, facts, text }) => [level, facts, text])).to.deep.equal([
        ["warn", { namespace: "web", why: "exceeded quota" }, "a pull secret cannot be written"],
      ]);
      expect(reconciler.problems()).to.deep.equal(["namespace web: exceeded quota"]);
      expect(observed).to.deep.equal(["refused", "written", "refused"]);
    });

    it("is asked again after ten seconds, doubled each time, up to five minutes", async () => {
      const begin = now;
      const tried: number[] = [];
      for (let passed = 0; passed <= 21 * minute; passed += 5 * second) {
        now = begin + passed;
        if ((await round()).includes("write web one")) tried.push(passed / second);
      }
      expect(tried).to.deep.equal([0, 10, 30, 70, 150, 310, 610, 910, 1_210]);
    });

    it("is asked at once when something else is to be written", async () => {
      await round();
      wanted.set("web", want("two"));
      expect(await round()).to.deep.equal(["write web two"]);
      wanted.set("web", null);
      expect(await round()).to.deep.equal([]);
      expect(reconciler.problems(), "and is no problem when nothing is").to.deep.equal([]);
    });

    it("is settled, since nothing is to be waited for there", async () => {
      expect(reconciler.isSettled("web")).to.equal(false);
      await round();
      expect(reconciler.isSettled("web")).to.equal(true);
      wanted.set("web", want("two"));
      expect(reconciler.isSettled("web"), "until something else is to be written").to.equal(false);
    });

    it("is no problem any more when it is gone", async () => {
      await round();
      namespaces = { jobs: "12", other: "13" };
      await round();
      expect(reconciler.problems()).to.deep.equal([]);
    });

    it("is no problem any more when it works", async () => {
      await round();
      answers.clear();
      now += 10 * second;
      await round();
      expect([reconciler.problems(), reconciler.isSettled("web")]).to.deep.equal([[], true]);
    });
  });

  it("meets a conflict again at once, the third time only later", async () => {
    answers.set("web", () => ({ kind: "conflict" }));
    expect(await round()).to.deep.equal([
      "write web one",
      "write jobs one",
      "write web one",
      "write web one",
    ]);
    expect(reconciler.problems()).to.deep.equal(["namespace web: somebody else changes it all the time"]);
    expect(reconciler.isSettled("web")).to.equal(true);
    now += 40 * second - 1;
    expect(await round()).to.deep.equal([]);
    now += 1;
    expect(await round()).to.deep.equal(["write web one"]);
  });

  it("says nothing of one conflict", async () => {
    let conflicts = 1;
    answers.set("web", () => ({ kind: conflicts-- > 0 ? "conflict" : "written" }));
    await round();
    expect([log.lines, reconciler.problems(), [...secrets.keys()]]).to.deep.equal([[], [], ["jobs", "web"]]);
  });

  it("takes an API server in trouble for no word about the Secret, and asks again within half a minute", async () => {
    let why = "the API server does not answer";
    answers.set("web", () => {
      throw new Error(why);
    });
    await round();
    expect(reconciler.isSettled("web")).to.equal(false);
    expect(reconciler.problems()).to.deep.equal(["namespace web: the API server does not answer"]);
    for (let tries = 0; tries < 6; tries += 1) {
      now += 30 * second;
      expect(await round()).to.deep.equal(["write web one"]);
    }
    expect(log.lines).to.have.length(1);
    why = "it answers 500";
    now += 30 * second;
    await round();
    expect(log.lines, "another reason is told").to.have.length(2);
    expect(observed.filter((each) => each === "failed")).to.have.length(8);
  });

  const altered: readonly (readonly [title: string, seen: SeenPullSecret])[] = [
    ["its label is taken off on its way", { ...fine("one"), labelled: false }],
    ["its content is altered on its way", fine("another")],
    ["it is made immutable on its way", { ...fine("one"), writable: false }],
  ];
  for (const [title, seen] of altered) {
    it(`does not write for ever where ${title}`, async () => {
      answers.set("web", () => {
        secrets.set("web", seen);
        return { kind: "written" };
      });
      const write = secrets.set.bind(secrets);
      secrets.set = (namespace, secret) => write(namespace, namespace === "web" ? seen : secret);
      expect((await round()).filter((call) => call === "write web one")).to.have.length(3);
      expect(await round()).to.deep.equal([]);
      expect(reconciler.problems()).to.have.length(1);
      now += 5 * minute;
      expect(await round()).to.deep.equal(["write web one"]);
    });
  }

  it("does not remove for ever what does not go", async () => {
    secrets.set("other", fine("zero"));
    const remove = secrets.delete.bind(secrets);
    secrets.delete = (namespace) => namespace !== "other" && remove(namespace);
    expect((await round()).filter((call) => call === "remove other")).to.have.length(3);
    expect(await round()).to.deep.equal([]);
  });

  it("writes 5,000 Secrets in one round, each once, a few at a time, and a new namespace's before the rest", async () => {
    namespaces = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`n${index}`, "12"]));
    wanted = new Map(Object.keys(namespaces).map((name) => [name, want("one")]));
    for (const name of Object.keys(namespaces)) if (name !== "n4999") secrets.set(name, fine("zero"));
    let late: string | undefined;
    answers.set("n100", () => {
      // A namespace more, while thousands are written.
      namespaces = { ...namespaces, late: "12" };
      wanted.set("late", want("one"));
      late ??= "came";
      return { kind: "written" };
    });
    const calls = await round();
    expect(late).to.equal("came");
    expect(calls).to.have.length(5_001);
    expect(new Set(calls).size).to.equal(5_001);
    expect(calls[0]).to.equal("write n4999 one");
    expect(calls.indexOf("write late one")).to.be.below(1_000);
    expect(mostAtOnce).to.be.within(2, 16);
    expect(reconciler.states().current).to.equal(5_001);
  }).timeout(30_000);

  it("stops between two batches when it is told to end", async () => {
    namespaces = Object.fromEntries(Array.from({ length: 500 }, (_, index) => [`n${index}`, "12"]));
    wanted = new Map(Object.keys(namespaces).map((name) => [name, want("one")]));
    const ending = new AbortController();
    answers.set("n0", () => {
      ending.abort();
      throw new Error("aborted");
    });
    await round(ending.signal);
    expect(secrets.size).to.be.below(200);
    expect([log.lines, observed.includes("failed")], "its end is nobody's failure").to.deep.equal([
      [],
      false,
    ]);
  });

  it("counts namespaces by the state of their Secrets", async () => {
    namespaces = Object.fromEntries(
      ["current", "missing", "outdated", "foreign", "refused", "none", "other's", "waits", "waits2"].map(
        (name) => [name, "12"],
      ),
    );
    wanted = new Map<string, WantedPullSecret>([
      ...["current", "missing", "outdated", "foreign", "refused"].map((name): [string, WantedPullSecret] => [
        name,
        want("one"),
      ]),
      ["waits", "waiting"],
      ["waits2", "waiting"],
      ["other's", null],
    ]);
    answers.set("refused", () => quota);
    for (const name of ["missing", "outdated"]) {
      answers.set(name, () => {
        throw new Error("down");
      });
    }
    secrets = new Map([
      ["outdated", fine("zero")],
      ["foreign", { ...fine("one"), owner: "foreign" }],
      ["other's", { ...fine("one"), owner: "foreign" }],
      ["waits2", fine("zero")],
    ]);
    await round();
    expect(reconciler.states()).to.deep.equal({
      current: 1,
      missing: 2,
      outdated: 2,
      foreign: 1,
      refused: 1,
    });
    const settled = Object.keys(namespaces).filter((name) => reconciler.isSettled(name));
    expect(settled).to.deep.equal(["current", "foreign", "refused", "none", "other's"]);
  });

  describe("logins of the policy", () => {
    const login: LoginRecord = {
      ...{ registry: "archive", server: "https://archive.test", secret: "archive-pull" },
      ...{ username: "puller", password: "handed out" },
    };

    it("are put on record before any Secret gets them, and taken off when nobody has them", async () => {
      logins.record.set("berth-login-1", login);
      logins.forget.push("berth-login-2");
      expect((await round()).slice(0, 3)).to.deep.equal([
        "record berth-login-1 puller",
        "forget berth-login-2",
        "write web one",
      ]);
    });

    it("go into no Secret while they cannot be put on record", async () => {
      logins.record.set("berth-login-1", login);
      recordOutcome = "conflict";
      const [settled] = await Promise.allSettled([round()]);
      expect([settled.status, secrets.size]).to.deep.equal(["rejected", 0]);
    });

    it("that are nowhere to be found are told of once, and again when they are gone again", async () => {
      logins.missing = ["registry archive: Secret archive-pull does not exist"];
      await round();
      await round();
      expect(reconciler.problems()).to.deep.equal(["registry archive: Secret archive-pull does not exist"]);
      logins.missing = [];
      await round();
      expect(reconciler.problems()).to.deep.equal([]);
      logins.missing = ["registry archive: Secret archive-pull does not exist"];
      await round();
      expect(log.lines.map(({ text }) => text)).to.deep.equal([
        "no login to hand out: registry archive: Secret archive-pull does not exist",
        "no login to hand out: registry archive: Secret archive-pull does not exist",
      ]);
    });
  });
});
