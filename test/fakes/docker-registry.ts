// Debian's docker-registry as a registry that really serves: on a free port of this machine, with storage of its own
// that goes with it, open to everybody, behind a password, or behind the tokens of a stand-in Harbor. The service that
// the package brings is never touched.

import { accessSync, constants } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, request as httpRequest, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { stringify } from "yaml";
import { skipsAreForbidden } from "../cluster/binaries.ts";
import { startProcess } from "../cluster/process.ts";

export interface DockerRegistryOptions {
  /** Open without. */
  readonly auth?:
    | { readonly kind: "htpasswd" }
    | { readonly kind: "token"; readonly realm: string; readonly certificatePem: string };
  /** The registry has no switch for its catalogue; `off` is what a proxy in front makes of it. */
  readonly catalog?: "off" | { readonly maxEntries: number };
}

export interface DockerRegistry {
  /** Origin, without a slash at the end. */
  readonly url: string;
  /** As in image names: `127.0.0.1:40123`. */
  readonly host: string;
  stop(): Promise<void>;
}

/** The two logins of a registry with `htpasswd`. Nothing else uses them, so that their hashes may be written down. */
export const registryLogin = { username: "reader", password: "registry-test" };
export const registryKeeperLogin = { username: "keeper", password: "registry-own" };
const registryLoginHashes = [
  "reader:$2y$04$6EDfJHyP4bmGMq.JEZOfYOZ3B8mBdf.mBcbK2/VjhDbAPct0K.3W6",
  "keeper:$2b$04$abcdefghijklmnopqrstuu.pphX4h0ngo0x/kxYM0jhYJVjLq4fgq",
];

export async function startDockerRegistry(options: DockerRegistryOptions = {}): Promise<DockerRegistry> {
  const command = findDockerRegistry();
  if (command === undefined) throw new Error("docker-registry is not installed; Debian's package brings it");
  const folder = await mkdtemp(join(tmpdir(), "berth-registry-"));
  const config = join(folder, "config.yml");
  await writeFile(config, stringify(await configuration(folder, options)));
  const logFile = join(folder, "log");
  const registry = await startProcess({ command, args: ["serve", config], logFile });
  const [, port = ""] = await registry.waitForLine(/listening on 127\.0\.0\.1:(\d+)/);
  const front = options.catalog === "off" ? await withoutCatalog(Number(port)) : undefined;
  const host = `127.0.0.1:${front?.port ?? port}`;
  return {
    url: `http://${host}`,
    host,
    async stop() {
      await front?.close();
      await registry.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

export function findDockerRegistry(): string | undefined {
  return findOnPath("docker-registry");
}

export function findSkopeo(): string | undefined {
  return findOnPath("skopeo");
}

/**
 * For a `before` hook: without the programs the suite's tests count as not run, and are named as such at the end;
 * where skipping is forbidden, they fail.
 */
export function skipWithoutRegistryTools(context: Mocha.Context): void {
  const found = { "docker-registry": findDockerRegistry(), skopeo: findSkopeo() };
  const missing = Object.entries(found).flatMap(([name, path]) => (path === undefined ? [name] : []));
  if (missing.length === 0) return;
  if (skipsAreForbidden()) throw new Error(`${missing.join(" and ")} missing, and skipping is forbidden`);
  context.skip();
}

async function configuration(folder: string, { auth, catalog }: DockerRegistryOptions): Promise<unknown> {
  return {
    version: "0.1",
    log: { level: "info", accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, "storage") }, delete: { enabled: true } },
    // Port 0 is any free one; the log says which.
    http: { addr: "127.0.0.1:0", secret: "of this test only" },
    ...(typeof catalog === "object" ? { catalog: { maxentries: catalog.maxEntries } } : {}),
    ...(auth === undefined ? {} : { auth: await authentication(folder, auth) }),
  };
}

async function authentication(
  folder: string,
  auth: NonNullable<DockerRegistryOptions["auth"]>,
): Promise<unknown> {
  if (auth.kind === "htpasswd") {
    const path = join(folder, "htpasswd");
    await writeFile(path, `${registryLoginHashes.join("\n")}\n`);
    return { htpasswd: { realm: "registry", path } };
  }
  const rootcertbundle = join(folder, "tokens.pem");
  await writeFile(rootcertbundle, auth.certificatePem);
  const { realm } = auth;
  return { token: { realm, service: "harbor-registry", issuer: "harbor-token-issuer", rootcertbundle } };
}

/** Hands everything on to the registry on this port, but for its catalogue. */
async function withoutCatalog(port: number): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((incoming, outgoing) => {
    if (incoming.url?.startsWith("/v2/_catalog") === true) {
      outgoing.writeHead(404, { "content-type": "text/plain; charset=utf-8" }).end("404 page not found\n");
      return;
    }
    const { method, url, headers } = incoming;
    const sent = httpRequest({ host: "127.0.0.1", port, method, path: url, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(outgoing);
    });
    sent.on("error", () => outgoing.destroy());
    incoming.pipe(sent);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, close: () => closeNow(server) };
}

function closeNow(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

function findOnPath(name: string): string | undefined {
  const folders = (process.env["PATH"] ?? "").split(delimiter).filter((folder) => folder !== "");
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
