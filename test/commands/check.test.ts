import { expect } from "chai";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check as checkCommand } from "../../src/commands/check.ts";
import { runProgram } from "../../src/commands/program.ts";
import type { Report } from "../../src/domain/report.ts";
import { readSettings } from "../../src/settings.ts";
import { createRecordingTerminal, type TerminalOptions } from "../fakes/recording-terminal.ts";
import { passwordForms, startSamplePlatform, type SamplePlatform } from "../fakes/sample-platform.ts";

const main = join(import.meta.dirname, "..", "..", "src", "main.ts");
const open = "harbor.example.test/library/nginx:1.27";
const bound = "harbor.example.test/team-a/api:2.4";
const closed = "harbor.example.test/team-b/app:1";

function pod(namespace: string | undefined, ...images: readonly string[]): object {
  const containers = images.map((image, index) => ({ name: `c${String(index)}`, image }));
  const metadata = { name: "web", ...(namespace === undefined ? {} : { namespace }) };
  return { apiVersion: "v1", kind: "Pod", metadata, spec: { containers } };
}

function deployment(namespace: string, image: string): object {
  const template = { spec: { containers: [{ name: "app", image }] } };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "api", namespace },
    spec: { template },
  };
}

const json = (value: unknown): string => JSON.stringify(value);

describe("berth check", () => {
  let platform: SamplePlatform;
  let manifests: string;

  before(async () => {
    platform = await startSamplePlatform();
  });
  after(() => platform.close());
  beforeEach(async () => {
    manifests = await mkdtemp(join(tmpdir(), "berth-manifests-"));
  });
  afterEach(() => rm(manifests, { recursive: true }));

  /** Every output is looked through for the password on the way. */
  async function check(words: readonly string[], options: TerminalOptions = {}) {
    const terminal = createRecordingTerminal(options);
    const code = await runProgram(["check", "--from", platform.folder, ...words], terminal);
    const [out, err] = [terminal.outText(), terminal.errText()];
    for (const form of passwordForms()) expect(out + err).not.to.include(form);
    return { code, out, err };
  }

  async function file(name: string, text: string): Promise<string> {
    const path = join(manifests, name);
    await writeFile(path, text);
    return path;
  }

  async function reports(words: readonly string[], input?: string): Promise<readonly Report[]> {
    const { out } = await check([...words, "--output", "json"], input === undefined ? {} : { input });
    return JSON.parse(out) as readonly Report[];
  }

  describe("exit codes", () => {
    const rows: readonly [what: string, manifest: object, code: number, words: string][] = [
      ["0 when all is allowed", pod("shop", open), 0, "1 judged, 0 refused"],
      ["0 with a pull secret", pod("shop", open, bound), 0, "with pull secret berth-pull"],
      ["1 when one of two images is refused", pod("shop", open, closed), 1, 'space "team-b"'],
      ["1 for a malformed image", pod("shop", "Not An Image"), 1, "not an image reference"],
      ["1 in a namespace that nobody knows", pod("nowhere", bound), 1, "is not known yet"],
      ["0 for a public space in a namespace that nobody knows", pod("nowhere", open), 0, "0 refused"],
      ["0 in an exempt namespace", pod("kube-system", "quay.io/x:1"), 0, "0 refused"],
      ["0 for a kind without Pod template", { apiVersion: "v1", kind: "Service" }, 0, "0 judged, 0 refused"],
    ];
    for (const [what, manifest, code, words] of rows) {
      it(what, async () => {
        const result = await check(["-"], { input: json(manifest) });
        expect(result.out).to.include(words);
        expect(result).to.include({ code, err: "" });
      });
    }

    it("2 for a file that is not YAML, with its place on one line, and judges the others", async () => {
      const broken = await file("broken.yaml", "kind: Pod\n  indented: [oddly\n");
      const good = await file("good.yaml", json(pod("shop", open)));
      const { code, out, err } = await check([broken, good]);
      expect(code).to.equal(2);
      expect(out).to.include("1 judged, 0 refused");
      expect(err).to.match(/^\S*broken\.yaml:\d+:\d+: [^\n]+\n$/);
    });

    it("2 for YAML that is no Kubernetes object", async () => {
      const { code, err } = await check(["-"], { input: "just: yaml\n" });
      expect(code).to.equal(2);
      expect(err).to.equal(
        "standard input:1:1: expected a Kubernetes object with apiVersion and kind, found a mapping without kind\n",
      );
    });

    it("2 for a file that is not there, on one line", async () => {
      const { code, err } = await check([join(manifests, "absent.yaml")]);
      expect(code).to.equal(2);
      expect(err).to.match(/^[^\n]*absent\.yaml[^\n]*\n$/);
    });

    it("2 for a folder of manifests that is not there, on one line", async () => {
      const terminal = createRecordingTerminal({ input: json(pod("shop", open)) });
      const code = await runProgram(["check", "--from", join(manifests, "absent"), "-"], terminal);
      expect(code).to.equal(2);
      expect(terminal.errText()).to.match(/^berth: [^\n]*absent[^\n]*\n$/);
    });
  });

  describe("what is read", () => {
    it("a List as kubectl prints it, each item named by where it stands", async () => {
      const items = [pod("shop", open), pod("shop", closed)];
      const found = await reports(["-"], json({ apiVersion: "v1", kind: "List", items }));
      expect(found.map(({ source, verdict }) => [source, verdict])).to.deep.equal([
        ["standard input: items[0]", "allow"],
        ["standard input: items[1]", "refuse"],
      ]);
    });

    it("several documents of one file", async () => {
      const path = await file(
        "all.yaml",
        [pod("shop", open), { apiVersion: "v1", kind: "Service" }, deployment("shop", closed)]
          .map(json)
          .join("\n---\n"),
      );
      const found = await reports([path]);
      expect(found.map(({ source, kind }) => [source, kind])).to.deep.equal([
        [`${path}: document 1`, "Pod"],
        [`${path}: document 3`, "Deployment"],
      ]);
    });

    it("the YAML and JSON files of a folder and of those below", async () => {
      await mkdir(join(manifests, "deep"));
      await file("a.yaml", json(pod("shop", open)));
      await file(join("deep", "b.json"), json(deployment("shop", open)));
      await file("notes.txt", "no manifest");
      const found = await reports([manifests]);
      expect(found.map(({ kind }) => kind).sort()).to.deep.equal(["Deployment", "Pod"]);
    });

    it("objects that name no namespace, in the one that --namespace says", async () => {
      const input = json(pod(undefined, bound));
      expect(await reports(["-", "--namespace", "shop"], input)).to.have.nested.property(
        "[0].workspace",
        "12",
      );
      expect(await reports(["-"], input)).to.have.nested.property("[0].namespace", "default");
    });

    it("an empty namespace or null as none, as kubectl does", async () => {
      for (const namespace of ["", null]) {
        const manifest = { ...pod("", bound), metadata: { name: "web", namespace } };
        const [report] = await reports(["-", "--namespace", "shop"], json(manifest));
        expect(report).to.include({ namespace: "shop", verdict: "allow" });
      }
    });

    it("custom kinds that --pod-templates names, and no others", async () => {
      const rollout = { ...deployment("shop", closed), apiVersion: "argoproj.io/v1alpha1", kind: "Rollout" };
      expect(await reports(["-"], json(rollout))).to.deep.equal([]);
      const kinds = ["--pod-templates", "argoproj.io/Rollout=spec.template.spec"];
      const [report] = await reports(["-", ...kinds], json(rollout));
      expect(report).to.include({ kind: "Rollout", verdict: "refuse" });
    });
  });

  describe("--output json", () => {
    it("has every key, with null for what does not apply", async () => {
      const found = await reports(["-"], json(pod("shop", "nginx@sha256:" + "0".repeat(64))));
      expect(found).to.have.lengthOf(1);
      const { message, ...rest } = found[0]!;
      expect(message).to.be.a("string");
      expect(rest).to.deep.equal({
        source: "standard input",
        kind: "Pod",
        namespace: "shop",
        name: "web",
        workspace: "12",
        verdict: "refuse",
        pullSecret: null,
        images: [
          {
            path: "spec.containers[0].image",
            container: "c0",
            image: "nginx@sha256:" + "0".repeat(64),
            host: "docker.io",
            repository: "library/nginx",
            tag: null,
            digest: "sha256:" + "0".repeat(64),
            registry: null,
            space: null,
            allowed: false,
            reason: "unlisted-registry",
          },
        ],
      });
    });

    it("has neither host nor repository for a malformed image", async () => {
      const found = await reports(["-"], json(pod("sandbox", "Not An Image")));
      expect(found).to.have.nested.property("[0].workspace", null);
      expect(found[0]?.images).to.deep.equal([
        {
          path: "spec.containers[0].image",
          container: "c0",
          image: "Not An Image",
          host: null,
          repository: null,
          tag: null,
          digest: null,
          registry: null,
          space: null,
          allowed: false,
          reason: "malformed-image",
        },
      ]);
    });

    it("names the pull secret, registry and space of what is allowed, host as written", async () => {
      const found = await reports(["-"], json(deployment("shop", "HARBOR.example.test:443/team-a/api:2.4")));
      expect(found).to.have.lengthOf(1);
      expect(found[0]).to.include({ verdict: "allow", pullSecret: "berth-pull", message: null });
      expect(found[0]?.images[0]).to.deep.equal({
        path: "spec.template.spec.containers[0].image",
        container: "app",
        image: "HARBOR.example.test:443/team-a/api:2.4",
        host: "HARBOR.example.test:443",
        repository: "team-a/api",
        tag: "2.4",
        digest: null,
        registry: "managed",
        space: "team-a",
        allowed: true,
        reason: "bound-space",
      });
    });

    it("is an empty array when nothing holds a Pod template", async () => {
      expect(await reports(["-"], json({ apiVersion: "v1", kind: "Service" }))).to.deep.equal([]);
    });
  });

  describe("as text", () => {
    const mixed = json({
      apiVersion: "v1",
      kind: "List",
      items: [pod("shop", open), deployment("shop", closed)],
    });

    it("lists what is allowed too, and only the refused with --only-refused", async () => {
      const all = await check(["-"], { input: mixed });
      expect(all.out).to.match(/^allow {3}Pod shop\/web {2}\[standard input: items\[0\]\]$/m);
      const refused = await check(["-", "--only-refused"], { input: mixed });
      expect(refused.out).not.to.match(/^allow/m);
      expect(refused.out).to.match(/^refuse {2}Deployment shop\/api/m);
      expect(refused.out).to.match(/^2 judged, 1 refused$/m);
      expect([all.code, refused.code]).to.deep.equal([1, 1]);
    });

    describe("colour", () => {
      const names = ["TERM", "NO_COLOR", "FORCE_COLOR", "NODE_DISABLE_COLORS", "COLORTERM", "TMUX", "CI"];
      let environment: Record<string, string | undefined>;
      beforeEach(() => {
        environment = Object.fromEntries(names.map((name) => [name, process.env[name]]));
        for (const name of names) Reflect.deleteProperty(process.env, name);
        process.env["TERM"] = "xterm-256color";
      });
      afterEach(() => {
        for (const name of names) {
          if (environment[name] === undefined) Reflect.deleteProperty(process.env, name);
          else process.env[name] = environment[name];
        }
      });

      it("is there on a terminal", async () => {
        expect((await check(["-"], { input: mixed, isTTY: true })).out).to.include("\u001b[31mrefuse");
      });
      it("is not there in a pipe", async () => {
        expect((await check(["-"], { input: mixed })).out).not.to.include("\u001b");
      });
      it("is not there where NO_COLOR asks for none", async () => {
        process.env["NO_COLOR"] = "1";
        expect((await check(["-"], { input: mixed, isTTY: true })).out).not.to.include("\u001b");
      });
    });
  });

  it("asks Harbor for nothing but reads, and writes nothing into the folder", async () => {
    await check(["-"], { input: json(pod("shop", bound)) });
    expect(new Set(platform.harbor.requests.map(({ method }) => method))).to.deep.equal(new Set(["GET"]));
  });

  describe("while Harbor cannot be reached", () => {
    beforeEach(() => platform.harbor.faults.always({ kind: "reset" }));
    afterEach(() => platform.harbor.faults.clear());

    /** With little patience, since it will not help. */
    async function checkSoon(manifest: object) {
      const terminal = createRecordingTerminal({ input: json(manifest) });
      const settings = readSettings({ from: platform.folder }, {});
      const options = { namespace: "default", output: "json", onlyRefused: false } as const;
      const code = await checkCommand(["-"], settings, options, terminal, 1_500);
      const [report] = JSON.parse(terminal.outText()) as readonly Report[];
      for (const form of passwordForms())
        expect(terminal.outText() + terminal.errText()).not.to.include(form);
      return { code, reasons: report?.images.map(({ reason }) => reason), err: terminal.errText() };
    }

    it("exits with 2, says why on one line, and still tells what it knows", async () => {
      const { code, reasons, err } = await checkSoon(pod("shop", open, "quay.io/x"));
      expect(err).to.match(/^could not read the catalogue of managed: [^\n]+\n$/);
      expect(reasons).to.deep.equal(["catalogue-not-ready", "unlisted-registry"]);
      expect(code).to.equal(2);
    });

    it("judges what does not depend on it", async () => {
      const { code, reasons } = await checkSoon(pod("shop", "archive.example.test:5000/app:7"));
      expect({ code, reasons }).to.deep.equal({ code: 0, reasons: ["open-registry"] });
    });
  });

  describe("as a process", () => {
    /** Exit code and both streams; `unread` closes standard output before anything is written to it. */
    async function run(words: readonly string[], input: string, unread = false) {
      const child = spawn(process.execPath, [main, "check", "--from", platform.folder, ...words]);
      let [out, err] = ["", ""];
      child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
      if (unread) child.stdout.destroy();
      else child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
      child.stdin.end(input);
      const [code] = (await once(child, "close")) as [number | null];
      return { code, out, err };
    }
    const list = json({ apiVersion: "v1", kind: "List", items: Array(500).fill(pod("shop", closed)) });

    it("reads all of standard input, and writes all it has to say before it ends", async () => {
      const { code, out, err } = await run(["-", "--output", "json"], list);
      expect((JSON.parse(out) as readonly Report[]).length).to.equal(500);
      expect({ code, err }).to.deep.equal({ code: 1, err: "" });
    });

    it("ends quietly, with its own exit code, when nobody reads on: `| head`", async () => {
      const { code, err } = await run(["-"], list, true);
      expect({ code, err }).to.deep.equal({ code: 1, err: "" });
    });
  });
});
