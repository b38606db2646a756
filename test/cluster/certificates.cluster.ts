// The certificate that Berth keeps itself, before a real API server: it starts with empty `caBundle`s and is called, heals
// what somebody breaks, and changes its CA while calls come in. One control plane for all tests, which run in order; the
// second half has two replicas behind one address.

import { X509Certificate } from "node:crypto";
import { connect, createServer, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { expect } from "chai";
import { newCa, readBundle } from "../../src/certificates/authority.ts";
import { berthNamespace, mustCreate, prepareBerth, type Berth } from "./berth.ts";
import { freePort, startControlPlane, type ControlPlane } from "./control-plane.ts";
import { createNamespace, waitFor } from "./kube.ts";
import { webhookNames } from "./webhooks.ts";
import { pod } from "./workloads.ts";

const kinds = ["MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"] as const;
const at = { name: "berth" };
const secretAt = { namespace: berthNamespace, name: "berth-ca" };
/** Three CAs at least, whenever it begins. */
const rotationMs = 100_000;
const open = "archive.example.test/app:1";
const unlisted = "elsewhere.example.test/app:1";

describe("the certificate that Berth keeps, before a real API server", () => {
  let plane: ControlPlane;
  let front: Front;
  let berth: Berth;
  const undo: (() => Promise<unknown>)[] = [];

  before(async () => {
    plane = await startControlPlane();
    undo.push(() => plane.stop());
    await createNamespace(plane.admin, berthNamespace);
    await createNamespace(plane.admin, "shop");
    await mustCreate(plane.admin, {
      kind: "ConfigMap",
      metadata: { name: "policy", namespace: berthNamespace, ...{ labels: { "berth.io/policy": "true" } } },
      ...{ data: { "policy.yaml": JSON.stringify(policy) } },
    });
    front = await startFront();
    undo.push(() => front.close());
    berth = await prepareBerth({
      plane,
      keepsCertificate: true,
      frontPort: front.port,
      flags: ["--drain", "1s", ...["--ca-lifetime", "1m", "--leaf-lifetime", "20s"]],
    });
  });
  after(async () => {
    while (undo.length > 0) await undo.pop()?.();
  });

  const tryPod = (image: string) =>
    plane.admin.create(pod({ namespace: "shop", name: "tried" }, image), { query: { dryRun: "All" } });
  async function secretTexts(): Promise<{ ca: string; key: string }> {
    const { body } = await plane.admin.get("Secret", secretAt);
    const text = (key: string) => Buffer.from(body.data?.[key] ?? "", "base64").toString();
    return { ca: text("ca.crt"), key: text("ca.key") };
  }
  async function bundles(): Promise<readonly string[]> {
    const read = await Promise.all(kinds.map((kind) => plane.admin.get(kind, at)));
    return read.flatMap(({ body }) =>
      (body.webhooks ?? []).map(({ clientConfig: { caBundle = "" } }) =>
        Buffer.from(caBundle, "base64").toString(),
      ),
    );
  }
  const idsOf = (pem: string) => readBundle(pem).certificates.map(({ id }) => id);
  /** Resolves to the milliseconds until every bundle begins with the newest CA of the Secret, which is another one. */
  async function untilFollowed(before: string, what: string): Promise<number> {
    const since = Date.now();
    await waitFor(
      what,
      async () => {
        const [newest] = idsOf((await secretTexts()).ca);
        if (newest === undefined || newest === before) return false;
        return (await bundles()).every((bundle) => idsOf(bundle).includes(newest));
      },
      20_000,
    );
    return Date.now() - since;
  }

  it("is not there before Berth is, and so nothing passes", async () => {
    expect(await bundles()).to.deep.equal(["", ""]);
    const { status, message } = await tryPod(open);
    expect([status, message]).to.satisfy(
      ([code, text]: [number, string]) =>
        code === 500 && text.includes(`failed calling webhook "${webhookNames.mutate}"`),
    );
  });

  it("is made, published and trusted when Berth is ready: allowed images pass, others are refused", async () => {
    await berth.start();
    undo.push(() => berth.stop());
    front.behind = [berth.webhook.port];
    expect((await tryPod(open)).status).to.equal(201);
    const refused = await tryPod(unlisted);
    expect(refused.status).to.equal(403);
    expect(refused.message).to.include(webhookNames.validate);
    const { ca, key } = await secretTexts();
    const [newest = ""] = ca.split(/(?<=-----END CERTIFICATE-----\n)/);
    expect(new X509Certificate(newest).ca).to.equal(true);
    expect(key).to.include("PRIVATE KEY");
    for (const bundle of await bundles()) expect(idsOf(bundle)).to.include.members(idsOf(newest));
  });

  const spoiled: readonly [what: string, spoil: () => Promise<unknown>][] = [
    ["the Secret is deleted", () => plane.admin.delete("Secret", secretAt)],
    [
      "the Secret has lost its key",
      () => plane.admin.mergePatch("Secret", secretAt, { data: { "ca.key": null } }),
    ],
    [
      "the Secret holds rubbish",
      () => plane.admin.mergePatch("Secret", secretAt, { data: { "ca.crt": "cnViYmlzaA==" } }),
    ],
    [
      "the Secret is made immutable and empty",
      () => plane.admin.mergePatch("Secret", secretAt, { data: null, immutable: true }),
    ],
  ];
  for (const [what, spoil] of spoiled) {
    it(`is made anew when ${what}, and no call fails for it`, async () => {
      const [before = ""] = idsOf((await secretTexts()).ca);
      const calls = keepCalling(tryPod);
      await calls.goOnFor(10);
      await spoil();
      const ms = await untilFollowed(before, "a new CA is in the Secret and in both configurations");
      await calls.goOnFor(50);
      const made = await calls.stop();
      console.log(`      ${what}: a new CA after ${ms} ms; ${made.length} calls`);
      expectNoFailure(made);
    });
  }

  const foreignCa = async () =>
    Buffer.from((await newCa(86_400_000, Date.now())).certificate).toString("base64");
  const wiped: readonly [what: string, caBundle: () => Promise<string | null>][] = [
    ["wiped", () => Promise.resolve(null)],
    ["replaced by another CA", foreignCa],
    ["replaced by what is none", () => Promise.resolve(Buffer.from("text").toString("base64"))],
  ];
  for (const [what, caBundle] of wiped) {
    it(`is called again within seconds when caBundle is ${what} in both configurations`, async () => {
      const value = await caBundle();
      const since = Date.now();
      for (const kind of kinds) {
        const path = "/webhooks/0/clientConfig/caBundle";
        const operation = value === null ? { op: "remove", path } : { op: "replace", path, value };
        expect((await plane.admin.jsonPatch(kind, at, [operation])).status).to.equal(200);
      }
      await waitFor("calls come through", async () => (await tryPod(open)).status === 201, 15_000);
      console.log(`      ${what}: called again after ${Date.now() - since} ms`);
      expect((await tryPod(unlisted)).status).to.equal(403);
    });
  }

  it("lasts over a restart: the CA is the one in the Secret, and only the leaf is new", async () => {
    await waitFor(
      "the CA is young",
      async () => {
        const [newest] = readBundle((await secretTexts()).ca).certificates;
        return newest !== undefined && newest.validTo - Date.now() > 45_000;
      },
      60_000,
    );
    const [before] = idsOf((await secretTexts()).ca);
    await berth.kill();
    await berth.start();
    expect((await tryPod(open)).status).to.equal(201);
    expect(idsOf((await secretTexts()).ca)[0]).to.equal(before);
  });

  it("changes its CA every minute while calls come in at two replicas, and no call fails", async function () {
    this.timeout(300_000);
    const other = await berth.another();
    await other.start();
    undo.push(() => other.stop());
    front.behind = [berth.webhook.port, other.webhook.port];
    const seen = new Set<string>();
    let looks = 0;
    const calls = keepCalling(tryPod);
    // A CA of a minute is followed some 38 s after it was made.
    const until = Date.now() + rotationMs;
    while (Date.now() < until) {
      await sleep(250);
      // The bundles first: what is in the Secret afterwards may be newer, never the other way round.
      const published = await bundles();
      const [newest = ""] = idsOf((await secretTexts()).ca);
      seen.add(newest);
      looks += 1;
      for (const bundle of published) expect(idsOf(bundle)).not.to.deep.equal([]);
    }
    const made = await calls.stop();
    const slowest = Math.max(...made.map(({ ms }) => ms));
    console.log(
      `      ${made.length} calls in ${rotationMs / 1_000} s over ${front.connections} connections, ${seen.size} CAs, slowest call ${slowest} ms`,
    );
    expect(seen.size, `CAs seen in ${looks} looks`).to.be.at.least(3);
    expectNoFailure(made);
    for (const each of [berth, other]) {
      // The people's port has followed, for the name of its own Service.
      const { ca } = await secretTexts();
      expect(await isTrusted(each.peoplePort(), ca, `berth-people.${berthNamespace}.svc`)).to.equal(true);
      expect((await each.operations("/readyz")).status).to.equal(200);
      const complaints = each
        .output()
        .split("\n")
        .filter((line) => /"level":"(warn|error)"/.test(line));
      // The registry of the policy is nowhere.
      expect(complaints.filter((line) => !line.includes('"registry":"archive"'))).to.deep.equal([]);
      expect(each.output()).not.to.include("PRIVATE KEY");
    }
  });
});

const policy = {
  mode: "enforce",
  unlistedRegistries: "deny",
  exemptNamespaces: ["kube-system"],
  registries: [{ name: "archive", type: "docker-registry", url: "https://archive.example.test" }],
};

/** Does a client that trusts these CAs take what the port shows for this name? */
function isTrusted(port: number, ca: string, servername: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: "127.0.0.1", port, ca, servername, rejectUnauthorized: false }, () => {
      resolve(socket.authorized);
      socket.destroy();
    });
    socket.on("error", reject);
  });
}

interface CallMade {
  readonly isRight: boolean;
  readonly status: number;
  readonly message: string;
  readonly ms: number;
}

/** Shows each way in which calls went wrong once. */
function expectNoFailure(made: readonly CallMade[]): void {
  const wrong = made.filter(({ isRight }) => !isRight).map(({ status, message }) => `${status} ${message}`);
  expect([...new Set(wrong)], `${wrong.length} of ${made.length} calls`).to.deep.equal([]);
}

interface Calls {
  goOnFor(calls: number): Promise<void>;
  stop(): Promise<readonly CallMade[]>;
}

/** Two clients for each image, with a pause that leaves the machine to those who serve. */
function keepCalling(tryPod: (image: string) => Promise<{ status: number; message: string }>): Calls {
  const made: CallMade[] = [];
  let stopped = false;
  async function client(image: string, wanted: number): Promise<void> {
    while (!stopped) {
      const begun = Date.now();
      const { status, message } = await tryPod(image);
      made.push({ isRight: status === wanted, status, message, ms: Date.now() - begun });
      await sleep(25);
    }
  }
  const clients = Promise.all(
    [open, unlisted].flatMap((image) => [1, 2].map(() => client(image, image === open ? 201 : 403))),
  );
  return {
    async goOnFor(calls) {
      const enough = made.length + calls;
      while (made.length < enough) await Promise.race([sleep(20), clients]);
    },
    async stop() {
      stopped = true;
      await clients;
      return made;
    },
  };
}

interface Front {
  readonly port: number;
  /** Ports on which replicas listen, taken in turn. */
  behind: readonly number[];
  readonly connections: number;
  close(): Promise<void>;
}

/** What a Service does: each connection goes to one of the replicas, whatever is in it. */
async function startFront(): Promise<Front> {
  const port = await freePort();
  const sockets = new Set<Socket>();
  const front = { port, behind: [] as readonly number[], connections: 0, close };
  const server: Server = createServer((socket) => {
    const to = front.behind[front.connections % Math.max(front.behind.length, 1)];
    front.connections += 1;
    if (to === undefined) {
      socket.destroy();
      return;
    }
    const behind = connect(to, "127.0.0.1");
    const end = () => {
      sockets.delete(socket);
      socket.destroy();
      behind.destroy();
    };
    sockets.add(socket);
    for (const each of [socket, behind]) each.on("error", end).on("close", end);
    socket.pipe(behind).pipe(socket);
  });
  async function close(): Promise<void> {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  }
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  return front;
}
