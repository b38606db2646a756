// Who owns which fields of an object, as far as the tests need it: server-side apply with conflicts and co-owners.
// Fields are leaves of objects; a list is a leaf. What a manager applied before and leaves out now goes, if nobody
// else owns it.

type Fields = Readonly<Record<string, unknown>>;

/** Manager → paths. */
export type Ownership = Map<string, Set<string>>;

export function createOwnership(): Ownership {
  return new Map();
}

/** Fields that others own and that this would give another value. */
export function conflicts(
  ownership: Ownership,
  manager: string,
  before: Fields,
  applied: Fields,
): readonly string[] {
  const current = leavesOf(before);
  const wanted = [...leavesOf(applied)].filter(([path, value]) => current.get(path) !== value);
  return wanted.flatMap(([path]) =>
    [...ownership]
      .filter(([owner, paths]) => owner !== manager && paths.has(path))
      .map(([owner]) => `conflict with "${owner}": ${path}`),
  );
}

/** The object with what is applied; takes over the fields whose value changes. */
export function apply<T extends Fields>(
  ownership: Ownership,
  manager: string,
  before: T | undefined,
  applied: T,
): T {
  const current = leavesOf(before ?? {});
  const wanted = leavesOf(applied);
  for (const [owner, paths] of ownership) {
    if (owner === manager) continue;
    for (const [path, value] of wanted) if (current.get(path) !== value) paths.delete(path);
  }
  const owned = ownership.get(manager) ?? new Set<string>();
  ownership.set(manager, new Set(wanted.keys()));
  const left = [...owned].filter((path) => !wanted.has(path) && !isOwned(ownership, path));
  const removal = left.map((path) => nested(JSON.parse(path) as string[], null));
  return [applied, ...removal].reduce<unknown>((object, patch) => mergePatch(object, patch), before) as T;
}

/** After any other write: who changed a field owns it alone. */
export function written(
  ownership: Ownership,
  manager: string,
  before: Fields | undefined,
  after: Fields,
): void {
  const current = leavesOf(before ?? {});
  const next = leavesOf(after);
  for (const [path, value] of next) {
    if (current.get(path) === value) continue;
    for (const paths of ownership.values()) paths.delete(path);
    ownership.set(manager, (ownership.get(manager) ?? new Set()).add(path));
  }
  for (const paths of ownership.values()) for (const path of paths) if (!next.has(path)) paths.delete(path);
}

/** RFC 7386. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isFields(patch)) return patch;
  const result = new Map(isFields(target) ? Object.entries(target) : []);
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) result.delete(key);
    else result.set(key, mergePatch(result.get(key), value));
  }
  return Object.fromEntries(result);
}

function isOwned(ownership: Ownership, path: string): boolean {
  return [...ownership.values()].some((paths) => paths.has(path));
}

/** What identifies an object, and what the server sets, belongs to nobody. */
const nobodys = new Set(["name", "namespace", "uid", "resourceVersion", "managedFields", "generateName"]);

function leavesOf(object: Fields): ReadonlyMap<string, string> {
  const leaves = new Map<string, string>();
  const walk = (value: unknown, path: readonly string[]): void => {
    if (isFields(value)) for (const [key, inner] of Object.entries(value)) walk(inner, [...path, key]);
    else leaves.set(JSON.stringify(path), JSON.stringify(value));
  };
  for (const [key, value] of Object.entries(object)) {
    if (key === "kind" || key === "apiVersion") continue;
    if (key !== "metadata" || !isFields(value)) walk(value, [key]);
    else for (const [inner, text] of Object.entries(value)) if (!nobodys.has(inner)) walk(text, [key, inner]);
  }
  return leaves;
}

function nested(path: readonly string[], leaf: unknown): unknown {
  return path.reduceRight((inner, key) => ({ [key]: inner }), leaf);
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
