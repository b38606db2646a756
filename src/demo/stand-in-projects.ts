// The projects of the stand-in Harbor: the table, and the part of the API that lists, reads and changes it. Wording
// and quirks are those of a Harbor 2.16, as far as a client can tell.

import { isObject } from "../domain/json.ts";
import type { Visibility } from "../domain/catalogue.ts";
import { isSpaceName } from "../domain/space-name.ts";
import { decoded, ok, problem, type Answer, type Ask } from "./stand-in-answer.ts";
import {
  isAdmin,
  isListedFor,
  mayOn,
  mayOnSystem,
  refusalOf,
  type Caller,
  type Logins,
} from "./stand-in-callers.ts";
import { listing, select, type Keys } from "./stand-in-listing.ts";

export interface StandInProject {
  readonly id: number;
  /** Once deleted, `name#id`: the name is free then. */
  name: string;
  /** Null as in very old projects, which have none at all. */
  metadata: Readonly<Record<string, string>> | null;
  readonly ownerId: number;
  /** Above 0 for a proxy cache. */
  readonly registryId: number;
  /** Another number than the project's own. */
  readonly quotaId: number;
  /** Bytes; -1 for no limit. */
  storageLimit: number;
  /** How many repositories are inside; a project with any cannot be deleted. */
  repositories: number;
  readonly createdAt: number;
  deleted: boolean;
}

export interface NewProject {
  readonly name: string;
  readonly visibility?: Visibility;
  readonly metadata?: Readonly<Record<string, string>> | null;
  readonly registryId?: number;
  readonly repositories?: number;
  /** Bytes; -1, the default, for no limit. */
  readonly storageLimit?: number;
}

/** What may happen in Harbor without its API. */
export interface Projects {
  /** Returns the id. */
  create(project: NewProject): number;
  setVisibility(name: string, visibility: Visibility): void;
  remove(name: string): void;
  find(name: string): StandInProject | undefined;
  /** Undefined once it is deleted. */
  byId(id: number): StandInProject | undefined;
  /** Those that are not deleted, oldest first. */
  list(): readonly StandInProject[];
  /** Gives away the next id, as an insertion that fails does. */
  skipId(): void;
}

export interface ProjectApi {
  readonly projects: Projects;
  /** The project of a path, or what Harbor says to a caller who lacks this right on it. */
  resolve(
    ask: Ask,
    caller: Caller,
    nameOrId: string,
    resource: string,
    action: string,
  ): StandInProject | Answer;
  /** The same where digits are a name as well. */
  permitted(caller: Caller, name: string, resource: string, action: string): StandInProject | Answer;
  setMetadata(project: StandInProject, key: string, value: unknown): Answer;
  /** Undefined when the path is not one of its own. */
  answer(ask: Ask, caller: Caller): Answer | undefined;
}

const route = "/api/v2.0/projects";
const maxStorageLimit = 1_024 ** 5;
/** Far from the ids of projects, so that nobody takes one for the other. */
const firstQuotaId = 10_001;

export interface ProjectApiNeeds {
  readonly logins: Logins;
  readonly settings: { readonly onlyAdminsCreateProjects: boolean };
  readonly now: () => number;
}

export function createProjectApi({ logins, settings, now }: ProjectApiNeeds): ProjectApi {
  const table: StandInProject[] = [];
  let nextId = 1;

  function insert(project: NewProject, ownerId: number): StandInProject {
    const { name, visibility = "private", registryId = 0, repositories = 0, storageLimit = -1 } = project;
    const metadata =
      project.metadata === undefined ? { public: String(visibility === "public") } : project.metadata;
    const quotaId = firstQuotaId + table.length;
    const row = { name, metadata, ownerId, registryId, repositories, quotaId, storageLimit, deleted: false };
    const inserted: StandInProject = { id: nextId, createdAt: now(), ...row };
    nextId += 1;
    table.push(inserted);
    return inserted;
  }

  const find = (name: string) => table.find((project) => project.name === name && !project.deleted);
  const live = () => table.filter(({ deleted }) => !deleted);
  const byId = (id: number) => table.find((project) => project.id === id && !project.deleted);

  function mustFind(name: string): StandInProject {
    const project = find(name);
    if (project === undefined) throw new Error(`the stand-in Harbor has no project ${name}`);
    return project;
  }

  function remove(project: StandInProject): void {
    project.name = `${project.name}#${project.id}`;
    project.deleted = true;
  }

  function list(ask: Ask, caller: Caller): Answer {
    const { query } = ask;
    const seen = live()
      .filter((project) => isListedFor(caller, subjectOf(project)))
      .filter((project) => passes(project, query));
    const found = select(ask, seen, keys, "name");
    if ("status" in found) return found;
    const inDetail = query.get("with_detail") !== "false";
    return listing(ask, found, (project) => present(project, caller, inDetail));
  }

  function head({ query }: Ask, caller: Caller): Answer {
    if (caller.kind === "anonymous") return problem(401, "unauthorized");
    const name = query.get("project_name") ?? "";
    return find(name) === undefined ? problem(404, `project ${name} not found`) : { status: 200 };
  }

  function create({ body }: Ask, caller: Caller): Answer {
    if (caller.kind === "anonymous") return problem(401, "unauthorized");
    const mayEverywhere = mayOnSystem(caller, "project", "create");
    if (settings.onlyAdminsCreateProjects && !mayEverywhere) {
      return problem(403, "Only system admin can create project");
    }
    const { project_name: name = "", metadata, storage_limit: limit } = isObject(body) ? body : {};
    if (typeof name !== "string" || name.length < 1 || name.length > 255) {
      return problem(
        400,
        `Project name ${String(name)} is illegal in length. (greater than 255 or less than 1)`,
      );
    }
    if (!isSpaceName(name)) {
      return problem(400, "project name is not in lower case or contains illegal characters");
    }
    const wrong = problemOfPublic(metadata);
    if (wrong !== undefined) return wrong;
    // Who may not create projects by right gets the default, as does a 0.
    const storageLimit = mayEverywhere && typeof limit === "number" && limit !== 0 ? limit : -1;
    const wrongLimit = problemOfLimit(storageLimit);
    if (wrongLimit !== undefined) return wrongLimit;
    if (find(name) !== undefined) {
      nextId += 1;
      return problem(409, `The project named ${name} already exists`);
    }
    const visibility = isObject(metadata) && metadata["public"] === "true" ? "public" : "private";
    const project = insert({ name, visibility, storageLimit }, caller.kind === "user" ? caller.id : 1);
    return { status: 201, headers: { location: `${route}/${project.id}` } };
  }

  function resolve(ask: Ask, caller: Caller, nameOrId: string, resource: string, action: string) {
    const isId = /^\d+$/.test(nameOrId) && ask.headers["x-is-resource-name"] !== "true";
    if (!isId && !isSpaceName(nameOrId)) return problem(400, `invalid project name: '${nameOrId}'`);
    const project = isId ? byId(Number(nameOrId)) : find(nameOrId);
    return permittedOn(caller, project, nameOrId, resource, action);
  }

  function permitted(caller: Caller, name: string, resource: string, action: string) {
    return permittedOn(caller, find(name), name, resource, action);
  }

  /** Whoever may not do it learns from the status only what kind of caller they are. */
  function permittedOn(
    caller: Caller,
    project: StandInProject | undefined,
    nameOrId: string,
    resource: string,
    action: string,
  ): StandInProject | Answer {
    if (project === undefined && isAdmin(caller)) return problem(404, `project ${nameOrId} not found`);
    const may = project !== undefined && mayOn(caller, subjectOf(project), resource, action);
    return may ? project : refusalOf(caller);
  }

  function one(ask: Ask, caller: Caller, nameOrId: string): Answer {
    const action = { GET: "read", PUT: "update", DELETE: "delete" }[ask.method];
    if (action === undefined) return problem(404, `path ${ask.path} was not found`);
    const project = resolve(ask, caller, nameOrId, "project", action);
    if ("status" in project) return project;
    switch (action) {
      case "read":
        return ok(present(project, caller, true));
      case "update":
        return update(project, ask.body);
      default:
        if (project.repositories > 0) {
          const text = "precondition failed: the project contains repositories, can not be deleted";
          return problem(412, text);
        }
        remove(project);
        return { status: 200 };
    }
  }

  function update(project: StandInProject, body: unknown): Answer {
    const { metadata } = isObject(body) ? body : {};
    const wrong = problemOfPublic(metadata);
    if (wrong !== undefined) return wrong;
    // No `update_time` moves with it, in Harbor neither: visibility is in another table.
    if (isObject(metadata)) project.metadata = { ...project.metadata, ...textsOf(metadata) };
    // A `storage_limit` in the body is not looked at: that is what quotas are for.
    return { status: 200 };
  }

  /** As `true` count here all spellings that Go takes for it. */
  function setMetadata(project: StandInProject, key: string, value: unknown): Answer {
    const text = String(value);
    if (key !== "public") return problem(400, `invalid key: ${key}`);
    const isTrue = /^(1|t|T|true|TRUE|True)$/.test(text);
    if (!isTrue && !/^(0|f|F|false|FALSE|False)$/.test(text)) return problem(400, `invalid value: ${text}`);
    project.metadata = { ...project.metadata, public: String(isTrue) };
    return { status: 200 };
  }

  function present(
    project: StandInProject,
    caller: Caller,
    inDetail: boolean,
  ): Readonly<Record<string, unknown>> {
    const hasRole = caller.kind === "user" && (caller.admin || caller.id === project.ownerId);
    const owner = [...logins.users.values()].find(({ id }) => id === project.ownerId);
    const created = new Date(project.createdAt).toISOString();
    const never = "0001-01-01T00:00:00.000Z";
    return {
      creation_time: created,
      ...(hasRole ? { current_user_role_id: 1 } : {}),
      current_user_role_ids: hasRole ? [1] : null,
      cve_allowlist: inDetail
        ? { creation_time: never, id: project.id, items: [], project_id: project.id, update_time: never }
        : { creation_time: never, items: null, update_time: never },
      ...(inDetail && project.metadata !== null ? { metadata: project.metadata } : {}),
      name: project.name,
      owner_id: project.ownerId,
      ...(inDetail && owner !== undefined ? { owner_name: owner.name } : {}),
      project_id: project.id,
      ...(project.registryId > 0 ? { registry_id: project.registryId } : {}),
      repo_count: project.repositories,
      update_time: created,
    };
  }

  return {
    projects: {
      create: (project) => insert(project, 1).id,
      setVisibility(name, visibility) {
        const project = mustFind(name);
        project.metadata = { ...project.metadata, public: String(visibility === "public") };
      },
      remove: (name) => remove(mustFind(name)),
      find,
      byId,
      list: live,
      skipId: () => (nextId += 1),
    },
    resolve,
    permitted,
    setMetadata,
    answer(ask, caller) {
      if (ask.path === route) {
        if (ask.method === "GET") return list(ask, caller);
        if (ask.method === "HEAD") return head(ask, caller);
        return ask.method === "POST" ? create(ask, caller) : undefined;
      }
      const [, nameOrId] = /^\/api\/v2\.0\/projects\/([^/]+)$/.exec(ask.path) ?? [];
      return nameOrId === undefined ? undefined : one(ask, caller, decoded(nameOrId));
    },
  };
}

/** What the rules for callers look at. */
export function subjectOf({ name, metadata, ownerId }: StandInProject) {
  return { name, ownerId, public: metadata?.["public"]?.toLowerCase() === "true" };
}

const keys: Keys<StandInProject> = {
  name: ({ name }) => name,
  project_id: ({ id }) => id,
  creation_time: ({ createdAt }) => createdAt,
  update_time: ({ createdAt }) => createdAt,
};

/** The filters that are older than `q`. */
function passes(project: StandInProject, query: URLSearchParams): boolean {
  const isPublic = query.get("public");
  if (isPublic !== null && (project.metadata?.["public"] ?? "false") !== isPublic) return false;
  return project.name.includes(query.get("name") ?? "");
}

export function problemOfLimit(bytes: number): Answer | undefined {
  if (bytes <= 0 && bytes !== -1) {
    return problem(400, `invalid non-positive value for quota limit, value=${bytes}`);
  }
  if (bytes <= maxStorageLimit) return undefined;
  return problem(400, `exceeded 1024TB, which is ${maxStorageLimit} Bytes, value=${bytes}`);
}

function problemOfPublic(metadata: unknown): Answer | undefined {
  const value = isObject(metadata) ? metadata["public"] : undefined;
  if (value === undefined || value === "true" || value === "false") return undefined;
  if (typeof value === "string") {
    return problem(400, `metadata.public should only be 'true' or 'false', but got: '${value}'`);
  }
  const type = typeof value === "boolean" ? "bool" : typeof value;
  const text = `cannot unmarshal ${type} into Go struct field ProjectMetadata.metadata.public of type string`;
  return problem(422, `validation failure list:\nparsing project body from "" failed, because json: ${text}`);
}

function textsOf(record: Readonly<Record<string, unknown>>): Record<string, string> {
  return Object.fromEntries(Object.entries(record).map(([key, value]) => [key, String(value)]));
}
