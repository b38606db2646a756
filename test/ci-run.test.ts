// How .ci/run adds up, with an npm, an apt-get and a sudo that do nothing but what a case says.

import { copyFile, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { run } from "./cluster/process.ts";

const script = join(import.meta.dirname, "..", ".ci", "run");

interface Case {
  readonly title: string;
  readonly check?: string;
  readonly test?: string;
  readonly cluster?: string;
  readonly coverage?: string;
  readonly aptGet?: string;
  readonly lastLine: string;
  readonly code: number;
}

const counted = (counts: string, code = 0) => `echo ${counts} >"$BERTH_TEST_COUNTS"; exit ${code}`;
const green = {
  check: "exit 0",
  test: counted("400 0 1"),
  cluster: counted("12 0 0"),
  coverage: "exit 0",
  aptGet: "exit 0",
};

const cases: Case[] = [
  { title: "adds the suites up", lastLine: "412 passed, 0 failed", code: 0 },
  {
    title: "counts a failed check, and runs the rest",
    check: "exit 1",
    lastLine: "412 passed, 1 failed",
    code: 1,
  },
  { title: "adds failures up", test: counted("398 2 1", 2), lastLine: "410 passed, 2 failed", code: 1 },
  {
    title: "counts a suite without counts as a failure",
    cluster: "exit 1",
    lastLine: "400 passed, 1 failed",
    code: 1,
  },
  {
    title: "does so even if it says that all is well",
    test: "exit 0",
    lastLine: "12 passed, 1 failed",
    code: 1,
  },
  {
    title: "does not take rubbish for counts",
    test: counted("many 0"),
    lastLine: "12 passed, 1 failed",
    code: 1,
  },
  { title: "counts too little coverage", coverage: "exit 1", lastLine: "412 passed, 1 failed", code: 1 },
  {
    title: "believes an exit code",
    cluster: counted("12 0 0", 7),
    lastLine: "412 passed, 1 failed",
    code: 1,
  },
  {
    title: "counts packages that cannot be had",
    aptGet: "exit 100",
    lastLine: "412 passed, 1 failed",
    code: 1,
  },
];

describe(".ci/run", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-ci-"));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  /** A copy outside the checkout, with nothing on its PATH but fakes and the tools that it needs itself. */
  async function runCopy(steps: typeof green) {
    const bin = join(folder, "bin");
    await mkdir(bin);
    const fake = (name: string, text: string) =>
      writeFile(join(bin, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    await fake(
      "npm",
      `echo "$* $BERTH_TEST_NO_CLUSTER $BERTH_TEST_FORBID_SKIPS" >>${join(folder, "steps")}
      case "$*" in
        "run check") ${steps.check} ;;
        test) ${steps.test} ;;
        "run test:cluster") ${steps.cluster} ;;
        "run coverage") ${steps.coverage} ;;
      esac`,
    );
    await fake("apt-get", `echo "$*" >>${join(folder, "packages")}\n${steps.aptGet}`);
    await fake("sudo", 'exec "$@"');
    for (const tool of ["bash", "dirname", "env", "id", "mktemp", "rm", "timeout"]) {
      await symlink(await whereIs(tool), join(bin, tool));
    }
    await mkdir(join(folder, ".ci"));
    await copyFile(script, join(folder, ".ci", "run"));
    return run(join(bin, "bash"), [join(folder, ".ci", "run")], {
      env: { PATH: bin, BERTH_TEST_NO_CLUSTER: undefined, BERTH_TEST_FORBID_SKIPS: undefined },
    });
  }

  for (const { title, lastLine, code, ...steps } of cases) {
    it(title, async () => {
      const finished = await runCopy({ ...green, ...steps });
      expect(finished.stdout.trimEnd().split("\n").at(-1), finished.stdout).to.equal(lastLine);
      expect(finished.code).to.equal(code);
      expect((await readFile(join(folder, "steps"), "utf8")).split("\n").slice(0, -1)).to.deep.equal([
        "run check  ",
        "test 1 1",
        "run test:cluster  1",
        "run coverage  ",
      ]);
    });
  }

  it("installs what is missing for the tests, and nothing else that Debian would like to", async () => {
    await runCopy(green);
    const [update, install] = (await readFile(join(folder, "packages"), "utf8")).split("\n");
    expect(update).to.equal("update");
    // Go may be there without a package, and then is found.
    expect(install).to.match(
      /^install -y --no-install-recommends (golang-go )?wrk docker-registry skopeo prometheus chromium$/,
    );
  });
});

async function whereIs(tool: string): Promise<string> {
  return (await run("/bin/sh", ["-c", `command -v ${tool}`])).stdout.trim();
}
