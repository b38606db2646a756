// How each of the three ports begins to listen, and ends.

import type { Server } from "node:http";
import type { AddressInfo } from "node:net";

export interface ListenAt {
  /** 0 for any free one. */
  readonly port: number;
  /** All addresses without it. */
  readonly host?: string;
}

/** Resolves to the port; rejects where it cannot be had. */
export async function listen(server: Server, { port, host }: ListenAt): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  return (server.address() as AddressInfo).port;
}

/** Requests under way are answered; what is still open when the time is over is cut. */
export async function closeWithin(server: Server, ms: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const cut = setTimeout(() => server.closeAllConnections(), ms);
  await closed;
  clearTimeout(cut);
}
