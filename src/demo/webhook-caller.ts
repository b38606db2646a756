// Asks a webhook as the API server does: an AdmissionReview by POST over TLS, to `/mutate` and then, with the patch
// applied, to `/validate`.

import { randomUUID } from "node:crypto";
import { Agent, request } from "node:https";

export interface CallerTarget {
  readonly port: number;
  /** PEM of the CA that the webhook's certificate is of. */
  readonly ca: string;
}

export interface WebhookCaller {
  review(path: "/mutate" | "/validate", review: unknown): Promise<ReviewResponse>;
  close(): void;
}

/** The `response` of an AdmissionReview. */
export interface ReviewResponse {
  readonly uid: string;
  readonly allowed: boolean;
  readonly status?: { readonly message: string };
  readonly patch?: string;
  readonly auditAnnotations?: {
    readonly verdict: string;
    readonly reasons: string;
    readonly workspace: string;
  };
}

export function createWebhookCaller({ port, ca }: CallerTarget): WebhookCaller {
  const agent = new Agent({ keepAlive: true, ca });
  return {
    review: (path, review) =>
      new Promise((resolve, reject) => {
        const call = request(
          {
            agent,
            host: "localhost",
            port,
            path: `${path}?timeout=10s`,
            method: "POST",
            headers: { "content-type": "application/json" },
          },
          (answer) => {
            const chunks: Buffer[] = [];
            answer.on("data", (chunk: Buffer) => chunks.push(chunk));
            answer.on("error", reject);
            answer.on("end", () => {
              const text = Buffer.concat(chunks).toString("utf8");
              if (answer.statusCode === 200)
                resolve((JSON.parse(text) as { response: ReviewResponse }).response);
              else reject(new Error(`${path}: ${String(answer.statusCode)} ${text.trim()}`));
            });
          },
        );
        call.on("error", reject);
        call.end(JSON.stringify(review));
      }),
    close: () => agent.destroy(),
  };
}

/** A review of an object's creation, as the API server sends it. */
export function creationReview(
  kind: { readonly group: string; readonly kind: string; readonly resource: string },
  object: { readonly metadata: { readonly name: string; readonly namespace: string } },
) {
  return {
    kind: "AdmissionReview",
    apiVersion: "admission.k8s.io/v1",
    request: {
      uid: randomUUID(),
      kind: { group: kind.group, version: "v1", kind: kind.kind },
      resource: { group: kind.group, version: "v1", resource: kind.resource },
      name: object.metadata.name,
      namespace: object.metadata.namespace,
      operation: "CREATE",
      userInfo: { username: "somebody", groups: ["system:authenticated"] },
      object,
      oldObject: null,
      dryRun: false,
    },
  };
}
