import { expect } from "chai";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { selfSigned } from "../../src/certificates/self-signed.ts";
import type { Fault } from "../../src/demo/stand-in-faults.ts";
import { eventually } from "../eventually.ts";
import { createWebhookCaller, podReview, type WebhookCaller } from "../fakes/api-server.ts";
import { passwordForms, startSamplePlatform, type SamplePlatform } from "../fakes/sample-platform.ts";

const main = join(import.meta.dirname, "..", "..", "src", "main.ts");
const at = (path: string): string => `harbor.example.test/${path}`;

// One process, at the level debug, through whatever makes it speak: nothing of what it puts out may hold a secret.
describe("the passwords that Berth knows", () => {
  const wrongPassword = "Mistyped-0815";
  let platform: SamplePlatform;
  let own: string;
  let berth: ChildProcess;
  let caller: WebhookCaller;
  let port: number;
  let operations: string;
  /** All that came out of it: both streams, and every answer. */
  let told = "";

  before(async () => {
    platform = await startSamplePlatform();
    own = await mkdtemp(join(tmpdir(), "berth-own-"));
    const { ca } = await writeCertificate();
    const settings = {
      from: platform.folder,
      "log-level": "debug",
      "catalogue-interval": "1s",
      "webhook-port": "0",
      "operations-port": "0",
      "bind-address": "127.0.0.1",
      "certificate-mode": "files",
      "certificate-file": join(own, "tls.crt"),
      "key-file": join(own, "tls.key"),
      drain: "1s",
    };
    const words = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]);
    berth = spawn(process.execPath, [main, "serve", ...words]);
    for (const stream of [berth.stdout, berth.stderr])
      stream?.on("data", (chunk: Buffer) => (told += chunk.toString()));
    await eventually(() => told.includes('"msg":"Berth is ready"'));
    const [, webhookPort, operationsPort] = /"webhookPort":(\d+),.*"operationsPort":(\d+)/.exec(told) ?? [];
    port = Number(webhookPort);
    caller = createWebhookCaller({ port, ca });
    operations = `http://127.0.0.1:${String(operationsPort)}`;
  });
  after(async () => {
    caller.close();
    berth.kill("SIGKILL");
    await platform.close();
    await rm(own, { recursive: true });
  });

  async function writeCertificate() {
    const issued = await selfSigned(["localhost"], Date.now());
    await writeFile(join(own, "tls.crt"), issued.certificate);
    await writeFile(join(own, "tls.key"), issued.key, { mode: 0o600 });
    return issued;
  }
  async function validate(review: unknown) {
    const { text, response } = await caller.post("/validate?timeout=5s", review);
    told += text;
    return response;
  }
  const get = async (path: string): Promise<string> => (await fetch(`${operations}${path}`)).text();
  /** As an editor saves: a new file takes the old one's place. */
  async function write(name: string, text: string): Promise<void> {
    await writeFile(join(platform.folder, `${name}.new`), text);
    await rename(join(platform.folder, `${name}.new`), join(platform.folder, name));
  }
  const since = (mark: number, words: string): Promise<void> =>
    eventually(() => told.slice(mark).includes(words));

  it("are in nothing that it says, whatever happens", async () => {
    const [password = ""] = passwordForms();
    // Files are read again every ten seconds: it is in service near the end.
    const renewed = await writeCertificate();

    // Reviews: allowed, refused after a look-up, malformed, none at all.
    expect(await validate(podReview("shop", [at("team-a/api")]))).to.include({ allowed: true });
    expect(await validate(podReview("lab", [at("team-a/api"), at("ghost/x"), "No Image"]))).to.include({
      allowed: false,
    });
    await validate("no review");

    // A policy document in a review, with a password where none belongs.
    const document = `registries: [{ name: x, type: harbor, url: "https://admin:${password}@harbor.test" }]`;
    const kind = { group: "", version: "v1", kind: "ConfigMap" };
    const metadata = { name: "p", namespace: "berth-system", labels: { "berth.io/policy": "true" } };
    const object = { apiVersion: "v1", kind: "ConfigMap", metadata, data: { "p.yaml": document } };
    const resource = { group: "", version: "v1", resource: "configmaps" };
    const refused = await validate(podReview("berth-system", [], { kind, resource, name: "p", object }));
    expect(refused?.status?.message).to.match(/expected a url without user and password/);
    await write("p.yaml", stringify(object));
    await since(0, "p.yaml");

    // Harbor that fails in every way, for look-ups and at last for a listing too.
    const faults: readonly Fault[] = [
      { kind: "html", status: 502 },
      { kind: "redirect", to: "https://127.0.0.1:1/" },
      { kind: "reset" },
      { kind: "cut" },
      { kind: "half" },
      { kind: "status", status: 500 },
    ];
    for (const fault of faults) {
      platform.harbor.faults.clear();
      platform.harbor.faults.always(fault);
      const refused = await validate(podReview("lab", [at(`asked-${fault.kind}/x`)]));
      expect(refused?.status?.message, fault.kind).to.match(/could not be asked just now/);
    }
    await since(0, "the registry cannot be read");
    platform.harbor.faults.clear();
    platform.harbor.faults.anonymous = true;
    await since(0, "login-refused");
    platform.harbor.faults.anonymous = false;

    // The login mistyped, then unreadable in one way after another, then gone.
    const good = await readFile(join(platform.folder, "registries.yaml"), "utf8");
    expect(good).to.include(`password: ${password}`);
    const spoilt = [`*${password}`, `"${password}" ${password}`, `[${password}]`, `>${password}`];
    for (const text of [
      good.replace(password, wrongPassword),
      ...spoilt.map((value) => good.replace(password, value)),
      good.replace("stringData", "data"),
      "",
    ]) {
      const mark = told.length;
      await write("registries.yaml", text);
      await since(mark, text.includes(wrongPassword) ? "login-refused" : "registries.yaml");
    }

    await since(0, "a new certificate is in service");
    caller.close();
    caller = createWebhookCaller({ port, ca: renewed.ca });
    expect(await validate(podReview("shop", ["quay.io/x"]))).to.include({ allowed: false });

    // The end.
    for (const path of ["/livez", "/readyz", "/metrics", "/nothing"]) told += await get(path);
    berth.kill("SIGTERM");
    await eventually(async () => (await get("/readyz")) === "not ready: draining\n");
    expect(await validate(podReview("shop", ["quay.io/x"]))).to.include({ allowed: false });
    const [code] = (await once(berth, "close")) as [number | null];
    expect(code).to.equal(0);

    expect(told.length).to.be.greaterThan(10_000);
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    for (const form of [
      ...passwordForms(),
      wrongPassword,
      base64(wrongPassword),
      base64(`admin:${wrongPassword}`),
    ])
      expect(told.includes(form), form).to.equal(false);
    expect(told).not.to.include("PRIVATE KEY");
    // Every wait in it is for another process.
  }).timeout(60_000);
});
