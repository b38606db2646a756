// Harbor's robot accounts: made, listed and removed, never changed. PUT and PATCH would need a right that Harbor
// gives to no robot, and a secret renewed in place kills the one that kubelets still hold. A robot's secret is in
// what {@link makeRobot} returns and nowhere else: no error quotes an answer.

import { isObject, type JsonObject } from "../domain/json.ts";
import { describeAnswer, firstErrorOf } from "../http-exchange.ts";
import { HarborError, type HarborAnswer } from "./harbor-answer.ts";
import type { HarborClient } from "./harbor-client.ts";

export interface NewRobot {
  /** Without Harbor's prefix; lower case, shaped like the name of a space. */
  readonly name: string;
  readonly description: string;
  readonly days: number;
  /** What it may pull from; never empty, since a robot without permissions is shown every project. */
  readonly spaces: readonly string[];
}

export interface MadeRobot {
  readonly id: number;
  /** With Harbor's prefix. */
  readonly fullName: string;
  readonly secret: string;
  /** Milliseconds since the epoch, by Harbor's clock; so is the other. */
  readonly createdAt: number;
  /** Null for never. */
  readonly expiresAt: number | null;
}

export type RobotMaking =
  | { readonly kind: "made"; readonly robot: MadeRobot }
  /** One of that name is there. If it was made by a call whose answer got lost, nobody has its secret. */
  | { readonly kind: "exists" }
  /** What is in the way, and what to do about it. */
  | { readonly kind: "refused"; readonly why: string };

export interface SeenRobot {
  readonly id: number;
  readonly fullName: string;
  readonly disabled: boolean;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly expiresAt: number | null;
  /** Those that it may pull from and that are still there. */
  readonly spaces: readonly string[];
}

const route = "/api/v2.0/robots";
/** Harbor's ceiling: above it the answer is 422. */
const pageSize = 100;
/** 10,000 robots: some for each of 2,000 workspaces. A total beyond it is a mistake. */
const maxPages = 100;
/** Robots that come and go while the pages are read shift them; thrice in a row something else is wrong. */
const maxPasses = 3;

/** A robot of the system, so that one can pull from several spaces. */
export async function makeRobot(
  client: HarborClient,
  { name, description, days, spaces }: NewRobot,
  signal: AbortSignal,
): Promise<RobotMaking> {
  if (spaces.length === 0) throw new Error(`make robot ${name}: expected at least one space, got none`);
  const access = [{ resource: "repository", action: "pull" }];
  const permissions = spaces.map((space) => ({ kind: "project", namespace: space, access }));
  const body = { name, description, level: "system", duration: days, disable: false, permissions };
  const what = `make a robot (${name})`;
  const answer = await client.send({ what, method: "POST", path: route, body, signal });
  switch (answer.status) {
    case 201:
      return { kind: "made", robot: readMade(answer) };
    case 409:
      return { kind: "exists" };
    case 400:
    case 403:
    case 404:
      return { kind: "refused", why: `${describeAnswer(answer)}: ${adviceOn(answer, spaces)}` };
    default:
      throw answer.failure("client-error", describeAnswer(answer));
  }
}

function adviceOn(answer: HarborAnswer, spaces: readonly string[]): string {
  const code = firstErrorOf(answer.body)?.code;
  // A robot may give away what it holds and no more.
  if (code === "DENIED") {
    return `a robot makes no robot that may do more than itself; give it repository:pull on all projects ("*")`;
  }
  if (answer.status === 403) {
    return "the login may not make robots; it needs robot:create on the system, or to be an administrator";
  }
  if (answer.status === 404) {
    return `one of the spaces ${spaces.join(", ")} is gone, and the robot will be made without it`;
  }
  return "Harbor takes no such robot";
}

function readMade(answer: HarborAnswer): MadeRobot {
  const robot = objectOf(answer.body, answer);
  const { secret } = robot;
  if (typeof secret !== "string" || secret === "")
    throw answer.failure("malformed", "the robot has no secret");
  const { id, fullName, createdAt, expiresAt } = readRobot(robot, answer);
  return { id, fullName, secret, createdAt, expiresAt };
}

/** All robots of the system whose name, without prefix, contains the part. */
export async function listRobots(
  client: HarborClient,
  namePart: string,
  signal: AbortSignal,
): Promise<readonly SeenRobot[]> {
  for (let pass = 1; ; pass += 1) {
    const { robots, total } = await readPages(client, namePart, signal);
    if (robots.size === total) return [...robots.values()];
    if (pass === maxPasses) {
      const text = `${robots.size} robots came for a total of ${total}, after ${maxPasses} passes`;
      throw new HarborError("malformed", `list robots of ${client.url}: the pages do not add up, ${text}`);
    }
  }
}

interface Pages {
  readonly robots: ReadonlyMap<number, SeenRobot>;
  readonly total: number;
}

async function readPages(client: HarborClient, namePart: string, signal: AbortSignal): Promise<Pages> {
  const robots = new Map<number, SeenRobot>();
  // By id, so that one made meanwhile comes last and shifts nothing.
  const query = `sort=id&page_size=${pageSize}&q=${encodeURIComponent(`name=~${namePart}`)}`;
  for (let page = 1; ; page += 1) {
    const path = `${route}?${query}&page=${page}`;
    const answer = await client.send({ what: `list robots, page ${page}`, path, signal });
    if (answer.status === 403) {
      const advice =
        "the login may not list robots; it needs robot:list on the system, or to be an administrator";
      throw answer.failure("client-error", `${describeAnswer(answer)}: ${advice}`);
    }
    if (answer.status !== 200) throw answer.failure("client-error", describeAnswer(answer));
    const total = Number(answer.headers["x-total-count"] ?? Number.NaN);
    if (!Number.isSafeInteger(total)) {
      throw answer.failure("malformed", "it does not say how many there are (X-Total-Count)");
    }
    // An empty list may come as null.
    const listed = answer.body ?? [];
    if (!Array.isArray(listed)) throw answer.failure("malformed", "expected a list");
    for (const entry of listed as readonly unknown[]) {
      const robot = readRobot(objectOf(entry, answer), answer);
      robots.set(robot.id, robot);
    }
    if (page * pageSize >= total) return { robots, total };
    if (page === maxPages) {
      throw answer.failure("malformed", `${total} robots, expected ${maxPages * pageSize} at most`);
    }
  }
}

/** Ends its login at once; that it is gone already is as good. */
export async function removeRobot(client: HarborClient, id: number, signal: AbortSignal): Promise<void> {
  const path = `${route}/${id}`;
  const answer = await client.send({ what: `remove robot ${id}`, method: "DELETE", path, signal });
  if (answer.status < 300) return;
  // Only in Harbor's own words: something in front may have lost its way to Harbor.
  if (answer.status === 404 && firstErrorOf(answer.body)?.code === "NOT_FOUND") return;
  const advice =
    answer.status === 403
      ? ": the login may not remove robots; it needs robot:delete on the system, or to be an administrator"
      : "";
  throw answer.failure("client-error", `${describeAnswer(answer)}${advice}`);
}

function readRobot(robot: JsonObject, answer: HarborAnswer): SeenRobot {
  const { id, name, disable, creation_time: created, update_time: updated, expires_at: expires } = robot;
  if (typeof id !== "number" || !Number.isSafeInteger(id) || id < 1) {
    throw answer.failure("malformed", "a robot's id is not a whole number");
  }
  if (typeof name !== "string" || name === "") throw answer.failure("malformed", "a robot has no name");
  if (typeof expires !== "number") throw answer.failure("malformed", "a robot's expires_at is not a number");
  const createdAt = timeOf(created, answer);
  return {
    id,
    fullName: name,
    disabled: disable === true,
    createdAt,
    // The answer to a creation has none.
    updatedAt: updated === undefined ? createdAt : timeOf(updated, answer),
    expiresAt: expires < 0 ? null : expires * 1_000,
    spaces: pulledFrom(robot["permissions"]),
  };
}

function timeOf(written: unknown, answer: HarborAnswer): number {
  const time = typeof written === "string" ? Date.parse(written) : Number.NaN;
  if (Number.isNaN(time)) throw answer.failure("malformed", "a robot's time cannot be read");
  return time;
}

function pulledFrom(permissions: unknown): readonly string[] {
  if (!Array.isArray(permissions)) return [];
  return permissions.flatMap((permission: unknown) => {
    const { kind, namespace, access } = isObject(permission) ? permission : {};
    if (kind !== "project" || typeof namespace !== "string" || !Array.isArray(access)) return [];
    const isPull = (entry: unknown) =>
      isObject(entry) && entry["resource"] === "repository" && entry["action"] === "pull";
    return access.some(isPull) ? [namespace] : [];
  });
}

function objectOf(body: unknown, answer: HarborAnswer): JsonObject {
  if (!isObject(body)) throw answer.failure("malformed", "a robot is not an object");
  return body;
}
