// What the people's API says when it has no answer: problem details (RFC 9457). A problem is thrown where it is found
// and written in one place.

import type { Problem } from "./people-shapes.ts";

export class ProblemError extends Error {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  /** `detail` is for whoever asked: it never tells what exists and is not for them. */
  constructor(
    status: number,
    detail: string,
    options: ErrorOptions & { readonly headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(detail, options);
    this.status = status;
    this.headers = options.headers ?? {};
  }
}

const titles: Readonly<Record<number, string>> = {
  400: "The question is not well-formed",
  401: "Not signed in",
  404: "Not found",
  405: "No such method here",
  413: "Too large",
  422: "The text cannot be read",
  429: "Too many questions",
  500: "Failed",
  502: "The registry could not be asked",
  503: "Not now",
};

/** There is no page for each kind of problem, and RFC 9457 has `about:blank` for those that the status tells. */
export function problemOf({ status, message }: ProblemError): Problem {
  return { type: "about:blank", title: titles[status] ?? "Failed", status, detail: message };
}

/** What is not there, and what is not for the caller, in the same words. */
export function notFound(what: string): ProblemError {
  return new ProblemError(404, `There is no such ${what}, or it is not open to you.`);
}

/** What the API server is asked for: where it does not answer, nobody is told anything. */
export async function asking<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (err) {
    // The caller has gone, or the time is over.
    if (err instanceof DOMException) throw err;
    if (err instanceof Error && err.name === "TooManyQuestionsError") {
      const detail = "More is asked than Berth may ask the cluster; try again in a few seconds.";
      throw new ProblemError(429, detail, { cause: err, headers: { "retry-after": "3" } });
    }
    throw new ProblemError(503, "Berth could not ask the cluster who you are; try again in a moment.", {
      cause: err,
      headers: { "retry-after": "2" },
    });
  }
}
