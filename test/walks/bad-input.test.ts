import { expect } from "chai";
import { selfSigned } from "../../src/certificates/self-signed.ts";
import { startStandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { startFakeRegistry } from "../fakes/registry.ts";
import {
  adminPassword,
  expectNoSecrets,
  host,
  image,
  startClusterPlatform,
  type ClusterPlatform,
  type LoggedLine,
} from "./cluster-platform.ts";

const minute = 60_000;
const wrongPassword = "Mistyped-0815";

interface Closable {
  close(): Promise<void>;
}

interface Row {
  readonly title: string;
  /** Makes the platform what it should not be; what it returns is closed at the end. */
  readonly arrange: (platform: ClusterPlatform) => Closable | Promise<Closable> | undefined;
  /** What a person reads, once in the log and in `/readyz?verbose`. */
  readonly report: RegExp;
  /** It is in the log alone, or in the details alone, or in both. */
  readonly where?: "log" | "both";
  /** Whatever else works: the space that the workspace of `shop` can pull from then. */
  readonly pulls?: "team-a";
  /** Failed logins that the principal may have had after five minutes. */
  readonly failedLogins?: number;
}

/** The usual registry, but for this. */
function managed(platform: ClusterPlatform, more: object): undefined {
  const url = platform.harbor.url;
  const registry = {
    name: "managed",
    type: "harbor",
    url,
    aliases: [host],
    credentialsSecret: "harbor-login",
  };
  platform.policy("registries", { registries: [{ ...registry, ...more }] });
}

/** Beside the usual registry. */
function another(platform: ClusterPlatform, registry: object): undefined {
  platform.policy("another", { registries: [{ name: "another", ...registry }] });
}

function bind(platform: ClusterPlatform, workspace: string, ...spaces: readonly string[]): undefined {
  platform.policy("more", { bindings: [{ workspace, registry: "managed", spaces }] });
}

/** The administrator's login is this. */
function logIn(platform: ClusterPlatform, data: Readonly<Record<string, string>>): undefined {
  platform.secret("harbor-login", data);
}

const rows: readonly Row[] = [
  {
    title: "a wrong password",
    arrange: (platform) => logIn(platform, { username: "admin", password: wrongPassword }),
    report:
      /does not accept the login.*username and password are those of the Secret that credentialsSecret names/,
    failedLogins: 5 * 4,
  },
  {
    title: "a robot that may not manage robots",
    arrange(platform) {
      const access = [{ resource: "repository", action: "pull" }];
      platform.harbor.logins.robots.set("robot$reader", {
        ...{ kind: "robot", name: "robot$reader", secret: "Reader-0815", disabled: false },
        permissions: [{ kind: "project", namespace: "*", access }],
      });
      logIn(platform, { username: "robot$reader", password: "Reader-0815" });
      return undefined;
    },
    report:
      /the login is a robot that may not manage robots of http.*; it needs on the system project:list and robot:create/,
  },
  {
    title: "a user that is no administrator",
    arrange(platform) {
      platform.harbor.logins.users.set("joe", {
        ...{ kind: "user", name: "joe", id: 7, admin: false, password: "Joe-Password-1" },
      });
      logIn(platform, { username: "joe", password: "Joe-Password-1" });
      return undefined;
    },
    report:
      /joe is no administrator of http.*, and sees only its own projects; use a local administrator, or a robot/,
  },
  {
    title: "a port that nobody listens on",
    arrange: (platform) => managed(platform, { url: "https://127.0.0.1:1" }),
    report: /ECONNREFUSED.*: is it up, and is the port right in url\?/,
  },
  {
    title: "a host that no DNS knows",
    arrange: (platform) => managed(platform, { url: "https://harbor.invalid" }),
    report: /its name is not known here: is it right in url, and known to this cluster's DNS\?/,
  },
  {
    title: "a certificate of an authority that is not trusted",
    async arrange(platform) {
      const harbor = await harborOverTls();
      managed(platform, { url: harbor.url });
      return harbor;
    },
    report:
      /its certificate is of no trusted authority: name a Secret with caSecret whose ca\.crt is that of its authority/,
  },
  {
    title: "a certificate for another name",
    async arrange(platform) {
      const { certificate: cert, key, ca } = await selfSigned(["harbor.other.test"], Date.now());
      const harbor = await startStandInHarbor({ adminPassword, tls: { cert, key } });
      platform.secret("harbor-ca", { "ca.crt": ca });
      managed(platform, { url: harbor.url, caSecret: "harbor-ca" });
      return harbor;
    },
    report: /its certificate is for another name: use one of its names in url/,
  },
  {
    title: "https:// for a server that speaks http",
    arrange(platform) {
      managed(platform, { url: platform.harbor.url.replace("http:", "https:") });
      return undefined;
    },
    report: /it does not speak TLS as expected: is url to begin with http:\/\/\?/,
  },
  {
    title: "a Docker Registry that is integrated as a Harbor",
    async arrange(platform) {
      const login = { username: "admin", password: adminPassword };
      const registry = await startFakeRegistry({ access: { kind: "basic" }, login });
      managed(platform, { url: registry.url });
      return registry;
    },
    report: /is a Docker Registry and no Harbor; integrate it with type: docker-registry/,
  },
  {
    title: "a Harbor that is integrated as a Docker Registry",
    arrange(platform) {
      another(platform, {
        type: "docker-registry",
        url: platform.harbor.url.replace("127.0.0.1", "localhost"),
      });
      return undefined;
    },
    report:
      /is a Harbor: as a docker-registry all its private spaces would be open.*integrate it with type: harbor/,
    pulls: "team-a",
  },
  {
    title: "a Docker Registry with a wrong password",
    async arrange(platform) {
      const login = { username: "reader", password: "Right-0815" };
      const registry = await startFakeRegistry({ access: { kind: "basic" }, login });
      platform.secret("archive-login", { username: "reader", password: wrongPassword });
      another(platform, { type: "docker-registry", url: registry.url, credentialsSecret: "archive-login" });
      return {
        async close() {
          // One a check, and a check a minute.
          expect(registry.failedLogins).to.be.within(1, 6);
          await registry.close();
        },
      };
    },
    report: /401, it does not accept the login; username and password are those of the Secret/,
    pulls: "team-a",
  },
  {
    title: "a Harbor that is too old",
    arrange({ harbor }) {
      harbor.settings.version = "v2.3.5-6d9b5e1c";
      return undefined;
    },
    report: /is Harbor v2\.3\.5-6d9b5e1c, expected v2\.4 or later: it has to be upgraded/,
    pulls: "team-a",
  },
  {
    title: "a Secret that is not there",
    arrange: (platform) => managed(platform, { credentialsSecret: "harbor-logn" }),
    report: /Secret harbor-logn does not exist/,
  },
  {
    title: "a Secret without a password",
    arrange: (platform) => logIn(platform, { username: "admin", pasword: wrongPassword }),
    report: /Secret harbor-login has no key password/,
  },
  {
    title: "a password with a line break",
    arrange: (platform) => logIn(platform, { username: "admin", password: `${wrongPassword}\n` }),
    report: /Secret harbor-login has a line break in its key password/,
    failedLogins: 0,
  },
  {
    title: "a caSecret without ca.crt",
    arrange(platform) {
      platform.secret("harbor-ca", { "tls.crt": "none" });
      managed(platform, { caSecret: "harbor-ca" });
      return undefined;
    },
    report: /Secret harbor-ca has no key ca\.crt/,
  },
  {
    title: "a ca.crt that is no certificate",
    async arrange(platform) {
      const harbor = await harborOverTls();
      platform.secret("harbor-ca", { "ca.crt": "not a certificate" });
      managed(platform, { url: harbor.url, caSecret: "harbor-ca" });
      return harbor;
    },
    report:
      /unable to verify the first certificate: its certificate is of no trusted authority: name a Secret with caSecret/,
  },
  {
    title: "a url without TLS",
    arrange: () => undefined,
    report:
      /registries\.yaml:\d+:\d+: warning: registries\[0\]\.url: http:\/\/ sends logins and images in clear text: use https/,
    where: "log",
    pulls: "team-a",
  },
  {
    title: "a binding to a space that is not there",
    arrange: (platform) => bind(platform, "12", "tema-a"),
    report:
      /bindings name spaces that registry managed does not have: tema-a; mend the names, or make the spaces/,
    pulls: "team-a",
  },
  {
    title: "a binding to a workspace that no namespace has",
    arrange: (platform) => bind(platform, "121", "team-a"),
    report:
      /bindings name workspaces that no namespace of this cluster has: 121; mend the ids, or label namespaces/,
    pulls: "team-a",
  },
  {
    title: "a binding to the registry of a workspace",
    arrange(platform) {
      another(platform, {
        ...{ type: "harbor", url: platform.harbor.url, aliases: ["own.example.test"], workspace: "13" },
        credentialsSecret: "harbor-login",
      });
      platform.policy("more", { bindings: [{ workspace: "12", registry: "another", spaces: ["team-a"] }] });
      return undefined;
    },
    report:
      /more\.yaml:\d+:\d+: .*this binding is ignored, because registry another belongs to workspace .{0,2}13/,
    where: "log",
    pulls: "team-a",
  },
  {
    title: "a declared space that somebody else has made",
    arrange(platform) {
      const space = { registry: "managed", name: "models", visibility: "private" };
      platform.policy("spaces", { spaces: [space] });
      return undefined;
    },
    report:
      /space models of managed is declared, but Berth did not make it: .*take it over with adopt: true, or declare another name/,
    pulls: "team-a",
  },
  {
    title: "a prefix for robots' names that no login can have",
    arrange({ harbor }) {
      harbor.robots.setPrefix("robot:");
      return undefined;
    },
    report:
      /robot robot:berth-\S+ of managed cannot log in, since its name has a colon: take it out of the prefix/,
    failedLogins: 0,
  },
];

/** By the name in the certificate; nobody is told its authority. */
async function harborOverTls() {
  const { certificate: cert, key } = await selfSigned(["127.0.0.1"], Date.now());
  return startStandInHarbor({ adminPassword, tls: { cert, key } });
}

describe("one bad integration", () => {
  let platform: ClusterPlatform;
  beforeEach(async () => {
    platform = await startClusterPlatform();
  });
  afterEach(() => platform.close());

  for (const row of rows) {
    const { title, arrange, report, where = "both", pulls, failedLogins = 0 } = row;
    it(`${title}: is reported once, with what to do, and breaks nothing else`, async () => {
      const also = await arrange(platform);
      const replica = await platform.startReplica();
      await platform.time.turn(minute);
      const before = platform.harbor.requests.length;
      await platform.time.turn(4 * minute);

      const lines = replica.logged().filter((line) => report.test(JSON.stringify(line)));
      const serious = lines.filter(({ level }) => level === "warn" || level === "error");
      // By the catalogue and by the check, or for each of two workspaces.
      expect(serious.map(textOf), "lines of the log").to.have.length.within(1, 2);
      expect(new Set(serious.map(textOf)).size, "each once").to.equal(serious.length);
      const details = (await replica.details()).filter((line) => report.test(line));
      if (where === "both") expect(details).to.have.length.within(1, 2);

      expect(platform.harbor.requests.length - before, "requests in four minutes").to.be.below(4 * 32);
      const failures = [...platform.harbor.logins.failures.values()].reduce((sum, each) => sum + each, 0);
      expect(failures).to.be.at.most(failedLogins);
      if (pulls !== undefined) {
        expect(platform.pulls("shop", pulls)).to.equal(true);
        expect(await replica.reason("shop", image(pulls))).to.equal("bound-space");
      }
      expectNoSecrets(platform);
      for (const text of [wrongPassword, Buffer.from(wrongPassword).toString("base64")]) {
        expect(platform.told()).not.to.include(text);
      }
      await also?.close();
    }).timeout(60_000);
  }

  for (const prefix of ["robot+", "Röbot-", "bot ", 'a"b\\', "robot$team/", "$(HOME)-"]) {
    it(`the prefix ${prefix} for robots' names is none: they pull`, async () => {
      platform.harbor.robots.setPrefix(prefix);
      await platform.startReplica();
      await platform.time.turn(minute);
      expect(platform.pulls("shop", "team-a")).to.equal(true);
      expect([...platform.harbor.logins.failures]).to.deep.equal([]);
    });
  }
});

function textOf({ time, ...line }: LoggedLine): string {
  expect(time).to.be.a("string");
  return JSON.stringify(line);
}
