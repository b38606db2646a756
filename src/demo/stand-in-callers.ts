// Who asks the stand-in Harbor, and what they may do: the administrator, other users, robots, and everybody else. As
// with Harbor, a login that fails is no error here: its caller is anonymous.

import { setTimeout as pause } from "node:timers/promises";

export interface Permission {
  readonly kind: "system" | "project";
  /** `/` for the system, `*` for all projects, else one project's name. */
  readonly namespace: string;
  readonly access: readonly { readonly resource: string; readonly action: string }[];
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
  readonly robots: Map<string, StandInRobot>;
  callerOf(authorization: string | undefined): Promise<Caller>;
}

export interface LoginsNeeds {
  readonly adminPassword: string;
  /** How long a wrong password locks its principal; 1.5 s in Harbor. */
  readonly lockMs: number;
  readonly now: () => number;
}

export function createLogins({ adminPassword, lockMs, now }: LoginsNeeds): Logins {
  const users = new Map<string, StandInUser>();
  users.set("admin", { kind: "user", name: "admin", id: 1, admin: true, password: adminPassword });
  const robots = new Map<string, StandInRobot>();
  const lockedUntil = new Map<string, number>();

  function find(name: string, secret: string): Caller {
    const user = users.get(name);
    if (user?.password === secret) return user;
    const robot = robots.get(name);
    return robot?.secret === secret && !robot.disabled ? robot : anonymous;
  }

  return {
    users,
    robots,
    async callerOf(authorization) {
      const login = loginOf(authorization);
      if (login === undefined) return anonymous;
      // While it is locked, the right password is as good as none.
      if (now() < (lockedUntil.get(login.name) ?? 0)) return anonymous;
      const caller = find(login.name, login.secret);
      if (caller.kind === "anonymous") {
        lockedUntil.set(login.name, now() + lockMs);
        await pause(lockMs);
      }
      return caller;
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

/** Is the project in what the caller gets as a listing? */
export function isListedFor(caller: Caller, project: Subject): boolean {
  if (project.public) return true;
  switch (caller.kind) {
    case "anonymous":
      return false;
    case "user":
      return caller.admin || caller.id === project.ownerId;
    case "robot":
      return (
        // Harbor skips an empty name filter, so that a robot without any permission sees everything.
        caller.permissions.length === 0 ||
        mayOnSystem(caller, "project", "list") ||
        caller.permissions.some((permission) => isFor(permission, project))
      );
  }
}

export function mayOn(caller: Caller, project: Subject, resource: string, action: string): boolean {
  const isReading = ["read", "list", "pull"].includes(action);
  if (project.public && isReading) return true;
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

function mayOnSystem({ permissions }: StandInRobot, resource: string, action: string): boolean {
  return permissions.some(
    (permission) => permission.kind === "system" && grants(permission, resource, action),
  );
}

function isFor({ kind, namespace }: Permission, { name }: Subject): boolean {
  return kind === "project" && (namespace === "*" || namespace === name);
}

function grants({ access }: Permission, resource: string, action: string): boolean {
  return access.some((entry) => entry.resource === resource && entry.action === action);
}
