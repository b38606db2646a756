import { expect } from "chai";
import fc from "fast-check";
import {
  nextRobotStep,
  parseRobotRecord,
  printRobotRecord,
  robotInUse,
  withAskedAnew,
  withoutRobot,
  withRobot,
  type AskedRobot,
  type MadeRobot,
  type RobotFacts,
  type RobotRecord,
  type RobotStep,
  type SeenRobot,
  type WantedRobot,
} from "../../src/domain/robots.ts";

const second = 1_000;
const minute = 60_000;
const day = 86_400_000;
const now = 1_800_000_000_000;
/** The robot in use was made an hour ago. */
const madeAt = now - 60 * minute;

const home = {
  registry: "managed",
  server: "https://managed.test",
  credentialsSecret: "managed-login",
  caSecret: null,
};
const a = { name: "a", id: 1 };
const b = { name: "b", id: 2 };

function made(more: Partial<MadeRobot> = {}): MadeRobot {
  const serial = more.serial ?? 1;
  return {
    ...{ stage: "ready", serial, spaces: [a, b], id: 70 + serial, fullName: `robot$r-${serial}` },
    ...{ secret: `Secret${serial}`, createdAt: madeAt, expiresAt: madeAt + 30 * day, madeAt },
    ...{ refusedAt: null, holders: ["jobs", "web"], retired: null },
    ...more,
  };
}
function retired(at: number, more: { urgent?: true; spreadAt?: number } = {}): MadeRobot["retired"] {
  return { at, urgent: more.urgent ?? false, spreadAt: more.spreadAt ?? null };
}
function asked(serial: number, more: Partial<AskedRobot> = {}): AskedRobot {
  return { stage: "asked", serial, spaces: [a, b], refusedAt: null, ...more };
}
function record(...robots: RobotRecord["robots"]): RobotRecord {
  return { home, workspace: "12", serial: Math.max(0, ...robots.map(({ serial }) => serial)), robots };
}
const wanted: WantedRobot = { home, workspace: "12", spaces: [a, b], namespaces: ["jobs", "web"] };

function facts(more: Partial<RobotFacts> = {}): RobotFacts {
  return {
    ...{ record: record(made()), wanted, seen: undefined, isSettled: () => true, now },
    namespaces: new Map([
      ["jobs", "12"],
      ["web", "12"],
      ["other", "13"],
      ["plain", null],
    ]),
    ...more,
  };
}
function seen(robot: MadeRobot, more: Partial<SeenRobot> = {}, at = now - 1): RobotFacts["seen"] {
  const { id, fullName, createdAt, expiresAt } = robot;
  const found = { id, fullName, createdAt, expiresAt, disabled: false, updatedAt: createdAt, ...more };
  return { at, robots: new Map([[id, found]]) };
}

/** A step in one line: its kind, what is written of each robot, and why or until when. */
function inWords(step: RobotStep): string {
  switch (step.kind) {
    case "rest":
      return step.until === null ? "rest" : `rest until ${step.until - now} ms`;
    case "write":
      return `write ${step.record.robots.map(stateOf).join(", ")}: ${step.why}`;
    case "forget":
      return "forget";
    case "make":
    case "verify":
    case "remove":
      return `${step.kind} ${step.robot.serial}`;
  }
}
function stateOf(robot: RobotRecord["robots"][number]): string {
  const spaces = robot.spaces.map(({ name, id }) => `${name}${id}`).join("");
  if (robot.stage === "asked") {
    return `${robot.serial} asked ${spaces}${robot.refusedAt === null ? "" : " refused"}`;
  }
  const { urgent, spreadAt } = robot.retired ?? { urgent: false, spreadAt: null };
  const words = [robot.retired && "retired", urgent && "urgent", spreadAt !== null && "spread"];
  return [robot.serial, robot.stage, spaces, ...words.filter(Boolean)].join(" ");
}

type Row = readonly [title: string, facts: Partial<RobotFacts>, expected: string];
function table(title: string, rows: readonly Row[]): void {
  describe(title, () => {
    for (const [row, given, expected] of rows) {
      it(row, () => {
        expect(inWords(nextRobotStep(facts(given)))).to.equal(expected);
      });
    }
  });
}

const renewal = madeAt + 20 * day - now;

table("where nobody has a robot yet", [
  ["rests when none is wanted", { record: undefined, wanted: undefined }, "rest"],
  ["rests while that is unknown", { record: undefined, wanted: "unknown" }, "rest"],
  [
    "asks for one, beyond the number of any record before",
    { record: undefined },
    `write ${now / second + 1} asked a1b2: the workspace has no robot there yet`,
  ],
  [
    "asks with the next number where there is an empty record",
    { record: { ...record(), serial: 4 } },
    "write 5 asked a1b2: the workspace has no robot there",
  ],
]);

table("a robot that was asked for", [
  ["is made", { record: record(asked(1)) }, "make 1"],
  [
    "is made beside one that is to go",
    { record: record(made({ retired: retired(now) }), asked(2)) },
    "make 2",
  ],
  [
    "is asked for anew where other spaces are wanted by now",
    { record: record(asked(1, { spaces: [a] })) },
    "write 2 asked a1b2: other spaces are wanted by now",
  ],
  [
    "or the same name is another space by now",
    { record: record(asked(1, { spaces: [a, { name: "b", id: 9 }] })) },
    "write 2 asked a1b2: other spaces are wanted by now",
  ],
  [
    "which Harbor has refused since as long",
    { record: record(asked(1, { spaces: [a], refusedAt: now - 1 })) },
    "write 2 asked a1b2 refused: other spaces are wanted by now",
  ],
  [
    "stays as it is when only the order is another",
    { record: record(asked(1, { spaces: [b, a] })) },
    "make 1",
  ],
  [
    "is given up when none is wanted",
    { record: record(asked(1)), wanted: undefined },
    "write : no robot is wanted any more",
  ],
  ["stays as it is while that is unknown", { record: record(asked(1)), wanted: "unknown" }, "rest"],
]);

table("a robot that was made", [
  ["is verified before Secrets get it", { record: record(made({ stage: "made", holders: [] })) }, "verify 1"],
  [
    "is replaced without that when other spaces are wanted by now",
    { record: record(made({ stage: "made", spaces: [a], holders: [] })) },
    "write 1 made a1 retired, 2 asked a1b2: more spaces are bound",
  ],
]);

table("a robot in use", [
  ["rests until its renewal", {}, `rest until ${renewal} ms`],
  ["rests for ever when it never expires", { record: record(made({ expiresAt: null })) }, "rest"],
  ["rests a millisecond before its renewal", { now: now + renewal - 1 }, `rest until ${renewal} ms`],
  [
    "is followed by another at two thirds of its life",
    { now: now + renewal },
    "write 1 ready a1b2 retired, 2 asked a1b2: it expires soon",
  ],
  [
    "is followed when a space more is bound, without haste",
    { record: record(made({ spaces: [a] })) },
    "write 1 ready a1 retired, 2 asked a1b2: more spaces are bound",
  ],
  [
    "is followed with haste when a space was taken away",
    { wanted: { ...wanted, spaces: [a] } },
    "write 1 ready a1b2 retired urgent, 2 asked a1: it may pull from b no longer",
  ],
  [
    "also where another came instead",
    { wanted: { ...wanted, spaces: [a, { name: "c", id: 3 }] } },
    "write 1 ready a1b2 retired urgent, 2 asked a1c3: it may pull from b no longer",
  ],
  [
    "and when a space came back as another",
    { wanted: { ...wanted, spaces: [{ name: "a", id: 9 }, b] } },
    "write 1 ready a1b2 retired urgent, 2 asked a9b2: it may pull from a no longer",
  ],
  [
    "and when a namespace that had it is another workspace's",
    { record: record(made({ holders: ["jobs", "other", "web"] })) },
    "write 1 ready a1b2 retired urgent, 2 asked a1b2: namespace other left the workspace",
  ],
  [
    "and when it has none any more",
    { record: record(made({ holders: ["jobs", "plain", "web"] })) },
    "write 1 ready a1b2 retired urgent, 2 asked a1b2: namespace plain left the workspace",
  ],
  [
    "rests though a namespace that had it is gone: it took its copy with it",
    { record: record(made({ holders: ["gone", "jobs", "web"] })) },
    `rest until ${renewal} ms`,
  ],
  [
    "names a namespace that is to get it, before it gets it",
    { wanted: { ...wanted, namespaces: ["apps", "jobs", "web"] } },
    "write 1 ready a1b2: more namespaces get it",
  ],
  [
    "waits with a change while as many as may be are still to go",
    {
      record: record(
        ...[1, 2, 3, 4, 5, 6, 7].map((serial) => made({ serial, retired: retired(now) })),
        made({ serial: 8 }),
      ),
      wanted: { ...wanted, spaces: [a, b, { name: "c", id: 3 }] },
      isSettled: () => false,
    },
    `rest until ${renewal} ms`,
  ],
  [
    "has the policy's way to Harbor put on record",
    { wanted: { ...wanted, home: { ...home, credentialsSecret: "new-login" } } },
    "write 1 ready a1b2: the registry's name or Secrets are others now",
  ],
  [
    "and its CA",
    { wanted: { ...wanted, home: { ...home, caSecret: "ca" } } },
    "write 1 ready a1b2: the registry's name or Secrets are others now",
  ],
  [
    "and its name",
    { wanted: { ...wanted, home: { ...home, registry: "renamed" } } },
    "write 1 ready a1b2: the registry's name or Secrets are others now",
  ],
]);

const one = made();
const replaced = (why: string): string => `write 1 ready a1b2 retired, 2 asked a1b2: ${why}`;
table("what Harbor shows of a robot in use", [
  ["is nothing yet", { seen: undefined }, `rest until ${renewal} ms`],
  ["is as it should be", { seen: seen(one) }, `rest until ${renewal} ms`],
  ["or it is gone", { seen: { at: now, robots: new Map() } }, replaced("it is gone from Harbor")],
  [
    "which a listing that began before the robot was made does not say",
    { seen: { at: madeAt, robots: new Map() } },
    `rest until ${renewal} ms`,
  ],
  [
    "and the next one does",
    { seen: { at: madeAt + 1, robots: new Map() } },
    replaced("it is gone from Harbor"),
  ],
  ["disabled", { seen: seen(one, { disabled: true }) }, replaced("it was disabled in Harbor")],
  [
    "two seconds between its times are one moment",
    { seen: seen(one, { updatedAt: madeAt + 2 * second }) },
    `rest until ${renewal} ms`,
  ],
  [
    "and more are a change",
    { seen: seen(one, { updatedAt: madeAt + 2 * second + 1 }) },
    replaced("it was changed in Harbor, so that its secret may be another"),
  ],
  [
    "with another expiry",
    { seen: seen(one, { expiresAt: now + day }) },
    replaced("its expiry was changed in Harbor"),
  ],
  ["with an expiry that never comes", { seen: seen(one, { expiresAt: null }) }, `rest until ${renewal} ms`],
  [
    "under another name, since Harbor's prefix changed",
    { seen: seen(one, { fullName: "bot-r-1" }) },
    "write 1 ready a1b2: Harbor's prefix for robots changed, and with it the robot's name",
  ],
  [
    "which a listing from before says nothing about",
    { seen: seen(one, { fullName: "bot-r-1" }, madeAt) },
    `rest until ${renewal} ms`,
  ],
]);

const second2 = made({ serial: 2, madeAt: now - minute });
const after = { record: record(made({ retired: retired(now - minute) }), second2) };
const spreadAt = now - 2 * minute;
table("a robot that another has followed", [
  [
    "is spread when every Secret holds the new one",
    after,
    "write 1 ready a1b2 retired spread, 2 ready a1b2: no Secret that can be written carries the old robot any more",
  ],
  [
    "is not while one does not",
    { ...after, isSettled: (name) => name === "web" },
    `rest until ${renewal} ms`,
  ],
  [
    "is, when that one's namespace is gone",
    {
      ...after,
      isSettled: (name) => name === "web",
      namespaces: new Map([["web", "12"]]),
    },
    "write 1 ready a1b2 retired spread, 2 ready a1b2: no Secret that can be written carries the old robot any more",
  ],
  [
    "rests until two minutes after",
    { record: record(made({ retired: retired(now, { spreadAt: now }) }), second2) },
    `rest until ${2 * minute} ms`,
  ],
  [
    "rests a millisecond longer",
    { record: record(made({ retired: retired(now, { spreadAt: spreadAt + 1 }) }), second2) },
    "rest until 1 ms",
  ],
  ["and goes", { record: record(made({ retired: retired(now, { spreadAt }) }), second2) }, "remove 1"],
  [
    "leaves the rest to what comes first, here its successor's renewal",
    {
      record: record(
        made({ retired: retired(now, { spreadAt: now }) }),
        made({ serial: 2, createdAt: now - 2 * minute, expiresAt: now + minute + 3 }),
      ),
    },
    "rest until 2 ms",
  ],
  [
    "without haste lives on while Secrets carry it",
    {
      record: record(made({ retired: retired(now - day) }), made({ serial: 2, madeAt: now - day })),
      isSettled: () => false,
    },
    `rest until ${renewal} ms`,
  ],
]);

const urgent = retired(now - 10 * minute, { urgent: true });
const notSettled = { isSettled: () => false };
table("a robot that has to go soon", [
  [
    "goes four minutes after its successor became ready, whatever Secrets carry it",
    {
      record: record(made({ retired: urgent }), made({ serial: 2, madeAt: now - 4 * minute })),
      ...notSettled,
    },
    "remove 1",
  ],
  [
    "and not a millisecond before",
    {
      record: record(made({ retired: urgent }), made({ serial: 2, madeAt: now - 4 * minute + 1 })),
      ...notSettled,
    },
    "rest until 1 ms",
  ],
  [
    "goes two minutes after it was spread, where that is sooner",
    {
      record: record(
        made({ retired: { ...urgent, at: now, spreadAt } as MadeRobot["retired"] }),
        made({ serial: 2, madeAt: now - minute }),
      ),
    },
    "remove 1",
  ],
  [
    "waits for as long as Harbor is down, which neither makes its successor nor could remove it",
    { record: record(made({ retired: urgent }), asked(2)) },
    "make 2",
  ],
  [
    "nor verifies it",
    { record: record(made({ retired: urgent }), made({ serial: 2, stage: "made", holders: [] })) },
    "verify 2",
  ],
  [
    "goes four minutes after Harbor refused to make its successor",
    { record: record(made({ retired: urgent }), asked(2, { refusedAt: now - 4 * minute })) },
    "remove 1",
  ],
  [
    "and not before",
    { record: record(made({ retired: urgent }), asked(2, { refusedAt: now - 4 * minute + 1 })) },
    "make 2",
  ],
  [
    "goes four minutes after Harbor did not grant its successor what it should",
    {
      record: record(
        made({ retired: urgent }),
        made({ serial: 2, stage: "made", holders: [], refusedAt: now - 4 * minute }),
      ),
    },
    "remove 1",
  ],
  [
    "and not before",
    {
      record: record(
        made({ retired: urgent }),
        made({ serial: 2, stage: "made", holders: [], refusedAt: now - 4 * minute + 1 }),
      ),
    },
    "verify 2",
  ],
  [
    "counts from when it became urgent, where Harbor refused long before",
    {
      record: record(
        made({ retired: retired(now - minute, { urgent: true }) }),
        asked(2, { refusedAt: now - day }),
      ),
    },
    "make 2",
  ],
  [
    "is joined by one that was to go without haste, when that may pull too much as well",
    {
      record: record(made({ retired: retired(now - minute) }), asked(2, { spaces: [a] })),
      wanted: { ...wanted, spaces: [a] },
    },
    "write 1 ready a1b2 retired urgent, 2 asked a1: the old robot has to go soon: it may pull from b no longer",
  ],
  [
    "or when a namespace left that had it",
    {
      record: record(made({ retired: retired(now - minute), holders: ["other"] }), asked(2)),
    },
    "write 1 ready a1b2 retired urgent, 2 asked a1b2: the old robot has to go soon: namespace other left the workspace",
  ],
]);

table("when no robot is wanted any more", [
  ["an empty record is forgotten", { record: record(), wanted: undefined }, "forget"],
  [
    "the robot in use has to go soon",
    { wanted: undefined },
    "write 1 ready a1b2 retired urgent: no robot is wanted any more",
  ],
  [
    "and so have those before it",
    {
      record: record(made({ retired: retired(now, { spreadAt: now }) }), second2),
      wanted: undefined,
    },
    "write 1 ready a1b2 retired urgent spread, 2 ready a1b2 retired urgent: no robot is wanted any more",
  ],
  [
    "and what was asked for is given up",
    { record: record(made({ retired: urgent }), asked(2)), wanted: undefined },
    "write 1 ready a1b2 retired urgent: no robot is wanted any more",
  ],
  [
    "it is spread when no Secret holds it",
    { record: record(made({ retired: retired(now, { urgent: true }) })), wanted: undefined },
    "write 1 ready a1b2 retired urgent spread: no Secret that can be written carries the old robot any more",
  ],
  [
    "it goes four minutes after, whatever Secrets hold it",
    {
      record: record(made({ retired: retired(now - 4 * minute, { urgent: true }) })),
      wanted: undefined,
      ...notSettled,
    },
    "remove 1",
  ],
  [
    "and not before",
    {
      record: record(made({ retired: retired(now - 4 * minute + 1, { urgent: true }) })),
      wanted: undefined,
      ...notSettled,
    },
    "rest until 1 ms",
  ],
  ["nothing is done while that is unknown", { wanted: "unknown" }, "rest"],
]);

describe("the clock of a robot that is not wanted any more", () => {
  const timesOf = (robots: RobotRecord["robots"]): readonly (number | undefined)[] => {
    const step = nextRobotStep(facts({ record: record(...robots), wanted: undefined }));
    if (step.kind !== "write") throw new Error(`expected a record to be written, got ${step.kind}`);
    return step.record.robots.map((robot) => (robot.stage === "asked" ? undefined : robot.retired?.at));
  };
  it("starts anew where Harbor was silent about a successor until then", () => {
    expect(timesOf([made({ retired: urgent }), asked(2)])).to.deep.equal([now]);
  });
  it("goes on where Harbor had refused one", () => {
    const refused = asked(2, { refusedAt: now - 1 });
    expect(timesOf([made({ retired: urgent }), refused])).to.deep.equal([urgent?.at]);
  });
});

describe("what a step puts on record", () => {
  const written = (more: Partial<RobotFacts>): RobotRecord => {
    const step = nextRobotStep(facts(more));
    if (step.kind !== "write") throw new Error(`expected a record to be written, got ${step.kind}`);
    return step.record;
  };
  it("new holders in order, without those whose namespaces are gone", () => {
    const { robots } = written({
      record: record(made({ holders: ["gone", "web"] })),
      wanted: { ...wanted, namespaces: ["jobs", "web"] },
    });
    expect(robots).to.deep.equal([made({ holders: ["jobs", "web"] })]);
  });
  it("the serial number that was used last", () => {
    expect(written({ wanted: { ...wanted, spaces: [a] } }).serial).to.equal(2);
    expect(written({ record: record(asked(6, { spaces: [a] })) }).serial).to.equal(7);
  });
  it("the name that Harbor shows", () => {
    const { robots } = written({ seen: seen(one, { fullName: "bot-r-1" }) });
    expect(robots).to.deep.equal([made({ fullName: "bot-r-1" })]);
  });
});

describe("the robot in use", () => {
  const rows: readonly (readonly [
    title: string,
    robots: RobotRecord["robots"],
    serial: number | undefined,
  ])[] = [
    ["none in an empty record", [], undefined],
    ["none while the first is only asked for", [asked(1)], undefined],
    ["none while it is not verified", [made({ stage: "made" })], undefined],
    ["the one that is ready", [made()], 1],
    ["the old one until its successor is ready", [made({ retired: retired(now) }), asked(2)], 1],
    ["the newest that is ready", [made({ retired: retired(now) }), made({ serial: 2 })], 2],
    ["none that is out of all Secrets", [made({ retired: retired(now, { spreadAt: now }) })], undefined],
  ];
  for (const [title, robots, serial] of rows) {
    it(title, () => {
      expect(robotInUse(record(...robots))?.serial).to.equal(serial);
    });
  }
});

describe("a record of robots", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 12 });
  const time = fc.integer({ min: 0, max: 4_000_000_000_000 });
  const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value, { nil: null });
  const spaces = fc.array(fc.record({ name: text, id: fc.integer({ min: 1 }) }), { maxLength: 4 });
  const robots = fc.array(
    fc.oneof(
      fc.record({
        ...{ stage: fc.constant("asked" as const), serial: fc.nat(), spaces },
        refusedAt: maybe(time),
      }),
      fc.record({
        ...{ stage: fc.constantFrom("made" as const, "ready" as const), serial: fc.nat(), spaces },
        ...{ id: fc.nat(), fullName: text, secret: text, createdAt: time, expiresAt: maybe(time) },
        ...{ madeAt: time, refusedAt: maybe(time), holders: fc.array(text, { maxLength: 4 }) },
        retired: maybe(fc.record({ at: time, urgent: fc.boolean(), spreadAt: maybe(time) })),
      }),
    ),
    { maxLength: 4 },
  );
  const records = fc.record({
    home: fc.record({ registry: text, server: text, credentialsSecret: text, caSecret: maybe(text) }),
    ...{ workspace: text, serial: fc.nat(), robots },
  });

  it("comes back as it was written", () => {
    fc.assert(
      fc.property(records, (each) => {
        expect(parseRobotRecord(printRobotRecord(each))).to.deep.equal(each);
      }),
      { numRuns: 300 },
    );
  });
  it("is plain to read", () => {
    expect(printRobotRecord(record(asked(3)))).to.equal(
      '{"format":1,"kind":"robots","home":{"registry":"managed","server":"https://managed.test",' +
        '"credentialsSecret":"managed-login","caSecret":null},"workspace":"12","serial":3,' +
        '"robots":[{"stage":"asked","serial":3,"spaces":[["a",1],["b",2]],"refusedAt":null}]}',
    );
  });

  const whole = JSON.parse(printRobotRecord(record(made({ retired: urgent }), asked(2)))) as object;
  const without = (path: readonly (string | number)[]): string => changed(path, undefined);
  /** The record with another value at the path; undefined takes it out. */
  function changed(path: readonly (string | number)[], value: unknown): string {
    const copy = structuredClone(whole);
    const last = path.at(-1) ?? "";
    const parent = path.slice(0, -1).reduce<unknown>((at, key) => (at as never)[key], copy);
    Object.assign(parent as object, { [last]: value });
    return JSON.stringify(copy);
  }
  const paths = [
    ...["format", "kind", "home", "workspace", "serial", "robots"].map((key) => [key]),
    ...["registry", "server", "credentialsSecret", "caSecret"].map((key) => ["home", key]),
    ...Object.keys(made()).map((key) => ["robots", 0, key]),
    ...["at", "urgent", "spreadAt"].map((key) => ["robots", 0, "retired", key]),
    ...Object.keys(asked(1)).map((key) => ["robots", 1, key]),
  ];
  for (const path of paths) {
    it(`is none without ${path.join(".")}, or with something else there`, () => {
      expect(parseRobotRecord(without(path))).to.equal(undefined);
      expect(parseRobotRecord(changed(path, { some: "thing" }))).to.equal(undefined);
    });
  }
  const malformed: readonly (readonly [title: string, text: string])[] = [
    ["an empty text", ""],
    ["no JSON", "{"],
    ["null", "null"],
    ["a list", "[]"],
    ["another format", changed(["format"], 2)],
    ["a record of a login", changed(["kind"], "login")],
    ["an unknown stage", changed(["robots", 0, "stage"], "gone")],
    ["a broken serial number", changed(["serial"], 1.5)],
    ["a space without id", changed(["robots", 1, "spaces"], [["a"]])],
    ["a space with a text for an id", changed(["robots", 1, "spaces"], [["a", "1"]])],
  ];
  for (const [title, written] of malformed) {
    it(`is none: ${title}`, () => {
      expect(parseRobotRecord(written)).to.equal(undefined);
    });
  }
});

describe("a record with a robot less or another", () => {
  const both = record(made({ retired: urgent }), asked(2));
  it("has it in its place", () => {
    expect(withRobot(both, made({ serial: 2 })).robots).to.deep.equal([
      made({ retired: urgent }),
      made({ serial: 2 }),
    ]);
  });
  it("is without the one, and keeps its number", () => {
    expect(withoutRobot(both, made())).to.deep.equal({ ...both, robots: [asked(2)] });
  });
  it("asks anew under the next number", () => {
    expect(withAskedAnew(both)).to.deep.equal({
      ...both,
      serial: 3,
      robots: [made({ retired: urgent }), asked(3)],
    });
  });
});
