// From a request at the people's port to its route: who asks, may they, is the question well-formed; then the answer
// as JSON. Every route passes here, so that none can forget to ask.

import type { Request, Response } from "express";
import express from "express";
import { LRUCache } from "lru-cache";
import type { z } from "zod";
import { createTokenBucket, type Rate, type TokenBucket } from "../token-bucket.ts";
import type { RouteSpec } from "./openapi.ts";
import type { Caller, PeopleAccess } from "./people-access.ts";
import { asking, notFound, ProblemError } from "./problem-details.ts";

/** One question, to one who may ask it. */
export interface Asked<Query = Readonly<Record<string, unknown>>> {
  readonly caller: Caller;
  /** Of the path; empty for routes without. */
  readonly namespace: string;
  readonly query: Query;
  /** The body's text; empty for routes without. */
  readonly body: string;
  /** Aborted when the caller has gone away, and when it takes too long. */
  readonly signal: AbortSignal;
}

export interface Route extends RouteSpec {
  readonly handle: (asked: Asked) => unknown;
}

/** A route whose handler is held to the schemas of its question and its answer. */
export function route<Query extends z.ZodObject, Answer extends z.ZodType>(
  spec: Omit<RouteSpec, "query" | "answer" | "takesManifests"> & {
    readonly query: Query;
    readonly answer: Answer;
    readonly takesManifests?: boolean;
  },
  handle: (asked: Asked<z.output<Query>>) => z.input<Answer> | Promise<z.input<Answer>>,
): Route {
  return {
    takesManifests: false,
    ...spec,
    // The query was parsed by this very schema.
    handle: (asked) => handle(asked as Asked<z.output<Query>>),
  };
}

export interface PeopleApiNeeds {
  readonly access: PeopleAccess;
  readonly now: () => number;
  /** Told of every answer, for metrics. */
  readonly observe: (route: string, status: number, seconds: number) => void;
}

/** A page asks for some ten things at once when it is opened, and for one at each letter that is typed. */
const ratePerCaller: Rate = { perSecond: 20, burst: 100 };
/** People at work on one replica at a time; one who is forgotten starts with a full burst. */
const maxCallers = 2_000;
/** A registry may take its time; a person does not wait longer. */
const timeoutMs = 30_000;
/** A megabyte: Kubernetes takes objects up to 1.5 MiB, and what is pasted is a few kB. */
const maxBodyBytes = 1024 * 1024;

export function createPeopleApi(needs: PeopleApiNeeds, routes: readonly Route[]): express.Router {
  const { now, observe } = needs;
  const buckets = new LRUCache<string, TokenBucket>({ max: maxCallers });
  const router = express.Router({ caseSensitive: true, strict: true });
  function limit(caller: Caller, request: Request): void {
    const key = caller.user?.username ?? request.socket.remoteAddress ?? "";
    const bucket = buckets.get(key) ?? createTokenBucket(ratePerCaller, now);
    buckets.set(key, bucket);
    if (!bucket.holds()) {
      throw new ProblemError(429, "You ask more than Berth answers; try again in a second.", {
        headers: { "retry-after": "1" },
      });
    }
    bucket.take();
  }

  async function answer(route: Route, request: Request, response: Response): Promise<void> {
    const signal = AbortSignal.any([goneAway(response), AbortSignal.timeout(timeoutMs)]);
    const caller = await authorized(needs.access, route, request, signal, (known) => limit(known, request));
    const asked: Asked = {
      caller,
      namespace: namespaceOf(request),
      query: queryOf(route, request),
      // After the rights: nobody else sends a megabyte.
      body: route.takesManifests ? await readText(request) : "",
      signal,
    };
    const value = await route.handle(asked);
    response.set({ "cache-control": "private, no-cache", vary: "authorization" });
    response.json(value);
  }

  for (const route of routes) {
    const path = route.path.replaceAll(/\{(\w+)\}/g, ":$1");
    router[route.method](path, (request, response, next) => {
      const startedAt = now();
      response.once("close", () => observe(route.path, response.statusCode, (now() - startedAt) / 1_000));
      answer(route, request, response).catch((err: unknown) => next(told(err)));
    });
    router.all(path, (_request, _response, next) => {
      next(new ProblemError(405, `Only ${route.method.toUpperCase()} is answered here.`));
    });
  }
  return router;
}

/** Nobody, where the route answers anybody. */
async function authorized(
  access: PeopleAccess,
  { asks }: Route,
  request: Request,
  signal: AbortSignal,
  limit: (caller: Caller) => void,
): Promise<Caller> {
  if (asks === "anybody") return { user: null, login: "none" };
  const caller = await asking(access.identify(request, signal));
  if (caller === undefined) {
    if (!access.takesToken(request))
      throw new ProblemError(401, "Sign in at the platform, and come from there.");
    throw new ProblemError(401, "Sign in with a token of this cluster.", {
      headers: { "www-authenticate": 'Bearer realm="berth"' },
    });
  }
  limit(caller);
  if (asks === "platform" && !(await asking(access.seesPlatform(caller, signal)))) throw notFound("page");
  if (asks === "namespace") {
    const namespace = namespaceOf(request);
    if (!isNamespaceName(namespace) || !(await asking(access.mayUse(caller, namespace, signal))))
      throw notFound("namespace");
  }
  return caller;
}

/** All that is sent is text, whatever a client calls it: it is read by the manifests' own reader. */
async function readText(request: Request): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // What is left of a body that is too large is not read, and the answer still goes out.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) {
      const detail = "The text is larger than a megabyte.";
      throw new ProblemError(413, detail, { headers: { connection: "close" } });
    }
    chunks.push(chunk);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(chunks));
  } catch (err) {
    throw new ProblemError(400, "The body is not text in UTF-8.", { cause: err });
  }
}

function namespaceOf(request: Request): string {
  const { namespace } = request.params;
  return typeof namespace === "string" ? namespace : "";
}

export function isNamespaceName(text: string): boolean {
  return /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(text);
}

function queryOf({ query }: Route, request: Request): Readonly<Record<string, unknown>> {
  const parsed = query.safeParse(request.query);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.join(".") ?? "";
  throw new ProblemError(400, `${where === "" ? "query" : where}: ${issue?.message ?? "not valid"}`);
}

/** Aborted when the connection ends before the answer does. */
function goneAway(response: Response): AbortSignal {
  const aborter = new AbortController();
  response.once("close", () => {
    if (!response.writableFinished) aborter.abort();
  });
  return aborter.signal;
}

/** A time-out is no fault of Berth's. */
function told(err: unknown): unknown {
  if (err instanceof DOMException && err.name === "TimeoutError")
    return new ProblemError(503, "It took too long; try again in a moment.", { cause: err });
  return err;
}
