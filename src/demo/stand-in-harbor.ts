// A small Harbor that really listens, for `berth demo` and for tests: what its projects, callers and tokens look
// like from outside, with Harbor's quirks, and switches for the ways in which a server or the network fails. What
// it answers was compared with a Harbor 2.16; it stores no images.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { setTimeout as pause } from "node:timers/promises";

import { decoded, ok, problem, type Answer, type Ask, type ReceivedRequest } from "./stand-in-answer.ts";
import { createLogins, loginOf, type Caller, type Logins } from "./stand-in-callers.ts";
import { createFaults, type Fault, type Faults } from "./stand-in-faults.ts";
import { createProjectApi, type NewProject, type Projects } from "./stand-in-projects.ts";
import { createQuotaApi } from "./stand-in-quotas.ts";
import { createRepositoryApi, type Repositories } from "./stand-in-repositories.ts";
import { createRobotApi } from "./stand-in-robot-api.ts";
import { createRobotTable, type Robots } from "./stand-in-robots.ts";
import { createTokenApi } from "./stand-in-tokens.ts";

export interface StandInHarbor {
  /** Origin, without a slash at the end. */
  readonly url: string;
  readonly projects: Projects;
  /** Users and robots; `admin` is there from the start. */
  readonly logins: Logins;
  /** The robots that the API made. */
  readonly robots: Robots;
  readonly repositories: Repositories;
  readonly settings: StandInSettings;
  readonly faults: Faults;
  /** The latest requests, oldest first. */
  readonly requests: readonly ReceivedRequest[];
  /** What a registry has to trust to take this Harbor's tokens (issuer `harbor-token-issuer`). */
  tokenCertificatePem(): Promise<string>;
  close(): Promise<void>;
}

/** What an administrator could have set, or installed. */
export interface StandInSettings {
  /** `vX.Y.Z-<commit>`. */
  version: string;
  /** By default everybody may, robots that were only to pull too. */
  onlyAdminsCreateProjects: boolean;
}

export interface StandInHarborOptions {
  /** 0, the default, is any free port. */
  readonly port?: number;
  /** PEM; plain HTTP without. */
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly adminPassword: string;
  readonly projects?: readonly NewProject[];
  /** How long a wrong password takes, and locks its principal; 1.5 s in Harbor. */
  readonly lockMs?: number;
  readonly now?: () => number;
  readonly random?: () => number;
}

/** A demonstration may run for days. */
const maxRequestsKept = 10_000;

export async function startStandInHarbor(options: StandInHarborOptions): Promise<StandInHarbor> {
  const { adminPassword, lockMs = 1_500, now = Date.now, random = Math.random } = options;
  const robotOf = (name: string, secret: string) => robots.logIn(name, secret);
  const logins = createLogins({ adminPassword, lockMs, robotOf, now });
  const settings: StandInSettings = { version: "v2.16.0-5c9b4a1d", onlyAdminsCreateProjects: false };
  const projectApi = createProjectApi({ logins, settings, now });
  const { projects } = projectApi;
  const repositoryApi = createRepositoryApi({ projectApi, now });
  const { repositories } = repositoryApi;
  const quotaApi = createQuotaApi({ projectApi, repositories, logins });
  const robots = createRobotTable({ projects, now });
  const robotApi = createRobotApi({ table: robots, projects, random });
  for (const project of options.projects ?? []) projects.create(project);
  const faults = createFaults();
  const requests: ReceivedRequest[] = [];
  let url = "";
  const tokenApi = createTokenApi({ projects, repositories, url: () => url, now });
  let answering = 0;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    answering += 1;
    response.on("close", () => (answering -= 1));
    const received = receive(request, answering);
    requests.push(received);
    if (requests.length > maxRequestsKept) requests.shift();
    const fault = faults.take(received);
    if (fault?.kind === "reset") request.socket.destroy();
    if (fault?.kind === "reset" || fault?.kind === "silence") return;
    // Read at once: what was asked of a slow server is done, whether or not anybody waits for the answer.
    const ask = await readAsk(request, faults.proxyDecodes);
    if (fault?.kind === "slow") await pause(fault.ms);
    const broken = fault && insteadOfAnswer(fault);
    if (broken !== undefined) {
      send(response, broken);
      return;
    }

    const caller = faults.anonymous
      ? { kind: "anonymous" as const }
      : await logins.callerOf(ask.headers.authorization);
    const answer = (await answerTo(ask, caller)) ?? problem(404, `path ${ask.path} was not found`);
    response.setHeader("x-request-id", hex(32));
    // Every call begins a session; whoever brings its cookie back is taken for a browser.
    if (answer.headers?.["set-cookie"] === undefined)
      response.setHeader("set-cookie", `sid=${hex(32)}; Path=/; HttpOnly`);
    send(response, fault?.kind === "lost" ? problem(fault.status, "unknown error") : answer, fault);
  }

  async function answerTo(ask: Ask, caller: Caller): Promise<Answer | undefined> {
    const isWrite = !["GET", "HEAD"].includes(ask.method) && ask.path.startsWith("/api/");
    if (isWrite && /(^|;\s*)sid=/.test(ask.headers.cookie ?? "")) {
      const { headers, ...refusal } = problem(403, "CSRF token not found in request");
      const cookie = `_gorilla_csrf=${hex(32)}; Path=/; HttpOnly; SameSite=Strict`;
      return { ...refusal, headers: { ...headers, "x-harbor-csrf-token": hex(32), "set-cookie": cookie } };
    }
    switch (`${ask.method} ${ask.path}`) {
      case "GET /api/v2.0/health":
        return ok(health(faults.unhealthy));
      case "GET /api/v2.0/ping":
        return { status: 200, headers: { "content-type": "text/plain; charset=utf-8" }, body: "Pong" };
      case "GET /api/v2.0/systeminfo":
        return ok(systemInfo(caller, url, settings, now));
      case "GET /api/v2.0/users/current":
        return currentUser(caller, now);
      default:
        return (
          projectApi.answer(ask, caller) ??
          robotApi.answer(ask, caller) ??
          repositoryApi.answer(ask, caller) ??
          quotaApi.answer(ask, caller) ??
          (await tokenApi.answer(ask, caller))
        );
    }
  }

  function hex(length: number): string {
    return Array.from({ length }, () => Math.floor(random() * 16).toString(16)).join("");
  }

  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    serve(request, response).catch((err: unknown) => {
      response.destroy(err instanceof Error ? err : undefined);
    });
  };
  const { tls } = options;
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
  const port = await listen(server, options.port ?? 0);
  url = `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}`;
  return {
    url,
    projects,
    logins,
    robots,
    repositories,
    settings,
    faults,
    requests,
    tokenCertificatePem: () => tokenApi.certificatePem(),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => {
      const { port: inUse } = server.address() as AddressInfo;
      resolve(inUse);
    });
  });
}

function receive({ method = "", url = "", headers }: IncomingMessage, atATime: number): ReceivedRequest {
  return {
    method,
    path: url,
    login: loginOf(headers.authorization)?.name ?? null,
    cookie: headers.cookie ?? null,
    isResourceName: headers["x-is-resource-name"] === "true",
    atATime,
  };
}

/** A project or a robot is a few kB. */
const maxBodyBytes = 1024 * 1024;

async function readAsk(request: IncomingMessage, proxyDecodes: boolean): Promise<Ask> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new Error("the body is too large for the stand-in Harbor");
    chunks.push(chunk);
  }
  const text = Buffer.concat(chunks).toString("utf8");
  const [path = "", query = ""] = (request.url ?? "").split("?", 2);
  const body: unknown = text === "" ? undefined : JSON.parse(text);
  return {
    method: request.method ?? "",
    path: proxyDecodes ? decoded(path) : path,
    query: new URLSearchParams(query),
    headers: request.headers,
    body,
  };
}

/** What a fault makes of the whole answer; undefined when it only spoils Harbor's own. */
function insteadOfAnswer(fault: Fault): Answer | undefined {
  switch (fault.kind) {
    case "status":
      return problem(fault.status, "internal server error");
    case "html": {
      const body = "<html><head><title>Bad Gateway</title></head><body>nginx</body></html>";
      return { status: fault.status, headers: { "content-type": "text/html" }, body };
    }
    case "redirect":
      return { status: 302, headers: { location: fault.to } };
    default:
      return undefined;
  }
}

function send(response: ServerResponse, answer: Answer, fault?: Fault): void {
  const text = answer.body === undefined ? "" : bodyText(answer.body);
  const headers: Record<string, string> = { ...answer.headers };
  if (fault?.kind === "total" && "x-total-count" in headers) headers["x-total-count"] = String(fault.total);
  const half = text.slice(0, text.length / 2);
  if (fault?.kind === "cut") {
    response.writeHead(answer.status, { ...headers, "content-length": Buffer.byteLength(text) });
    response.write(half, () => response.destroy());
    return;
  }
  response.writeHead(answer.status, headers);
  response.end(fault?.kind === "half" ? half : text);
}

function bodyText(body: unknown): string {
  return typeof body === "string" ? body : JSON.stringify(body);
}

const components = ["core", "database", "jobservice", "portal", "redis", "registry", "registryctl"];

function health(unhealthy: ReadonlySet<string>) {
  return {
    components: components.map((name) =>
      unhealthy.has(name)
        ? { error: "failed to check health: connection refused", name, status: "unhealthy" }
        : { name, status: "healthy" },
    ),
    status: unhealthy.size === 0 ? "healthy" : "unhealthy",
  };
}

/** Its own address is for those it knows: the one way to tell a good login from a bad one. */
function systemInfo(caller: Caller, url: string, settings: StandInSettings, now: () => number) {
  const forEverybody = {
    auth_mode: "db_auth",
    banner_message: "",
    oidc_provider_name: "",
    primary_auth_mode: false,
    self_registration: false,
  };
  if (caller.kind === "anonymous") return forEverybody;
  return {
    ...forEverybody,
    current_time: new Date(now()).toISOString(),
    external_url: url,
    harbor_version: settings.version,
    has_ca_root: false,
    notification_enable: true,
    project_creation_restriction: settings.onlyAdminsCreateProjects ? "adminonly" : "everyone",
    read_only: false,
    registry_storage_provider_name: "filesystem",
    registry_url: new URL(url).host,
  };
}

function currentUser(caller: Caller, now: () => number): Answer {
  switch (caller.kind) {
    case "anonymous":
      return problem(401, "unauthorized");
    case "robot":
      return problem(412, "get current user not available for security context: robot");
    case "user":
      return ok({
        admin_role_in_auth: false,
        comment: "",
        creation_time: new Date(now()).toISOString(),
        realname: caller.name,
        sysadmin_flag: caller.admin,
        update_time: new Date(now()).toISOString(),
        user_id: caller.id,
        username: caller.name,
      });
  }
}
