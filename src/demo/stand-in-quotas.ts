// What the stand-in Harbor tells about projects beside the projects themselves: quotas, summaries, single metadata,
// and how much there is of everything. Storage is counted, not limited: nothing is pushed here.

import { isObject } from "../domain/json.ts";
import { decoded, fieldsOf, ok, problem, type Answer, type Ask } from "./stand-in-answer.ts";
import { isAdmin, mayOn, refusalOnSystem, type Caller, type Logins } from "./stand-in-callers.ts";
import { listing } from "./stand-in-listing.ts";
import { problemOfLimit, subjectOf, type ProjectApi, type StandInProject } from "./stand-in-projects.ts";
import type { Repositories } from "./stand-in-repositories.ts";

export interface QuotaApi {
  /** Undefined when the path is not one of its own. */
  answer(ask: Ask, caller: Caller): Answer | undefined;
}

export interface QuotaApiNeeds {
  readonly projectApi: ProjectApi;
  readonly repositories: Repositories;
  readonly logins: Logins;
}

const route = "/api/v2.0/quotas";

export function createQuotaApi({ projectApi, repositories, logins }: QuotaApiNeeds): QuotaApi {
  const { projects } = projectApi;

  function list(ask: Ask, caller: Caller): Answer {
    const refusal = refusalOnSystem(caller, "quota", "list");
    if (refusal !== undefined) return refusal;
    const reference = ask.query.get("reference") ?? "";
    const projectId = ask.query.get("reference_id") ?? "";
    const found = projects
      .list()
      .filter(() => reference === "" || reference === "project")
      .filter(({ id }) => projectId === "" || String(id) === projectId);
    return listing(ask, [...found].reverse(), present);
  }

  function one(ask: Ask, caller: Caller, id: number): Answer | undefined {
    const action = { GET: "read", PUT: "update" }[ask.method];
    if (action === undefined) return undefined;
    const refusal = refusalOnSystem(caller, "quota", action);
    if (refusal !== undefined) return refusal;
    const { hard } = fieldsOf(ask);
    const limits = isObject(hard) ? hard : {};
    if (action === "update" && Object.keys(limits).length === 0) return problem(400, "hard required in body");
    const project = projects.list().find(({ quotaId }) => quotaId === id);
    if (project === undefined) return problem(404, `quota ${id} not found`);
    return action === "read" ? ok(present(project)) : update(project, limits);
  }

  function update(project: StandInProject, limits: Readonly<Record<string, unknown>>): Answer {
    const other = Object.keys(limits).find((name) => name !== "storage");
    if (other !== undefined) return problem(400, `resource ${other} not support`);
    const { storage } = limits;
    if (typeof storage !== "number") return problem(422, "hard.storage in body must be of type int64");
    const wrong = problemOfLimit(storage);
    if (wrong !== undefined) return wrong;
    project.storageLimit = storage;
    return { status: 200 };
  }

  function present(project: StandInProject): unknown {
    const { id, name, ownerId, quotaId, createdAt } = project;
    const owner = [...logins.users.values()].find((user) => user.id === ownerId);
    const time = new Date(createdAt).toISOString();
    return {
      creation_time: time,
      ...storage(project),
      id: quotaId,
      ref: { id, name, owner_name: owner?.name ?? "" },
      update_time: time,
    };
  }

  function storage({ id, storageLimit }: StandInProject) {
    return { hard: { storage: storageLimit }, used: { storage: repositories.storageOf(id) } };
  }

  function summary(ask: Ask, caller: Caller, nameOrId: string): Answer {
    const project = projectApi.resolve(ask, caller, nameOrId, "project", "read");
    if ("status" in project) return project;
    const sees = (resource: string, action: string) => mayOn(caller, subjectOf(project), resource, action);
    return ok({
      ...(sees("member", "list") ? { project_admin_count: 1 } : {}),
      ...(sees("quota", "read") ? { quota: storage(project) } : {}),
      repo_count: project.repositories,
    });
  }

  function metadata(ask: Ask, caller: Caller, nameOrId: string, key: string | undefined): Answer | undefined {
    const actions = {
      GET: key === undefined ? "list" : "read",
      PUT: key === undefined ? undefined : "update",
    };
    const action = actions[ask.method as keyof typeof actions];
    if (action === undefined) return undefined;
    const project = projectApi.resolve(ask, caller, nameOrId, "metadata", action);
    if ("status" in project) return project;
    const all = project.metadata ?? {};
    if (key === undefined) return ok(all);
    if (action === "update") return projectApi.setMetadata(project, key, fieldsOf(ask)[key]);
    return ok(key in all ? { [key]: all[key] } : {});
  }

  function statistics(caller: Caller): Answer {
    if (caller.kind === "anonymous") return problem(401, "unauthorized");
    const all = projects.list();
    const open = all.filter((project) => subjectOf(project).public);
    const closed = all
      .filter((project) => !open.includes(project))
      .filter(({ ownerId }) => isAdmin(caller) || (caller.kind === "user" && caller.id === ownerId));
    const total = isAdmin(caller) ? { projects: all.length, repositories: repositoriesIn(all) } : undefined;
    const artifacts = repositories.list().flatMap((repository) => repository.artifacts);
    const sizes = new Map(artifacts.map(({ digest, sizeBytes }) => [digest, sizeBytes]));
    return ok({
      private_project_count: closed.length,
      private_repo_count: repositoriesIn(closed),
      public_project_count: open.length,
      public_repo_count: repositoriesIn(open),
      total_project_count: total?.projects ?? 0,
      total_repo_count: total?.repositories ?? 0,
      total_storage_consumption:
        total === undefined ? 0 : [...sizes.values()].reduce((sum, size) => sum + size, 0),
    });
  }

  return {
    answer(ask, caller) {
      const { method, path } = ask;
      if (path === route) return method === "GET" ? list(ask, caller) : undefined;
      if (path === "/api/v2.0/statistics") return method === "GET" ? statistics(caller) : undefined;
      const [, id] = /^\/api\/v2\.0\/quotas\/(\d+)$/.exec(path) ?? [];
      if (id !== undefined) return one(ask, caller, Number(id));
      const [, name, part, key] =
        /^\/api\/v2\.0\/projects\/([^/]+)\/(summary|metadatas)\/?([^/]+)?$/.exec(path) ?? [];
      if (name === undefined) return undefined;
      if (part === "metadatas") return metadata(ask, caller, decoded(name), key);
      return key === undefined && method === "GET" ? summary(ask, caller, decoded(name)) : undefined;
    },
  };
}

function repositoriesIn(projects: readonly StandInProject[]): number {
  return projects.reduce((sum, { repositories }) => sum + repositories, 0);
}
