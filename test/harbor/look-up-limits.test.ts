import { expect } from "chai";
import { createLookUpLimits, type LookUpLimits } from "../../src/harbor/look-up-limits.ts";

describe("the limits on look-ups", () => {
  let now: number;
  let limits: LookUpLimits;

  beforeEach(() => {
    now = 1_000_000;
    limits = createLookUpLimits(() => now);
  });

  /** How many of so many look-ups go through. */
  function taken(count: number, registry: string, namespace: (n: number) => string): number {
    return Array.from({ length: count }, (_, n) => limits.take(registry, namespace(n))).filter(Boolean)
      .length;
  }

  it("let a registry have a burst of 100 and 10 a second", () => {
    expect(taken(200, "managed", (n) => `ns-${n}`)).to.equal(100);
    now += 1_000;
    expect(taken(200, "managed", (n) => `more-${n}`)).to.equal(10);
    now += 60_000;
    expect(taken(200, "managed", (n) => `yet-more-${n}`)).to.equal(100);
  });

  it("let a namespace have a tenth of that", () => {
    expect(taken(200, "managed", () => "loud")).to.equal(10);
    now += 1_000;
    expect(taken(200, "managed", () => "loud")).to.equal(1);
    now += 60_000;
    expect(taken(200, "managed", () => "loud")).to.equal(10);
  });

  it("take nothing from the registry for a namespace that had its share", () => {
    taken(1_000, "managed", () => "loud");
    expect(taken(200, "managed", (n) => `quiet-${n}`)).to.equal(90);
  });

  it("take nothing from a namespace when the registry has no more", () => {
    taken(100, "managed", (n) => `ns-${n}`);
    expect(limits.take("managed", "late")).to.equal(false);
    now += 1_000;
    expect(taken(10, "managed", () => "late")).to.equal(10);
  });

  it("count each registry by itself", () => {
    taken(100, "managed", (n) => `ns-${n}`);
    expect(limits.take("archive", "ns-1")).to.equal(true);
  });

  it("give nothing for a clock that was set back", () => {
    taken(100, "managed", (n) => `ns-${n}`);
    now -= 60_000;
    expect(limits.take("managed", "late")).to.equal(false);
  });
});
