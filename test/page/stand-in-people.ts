// A stand-in for the people's API behind the real server of the page: it answers from a world that a test may change,
// held to the shapes, and can be made slow, to fail, or to ask for a token.

import express from "express";
import type { z } from "zod";
import { selfSigned } from "../../src/certificates/self-signed.ts";
import { createPageFiles } from "../../src/http/page-files.ts";
import { startPeopleServer } from "../../src/http/people-server.ts";
import * as shapes from "../../src/http/people-shapes.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";
import { startWorld, type World } from "./people-world.ts";

export interface Asked {
  readonly method: string;
  /** Without the prefix, with the query as it was sent. */
  readonly url: string;
  readonly authorization: string | undefined;
  readonly body: string;
}

interface Failure {
  readonly status: number;
  readonly detail?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface StandInPeople {
  readonly url: string;
  readonly asked: Asked[];
  /** Questions whose asker went away before the answer. */
  readonly aborted: string[];
  world: World;
  /** A token that has to be sent, or none. */
  token: string | null;
  /** What an address of the API answers instead, as long as it is set. */
  readonly failing: Map<string, Failure>;
  /** Answers below these addresses wait until they are let go. */
  hold(path: string): () => void;
  reset(): void;
  stop(): Promise<void>;
}

export async function startStandInPeople(): Promise<StandInPeople> {
  const held = new Map<string, Promise<undefined>>();
  const { certificate, key } = await selfSigned(["localhost"], Date.now());
  const router = express.Router();
  router.use(express.text({ type: () => true, limit: "1mb" }));
  router.use((request, response) => {
    const { method, url, path } = request;
    const { authorization } = request.headers;
    const body = typeof request.body === "string" ? request.body : "";
    stand.asked.push({ method, url, authorization, body });
    response.once("close", () => {
      if (!response.writableFinished) stand.aborted.push(url);
    });
    const answer = (): void => {
      const failure = failureOf(path, authorization);
      if (failure !== undefined) return refuse(response, failure);
      const value = answerOf(stand.world, path, request.query as Readonly<Record<string, string>>);
      if (value === undefined) refuse(response, { status: 404, detail: "There is no such thing." });
      else response.json(value);
    };
    const wait = [...held].find(([prefix]) => path.startsWith(prefix))?.[1];
    if (wait === undefined) answer();
    else void wait.then(answer);
  });

  function failureOf(path: string, authorization: string | undefined): Failure | undefined {
    if (stand.token !== null && authorization !== `Bearer ${stand.token}`)
      return { status: 401, detail: "Sign in.", headers: { "www-authenticate": 'Bearer realm="berth"' } };
    return stand.failing.get(path);
  }

  const server = await startPeopleServer(
    { api: router, page: createPageFiles(), certificate: { certificate, key }, log: createRecordingLog() },
    { port: 0, host: "127.0.0.1" },
  );
  const stand: StandInPeople = {
    url: `https://localhost:${server.port}/`,
    asked: [],
    aborted: [],
    world: startWorld(),
    token: null,
    failing: new Map(),
    hold(path) {
      const { promise, resolve } = Promise.withResolvers<undefined>();
      held.set(path, promise);
      return () => {
        held.delete(path);
        resolve(undefined);
      };
    },
    reset() {
      stand.world = startWorld();
      stand.token = null;
      stand.failing.clear();
      held.clear();
      stand.asked.length = 0;
      stand.aborted.length = 0;
    },
    stop: () => server.stop(),
  };
  return stand;
}

function refuse(response: express.Response, { status, detail = "", headers = {} }: Failure): void {
  response.status(status).set(headers).type("application/problem+json");
  response.send(JSON.stringify({ type: "about:blank", title: "", status, detail }));
}

type Query = Readonly<Record<string, string>>;

function answerOf(world: World, path: string, query: Query): unknown {
  const namespaced = /^\/namespaces\/([^/]+)(\/.*)?$/.exec(path);
  if (namespaced !== null) return ofNamespace(world, namespaced[1] ?? "", namespaced[2] ?? "", query);
  switch (path) {
    case "/me":
      return held(shapes.identity, world.identity);
    case "/namespaces":
      return held(shapes.namespaceList, partOf(world.namespaces, query));
    case "/platform":
      return held(shapes.platformOverview, world.overview);
    case "/platform/registries":
      return held(shapes.platformRegistryList, { items: world.registries });
    case "/platform/spaces":
      return held(shapes.platformSpaceList, partOf(world.platformSpaces, query));
    case "/platform/workspaces": {
      const named = world.workspaces.map((item) => ({ ...item, name: item.workspace }));
      return held(shapes.platformWorkspaceList, partOf(named, query));
    }
    case "/platform/problems":
      return held(shapes.platformProblemList, { items: world.problems });
    default:
      return undefined;
  }
}

function ofNamespace(world: World, namespace: string, rest: string, query: Query): unknown {
  const known = world.namespaces.find(({ name }) => name === namespace);
  if (known === undefined) return undefined;
  switch (rest) {
    case "":
      return held(shapes.namespaceView, { ...world.view, ...known });
    case "/spaces": {
      const spaces = world.spaces.filter(
        ({ reason, visibility }) =>
          query["visibility"] === (reason === "workspace-registry" ? "private" : visibility),
      );
      return held(shapes.openSpaceList, partOf(spaces, query));
    }
    case "/repositories": {
      if (world.unlisted.includes(query["registry"] ?? ""))
        return held(shapes.repositoryList, { items: [], next: null, listing: "off", ...world.reading });
      const inSpace = world.repositories.filter(
        ({ registry, space }) => registry === query["registry"] && space === (query["space"] ?? null),
      );
      return held(shapes.repositoryList, { ...partOf(inSpace, query), listing: "listed", ...world.reading });
    }
    case "/tags":
      return held(shapes.tagList, { ...partOf(tagsOf(world, query), query), ...world.reading });
    case "/tag": {
      const tag = tagsOf(world, { ...query, detail: "yes" }).find(({ name }) => name === query["tag"]);
      return tag && held(shapes.tagDetail, { ...tag, ...world.reading });
    }
    case "/search": {
      const { q = "" } = query;
      const spaces = world.spaces.filter(({ name }) => name.includes(q));
      const repositories = world.repositories.filter(({ name }) => name.includes(q));
      const more = spaces.length > 50;
      return held(shapes.findings, { spaces: spaces.slice(0, 50), repositories, more, unread: world.unread });
    }
    case "/explanation":
      return held(shapes.explanation, world.explanation);
    case "/verdicts":
      return held(shapes.reports, world.reports);
    default:
      return undefined;
  }
}

/** As the API does, a Docker Registry's list has no digests, one tag has. */
function tagsOf(world: World, { registry = "", repository = "", detail }: Query): shapes.TagEntry[] {
  const host = world.view.registries.find(({ name }) => name === registry)?.host ?? "";
  const isBare = registry === "archive" && detail === undefined;
  return world.tags.map((tag) => ({
    ...tag,
    reference: `${host}/${repository}:${tag.name}`,
    ...(isBare
      ? { digest: null, referenceByDigest: null, sizeBytes: null, platforms: [], pushedAt: null }
      : { referenceByDigest: tag.digest && `${host}/${repository}@${tag.digest}` }),
  }));
}

function partOf<Item extends { readonly name: string }>(
  all: readonly Item[],
  { search = "", name: exact, after = "0", limit = "50" }: Query,
): { items: Item[]; next: string | null; total: number } {
  const found = all.filter(({ name }) => name.includes(search) && (exact ?? name) === name);
  const end = Number(after) + Number(limit);
  return {
    items: found.slice(Number(after), end),
    next: end < found.length ? String(end) : null,
    total: found.length,
  };
}

function held<Shape extends z.ZodType>(shape: Shape, value: z.input<Shape>): z.output<Shape> {
  return shape.parse(value);
}
