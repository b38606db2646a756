// What the stand-in Harbor answers about robots: making, reading, changing and deleting them, the rights there are,
// and the system setting that prefixes their names. Order of checks, wording and codes are those of Harbor 2.16
// (src/server/v2.0/handler/robot.go).

import { isObject, type JsonObject } from "../domain/json.ts";
import { isSpaceName } from "../domain/space-name.ts";
import { fieldsOf, ok, problem, type Answer, type Ask } from "./stand-in-answer.ts";
import { refusalOf, refusalOnSystem, mayOn, type Caller, type Permission } from "./stand-in-callers.ts";
import { keywordsOf, listing, select } from "./stand-in-listing.ts";
import { subjectOf, type Projects } from "./stand-in-projects.ts";
import { robotRights, type Access } from "./stand-in-rights.ts";
import type { Grant, RobotRow, RobotTable } from "./stand-in-robots.ts";

export interface RobotApi {
  /** Undefined when the path is not one of its own. */
  answer(ask: Ask, caller: Caller): Answer | undefined;
}

export interface RobotApiNeeds {
  readonly table: RobotTable;
  readonly projects: Pick<Projects, "byId" | "find">;
  readonly random: () => number;
}

/** What a robot is asked to be; already found in order. */
interface Wanted {
  readonly level: "system" | "project";
  readonly duration: number;
  readonly permissions: readonly Permission[];
}

const route = "/api/v2.0/robots";
const dayMs = 24 * 60 * 60 * 1_000;

export function createRobotApi({ table, projects, random }: RobotApiNeeds): RobotApi {
  function create(ask: Ask, caller: Caller): Answer {
    const fields = fieldsOf(ask);
    const name = textOf(fields["name"]);
    // Harbor's rule for the names of robots is that for projects, but for the length.
    if (!isSpaceName(name)) {
      return problem(400, "robot name is not in lower case or contains illegal characters");
    }
    const wanted = wantedOf(fields, Number(fields["duration"] ?? 0));
    if ("status" in wanted) return wanted;
    const { level, duration, permissions } = wanted;
    const namespace = permissions[0]?.namespace ?? "";
    const refusal =
      level === "system"
        ? refusalOnSystem(caller, "robot", "create")
        : refusalOnProject(caller, namespace, "create");
    if (refusal !== undefined) return refusal;
    if (caller.kind === "robot" && !isWithin(permissions, caller.permissions)) {
      const text = "permission scope is invalid. It must be equal to or more restrictive than the creator";
      return problem(403, `${text} robot's permissions: ${caller.name}`, "DENIED");
    }
    const project = level === "system" ? undefined : projects.find(namespace);
    if (level === "project" && project === undefined) return noProject(namespace);

    const projectId = project?.id ?? 0;
    const stored = project === undefined ? name : `${project.name}+${name}`;
    if (table.rows().some((row) => row.name === stored && row.projectId === projectId)) {
      table.skipId();
      return problem(409, `robot account ${projectId}:${stored} already exists`);
    }
    const grants = grantsOf(permissions);
    if ("status" in grants) {
      table.skipId();
      return grants;
    }
    const secret = newSecret(random);
    const creator = creatorOf(caller);
    const description = textOf(fields["description"]);
    const facts = { name: stored, projectId, creator, secret, description, duration, disabled: false };
    const row = table.insert({ ...facts, expiresAt: -1, grants });
    row.expiresAt = expiryOf(row, duration);
    const created = { ...presentDates(row), id: row.id, name: table.fullName(row), secret };
    return {
      status: 201,
      headers: { "content-type": "application/json", location: `${route}/${row.id}` },
      body: created,
    };
  }

  function list(ask: Ask, caller: Caller): Answer {
    if (caller.kind === "anonymous") return problem(401, "unauthorized");
    const keywords = keywordsOf(ask.query);
    const level = keywords?.get("Level") ?? "system";
    if (level !== "system" && level !== "project") return problem(400, "bad request error level input");
    const projectId = level === "system" ? 0 : Number(keywords?.get("ProjectID") ?? Number.NaN);
    if (level === "project" && keywords?.has("ProjectID") !== true) {
      return problem(400, "must with project ID when to query project robots");
    }
    if (level === "project" && !(Number.isInteger(projectId) && projectId > 0)) {
      return problem(400, "ProjectID must be a positive integer");
    }
    const refusal =
      level === "system"
        ? refusalOnSystem(caller, "robot", "list")
        : refusalOnProject(caller, projects.byId(projectId)?.name ?? "", "list");
    if (refusal !== undefined) return refusal;

    const rows = table.rows().filter((row) => row.projectId === projectId);
    const found = select(
      ask,
      rows,
      {
        name: (row) => row.name,
        id: (row) => row.id,
        description: (row) => row.description,
        creation_time: (row) => row.createdAt,
        update_time: (row) => row.updatedAt,
      },
      "name",
    );
    return "status" in found ? found : listing(ask, found, present);
  }

  function one(ask: Ask, caller: Caller, id: number): Answer | undefined {
    const action = { GET: "read", PUT: "update", PATCH: "update", DELETE: "delete" }[ask.method];
    if (action === undefined) return undefined;
    if (caller.kind === "anonymous") return problem(401, "unauthorized");
    const row = table.byId(id);
    if (row === undefined) return problem(404, `robot ${id} not found`);
    if (ask.method === "PUT") return update(ask, caller, row);
    const refusal = refusalOnRobot(caller, row, action);
    if (refusal !== undefined) return refusal;
    if (action === "read") return ok(present(row));
    if (action === "update") return renewSecret(ask, row);
    table.delete(row);
    return { status: 200 };
  }

  function update(ask: Ask, caller: Caller, row: RobotRow): Answer {
    const fields = fieldsOf(ask);
    const wanted = wantedOf(fields, Number(fields["duration"] ?? row.duration));
    if ("status" in wanted) return wanted;
    const { level, duration, permissions } = wanted;
    if (row.projectId !== 0) {
      const namespace = permissions[0]?.namespace ?? "";
      const project = projects.find(namespace);
      if (project === undefined) return noProject(namespace);
      if (project.id !== row.projectId) return problem(400, "cannot update the project id of robot");
    }
    const refusal = refusalOnRobot(caller, row, "update");
    if (refusal !== undefined) return refusal;
    if (level !== levelOf(row) || fields["name"] !== table.fullName(row)) {
      return problem(400, "cannot update the level or name of robot");
    }
    const grants = grantsOf(permissions);
    if ("status" in grants) return grants;
    // Counted from the robot's birth, not from today; and left alone when the number of days is the same.
    if (row.duration !== duration) row.expiresAt = expiryOf(row, duration);
    row.duration = duration;
    row.description = textOf(fields["description"]);
    row.disabled = fields["disable"] === true;
    row.grants = grants;
    table.touch(row);
    return { status: 200 };
  }

  /** The old secret is dead with the answer; a chosen one is not repeated. */
  function renewSecret(ask: Ask, row: RobotRow): Answer {
    const given = textOf(fieldsOf(ask)["secret"]);
    if (given !== "" && !isGoodSecret(given)) {
      const text = "characters long with at least 1 uppercase letter, 1 lowercase letter and 1 number";
      return problem(400, `the secret must be 8-128, inclusively, ${text}`);
    }
    row.secret = given === "" ? newSecret(random) : given;
    table.touch(row);
    return ok(given === "" ? { secret: row.secret } : {});
  }

  function refusalOnRobot(caller: Caller, row: RobotRow, action: string): Answer | undefined {
    if (row.projectId === 0) return refusalOnSystem(caller, "robot", action);
    return refusalOnProject(caller, projects.byId(row.projectId)?.name ?? "", action);
  }

  /** A project that does not exist is like one in which the caller has no rights; the administrator has all. */
  function refusalOnProject(caller: Caller, name: string, action: string): Answer | undefined {
    const project = projects.find(name);
    const subject = project === undefined ? { name: "", public: false, ownerId: 0 } : subjectOf(project);
    return mayOn(caller, subject, "robot", action) ? undefined : refusalOf(caller);
  }

  function grantsOf(permissions: readonly Permission[]): readonly Grant[] | Answer {
    const accessByScope = new Map<Grant["scope"], readonly Access[]>();
    for (const { kind, namespace, access } of permissions) {
      if (kind === "system" && namespace !== "/") return problem(400, "unknown namespace");
      const scope = scopeOf(kind, namespace);
      if (scope === undefined) return noProject(namespace);
      accessByScope.set(scope, [...(accessByScope.get(scope) ?? []), ...access]);
    }
    return [...accessByScope].map(([scope, access]) => ({ scope, access }));
  }

  function scopeOf(kind: Permission["kind"], namespace: string): Grant["scope"] | undefined {
    if (kind === "system") return "system";
    return namespace === "*" ? "all-projects" : projects.find(namespace)?.id;
  }

  function present(row: RobotRow): unknown {
    return {
      ...presentDates(row),
      creator_ref: row.creator.id,
      creator_type: row.creator.type,
      ...(row.description === "" ? {} : { description: row.description }),
      disable: row.disabled,
      duration: row.duration,
      editable: true,
      id: row.id,
      level: levelOf(row),
      name: table.fullName(row),
      permissions: table.permissionsOf(row),
      update_time: new Date(row.updatedAt).toISOString(),
    };
  }

  function configurations(ask: Ask, caller: Caller): Answer | undefined {
    const action = { GET: "read", PUT: "update" }[ask.method];
    if (action === undefined) return undefined;
    const refusal = refusalOnSystem(caller, "configuration", action);
    if (refusal !== undefined) return refusal;
    if (action === "read") return ok({ robot_name_prefix: { editable: true, value: table.prefix } });
    const prefix = fieldsOf(ask)["robot_name_prefix"];
    if (prefix === undefined) return { status: 200 };
    const trimmed = textOf(prefix).trim();
    if (trimmed === "") return problem(400, "robot_name_prefix cannot be empty or contain only spaces");
    table.setPrefix(trimmed);
    return { status: 200 };
  }

  function rights(caller: Caller): Answer {
    if (caller.kind === "anonymous") return problem(401, "unauthorized");
    if (caller.kind === "user" && caller.admin) return ok(robotRights);
    return problem(403, "only admins(system and project) can access permissions");
  }

  return {
    answer(ask, caller) {
      const { method, path } = ask;
      if (path === "/api/v2.0/configurations") return configurations(ask, caller);
      if (path === "/api/v2.0/permissions") return method === "GET" ? rights(caller) : undefined;
      if (path === route && method === "GET") return list(ask, caller);
      if (path === route && method === "POST") return create(ask, caller);
      const [, id] = /^\/api\/v2\.0\/robots\/(\d+)$/.exec(path) ?? [];
      return id === undefined ? undefined : one(ask, caller, Number(id));
    },
  };
}

const isLevel = (text: unknown): text is "system" | "project" => text === "system" || text === "project";

/** What a body asks for, or what is wrong with it, in Harbor's order. */
function wantedOf(fields: JsonObject, duration: number): Wanted | Answer {
  if (!(duration === -1 || (duration > 0 && duration < 2 ** 31 - 1))) {
    const text = `bad request error duration input: ${duration}`;
    return problem(400, `${text}, duration must be either -1(Never) or a positive integer`);
  }
  const { level } = fields;
  if (!isLevel(level)) return problem(400, `bad request error level input: ${textOf(level)}`);
  const entries = listOf(fields["permissions"]);
  if (entries.length === 0) return problem(400, "bad request empty permission");
  const permissions = entries.map(permissionOf);
  if (permissions.some(({ access }) => access.length === 0)) return problem(400, "bad request empty access");
  if (level === "project" && permissions.length > 1) return problem(400, "bad request permission");
  for (const { kind, access } of permissions) {
    if (!isLevel(kind)) return problem(400, `bad request permission level: ${textOf(kind)}`);
    const illegal = access.find((each) => !isLegal(kind, each));
    if (illegal !== undefined) {
      return problem(400, `bad request permission: ${illegal.resource}:${illegal.action}`);
    }
  }
  return { level, duration, permissions };
}

function permissionOf(entry: unknown): Permission {
  const fields = isObject(entry) ? entry : {};
  const access = listOf(fields["access"]).map((each) => {
    const { resource, action, effect } = isObject(each) ? each : {};
    const right = { resource: textOf(resource), action: textOf(action) };
    return effect === undefined ? right : { ...right, effect: textOf(effect) };
  });
  return { kind: fields["kind"] as Permission["kind"], namespace: textOf(fields["namespace"]), access };
}

function isLegal(kind: Permission["kind"], { resource, action }: Access): boolean {
  return robotRights[kind].some((right) => right.resource === resource && right.action === action);
}

/** Entry by entry, as text: what the maker holds on `*` it may give on one project, but not the other way round. */
function isWithin(wanted: readonly Permission[], held: readonly Permission[]): boolean {
  const textOfAccess = ({ resource, action, effect = "" }: Access) => `${resource}:${action}:${effect}`;
  return wanted.every(({ kind, namespace, access }) => {
    const maker =
      held.find((each) => each.kind === kind && each.namespace === namespace) ??
      held.find((each) => each.kind === kind && each.namespace === "*");
    const rights = new Set(maker?.access.map(textOfAccess));
    return access.every((each) => rights.has(textOfAccess(each)));
  });
}

function creatorOf(caller: Caller): RobotRow["creator"] {
  if (caller.kind === "robot") return { type: "robot", id: caller.id ?? 0 };
  return { type: "local", id: caller.kind === "user" ? caller.id : 0 };
}

const levelOf = ({ projectId }: RobotRow) => (projectId === 0 ? "system" : "project");

function expiryOf({ createdAt }: RobotRow, durationDays: number): number {
  return durationDays === -1 ? -1 : Math.floor((createdAt + durationDays * dayMs) / 1_000);
}

const noProject = (name: string): Answer => problem(404, `project ${name} not found`);

function presentDates({ createdAt, expiresAt }: RobotRow) {
  return { creation_time: new Date(createdAt).toISOString(), expires_at: expiresAt };
}

const classes = ["abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"];

/** 32 characters, with one of each class in front, so that it is one that Harbor would take. */
function newSecret(random: () => number): string {
  const pick = (characters: string) => characters[Math.floor(random() * characters.length)];
  const rest = Array.from({ length: 32 - classes.length }, () => pick(classes.join("")));
  return [...classes.map(pick), ...rest].join("");
}

function isGoodSecret(secret: string): boolean {
  const isLong = secret.length >= 8 && secret.length <= 128;
  return isLong && /[a-z]/.test(secret) && /[A-Z]/.test(secret) && /\d/.test(secret);
}

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
