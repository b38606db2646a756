// What Berth knows of one Harbor's spaces, as an immutable look-up, and the rules by which a new listing may
// follow an old one. How a listing is read is the business of harbor/; when, that of feeds/.

export type Visibility = "public" | "private";

/** A Harbor project. */
export interface Space {
  readonly name: string;
  /** Harbor's `project_id`: a name that was deleted and made anew has another one. */
  readonly id: number;
  readonly visibility: Visibility;
  /** Pulls through from a foreign registry (`registry_id` above 0). */
  readonly proxyCache: boolean;
}

export interface Catalogue {
  /** Origin that was read, for example `https://harbor.example.test`: a catalogue belongs to a server, not to a name. */
  readonly server: string;
  /** Milliseconds since the epoch at which the listing began: nothing later is known from it. */
  readonly readAt: number;
  /** Older than the maximum age. Kept here by the feed, because a decision has no clock. */
  readonly stale: boolean;
  readonly spaces: ReadonlyMap<string, Space>;
}

/** One space as it was read on its own; `space` is null when Harbor has none of that name. */
export interface SpaceReading {
  readonly readAt: number;
  readonly space: Space | null;
}

/**
 * All spaces of a Harbor as its API showed them to an accepted login, every page of it. What an anonymous caller
 * sees, or a part of the pages, is never a listing: whoever makes one guarantees that.
 */
export interface Listing {
  readonly server: string;
  readonly readAt: number;
  readonly spaces: readonly Space[];
}

export function catalogueOf(server: string, readAt: number, spaces: Iterable<Space>): Catalogue {
  const byName = new Map<string, Space>();
  for (const space of spaces) byName.set(space.name, space);
  return { server, readAt, stale: false, spaces: byName };
}

/** By registry name. A catalogue is replaced at every beat; its spaces only where something changed. */
export function haveSameSpaces(
  a: ReadonlyMap<string, Catalogue>,
  b: ReadonlyMap<string, Catalogue>,
): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  return [...a].every(([name, { server, spaces }]) => {
    const other = b.get(name);
    return other?.server === server && other.spaces === spaces;
  });
}

export interface SpaceChange {
  readonly name: string;
  readonly kind: "added" | "removed" | "replaced" | "opened" | "closed" | "proxying-changed";
}

/** What is different for a decision; each name at most once, by its weightiest change. */
export function changesBetween(
  previous: ReadonlyMap<string, Space>,
  current: ReadonlyMap<string, Space>,
): readonly SpaceChange[] {
  const changes: SpaceChange[] = [];
  for (const [name, after] of current) {
    const before = previous.get(name);
    const kind = before === undefined ? "added" : changeOf(before, after);
    if (kind !== undefined) changes.push({ name, kind });
  }
  for (const name of previous.keys()) {
    if (!current.has(name)) changes.push({ name, kind: "removed" });
  }
  return changes;
}

function changeOf(before: Space, after: Space): SpaceChange["kind"] | undefined {
  if (before.id !== after.id) return "replaced";
  if (before.visibility !== after.visibility) return after.visibility === "public" ? "opened" : "closed";
  return before.proxyCache === after.proxyCache ? undefined : "proxying-changed";
}

/** As many implausible listings in a row are believed: a Harbor really can lose most of its projects. */
export const implausibleListingsBelieved = 3;

export interface Succession {
  /** Undefined before the first listing. */
  readonly catalogue: Catalogue | undefined;
  /** How many listings before this one were kept out as implausible, without a plausible one between. */
  readonly implausibleInARow: number;
  /** A space that the listing lacks is known to be gone. Only asked for where the listing would else be believed. */
  readonly isConfirmed?: boolean;
}

export interface Successor {
  readonly catalogue: Catalogue;
  readonly implausibleInARow: number;
  /** Why the listing was kept out; null when its content is now the catalogue's. */
  readonly implausible: string | null;
  readonly changes: readonly SpaceChange[];
}

/**
 * The catalogue that follows when a listing was read. A listing that lacks more than half of the spaces known
 * before is more likely a Harbor in trouble (a database restored half-way, a login that lost its rights) than the
 * truth, so that it is believed only the third time in a row, and then only where it is confirmed. What it closes
 * counts at once even then.
 */
export function succeed(
  { catalogue, implausibleInARow, isConfirmed = true }: Succession,
  listing: Listing,
): Successor {
  const next = catalogueOf(listing.server, listing.readAt, listing.spaces);
  if (catalogue?.server !== listing.server) {
    return {
      catalogue: next,
      implausibleInARow: 0,
      implausible: null,
      changes: changesBetween(new Map(), next.spaces),
    };
  }
  const known = catalogue.spaces.size;
  const lost = missingFrom(catalogue.spaces, next.spaces).length;
  const isBelieved = implausibleInARow + 1 >= implausibleListingsBelieved && isConfirmed;
  if (lost * 2 > known && !isBelieved) {
    const spaces = closeWhatIsShown(catalogue.spaces, next.spaces);
    const changes = changesBetween(catalogue.spaces, spaces);
    return {
      catalogue: changes.length === 0 ? catalogue : { ...catalogue, spaces },
      implausibleInARow: implausibleInARow + 1,
      implausible: `it lacks ${lost} of the ${known} spaces known before`,
      changes,
    };
  }
  const changes = changesBetween(catalogue.spaces, next.spaces);
  // The same map is the same knowledge: whoever derived something from it need not do so again.
  const spaces = changes.length === 0 ? catalogue.spaces : next.spaces;
  return { catalogue: { ...next, spaces }, implausibleInARow: 0, implausible: null, changes };
}

/** Names of those known that are not shown. */
export function missingFrom(
  known: ReadonlyMap<string, Space>,
  shown: Pick<ReadonlyMap<string, Space>, "has">,
): readonly string[] {
  return [...known.keys()].filter((name) => !shown.has(name));
}

/**
 * The known spaces with what a doubtful listing takes away from them: one shown as private is private, and one
 * shown with another id is that other space, to which no old binding applies. It opens nothing: new names are left
 * out, a private space stays private, and a space that is not shown stays as it was.
 */
function closeWhatIsShown(
  known: ReadonlyMap<string, Space>,
  shown: ReadonlyMap<string, Space>,
): ReadonlyMap<string, Space> {
  const spaces = new Map<string, Space>();
  for (const [name, before] of known) {
    const after = shown.get(name);
    if (after === undefined) {
      spaces.set(name, before);
      continue;
    }
    const isPrivate = before.visibility === "private" || after.visibility === "private";
    spaces.set(name, { ...after, visibility: isPrivate ? "private" : "public" });
  }
  return spaces;
}

/** How many names a log line carries: enough to recognise an edit by hand. */
const namesInWords = 5;

/** For one log line: `2 added (a, b), 1 closed (c)`. */
export function describeChanges(changes: readonly SpaceChange[]): string {
  const names = new Map<string, string[]>();
  for (const { kind, name } of changes) {
    const ofKind = names.get(kind) ?? [];
    ofKind.push(name);
    names.set(kind, ofKind);
  }
  return [...names]
    .map(([kind, ofKind]) => {
      const more = ofKind.length > namesInWords ? ", …" : "";
      return `${ofKind.length} ${kind} (${ofKind.slice(0, namesInWords).join(", ")}${more})`;
    })
    .join(", ");
}
