// The files of the page for people, by the address at which each is served. They are read once, all of them, and nothing
// else of the disk ever is: what a request names is looked up and never becomes a path.

import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";

export interface PageFile {
  readonly body: Buffer;
  readonly type: string;
  /** As the header has it, with its quotes. */
  readonly etag: string;
}

export type PageFiles = ReadonlyMap<string, PageFile>;

/** What lies beside the page's code and is none of its files is not served. */
const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".ts": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
};

/** Packages of the page, by what its code calls them. An import map would be an inline script, which is forbidden. */
const packages: Readonly<Record<string, string>> = {
  preact: "/page/preact.mjs",
  "preact/hooks": "/page/preact-hooks.mjs",
};
const styleSheet = { address: "/page/pico.min.css", specifier: "@picocss/pico/css/pico.min.css" };
const pageFolder = join(import.meta.dirname, "..", "page");

/** Reads the page when it is first asked for. */
export function createPageFiles(folder = pageFolder): () => PageFiles {
  let files: PageFiles | undefined;
  return () => (files ??= loadPageFiles(folder));
}

/** A checkout holds TypeScript, of which the types are stripped; a build holds JavaScript and the style sheet. */
export function loadPageFiles(folder = pageFolder): PageFiles {
  const files = new Map<string, PageFile>();
  const add = (address: string, extension: string, text: string): void => {
    const type = types[extension];
    if (type === undefined) return;
    const body = Buffer.from(text);
    const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
    files.set(address, { body, type, etag });
  };
  const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile());
  for (const { name } of names) {
    const text = readFileSync(join(folder, name), "utf8");
    const address = name === "index.html" ? "/" : `/page/${name}`;
    add(
      address,
      extname(name),
      servable(
        name,
        text,
        names.some((other) => other.name === "start.js"),
      ),
    );
  }
  for (const [specifier, address] of Object.entries(packages))
    add(address, ".mjs", withAddresses(textOf(specifier)));
  if (!files.has(styleSheet.address)) add(styleSheet.address, ".css", textOf(styleSheet.specifier));
  return files;
}

function servable(name: string, text: string, isBuilt: boolean): string {
  switch (extname(name)) {
    case ".html":
      return isBuilt ? text.replace("/page/start.ts", "/page/start.js") : text;
    case ".ts":
      return withAddresses(stripTypeScriptTypes(text, { mode: "strip" }));
    case ".js":
      return withAddresses(text);
    default:
      return text;
  }
}

/** `from "preact"` and `from"preact"` get the address at which the package is served. */
function withAddresses(code: string): string {
  return (
    code
      .replaceAll(
        /\bfrom(\s*)"(preact(?:\/hooks)?)"/g,
        (_, blank: string, name: string) => `from${blank}"${packages[name] ?? name}"`,
      )
      // What it names is not served.
      .replaceAll(/^\/\/# sourceMappingURL=.*$/gm, "")
  );
}

function textOf(specifier: string): string {
  return readFileSync(fileURLToPath(import.meta.resolve(specifier)), "utf8");
}
