import { expect } from "chai";
import fc from "fast-check";
import {
  decodePublishedPolicy,
  encodePublishedPolicy,
  maxPublishedPolicyLength,
  type PublishedPolicy,
} from "../../src/domain/published-policy.ts";

const published: PublishedPolicy = {
  texts: [{ configMap: "a", key: "b.yaml", text: "mode: warn\n", yields: true }],
  withdrawn: [{ configMap: "c", key: "d.yaml", text: "", withdrawnAt: 1_700_000_000_000.5 }],
  pins: new Map([
    ["managed/b/12", 2],
    ["managed/a/12", 1],
  ]),
  ownSpaces: new Map([["managed/about-to-be-made", 0]]),
};

describe("the published policy", () => {
  it("comes back as it was written", () => {
    const reading = decodePublishedPolicy(encodePublishedPolicy(published));
    expect(reading).to.deep.equal({ kind: "read", published });
  });

  it("is the same text in whatever order ids were found", () => {
    const turned = { ...published, pins: new Map([...published.pins].reverse()) };
    expect(encodePublishedPolicy(turned)).to.equal(encodePublishedPolicy(published));
  });

  it("may hold what only a later release knows", () => {
    const later = { ...(JSON.parse(encodePublishedPolicy(published)) as object), more: { than: "today" } };
    expect(decodePublishedPolicy(JSON.stringify(later)).kind).to.equal("read");
  });

  const written = JSON.parse(encodePublishedPolicy(published)) as Record<string, unknown>;
  const unreadable: [title: string, text: string, problem: string][] = [
    ["is no JSON", "{", "it is no JSON"],
    ["is null", "null", "expected another value at its top"],
    ["has no format", JSON.stringify({ ...written, format: undefined }), "expected another value at format"],
    ["has another format", JSON.stringify({ ...written, format: 2 }), "expected another value at format"],
    [
      "has a broken text",
      JSON.stringify({ ...written, texts: [{}] }),
      "expected another value at texts.0.configMap",
    ],
    [
      "has an id that is none",
      JSON.stringify({ ...written, pins: [["a", 1.5]] }),
      "expected another value at pins.0.1",
    ],
    [
      "is too long",
      " ".repeat(maxPublishedPolicyLength + 1),
      `expected at most ${maxPublishedPolicyLength} characters, found ${maxPublishedPolicyLength + 1}`,
    ],
  ];
  for (const [title, text, problem] of unreadable) {
    it(`cannot be read when it ${title}, and says so without quoting it`, () => {
      expect(decodePublishedPolicy(text)).to.deep.equal({ kind: "unreadable", problem });
    });
  }

  it("is never thrown at, whatever the text", () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
        expect(decodePublishedPolicy(text).kind).to.equal("unreadable");
      }),
      { numRuns: 300 },
    );
  });
});
