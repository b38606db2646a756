import { expect } from "chai";
import { catalogueOf, type Space } from "../../src/domain/catalogue.ts";
import { encodeCatalogue, publishedCatalogueName } from "../../src/domain/published-catalogue.ts";
import {
  encodePublishedPolicy,
  publishedPolicyName,
  type PublishedPolicy,
} from "../../src/domain/published-policy.ts";
import {
  createPublishedFeed,
  type PublishedFeed,
  type PublishedValue,
} from "../../src/feeds/published-feed.ts";
import { createState, type State } from "../../src/state.ts";
import { policyOf, registry, rules, space } from "../builders.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";

const server = "https://managed.test";
const teamA = space("team-a", "private", 1);

function published(readAt: number, spaces: readonly Space[] = [teamA], of = server): PublishedValue {
  const { facts, text } = encodeCatalogue(catalogueOf(of, readAt, spaces));
  return { facts: { server: facts.server, readAt: String(facts.readAt) }, text };
}
const catalogue = (value: PublishedValue, name = "managed"): ReadonlyMap<string, PublishedValue> =>
  new Map([[publishedCatalogueName(name), value]]);

describe("the published feed", () => {
  let state: State;
  let log: RecordingLog;
  let policies: (PublishedPolicy | null)[];
  let feed: PublishedFeed;
  let leads: boolean;

  beforeEach(() => {
    leads = false;
    state = createState(rules);
    log = createRecordingLog();
    policies = [];
    feed = createPublishedFeed({ state, log, leads: () => leads });
  });
  const take = (all: ReadonlyMap<string, PublishedValue>): void => feed(all, (each) => policies.push(each));
  const known = (name = "managed") => state.snapshot().catalogues.get(name);
  const withPolicy = (url = server): void =>
    state.replacePolicy(policyOf({ registries: [registry("managed", { url })] }));

  it("takes catalogues before the policy is read, and after", () => {
    take(catalogue(published(5)));
    expect(known()).to.deep.equal(catalogueOf(server, 5, [teamA]));
    withPolicy();
    take(catalogue(published(6, [])));
    expect(known()).to.deep.equal(catalogueOf(server, 6, []));
  });

  it("takes the newer of two readings of one server where it leads, and reads itself", () => {
    leads = true;
    withPolicy();
    state.replaceCatalogue("managed", catalogueOf(server, 7, [teamA]));
    take(catalogue(published(6, [])));
    take(catalogue(published(7, [])));
    expect(known()?.spaces.size, "what was read here").to.equal(1);
    take(catalogue(published(8, [])));
    expect(known()?.spaces.size).to.equal(0);
  });

  it("takes what is published anew, whatever the clock shows by now of those who publish", () => {
    withPolicy();
    take(catalogue(published(3_600_000)));
    take(catalogue(published(5, [])));
    expect(known()).to.deep.equal(catalogueOf(server, 5, []));
  });

  it("takes once what is published, and not again with what else is published", () => {
    withPolicy();
    const first = published(3_600_000);
    take(catalogue(first));
    leads = true;
    state.replaceCatalogue("managed", catalogueOf(server, 5, []));
    take(new Map([...catalogue(first), ...catalogue(published(6), "other")]));
    expect(known()?.readAt).to.equal(5);
  });

  it("keeps the spaces' map where only the age is another", () => {
    withPolicy();
    take(catalogue(published(5)));
    const before = known()?.spaces;
    take(catalogue(published(6)));
    expect([known()?.readAt, known()?.spaces === before]).to.deep.equal([6, true]);
  });

  it("takes nothing of a registry that the policy does not name, or that is another server there", () => {
    withPolicy("https://new.test");
    take(new Map([...catalogue(published(5)), ...catalogue(published(5, [], "https://old.test"), "old")]));
    expect([known(), known("old")]).to.deep.equal([undefined, undefined]);
  });

  it("takes what came before the policy that names it", async () => {
    state.replacePolicy(policyOf({}));
    take(catalogue(published(5)));
    expect(known()).to.equal(undefined);
    withPolicy();
    await Promise.resolve();
    expect(known()?.readAt).to.equal(5);
  });

  it("takes the new server's catalogue that came before the policy that names the server", async () => {
    withPolicy("https://old.test");
    state.replaceCatalogue("managed", catalogueOf("https://old.test", 9, [teamA]));
    take(catalogue(published(5)));
    withPolicy();
    await Promise.resolve();
    expect(known()).to.deep.equal(catalogueOf(server, 5, [teamA]));
  });

  it("brings nothing back that was withdrawn meanwhile", async () => {
    state.replacePolicy(policyOf({}));
    take(catalogue(published(5)));
    take(new Map());
    withPolicy();
    await Promise.resolve();
    expect(known()).to.equal(undefined);
  });

  it("leaves in force what is known when what is published cannot be read", () => {
    withPolicy();
    take(catalogue(published(5)));
    for (const broken of [
      { ...published(6), text: "{" },
      { ...published(6), facts: { server, readAt: "soon" } },
      { ...published(6), facts: { server } },
    ]) {
      take(catalogue(broken));
      expect(known()?.readAt).to.equal(5);
    }
    expect(log.lines.map(({ level, facts }) => [level, facts])).to.deep.equal(
      [1, 2, 3].map(() => ["error", { registry: "managed" }]),
    );
  });

  it("takes a catalogue without a server for nobody's", () => {
    withPolicy();
    take(catalogue({ ...published(6), facts: { readAt: "6" } }));
    expect(known()).to.equal(undefined);
  });

  it("passes over other names", () => {
    take(new Map([["something-else", published(5)]]));
    expect([state.snapshot().catalogues.size, log.lines]).to.deep.equal([0, []]);
  });

  describe("of the last good policy", () => {
    const policy: PublishedPolicy = {
      texts: [{ configMap: "p", key: "a.yaml", text: "mode: warn", yields: false }],
      withdrawn: [],
      pins: new Map([["managed/team-a/12", 1]]),
      ownSpaces: new Map(),
    };
    const value = (text: string): ReadonlyMap<string, PublishedValue> =>
      new Map([[publishedPolicyName, { facts: {}, text }]]);

    it("says it once, and that there is none once", () => {
      take(new Map());
      take(new Map());
      take(value(encodePublishedPolicy(policy)));
      take(value(encodePublishedPolicy(policy)));
      take(new Map());
      expect(policies).to.deep.equal([null, policy, null]);
    });
    it("says none where it cannot be read, and tells what is wrong without its words", () => {
      take(value('{"format":1,"texts":"mode: warn"}'));
      expect(policies).to.deep.equal([null]);
      expect(log.lines.map(({ facts }) => facts)).to.deep.equal([
        { problem: "expected another value at texts" },
      ]);
    });
    it("says it before the catalogues, which would pin bindings to what has their names today", () => {
      const order: string[] = [];
      state.subscribe(() => order.push("catalogue"));
      feed(new Map([...catalogue(published(5)), ...value(encodePublishedPolicy(policy))]), () =>
        order.push("policy"),
      );
      expect(order).to.deep.equal(["policy", "catalogue"]);
    });
  });
});
