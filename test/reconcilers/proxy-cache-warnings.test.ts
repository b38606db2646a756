import { expect } from "chai";
import { catalogueOf, type Space } from "../../src/domain/catalogue.ts";
import { startProxyCacheWarnings } from "../../src/reconcilers/proxy-cache-warnings.ts";
import { createState, type State } from "../../src/state.ts";
import { policyOf, registry, rules, space } from "../builders.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";

describe("warnings of public proxy caches", () => {
  let state: State;
  let log: RecordingLog;
  let end: () => void;

  const list = (...spaces: readonly Space[]) =>
    state.replaceCatalogue("managed", catalogueOf("https://managed.test", 1, spaces));
  const hub = space("hub", "public", 1, true);
  const quay = space("quay", "public", 2, true);
  const told = () => log.lines.map(({ level, facts }) => [level, facts["spaces"]]);

  beforeEach(() => {
    state = createState(rules);
    state.replacePolicy(policyOf({ registries: [registry("managed")] }));
    log = createRecordingLog();
    end = startProxyCacheWarnings({ state, log });
  });
  afterEach(() => end());

  it("come once for as long as such a space stays, with what closes it", () => {
    list(hub, space("library", "public"), space("private-mirror", "private", 3, true));
    list(hub);
    expect(told()).to.deep.equal([["warn", ["managed/hub"]]]);
    expect(log.lines[0]?.text).to.include("proxyCaches: private");
    list(hub, quay);
    expect(told()[1]).to.deep.equal(["warn", ["managed/quay"]]);
  });

  it("come again for one that was closed meanwhile", () => {
    list(hub);
    list(space("hub", "private", 1, true));
    list(hub);
    expect(told()).to.have.length(2);
  });

  it("come for what is there at the start", () => {
    list(hub);
    const another = createRecordingLog();
    startProxyCacheWarnings({ state, log: another })();
    expect(another.lines).to.have.length(1);
  });

  it("do not come where the policy has them count as private", () => {
    state.replacePolicy(
      policyOf({ registries: [registry("managed", { treatsProxyCachesAsPrivate: true })] }),
    );
    list(hub);
    expect(told()).to.deep.equal([]);
    state.replacePolicy(policyOf({ registries: [registry("managed")] }));
    expect(told()).to.have.length(1);
  });

  it("name twenty at most, and count them all", () => {
    list(...Array.from({ length: 30 }, (_, index) => space(`mirror-${index}`, "public", index + 1, true)));
    expect(log.lines[0]?.facts["spaces"]).to.have.length(20);
    expect(log.lines[0]?.facts["count"]).to.equal(30);
  });
});
