// Port 8080: is the process alive, may it be asked, and what does it count.

import { createServer } from "node:http";
import express, { type NextFunction, type Request, type Response } from "express";
import type { Log } from "../log.ts";
import type { Stoppable } from "../loop.ts";
import { listen, type ListenAt } from "./listen.ts";

export interface OperationsNeeds {
  /** What keeps the process from being asked, in words; empty when it is ready. */
  readonly notReady: () => readonly string[];
  /** A line for people each, for example what is known of a registry; shown where they are asked for. */
  readonly details?: () => readonly string[];
  /** The exposition format of Prometheus, and its content type. */
  readonly metrics: () => Promise<string>;
  readonly metricsType: string;
  readonly log: Log;
}

export interface OperationsServer extends Stoppable {
  readonly port: number;
}

export async function startOperationsServer(
  { notReady, details = () => [], metrics, metricsType, log }: OperationsNeeds,
  at: ListenAt,
): Promise<OperationsServer> {
  const app = express();
  app.disable("x-powered-by");
  app.get("/livez", (_request, response) => {
    response.type("text/plain").send("ok\n");
  });
  app.get("/readyz", (request, response) => {
    const missing = notReady();
    const lines = missing.length === 0 ? ["ok"] : missing.map((part) => `not ready: ${part}`);
    // As with the API server's own: /readyz?verbose.
    if (request.query["verbose"] !== undefined) lines.push(...details().map(onOneLine));
    const text = lines.map((line) => `${line}\n`).join("");
    response
      .status(missing.length === 0 ? 200 : 503)
      .type("text/plain")
      .send(text);
  });
  app.get("/metrics", async (_request, response) => {
    response.set("content-type", metricsType).send(await metrics());
  });
  // In the place of Express's own, which shows the error to whoever asks.
  app.use((err: unknown, _request: Request, response: Response, next: NextFunction) => {
    log.error({ err }, "a question to the operations port could not be answered");
    // An answer that has begun can only be cut, which Express does.
    if (response.headersSent) next(err);
    else response.status(500).type("text/plain").send("failed; the log says why\n");
  });

  const server = createServer(app);
  const port = await listen(server, at);
  return {
    port,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

/** A registry's own words may be among them. */
function onOneLine(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029]+/gu, " ");
}
