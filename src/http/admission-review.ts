// AdmissionReview v1, in and out: the only file that knows its JSON.
// Source: k8s.io/api/admission/v1 types.go, and apiserver's pkg/admission/plugin/webhook/request.

import { isObject, type JsonObject } from "../domain/json.ts";
import { isUtf8 } from "node:buffer";
import { type PatchOperation } from "../domain/pod-spec.ts";

export interface Review {
  readonly uid: string;
  readonly operation: "CREATE" | "UPDATE" | "DELETE" | "CONNECT";
  /** `<group>/<Kind>`, as pod-spec.ts names kinds. */
  readonly kind: string;
  /** `<group>/<resource>`, with `/<subresource>` where there is one. */
  readonly resource: string;
  readonly subResource: string;
  /** Empty for what belongs to no namespace. */
  readonly namespace: string;
  /** May be empty: `generateName`. */
  readonly name: string;
  readonly username: string;
  readonly userInfo: JsonObject;
  readonly dryRun: boolean;
  /** Null on DELETE. */
  readonly object: JsonObject | null;
  /** Null on CREATE. */
  readonly oldObject: JsonObject | null;
}

export type DecodedReview =
  | { readonly kind: "review"; readonly review: Review }
  /** It is a review and can be answered, but what it says is not what a review says: refused. */
  | { readonly kind: "odd"; readonly uid: string; readonly problem: string }
  /** Nothing that can be answered as a review: HTTP 400. */
  | { readonly kind: "undecodable"; readonly problem: string };

export function decodeReview(body: Buffer): DecodedReview {
  if (body.length === 0) return undecodable("the body is empty");
  if (!isUtf8(body)) return undecodable("the body is not UTF-8");
  let json: unknown;
  try {
    json = JSON.parse(body.toString("utf8"));
  } catch {
    return undecodable("the body is not JSON");
  }
  if (!isObject(json) || json["kind"] !== "AdmissionReview")
    return undecodable("the body is no AdmissionReview");
  if (json["apiVersion"] !== "admission.k8s.io/v1") {
    return undecodable("only AdmissionReview of admission.k8s.io/v1 is answered");
  }
  const { request } = json;
  if (!isObject(request)) return undecodable("the AdmissionReview has no request");
  const { uid } = request;
  // The API server checks that the answer's uid is the request's, so without one there is no answer.
  if (typeof uid !== "string" || uid === "") return undecodable("the request has no uid");
  if (uid.length > maxUidLength) return undecodable("the request's uid is too long");
  return decodeRequest(uid, request);
}

/** A uid is a UUID of 36 characters; the bound keeps an answer from being made as long as a body. */
const maxUidLength = 256;

/**
 * Names of Kubernetes have at most 253 characters; a user's has no bound there, and none in use comes near this one.
 * These texts go into logs and messages, which nobody is to fill.
 */
const maxTextLength = 4_096;

const operations: ReadonlySet<string> = new Set(["CREATE", "UPDATE", "DELETE", "CONNECT"]);

function decodeRequest(uid: string, request: JsonObject): DecodedReview {
  const { operation, kind, resource, object, oldObject, userInfo } = request;
  const odd = (problem: string): DecodedReview => ({ kind: "odd", uid, problem });
  if (!isOperation(operation)) return odd("request.operation: expected CREATE, UPDATE, DELETE or CONNECT");
  if (!isObject(kind)) return odd("request.kind: expected an object");
  if (!isObject(resource)) return odd("request.resource: expected an object");
  if (!isObjectOrAbsent(object)) return odd("request.object: expected an object");
  if (!isObjectOrAbsent(oldObject)) return odd("request.oldObject: expected an object");
  const user = isObject(userInfo) ? userInfo : {};
  const { subResource, namespace, name } = request;
  const problem =
    textProblem("kindGroup", kind["group"]) ??
    textProblem("kindName", kind["kind"]) ??
    textProblem("group", resource["group"]) ??
    textProblem("resource", resource["resource"]) ??
    textProblem("subResource", subResource) ??
    textProblem("namespace", namespace) ??
    textProblem("name", name) ??
    textProblem("username", user["username"]);
  if (problem !== undefined) return odd(problem);
  return {
    kind: "review",
    review: {
      uid,
      operation,
      kind: `${textOf(kind["group"])}/${textOf(kind["kind"])}`,
      resource: `${textOf(resource["group"])}/${textOf(resource["resource"])}`,
      subResource: textOf(subResource),
      namespace: textOf(namespace),
      name: textOf(name),
      username: textOf(user["username"]),
      userInfo: user,
      // Anything but a plain false is taken for a dry run: it may then have no side effects.
      dryRun: request["dryRun"] !== undefined && request["dryRun"] !== null && request["dryRun"] !== false,
      object: object ?? null,
      oldObject: oldObject ?? null,
    },
  };
}

/** Absent and null are texts too: empty ones. */
function textProblem(name: string, value: unknown): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "string") return `request: expected text for ${name}`;
  if (value.length <= maxTextLength) return undefined;
  return `request: expected at most ${String(maxTextLength)} characters for ${name}`;
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

function isOperation(value: unknown): value is Review["operation"] {
  return typeof value === "string" && operations.has(value);
}

function isObjectOrAbsent(value: unknown): value is JsonObject | null | undefined {
  return value === undefined || value === null || isObject(value);
}

function undecodable(problem: string): DecodedReview {
  return { kind: "undecodable", problem };
}

export interface AuditAnnotations {
  readonly verdict: string;
  /** Each code once, joined by commas. */
  readonly reasons: string;
  readonly workspace: string;
  /** Generation of the snapshot. */
  readonly snapshot: string;
}

export interface Answer {
  readonly uid: string;
  readonly allowed: boolean;
  /** Only where not allowed. */
  readonly message?: string;
  readonly patch?: readonly PatchOperation[];
  readonly warnings?: readonly string[];
  readonly auditAnnotations?: AuditAnnotations;
}

/** The answer as JSON. A denial is HTTP 200 too: any other status is a failed call for the API server. */
export function encodeAnswer(answer: Answer): string {
  let response = `{"uid":${JSON.stringify(answer.uid)},"allowed":${answer.allowed ? "true" : "false"}`;
  if (!answer.allowed) {
    const message = JSON.stringify(answer.message ?? "");
    response += `,"status":{"code":403,"reason":"Forbidden","message":${message}}`;
  }
  if (answer.patch !== undefined && answer.patch.length > 0) {
    const patch = Buffer.from(JSON.stringify(answer.patch)).toString("base64");
    response += `,"patchType":"JSONPatch","patch":"${patch}"`;
  }
  if (answer.warnings !== undefined && answer.warnings.length > 0) {
    response += `,"warnings":${JSON.stringify(answer.warnings)}`;
  }
  if (answer.auditAnnotations !== undefined) {
    response += `,"auditAnnotations":${JSON.stringify(answer.auditAnnotations)}`;
  }
  return `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":${response}}}`;
}

/** Longest warning that every client shows whole (API server and kubectl documentation: 120 characters). */
const maxWarningLength = 120;
/** The API server cuts all warnings to 256 once they exceed 4096 characters together; half of that is ours. */
const maxWarningsLength = 2_048;

/**
 * Texts as warnings within the API server's limits: one line each, ASCII, at most {@link maxWarningLength} long.
 * A longer text goes on in the next warning; what does not fit at all is counted in the last one.
 */
export function asWarnings(texts: readonly string[]): readonly string[] {
  const warnings: string[] = [];
  let length = 0;
  for (const [index, text] of texts.entries()) {
    for (const part of text.split("\n").flatMap((line) => wrap(line, maxWarningLength))) {
      if (length + part.length > maxWarningsLength) {
        return [...warnings, `(${String(texts.length - index)} more not shown)`];
      }
      warnings.push(part);
      length += part.length;
    }
  }
  return warnings;
}

function wrap(line: string, width: number): readonly string[] {
  const parts: string[] = [];
  let rest = line;
  while (rest.length > width) {
    const blank = rest.lastIndexOf(" ", width);
    const end = blank > width / 2 ? blank : width;
    parts.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return rest === "" ? parts : [...parts, rest];
}
