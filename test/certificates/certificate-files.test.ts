import { expect } from "chai";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  readCertificateFiles,
  watchCertificateFiles,
  type CertificateFiles,
  type ReadCertificate,
} from "../../src/certificates/certificate-files.ts";
import { selfSigned, type IssuedCertificate } from "../../src/certificates/self-signed.ts";
import { eventually } from "../eventually.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";

describe("certificate files", () => {
  let first: IssuedCertificate;
  let second: IssuedCertificate;
  let folder: string;
  let files: CertificateFiles;

  before(async () => {
    [first, second] = await Promise.all([
      selfSigned(["localhost"], Date.now()),
      selfSigned(["localhost"], Date.now()),
    ]);
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-certificate-"));
    files = { certificateFile: join(folder, "tls.crt"), keyFile: join(folder, "tls.key") };
    await write(first.certificate, first.key);
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function write(certificate: string, key: string): Promise<void> {
    await writeFile(files.keyFile, key);
    await writeFile(files.certificateFile, certificate);
  }

  async function problem(): Promise<string> {
    try {
      await readCertificateFiles(files);
      return "none";
    } catch (err) {
      return err instanceof Error ? err.message : String(err);
    }
  }

  it("hold a certificate with what leads to its CA, and its key", async () => {
    await write(first.certificate + first.ca, first.key);
    expect(await readCertificateFiles(files)).to.deep.equal({
      certificate: first.certificate + first.ca,
      key: first.key,
    });
  });

  const rows: readonly [what: string, spoil: () => Promise<void>, words: RegExp][] = [
    [
      "the certificate is missing",
      () => rm(files.certificateFile),
      /^read the certificate in .*tls\.crt: ENOENT/,
    ],
    ["the key is missing", () => rm(files.keyFile), /^read the private key in .*tls\.key: ENOENT/],
    ["the certificate is none", () => write("text", first.key), /tls\.crt: expected a certificate in PEM$/],
    ["the key is none", () => write(first.certificate, "text"), /tls\.key: expected a private key in PEM/],
    [
      "the key is another certificate's",
      () => write(first.certificate, second.key),
      /tls\.key: this is not the key of the certificate in .*tls\.crt$/,
    ],
  ];
  for (const [what, spoil, words] of rows) {
    it(`are refused when ${what}, without a word of the key`, async () => {
      await spoil();
      const message = await problem();
      expect(message).to.match(words);
      expect(message).not.to.include(first.key.slice(40, 80));
    });
  }

  describe("while they are watched", () => {
    let changes: ReadCertificate[];
    let log: ReturnType<typeof createRecordingLog>;
    let watch: ReturnType<typeof watchCertificateFiles>;
    beforeEach(() => {
      changes = [];
      log = createRecordingLog();
      const onChange = (certificate: ReadCertificate) => changes.push(certificate);
      const inService = { certificate: first.certificate, key: first.key };
      watch = watchCertificateFiles(files, inService, { log, onChange, everyMs: 5 });
    });
    afterEach(() => watch.stop());

    it("bring what is new into service, once", async () => {
      await write(second.certificate, second.key);
      await eventually(() => changes.length > 0);
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(changes.map(({ certificate }) => certificate)).to.deep.equal([second.certificate]);
      expect(log.lines.at(-1)?.text).to.equal("a new certificate is in service");
      expect(JSON.stringify(log.lines)).not.to.include("PRIVATE KEY");
    });

    it("leave the last good one in service while they are half written, and take the whole when it is there", async () => {
      await writeFile(files.keyFile, second.key);
      await eventually(() => log.lines.some(({ level }) => level === "warn"));
      expect(changes).to.deep.equal([]);
      await writeFile(files.certificateFile, second.certificate);
      await eventually(() => changes.length === 1);
      expect(changes[0]).to.deep.equal({ certificate: second.certificate, key: second.key });
    });

    it("are read no more when the watch has stopped", async () => {
      await watch.stop();
      await write(second.certificate, second.key);
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(changes).to.deep.equal([]);
    });
  });
});
