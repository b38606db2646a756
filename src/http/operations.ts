// Port 8080: is the process alive, may it be asked, and what does it count.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import express, { type NextFunction, type Request, type Response } from "express";
import type { Log } from "../log.ts";
import type { Stoppable } from "../loop.ts";

export interface OperationsNeeds {
  /** What keeps the process from being asked, in words; empty when it is ready. */
  readonly notReady: () => readonly string[];
  /** The exposition format of Prometheus, and its content type. */
  readonly metrics: () => Promise<string>;
  readonly metricsType: string;
  readonly log: Log;
}

export interface OperationsServer extends Stoppable {
  readonly port: number;
}

export async function startOperationsServer(
  { notReady, metrics, metricsType, log }: OperationsNeeds,
  listen: { readonly port: number; readonly host?: string },
): Promise<OperationsServer> {
  const app = express();
  app.disable("x-powered-by");
  app.get("/livez", (_request, response) => {
    response.type("text/plain").send("ok\n");
  });
  app.get("/readyz", (_request, response) => {
    const missing = notReady();
    response.type("text/plain");
    if (missing.length === 0) response.send("ok\n");
    else response.status(503).send(missing.map((part) => `not ready: ${part}\n`).join(""));
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
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(listen.port, listen.host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    async stop() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
