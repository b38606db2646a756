// The repositories and artifacts of the stand-in Harbor: as a table, to which tests and the demonstration add, and as
// the part of the API that lists them. There are no layers behind them; nothing here can be pulled.

import { createHash } from "node:crypto";

import { decoded, ok, problem, type Answer, type Ask } from "./stand-in-answer.ts";
import { isAdmin, isNamedFor, type Caller } from "./stand-in-callers.ts";
import { keywordsOf, listing, select, type Keys } from "./stand-in-listing.ts";
import { subjectOf, type ProjectApi } from "./stand-in-projects.ts";

export interface NewArtifact {
  /** `sha256:…`; made up without. One that is there already gets the tags. */
  readonly digest?: string;
  readonly tags?: readonly string[];
  readonly sizeBytes?: number;
  /** Such as `CHART`; an image without. */
  readonly type?: string;
  /** Of the images in an index: `linux/arm64/v8`. Without, it is one image for `linux/amd64`. */
  readonly platforms?: readonly string[];
}

export interface StandInRepository {
  readonly id: number;
  /** With the project in front: `team-a/a/b`. */
  readonly name: string;
  readonly projectId: number;
  readonly createdAt: number;
  readonly artifacts: readonly StandInArtifact[];
}

export interface StandInArtifact {
  readonly id: number;
  readonly digest: string;
  readonly sizeBytes: number;
  readonly pushedAt: number;
  readonly type: string;
  readonly platforms: readonly string[] | undefined;
  readonly tags: readonly StandInTag[];
}

export interface StandInTag {
  readonly id: number;
  readonly name: string;
  readonly pushedAt: number;
}

/** What may happen to repositories without Harbor's API. */
export interface Repositories {
  /**
   * A push to `project/name`. Another artifact that has one of the tags loses it. Behind the project any text will do,
   * as for tags: also what no Harbor would take, for those who have to read it.
   */
  push(name: string, artifact?: NewArtifact): StandInArtifact;
  remove(name: string): void;
  find(name: string): StandInRepository | undefined;
  list(): readonly StandInRepository[];
  /** Bytes; what several repositories share counts once. */
  storageOf(projectId: number): number;
}

export interface RepositoryApi {
  readonly repositories: Repositories;
  /** Undefined when the path is not one of its own. */
  answer(ask: Ask, caller: Caller): Answer | undefined;
}

interface Row extends StandInRepository {
  updatedAt: number;
  artifacts: StandInArtifact[];
}

const never = "0001-01-01T00:00:00.000Z";
/** Of a manifest and a configuration without layers. */
const smallestSizeBytes = 326;

export function createRepositoryApi({
  projectApi,
  now,
}: {
  projectApi: ProjectApi;
  now: () => number;
}): RepositoryApi {
  const { projects } = projectApi;
  let table: Row[] = [];
  const nextId = { repository: 1, artifact: 1, tag: 1 };

  const live = () => table.filter(({ projectId }) => projects.byId(projectId) !== undefined);
  const find = (name: string) => live().find((row) => row.name === name);

  function insert(name: string): Row {
    const project = projects.find(name.split("/", 1)[0] ?? "");
    if (project === undefined || !name.includes("/")) {
      throw new Error(`the stand-in Harbor has no project for a repository ${name}`);
    }
    const at = now();
    const row = { id: nextId.repository++, name, projectId: project.id, createdAt: at, updatedAt: at };
    const inserted: Row = { ...row, artifacts: [] };
    table.push(inserted);
    project.repositories += 1;
    return inserted;
  }

  function push(name: string, pushing: NewArtifact = {}): StandInArtifact {
    const { digest, tags = [], sizeBytes, type = "IMAGE", platforms } = pushing;
    const row = find(name) ?? insert(name);
    const at = now();
    const ownDigest = digest ?? digestOf(`${name} ${nextId.artifact}`);
    const known = row.artifacts.find((artifact) => artifact.digest === ownDigest);
    const size = sizeBytes ?? smallestSizeBytes;
    const facts = { digest: ownDigest, sizeBytes: size, pushedAt: at, type, platforms };
    const artifact = known ?? { id: nextId.artifact++, ...facts, tags: [] };
    const moved = tags.map((tag) => ({ id: nextId.tag++, name: tag, pushedAt: at }));
    const taken = new Set(tags);
    const others = row.artifacts.filter(({ id }) => id !== artifact.id).map((other) => without(other, taken));
    const pushed = { ...artifact, tags: [...without(artifact, taken).tags, ...moved] };
    row.artifacts = [...others, pushed];
    row.updatedAt = at;
    return pushed;
  }

  function remove(name: string): void {
    const row = find(name);
    if (row === undefined) throw new Error(`the stand-in Harbor has no repository ${name}`);
    table = table.filter((each) => each !== row);
    const project = projects.byId(row.projectId);
    if (project !== undefined) project.repositories -= 1;
  }

  function storageOf(projectId: number): number {
    const artifacts = live()
      .filter((row) => row.projectId === projectId)
      .flatMap((row) => row.artifacts);
    return sumOf(new Map(artifacts.map(({ digest, sizeBytes }) => [digest, sizeBytes])).values());
  }

  function listRepositories(ask: Ask, rows: readonly Row[]): Answer {
    const found = select(
      ask,
      rows,
      {
        name: (row) => row.name,
        id: (row) => row.id,
        project_id: (row) => row.projectId,
        creation_time: (row) => row.createdAt,
        update_time: (row) => row.updatedAt,
      },
      "-id",
    );
    return "status" in found ? found : listing(ask, found, presentRepository);
  }

  function everywhere(ask: Ask, caller: Caller): Answer {
    const seen = live().filter(({ projectId }) => {
      const project = projects.byId(projectId);
      return isAdmin(caller) || (project !== undefined && isNamedFor(caller, subjectOf(project)));
    });
    return listRepositories(ask, seen);
  }

  function inProject(ask: Ask, caller: Caller, projectName: string): Answer {
    const project = projectApi.permitted(caller, projectName, "repository", "list");
    if ("status" in project) return project;
    return listRepositories(
      ask,
      live().filter((row) => row.projectId === project.id),
    );
  }

  function one(caller: Caller, projectName: string, name: string): Answer {
    const project = projectApi.permitted(caller, projectName, "repository", "read");
    if ("status" in project) return project;
    const row = find(name);
    return row === undefined ? noRepository(name) : ok(presentRepository(row));
  }

  function listArtifacts(ask: Ask, caller: Caller, projectName: string, name: string): Answer {
    const project = projectApi.permitted(caller, projectName, "artifact", "list");
    if ("status" in project) return project;
    const row = find(name);
    // An unknown repository is an empty one.
    const artifacts = row?.artifacts ?? [];
    const pattern = keywordsOf(ask.query)?.get("tags");
    const tagged = artifacts.filter(({ tags }) => pattern === undefined || hasTag(tags, pattern));
    const found = select(ask, tagged, artifactKeys, "-id");
    if ("status" in found || row === undefined) return "status" in found ? found : listing(ask, [], String);
    const withTags = ask.query.get("with_tag") !== "false";
    return listing(ask, found, (artifact) => presentArtifact(row, artifact, withTags));
  }

  function artifactOf(name: string, reference: string): StandInArtifact | Answer {
    const row = find(name);
    const isDigest = reference.includes(":");
    if (row === undefined && !isDigest) return noRepository(name);
    const artifact = row?.artifacts.find(
      ({ digest, tags }) => digest === reference || hasTag(tags, reference),
    );
    return artifact ?? problem(404, `artifact ${name}${isDigest ? "@" : ":"}${reference} not found`);
  }

  function oneArtifact(ask: Ask, caller: Caller, projectName: string, name: string, reference: string) {
    const project = projectApi.permitted(caller, projectName, "artifact", "read");
    if ("status" in project) return project;
    const artifact = artifactOf(name, reference);
    const row = find(name);
    if ("status" in artifact || row === undefined)
      return "status" in artifact ? artifact : noRepository(name);
    return ok(presentArtifact(row, artifact, ask.query.get("with_tag") !== "false"));
  }

  function listTags(ask: Ask, caller: Caller, projectName: string, name: string, reference: string): Answer {
    const project = projectApi.permitted(caller, projectName, "tag", "list");
    if ("status" in project) return project;
    const artifact = artifactOf(name, reference);
    if ("status" in artifact) return artifact;
    const keys = { name: (tag: StandInTag) => tag.name, push_time: pushTime, id };
    const found = select(ask, artifact.tags, keys, "-id");
    const repositoryId = find(name)?.id ?? 0;
    return "status" in found
      ? found
      : listing(ask, found, (tag) => presentTag(repositoryId, artifact.id, tag));
  }

  function presentRepository(row: Row): unknown {
    return {
      artifact_count: row.artifacts.length,
      creation_time: new Date(row.createdAt).toISOString(),
      id: row.id,
      name: row.name,
      project_id: row.projectId,
      pull_count: 0,
      update_time: new Date(row.updatedAt).toISOString(),
    };
  }

  return {
    repositories: { push, remove, find, list: live, storageOf },
    answer(ask, caller) {
      if (ask.method !== "GET") return undefined;
      if (ask.path === "/api/v2.0/repositories") return everywhere(ask, caller);
      const [, project = "", rest] =
        /^\/api\/v2\.0\/projects\/([^/]+)\/repositories(\/.*)?$/.exec(ask.path) ?? [];
      if (project === "") return undefined;
      const projectName = decoded(project);
      if (rest === undefined) return inProject(ask, caller, projectName);
      const [, repository = "", artifacts, reference, tags] =
        /^\/([^/]+)(?:(\/artifacts)(?:\/([^/]+)(\/tags)?)?)?$/.exec(rest) ?? [];
      if (repository === "") return undefined;
      // Once by the router and once by Harbor itself: a slash inside the name survives only two encodings where
      // something in front decodes as well.
      const name = `${projectName}/${decoded(decoded(repository))}`;
      if (artifacts === undefined) return one(caller, projectName, name);
      if (reference === undefined) return listArtifacts(ask, caller, projectName, name);
      const wanted = decoded(reference);
      if (tags !== undefined) return listTags(ask, caller, projectName, name, wanted);
      return oneArtifact(ask, caller, projectName, name, wanted);
    },
  };
}

const id = (row: { readonly id: number }) => row.id;
const pushTime = (row: { readonly pushedAt: number }) => row.pushedAt;

const artifactKeys: Keys<StandInArtifact> = {
  id,
  digest: ({ digest }) => digest,
  type: ({ type }) => type,
  push_time: pushTime,
};

/** The same artifact where it has none of them: a push to one of thousands copies no other. */
function without(artifact: StandInArtifact, tags: ReadonlySet<string>): StandInArtifact {
  const hasSome = artifact.tags.some(({ name }) => tags.has(name));
  return hasSome ? { ...artifact, tags: artifact.tags.filter(({ name }) => !tags.has(name)) } : artifact;
}

const noRepository = (name: string): Answer => problem(404, `repository ${name} not found`);

/** `*` is any tag, and `nil` none. Unlike all else, a part of a tag is found only as it is written. */
function hasTag(tags: readonly StandInTag[], pattern: string): boolean {
  if (pattern === "nil") return tags.length === 0;
  if (pattern.startsWith("~")) return tags.some(({ name }) => name.includes(pattern.slice(1)));
  return tags.some(({ name }) => pattern === "*" || name === pattern);
}

function presentArtifact(
  row: StandInRepository,
  { id, digest, sizeBytes, pushedAt, type, platforms, tags }: StandInArtifact,
  withTags: boolean,
): unknown {
  const [project = "", ...rest] = row.name.split("/");
  const encoded = encodeURIComponent(encodeURIComponent(rest.join("/")));
  const href = `/api/v2.0/projects/${project}/repositories/${encoded}/artifacts/${digest}/additions/build_history`;
  const pushTime = new Date(pushedAt).toISOString();
  const newestFirst = [...tags].reverse().map((tag) => presentTag(row.id, id, tag));
  return {
    accessories: null,
    addition_links: { build_history: { absolute: false, href } },
    artifact_type: "application/vnd.oci.image.config.v1+json",
    digest,
    extra_attrs: platforms === undefined ? ofOneImage(pushTime) : null,
    icon: "sha256:0048162a053eef4d4ce3fe7518615bef084403614f8bca43b40ae2e762e11e06",
    id,
    labels: null,
    manifest_media_type: `application/vnd.oci.image.${platforms === undefined ? "manifest" : "index"}.v1+json`,
    media_type: "application/vnd.oci.image.config.v1+json",
    project_id: row.projectId,
    pull_time: never,
    push_time: pushTime,
    references: platforms?.map((platform, n) => presentReference(digest, id, platform, n)) ?? null,
    repository_id: row.id,
    repository_name: row.name,
    size: sizeBytes,
    tags: withTags && tags.length > 0 ? newestFirst : null,
    type,
  };
}

function ofOneImage(created: string): unknown {
  return { architecture: "amd64", author: "", config: {}, created, os: "linux" };
}

/** An image in an index. */
function presentReference(digest: string, id: number, platform: string, n: number): unknown {
  const [os = "", architecture = "", variant = ""] = platform.split("/");
  return {
    annotations: null,
    child_digest: digestOf(`${digest} ${platform}`),
    child_id: id + n + 1,
    parent_id: id,
    platform: { OsFeatures: null, architecture, os, ...(variant === "" ? {} : { variant }) },
    urls: null,
  };
}

function presentTag(repositoryId: number, artifactId: number, { id, name, pushedAt }: StandInTag): unknown {
  return {
    artifact_id: artifactId,
    id,
    immutable: false,
    name,
    pull_time: never,
    push_time: new Date(pushedAt).toISOString(),
    repository_id: repositoryId,
  };
}

function digestOf(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

function sumOf(numbers: Iterable<number>): number {
  let sum = 0;
  for (const number of numbers) sum += number;
  return sum;
}
