import { expect } from "chai";
import { maxDepth, maxLexemes, maxTextLength, readYaml } from "../../src/domain/policy-yaml.ts";
import { maxListedProblems, type DocumentProblem } from "../../src/domain/policy-problem.ts";

function problemsOf(text: string): readonly DocumentProblem[] {
  const reading = readYaml(text);
  return reading.kind === "unreadable" ? reading.problems : [];
}

function valueOf(text: string): unknown {
  const reading = readYaml(text);
  expect(reading.kind).to.equal("read");
  return reading.kind === "read" ? reading.yaml.value : undefined;
}

const nested = (levels: number): string => `${"[".repeat(levels)}${"]".repeat(levels)}`;

describe("the YAML of a policy document", () => {
  /** Texts that cost a parser far more than their length; where they are refused shows how far they were read. */
  const bombs: readonly [title: string, text: string, place: string, problem: RegExp][] = [
    [
      "more than a ConfigMap can hold",
      "#".repeat(maxTextLength + 1),
      "-",
      /^the document is longer than 1 MiB/,
    ],
    ["a megabyte of [", "[".repeat(maxTextLength), "1:33", /levels of nesting/],
    ["a megabyte of {", "{".repeat(maxTextLength), "1:33", /levels of nesting/],
    ["lists in mappings", "[{a: ".repeat(10_000), "1:78", /levels of nesting/],
    ["800 bytes of keys that are asked for", "? ".repeat(400), "1:64", /levels of nesting/],
    ["dashes on one line", "- ".repeat(100_000), "1:64", /levels of nesting/],
    ["a key on each line, one deeper", keysOneDeeper(1_000), "32:33", /levels of nesting/],
    ["a hundred thousand documents", "---\n".repeat(100_000), "2:1", /expected one document/],
    ["nothing but mistakes", "]".repeat(maxTextLength), "1:150001", /more than 150000 words/],
    ["more entries than anybody reads", "- a\n".repeat(100_000), "30001:1", /more than 150000 words/],
  ];
  for (const [title, text, place, problem] of bombs) {
    it(`is read no further than needed for ${title}`, () => {
      const problems = problemsOf(text);
      expect(problems).to.have.lengthOf(1);
      const [{ position, text: told } = { position: null, text: "" }] = problems;
      expect(position === null ? "-" : `${position.line}:${position.column}`).to.equal(place);
      expect(told).to.match(problem);
    });
  }

  function keysOneDeeper(count: number): string {
    return Array.from({ length: count }, (_, depth) => `${" ".repeat(depth)}k:\n`).join("");
  }

  it("is read no further than the last of the aliases that are listed", () => {
    const levels = Array.from(
      { length: 9 },
      (_, level) => `a${level + 1}: &a${level + 1} [*a${level}, *a${level}]`,
    );
    const problems = problemsOf(`a0: &a0 x\n${levels.join("\n")}\nrest: ${"*a9, ".repeat(50_000)}`);
    expect(problems).to.have.lengthOf(maxListedProblems);
    expect(problems.at(-1)!.position!.line).to.be.below(11);
  });

  it("may be as deep as the bound, which counts the document, and no deeper", () => {
    expect(problemsOf(nested(maxDepth - 1))).to.deep.equal([]);
    expect(problemsOf(nested(maxDepth))).to.have.lengthOf(1);
  });

  it("may have as many words as the bound, and no more", () => {
    // The mark of the document's beginning, and five for each entry: dash, blank, mark of a scalar, scalar, line end.
    const entries = Math.floor((maxLexemes - 1) / 5);
    expect(valueOf("- a\n".repeat(entries))).to.have.lengthOf(entries);
    expect(problemsOf("- a\n".repeat(entries + 1))).to.have.lengthOf(1);
  });

  it("may have more keys than are compared one with another, and tells of each that is there twice", () => {
    const keys = Array.from({ length: 20_000 }, (_, index) => `k${index}: 1\n`).join("");
    expect(Object.keys(valueOf(keys) as object)).to.have.lengthOf(20_000);
    const problems = problemsOf(`${keys}k7: 2\nk19999: 2\n`);
    expect(problems.map(({ position, text }) => [position?.line, text])).to.deep.equal([
      [20_001, 'the key "k7" is there twice: keep one of the two'],
      [20_002, 'the key "k19999" is there twice: keep one of the two'],
    ]);
  });

  it("lists a screenful of the parser's complaints", () => {
    const problems = problemsOf("a: [}\n".repeat(1_000));
    expect(problems).to.have.lengthOf(maxListedProblems + 1);
    expect(problems.at(-1)!.text).to.match(/^and [0-9]+ more problems in this document$/);
  });

  it("gives plain values, the words of old YAML for booleans included", () => {
    const text = `a: [1, "1", on, "on", no, ~, 012, 0o14, .5, x y]\nb: { c: |\n    two\n    lines\n  , yes: n }\n`;
    expect(valueOf(text.replace("|\n    two\n    lines\n  ", '"two\\nlines"'))).to.deep.equal({
      a: [1, "1", true, "on", false, null, 12, 12, 0.5, "x y"],
      b: { c: "two\nlines", yes: false },
    });
  });

  it("knows where a path is, or the nearest thing around it", () => {
    const reading = readYaml('a:\n  - b: 012\n    c: "x"\n  - [1]\nd:\n');
    if (reading.kind === "unreadable") throw new Error("expected it to be read");
    const { yaml } = reading;
    const found = (...path: (string | number)[]): readonly unknown[] => {
      const { position, kind, source, path: foundPath } = yaml.find(path);
      return [`${position.line}:${position.column}`, kind, source, foundPath.join(".")];
    };
    expect(found()).to.deep.equal(["1:1", "mapping", "", ""]);
    expect(found("a")).to.deep.equal(["2:3", "list", "", "a"]);
    expect(found("a", 0, "b")).to.deep.equal(["2:8", "number", "012", "a.0.b"]);
    expect(found("a", 0, "c")).to.deep.equal(["3:8", "text", "x", "a.0.c"]);
    expect(found("a", 0, "z")).to.deep.equal(["2:5", "mapping", "", "a.0"]);
    expect(found("a", 0, "b", "z")).to.deep.equal(["2:8", "number", "012", "a.0.b"]);
    expect(found("a", 9)).to.deep.equal(["2:3", "list", "", "a"]);
    expect(found("d")).to.deep.equal(["5:3", "nothing", "", "d"]);
    expect(yaml.findKey(["a", 0], "c")).to.deep.equal({ line: 3, column: 5 });
  });
});
