// Who asks the stand-in Harbor, and what they may do: the administrator, other users, robots, and everybody else. As
// with Harbor, a login that fails is no error here: its caller is anonymous.

import { setTimeout as pause } from "node:timers/promises";

import { problem, type Answer } from "./stand-in-answer.ts";
import type { Access } from "./stand-in-rights.ts";

export interface Permission {
  readonly kind: "system" | "project";
  /** `/` for the system, `*` for all projects, else one project's name. */
  readonly namespace: string;
  readonly access: readonly Access[];
}

export interface StandInUser {
  readonly kind: "user";
  readonly name: string;
  readonly id: number;
  readonly admin: boolean;
  password: string;
}

export interface StandInRobot {
  readonly kind: "robot";
  /** None when it was only put into `Logins.robots`. */
  readonly id?: number;
  /** With its prefix: `robot$berth-12`. */
  readonly name: string;
  secret: string;
  permissions: readonly Permission[];
  disabled: boolean;
}

export type Caller = StandInUser | StandInRobot | { readonly kind: "anonymous" };

const anonymous: Caller = { kind: "anonymous" };

/** What decides about a project. */
interface Subject {
  readonly name: string;
  readonly public: boolean;
  readonly ownerId: number;
}

export interface Logins {
  /** By name; may be added to and changed at any time. */
  readonly users: Map<string, StandInUser>;
  /** Logins that no API knows of; those that the API made are in `StandInHarbor.robots`. */
  readonly robots: Map<string, StandInRobot>;
  /** How often a login with this name came to nothing. */
  readonly failures: ReadonlyMap<string, number>;
  callerOf(authorization: string | undefined): Promise<Caller>;
}

export interface LoginsNeeds {
  readonly adminPassword: string;
  /** How long a wrong password locks its principal; 1.5 s in Harbor. */
  readonly lockMs: number;
  /** The robots that the API made. */
  readonly robotOf: (name: string, secret: string) => StandInRobot | undefined;
  readonly now: () => number;
}

export function createLogins({ adminPassword, lockMs, robotOf, now }: LoginsNeeds): Logins {
  const users = new Map<string, StandInUser>();
  users.set("admin", { kind: "user", name: "admin", id: 1, admin: true, password: adminPassword });
  const robots = new Map<string, StandInRobot>();
  const lockedUntil = new Map<string, number>();
  const failures = new Map<string, number>();

  function find(name: string, secret: string): Caller {
    const user = users.get(name);
    if (user?.password === secret) return user;
    const robot = robots.get(name);
    if (robot?.secret === secret && !robot.disabled) return robot;
    return robotOf(name, secret) ?? anonymous;
  }

  function fail(name: string): Caller {
    failures.set(name, (failures.get(name) ?? 0) + 1);
    return anonymous;
  }

  return {
    users,
    robots,
    failures,
    async callerOf(authorization) {
      const login = loginOf(authorization);
      if (login === undefined) return anonymous;
      // While it is locked, the right password is as good as none.
      if (now() < (lockedUntil.get(login.name) ?? 0)) return fail(login.name);
      const caller = find(login.name, login.secret);
      if (caller.kind !== "anonymous") return caller;
      lockedUntil.set(login.name, now() + lockMs);
      await pause(lockMs);
      return fail(login.name);
    },
  };
}

/** The name and secret of a Basic login. */
export function loginOf(
  authorization: string | undefined,
): { readonly name: string; readonly secret: string } | undefined {
  const [scheme, encoded = ""] = (authorization ?? "").split(" ");
  if (scheme !== "Basic") return undefined;
  const text = Buffer.from(encoded, "base64").toString("utf8");
  const colon = text.indexOf(":");
  return colon < 0 ? undefined : { name: text.slice(0, colon), secret: text.slice(colon + 1) };
}

export function isAdmin(caller: Caller): boolean {
  return caller.kind === "user" && caller.admin;
}

/** Is the project in what the caller gets as a listing? */
export function isListedFor(caller: Caller, project: Subject): boolean {
  return isNamedFor(caller, project) || (caller.kind === "robot" && mayOnSystem(caller, "project", "list"));
}

/** Is the project public, the caller's own, or in a robot's permissions? */
export function isNamedFor(caller: Caller, project: Subject): boolean {
  if (project.public) return true;
  switch (caller.kind) {
    case "anonymous":
      return false;
    case "user":
      return caller.admin || caller.id === project.ownerId;
    case "robot":
      // Harbor skips an empty name filter, so that a robot without any permission sees everything.
      return (
        caller.permissions.length === 0 || caller.permissions.some((permission) => isFor(permission, project))
      );
  }
}

/** What everybody may do in a public project. Reading one repository's record is not part of it. */
const publicRights = new Set(
  "project:read repository:list repository:pull artifact:read artifact:list tag:list label:read label:list".split(
    " ",
  ),
);

export function mayOn(caller: Caller, project: Subject, resource: string, action: string): boolean {
  if (project.public && publicRights.has(`${resource}:${action}`)) return true;
  switch (caller.kind) {
    case "anonymous":
      return false;
    case "user":
      return caller.admin || caller.id === project.ownerId;
    case "robot":
      return caller.permissions.some(
        (permission) => isFor(permission, project) && grants(permission, resource, action),
      );
  }
}

export function mayOnSystem(caller: Caller, resource: string, action: string): boolean {
  switch (caller.kind) {
    case "anonymous":
      return false;
    case "user":
      return caller.admin;
    case "robot":
      return caller.permissions.some(
        (permission) => permission.kind === "system" && grants(permission, resource, action),
      );
  }
}

/** What Harbor says to a caller without this right on the system; undefined for one that has it. */
export function refusalOnSystem(caller: Caller, resource: string, action: string): Answer | undefined {
  if (mayOnSystem(caller, resource, action)) return undefined;
  return caller.kind === "anonymous" ? refusalOf(caller) : problem(403, caller.name);
}

/** What Harbor says to a caller without the right on a project, be there such a project or not. */
export function refusalOf(caller: Caller): Answer {
  return caller.kind === "anonymous" ? problem(401, "unauthorized") : problem(403, "forbidden");
}

function isFor({ kind, namespace }: Permission, { name }: Subject): boolean {
  return kind === "project" && (namespace === "*" || namespace === name);
}

function grants({ access }: Permission, resource: string, action: string): boolean {
  return access.some((entry) => entry.resource === resource && entry.action === action);
}
