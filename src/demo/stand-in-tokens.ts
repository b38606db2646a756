// The Docker side of the stand-in Harbor: its token service, the challenge that leads there, and the lists of names.
// It serves no image itself; a registry that trusts `certificatePem` takes its tokens, as the one behind a Harbor does.

import { createSign, generateKeyPair, randomBytes, randomUUID } from "node:crypto";
import { promisify } from "node:util";
import forge from "node-forge";

import { decoded, errorHeaders, problem, type Answer, type Ask } from "./stand-in-answer.ts";
import { mayOn, mayOnSystem, type Caller } from "./stand-in-callers.ts";
import { subjectOf, type Projects } from "./stand-in-projects.ts";
import type { Repositories } from "./stand-in-repositories.ts";

export interface TokenApi {
  /** Of the key that signs the tokens; itself the root that a registry has to trust. */
  certificatePem(): Promise<string>;
  /** Undefined when the path is not one of its own. */
  answer(ask: Ask, caller: Caller): Promise<Answer | undefined>;
}

const service = "harbor-registry";
const issuer = "harbor-token-issuer";
const lifetimeSeconds = 1_800;

export interface TokenApiNeeds {
  readonly projects: Projects;
  readonly repositories: Repositories;
  readonly url: () => string;
  readonly now: () => number;
}

export function createTokenApi({ projects, repositories, url, now }: TokenApiNeeds): TokenApi {
  // Made when first needed: it takes a good part of a second.
  let made: Promise<Signer> | undefined;
  const signer = () => (made ??= createSigner(now()));

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
      iss: issuer,
      ...(caller.kind === "anonymous" ? {} : { sub: caller.name }),
      aud: service,
      exp: issuedAt + lifetimeSeconds,
      nbf: issuedAt,
      iat: issuedAt,
      jti: randomUUID(),
      access: scopes.map((scope) => accessTo(scope, caller)),
    };
    return {
      status: 200,
      headers: errorHeaders,
      body: {
        token: signed(claims, await signer()),
        access_token: "",
        expires_in: lifetimeSeconds,
        issued_at: new Date(issuedAt * 1_000).toISOString().replace(".000", ""),
      },
    };
  }

  /** Whatever was asked for, all that the caller may do: a scope never fails, it only comes back empty. */
  function accessTo(scope: string, caller: Caller) {
    const [, type = scope, name = ""] = /^([^:]*):(.*):[^:]*$/.exec(scope) ?? [];
    if (type === "registry") {
      return {
        type,
        name,
        actions: name === "catalog" && mayOnSystem(caller, "catalog", "read") ? ["*"] : [],
      };
    }
    return { type, name, actions: ["pull", "push", "delete"].filter((action) => may(caller, name, action)) };
  }

  function may(caller: Caller, repository: string, action: string): boolean {
    const project = projects.find(repository.split("/", 1)[0] ?? "");
    return project !== undefined && mayOn(caller, subjectOf(project), "repository", action);
  }

  function base({ headers }: Ask, caller: Caller): Answer {
    if (caller.kind !== "anonymous") return onDockerSide({ status: 200, headers: errorHeaders, body: {} });
    return unauthorized("unauthorized", headers.authorization === undefined ? bearer() : basic);
  }

  function bearer(scope?: string): string {
    const ofScope = scope === undefined ? "" : `,scope="${scope}"`;
    return `Bearer realm="${url()}/service/token",service="${service}"${ofScope}`;
  }

  function catalog({ query }: Ask, caller: Caller): Answer {
    if (!mayOnSystem(caller, "catalog", "read")) return unauthorized("unauthorized to list catalog", basic);
    const names = repositories.list().map(({ name }) => name);
    const wanted = Number(query.get("n") ?? names.length);
    if (!Number.isInteger(wanted) || wanted < 0) return problem(400, "the N must be a positive int type");
    const last = query.get("last") ?? "";
    const rest = names.sort().filter((name) => name > last);
    const shown = rest.slice(0, wanted);
    const end = shown.at(-1);
    const more = end !== undefined && shown.length < rest.length;
    const link = more
      ? { link: `</v2/_catalog?last=${encodeURIComponent(end)}&n=${wanted}>; rel="next"` }
      : {};
    return { status: 200, headers: { ...errorHeaders, ...link }, body: { repositories: shown } };
  }

  /** Public or not: who wants to pull has to bring a token, be it an anonymous one, or a login that may. */
  function inRepository({ headers }: Ask, caller: Caller, repository: string, isTags: boolean) {
    if (headers.authorization === undefined) {
      const challenge = bearer(`repository:${repository}:pull`);
      return unauthorized("authorize header needed to send HEAD to repository", challenge);
    }
    if (!may(caller, repository, "pull")) {
      return unauthorized(`unauthorized to access repository: ${repository}, action: pull`, basic);
    }
    const found = repositories.find(repository);
    if (!isTags || found === undefined) return undefined;
    const tags = found.artifacts.flatMap((artifact) => artifact.tags.map(({ name }) => name));
    return { status: 200, headers: errorHeaders, body: { name: repository, tags: tags.sort() } };
  }

  return {
    certificatePem: async () => forge.pki.certificateToPem((await signer()).certificate),
    async answer(ask, caller) {
      if (ask.path === "/service/token") return token(ask, caller);
      if (ask.path === "/v2/") return base(ask, caller);
      if (ask.path === "/v2/_catalog") return catalog(ask, caller);
      const [, repository, rest] = /^\/v2\/(.+)\/(manifests\/[^/]+|tags\/list)$/.exec(ask.path) ?? [];
      if (repository === undefined) return undefined;
      return inRepository(ask, caller, decoded(repository), rest === "tags/list");
    },
  };
}

const basic = 'Basic realm="harbor"';

function unauthorized(text: string, challenge: string): Answer {
  return onDockerSide(problem(401, `${text}: ${text}`), { "www-authenticate": challenge });
}

function onDockerSide(answer: Answer, more: Readonly<Record<string, string>> = {}): Answer {
  const headers = { ...answer.headers, "docker-distribution-api-version": "registry/2.0", ...more };
  return { ...answer, headers };
}

interface Signer {
  /** PEM. */
  readonly key: string;
  readonly certificate: forge.pki.Certificate;
}

const dayMs = 24 * 60 * 60 * 1_000;

async function createSigner(nowMs: number): Promise<Signer> {
  const keys = await promisify(generateKeyPair)("rsa", {
    modulusLength: 2_048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs1", format: "pem" },
  });
  const certificate = forge.pki.createCertificate();
  certificate.publicKey = forge.pki.publicKeyFromPem(keys.publicKey);
  // Positive, and without a zero in front.
  certificate.serialNumber = `4${randomBytes(16).toString("hex").slice(1)}`;
  // A stand-in is not up for longer than a year, and a registry's clock is less than a day behind.
  certificate.validity.notBefore = new Date(nowMs - dayMs);
  certificate.validity.notAfter = new Date(nowMs + 365 * dayMs);
  const name = [{ name: "commonName", value: issuer }];
  certificate.setSubject(name);
  certificate.setIssuer(name);
  certificate.sign(forge.pki.privateKeyFromPem(keys.privateKey), forge.md.sha256.create());
  return { key: keys.privateKey, certificate };
}

/** The certificate goes along (`x5c`), for a registry to check against the roots it was given. */
function signed(claims: object, { key, certificate }: Signer): string {
  const der = forge.asn1.toDer(forge.pki.certificateToAsn1(certificate)).getBytes();
  const header = { alg: "RS256", typ: "JWT", x5c: [forge.util.encode64(der)] };
  const text = [header, claims]
    .map((part) => Buffer.from(JSON.stringify(part)).toString("base64url"))
    .join(".");
  return `${text}.${createSign("sha256").update(text).sign(key).toString("base64url")}`;
}
