import { expect } from "chai";
import { sha256 } from "../src/digest.ts";

describe("a digest", () => {
  it("is SHA-256 of the text's UTF-8", () => {
    // FIPS 180-2, B.1; and what sha256sum says of the two bytes of "ü".
    expect(sha256("abc")).to.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect(sha256("ü")).to.equal(sha256(Buffer.from([0xc3, 0xbc]).toString("utf8")));
    expect(sha256("")).to.have.length(64);
  });
});
