// The limit to measure against: node:https that parses a review and answers it, and does nothing else.

import { createServer } from "node:https";
import { readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";

const [certificateFile = "", keyFile = ""] = process.argv.slice(2);

const server = createServer(
  { cert: readFileSync(certificateFile), key: readFileSync(keyFile), keepAliveTimeout: 120_000 },
  (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const review = JSON.parse(Buffer.concat(chunks).toString()) as { request: { uid: string } };
      const body = JSON.stringify({
        apiVersion: "admission.k8s.io/v1",
        kind: "AdmissionReview",
        response: { uid: review.request.uid, allowed: true },
      });
      response.writeHead(200, {
        "content-type": "application/json",
        "content-length": Buffer.byteLength(body),
      });
      response.end(body);
    });
  },
);
server.listen(0, "127.0.0.1", () => {
  process.stderr.write(`listening on ${String((server.address() as AddressInfo).port)}\n`);
});
