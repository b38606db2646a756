import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { expect } from "chai";

// The import rules of ARCHITECTURE.md, read from the import lines themselves.

const src = join(import.meta.dirname, "..", "src");
const floorOne = [
  "settings.ts",
  "log.ts",
  "metrics.ts",
  "loop.ts",
  "state.ts",
  "worker-desk.ts",
  "token-bucket.ts",
  "http-exchange.ts",
  "gather.ts",
  "digest.ts",
  "waiting.ts",
];
const adapters = ["kubernetes", "harbor", "registry", "certificates", "files", "demo"];

/** Folder → what it may import: folders of src, files of src's root, packages. A trailing `*` allows any. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  domain: ["domain", "zod", "yaml"],
  "settings.ts": ["domain", "zod"],
  "log.ts": ["domain", "pino"],
  "metrics.ts": ["domain", "prom-client"],
  "loop.ts": ["domain", "log.ts"],
  "state.ts": ["domain"],
  "token-bucket.ts": ["domain"],
  "digest.ts": ["node:*"],
  "gather.ts": [],
  "waiting.ts": [],
  "http-exchange.ts": ["domain", "node:*"],
  "worker-desk.ts": ["domain", "loop.ts", "node:*"],
  kubernetes: ["kubernetes", "domain", ...floorOne, "@kubernetes/client-node", "lru-cache", "node:*"],
  harbor: ["harbor", "domain", ...floorOne, "lru-cache", "node:*"],
  registry: ["registry", "domain", ...floorOne, "lru-cache", "node:*"],
  certificates: ["certificates", "domain", ...floorOne, "node-forge", "node:*"],
  files: ["files", "domain", ...floorOne, "yaml", "node:*"],
  demo: ["demo", "domain", ...floorOne, "yaml", "node-forge", "node:*"],
  feeds: ["feeds", "domain", ...floorOne],
  reconcilers: ["reconcilers", "domain", ...floorOne],
  http: ["http", "domain", ...floorOne, "express", "lru-cache", "zod", "node:*"],
  // Runs in the browser: of the rest of the house it knows the shapes of the API, as types.
  page: ["page", "preact", "http/people-shapes.ts"],
  commands: ["*"],
  "main.ts": ["*"],
};

const files = readdirSync(src, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"));

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

function importsOf(file: string): readonly Import[] {
  const text = readFileSync(join(src, file), "utf8");
  const statements = text.matchAll(
    /^(?:import|export)\s+(type\s+)?[^;]*?from\s+"([^"]+)"|import\("([^"]+)"\)/gm,
  );
  return [...statements].map(([, type, from, dynamic]) => {
    const specifier = from ?? dynamic ?? "";
    const target = specifier.startsWith(".")
      ? relative(src, resolve(dirname(join(src, file)), specifier))
      : specifier;
    return { file, target, typeOnly: type !== undefined };
  });
}

const place = (file: string): string => file.split("/")[0] ?? file;

describe("the floors of the house", () => {
  for (const file of files) {
    it(`${file} imports only what its floor may`, () => {
      const allowed = mayImport[place(file)];
      expect(allowed, `no rule for ${place(file)}`).to.not.equal(undefined);
      const forbidden = importsOf(file).filter(({ target, typeOnly }) => {
        if (allowed?.includes("*")) return false;
        // Types of the Kubernetes client cost nothing at run time.
        if (target === "@kubernetes/client-node" && typeOnly) return false;
        if (target.startsWith("node:") && allowed?.includes("node:*")) return false;
        const packageOrPlace = target.startsWith("@") ? target : place(target);
        return !allowed?.some((name) => packageOrPlace === name || target === name);
      });
      expect(forbidden.map(({ target }) => target)).to.deep.equal([]);
    });
  }

  it("only main.ts and commands/ import what reaches an outside system", () => {
    const strangers = files
      .filter((file) => !["main.ts", "commands", ...adapters].includes(place(file)))
      .flatMap(importsOf)
      .filter(({ target }) => adapters.includes(place(target)));
    expect(strangers).to.deep.equal([]);
  });

  it("folders are one level deep and no two files share a base name", () => {
    expect(files.filter((file) => file.split("/").length > 2)).to.deep.equal([]);
    const names = files.map((file) => file.split("/").at(-1) ?? file);
    expect(names.filter((name, index) => names.indexOf(name) !== index)).to.deep.equal([]);
  });

  it("nothing but settings.ts reads the environment", () => {
    const readers = files.filter((file) => readFileSync(join(src, file), "utf8").includes("process.env"));
    expect(readers.filter((file) => file !== "settings.ts")).to.deep.equal([]);
  });

  it("the domain has no clock and no randomness", () => {
    const found = files
      .filter((file) => place(file) === "domain")
      .filter((file) =>
        /Date\.now|new Date\(\)|performance\.|Math\.random|setTimeout|process\./.test(
          readFileSync(join(src, file), "utf8"),
        ),
      );
    expect(found).to.deep.equal([]);
  });
});
