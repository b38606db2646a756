// The alert rules, on Prometheus' own engine: the files beside this one make each of them fire and stay silent.

import { accessSync, constants, readdirSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { expect } from "chai";
import { parse } from "yaml";
import { skipsAreForbidden } from "../cluster/binaries.ts";
import { run } from "../cluster/process.ts";
import { alertsFile, readAlerts } from "./monitoring-files.ts";

const unitTests = readdirSync(import.meta.dirname).filter((file) => file.endsWith(".promtool.yaml"));

interface UnitTests {
  readonly tests: readonly {
    readonly name: string;
    readonly promql_expr_test: readonly {
      readonly exp_samples: readonly { readonly labels: string }[];
    }[];
  }[];
}

describe("the alert rules", () => {
  const cases = unitTests.flatMap(
    (file) => (parse(readFileSync(join(import.meta.dirname, file), "utf8")) as UnitTests).tests,
  );

  for (const { alert } of readAlerts()) {
    it(`are tried where ${alert} fires, and where it stays silent`, () => {
      const fires = cases.filter(({ promql_expr_test: looks }) =>
        looks.some(({ exp_samples: firing }) => firing.some(({ labels }) => labels.includes(`"${alert}"`))),
      );
      const named = (word: string) => cases.filter(({ name }) => name.startsWith(`${alert} ${word}`));
      expect(fires, "fires").not.to.be.empty;
      expect(named("stays silent"), "stays silent").not.to.be.empty;
      for (const { name, promql_expr_test: looks } of named("stays silent")) {
        expect(looks, name).not.to.be.empty;
        for (const { exp_samples: firing } of looks) expect(firing, name).to.deep.equal([]);
      }
    });
  }

  describe("by promtool", function () {
    this.timeout(120_000);

    before(function () {
      if (isOnPath("promtool")) return;
      if (skipsAreForbidden()) throw new Error("promtool is missing, and skipping is forbidden");
      this.skip();
    });

    it("are valid (promtool check rules; Debian's package prometheus brings promtool)", async () => {
      const { code, stdout, stderr } = await run("promtool", ["check", "rules", "--lint-fatal", alertsFile]);
      expect(code, stdout + stderr).to.equal(0);
    });

    for (const file of unitTests) {
      it(`fire and stay silent as ${file} says (promtool test rules)`, async () => {
        const { code, stdout, stderr } = await run("promtool", [
          "test",
          "rules",
          join(import.meta.dirname, file),
        ]);
        expect(code, stdout + stderr).to.equal(0);
      });
    }
  });
});

function isOnPath(command: string): boolean {
  return (process.env["PATH"] ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return folder !== "";
    } catch {
      return false;
    }
  });
}
