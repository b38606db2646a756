// What somebody who reaches the port can hold: bodies that are begun and never ended.

import { connect, type TLSSocket } from "node:tls";
import { once } from "node:events";
import { selfSigned, type IssuedCertificate } from "../../src/certificates/self-signed.ts";
import { maxBodyBytes, startWebhookServer, type WebhookServer } from "../../src/http/server.ts";
import { silentLog } from "../../src/log.ts";
import { eventually } from "../eventually.ts";
import { createWebhookCaller, podReview } from "../fakes/api-server.ts";

describe("bodies that stop in the middle", () => {
  let issued: IssuedCertificate;
  let server: WebhookServer;
  const sockets: TLSSocket[] = [];
  before(async () => {
    issued = await selfSigned(["localhost"], Date.now());
    server = await startWebhookServer(
      { admission: () => ({ status: 200, body: "{}" }), certificate: issued, log: silentLog },
      { port: 0, host: "localhost" },
    );
  });
  after(async () => {
    for (const socket of sockets) socket.destroy();
    await server.drain(0);
  });

  async function begin(length: number): Promise<{ readonly received: () => string }> {
    const socket = connect({ host: "localhost", port: server.port, ca: issued.ca });
    sockets.push(socket);
    let received = "";
    socket.on("error", () => undefined);
    socket.on("data", (chunk: Buffer) => (received += chunk.toString()));
    await once(socket, "secureConnect");
    const head = `POST /validate?timeout=2s HTTP/1.1\r\nhost: x\r\ncontent-length: ${String(length)}\r\n\r\n`;
    socket.write(head);
    socket.write(Buffer.alloc(length - 1, " "));
    return { received: () => received };
  }

  it("hold their room no longer than their own deadline, and are told so", async () => {
    const stalled = await Promise.all(Array.from({ length: 8 }, () => begin(maxBodyBytes)));
    const caller = createWebhookCaller({ port: server.port, ca: issued.ca });
    try {
      const large = podReview("shop", ["x".repeat(1_000)]);
      await eventually(async () => (await caller.post("/validate", large)).status === 503);
      await eventually(async () => (await caller.post("/validate", large)).status === 200);
      await eventually(() => stalled.every(({ received }) => received().startsWith("HTTP/1.1 408 ")));
    } finally {
      caller.close();
    }
  });
});
