// The Docker side of the stand-in Harbor, as far as logins go: its token service, and the challenge that leads
// there. It serves no image.

import { generateKeyPair, randomUUID, sign, type KeyObject } from "node:crypto";
import { promisify } from "node:util";

import { errorHeaders, problem, type Answer, type Ask } from "./stand-in-answer.ts";
import { mayOn, type Caller } from "./stand-in-callers.ts";
import { subjectOf, type Projects } from "./stand-in-projects.ts";

export interface TokenApi {
  /** Undefined when the path is not one of its own. */
  answer(ask: Ask, caller: Caller): Promise<Answer | undefined>;
}

const service = "harbor-registry";
const lifetimeSeconds = 1_800;

export interface TokenApiNeeds {
  readonly projects: Projects;
  readonly url: () => string;
  readonly now: () => number;
}

export function createTokenApi({ projects, url, now }: TokenApiNeeds): TokenApi {
  // Made when first needed: it takes a good part of a second.
  let key: Promise<KeyObject> | undefined;

  async function token({ method, query }: Ask, caller: Caller): Promise<Answer> {
    if (method !== "GET") {
      return {
        status: 405,
        headers: { "content-type": "text/plain; charset=utf-8" },
        body: "Method Not Allowed\n",
      };
    }
    const scopes = query.getAll("scope").flatMap((scope) => scope.split(" "));
    if (caller.kind === "anonymous" && scopes.length === 0) return { status: 401 };
    const issuedAt = Math.floor(now() / 1_000);
    const claims = {
      iss: "harbor-token-issuer",
      ...(caller.kind === "anonymous" ? {} : { sub: caller.name }),
      aud: service,
      exp: issuedAt + lifetimeSeconds,
      nbf: issuedAt,
      iat: issuedAt,
      jti: randomUUID(),
      access: scopes.map((scope) => accessTo(scope, caller)),
    };
    key ??= promisify(generateKeyPair)("rsa", { modulusLength: 2048 }).then(({ privateKey }) => privateKey);
    return {
      status: 200,
      headers: errorHeaders,
      body: {
        token: signed(claims, await key),
        access_token: "",
        expires_in: lifetimeSeconds,
        issued_at: new Date(issuedAt * 1_000).toISOString().replace(".000", ""),
      },
    };
  }

  /** Whatever was asked for, all that the caller may do: a scope never fails, it only comes back empty. */
  function accessTo(scope: string, caller: Caller) {
    const [, type = scope, name = ""] = /^([^:]*):(.*):[^:]*$/.exec(scope) ?? [];
    const project = projects.find(name.split("/", 1)[0] ?? "");
    const actions = ["pull", "push", "delete"].filter(
      (action) => project !== undefined && mayOn(caller, subjectOf(project), "repository", action),
    );
    return { type, name, actions };
  }

  function base({ headers }: Ask, caller: Caller): Answer {
    if (caller.kind !== "anonymous") return onDockerSide({ status: 200, headers: errorHeaders, body: {} });
    const challenge = headers.authorization === undefined ? bearer() : 'Basic realm="harbor"';
    return onDockerSide(problem(401, "unauthorized: unauthorized"), { "www-authenticate": challenge });
  }

  function bearer(scope?: string): string {
    const ofScope = scope === undefined ? "" : `,scope="${scope}"`;
    return `Bearer realm="${url()}/service/token",service="${service}"${ofScope}`;
  }

  return {
    async answer(ask, caller) {
      if (ask.path === "/service/token") return token(ask, caller);
      if (ask.path === "/v2/") return base(ask, caller);
      const [, repository] = /^\/v2\/(.+)\/manifests\/[^/]+$/.exec(ask.path) ?? [];
      if (repository === undefined || ask.headers.authorization !== undefined) return undefined;
      // Public or not: who wants to pull has to bring a token, be it an anonymous one.
      const text = "authorize header needed to send HEAD to repository";
      const challenge = bearer(`repository:${repository}:pull`);
      return onDockerSide(problem(401, `${text}: ${text}`), { "www-authenticate": challenge });
    },
  };
}

function onDockerSide(answer: Answer, more: Readonly<Record<string, string>> = {}): Answer {
  const headers = { ...answer.headers, "docker-distribution-api-version": "registry/2.0", ...more };
  return { ...answer, headers };
}

function signed(claims: object, key: KeyObject): string {
  const parts = [{ alg: "RS256", typ: "JWT" }, claims].map((part) =>
    Buffer.from(JSON.stringify(part)).toString("base64url"),
  );
  const text = parts.join(".");
  return `${text}.${sign("sha256", Buffer.from(text), key).toString("base64url")}`;
}
