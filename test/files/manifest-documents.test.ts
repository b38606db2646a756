import { expect } from "chai";
import type { TextOrigin } from "../../src/domain/policy.ts";
import { type ManifestDocument, maxYamlLength, parseDocuments } from "../../src/files/manifest-documents.ts";

function documentsOf(text: string): readonly ManifestDocument[] {
  const parsed = parseDocuments(text);
  if (parsed.kind === "fault") throw new Error(`expected documents, got: ${parsed.text}`);
  return parsed.documents;
}

function faultOf(text: string): { text: string; at: string | null } {
  const parsed = parseDocuments(text);
  if (parsed.kind === "documents") throw new Error("expected a fault, got documents");
  const { position } = parsed;
  return { text: parsed.text, at: position && `${position.line}:${position.column}` };
}

describe("where the text of a policy begins in its file", () => {
  const cases: [title: string, file: string, line: number, column: number, literal: boolean][] = [
    ["a literal", "data:\n  p.yaml: |\n    mode: warn\n    bindings: []\n", 3, 5, true],
    ["a literal with a chomping sign", "data:\n  p.yaml: |-\n    mode: warn\n", 3, 5, true],
    ["a literal that keeps its end", "data:\n  p.yaml: |+\n    mode: warn\n\n\n", 3, 5, true],
    [
      "a literal with an explicit indentation",
      "data:\n  p.yaml: |2-\n      mode: warn\n    x: 1\n",
      3,
      5,
      true,
    ],
    ["a literal indented by one", "data:\n p.yaml: |\n  mode: warn\n", 3, 3, true],
    ["a literal indented by seven", "data:\n p.yaml: |\n        mode: warn\n        x: 1\n", 3, 9, true],
    ["a literal with a comment on its header", "data:\n  p.yaml: | # policy\n    mode: warn\n", 3, 5, true],
    ["a literal that begins with empty lines", "data:\n  p.yaml: |\n\n   \n    mode: warn\n", 3, 5, true],
    ["a literal with tabs in it", "data:\n  p.yaml: |\n    a:\n    \tb: 1\n", 3, 5, true],
    ["a literal with tag and anchor", "data:\n  p.yaml: &p !!str |\n    mode: warn\n", 3, 5, true],
    [
      "a literal in a file of the other line ends",
      "data:\r\n  p.yaml: |\r\n    a: 1\r\n    b: 2\r\n",
      3,
      5,
      true,
    ],
    ["a literal without an end of line", "data:\n  p.yaml: |\n    mode: warn", 3, 5, true],
    ["folded text", "data:\n  p.yaml: >-\n    mode:\n    warn\n", 3, 5, false],
    ["folded text that begins with a space", "data:\n  p.yaml: >2\n      mode:\n    warn\n", 3, 5, false],
    ["double quotes", 'data:\n  p.yaml: "mode: warn\\nx: 1"\n', 2, 11, false],
    ["double quotes over lines", 'data:\n  p.yaml:\n    "mode: warn\n\n    x: 1"\n', 3, 5, false],
    ["single quotes", "data:\n  p.yaml: 'mode: warn'\n", 2, 11, false],
    ["plain text", "data:\n  p.yaml: warn\n", 2, 11, false],
    ["a flow mapping", 'data: {p.yaml: "mode: warn"}\n', 1, 16, false],
    ["JSON", '{"data": {"p.yaml": "mode: warn\\n"}}', 1, 21, false],
    ["JSON with tabs", '{\n\t"data": {\n\t\t"p.yaml": "a: 1"\n\t}\n}\n', 3, 13, false],
    ["a byte order mark", "\uFEFFdata:\n  p.yaml: |\n    a: 1\n", 3, 5, true],
    ["the second document", "a: 1\n---\ndata:\n  p.yaml: |\n    mode: warn\n", 5, 5, true],
  ];
  for (const [title, file, line, column, literal] of cases) {
    it(`${title}: ${line}:${column}`, () => {
      const document = documentsOf(file).at(-1)!;
      const origin = document.textOriginOf(["data", "p.yaml"]);
      expect(origin).to.deep.equal({ line, column, literal });
      if (literal) expectLinesAt(file, origin!, textIn(document));
    });
  }

  it("follows an alias to the text that it stands for", () => {
    const [document] = documentsOf("x: &x |\n  mode: warn\ndata:\n  p.yaml: *x\n");
    expect(document!.textOriginOf(["data", "p.yaml"])).to.deep.equal({ line: 2, column: 3, literal: true });
  });

  it("is unknown for what is no text, or is not there", () => {
    const [document] = documentsOf("data:\n  p.yaml: 12\n  empty: |\n");
    expect(document!.textOriginOf(["data", "p.yaml"])).to.equal(null);
    expect(document!.textOriginOf(["data", "other"])).to.equal(null);
    expect(document!.textOriginOf(["data", "empty"])).to.deep.equal({ line: 3, column: 10, literal: false });
  });

  it("is unknown in JSON too large to be read twice", () => {
    const padding = "x".repeat(1024 * 1024);
    const [document] = documentsOf(JSON.stringify({ padding, data: { "p.yaml": "mode: warn" } }));
    expect(document!.textOriginOf(["data", "p.yaml"])).to.equal(null);
    expect(document!.positionOf(["data"])).to.equal(null);
  });
});

function textIn(document: ManifestDocument): string {
  return (document.value as { data: Record<string, string> }).data["p.yaml"]!;
}

/** Every line of the text stands in the file where the origin says. */
function expectLinesAt(file: string, origin: TextOrigin, text: string): void {
  const lines = file.replace("\uFEFF", "").split(/\r?\n/);
  text.split("\n").forEach((line, index) => {
    if (line !== "")
      expect(lines[origin.line - 1 + index]!.slice(origin.column - 1), `line ${index + 1}`).to.equal(line);
  });
}

describe("where a field is", () => {
  const text = "kind: A\nmetadata:\n  name: x\n  labels:\n    a: 1\nitems:\n- b: 2\n-   b: 3\n";
  const cases: [path: (string | number)[], at: string][] = [
    [[], "1:1"],
    [["kind"], "1:7"],
    [["metadata", "labels", "a"], "5:8"],
    [["metadata", "labels", "missing"], "5:5"],
    [["metadata", "missing", "deeper"], "3:3"],
    [["items", 1], "8:5"],
    [["items", 1, "b"], "8:8"],
    [["kind", "below a text"], "1:7"],
  ];
  for (const [path, at] of cases) {
    it(`${path.join(".") || "the document"} at ${at}`, () => {
      const position = documentsOf(text)[0]!.positionOf(path)!;
      expect(`${position.line}:${position.column}`).to.equal(at);
    });
  }
});

describe("the documents of a file", () => {
  const cases: [title: string, text: string, values: unknown[]][] = [
    ["nothing", "", []],
    ["comments alone", "# a\n---\n# b\n---\n", []],
    ["several, empty ones left out", "---\na: 1\n---\n# none\n---\nb: 2\n...\n", [{ a: 1 }, { b: 2 }]],
    ["JSON", ' {"a": 1}\n', [{ a: 1 }]],
    ["a stream of JSON", '{"a":1}\n{"b":2}{"c":3}\n', [{ a: 1 }, { b: 2 }, { c: 3 }]],
    ["flow YAML that is no JSON", "{a: 1}\n", [{ a: 1 }]],
    ["JSON documents between dashes", '{"a":1}\n---\n{"b":2}\n', [{ a: 1 }, { b: 2 }]],
    ["an anchor and its aliases", "a: &x {n: 1}\nb: *x\n", [{ a: { n: 1 }, b: { n: 1 } }]],
    ["a merged mapping", "a: &x {n: 1}\nb: {<<: *x, m: 2}\n", [{ a: { n: 1 }, b: { n: 1, m: 2 } }]],
    ["keys that are numbers stay text", "1: a\n", [{ "1": "a" }]],
  ];
  for (const [title, text, values] of cases) {
    it(title, () => expect(documentsOf(text).map(({ value }) => value)).to.deep.equal(values));
  }
});

describe("a file that cannot be read", () => {
  const cases: [title: string, text: string, at: string | null, says: RegExp][] = [
    ["a colon too many", "a: 1\nb: c: d\n", "2:4", /is not YAML that can be read: Nested mappings/],
    ["a bracket left open", "a: [1,\n", "2:1", /is not YAML/],
    ["a second document that is wrong", "a: 1\n---\nb: 'x\n", "4:1", /closing 'quote/],
    ["a key twice", "a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", "5:3", /a key occurs twice/],
    ["a tab as indentation", "a:\n\tb: 1\n", "2:1", /Tabs are not allowed/],
    ["JSON cut short", '{"a": [1, 2', "1:12", /is not JSON/],
    ["JSON without a comma", '{\n  "a": 1\n  "b": 2\n}', "3:3", /is not JSON that can be read: Expected ','/],
    ["JSON with a wrong word", '{\n  "a": tru, "b"\n: c: "d"}', "3:3", /is not YAML that can be read/],
    ["an alias without anchor", "a: *x\n", "1:4", /alias has no anchor/],
    ["an alias of another document", "a: &x 1\n---\nb: *x\n", "3:4", /alias has no anchor/],
    ["an alias within its own anchor", "a: &x [*x]\n", "1:8", /inside what it stands for/],
    ["aliases by the hundred", `a: &x 1\nb: [${"*x, ".repeat(101)}]\n`, "2:405", /more than 100 aliases/],
  ];
  for (const [title, text, at, says] of cases) {
    it(`${title}, at ${at ?? "no position"}`, () => {
      const fault = faultOf(text);
      expect(fault.text).to.match(says);
      expect(fault.at).to.equal(at);
    });
  }

  it("is one of more YAML than is read, with the way out", () => {
    expect(faultOf("#".repeat(maxYamlLength + 1)).text).to.match(/more than 8 MiB of YAML.*JSON/);
  });

  it("is a long dump of JSON that was cut short, with the place where it ends", () => {
    const text = `[\n${'"x",\n'.repeat(maxYamlLength / 5)}`;
    expect(faultOf(`{"items": ${text}`)).to.deep.equal({
      text: "is not JSON that can be read: it ends in the middle",
      at: `${text.split("\n").length}:1`,
    });
  });

  it("never quotes what is in it", () => {
    const faulty = [
      'a: "hunter2\\q hunter2"',
      "a: !hunter2 {b: 1}",
      "a: !<hunter2> x\n b",
      "a: *hunter2",
      "a: | hunter2\n  x",
      "a: 'x' hunter2",
      '{"a": hunter2 "b"',
      '{"a": "hunter2" "b": "hunter2"}',
      '{"a": tru, "hunter2',
      "hunter2: 1\nhunter2: 2",
      "%hunter2\n--- a: b: c",
      "a: &hunter2 *hunter2",
      "? [hunter2]\n: 1",
      "- hunter2\nb: 1",
    ];
    for (const text of faulty) expect(JSON.stringify(parseDocuments(text)), text).not.to.match(/hunter2/);
  });
});

describe("hostile YAML", () => {
  const bombs: [title: string, text: string][] = [
    ["brackets", "[".repeat(10_000)],
    ["braces", "{a: ".repeat(4_000)],
    ["dashes", "- ".repeat(20_000)],
    ["question marks", "? ".repeat(5_000)],
    [
      "aliases of aliases",
      `a: &a [x, x]\n${"bcdefghijk".replace(/./g, (c) => {
        const before = String.fromCharCode(c.charCodeAt(0) - 1);
        return `${c}: &${c} [${`*${before}, `.repeat(9)}]\n`;
      })}`,
    ],
  ];
  for (const [title, text] of bombs) {
    it(`is turned down: ${title}`, () => expect(parseDocuments(text).kind).to.equal("fault"));
  }

  it("may have twenty thousand keys in one mapping", () => {
    const text = Array.from({ length: 20_000 }, (_, i) => `k${i}: 1\n`).join("");
    expect(documentsOf(text)).to.have.length(1);
  });
});
