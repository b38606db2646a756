import { expect } from "chai";
import { accessOf, pullAccessOf, type Secrets } from "../../src/domain/registry-access.ts";
import { registry } from "../builders.ts";

describe("the access to a registry", () => {
  const secrets: Secrets = new Map([
    ["own", { username: "admin", password: "p" }],
    ["pull", { username: "robot$pull", password: "q" }],
    ["ca", { "ca.crt": "PEM" }],
    ["no-password", { username: "admin" }],
    ["empty", { username: "", password: "p" }],
    ["echoed", { username: "admin", password: "p\n" }],
  ]);
  const managed = registry("managed", { credentialsSecret: "own" });

  it("is the login of its Secret, and the system's authorities", () => {
    const access = { username: "admin", password: "p", ca: null };
    expect(accessOf(managed, secrets)).to.deep.equal({ kind: "access", access });
  });

  it("is with the authority of its CA Secret, where one is named", () => {
    const reading = accessOf({ ...managed, caSecret: "ca" }, secrets);
    expect(reading).to.have.nested.property("access.ca", "PEM");
  });

  it("is, for namespaces, with the pull login where there is one", () => {
    const withPull = { ...managed, pullCredentialsSecret: "pull" };
    expect(pullAccessOf(withPull, secrets)).to.have.nested.property("access.username", "robot$pull");
    expect(pullAccessOf(managed, secrets)).to.have.nested.property("access.username", "admin");
    expect(accessOf(withPull, secrets)).to.have.nested.property("access.username", "admin");
  });

  const missing: [what: string, change: Partial<typeof managed>][] = [
    ["registry managed names no credentialsSecret", { credentialsSecret: null }],
    ["Secret gone does not exist", { credentialsSecret: "gone" }],
    ["Secret no-password has no key password", { credentialsSecret: "no-password" }],
    ["Secret empty has no key username", { credentialsSecret: "empty" }],
    ["Secret echoed has a line break in its key password", { credentialsSecret: "echoed" }],
    ["Secret nowhere does not exist", { caSecret: "nowhere" }],
    ["Secret own has no key ca.crt", { caSecret: "own" }],
  ];
  for (const [what, change] of missing) {
    it(`is missing, in words: ${what}`, () => {
      expect(accessOf({ ...managed, ...change }, secrets)).to.deep.equal({ kind: "missing", what });
    });
  }
});
