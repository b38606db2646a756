// Compiles src to dist: Node strips types in a checkout, but not in node_modules, where an installed package lies. What
// is no code goes along as it is. A folder may be named instead of dist.

import { spawnSync } from "node:child_process";
import { cpSync, existsSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";

const root = join(import.meta.dirname, "..");
const out = resolve(process.argv[2] ?? join(root, "dist"));
const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
if (!existsSync(compiler)) {
  console.error("the compiler is not installed: run npm ci first");
  process.exit(1);
}

rmSync(out, { recursive: true, force: true });
const { status } = spawnSync(
  process.execPath,
  [compiler, "--project", "tsconfig.build.json", "--outDir", out],
  {
    cwd: root,
    stdio: "inherit",
  },
);
if (status !== 0) process.exit(status ?? 1);
cpSync(join(root, "src", "demo", "sample"), join(out, "demo", "sample"), { recursive: true });
