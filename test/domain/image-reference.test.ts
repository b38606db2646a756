import { readFileSync } from "node:fs";
import { expect } from "chai";
import fc from "fast-check";
import {
  canonicalImageReference,
  isDigestOfImage,
  isRepositoryText,
  isTagText,
  maxReferenceLength,
  parseImageReference,
  printImageReference,
  type Malformation,
  type ParsedImage,
} from "../../src/domain/image-reference.ts";

/** What running the upstream parser gave; the file says how. */
interface Vector {
  readonly id: string;
  readonly input: string;
  readonly valid: boolean;
  readonly errorClass?: Malformation;
  readonly canonical?: string;
  readonly named?: string;
  readonly domain?: string;
  readonly path?: string;
  readonly tag?: string | null;
  readonly digest?: string | null;
  readonly pinned?: boolean;
  readonly harbor?: { readonly project: string | null; readonly repository: string } | null;
  readonly why: string;
}

const fixture = new URL("../fixtures/image-references.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(fixture, "utf8")) as { cases: readonly Vector[] };

const hex = "e6693c20186f837fc393390135d8a598a96a833917917789d63766cab6c59582";
const sha256 = `sha256:${hex}`;

describe("an image reference", () => {
  it("has vectors to be held against", () => {
    expect(cases).to.have.length(94);
  });

  for (const vector of cases) {
    it(`${vector.id}: ${vector.why}`, () => {
      const parsed = parseImageReference(vector.input);
      if (!vector.valid) {
        expect(parsed).to.deep.equal({ kind: "malformed", malformation: vector.errorClass });
        return;
      }
      const reference = referenceIn(parsed);
      expect(reference).to.deep.equal({
        host: vector.domain,
        repository: vector.path,
        tag: vector.tag,
        digest: vector.digest,
      });
      // The vector for an underscore host leaves the tag out of its name; what is written stays written.
      const named = vector.id === "ref-141" ? `${vector.named ?? ""}:1` : vector.named;
      expect(printImageReference(reference)).to.equal(named);
      expect(canonicalImageReference(reference)).to.equal(vector.canonical);
      expect(reference.digest !== null).to.equal(vector.pinned);
      expect(reference.host === "docker.io" ? null : harborSplit(reference.repository)).to.deep.equal(
        vector.harbor,
      );
    });
  }

  const valid: [title: string, text: string, host: string, repository: string, tag?: string][] = [
    ["the legacy Hub host is folded", "index.docker.io/busybox", "docker.io", "library/busybox"],
    ["the legacy Hub host with a port is not", "index.docker.io:443/a", "index.docker.io:443", "a"],
    ["nor with an upper-case letter", "Index.docker.io/a", "Index.docker.io", "a"],
    ["the Hub's real server stays as it is", "registry-1.docker.io/a/b", "registry-1.docker.io", "a/b"],
    ["the Hub in capitals is a host without library/", "DOCKER.IO/busybox", "DOCKER.IO", "busybox"],
    ["an underscore without a dot is a Hub path", "test_com/foo", "docker.io", "test_com/foo"],
    ["a Hub repository of 64 hex digits", `docker.io/${hex}`, "docker.io", `library/${hex}`],
    ["localhost is a host without dot", "localhost/foo", "localhost", "foo"],
    ["its neighbours are not", "localhosts/foo", "docker.io", "localhosts/foo"],
    ["an address alone is a Hub repository", "192.168.1.1", "docker.io", "library/192.168.1.1"],
    ["a port with leading zeros", "harbor.local:0443/team/app", "harbor.local:0443", "team/app"],
    ["a port has no range", "harbor.local:99999999/a/b", "harbor.local:99999999", "a/b"],
    ["a label of one character", "a.b/c", "a.b", "c"],
    ["a label with many dashes", "a--b---c.test/d", "a--b---c.test", "d"],
    ["brackets need hold no address", "[:]/a/b", "[:]", "a/b"],
    ["two underscores in a dotted host", "my__harbor.test/a/b", "my__harbor.test", "a/b"],
    ["many dashes in an element", "harbor.local/te---am/app", "harbor.local", "te---am/app"],
    ["a tag in mixed case", "harbor.local/a/b:V1.0_RC-1", "harbor.local", "a/b", "V1.0_RC-1"],
    ["a tag that ends in separators", "harbor.local/a/b:1-._", "harbor.local", "a/b", "1-._"],
    ["a Hub tag in upper case", "lowercase:Uppercase", "docker.io", "library/lowercase", "Uppercase"],
    [
      "a short id with a path before it",
      "library/sha256:e6693c20",
      "docker.io",
      "library/sha256",
      "e6693c20",
    ],
    ["a tag that no id begins with", "sha256:e6693c2g", "docker.io", "library/sha256", "e6693c2g"],
    [
      "an id in upper case is a tag: runtimes know ids in lower case only",
      `sha256:${hex.toUpperCase()}`,
      "docker.io",
      "library/sha256",
      hex.toUpperCase(),
    ],
    ["a tag of that form with a host", `harbor.local/sha256:${hex}`, "harbor.local", "sha256", hex],
    [
      "a host does not count towards the path's length",
      `${"h".repeat(63)}.test/${"a".repeat(255)}`,
      `${"h".repeat(63)}.test`,
      "a".repeat(255),
    ],
    ["library/ does", "a".repeat(247), "docker.io", `library/${"a".repeat(247)}`],
    ["so does a host with an underscore", `a_b.c/${"a".repeat(249)}`, "a_b.c", "a".repeat(249)],
  ];
  for (const [title, text, host, repository, tag = null] of valid) {
    it(`reads: ${title}`, () => {
      expect(parseImageReference(text)).to.deep.equal({
        kind: "reference",
        reference: { host, repository, tag, digest: null },
      });
    });
  }

  const malformed: [title: string, text: string, malformation: Malformation][] = [
    ["nothing", "", "format"],
    ["a blank", " ", "format"],
    ["a tab", "\t", "format"],
    ["blanks alone", " \n ", "format"],
    ["a leading blank", " harbor.local/team/app", "format"],
    ["a trailing newline", "harbor.local/team/app\n", "format"],
    ["a newline before a tag", "harbor.local/team/app\n:v1", "format"],
    ["a leading zero-width no-break space", "\ufeffharbor.local/team/app", "format"],
    ["a lone surrogate", "harbor.local/team/\ud800", "format"],
    ["a full-width letter", "harbor.local/te\uff41m/app", "format"],
    ["KELVIN SIGN in the path", "harbor.local/\u212aite/app", "uppercase"],
    ["KELVIN SIGN in the tag", "harbor.local/kite:\u212a", "uppercase"],
    ["a slash first", "/team/app", "format"],
    ["a slash alone", "/", "format"],
    ["a host alone with slash and tag", "harbor.local/:v1", "format"],
    ["a host alone with slash and digest", `harbor.local/@${sha256}`, "format"],
    ["a dash before a dot in a host", "harbor-.local/team/app", "format"],
    ["a dash after a dot in a host", "harbor.-local/team/app", "format"],
    ["two dots in a host", "harbor..local/team/app", "format"],
    ["a dot first in a host", ".harbor.local/team/app", "format"],
    ["two ports", "harbor.local:80:443/team/app", "format"],
    ["brackets around nothing", "[]/team/app", "format"],
    ["brackets around nothing, with a port", "[]:80/team/app", "format"],
    ["brackets that do not close", "[2001:db8::1/team/app", "format"],
    ["brackets that do not open", "2001:db8::1]/team/app", "format"],
    ["text behind the brackets", "[2001:db8::1]x/team/app", "format"],
    ["brackets in the path", "harbor.local/[::1]/app", "format"],
    ["an address without a repository", "[2001:db8::1]:5000", "format"],
    ["a zone", "[fe80::1%eth0]:5000/repo", "format"],
    ["a host with underscore and port", "my_harbor.corp.test:443/team/app", "format"],
    ["a host with underscore and upper case", "My_harbor.corp.test/team/app", "uppercase"],
    ["a host with underscore at its start", "_harbor.corp.test/team/app", "format"],
    ["a host with underscore beside a dot", "my_.corp.test/team/app", "format"],
    ["a host with three underscores", "my___harbor.corp.test/team/app", "format"],
    ["three underscores in an element", "harbor.local/te___am/app", "format"],
    ["an underscore first", "harbor.local/_team/app", "format"],
    ["a dash beside a dot", "harbor.local/te-.am/app", "format"],
    ["a dot as element", "harbor.local/./app", "format"],
    ["a tag that starts with a dash", "harbor.local/team/app:-v1", "format"],
    ["a tag that starts with a dot", "harbor.local/team/app:.v1", "format"],
    ["two tags", "harbor.local/team/app:v1:v2", "format"],
    ["a tag behind a digest", `harbor.local/team/app@${sha256}:v1`, "format"],
    ["an upper-case repository without host", "Uppercase:tag", "uppercase"],
    ["31 hex digits are no digest at all", `a@sha256:${"f".repeat(31)}`, "format"],
    ["hex digits of another algorithm's length", `a@sha512:${hex}`, "digest"],
    ["a digest with a letter that is no hex digit", `a@sha256:${hex.slice(1)}g`, "format"],
    ["an upper-case algorithm behind a tag", `a:b@SHA256:${hex}`, "digest"],
    ["an algorithm of several parts", `a@sha256+b64:${hex}`, "unsupported-digest"],
    ["an algorithm whose part starts with a digit", `a@sha256+64:${hex}`, "format"],
    [
      "a digest that runtimes could know by a module that they do not load",
      `a@blake3:${hex}`,
      "unsupported-digest",
    ],
    ["a bare id", hex, "identifier"],
    ["64 hex digits in upper case are a repository in upper case", hex.toUpperCase(), "uppercase"],
    ["a Hub path one too long with library/", "a".repeat(248), "length"],
    ["a path one too long with its underscore host", `a_b.c/${"a".repeat(250)}`, "length"],
    ["upper case outweighs length", `harbor.local/${"A".repeat(256)}`, "uppercase"],
    ["length outweighs the digest", `harbor.local/${"a".repeat(256)}@md5:${hex}`, "length"],
    ["a text longer than any reference", "a".repeat(maxReferenceLength + 1), "length"],
    ["the same of blanks", " ".repeat(maxReferenceLength + 1), "length"],
  ];
  for (const [title, text, malformation] of malformed) {
    it(`refuses: ${title}`, () => {
      expect(parseImageReference(text)).to.deep.equal({ kind: "malformed", malformation });
    });
  }

  it("is an image id if it is a digest of an algorithm that runtimes know", () => {
    for (const id of [sha256, `sha384:${"0a".repeat(48)}`, `sha512:${"f".repeat(128)}`]) {
      expect(parseImageReference(id), id).to.deep.equal({ kind: "image-id" });
    }
  });

  it("is an image id if it is the beginning of one, which containerd takes for the whole", () => {
    for (const id of ["sha256:e", "sha256:e6693c20", sha256.slice(0, -1), `${sha256}0`, "sha512:0a"]) {
      expect(parseImageReference(id), id).to.deep.equal({ kind: "image-id" });
    }
  });

  it("may be as long as its longest parts together", () => {
    const host = `${"h.".repeat(126)}t:65535`;
    const text = `${host}/${"a".repeat(255)}:${"t".repeat(128)}@sha512:${"f".repeat(128)}`;
    expect(text).to.have.length(maxReferenceLength);
    expect(referenceIn(parseImageReference(text)).host).to.equal(host);
  });
});

describe("a part of an image reference", () => {
  const hex = (length: number) => "a".repeat(length);
  const rows: [what: string, is: (text: string) => boolean, good: string[], bad: string[]][] = [
    [
      "repository",
      isRepositoryText,
      ["app", "team/a/b", "a__b/c--d", "2024", hex(255)],
      ["", "/app", "app/", "a//b", "a..b", "A", "a b", "a:1", "a@b", "..", "a\n", "\u202ea", "<b>", hex(256)],
    ],
    [
      "tag",
      isTagText,
      ["1", "_", "v1.0_RC-1", "latest", hex(128)],
      ["", "-1", ".1", "a/b", "a:b", "a@b", "a b", "1\n", "1\u202e", "<b>", hex(129)],
    ],
    [
      "digest",
      isDigestOfImage,
      [`sha256:${hex(64)}`, `sha384:${hex(96)}`, `sha512:${hex(128)}`],
      ["", hex(64), `sha256:${hex(63)}`, `sha256:${hex(65)}`, `md5:${hex(32)}`, `sha256:${"A".repeat(64)}`],
    ],
  ];
  for (const [what, is, good, bad] of rows) {
    it(`is a ${what} or is none`, () => {
      for (const text of good) expect(is(text), text).to.equal(true);
      for (const text of bad) expect(is(text), text).to.equal(false);
    });
  }
});

describe("any text, as an image reference", () => {
  it("is read as the upstream grammar reads it, but for the three documented readings", () => {
    const seen = { reference: 0, "image-id": 0, malformed: 0 };
    fc.assert(
      fc.property(nearTheEdges, (text) => {
        const parsed = parseImageReference(text);
        seen[parsed.kind] += 1;
        expect(parsed).to.deep.equal(expectedOf(text));
      }),
      { numRuns: 6000 },
    );
    // The property is worth something only if it meets both sides often.
    expect(seen.reference).to.be.above(400);
    expect(seen.malformed).to.be.above(600);
  });

  it("is the same reference again when printed", () => {
    fc.assert(
      fc.property(nearTheEdges, (text) => {
        const parsed = parseImageReference(text);
        if (parsed.kind !== "reference") return;
        expect(parseImageReference(printImageReference(parsed.reference))).to.deep.equal(parsed);
        const resolved = referenceIn(parseImageReference(canonicalImageReference(parsed.reference)));
        expect(resolved.host).to.equal(parsed.reference.host);
        expect(resolved.repository).to.equal(parsed.reference.repository);
      }),
      { numRuns: 3000 },
    );
  });

  it("never makes the parser throw", () => {
    for (const unit of ["binary", "grapheme", "binary-ascii"] as const) {
      fc.assert(
        fc.property(fc.string({ unit, maxLength: 300 }), (text) => {
          expect(parseImageReference(text).kind).to.be.oneOf(["reference", "image-id", "malformed"]);
        }),
        { numRuns: 1000 },
      );
    }
  });

  it("costs in proportion to its length, and nothing beyond the longest reference", () => {
    // Each leaves something undecided until its end; `\u0130` grows when lower-cased.
    const shapes: [unit: string, tail: string][] = [
      ...([
        ["a-", "!"],
        ["a", "-"],
        ["-", ""],
        ["a.", "!"],
        ["a_", "/b"],
        ["a_.", "/b"],
      ] as [string, string][]),
      ...([
        ["a/", "!"],
        ["a/b:", "!"],
        ["[:", "/a"],
        ["a@b+", "!"],
        ["A", "!"],
        [":", ""],
      ] as [string, string][]),
      ...([
        ["\u0130", ""],
        ["\u212a", ""],
        ["\ud83d\ude00", ""],
        ["h:0", "/a"],
      ] as [string, string][]),
    ];
    const filled = ([unit, tail]: [string, string], length: number): string =>
      unit.repeat(length / unit.length + 1).slice(0, length - tail.length) + tail;
    const short = Math.floor(maxReferenceLength / 10);
    const plainMebibyte = "a".repeat(1 << 20);
    for (const shape of shapes) {
      const name = shape.join(" ");
      // Ten times the length: ten times the time if it is linear, a hundred times if it is quadratic.
      const growth = ratioOfTimes(filled(shape, maxReferenceLength), filled(shape, short));
      expect(growth, `${name}, ten times as long`).to.be.below(40);
      expect(ratioOfTimes(filled(shape, 1 << 20), plainMebibyte), `${name}, a mebibyte`).to.be.below(20);
    }
  });
});

function referenceIn(parsed: ParsedImage) {
  if (parsed.kind !== "reference") throw new Error(`expected a reference, got ${JSON.stringify(parsed)}`);
  return parsed.reference;
}

/** Harbor takes the first path element for the project, if there is a second. */
function harborSplit(repository: string) {
  const slash = repository.indexOf("/");
  if (slash < 0) return { project: null, repository };
  return { project: repository.slice(0, slash), repository: repository.slice(slash + 1) };
}

/** Of the best of several rounds each: what the texts cost, and not what else the machine was doing. */
function ratioOfTimes(text: string, other: string): number {
  let best = Infinity;
  let bestOther = Infinity;
  for (let round = 0; round < 15; round += 1) {
    best = Math.min(best, timeOf(text));
    bestOther = Math.min(bestOther, timeOf(other));
  }
  return best / bestOther;
}

function timeOf(text: string): number {
  const start = process.hrtime.bigint();
  for (let count = 0; count < 200; count += 1) parseImageReference(text);
  return Number(process.hrtime.bigint() - start);
}

// The oracle: the upstream grammar as regular expressions, which may backtrack as they like on short texts, and
// the upstream steps around them, in their order.

const lowerElement = "[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*";
const pathPattern = `${lowerElement}(?:/${lowerElement})*`;
const labelPattern = "(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])";
const domainPattern = `(?:${labelPattern}(?:[.]${labelPattern})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const tagPattern = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const digestPattern = "[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9A-Fa-f]{32,}";
const wholeReference = new RegExp(
  `^((?:${domainPattern}/)?${pathPattern})(?::(${tagPattern}))?(?:@(${digestPattern}))?$`,
);
const wholeName = new RegExp(`^(?:(${domainPattern})/)?(${pathPattern})$`);
const wholeDigest = /^(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$/;
const wholeId = /^sha(?:256|384|512):[a-f0-9]+$/;
const knownDigestForm = /^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+$/;

function expectedOf(text: string): ParsedImage {
  if (text.length > maxReferenceLength) return { kind: "malformed", malformation: "length" };
  if (wholeId.test(text)) return { kind: "image-id" };
  const upstream = upstreamReading(text);
  if (typeof upstream === "string") return { kind: "malformed", malformation: upstream };
  if (upstream.domain !== "") return referenceOf(upstream.domain, upstream.path, upstream);
  const [first = "", ...rest] = upstream.path.split("/");
  return referenceOf(first, rest.join("/"), upstream);
}

function referenceOf(host: string, repository: string, { tag, digest }: Reading): ParsedImage {
  return { kind: "reference", reference: { host, repository, tag, digest } };
}

interface Reading {
  readonly domain: string;
  readonly path: string;
  readonly tag: string | null;
  readonly digest: string | null;
}

function upstreamReading(text: string): Reading | Malformation {
  if (/^[a-f0-9]{64}$/.test(text)) return "identifier";
  const [domain, remainder] = splitDomain(text);
  const remote = remainder.includes(":") ? remainder.slice(0, remainder.indexOf(":")) : remainder;
  if (remote.toLowerCase() !== remote) return "uppercase";
  const whole = `${domain}/${remainder}`;
  const match = wholeReference.exec(whole);
  if (match === null) {
    const lowerCase = whole.toLowerCase();
    return lowerCase !== whole && wholeReference.test(lowerCase) ? "uppercase" : "format";
  }
  const [, name = "", tag, digest] = match;
  const [, nameDomain = "", path = name] = wholeName.exec(name) ?? [];
  if (path.length > 255) return "length";
  if (digest !== undefined && !wholeDigest.test(digest)) {
    const known = /^sha(?:256|384|512):/.test(digest);
    return known || !knownDigestForm.test(digest) ? "digest" : "unsupported-digest";
  }
  return { domain: nameDomain, path, tag: tag ?? null, digest: digest ?? null };
}

function splitDomain(text: string): [domain: string, remainder: string] {
  const slash = text.indexOf("/");
  if (slash < 0) return ["docker.io", `library/${text}`];
  const first = text.slice(0, slash);
  const isDomain = first === "localhost" || /[.:]/.test(first) || first.toLowerCase() !== first;
  const domain = first === "index.docker.io" || !isDomain ? "docker.io" : first;
  const remainder = isDomain ? text.slice(slash + 1) : text;
  return [domain, domain === "docker.io" && !remainder.includes("/") ? `library/${remainder}` : remainder];
}

// Texts near the grammar's edges: references put together from parts, most of them good, then damaged a little.

const edge = fc.constantFrom(
  ...["/", ":", "@", ".", "..", "_", "__", "___", "-", "--", "+", "[", "]", "%2F", " ", "\n", "\0", "\u200b"],
  ...["a", "0", "f", "A", "F", "Z", "\u212a", "\u00e9", "\u00c9", "\u0130", "\u017f", "\ud800", "\uff0f"],
  ...[":5000", ":443", ":0443", "localhost", "docker.io", "[::1]", "a_b.c", sha256, hex],
);
const hosts = fc.oneof(
  fc.constantFrom(
    ...["docker.io", "index.docker.io", "localhost", "harbor.local", "HARBOR.local:443", "Foo", "myharbor"],
    ...["myharbor:80", "10.6.232.5:30010", "[2001:db8::1]", "[2001:DB8::1]:5000", "my_harbor.corp.test"],
    ...["harbor_local", "a--b.c", `${"h".repeat(63)}.test:0443`, "x-.y", "my_harbor.test:80"],
  ),
  fc.stringMatching(/^[a-zA-Z0-9._:-]{1,8}$/),
);
const elements = fc.oneof(
  fc.constantFrom(
    "team",
    "app",
    "library",
    "a.b",
    "te_am",
    "te__am",
    "te--am",
    "harbor.local",
    "sha256",
    hex,
  ),
  fc.constantFrom("a".repeat(100), "a".repeat(247), "a".repeat(254), "a".repeat(255)),
  fc.stringMatching(/^[a-z0-9._-]{1,6}$/),
);
const tags = fc.oneof(
  fc.constantFrom("latest", "V1.0_RC-1", "_", "5000", hex, "t".repeat(128), "t".repeat(129)),
  fc.stringMatching(/^[A-Za-z0-9_.-]{1,6}$/),
);
const digests = fc.oneof(
  fc.constantFrom(sha256, `sha384:${"0".repeat(96)}`, `sha512:${"f".repeat(128)}`),
  fc.constantFrom(
    `sha512:${hex}`,
    `SHA256:${hex}`,
    `md5:${"0".repeat(32)}`,
    `a+b.c:${hex}`,
    `sha256:${hex}f`,
  ),
);
const maybe = (texts: fc.Arbitrary<string>, before: string, after = ""): fc.Arbitrary<string> =>
  fc.oneof(
    { weight: 3, arbitrary: fc.constant("") },
    { weight: 2, arbitrary: texts.map((text) => before + text + after) },
  );
const wellFormed = fc
  .tuple(
    fc.oneof(
      { weight: 1, arbitrary: fc.constant("") },
      { weight: 3, arbitrary: hosts.map((host) => `${host}/`) },
    ),
    fc.array(elements, { minLength: 1, maxLength: 4 }).map((list) => list.join("/")),
    maybe(tags, ":"),
    maybe(digests, "@"),
  )
  .map((parts) => parts.join(""));
const damage = fc.array(fc.tuple(fc.constantFrom("insert", "replace", "delete", "upper"), fc.nat(), edge), {
  maxLength: 2,
});
const nearTheEdges = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(wellFormed, damage).map(([text, steps]) => steps.reduce(damaged, text)) },
  {
    weight: 2,
    arbitrary: fc.array(fc.oneof(edge, elements, hosts), { maxLength: 6 }).map((list) => list.join("")),
  },
  { weight: 1, arbitrary: fc.tuple(digests, damage).map(([text, steps]) => steps.reduce(damaged, text)) },
);

function damaged(text: string, [how, where, what]: [how: string, where: number, what: string]): string {
  const index = text.length === 0 ? 0 : where % (text.length + 1);
  const rest = text.slice(index + 1);
  switch (how) {
    case "insert":
      return text.slice(0, index) + what + text.slice(index);
    case "replace":
      return text.slice(0, index) + what + rest;
    case "upper":
      return text.slice(0, index) + text.slice(index, index + 1).toUpperCase() + rest;
    default:
      return text.slice(0, index) + rest;
  }
}
