// The sharing rule once more, as slowly and plainly as it can be said: regular expressions, lists and loops, from the
// documents and the upstream grammar alone. Nothing of src is used here, so that a mistake would have to be made twice.

export interface ModelRegistry {
  readonly name: string;
  readonly type: "harbor" | "docker-registry";
  /** Hosts as written. */
  readonly spellings: readonly string[];
  readonly workspace: string | null;
  /** `proxyCaches: private` */
  readonly proxyCachesArePrivate: boolean;
  readonly login: boolean;
  readonly pullLogin: boolean;
}

export interface ModelSpace {
  readonly name: string;
  /** In Harbor. */
  readonly visibility: "public" | "private";
  readonly id: number;
  readonly proxyCache: boolean;
}

/** A space that the policy declares. */
export interface ModelDeclared {
  readonly registry: string;
  readonly space: string;
  readonly adopt: boolean;
  /** The id of what Berth made or took over under the name; null where it did neither. */
  readonly own: number | null;
}

export interface ModelBinding {
  readonly workspace: string;
  readonly registry: string;
  readonly space: string;
  /** Written in the policy. */
  readonly id: number | null;
  /** What the space had when the binding was first seen; null where no catalogue has shown it. */
  readonly pin: number | null;
}

export interface ModelCatalogue {
  readonly registry: string;
  readonly spaces: readonly ModelSpace[];
  readonly stale: boolean;
}

/** What a look-up would say. */
export interface LiveSpace {
  readonly registry: string;
  readonly space: string;
  readonly answer: "silent" | "older" | "newer";
  readonly found: Omit<ModelSpace, "name"> | null;
}

export interface World {
  readonly policyRead: boolean;
  readonly stale: "serve" | "refuse-unbound";
  readonly unlisted: "deny" | "warn" | "allow";
  readonly exempt: readonly string[];
  readonly registries: readonly ModelRegistry[];
  readonly bindings: readonly ModelBinding[];
  readonly declared: readonly ModelDeclared[];
  /** Is there a record of what Berth made? */
  readonly recordsOwnSpaces: boolean;
  readonly catalogues: readonly ModelCatalogue[];
  /** Known to the snapshot. */
  readonly namespaces: Readonly<Record<string, string | null>>;
  /** Known to the API server only; "silent" where it could not be asked, and not there at all where it does not exist. */
  readonly liveNamespaces: Readonly<Record<string, string | null>>;
  readonly namespacesAreSilent: boolean;
  readonly live: readonly LiveSpace[];
  /** `<registry>/<repository>` whose pull the token service grants. */
  readonly grants: readonly string[];
  readonly grantsAreSilent: boolean;
}

export interface ModelQuestion {
  readonly namespace: string;
  readonly images: readonly string[];
  readonly unchanged: readonly string[];
  readonly malformed: boolean;
  readonly mirror: boolean;
  readonly lacksPullSecret: boolean;
}

export interface Finding {
  readonly allowed: boolean;
  readonly reason: string;
  readonly secret: boolean;
}

export interface ModelVerdict {
  readonly kind: "allow" | "allow-with-pull-secret" | "refuse";
  readonly reasons: readonly string[];
}

const yes = (reason: string, secret = false): Finding => ({ allowed: true, reason, secret });
const no = (reason: string): Finding => ({ allowed: false, reason, secret: false });

export function modelVerdict(world: World, question: ModelQuestion): ModelVerdict {
  const { namespace, images } = question;
  if (namespace === "berth-system" || world.exempt.includes(namespace)) {
    return { kind: "allow", reasons: images.map(() => "exempt-namespace") };
  }
  if (question.malformed) return { kind: "refuse", reasons: ["malformed-object"] };
  if (question.mirror) return { kind: "allow", reasons: images.map(() => "mirror-pod") };
  const findings = images.map((image) =>
    question.unchanged.includes(image) ? yes("unchanged") : modelFinding(world, namespace, image),
  );
  const reasons = findings.map(({ reason }) => reason);
  if (findings.some(({ allowed }) => !allowed)) return { kind: "refuse", reasons };
  if (!findings.some(({ secret }) => secret)) return { kind: "allow", reasons };
  if (question.lacksPullSecret) return { kind: "refuse", reasons: [...reasons, "pull-secret-not-injected"] };
  return { kind: "allow-with-pull-secret", reasons };
}

export function modelFinding(world: World, namespace: string, image: string): Finding {
  const parsed = modelParse(image);
  if (parsed === "image-id") return no("image-by-id");
  if (parsed === "malformed") return no("malformed-image");
  if (!world.policyRead) return no("catalogue-not-ready");
  const claimants = world.registries.filter(({ spellings }) =>
    spellings.some((spelling) => server(spelling) === server(parsed.host)),
  );
  if (claimants.length === 0) {
    return world.unlisted === "deny" ? no("unlisted-registry") : yes("unlisted-registry-allowed");
  }
  const shared = claimants.length > 1;
  const ordered = [
    ...claimants.filter(({ workspace }) => workspace === null),
    ...claimants.filter(({ workspace }) => workspace !== null),
  ];
  const findings = ordered.map((registry) => onRegistry(world, namespace, parsed.path, registry, shared));
  const [first = no("nothing claims it")] = findings;
  const foreign = "registry-of-another-workspace";
  return (
    findings.find(({ allowed }) => allowed) ?? findings.find(({ reason }) => reason !== foreign) ?? first
  );
}

function onRegistry(
  world: World,
  namespace: string,
  path: readonly string[],
  registry: ModelRegistry,
  shared: boolean,
): Finding {
  const { type, workspace: owner } = registry;
  const [space = "", ...rest] = path;
  if (owner !== null) {
    const home = homeOf(world, namespace);
    if (home === undefined) return no("namespace-unknown");
    if (home !== owner) return no("registry-of-another-workspace");
    if (!shared) return yes("workspace-registry", registry.login || registry.pullLogin);
    if (rest.length === 0) return no("no-space-in-name");
    const granted = !world.grantsAreSilent && world.grants.includes(`${registry.name}/${path.join("/")}`);
    return granted ? yes("workspace-registry", registry.login || registry.pullLogin) : no("space-not-bound");
  }
  if (type === "docker-registry") return yes("open-registry", registry.pullLogin);
  if (rest.length === 0) return no("no-space-in-name");
  const catalogue = world.catalogues.find((one) => one.registry === registry.name);
  if (catalogue === undefined) return no("catalogue-not-ready");
  const mistrusted = catalogue.stale && world.stale === "refuse-unbound";
  const known = catalogue.spaces.find(({ name }) => name === space) ?? null;
  const finding = onSpace(world, namespace, registry, space, known, mistrusted);
  if (finding.allowed) return finding;
  // No project of Harbor has such a name: there is nothing to look up.
  if (!/^[a-z0-9]+(?:[._-][a-z0-9]+)*$/.test(space)) return finding;
  const live = world.live.find((one) => one.registry === registry.name && one.space === space);
  if (live?.answer !== "newer") return finding;
  return onSpace(world, namespace, registry, space, live.found, false);
}

function onSpace(
  world: World,
  namespace: string,
  registry: ModelRegistry,
  name: string,
  space: Omit<ModelSpace, "name"> | null,
  mistrusted: boolean,
): Finding {
  const isHidden = registry.proxyCachesArePrivate && space?.proxyCache === true;
  const isOpen = space?.visibility === "public" && !isHidden;
  if (isOpen && !mistrusted) return yes("public-space");
  const home = homeOf(world, namespace);
  if (home === undefined) return no("namespace-unknown");
  if (space === null) return no(mistrusted ? "catalogue-stale" : "space-unknown");
  const binding = world.bindings.find(
    (one) => one.registry === registry.name && one.space === name && one.workspace === home,
  );
  const declared = world.declared.find((one) => one.registry === registry.name && one.space === name);
  const foreign =
    world.recordsOwnSpaces && declared !== undefined && !declared.adopt && declared.own !== space.id;
  if (binding === undefined || foreign) {
    if (mistrusted) return no("catalogue-stale");
    return no(home === null ? "namespace-without-workspace" : "space-not-bound");
  }
  const id = binding.id ?? binding.pin;
  if (id !== null && id !== space.id) return no("space-replaced");
  return isOpen ? yes("public-space") : yes("bound-space", true);
}

/** Undefined for a namespace that nobody knows. */
function homeOf(world: World, namespace: string): string | null | undefined {
  const known = world.namespaces[namespace];
  if (known !== undefined) return known;
  return world.namespacesAreSilent ? undefined : world.liveNamespaces[namespace];
}

// From the text of github.com/distribution/reference, regexp.go and normalize.go, and facts on image ids and hosts
// with an underscore.
const label = "(?:[A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9-]*[A-Za-z0-9])";
const domain = `(?:${label}(?:\\.${label})*|\\[[A-Fa-f0-9:]+\\])(?::[0-9]+)?`;
const element = "[a-z0-9]+(?:(?:[.]|_|__|-+)[a-z0-9]+)*";
const path = `${element}(?:/${element})*`;
const tag = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}";
const digest = "sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}";
const whole = new RegExp(`^(?:(${domain})/)?(${path})(?::${tag})?(?:@(?:${digest}))?$`);
const dottedElement = new RegExp(`^${element}$`);

/** Two hosts (DNS allows 253 characters, and a port) and everything else at its longest: no runtime pulls more. */
const longest = 259 + 1 + 255 + 1 + 128 + 1 + "sha512:".length + 128;

export function modelParse(
  text: string,
): "malformed" | "image-id" | { readonly host: string; readonly path: readonly string[] } {
  if (text.length > longest) return "malformed";
  if (/^sha(?:256|384|512):[a-f0-9]+$/.test(text)) return "image-id";
  if (/^[a-f0-9]{64}$/.test(text)) return "malformed";
  const slash = text.indexOf("/");
  const first = text.slice(0, Math.max(slash, 0));
  const rest = text.slice(slash + 1);
  const namesHost = slash > 0 && (first === "localhost" || /[.:A-Z]/.test(first));
  if (!namesHost) return parsedAs("docker.io", text);
  if (first.includes("_")) {
    // One path to the grammar; a runtime connects to what is before the first slash.
    if (!dottedElement.test(first)) return "malformed";
    const parsed = parsedAs(first, rest);
    if (typeof parsed === "string") return parsed;
    return first.length + 1 + parsed.path.join("/").length > 255 ? "malformed" : parsed;
  }
  return parsedAs(first === "index.docker.io" ? "docker.io" : first, rest);
}

function parsedAs(host: string, remainder: string): ReturnType<typeof modelParse> {
  const isHub = host === "docker.io";
  const full = isHub && !remainder.includes("/") ? `library/${remainder}` : remainder;
  // The underscore is no letter of a domain; such a host is put aside before the expression sees the text.
  const shown = host.includes("_") ? "aside.test" : host;
  const [matched, found, written] = whole.exec(`${shown}/${full}`) ?? [];
  if (matched === undefined || found !== shown || written === undefined) return "malformed";
  return written.length > 255 ? "malformed" : { host, path: written.split("/") };
}

/** One word for all spellings of a server. */
export function server(host: string): string {
  const lower = host.replace(/[A-Z]/g, (letter) => String.fromCharCode(letter.charCodeAt(0) + 32));
  const [, name = "", port = "443"] = /^(.*?|\[.*\])(?::([0-9]+))?$/.exec(lower) ?? [];
  const key = `${address(name)}:${port.replace(/^0+(?=.)/, "")}`;
  return ["index.docker.io:443", "registry-1.docker.io:443"].includes(key) ? "docker.io:443" : key;
}

function address(name: string): string {
  return name.startsWith("[") ? ipv6(name.slice(1, -1)) : ipv4(name);
}

/** As C's inet_aton: one to four numbers, octal after a 0, hexadecimal after 0x, the last fills what is left. */
function ipv4(name: string): string {
  const parts = name.split(".");
  if (parts.length > 4 || !parts.every((part) => /^(?:0x[0-9a-f]*|0[0-7]*|[1-9][0-9]*)$/.test(part)))
    return name;
  const numbers = parts.map((part) =>
    part.startsWith("0x")
      ? parseInt(part.slice(2) || "0", 16)
      : parseInt(part, part.startsWith("0") ? 8 : 10),
  );
  const last = numbers.pop() ?? 0;
  if (numbers.some((number) => number > 255) || last >= 256 ** (4 - numbers.length)) return name;
  const value = numbers.reduce((sum, number, index) => sum + number * 256 ** (3 - index), last);
  return [24, 16, 8, 0].map((bits) => Math.floor(value / 2 ** bits) % 256).join(".");
}

function ipv6(name: string): string {
  const [head = "", tail, ...more] = name.split("::");
  const groups = (text: string): string[] => (text === "" ? [] : text.split(":"));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const missing = 8 - before.length - after.length;
  const filled = [
    ...before,
    ...Array<string>(tail === undefined ? 0 : Math.max(0, missing)).fill("0"),
    ...after,
  ];
  const isAddress =
    more.length === 0 &&
    filled.length === 8 &&
    (tail === undefined || missing > 0) &&
    filled.every((group) => /^[0-9a-f]{1,4}$/.test(group));
  if (!isAddress) return `[${name}]`;
  const numbers = filled.map((group) => parseInt(group, 16));
  if (numbers.slice(0, 5).every((number) => number === 0) && numbers[5] === 0xffff) {
    const [high = 0, low = 0] = numbers.slice(6);
    return [high >> 8, high & 255, low >> 8, low & 255].join(".");
  }
  return numbers.map((number) => number.toString(16)).join(":");
}
