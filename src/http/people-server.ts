// Port 8444: HTTPS for people. The page, the API and what a browser is told to allow; who asks and what they get is
// the business of people-routes.ts. Its certificate can be replaced while it serves.

import { createServer } from "node:https";
import express, { type NextFunction, type Request, type Response } from "express";
import type { Log } from "../log.ts";
import type { Stoppable } from "../loop.ts";
import { closeWithin, listen, type ListenAt } from "./listen.ts";
import { apiPrefix } from "./openapi.ts";
import type { PageFiles } from "./page-files.ts";
import { problemOf, ProblemError } from "./problem-details.ts";
import type { Certificate } from "./server.ts";

export interface PeopleServerNeeds {
  /** What answers below {@link apiPrefix}. */
  readonly api: express.Router;
  /** Read when first asked for. */
  readonly page: () => PageFiles;
  /** Without one no handshake succeeds, until `replaceCertificate` brings it. */
  readonly certificate: Certificate | undefined;
  /** PEM: a client certificate of this CA is asked for and verified, and what it is worth is said elsewhere. */
  readonly proxyCa?: string | undefined;
  readonly log: Log;
}

export interface PeopleServer extends Stoppable {
  readonly port: number;
  replaceCertificate(certificate: Certificate): void;
}

/** A browser opens six; this is a hundred people at once on one replica, or a proxy in front for all of them. */
const maxConnections = 600;
/** A token of a large sign-in system is some 8 kB, and a proxy's headers name a person's groups. */
const maxHeaderBytes = 32 * 1024;
/** The largest body is a megabyte; on a slow line that takes some seconds. */
const requestTimeoutMs = 30_000;
/** What is still open when the process ends is cut after that. */
const cutAfterMs = 2_000;

/**
 * Nothing but what this port serves itself, no inline script or style, no frame around it, and no form that goes
 * elsewhere. Images may be data, since the style sheet has its icons in it.
 */
const contentSecurityPolicy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

const securityHeaders: Readonly<Record<string, string>> = {
  "content-security-policy": contentSecurityPolicy,
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  // The address says what somebody looks at.
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=()",
};

export async function startPeopleServer(needs: PeopleServerNeeds, at: ListenAt): Promise<PeopleServer> {
  const { proxyCa, log } = needs;
  const server = createServer(
    {
      ...tlsOptions(needs.certificate, proxyCa),
      headersTimeout: 10_000,
      requestTimeout: requestTimeoutMs,
      keepAliveTimeout: 65_000,
      maxHeaderSize: maxHeaderBytes,
      ALPNProtocols: ["http/1.1"],
    },
    appOf(needs),
  );
  server.maxConnections = maxConnections;
  server.on("tlsClientError", (err) => log.debug({ err }, "a TLS handshake failed at the people's port"));
  server.on("clientError", (_err, socket) => socket.destroy());
  const port = await listen(server, at);
  server.on("error", (err) => log.error({ err }, "the listener of the people's port failed"));
  return {
    port,
    replaceCertificate: (certificate) => server.setSecureContext(tlsOptions(certificate, proxyCa)),
    stop: () => closeWithin(server, cutAfterMs),
  };
}

function tlsOptions(certificate: Certificate | undefined, proxyCa: string | undefined) {
  const own = certificate && { cert: certificate.certificate, key: certificate.key };
  // Who has none, or one of another CA, is served as somebody who has to sign in.
  const ofProxy = proxyCa !== undefined && { ca: proxyCa, requestCert: true, rejectUnauthorized: false };
  return { ...own, ...ofProxy, minVersion: "TLSv1.2" as const };
}

function appOf({ api, page, log }: PeopleServerNeeds): express.Express {
  const app = express();
  app.disable("x-powered-by");
  // Addresses are taken as they are written: what is one to Express must be one to whoever reads a log.
  app.enable("case sensitive routing");
  app.enable("strict routing");
  app.use((_request, response, next) => {
    response.set(securityHeaders);
    next();
  });
  app.use(apiPrefix, api);
  app.use((request, response, next) => {
    const file = page().get(request.path);
    if (file === undefined || (request.method !== "GET" && request.method !== "HEAD")) {
      next();
      return;
    }
    // The files change with the release only, and a check of each costs less than a page of two releases.
    response.set({ "content-type": file.type, etag: file.etag, "cache-control": "no-cache" });
    if (request.fresh) response.status(304).end();
    else response.send(file.body);
  });
  app.use((_request, _response, next: NextFunction) => {
    next(new ProblemError(404, "There is nothing at this address."));
  });
  // In the place of Express's own, which shows the error to whoever asks.
  app.use((err: unknown, request: Request, response: Response, next: NextFunction) => {
    // Nobody is there to read it.
    if (response.destroyed) return;
    const problem = asProblem(err);
    if (problem.status >= 500) {
      const facts = { err: problem.cause ?? problem, path: request.path, status: problem.status };
      log.warn(facts, "a person's question was not answered");
    }
    if (response.headersSent) {
      next(err);
      return;
    }
    const body = JSON.stringify(problemOf(problem));
    response.status(problem.status).set({ ...problem.headers, "cache-control": "no-store" });
    response.type("application/problem+json").send(body);
  });
  return app;
}

/** What Express throws, at an address that cannot be decoded, carries a status; everything else is a fault of ours. */
function asProblem(err: unknown): ProblemError {
  if (err instanceof ProblemError) return err;
  const status = err instanceof Error && "status" in err ? err.status : undefined;
  if (typeof status === "number" && status >= 400 && status < 500)
    return new ProblemError(400, "The question is not well-formed.", { cause: err });
  return new ProblemError(500, "Berth could not answer; its log says why.", { cause: err });
}
