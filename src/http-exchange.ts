// One HTTP(S) request and its whole answer, for the clients of registries: bounded in time and size, over TLS that
// is always verified. It follows no redirect (a login would go along), keeps no cookie, and judges no answer.

import { isObject } from "./domain/json.ts";
import * as http from "node:http";
import * as https from "node:https";

/** What a call to a registry can end with instead of an answer of its own; a label of metrics. */
export type CallFailure =
  /** The server takes us for an anonymous caller, or there is no login to send. */
  | "login-refused"
  /** No connection, a broken one, or a certificate that is not trusted. */
  | "unreachable"
  | "timeout"
  | "server-error"
  /** The server refused this very request. */
  | "client-error"
  /** What came is not what such a server's API answers: a page, a redirect, half a body. */
  | "malformed";

/** What one try ran into; `mayPass` when the same request may well succeed a moment later. */
export class TryFailed extends Error {
  readonly kind: CallFailure;
  readonly mayPass: boolean;

  constructor(kind: CallFailure, saw: string, mayPass = false) {
    super(saw);
    this.kind = kind;
    this.mayPass = mayPass;
  }
}

/** Puts what was seen into words: what for, of which server, at which try. */
export type Story = (saw: string) => string;

export interface Exchange {
  readonly target: URL;
  readonly agent: http.Agent;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload?: string | undefined;
  /** From the first byte sent to the last received. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

export interface Received {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly text: string;
}

/**
 * Largest body that is read. A page of 100 Harbor projects is some 60 kB; this leaves 40 kB a project, which is a
 * list of 1,400 excepted CVEs in each. As a list of tags in one piece it is some 100,000 of them.
 */
const maxBodyBytes = 4 * 1024 * 1024;
/** A listing asks for 4 pages at a time; the rest is for look-ups and robots meanwhile. */
const maxConnections = 8;
/** Idle connections live shorter than with the proxies in front (75 s in nginx), longer than the usual beat. */
const idleConnectionMs = 60_000;

/** Connections to one origin; `ca` is the PEM of the only authorities to trust, without it those of the system. */
export function createAgent(url: string, ca: string | undefined): http.Agent {
  const options = { keepAlive: true, maxSockets: maxConnections, timeout: idleConnectionMs };
  if (new URL(url).protocol === "http:") return new http.Agent(options);
  // Said outright, so that no environment variable switches the check off.
  return new https.Agent({ ...options, rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) });
}

export function exchange({ target, timeoutMs, payload, ...options }: Exchange): Promise<Received> {
  return new Promise((resolve, reject) => {
    const request = (target.protocol === "http:" ? http : https).request(target, options);
    function fail(err: Error): void {
      reject(err);
      request.destroy();
    }
    const timer = setTimeout(
      () => fail(new TryFailed("timeout", `no complete answer within ${timeoutMs / 1_000} s`)),
      timeoutMs,
    );
    request.on("error", fail);
    request.on("close", () => clearTimeout(timer));
    request.on("response", (response) => receive(response, resolve, fail));
    request.end(payload);
  });
}

function receive(
  response: http.IncomingMessage,
  done: (received: Received) => void,
  fail: (err: Error) => void,
): void {
  const chunks: Buffer[] = [];
  let bytes = 0;
  response.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= maxBodyBytes) chunks.push(chunk);
    else fail(new TryFailed("malformed", `an answer of more than ${maxBodyBytes / 1024 / 1024} MiB`));
  });
  response.on("error", () => fail(new TryFailed("unreachable", "the answer broke off", true)));
  response.on("end", () => {
    const { statusCode: status = 0, headers } = response;
    done({ status, headers, text: Buffer.concat(chunks).toString("utf8") });
  });
}

/** Connection errors that a second try may get past. A certificate that is not trusted stays so. */
const passingErrors = new Set([
  "ECONNRESET",
  "ECONNREFUSED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "EAI_AGAIN",
]);

export function mayPass(err: unknown): boolean {
  if (err instanceof TryFailed) return err.mayPass;
  return passingErrors.has(codeOf(err));
}

/** What a try ran into, whatever threw. */
export function failureOfTry(err: unknown): { readonly kind: CallFailure; readonly saw: string } {
  if (err instanceof TryFailed) return { kind: err.kind, saw: err.message };
  const saw = err instanceof Error ? inOneLine(withoutHint(err.message), 200) : "no connection";
  return { kind: "unreachable", saw };
}

/** Node's hint is for who starts it, not for who writes a policy. */
function withoutHint(message: string): string {
  return message.replace(/; if the root CA is installed locally.*$/s, "");
}

/** What to do about the errors that a wrong url or a missing CA give, by Node's and OpenSSL's codes. */
const remedies: readonly (readonly [codes: RegExp, remedy: string])[] = [
  [
    /^(DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_)/,
    "its certificate is of no trusted authority: name a Secret with caSecret whose ca.crt is that of its authority, as PEM",
  ],
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, "its certificate is for another name: use one of its names in url"],
  [/^CERT_/, "its certificate is not valid: it has to be renewed"],
  [/^(EPROTO|ERR_SSL_)/, "it does not speak TLS as expected: is url to begin with http://?"],
  [
    /^(ENOTFOUND|EAI_AGAIN)$/,
    "its name is not known here: is it right in url, and known to this cluster's DNS?",
  ],
  [/^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/, "is it up, and is the port right in url?"],
];

/** A failure's story, and what to do about it where that can be told. */
export function withRemedy(err: Error & { readonly kind: CallFailure }): string {
  if (err.kind === "login-refused") {
    return `${err.message}; username and password are those of the Secret that credentialsSecret names`;
  }
  const code = codeOf(err.cause);
  const [, remedy] = remedies.find(([codes]) => codes.test(code)) ?? [];
  return remedy === undefined ? err.message : `${err.message}: ${remedy}`;
}

function codeOf(err: unknown): string {
  return err instanceof Error && "code" in err ? String(err.code) : "";
}

export function mediaTypeOf(headers: http.IncomingHttpHeaders): string {
  const [mediaType = ""] = (headers["content-type"] ?? "no content type").split(";", 1);
  return inOneLine(mediaType, 64).toLowerCase();
}

/** Where a redirect points, without login and query, which may hold a ticket. */
export function placeOf(location: string | undefined): string {
  if (location === undefined) return "nowhere";
  const [beforeQuery = ""] = location.split(/[?#]/, 1);
  return inOneLine(beforeQuery.replace(/\/\/[^/]*@/, "//"), 200);
}

/** The first entry of `{"errors":[{"code","message"}]}`, the envelope that Harbor and the distribution API share. */
export function firstErrorOf(body: unknown): { readonly code: string; readonly message: string } | undefined {
  const errors = isObject(body) ? body["errors"] : undefined;
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
  if (!isObject(first) || typeof first["code"] !== "string") return undefined;
  return { code: first["code"], message: typeof first["message"] === "string" ? first["message"] : "" };
}

/** Status, and the server's own words where it has some: `403 FORBIDDEN: forbidden`. */
export function describeAnswer({
  status,
  body,
}: {
  readonly status: number;
  readonly body: unknown;
}): string {
  const error = firstErrorOf(body);
  return error === undefined
    ? String(status)
    : `${status} ${inOneLine(`${error.code}: ${error.message}`, 200)}`;
}

/** What others sent, fit for a log line. */
export function inOneLine(text: string, length: number): string {
  const line = text.replace(/\p{Cc}+/gu, " ").trim();
  return line.length <= length ? line : `${line.slice(0, length)}…`;
}

/** By this the server's own log knows the request; it stands at the end of a failure's story. */
export function requestNote(id: string | readonly string[] | undefined): string {
  return typeof id === "string" ? ` (request ${inOneLine(id, 64)})` : "";
}

/** A story without what stands in parentheses, which is about this one time: for telling whether it is news. */
export function withoutNotes(story: string): string {
  return story.replace(/ \([^()]*\)/g, "");
}
