// Compiles src to dist: Node strips types in a checkout, but not in node_modules, where an installed package lies. What
// is no code goes along as it is. A folder may be named instead of dist.

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(import.meta.dirname, "..");
const out = resolve(process.argv[2] ?? join(root, "dist"));
const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
if (!existsSync(compiler)) {
  console.error("the compiler is not installed: run npm ci first");
  process.exit(1);
}

rmSync(out, { recursive: true, force: true });
compile("--project", "tsconfig.build.json", "--outDir", out);
// Its scripts run in the browser, so it has a project of its own; the rest is as for the others.
compile(
  ...["--project", "src/page", "--outDir", out, "--rootDir", "src"],
  ...["--noEmit", "false", "--rewriteRelativeImportExtensions"],
);
cpSync(join(root, "src", "demo", "sample"), join(out, "demo", "sample"), { recursive: true });
for (const name of ["index.html", "berth.css"])
  cpSync(join(root, "src", "page", name), join(out, "page", name));
// Its package is twenty megabytes, of which the page needs one file.
const styleSheet = fileURLToPath(import.meta.resolve("@picocss/pico/css/pico.min.css"));
cpSync(styleSheet, join(out, "page", "pico.min.css"));

function compile(...args: readonly string[]): void {
  const { status } = spawnSync(process.execPath, [compiler, ...args], { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
