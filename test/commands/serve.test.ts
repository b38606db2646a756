import { expect } from "chai";
import { spawn } from "node:child_process";
import { rm, writeFile } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { startServing } from "../../src/commands/serve.ts";
import { silentLog } from "../../src/log.ts";
import { readSettings } from "../../src/settings.ts";
import { createAuthority } from "../cluster/authority.ts";
import { createWebhookCaller, podReview } from "../fakes/api-server.ts";
import { passwordForms, startSamplePlatform, type SamplePlatform } from "../fakes/sample-platform.ts";

const main = join(import.meta.dirname, "..", "..", "src", "main.ts");

describe("berth serve", () => {
  let platform: SamplePlatform;
  before(async () => {
    platform = await startSamplePlatform();
  });
  after(() => platform.close());

  interface Ended {
    readonly code: number | null;
    readonly err: string;
  }

  /** The program as a process; it is told to end as soon as its log says `until`. */
  function serve(words: readonly string[], until?: string): Promise<Ended> {
    const ports = [
      "--webhook-port",
      "0",
      "--people-port",
      "0",
      "--operations-port",
      "0",
      "--bind-address",
      "127.0.0.1",
    ];
    const child = spawn(process.execPath, [main, "serve", "--from", platform.folder, ...ports, ...words]);
    let err = "";
    let told = false;
    return new Promise((resolve, reject) => {
      child.stderr.on("data", (chunk: Buffer) => {
        err += chunk.toString();
        if (until === undefined || told || !err.includes(until)) return;
        told = true;
        child.kill("SIGTERM");
      });
      // What did not end by itself has failed the test; it must not outlive it.
      const timer = setTimeout(() => child.kill("SIGKILL"), 15_000);
      child.on("error", reject);
      child.on("close", (code) => {
        clearTimeout(timer);
        resolve({ code, err });
      });
    });
  }

  it("serves until it is told to end, and ends with 0; its ports are in the line that says it is ready", async () => {
    const { code, err } = await serve(["--drain", "0s", "--log-level", "debug"], '"msg":"Berth is ready"');
    expect(code).to.equal(0);
    expect(err).to.match(/"webhookPort":\d+,"peoplePort":\d+,"operationsPort":\d+,"msg":"Berth is ready"/);
    expect(err).to.include('"msg":"stopped"');
    for (const form of passwordForms()) expect(err).not.to.include(form);
  });

  it("ends at once when it is told to before it was ready", async () => {
    platform.harbor.faults.always({ kind: "status", status: 503 });
    const { code, err } = await serve(["--drain", "0s"], '"msg":"the registry cannot be read');
    platform.harbor.faults.clear();
    expect(code).to.equal(0);
    expect(err).to.match(/"msg":"stopped"\}\n$/);
    expect(err).not.to.include("Berth is ready");
  });

  it("answers only clients with a certificate of the CA that it is given", async () => {
    const authority = await createAuthority();
    const { certificatePem: cert, keyPem: key } = await authority.issueClient("kube-apiserver", []);
    const webhookClientCa = join(platform.folder, "client-ca.crt");
    await writeFile(webhookClientCa, authority.caPem);
    const flags = {
      from: platform.folder,
      webhookPort: "0",
      peoplePort: "0",
      operationsPort: "0",
      bindAddress: "127.0.0.1",
    };
    const serving = await startServing(readSettings({ ...flags, webhookClientCa }, {}), silentLog);
    const target = { port: serving.webhookPort, ca: serving.ca ?? "" };
    const [known, unknown] = [createWebhookCaller({ ...target, cert, key }), createWebhookCaller(target)];
    try {
      await serving.ready;
      const review = podReview("lab", ["harbor.example.test/ghost/x"]);
      const { response } = await known.post("/validate", review);
      expect(response?.auditAnnotations?.reasons).to.equal("space-unknown");
      let refused = false;
      await unknown.post("/validate", review).catch(() => (refused = true));
      expect(refused).to.equal(true);
    } finally {
      known.close();
      unknown.close();
      await serving.stop(0);
      await rm(webhookClientCa);
    }
  });

  const rows: readonly [what: string, words: (port: string) => string[], line: RegExp][] = [
    ["the webhook's port is taken", (port) => ["--webhook-port", port], /EADDRINUSE/],
    ["the operations' port is taken", (port) => ["--operations-port", port], /EADDRINUSE/],
    [
      "its certificate cannot be read",
      () => [
        "--certificate-mode",
        "files",
        "--certificate-file",
        "/nonexistent/a",
        "--key-file",
        "/nonexistent/b",
      ],
      /\/nonexistent\/[ab]/,
    ],
    [
      "the CA of its clients cannot be read",
      () => ["--webhook-client-ca", "/nonexistent/ca.crt"],
      /\/nonexistent\/ca\.crt/,
    ],
  ];
  for (const [what, words, line] of rows) {
    it(`ends with 2 and one clear line when ${what}`, async () => {
      const holder = createServer().listen(0, "127.0.0.1");
      await new Promise((resolve) => holder.once("listening", resolve));
      const { port } = holder.address() as AddressInfo;
      const { code, err } = await serve(words(String(port)));
      holder.close();
      const said = err.split("\n").filter((each) => each !== "" && !each.startsWith("{"));
      expect(said).to.have.lengthOf(1);
      expect(said[0]).to.match(/^berth: /);
      expect(said[0]).to.match(line);
      expect(code).to.equal(2);
    });
  }
});
