// The people's port for tests: the real server with the real routes, before registries and rights that a test names.

import { Agent, request } from "node:https";
import { selfSigned } from "../../src/certificates/self-signed.ts";
import { builtInKinds } from "../../src/domain/pod-spec.ts";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { readPasted } from "../../src/files/pasted-manifests.ts";
import type { LookUps } from "../../src/http/look-ups.ts";
import type { Caller, PeopleAccess } from "../../src/http/people-access.ts";
import { createPeopleApi, type Route } from "../../src/http/people-api.ts";
import { namespaceRoutes } from "../../src/http/people-routes.ts";
import { startPeopleServer } from "../../src/http/people-server.ts";
import { platformRoutes, type RegistryHealth } from "../../src/http/platform-routes.ts";
import type { RegistryContents, RepositoryFact, TagFact } from "../../src/http/registry-contents.ts";
import { createSharedReads, withSharedReads } from "../../src/http/shared-reads.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";

/** Who asks, by bearer token; what is not here is nobody. */
export type Rights = Readonly<
  Record<string, { readonly namespaces: readonly string[]; readonly platform?: true }>
>;

export interface PeopleWorld {
  readonly log: RecordingLog;
  readonly routes: readonly Route[];
  /** What registries were asked, as `tags managed/team-a/api`. */
  readonly asked: string[];
  get(path: string, options?: AskOptions): Promise<Told>;
  stop(): Promise<void>;
}

export interface AskOptions {
  readonly token?: string;
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface Told {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  /** Undefined where it is no JSON. */
  readonly body: unknown;
}

export interface WorldParts {
  readonly snapshot: () => Snapshot;
  readonly rights: Rights;
  readonly contents?: Partial<RegistryContents>;
  readonly lookUps?: Partial<LookUps>;
  readonly health?: RegistryHealth;
  readonly now?: () => number;
}

const repository = (name: string): RepositoryFact => ({ name, artifacts: 3, updatedAt: 1_700_000_000_000 });
export const tagFact = (name: string): TagFact => ({
  name,
  digest: `sha256:${"ab".repeat(32)}`,
  sizeBytes: 1234,
  platforms: ["linux/amd64"],
  pushedAt: 1_700_000_000_000,
});

export async function startPeopleWorld(parts: WorldParts): Promise<PeopleWorld> {
  const { certificate, key, ca } = await selfSigned(["localhost"], Date.now());
  const log = createRecordingLog();
  const asked: string[] = [];
  const now = parts.now ?? Date.now;
  const contents: RegistryContents = {
    repositories(registry, space) {
      asked.push(`repositories ${registry.name}/${space ?? ""}`);
      return Promise.resolve({ items: [repository(`${space ?? "old"}/api`)], next: null });
    },
    search(registry, spaces, { search }) {
      asked.push(`search ${registry.name} ${spaces.map(({ name }) => name).join(",")} ${search}`);
      return Promise.resolve({
        items: spaces.map(({ name }) => repository(`${name}/${search}`)),
        next: null,
      });
    },
    tags(registry, name) {
      asked.push(`tags ${registry.name}/${name}`);
      return Promise.resolve({ items: [tagFact("1.2"), tagFact("1.1")], next: null });
    },
    tag(registry, name, tag) {
      asked.push(`tag ${registry.name}/${name}:${tag}`);
      return Promise.resolve(tagFact(tag));
    },
    granted(registry, spaces) {
      asked.push(`granted ${registry.name}`);
      return Promise.resolve(new Set(spaces));
    },
    ...parts.contents,
  };
  const access = accessBy(parts.rights);
  const unavailable = { kind: "unavailable", why: "failed" } as const;
  const lookUps: LookUps = {
    namespace: () => Promise.resolve({ kind: "read", exists: false, workspace: null }),
    space: () => Promise.resolve(unavailable),
    grant: () => Promise.resolve(unavailable),
    ...parts.lookUps,
  };
  const routes = [
    ...namespaceRoutes({
      snapshot: parts.snapshot,
      contents: withSharedReads(contents, createSharedReads({ now })),
      kinds: builtInKinds,
      readManifests: (text) => Promise.resolve({ kind: "done", result: readPasted(text) }),
      version: "1.2.3",
      ...{ access, lookUps, log },
    }),
    ...platformRoutes({
      snapshot: parts.snapshot,
      registryHealth: () => Promise.resolve(parts.health),
    }),
  ];
  const api = createPeopleApi({ access, now, observe: () => undefined }, routes);
  const server = await startPeopleServer(
    { api, page: () => new Map(), certificate: { certificate, key }, log },
    { port: 0, host: "127.0.0.1" },
  );
  const agent = new Agent({ keepAlive: true, ca });
  return {
    ...{ log, routes, asked },
    get: (path, options) => ask(agent, server.port, path, options),
    async stop() {
      agent.destroy();
      await server.stop();
    },
  };
}

function accessBy(rights: Rights): PeopleAccess {
  const of = ({ user }: Caller) => rights[user?.username ?? ""] ?? { namespaces: [] };
  return {
    identify({ headers: { authorization } }) {
      const name = authorization?.replace(/^Bearer /, "") ?? "";
      const known = Object.hasOwn(rights, name);
      return Promise.resolve(known ? { user: { username: name, groups: [] }, login: "token" } : undefined);
    },
    takesToken: () => true,
    mayUse: (caller, namespace) => Promise.resolve(of(caller).namespaces.includes(namespace)),
    seesPlatform: (caller) => Promise.resolve(of(caller).platform === true),
  };
}

function ask(agent: Agent, port: number, path: string, options: AskOptions = {}): Promise<Told> {
  const { token, method = "GET", body, headers = {}, signal } = options;
  return new Promise((resolve, reject) => {
    const call = request(
      {
        ...{ agent, port, path, method, host: "localhost" },
        headers: { ...headers, ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
        ...(signal === undefined ? {} : { signal }),
      },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("error", reject);
        answer.on("end", () => {
          const text = Buffer.concat(chunks).toString();
          const isJson = answer.headers["content-type"]?.includes("json") === true;
          const parsed: unknown = isJson ? JSON.parse(text) : undefined;
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text, body: parsed });
        });
      },
    );
    call.on("error", reject);
    call.end(body);
  });
}
