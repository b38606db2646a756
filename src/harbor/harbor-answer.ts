// What came back from a Harbor: an answer of its own making, or one of the many things that servers in trouble and
// proxies in front of it send instead. Whether an answer is the one hoped for is for whoever asked.

import { isObject } from "../domain/json.ts";
import type { IncomingHttpHeaders } from "node:http";

/** With a status from 200 to 299 or from 400 to 499, but never 401. */
export interface HarborAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The parsed JSON; undefined when there is no body. */
  readonly body: unknown;
  /** The error to throw when this is not what was asked for. */
  readonly failure: (kind: HarborFailure, saw: string) => HarborError;
}

export type HarborFailure =
  /** Harbor takes us for an anonymous caller, or there is no login to send. */
  | "login-refused"
  /** No connection, a broken one, or a certificate that is not trusted. */
  | "unreachable"
  | "timeout"
  | "server-error"
  /** Harbor refused this very request. */
  | "client-error"
  /** What came is not what Harbor's API answers: a page, a redirect, half a body. */
  | "malformed";

export class HarborError extends Error {
  override readonly name = "HarborError";
  readonly kind: HarborFailure;

  constructor(kind: HarborFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/** What one try ran into; `mayPass` when the same request may well succeed a moment later. */
export class TryFailed extends Error {
  readonly kind: HarborFailure;
  readonly mayPass: boolean;

  constructor(kind: HarborFailure, saw: string, mayPass = false) {
    super(saw);
    this.kind = kind;
    this.mayPass = mayPass;
  }
}

/** Puts what was seen into words: what for, of which Harbor, at which try. */
export type Story = (saw: string) => string;

export interface Received {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export function readAnswer({ status, headers, text }: Received, story: Story): HarborAnswer {
  const request = headers["x-request-id"];
  const id = typeof request === "string" ? ` (request ${inOneLine(request, 64)})` : "";
  if (status >= 500) throw new TryFailed("server-error", `${status}${id}`, true);
  // Harbor answers 401 to anonymous callers only: to somebody it knows, it says 403 or 404.
  if (status === 401) throw new TryFailed("login-refused", `401, it does not accept the login${id}`);
  if (status < 200 || (status >= 300 && status < 400)) {
    throw new TryFailed(
      "malformed",
      `${status}, a redirect to ${placeOf(headers.location)}, is not followed${id}`,
    );
  }
  const contentType = mediaTypeOf(headers);
  if (text !== "" && contentType !== "application/json") {
    const kind = status < 300 ? "malformed" : "client-error";
    throw new TryFailed(kind, `${status} with ${contentType} instead of JSON: is this a Harbor?${id}`);
  }
  return {
    status,
    headers,
    body: text === "" ? undefined : parseJson(text, id),
    failure: (kind, saw) => new HarborError(kind, story(`${saw}${id}`)),
  };
}

function mediaTypeOf(headers: IncomingHttpHeaders): string {
  const [mediaType = ""] = (headers["content-type"] ?? "no content type").split(";", 1);
  return inOneLine(mediaType, 64).toLowerCase();
}

/** Where a redirect points, without login and query, which may hold a ticket. */
function placeOf(location: string | undefined): string {
  if (location === undefined) return "nowhere";
  const [beforeQuery = ""] = location.split(/[?#]/, 1);
  return inOneLine(beforeQuery.replace(/\/\/[^/]*@/, "//"), 200);
}

function parseJson(text: string, id: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the body, which may hold a robot's secret.
    throw new TryFailed("malformed", `the JSON of ${text.length} characters is broken${id}`);
  }
}

/** Status, and Harbor's own words where it has some: `403 FORBIDDEN: forbidden`. */
export function describeAnswer({ status, body }: Pick<HarborAnswer, "status" | "body">): string {
  const error = firstErrorOf(body);
  return error === undefined
    ? String(status)
    : `${status} ${inOneLine(`${error.code}: ${error.message}`, 200)}`;
}

/** The first entry of Harbor's error envelope `{"errors":[{"code","message"}]}`. */
export function firstErrorOf(body: unknown): { readonly code: string; readonly message: string } | undefined {
  const errors = isObject(body) ? body["errors"] : undefined;
  const first: unknown = Array.isArray(errors) ? errors[0] : undefined;
  if (!isObject(first) || typeof first["code"] !== "string") return undefined;
  return { code: first["code"], message: typeof first["message"] === "string" ? first["message"] : "" };
}

/** What others sent, fit for a log line. */
export function inOneLine(text: string, length: number): string {
  const line = text.replace(/\p{Cc}+/gu, " ").trim();
  return line.length <= length ? line : `${line.slice(0, length)}…`;
}
