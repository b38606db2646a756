import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import { expect } from "chai";
import { waitFor } from "./kube.ts";
import { run, startProcess } from "./process.ts";

describe("a process of a suite", () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-process-"));
  });
  after(() => rm(folder, { recursive: true, force: true }));

  const shell = (script: string, logFile: string) =>
    startProcess({ command: "/bin/sh", args: ["-c", script], logFile: join(folder, logFile) });

  it("is waited for until it writes a line", async () => {
    const child = await shell("echo started; sleep 0.2; echo listening on 8443; sleep 60", "line.log");
    const [, port] = await child.waitForLine(/listening on (\d+)/);
    expect(port).to.equal("8443");
    expect(await child.stop()).to.deep.equal({ code: null, signal: "SIGTERM" });
    expect(await child.stop()).to.deep.equal({ code: null, signal: "SIGTERM" });
  });

  it("says how it ended and what it wrote when the line never comes", async () => {
    const child = await shell("echo no such flag; exit 2", "ended.log");
    const failure = await child.waitForLine(/ready/).catch((error: unknown) => String(error));
    expect(failure).to.include("ended with exit code 2").and.to.include("no such flag");
  });

  it("is killed with what it started when it does not heed SIGTERM", async () => {
    const child = await shell("trap '' TERM; sleep 61 & echo $!; wait", "deaf.log");
    const [grandchild] = await child.waitForLine(/^\d+$/);
    expect(await child.stop(100)).to.deep.equal({ code: null, signal: "SIGKILL" });
    await waitFor("its child is gone", () => Promise.resolve(!isRunning(Number(grandchild))));
  });

  it("is stopped even while it is frozen", async () => {
    const child = await shell("echo up; sleep 62", "frozen.log");
    await child.waitForLine(/up/);
    child.signal("SIGSTOP");
    expect((await child.stop()).signal).to.equal("SIGTERM");
  });

  it("fails to start with the reason when there is no such program", async () => {
    const failure = await startProcess({
      command: "no-such-program",
      logFile: join(folder, "none.log"),
    }).catch((error: unknown) => String(error));
    expect(failure).to.include("ENOENT");
  });

  it("dies with the process that started it, even when that one is killed, and does not keep it alive", async () => {
    for (const ending of ["process.kill(process.pid, 'SIGKILL')", ""]) {
      const script = join(folder, "parent.ts");
      await writeFile(
        script,
        `import { startProcess } from ${JSON.stringify(join(import.meta.dirname, "process.ts"))};
         const child = await startProcess({ command: "sleep", args: ["63"], logFile: ${JSON.stringify(join(folder, "sleep.log"))} });
         process.stdout.write(String(child.pid), () => { ${ending} });`,
      );
      const parent = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
      let pid = "";
      parent.stdout.on("data", (chunk) => (pid += String(chunk)));
      await once(parent, "close");
      expect(Number(pid)).to.be.above(1);
      await waitFor("the child is gone", () => Promise.resolve(!isRunning(Number(pid))));
    }
  });
});

describe("a command of a suite", () => {
  it("answers with its exit code and both outputs", async () => {
    const finished = await run("/bin/sh", ["-c", 'read -r line; echo "$line $WHO"; echo no >&2; exit 3'], {
      input: "hello\n",
      env: { WHO: "world" },
    });
    expect(finished).to.deep.equal({ code: 3, stdout: "hello world\n", stderr: "no\n" });
  });
});

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  // What is dead and not yet reaped still has a number; where there is no /proc, init reaps soon enough.
  const status = `/proc/${pid}/status`;
  return !existsSync(status) || !/^State:\s*Z/m.test(readFileSync(status, "utf8"));
}
