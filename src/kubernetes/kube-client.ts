// Requests to one API server: JSON in and out, every one with a time limit and a size limit, and streams of lines
// for watches. Knows no kinds of objects, never repeats a request by itself but where nothing can have been done
// twice, and never shows a credential. An answer with an unwelcome status is a value; no answer is an error.

import { isObject } from "../domain/json.ts";
import http, { type IncomingHttpHeaders, type IncomingMessage } from "node:http";
import https from "node:https";
import type { KubeAccess, KubeAccessSource } from "./kube-access.ts";
import { isKubeObject, metadataOnly, textRecord, type KubeMetadata } from "./kube-object.ts";

export type KubeMethod = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface KubeAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Parsed JSON; `undefined` for an empty body, and for an error answer that is not JSON. */
  readonly body: unknown;
}

export interface KubeRequestOptions {
  readonly body?: unknown;
  /** Of the body: `application/json`, or the kind of patch that it is. */
  readonly contentType?: string;
  readonly accept?: string;
  readonly signal?: AbortSignal;
  /** For all of it, reading the body included. */
  readonly timeoutMs?: number;
}

export interface KubeStreamOptions {
  readonly accept?: string;
  readonly signal?: AbortSignal;
  /** How long the stream may live, whatever it carries. */
  readonly timeoutMs: number;
}

export interface KubeClient {
  /** `path` begins with `/api` or `/apis` and may have a query. */
  request(method: KubeMethod, path: string, options?: KubeRequestOptions): Promise<KubeAnswer>;
  /**
   * The lines of a GET's answer, as they come; ends when the server ends it, throws when the connection breaks, the
   * time is over or the status is not 200 ({@link KubeAnswerError}). A last line without its end is no line.
   */
  stream(path: string, options: KubeStreamOptions): AsyncIterable<string>;
  /** Ends idle connections. Requests under way are their callers' to abort. */
  close(): void;
}

/** The API server answered, but not what was needed. */
export class KubeAnswerError extends Error {
  override readonly name = "KubeAnswerError";
  readonly status: number;
  /** From `Retry-After`, in milliseconds. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, answer: KubeAnswer) {
    super(message);
    this.status = answer.status;
    this.retryAfterMs = retryAfterMs(answer.headers);
  }
}

/** The answer, or a line of the stream, is larger than we are ready to hold. */
export class KubeAnswerTooLargeError extends Error {
  override readonly name = "KubeAnswerTooLargeError";
}

/** Most reads take milliseconds; a client of an overloaded API server should still hear its 429 or 503. */
const defaultTimeoutMs = 10_000;

/** From the request to the head of a stream's answer; the API server sends that at once, before any event. */
const streamOpenTimeoutMs = 10_000;

/**
 * One object fits in 1.5 MiB (etcd's limit for a request), and its JSON may be six times as long, because the API
 * server writes `<`, `>`, `&` and control characters as `\u003c`: 9 MiB, and something for the metadata around it.
 */
export const maxLineBytes = 10 * 2 ** 20;

/** A page with a single object always fits (see above); listings that meet the limit ask for fewer a page. */
export const maxBodyBytes = 16 * 2 ** 20;

/** A refusal's text is a few hundred bytes. */
const maxErrorBodyBytes = 64 * 2 ** 10;

const agentOptions = {
  keepAlive: true,
  // Below the 90 s after which the API server closes idle connections, so that we close first.
  timeout: 60_000,
  // A dozen watches, and a burst of access reviews beside them; more wait for their turn.
  maxSockets: 64,
  maxFreeSockets: 8,
} satisfies http.AgentOptions;

/** A peer that is gone without a word is noticed within about 40 s: ten probes a second apart follow the first. */
const firstTcpProbeMs = 30_000;

/** Never longer than this, whatever a server asks for. */
const maxRetryAfterMs = 60_000;

export function createKubeClient(
  source: KubeAccessSource,
  { maxSockets = agentOptions.maxSockets }: { readonly maxSockets?: number } = {},
): KubeClient {
  const options = { ...agentOptions, maxSockets };
  const agents = { "http:": new http.Agent(options), "https:": new https.Agent(options) };
  let server = "the API server";

  async function request(
    method: KubeMethod,
    path: string,
    options: KubeRequestOptions = {},
  ): Promise<KubeAnswer> {
    const what = `${method} ${withoutQuery(path)}`;
    const deadline = startDeadline(options.timeoutMs ?? defaultTimeoutMs, options.signal);
    try {
      const response = await open({ ...options, method, path }, deadline);
      return await answerOf(what, response, maxBodyBytes);
    } catch (err) {
      throw withStory(`${what} at ${server}`, err, deadline.signal);
    } finally {
      deadline.end();
    }
  }

  async function* stream(path: string, options: KubeStreamOptions): AsyncGenerator<string> {
    const what = `GET ${withoutQuery(path)} as a stream`;
    const deadline = startDeadline(Math.min(streamOpenTimeoutMs, options.timeoutMs), options.signal);
    try {
      const response = await open({ ...options, method: "GET", path }, deadline);
      if (response.statusCode !== 200) {
        throw unexpectedAnswer(what, await answerOf(what, response, maxErrorBodyBytes));
      }
      refuseOtherThanJson(response);
      deadline.restart(options.timeoutMs);
      yield* linesOf(what, response);
    } catch (err) {
      throw withStory(`${what} at ${server}`, err, deadline.signal);
    } finally {
      deadline.end();
    }
  }

  /** The head of the answer. One that says that our credentials are not good is asked for once more, with new ones. */
  async function open(call: Call, deadline: Deadline): Promise<IncomingMessage> {
    let response = await send(await deadline.orOver(source.current()), call, deadline.signal);
    if (response.statusCode === 401) {
      response.destroy();
      response = await send(await deadline.orOver(source.renewed()), call, deadline.signal);
    }
    return response;
  }

  /** A read that meets a connection which the server was just closing is sent again, on a connection of its own. */
  async function send(access: KubeAccess, call: Call, signal: AbortSignal): Promise<IncomingMessage> {
    server = access.server;
    const agent = access.proxyAgent ?? agents[access.server.startsWith("http:") ? "http:" : "https:"];
    try {
      return await sendOnce(access, call, agent, signal);
    } catch (err) {
      const repeatable = call.method === "GET" && access.proxyAgent === undefined;
      if (repeatable && err instanceof ReusedConnectionError) return sendOnce(access, call, false, signal);
      throw err;
    }
  }

  return {
    request,
    stream,
    close() {
      agents["http:"].destroy();
      agents["https:"].destroy();
    },
  };
}

/** The error for an answer whose status the caller cannot use, with the API server's own words. */
export function unexpectedAnswer(what: string, answer: KubeAnswer): KubeAnswerError {
  return new KubeAnswerError(`${what}: ${answer.status} ${messageOf(answer.body)}`.trimEnd(), answer);
}

/** The labels of a namespace as they are at this moment; null when there is none of that name. */
export async function readNamespaceLabels(
  client: KubeClient,
  name: string,
  signal?: AbortSignal,
): Promise<Readonly<Record<string, string>> | null> {
  const metadata = await readNamespace(client, name, signal);
  return metadata && textRecord(metadata["labels"]);
}

/** What no other namespace ever has, in any cluster. */
export async function readNamespaceUid(
  client: KubeClient,
  name: string,
  signal?: AbortSignal,
): Promise<string> {
  const uid = (await readNamespace(client, name, signal))?.["uid"];
  if (typeof uid !== "string" || uid === "")
    throw new Error(`read namespace ${name}: expected one with a uid`);
  return uid;
}

async function readNamespace(
  client: KubeClient,
  name: string,
  signal: AbortSignal | undefined,
): Promise<KubeMetadata | null> {
  const answer = await client.request("GET", `/api/v1/namespaces/${encodeURIComponent(name)}`, {
    accept: metadataOnly,
    ...(signal === undefined ? {} : { signal }),
  });
  if (answer.status === 404) return null;
  if (answer.status !== 200 || !isKubeObject(answer.body)) {
    throw unexpectedAnswer(`read namespace ${name}`, answer);
  }
  return answer.body.metadata;
}

interface Call {
  readonly method: KubeMethod;
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly accept?: string;
}

/** A kept connection broke before any answer: the server closed it while we wrote. */
class ReusedConnectionError extends Error {}

function sendOnce(
  access: KubeAccess,
  call: Call,
  agent: http.Agent | false,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const url = new URL(access.server + call.path);
  const body = call.body === undefined ? undefined : JSON.stringify(call.body);
  const headers: http.OutgoingHttpHeaders = {
    ...access.headers,
    accept: call.accept ?? "application/json",
    "user-agent": "berth",
  };
  if (body !== undefined) {
    headers["content-type"] = call.contentType ?? "application/json";
    headers["content-length"] = Buffer.byteLength(body);
  }
  const { request: begin } = url.protocol === "http:" ? http : https;
  return new Promise((resolve, reject) => {
    const request = begin(url, { ...access.tls, method: call.method, headers, agent, signal });
    request.on("socket", (socket) => socket.setKeepAlive(true, firstTcpProbeMs));
    request.on("response", resolve);
    request.on("error", (err: NodeJS.ErrnoException) => {
      const reset = request.reusedSocket && err.code === "ECONNRESET";
      reject(reset ? new ReusedConnectionError(err.message, { cause: err }) : err);
    });
    request.end(body);
  });
}

async function answerOf(what: string, response: IncomingMessage, maxBytes: number): Promise<KubeAnswer> {
  const status = response.statusCode ?? 0;
  const { headers } = response;
  if (status >= 300 && status < 400) {
    response.destroy();
    throw new Error(`${status}, a redirect; credentials do not follow those`);
  }
  if (status < 300 && status !== 204) refuseOtherThanJson(response);
  const text = (await bytesOf(what, response, maxBytes)).toString("utf8");
  if (text === "") return { status, headers, body: undefined };
  try {
    return { status, headers, body: JSON.parse(text) as unknown };
  } catch {
    // Without the parser's message, which quotes the text: that may be a Secret.
    if (status >= 400) return { status, headers, body: undefined };
    throw new Error(`expected JSON, got ${text.length} characters that are not`);
  }
}

/** A login page or a balancer's own page is not the API server, whatever its status says. */
function refuseOtherThanJson(response: IncomingMessage): void {
  const type = response.headers["content-type"] ?? "no content type";
  if (type.includes("json")) return;
  response.destroy();
  throw new Error(`expected JSON, got ${type}`);
}

async function bytesOf(what: string, response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > maxBytes) throw new KubeAnswerTooLargeError(`${what}: the answer is over ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, length);
}

async function* linesOf(what: string, response: IncomingMessage): AsyncGenerator<string> {
  let begun: Buffer[] = [];
  let length = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
      begun.push(chunk.subarray(from, end));
      yield Buffer.concat(begun).toString("utf8");
      begun = [];
      length = 0;
      from = end + 1;
    }
    length += chunk.length - from;
    if (length > maxLineBytes)
      throw new KubeAnswerTooLargeError(`${what}: a line is over ${maxLineBytes} bytes`);
    if (from < chunk.length) begun.push(chunk.subarray(from));
  }
}

const newline = 0x0a;

interface Deadline {
  /** Aborts when the time is over, or when the caller gives up. */
  readonly signal: AbortSignal;
  /** The promise, unless the deadline is over before. */
  orOver<T>(promise: Promise<T>): Promise<T>;
  /** From now, that long. */
  restart(timeoutMs: number): void;
  end(): void;
}

function startDeadline(timeoutMs: number, outer: AbortSignal | undefined): Deadline {
  const aborter = new AbortController();
  const { signal } = aborter;
  const giveUp = () => aborter.abort(new Error("given up by the caller"));
  let timer: NodeJS.Timeout | undefined;

  function restart(ms: number): void {
    clearTimeout(timer);
    timer = setTimeout(() => aborter.abort(new Error(`not finished after ${ms} ms`)), ms);
  }

  restart(timeoutMs);
  outer?.addEventListener("abort", giveUp, { once: true });
  if (outer?.aborted === true) giveUp();
  return {
    signal,
    restart,
    async orOver(promise) {
      const over = Promise.withResolvers<never>();
      const onAbort = () => over.reject(signal.reason);
      signal.addEventListener("abort", onAbort, { once: true });
      if (signal.aborted) onAbort();
      try {
        return await Promise.race([promise, over.promise]);
      } finally {
        signal.removeEventListener("abort", onAbort);
      }
    },
    end() {
      clearTimeout(timer);
      outer?.removeEventListener("abort", giveUp);
    },
  };
}

function withStory(what: string, err: unknown, signal: AbortSignal): Error {
  if (err instanceof KubeAnswerError || err instanceof KubeAnswerTooLargeError) return err;
  const cause: unknown = signal.aborted ? signal.reason : err;
  return new Error(`${what}: ${wordsOf(cause)}`, { cause });
}

/** Some errors of the network have a code and no message. */
function wordsOf(err: unknown): string {
  if (!(err instanceof Error)) return String(err);
  return err.message !== "" ? err.message : ((err as NodeJS.ErrnoException).code ?? err.name);
}

/** Queries hold continue tokens of a hundred characters, which tell a reader nothing. */
function withoutQuery(path: string): string {
  return path.split("?", 1)[0] ?? path;
}

function messageOf(body: unknown): string {
  if (!isObject(body) || typeof body["message"] !== "string") return "";
  return body["message"].slice(0, 500);
}

function retryAfterMs(headers: IncomingHttpHeaders): number | undefined {
  const seconds = Number(headers["retry-after"] ?? Number.NaN);
  return seconds >= 0 ? Math.min(seconds * 1000, maxRetryAfterMs) : undefined;
}
