import { expect } from "chai";
import {
  harborClusterOf,
  joinRegistries,
  secretsOf,
  withoutLogins,
  type HarborCluster,
  type HarborClusters,
} from "../../src/domain/joined-registries.ts";
import { parsePolicy, type ParsedPolicies } from "../../src/domain/policies.ts";
import { formatProblem } from "../../src/domain/policy-problem.ts";
import { accessOf } from "../../src/domain/registry-access.ts";
import { retainedPolicy, withdraw } from "../../src/domain/withdrawal.ts";

/** `registry/main https://harbor.test`: namespace and name, url. */
function cluster(text: string, more: Partial<HarborCluster> = {}): HarborCluster {
  const [place = "", url = ""] = text.split(" ");
  const [namespace = "", name = ""] = place.split("/");
  return { namespace, name, url, secret: `${name}-admin`, hasCa: false, ...more };
}

const found = (...texts: readonly string[]): HarborClusters => ({
  clusters: texts.map((text) => cluster(text)),
  problems: [],
});

const configMaps = (...registries: readonly string[]) =>
  registries.map((text, index) => ({
    name: `policy-${index}`,
    data: { "policy.yaml": `registries:\n  - ${text}\n` },
  }));
const harborAt = (name: string, url: string, more = "") =>
  `{ name: ${name}, type: harbor, url: "${url}", credentialsSecret: login${more} }`;
const hub = harborAt("managed", "https://harbor.test");

const names = ({ policy }: ParsedPolicies) => [...policy.registries.keys()];
const ownersOf = ({ policy }: ParsedPolicies, host: string) =>
  policy.registriesByHost.get(host)?.map(({ name }) => name);
const said = ({ policy }: ParsedPolicies) => policy.problems.map(formatProblem);

describe("registries that join by themselves", () => {
  it("are Harbors of the platform, under the namespace and the name of their HarborCluster", () => {
    const { policy } = parsePolicy(undefined, [], found("registry/main https://Harbor.test:443/"));
    expect(policy.registries.get("registry-main")).to.deep.equal({
      ...{ name: "registry-main", type: "harbor", url: "https://harbor.test", workspace: null },
      ...{ hosts: ["harbor.test"], spellings: ["Harbor.test:443"], treatsProxyCachesAsPrivate: false },
      ...{ credentialsSecret: "registry/main-admin", pullCredentialsSecret: null, caSecret: null },
    });
    expect(policy.registriesByHost.get("harbor.test")).to.deep.equal([
      policy.registries.get("registry-main"),
    ]);
    expect(policy.problems).to.deep.equal([]);
    expect(policy.documents).to.equal(0);
  });

  it("can be named by bindings and spaces of the policy", () => {
    const text =
      'spaces: [{ registry: registry-main, name: b, visibility: private }]\nbindings: [{ workspace: "12", registry: registry-main, spaces: [a] }]';
    const maps = [{ name: "p", data: { "p.yaml": text } }];
    const { policy } = parsePolicy(undefined, maps, found("registry/main https://harbor.test"));
    expect([...policy.bindings.keys()]).to.deep.equal(["registry-main/a"]);
    expect([...policy.spaces.keys()]).to.deep.equal(["registry-main/b"]);
    expect(policy.problems).to.deep.equal([]);
    expect(parsePolicy(undefined, maps).policy.problems, "and dangle without it").to.have.length(2);
  });

  describe("never take anything from the policy, whichever came first", () => {
    const rows: readonly [what: string, document: string, url: string, report: RegExp | null][] = [
      ["the very Harbor that the policy names, which is no contradiction", hub, "https://harbor.test", null],
      ["the same Harbor, spelled otherwise", hub, "https://HARBOR.test:443", null],
      [
        "a host that an alias claims",
        harborAt("managed", "https://a.test", ", aliases: [harbor.test]"),
        "https://harbor.test",
        /warning: it does not join: the policy claims its host harbor\.test, and stays in force$/,
      ],
      [
        "the host of a Docker Registry",
        '{ name: d, type: docker-registry, url: "https://harbor.test" }',
        "https://harbor.test",
        /policy claims its host/,
      ],
      [
        "the host of a workspace's Harbor",
        harborAt("twelve", "https://harbor.test", ', workspace: "12"'),
        "https://harbor.test",
        /policy claims its host/,
      ],
      ["one of its two hosts", hub, "http://harbor.test", /policy claims its host harbor\.test/],
      [
        "a name",
        harborAt("registry-main", "https://other.test"),
        "https://harbor.test",
        /warning: it does not join: the policy has a registry called registry-main/,
      ],
      [
        "the name of one that is left without any host",
        `${hub}\n  - ${harborAt("registry-main", "https://harbor.test")}`,
        "https://free.test",
        /the policy has a registry called registry-main/,
      ],
    ];
    for (const [what, document, url, report] of rows) {
      it(what, () => {
        const maps = configMaps(document);
        const clusters = found(`registry/main ${url}`);
        const alone = parsePolicy(undefined, maps);
        const policyFirst = parsePolicy(alone, maps, clusters);
        const joinedFirst = parsePolicy(parsePolicy(undefined, [], clusters), maps, clusters);
        for (const parsed of [policyFirst, joinedFirst, parsePolicy(undefined, maps, clusters)]) {
          expect(parsed.policy.registries).to.deep.equal(alone.policy.registries);
          expect(parsed.policy.registriesByHost).to.deep.equal(alone.policy.registriesByHost);
          const more = said(parsed).filter((line) => line.startsWith("HarborCluster"));
          expect(more).to.have.length(report === null ? 0 : 1);
          if (report !== null) expect(more[0]).to.match(report);
        }
      });
    }

    it("so that a claim that comes later displaces one at once, and one that goes lets it join again", () => {
      const clusters = found("registry/main https://harbor.test");
      const joined = parsePolicy(undefined, [], clusters);
      expect(ownersOf(joined, "harbor.test")).to.deep.equal(["registry-main"]);
      const claimed = parsePolicy(joined, configMaps(hub), clusters);
      expect(names(claimed)).to.deep.equal(["managed"]);
      expect(ownersOf(claimed, "harbor.test")).to.deep.equal(["managed"]);
      const free = parsePolicy(claimed, [], clusters);
      expect(ownersOf(free, "harbor.test")).to.deep.equal(["registry-main"]);
    });

    it("nor from a document that broke, whose last good content stays in force", () => {
      const good = parsePolicy(undefined, configMaps(hub));
      const broken = [{ name: "policy-0", data: { "policy.yaml": "registries: nonsense" } }];
      const parsed = parsePolicy(good, broken, found("registry/main https://harbor.test"));
      expect(ownersOf(parsed, "harbor.test")).to.deep.equal(["managed"]);
    });

    it("and are no claim that a document has to yield to", () => {
      const clusters = found("registry/main https://harbor.test");
      const joined = parsePolicy(undefined, [], clusters);
      const { lastGoodTexts } = parsePolicy(joined, configMaps(hub), clusters);
      expect(lastGoodTexts.map(({ yields }) => yields)).to.deep.equal([false]);
    });
  });

  it("go with their HarborCluster", () => {
    const before = parsePolicy(undefined, [], found("registry/main https://harbor.test"));
    const after = parsePolicy(before, [], found());
    expect(names(after)).to.deep.equal([]);
    expect(ownersOf(after, "harbor.test")).to.equal(undefined);
  });

  it("make no new policy where nothing of them changed", () => {
    const before = parsePolicy(undefined, configMaps(hub), found("registry/main https://b.test"));
    const again = parsePolicy(before, configMaps(hub), found("registry/main https://b.test"));
    expect(again).to.equal(before);
  });

  describe("do not join", () => {
    const rows: readonly [what: string, clusters: string[], joined: string[], reports: RegExp[]][] = [
      [
        "neither of two with one host, whose order would be a tenant's to choose",
        ["a/one https://harbor.test", "b/two https://harbor.test:443", "b/three https://free.test"],
        ["b-three"],
        [/^HarborCluster a\/one: error: .*HarborCluster b\/two/, /^HarborCluster b\/two: error: .*a\/one/],
      ],
      [
        "neither of two whose registries would have one name",
        ["a/b-c https://one.test", "a-b/c https://two.test"],
        [],
        [/HarborCluster a-b\/c claims the same host or name/, /HarborCluster a\/b-c claims/],
      ],
      [
        "with a name that no policy can write",
        ["registry/main.eu https://harbor.test", `registry/${"x".repeat(60)} https://long.test`],
        [],
        [/"registry-main\.eu"/, /at most 63/],
      ],
      [
        "with an external URL that a policy cannot have either",
        ["a/path https://harbor.test/sub", "a/none", "a/login https://me:secret@harbor.test"],
        [],
        [/externalURL: .*"\/sub"/, /externalURL: .*found ""/, /externalURL: .*without user and password/],
      ],
      ["as Docker Hub", ["a/hub https://registry-1.docker.io"], [], [/Docker Hub is no Harbor/]],
    ];
    for (const [what, texts, joined, reports] of rows) {
      it(what, () => {
        const parsed = parsePolicy(undefined, [], found(...texts));
        expect(names(parsed)).to.deep.equal(joined);
        expect(said(parsed)).to.have.length(reports.length);
        for (const [index, report] of reports.entries()) expect(said(parsed)[index]).to.match(report);
        expect(said(parsed).join()).not.to.include("secret");
      });
    }
  });

  it("report clear text, and what could not be read of them", () => {
    const clusters = { ...found("registry/main http://harbor.test"), problems: ["403 for all"] };
    const parsed = parsePolicy(undefined, [], clusters);
    expect(names(parsed)).to.deep.equal(["registry-main"]);
    expect(said(parsed)).to.deep.equal([
      "HarborClusters: error: 403 for all",
      "HarborCluster registry/main: warning: its externalURL is http://, which sends logins and images in clear text",
    ]);
  });

  it("are not displaced, where credentials are planned, by what a withdrawn document claimed", () => {
    const clusters = found("registry/main https://harbor.test");
    const maps = configMaps(hub);
    const before = parsePolicy(undefined, maps, clusters);
    const after = parsePolicy(before, [], clusters);
    const withdrawn = withdraw(before.lastGoodTexts, [], [], 1_000);
    const retained = retainedPolicy(after, withdrawn);
    expect(withdrawn).to.have.length(1);
    expect([...retained.registries.keys()]).to.deep.equal(["registry-main"]);
    expect(retained.registriesByHost.get("harbor.test")?.map(({ name }) => name)).to.deep.equal([
      "registry-main",
    ]);
  });

  it("are read with the administrator's login under a key that no Secret can have", () => {
    const clusters = [
      { ...cluster("registry/main https://a.test"), login: { password: "pw", ca: "PEM" } },
      { ...cluster("registry/bare https://b.test"), login: { password: "pw2", ca: null } },
      { ...cluster("registry/none https://c.test"), login: null },
    ];
    const { registries } = joinRegistries(withoutLogins({ clusters, problems: [] }), {
      names: new Map(),
      registriesByHost: new Map(),
    });
    const secrets = secretsOf(clusters);
    for (const key of secrets.keys()) expect(key).to.include("/");
    expect(registries.map((registry) => accessOf(registry, secrets))).to.deep.equal([
      { kind: "access", access: { username: "admin", password: "pw", ca: "PEM" } },
      { kind: "access", access: { username: "admin", password: "pw2", ca: null } },
      { kind: "missing", what: "Secret registry/none-admin does not exist" },
    ]);
  });

  it("are told from those of the policy", () => {
    const { policy } = parsePolicy(undefined, configMaps(hub), found("reg-istry/main https://b.test"));
    const origins = [...policy.registries.values()].map(harborClusterOf);
    expect(origins).to.deep.equal([null, { namespace: "reg-istry", name: "main" }]);
  });
});
