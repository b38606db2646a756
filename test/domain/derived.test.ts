import { expect } from "chai";
import { derived } from "../../src/domain/derived.ts";

describe("what is derived", () => {
  const setUp = () => {
    const made: string[] = [];
    const joined = derived(
      ({ list, word }: { list: readonly string[]; word: string; other?: number }) => [list, word],
      ({ list, word }) => {
        made.push(word);
        return list.join(word);
      },
    );
    return { made, joined };
  };
  const list = ["a", "b"];

  it("is made once for as long as its parts are the same", () => {
    const { made, joined } = setUp();
    expect([joined({ list, word: "-" }), joined({ list, word: "-", other: 1 })]).to.deep.equal([
      "a-b",
      "a-b",
    ]);
    expect(made).to.deep.equal(["-"]);
  });
  it("is made again when one of them is another, be it like the one before", () => {
    const { made, joined } = setUp();
    expect([joined({ list, word: "-" }), joined({ list, word: "+" })]).to.deep.equal(["a-b", "a+b"]);
    expect(joined({ list: ["a", "b"], word: "+" })).to.equal("a+b");
    expect(joined({ list, word: "+" }), "still remembered").to.equal("a+b");
    expect(made).to.deep.equal(["-", "+", "+"]);
  });
  it("is made again when there are more parts", () => {
    const key = {};
    const counted = derived(
      (parts: readonly number[]) => [key, ...parts],
      (parts) => parts.length,
    );
    expect([counted([1]), counted([1, 2]), counted([1])]).to.deep.equal([1, 2, 1]);
  });
});
