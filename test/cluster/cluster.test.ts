// Lets `npm test` run the shorter suites against a real API server when its binaries are there already. It never
// builds them, and says by name what was not run.

import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { cacheFolder, findBinaries, requiredBinaries, skipsAreForbidden } from "./binaries.ts";

const suites = readdirSync(import.meta.dirname).filter((file) => file.endsWith(".cluster.ts"));
/** Minutes each: what they show takes that long, such as a robot's last two minutes. */
const longSuites = ["certificates", "chart", "cleanup", "registries", "replicas"].map(
  (name) => `${name}.cluster.ts`,
);
// Synchronous, as `describe` is, and with errors that name the suite that does not load.
const load = createRequire(import.meta.url);

describe("against a real API server", function () {
  this.timeout(120_000); // as in .mocharc.cluster.json

  const leftOut = process.env["BERTH_TEST_NO_CLUSTER"] === "1";
  const missing = requiredBinaries.filter((name) => findBinaries().missing.includes(name));
  if (leftOut) {
    it(`LEFT OUT by BERTH_TEST_NO_CLUSTER: ${suites.join(", ")}; \`npm run test:cluster\` runs them`);
  } else if (missing.length === 0) {
    const short = suites.filter((suite) => !longSuites.includes(suite));
    for (const suite of short) load(join(import.meta.dirname, suite));
    it(`LEFT to \`npm run test:cluster\`, since they take minutes: ${longSuites.join(", ")}`);
  } else if (skipsAreForbidden()) {
    it(`runs ${suites.join(", ")}`, () => {
      throw new Error(`${missing.join(" and ")} missing in ${cacheFolder()}, and skipping is forbidden`);
    });
  } else {
    it(
      `NOT RUN: ${suites.join(", ")}; without ${missing.join(" and ")}. ` +
        "`npm run test:cluster` builds what is missing and runs them",
    );
  }
});
