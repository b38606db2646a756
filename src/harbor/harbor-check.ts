// Can a Harbor of the policy be used as it is written there: is it one, of a version that serves, and does the login
// have the rights? What is wrong comes as sentences that say what to do; that something is wrong is never an error.

import { isObject, type JsonObject } from "../domain/json.ts";
import { describeAnswer, inOneLine, withRemedy } from "../http-exchange.ts";
import { HarborError, type HarborAnswer } from "./harbor-answer.ts";
import type { HarborClient } from "./harbor-client.ts";

export interface HarborCheck {
  /** As Harbor writes it, `v2.14.0-a1b2c3d4`; null when it does not say. */
  readonly version: string | null;
  /** Null when Harbor was not reached, or did not accept the login. */
  readonly caller: "administrator" | "robot" | "user" | null;
  /** What keeps Berth from working with it, most serious first; none when all is well. */
  readonly problems: readonly string[];
  /** What would better be otherwise. */
  readonly advice: readonly string[];
}

/**
 * Who integrated it. With the platform's Harbors Berth makes robots and spaces; with a workspace's own it only reads,
 * for which every login will do.
 */
export type Integration = "platform" | "workspace";

/** From here on robots see the projects that they have permissions on. */
const leastVersion: Version = [2, 4];
/** From here on robots make robots. */
const leastVersionOfRobots: Version = [2, 12];

export async function checkHarbor(
  client: HarborClient,
  signal: AbortSignal,
  integration: Integration = "platform",
): Promise<HarborCheck> {
  let about: JsonObject;
  try {
    about = await client.proveIdentity(signal);
  } catch (err) {
    if (!(err instanceof HarborError)) throw err;
    const problem = (await whyDockerRegistry(client, err, signal)) ?? withRemedy(err);
    return { version: null, caller: null, problems: [problem], advice: [] };
  }
  const version = versionOf(about);
  const { caller, problem } = await readCaller(client, version, signal);
  // A workspace's own login may be anybody's.
  const lacks = integration === "workspace" && caller !== null ? null : problem;
  return {
    version,
    caller,
    problems: [problemOfVersion(client.url, version), lacks].filter(isText),
    advice: [adviceOnCreation(client.url, about)].filter(isText),
  };
}

interface Caller {
  readonly caller: HarborCheck["caller"];
  readonly problem: string | null;
}

/** Who Harbor takes the login for, after it took it for somebody, and what that one lacks. */
async function readCaller(
  client: HarborClient,
  version: string | null,
  signal: AbortSignal,
): Promise<Caller> {
  try {
    // 401 is what a user of OIDC gets here, for a CLI secret that is good elsewhere.
    const call = { what: "read who the login is", path: "/api/v2.0/users/current", takes401: true, signal };
    return await callerIn(await client.send(call), client, version, signal);
  } catch (err) {
    if (!(err instanceof HarborError)) throw err;
    return { caller: null, problem: withRemedy(err) };
  }
}

async function callerIn(
  answer: HarborAnswer,
  client: HarborClient,
  version: string | null,
  signal: AbortSignal,
): Promise<Caller> {
  const { url } = client;
  switch (answer.status) {
    case 200:
      return readUser(url, answer);
    case 401: {
      const problem = `the login is that of an OIDC user, whose CLI secret ${url} takes for little but reading; ${whatToUse}`;
      return { caller: "user", problem };
    }
    case 412:
      return { caller: "robot", problem: await problemOfRobot(client, version, signal) };
    default:
      throw answer.failure("client-error", describeAnswer(answer));
  }
}

function readUser(url: string, answer: HarborAnswer): Caller {
  const {
    username,
    sysadmin_flag: byFlag,
    admin_role_in_auth: byGroup,
  } = isObject(answer.body) ? answer.body : {};
  if (typeof username !== "string") throw answer.failure("malformed", "a user has no username");
  if (byFlag === true || byGroup === true) return { caller: "administrator", problem: null };
  const name = inOneLine(username, 64);
  return {
    caller: "user",
    problem: `${name} is no administrator of ${url}, and sees only its own projects; ${whatToUse}`,
  };
}

const rightsOfRobot =
  'on the system project:list and robot:create, robot:read, robot:list and robot:delete, on all projects ("*") ' +
  "repository:pull, project:read and, for the image selector, repository:list, artifact:list and artifact:read; where the policy declares spaces, also project:create, quota:list, quota:read " +
  "and quota:update on the system and project:update on all projects";
const whatToUse = `use a local administrator, or a robot of the system that has ${rightsOfRobot}`;

async function problemOfRobot(
  client: HarborClient,
  version: string | null,
  signal: AbortSignal,
): Promise<string | null> {
  const { url } = client;
  if (isBefore(version, leastVersionOfRobots)) {
    const since = `v${leastVersionOfRobots.join(".")}`;
    return `the login is a robot, and robots make robots only from Harbor ${since} on, while ${url} is ${version ?? ""}; use a local administrator`;
  }
  const path = "/api/v2.0/robots?page_size=1";
  const answer = await client.send({ what: "read whether the login may see robots", path, signal });
  if (answer.status === 200) return null;
  if (answer.status !== 403) throw answer.failure("client-error", describeAnswer(answer));
  return `the login is a robot that may not manage robots of ${url}; it needs ${rightsOfRobot}`;
}

type Version = readonly [major: number, minor: number];

/** Null for `-`, which a Harbor built from source gives itself, and where there is none. */
function versionOf({ harbor_version: version }: JsonObject): string | null {
  return typeof version === "string" && parseVersion(version) !== null ? inOneLine(version, 64) : null;
}

function parseVersion(text: string): Version | null {
  const [, major, minor] = /^v?(\d{1,4})\.(\d{1,4})(?![\d])/.exec(text) ?? [];
  return major === undefined || minor === undefined ? null : [Number(major), Number(minor)];
}

/** A version that nobody knows is none that is too old. */
function isBefore(version: string | null, [major, minor]: Version): boolean {
  const known = version === null ? null : parseVersion(version);
  return known !== null && (known[0] < major || (known[0] === major && known[1] < minor));
}

function problemOfVersion(url: string, version: string | null): string | null {
  if (!isBefore(version, leastVersion)) return null;
  return `${url} is Harbor ${version ?? ""}, expected v${leastVersion.join(".")} or later: it has to be upgraded`;
}

function adviceOnCreation(url: string, { project_creation_restriction: who }: JsonObject): string | null {
  if (who !== "everyone") return null;
  return `every user and every robot of ${url} may make projects, and so take the names of others or make a public one; set "Project Creation" to administrators only in its system settings`;
}

/**
 * One clear sentence for a Docker Registry that is integrated as a Harbor. Harbor answers `/v2/` in the same way, so
 * that it has to be without Harbor's token service too.
 */
async function whyDockerRegistry(
  client: HarborClient,
  err: HarborError,
  signal: AbortSignal,
): Promise<string | undefined> {
  // Whatever else went wrong, no more of it is to be learned by asking on.
  if (err.kind !== "client-error" && err.kind !== "malformed") return undefined;
  const base = await answerOf(client, "/v2/", signal);
  if (base instanceof HarborError) return undefined;
  if (base.headers["docker-distribution-api-version"] === undefined) return undefined;
  const tokens = await answerOf(client, "/service/token?service=harbor-registry", signal);
  // For a path that it does not know, a registry has a page that says 404.
  const isWithout = tokens instanceof HarborError ? tokens.kind === "client-error" : tokens.status === 404;
  if (!isWithout) return undefined;
  return `${client.url} is a Docker Registry and no Harbor; integrate it with type: docker-registry`;
}

async function answerOf(
  client: HarborClient,
  path: string,
  signal: AbortSignal,
): Promise<HarborAnswer | HarborError> {
  try {
    return await client.send({ what: "find out what it is", path, takes401: true, signal });
  } catch (err) {
    if (err instanceof HarborError) return err;
    throw err;
  }
}

function isText(text: string | null): text is string {
  return text !== null;
}
