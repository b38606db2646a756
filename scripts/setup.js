// Makes a fresh clone ready: installs the dependencies when the lock file is not the one installed last, and
// checks that scripts will run on Node 24. Plain JavaScript for whatever Node (20 or newer) the machine has.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const stampFile = join(root, "node_modules", ".berth-setup");
const lock = createHash("sha256")
  .update(readFileSync(join(root, "package-lock.json")))
  .digest("hex");

const installed = existsSync(stampFile) ? readFileSync(stampFile, "utf8") : undefined;
if (installed !== lock) {
  process.stderr.write("Installing the dependencies (npm ci) …\n");
  const npm = spawnSync("npm", ["ci", "--no-fund", "--no-audit", "--loglevel=error"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
  });
  if (npm.status !== 0) {
    process.stderr.write("npm ci failed; its message is above.\n");
    process.exit(1);
  }
}

// The scripts find this Node first on their PATH: the npm package `node` is a real Node binary.
const local = join(root, "node_modules", ".bin", process.platform === "win32" ? "node.cmd" : "node");
const node = existsSync(local) ? local : "node";
const version = spawnSync(node, ["--version"], { encoding: "utf8" }).stdout?.trim() ?? "";
if (!version.startsWith("v24.")) {
  process.stderr.write(
    `Berth needs Node 24 to run from a checkout; found ${version || "none"} at ${node}. ` +
      "The npm package `node` brings it: check that its install script may run " +
      '("allowScripts" in package.json), or install Node 24 yourself.\n',
  );
  process.exit(1);
}
writeFileSync(stampFile, lock);
