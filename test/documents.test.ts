// What documents say that would go stale unseen.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect } from "chai";
import { run } from "./cluster/process.ts";

const checkout = join(import.meta.dirname, "..");

describe("the documents", () => {
  it("have every setting as it is, with its value in the chart", async () => {
    const script = join(checkout, "scripts", "configuration-reference.ts");
    const { code, stderr } = await run(process.execPath, [script, "--check"]);
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: "" });
  });

  for (const file of ["SECURITY.md", "CONTRIBUTING.md"]) {
    it(`name tests and files that there are: ${file}`, () => {
      const text = readFileSync(join(checkout, file), "utf8");
      const tests = readdirSync(join(checkout, "test"), { recursive: true, encoding: "utf8" });
      const named = [...text.matchAll(/`(\w[\w./-]+)`/g)].map(([, path = ""]) => path);
      const paths = named.filter((path) => /^(test|src|scripts|docs)\//.test(path) || path.endsWith(".md"));
      expect(paths).to.not.be.empty;
      for (const path of paths) expect(existsSync(join(checkout, path)), path).to.equal(true);
      const names = new Set(tests.map((path) => basename(path)));
      const alone = named.filter((path) => !path.includes("/") && path.endsWith(".ts"));
      for (const name of alone) expect(names.has(name), name).to.equal(true);
    });
  }
});
