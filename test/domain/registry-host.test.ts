import { readFileSync } from "node:fs";
import { expect } from "chai";
import fc from "fast-check";
import { parseImageReference } from "../../src/domain/image-reference.ts";
import { canonicalHost, hostsOfUrl, isHost, spellingsOfUrl } from "../../src/domain/registry-host.ts";

interface HostPair {
  readonly id: string;
  readonly a: string;
  readonly b: string;
  /** Null where the text cannot tell: then only a declared alias makes them one. */
  readonly sameRegistry: boolean | null;
  readonly why: string;
}

const fixture = new URL("../fixtures/image-references.json", import.meta.url);
const { hostEquivalence } = JSON.parse(readFileSync(fixture, "utf8")) as {
  hostEquivalence: readonly HostPair[];
};

describe("the canonical host", () => {
  for (const { id, a, b, sameRegistry, why } of hostEquivalence) {
    it(`${id}: ${why}`, () => {
      expect(serverOf(a) === serverOf(b)).to.equal(sameRegistry ?? false);
    });
  }

  const same: [title: string, written: string, canonical: string][] = [
    ["a plain name is its own key", "harbor.corp.test", "harbor.corp.test"],
    ["so is one with a port", "harbor.corp.test:8443", "harbor.corp.test:8443"],
    ["and a name without a dot", "localhost", "localhost"],
    ["capitals", "HARBOR.Corp.TEST", "harbor.corp.test"],
    ["the default port", "harbor.local:443", "harbor.local"],
    ["the default port with zeros", "harbor.local:000443", "harbor.local"],
    ["another port with zeros", "harbor.local:05000", "harbor.local:5000"],
    ["80 is not the default, whatever the scheme", "harbor.local:80", "harbor.local:80"],
    ["a port that ends in 443", "harbor.local:8443", "harbor.local:8443"],
    ["a port that is 443 past 65536 is no server's, and not 443", "harbor.local:65979", "harbor.local:65979"],
    ["port zero", "harbor.local:000", "harbor.local:0"],
    ["capitals and port together", "Harbor.Local:0443", "harbor.local"],
    ["an underscore host", "my_harbor.corp.test", "my_harbor.corp.test"],
    ["Docker Hub", "docker.io", "docker.io"],
    ["Docker Hub in capitals, with port", "Docker.IO:443", "docker.io"],
    ["Docker Hub's legacy name, which a policy may use", "index.docker.io", "docker.io"],
    ["Docker Hub's server", "registry-1.docker.io:443", "docker.io"],
    ["another port of it is another server", "registry-1.docker.io:5000", "registry-1.docker.io:5000"],
    ["IPv6 in capitals", "[2001:DB8::A]:5000", "[2001:db8::a]:5000"],
    ["IPv6 without compression", "[2001:db8:0:0:0:0:0:1]", "[2001:db8::1]"],
    ["IPv6 with leading zeros", "[2001:0db8::0001]:0443", "[2001:db8::1]"],
    ["IPv6 compressed elsewhere", "[2001:db8:0:0:1::1]", "[2001:db8::1:0:0:1]"],
    ["IPv6 with one zero group compressed", "[1::3:4:5:6:7:8]", "[1:0:3:4:5:6:7:8]"],
    ["IPv6 loopback", "[0:0:0:0:0:0:0:1]:5000", "[::1]:5000"],
    ["IPv4 inside IPv6 is that IPv4 server", "[::FFFF:a06:e805]:30010", "10.6.232.5:30010"],
    ["the same written out", "[0:0:0:0:0:ffff:0a06:0005]", "10.6.0.5"],
    ["brackets without an address, in lower case", "[AB::::]:5000", "[ab::::]:5000"],
    ["IPv4", "10.6.232.5:30010", "10.6.232.5:30010"],
    ["IPv4 with a zero before a digit, as resolvers read it", "10.6.232.05", "10.6.232.5"],
    ["IPv4 in octal", "010.0.0.1:5000", "8.0.0.1:5000"],
    ["IPv4 in hexadecimal", "0x0A.6.0xE8.5:30010", "10.6.232.5:30010"],
    ["IPv4 as one number", "167772161:80", "10.0.0.1:80"],
    ["IPv4 of three parts", "10.6.59397", "10.6.232.5"],
    ["not quite IPv4: out of range", "10.6.232.300", "10.6.232.300"],
    ["not quite IPv4: five parts", "1.2.3.4.5", "1.2.3.4.5"],
    ["not quite IPv4: no octal digit", "08.1.1.1", "08.1.1.1"],
    ["a name that starts with a digit", "3com.test:443", "3com.test"],
    ["a name that starts like an address", "10.6.232.5.nip.test", "10.6.232.5.nip.test"],
    ["KELVIN SIGN is not a k", "\u212aite.test", "\u212aite.test"],
  ];
  for (const [title, written, canonical] of same) {
    it(title, () => {
      expect(canonicalHost(written)).to.equal(canonical);
      expect(canonicalHost(canonical)).to.equal(canonical);
    });
  }

  it("is the same for every spelling of case and default port, and stays what it is", () => {
    fc.assert(
      fc.property(hosts, fc.nat({ max: 9 }), (host, zeros) => {
        const canonical = canonicalHost(host);
        expect(canonicalHost(canonical)).to.equal(canonical);
        expect(canonicalHost(host.toUpperCase())).to.equal(canonical);
        expect(canonicalHost(host.toLowerCase())).to.equal(canonical);
        if (!/:\d+$/.test(host)) {
          expect(canonicalHost(`${host}:${"0".repeat(zeros)}443`)).to.equal(canonical);
          expect(canonicalHost(`${host}:${"0".repeat(zeros)}8443`)).to.not.equal(canonical);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it("does not depend on how an IPv6 address is written", () => {
    const groups = fc.array(fc.oneof(fc.constant(0), fc.nat({ max: 0xffff })), {
      minLength: 8,
      maxLength: 8,
    });
    fc.assert(
      fc.property(groups, fc.nat({ max: 7 }), fc.nat({ max: 8 }), (numbers, from, length) => {
        const full = numbers.map((number) => number.toString(16).padStart(4, "0"));
        const short = numbers.map((number) => number.toString(16).toUpperCase());
        const spellings = [`[${full.join(":")}]`, `[${short.join(":")}]`];
        const run = numbers.slice(from, from + length);
        if (run.length > 0 && run.every((number) => number === 0)) {
          spellings.push(`[${short.slice(0, from).join(":")}::${full.slice(from + length).join(":")}]`);
        }
        expect(new Set(spellings.map(canonicalHost))).to.have.property("size", 1);
      }),
      { numRuns: 1000 },
    );
  });

  it("is found for any text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 60 }), (text) => {
        expect(canonicalHost(text)).to.be.a("string");
        expect(isHost(text)).to.be.a("boolean");
        expect(spellingsOfUrl(`https://${text}`)).to.be.an("array");
      }),
      { numRuns: 2000 },
    );
  });

  it("costs in proportion to the text", () => {
    for (const unit of ["A.", ":0", "0", "[:", "0x", "1.", "]:", "://", "a_", "\u212a"]) {
      // Eight times the length: eight times the time if it is linear, sixty-four times if it is quadratic.
      const [short, long] = [unit.repeat(1 << 12), unit.repeat(1 << 15)];
      expect(ratioOfTimes(long, short), unit).to.be.below(30);
    }
  });
});

describe("a host of a policy", () => {
  const hostTexts = [
    ...[
      "10.6.232.5:30010",
      "harbor.corp.test",
      "[2001:db8::1]:5000",
      "[::1]",
      "localhost",
      "HARBOR.corp.test",
    ],
    ...[
      "harbor:443",
      "harbor:00443",
      "harbor.test:1",
      "harbor.test:65535",
      "my_harbor.corp.test",
      "index.docker.io",
    ],
    ...["harbor-core.kangaroo-system.svc", "xn--n3h.com", "010.0.0.1", `${"h.".repeat(126)}t:65535`],
  ];
  for (const text of hostTexts) {
    it(`may be ${text.slice(0, 40)}`, () => expect(isHost(text)).to.be.true);
  }

  const others: [title: string, text: string][] = [
    ["nothing", ""],
    ["a url", "https://harbor.corp.test"],
    ["a path", "harbor.corp.test/team"],
    ["a blank", " harbor.corp.test"],
    ["a newline", "harbor.corp.test\n"],
    ["a user", "user@harbor.corp.test"],
    ["a wildcard", "*.corp.test"],
    ["a dot at its end", "harbor.corp.test."],
    ["an underscore and a port", "my_harbor.corp.test:443"],
    ["an underscore and no dot, which in an image name is a path", "my_harbor"],
    ["a port that is none", "harbor.corp.test:"],
    ["port 0", "harbor.corp.test:0"],
    ["port 00", "harbor.corp.test:00"],
    ["port 65536", "harbor.corp.test:65536"],
    ["a port in letters", "harbor.corp.test:https"],
    ["an address without brackets", "2001:db8::1"],
    ["brackets without an address", "[::::]:5000"],
    ["an address with a zone", "[fe80::1%eth0]"],
    ["an address out of range", "10.6.232.300"],
    ["letters beyond ASCII", "h\u00e1rbor.test"],
    ["a name longer than DNS has", `${"h.".repeat(140)}t`],
  ];
  for (const [title, text] of others) {
    it(`is not ${title}`, () => expect(isHost(text)).to.be.false);
  }

  it("is one that an image name can have", () => {
    fc.assert(
      fc.property(hosts, (host) => {
        if (!isHost(host)) return;
        const parsed = parseImageReference(`${host}/team/app`);
        if (parsed.kind !== "reference") throw new Error(`${host} is no host of an image`);
        const claimed = /[.:A-Z]/.test(host) || host === "localhost";
        if (claimed) expect(canonicalHost(parsed.reference.host)).to.equal(canonicalHost(host));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("a registry's url", () => {
  const claims: [url: string, spellings: string[], hosts: string[]][] = [
    ["https://harbor.test", ["harbor.test"], ["harbor.test"]],
    ["https://harbor.test/", ["harbor.test"], ["harbor.test"]],
    ["https://Harbor.Test:0443", ["Harbor.Test:0443"], ["harbor.test"]],
    ["https://harbor.test:8443", ["harbor.test:8443"], ["harbor.test:8443"]],
    ["https://harbor.test:80", ["harbor.test:80"], ["harbor.test:80"]],
    ["HTTPS://10.6.232.5:30010/c/", ["10.6.232.5:30010"], ["10.6.232.5:30010"]],
    ["https://[2001:DB8:0::1]:5000", ["[2001:DB8:0::1]:5000"], ["[2001:db8::1]:5000"]],
    ["http://harbor.test", ["harbor.test:80", "harbor.test"], ["harbor.test:80", "harbor.test"]],
    ["http://[::1]/", ["[::1]:80", "[::1]"], ["[::1]:80", "[::1]"]],
    ["http://harbor.test:80", ["harbor.test:80"], ["harbor.test:80"]],
    ["http://harbor.test:8080", ["harbor.test:8080"], ["harbor.test:8080"]],
    ["http://harbor.test:443", ["harbor.test:443"], ["harbor.test"]],
    ["https://registry-1.docker.io", ["registry-1.docker.io"], ["docker.io"]],
  ];
  for (const [url, spellings, hostKeys] of claims) {
    it(`${url} claims ${hostKeys.join(" and ")}`, () => {
      expect(spellingsOfUrl(url)).to.deep.equal(spellings);
      expect(hostsOfUrl(url)).to.deep.equal(hostKeys);
    });
  }

  for (const url of [
    ...[
      "",
      "harbor.test",
      "harbor.test:443",
      "ftp://harbor.test",
      "https://",
      "https:///a",
      "https:/harbor.test",
    ],
    ...[
      "https://user:pw@harbor.test",
      "https://harbor.test:0",
      "https://harbor.test:65536",
      "https://h arbor.test",
    ],
    ...[
      "https://harbor.test\\@evil.test",
      " https://harbor.test",
      "https://[::ffff:10.0.0.1]",
      "https://\u212aite.test",
    ],
  ]) {
    it(`${JSON.stringify(url)} claims nothing`, () => expect(hostsOfUrl(url)).to.deep.equal([]));
  }
});

/** Names, addresses and what is nearly one, with and without a port; letters of ASCII only, as in image names. */
const hosts = fc
  .tuple(
    fc.oneof(
      fc.domain(),
      fc.ipV4Extended(),
      fc
        .ipV6()
        .filter((address) => !address.includes("."))
        .map((address) => `[${address}]`),
      fc.constantFrom(
        "docker.io",
        "index.docker.io",
        "registry-1.docker.io",
        "localhost",
        "my_harbor.corp.test",
      ),
      fc.stringMatching(/^[0-9a-fx.]{1,8}$/),
      fc.stringMatching(/^\[[0-9a-fA-F:]{1,8}\]$/),
      fc.stringMatching(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,8}$/),
    ),
    fc.oneof(fc.constant(""), fc.stringMatching(/^:[0-9]{1,6}$/)),
  )
  .map(([name, port]) => name + port);

function serverOf(image: string): string {
  const parsed = parseImageReference(image);
  if (parsed.kind !== "reference") throw new Error(`expected a reference: ${image}`);
  return canonicalHost(parsed.reference.host);
}

/** Of the best of several rounds each: what the texts cost, and not what else the machine was doing. */
function ratioOfTimes(text: string, other: string): number {
  let best = Infinity;
  let bestOther = Infinity;
  for (let round = 0; round < 10; round += 1) {
    best = Math.min(best, timeOf(text));
    bestOther = Math.min(bestOther, timeOf(other));
  }
  return best / bestOther;
}

function timeOf(text: string): number {
  const start = process.hrtime.bigint();
  for (const host of [text, `[${text}]`, `0${text}`, `a:${text}`]) {
    canonicalHost(host);
    isHost(host);
    hostsOfUrl(`http://${host}`);
  }
  return Number(process.hrtime.bigint() - start);
}
