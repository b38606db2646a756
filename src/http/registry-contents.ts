// What registries hold, as the image selector asks for it: repositories, tags, digests. It is read when somebody
// looks, with Berth's own login, and only for a space that is known to be open to whoever asks.

import type { Registry } from "../domain/policy.ts";

export interface RepositoryFact {
  /** Without host, with the space: `team-a/api`. */
  readonly name: string;
  readonly artifacts: number | null;
  /** Milliseconds since the epoch. */
  readonly updatedAt: number | null;
}

export interface TagFact {
  readonly name: string;
  readonly digest: string | null;
  readonly sizeBytes: number | null;
  /** Such as `linux/amd64`; empty where the registry does not say. */
  readonly platforms: readonly string[];
  readonly pushedAt: number | null;
}

export interface Wanted {
  /** Part of the name; empty for all. */
  readonly search: string;
  /** `next` of the part before; undefined for the first. */
  readonly after: string | undefined;
  readonly limit: number;
}

export interface Part<T> {
  readonly items: readonly T[];
  /** Null at the end. */
  readonly next: string | null;
}

export interface SearchedSpace {
  readonly name: string;
  /** Harbor's project id. */
  readonly id: number;
}

/** Each throws with a story where the registry cannot be asked; that story is for the log and for administrators. */
export interface RegistryContents {
  /** `space` is null for a Docker Registry. "off" where the registry lists its repositories to nobody. */
  repositories(
    registry: Registry,
    space: string | null,
    wanted: Wanted,
    signal: AbortSignal,
  ): Promise<Part<RepositoryFact> | "off">;
  /**
   * Repositories with `search` in their names. Of a Harbor only in these spaces, and the time that it takes depends on
   * nothing but them: what else there is must not show. `next` is null or some text that says that there are more.
   */
  search(
    registry: Registry,
    spaces: readonly SearchedSpace[],
    wanted: Omit<Wanted, "after">,
    signal: AbortSignal,
  ): Promise<Part<RepositoryFact> | "off">;
  /** `repository` is without host, with the space. Null where there is none. */
  tags(
    registry: Registry,
    repository: string,
    wanted: Wanted,
    signal: AbortSignal,
  ): Promise<Part<TagFact> | null>;
  /** One tag with its digest. Null where there is none. */
  tag(registry: Registry, repository: string, tag: string, signal: AbortSignal): Promise<TagFact | null>;
  /** Of these spaces those that the login which namespaces get may pull from, by Harbor's token service. */
  granted(registry: Registry, spaces: readonly string[], signal: AbortSignal): Promise<ReadonlySet<string>>;
}
