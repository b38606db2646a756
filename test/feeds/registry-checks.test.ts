import { expect } from "chai";
import type { Registry } from "../../src/domain/policy.ts";
import type { Secrets } from "../../src/domain/registry-access.ts";
import {
  startRegistryChecks,
  type CheckRegistry,
  type RegistryChecks,
  type RegistryFindings,
} from "../../src/feeds/registry-checks.ts";
import { createCell, createState, type Cell, type State } from "../../src/state.ts";
import { policyOf, registry, rules } from "../builders.ts";
import { eventually } from "../eventually.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";

const fine: RegistryFindings = { up: true, version: "v2.16.0", problems: [], advice: [] };
const login = { username: "admin", password: "secret" };
/** So long that only what wakes it brings a round. */
const everyMs = 3_600_000;

describe("registry checks", () => {
  let state: State;
  let secrets: Cell<Secrets | undefined>;
  let log: RecordingLog;
  let now: number;
  let asked: string[];
  let changes: string[];
  /** By registry name. */
  let findings: Map<string, () => RegistryFindings | Promise<RegistryFindings>>;
  let running: RegistryChecks | undefined;

  beforeEach(() => {
    state = createState(rules);
    secrets = createCell<Secrets | undefined>(undefined);
    log = createRecordingLog();
    now = 1_000_000;
    asked = [];
    changes = [];
    findings = new Map();
    running = undefined;
  });
  afterEach(() => running?.stop());

  const check: CheckRegistry = async ({ name }) => {
    asked.push(name);
    return (await findings.get(name)?.()) ?? fine;
  };
  function start(beatMs = everyMs): RegistryChecks {
    running = startRegistryChecks(
      {
        ...{ state, secrets, log, check, now: () => now, random: () => 0 },
        onChange: ({ name }, { problems }) => changes.push(`${name}: ${problems.join("; ")}`),
      },
      beatMs,
    );
    return running;
  }
  const withPolicy = (...registries: readonly Registry[]): void =>
    state.replacePolicy(policyOf({ registries }));
  const withLogins = (...names: readonly string[]): void =>
    secrets.replace(new Map(names.map((name) => [`${name}-login`, login])));
  /** A round that has nothing to do leaves no trace but this: what came before it is over. */
  async function untilQuiet(): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  async function untilAsked(...names: readonly string[]): Promise<void> {
    await eventually(() => expect(asked).to.deep.equal(names));
    await eventually(() => running !== undefined && names.every((name) => running?.reports().has(name)));
  }
  const levels = (): readonly string[] => log.lines.map(({ level, text }) => `${level}: ${text}`);

  it("ask nothing before policy and Secrets are read, and then each registry once", async () => {
    const checks = start();
    withPolicy(
      registry("managed"),
      registry("archive", { type: "docker-registry", credentialsSecret: null }),
    );
    await untilQuiet();
    expect(asked).to.deep.equal([]);
    withLogins("managed");
    await untilAsked("managed", "archive");
    expect(checks.reports().get("managed")).to.deep.equal({ ...fine, checkedAt: now });
    expect(levels()).to.deep.equal([]);
  });

  it("ask nothing of a policy that was not read", async () => {
    withLogins("managed");
    start();
    await untilQuiet();
    expect(asked).to.deep.equal([]);
  });

  const changed: readonly (readonly [title: string, change: () => void])[] = [
    [
      "its url is another",
      () => withPolicy(registry("managed", { url: "https://new.test" }), registry("other")),
    ],
    [
      "it becomes a workspace's",
      () => withPolicy(registry("managed", { workspace: "12" }), registry("other")),
    ],
    ["it gets a CA", () => withPolicy(registry("managed", { caSecret: "other-login" }), registry("other"))],
    [
      "its password is another",
      () =>
        secrets.replace(
          new Map([...(secrets.current() ?? []), ["managed-login", { ...login, password: "new" }]]),
        ),
    ],
  ];
  for (const [title, change] of changed) {
    it(`ask a registry again when ${title}, and no other`, async () => {
      withPolicy(registry("managed"), registry("other"));
      withLogins("managed", "other");
      start();
      await untilAsked("managed", "other");
      asked.length = 0;
      change();
      await eventually(() => expect([...asked, ...problemsOf("managed")]).to.have.length(1));
      expect(asked).not.to.include("other");
    });
  }
  const problemsOf = (name: string): readonly string[] => running?.reports().get(name)?.problems ?? [];

  it("ask nothing again when the policy changes elsewhere", async () => {
    withPolicy(registry("managed"));
    withLogins("managed");
    start();
    await untilAsked("managed");
    state.replacePolicy(policyOf({ registries: [registry("managed")], bindings: ["12 managed/a"] }));
    secrets.replace(new Map([...(secrets.current() ?? []), ["something", {}]]));
    await untilQuiet();
    expect(asked).to.deep.equal(["managed"]);
  });

  it("ask again on the beat", async () => {
    withPolicy(registry("managed"));
    withLogins("managed");
    start(10);
    await untilAsked("managed");
    // The clock of the test stands still: it is not time yet.
    await untilQuiet();
    expect(asked).to.have.length(1);
    now += 9;
    await eventually(() => expect(asked).to.have.length(2));
  });

  it("forget a registry that left", async () => {
    withPolicy(registry("managed"), registry("other"));
    withLogins("managed", "other");
    const checks = start();
    await untilAsked("managed", "other");
    withPolicy(registry("other"));
    await eventually(() => expect([...checks.reports().keys()]).to.deep.equal(["other"]));
  });

  it("ask nothing where the login is not there, and say so", async () => {
    withPolicy(registry("managed"));
    withLogins();
    const checks = start();
    await eventually(() => checks.reports().has("managed"));
    expect(asked).to.deep.equal([]);
    expect(checks.reports().get("managed")).to.deep.equal({
      ...{ up: false, version: null, problems: ["Secret managed-login does not exist"], advice: [] },
      checkedAt: now,
    });
    withLogins("managed");
    await eventually(() => expect(checks.reports().get("managed")?.up).to.equal(true));
    expect(levels()).to.deep.equal([
      "error: the registry does not work as it should",
      "info: the registry works",
    ]);
    expect(changes).to.deep.equal(["managed: Secret managed-login does not exist", "managed: "]);
  });

  it("say what a registry that cannot be asked says, and go on with the others", async () => {
    findings.set("a", () => Promise.reject(new Error("a does not answer")));
    findings.set("b", () => {
      throw new Error("b neither");
    });
    withPolicy(registry("a"), registry("b"), registry("c"));
    withLogins("a", "b", "c");
    const checks = start();
    await untilAsked("a", "b", "c");
    expect([problemsOf("a"), problemsOf("b"), problemsOf("c")]).to.deep.equal([
      ["a does not answer"],
      ["b neither"],
      [],
    ]);
    expect(checks.reports().get("c")?.up).to.equal(true);
  });

  it("tell what they found once, another thing anew, and advice apart", async () => {
    let found: RegistryFindings = { ...fine, advice: ["use https"] };
    findings.set("managed", () => found);
    withPolicy(registry("managed"));
    withLogins("managed");
    start(10);
    const rounds = async (count: number): Promise<void> => {
      for (let round = 0; round < count; round += 1) {
        const before = asked.length;
        now += 20;
        await eventually(() => asked.length > before);
        await eventually(() => expect(running?.reports().get("managed")?.checkedAt).to.equal(now));
      }
    };
    await rounds(3);
    found = { ...fine, up: false, problems: ["no right to list"] };
    await rounds(2);
    found = fine;
    await rounds(2);
    expect(levels()).to.deep.equal([
      "warn: the registry works, and could be safer",
      "error: the registry does not work as it should",
      "info: the registry works",
    ]);
    expect(log.lines[1]?.facts).to.deep.equal({
      ...{ registry: "managed", version: "v2.16.0", problems: ["no right to list"] },
    });
  });

  it("ask four at a time", async () => {
    let underWay = 0;
    let most = 0;
    const names = ["a", "b", "c", "d", "e", "f", "g"];
    for (const name of names) {
      findings.set(name, async () => {
        most = Math.max(most, (underWay += 1));
        await new Promise((resolve) => setTimeout(resolve, 2));
        underWay -= 1;
        return fine;
      });
    }
    withPolicy(...names.map((name) => registry(name)));
    withLogins(...names);
    start();
    await untilAsked(...names);
    expect(most).to.equal(4);
  });

  it("end with what is under way, which is told to end, and report nothing of it", async () => {
    let aborted = false;
    const checks = startRegistryChecks(
      {
        ...{ state, secrets, log, now: () => now },
        check: (_registry, signal) =>
          new Promise((_, reject) => {
            asked.push("managed");
            signal.addEventListener("abort", () => {
              aborted = true;
              reject(new Error("aborted"));
            });
          }),
      },
      everyMs,
    );
    withPolicy(registry("managed"));
    withLogins("managed");
    await eventually(() => asked.length === 1);
    await checks.stop();
    expect([aborted, checks.reports().size, log.lines]).to.deep.equal([true, 0, []]);
    withPolicy(registry("other"));
    await untilQuiet();
    expect(asked).to.have.length(1);
  });
});
