import { expect } from "chai";
import fc from "fast-check";
import {
  isLoginOf,
  parseLoginRecord,
  printLoginRecord,
  pullSecretOf,
  type LoginRecord,
} from "../../src/domain/login-record.ts";
import { registry } from "../builders.ts";

const login: LoginRecord = {
  registry: "archive",
  server: "https://archive.test",
  secret: "archive-pull",
  username: "puller",
  password: "handed out",
};

describe("the login that namespaces get of a registry", () => {
  const rows: readonly (readonly [title: string, more: Parameters<typeof registry>[1], string | null])[] = [
    ["a Harbor of the platform: none, its robots are Berth's", {}, null],
    ["and none though one is named", { pullCredentialsSecret: "pull" }, null],
    ["a Docker Registry of the platform: none", { type: "docker-registry" }, null],
    ["and the one that is named", { type: "docker-registry", pullCredentialsSecret: "pull" }, "pull"],
    ["a workspace's: what Berth reads with", { workspace: "12" }, "archive-login"],
    ["and another, if it is named", { workspace: "12", pullCredentialsSecret: "pull" }, "pull"],
    ["a workspace's without any: none", { workspace: "12", credentialsSecret: null }, null],
  ];
  for (const [title, more, expected] of rows) {
    it(title, () => {
      expect(pullSecretOf(registry("archive", more))).to.equal(expected);
    });
  }
});

describe("a login on record", () => {
  const archive = registry("archive", { type: "docker-registry", pullCredentialsSecret: "archive-pull" });
  it("is of the registry that it was handed out for", () => {
    expect(isLoginOf(login, archive)).to.equal(true);
  });
  it("is not, when the registry is another server by now", () => {
    expect(isLoginOf(login, { ...archive, url: "https://new.test" })).to.equal(false);
  });
  it("is not, when the registry's login comes from another Secret by now, or from none", () => {
    expect(isLoginOf(login, { ...archive, pullCredentialsSecret: "other" })).to.equal(false);
    expect(isLoginOf(login, { ...archive, pullCredentialsSecret: null })).to.equal(false);
  });

  it("comes back as it was written", () => {
    const text = fc.string({ unit: "grapheme" });
    const logins = fc.record({ registry: text, server: text, secret: text, username: text, password: text });
    fc.assert(
      fc.property(logins, (each) => {
        expect(parseLoginRecord(printLoginRecord(each))).to.deep.equal(each);
      }),
    );
  });

  const whole = JSON.parse(printLoginRecord(login)) as Readonly<Record<string, unknown>>;
  for (const key of Object.keys(whole)) {
    it(`is none without ${key}, or with something else there`, () => {
      expect(parseLoginRecord(JSON.stringify({ ...whole, [key]: undefined }))).to.equal(undefined);
      expect(parseLoginRecord(JSON.stringify({ ...whole, [key]: ["other"] }))).to.equal(undefined);
    });
  }
  for (const text of ["", "{", "null", "[]", '"login"', JSON.stringify({ ...whole, kind: "robots" })]) {
    it(`is none: ${text}`, () => {
      expect(parseLoginRecord(text)).to.equal(undefined);
    });
  }
});
