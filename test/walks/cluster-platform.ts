// A cluster with its Harbor, and replicas of Berth in it with their real wiring, under a clock that the test turns:
// the fake API server takes their writes, the stand-in Harbor their robots. Everything that a replica says, in its log
// and its answers, is kept, and can be searched for secrets.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { selfSigned, type IssuedCertificate } from "../../src/certificates/self-signed.ts";
import { startServing, type Serving } from "../../src/commands/serve.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import type { RobotAccount } from "../../src/demo/stand-in-robots.ts";
import { createLog } from "../../src/log.ts";
import { readSettings, type SettingName } from "../../src/settings.ts";
import { createWebhookCaller, podReview, type WebhookResponse } from "../fakes/api-server.ts";
import { startFakeKubeApi, type FakeKubeApi } from "../fakes/kube-api.ts";
import { startVirtualTime, type VirtualTime } from "../virtual-time.ts";

export interface Replica {
  readonly serving: Serving;
  /** What `/validate` says of a new Pod with this image and the pull secret. */
  validate(namespace: string, image: string): Promise<WebhookResponse>;
  /** The reason code of that. */
  reason(namespace: string, image: string): Promise<string | undefined>;
  /** `/readyz?verbose`, line by line. */
  details(): Promise<readonly string[]>;
  metric(sample: string): Promise<number | undefined>;
  /** All that was logged, at the level debug; one parsed line each. */
  logged(): readonly LoggedLine[];
  /** All that it said, anywhere. */
  told(): string;
  stop(): Promise<void>;
}

export interface LoggedLine {
  readonly level: string;
  readonly msg: string;
  readonly [fact: string]: unknown;
}

/** Host → what a pull secret holds for it. */
export type HeldLogins = Readonly<Record<string, { readonly username: string; readonly password: string }>>;

export interface ClusterPlatform {
  readonly time: VirtualTime;
  readonly kube: FakeKubeApi;
  readonly harbor: StandInHarbor;
  /** Puts a policy ConfigMap in its place. */
  policy(name: string, document: object): void;
  secret(name: string, data: Readonly<Record<string, string>>): void;
  namespace(name: string, workspace: string | null): void;
  startReplica(flags?: Partial<Record<SettingName, string>>): Promise<Replica>;
  /** Of the namespace's pull secret; undefined where there is none. */
  held(namespace: string): HeldLogins | undefined;
  /** Does the namespace's Secret open this space of the Harbor? */
  pulls(namespace: string, space: string): boolean;
  /** Namespaces whose Secret holds a login that Harbor does not take: what pulls there fails at this moment. */
  broken(): readonly string[];
  /** Those that Berth made. */
  robots(): readonly RobotAccount[];
  /** All that replicas said. */
  told(): string;
  close(): Promise<void>;
}

export interface ClusterPlatformOptions {
  /** Instead of one Harbor with two bindings. */
  readonly policies?: Readonly<Record<string, object>>;
}

/** Looked for in everything that a replica says. */
export const adminPassword = "Never-Shown-4711";
export const host = "harbor.example.test";
export const image = (space: string): string => `${host}/${space}/app:1`;

/** As Harbor's: a wrong password takes so long, and locks the principal for so long. */
const lockMs = 1_500;

let issued: Promise<IssuedCertificate> | undefined;

export async function startClusterPlatform(options: ClusterPlatformOptions = {}): Promise<ClusterPlatform> {
  issued ??= selfSigned(["localhost", "127.0.0.1"], Date.now());
  const { certificate, key, ca } = await issued;
  const folder = await mkdtemp(join(tmpdir(), "berth-walk-"));
  await writeFile(join(folder, "tls.crt"), certificate);
  await writeFile(join(folder, "tls.key"), key, { mode: 0o600 });
  const time = startVirtualTime(Date.now());
  const harbor = await startStandInHarbor({
    adminPassword,
    lockMs,
    now: () => Date.now(),
    projects: [
      { name: "library", visibility: "public" },
      { name: "platform", visibility: "public" },
      { name: "team-a", visibility: "private" },
      { name: "team-b", visibility: "private" },
      { name: "models", visibility: "private" },
      { name: "secrets", visibility: "private" },
    ],
  });
  // Its key takes a while to make, for which no clock should move.
  await harbor.tokenCertificatePem();
  const kube = await startFakeKubeApi();
  const kubeconfig = join(folder, "kubeconfig");
  await writeFile(kubeconfig, kubeconfigOf(kube.url));
  const replicas: Replica[] = [];

  function put(
    kind: "configmaps" | "secrets",
    name: string,
    labels: Record<string, string>,
    data: object,
  ): void {
    kube.put(kind, { metadata: { name, namespace: "berth-system", labels }, data });
  }
  const platform: ClusterPlatform = {
    time,
    kube,
    harbor,
    policy(name, document) {
      put("configmaps", name, { "berth.io/policy": "true" }, { [`${name}.yaml`]: stringify(document) });
    },
    secret(name, data) {
      const encoded = Object.entries(data).map(([each, text]) => [
        each,
        Buffer.from(text).toString("base64"),
      ]);
      put("secrets", name, {}, Object.fromEntries(encoded) as object);
    },
    namespace(name, workspace) {
      const labels = workspace === null ? {} : { "workspace.ghippo.io/id": workspace };
      kube.put("namespaces", { metadata: { name, labels } });
    },
    async startReplica(flags = {}) {
      const replica = await startReplica({
        ...{ kubeconfig, webhookPort: "0", peoplePort: "0", operationsPort: "0", bindAddress: "127.0.0.1" },
        ...{
          certificateMode: "files",
          certificateFile: join(folder, "tls.crt"),
          keyFile: join(folder, "tls.key"),
        },
        ...flags,
      });
      replicas.push(replica);
      return replica;
    },
    held(namespace) {
      const secret = kube.get("secrets", "berth-pull", namespace);
      if (secret === undefined) return undefined;
      const { [".dockerconfigjson"]: encoded = "" } = secret["data"] as Record<string, string>;
      const { auths } = JSON.parse(decoded(encoded)) as { auths: Record<string, { auth: string }> };
      return Object.fromEntries(
        Object.entries(auths).map(([at, { auth }]) => {
          const [username = "", password = ""] = decoded(auth).split(":");
          return [at, { username, password }];
        }),
      );
    },
    pulls(namespace, space) {
      const login = platform.held(namespace)?.[host];
      const robot = harbor.robots.find(login?.username ?? "");
      if (robot?.secret !== login?.password || robot?.disabled !== false) return false;
      return robot.permissions.some((permission) => permission.namespace === space);
    },
    broken: () =>
      ["shop", "shop-test", "lab"].filter((namespace) => {
        const login = platform.held(namespace)?.[host];
        const robot = login && harbor.robots.find(login.username);
        return login !== undefined && (robot?.secret !== login.password || robot.disabled);
      }),
    robots: () => harbor.robots.list().filter(({ name }) => name.includes("berth-")),
    told: () => replicas.map((replica) => replica.told()).join("\n"),
    async close() {
      try {
        for (const replica of replicas) await replica.stop();
      } finally {
        time.end();
      }
      await Promise.all([harbor.close(), kube.close()]);
      await rm(folder, { recursive: true });
    },
  };

  async function startReplica(flags: Partial<Record<SettingName, string>>): Promise<Replica> {
    let told = "";
    let logText = "";
    const log = createLog("debug", {
      write(line) {
        logText += line;
        told += line;
      },
    });
    const serving = await time.during(startServing(readSettings(flags, {}), log));
    const caller = createWebhookCaller({ port: serving.webhookPort, ca });
    async function get(path: string): Promise<string> {
      const answer = await fetch(`http://127.0.0.1:${String(serving.operationsPort)}${path}`);
      const text = await answer.text();
      told += text;
      return text;
    }
    async function validate(namespace: string, name: string): Promise<WebhookResponse> {
      const review = podReview(namespace, [name]);
      const object = review.request.object as { spec: Record<string, unknown> };
      object.spec["imagePullSecrets"] = [{ name: "berth-pull" }];
      const { status, text, response } = await time.during(caller.post("/validate?timeout=10s", review));
      told += text;
      if (response === undefined) throw new Error(`/validate: ${String(status)} ${text}`);
      return response;
    }
    let stopped: Promise<void> | undefined;
    return {
      serving,
      validate,
      reason: async (namespace, name) => (await validate(namespace, name)).auditAnnotations?.reasons,
      details: async () => (await get("/readyz?verbose")).trimEnd().split("\n"),
      async metric(sample) {
        const line = (await get("/metrics")).split("\n").find((each) => each.startsWith(`${sample} `));
        return line === undefined ? undefined : Number(line.slice(sample.length));
      },
      logged: () =>
        logText
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => JSON.parse(line) as LoggedLine),
      told: () => told,
      stop() {
        caller.close();
        return (stopped ??= time.during(serving.stop(0)));
      },
    };
  }

  for (const [name, workspace] of [
    ["berth-system", null],
    ["kube-system", null],
    ["shop", "12"],
    ["shop-test", "12"],
    ["lab", "13"],
    ["sandbox", null],
  ] as const) {
    platform.namespace(name, workspace);
  }
  platform.secret("harbor-login", { username: "admin", password: adminPassword });
  for (const [name, document] of Object.entries(options.policies ?? usualPolicies(harbor.url)))
    platform.policy(name, document);
  return platform;
}

/** A Harbor, and in another document who may use what. */
export function usualPolicies(url: string): Readonly<Record<string, object>> {
  return {
    registries: {
      exemptNamespaces: ["kube-system"],
      registries: [
        { name: "managed", type: "harbor", url, aliases: [host], credentialsSecret: "harbor-login" },
      ],
    },
    bindings: {
      bindings: [
        { workspace: "12", registry: "managed", spaces: ["team-a"] },
        { workspace: "13", registry: "managed", spaces: ["models"] },
      ],
    },
  };
}

function kubeconfigOf(server: string): string {
  return stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "here",
    clusters: [{ name: "here", cluster: { server, "insecure-skip-tls-verify": true } }],
    users: [{ name: "berth", user: { token: "of the walk" } }],
    contexts: [{ name: "here", context: { cluster: "here", user: "berth" } }],
  });
}

function decoded(text: string): string {
  return Buffer.from(text, "base64").toString("utf8");
}

/** Looks for every password and robot's secret in whatever any replica said. */
export function expectNoSecrets(platform: ClusterPlatform): void {
  const told = platform.told();
  const logins = [
    ...[...platform.harbor.logins.users.values()].map(({ name, password }) => [name, password] as const),
    ["admin", adminPassword] as const,
    ...platform.robots().map(({ name, secret }) => [name, secret] as const),
  ];
  for (const [name, password] of logins) {
    const forms = [
      password,
      ...[password, `${name}:${password}`].map((text) => Buffer.from(text).toString("base64")),
    ];
    for (const form of forms) {
      if (told.includes(form)) throw new Error(`the secret of ${name} was told`);
    }
  }
}
