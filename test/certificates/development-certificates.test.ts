import { expect } from "chai";
import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtemp, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { readCertificateFiles } from "../../src/certificates/certificate-files.ts";

const run = promisify(execFile);
const certs = join(import.meta.dirname, "../../certs");

describe("certs/make.ts", () => {
  let folder: string;
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), "berth-certs-"))));
  afterEach(() => rm(folder, { recursive: true }));
  const make = (...names: readonly string[]) =>
    run(process.execPath, [join(certs, "make.ts"), "--into", folder, ...names]);

  it("makes what Berth can serve, for localhost, with a key that only its maker can read", async () => {
    await make();
    const files = { certificateFile: join(folder, "tls.crt"), keyFile: join(folder, "tls.key") };
    const { certificate } = await readCertificateFiles(files);
    const leaf = new X509Certificate(certificate);
    expect(leaf.checkHost("localhost")).to.equal("localhost");
    const ca = new X509Certificate(await readFile(join(folder, "ca.crt")));
    expect([leaf.checkIssued(ca), leaf.verify(ca.publicKey)]).to.deep.equal([true, true]);
    expect((await stat(files.keyFile)).mode & 0o777).to.equal(0o600);
  });

  it("makes it for the names that it is given, and says so", async () => {
    const { stdout } = await make("10.0.0.5", "berth.test");
    expect(stdout).to.include("for 10.0.0.5, berth.test");
    const leaf = new X509Certificate(await readFile(join(folder, "tls.crt")));
    expect([leaf.checkIP("10.0.0.5"), leaf.checkHost("localhost")]).to.deep.equal(["10.0.0.5", undefined]);
  });

  it("makes what no commit takes in", async () => {
    const lines = (await readFile(join(certs, ".gitignore"), "utf8"))
      .split("\n")
      .filter((line) => !line.startsWith("#"));
    expect(lines.filter((line) => line !== "")).to.deep.equal(["*", "!.gitignore", "!README.md", "!make.ts"]);
  });
});
