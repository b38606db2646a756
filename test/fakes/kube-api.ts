// A small real API server on a free port: list, watch and get of whatever objects a test puts in, with resource
// versions, selectors, pages, bookmarks and metadata-only answers as a real one gives them, writes with
// preconditions and owners of fields (field-ownership.ts), and switches for the ways in which a real one fails. It
// records what it was asked, bodies included, without credentials.

import http, { type IncomingMessage, type ServerResponse } from "node:http";
import https from "node:https";
import type { AddressInfo } from "node:net";
import { isDeepStrictEqual } from "node:util";
import { apply, conflicts, createOwnership, mergePatch, type Ownership, written } from "./field-ownership.ts";

export interface FakeObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

export interface RecordedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  /** Without `authorization`. */
  readonly headers: http.IncomingHttpHeaders;
  readonly kind: "list" | "watch" | "get" | "create" | "update" | "patch" | "delete" | "other";
  /** Parsed JSON; `undefined` without one. */
  readonly body: unknown;
}

export interface FakeKubeApiOptions {
  /** Serves HTTPS with these. */
  readonly tls?: { readonly key: string; readonly cert: string };
}

export interface FakeKubeApi {
  readonly url: string;
  readonly requests: RecordedRequest[];
  /** What is and will be changed while it runs. */
  readonly switches: Switches;
  /** Creates or replaces; `resource` is for example `namespaces`. */
  put(resource: string, object: FakeObject): void;
  /** As it is now. */
  get(resource: string, name: string, namespace?: string): FakeObject | undefined;
  objects(resource: string): readonly FakeObject[];
  remove(resource: string, name: string, namespace?: string): void;
  /** Forgets old versions, as etcd's compaction does: watches from before it, and pages of lists, are gone (410). */
  compact(): void;
  /** A bookmark on every open watch. */
  bookmark(): void;
  openWatches(): number;
  /** Ends all watches, or those of one bearer, in good order, or breaks their connections. */
  endWatches(how: "ended" | "broken", token?: string): void;
  /** The open watches, or those of one bearer, never carry anything more, nor end: as when a firewall forgot them. */
  muteWatches(token?: string): void;
  /** Writes to all open watches whatever it is. */
  writeRaw(text: string): void;
  close(): Promise<void>;
}

export interface Switches {
  /** Answers the next requests of a kind with something else than what they ask for, first come first served. */
  failures: Failure[];
  /** Watches stay open and carry nothing. */
  silent: boolean;
  /** Each watch is ended as soon as it is open. */
  endAtOnce: boolean;
  /** Before each answer. */
  delayMs: number;
  /** The one bearer token that is accepted; any, when absent. */
  token: string | undefined;
  /** Bearer tokens whose connections break as soon as they ask; `endWatches` is for those that are open. */
  readonly cutOff: Set<string>;
}

export interface Failure {
  readonly on: RecordedRequest["kind"];
  /** Only where the path is like this. */
  readonly when?: RegExp;
  /** Until somebody takes it out, rather than once. */
  readonly always?: true;
  readonly status: number;
  readonly headers?: http.OutgoingHttpHeaders;
  /** Absent: a `Status` object as an API server writes it. */
  readonly body?: string;
}

interface Change {
  readonly version: number;
  readonly resource: string;
  readonly before: FakeObject | undefined;
  readonly after: FakeObject | undefined;
}

interface OpenWatch {
  readonly query: Query;
  readonly response: ServerResponse;
  readonly token: string | undefined;
  isMute: boolean;
}

/** What a request asks for, taken apart. */
interface Query {
  readonly resource: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
  readonly parameters: URLSearchParams;
  readonly partial: boolean;
}

export async function startFakeKubeApi(options: FakeKubeApiOptions = {}): Promise<FakeKubeApi> {
  const objects = new Map<string, FakeObject>();
  const ownerships = new Map<string, Ownership>();
  const history: Change[] = [];
  const watches = new Set<OpenWatch>();
  const requests: RecordedRequest[] = [];
  const switches: Switches = {
    failures: [],
    silent: false,
    endAtOnce: false,
    delayMs: 0,
    token: undefined,
    cutOff: new Set(),
  };
  let version = 1000;
  let compactedTo = 0;

  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = Buffer.concat(chunks).toString();
      const body: unknown = text === "" ? undefined : JSON.parse(text);
      setTimeout(() => answer(request, response, body), switches.delayMs).unref();
    });
  };
  const server = options.tls ? https.createServer(options.tls, onRequest) : http.createServer(onRequest);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;

  function answer(request: IncomingMessage, response: ServerResponse, body: unknown): void {
    // The client may have left, or the fake been closed, while the answer was held back.
    if (request.socket.destroyed) return;
    if (switches.cutOff.has(bearerOf(request) ?? "")) {
      request.socket.destroy();
      return;
    }
    const url = new URL(request.url ?? "/", "http://fake");
    const query = queryOf(url, request.headers.accept ?? "");
    const kind = kindOf(request.method ?? "", query);
    const { authorization, ...headers } = request.headers;
    requests.push({
      method: request.method ?? "",
      path: url.pathname,
      query: url.searchParams,
      headers,
      kind,
      body,
    });
    if (switches.token !== undefined && authorization !== `Bearer ${switches.token}`) {
      sendStatus(response, 401, "Unauthorized");
      return;
    }
    const failure = switches.failures.find(
      ({ on, when }) => on === kind && when?.test(url.pathname) !== false,
    );
    if (failure !== undefined) {
      if (failure.always !== true) switches.failures.splice(switches.failures.indexOf(failure), 1);
      sendFailure(response, failure);
      return;
    }
    if (query === undefined || kind === "other") sendStatus(response, 404, "the server could not find it");
    else if (kind === "watch") openWatch(query, bearerOf(request), response);
    else if (kind === "list") sendJson(response, 200, listOf(query));
    else if (kind === "get") sendGet(query, response);
    else sendWrite(kind, query, request, body as FakeObject, response);
  }

  function sendWrite(
    kind: WriteKind,
    query: Query,
    request: IncomingMessage,
    body: FakeObject,
    response: ServerResponse,
  ): void {
    const name = query.name ?? nameIn(body);
    const key = keyOf(query.resource, query.namespace, name);
    const before = objects.get(key);
    const isApply = request.headers["content-type"]?.includes("apply-patch") === true;
    const refusal = refusalOf(kind, isApply, before, body);
    if (refusal !== undefined) {
      sendStatus(response, ...refusal);
      return;
    }
    if (kind === "delete") {
      record(query.resource, key, undefined);
      sendJson(response, 200, { kind: "Status", status: "Success", metadata: {} });
      return;
    }
    const manager = query.parameters.get("fieldManager") ?? request.headers["user-agent"] ?? "unknown";
    const ownership = ownerships.get(key) ?? createOwnership();
    if (isApply && query.parameters.get("force") !== "true" && before !== undefined) {
      const others = conflicts(ownership, manager, before, body);
      if (others.length > 0) {
        sendStatus(response, 409, `Apply failed with ${others.length} conflicts: ${others.join(", ")}`);
        return;
      }
    }
    const next = isApply
      ? apply(ownership, manager, before, body)
      : kind === "patch"
        ? (mergePatch(before, body) as FakeObject)
        : body;
    if (!isApply) written(ownership, manager, before, next);
    if (before !== undefined && changesWhatCannot(before, next)) {
      sendStatus(response, 422, `${query.resource} "${name}" is invalid: field is immutable`);
      return;
    }
    ownerships.set(key, ownership);
    const placed = query.namespace === undefined ? {} : { namespace: query.namespace };
    const managedFields = [...ownership.keys()].map((owner) => ({ manager: owner }));
    record(query.resource, key, {
      ...next,
      metadata: { ...next.metadata, ...placed, name, managedFields },
    });
    sendJson(response, before === undefined ? 201 : 200, objects.get(key));
  }

  /** What a write meets before anything of it is looked at. */
  function refusalOf(
    kind: WriteKind,
    isApply: boolean,
    before: FakeObject | undefined,
    body: FakeObject | undefined,
  ): [code: number, message: string] | undefined {
    if (kind === "create") return before === undefined ? undefined : [409, "already exists"];
    const preconditions = kind === "delete" ? body?.["preconditions"] : body?.metadata;
    const { uid, resourceVersion } = (preconditions ?? {}) as { uid?: string; resourceVersion?: string };
    if (before === undefined) {
      if (!isApply) return [404, "not found"];
      return uid === undefined ? undefined : [409, "uid mismatch: no existing object was found"];
    }
    const { metadata } = before;
    const fits =
      (uid === undefined || uid === metadata["uid"]) &&
      (resourceVersion === undefined || resourceVersion === metadata["resourceVersion"]);
    return fits ? undefined : [409, "the object has been modified"];
  }

  function sendGet(query: Query, response: ServerResponse): void {
    const object = objects.get(keyOf(query.resource, query.namespace, query.name ?? ""));
    if (object === undefined) sendStatus(response, 404, `${query.resource} "${query.name ?? ""}" not found`);
    else sendJson(response, 200, shown(object, query.partial));
  }

  function listOf(query: Query): unknown {
    const token = query.parameters.get("continue");
    const { from, at } =
      token === null
        ? { from: 0, at: version }
        : (JSON.parse(Buffer.from(token, "base64url").toString()) as { from: number; at: number });
    if (at < compactedTo) return gone("The provided continue parameter is too old");
    const all = [...objects.entries()]
      .filter(([key, object]) => key.startsWith(`${query.resource}/`) && selects(query, object))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, object]) => shown(object, query.partial));
    const limit = Number(query.parameters.get("limit") ?? all.length);
    const more = from + limit < all.length;
    const next = more ? Buffer.from(JSON.stringify({ from: from + limit, at })).toString("base64url") : "";
    return {
      kind: query.partial ? "PartialObjectMetadataList" : "List",
      apiVersion: query.partial ? "meta.k8s.io/v1" : "v1",
      metadata: { resourceVersion: String(at), ...(more ? { continue: next } : {}) },
      items: all.slice(from, from + limit),
    };
  }

  function openWatch(query: Query, token: string | undefined, response: ServerResponse): void {
    const from = Number(query.parameters.get("resourceVersion") ?? version);
    response.writeHead(200, { "content-type": "application/json", "transfer-encoding": "chunked" });
    response.flushHeaders();
    if (from < compactedTo) {
      response.end(lineOf("ERROR", gone("too old resource version")));
      return;
    }
    const watch: OpenWatch = { query, response, token, isMute: false };
    for (const change of history) if (change.version > from) tell(watch, change);
    if (switches.endAtOnce) {
      response.end();
      return;
    }
    watches.add(watch);
    const seconds = Number(query.parameters.get("timeoutSeconds") ?? "3600");
    const timer = setTimeout(() => {
      if (!watch.isMute) response.end();
    }, seconds * 1000);
    response.on("close", () => {
      clearTimeout(timer);
      watches.delete(watch);
    });
  }

  function record(resource: string, key: string, after: FakeObject | undefined): void {
    version += 1;
    const before = objects.get(key);
    const stamped = after && {
      ...after,
      metadata: {
        managedFields: [{ manager: "fake" }],
        ...after.metadata,
        uid: before?.metadata["uid"] ?? `uid-${version}`,
        resourceVersion: String(version),
      },
    };
    if (stamped) objects.set(key, stamped);
    else {
      objects.delete(key);
      ownerships.delete(key);
    }
    const change = { version, resource, before, after: stamped };
    history.push(change);
    for (const watch of watches) tell(watch, change);
  }

  /** What comes into or leaves the selection is told as ADDED and DELETED, as a real API server does. */
  function tell(watch: OpenWatch, { version: at, resource, before, after }: Change): void {
    const { query, response } = watch;
    if (switches.silent || watch.isMute || resource !== query.resource) return;
    const was = before !== undefined && selects(query, before);
    const is = after !== undefined && selects(query, after);
    if (is) response.write(lineOf(was ? "MODIFIED" : "ADDED", shown(after, query.partial)));
    else if (was) {
      const last = { ...before, metadata: { ...before.metadata, resourceVersion: String(at) } };
      response.write(lineOf("DELETED", shown(last, query.partial)));
    }
  }

  return {
    url: `${options.tls ? "https" : "http"}://127.0.0.1:${port}`,
    requests,
    switches,
    put(resource, object) {
      const key = keyOf(resource, object.metadata.namespace, object.metadata.name);
      const ownership = ownerships.get(key) ?? createOwnership();
      written(ownership, "fake", objects.get(key), object);
      ownerships.set(key, ownership);
      record(resource, key, object);
    },
    get: (resource, name, namespace) => objects.get(keyOf(resource, namespace, name)),
    objects: (resource) =>
      [...objects].filter(([key]) => key.startsWith(`${resource}/`)).map(([, object]) => object),
    remove(resource, name, namespace) {
      record(resource, keyOf(resource, namespace, name), undefined);
    },
    compact() {
      compactedTo = version + 1;
      version += 1;
      history.length = 0;
    },
    bookmark() {
      version += 1;
      for (const { response } of watches) {
        const metadata = { resourceVersion: String(version), creationTimestamp: null };
        response.write(lineOf("BOOKMARK", { kind: "Bookmark", apiVersion: "v1", metadata }));
      }
    },
    openWatches: () => watches.size,
    endWatches(how, token) {
      for (const { response, token: bearer } of [...watches]) {
        if (token !== undefined && token !== bearer) continue;
        if (how === "ended") response.end();
        else response.destroy();
      }
    },
    muteWatches(token) {
      for (const watch of watches) if (token === undefined || token === watch.token) watch.isMute = true;
    },
    writeRaw(text) {
      for (const { response } of watches) response.write(text);
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function bearerOf({ headers }: IncomingMessage): string | undefined {
  return /^Bearer (.*)$/.exec(headers.authorization ?? "")?.[1];
}

function queryOf(url: URL, accept: string): Query | undefined {
  const path =
    /^\/(?:api|apis\/[^/]+)\/[^/]+\/(?:namespaces\/(?<namespace>[^/]+)\/(?=[^/]))?(?<resource>[^/]+)(?:\/(?<name>[^/]+))?$/;
  const groups = path.exec(url.pathname)?.groups;
  if (groups === undefined) return undefined;
  return {
    resource: groups["resource"] ?? "",
    namespace: groups["namespace"],
    name: groups["name"] && decodeURIComponent(groups["name"]),
    parameters: url.searchParams,
    partial: accept.includes("as=PartialObjectMetadata"),
  };
}

function kindOf(method: string, query: Query | undefined): RecordedRequest["kind"] {
  if (query === undefined) return "other";
  const isOne = query.name !== undefined;
  if (method === "GET" && isOne) return "get";
  if (method === "GET") return query.parameters.has("watch") ? "watch" : "list";
  if (method === "POST" && !isOne) return "create";
  if (!isOne) return "other";
  return ({ PUT: "update", PATCH: "patch", DELETE: "delete" } as const)[method] ?? "other";
}

type WriteKind = "create" | "update" | "patch" | "delete";

let generated = 0;

function nameIn({ metadata }: FakeObject): string {
  generated += 1;
  return (metadata as { name?: string }).name ?? `${String(metadata["generateName"])}${generated}`;
}

/** Of Secrets: the type always, and everything that they hold once they are immutable. */
function changesWhatCannot(before: FakeObject, next: FakeObject): boolean {
  if (before["type"] !== undefined && next["type"] !== before["type"]) return true;
  return before["immutable"] === true && !isDeepStrictEqual(before["data"], next["data"]);
}

function keyOf(resource: string, namespace: string | undefined, name: string): string {
  return `${resource}/${namespace ?? ""}/${name}`;
}

function selects({ namespace, parameters }: Query, object: FakeObject): boolean {
  if (namespace !== undefined && object.metadata.namespace !== namespace) return false;
  const labels = object.metadata.labels ?? {};
  const fields: Record<string, unknown> = {
    "metadata.name": object.metadata.name,
    "metadata.namespace": object.metadata.namespace,
    type: object["type"],
  };
  return (
    matches(parameters.get("labelSelector"), (key) => labels[key]) &&
    matches(parameters.get("fieldSelector"), (key) => fields[key])
  );
}

/** `a=b`, `a!=b`, `a` and `!a`, separated by commas. */
function matches(selector: string | null, valueOf: (key: string) => unknown): boolean {
  return (selector ?? "")
    .split(",")
    .filter((term) => term !== "")
    .every((term) => {
      const [key = "", value] = term.split(/!?==?/, 2);
      if (value === undefined) {
        return key.startsWith("!") ? valueOf(key.slice(1)) === undefined : valueOf(key) !== undefined;
      }
      return term.includes("!=") ? valueOf(key) !== value : valueOf(key) === value;
    });
}

function shown(object: FakeObject, partial: boolean): unknown {
  if (!partial) return object;
  return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: object.metadata };
}

function lineOf(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function gone(message: string): unknown {
  return status(410, `Gone: ${message}`);
}

function status(code: number, message: string): Record<string, unknown> {
  return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Failure", message, code };
}

function sendJson(response: ServerResponse, statusCode: number, body: unknown): void {
  const code = isStatus(body) ? body.code : statusCode;
  response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body));
}

function isStatus(body: unknown): body is { readonly code: number } {
  return typeof body === "object" && body !== null && "code" in body && typeof body.code === "number";
}

function sendStatus(response: ServerResponse, code: number, message: string): void {
  sendJson(response, code, status(code, message));
}

function sendFailure(response: ServerResponse, failure: Failure): void {
  const body =
    failure.body ?? JSON.stringify(status(failure.status, `as the test ordered: ${failure.status}`));
  response.writeHead(failure.status, { "content-type": "application/json", ...failure.headers }).end(body);
}
