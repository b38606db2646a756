// The container image, as far as it can be tried without a container engine: what the Dockerfile says, and Berth run
// with the files that come of it.

import { existsSync, readFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { expect } from "chai";
import { parseDockerfile, type Step } from "../scripts/dockerfile.ts";
import { settingSpecs } from "../src/settings.ts";
import { run } from "./cluster/process.ts";

const checkout = join(import.meta.dirname, "..");
const read = (file: string) => readFileSync(join(checkout, file), "utf8");
const { args, stages } = parseDockerfile(read("Dockerfile"));
const image = stages.at(-1)!;
const copies = (steps: readonly Step[]) => steps.filter((step) => step.kind === "copy");

describe("the container image", () => {
  it("is built of images that are pinned by a digest which only the builder gives", () => {
    const bases = stages.map(({ from }) => from).filter((from) => stages.every(({ name }) => name !== from));
    expect(bases).to.have.length(2);
    for (const base of bases) {
      const [, name = "", digest = ""] = /^\$\{(\w+)\}@\$\{(\w+)\}$/.exec(base) ?? [];
      expect(args.get(name), base).to.match(/^[a-z0-9.]+\/[a-z0-9/-]+:[a-z0-9-]+$/);
      expect(args.has(digest) && args.get(digest) === undefined, base).to.equal(true);
    }
  });

  it("is distroless Node 24, and runs as a user who is not root, by number", () => {
    expect(args.get("RUNTIME_IMAGE")).to.match(/distroless\/nodejs24-.*:nonroot$/);
    expect(image.user).to.equal("65532:65532");
  });

  it("gets files only, each from where it was made", () => {
    expect(image.steps.every(({ kind }) => kind === "copy")).to.equal(true);
    expect(copies(image.steps)).to.deep.equal([
      { kind: "copy", from: undefined, sources: ["package.json", "LICENSE"], target: "./" },
      { kind: "copy", from: "dependencies", sources: ["/app/node_modules"], target: "node_modules" },
      { kind: "copy", from: "build", sources: ["/app/dist"], target: "dist" },
    ]);
  });

  it("runs no package's own script while it is built", () => {
    const installations = stages.flatMap(({ steps }) =>
      steps.flatMap((step) => (step.kind === "run" && step.command.startsWith("npm") ? [step.command] : [])),
    );
    expect(installations).to.deep.equal(["npm ci --omit=dev --ignore-scripts", "npm ci --ignore-scripts"]);
  });

  it("is given what it copies, and nothing else", () => {
    const lines = read(".dockerignore").split("\n");
    const [everything, ...given] = lines.filter((line) => line !== "" && !line.startsWith("#"));
    expect(everything).to.equal("*");
    const copied = stages.flatMap(({ steps }) =>
      copies(steps).flatMap(({ from, sources }) => (from === undefined ? sources : [])),
    );
    expect(given).to.have.members([...new Set(copied)].map((source) => `!${source}`));
    for (const source of copied) expect(existsSync(join(checkout, source)), source).to.equal(true);
  });

  it("starts Berth's webhook with the flags of the benchmark, on the default ports", () => {
    const [node, ...words] = image.entrypoint;
    expect(node).to.equal("/nodejs/bin/node");
    expect(words).to.deep.equal(["--max-semi-space-size=4", "/app/dist/main.js"]);
    expect(image.env).to.include({ MALLOC_ARENA_MAX: "1" });
    expect(read("bench/bench.ts")).to.include('const nodeFlags = ["--max-semi-space-size=4"]');
    expect(image.command).to.deep.equal(["serve"]);
    const ports = Object.entries(settingSpecs).flatMap(([name, spec]) =>
      name.endsWith("Port") && "default" in spec ? [spec.default] : [],
    );
    expect(image.ports).to.have.members(ports);
  });

  it("serves with its own files and no others", async function () {
    // Packages are installed, src is compiled, and some 7,000 files are copied.
    this.timeout(120_000);
    const env = { PATH: [dirname(process.execPath), process.env["PATH"] ?? ""].join(delimiter) };
    const script = join(checkout, "scripts", "image-tree.ts");
    const { code, stdout, stderr } = await run(process.execPath, [script], { env, timeoutMs: 110_000 });
    expect(code, stdout + stderr).to.equal(0);
    expect(stdout).to.match(/^Runs Berth (in a root of its own|with Node's permission model)/m);
    expect(stdout).to.match(
      /^Ready, counted its namespaces, served the image selector, ended on SIGTERM, and wrote nothing/m,
    );
    expect(stdout).to.match(/^Not tried, for want of a container engine:\n(- .+\n)+$/m);
  });
});
