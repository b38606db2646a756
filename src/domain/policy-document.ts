// One policy document: text → validated content with positions, or problems that say what was expected, what was
// found and how to mend it. One synchronous function of the text; its result is plain data. What documents say
// together, and against each other, is judged in policy-merge.ts.

import { z } from "zod";
import type { DeclaredSpace, Mode, Position, Registry, UnlistedRegistries } from "./policy.ts";
import { type DocumentProblem, listed, maxListedProblems, nearestName, shown } from "./policy-problem.ts";
import { type Found, type Path, readYaml, type YamlText } from "./policy-yaml.ts";
import { canonicalHost, hostsOfUrl, isHost, spellingsOfUrl } from "./registry-host.ts";
import { isSpaceName } from "./space-name.ts";

export interface PolicyDocument {
  /** Null when there are errors. */
  readonly content: PolicyContent | null;
  /** Errors, or else the warnings that go with the content. */
  readonly problems: readonly DocumentProblem[];
}

export interface Placed<T> {
  readonly value: T;
  readonly position: Position;
}

/** What a document says; null for a key that it does not have. */
export interface PolicyContent {
  readonly mode: Placed<Mode> | null;
  readonly unlistedRegistries: Placed<UnlistedRegistries> | null;
  readonly exemptNamespaces: Placed<readonly string[]> | null;
  readonly registries: readonly Placed<Registry>[];
  readonly spaces: readonly Placed<DeclaredSpace>[];
  readonly bindings: readonly Placed<BindingEntry>[];
}

/** One entry of `bindings`: a workspace, a registry, and any number of its spaces. */
export interface BindingEntry {
  readonly workspace: string;
  readonly registry: string;
  readonly spaces: readonly Placed<{ readonly name: string; readonly id: number | null }>[];
}

/** Reads one document. Never throws, whatever the text. */
export function parsePolicyDocument(text: string): PolicyDocument {
  const reading = readYaml(text);
  if (reading.kind === "unreadable") return { content: null, problems: reading.problems };
  const { yaml } = reading;
  // A document of comments, or of nothing, says nothing.
  const parsed = documentSchema.safeParse(yaml.value ?? {});
  if (!parsed.success) return { content: null, problems: explainAll(parsed.error.issues, yaml) };
  return { content: contentOf(parsed.data, yaml), problems: listed([...warningsOf(parsed.data, yaml)]) };
}

// --- Words of the document, each with what it may be ---

/** A text for which `problemOf` finds nothing to say. */
function textThat(problemOf: (text: string) => string | undefined) {
  return z.string().check((context) => {
    const message = problemOf(context.value);
    if (message !== undefined) context.issues.push({ code: "custom", message, input: context.value });
  });
}

function textLike(expected: string, isOne: (text: string) => boolean) {
  return textThat((text) => (isOne(text) ? undefined : `expected ${expected}, found ${shown(text)}`));
}

/** RFC 1123 as Kubernetes has it. */
const isDnsLabel = (text: string): boolean => /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text);

/** Names of Secrets: labels joined by dots, 253 characters in all. */
function isObjectName(text: string): boolean {
  const isPart = (part: string): boolean => /^[a-z0-9]/.test(part) && /^[a-z0-9-]*[a-z0-9]$/.test(part);
  return text.length <= 253 && text.split(".").every(isPart);
}

/** What a label's value may be: any other workspace could never be that of a namespace. */
const isLabelValue = (text: string): boolean =>
  /^[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/.test(text);

/** It becomes part of the ConfigMap names `berth-catalogue-<name>` and a metric label. */
const registryName = textLike(
  "a registry name of at most 63 lower-case letters, digits and dashes, such as managed",
  isDnsLabel,
);
const namespaceName = textLike(
  "the name of a namespace: at most 63 lower-case letters, digits and dashes",
  isDnsLabel,
);
const secretName = textLike(
  "the name of a Secret: lower-case letters, digits, dashes and dots, such as harbor-login",
  isObjectName,
);
const workspaceId = textLike(
  'a workspace id as the namespace label has it: letters, digits, dashes, dots and underscores, such as "12"',
  isLabelValue,
);
const spaceName = textLike(
  "the name of a space as Harbor allows it: lower-case letters and digits, joined by single dots, dashes or underscores",
  isSpaceName,
);

/** A space by its name alone is the short form of `{ name: … }`. */
const boundSpace = z.preprocess(
  (value) => (isMapping(value) ? value : { name: value }),
  z.strictObject({
    name: spaceName,
    id: z
      .number()
      .check((context) => {
        if (Number.isSafeInteger(context.value) && context.value > 0) return;
        const message = `expected a positive whole number, Harbor's project_id, found ${context.value}`;
        context.issues.push({ code: "custom", message, input: context.value });
      })
      .optional(),
  }),
);

function isMapping(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** `[]` may be left out; a key whose entries are all commented out is null. */
const listOf = <Item extends z.ZodType>(item: Item) => z.array(item).nullish();

const everyRegistry = {
  name: registryName,
  url: textThat(urlProblem),
  aliases: listOf(textThat(aliasProblem)),
  pullCredentialsSecret: secretName.optional(),
  caSecret: secretName.optional(),
  workspace: workspaceId.optional(),
};
const registryTypes = ["harbor", "docker-registry"] as const;
const harbor = z.strictObject({
  type: z.literal(registryTypes[0]),
  ...everyRegistry,
  // Without a login a Harbor lists its public projects only, and makes no robots.
  credentialsSecret: secretName,
  proxyCaches: z.enum(["as-harbor-says", "private"]).optional(),
});
const dockerRegistry = z.strictObject({
  type: z.literal(registryTypes[1]),
  ...everyRegistry,
  credentialsSecret: secretName.optional(),
  proxyCaches: z
    .unknown()
    .check((context) => {
      const message = "expected no such key: a docker-registry has no spaces, and so no proxy caches";
      context.issues.push({ code: "custom", message, input: context.value });
    })
    .optional(),
});
const declaredSpace = z.strictObject({
  registry: registryName,
  name: spaceName,
  visibility: z.enum(["public", "private"]),
  storage: z
    .unknown()
    .transform((value, context) => {
      const bytes = bytesOf(value);
      if (bytes !== undefined) return bytes;
      context.addIssue(storageProblem(value));
      return z.NEVER;
    })
    .optional(),
  adopt: z.boolean().optional(),
});
const bindingEntry = z.strictObject({
  workspace: workspaceId,
  registry: registryName,
  spaces: listOf(boundSpace),
});

const documentSchema = z.strictObject({
  mode: z.enum(["enforce", "warn", "audit"]).optional(),
  unlistedRegistries: z.enum(["deny", "warn", "allow"]).optional(),
  exemptNamespaces: listOf(namespaceName),
  registries: listOf(z.discriminatedUnion("type", [harbor, dockerRegistry])),
  spaces: listOf(declaredSpace),
  bindings: listOf(bindingEntry),
});
type WrittenDocument = z.output<typeof documentSchema>;
type WrittenRegistry = z.output<typeof harbor> | z.output<typeof dockerRegistry>;

/** The keys of each mapping, by the keys that lead to it. */
const knownKeys: Readonly<Record<string, readonly string[]>> = {
  "": Object.keys(documentSchema.shape),
  registries: Object.keys(dockerRegistry.shape),
  spaces: Object.keys(declaredSpace.shape),
  bindings: Object.keys(bindingEntry.shape),
  "bindings.spaces": ["name", "id"],
};

// --- Hosts ---

/** Why a registry cannot have this url; undefined where it can. */
export function urlProblem(url: string): string | undefined {
  if (url.includes("@")) {
    return "expected a url without user and password: put them in the Secret that credentialsSecret names";
  }
  const [, scheme = "", host = "", rest = ""] = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)(.*)$/is.exec(url) ?? [];
  if (scheme === "") {
    const mend = isHost(url) ? `: write https://${url}` : "";
    return `expected a url such as https://harbor.example.test, found ${shown(url)}${mend}`;
  }
  if (!/^https?$/i.test(scheme)) return `expected an https:// or http:// url, found ${shown(`${scheme}://`)}`;
  if (!isHost(host)) return hostProblem(host);
  if (rest === "" || rest === "/") return undefined;
  return `expected scheme, host and port only, found ${shown(rest)} after them: write ${scheme}://${host}`;
}

function aliasProblem(alias: string): string | undefined {
  if (alias.includes("@")) return "expected a host alone, found an @: leave user and password out";
  if (isHost(alias)) return undefined;
  const [host = ""] = alias.replace(/^[a-z][a-z0-9+.-]*:\/\//i, "").split(/[/?#]/, 1);
  if (host === alias) return hostProblem(alias);
  const found = alias.includes("://") ? "a url" : "a path";
  const mend = isHost(host)
    ? `write only the host, ${host}`
    : "write only the host, as image names begin with it";
  return `expected a host, found ${found}, ${shown(alias)}: ${mend}`;
}

function hostProblem(host: string): string {
  const [, name = "", port = ""] = /^(.*):([0-9]+)$/s.exec(host) ?? [];
  if (isHost(name)) return `expected a port from 1 to 65535, found ${shown(port)}`;
  return `expected a host such as harbor.example.test or 10.6.232.5:30010, found ${shown(host)}`;
}

/** `harbor/team/app` is a path on Docker Hub: no image name can have such a host without a port. */
function isTakenForPath(host: string): boolean {
  return !/[.:A-Z]/.test(host) && host !== "localhost";
}

// --- Storage ---

/** Beyond it numbers are no longer exact: 8 PiB, eight times what Harbor's own page lets people enter. */
const maxStorageBytes = Number.MAX_SAFE_INTEGER;

const unitBytes: Readonly<Record<string, number>> = {
  "": 1,
  ...Object.fromEntries(["k", "M", "G", "T", "P", "E"].map((unit, index) => [unit, 1000 ** (index + 1)])),
  ...Object.fromEntries(
    ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].map((unit, index) => [unit, 1024 ** (index + 1)]),
  ),
};

/**
 * A Kubernetes quantity as bytes, a part of a byte rounded up as Kubernetes does. Its units below one (m, u, n)
 * make no sense for bytes: `50m` is somebody's 50Mi. -1, Harbor's word for unlimited, is no quantity either:
 * leaving `storage` out leaves the quota to Harbor.
 */
function bytesOf(value: unknown): number | undefined {
  const text = typeof value === "number" ? String(value) : value;
  if (typeof text !== "string" || text.length > 32) return undefined;
  const [, digits, exponent = "0", unit = ""] =
    /^\+?([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,2})|([kMGTPE]i?|Ki))?$/.exec(text) ?? [];
  const size = unitBytes[unit];
  if (digits === undefined || size === undefined) return undefined;
  const bytes = Math.ceil(Number(`${digits}e${exponent}`) * size);
  return bytes > 0 && bytes <= maxStorageBytes ? bytes : undefined;
}

function storageProblem(value: unknown): string {
  const found =
    typeof value === "string" || typeof value === "number" ? shown(String(value)) : "something else";
  return (
    "expected an amount of bytes such as 500Mi, 50Gi or 1Ti, above 0 and below 8Pi " +
    `(units k M G T P Ki Mi Gi Ti Pi), found ${found}; without storage Harbor's own default holds`
  );
}

// --- From issues to problems ---

type Issue = z.core.$ZodIssue;

function explainAll(issues: readonly Issue[], yaml: YamlText): readonly DocumentProblem[] {
  const problems: DocumentProblem[] = [];
  let total = 0;
  for (const issue of issues) {
    const keys = issue.code === "unrecognized_keys" ? issue.keys : [undefined];
    total += keys.length;
    // Explaining costs far more than finding; what is not listed is counted.
    for (const key of keys.slice(0, maxListedProblems - problems.length)) {
      problems.push(key === undefined ? explain(issue, yaml) : explainUnknownKey(issue.path, key, yaml));
    }
  }
  return listed(problems, total);
}

function error(position: Position, path: Path, text: string): DocumentProblem {
  return { severity: "error", position, text: path.length === 0 ? text : `${pathText(path)}: ${text}` };
}

function pathText(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    return text === "" ? String(part) : `${text}.${String(part)}`;
  }, "");
}

function explainUnknownKey(path: Path, key: string, yaml: YamlText): DocumentProblem {
  const keys = knownKeysAt(path);
  const nearest = nearestName(key, keys);
  const mend = nearest === undefined ? `expected ${wordList(keys)}` : `did you mean ${nearest}?`;
  return error(yaml.findKey(path, key), path, `unknown key ${shown(key)}: ${mend}`);
}

function explain(issue: Issue, yaml: YamlText): DocumentProblem {
  const found = yaml.find(issue.path);
  const key = issue.path.at(-1);
  if (found.kind === "mapping" && found.path.length < issue.path.length) {
    return error(
      found.position,
      found.path,
      `${String(key)} is missing: ${missingKeys[String(key)] ?? "add it"}`,
    );
  }
  return error(found.position, found.path, explainValue(issue, found));
}

const missingKeys: Readonly<Record<string, string>> = {
  type: "write type: harbor or type: docker-registry",
  name: "write name: and what it is called",
  url: "write url: and the registry's address, such as https://harbor.example.test",
  credentialsSecret:
    "write credentialsSecret: and the Secret whose username and password Berth reads this Harbor with",
  workspace: 'write workspace: and the id in quotes, such as "12"',
  registry: "write registry: and the name of one of the registries",
  visibility: "write visibility: private or visibility: public",
};

function explainValue(issue: Issue, found: Found): string {
  switch (issue.code) {
    case "invalid_type":
      return explainType(issue.expected, found);
    case "invalid_value":
      return explainChoice(issue.values.map(String), found);
    case "invalid_union":
      return explainChoice(registryTypes, found);
    default:
      return issue.message;
  }
}

function explainChoice(choices: readonly string[], found: Found): string {
  const nearest = found.kind === "text" ? nearestName(found.source, choices) : undefined;
  const mend = nearest === undefined ? "" : `: did you mean ${nearest}?`;
  return `expected ${wordList(choices)}, found ${whatIs(found)}${mend}`;
}

/** What stands where something of another kind was expected, and how the reader can write what is meant. */
function explainType(expected: string, found: Found): string {
  const { kind, source } = found;
  const what = whatIs(found);
  switch (expected) {
    case "string":
      if (kind === "nothing") return `expected text, found nothing: write ${written(found, '"…"')}`;
      if (kind === "list" || kind === "mapping") return `expected text, found ${what}`;
      return (
        `expected text in quotes: write ${written(found, shown(source))} ` +
        `(without quotes, YAML can read ${what} as ${kind === "number" ? "a number" : "true or false"})`
      );
    case "array": {
      if (kind === "mapping") return "expected a list, found a mapping: begin each entry with a dash";
      const item = kind === "text" ? source : JSON.stringify(source);
      return `expected a list, found ${what}: write ${written(found, `[${shown(item).slice(1, -1)}]`)}`;
    }
    case "object":
      return `expected a mapping with ${wordList(knownKeysAt(found.path), "and")}, found ${what}`;
    case "boolean":
      return `expected true or false, found ${what}`;
    default: {
      const mend = /^[0-9]{1,15}$/.test(source) ? `: write ${written(found, source)}` : "";
      return `expected a number without quotes, found ${what}${mend}`;
    }
  }
}

function knownKeysAt(path: Path): readonly string[] {
  return knownKeys[path.filter((part) => typeof part === "string").join(".")] ?? [];
}

/** `workspace: "12"`, or the value alone for an entry of a list. */
function written({ path }: Found, value: string): string {
  const key = path.at(-1);
  return typeof key === "string" ? `${key}: ${value}` : value;
}

function whatIs({ kind, source }: Found): string {
  switch (kind) {
    case "text":
      return shown(source);
    case "number":
    case "boolean":
      return shown(source).slice(1, -1);
    case "nothing":
      return "nothing";
    case "list":
    case "mapping":
      return `a ${kind}`;
  }
}

function wordList(words: readonly string[], last = "or"): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(", ")} ${last} ${words.at(-1) ?? ""}`;
}

// --- From what is written to what is meant ---

function contentOf(document: WrittenDocument, yaml: YamlText): PolicyContent {
  const placed = <T>(value: T, ...path: Path): Placed<T> => ({ value, position: yaml.find(path).position });
  const { mode, unlistedRegistries, exemptNamespaces } = document;
  return {
    mode: mode === undefined ? null : placed(mode, "mode"),
    unlistedRegistries:
      unlistedRegistries === undefined ? null : placed(unlistedRegistries, "unlistedRegistries"),
    exemptNamespaces: exemptNamespaces ? placed(exemptNamespaces, "exemptNamespaces") : null,
    registries: (document.registries ?? []).map((registry, index) =>
      placed(registryOf(registry), "registries", index),
    ),
    spaces: (document.spaces ?? []).map(({ registry, name, visibility, storage, adopt }, index) => {
      const space = { registry, name, visibility, storageBytes: storage ?? null, adopt: adopt ?? false };
      return placed(space, "spaces", index);
    }),
    bindings: (document.bindings ?? []).map(({ workspace, registry, spaces }, index) => {
      const bound = (spaces ?? []).map(({ name, id }, spaceIndex) =>
        placed({ name, id: id ?? null }, "bindings", index, "spaces", spaceIndex),
      );
      return placed({ workspace, registry, spaces: bound }, "bindings", index);
    }),
  };
}

function registryOf(written: WrittenRegistry): Registry {
  const aliases = written.aliases ?? [];
  return {
    name: written.name,
    type: written.type,
    url: new URL(written.url).origin,
    hosts: [...new Set([...hostsOfUrl(written.url), ...aliases.map(canonicalHost)])],
    spellings: [...new Set([...spellingsOfUrl(written.url), ...aliases])],
    credentialsSecret: written.credentialsSecret ?? null,
    pullCredentialsSecret: written.pullCredentialsSecret ?? null,
    caSecret: written.caSecret ?? null,
    treatsProxyCachesAsPrivate: written.type === "harbor" && written.proxyCaches === "private",
    workspace: written.workspace ?? null,
  };
}

// --- Warnings: legal, and perhaps not meant ---

function* warningsOf(document: WrittenDocument, yaml: YamlText): Generator<DocumentProblem> {
  for (const [index, registry] of (document.registries ?? []).entries()) {
    for (const [key, text] of registryWarnings(registry)) {
      const path = ["registries", index, ...key];
      yield { severity: "warning", position: yaml.find(path).position, text: `${pathText(path)}: ${text}` };
    }
  }
}

type Warning = readonly [key: Path, text: string];

function* registryWarnings(registry: WrittenRegistry): Generator<Warning> {
  const { url, type, workspace, credentialsSecret, pullCredentialsSecret } = registry;
  if (/^http:/i.test(url)) {
    yield [["url"], "http:// sends logins and images in clear text: use https:// if the registry can"];
  }
  yield* hostWarnings(registry);
  const handsOutLogin = type === "docker-registry" || workspace !== undefined;
  if (!handsOutLogin && pullCredentialsSecret !== undefined) {
    yield [
      ["pullCredentialsSecret"],
      "is not used: namespaces pull from this Harbor with robot accounts of their own",
    ];
  }
  if (workspace !== undefined && credentialsSecret !== undefined && pullCredentialsSecret === undefined) {
    yield [
      ["credentialsSecret"],
      "is handed out to every namespace of the workspace: name a login that cannot push as pullCredentialsSecret",
    ];
  }
  if (type === "harbor" && workspace !== undefined && registry.proxyCaches === "private") {
    yield [
      ["proxyCaches"],
      "is not used: all spaces of this registry are for its workspace, and for no other",
    ];
  }
  if (handsOutLogin && credentialsSecret !== undefined && credentialsSecret === pullCredentialsSecret) {
    yield [
      ["pullCredentialsSecret"],
      "is the login that Berth itself uses, and is handed out: name one that cannot push",
    ];
  }
}

function* hostWarnings({ url, aliases }: WrittenRegistry): Generator<Warning> {
  const ownSpellings = spellingsOfUrl(url);
  if (ownSpellings.every(isTakenForPath)) yield [["url"], takenForPath(ownSpellings[0] ?? "")];
  const seen = new Set(ownSpellings);
  for (const [index, alias] of (aliases ?? []).entries()) {
    if (seen.has(alias)) yield [["aliases", index], `${shown(alias)} is listed already: leave it out`];
    else if (isTakenForPath(alias)) yield [["aliases", index], takenForPath(alias)];
    seen.add(alias);
  }
}

function takenForPath(host: string): string {
  return `image names cannot begin with ${shown(host)}, which is taken for a path on Docker Hub: add ${host}:443 or the full name as an alias`;
}
