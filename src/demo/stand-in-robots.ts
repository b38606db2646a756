// The robots of the stand-in Harbor as a table: names without prefix, secrets, and permissions that hold a project's
// id, so that a project deleted and made anew is none of the robot's. What their API answers is in
// stand-in-robot-api.ts.

import type { Permission, StandInRobot } from "./stand-in-callers.ts";
import type { Projects } from "./stand-in-projects.ts";
import type { Access } from "./stand-in-rights.ts";

/** A robot as tests see it, at this moment. */
export interface RobotAccount {
  readonly id: number;
  /** With its prefix: `robot$berth-12`. */
  readonly name: string;
  readonly secret: string;
  readonly level: "system" | "project";
  readonly description: string;
  /** Without those for projects that are gone. */
  readonly permissions: readonly Permission[];
  readonly disabled: boolean;
  /** Days; -1 for ever. */
  readonly duration: number;
  /** Seconds since 1970; -1 for never. */
  readonly expiresAt: number;
  /** Milliseconds since 1970, as `updatedAt`. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What may happen to robots without Harbor's API. Names are given with their prefix. */
export interface Robots {
  readonly prefix: string;
  /** Renames every robot at once. */
  setPrefix(prefix: string): void;
  /** In the order in which they were made. */
  list(): readonly RobotAccount[];
  find(name: string): RobotAccount | undefined;
  disable(name: string): void;
  enable(name: string): void;
  /** Seconds since 1970; -1 for never. */
  setExpiresAt(name: string, seconds: number): void;
  /** From now on its login counts for nothing. */
  expire(name: string): void;
  remove(name: string): void;
  /** Gives away the next id, as an insertion that is rolled back does. */
  skipId(): void;
}

export interface RobotRow {
  readonly id: number;
  /** Without prefix; `project+name` for a project's own. */
  readonly name: string;
  /** 0 for the system's. */
  readonly projectId: number;
  readonly creator: { readonly type: "local" | "robot"; readonly id: number };
  readonly createdAt: number;
  secret: string;
  description: string;
  duration: number;
  expiresAt: number;
  disabled: boolean;
  updatedAt: number;
  grants: readonly Grant[];
}

export interface Grant {
  /** The id of a project, or what is more than one. */
  readonly scope: number | "system" | "all-projects";
  readonly access: readonly Access[];
}

export interface RobotTable extends Robots {
  rows(): readonly RobotRow[];
  insert(row: Omit<RobotRow, "id" | "createdAt" | "updatedAt">): RobotRow;
  byId(id: number): RobotRow | undefined;
  /** It was changed now. */
  touch(row: RobotRow): void;
  delete(row: RobotRow): void;
  fullName(row: RobotRow): string;
  permissionsOf(row: RobotRow): readonly Permission[];
  /** As a caller, should the secret be right and the robot alive. */
  logIn(name: string, secret: string): StandInRobot | undefined;
}

export interface RobotTableNeeds {
  readonly projects: Pick<Projects, "byId">;
  readonly now: () => number;
}

export function createRobotTable({ projects, now }: RobotTableNeeds): RobotTable {
  let table: RobotRow[] = [];
  let nextId = 1;
  let prefix = "robot$";

  /** A project's robots go with it. */
  function rows(): readonly RobotRow[] {
    return table.filter(({ projectId }) => projectId === 0 || projects.byId(projectId) !== undefined);
  }

  const fullName = ({ name }: RobotRow) => prefix + name;

  function mustFind(name: string): RobotRow {
    const row = rows().find((each) => fullName(each) === name);
    if (row === undefined) throw new Error(`the stand-in Harbor has no robot ${name}`);
    return row;
  }

  function permissionsOf({ grants }: RobotRow): readonly Permission[] {
    return grants.flatMap(({ scope, access }): Permission[] => {
      if (scope === "system") return [{ kind: "system", namespace: "/", access }];
      if (scope === "all-projects") return [{ kind: "project", namespace: "*", access }];
      const project = projects.byId(scope);
      return project === undefined ? [] : [{ kind: "project", namespace: project.name, access }];
    });
  }

  function accountOf(row: RobotRow): RobotAccount {
    const { id, secret, description, disabled, duration, expiresAt, createdAt, updatedAt } = row;
    const level = row.projectId === 0 ? "system" : "project";
    const permissions = permissionsOf(row);
    const dates = { duration, expiresAt, createdAt, updatedAt };
    return { id, name: fullName(row), secret, level, description, permissions, disabled, ...dates };
  }

  const isExpired = ({ expiresAt }: RobotRow) => expiresAt !== -1 && expiresAt <= Math.floor(now() / 1_000);

  return {
    get prefix() {
      return prefix;
    },
    setPrefix: (text) => void (prefix = text),
    list: () => rows().map(accountOf),
    find: (name) =>
      rows()
        .map(accountOf)
        .find((account) => account.name === name),
    disable: (name) => void (mustFind(name).disabled = true),
    enable: (name) => void (mustFind(name).disabled = false),
    setExpiresAt: (name, seconds) => void (mustFind(name).expiresAt = seconds),
    expire: (name) => void (mustFind(name).expiresAt = Math.floor(now() / 1_000)),
    remove(name) {
      const row = mustFind(name);
      table = table.filter((each) => each !== row);
    },
    skipId: () => void (nextId += 1),
    rows,
    insert(row) {
      const at = now();
      const inserted: RobotRow = { id: nextId, createdAt: at, updatedAt: at, ...row };
      nextId += 1;
      table.push(inserted);
      return inserted;
    },
    byId: (id) => rows().find((row) => row.id === id),
    touch: (row) => void (row.updatedAt = now()),
    delete: (row) => void (table = table.filter((each) => each !== row)),
    fullName,
    permissionsOf,
    logIn(name, secret) {
      const row = rows().find((each) => fullName(each) === name);
      if (row?.secret !== secret || row.disabled || isExpired(row)) return undefined;
      const permissions = permissionsOf(row);
      return { kind: "robot", id: row.id, name, secret, permissions, disabled: false };
    },
  };
}
