// Asks a webhook as the API server does: POST over TLS and HTTP/1.1, connections kept alive.

import { Agent, request } from "node:https";
import type { Answer, AuditAnnotations } from "../../src/http/admission-review.ts";
import type { PatchOperation } from "../../src/domain/pod-spec.ts";
import type { RecordedReview } from "../fixtures.ts";

export interface WebhookAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** The `response` of an AdmissionReview; undefined where the body is none. */
  readonly response: WebhookResponse | undefined;
}

export interface WebhookResponse extends Pick<Answer, "uid" | "allowed" | "warnings"> {
  readonly status?: { readonly code: number; readonly message: string; readonly reason: string };
  readonly patch?: readonly PatchOperation[];
  readonly patchType?: string;
  readonly auditAnnotations?: AuditAnnotations;
}

export interface WebhookCaller {
  post(path: string, body: unknown, options?: CallOptions): Promise<WebhookAnswer>;
  close(): void;
}

interface CallOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export function createWebhookCaller(target: {
  readonly port: number;
  readonly ca: string;
  readonly cert?: string;
  readonly key?: string;
}): WebhookCaller {
  const agent = new Agent({ keepAlive: true, ...target });
  return {
    post: (path, body, options = {}) =>
      new Promise((resolve, reject) => {
        const text = Buffer.isBuffer(body) || typeof body === "string" ? body : JSON.stringify(body);
        const call = request(
          {
            agent,
            host: "localhost",
            port: target.port,
            path,
            method: options.method ?? "POST",
            headers: {
              "content-type": "application/json",
              "content-length": Buffer.byteLength(text),
              ...options.headers,
            },
          },
          (answer) => {
            const chunks: Buffer[] = [];
            answer.on("data", (chunk: Buffer) => chunks.push(chunk));
            answer.on("error", reject);
            answer.on("end", () => {
              const answered = Buffer.concat(chunks).toString();
              resolve({
                status: answer.statusCode ?? 0,
                headers: answer.headers,
                text: answered,
                response: decode(answered),
              });
            });
          },
        );
        call.on("error", reject);
        call.end(text);
      }),
    close: () => agent.destroy(),
  };
}

function decode(text: string): WebhookResponse | undefined {
  if (!text.startsWith("{")) return undefined;
  const review = JSON.parse(text) as {
    kind: string;
    apiVersion: string;
    response: WebhookResponse & { patch?: string };
  };
  if (review.kind !== "AdmissionReview" || review.apiVersion !== "admission.k8s.io/v1") return undefined;
  const { patch, ...response } = review.response;
  if (patch === undefined) return response;
  return { ...response, patch: JSON.parse(Buffer.from(patch, "base64").toString()) as PatchOperation[] };
}

/** A review about one Pod with these images. */
export function podReview(
  namespace: string,
  images: readonly string[],
  more: Readonly<Record<string, unknown>> = {},
): RecordedReview {
  const object = {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: "pod", namespace },
    spec: { containers: images.map((image, index) => ({ name: `c${String(index)}`, image })) },
  };
  return {
    kind: "AdmissionReview",
    apiVersion: "admission.k8s.io/v1",
    request: {
      uid: `uid-${namespace}-${images.join("+").slice(0, 100)}`,
      kind: { group: "", version: "v1", kind: "Pod" },
      resource: { group: "", version: "v1", resource: "pods" },
      name: "pod",
      namespace,
      operation: "CREATE",
      userInfo: { username: "somebody", groups: ["system:authenticated"] },
      object,
      oldObject: null,
      dryRun: false,
      ...more,
    },
  };
}
