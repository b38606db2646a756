import { expect } from "chai";
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout } from "node:timers/promises";
import { createFactsReader, type FactsReader } from "../../src/files/facts-reader.ts";
import { type FolderContents } from "../../src/files/folder-contents.ts";
import { readFolder, startFolderSource } from "../../src/files/folder-source.ts";
import { type ManifestProblem, manifestProblemLine } from "../../src/files/manifests.ts";
import { type Log, silentLog } from "../../src/log.ts";
import type { Stoppable } from "../../src/loop.ts";

let dir: string;
let open: Watched[] = [];

/** A source at work on the folder of the test: what it delivered, and a clock that the test turns. */
interface Watched {
  readonly source: Stoppable;
  readonly namespaces: FolderContents["namespaces"][];
  readonly policies: FolderContents["policyConfigMaps"][];
  readonly secrets: FolderContents["secrets"][];
  readonly problems: (readonly ManifestProblem[])[];
  readonly logged: string[];
  readonly filesGivenToTheReader: string[];
  readonly clock: { ms: number; looks: number };
}

function watch(): Watched {
  const watched = { namespaces: [], policies: [], secrets: [], problems: [], logged: [] } as Omit<
    Watched,
    "source" | "clock" | "filesGivenToTheReader"
  >;
  const clock = { ms: 0, looks: 0 };
  const filesGivenToTheReader: string[] = [];
  const log: Log = { ...silentLog, warn: (_facts, text) => watched.logged.push(text) };
  const source = startFolderSource({
    dir,
    berthNamespace: "berth-system",
    log,
    now() {
      clock.looks += 1;
      return clock.ms;
    },
    onProblems: (problems) => watched.problems.push(problems),
    pollMs: 2,
    settleMs: 200,
    reader: countingReader(filesGivenToTheReader),
  })({
    namespaces: (all) => watched.namespaces.push(all),
    policyConfigMaps: (all) => watched.policies.push(all),
    secrets: (all) => watched.secrets.push(all),
  });
  const complete = { ...watched, source, clock, filesGivenToTheReader };
  open.push(complete);
  return complete;
}

function countingReader(files: string[]): FactsReader {
  const reader = createFactsReader();
  return {
    read(job) {
      files.push(job.file.slice(dir.length + 1));
      return reader.read(job);
    },
    stop: () => reader.stop(),
  };
}

/** Fails, rather than waits for ever, for what does not come: an endless wait would keep the whole run from ending. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 15_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${condition.toString()}`);
    await setTimeout(1);
  }
}

/** The clock is read once in each look: two more readings mean that a whole look lies between. */
async function looks(watched: Watched): Promise<void> {
  const before = watched.clock.looks;
  await until(() => watched.clock.looks >= before + 2);
}

/** Until what the folder holds now has been seen, has stayed the same for long enough, and was acted on. */
async function settled(watched: Watched): Promise<void> {
  await looks(watched);
  watched.clock.ms += 200;
  await looks(watched);
}

async function started(): Promise<Watched> {
  const watched = watch();
  await looks(watched);
  return watched;
}

function put(path: string, text: string): void {
  mkdirSync(dirname(join(dir, path)), { recursive: true });
  writeFileSync(join(dir, path), text);
}

function namespace(name: string, workspace = "12"): string {
  return `apiVersion: v1\nkind: Namespace\nmetadata:\n  name: ${name}\n  labels:\n    workspace.ghippo.io/id: "${workspace}"\n`;
}

function policy(document = "mode: warn"): string {
  return (
    "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: policy\n  namespace: berth-system\n" +
    `  labels: {berth.io/policy: "true"}\ndata:\n  a.yaml: |\n    ${document}\n`
  );
}

function secret(name: string, password: string): string {
  return (
    `apiVersion: v1\nkind: Secret\nmetadata: {name: ${name}, namespace: berth-system}\n` +
    `stringData: {password: ${password}}\n`
  );
}

function workspaces(watched: Watched): Record<string, string | undefined> {
  const last = watched.namespaces.at(-1) ?? new Map<string, Record<string, string>>();
  return Object.fromEntries([...last].map(([name, labels]) => [name, labels["workspace.ghippo.io/id"]]));
}

function problemLines(watched: Watched): string[] {
  return (watched.problems.at(-1) ?? []).map(manifestProblemLine).map((line) => line.replace(`${dir}/`, ""));
}

describe("a folder of manifests", () => {
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "berth-folder-"));
  });

  afterEach(async () => {
    await Promise.all(open.map(({ source }) => source.stop()));
    open = [];
    rmSync(dir, { recursive: true, force: true });
  });

  describe("a folder read as a cluster", () => {
    it("is delivered as a whole: namespaces, policy and secrets from any file and sub-folder", async () => {
      put("ns.yml", `${namespace("a")}---\n${namespace("b", "13")}`);
      put("berth/policy.yaml", policy());
      put("berth/deep/secrets.json", JSON.stringify({ apiVersion: "v1", kind: "List", items: [] }));
      put("berth/deep/login.yaml", secret("login", "x"));
      put("pods.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n");
      const watched = await started();
      expect(workspaces(watched)).to.deep.equal({ a: "12", b: "13" });
      expect(watched.policies.at(-1)!.map(({ data }) => data)).to.deep.equal([{ "a.yaml": "mode: warn\n" }]);
      expect(watched.policies.at(-1)![0]!.origin).to.deep.equal({
        file: join(dir, "berth/policy.yaml"),
        positions: { "a.yaml": { line: 9, column: 5, literal: true } },
      });
      expect([...watched.secrets.at(-1)!]).to.deep.equal([["login", { password: "x" }]]);
      expect(watched.problems).to.deep.equal([]);
    });

    it("is delivered when it is empty, and not again while nothing changes", async () => {
      const watched = await started();
      await settled(watched);
      expect(watched.namespaces).to.deep.equal([new Map()]);
      expect(watched.policies).to.deep.equal([[]]);
      expect(watched.secrets).to.deep.equal([new Map()]);
    });

    it("leaves out hidden files and folders, other extensions and what editors leave", async () => {
      for (const path of [".a.yaml", ".git/a.yaml", "a.yaml~", "a.yaml.swp", "#a.yaml#", "a.txt", "yaml"])
        put(path, namespace("a"));
      expect(workspaces(await started())).to.deep.equal({});
    });

    it("tells only the part that changed", async () => {
      put("ns.yaml", namespace("a"));
      put("policy.yaml", policy());
      put("login.yaml", secret("login", "x"));
      const watched = await started();
      put("login.yaml", secret("login", "y"));
      await settled(watched);
      expect(watched.secrets).to.have.length(2);
      expect(watched.namespaces).to.have.length(1);
      expect(watched.policies).to.have.length(1);
    });

    it("does not deliver a rewritten file that says the same", async () => {
      put("ns.yaml", namespace("a"));
      const watched = await started();
      put("ns.yaml", `# a comment\n${namespace("a")}`);
      await settled(watched);
      expect(watched.namespaces).to.have.length(1);
    });

    it("is an error at the start when there is no such folder", () => {
      rmSync(dir, { recursive: true });
      expect(() => watch()).to.throw(`expected a folder of manifests at ${dir}: it is not there`);
      writeFileSync(dir, "");
      expect(() => watch()).to.throw(`expected a folder of manifests at ${dir}: it is no folder`);
    });

    it("delivers nothing any more once it is stopped", async () => {
      const watched = await started();
      await watched.source.stop();
      await watched.source.stop();
      const { looks: looksBefore } = watched.clock;
      put("ns.yaml", namespace("a"));
      await setTimeout(20);
      expect(watched.clock.looks).to.equal(looksBefore);
    });
  });

  describe("a change in the folder", () => {
    const changes: [title: string, change: () => void, after: Record<string, string>][] = [
      ["a file is edited", () => put("ns.yaml", namespace("a", "13")), { a: "13", b: "12" }],
      ["a file is new", () => put("c.yaml", namespace("c")), { a: "12", b: "12", c: "12" }],
      ["a file is removed", () => rmSync(join(dir, "ns.yaml")), { b: "12" }],
      ["a folder is removed", () => rmSync(join(dir, "sub"), { recursive: true }), { a: "12" }],
      [
        "a file is renamed",
        () => renameSync(join(dir, "ns.yaml"), join(dir, "z.yaml")),
        { a: "12", b: "12" },
      ],
      [
        "a file is renamed to what is no manifest",
        () => renameSync(join(dir, "ns.yaml"), join(dir, "ns.off")),
        { b: "12" },
      ],
      [
        "a file is saved beside and renamed over",
        () => saveByRename(namespace("a", "13")),
        { a: "13", b: "12" },
      ],
      [
        "a file is appended to",
        () => appendFileSync(join(dir, "ns.yaml"), `---\n${namespace("c")}`),
        {
          a: "12",
          b: "12",
          c: "12",
        },
      ],
      ["a document is deleted at the end", () => put("sub/b.yaml", "# nothing any more\n"), { a: "12" }],
    ];
    for (const [title, change, after] of changes) {
      it(`counts when ${title}`, async () => {
        put("ns.yaml", namespace("a"));
        put("sub/b.yaml", namespace("b"));
        const watched = await started();
        change();
        await settled(watched);
        expect(workspaces(watched)).to.deep.equal(after);
        expect(problemLines(watched)).to.deep.equal([]);
      });
    }

    it("counts with the same size, and the old time of writing put back", async () => {
      put("ns.yaml", namespace("a", "12"));
      utimesSync(join(dir, "ns.yaml"), 1, 1);
      const watched = await started();
      put("ns.yaml", namespace("a", "13"));
      utimesSync(join(dir, "ns.yaml"), 1, 1);
      await settled(watched);
      expect(workspaces(watched)).to.deep.equal({ a: "13" });
    });

    it("counts only when the file has come to rest, and then once", async () => {
      put("ns.yaml", namespace("a"));
      const watched = await started();
      for (let id = 20; id < 25; id += 1) {
        put("ns.yaml", namespace("a", String(id)));
        await looks(watched);
        watched.clock.ms += 50;
      }
      expect(watched.namespaces).to.have.length(1);
      await settled(watched);
      expect(watched.namespaces).to.have.length(2);
      expect(workspaces(watched)).to.deep.equal({ a: "24" });
    });

    it("is not held up for good by a file that never comes to rest", async () => {
      const watched = await started();
      put("ns.yaml", namespace("a"));
      for (let id = 0; id < 10; id += 1) {
        put("busy.yaml", `${namespace("busy")}#${"x".repeat(id)}\n`);
        await looks(watched);
        watched.clock.ms += 100;
      }
      expect(workspaces(watched)).to.deep.equal({ a: "12" });
    });

    it("that moves an object between files never shows it missing or twice", async () => {
      put("a.yaml", `${namespace("x")}---\n${namespace("y")}`);
      const watched = await started();
      put("a.yaml", namespace("x"));
      await looks(watched);
      watched.clock.ms += 100;
      put("b.yaml", namespace("y"));
      await looks(watched);
      // Now the first file has been at rest for long enough, and the second has not.
      watched.clock.ms += 100;
      await looks(watched);
      await settled(watched);
      expect(watched.namespaces).to.have.length(1);
      expect(watched.problems).to.deep.equal([]);
    });
  });

  function saveByRename(text: string): void {
    put("ns.yaml.tmp", text);
    renameSync(join(dir, "ns.yaml.tmp"), join(dir, "ns.yaml"));
  }

  describe("a volume as Kubernetes mounts it", () => {
    function publish(version: string, text: string): void {
      put(`..${version}/ns.yaml`, text);
      put(`..${version}/more/b.yaml`, namespace("b", version));
      symlinkSync(`..${version}`, join(dir, "..data_tmp"));
      renameSync(join(dir, "..data_tmp"), join(dir, "..data"));
    }

    it("is read through its links, and again when they are turned to a new version", async () => {
      publish("1", namespace("a", "1"));
      symlinkSync("..data/ns.yaml", join(dir, "ns.yaml"));
      symlinkSync("..data/more", join(dir, "more"));
      const watched = await started();
      expect(workspaces(watched)).to.deep.equal({ a: "1", b: "1" });
      publish("2", namespace("a", "2"));
      rmSync(join(dir, "..1"), { recursive: true });
      await settled(watched);
      expect(workspaces(watched)).to.deep.equal({ a: "2", b: "2" });
      expect(watched.namespaces).to.have.length(2);
      expect(watched.problems).to.deep.equal([]);
    });

    it("keeps what it said while a link points to nothing", async () => {
      publish("1", namespace("a", "1"));
      symlinkSync("..data/ns.yaml", join(dir, "ns.yaml"));
      const watched = await started();
      rmSync(join(dir, "..1/ns.yaml"));
      await settled(watched);
      expect(workspaces(watched)).to.deep.equal({ a: "1" });
      expect(problemLines(watched)).to.deep.equal(["ns.yaml: is a link to a file that is not there"]);
    });

    it("may link to a folder around it without being walked for ever", async () => {
      put("sub/ns.yaml", namespace("a"));
      symlinkSync("..", join(dir, "sub/up"));
      symlinkSync(".", join(dir, "self"));
      const watched = await started();
      expect(workspaces(watched)).to.deep.equal({ a: "12" });
      expect(watched.problems).to.deep.equal([]);
    });
  });

  describe("what is wrong in the folder", () => {
    const halves: [title: string, now: (before: string) => string, problem: RegExp][] = [
      [
        "is empty",
        () => "",
        /^ns.yaml: is empty, as if it were being written.*last good content stays in force$/,
      ],
      [
        "ends within a line",
        (before) => before.slice(0, before.length - 8),
        /^ns.yaml: ends in the middle of a line/,
      ],
      ["ends within its first line", () => "apiVer", /^ns.yaml: ends in the middle of a line/],
      [
        "ends within a name",
        (before) => before.slice(0, before.indexOf("beta") + 2),
        /^ns.yaml: ends in the middle of a line/,
      ],
      [
        "ends before the name",
        () => "apiVersion: v1\nkind: Namespace\nmetadata:\n",
        /metadata.name: expected text/,
      ],
      ["ends before the kind", () => "apiVersion: v1\n", /mapping without kind/],
      ["is garbage", () => "a: {{{ [", /^ns.yaml:1:\d+: is not YAML/],
      ["is binary", () => "\u0000\u0001\u0002", /expected a Kubernetes object/],
      ["is text of another sort", () => "so far so good", /expected a Kubernetes object/],
      ["is a template", () => "{{- if .Values.x }}\nkind: {{ .Values.kind }}\n{{- end }}\n", /is not/],
    ];
    for (const [title, now, problem] of halves) {
      it(`takes nothing away: a file that ${title}`, async () => {
        const before = `${namespace("alpha")}---\n${namespace("beta")}`;
        put("ns.yaml", before);
        const watched = await started();
        put("ns.yaml", now(before));
        await settled(watched);
        await settled(watched);
        expect(watched.namespaces).to.have.length(1);
        expect(problemLines(watched)).to.have.length(1);
        expect(problemLines(watched)[0]).to.match(problem);
        put("ns.yaml", namespace("beta"));
        await settled(watched);
        expect(workspaces(watched)).to.deep.equal({ beta: "12" });
        expect(problemLines(watched)).to.deep.equal([]);
      });
    }

    it("is logged once, and again when it comes back", async () => {
      const watched = await started();
      put("ns.yaml", "a: [\n");
      await settled(watched);
      put("other.yaml", namespace("a"));
      await settled(watched);
      expect(watched.logged).to.have.length(1);
      put("ns.yaml", namespace("b"));
      await settled(watched);
      put("ns.yaml", "a: [\n");
      await settled(watched);
      expect(watched.logged).to.have.length(2);
    });

    it("is one object alone when that can be named: the rest of its file counts", async () => {
      put("all.yaml", [namespace("a"), secret("login", "x")].join("---\n"));
      const watched = await started();
      put("all.yaml", [namespace("a", "13"), secret("login", "12345"), secret("other", "y")].join("---\n"));
      await settled(watched);
      expect(workspaces(watched)).to.deep.equal({ a: "13" });
      expect(Object.fromEntries(watched.secrets.at(-1)!)).to.deep.equal({
        login: { password: "x" },
        other: { password: "y" },
      });
      expect(problemLines(watched)).to.deep.equal([
        "all.yaml:11:24: Secret login: stringData.password: expected text, found a number; put it in quotes",
      ]);
    });

    it("is the second of two objects with one name, until the first is gone", async () => {
      put("a.yaml", namespace("x", "1"));
      put("b.yaml", namespace("x", "2"));
      const watched = await started();
      expect(workspaces(watched)).to.deep.equal({ x: "1" });
      expect(problemLines(watched)).to.deep.equal([
        `b.yaml:1:1: Namespace x is there already, in ${dir}/a.yaml:1; this one does not count`,
      ]);
      rmSync(join(dir, "a.yaml"));
      await settled(watched);
      expect(workspaces(watched)).to.deep.equal({ x: "2" });
      expect(problemLines(watched)).to.deep.equal([]);
    });

    it("is a file that is too large; what it said before stays", async () => {
      put("ns.yaml", namespace("a"));
      const watched = await started();
      truncateSync(join(dir, "ns.yaml"), 128 * 1024 * 1024 + 1);
      await settled(watched);
      expect(workspaces(watched)).to.deep.equal({ a: "12" });
      expect(problemLines(watched)).to.deep.equal([
        "ns.yaml: is 129 MiB, more than the 128 MiB that are read; the file's last good content stays in force",
      ]);
    });

    it("is a folder too deep to be read", async () => {
      put("1/2/3/4/5/6/7/ns.yaml", namespace("a"));
      put("1/2/3/4/5/6/7/8/ns.yaml", namespace("b"));
      const watched = await started();
      expect(workspaces(watched)).to.deep.equal({ a: "12" });
      expect(problemLines(watched)).to.deep.equal([
        "1/2/3/4/5/6/7/8: is not read: folders count down to a depth of 8",
      ]);
    });

    it("is a folder that vanished: what was read stays, and counts again when it is back", async () => {
      put("ns.yaml", namespace("a"));
      const watched = await started();
      renameSync(dir, `${dir}-away`);
      // A look that fails does not read the clock, so the problem itself is waited for.
      await until(() => watched.problems.length > 0);
      expect(problemLines(watched)[0]).to.match(/it is not there; what was read before stays in force$/);
      expect(watched.namespaces).to.have.length(1);
      renameSync(`${dir}-away`, dir);
      await settled(watched);
      expect(problemLines(watched)).to.deep.equal([]);
      expect(watched.namespaces).to.have.length(1);
    });

    it("is a folder with more files than are read: nothing changes by it", async () => {
      put("ns.yaml", namespace("a"));
      const watched = await started();
      for (let i = 0; i < 2_000; i += 1) put(`more/${i}.yaml`, "# none\n");
      await settled(watched);
      expect(problemLines(watched).join()).to.match(/more than 2000 manifests; what was read before stays/);
      expect(workspaces(watched)).to.deep.equal({ a: "12" });
    });
  });

  describe("a folder of many namespaces", () => {
    const many = Array.from({ length: 5_000 }, (_, i) => namespace(`team-${i}`, String(i % 300))).join(
      "---\n",
    );

    it("is read aside, while the main loop goes on turning", async () => {
      put("many.yaml", many);
      put("few.yaml", namespace("a"));
      const watched = watch();
      let turns = 0;
      await until(() => {
        if (watched.filesGivenToTheReader.includes("many.yaml")) turns += 1;
        return watched.namespaces.length > 0;
      });
      expect(watched.namespaces[0]!.size).to.equal(5_001);
      // Parsed on this thread it would be one turn, or none.
      expect(turns).to.be.greaterThan(10);
    });

    it("reads again only the file that changed; a small one at once, without the worker", async () => {
      put("many.yaml", many);
      const watched = watch();
      await until(() => watched.namespaces.length > 0);
      put("few.yaml", namespace("a"));
      await settled(watched);
      expect(watched.namespaces.at(-1)!.size).to.equal(5_001);
      expect(watched.filesGivenToTheReader).to.deep.equal(["many.yaml"]);
    });

    it("can be stopped while it is being read", async () => {
      put("many.yaml", many);
      const watched = watch();
      await until(() => watched.filesGivenToTheReader.length > 0);
      await watched.source.stop();
      expect(watched.namespaces).to.deep.equal([]);
    });
  });

  describe("a folder read once", () => {
    it("is its contents and all that is wrong with it", async () => {
      put("a.yaml", namespace("a"));
      put("b.yaml", namespace("a"));
      put("c.yaml", "a: [\n");
      symlinkSync("nowhere.yaml", join(dir, "d.yaml"));
      const { namespaces, policyConfigMaps, secrets, problems } = await readFolder(dir, "berth-system");
      expect([...namespaces.keys()]).to.deep.equal(["a"]);
      expect(policyConfigMaps).to.deep.equal([]);
      expect(secrets.size).to.equal(0);
      expect(problems.map(({ file }) => file.slice(dir.length + 1))).to.deep.equal([
        "d.yaml",
        "c.yaml",
        "b.yaml",
      ]);
    });

    it("fails with a story when there is none", async () => {
      const failure: unknown = await readFolder(join(dir, "none"), "berth-system").catch(
        (err: unknown) => err,
      );
      expect(failure).to.be.instanceOf(Error);
      expect((failure as Error).message).to.equal(`read the manifests in ${dir}/none: it is not there`);
    });
  });
});
