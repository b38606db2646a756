import { expect } from "chai";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { once } from "node:events";
import {
  listManifestFiles,
  type ManifestFile,
  readManifestFile,
  readManifestsAt,
} from "../../src/files/manifest-files.ts";
import { manifestProblemLine } from "../../src/files/manifests.ts";

let dir: string;

const pod = (name: string): string => `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}}\n`;

async function onlyFile(): Promise<ManifestFile> {
  const { files } = await listManifestFiles(dir);
  expect(files).to.have.length(1);
  return files[0]!;
}

describe("manifest files", () => {
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "berth-files-"));
  });

  afterEach(() => rmSync(dir, { recursive: true, force: true }));

  describe("the manifests of a folder", () => {
    it("are listed in the order of their paths", async () => {
      for (const name of ["b.yaml", "a.json", "a.yaml", "c.yml"]) writeFileSync(join(dir, name), "");
      mkdirSync(join(dir, "b"));
      writeFileSync(join(dir, "b/z.yaml"), "");
      const { files } = await listManifestFiles(dir);
      expect(files.map(({ path }) => path)).to.deep.equal([
        "a.json",
        "a.yaml",
        "b.yaml",
        "b/z.yaml",
        "c.yml",
      ]);
    });

    it("are not read from what is no file", async () => {
      const server = createServer().listen(join(dir, "socket.yaml"));
      await once(server, "listening");
      const { files, unreadable } = await listManifestFiles(dir);
      server.close();
      expect(files).to.deep.equal([]);
      expect(unreadable).to.deep.equal([{ path: "socket.yaml", text: "is not read: it is no regular file" }]);
    });

    it("are read as they were listed, or not at all", async () => {
      writeFileSync(join(dir, "a.yaml"), "a: 1\n");
      const listed = await onlyFile();
      expect(await readManifestFile(dir, listed)).to.deep.equal({
        kind: "read",
        bytes: new Uint8Array(Buffer.from("a: 1\n")),
      });
      writeFileSync(join(dir, "a.yaml"), "a: 1\nb: 2\n");
      expect(await readManifestFile(dir, listed)).to.deep.equal({ kind: "changed" });
      rmSync(join(dir, "a.yaml"));
      expect(await readManifestFile(dir, listed)).to.deep.equal({
        kind: "unreadable",
        text: "cannot be read: it is not there",
      });
    });
  });

  describe("manifests given by path", () => {
    it("are those of a file, whatever it is called", async () => {
      const path = join(dir, "deployment.txt");
      writeFileSync(path, pod("a"));
      const { objects, problems } = await readManifestsAt(path);
      expect(objects.map(({ source }) => source)).to.deep.equal([path]);
      expect(problems).to.deep.equal([]);
    });

    it("are those of a folder, with what is wrong among them", async () => {
      mkdirSync(join(dir, "sub"));
      writeFileSync(join(dir, "sub/a.yaml"), `${pod("a")}---\n${pod("b")}`);
      writeFileSync(join(dir, "z.yaml"), "a: [\n");
      const { objects, problems } = await readManifestsAt(dir);
      expect(objects.map(({ source }) => source.slice(dir.length + 1))).to.deep.equal([
        "sub/a.yaml: document 1",
        "sub/a.yaml: document 2",
      ]);
      expect(problems.map(({ file }) => file)).to.deep.equal([join(dir, "z.yaml")]);
    });

    it("are a problem when nothing is there", async () => {
      const { objects, problems } = await readManifestsAt(join(dir, "none.yaml"));
      expect(objects).to.deep.equal([]);
      expect(problems.map(manifestProblemLine)).to.deep.equal([
        `${join(dir, "none.yaml")}: cannot be read: it is not there`,
      ]);
    });
  });
});
