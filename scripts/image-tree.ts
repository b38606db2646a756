// Makes the files of the image without a container engine, by the lines of the Dockerfile, and runs Berth with nothing
// but them. It says what it tried, and what it takes an engine to try.

import { execFileSync, spawn, spawnSync, type ChildProcess, type StdioOptions } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { get } from "node:https";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { parseDockerfile, type Stage, type Step } from "./dockerfile.ts";

const checkout = join(import.meta.dirname, "..");
const { stages } = parseDockerfile(readFileSync(join(checkout, "Dockerfile"), "utf8"));
const work = mkdtempSync(join(tmpdir(), "berth-image-"));
/** Starting takes a second; a machine that is busy with other things may take ten times that. */
const readyTimeoutMs = 60_000;
/** In a file large enough to be read in a worker thread. */
const namespaceCount = 500;
/** What a step has to say is none of this script's answers. */
const toErrors: StdioOptions = ["ignore", 2, 2];
const untried = [
  "the Dockerfile's own syntax, its base images and their digests; this Node stands for the one in there",
  "npm ci in the build stage: the packages of this checkout stand for it",
  "the user as the image's /etc/passwd has it, and the CA certificates of the base image",
];

try {
  await main();
} catch (err) {
  console.error(err instanceof Error ? err.message : err);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function main(): Promise<void> {
  const image = stages.at(-1);
  if (image === undefined) throw new Error("the Dockerfile has no stage");
  for (const stage of stages) assemble(stage);
  const root = rootOf(image);
  checkFiles(root, image);
  const before = listing(root);
  addRuntime(root, image);
  const confinement = confine(root, image);
  console.log(`Runs Berth ${confinement.how}.`);
  await tryServing(confinement);
  if (listing(root) !== before) throw new Error("a file of the image was changed while it ran");
  console.log(
    "Ready, counted its namespaces, served the image selector, ended on SIGTERM, and wrote nothing into its files.",
  );
  console.log("Not tried, for want of a container engine:");
  for (const what of [...confinement.untried, ...untried]) console.log(`- ${what}`);
}

function rootOf(stage: Stage): string {
  return join(work, stage.name ?? "image");
}

/** The folder of a stage's steps. */
function folderOf(stage: Stage): string {
  return join(rootOf(stage), stage.workdir);
}

function assemble(stage: Stage): void {
  const base = stages.find(({ name }) => name === stage.from);
  if (base !== undefined) cpSync(rootOf(base), rootOf(stage), { recursive: true });
  // A stage goes on where the one before it was.
  const placed = base === undefined || stage.workdir !== "/" ? stage : { ...stage, workdir: base.workdir };
  mkdirSync(folderOf(placed), { recursive: true });
  for (const step of stage.steps) {
    if (step.kind === "run") runStep(step.command, folderOf(placed));
    else copyStep(step, placed);
  }
}

function copyStep(step: Extract<Step, { kind: "copy" }>, stage: Stage): void {
  const from = step.from === undefined ? checkout : join(work, step.from);
  const target = resolve("/", stage.workdir, step.target);
  for (const source of step.sources) {
    const path = join(from, source);
    const isFolder = statSync(path).isDirectory();
    // As COPY does: the contents of a folder, and a file by its name where the target is a folder.
    const into = isFolder || !step.target.endsWith("/") ? target : join(target, basename(source));
    cpSync(path, join(rootOf(stage), into), { recursive: true });
  }
}

function runStep(command: string, folder: string): void {
  const [program = "", ...args] = command.split(" ");
  switch (command) {
    case "npm ci --omit=dev --ignore-scripts":
      execFileSync(program, [...args, "--prefer-offline", "--silent"], { cwd: folder, stdio: toErrors });
      return;
    case "npm ci --ignore-scripts":
      rmSync(join(folder, "node_modules"), { recursive: true });
      symlinkSync(join(checkout, "node_modules"), join(folder, "node_modules"));
      return;
    case "node scripts/build.ts":
      execFileSync(process.execPath, args, { cwd: folder, stdio: toErrors });
      return;
    default:
      throw new Error(`expected a RUN that scripts/image-tree.ts knows, got: ${command}`);
  }
}

function checkFiles(root: string, { workdir }: Stage): void {
  const app = join(root, workdir);
  const { devDependencies } = JSON.parse(readFileSync(join(app, "package.json"), "utf8")) as {
    devDependencies: Record<string, string>;
  };
  const forDevelopment = Object.keys(devDependencies).filter((name) =>
    existsSync(join(app, "node_modules", name)),
  );
  // Types may also come as a part of a package that is needed.
  const tools = forDevelopment.filter((name) => !name.startsWith("@types/"));
  if (tools.length > 0) throw new Error(`the image has packages for development: ${tools.join(", ")}`);
  const files = readdirSync(root, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const own = files.filter(({ parentPath }) => !parentPath.includes("node_modules"));
  const sources = own.filter(({ name }) => /\.ts$|\.map$/.test(name));
  if (sources.length > 0)
    throw new Error(`the image has sources: ${sources.map(({ name }) => name).join(", ")}`);
  const native = files.filter(({ name }) => name.endsWith(".node"));
  if (native.length > 0)
    throw new Error(`not the same on every platform: ${native.map(({ name }) => name).join()}`);
  const bytes = files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0);
  console.log(`The image adds ${files.length} files, ${(bytes / 2 ** 20).toFixed(0)} MiB, to its base.`);
}

/** Every path with its size and the time of its last change, of what the image itself brings. */
function listing(root: string): string {
  const app = join(root, "app");
  return readdirSync(app, { recursive: true, encoding: "utf8" })
    .sort()
    .map((path) => {
      const { size, mtimeMs } = statSync(join(app, path));
      return `${path} ${size} ${mtimeMs}`;
    })
    .join("\n");
}

/** What the base image would bring, as far as it is needed; and a small folder to serve. */
function addRuntime(root: string, { entrypoint }: Stage): void {
  const node = join(root, entrypoint[0] ?? "");
  mkdirSync(dirname(node), { recursive: true });
  cpSync(process.execPath, node);
  const libraries = spawnSync("ldd", [process.execPath], { encoding: "utf8" }).stdout.match(/\/\S+/g) ?? [];
  for (const library of libraries.filter((path) => existsSync(path))) {
    mkdirSync(join(root, dirname(library)), { recursive: true });
    copyFileSync(library, join(root, library));
  }
  mkdirSync(join(root, "manifests"));
  const namespaces = Array.from({ length: namespaceCount }, (_, index) => ({
    apiVersion: "v1",
    kind: "Namespace",
    metadata: { name: `ns-${index}`, labels: { "workspace.ghippo.io/id": "12" } },
  }));
  const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: namespaces });
  writeFileSync(join(root, "manifests", "namespaces.json"), list);
  chmodSync(root, 0o755);
}

interface Confinement {
  readonly how: string;
  readonly untried: readonly string[];
  readonly start: (...args: readonly string[]) => ChildProcess;
}

/** The strictest way that this machine allows. */
function confine(root: string, image: Stage): Confinement {
  const env = { ...image.env };
  const ways = [
    {
      how: `in a root of its own (chroot) that holds these files alone, as user ${image.user ?? ""}, who owns none of them`,
      prefix: ["chroot", `--userspec=${image.user ?? ""}`, root],
      untried: ["/proc and /dev, which are missing here and there in a container"],
    },
    {
      how: "in a root of its own (unshare, chroot) that holds these files alone",
      prefix: ["unshare", "--user", "--map-root-user", "chroot", root],
      untried: [
        `user ${image.user ?? ""}, and /proc and /dev, which are missing here and there in a container`,
      ],
    },
  ];
  for (const { how, prefix, untried: open } of ways) {
    const [program = "", ...before] = prefix;
    const options = { env: { ...env, PATH: process.env["PATH"] }, encoding: "utf8" as const };
    const tried = spawnSync(program, [...before, image.entrypoint[0] ?? "", "--version"], options);
    if (tried.status !== 0) continue;
    return {
      how,
      untried: open,
      start: (...args) =>
        spawn(program, [...before, ...image.entrypoint, ...args], {
          env: options.env,
          stdio: ["ignore", "ignore", "pipe"],
        }),
    };
  }
  const [, ...entrypoint] = image.entrypoint.map((word) =>
    word.startsWith("/app/") ? join(root, word) : word,
  );
  const reads = [join(root, "app"), join(root, "manifests")].map((path) => `--allow-fs-read=${path}`);
  return {
    how: "with Node's permission model: it may read these files, and write none",
    untried: [
      "a root of its own, which neither chroot nor unshare can make here: shared libraries are this machine's",
    ],
    start: (...args) => {
      const words = args.map((word) => (word === "/manifests" ? join(root, "manifests") : word));
      const all = ["--permission", "--allow-worker", ...reads, ...entrypoint, ...words];
      return spawn(process.execPath, all, { env, cwd: root, stdio: ["ignore", "ignore", "pipe"] });
    },
  };
}

async function tryServing({ start }: Confinement): Promise<void> {
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
  const child = start("serve", "--from", "/manifests", ...ports, "--drain", "0s");
  const ended = once(child, "exit") as Promise<[number | null, string | null]>;
  try {
    const { operationsPort, peoplePort } = await readyLine(child);
    const ask = (path: string) => fetch(`http://127.0.0.1:${operationsPort}${path}`);
    for (const path of ["/livez", "/readyz"]) {
      const { status } = await ask(path);
      if (status !== 200) throw new Error(`${path} answers ${status}`);
    }
    const metrics = await (await ask("/metrics")).text();
    if (!metrics.includes(`berth_namespaces{workspace="bound"} ${namespaceCount}`)) {
      throw new Error(`/metrics does not count ${namespaceCount} namespaces`);
    }
    for (const path of ["/", "/page/start.js", "/page/preact.mjs", "/page/pico.min.css"]) {
      const status = await statusOf(`https://127.0.0.1:${peoplePort}${path}`);
      if (status !== 200) throw new Error(`the image selector answers ${status} for ${path}`);
    }
    child.kill("SIGTERM");
    const [code, signal] = await ended;
    if (code !== 0) throw new Error(`it ended with ${signal ?? `exit code ${String(code)}`} on SIGTERM`);
  } finally {
    child.kill("SIGKILL");
  }
}

/** Whatever certificate it shows: it was made for this run. */
function statusOf(url: string): Promise<number> {
  return new Promise((resolved, reject) => {
    get(url, { rejectUnauthorized: false }, (answer) => {
      answer.resume();
      resolved(answer.statusCode ?? 0);
    }).on("error", reject);
  });
}

interface Ports {
  readonly operationsPort: number;
  readonly peoplePort: number;
}

function readyLine(child: ChildProcess): Promise<Ports> {
  return new Promise((resolved, reject) => {
    let text = "";
    const timer = setTimeout(() => reject(new Error(`not ready in time:\n${text}`)), readyTimeoutMs);
    child.stderr?.on("data", (chunk: Buffer) => {
      text += chunk.toString();
      const line = text.split("\n").find((each) => each.includes("Berth is ready"));
      if (line === undefined) return;
      clearTimeout(timer);
      resolved(JSON.parse(line) as Ports);
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`it ended with exit code ${String(code)}:\n${text}`)));
  });
}
