// What kube-proxy and a cluster's network do for the webhook's Service, here for the API server alone: it asks for every
// connection into the cluster by a CONNECT, and gets one to the port that serves at this moment.

import { createServer } from "node:http";
import { connect, type Socket } from "node:net";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

export interface ServiceFront {
  /** For kube-apiserver. */
  readonly apiServerArgs: readonly string[];
  /** The ports behind the Service, asked in turn; with none, connections are refused. */
  setPorts(ports: readonly number[]): void;
  close(): Promise<void>;
}

export async function startServiceFront(folder: string): Promise<ServiceFront> {
  let ports: readonly number[] = [];
  let turns = 0;
  const open = new Set<Socket>();

  const server = createServer((_request, response) => response.writeHead(405).end());
  server.on("connect", (_request, client: Socket) => {
    turns += 1;
    const port = ports[turns % ports.length];
    client.on("error", () => client.destroy());
    if (port === undefined) {
      client.end("HTTP/1.1 503 Service Unavailable\r\n\r\n");
      return;
    }
    const backend = connect(port, "127.0.0.1");
    for (const socket of [client, backend]) {
      open.add(socket);
      socket.once("close", () => open.delete(socket));
    }
    backend.on("error", () => client.destroy());
    backend.once("connect", () => {
      client.write("HTTP/1.1 200 Connection established\r\n\r\n");
      backend.pipe(client).pipe(backend);
    });
  });
  const socketPath = join(folder, "service.sock");
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  const file = join(folder, "egress.json");
  await writeFile(file, JSON.stringify(egressBy(socketPath)));
  return {
    apiServerArgs: [`--egress-selector-config-file=${file}`],
    setPorts: (given) => (ports = given),
    close() {
      for (const socket of open) socket.destroy();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}

/** By a socket of the file system: over TCP it would have to be TLS. */
function egressBy(udsName: string) {
  const connection = { proxyProtocol: "HTTPConnect", transport: { uds: { udsName } } };
  return {
    apiVersion: "apiserver.k8s.io/v1beta1",
    kind: "EgressSelectorConfiguration",
    egressSelections: [{ name: "cluster", connection }],
  };
}
