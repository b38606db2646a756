// The projects of the stand-in Harbor: the table, and the part of the API that lists, reads and changes it. Wording
// and quirks are those of a Harbor 2.16, as far as a client can tell.

import { isObject } from "../domain/json.ts";
import type { Visibility } from "../domain/catalogue.ts";
import { isSpaceName } from "../domain/space-name.ts";
import { ok, problem, type Answer, type Ask } from "./stand-in-answer.ts";
import { isListedFor, mayOn, type Caller, type Logins } from "./stand-in-callers.ts";

export interface StandInProject {
  readonly id: number;
  /** Once deleted, `name#id`: the name is free then. */
  name: string;
  /** Null as in very old projects, which have none at all. */
  metadata: Readonly<Record<string, string>> | null;
  readonly ownerId: number;
  /** Above 0 for a proxy cache. */
  readonly registryId: number;
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
}

/** What may happen in Harbor without its API. */
export interface Projects {
  /** Returns the id. */
  create(project: NewProject): number;
  setVisibility(name: string, visibility: Visibility): void;
  remove(name: string): void;
  find(name: string): StandInProject | undefined;
  /** Gives away the next id, as an insertion that fails does. */
  skipId(): void;
}

export interface ProjectApi {
  readonly projects: Projects;
  /** Undefined when the path is not one of its own. */
  answer(ask: Ask, caller: Caller): Answer | undefined;
}

const route = "/api/v2.0/projects";
const maxPageSize = 100;

export function createProjectApi({ logins, now }: { logins: Logins; now: () => number }): ProjectApi {
  const table: StandInProject[] = [];
  let nextId = 1;

  function insert(project: NewProject, ownerId: number): StandInProject {
    const { name, visibility = "private", registryId = 0, repositories = 0 } = project;
    const metadata =
      project.metadata === undefined ? { public: String(visibility === "public") } : project.metadata;
    const row = { name, metadata, ownerId, registryId, repositories, storageLimit: -1, deleted: false };
    const inserted: StandInProject = { id: nextId, createdAt: now(), ...row };
    nextId += 1;
    table.push(inserted);
    return inserted;
  }

  const find = (name: string) => table.find((project) => project.name === name && !project.deleted);

  function mustFind(name: string): StandInProject {
    const project = find(name);
    if (project === undefined) throw new Error(`the stand-in Harbor has no project ${name}`);
    return project;
  }

  function remove(project: StandInProject): void {
    project.name = `${project.name}#${project.id}`;
    project.deleted = true;
  }

  function list({ query }: Ask, caller: Caller): Answer {
    const pageSize = Number(query.get("page_size") ?? "10");
    if (pageSize > maxPageSize) {
      const text = "validation failure list:\npage_size in query should be less than or equal to 100";
      return problem(422, text);
    }
    const seen = table
      .filter((project) => !project.deleted && isListedFor(caller, subjectOf(project)))
      .filter((project) => matches(project, query))
      .sort(orderOf(query.get("sort") ?? "name"));
    // Zero and below stand for everything; nobody wrote that down.
    const page = Number(query.get("page") ?? "1");
    const shown = pageSize <= 0 ? seen : seen.slice((page - 1) * pageSize, page * pageSize);
    const inDetail = query.get("with_detail") !== "false";
    const links = pageSize <= 0 ? "" : linksAround(query, page, pageSize, seen.length);
    return ok(
      shown.map((project) => present(project, caller, inDetail)),
      { "x-total-count": String(seen.length), ...(links === "" ? {} : { link: links }) },
    );
  }

  function head({ query }: Ask, caller: Caller): Answer {
    if (caller.kind === "anonymous") return problem(401, "unauthorized");
    const name = query.get("project_name") ?? "";
    return find(name) === undefined ? problem(404, `project ${name} not found`) : { status: 200 };
  }

  function create({ body }: Ask, caller: Caller): Answer {
    if (caller.kind === "anonymous") return problem(401, "unauthorized");
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
    if (find(name) !== undefined) {
      nextId += 1;
      return problem(409, `The project named ${name} already exists`);
    }
    const visibility = isObject(metadata) && metadata["public"] === "true" ? "public" : "private";
    const project = insert({ name, visibility }, caller.kind === "user" ? caller.id : 1);
    if (typeof limit === "number") project.storageLimit = limit;
    return { status: 201, headers: { location: `${route}/${project.id}` } };
  }

  /** Whoever may not do it learns from the status only what kind of caller they are. */
  function one(ask: Ask, caller: Caller, nameOrId: string): Answer {
    const isId = /^\d+$/.test(nameOrId) && ask.headers["x-is-resource-name"] !== "true";
    if (!isId && !isSpaceName(nameOrId)) return problem(400, `invalid project name: '${nameOrId}'`);
    const project = isId
      ? table.find(({ id, deleted }) => id === Number(nameOrId) && !deleted)
      : find(nameOrId);
    const action = { GET: "read", PUT: "update", DELETE: "delete" }[ask.method];
    if (action === undefined) return problem(404, `path ${ask.path} was not found`);
    const isAdmin = caller.kind === "user" && caller.admin;
    if (project === undefined && isAdmin) return problem(404, `project ${nameOrId} not found`);
    if (project === undefined || !mayOn(caller, subjectOf(project), "project", action)) {
      return caller.kind === "anonymous" ? problem(401, "unauthorized") : problem(403, "forbidden");
    }
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
    const { metadata, storage_limit: limit } = isObject(body) ? body : {};
    const wrong = problemOfPublic(metadata);
    if (wrong !== undefined) return wrong;
    // No `update_time` moves with it, in Harbor neither: visibility is in another table.
    if (isObject(metadata)) project.metadata = { ...project.metadata, ...textsOf(metadata) };
    if (typeof limit === "number") project.storageLimit = limit;
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
      skipId: () => (nextId += 1),
    },
    answer(ask, caller) {
      if (ask.path === route) {
        if (ask.method === "GET") return list(ask, caller);
        if (ask.method === "HEAD") return head(ask, caller);
        return ask.method === "POST" ? create(ask, caller) : undefined;
      }
      const [, nameOrId] = /^\/api\/v2\.0\/projects\/([^/]+)$/.exec(ask.path) ?? [];
      return nameOrId === undefined ? undefined : one(ask, caller, decodeURIComponent(nameOrId));
    },
  };
}

/** What the rules for callers look at. */
export function subjectOf({ name, metadata, ownerId }: StandInProject) {
  return { name, ownerId, public: metadata?.["public"]?.toLowerCase() === "true" };
}

function matches(project: StandInProject, query: URLSearchParams): boolean {
  const isPublic = query.get("public");
  if (isPublic !== null && (project.metadata?.["public"] ?? "false") !== isPublic) return false;
  if (!project.name.includes(query.get("name") ?? "")) return false;
  const [, fuzzy, name] = /^name=(~?)(.*)$/.exec(query.get("q") ?? "") ?? [];
  if (name === undefined) return true;
  return fuzzy === "~" ? project.name.includes(name) : project.name === name;
}

function orderOf(sort: string): (a: StandInProject, b: StandInProject) => number {
  const sign = sort.startsWith("-") ? -1 : 1;
  const byTime = sort.endsWith("_time");
  return (a, b) => {
    if (byTime) return sign * (a.createdAt - b.createdAt || a.id - b.id);
    return sign * (a.name < b.name ? -1 : 1);
  };
}

/** Relative, with its query sorted and not escaped, `prev` first. */
function linksAround(query: URLSearchParams, page: number, pageSize: number, total: number): string {
  function linkTo(number: number, rel: string): string {
    const all = new Map([...query, ["page", String(number)], ["page_size", String(pageSize)]]);
    const text = [...all].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, value]) => `${key}=${value}`);
    return `<${route}?${text.join("&")}>; rel="${rel}"`;
  }
  const links: string[] = [];
  if (page > 1 && total > 0) links.push(linkTo(page - 1, "prev"));
  if (page * pageSize < total) links.push(linkTo(page + 1, "next"));
  return links.join(" , ");
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
