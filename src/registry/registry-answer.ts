// What came back from a registry: an answer of its own making, or what servers in trouble and proxies send instead.
// Whether an answer is the one hoped for is for whoever asked.

import {
  inOneLine,
  mediaTypeOf,
  placeOf,
  TryFailed,
  type CallFailure,
  type Received,
  type Story,
} from "../http-exchange.ts";
import type { IncomingHttpHeaders } from "node:http";

/** With a status from 200 to 299 or from 400 to 499. */
export interface RegistryAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The parsed JSON; undefined when there is no body, or when a refusal comes with something else. */
  readonly body: unknown;
  /** The error to throw when this is not what was asked for. */
  readonly failure: (kind: CallFailure, saw: string) => RegistryError;
}

export class RegistryError extends Error {
  override readonly name = "RegistryError";
  readonly kind: CallFailure;

  constructor(kind: CallFailure, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

export function readAnswer({ status, headers, text }: Received, story: Story): RegistryAnswer {
  if (status >= 500) throw new TryFailed("server-error", String(status), true);
  if (status < 200 || (status >= 300 && status < 400)) {
    throw new TryFailed(
      "malformed",
      `${status}, a redirect to ${placeOf(headers.location)}, is not followed`,
    );
  }
  const isJson = /^application\/(?:[a-z0-9.-]+\+)?json$/.test(mediaTypeOf(headers));
  // Refusals come as pages and as plain text too: the 404 of a distribution registry, the 401 of a proxy before it.
  if (text !== "" && !isJson && status < 300) {
    const saw = `${status} with ${inOneLine(mediaTypeOf(headers), 64)} instead of JSON: is this a registry?`;
    throw new TryFailed("malformed", saw);
  }
  return {
    status,
    headers,
    body: text === "" || !isJson ? undefined : parseJson(text),
    failure: (kind, saw) => new RegistryError(kind, story(saw)),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the body, which may hold a token.
    throw new TryFailed("malformed", `the JSON of ${text.length} characters is broken`);
  }
}
