import { expect } from "chai";

import { startStandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { createHarborClient } from "../../src/harbor/harbor-client.ts";
import { checkHarbor } from "../../src/harbor/harbor-check.ts";
import { checkRegistry } from "../../src/registry/registry-check.ts";
import {
  createRegistryClient,
  type Credentials,
  type RegistryClient,
} from "../../src/registry/registry-client.ts";
import { listRepositories, listTags, readManifestDigest } from "../../src/registry/registry-images.ts";
import {
  registryLogin,
  skipWithoutRegistryTools,
  startDockerRegistry,
  type DockerRegistry,
  type DockerRegistryOptions,
} from "../fakes/docker-registry.ts";
import { createSkopeo, type Skopeo } from "../fakes/skopeo.ts";

const never = new AbortController().signal;

// The same client as against the fake, with the registry that everybody runs.
describe("a real Docker Registry", () => {
  let skopeo: Skopeo | undefined;
  const stops: (() => Promise<void> | void)[] = [];

  before(async function () {
    skipWithoutRegistryTools(this);
    skopeo = await createSkopeo();
  });
  afterEach(async () => {
    for (const stop of stops.splice(0).reverse()) await stop();
  });
  after(() => skopeo?.close());

  async function start(options: DockerRegistryOptions = {}): Promise<DockerRegistry> {
    const registry = await startDockerRegistry(options);
    stops.push(() => registry.stop());
    return registry;
  }

  function connect(url: string, login?: Credentials): RegistryClient {
    const client = createRegistryClient({
      url,
      credentials: () => login,
      timeoutMs: 5_000,
      now: Date.now,
      random: () => 0,
    });
    stops.push(() => client.close());
    return client;
  }

  async function push(host: string, images: readonly string[], logins = {}): Promise<void> {
    for (const image of images) {
      const pushed = await skopeo!.push(`${host}/${image}`, logins);
      expect(pushed.code, pushed.stderr).to.equal(0);
    }
  }

  it("shows what it holds, page after page", async () => {
    const registry = await start({ catalog: { maxEntries: 2 } });
    await push(registry.host, ["a:1", "b/c:1", "b/d:1", "b/d:2", "e:1"]);
    const client = connect(registry.url);
    expect(await checkRegistry(client, never)).to.deep.equal({ problems: [] });
    expect(await listRepositories(client, { n: 10 }, never)).to.deep.equal({
      kind: "listed",
      repositories: ["a", "b/c", "b/d", "e"],
      last: null,
    });
    const part = await listRepositories(client, { n: 3 }, never);
    expect(part).to.deep.include({ repositories: ["a", "b/c", "b/d"], last: "b/d" });
    expect(await listRepositories(client, { n: 3, last: "b/d" }, never)).to.deep.include({
      repositories: ["e"],
      last: null,
    });
    expect([...((await listTags(client, "b/d", never)) ?? [])].sort()).to.deep.equal(["1", "2"]);
    expect(await listTags(client, "none", never)).to.equal(null);
    const digest = await readManifestDigest(client, "b/d", "2", never);
    expect(digest).to.match(/^sha256:[0-9a-f]{64}$/);
    expect(await readManifestDigest(client, "b/d", digest ?? "", never)).to.equal(digest);
    expect(await readManifestDigest(client, "b/d", "3", never)).to.equal(null);
  });

  it("says that it has no catalog", async () => {
    const client = connect((await start({ catalog: "off" })).url);
    expect(await listRepositories(client, { n: 10 }, never)).to.have.property("kind", "off");
  });

  it("takes a password", async () => {
    const registry = await start({ auth: { kind: "htpasswd" } });
    await push(registry.host, ["team/app:1"], { [registry.host]: registryLogin });
    const client = connect(registry.url, registryLogin);
    expect(await checkRegistry(client, never)).to.deep.equal({ problems: [] });
    expect(await listTags(client, "team/app", never)).to.deep.equal(["1"]);
    const { problems } = await checkRegistry(
      connect(registry.url, { ...registryLogin, password: "x" }),
      never,
    );
    expect(problems.join()).to.match(/it does not accept the login/);
  });

  it("that trusts a Harbor's tokens is taken for that Harbor, by the token service it names", async () => {
    const harbor = await startStandInHarbor({ adminPassword: "right", lockMs: 0 });
    stops.push(() => harbor.close());
    const certificatePem = await harbor.tokenCertificatePem();
    const registry = await start({
      auth: { kind: "token", realm: `${harbor.url}/service/token`, certificatePem },
    });
    const { problems } = await checkRegistry(connect(registry.url), never);
    expect(problems.join()).to.match(/is a Harbor: .*type: harbor$/);
  });

  it("that is integrated as a Harbor is told by its answers", async () => {
    for (const options of [{}, { auth: { kind: "htpasswd" } }] as const) {
      const { url } = await start(options);
      const client = createHarborClient({
        url,
        credentials: () => registryLogin,
        timeoutMs: 5_000,
        now: Date.now,
        random: () => 0,
      });
      stops.push(() => client.close());
      expect((await checkHarbor(client, never)).problems).to.deep.equal([
        `${url} is a Docker Registry and no Harbor; integrate it with type: docker-registry`,
      ]);
    }
  });
});
