// Where the API server is, and what convinces it of who we are: from the files that a cluster gives each pod, or
// from a kubeconfig. Makes no request and logs nothing: what is read here are credentials.

import { readFile } from "node:fs/promises";
import type { Agent } from "node:http";
import type { RequestOptions } from "node:https";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import type { KubeConfig } from "@kubernetes/client-node";

export interface KubeAccess {
  /** Without trailing slash; may have a path, as behind a cluster manager's proxy. */
  readonly server: string;
  readonly headers: Readonly<Record<string, string>>;
  /** `auth` is a login for basic authentication. */
  readonly tls: Pick<RequestOptions, "ca" | "cert" | "key" | "servername" | "rejectUnauthorized" | "auth">;
  /** Only where the way leads through a proxy. */
  readonly proxyAgent?: Agent;
}

export interface KubeAccessSource {
  /** What requests are made with now. */
  current(): Promise<KubeAccess>;
  /** Everything read anew, because the API server did not accept what it was given. */
  renewed(): Promise<KubeAccess>;
}

export interface InClusterOptions {
  /** `KUBERNETES_SERVICE_HOST` and `KUBERNETES_SERVICE_PORT`. */
  readonly host: string;
  readonly port: string;
  readonly directory?: string;
  readonly now: () => number;
}

/** Where every pod finds its service account. */
export const serviceAccountDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

// The kubelet replaces a token when 80 % of its life, at least ten minutes, is over, so a minute is soon enough.
// The Go client reads at the same beat.
const rereadAfterMs = 60_000;

/** The service account of the pod that we run in. Its token and CA are read again as they rotate. */
export function inClusterAccess(options: InClusterOptions): KubeAccessSource {
  const { host, port, directory = serviceAccountDirectory, now } = options;
  const server = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`;
  let last: { readonly access: KubeAccess; readonly readAt: number } | undefined;

  async function read(): Promise<KubeAccess> {
    const readAt = now();
    const [token, ca] = await Promise.all([
      readFile(join(directory, "token"), "utf8"),
      readFile(join(directory, "ca.crt")),
    ]);
    if (token.trim() === "")
      throw new Error(`${join(directory, "token")}: expected a token, got an empty file`);
    const access = { server, headers: { authorization: `Bearer ${token.trim()}` }, tls: { ca } };
    last = { access, readAt };
    return access;
  }

  return {
    async current() {
      if (last === undefined) return read();
      const { access, readAt } = last;
      if (Math.abs(now() - readAt) < rereadAfterMs) return access;
      // What was read a minute ago is most likely still good; if not, the API server says so.
      return read().catch(() => access);
    },
    renewed: read,
  };
}

export interface KubeconfigOptions {
  /** Absent: `KUBECONFIG`, else `~/.kube/config`, as kubectl does. */
  readonly file?: string | undefined;
  /** Absent: the file's current context. */
  readonly context?: string | undefined;
}

/**
 * A person's access. The client library reads the file and runs whatever plugin it names; it is loaded here and
 * nowhere else, because that takes 300 ms and 85 MiB (node:https alone: 6 ms, 7 MiB). Its configuration module by
 * itself, which is not public, would take 270 ms and 80 MiB: most of it is the generated API. So in a cluster it is
 * not loaded at all.
 */
export async function kubeconfigAccess(options: KubeconfigOptions): Promise<KubeAccessSource> {
  let config = await loadKubeconfig(options);
  return {
    current: () => accessOf(config),
    async renewed() {
      // A new object also forgets the tokens that plugins gave.
      config = await loadKubeconfig(options);
      return accessOf(config);
    },
  };
}

async function loadKubeconfig({ file, context }: KubeconfigOptions): Promise<KubeConfig> {
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  const name = file ?? "the default kubeconfig";
  try {
    if (file === undefined) config.loadFromDefault();
    else config.loadFromFile(file);
  } catch (err) {
    throw new Error(`read ${name}: ${withoutQuotedText(err)}`);
  }
  if (context !== undefined) config.setCurrentContext(context);
  // Without any file the library falls back to this context, on http://localhost:8080.
  if (file === undefined && config.getCurrentContext() === "loaded-context") {
    throw new Error("expected a kubeconfig in KUBECONFIG or ~/.kube/config, got none");
  }
  if (config.getCurrentCluster() === null) {
    const known = config.getContexts().map((one) => one.name);
    const wanted = context ?? config.getCurrentContext();
    throw new Error(
      `${name}: expected a context with a cluster, got ${JSON.stringify(wanted)}; there are: ${known.join(", ")}`,
    );
  }
  return config;
}

async function accessOf(config: KubeConfig): Promise<KubeAccess> {
  const cluster = config.getCurrentCluster();
  if (cluster === null) throw new Error("the kubeconfig's context has no cluster");
  const options: RequestOptions = {};
  try {
    await config.applyToHTTPSOptions(options);
  } catch (err) {
    throw new Error(`credentials of the kubeconfig for ${cluster.server}: ${withoutQuotedText(err)}`);
  }
  const { ca, cert, key, servername, rejectUnauthorized, auth, agent, headers } = options;
  return {
    server: cluster.server,
    headers: Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name, String(value)])),
    tls: withoutUndefined({ ca, cert, key, servername, rejectUnauthorized, auth }),
    ...(cluster.proxyUrl !== undefined && typeof agent === "object" ? { proxyAgent: agent } : {}),
  };
}

/** Parsers quote the text that they stumbled over, and here that text holds tokens and keys. */
function withoutQuotedText(err: unknown): string {
  if (!(err instanceof Error)) return "unknown error";
  if (err.name === "YAMLException") return "not valid YAML";
  if (err instanceof SyntaxError) return "a credential plugin answered something that is not JSON";
  return err.message;
}

function withoutUndefined(tls: Record<keyof KubeAccess["tls"], unknown>): KubeAccess["tls"] {
  return Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined));
}
