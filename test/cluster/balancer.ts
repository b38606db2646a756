// What a Service is to the API server, in small: one address, behind which each new connection goes to the next of those
// replicas that are ready. As in a cluster it learns late that one is not, connections that are open are left alone,
// and nobody tries again where a connection fails.

import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "./kube.ts";

export interface Backend {
  readonly port: number;
  readonly isReady: () => Promise<boolean>;
}

/** New connections go to this one from now on, or do not any more. */
export interface Change {
  readonly port: number;
  readonly serves: boolean;
  readonly at: number;
}

export interface Balancer {
  /** Stays the same, whatever is behind it. */
  readonly port: number;
  /** Begins to look after it; for good. */
  add(backend: Backend): void;
  /** The ports that get new connections. */
  serving(): readonly number[];
  /** Resolves when just these get new connections. */
  untilServing(ports: readonly number[], withinMs?: number): Promise<void>;
  readonly changes: readonly Change[];
  /** Those that it took so far. */
  connections(): number;
  /** Those of one replica that are open. */
  openTo(port: number): number;
  close(): Promise<void>;
}

/** Of a look at a replica; a kubelet takes seconds, and the drain by default three times as many. */
const pollMs = 200;
/** Until what was seen has come to those who route. */
const delayMs = 800;

export async function startBalancer(): Promise<Balancer> {
  const serving: number[] = [];
  const changes: Change[] = [];
  /** To where each leads; undefined for those of clients. */
  const open = new Map<Socket, number | undefined>();
  let connections = 0;
  let closed = false;

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
    const port = serving[connections % serving.length];
    connections += 1;
    track(client, undefined);
    if (port === undefined) {
      client.on("error", () => undefined).resetAndDestroy();
      return;
    }
    const backend = connect({ port, host: "127.0.0.1", allowHalfOpen: true, noDelay: true });
    track(backend, port);
    // An end goes through as an end, and a reset as a reset.
    client.on("error", () => backend.resetAndDestroy());
    backend.on("error", () => client.resetAndDestroy());
    client.pipe(backend).pipe(client);
  });

  function track(socket: Socket, to: number | undefined): void {
    open.set(socket, to);
    socket.once("close", () => open.delete(socket));
  }

  async function lookAfter({ port, isReady }: Backend): Promise<void> {
    let seen = false;
    while (!closed) {
      const ready = await isReady().catch(() => false);
      if (ready !== seen) setTimeout(() => change(port, ready), delayMs);
      seen = ready;
      await sleep(pollMs);
    }
  }

  function change(port: number, serves: boolean): void {
    if (serves) serving.push(port);
    else serving.splice(serving.indexOf(port), 1);
    changes.push({ port, serves, at: Date.now() });
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    add: (backend) => void lookAfter(backend),
    serving: () => [...serving],
    async untilServing(ports, withinMs = 30_000) {
      const wanted = ports.toSorted().join();
      const look = () => Promise.resolve(serving.toSorted().join() === wanted);
      await waitFor(`connections go to ${wanted}`, look, withinMs);
    },
    changes,
    connections: () => connections,
    openTo: (port) => [...open.values()].filter((to) => to === port).length,
    close() {
      closed = true;
      return new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of open.keys()) socket.destroy();
      });
    },
  };
}
