import { expect } from "chai";
import {
  backdatingMs,
  caRenewalReason,
  isSurelyExpired,
  leafRenewalReason,
  renewalTime,
  type CaFacts,
  type CertificateFacts,
  type LeafFacts,
} from "../../src/domain/renewal.ts";

const dayMs = 86_400_000;
const made = Date.UTC(2030, 0, 1);

function certificate(facts: Partial<CertificateFacts> = {}): CertificateFacts {
  return {
    id: "one",
    validFrom: made,
    validTo: made + 300 * dayMs,
    isCa: false,
    names: ["berth.berth-system.svc", "berth"],
    ...facts,
  };
}

/** When, in days after it was made → why it has to be renewed. */
const lives: readonly [what: string, atDay: number, reason: string | undefined][] = [
  ["in the moment it begins", 0, undefined],
  ["a day before two thirds of its life are over", 199, undefined],
  ["when two thirds of its life are over", 200, "two thirds of its life are over"],
  ["in its last hour", 299.99, "two thirds of its life are over"],
  ["when it ends", 300, "it has expired"],
  ["after a machine slept for a year", 500, "it has expired"],
  ["when the clock was set back to before it was made", -1, "it is not valid yet"],
];

describe("the renewal of a CA", () => {
  const ca = (facts: Partial<CaFacts> = {}): CaFacts => ({
    certificate: certificate({ isCa: true }),
    keyFits: true,
    ...facts,
  });
  for (const [what, atDay, reason] of lives) {
    it(`${reason === undefined ? "waits" : `is due, since ${reason},`} ${what}`, () => {
      expect(caRenewalReason(ca(), made + atDay * dayMs)).to.equal(reason);
    });
  }

  const faults: readonly [what: string, stored: CaFacts | undefined, reason: RegExp][] = [
    ["none is stored", undefined, /there is none/],
    ["its certificate cannot be read", ca({ certificate: undefined }), /certificate cannot be read/],
    ["a leaf stands in its place", ca({ certificate: certificate() }), /not that of a CA/],
    ["its key is missing or another's", ca({ keyFits: false }), /private key is missing, cannot be read, or/],
  ];
  for (const [what, stored, reason] of faults) {
    it(`is due when ${what}, however young it is`, () => {
      expect(caRenewalReason(stored, made)).to.match(reason);
    });
  }
});

describe("the renewal of a leaf", () => {
  const leaf = (facts: Partial<LeafFacts> = {}): LeafFacts => ({
    certificate: certificate(),
    signedBy: "ca",
    ...facts,
  });
  const wanted = { names: ["berth.berth-system.svc"], ca: "ca" };
  for (const [what, atDay, reason] of lives) {
    it(`${reason === undefined ? "waits" : `is due, since ${reason},`} ${what}`, () => {
      expect(leafRenewalReason(leaf(), wanted, made + atDay * dayMs)).to.equal(reason);
    });
  }

  const faults: readonly [what: string, inService: LeafFacts | undefined, names: string[], reason: RegExp][] =
    [
      ["there is none", undefined, ["berth"], /there is none/],
      ["another CA signs now", leaf({ signedBy: "old" }), ["berth"], /another CA signs now/],
      ["a name is missing", leaf(), ["berth", "gate", "10.0.0.5"], /^it is not for gate, 10\.0\.0\.5$/],
    ];
  for (const [what, inService, names, reason] of faults) {
    it(`is due when ${what}, however young it is`, () => {
      expect(leafRenewalReason(inService, { names, ca: "ca" }, made)).to.match(reason);
    });
  }

  it("does not mind a name too many", () => {
    expect(leafRenewalReason(leaf(), { names: ["berth"], ca: "ca" }, made)).to.equal(undefined);
  });
});

describe("a certificate's life", () => {
  it("begins an hour before it is made, for clocks that are behind, or a tenth of it", () => {
    const minute = 60_000;
    expect(backdatingMs(365 * dayMs)).to.equal(3_600_000);
    expect(backdatingMs(10 * 3_600_000)).to.equal(3_600_000);
    expect(backdatingMs(minute)).to.equal(6_000);
  });

  it("leaves a third of what was asked for, however short, from its renewal to its end", () => {
    for (const lifetimeMs of [10_000, 60_000, 3_600_000, 365 * dayMs]) {
      const life = { validFrom: made - backdatingMs(lifetimeMs), validTo: made + lifetimeMs };
      expect(renewalTime(life), String(lifetimeMs)).to.be.within(
        made + lifetimeMs * 0.6,
        made + (lifetimeMs * 2) / 3,
      );
    }
  });

  it("is surely over only when it is by a clock that is behind too", () => {
    const ca = certificate();
    expect(isSurelyExpired(ca, ca.validTo)).to.equal(false);
    expect(isSurelyExpired(ca, ca.validTo + 3_599_999)).to.equal(false);
    expect(isSurelyExpired(ca, ca.validTo + 3_600_000)).to.equal(true);
  });
});
