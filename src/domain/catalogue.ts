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

export function catalogueOf(server: string, readAt: number, spaces: Iterable<Space>): Catalogue {
  const byName = new Map<string, Space>();
  for (const space of spaces) byName.set(space.name, space);
  return { server, readAt, stale: false, spaces: byName };
}
