// A Docker Registry that really listens, as far as reading names, tags and digests goes: open, with Basic logins, or
// with a token service of its own or elsewhere. What it was asked and with which login is what tests look at.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";

export type Access =
  | { readonly kind: "open" }
  | { readonly kind: "basic" }
  /** `realm` is its own `/token` unless another is given. */
  | { readonly kind: "token"; readonly realm?: string; readonly service?: string };

export interface FakeRegistryOptions {
  readonly tls?: { readonly key: string; readonly cert: string };
  readonly access?: Access;
  readonly login?: { readonly username: string; readonly password: string };
  /** Repository → tags. */
  readonly repositories?: Readonly<Record<string, readonly string[] | null>>;
}

export interface FakeRegistry {
  readonly url: string;
  access: Access;
  login: { readonly username: string; readonly password: string } | undefined;
  repositories: Readonly<Record<string, readonly string[] | null>>;
  /** What a token may open; a token for anything else opens nothing. */
  opens: (scope: string, hasLogin: boolean) => boolean;
  /** More for the token service's answer, or less where it is undefined. */
  tokenAnswer: Readonly<Record<string, unknown>>;
  /** Instead of its own answer, for the paths that it applies to. */
  instead: (path: string) => { status: number; headers?: Record<string, string>; body?: string } | undefined;
  /** How many names or tags at most in a page, whatever is asked for. */
  maxPage: number;
  /** What the address in its Link headers begins with. */
  linkPrefix: string;
  readonly requests: readonly { method: string; path: string; login: string; accept: string }[];
  /** How many requests came with a wrong login. */
  readonly failedLogins: number;
  close(): Promise<void>;
}

export async function startFakeRegistry(options: FakeRegistryOptions = {}): Promise<FakeRegistry> {
  const requests: { method: string; path: string; login: string; accept: string }[] = [];
  const tokens = new Map<string, { scopes: readonly string[]; hasLogin: boolean }>();
  let failedLogins = 0;
  let url = "";

  function isRight(authorization: string): boolean {
    const { login } = registry;
    if (login === undefined) return false;
    return authorization === `Basic ${btoa(`${login.username}:${login.password}`)}`;
  }

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const { authorization = "", accept = "" } = request.headers;
    const { pathname, searchParams } = new URL(request.url ?? "", "http://registry.test");
    const login = authorization.split(" ", 1)[0] ?? "";
    requests.push({ method: request.method ?? "", path: request.url ?? "", login, accept });
    if (login === "Basic" && !isRight(authorization)) failedLogins += 1;
    response.setHeader("docker-distribution-api-version", "registry/2.0");

    const broken = registry.instead(pathname);
    if (broken !== undefined) {
      response.writeHead(broken.status, broken.headers).end(broken.body);
      return;
    }
    if (pathname === "/token") {
      giveToken(searchParams, authorization, response);
      return;
    }
    const scope = scopeOf(pathname);
    const { access } = registry;
    if (access.kind === "basic" && !isRight(authorization)) {
      refuse(response, 'Basic realm="a registry, closed"');
      return;
    }
    if (access.kind === "token" && !mayOpen(authorization, scope)) {
      const { realm = `${url}/token`, service = "registry.test" } = access;
      const ofScope = scope === "" ? "" : `,scope="${scope}"`;
      refuse(response, `Bearer realm="${realm}",service="${service}"${ofScope}`);
      return;
    }
    serve(pathname, searchParams, response);
  }

  function mayOpen(authorization: string, scope: string): boolean {
    const known = tokens.get(authorization.replace("Bearer ", ""));
    if (known === undefined) return false;
    if (scope === "") return true;
    return known.scopes.includes(scope) && registry.opens(scope, known.hasLogin);
  }

  function giveToken(query: URLSearchParams, authorization: string, response: ServerResponse): void {
    const hasLogin = isRight(authorization);
    if (authorization !== "" && !hasLogin) {
      fail(response, 401, "UNAUTHORIZED", "incorrect username or password");
      return;
    }
    const token = `token-${tokens.size}`;
    tokens.set(token, { scopes: query.getAll("scope"), hasLogin });
    json(response, 200, { token, expires_in: 300, ...registry.tokenAnswer });
  }

  function serve(pathname: string, query: URLSearchParams, response: ServerResponse): void {
    if (pathname === "/v2/") {
      json(response, 200, {});
      return;
    }
    if (pathname === "/v2/_catalog") {
      page(Object.keys(registry.repositories).sort(), "repositories", pathname, query, response);
      return;
    }
    const [, repository = "", what = "", reference = ""] =
      /^\/v2\/(.+)\/(tags\/list|manifests)\/?([^/]*)$/.exec(pathname) ?? [];
    const tags = registry.repositories[repository];
    if (tags === undefined) fail(response, 404, "NAME_UNKNOWN", "repository name not known to registry");
    else if (what === "manifests" && tags?.includes(reference) !== true) {
      fail(response, 404, "MANIFEST_UNKNOWN", "manifest unknown");
    } else if (what === "manifests") {
      response.setHeader("docker-content-digest", `sha256:${"a".repeat(64)}`);
      response.writeHead(200, { "content-type": "application/vnd.oci.image.index.v1+json" }).end();
    } else if (tags === null) json(response, 200, { name: repository, tags });
    else page(tags, "tags", pathname, query, response, { name: repository });
  }

  function page(
    all: readonly string[],
    key: string,
    pathname: string,
    query: URLSearchParams,
    response: ServerResponse,
    more: object = {},
  ): void {
    const size = Math.min(Number(query.get("n") ?? "100"), registry.maxPage);
    const last = query.get("last");
    const rest = last === null ? all : all.slice(all.findIndex((text) => text === last) + 1);
    const shown = rest.slice(0, size);
    if (rest.length > size) {
      const next = new URLSearchParams({ last: shown.at(-1) ?? "", n: String(size) });
      response.setHeader("link", `<${registry.linkPrefix}${pathname}?${next.toString()}>; rel="next"`);
    }
    json(response, 200, { ...more, [key]: shown });
  }

  const { tls } = options;
  const server: Server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  url = `${tls === undefined ? "http" : "https"}://127.0.0.1:${(server.address() as AddressInfo).port}`;

  const registry: FakeRegistry = {
    url,
    access: options.access ?? { kind: "open" },
    login: options.login,
    repositories: options.repositories ?? {},
    opens: () => true,
    tokenAnswer: {},
    instead: () => undefined,
    maxPage: 1_000,
    linkPrefix: "",
    requests,
    get failedLogins() {
      return failedLogins;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return registry;
}

function scopeOf(pathname: string): string {
  if (pathname === "/v2/_catalog") return "registry:catalog:*";
  const [, repository] = /^\/v2\/(.+)\/(?:tags|manifests)\//.exec(pathname) ?? [];
  return repository === undefined ? "" : `repository:${repository}:pull`;
}

function refuse(response: ServerResponse, challenge: string): void {
  response.setHeader("www-authenticate", challenge);
  fail(response, 401, "UNAUTHORIZED", "authentication required");
}

function fail(response: ServerResponse, status: number, code: string, message: string): void {
  json(response, status, { errors: [{ code, message }] });
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(body));
}
