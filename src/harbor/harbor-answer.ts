// What came back from a Harbor: an answer of its own making, or one of the many things that servers in trouble and
// proxies in front of it send instead. Whether an answer is the one hoped for is for whoever asked.

import {
  mediaTypeOf,
  placeOf,
  requestNote,
  TryFailed,
  type CallFailure,
  type Received,
  type Story,
} from "../http-exchange.ts";
import type { IncomingHttpHeaders } from "node:http";

/** With a status from 200 to 299 or from 400 to 499; 401 only where the call takes that for an answer. */
export interface HarborAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The parsed JSON; undefined when there is no body. */
  readonly body: unknown;
  /** The error to throw when this is not what was asked for. */
  readonly failure: (kind: HarborFailure, saw: string) => HarborError;
}

export type HarborFailure = CallFailure;

export class HarborError extends Error {
  override readonly name = "HarborError";
  readonly kind: HarborFailure;

  constructor(kind: HarborFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

export function readAnswer(
  { status, headers, text }: Received,
  { takes401 = false }: { readonly takes401?: boolean },
  story: Story,
): HarborAnswer {
  const id = requestNote(headers["x-request-id"]);
  if (status >= 500) throw new TryFailed("server-error", `${status}${id}`, true);
  // Harbor answers 401 to anonymous callers only: to somebody it knows, it says 403 or 404.
  if (status === 401 && !takes401)
    throw new TryFailed("login-refused", `401, it does not accept the login${id}`);
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

function parseJson(text: string, id: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the body, which may hold a robot's secret.
    throw new TryFailed("malformed", `the JSON of ${text.length} characters is broken${id}`);
  }
}
