import { expect } from "chai";
import { createServer, type Server } from "node:net";
import type { AddressInfo } from "node:net";
import { newCa, newLeaf } from "../../src/certificates/authority.ts";
import { selfSigned, type IssuedCertificate } from "../../src/certificates/self-signed.ts";
import { dialWebhook, startSelfCheck, type Dialled, type SelfCheck } from "../../src/http/self-check.ts";
import { startWebhookServer, type Certificate, type WebhookServer } from "../../src/http/server.ts";
import { silentLog } from "../../src/log.ts";
import { eventually } from "../eventually.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";

const name = "berth.berth-system.svc";
const { signal } = new AbortController();

describe("the check of the webhook's own port", () => {
  let issued: IssuedCertificate;
  let other: IssuedCertificate;
  let expired: IssuedCertificate;
  let server: WebhookServer;
  let failures: number[];
  before(async () => {
    [issued, other] = await Promise.all([
      selfSigned([name, "127.0.0.1", "::1"], Date.now()),
      selfSigned([name], Date.now()),
    ]);
    const ca = await newCa(365 * 86_400_000, Date.now() - 86_400_000);
    expired = { ...(await newLeaf(ca, [name], 60_000, Date.now() - 3_600_000)), ca: ca.certificate };
  });
  async function start(certificate: Certificate | undefined, clientCa?: string): Promise<void> {
    failures = [];
    server = await startWebhookServer(
      {
        admission: () => ({ status: 200, body: "{}" }),
        certificate,
        ...(clientCa === undefined ? {} : { clientCa }),
        log: silentLog,
        failed: (status) => void failures.push(status),
      },
      { port: 0, host: "127.0.0.1" },
    );
  }
  afterEach(() => server.drain(0));

  const at = (more: Partial<Dialled> = {}): Dialled => ({
    ...{ host: "127.0.0.1", port: server.port, ca: issued.ca, name, wantsClientCertificate: false },
    ...more,
  });
  async function failureOf(dialled: Dialled): Promise<string | undefined> {
    try {
      await dialWebhook(dialled, signal);
      return undefined;
    } catch (err) {
      return err instanceof Error ? err.message : String(err);
    }
  }

  it("is content with an answer over TLS by the name that the API server calls, and counts as no failed call", async () => {
    await start(issued);
    expect(await failureOf(at())).to.equal(undefined);
    expect(await failureOf(at({ ca: other.ca + issued.ca }))).to.equal(undefined);
    expect(failures).to.deep.equal([]);
  });

  const faults: readonly [
    what: string,
    more: () => Partial<Dialled>,
    served: () => Certificate,
    words: RegExp,
  ][] = [
    ["of a CA that the API server does not have", () => ({}), () => other, /certificate/],
    ["for another name", () => ({ name: "gate.berth-system.svc" }), () => issued, /gate\.berth-system\.svc/],
    ["for another address", () => ({ name: "10.0.0.5" }), () => issued, /10\.0\.0\.5/],
    ["that has expired", () => ({ ca: expired.ca }), () => expired, /expired/],
  ];
  for (const [what, more, served, words] of faults) {
    it(`is not content with a certificate ${what}`, async () => {
      await start(served());
      expect(await failureOf(at(more()))).to.match(words);
    });
  }

  it("asks by an address as well as by a name", async () => {
    await start(issued);
    for (const address of ["127.0.0.1", "::1"])
      expect(await failureOf(at({ name: address }))).to.equal(undefined);
  });

  it("trusts a certificate whose CA it does not know as it is, but for its dates", async () => {
    await start(issued);
    const asItIs = { ca: issued.certificate, name: undefined };
    expect(await failureOf(at(asItIs))).to.equal(undefined);
    expect(await failureOf(at({ ...asItIs, ca: other.certificate }))).to.match(/certificate/);
    await server.drain(0);
    await start(expired);
    expect(await failureOf(at({ ...asItIs, ca: expired.certificate }))).to.match(/expired/);
  });

  it("sees no more than the handshake where clients must have a certificate", async () => {
    await start(issued, other.ca);
    expect(await failureOf(at({ wantsClientCertificate: true }))).to.equal(undefined);
    expect(await failureOf(at({ wantsClientCertificate: true, ca: other.ca }))).to.match(/certificate/);
    expect(await failureOf(at())).to.be.a("string");
  });

  it("does not wait for ever where nobody answers", async () => {
    await start(issued);
    const mute: Server = createServer(() => undefined).listen(0, "127.0.0.1");
    await new Promise((resolve) => mute.once("listening", resolve));
    const { port } = mute.address() as AddressInfo;
    const failure: unknown = await dialWebhook(at({ port }), signal, 50).catch((err: unknown) => err);
    expect(String(failure)).to.match(/aborted/i);
    mute.close();
  });

  it("ends when it is told to", async () => {
    await start(undefined);
    const aborter = new AbortController();
    aborter.abort();
    const failure: unknown = await dialWebhook(at(), aborter.signal).catch((err: unknown) => err);
    expect(failure).to.be.an("error");
  });

  describe("that goes on", () => {
    let check: SelfCheck;
    afterEach(() => check.stop());
    const startCheck = (dialled: () => Dialled | undefined, log = createRecordingLog()): void => {
      check = startSelfCheck({ dialled, log });
    };

    it("has a problem until the port has answered: without a certificate nobody is answered", async () => {
      await start(undefined);
      startCheck(() => at());
      expect(check.problem()).to.match(/has not answered yet/);
      await eventually(() => check.problem()?.includes("does not answer as the API server asks") === true);
      server.replaceCertificate(issued);
      check.again();
      await check.passed;
      expect(check.problem()).to.equal(undefined);
    });

    it("does not dial while there is nothing to serve", async () => {
      await start(issued);
      const targets: Dialled[] = [];
      const log = createRecordingLog();
      startCheck(() => targets[0], log);
      await new Promise((resolve) => setTimeout(resolve, 30));
      expect(log.lines).to.deep.equal([]);
      targets.push(at());
      check.again();
      await check.passed;
    });

    it("looks again after a change, and is not content with a worse certificate", async () => {
      await start(issued);
      startCheck(() => at());
      await check.passed;
      server.replaceCertificate(other);
      expect(check.problem()).to.equal(undefined);
      check.again();
      await eventually(() => check.problem()?.includes("certificate") === true);
      server.replaceCertificate(issued);
      await eventually(() => check.problem() === undefined);
    });
  });
});
