import { expect } from "chai";
import { createMetrics } from "../../src/metrics.ts";
import { startLeadership, type Leadership } from "../../src/commands/leader.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { catalogueOf } from "../../src/domain/catalogue.ts";
import type { Secrets } from "../../src/domain/registry-access.ts";
import { createHarborClients } from "../../src/harbor/harbor-clients.ts";
import { listSpaces } from "../../src/harbor/projects.ts";
import { createCredentials } from "../../src/reconcilers/credentials.ts";
import type { RobotRecords } from "../../src/reconcilers/robot-reconciler.ts";
import { readSettings } from "../../src/settings.ts";
import { createCell, createState } from "../../src/state.ts";
import { policyOf, registry, rules, space } from "../builders.ts";
import { eventually } from "../eventually.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";

const login = { username: "admin", password: "right" };

/** Records of an API server that nobody else writes to. */
function createRecords(): RobotRecords {
  let all: ReadonlyMap<string, string> = new Map();
  return {
    isRead: () => true,
    current: () => all,
    reread: () => Promise.resolve(all),
    write(name, text) {
      all = new Map(all).set(name, text);
      return Promise.resolve("written");
    },
    remove(name) {
      all = new Map([...all].filter(([other]) => other !== name));
      return Promise.resolve("written");
    },
  };
}

describe("the leader", () => {
  let harbor: StandInHarbor;
  let leadership: Leadership | undefined;
  beforeEach(async () => {
    harbor = await startStandInHarbor({ adminPassword: login.password, projects: [{ name: "team-a" }] });
  });
  afterEach(async () => {
    await leadership?.stop();
    await harbor.close();
  });

  it("asks no Harbor before the Secrets are read, so that none is taken for one without a login", async () => {
    const state = createState(rules);
    const secrets = createCell<Secrets | undefined>(undefined);
    const log = createRecordingLog();
    const metrics = createMetrics("0", { processMetrics: false });
    const records = createRecords();
    const managed = registry("managed", { url: harbor.url });
    state.replacePolicy(policyOf({ registries: [managed], bindings: ["12 managed/team-a"] }));
    state.replaceNamespaces(new Map([["web", "12"]]));
    const spaces = [space("team-a", "private", harbor.projects.find("team-a")?.id)];
    state.replaceCatalogue("managed", catalogueOf(harbor.url, Date.now(), spaces));
    state.replaceOwnSpaces(new Map());
    const clients = createHarborClients({
      secrets: () => secrets.current() ?? new Map(),
      timeoutMs: 5_000,
      now: Date.now,
      random: Math.random,
    });
    const credentials = createCredentials(() => ({
      snapshot: state.snapshot(),
      retained: state.snapshot().policy,
      secrets: secrets.current(),
      records: records.current(),
    }));
    leadership = startLeadership({
      ...{ state, secrets, clients, records, credentials, log, metrics },
      settings: readSettings({}, {}),
      listSpaces: (of, signal) => listSpaces({ client: clients.clientOf(of), now: Date.now }, signal),
      checkRegistry: () => Promise.resolve({ up: true, version: null, problems: [], advice: [] }),
      policy: () => undefined,
      prunePolicy: () => undefined,
      pullSecrets: {
        isRead: () => true,
        current: () => new Map(),
        write: () => Promise.resolve({ kind: "written" }),
        remove: () => Promise.resolve({ kind: "written" }),
      },
      store: { publish: () => Promise.resolve(), withdraw: () => Promise.resolve() },
      published: () => new Map(),
      readClusterUid: () => Promise.resolve("uid"),
      events: { emit: () => undefined },
      onChange: (listener) => secrets.subscribe(listener),
      harborTimeoutMs: 5_000,
    });
    // Longer than the first round of all loops takes.
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(harbor.requests).to.deep.equal([]);
    secrets.replace(new Map([["managed-login", login]]));
    await eventually(() => harbor.robots.list().length === 1);
    const failed = log.lines.filter(({ text }) => text.includes("something failed"));
    expect(failed).to.deep.equal([]);
  });
});
