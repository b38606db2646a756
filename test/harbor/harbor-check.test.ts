import { createServer, type RequestListener, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { expect } from "chai";

import type { Permission } from "../../src/demo/stand-in-callers.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { checkHarbor, type HarborCheck } from "../../src/harbor/harbor-check.ts";
import { createHarborClient, type HarborClient } from "../../src/harbor/harbor-client.ts";

const never = new AbortController().signal;

describe("the check of a Harbor", () => {
  let harbor: StandInHarbor;
  let client: HarborClient;
  const login = { username: "admin", password: "right" };

  function connect(url: string): HarborClient {
    return createHarborClient({
      url,
      credentials: () => login,
      timeoutMs: 1_000,
      now: () => 0,
      random: () => 0,
    });
  }

  beforeEach(async () => {
    Object.assign(login, { username: "admin", password: "right" });
    harbor = await startStandInHarbor({ adminPassword: "right", lockMs: 0 });
    harbor.settings.onlyAdminsCreateProjects = true;
    client = connect(harbor.url);
  });
  afterEach(async () => {
    client.close();
    await harbor.close();
  });

  const check = (integration?: "platform" | "workspace") => checkHarbor(client, never, integration);
  const paths = () => harbor.requests.map(({ path }) => path.replace("/api/v2.0", ""));

  function actAsRobot(...permissions: Permission[]): void {
    const name = "robot$berth";
    harbor.logins.robots.set(name, { kind: "robot", name, secret: "s", permissions, disabled: false });
    Object.assign(login, { username: name, password: "s" });
  }
  const mayList: Permission = {
    kind: "system",
    namespace: "/",
    access: [{ resource: "robot", action: "list" }],
  };

  function actAsUser(admin: boolean): void {
    harbor.logins.users.set("ann", { kind: "user", name: "ann", id: 7, admin, password: "x" });
    Object.assign(login, { username: "ann", password: "x" });
  }

  it("finds nothing wrong with an administrator", async () => {
    expect(await check()).to.deep.equal({
      version: harbor.settings.version,
      caller: "administrator",
      problems: [],
      advice: [],
    });
    expect(paths()).to.deep.equal(["/systeminfo", "/users/current"]);
    expect(harbor.logins.failures.size).to.equal(0);
  });

  it("finds nothing wrong with a robot that may see robots", async () => {
    actAsRobot(mayList);
    expect(await check()).to.deep.include({ caller: "robot", problems: [] });
    expect(harbor.logins.failures.size).to.equal(0);
  });

  it("names the rights that a robot lacks", async () => {
    actAsRobot({ ...mayList, access: [{ resource: "project", action: "list" }] });
    const { caller, problems } = await check();
    expect(caller).to.equal("robot");
    expect(problems).to.have.length(1);
    for (const name of [
      "robot:create",
      "robot:list",
      "robot:delete",
      "project:list",
      "repository:pull",
      "project:read",
    ]) {
      expect(problems[0]).to.include(name);
    }
  });

  it("tells that a user is no administrator", async () => {
    actAsUser(false);
    const { caller, problems } = await check();
    expect(caller).to.equal("user");
    expect(problems.join()).to.match(/^ann is no administrator of .*; use a local administrator, or a robot/);
    actAsUser(true);
    expect(await check()).to.deep.include({ caller: "administrator", problems: [] });
  });

  it("asks no rights of a login that only a workspace uses", async () => {
    actAsUser(false);
    expect(await check("workspace")).to.deep.include({ caller: "user", problems: [] });
    actAsRobot();
    expect(await check("workspace")).to.deep.include({ caller: "robot", problems: [] });
  });

  it("tells a user of OIDC by the one route that is closed to it, and rests no login for that", async () => {
    harbor.faults.always({ kind: "status", status: 401 }, /users\/current/);
    const { caller, problems } = await check();
    expect(caller).to.equal("user");
    expect(problems.join()).to.match(/an OIDC user, whose CLI secret .*; use a local administrator/);
    expect((await client.send({ what: "go on", path: "/api/v2.0/projects", signal: never })).status).to.equal(
      200,
    );
  });

  it("tells that a login is refused, after one try", async () => {
    login.password = "wrong";
    const { caller, problems } = await check();
    expect(caller).to.equal(null);
    expect(problems.join()).to.match(
      /does not accept the login.*; username and password are those of the Secret/,
    );
    expect([...harbor.logins.failures]).to.deep.equal([["admin", 1]]);
  });

  it("tells that a login is missing", async () => {
    const without = createHarborClient({
      url: harbor.url,
      credentials: () => undefined,
      timeoutMs: 1_000,
      now: () => 0,
      random: () => 0,
    });
    expect((await checkHarbor(without, never)).problems.join()).to.match(/there is no login for it/);
    expect(harbor.requests).to.deep.equal([]);
  });

  it("tells that nothing listens, and what to look at", async () => {
    await harbor.close();
    const { version, caller, problems } = await check();
    expect({ version, caller }).to.deep.equal({ version: null, caller: null });
    expect(problems.join()).to.match(/ECONNREFUSED.*: is it up, and is the port right in url\?$/);
  });

  it("tells what fails after the login was taken", async () => {
    harbor.faults.always({ kind: "status", status: 500 }, /users\/current/);
    const { version, caller, problems } = await check();
    expect({ version, caller }).to.deep.equal({ version: harbor.settings.version, caller: null });
    expect(problems.join()).to.match(/^read who the login is of .*500, after 3 tries$/);
  });

  it("ends when it is told to", async () => {
    const reason: unknown = await checkHarbor(client, AbortSignal.abort(new Error("stopped"))).catch(
      (err: unknown) => err,
    );
    expect(reason).to.have.property("message", "stopped");
  });

  const versions: [version: string, read: string | null, problem: RegExp | null][] = [
    ["v2.16.0-5c9b4a1d", "v2.16.0-5c9b4a1d", null],
    ["v2.4.0-1", "v2.4.0-1", null],
    ["v2.3.9-1", "v2.3.9-1", /is Harbor v2\.3\.9-1, expected v2\.4 or later/],
    ["v1.10.18-1", "v1.10.18-1", /expected v2\.4 or later/],
    ["v3.0.0-1", "v3.0.0-1", null],
    // As a Harbor that was built from source, or by somebody else, may call itself.
    ["-", null, null],
    ["main", null, null],
    ["", null, null],
  ];
  for (const [version, read, problem] of versions) {
    it(`reads the version ${JSON.stringify(version)}`, async () => {
      harbor.settings.version = version;
      const checked = await check();
      expect(checked.version).to.equal(read);
      if (problem === null) expect(checked.problems).to.deep.equal([]);
      else expect(checked.problems.join()).to.match(problem);
    });
  }

  it("tells that a robot makes no robots before Harbor 2.12", async () => {
    actAsRobot(mayList);
    harbor.settings.version = "v2.11.2-1";
    expect((await check()).problems.join()).to.match(
      /robots make robots only from Harbor v2\.12 on.*administrator$/,
    );
    harbor.settings.version = "-";
    expect((await check()).problems).to.deep.equal([]);
  });

  it("advises against everybody's projects", async () => {
    harbor.settings.onlyAdminsCreateProjects = false;
    const { problems, advice } = await check();
    expect(problems).to.deep.equal([]);
    expect(advice).to.have.length(1);
    expect(advice[0]).to.match(/every user and every robot of .* may make projects/);
  });

  describe("with a server that is no Harbor", () => {
    let server: Server;
    let received: string[];

    async function checkOf(listener: RequestListener): Promise<HarborCheck & { url: string }> {
      received = [];
      server = createServer((request, response) => {
        received.push(request.url ?? "");
        listener(request, response);
      });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const stranger = connect(url);
      const checked = await checkHarbor(stranger, never);
      stranger.close();
      return { ...checked, url };
    }
    afterEach(() => {
      server.closeAllConnections();
      server.close();
    });

    /** As distribution answers: with its header, 404 as plain text, and a challenge for whoever is unknown. */
    const distribution =
      (status: number): RequestListener =>
      ({ url }, response) => {
        response.setHeader("docker-distribution-api-version", "registry/2.0");
        if (url !== "/v2/") {
          response.writeHead(404, { "content-type": "text/plain" }).end("404 page not found\n");
          return;
        }
        response.setHeader("www-authenticate", 'Basic realm="registry"');
        response.writeHead(status, { "content-type": "application/json" }).end("{}");
      };

    for (const status of [200, 401]) {
      it(`tells a Docker Registry in one sentence (${status})`, async () => {
        const { url, problems } = await checkOf(distribution(status));
        expect(problems).to.deep.equal([
          `${url} is a Docker Registry and no Harbor; integrate it with type: docker-registry`,
        ]);
      });
    }

    it("takes no Harbor whose API got lost on the way for a Docker Registry", async () => {
      const { problems } = await checkOf((request, response) => {
        if (request.url?.startsWith("/service/token") !== true) return distribution(200)(request, response);
        return response.writeHead(200, { "content-type": "application/json" }).end('{"token":"x"}');
      });
      expect(problems.join()).to.match(/404 with text\/plain instead of JSON: is this a Harbor\?$/);
    });

    it("says what came from any other server", async () => {
      const { problems } = await checkOf((_, response) => {
        response.writeHead(404, { "content-type": "text/html" }).end("<html>");
      });
      expect(problems.join()).to.match(/404 with text\/html instead of JSON: is this a Harbor\?$/);
      expect(received).to.deep.equal(["/api/v2.0/systeminfo", "/v2/"]);
    });
  });
});
