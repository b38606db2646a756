import { expect } from "chai";

import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { createHarborClients } from "../../src/harbor/harbor-clients.ts";
import { registry } from "../builders.ts";

const never = new AbortController().signal;

describe("the Harbor clients", () => {
  let harbor: StandInHarbor;
  let secrets: Map<string, Record<string, string>>;

  const managed = () => ({
    ...registry("managed", { credentialsSecret: "own", pullCredentialsSecret: "pull" }),
    url: harbor.url,
  });
  const clientsOf = (observe?: (registry: string, outcome: string) => void) =>
    createHarborClients({
      secrets: () => secrets,
      timeoutMs: 1_000,
      now: () => 0,
      random: () => 0,
      ...(observe ? { observe } : {}),
    });

  beforeEach(async () => {
    harbor = await startStandInHarbor({ adminPassword: "right", lockMs: 0 });
    const robot = {
      kind: "robot",
      name: "robot$pull",
      secret: "s",
      permissions: [],
      disabled: false,
    } as const;
    harbor.logins.robots.set(robot.name, { ...robot });
    secrets = new Map([
      ["own", { username: "admin", password: "right" }],
      ["pull", { username: "robot$pull", password: "s" }],
      ["ca", { "ca.crt": "one" }],
    ]);
  });
  afterEach(() => harbor.close());

  it("are one for each registry and login", () => {
    const clients = clientsOf();
    const client = clients.clientOf(managed());
    expect(clients.clientOf(managed())).to.equal(client);
    expect(clients.pullClientOf(managed())).to.not.equal(client);
    expect(clients.clientOf({ ...managed(), name: "other" })).to.not.equal(client);
    expect(clients.clientOf({ ...managed(), url: "http://other.test" })).to.not.equal(client);
    clients.close();
  });

  it("ask with the login that each is for, and say of which registry", async () => {
    const observed: string[] = [];
    const clients = clientsOf((name, outcome) => observed.push(`${name} ${outcome}`));
    await clients.clientOf(managed()).proveIdentity(never);
    await clients.pullClientOf(managed()).proveIdentity(never);
    await clients.pullClientOf({ ...managed(), pullCredentialsSecret: null }).proveIdentity(never);
    expect(harbor.requests.map(({ login }) => login)).to.deep.equal(["admin", "robot$pull", "admin"]);
    expect(observed).to.deep.equal(["managed ok", "managed ok", "managed ok"]);
    clients.close();
  });

  it("use a changed password without being made anew", async () => {
    const clients = clientsOf();
    const client = clients.clientOf(managed());
    harbor.logins.users.get("admin")!.password = "changed";
    secrets.set("own", { username: "admin", password: "changed" });
    expect(clients.clientOf(managed())).to.equal(client);
    await client.proveIdentity(never);
    clients.close();
  });

  it("are made anew when their authority changes", () => {
    const clients = clientsOf();
    const secure = { ...managed(), caSecret: "ca" };
    const client = clients.clientOf(secure);
    expect(clients.clientOf(secure)).to.equal(client);
    secrets.set("ca", { "ca.crt": "two" });
    expect(clients.clientOf(secure)).to.not.equal(client);
    clients.close();
  });

  it("ask nothing while the Secret is missing", async () => {
    const clients = clientsOf();
    const client = clients.clientOf(managed());
    secrets.delete("own");
    const err: unknown = await client.proveIdentity(never).catch((reason: unknown) => reason);
    expect(err).to.have.property("kind", "login-refused");
    expect(harbor.requests).to.deep.equal([]);
    clients.close();
  });
});
