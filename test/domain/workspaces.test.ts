import { expect } from "chai";
import { workspaceOf } from "../../src/domain/workspaces.ts";

describe("workspaceOf", () => {
  const cases: [title: string, labels: Record<string, string> | null | undefined, expected: string | null][] =
    [
      ["the label's value", { ws: "12" }, "12"],
      ["text, with its zeros and blanks", { ws: " 012" }, " 012"],
      ["no label", { other: "12" }, null],
      ["an empty value", { ws: "" }, null],
      ["no labels", {}, null],
      ["null labels", null, null],
      ["undefined labels", undefined, null],
    ];
  for (const [title, labels, expected] of cases) {
    it(title, () => expect(workspaceOf(labels, "ws")).to.equal(expected));
  }
  it("finds no label in the prototype", () => expect(workspaceOf({}, "constructor")).to.equal(null));
});
