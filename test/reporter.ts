// Mocha's own report and, at its end, by name what did not run: a pending line in the middle of a thousand others
// is overlooked. For scripts it writes `passed failed pending` into the file that `BERTH_TEST_COUNTS` names.

import { writeFileSync } from "node:fs";
import Mocha from "mocha";

export default function reporter(runner: Mocha.Runner, options: Mocha.MochaOptions): Mocha.reporters.Base {
  const notRun: string[] = [];
  runner.on("pending", (test) => notRun.push(test.titlePath().join(" › ")));
  const spec = new Mocha.reporters.Spec(runner, options);
  // After Spec's own listener, so that this is the last that is read.
  runner.once("end", () => {
    if (notRun.length > 0) {
      Mocha.reporters.Base.consoleLog(
        [`  NOT RUN (${notRun.length}):`, ...notRun.map((title) => `    - ${title}`), ""].join("\n"),
      );
    }
    const { passes, failures, pending } = spec.stats;
    const countsFile = process.env["BERTH_TEST_COUNTS"];
    if (countsFile !== undefined) writeFileSync(countsFile, `${passes} ${failures} ${pending}\n`);
  });
  return spec;
}
