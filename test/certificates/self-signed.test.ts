import { expect } from "chai";
import { X509Certificate } from "node:crypto";
import { createSecureContext } from "node:tls";
import { serialNumberOf } from "../../src/certificates/authority.ts";
import { selfSigned, type IssuedCertificate } from "../../src/certificates/self-signed.ts";

const now = Date.UTC(2030, 0, 15);

describe("a self-signed certificate", () => {
  let issued: IssuedCertificate;
  let leaf: X509Certificate;
  let ca: X509Certificate;
  before(async () => {
    issued = await selfSigned(["localhost", "berth.berth-system.svc", "127.0.0.1", "::1"], now);
    leaf = new X509Certificate(issued.certificate);
    ca = new X509Certificate(issued.ca);
  });

  it("is for the names and addresses that were asked for, and for no others", () => {
    expect(leaf.checkHost("localhost")).to.equal("localhost");
    expect(leaf.checkHost("berth.berth-system.svc")).to.equal("berth.berth-system.svc");
    expect(leaf.checkIP("127.0.0.1")).to.equal("127.0.0.1");
    expect(leaf.checkIP("::1")).to.equal("::1");
    expect(leaf.checkHost("example.test")).to.equal(undefined);
  });

  it("is signed by its CA, which is a CA, while it is none", () => {
    expect(leaf.verify(ca.publicKey)).to.equal(true);
    expect([ca.ca, leaf.ca]).to.deep.equal([true, false]);
    expect(leaf.checkIssued(ca)).to.equal(true);
  });

  it("holds from a little before now, for clocks that are behind, to a year from now", () => {
    for (const certificate of [leaf, ca]) {
      expect(new Date(certificate.validFrom).getTime()).to.equal(now - 3_600_000);
      expect(new Date(certificate.validTo).getTime()).to.equal(now + 365 * 86_400_000);
    }
  });

  it("can be served with its key", () => {
    expect(() => createSecureContext({ cert: issued.certificate, key: issued.key })).not.to.throw();
  });

  it("has another key, serial number and CA each time", async () => {
    const other = await selfSigned(["localhost"], now);
    expect(other.key).not.to.equal(issued.key);
    expect(other.ca).not.to.equal(issued.ca);
    expect(new X509Certificate(other.certificate).serialNumber).not.to.equal(leaf.serialNumber);
  });

  // A number that begins with a zero byte and then less than 0x80 is one that OpenSSL does not read.
  const rows: readonly [what: string, random: number[]][] = [
    ["zeros", [0, 0, 0]],
    ["a zero and a small byte", [0, 0x7f, 1]],
    ["a zero and a large byte", [0, 0x80, 1]],
    ["a small byte", [1, 0, 0]],
    ["a large byte", [0xff, 0xff, 0xff]],
  ];
  for (const [what, random] of rows) {
    it(`has a serial number that is positive and not padded when randomness gives ${what}`, () => {
      const number = serialNumberOf(Uint8Array.from(random));
      expect(number).to.have.lengthOf(6);
      expect(parseInt(number.slice(0, 2), 16)).to.be.within(1, 0x7f);
      expect(number.slice(2)).to.equal(Buffer.from(random.slice(1)).toString("hex"));
    });
  }
});
