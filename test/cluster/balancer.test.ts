// The balancer that suites put before replicas, against servers that say which one of them answers.

import { connect, createServer, type AddressInfo, type Socket } from "node:net";
import { expect } from "chai";
import { startBalancer, type Balancer } from "./balancer.ts";

interface Backend {
  readonly port: number;
  isReady: boolean;
  /** Ends as a process that is killed does. */
  die(): void;
}

describe("the balancer", () => {
  let balancer: Balancer;
  const backends: Backend[] = [];

  before(async () => {
    balancer = await startBalancer();
    for (const name of ["one", "two"]) backends.push(await startBackend(name));
    for (const backend of backends) {
      balancer.add({ port: backend.port, isReady: () => Promise.resolve(backend.isReady) });
    }
  });
  after(async () => {
    for (const backend of backends) backend.die();
    await balancer.close();
  });

  const [one, two] = [() => backends[0]!, () => backends[1]!];

  it("takes no connection while nobody is ready", async () => {
    expect(await answerOn(connectTo(balancer.port))).to.equal("ECONNRESET");
  });

  it("gives connections in turn to those that are ready", async () => {
    one().isReady = two().isReady = true;
    await balancer.untilServing([one().port, two().port]);
    const given = [];
    for (let turn = 0; turn < 4; turn += 1) given.push(await answerOn(connectTo(balancer.port)));
    expect(given.slice(0, 2)).to.have.members(["one", "two"]);
    expect(given.slice(2)).to.deep.equal(given.slice(0, 2));
  });

  it("leaves a connection alone whose replica is not ready any more, and makes no new one to it", async () => {
    const sockets = [connectTo(balancer.port), connectTo(balancer.port)];
    for (const socket of sockets) expect(await answerOn(socket, "stay")).to.be.oneOf(["one", "two"]);
    one().isReady = false;
    await balancer.untilServing([two().port]);
    expect(balancer.changes.at(-1)).to.include({ port: one().port, serves: false });
    expect(balancer.openTo(one().port)).to.equal(1);
    const still = await Promise.all(sockets.map((socket) => answerOn(socket)));
    expect(still).to.have.members(["one", "two"]);
    for (let turn = 0; turn < 3; turn += 1) expect(await answerOn(connectTo(balancer.port))).to.equal("two");
  });

  it("hands on that a replica is gone, and tries no other", async () => {
    const open = connectTo(balancer.port);
    expect(await answerOn(open, "stay")).to.equal("two");
    one().isReady = true;
    await balancer.untilServing([one().port, two().port]);
    const closed = new Promise((resolve) => open.once("close", resolve));
    two().die();
    await closed;
    const given = [await answerOn(connectTo(balancer.port)), await answerOn(connectTo(balancer.port))];
    expect(given).to.have.members(["one", "ECONNRESET"]);
  });
});

/** Answers everything with its name, and ends the connection unless it is asked to stay. */
async function startBackend(name: string): Promise<Backend> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => undefined);
    socket.on("data", (asked: Buffer) => {
      if (asked.toString() === "stay") socket.write(name);
      else socket.end(name);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    isReady: false,
    die() {
      server.close();
      for (const socket of open) socket.resetAndDestroy();
    },
  };
}

function connectTo(port: number): Socket {
  return connect(port, "127.0.0.1").on("error", () => undefined);
}

/** What comes back, or the code of the error that comes instead. */
function answerOn(socket: Socket, ask = "go"): Promise<string> {
  return new Promise((resolve) => {
    socket.once("data", (answer: Buffer) => resolve(answer.toString()));
    socket.once("error", ({ code = "" }: NodeJS.ErrnoException) => resolve(code));
    socket.write(ask);
  });
}
