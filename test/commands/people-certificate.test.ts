import { expect } from "chai";
import { X509Certificate } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { selfSigned, type IssuedCertificate } from "../../src/certificates/self-signed.ts";
import {
  openCertificate,
  openPeopleCertificate,
  type OpenCertificate,
} from "../../src/commands/certificate.ts";
import type { Certificate } from "../../src/http/server.ts";
import { readSettings, type SettingName } from "../../src/settings.ts";
import { eventually } from "../eventually.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";

const settingsOf = (flags: Partial<Record<SettingName, string>> = {}) =>
  readSettings({ certificateMode: "self-signed", ...flags }, {});

describe("the certificate of the people's port", () => {
  let folder: string;
  let own: IssuedCertificate;
  let renewed: IssuedCertificate;
  let files: { readonly peopleCertificateFile: string; readonly peopleKeyFile: string };
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-people-"));
    files = { peopleCertificateFile: join(folder, "tls.crt"), peopleKeyFile: join(folder, "tls.key") };
    [own, renewed] = await Promise.all([
      selfSigned(["images.example.test"], Date.now()),
      selfSigned(["images.example.test"], Date.now()),
    ]);
  });
  after(() => rm(folder, { recursive: true }));
  beforeEach(() => write(own));

  async function write({ certificate, key }: Certificate): Promise<void> {
    await writeFile(files.peopleKeyFile, key);
    await writeFile(files.peopleCertificateFile, certificate);
  }

  it("is the webhook's, which is for the names of both Services", async () => {
    const log = createRecordingLog();
    const webhook = await openCertificate(settingsOf(), log, null);
    const people = await openPeopleCertificate(settingsOf(), log, webhook);
    const { certificate = "" } = people.current() ?? {};
    expect(certificate).to.equal(webhook.current()?.certificate);
    const leaf = new X509Certificate(certificate);
    for (const name of ["berth", "berth-people"]) {
      for (const spelling of [name, `${name}.berth-system`, `${name}.berth-system.svc`])
        expect(leaf.checkHost(spelling), spelling).to.equal(spelling);
    }
    expect(leaf.checkHost("localhost")).to.equal("localhost");
    expect(people.validities(), "told of at the webhook").to.deep.equal({});
    await people.stop();
    await webhook.stop();
  });

  /** One that Berth renews, as far as it matters here. */
  function renewedWebhook(): OpenCertificate & { renew(certificate: Certificate): void } {
    let current: Certificate | undefined;
    const listeners: ((certificate: Certificate) => void)[] = [];
    return {
      current: () => current,
      onChange: (listener) => void listeners.push(listener),
      renew(certificate) {
        current = certificate;
        for (const listener of listeners) listener(certificate);
      },
      ...{ ca: () => undefined, trust: () => undefined, validities: () => ({}), configured: () => ({}) },
      ...{ problems: () => [], stop: () => Promise.resolve() },
    };
  }

  it("follows the webhook's, from before there is one", async () => {
    const webhook = renewedWebhook();
    const people = await openPeopleCertificate(settingsOf(), createRecordingLog(), webhook);
    expect(people.current()).to.equal(undefined);
    const seen: Certificate[] = [];
    people.onChange((certificate) => seen.push(certificate));
    webhook.renew(own);
    webhook.renew(renewed);
    expect(seen).to.deep.equal([own, renewed]);
    expect(people.current()).to.equal(renewed);
  });

  it("is a pair of files where the settings name them, whatever becomes of the webhook's", async () => {
    const webhook = renewedWebhook();
    const people = await openPeopleCertificate(settingsOf(files), createRecordingLog(), webhook);
    const seen: Certificate[] = [];
    people.onChange((certificate) => seen.push(certificate));
    webhook.renew(renewed);
    expect(people.current()).to.deep.equal({ certificate: own.certificate, key: own.key });
    expect(seen).to.deep.equal([]);
    const { validFromDate, validToDate } = new X509Certificate(own.certificate);
    expect(people.validities()).to.deep.equal({
      people: { from: validFromDate.getTime(), to: validToDate.getTime() },
    });
    await people.stop();
  });

  it("is read again when the files change", async function () {
    // Files are looked at every ten seconds.
    this.timeout(30_000);
    const log = createRecordingLog();
    const people = await openPeopleCertificate(settingsOf(files), log, renewedWebhook());
    const seen: Certificate[] = [];
    people.onChange((certificate) => seen.push(certificate));
    await write(renewed);
    await eventually(() => seen.length > 0, 25_000);
    expect(seen.map(({ certificate }) => certificate)).to.deep.equal([renewed.certificate]);
    expect(people.current()?.certificate).to.equal(renewed.certificate);
    expect(JSON.stringify(log.lines)).not.to.include("PRIVATE KEY");
    await people.stop();
  });

  it("keeps Berth from starting where the files hold none", async () => {
    await writeFile(files.peopleKeyFile, "text");
    const failure = await openPeopleCertificate(
      settingsOf(files),
      createRecordingLog(),
      renewedWebhook(),
    ).then(
      () => undefined,
      (err: unknown) => err,
    );
    expect(failure)
      .to.be.an("error")
      .with.property("message")
      .match(/tls\.key: expected a private key/);
  });
});
