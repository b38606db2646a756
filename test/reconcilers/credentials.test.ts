import { expect } from "chai";
import { sha256 } from "../../src/digest.ts";
import { catalogueOf } from "../../src/domain/catalogue.ts";
import { printLoginRecord, type LoginRecord } from "../../src/domain/login-record.ts";
import { spaceKey, type DeclaredSpace } from "../../src/domain/policy.ts";
import type { Secrets } from "../../src/domain/registry-access.ts";
import { printRobotRecord, type MadeRobot, type RobotRecord } from "../../src/domain/robots.ts";
import {
  createCredentials,
  recordNames,
  type CredentialFacts,
  type Credentials,
} from "../../src/reconcilers/credentials.ts";
import { policyOf, readAt, registry, snapshotOf, space } from "../builders.ts";

const managed = registry("managed");
const archive = registry("archive", {
  ...{ type: "docker-registry", credentialsSecret: "archive-own", pullCredentialsSecret: "archive-pull" },
});
const ofTwelve = registry("twelve", { workspace: "12" });
const spaces = [space("team-a", "private", 1), space("models", "private", 2), space("open", "public", 3)];

const robotRecord = recordNames.robots(managed.url, "12");
const loginRecord = recordNames.login("archive");

function robot(more: Partial<MadeRobot> = {}): MadeRobot {
  return {
    ...{ stage: "ready", serial: 1, spaces: [{ name: "team-a", id: 1 }], id: 5, fullName: "robot$r-1" },
    ...{ secret: "R0bot", createdAt: 0, expiresAt: null, madeAt: 0, refusedAt: null, holders: ["web"] },
    ...{ retired: null },
    ...more,
  };
}
function recordOf(...robots: RobotRecord["robots"]): string {
  const home = {
    ...{ registry: "managed", server: managed.url, credentialsSecret: "managed-login", caSecret: null },
  };
  return printRobotRecord({ home, workspace: "12", serial: 1, robots });
}
const pullLogin: LoginRecord = {
  ...{ registry: "archive", server: archive.url, secret: "archive-pull" },
  ...{ username: "puller", password: "handed out" },
};
const allSecrets: Secrets = new Map([
  ["managed-login", { username: "admin", password: "secret" }],
  ["archive-own", { username: "reader", password: "not handed out" }],
  ["archive-pull", { username: "puller", password: "handed out" }],
  ["twelve-login", { username: "twelve", password: "handed out" }],
]);

interface Parts {
  readonly registries?: Parameters<typeof policyOf>[0]["registries"];
  readonly bindings?: readonly string[];
  readonly exempt?: readonly string[];
  readonly withdrawn?: readonly string[];
  readonly namespaces?: Record<string, string | null>;
  readonly catalogue?: "none" | undefined;
  readonly declared?: string;
  readonly ownSpaces?: Record<string, number>;
  readonly secrets?: Secrets | undefined;
  readonly records?: Record<string, string> | undefined;
}

function factsOf(parts: Parts): CredentialFacts {
  const { registries = [managed], bindings = ["12 managed/team-a"], withdrawn = [] } = parts;
  const { declared } = parts;
  const declaredSpaces = new Map<string, DeclaredSpace>();
  if (declared !== undefined) {
    declaredSpaces.set(spaceKey("managed", declared), {
      ...{ registry: "managed", name: declared, visibility: "private", storageBytes: null, adopt: false },
    });
  }
  const rest = { exemptNamespaces: new Set(parts.exempt), spaces: declaredSpaces };
  const policy = policyOf({ registries, bindings, rest });
  const retained =
    withdrawn.length === 0 ? policy : policyOf({ registries, bindings: [...bindings, ...withdrawn], rest });
  const { web = "12", other = "13", plain = null } = parts.namespaces ?? {};
  return {
    snapshot: snapshotOf({
      policy,
      namespaces: { web, other, plain, ...parts.namespaces },
      catalogues: parts.catalogue === "none" ? {} : { managed: spaces },
      ownSpaces: parts.ownSpaces ?? {},
    }),
    retained,
    secrets: "secrets" in parts ? parts.secrets : allSecrets,
    records:
      "records" in parts
        ? parts.records && mapOf(parts.records)
        : mapOf({ [robotRecord]: recordOf(robot()) }),
  };
}
const mapOf = (record: Record<string, string>): ReadonlyMap<string, string> =>
  new Map(Object.entries(record));

function credentialsOf(parts: Parts = {}): Credentials {
  const facts = factsOf(parts);
  return createCredentials(() => facts)();
}

/** The user names of the namespace's Secret by key; else `waiting`, or null. */
function held(credentials: Credentials, namespace: string): unknown {
  const wanted = credentials.wantedSecret(namespace);
  if (wanted === null || wanted === "waiting") return wanted;
  expect(wanted.digest).to.equal(sha256(wanted.text));
  const { auths } = JSON.parse(wanted.text) as { auths: Record<string, { auth: string }> };
  return Object.fromEntries(
    Object.entries(auths).map(([key, { auth }]) => [
      key,
      Buffer.from(auth, "base64").toString().split(":")[0],
    ]),
  );
}

describe("what a namespace's Secret should hold", () => {
  const robotOnly = { "managed.test": "robot$r-1" };
  const rows: readonly (readonly [title: string, parts: Parts, namespace: string, expected: unknown])[] = [
    ["the workspace's robot", {}, "web", robotOnly],
    ["nothing in another workspace", {}, "other", null],
    ["nothing without a workspace", {}, "plain", null],
    ["waits before Secrets are read", { secrets: undefined }, "web", "waiting"],
    ["waits before records are read", { records: undefined }, "web", "waiting"],
    ["waits where there is no such namespace", {}, "gone", "waiting"],
    ["nothing in an exempt namespace", { exempt: ["web"] }, "web", null],
    ["nothing in Berth's own", { namespaces: { "berth-system": "12" } }, "berth-system", null],
    [
      "waits until the namespace is one of the robot's holders",
      { namespaces: { late: "12" } },
      "late",
      "waiting",
    ],
    ["nothing while there is no robot", { records: {} }, "web", null],
    [
      "nothing while the robot is not verified",
      { records: { [robotRecord]: recordOf(robot({ stage: "made" })) } },
      "web",
      null,
    ],
    ["nothing of a record that cannot be read", { records: { [robotRecord]: "{" } }, "web", null],
    ["nothing where nothing is bound any more", { bindings: [] }, "web", null],
    ["nothing where what is bound does not exist", { bindings: ["12 managed/gone"] }, "web", null],
    ["nothing where a declared name is another's space", { declared: "team-a" }, "web", null],
    [
      "the robot where it is Berth's own",
      { declared: "team-a", ownSpaces: { "managed/team-a": 1 } },
      "web",
      robotOnly,
    ],
    ["the robot though the catalogue is not there yet", { catalogue: "none" }, "web", robotOnly],
    [
      "the newest robot that is ready",
      {
        records: {
          [robotRecord]: recordOf(
            robot({ retired: { at: 1, urgent: false, spreadAt: null } }),
            robot({ serial: 2, fullName: "robot$r-2" }),
          ),
        },
      },
      "web",
      { "managed.test": "robot$r-2" },
    ],
    [
      "what was withdrawn within the hour, and on record",
      { bindings: [], withdrawn: ["12 managed/team-a"] },
      "web",
      robotOnly,
    ],
    ["nothing new of what was withdrawn", { bindings: [], withdrawn: ["12 managed/models"] }, "web", null],
    [
      "a Docker Registry's login everywhere",
      { registries: [archive], bindings: [] },
      "plain",
      { "archive.test": "puller" },
    ],
    [
      "beside the robot",
      { registries: [managed, archive] },
      "web",
      { "archive.test": "puller", "managed.test": "robot$r-1" },
    ],
    [
      "a workspace's registry in that workspace",
      { registries: [ofTwelve], bindings: [] },
      "web",
      { "twelve.test": "twelve" },
    ],
    ["and in no other", { registries: [ofTwelve], bindings: [] }, "other", null],
    [
      "the login on record where its Secret is gone",
      {
        registries: [archive],
        bindings: [],
        secrets: new Map(),
        records: { [loginRecord]: printLoginRecord(pullLogin) },
      },
      "plain",
      { "archive.test": "puller" },
    ],
    [
      "and not where it was another server's",
      {
        registries: [{ ...archive, url: "https://moved.test" }],
        bindings: [],
        secrets: new Map(),
        records: { [loginRecord]: printLoginRecord(pullLogin) },
      },
      "plain",
      null,
    ],
    [
      "nothing of a Docker Registry without a login to hand out",
      { registries: [registry("archive", { type: "docker-registry" })], bindings: [] },
      "plain",
      null,
    ],
  ];
  for (const [title, parts, namespace, expected] of rows) {
    it(title, () => {
      expect(held(credentialsOf(parts), namespace)).to.deep.equal(expected);
    });
  }
});

describe("whether a workspace's Secret covers a Pod's needs", () => {
  const rows: readonly (readonly [
    needs: string,
    parts: Parts,
    workspace: string | null,
    expected: boolean,
  ])[] = [
    ["", {}, "12", true],
    ["managed/team-a", {}, "12", true],
    ["managed/models", {}, "12", false],
    ["managed/team-a managed/models", {}, "12", false],
    ["managed/team-a", {}, "13", false],
    ["managed/team-a", {}, null, false],
    ["archive/", { registries: [managed, archive] }, null, true],
    ["archive/ managed/team-a", { registries: [managed, archive] }, "12", true],
    ["archive/", {}, "12", false],
    ["twelve/", { registries: [ofTwelve] }, "12", true],
    ["twelve/", { registries: [ofTwelve] }, "13", false],
  ];
  for (const [text, parts, workspace, expected] of rows) {
    it(`${text || "nothing"} for workspace ${workspace}: ${expected}`, () => {
      const needs = text.split(" ").flatMap((each) => {
        const [name = "", of = ""] = each.split("/");
        return name === "" ? [] : [{ registry: name, space: of === "" ? null : of }];
      });
      expect(credentialsOf(parts).covers(workspace, needs)).to.equal(expected);
    });
  }
});

describe("the robots that are wanted", () => {
  const wantedIn = (parts: Parts): object => {
    const found = [...credentialsOf(parts).wantedRobots().values()].map(({ workspace, wanted }) => [
      workspace,
      wanted === undefined || wanted === "unknown" ? wanted : wanted.spaces.map(({ name }) => name),
    ]);
    return Object.fromEntries(found) as object;
  };
  it("are one for each workspace with bindings and namespaces", () => {
    const bindings = ["12 managed/team-a", "12 managed/models", "13 managed/models", "14 managed/models"];
    expect(wantedIn({ bindings })).to.deep.equal({ "12": ["models", "team-a"], "13": ["models"] });
  });
  it("are unknown before the catalogue is there", () => {
    expect(wantedIn({ catalogue: "none" })).to.deep.equal({ "12": "unknown" });
  });
  it("have nothing that is pinned to another space", () => {
    expect(wantedIn({ bindings: ["12 managed/team-a 99", "12 managed/models 2"] })).to.deep.equal({
      "12": ["models"],
    });
  });
  it("are none on registries that take none, nor for bindings to unknown ones", () => {
    const bindings = ["12 archive/x", "12 twelve/x", "12 gone/x"];
    expect(wantedIn({ registries: [archive, ofTwelve], bindings })).to.deep.equal({});
  });
});

describe("the logins of the policy", () => {
  it("are to be put on record where they are not, or are others", () => {
    const parts = { registries: [managed, archive] };
    expect([...credentialsOf(parts).loginsToRecord()]).to.deep.equal([[loginRecord, pullLogin]]);
    const old = printLoginRecord({ ...pullLogin, password: "old" });
    expect([
      ...credentialsOf({ ...parts, records: { [loginRecord]: old } })
        .loginsToRecord()
        .keys(),
    ]).to.deep.equal([loginRecord]);
    const current = { [loginRecord]: printLoginRecord(pullLogin) };
    expect([...credentialsOf({ ...parts, records: current }).loginsToRecord()]).to.deep.equal([]);
    expect([
      ...credentialsOf({ ...parts, records: current })
        .loginRecords()
        .values(),
    ]).to.deep.equal([pullLogin]);
  });
  it("are to be forgotten with their registry, or when it hands none out any more", () => {
    const records = { [loginRecord]: printLoginRecord(pullLogin) };
    const forgotten = (
      ...registries: Parameters<typeof policyOf>[0]["registries"] & object
    ): readonly string[] => credentialsOf({ registries, records }).loginsToForget();
    expect(forgotten(archive)).to.deep.equal([]);
    expect(forgotten()).to.deep.equal([loginRecord]);
    expect(forgotten({ ...archive, pullCredentialsSecret: null })).to.deep.equal([loginRecord]);
  });
  it("are missed where their Secret lacks them, though a record may still hold them", () => {
    const secrets: Secrets = new Map([["archive-pull", { username: "puller" }]]);
    expect(credentialsOf({ registries: [managed, archive], secrets }).missingLogins()).to.deep.equal([
      "registry archive: Secret archive-pull has no key password",
    ]);
    expect(credentialsOf({ registries: [archive], secrets: undefined }).missingLogins()).to.deep.equal([]);
    expect(credentialsOf({ registries: [archive] }).missingLogins()).to.deep.equal([]);
  });
});

describe("credentials from beat to beat", () => {
  it("are the same as long as the facts are", () => {
    let facts = factsOf({});
    const credentials = createCredentials(() => facts);
    const first = credentials();
    expect(credentials()).to.equal(first);
    facts = { ...facts };
    expect(credentials()).to.equal(first);
    facts = { ...facts, secrets: new Map(allSecrets) };
    expect(credentials()).not.to.equal(first);
  });

  it("are the same though a catalogue was read anew, without a change", () => {
    let facts = factsOf({});
    const credentials = createCredentials(() => facts);
    const first = credentials();
    const again = (server: string, others = facts.snapshot.catalogues.get("managed")?.spaces): void => {
      const catalogue = { ...catalogueOf(server, readAt + 1, []), spaces: others ?? new Map() };
      facts = { ...facts, snapshot: { ...facts.snapshot, catalogues: new Map([["managed", catalogue]]) } };
    };
    again("https://managed.test");
    expect(credentials()).to.equal(first);
    again("https://managed.test", new Map());
    expect(credentials().wantedRobots().size).to.equal(0);
    again("https://new.test");
    expect([...credentials().wantedRobots().values()].map(({ wanted }) => wanted)).to.deep.equal(["unknown"]);
    facts = { ...facts, snapshot: { ...facts.snapshot, catalogues: new Map() } };
    expect([...credentials().wantedRobots().values()].map(({ wanted }) => wanted)).to.deep.equal(["unknown"]);
  });

  const changes: readonly (readonly [title: string, parts: Parts, namespace: string, expected: unknown])[] = [
    [
      "a robot",
      { records: { [robotRecord]: recordOf(robot({ fullName: "robot$r-2" })) } },
      "web",
      { "managed.test": "robot$r-2" },
    ],
    ["a binding", { bindings: [] }, "web", null],
    ["a namespace", { namespaces: { web: "13" } }, "web", null],
    [
      "the holders of a robot",
      { records: { [robotRecord]: recordOf(robot({ holders: [] })) } },
      "web",
      "waiting",
    ],
    [
      "a login",
      { registries: [archive], secrets: new Map([["archive-pull", { username: "other", password: "x" }]]) },
      "web",
      { "archive.test": "other" },
    ],
  ];
  for (const [title, parts, namespace, expected] of changes) {
    it(`follow ${title}`, () => {
      let facts = factsOf({});
      const credentials = createCredentials(() => facts);
      expect(held(credentials(), "web")).to.deep.equal({ "managed.test": "robot$r-1" });
      facts = factsOf(parts);
      expect(held(credentials(), namespace)).to.deep.equal(expected);
    });
  }

  it("follow the record that withdrawn bindings are held to", () => {
    let facts = factsOf({ bindings: [], withdrawn: ["12 managed/team-a"], records: {} });
    const credentials = createCredentials(() => facts);
    expect(credentials().wantedRobots().size).to.equal(0);
    facts = { ...facts, records: mapOf({ [robotRecord]: recordOf(robot()) }) };
    expect(credentials().wantedRobots().size).to.equal(1);
  });
});
