// A Docker Registry that is empty and open, for `berth demo`: it greets, and has nothing.

import { createServer } from "node:https";
import type { AddressInfo } from "node:net";

export interface StandInRegistry {
  /** Origin, without a slash at the end. */
  readonly url: string;
  close(): Promise<void>;
}

export async function startStandInRegistry(tls: {
  readonly key: string;
  readonly cert: string;
}): Promise<StandInRegistry> {
  const server = createServer(tls, ({ url = "" }, response) => {
    response.setHeader("docker-distribution-api-version", "registry/2.0");
    response.setHeader("content-type", "application/json");
    const [path = ""] = url.split("?", 1);
    const body = path === "/v2/" ? {} : path === "/v2/_catalog" ? { repositories: [] } : undefined;
    response.statusCode = body === undefined ? 404 : 200;
    response.end(
      JSON.stringify(body ?? { errors: [{ code: "NAME_UNKNOWN", message: "repository name not known" }] }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `https://localhost:${port}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
