// Berth as `berth serve --from` runs it, on free ports, for the walks: the real wiring, asked over HTTPS, with a log
// that can be read.

import { readSettings } from "../../src/settings.ts";
import { startServing, type Serving } from "../../src/commands/serve.ts";
import { createLog } from "../../src/log.ts";
import {
  createWebhookCaller,
  podReview,
  type WebhookCaller,
  type WebhookResponse,
} from "../fakes/api-server.ts";

export interface RunningBerth extends WebhookCaller {
  readonly serving: Serving;
  /** What `/validate` says of a new Pod with these images. */
  validate(namespace: string, ...images: readonly string[]): Promise<WebhookResponse>;
  mutate(namespace: string, ...images: readonly string[]): Promise<WebhookResponse>;
  /** From the operations port. */
  get(path: "/livez" | "/readyz" | "/metrics"): Promise<{ readonly status: number; readonly text: string }>;
  /** The value of one sample line, such as `berth_registry_up{registry="managed"}`. */
  metric(sample: string): Promise<number | undefined>;
  /** All that was logged, at the level debug. */
  logText(): string;
  stop(): Promise<void>;
}

export async function startBerth(from: string, catalogueInterval: string): Promise<RunningBerth> {
  let logged = "";
  const log = createLog("debug", { write: (line) => (logged += line) });
  const settings = readSettings(
    {
      from,
      catalogueInterval,
      webhookPort: "0",
      peoplePort: "0",
      operationsPort: "0",
      bindAddress: "127.0.0.1",
    },
    {},
  );
  const serving = await startServing(settings, log);
  const caller = createWebhookCaller({ port: serving.webhookPort, ca: serving.ca ?? "" });

  async function ask(path: string, namespace: string, images: readonly string[]): Promise<WebhookResponse> {
    const { status, text, response } = await caller.post(path, podReview(namespace, images));
    if (response === undefined) throw new Error(`${path}: ${String(status)} ${text}`);
    return response;
  }
  const get: RunningBerth["get"] = async (path) => {
    const answer = await fetch(`http://127.0.0.1:${String(serving.operationsPort)}${path}`);
    return { status: answer.status, text: await answer.text() };
  };
  return {
    ...caller,
    serving,
    validate: (namespace, ...images) => ask("/validate?timeout=10s", namespace, images),
    mutate: (namespace, ...images) => ask("/mutate?timeout=10s", namespace, images),
    get,
    async metric(sample) {
      const { text } = await get("/metrics");
      const line = text.split("\n").find((each) => each.startsWith(`${sample} `));
      return line === undefined ? undefined : Number(line.slice(sample.length));
    },
    logText: () => logged,
    async stop() {
      caller.close();
      await serving.stop(0);
    },
  };
}
