import { expect } from "chai";
import { keyHostsOf } from "../../src/domain/key-spellings.ts";
import { registry } from "../builders.ts";

describe("the hosts of a pull secret's keys", () => {
  const rows: [title: string, spellings: string[], expected: string[]][] = [
    ["are the spellings of the policy", ["h.test", "10.0.0.1:30010"], ["h.test", "10.0.0.1:30010"]],
    ["and the bare host, where the policy writes port 443", ["h.test:443"], ["h.test:443", "h.test"]],
    ["without repeats", ["h.test", "h.test:443", "H.test"], ["h.test", "h.test:443", "H.test"]],
    ["and the lower-case host", ["H.test:5000"], ["H.test:5000", "h.test:5000"]],
    ["both of a url with http:// and no port", ["h.test:80", "h.test"], ["h.test:80", "h.test"]],
    [
      "an IPv6 address in its usual form",
      ["[2001:DB8::0:1]:5000"],
      ["[2001:DB8::0:1]:5000", "[2001:db8::1]:5000"],
    ],
    [
      "Docker Hub's under the name that images have",
      ["registry-1.docker.io"],
      ["registry-1.docker.io", "docker.io"],
    ],
  ];
  for (const [title, spellings, expected] of rows) {
    it(`${title}: ${spellings.join(", ")}`, () => {
      expect(keyHostsOf(registry("managed", { spellings }))).to.deep.equal(expected);
    });
  }
});
