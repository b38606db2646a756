import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { createPageFiles, loadPageFiles, type PageFiles } from "../../src/http/page-files.ts";

const text = (files: PageFiles, address: string): string => files.get(address)?.body.toString() ?? "";

describe("the files of the page", () => {
  const files = loadPageFiles();

  it("hold all that they refer to", () => {
    const references = [...files.values()].flatMap(({ body }) => {
      const found = body.toString().matchAll(/(?:from\s*|src=|href=)"(\.{0,2}\/[^"]+)"/g);
      return [...found].map(([, reference = ""]) => new URL(reference, "https://berth.test/page/").pathname);
    });
    expect(references).to.include.members([
      "/page/start.ts",
      "/page/preact.mjs",
      "/page/preact-hooks.mjs",
      "/page/app.ts",
    ]);
    expect(references.filter((address) => !files.has(address))).to.deep.equal([]);
  });

  it("name no package and hold no types, since a browser knows neither", () => {
    const scripts = [...files].filter(([, { type }]) => type.startsWith("text/javascript"));
    expect(scripts.length).to.be.greaterThan(10);
    for (const [address, { body }] of scripts) {
      expect(body.toString(), address).not.to.match(/from\s*"[^./]/);
      expect(body.toString(), address).not.to.match(/^(?:import type|interface|export interface) /m);
      expect(body.toString(), address).not.to.include("sourceMappingURL");
    }
  });

  it("are served as what they are, with a tag that changes with them", () => {
    expect(files.get("/")?.type).to.equal("text/html; charset=utf-8");
    expect(files.get("/page/pico.min.css")?.type).to.equal("text/css; charset=utf-8");
    expect(files.get("/page/app.ts")?.type).to.equal("text/javascript; charset=utf-8");
    const tags = [...files.values()].map(({ etag }) => etag);
    expect(new Set(tags).size).to.equal(files.size);
    for (const tag of tags) expect(tag).to.match(/^"[\w-]{22}"$/);
  });

  it("are these and no others: nothing that a request names becomes a path", () => {
    expect(files.has("/page/tsconfig.json")).to.equal(false);
    for (const address of files.keys()) expect(address).to.match(/^\/(?:page\/[a-z][a-z.-]*)?$/);
  });

  it("are read once, when they are first asked for", () => {
    const page = createPageFiles();
    expect(page()).to.equal(page());
  });

  describe("of a build", () => {
    const folder = mkdtempSync(join(tmpdir(), "berth-page-"));
    after(() => rmSync(folder, { recursive: true }));

    it("are JavaScript with the style sheet beside it, and are found by their own names", () => {
      writeFileSync(join(folder, "index.html"), '<script type="module" src="/page/start.ts"></script>');
      writeFileSync(
        join(folder, "start.js"),
        'import { h } from "preact";\nimport { useState } from "preact/hooks";\n',
      );
      writeFileSync(join(folder, "pico.min.css"), "body {}");
      writeFileSync(join(folder, "secret"), "");
      symlinkSync("/etc/passwd", join(folder, "passwd.html"));
      const built = loadPageFiles(folder);
      expect([...built.keys()]).to.have.members([
        ...["/", "/page/start.js", "/page/pico.min.css"],
        ...["/page/preact.mjs", "/page/preact-hooks.mjs"],
      ]);
      expect(text(built, "/")).to.equal('<script type="module" src="/page/start.js"></script>');
      expect(text(built, "/page/start.js")).to.equal(
        'import { h } from "/page/preact.mjs";\nimport { useState } from "/page/preact-hooks.mjs";\n',
      );
      expect(text(built, "/page/pico.min.css")).to.equal("body {}");
    });
  });
});
