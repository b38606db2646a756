import { expect } from "chai";

import { parseChallenges } from "../../src/registry/challenge.ts";

const read = (header: string) =>
  parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);

describe("a challenge", () => {
  const cases: [title: string, header: string, expected: unknown][] = [
    ["of nothing", "", []],
    ["of a scheme alone", "Negotiate", [["negotiate", {}]]],
    ["of a login", 'Basic realm="a registry"', [["basic", { realm: "a registry" }]]],
    ["without quotes", "Basic realm=registry", [["basic", { realm: "registry" }]]],
    [
      "of a token, its scope with a comma inside",
      'Bearer realm="https://auth.test/token",service="registry.test",scope="repository:a/b:pull,push"',
      [
        [
          "bearer",
          {
            realm: "https://auth.test/token",
            service: "registry.test",
            scope: "repository:a/b:pull,push",
          },
        ],
      ],
    ],
    [
      "is one of several in a header",
      'Basic realm="x, y=z", Bearer realm="https://auth.test/token" , service="s", Negotiate',
      [
        ["basic", { realm: "x, y=z" }],
        ["bearer", { realm: "https://auth.test/token", service: "s" }],
        ["negotiate", {}],
      ],
    ],
    ["in capitals", 'BEARER REALM="R"', [["bearer", { realm: "R" }]]],
    ["with spaces around =", 'Bearer realm = "r"', [["bearer", { realm: "r" }]]],
    ["with escapes", String.raw`Basic realm="a \"b\" \\ c"`, [["basic", { realm: String.raw`a "b" \ c` }]]],
    [
      "with a word that only looks like a scheme inside quotes",
      'Basic realm="Bearer realm"',
      [["basic", { realm: "Bearer realm" }]],
    ],
    // Whoever can add to a header must not change what is before it.
    ["keeps the first of two parameters", 'Bearer realm="a",realm="b"', [["bearer", { realm: "a" }]]],
    ["drops a parameter without scheme", 'realm="a"', []],
    ["ends where its quotation does not", 'Bearer realm="a', [["bearer", { realm: "a" }]]],
    [
      "with a token in place of parameters",
      "Negotiate a8f=, Basic realm=x",
      [
        ["negotiate", {}],
        ["a8f", {}],
        ["basic", { realm: "x" }],
      ],
    ],
  ];
  for (const [title, header, expected] of cases) {
    it(title, () => expect(read(header)).to.deep.equal(expected));
  }

  it("is read up to a length that no honest one reaches", () => {
    expect(read(`Bearer x="${'\\"'.repeat(100_000)}`)[0]?.[1]).to.have.property("x");
    expect(read(`${"a,".repeat(5_000)}Bearer realm=x`).some(([scheme]) => scheme === "bearer")).to.equal(
      false,
    );
  });
});
