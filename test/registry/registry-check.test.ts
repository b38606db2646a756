import { expect } from "chai";

import { selfSigned } from "../../src/certificates/self-signed.ts";
import { startStandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { checkRegistry } from "../../src/registry/registry-check.ts";
import { createRegistryClient, type Credentials } from "../../src/registry/registry-client.ts";
import { startFakeRegistry, type FakeRegistry } from "../fakes/registry.ts";

const never = new AbortController().signal;
const right = { username: "reader", password: "right" };

async function problemsOf(url: string, login?: Credentials, ca?: string): Promise<readonly string[]> {
  const client = createRegistryClient({
    url,
    ca,
    credentials: () => login,
    timeoutMs: 2_000,
    now: () => 0,
    random: () => 0,
  });
  const { problems } = await checkRegistry(client, never);
  client.close();
  return problems;
}

describe("the check of a registry", () => {
  let registry: FakeRegistry;

  beforeEach(async () => {
    registry = await startFakeRegistry({ login: right });
  });
  afterEach(() => registry.close());

  it("finds nothing wrong with an open one, with a login and without", async () => {
    expect(await problemsOf(registry.url)).to.deep.equal([]);
    expect(await problemsOf(registry.url, right)).to.deep.equal([]);
    expect(registry.requests.map(({ login }) => login)).to.deep.equal(["", ""]);
  });

  for (const kind of ["basic", "token"] as const) {
    it(`finds nothing wrong with a closed one that takes the login (${kind})`, async () => {
      registry.access = { kind };
      expect(await problemsOf(registry.url, right)).to.deep.equal([]);
      expect(registry.failedLogins).to.equal(0);
    });

    it(`tells that a login is refused, after one try (${kind})`, async () => {
      registry.access = { kind };
      const [problem, ...more] = await problemsOf(registry.url, { ...right, password: "wrong" });
      expect(problem).to.match(
        /401, it does not accept the login; username and password are those of the Secret/,
      );
      expect(more).to.deep.equal([]);
      expect(registry.failedLogins).to.equal(1);
    });
  }

  it("tells that a login is missing", async () => {
    registry.access = { kind: "basic" };
    expect((await problemsOf(registry.url)).join()).to.match(
      /asks for a login and there is none; .*credentialsSecret/,
    );
  });

  it("tells a Harbor, which would open all its spaces to everybody, and shows it no login", async () => {
    const harbor = await startStandInHarbor({ adminPassword: "right", lockMs: 0 });
    const problems = await problemsOf(harbor.url, { username: "admin", password: "right" });
    expect(problems).to.have.length(1);
    expect(problems[0]).to.match(/is a Harbor: .* integrate it with type: harbor$/);
    expect(harbor.requests.map(({ path, login }) => ({ path, login }))).to.deep.equal([
      { path: "/v2/", login: null },
    ]);
    await harbor.close();
  });

  it("tells what is no registry", async () => {
    registry.instead = () => ({ status: 404, headers: { "content-type": "text/html" }, body: "<html>" });
    expect((await problemsOf(registry.url)).join()).to.match(
      /is no registry: it answers \/v2\/ with 404; url has to be/,
    );
    registry.instead = () => ({ status: 200, headers: { "content-type": "text/html" }, body: "<html>" });
    expect((await problemsOf(registry.url)).join()).to.match(
      /200 with text\/html instead of JSON: is this a registry\?/,
    );
  });

  it("tells that the login opens nothing", async () => {
    registry.access = { kind: "token" };
    registry.instead = (path) => {
      const authorized = registry.requests.at(-1)?.login === "Bearer";
      return path === "/v2/" && authorized ? { status: 403 } : undefined;
    };
    expect((await problemsOf(registry.url, right)).join()).to.match(
      /takes the login and opens nothing to it: 403$/,
    );
  });

  it("tells that nothing listens, and what to look at", async () => {
    await registry.close();
    expect((await problemsOf(registry.url)).join()).to.match(
      /ECONNREFUSED.*: is it up, and is the port right in url\?$/,
    );
  });

  it("tells that a certificate is not trusted, and by what it would be", async () => {
    const issued = await selfSigned(["127.0.0.1"], Date.now());
    const secure = await startFakeRegistry({ tls: { key: issued.key, cert: issued.certificate } });
    expect(await problemsOf(secure.url, undefined, issued.ca)).to.deep.equal([]);
    expect((await problemsOf(secure.url)).join()).to.match(
      /certificate.*name a Secret with caSecret whose ca\.crt is that of its authority, as PEM$/,
    );
    const misnamed = secure.url.replace("127.0.0.1", "localhost");
    expect((await problemsOf(misnamed, undefined, issued.ca)).join()).to.match(
      /use one of its names in url$/,
    );
    await secure.close();
  });

  it("tells that a server does not speak TLS", async () => {
    const problems = await problemsOf(registry.url.replace("http:", "https:"));
    expect(problems.join()).to.match(/is url to begin with http:\/\/\?$/);
  });
});
