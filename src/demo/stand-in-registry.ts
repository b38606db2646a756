// An open Docker Registry for `berth demo`: it tells what it has, repositories, tags and digests, and nothing can be
// pulled from it.

import { createHash } from "node:crypto";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";

export interface StandInRegistry {
  /** Origin, without a slash at the end. */
  readonly url: string;
  close(): Promise<void>;
}

/** Repository → its tags. */
export type StandInTags = Readonly<Record<string, readonly string[]>>;

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: unknown;
}

export async function startStandInRegistry(
  tls: { readonly key: string; readonly cert: string },
  repositories: StandInTags = {},
): Promise<StandInRegistry> {
  const server = createServer(tls, ({ url = "" }, response) => {
    const [path = ""] = url.split("?", 1);
    const { status, headers, body } = answerTo(path, repositories);
    response.writeHead(status, {
      "docker-distribution-api-version": "registry/2.0",
      "content-type": "application/json",
      ...headers,
    });
    response.end(JSON.stringify(body));
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

function answerTo(path: string, repositories: StandInTags): Answer {
  if (path === "/v2/") return { status: 200, body: {} };
  if (path === "/v2/_catalog")
    return { status: 200, body: { repositories: Object.keys(repositories).sort() } };
  const [, name = "", what, reference = ""] = /^\/v2\/(.+)\/(tags|manifests)\/([^/]+)$/.exec(path) ?? [];
  const tags = Object.hasOwn(repositories, name) ? (repositories[name] ?? []) : undefined;
  if (tags === undefined) return refusal("NAME_UNKNOWN", "repository name not known to registry");
  if (what === "tags") return { status: 200, body: { name, tags } };
  if (!tags.includes(reference)) return refusal("MANIFEST_UNKNOWN", "manifest unknown");
  const digest = `sha256:${createHash("sha256").update(`${name}:${reference}`).digest("hex")}`;
  return { status: 200, headers: { "docker-content-digest": digest }, body: {} };
}

function refusal(code: string, message: string): Answer {
  return { status: 404, body: { errors: [{ code, message }] } };
}
