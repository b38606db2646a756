import { expect } from "chai";
import {
  sourceName,
  formatProblem,
  listed,
  maxListedProblems,
  nearestName,
  placed,
  shown,
  type DocumentProblem,
} from "../../src/domain/policy-problem.ts";
import type { PolicySource, TextOrigin } from "../../src/domain/policy.ts";

const problem: DocumentProblem = { severity: "error", position: { line: 3, column: 5 }, text: "expected a" };
const bare: PolicySource = { configMap: null, key: null, file: "policy.yaml" };
const fromServer: PolicySource = { configMap: "platform", key: "a.yaml", file: null };
const fromFile: PolicySource = { configMap: "platform", key: "a.yaml", file: "deploy/policy.yaml" };

describe("a problem of a policy document", () => {
  const literal: TextOrigin = { line: 10, column: 5, literal: true };
  const quoted: TextOrigin = { line: 10, column: 15, literal: false };
  const printed: readonly [
    title: string,
    source: PolicySource,
    origin: TextOrigin | undefined,
    line: string,
  ][] = [
    ["of a bare file", bare, undefined, "policy.yaml:3:5: error: expected a"],
    [
      "of a ConfigMap from the API server",
      fromServer,
      undefined,
      "ConfigMap platform/a.yaml:3:5: error: expected a",
    ],
    [
      "of a block literal, which keeps its lines",
      fromFile,
      literal,
      "deploy/policy.yaml:12:9: error: ConfigMap platform/a.yaml: expected a",
    ],
    [
      "of quoted or folded text, which does not",
      fromFile,
      quoted,
      "deploy/policy.yaml:10:15: error: ConfigMap platform/a.yaml: expected a (line 3 inside)",
    ],
    [
      "of a file in which nobody counted lines",
      fromFile,
      undefined,
      "deploy/policy.yaml:3:5: error: ConfigMap platform/a.yaml: expected a",
    ],
  ];
  for (const [title, source, origin, line] of printed) {
    it(`is printed with its place, ${title}`, () => {
      expect(formatProblem(placed(problem, source, origin))).to.equal(line);
    });
  }

  it("is printed without a place when it has none", () => {
    const whole: DocumentProblem = { severity: "warning", position: null, text: "and 2 more problems" };
    expect(formatProblem(placed(whole, fromFile, literal))).to.equal(
      "deploy/policy.yaml: warning: ConfigMap platform/a.yaml: and 2 more problems",
    );
  });

  it("is one line whatever its file is called", () => {
    const source = { ...bare, file: "a\n\u001b[31m.yaml" };
    expect(formatProblem(placed(problem, source))).to.equal(
      "a\\u000a\\u001b[31m.yaml:3:5: error: expected a",
    );
  });

  it("is listed with errors first, then by its place, and the last ones counted", () => {
    const at = (severity: DocumentProblem["severity"], line: number): DocumentProblem => ({
      severity,
      position: { line, column: 1 },
      text: "",
    });
    const all = [
      at("warning", 1),
      ...Array.from({ length: maxListedProblems }, (_, index) => at("error", 40 - index)),
    ];
    const some = listed(all);
    expect(some.map(({ position }) => position?.line ?? null)).to.deep.equal([
      ...Array.from({ length: maxListedProblems }, (_, index) => 21 + index),
      null,
    ]);
    expect(some.at(-1)).to.deep.equal({
      severity: "warning",
      position: null,
      text: "and 1 more problem in this document",
    });
    expect(listed(all.slice(1))).to.have.lengthOf(maxListedProblems);
  });

  const quotes: readonly [text: string, quoted: string][] = [
    ["team-a", '"team-a"'],
    ["", '""'],
    ["Müller", '"Müller"'],
    ["a\nb\t\0", '"a\\u000ab\\u0009\\u0000"'],
    ["\u202eabc\u2028", '"\\u202eabc\\u2028"'],
    ["x".repeat(80), `"${"x".repeat(80)}"`],
    ["x".repeat(81), `"${"x".repeat(80)}…"`],
    ["https://me:secret@a.test/x", '"https://…"'],
    ["https://a.test/x", '"https://a.test/x"'],
  ];
  for (const [text, quoted] of quotes) {
    it(`quotes ${JSON.stringify(text.slice(0, 30))} on one line, without a login`, () => {
      expect(shown(text)).to.equal(quoted);
    });
  }

  const names: readonly [written: string, nearest: string | undefined][] = [
    ["enforced", "enforce"],
    ["Enforce", "enforce"],
    ["wran", "warn"],
    ["audti", "audit"],
    ["off", undefined],
    ["", undefined],
    ["enforce".repeat(1_000), undefined],
  ];
  for (const [written, nearest] of names) {
    it(`takes ${JSON.stringify(written.slice(0, 20))} for ${nearest ?? "none of the modes"}`, () => {
      expect(nearestName(written, ["enforce", "warn", "audit"])).to.equal(nearest);
    });
  }
});

describe("what has no name or place", () => {
  it("is called the policy, or by what is known of it", () => {
    expect(sourceName({ configMap: null, key: null, file: null })).to.equal("policy");
    expect(sourceName({ configMap: "a", key: null, file: null })).to.equal("ConfigMap a/");
  });
  it("comes after what has one", () => {
    const at = (line: number | null) => ({
      severity: "error" as const,
      position: line === null ? null : { line, column: 1 },
      text: String(line),
    });
    const texts = listed([at(null), at(2), at(null), at(1)]).map(({ text }) => text);
    expect(texts).to.deep.equal(["1", "2", "null", "null"]);
  });
  it("is counted where nothing of it is listed", () => {
    expect(listed([], 3)).to.deep.equal([
      { severity: "error", position: null, text: "and 3 more problems in this document" },
    ]);
  });
});
