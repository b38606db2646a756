import { expect } from "chai";

import { readRealm } from "../../src/registry/token-realm.ts";

describe("the realm of a token", () => {
  const cases: [
    title: string,
    registry: string,
    realm: string,
    expected: "trusted" | "foreign" | "unusable",
  ][] = [
    ["on the registry's own address", "https://r.test:5000", "https://r.test:5000/auth", "trusted"],
    ["on it, in another case", "https://r.test", "https://R.TEST:443/auth", "trusted"],
    ["on it, over HTTP as the registry is", "http://r.test:5000", "http://r.test:5000/auth", "trusted"],
    [
      "on another port, which may be somebody else's",
      "https://r.test",
      "https://r.test:5001/auth",
      "foreign",
    ],
    ["on another host", "https://r.test", "https://auth.test/token", "foreign"],
    ["on a host that begins like it", "https://r.test", "https://r.test.evil.test/token", "foreign"],
    [
      "on the same host over HTTP, where the login could be read",
      "https://r.test",
      "http://r.test/auth",
      "unusable",
    ],
    ["on a foreign host over HTTP", "http://r.test", "http://169.254.169.254/latest", "unusable"],
    ["with a login in its address", "https://r.test", "https://a:b@r.test/auth", "unusable"],
    ["that is a path", "https://r.test", "/auth", "unusable"],
    ["that is a file", "https://r.test", "file:///etc/passwd", "unusable"],
    ["that is empty", "https://r.test", "", "unusable"],
    ["of Docker Hub", "https://registry-1.docker.io", "https://auth.docker.io/token", "trusted"],
    ["of Docker Hub over HTTP", "https://registry-1.docker.io", "http://auth.docker.io/token", "unusable"],
    ["of Docker Hub, named by another registry", "https://r.test", "https://auth.docker.io/token", "foreign"],
    [
      "of Docker Hub, for a registry over HTTP",
      "http://registry-1.docker.io",
      "https://auth.docker.io/token",
      "foreign",
    ],
    ["of others, named by Docker Hub", "https://registry-1.docker.io", "https://auth.test/token", "foreign"],
  ];
  for (const [title, registry, realm, expected] of cases) {
    it(`${title} is ${expected}`, () => {
      const read = readRealm(realm, { registry, service: "s", scope: undefined });
      const found = read === undefined ? "unusable" : read.isTrusted ? "trusted" : "foreign";
      expect(found).to.equal(expected);
    });
  }

  it("is asked with the service, and each scope by itself", () => {
    const scope = "repository:a/b:pull repository:c:pull";
    const realm = readRealm("https://r.test/auth?account=x#top", {
      registry: "https://r.test",
      service: "a b",
      scope,
    });
    expect(realm?.target.href).to.equal(
      "https://r.test/auth?account=x&service=a+b&scope=repository%3Aa%2Fb%3Apull&scope=repository%3Ac%3Apull",
    );
  });
});
