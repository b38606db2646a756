// The npm package as somebody gets it: packed, installed into an empty folder, and run from there, where Node strips no
// types. It is packed from a copy, so that a run leaves nothing in the checkout.

import { existsSync } from "node:fs";
import { cp, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { expect } from "chai";
import { stringify } from "yaml";
import { version } from "../src/commands/version.ts";
import { selfSigned } from "../src/certificates/self-signed.ts";
import { run, startProcess, type Finished } from "./cluster/process.ts";
import { skipsAreForbidden } from "./cluster/binaries.ts";
import { createWebhookCaller, podReview } from "./fakes/api-server.ts";
import { startSamplePlatform, type SamplePlatform } from "./fakes/sample-platform.ts";

const checkout = join(import.meta.dirname, "..");
/** Whatever else is on the machine, `node` is the one that runs the tests. */
const env = {
  PATH: [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter),
  // Settings of the person who runs the tests are none of the package's.
  ...Object.fromEntries(
    Object.keys(process.env)
      .filter((name) => name.startsWith("BERTH_"))
      .map((name) => [name, undefined]),
  ),
};

interface Packed {
  readonly filename: string;
  readonly files: readonly { readonly path: string }[];
}

describe("the npm package", function () {
  // Compiling takes five seconds on two cores, and the installation as long.
  this.timeout(120_000);
  let folder: string;
  let packed: Packed;
  let installed: string;
  let platform: SamplePlatform;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-package-"));
    platform = await startSamplePlatform();
    packed = await pack();
  });
  after(async () => {
    await platform.close();
    await rm(folder, { recursive: true, force: true });
  });

  async function pack(): Promise<Packed> {
    const copy = join(folder, "copy");
    await mkdir(copy);
    const parts = [
      "package.json",
      "README.md",
      "LICENSE",
      "tsconfig.json",
      "tsconfig.build.json",
      "scripts",
      "src",
    ];
    for (const part of parts) await cp(join(checkout, part), join(copy, part), { recursive: true });
    // What was here before a build is none of the package's.
    await mkdir(join(copy, "dist"));
    await writeFile(join(copy, "dist", "left-over.js"), "");
    await symlink(join(checkout, "node_modules"), join(copy, "node_modules"));
    const answer = await npm("pack", "--json", "--pack-destination", folder, copy);
    expect(answer.code, answer.stdout + answer.stderr).to.equal(0);
    const [one] = JSON.parse(answer.stdout) as readonly Packed[];
    return one!;
  }

  function npm(...args: readonly string[]): Promise<Finished> {
    return run("npm", ["--no-audit", "--no-fund", ...args], { env, timeoutMs: 100_000 });
  }

  it("holds compiled code, the sample of the demonstration, and what everybody reads first", async () => {
    const paths = packed.files.map(({ path }) => path);
    const expected = (await readdir(join(checkout, "src"), { recursive: true, withFileTypes: true }))
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name).slice(join(checkout, "src").length + 1))
      .filter((path) => !path.endsWith("tsconfig.json"))
      .map((path) => join("dist", path.replace(/\.ts$/, ".js")));
    const others = ["dist/page/pico.min.css", "package.json", "README.md", "LICENSE"];
    expect(paths).to.have.members([...expected, ...others]);
    expect(paths.filter((path) => /\.(ts|map)$|test/.test(path))).to.deep.equal([]);
  });

  describe("installed into an empty folder", () => {
    before(async function () {
      installed = join(folder, "installed");
      await mkdir(installed);
      const tarball = join(folder, packed.filename);
      const answer = await npm("install", "--prefix", installed, "--prefer-offline", "--omit=dev", tarball);
      if (answer.code === 0) return;
      const why = `the package could not be installed, most likely without a registry: ${answer.stderr}`;
      if (skipsAreForbidden()) throw new Error(why);
      process.stderr.write(`      ${why}\n`);
      this.skip();
    });

    const bin = (name: string) => join(installed, "node_modules", ".bin", name);
    const berth = (...args: readonly string[]) => run(bin("berth"), args, { env });

    it("brings nothing that is for development", () => {
      for (const name of ["node", "typescript", "mocha"])
        expect(existsSync(join(installed, "node_modules", name)), name).to.equal(false);
    });

    it("tells its version", async () => {
      const { code, stdout } = await berth("--version");
      expect({ code, stdout }).to.deep.equal({ code: 0, stdout: `${version}\n` });
    });

    it("shows the demonstration, each verdict as expected", async () => {
      const { code, stdout, stderr } = await berth("demo", "--once");
      expect(code, stdout + stderr).to.equal(0);
      expect(stdout).to.include("each as expected");
    });

    it("judges manifests", async () => {
      const pod = (namespace: string) => {
        const { object } = podReview(namespace, ["harbor.example.test/team-a/api:1"]).request;
        return stringify(object);
      };
      const judge = (text: string) =>
        run(bin("berth"), ["check", "--from", platform.folder, "-"], { env, input: text });
      const allowed = await judge(pod("shop"));
      expect(allowed.code, allowed.stderr).to.equal(0);
      const refused = await judge(pod("lab"));
      expect(refused.code, refused.stderr).to.equal(1);
      expect(refused.stdout).to.include("1 judged, 1 refused");
    });

    it("is a plugin of kubectl", async () => {
      const args = [
        "explain",
        "harbor.example.test/team-a/api:1",
        "--namespace",
        "shop",
        "--from",
        platform.folder,
      ];
      const { code, stdout, stderr } = await run(bin("kubectl-berth"), args, { env });
      expect(code, stderr).to.equal(0);
      expect(stdout).to.include("bound-space");
    });

    it("serves, and reads large files and policy edits in its worker threads", async () => {
      const cluster = join(folder, "cluster");
      await mkdir(cluster);
      await writeFile(join(cluster, "namespaces.yaml"), manyNamespaces(1_000));
      const { certificate, key, ca } = await selfSigned(["localhost"], Date.now());
      await writeFile(join(folder, "tls.crt"), certificate);
      await writeFile(join(folder, "tls.key"), key, { mode: 0o600 });
      const server = await startProcess({
        command: bin("berth"),
        args: [
          ...["serve", "--from", cluster, "--bind-address", "127.0.0.1"],
          ...["--webhook-port", "0", "--people-port", "0", "--operations-port", "0", "--drain", "0s"],
          ...["--certificate-mode", "files", "--certificate-file", join(folder, "tls.crt")],
          ...["--key-file", join(folder, "tls.key")],
        ],
        env,
        logFile: join(folder, "serve.log"),
      });
      try {
        const [line] = await server.waitForLine(/^.*Berth is ready.*$/);
        const ports = JSON.parse(line) as { webhookPort: number; operationsPort: number };
        const metrics = await (await fetch(`http://127.0.0.1:${ports.operationsPort}/metrics`)).text();
        expect(metrics).to.include('berth_namespaces{workspace="bound"} 1000');
        const caller = createWebhookCaller({ port: ports.webhookPort, ca });
        const answer = await caller.post("/validate?timeout=10s", editOfPolicy("mode: loose"));
        caller.close();
        expect(answer.response?.allowed, answer.text).to.equal(false);
        expect(answer.response?.status?.message).to.match(/mode/);
      } finally {
        await server.stop();
      }
    });
  });
});

function manyNamespaces(count: number): string {
  const documents = Array.from({ length: count }, (_, index) =>
    stringify({
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: `ns-${index}`, labels: { "workspace.ghippo.io/id": String(index % 10) } },
    }),
  );
  return documents.join("---\n");
}

function editOfPolicy(text: string) {
  const metadata = { name: "policy", namespace: "berth-system", labels: { "berth.io/policy": "true" } };
  return podReview("berth-system", [], {
    kind: { group: "", version: "v1", kind: "ConfigMap" },
    resource: { group: "", version: "v1", resource: "configmaps" },
    name: "policy",
    object: { apiVersion: "v1", kind: "ConfigMap", metadata, data: { "policy.yaml": text } },
  });
}
