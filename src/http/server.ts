// The TLS listener of the webhook: bytes in, bytes out. It knows paths, limits and connections, and nothing of
// reviews. Its certificate can be replaced while it serves, and it drains before it closes.

import { createServer } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Log } from "../log.ts";
import type { Admission, Reply } from "./admission.ts";
import { closeWithin, listen, type ListenAt } from "./listen.ts";
import type { AdmissionPath } from "./workload-question.ts";

export interface Certificate {
  /** PEM: the leaf, then what leads to its CA. */
  readonly certificate: string;
  readonly key: string;
}

export interface WebhookServerNeeds {
  readonly admission: Admission;
  /** Without one no handshake succeeds, until `replaceCertificate` brings it. */
  readonly certificate: Certificate | undefined;
  /** PEM of the CA whose certificates a client must show; undefined lets everybody ask. */
  readonly clientCa?: string;
  readonly log: Log;
  readonly inFlight?: (change: 1 | -1) => void;
  /** Answered with something else than an AdmissionReview: for the API server a failed call. */
  readonly failed?: (status: number) => void;
}

export interface WebhookServer {
  readonly port: number;
  replaceCertificate(certificate: Certificate): void;
  /** Answers on, but asks every client to come back on another connection; resolves when all is closed. */
  drain(forMs: number): Promise<void>;
}

/** An API body is at most 3 MiB, and a review holds the object twice: as controller-runtime, 7 MiB. */
export const maxBodyBytes = 7 * 1024 * 1024;
/** Eight of the largest bodies at once; each costs some ten times its size while it is parsed. */
const maxBytesInFlight = 8 * maxBodyBytes;
/** The API server keeps 25 idle connections a host; this is 80 API servers, or somebody who means harm. */
const maxConnections = 2_000;
/**
 * The API server drops an idle connection after 90 s. Were Berth to drop it first, a request could meet the close,
 * and the API server does not try again: a refusal at random.
 */
const keepAliveTimeoutMs = 120_000;
/**
 * Above the keep-alive: a connection that the API server opened ahead of need, and has not used yet, is timed by
 * this one.
 */
const headersTimeoutMs = 125_000;
/**
 * A body that takes longer, or longer than its own deadline, is not the API server's, which sends one in a breath. It
 * would hold room that others need: eight that stop in the middle would keep everybody out.
 */
const maxBodyMs = 5_000;
/**
 * How often all bodies on their way in are looked through for those whose time is over: each gets up to two beats more
 * than its time. A timer for each costs ten times as much (bench/README.md).
 */
const beatMs = 250;
/** After the drain, for what is under way. */
const lastChanceMs = 5_000;
/** The longest time-out that a webhook can have. */
const maxTimeoutMs = 30_000;
/** Kubernetes' own default, for a request that states none. */
const defaultTimeoutMs = 10_000;

/** For Berth itself, which asks here whether its own port works as the API server needs it. */
export const livePath = "/livez";

export async function startWebhookServer(needs: WebhookServerNeeds, at: ListenAt): Promise<WebhookServer> {
  const { clientCa } = needs;
  const server = createServer({
    ...tlsOptions(needs.certificate, clientCa),
    keepAliveTimeout: keepAliveTimeoutMs,
    headersTimeout: headersTimeoutMs,
    requestTimeout: headersTimeoutMs,
    // A client has no business with more: the API server sends eight headers.
    maxHeaderSize: 16 * 1024,
    ALPNProtocols: ["http/1.1"],
  });
  server.maxConnections = maxConnections;
  const state: ServerState = {
    draining: false,
    bytesInFlight: 0,
    beat: 0,
    arriving: new Set(),
    lastQuery: "",
    lastTimeoutMs: defaultTimeoutMs,
    failed: needs.failed,
  };
  server.on("request", (request, response) => serve(needs, state, request, response));
  // A client that breaks off or speaks no TLS is nothing to stop for.
  server.on("tlsClientError", (err) => needs.log.debug({ err }, "a TLS handshake failed"));
  server.on("clientError", (_err, socket) => socket.destroy());
  const port = await listen(server, at);
  server.on("error", (err) => needs.log.error({ err }, "the webhook's listener failed"));
  const beats = setInterval(() => giveUpLateBodies(state), beatMs).unref();
  return {
    port,
    replaceCertificate: (certificate) => server.setSecureContext(tlsOptions(certificate, clientCa)),
    async drain(forMs) {
      state.draining = true;
      await new Promise((resolve) => setTimeout(resolve, forMs));
      await closeWithin(server, lastChanceMs);
      clearInterval(beats);
    },
  };
}

function tlsOptions(certificate: Certificate | undefined, clientCa: string | undefined) {
  const own = certificate && { cert: certificate.certificate, key: certificate.key };
  const ofClients = clientCa !== undefined && { ca: clientCa, requestCert: true, rejectUnauthorized: true };
  return { ...own, ...ofClients, minVersion: "TLSv1.2" as const };
}

interface ServerState {
  draining: boolean;
  bytesInFlight: number;
  /** Counts up every {@link beatMs}. */
  beat: number;
  readonly arriving: Set<Arrival>;
  /** The API server sends one query for ever, and reading it anew takes as long as reading an image's name. */
  lastQuery: string;
  lastTimeoutMs: number;
  readonly failed: WebhookServerNeeds["failed"];
}

/** A body that has not come to its end. */
interface Arrival {
  /** After this beat it is waited for no longer. */
  readonly lastBeat: number;
  readonly giveUp: () => void;
}

function giveUpLateBodies(state: ServerState): void {
  state.beat += 1;
  for (const arrival of state.arriving) {
    if (state.beat > arrival.lastBeat) arrival.giveUp();
  }
}

function serve(
  needs: WebhookServerNeeds,
  state: ServerState,
  request: IncomingMessage,
  response: ServerResponse,
): void {
  const { url = "/", method } = request;
  if (url === livePath && method === "GET") return send(state, response, { status: 200, body: "ok\n" });
  const question = url.indexOf("?");
  const path = admissionPath(question < 0 ? url : url.slice(0, question));
  if (path === undefined)
    return turnAway(state, request, response, 404, "Berth answers /mutate and /validate here\n");
  if (method !== "POST") return turnAway(state, request, response, 405, "POST an AdmissionReview\n");
  if (Number(request.headers["content-length"] ?? 0) > maxBodyBytes)
    return tooLarge(state, request, response);

  const timeoutMs = question < 0 ? defaultTimeoutMs : rememberedTimeoutOf(state, url.slice(question + 1));
  const chunks: Buffer[] = [];
  let length = 0;
  let refused = false;
  const arrival: Arrival = {
    lastBeat: state.beat + Math.ceil(Math.min(timeoutMs, maxBodyMs) / beatMs),
    giveUp() {
      refused = true;
      release();
      turnAway(state, request, response, 408, "the body did not come in time\n");
    },
  };
  state.arriving.add(arrival);
  const release = (): void => {
    state.arriving.delete(arrival);
    state.bytesInFlight -= length;
    length = 0;
    chunks.length = 0;
  };
  request.on("data", (chunk: Buffer) => {
    if (refused) return;
    length += chunk.length;
    state.bytesInFlight += chunk.length;
    chunks.push(chunk);
    if (length > maxBodyBytes) {
      refused = true;
      release();
      tooLarge(state, request, response);
    } else if (state.bytesInFlight > maxBytesInFlight) {
      refused = true;
      release();
      turnAway(state, request, response, 503, "Berth holds all the bodies it can; try again\n");
    }
  });
  request.on("end", () => {
    if (refused) return;
    state.arriving.delete(arrival);
    const [first] = chunks;
    const body = chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks, length);
    needs.inFlight?.(1);
    const done = (reply: Reply): void => {
      needs.inFlight?.(-1);
      release();
      send(state, response, reply);
    };
    try {
      const reply = needs.admission(path, body, timeoutMs);
      if (reply instanceof Promise) reply.then(done, (err: unknown) => done(failure(needs.log, err)));
      else done(reply);
    } catch (err) {
      done(failure(needs.log, err));
    }
  });
  // Aborted in the middle of a body, which Node calls an error: nobody waits for an answer.
  request.on("error", release);
}

function admissionPath(path: string): AdmissionPath | undefined {
  if (path === "/validate") return "validate";
  return path === "/mutate" ? "mutate" : undefined;
}

function rememberedTimeoutOf(state: ServerState, query: string): number {
  if (query !== state.lastQuery) {
    state.lastTimeoutMs = timeoutOf(query);
    state.lastQuery = query;
  }
  return state.lastTimeoutMs;
}

/** The `timeout` of the query, a Go duration such as `10s` or `1m0s`, in milliseconds. */
export function timeoutOf(query: string): number {
  const text = /(?:^|&)timeout=([0-9a-zµ.]{1,20})(?:&|$)/.exec(query)?.[1];
  if (text === undefined) return defaultTimeoutMs;
  let total = 0;
  for (const [, amount, unit] of text.matchAll(/([0-9.]+)(ms|s|m|h)/g)) {
    total += Number(amount) * (unit === "ms" ? 1 : unit === "s" ? 1_000 : unit === "m" ? 60_000 : 3_600_000);
  }
  return total > 0 ? Math.min(total, maxTimeoutMs) : defaultTimeoutMs;
}

function send(state: ServerState, response: ServerResponse, { status, body }: Reply): void {
  if (status !== 200) state.failed?.(status);
  const headers: Record<string, string | number> = {
    "content-type": status === 200 ? "application/json" : "text/plain; charset=utf-8",
    "content-length": Buffer.byteLength(body),
  };
  if (state.draining) headers["connection"] = "close";
  response.writeHead(status, headers);
  response.end(body);
}

function tooLarge(state: ServerState, request: IncomingMessage, response: ServerResponse): void {
  turnAway(state, request, response, 413, `the body is larger than ${String(maxBodyBytes)} bytes\n`);
}

/** Answers without reading on: what is left of the body is not worth the bytes, so the connection ends. */
function turnAway(
  state: ServerState,
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  body: string,
): void {
  response.setHeader("connection", "close");
  send(state, response, { status, body });
  request.resume();
  response.on("finish", () => request.socket.destroySoon());
}

/** HTTP 500 is a failed call, which `failurePolicy: Fail` turns into a refusal. Never an allow. */
function failure(log: Log, err: unknown): Reply {
  log.error({ err }, "a review could not be answered");
  return { status: 500, body: "Berth could not answer this review; its log says why\n" };
}
