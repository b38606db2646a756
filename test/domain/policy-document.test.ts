import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import fc from "fast-check";
import { parsePolicyDocument, type PolicyContent } from "../../src/domain/policy-document.ts";
import { maxListedProblems, type DocumentProblem } from "../../src/domain/policy-problem.ts";

const example = readFileSync(join(import.meta.dirname, "..", "fixtures", "policies", "example.yaml"), "utf8");

function contentOf(text: string): PolicyContent {
  const { content, problems } = parsePolicyDocument(text);
  expect(content, lines(problems).join("\n")).to.not.equal(null);
  return content!;
}

/** `2:5 error: …` */
function lines(problems: readonly DocumentProblem[]): readonly string[] {
  return problems.map(({ severity, position, text }) => {
    const place = position === null ? "-" : `${position.line}:${position.column}`;
    return `${place} ${severity}: ${text}`;
  });
}

/** The text without its marks, and where they were. */
function unmark(marked: string): { readonly text: string; readonly places: readonly string[] } {
  const [first = "", ...rest] = marked.split("▸");
  let text = first;
  const places = rest.map((part) => {
    const before = text.replace("\ufeff", "").split("\n");
    text += part;
    return `${before.length}:${(before.at(-1) ?? "").length + 1}`;
  });
  return { text, places };
}

const bound = (keys: string): string => `bindings: [{ registry: a, ${keys} }]`;
const named = (name: string): string =>
  `registries: [{ name: ${name}, type: docker-registry, url: https://a.test }]`;
const registry = (keys: string): string =>
  `registries:\n  - { name: a, type: harbor, credentialsSecret: s, url: https://a.test, ${keys} }`;
const url = (text: string): string => `registries: [{ name: a, type: docker-registry, url: ${text} }]`;
const binding = (keys: string): string => `bindings:\n  - { workspace: "1", registry: a, ${keys} }`;
const space = (keys: string): string => `spaces:\n  - { registry: a, name: x, visibility: private, ${keys} }`;

describe("a policy document", () => {
  it("holds what the example says, and warns of the one login that it hands out", () => {
    const { content, problems } = parsePolicyDocument(example);
    expect(lines(problems)).to.deep.equal([
      "19:24 warning: registries[2].credentialsSecret: is handed out to every namespace of the workspace: name a login that cannot push as pullCredentialsSecret",
    ]);
    expect(content).to.deep.equal({
      mode: { value: "enforce", position: { line: 1, column: 7 } },
      unlistedRegistries: { value: "deny", position: { line: 2, column: 21 } },
      exemptNamespaces: { value: ["kube-system"], position: { line: 3, column: 19 } },
      registries: [
        {
          value: {
            name: "managed",
            type: "harbor",
            url: "https://harbor.example.test",
            hosts: ["harbor.example.test", "10.6.232.5:30010", "harbor.corp.test"],
            spellings: ["harbor.example.test", "10.6.232.5:30010", "harbor.corp.test"],
            credentialsSecret: "harbor-managed",
            pullCredentialsSecret: null,
            caSecret: "harbor-managed-ca",
            treatsProxyCachesAsPrivate: false,
            workspace: null,
          },
          position: { line: 5, column: 5 },
        },
        {
          value: {
            name: "archive",
            type: "docker-registry",
            url: "https://archive.example.test:5000",
            hosts: ["archive.example.test:5000"],
            spellings: ["archive.example.test:5000"],
            credentialsSecret: "archive-login",
            pullCredentialsSecret: "archive-pull",
            caSecret: null,
            treatsProxyCachesAsPrivate: false,
            workspace: null,
          },
          position: { line: 11, column: 5 },
        },
        {
          value: {
            name: "team-twelve",
            type: "harbor",
            url: "https://other.example.test",
            hosts: ["other.example.test"],
            spellings: ["other.example.test"],
            credentialsSecret: "team-twelve",
            pullCredentialsSecret: null,
            caSecret: null,
            treatsProxyCachesAsPrivate: false,
            workspace: "12",
          },
          position: { line: 16, column: 5 },
        },
      ],
      spaces: [
        {
          value: {
            registry: "managed",
            name: "team-a",
            visibility: "private",
            storageBytes: 50 * 1024 ** 3,
            adopt: false,
          },
          position: { line: 23, column: 5 },
        },
      ],
      bindings: [
        {
          value: {
            workspace: "12",
            registry: "managed",
            spaces: [
              { value: { name: "team-a", id: null }, position: { line: 25, column: 52 } },
              { value: { name: "models", id: 42 }, position: { line: 25, column: 60 } },
            ],
          },
          position: { line: 25, column: 5 },
        },
      ],
    });
  });

  const nothing: readonly [title: string, text: string][] = [
    ["of no text", ""],
    ["of blank lines", "\n\n  \n"],
    ["of comments", "# to be written\n"],
    ["of nothing but a document start", "---\n"],
    ["that is null", "null"],
    ["that is an empty mapping", "{}"],
    [
      "with keys whose entries are commented out",
      "registries:\n#  - name: a\nbindings:\nexemptNamespaces:\n",
    ],
    ["with a byte order mark", "\ufeff# saved by an editor\n"],
  ];
  for (const [title, text] of nothing) {
    it(`${title} is valid and says nothing`, () => {
      expect(parsePolicyDocument(text)).to.deep.equal({
        content: {
          mode: null,
          unlistedRegistries: null,
          exemptNamespaces: null,
          registries: [],
          spaces: [],
          bindings: [],
        },
        problems: [],
      });
    });
  }

  const valid: readonly [title: string, text: string][] = [
    ["Windows line ends", "mode: warn\r\nbindings:\r\n  - workspace: '1'\r\n    registry: a\r\n"],
    ["a workspace id in quotes", 'bindings: [{ workspace: "012", registry: a, spaces: [x] }]'],
    ["a workspace id that only text can be", "bindings: [{ workspace: team-1.x_Y, registry: a }]"],
    ["words of old YAML in quotes", 'bindings: [{ workspace: "on", registry: "y", spaces: ["no"] }]'],
    ["words of old YAML as booleans", space("adopt: yes")],
    ["a url with a slash at its end", url("https://a.test/")],
    ["a url with a port", url("https://a.test:8443")],
    ["a url in capitals", url("HTTPS://A.test")],
    ["an address as url", url('"https://[2001:db8::1]:5000"')],
    ["another spelling of the url's host as alias", registry('aliases: ["a.test:443", A.test]')],
    ["a space name of 255 characters", binding(`spaces: [${"x".repeat(255)}]`)],
    ["a space name with every separator", binding("spaces: [a.b_c-d]")],
    ["a Secret name with dots", registry("caSecret: a.b-c.d")],
    ["a registry name of 63 characters", url("https://a.test").replace("name: a", `name: ${"a".repeat(63)}`)],
    ["a docker-registry of a workspace without login", url('https://a.test, workspace: "1"')],
    ["text in every style", "mode: >-\n  warn\nunlistedRegistries: |-\n  deny\n"],
  ];
  for (const [title, text] of valid) {
    it(`may have ${title}`, () => {
      expect(lines(parsePolicyDocument(text).problems)).to.deep.equal([]);
      contentOf(text);
    });
  }

  /** Where the text has a mark, a problem is told that begins so, and that holds the pieces. */
  type Told = readonly [beginning: string, ...pieces: string[]];
  const invalid: readonly [title: string, text: string, ...told: readonly Told[]][] = [
    // Traps of YAML
    [
      "a workspace id without quotes",
      "bindings:\n  - workspace: ▸12\n    registry: a",
      ['bindings[0].workspace: expected text in quotes: write workspace: "12"', "a number"],
    ],
    ["an id with leading zeros", bound("workspace: ▸012"), ["", 'write workspace: "012"']],
    ["an id in hex", bound("workspace: ▸0x10"), ["", 'write workspace: "0x10"']],
    ["an id with an exponent", bound("workspace: ▸1e3"), ["", 'write workspace: "1e3"']],
    ["an id that is no number", bound("workspace: ▸.nan"), ["", 'write workspace: ".nan"']],
    ["an id of a million digits", bound(`workspace: ▸${"1".repeat(1e6)}`), ["", '…" (without quotes']],
    ["true for an id", bound("workspace: ▸true"), ["", 'write workspace: "true"', "true or false"]],
    ["on for an id", bound("workspace: ▸on"), ["", 'write workspace: "on"', "true or false"]],
    ["a space called no", binding("spaces: [▸no]"), ["bindings[0].spaces[0]: ", 'write "no"']],
    [
      "an id left empty",
      "bindings:\n  - registry: a\n    workspace:▸\n",
      ["", "expected text, found nothing", 'write workspace: "…"'],
    ],
    ["null for an id", bound("workspace: ▸~"), ["", "expected text, found nothing"]],
    ["an id of no characters", bound('workspace: ▸""'), ["", "expected a workspace id", 'found ""']],
    [
      "an id that no label can have",
      bound('workspace: ▸"a b"'),
      ["", "expected a workspace id", 'found "a b"'],
    ],
    ["a list for an id", bound("workspace: ▸[1]"), ["", "expected text, found a list"]],
    [
      "a registry's workspace that is null, which must not make it the platform's",
      registry("workspace: ▸null"),
      ["registries[0].workspace: ", "found nothing"],
    ],
    // Words
    [
      "a mode with a letter too many",
      "mode: ▸enforced",
      ['mode: expected enforce, warn or audit, found "enforced": did you mean enforce?'],
    ],
    [
      "a mode that old YAML takes for false",
      "mode: ▸off",
      ["mode: expected enforce, warn or audit, found off"],
    ],
    ["a mode left empty", "mode:▸", ["mode: ", "found nothing"]],
    ["a list for a word", "unlistedRegistries: ▸[deny]", ["", "expected deny, warn or allow, found a list"]],
    ["an unknown key", "▸mdoe: warn", ['unknown key "mdoe": did you mean mode?']],
    [
      "an unknown key that is like none",
      "▸apiVersion: v1",
      ['unknown key "apiVersion": expected mode, unlistedRegistries, '],
    ],
    [
      "an unknown key of a registry",
      registry("▸credentialSecret: s"),
      ['registries[0]: unknown key "credentialSecret": did you mean credentialsSecret?'],
    ],
    [
      "an unknown key of a space",
      binding("spaces: [▸{ ▸nmae: x }]"),
      ["bindings[0].spaces[0]: name is missing"],
      ['bindings[0].spaces[0]: unknown key "nmae": did you mean name?'],
    ],
    [
      "keys that every object of JavaScript has",
      "▸__proto__: 1\n▸constructor: 2",
      ['unknown key "__proto__"'],
      ['unknown key "constructor"'],
    ],
    ["a key twice", "mode: warn\nbindings: []\n▸mode: audit", ['the key "mode" is there twice']],
    ["a key twice in an entry", registry("▸url: https://b.test"), ['the key "url" is there twice']],
    // Lists and mappings
    [
      "a space instead of a list of them",
      binding("spaces: ▸team-a"),
      ['bindings[0].spaces: expected a list, found "team-a": write spaces: [team-a]'],
    ],
    ["a number instead of a list of spaces", binding("spaces: ▸12"), ["", 'write spaces: ["12"]']],
    [
      "a space given as a number",
      binding("spaces: [▸12]"),
      ['bindings[0].spaces[0]: expected text in quotes: write "12"'],
    ],
    ["a space's name given as a number", binding("spaces: [{ name: ▸12 }]"), ["", 'write name: "12"']],
    ["no space between two commas", binding("spaces: [a, ▸~, b]"), ["", "expected text, found nothing"]],
    [
      "a namespace instead of a list of them",
      "exemptNamespaces: ▸kube-system",
      ["exemptNamespaces: ", "write exemptNamespaces: [kube-system]"],
    ],
    [
      "a mapping instead of a list",
      "registries: ▸{ managed: { type: harbor } }",
      ["registries: expected a list, found a mapping: begin each entry with a dash"],
    ],
    [
      "a name instead of a mapping",
      "spaces: [▸team-a]",
      ['spaces[0]: expected a mapping with registry, name, visibility, storage and adopt, found "team-a"'],
    ],
    ["a list as a document", "▸- mode: warn", ["expected a mapping with mode, ", "found a list"]],
    ["text as a document", "▸enforce", ["expected a mapping with mode, ", 'found "enforce"']],
    ["a list in a list", binding("spaces: [▸[x]]"), ["bindings[0].spaces[0]: expected text, found a list"]],
    // Registries
    [
      "a registry without type",
      "registries:\n  - ▸name: a\n    url: https://a.test",
      ["registries[0]: type is missing: write type: harbor or type: docker-registry"],
    ],
    [
      "a registry of unknown type",
      "registries: [{ type: ▸harbour }]",
      ['registries[0].type: expected harbor or docker-registry, found "harbour": did you mean harbor?'],
    ],
    [
      "a Harbor without login",
      "registries:\n  - ▸{ name: a, type: harbor, url: https://a.test }",
      ["registries[0]: credentialsSecret is missing: "],
    ],
    [
      "a registry without anything",
      "registries: [▸▸{ type: docker-registry }]",
      ["registries[0]: name is missing: "],
      ["registries[0]: url is missing: "],
    ],
    [
      "a registry name in capitals",
      named("▸Main"),
      ["registries[0].name: expected a registry name", '"Main"'],
    ],
    ["a registry name with a dot", named("▸a.b"), ["registries[0].name: "]],
    ["a registry name of 64 characters", named(`▸${"a".repeat(64)}`), ["registries[0].name: "]],
    [
      "a Secret name that Kubernetes refuses",
      registry("pullCredentialsSecret: ▸pull_login"),
      ["registries[0].pullCredentialsSecret: expected the name of a Secret", 'found "pull_login"'],
    ],
    ["a Secret name with an empty label", registry("caSecret: ▸a..b"), ["registries[0].caSecret: "]],
    ["a Secret name with a dash at an end", registry("caSecret: ▸a-.b"), ["registries[0].caSecret: "]],
    [
      "a Secret name of 254 characters",
      registry(`caSecret: ▸${"a".repeat(254)}`),
      ["", "the name of a Secret"],
    ],
    [
      "a namespace that none can be called",
      "exemptNamespaces: [kube-system, ▸kube_public]",
      ["exemptNamespaces[1]: expected the name of a namespace", 'found "kube_public"'],
    ],
    // Hosts
    ["a url without scheme", url("▸a.test:5000"), ["registries[0].url: ", "write https://a.test:5000"]],
    [
      "a url of another scheme",
      url("▸ftp://a.test"),
      ["", 'expected an https:// or http:// url, found "ftp://"'],
    ],
    [
      "a url with a login",
      url("▸https://me:hunter2@a.test"),
      ["", "expected a url without user and password", "credentialsSecret"],
    ],
    [
      "a url with a path",
      url("▸https://a.test/harbor"),
      ["", 'found "/harbor" after them: write https://a.test'],
    ],
    ["a url with a query", url("▸https://a.test?x=1"), ["", 'found "?x=1"']],
    ["a url with a fragment", url('▸"https://a.test#x"'), ["", 'found "#x"']],
    ["a url without host", url("▸https://"), ["", "expected a host such as"]],
    ["a url with a blank", url("▸https://a test"), ["", 'found "a test"']],
    ["port 0", url("▸https://a.test:0"), ["", 'expected a port from 1 to 65535, found "0"']],
    [
      "a port past the last",
      url("▸https://a.test:65536"),
      ["", 'expected a port from 1 to 65535, found "65536"'],
    ],
    ["a url that is a number", url("▸10"), ["", "expected text in quotes"]],
    [
      "a url as alias",
      registry("aliases: [▸'https://b.test/x']"),
      [
        'registries[0].aliases[0]: expected a host, found a url, "https://b.test/x": write only the host, b.test',
      ],
    ],
    [
      "a path as alias",
      registry("aliases: [▸b.test/x]"),
      ["", "found a path", "write only the host, b.test"],
    ],
    ["a login in an alias", registry("aliases: [▸'me:hunter2@b.test']"), ["", "a host alone, found an @"]],
    [
      "a wildcard as alias",
      registry("aliases: [▸'*.b.test']"),
      ["", "expected a host such as", '"*.b.test"'],
    ],
    ["port 0 in an alias", registry("aliases: [▸'b.test:0']"), ["", "expected a port from 1 to 65535"]],
    [
      "a host and port that YAML reads as a mapping",
      registry("aliases: [▸b.test: 5000]"),
      ["registries[0].aliases[0]: expected text, found a mapping"],
    ],
    // Spaces
    [
      "a space name that Harbor refuses",
      binding("spaces: [▸team__a]"),
      ["", "expected the name of a space as Harbor allows it", 'found "team__a"'],
    ],
    ["a space name in capitals", binding("spaces: [▸Team]"), ["", 'found "Team"']],
    ["a repository instead of a space", binding("spaces: [▸team/app]"), ["", 'found "team/app"']],
    ["a space name of 256 characters", binding(`spaces: [▸${"x".repeat(256)}]`), ["", 'x…"']],
    [
      "an id in quotes",
      binding('spaces: [{ name: x, id: ▸"42" }]'),
      ['bindings[0].spaces[0].id: expected a number without quotes, found "42": write id: 42'],
    ],
    [
      "an id of 0",
      binding("spaces: [{ name: x, id: ▸0 }]"),
      ["", "expected a positive whole number", "found 0"],
    ],
    ["half an id", binding("spaces: [{ name: x, id: ▸1.5 }]"), ["", "positive whole number", "found 1.5"]],
    [
      "an id past exact numbers",
      binding("spaces: [{ name: x, id: ▸9007199254740993 }]"),
      ["", "whole number"],
    ],
    [
      "a declared space without visibility",
      "spaces: [▸{ registry: a, name: x }]",
      ["spaces[0]: visibility is missing: write visibility: private or visibility: public"],
    ],
    [
      "a visibility in capitals",
      "spaces: [{ registry: a, name: x, visibility: ▸Public }]",
      ["", "mean public?"],
    ],
    ["adopt in words", space("adopt: ▸maybe"), ['spaces[0].adopt: expected true or false, found "maybe"']],
    // What YAML has and a policy does not
    [
      "a second document",
      "mode: warn\n▸---\nmode: audit",
      ["expected one document, found a second one after ---"],
    ],
    [
      "anchors, aliases and tags",
      "a: ▸&x 1\nb: ▸*x\nc: ▸!!str 3",
      ["", 'anchor "&x"'],
      ["", 'alias "*x": write the value out'],
      ["", 'tag "!!str"'],
    ],
    [
      "a wildcard without quotes",
      registry("aliases: [▸*.corp.test]"),
      ["", 'alias "*.corp.test"', "put text that begins with * in quotes"],
    ],
    ["a directive", "▸%YAML 1.1\n---\nmode: warn", ["", 'directive "%YAML 1.1": leave it out']],
    [
      "a tab as indentation",
      "bindings:\n▸\t- workspace: '1'",
      ["this is no valid YAML: Tabs ", "use spaces"],
    ],
    ["a colon in text", "mode: ▸a: b", ["this is no valid YAML: ", "in quotes"]],
    ["an open list", "exemptNamespaces: [a▸", ["this is no valid YAML: "]],
    ["an open quote", "mode: 'warn▸", ["this is no valid YAML: "]],
    [
      "a template that was not filled in",
      "mode: {▸{ .Values.mode }}",
      ["expected text as a key", "a template"],
    ],
    ["a reserved character", "mode: ▸@warn", ["this is no valid YAML: "]],
    ["a control character where none can be", "mode: |▸\r", ["this is no valid YAML: ", "\\u000d"]],
    [
      "a word that proxyCaches does not know",
      registry("proxyCaches: ▸privat"),
      ["registries[0].proxyCaches: expected as-harbor-says or private", "did you mean private?"],
    ],
    [
      "proxy caches of a docker-registry",
      url("https://a.test, proxyCaches: ▸private"),
      ["registries[0].proxyCaches: expected no such key: a docker-registry has no spaces"],
    ],
    [
      "a misspelled proxyCaches",
      registry("▸proxycache: private"),
      ['registries[0]: unknown key "proxycache": did you mean proxyCaches?'],
    ],
    // What is left of other encodings
    ["the rest of bytes that are no UTF-8", "mode: ▸w\ufffdrn", ["mode: ", "did you mean warn?"]],
    ["a problem behind a byte order mark", "\ufeffmode: ▸foo", ["mode: "]],
    [
      "characters that hide or reorder text",
      'mode: ▸"\u202e\\0\u200b"',
      ["mode: ", 'found "\\u202e\\u0000\\u200b"'],
    ],
  ];
  for (const [title, marked, ...expected] of invalid) {
    it(`tells of ${title}`, () => {
      const { text, places } = unmark(marked);
      const { content, problems } = parsePolicyDocument(text);
      expect(content).to.equal(null);
      expectTold(problems, "error", places, expected);
      expect(problems.every((problem) => problem.text.length < 500)).to.equal(true);
    });
  }

  function expectTold(
    problems: readonly DocumentProblem[],
    severity: string,
    places: readonly string[],
    expected: readonly Told[],
  ): void {
    const told = lines(problems);
    expect(told, told.join("\n")).to.have.lengthOf(expected.length);
    expect(places, "marks").to.have.lengthOf(expected.length);
    for (const [index, [beginning, ...pieces]] of expected.entries()) {
      const start = `${places[index]!} ${severity}: ${beginning}`;
      expect(told[index]!.slice(0, start.length)).to.equal(start);
      for (const piece of pieces) expect(told[index]).to.include(piece);
    }
  }

  const warned: readonly [title: string, text: string, ...told: readonly Told[]][] = [
    ["http", url("▸http://a.test"), ["registries[0].url: http:// sends logins and images in clear text"]],
    [
      "an alias listed twice",
      registry("aliases: [b.test, ▸b.test]"),
      ['registries[0].aliases[1]: "b.test" is listed already'],
    ],
    ["the url's host as alias", registry("aliases: [▸a.test]"), ["", '"a.test" is listed already']],
    [
      "an alias that image names cannot have",
      registry("aliases: [▸harbor]"),
      ['registries[0].aliases[0]: image names cannot begin with "harbor"'],
    ],
    [
      "a url whose host image names cannot have",
      url("▸https://harbor"),
      ["", "add harbor:443 or the full name"],
    ],
    [
      "a login that is handed out to a workspace",
      registry('workspace: "1"').replace("credentialsSecret: ", "credentialsSecret: ▸"),
      ["registries[0].credentialsSecret: is handed out to every namespace of the workspace"],
    ],
    [
      "Berth's own login as the one for pulling",
      registry('workspace: "1", pullCredentialsSecret: ▸s'),
      ["registries[0].pullCredentialsSecret: is the login that Berth itself uses"],
    ],
    [
      "Berth's own login as the one for pulling from a docker-registry",
      url("https://a.test, credentialsSecret: s, pullCredentialsSecret: ▸s"),
      ["registries[0].pullCredentialsSecret: is the login that Berth itself uses"],
    ],
    [
      "proxy caches that are one workspace's in any case",
      registry('workspace: "1", pullCredentialsSecret: p, proxyCaches: ▸private'),
      ["registries[0].proxyCaches: is not used"],
    ],
    [
      "a login for pulling that a Harbor has no use for",
      registry("pullCredentialsSecret: ▸p"),
      ["registries[0].pullCredentialsSecret: is not used"],
    ],
  ];
  for (const [title, marked, ...expected] of warned) {
    it(`holds, with a warning, in spite of ${title}`, () => {
      const { text, places } = unmark(marked);
      expectTold(parsePolicyDocument(text).problems, "warning", places, expected);
      contentOf(text);
    });
  }

  for (const [keys, expected] of [
    ["caSecret: c", false],
    ["proxyCaches: as-harbor-says", false],
    ["proxyCaches: private", true],
  ] as const) {
    it(`says how proxy caches count: ${keys}`, () => {
      const [first] = contentOf(registry(keys)).registries;
      expect(first?.value.treatsProxyCachesAsPrivate).to.equal(expected);
    });
  }

  it("never repeats the login of a url", () => {
    const hidden = [
      url("https://me:hunter2@a.test"),
      url("//me:hunter2@a.test"),
      url("[https://me:hunter2@a.test]"),
      registry("aliases: ['me:hunter2@b.test']"),
      registry("aliases: ['https://me:hunter2@b.test/x']"),
      registry("aliases: https://me:hunter2@b.test"),
      registry("caSecret: https://me:hunter2@b.test"),
      "registries: https://me:hunter2@b.test",
      "registries: ['https://me:hunter2@b.test']",
      "https://me:hunter2@b.test",
      "mode: https://me:hunter2@b.test",
      "'https://me:hunter2@b.test': 1",
      `mode: 'https://me:hunter2${"x".repeat(200)}@b.test'`,
      "a: [ } https://me:hunter2@b.test",
    ];
    for (const text of hidden) {
      const told = lines(parsePolicyDocument(text).problems);
      expect(told.length, text).to.be.greaterThan(0);
      expect(told.join("\n"), text).to.not.include("hunter2");
    }
  });

  const hosts: readonly [written: string, hosts: readonly string[], spellings: readonly string[]][] = [
    ["url: https://a.test", ["a.test"], ["a.test"]],
    ["url: http://a.test", ["a.test:80", "a.test"], ["a.test:80", "a.test"]],
    ["url: http://a.test:8080", ["a.test:8080"], ["a.test:8080"]],
    [
      "url: https://A.test, aliases: ['a.test:0443', b.test]",
      ["a.test", "b.test"],
      ["A.test", "a.test:0443", "b.test"],
    ],
  ];
  for (const [written, claimed, spellings] of hosts) {
    it(`claims ${claimed.join(", ")} with ${written}`, () => {
      const { registries } = contentOf(`registries: [{ name: a, type: docker-registry, ${written} }]`);
      expect(registries[0]!.value.hosts).to.deep.equal(claimed);
      expect(registries[0]!.value.spellings).to.deep.equal(spellings);
    });
  }

  const origins: readonly [written: string, origin: string][] = [
    ["https://a.test/", "https://a.test"],
    ["HTTPS://A.test:0443", "https://a.test"],
    ["http://a.test:80", "http://a.test"],
    ["https://a.test:8443", "https://a.test:8443"],
    ['"https://[2001:DB8:0::1]:5000"', "https://[2001:db8::1]:5000"],
  ];
  for (const [written, origin] of origins) {
    it(`knows ${written} as ${origin}`, () => {
      expect(contentOf(url(written)).registries[0]!.value.url).to.equal(origin);
    });
  }

  const quantities: readonly [written: string, bytes: number][] = [
    ["50Gi", 53_687_091_200],
    ['"500Mi"', 524_288_000],
    ["1Ti", 1_099_511_627_776],
    ["4Ki", 4_096],
    ["2k", 2_000],
    ["1.5Gi", 1_610_612_736],
    [".5k", 500],
    ["1000", 1_000],
    ["1e3", 1_000],
    ['"1E3"', 1_000],
    ['"+5M"', 5_000_000],
    ["1E-3", 1],
    ["0.1k", 100],
    ["1.0001k", 1_001],
    ["7Pi", 7_881_299_347_898_368],
    ["9007199254740991", Number.MAX_SAFE_INTEGER],
  ];
  for (const [written, bytes] of quantities) {
    it(`reads storage ${written} as ${bytes} bytes`, () => {
      expect(contentOf(space(`storage: ${written}`)).spaces[0]!.value.storageBytes).to.equal(bytes);
    });
  }

  const noQuantities = [
    "50GB",
    "50gi",
    '"50 Gi"',
    "50m",
    "50K",
    "0",
    '"0Gi"',
    "-1",
    '"-1"',
    "1e99",
    "8Pi",
    "1Ei",
    "~",
    "[1]",
    "{}",
    "yes",
    '""',
    '"."',
    "Gi",
    "0x10Gi",
    ".inf",
    `"${"9".repeat(1000)}"`,
  ];
  for (const written of noQuantities) {
    it(`refuses storage ${written.slice(0, 20)}`, () => {
      const { text, places } = unmark(space(`storage: ▸${written}`));
      const { content, problems } = parsePolicyDocument(text);
      expect(content).to.equal(null);
      expectTold(problems, "error", places, [["spaces[0].storage: expected an amount of bytes such as"]]);
    });
  }

  it("lists a screenful of problems and counts the others", () => {
    const text = `bindings:\n${"  - { workspace: 1, registry: a }\n".repeat(500)}`;
    const { content, problems } = parsePolicyDocument(text);
    expect(content).to.equal(null);
    expect(problems).to.have.lengthOf(maxListedProblems + 1);
    expect(problems.at(-1)).to.deep.equal({
      severity: "error",
      position: null,
      text: `and ${500 - maxListedProblems} more problems in this document`,
    });
  });

  it("lists problems in the order of the text", () => {
    const told = lines(parsePolicyDocument("foo: 1\nbindings: 2\nbar: 3\nmode: 4").problems);
    expect(told.map((line) => line.split(" ")[0])).to.deep.equal(["1:1", "2:11", "3:1", "4:7"]);
  });

  describe("whatever its text", () => {
    function expectCalm(text: string): void {
      const { content, problems } = parsePolicyDocument(text);
      const isBroken = problems.some(({ severity }) => severity === "error");
      expect(content === null).to.equal(isBroken);
      expect(problems.length).to.be.at.most(maxListedProblems + 1);
      const lastLine = text.split("\n").length;
      for (const problem of problems) {
        expect(problem.text).to.match(/^[^\p{Cc}\u2028\u2029]{1,700}$/u);
        if (problem.position === null) continue;
        expect(problem.position.line).to.be.within(1, lastLine);
        expect(problem.position.column).to.be.at.least(1);
      }
    }

    it("has content or errors, and nothing is thrown, for any text", () => {
      fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 200 }), expectCalm), { numRuns: 500 });
    });

    const pieces = [
      "mode",
      "registries",
      "bindings",
      "spaces",
      "workspace",
      "name",
      "type",
      "url",
      "aliases",
      "id",
      "storage",
      "harbor",
      "https://a.test",
      "12",
      "on",
      "~",
      "{}",
      "[]",
      "managed",
      "*a",
      "&a",
      "!!set",
      "!x",
      "<<",
      "%YAML 1.1",
      ":",
      ": ",
      "- ",
      "? ",
      "\n",
      "\n  ",
      "\n    ",
      "[",
      "]",
      "{",
      "}",
      ",",
      '"',
      "'",
      "|",
      ">",
      "#",
      " #",
      "\t",
      "---\n",
      "...\n",
      "\r",
      "\0",
      "\ufeff",
      "\ufffd",
      "__proto__",
      "toString",
    ];

    it("has content or errors, and nothing is thrown, for anything like YAML", () => {
      const text = fc.array(fc.constantFrom(...pieces), { maxLength: 40 }).map((some) => some.join(""));
      fc.assert(fc.property(text, expectCalm), { numRuns: 2_000 });
    });

    it("has content or errors, and nothing is thrown, for the example with some of it changed", () => {
      const edit = fc.record({
        at: fc.nat(example.length),
        length: fc.nat(12),
        put: fc.constantFrom(...pieces),
      });
      const changed = fc
        .array(edit, { minLength: 1, maxLength: 5 })
        .map((edits) =>
          edits.reduce(
            (text, { at, length, put }) => text.slice(0, at) + put + text.slice(at + length),
            example,
          ),
        );
      fc.assert(fc.property(changed, expectCalm), { numRuns: 1_000 });
    });
  });
});
