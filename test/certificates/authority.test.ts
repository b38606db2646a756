import { expect } from "chai";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import {
  keyFits,
  newCa,
  newLeaf,
  readBundle,
  type CertificateAndKey,
} from "../../src/certificates/authority.ts";

const now = Date.UTC(2030, 0, 15);
const hour = 3_600_000;
const day = 24 * hour;

describe("the authority", () => {
  let ca: CertificateAndKey;
  let other: CertificateAndKey;
  let leaf: CertificateAndKey;
  before(async () => {
    [ca, other] = await Promise.all([newCa(365 * day, now), newCa(60_000, now)]);
    leaf = await newLeaf(ca, ["berth.berth-system.svc", "10.0.0.5", "::1"], 7 * day, now);
  });

  it("signs leaves that its CA vouches for, and no other", () => {
    const read = new X509Certificate(leaf.certificate);
    expect(read.verify(new X509Certificate(ca.certificate).publicKey)).to.equal(true);
    expect(read.checkIssued(new X509Certificate(ca.certificate))).to.equal(true);
    expect(read.checkIssued(new X509Certificate(other.certificate))).to.equal(false);
    expect(keyFits(leaf.certificate, leaf.key)).to.equal(true);
  });

  it("gives every CA a name of its own, so that a bundle of two never confuses them", () => {
    const [one, two] = [ca, other].map(({ certificate }) => new X509Certificate(certificate).subject);
    expect(one).to.match(/^CN=Berth CA [0-9a-f]{12}$/);
    expect(one).not.to.equal(two);
  });

  it("makes CAs that sign leaves and no other CA", () => {
    const text = new X509Certificate(ca.certificate);
    expect([text.ca, text.checkIssued(text)]).to.deep.equal([true, true]);
  });

  it("makes a leaf valid from an hour ago, and one that lives for a minute from six seconds ago", async () => {
    const short = await newLeaf(ca, ["berth"], 60_000, now);
    const lives = [leaf, short].map(({ certificate }) => readBundle(certificate).certificates[0]);
    expect(lives.map((one) => one?.validFrom)).to.deep.equal([now - hour, now - 6_000]);
    expect(lives.map((one) => one?.validTo)).to.deep.equal([now + 7 * day, now + 60_000]);
  });

  it("makes no leaf that outlives its CA", async () => {
    const late = await newLeaf(other, ["berth"], 7 * day, now);
    expect(readBundle(late.certificate).certificates[0]?.validTo).to.equal(now + 60_000);
  });

  it("reads the names of a leaf as people and URLs write them", () => {
    const [read] = readBundle(leaf.certificate).certificates;
    expect(read?.names).to.deep.equal(["berth.berth-system.svc", "10.0.0.5", "::1"]);
    expect(read?.isCa).to.equal(false);
  });

  const bundles: readonly [what: string, bundle: () => string, certificates: number, isSound: boolean][] = [
    ["nothing", () => "", 0, true],
    ["a CA", () => ca.certificate, 1, true],
    ["two with words around them", () => `old\n${ca.certificate}new\n${other.certificate}`, 2, false],
    ["two without an end of line", () => (ca.certificate + other.certificate).trim(), 2, true],
    ["one twice", () => ca.certificate + ca.certificate, 1, true],
    ["words", () => "none here", 0, false],
    ["half a certificate", () => ca.certificate.slice(0, 300), 0, false],
    [
      "what is no certificate inside",
      () => ca.certificate.replace(/MII/, "AAA") + other.certificate,
      1,
      false,
    ],
    ["a key", () => ca.key, 0, false],
  ];
  for (const [what, bundle, certificates, isSound] of bundles) {
    it(`reads a bundle of ${what}`, () => {
      const read = readBundle(bundle());
      expect([read.certificates.length, read.isSound]).to.deep.equal([certificates, isSound]);
    });
  }

  it("gives back certificates of a bundle so that they make a bundle again", () => {
    const read = readBundle(other.certificate + ca.certificate).certificates;
    const again = readBundle(read.map(({ pem }) => pem).join("")).certificates;
    expect(again.map(({ id }) => id)).to.deep.equal(read.map(({ id }) => id));
  });

  it("reads a bundle with far too much in it only in part", () => {
    expect(
      readBundle(
        ca.certificate + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".repeat(5_000),
      ).certificates,
    ).to.have.lengthOf(1);
  });

  const keys: readonly [what: string, key: () => string, fits: boolean][] = [
    ["its own", () => ca.key, true],
    ["another CA's", () => other.key, false],
    ["none", () => "", false],
    ["half of it", () => ca.key.slice(0, 400), false],
    [
      "one that is not RSA, which leaves cannot be signed with",
      () =>
        generateKeyPairSync("ec", { namedCurve: "P-256" })
          .privateKey.export({ type: "pkcs8", format: "pem" })
          .toString(),
      false,
    ],
  ];
  for (const [what, key, fits] of keys) {
    it(`tells whether a key fits: ${what}`, () => expect(keyFits(ca.certificate, key())).to.equal(fits));
  }

  it("finds that no key fits what is no certificate", () => {
    expect(keyFits("text", ca.key)).to.equal(false);
  });
});
