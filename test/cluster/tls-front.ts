// TLS in front of a plain HTTP server, as an ingress does it, with a certificate that can be replaced by one of
// another authority while it serves.

import { connect, type AddressInfo, type Socket } from "node:net";
import { createServer } from "node:tls";
import { selfSigned } from "../../src/certificates/self-signed.ts";

export interface TlsFront {
  readonly url: string;
  /** PEM of the authority to trust. */
  ca(): string;
  /** A certificate of another authority from now on; connections that are open end. */
  renew(): Promise<void>;
  close(): Promise<void>;
}

export async function startTlsFront(plainUrl: string): Promise<TlsFront> {
  const port = Number(new URL(plainUrl).port);
  const open = new Set<Socket>();
  let current = await selfSigned(["127.0.0.1"], Date.now());
  const server = createServer({ key: current.key, cert: current.certificate }, (socket) => {
    const behind = connect(port, "127.0.0.1");
    open.add(socket);
    const end = () => {
      open.delete(socket);
      socket.destroy();
      behind.destroy();
    };
    for (const each of [socket, behind]) each.on("error", end).on("close", end);
    socket.pipe(behind).pipe(socket);
  });
  // A client that does not trust the certificate says so and hangs up.
  server.on("tlsClientError", () => undefined);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const endAll = () => open.forEach((socket) => socket.destroy());
  return {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    ca: () => current.ca,
    async renew() {
      current = await selfSigned(["127.0.0.1"], Date.now());
      server.setSecureContext({ key: current.key, cert: current.certificate });
      endAll();
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        endAll();
      }),
  };
}
