import { expect } from "chai";

import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import {
  registryLogin,
  skipWithoutRegistryTools,
  startDockerRegistry,
  type DockerRegistry,
  type DockerRegistryOptions,
} from "../fakes/docker-registry.ts";
import { createSkopeo, type Login, type Skopeo } from "../fakes/skopeo.ts";

// What a login opens, tried with a real registry and a real client: the stand-in Harbor gives out the tokens.

const admin = { username: "admin", password: "right" };

describe("a registry that takes the stand-in Harbor's tokens (docker-registry and skopeo)", function () {
  this.timeout(60_000);
  let harbor: StandInHarbor;
  let registry: DockerRegistry;
  let skopeo: Skopeo;
  let robot: Login;
  const closers: (() => Promise<void>)[] = [];

  before(async function () {
    skipWithoutRegistryTools(this);
    harbor = await startStandInHarbor({
      adminPassword: admin.password,
      lockMs: 0,
      projects: [{ name: "library", visibility: "public" }, { name: "team-a" }, { name: "team-b" }],
    });
    closers.push(() => harbor.close());
    registry = await startDockerRegistry({
      auth: {
        kind: "token",
        realm: `${harbor.url}/service/token`,
        certificatePem: await harbor.tokenCertificatePem(),
      },
    });
    closers.push(() => registry.stop());
    skopeo = await createSkopeo();
    closers.push(() => skopeo.close());
    robot = await newRobot("team-a");
    for (const space of ["library", "team-a", "team-b"]) {
      const pushed = await skopeo.push(image(space), { [registry.host]: admin });
      expect(pushed.code, pushed.stderr).to.equal(0);
    }
  });

  after(() => Promise.all(closers.map((close) => close())));

  const image = (space: string) => `${registry.host}/${space}/app:1`;

  async function callApi(method: string, path: string, body: unknown) {
    const authorization = `Basic ${Buffer.from(`${admin.username}:${admin.password}`).toString("base64")}`;
    const answer = await fetch(harbor.url + path, {
      method,
      headers: { authorization },
      body: JSON.stringify(body),
    });
    return (await answer.json()) as { id: number; name: string; secret: string };
  }

  async function newRobot(space: string): Promise<Login> {
    const access = [{ resource: "repository", action: "pull" }];
    const { name, secret } = await callApi("POST", "/api/v2.0/robots", {
      name: `puller-of-${space}`,
      level: "system",
      duration: 1,
      permissions: [{ kind: "project", namespace: space, access }],
    });
    return { username: name, password: secret };
  }

  it("lets a robot pull from the space it is for", async () => {
    const pulled = await skopeo.pull(image("team-a"), { [registry.host]: robot });
    expect(pulled.code, pulled.stderr).to.equal(0);
  });

  it("takes a login whose key names the space as well", async () => {
    const pulled = await skopeo.pull(image("team-a"), { [`${registry.host}/team-a`]: robot });
    expect(pulled.code, pulled.stderr).to.equal(0);
  });

  it("refuses the robot another space, and to push to its own", async () => {
    const logins = { [registry.host]: robot };
    expect((await skopeo.pull(image("team-b"), logins)).stderr).to.match(/denied|unauthorized/);
    expect((await skopeo.push(image("team-a"), logins)).stderr).to.match(/denied|unauthorized/);
  });

  it("refuses everybody without a login, but for public spaces", async () => {
    expect((await skopeo.pull(image("team-a"))).stderr).to.match(/denied|unauthorized/);
    expect((await skopeo.pull(image("library"))).code).to.equal(0);
  });

  it("lets a wrong login pull what is public, and nothing else", async () => {
    const logins = { [registry.host]: { ...robot, password: "wrong" } };
    expect((await skopeo.pull(image("library"), logins)).code).to.equal(0);
    expect((await skopeo.pull(image("team-a"), logins)).stderr).to.match(/denied|unauthorized/);
  });

  it("knows a renewed secret at once, and the old one no longer", async () => {
    const { id } = harbor.robots.find(robot.username)!;
    const { secret } = await callApi("PATCH", `/api/v2.0/robots/${id}`, { secret: "" });
    const old = robot;
    robot = { ...robot, password: secret };
    expect((await skopeo.pull(image("team-a"), { [registry.host]: old })).code).to.not.equal(0);
    expect((await skopeo.pull(image("team-a"), { [registry.host]: robot })).code).to.equal(0);
  });
});

describe("a Docker Registry (docker-registry and skopeo)", function () {
  this.timeout(60_000);
  let skopeo: Skopeo;
  const closers: (() => Promise<void>)[] = [];

  before(async function () {
    skipWithoutRegistryTools(this);
    skopeo = await createSkopeo();
    closers.push(() => skopeo.close());
  });
  after(() => Promise.all(closers.map((close) => close())));

  async function start(options: DockerRegistryOptions): Promise<DockerRegistry> {
    const registry = await startDockerRegistry(options);
    closers.push(() => registry.stop());
    return registry;
  }

  const catalog = ({ url }: DockerRegistry, query = "") => fetch(`${url}/v2/_catalog${query}`);

  it("behind a password serves those who have it", async () => {
    const registry = await start({ auth: { kind: "htpasswd" } });
    const logins = { [registry.host]: registryLogin };
    const pushed = await skopeo.push(`${registry.host}/app:1`, logins);
    expect(pushed.code, pushed.stderr).to.equal(0);
    expect((await skopeo.pull(`${registry.host}/app:1`, logins)).code).to.equal(0);
    expect((await skopeo.pull(`${registry.host}/app:1`)).code).to.not.equal(0);
  });

  it("that is open lists at most what it is told to", async () => {
    const registry = await start({ catalog: { maxEntries: 1 } });
    for (const name of ["app", "base"]) await skopeo.push(`${registry.host}/${name}:1`);
    const answer = await catalog(registry);
    expect(await answer.json()).to.deep.equal({ repositories: ["app"] });
    expect(answer.headers.get("link")).to.match(/rel="next"/);
    expect((await catalog(registry, "?n=2")).status).to.equal(400);
  });

  it("without a catalogue still takes and gives images", async () => {
    const registry = await start({ catalog: "off" });
    expect((await catalog(registry)).status).to.equal(404);
    expect((await skopeo.push(`${registry.host}/app:1`)).code).to.equal(0);
    expect((await skopeo.pull(`${registry.host}/app:1`)).code).to.equal(0);
  });
});
