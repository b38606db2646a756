import { expect } from "chai";
import { catalogueOf, type Catalogue } from "../../src/domain/catalogue.ts";
import type { Wanted } from "../../src/domain/robots.ts";
import {
  bindingsOfWorkspaces,
  homeOn,
  namespacesOfWorkspaces,
  takesRobots,
  wantedRobot,
  type RobotQuestion,
} from "../../src/domain/wanted-robots.ts";
import { binding, policyOf, registry, space } from "../builders.ts";

const managed = registry("managed", { caSecret: "managed-ca" });
const home = {
  registry: "managed",
  server: "https://managed.test",
  credentialsSecret: "managed-login",
  caSecret: "managed-ca",
};
const showing = (...spaces: Parameters<typeof space>[]): Catalogue =>
  catalogueOf(
    "https://managed.test",
    1,
    spaces.map((each) => space(...each)),
  );

describe("the robot that a workspace needs on a registry", () => {
  const question: RobotQuestion = {
    registry: managed,
    workspace: "12",
    catalogue: showing(["team-a", "private", 1], ["models", "public", 2], ["other", "private", 3]),
    bindings: [binding("12 managed/team-a"), binding("12 managed/models")],
    namespaces: ["jobs", "web"],
    holds: () => true,
  };
  const models = { name: "models", id: 2 };
  const teamA = { name: "team-a", id: 1 };
  const whole = { home, workspace: "12", spaces: [models, teamA], namespaces: ["jobs", "web"] };
  const rows: readonly (readonly [title: string, more: Partial<RobotQuestion>, expected: Wanted])[] = [
    ["may pull what is bound, public or not, in order", {}, whole],
    [
      "in order, however they were bound",
      { bindings: ["other", "models", "team-a"].map((name) => binding(`12 managed/${name}`)) },
      { ...whole, spaces: [models, { name: "other", id: 3 }, teamA] },
    ],
    [
      "not what has a binding that does not hold",
      { holds: ({ space: name }) => name !== "models" },
      { ...whole, spaces: [teamA] },
    ],
    ["is none where no binding holds", { holds: () => false }, undefined],
    ["is none where nothing is bound", { bindings: [] }, undefined],
    ["is none where no namespace is", { namespaces: [] }, undefined],
    [
      "not what does not exist",
      { bindings: [binding("12 managed/team-a"), binding("12 managed/gone")] },
      { ...whole, spaces: [teamA] },
    ],
    ["is none where nothing that is bound exists", { bindings: [binding("12 managed/gone")] }, undefined],
    ["is unknown before the first catalogue", { catalogue: undefined }, "unknown"],
    [
      "is unknown while the catalogue is another server's",
      { catalogue: { ...showing(), server: "https://old.test" } },
      "unknown",
    ],
    ["is none without a catalogue where nothing is bound", { catalogue: undefined, bindings: [] }, undefined],
    [
      "is none on a Docker Registry",
      { registry: registry("managed", { type: "docker-registry" }) },
      undefined,
    ],
    ["is none on a workspace's Harbor", { registry: registry("managed", { workspace: "12" }) }, undefined],
    [
      "is none where Berth has no login",
      { registry: registry("managed", { credentialsSecret: null }) },
      undefined,
    ],
  ];
  for (const [title, more, expected] of rows) {
    it(title, () => {
      expect(wantedRobot({ ...question, ...more })).to.deep.equal(expected);
    });
  }

  it("asks of each binding whether it holds for the space of today", () => {
    const asked: string[] = [];
    wantedRobot({
      ...question,
      holds(of, { name, id }) {
        asked.push(`${of.workspace} ${of.space}: ${name} ${id}`);
        return true;
      },
    });
    expect(asked).to.deep.equal(["12 team-a: team-a 1", "12 models: models 2"]);
  });
});

describe("where robots live", () => {
  it("is told by the registry's entry", () => {
    expect(homeOn(managed)).to.deep.equal(home);
    expect(takesRobots(managed)).to.equal(true);
  });
  it("is nowhere on what is not a Harbor of the platform", () => {
    const none = [
      registry("managed", { type: "docker-registry" }),
      registry("managed", { workspace: "12" }),
      registry("managed", { credentialsSecret: null }),
    ];
    expect(none.map(homeOn)).to.deep.equal([undefined, undefined, undefined]);
    expect(none.map(takesRobots)).to.deep.equal([false, false, false]);
  });
});

describe("the bindings of a policy by workspace and registry", () => {
  it("are all of them, once", () => {
    const policy = policyOf({
      bindings: ["12 managed/a", "13 managed/a", "12 managed/b", "12 other/c 5"],
    });
    const found = [...bindingsOfWorkspaces(policy)].map(([workspace, onRegistries]) => [
      workspace,
      [...onRegistries].map(([name, bindings]) => [name, bindings.map(({ space: bound }) => bound)]),
    ]);
    expect(found).to.deep.equal([
      [
        "12",
        [
          ["managed", ["a", "b"]],
          ["other", ["c"]],
        ],
      ],
      ["13", [["managed", ["a"]]]],
    ]);
  });
  it("are none of an empty policy", () => {
    expect([...bindingsOfWorkspaces(policyOf({}))]).to.deep.equal([]);
  });
});

describe("the namespaces of workspaces", () => {
  it("are those that are judged, in order, without those of no workspace", () => {
    const namespaces = new Map([
      ["web", "12"],
      ["jobs", "12"],
      ["kube-system", "12"],
      ["plain", null],
      ["other", "13"],
    ]);
    const found = namespacesOfWorkspaces(namespaces, (name) => name !== "kube-system");
    expect([...found]).to.deep.equal([
      ["12", ["jobs", "web"]],
      ["13", ["other"]],
    ]);
  });
});
