// The people's API as an OpenAPI document, made from the very table by which it answers.

import { z } from "zod";
import * as shapes from "./people-shapes.ts";

export const apiPrefix = "/api/v1";

/** What a route is, for whoever calls it. */
export interface RouteSpec {
  readonly method: "get" | "post";
  /** Below {@link apiPrefix}, with `{namespace}` for the one parameter that paths have. */
  readonly path: string;
  readonly summary: string;
  /** Who may ask: anybody, one who is signed in, one who may create Pods in the namespace, one who sees the platform. */
  readonly asks: "anybody" | "caller" | "namespace" | "platform";
  readonly query: z.ZodObject;
  /** Takes text in its body: manifests, in YAML or JSON. */
  readonly takesManifests: boolean;
  readonly answer: z.ZodType;
}

export function openApiDocument(routes: readonly RouteSpec[], version: string): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = `${apiPrefix}${route.path}`;
    paths[path] = { ...paths[path], [route.method]: operationOf(route) };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Berth: which images may a namespace run",
      version,
      description:
        "Answers come from the same decision as admission. Somebody without the right to create Pods in a namespace " +
        "gets the same answer for it as for one that does not exist.",
    },
    paths,
    components: {
      schemas: Object.fromEntries([...named()].map(([schema, name]) => [name, jsonSchema(schema)])),
      securitySchemes: { token: { type: "http", scheme: "bearer", description: "a Kubernetes token" } },
    },
  };
}

/** Names of the schemas that answers are made of: those under which people-shapes.ts exports them. */
function named(): ReadonlyMap<z.ZodType, string> {
  const entries: readonly (readonly [string, unknown])[] = Object.entries(shapes);
  return new Map(
    entries.flatMap(([name, schema]) => (schema instanceof z.ZodType ? [[schema, name] as const] : [])),
  );
}

/** `input` as somebody sends it, `output` as it is answered. */
function jsonSchema(schema: z.ZodType, io: "input" | "output" = "output"): unknown {
  const whole: Record<string, unknown> = z.toJSONSchema(schema, { target: "draft-2020-12", io });
  // The document says it once for all of them.
  return Object.fromEntries(Object.entries(whole).filter(([key]) => key !== "$schema"));
}

function operationOf(route: RouteSpec): unknown {
  const inPath = [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => ({
    name,
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const inQuery = Object.entries(route.query.shape as Readonly<Record<string, z.ZodType>>).map(
    ([name, schema]) => ({
      name,
      in: "query",
      required: !schema.safeParse(undefined).success,
      ...(schema.description === undefined ? {} : { description: schema.description }),
      schema: jsonSchema(schema, "input"),
    }),
  );
  const name = named().get(route.answer);
  const answer = name === undefined ? jsonSchema(route.answer) : { $ref: `#/components/schemas/${name}` };
  return {
    operationId: operationId(route),
    summary: route.summary,
    ...(route.asks === "anybody" ? {} : { security: [{ token: [] }] }),
    parameters: [...inPath, ...inQuery],
    ...(route.takesManifests
      ? { requestBody: { required: true, content: { "application/yaml": { schema: { type: "string" } } } } }
      : {}),
    responses: {
      "200": { description: "the answer", content: { "application/json": { schema: answer } } },
      default: {
        description: "why there is none",
        content: { "application/problem+json": { schema: { $ref: "#/components/schemas/problem" } } },
      },
    },
  };
}

/** `GET /namespaces/{namespace}/spaces` → `getNamespacesNamespaceSpaces`. */
function operationId({ method, path }: RouteSpec): string {
  const words = path.split(/[^A-Za-z0-9]+/).filter((word) => word !== "");
  return method + words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join("");
}
