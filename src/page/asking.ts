// Asks the API. What it refuses is an AskError with the server's words; what nobody waits for any more is aborted.

import type { Problem } from "../http/people-shapes.ts";

export class AskError extends Error {
  /** 0 where there was no answer at all. */
  readonly status: number;
  readonly retryAfterSeconds: number | null;
  /** Whether the server takes a token. */
  readonly takesToken: boolean;

  constructor(status: number, detail: string, options: ErrorOptions & { response?: Response } = {}) {
    super(detail, options);
    this.status = status;
    const seconds = Number(options.response?.headers.get("retry-after") ?? Number.NaN);
    this.retryAfterSeconds = Number.isFinite(seconds) ? seconds : null;
    this.takesToken = /^bearer\b/i.test(options.response?.headers.get("www-authenticate") ?? "");
  }
}

export interface AskOptions {
  readonly signal?: AbortSignal;
  /** Manifests; sent instead of asked. */
  readonly body?: string;
}

export type Ask = <Answer>(path: string, options?: AskOptions) => Promise<Answer>;

export function createAsk(token: () => string | null, onSignedOut: (why: AskError) => void): Ask {
  return async <Answer>(path: string, { signal, body }: AskOptions = {}): Promise<Answer> => {
    const response = await send(path, token(), signal, body);
    if (response.ok) return (await response.json()) as Answer;
    const failure = new AskError(response.status, await detailOf(response), { response });
    if (failure.status === 401) onSignedOut(failure);
    throw failure;
  };
}

async function send(
  path: string,
  token: string | null,
  signal: AbortSignal | undefined,
  body: string | undefined,
): Promise<Response> {
  try {
    return await fetch(`/api/v1${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: {
        accept: "application/json",
        ...(token === null ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { "content-type": "application/yaml" }),
      },
      ...(body === undefined ? {} : { body }),
      ...(signal === undefined ? {} : { signal }),
    });
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new AskError(0, "", { cause });
  }
}

async function detailOf(response: Response): Promise<string> {
  try {
    return ((await response.json()) as Partial<Problem>).detail ?? "";
  } catch {
    return "";
  }
}

/** A path with its query; what is absent or empty is left out. */
export function pathOf(path: string, query: Readonly<Record<string, string | number | undefined>>): string {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined && value !== "") params.set(name, String(value));
  return params.size === 0 ? path : `${path}?${params.toString()}`;
}

/** A path below a namespace. */
export function below(namespace: string | undefined, rest = ""): string {
  return `/namespaces/${encodeURIComponent(namespace ?? "")}${rest}`;
}
