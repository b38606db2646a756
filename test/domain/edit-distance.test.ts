import { expect } from "chai";
import { editDistance } from "../../src/domain/edit-distance.ts";

describe("editDistance", () => {
  const cases: [from: string, to: string, expected: number][] = [
    ["", "", 0],
    ["a", "", 1],
    ["", "abc", 3],
    ["team", "team", 0],
    ["team", "tema", 2],
    ["team", "teams", 1],
    ["kitten", "sitting", 3],
    ["abc", "xyz", 3],
    ["abcdefgh", "zyxwvuts", 4],
    ["a", "abcdefghij", 4],
  ];
  for (const [from, to, expected] of cases) {
    it(`${from} to ${to}: ${String(expected)}`, () => {
      expect(editDistance(from, to, 4)).to.equal(expected);
      expect(editDistance(to, from, 4)).to.equal(expected);
    });
  }
});
