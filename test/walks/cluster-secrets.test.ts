import { expect } from "chai";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { selfSigned, type IssuedCertificate } from "../../src/certificates/self-signed.ts";
import type { Fault } from "../../src/demo/stand-in-faults.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { eventually } from "../eventually.ts";
import {
  createWebhookCaller,
  podReview,
  type WebhookCaller,
  type WebhookResponse,
} from "../fakes/api-server.ts";
import { startFakeKubeApi, type FakeKubeApi, type RecordedRequest } from "../fakes/kube-api.ts";
import { startFakeRegistry, type FakeRegistry } from "../fakes/registry.ts";

const main = join(import.meta.dirname, "..", "..", "src", "main.ts");
const host = "harbor.example.test";

/** Every login of the run, by what it is; texts that nothing else holds. */
const logins = {
  administrator: { username: "admin", password: "Administrators-4711" },
  "administrator, changed": { username: "admin", password: "Administrators-4712" },
  "administrator, mistyped": { username: "admin", password: "Mistyped-0815" },
  "a workspace's own Harbor": { username: "robot$twelve", password: "Of-Workspace-Twelve" },
  "Berth's own at the archive": { username: "keeper", password: "Reads-The-Archive" },
  "the archive's, handed out": { username: "reader", password: "Pulls-The-Archive" },
  "in a policy document": { username: "somebody", password: "Typed-Into-A-Policy" },
} as const;
const bearerToken = "Bearer-Token-Of-The-Kubeconfig";

const base64 = (text: string): string => Buffer.from(text).toString("base64");

// One process as it runs in a cluster, at the level debug, through whatever makes it speak. Secrets of the API server are
// where credentials go; nothing else that leaves the process may hold one, in whatever form.
describe("the credentials of a cluster", () => {
  let folder: string;
  let issued: IssuedCertificate;
  let harbor: StandInHarbor;
  let own: StandInHarbor;
  let archive: FakeRegistry;
  let kube: FakeKubeApi;
  let berth: ChildProcess;
  let caller: WebhookCaller | undefined;
  let operations = "";
  /** All that came out of it: both streams, and every answer. */
  let told = "";

  before(async function () {
    // Berth waits for its own certificate to be trusted.
    this.timeout(60_000);
    folder = await mkdtemp(join(tmpdir(), "berth-secrets-"));
    issued = await selfSigned(["localhost", "127.0.0.1"], Date.now());
    const tls = { key: issued.key, cert: issued.certificate };
    const { administrator, "a workspace's own Harbor": twelve } = logins;
    harbor = await startStandInHarbor({
      tls,
      adminPassword: administrator.password,
      lockMs: 10,
      projects: [
        { name: "library", visibility: "public" },
        { name: "team-a", visibility: "private" },
        { name: "team-b", visibility: "private" },
      ],
    });
    own = await startStandInHarbor({
      adminPassword: twelve.password,
      lockMs: 10,
      projects: [{ name: "theirs", visibility: "private" }],
    });
    archive = await startFakeRegistry({
      access: { kind: "basic" },
      login: logins["Berth's own at the archive"],
    });
    kube = await startFakeKubeApi({ tls: { key: issued.key, cert: issued.certificate } });
    kube.switches.token = bearerToken;
    await writeFile(join(folder, "kubeconfig"), kubeconfigOf(kube.url, issued.ca));
    for (const [name, workspace] of [
      ["berth-system", null],
      ["kube-system", null],
      ["shop", "12"],
      ["lab", "13"],
    ] as const) {
      const labels = workspace === null ? {} : { "workspace.ghippo.io/id": workspace };
      kube.put("namespaces", { metadata: { name, labels } });
    }
    for (const kind of ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"]) {
      const clientConfig = { service: { namespace: "berth-system", name: "berth" } };
      kube.put(kind, { metadata: { name: "berth" }, webhooks: [{ name: "one.berth.io", clientConfig }] });
    }
    secret("harbor-login", administrator);
    secret("harbor-ca", { "ca.crt": issued.ca });
    secret("twelve-login", { ...twelve, username: "admin" });
    secret("archive-login", logins["Berth's own at the archive"]);
    secret("archive-pull", logins["the archive's, handed out"]);
    policy("registries", {
      registries: [
        {
          ...{ name: "managed", type: "harbor", url: harbor.url.replace("127.0.0.1", "localhost") },
          ...{ aliases: [host], credentialsSecret: "harbor-login", caSecret: "harbor-ca" },
        },
        { name: "twelve", type: "harbor", url: own.url, credentialsSecret: "twelve-login", workspace: "12" },
        {
          ...{ name: "archive", type: "docker-registry", url: archive.url },
          ...{ credentialsSecret: "archive-login", pullCredentialsSecret: "archive-pull" },
        },
      ],
      spaces: [{ registry: "managed", name: "declared", visibility: "private", storage: "1Gi" }],
    });
    policy("bindings", { bindings: [{ workspace: "12", registry: "managed", spaces: ["team-a"] }] });

    const settings = {
      kubeconfig: join(folder, "kubeconfig"),
      "log-level": "debug",
      "catalogue-interval": "1s",
      "webhook-port": "0",
      "operations-port": "0",
      "bind-address": "127.0.0.1",
      drain: "1s",
    };
    const words = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    berth = spawn(process.execPath, [main, "serve", ...words]);
    for (const stream of [berth.stdout, berth.stderr])
      stream?.on("data", (chunk: Buffer) => (told += chunk.toString()));
    await eventually(() => expect(told.slice(-3_000)).to.include('"msg":"Berth is ready"'), 20_000);
    const [, webhookPort, operationsPort] = /"webhookPort":(\d+),.*"operationsPort":(\d+)/.exec(told) ?? [];
    caller = createWebhookCaller({ port: Number(webhookPort), ca: bundle() });
    operations = `http://127.0.0.1:${String(operationsPort)}`;
  });
  after(async () => {
    caller?.close();
    berth.kill("SIGKILL");
    await Promise.all([harbor.close(), own.close(), archive.close(), kube.close()]);
    await rm(folder, { recursive: true });
  });

  function secret(name: string, texts: Readonly<Record<string, string>>): void {
    const data = Object.fromEntries(Object.entries(texts).map(([key, text]) => [key, base64(text)]));
    kube.put("secrets", { metadata: { name, namespace: "berth-system" }, data });
  }
  function policy(name: string, document: object | string): void {
    const metadata = { name, namespace: "berth-system", labels: { "berth.io/policy": "true" } };
    const text = typeof document === "string" ? document : stringify(document);
    kube.put("configmaps", { metadata, data: { "policy.yaml": text } });
  }
  function bundle(): string {
    const [webhook] = kube.get("validatingwebhookconfigurations", "berth")?.["webhooks"] as {
      clientConfig: { caBundle: string };
    }[];
    return Buffer.from(webhook?.clientConfig.caBundle ?? "", "base64").toString();
  }
  async function ask(path: string, review: unknown): Promise<WebhookResponse | undefined> {
    const { text, response } = await caller!.post(`${path}?timeout=5s`, review);
    // A patch comes as base64, in which nothing could be found.
    told += text.replace(/"patch":"[^"]*"/, "") + JSON.stringify(response?.patch ?? null);
    return response;
  }
  async function get(path: string): Promise<string> {
    const text = await (await fetch(`${operations}${path}`)).text();
    told += text;
    return text;
  }
  const until = (said: RegExp, within = told.length): Promise<void> =>
    eventually(() => said.test(told.slice(within)), 20_000);

  const secretOf = (name: string, namespace: string) =>
    (kube.get("secrets", name, namespace)?.["data"] ?? {}) as Readonly<Record<string, string>>;
  /** What the namespace's Secret holds, as text. */
  const held = (namespace: string): string =>
    Buffer.from(secretOf("berth-pull", namespace)[".dockerconfigjson"] ?? "", "base64").toString();
  const robotOf = (namespace: string) =>
    harbor.robots
      .list()
      .find(({ name, secret: text }) => held(namespace).includes(base64(`${name}:${text}`)));

  it("go into Secrets, and into nothing else that leaves the process, whatever happens", async () => {
    const robots = new Map<string, string>();
    const noteRobots = (): void => {
      for (const { name, secret: text } of harbor.robots.list()) robots.set(name, text);
    };

    // Robots, pull secrets, and the logins of others in them.
    await eventually(() => robotOf("shop") !== undefined, 20_000);
    noteRobots();
    const { "a workspace's own Harbor": twelve, "the archive's, handed out": reader } = logins;
    await eventually(() => held("shop").includes(base64(`admin:${twelve.password}`)), 20_000);
    expect(held("shop")).to.include(base64(`${reader.username}:${reader.password}`));
    await eventually(() => harbor.projects.list().some(({ name }) => name === "declared"), 20_000);

    // Reviews: allowed with the secret, waiting for it, refused, malformed, none at all.
    const pod = (namespace: string, ...images: string[]) => podReview(namespace, images);
    expect((await ask("/mutate", pod("shop", `${host}/team-a/api`)))?.patch).to.have.lengthOf(1);
    expect(await ask("/mutate", pod("lab", `${host}/team-a/api`))).to.include({ allowed: true });
    expect(
      await ask("/validate", pod("lab", `${host}/team-a/api`, `${host}/ghost/x`, "No Image")),
    ).to.include({ allowed: false });
    await ask("/validate", "no review");

    // Policy edits: one with a password where none belongs, asked about and then there all the same; one that binds
    // more, for which another robot is made.
    const { "in a policy document": typed } = logins;
    const broken = `registries: [{ name: x, type: harbor, url: "https://${typed.username}:${typed.password}@h.test" }]`;
    const refused = await ask("/validate", policyReview(broken));
    expect(refused?.status?.message).to.match(/expected a url without user and password/);
    policy("broken", broken);
    await until(/expected a url without user and password/);
    await eventually(() => eventNotes().some((note) => note.includes("without user and password")), 20_000);
    policy("bindings", {
      bindings: [
        { workspace: "12", registry: "managed", spaces: ["team-a", "team-b"] },
        { workspace: "13", registry: "managed", spaces: ["team-b"] },
      ],
    });
    await eventually(() => robotOf("lab") !== undefined && robots.size < harbor.robots.list().length, 20_000);
    noteRobots();

    // A Harbor that fails in every way, for listings, look-ups and robots.
    const faults: readonly Fault[] = [
      { kind: "html", status: 502 },
      { kind: "redirect", to: "https://127.0.0.1:1/" },
      { kind: "reset" },
      { kind: "cut" },
      { kind: "half" },
      { kind: "status", status: 500 },
    ];
    for (const fault of faults) {
      harbor.faults.clear();
      harbor.faults.always(fault);
      const answer = await ask("/validate", pod("lab", `${host}/asked-${fault.kind}/x`));
      expect(answer?.status?.message, fault.kind).to.match(/could not be asked just now/);
    }
    await until(/the registry cannot be read/, 0);
    await get("/readyz?verbose");
    harbor.faults.clear();

    // Its administrator's password changes, is mistyped, and comes right.
    const { "administrator, mistyped": mistyped, "administrator, changed": changed } = logins;
    harbor.logins.users.get("admin")!.password = changed.password;
    await until(/login-refused/, 0);
    let mark = told.length;
    secret("harbor-login", mistyped);
    await until(/does not accept the login|login-refused/, mark);
    await get("/readyz?verbose");
    await eventually(() => eventNotes().some((note) => note.startsWith("registry managed:")), 20_000);
    mark = told.length;
    secret("harbor-login", changed);
    await until(/the registry is being read/, mark);

    // An archive that does not know Berth any more, and a workspace's Harbor that is gone.
    archive.login = { username: "keeper", password: "other" };
    own.faults.always({ kind: "reset" });

    // An API server that fails in every way: reads, watches and writes, while there is something to write.
    for (const on of ["create", "update", "patch", "delete", "list", "watch", "get"] as const) {
      for (const status of [500, 403]) kube.switches.failures.push({ on, status });
    }
    kube.endWatches("broken");
    kube.remove("secrets", "berth-pull", "shop");
    kube.put("namespaces", { metadata: { name: "new", labels: { "workspace.ghippo.io/id": "12" } } });
    expect(await ask("/mutate", pod("new", `${host}/team-a/api`))).to.include({ allowed: true });
    await until(/a watch broke off/, 0);
    const isMet = (on: string): boolean => kube.switches.failures.every((failure) => failure.on !== on);
    await eventually(() => ["create", "update", "list", "watch"].every(isMet), 40_000);
    kube.switches.failures = [];
    // One that does not know the token any more.
    kube.switches.token = "another";
    kube.endWatches("ended");
    await until(/401/);
    kube.switches.token = bearerToken;
    await eventually(() => robotOf("new") !== undefined && robotOf("shop") !== undefined, 40_000);

    // A robot that is gone, and a Secret that somebody else made.
    kube.put("secrets", { metadata: { name: "berth-pull", namespace: "lab" }, data: {}, type: "Opaque" });
    harbor.robots.remove(robotOf("shop")!.name);
    noteRobots();

    // The end.
    for (const path of ["/livez", "/readyz", "/readyz?verbose", "/metrics", "/nothing"]) await get(path);
    const key = Buffer.from(secretOf("berth-ca", "berth-system")["ca.key"] ?? "", "base64").toString();
    berth.kill("SIGTERM");
    const [code] = (await once(berth, "close")) as [number | null];
    expect(code).to.equal(0);
    noteRobots();

    const wholeSecrets = kube.objects("secrets").flatMap(({ metadata, data }) =>
      Object.entries(data as Readonly<Record<string, string>>)
        // What is no secret, though it is kept in one.
        .filter(([each]) => each !== "ca.crt" && each !== "username")
        .map(([each, form]) => ({ what: `${each} of Secret ${metadata.name}`, form })),
    );
    expect(wholeSecrets.length).to.be.at.least(9);
    const sent = kube.requests.map(textOf);
    expect(told.length).to.be.greaterThan(20_000);
    expect(sent.length).to.be.greaterThan(50);
    const toHarbors = [...harbor.requests, ...own.requests, ...archive.requests].map(({ path }) => path);
    expect(robots.size).to.be.at.least(3);
    expect(key).to.include("PRIVATE KEY");
    const all = [
      ...Object.entries(logins).map(([what, { username, password }]) => ({ what, username, password })),
      ...[...robots].map(([name, password]) => ({ what: `robot ${name}`, username: name, password })),
      { what: "a login of the workspace's", username: "admin", password: twelve.password },
    ].flatMap(({ what, username, password }) => formsOf(username, password).map((form) => ({ what, form })));
    for (const { what, form } of [
      ...all,
      ...[bearerToken, base64(bearerToken)].map((form) => ({ what: "the bearer token", form })),
      ...keyForms(key).map((form) => ({ what: "the CA's key", form })),
      ...wholeSecrets,
    ]) {
      expect(told.includes(form), `${what} was told`).to.equal(false);
      expect(
        sent.filter((text) => text.includes(form)).length,
        `${what} was sent to the API server`,
      ).to.equal(0);
      expect(toHarbors.filter((path) => path.includes(form)).length, `${what} in an address`).to.equal(0);
    }
    // Tokens of Harbor's token service, and pull secrets as a whole, are base64 of JSON.
    expect(told).not.to.match(/eyJ[\w-]{16}/);
    expect(told).not.to.match(/Basic [\w+/=]{8}|Bearer [\w.-]{8}|set-cookie|sid=[0-9a-f]{8}/i);
  }).timeout(180_000);

  function eventNotes(): readonly string[] {
    return kube.requests
      .filter(({ path }) => path.endsWith("/events"))
      .map(({ body }) => (body as { readonly note?: string }).note ?? "");
  }
});

/** All of a request but what is meant to hold credentials: the contents of Secrets, and the login itself. */
function textOf({ method, path, query, headers, body }: RecordedRequest): string {
  const isSecret = /^\/api\/v1\/(namespaces\/[^/]+\/)?secrets(\/|$)/.test(path);
  const shown = isSecret ? { ...(body as object | undefined), data: "of a Secret" } : (body ?? null);
  return JSON.stringify([method, path, query.toString(), headers, shown]);
}

/** As it is, as it goes over the wire, and as the API server has it in a Secret. */
function formsOf(username: string, password: string): readonly string[] {
  const pair = base64(`${username}:${password}`);
  return [password, base64(password), pair, base64(pair), encodeURIComponent(password)];
}

/** A key's lines, which no message about it would hold by chance. */
function keyForms(pem: string): readonly string[] {
  const lines = pem.split("\n").filter((line) => line.length > 40 && !line.startsWith("-"));
  return ["PRIVATE KEY", ...lines.slice(0, 3), base64(pem).slice(0, 60)];
}

function policyReview(document: string): unknown {
  const metadata = { name: "p", namespace: "berth-system", labels: { "berth.io/policy": "true" } };
  return podReview("berth-system", [], {
    kind: { group: "", version: "v1", kind: "ConfigMap" },
    resource: { group: "", version: "v1", resource: "configmaps" },
    name: "p",
    object: { apiVersion: "v1", kind: "ConfigMap", metadata, data: { "p.yaml": document } },
  });
}

function kubeconfigOf(server: string, ca: string): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "here",
    clusters: [{ name: "here", cluster: { server, "certificate-authority-data": base64(ca) } }],
    users: [{ name: "berth", user: { token: bearerToken } }],
    contexts: [{ name: "here", context: { cluster: "here", user: "berth" } }],
  });
}
