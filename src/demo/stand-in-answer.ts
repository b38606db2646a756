// A request to the stand-in Harbor and its answer, as its parts pass them on, and Harbor's envelope for errors.

import type { IncomingHttpHeaders } from "node:http";

import { isObject, type JsonObject } from "../domain/json.ts";

export interface Ask {
  readonly method: string;
  /** As it came, not decoded: Harbor's router sees the difference between `a/b` and `a%2Fb`. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  /** The parsed JSON; undefined when there is none. */
  readonly body: unknown;
}

/** What is remembered of a request. */
export interface ReceivedRequest {
  readonly method: string;
  /** With its query, as it came. */
  readonly path: string;
  /** The name in the login that came along, right or wrong; null without one. */
  readonly login: string | null;
  readonly cookie: string | null;
  readonly isResourceName: boolean;
  /** How many requests were being answered, this one included. */
  readonly atATime: number;
}

export interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text goes out as it is, all else as JSON. */
  readonly body?: unknown;
}

export const errorHeaders = { "content-type": "application/json; charset=utf-8" };

export function ok(body: unknown, headers: Readonly<Record<string, string>> = {}): Answer {
  return { status: 200, headers: { "content-type": "application/json", ...headers }, body };
}

const codes: Readonly<Record<number, string>> = {
  400: "BAD_REQUEST",
  401: "UNAUTHORIZED",
  403: "FORBIDDEN",
  404: "NOT_FOUND",
  409: "CONFLICT",
  412: "PRECONDITION",
  422: "UNPROCESSABLE_ENTITY",
};

export function problem(status: number, message: string, code = codes[status] ?? "UNKNOWN"): Answer {
  return { status, headers: errorHeaders, body: { errors: [{ code, message }] } };
}

/** The body as an object; an empty one when it is none. */
export function fieldsOf({ body }: Ask): JsonObject {
  return isObject(body) ? body : {};
}

/** One level of percent-encoding less; what is none stays as it is. */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
