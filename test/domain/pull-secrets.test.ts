import { expect } from "chai";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Registry } from "../../src/domain/policy.ts";
import {
  dockerConfigOf,
  isAsWanted,
  planPullSecrets,
  type PullLogin,
  type SeenPullSecret,
  type WantedPullSecret,
} from "../../src/domain/pull-secrets.ts";
import { registry } from "../builders.ts";

/** What the kubelet has under one key, after it took off what it tolerates. */
interface KubeletKey {
  readonly key: string;
  readonly auth: string;
}

/**
 * The kubelet's keyring, written down again (kubernetes/pkg/credentialprovider/keyring.go): the logins that it tries
 * for an image, in their order. The image is a name as its parser leaves it, without tag or digest.
 */
function kubeletTries(auths: Readonly<Record<string, string>>, image: string): readonly string[] {
  const keys = Object.entries(auths).map(([written, auth]): KubeletKey => ({ key: keyOf(written), auth }));
  keys.sort((a, b) => (a.key < b.key ? 1 : -1));
  const tried = keys.filter(({ key }) => matches(key, image)).map(({ auth }) => auth);
  if (tried.length > 0) return tried;
  return isOfDockerHub(image)
    ? keys.filter(({ key }) => key === "index.docker.io").map(({ auth }) => auth)
    : [];
}

function keyOf(written: string): string {
  const [, host = "", path = ""] = /^(?:https?:\/\/)?([^/]*)(.*)$/.exec(written) ?? [];
  const rest = /^\/v[12]\//.test(path) ? path.slice(3) : path;
  return rest === "/" ? host : host + rest;
}

function matches(key: string, image: string): boolean {
  const [keyHost, keyPath] = splitHost(key);
  const [host, path] = splitHost(image);
  const [keyName = "", keyPort = ""] = keyHost.split(":");
  const [name = "", port = ""] = host.split(":");
  const globs = keyName.split(".");
  const labels = name.split(".");
  return (
    keyPort === port &&
    globs.length === labels.length &&
    path.startsWith(keyPath) &&
    globs.every((glob, index) => globOf(glob).test(labels[index] ?? ""))
  );
}

function splitHost(text: string): readonly [host: string, path: string] {
  const slash = text.indexOf("/");
  return slash === -1 ? [text, ""] : [text.slice(0, slash), text.slice(slash)];
}

function globOf(glob: string): RegExp {
  return new RegExp(`^${glob.replace(/[^*\w-]/g, "\\$&").replaceAll("*", ".*")}$`);
}

function isOfDockerHub(image: string): boolean {
  const [first = "", ...rest] = image.split("/");
  if (rest.length === 0) return first !== "";
  return first === "docker.io" || first === "index.docker.io" || !/[.:]/.test(first);
}

describe("the kubelet of these tests", () => {
  const file = join(import.meta.dirname, "../fixtures/image-references.json");
  const { pullSecretKeyMatch } = JSON.parse(readFileSync(file, "utf8")) as {
    pullSecretKeyMatch: readonly {
      readonly id: string;
      readonly authsKey: string;
      readonly image: string;
      readonly match: boolean;
      readonly why: string;
    }[];
  };
  for (const { id, authsKey, image, match, why } of pullSecretKeyMatch) {
    it(`matches keys as the real one does: ${id}, ${why}`, () => {
      expect(kubeletTries({ [authsKey]: "login" }, image)).to.have.length(match ? 1 : 0);
    });
  }
  const more: readonly (readonly [key: string, image: string, match: boolean])[] = [
    ["harbor.local/team", "harbor.local/team-evil/app", true],
    ["harbor.local/team/", "harbor.local/team-evil/app", false],
    ["harbor.local", "HARBOR.local/team/app", false],
    ["harbor.local", "harborXlocal/team/app", false],
    ["https://index.docker.io/v1/", "docker.io/library/nginx", true],
    ["https://index.docker.io/v1/", "quay.io/library/nginx", false],
  ];
  for (const [key, image, match] of more) {
    it(`has ${key} ${match ? "open" : "not open"} ${image}`, () => {
      expect(kubeletTries({ [key]: "login" }, image)).to.have.length(match ? 1 : 0);
    });
  }
});

const robotOf = (of: Registry, ...spaces: string[]): PullLogin => ({
  ...{ registry: of, username: `robot$${of.name}`, password: "R0bot", spaces },
});
const loginOf = (of: Registry): PullLogin => ({
  ...{ registry: of, username: `login-${of.name}`, password: "L0gin", spaces: null },
});

/** The user names that the kubelet tries for the image, most specific key first. */
function triedFor(text: string | null, image: string): readonly string[] {
  const { auths } = JSON.parse(text ?? '{"auths":{}}') as {
    auths: Readonly<Record<string, { readonly auth: string }>>;
  };
  const decoded = Object.entries(auths).map(([key, { auth }]) => {
    const [username = ""] = Buffer.from(auth, "base64").toString("utf8").split(":");
    return [key, username];
  });
  return kubeletTries(Object.fromEntries(decoded) as Record<string, string>, image);
}

describe("the content of a pull secret", () => {
  const managed = registry("managed", { spellings: ["h.test", "10.6.232.5:30010"] });
  const archive = registry("archive", { type: "docker-registry", spellings: ["archive.test:5000"] });
  const ofTeam = registry("team-twelve", { workspace: "12", spellings: ["h.test"] });
  const spelled = registry("managed", { spellings: ["H.Test:443", "h.test:8443", "[2001:DB8::0:1]:5000"] });
  const hub = registry("hub", { type: "docker-registry", spellings: ["docker.io"] });

  interface Layout {
    readonly title: string;
    readonly logins: readonly PullLogin[];
    /** Image → who is tried for it, in order. */
    readonly tries: Readonly<Record<string, readonly string[]>>;
  }
  const layouts: readonly Layout[] = [
    {
      title: "a Harbor alone on its hosts is written by host, every alias of it",
      logins: [robotOf(managed, "team-a")],
      tries: {
        "h.test/team-a/app": ["robot$managed"],
        "10.6.232.5:30010/team-a/app": ["robot$managed"],
        "h.test/public/app": ["robot$managed"],
        "10.6.232.5/team-a/app": [],
        "h.test:8443/team-a/app": [],
        "h.test.evil.test/team-a/app": [],
        "evil.test/h.test/team-a/app": [],
      },
    },
    {
      title: "two registries have a login each",
      logins: [robotOf(managed, "team-a"), loginOf(archive)],
      tries: {
        "h.test/team-a/app": ["robot$managed"],
        "archive.test:5000/app": ["login-archive"],
        "archive.test/app": [],
      },
    },
    {
      title: "an administrators' Harbor and a workspace's on one host part by space",
      logins: [robotOf(managed, "team", "models"), loginOf(ofTeam)],
      tries: {
        "h.test/team/app": ["robot$managed", "login-team-twelve"],
        "h.test/models/deep/app": ["robot$managed", "login-team-twelve"],
        "h.test/team-evil/app": ["login-team-twelve"],
        "h.test/teams/app": ["login-team-twelve"],
        "h.test/own/app": ["login-team-twelve"],
        // Where only the administrators' Harbor is, its robot is for the whole host.
        "10.6.232.5:30010/team/app": ["robot$managed"],
        "10.6.232.5:30010/team-evil/app": ["robot$managed"],
      },
    },
    {
      title: "a robot and the policy's login of one Harbor part likewise",
      logins: [loginOf(managed), robotOf(managed, "team-a")],
      tries: {
        "h.test/team-a/app": ["robot$managed", "login-managed"],
        "h.test/other/app": ["login-managed"],
      },
    },
    {
      title: "registries that meet on a server share every spelling of it",
      logins: [robotOf(spelled, "team-a"), loginOf(ofTeam)],
      tries: {
        "H.Test:443/team-a/app": ["robot$managed", "login-team-twelve"],
        "H.Test:443/own/app": ["login-team-twelve"],
        "h.test/own/app": ["login-team-twelve"],
        "h.test:8443/own/app": ["robot$managed"],
      },
    },
    {
      title: "a spelling is a key of its own: case, port and address as written, and the usual form",
      logins: [robotOf(spelled, "team-a")],
      tries: {
        "H.Test:443/team-a/app": ["robot$managed"],
        "h.test/team-a/app": ["robot$managed"],
        "H.Test/team-a/app": [],
        "h.test:443/team-a/app": [],
        "h.test:8443/team-a/app": ["robot$managed"],
      },
    },
    {
      title: "an https:// url with port 443 opens the bare host too",
      logins: [robotOf(registry("managed", { url: "https://h.test:443", spellings: ["h.test:443"] }), "a")],
      tries: {
        "h.test/a/app": ["robot$managed"],
        "h.test:443/a/app": ["robot$managed"],
        "h.test:80/a/app": [],
      },
    },
    {
      title: "an http:// url without a port opens both names of it",
      logins: [loginOf(registry("plain", { url: "http://h.test", spellings: ["h.test:80", "h.test"] }))],
      tries: { "h.test:80/app": ["login-plain"], "h.test/app": ["login-plain"], "h.test:8080/app": [] },
    },
    {
      title: "Docker Hub has its names' keys and Docker's own",
      logins: [loginOf(hub)],
      tries: {
        "docker.io/library/nginx": ["login-hub"],
        "index.docker.io/library/nginx": ["login-hub"],
        "quay.io/library/nginx": [],
      },
    },
    {
      title: "Docker's own key never stands for a login by space",
      logins: [
        robotOf(registry("mirror", { spellings: ["docker.io"] }), "team"),
        loginOf(registry("mirror-twelve", { spellings: ["registry-1.docker.io"], workspace: "12" })),
      ],
      tries: {
        "docker.io/team/app": ["robot$mirror", "login-mirror-twelve"],
        "docker.io/team-evil/app": ["login-mirror-twelve"],
        "index.docker.io/team-evil/app": ["login-mirror-twelve"],
      },
    },
  ];
  for (const { title, logins, tries } of layouts) {
    it(title, () => {
      const text = dockerConfigOf(logins);
      for (const [image, expected] of Object.entries(tries)) {
        expect(triedFor(text, image), image).to.deep.equal(expected);
      }
      expect(dockerConfigOf([...logins].reverse()), "in another order").to.equal(text);
    });
  }

  it("is nothing where there is no login", () => {
    expect(dockerConfigOf([])).to.equal(null);
  });
  it("is what Docker writes: the keys in order, each with one base64 text", () => {
    expect(dockerConfigOf([robotOf(managed, "team-a")])).to.equal(
      '{"auths":{"10.6.232.5:30010":{"auth":"cm9ib3QkbWFuYWdlZDpSMGJvdA=="},' +
        '"h.test":{"auth":"cm9ib3QkbWFuYWdlZDpSMGJvdA=="}}}',
    );
  });
  it("writes Docker Hub as docker login does", () => {
    const { auths } = JSON.parse(dockerConfigOf([loginOf(hub)]) ?? "") as { auths: object };
    expect(Object.keys(auths)).to.deep.equal(["docker.io", "https://index.docker.io/v1/"]);
  });
  it("writes Docker's own key as it is, or not at all", () => {
    const mirror = robotOf(registry("mirror", { spellings: ["docker.io"] }), "team");
    const other = robotOf(registry("other", { spellings: ["docker.io"], workspace: "12" }), "own");
    const { auths } = JSON.parse(dockerConfigOf([mirror, other]) ?? "") as { auths: object };
    expect(Object.keys(auths)).to.deep.equal(["docker.io/own/", "docker.io/team/"]);
  });
  it("keeps colons, accents and other scripts of a password", () => {
    const login = { ...loginOf(archive), password: "a:ü密🔑" };
    const { auths } = JSON.parse(dockerConfigOf([login]) ?? "") as {
      auths: Record<string, { auth: string }>;
    };
    const auth = auths["archive.test:5000"]?.auth ?? "";
    expect(Buffer.from(auth, "base64").toString("utf8")).to.equal("login-archive:a:ü密🔑");
  });
});

const wantedSecret = { text: '{"auths":{}}', digest: "d1" };
const fine: SeenPullSecret = { owner: "berth", digest: "d1", writable: true, labelled: true };
const foreign: SeenPullSecret = { ...fine, owner: "foreign" };
const other: SeenPullSecret = { ...fine, digest: "d2" };
const immutable: SeenPullSecret = { ...fine, writable: false };
const stripped: SeenPullSecret = { ...fine, labelled: false };

const rows: readonly (readonly [
  title: string,
  wanted: WantedPullSecret,
  seen: SeenPullSecret | undefined,
  asWanted: boolean,
  change: "write" | "remove" | null,
])[] = [
  ["what it should be", wantedSecret, fine, true, null],
  ["no Secret yet", wantedSecret, undefined, false, "write"],
  ["an old content", wantedSecret, other, false, "write"],
  ["one made immutable, or of another type", wantedSecret, immutable, false, "write"],
  ["one whose label somebody stripped", wantedSecret, stripped, false, "write"],
  ["somebody else's of that name", wantedSecret, foreign, false, null],
  ["none, and none wanted", null, undefined, true, null],
  ["one that nobody needs any more", null, fine, false, "remove"],
  ["an immutable one that nobody needs any more", null, immutable, false, "remove"],
  ["somebody else's where none is wanted", null, foreign, true, null],
  ["none, while it is not certain what it will hold", "waiting", undefined, false, null],
  ["one, while it is not certain what it will hold", "waiting", fine, false, null],
  ["somebody else's, while it is not certain", "waiting", foreign, false, null],
];

describe("a namespace's Secret", () => {
  for (const [title, wanted, seen, asWanted, change] of rows) {
    it(`${title}: ${asWanted ? "as wanted" : "not as wanted"}, ${change ?? "nothing"} to be done`, () => {
      expect(isAsWanted(wanted, seen)).to.equal(asWanted);
      const plan = planPullSecrets(new Map([["web", wanted]]), new Map(seen ? [["web", seen]] : []));
      const expected = { write: [{ kind: "write", namespace: "web", text: wantedSecret.text }] };
      if (change === "write") expect(plan).to.deep.equal(expected.write);
      else expect(plan).to.deep.equal(change === null ? [] : [{ kind: change, namespace: "web" }]);
    });
  }
});

describe("the plan for many namespaces", () => {
  it("begins with those that have none, where Pods may be waiting", () => {
    const wanted = new Map<string, WantedPullSecret>([
      ["changed", wantedSecret],
      ["emptied", null],
      ["fine", wantedSecret],
      ["new", wantedSecret],
      ["unknown", "waiting"],
      ["newer", wantedSecret],
    ]);
    const seen = new Map([
      ["changed", other],
      ["emptied", fine],
      ["fine", fine],
    ]);
    expect(planPullSecrets(wanted, seen).map(({ kind, namespace }) => `${kind} ${namespace}`)).to.deep.equal([
      "write new",
      "write newer",
      "write changed",
      "remove emptied",
    ]);
  });
  it("leaves a Secret where no namespace is known to want or not want it", () => {
    expect(planPullSecrets(new Map(), new Map([["gone", fine]]))).to.deep.equal([]);
  });
});
