import { expect } from "chai";
import { isSpaceName } from "../../src/domain/space-name.ts";

describe("isSpaceName", () => {
  const valid = ["a", "7", "team-a", "te.am", "te_am", "2024", "a-b.c_d", "a".repeat(255)];
  const invalid = [
    "",
    "A",
    "te__am",
    "te--am",
    "te..am",
    "te.-am",
    "-a",
    "a-",
    ".a",
    "a_",
    "a b",
    "a/b",
    "ä",
    "a".repeat(256),
  ];
  for (const name of valid) it(`accepts ${name.slice(0, 20)}`, () => expect(isSpaceName(name)).to.be.true);
  for (const name of invalid)
    it(`refuses "${name.slice(0, 20)}"`, () => expect(isSpaceName(name)).to.be.false);
});
