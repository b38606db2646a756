// Validates policy documents as the running process does, with the same words. A file is a policy document by
// itself, or manifests of policy ConfigMaps, which are also held against each other.

import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { parsePolicy, validatePolicyDocument } from "../domain/policies.ts";
import { formatProblem } from "../domain/policy-problem.ts";
import type { PolicyConfigMap, PolicyProblem, TextOrigin } from "../domain/policy.ts";
import { listManifestFiles } from "../files/manifest-files.ts";
import { manifestProblemLine, parseManifestBytes, type ManifestObject } from "../files/manifests.ts";
import { exitCodes, type Terminal } from "./terminal.ts";

interface PolicyFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

export async function checkPolicy(paths: readonly string[], terminal: Terminal): Promise<number> {
  const files = (await Promise.all(paths.map((path) => readFiles(path, terminal)))).flat();
  const read = files.map(readPolicyFile);
  const configMaps = read.flatMap(({ configMaps }) => configMaps);
  const problems = [
    ...read.flatMap(({ problems }) => problems),
    ...parsePolicy(undefined, configMaps).policy.problems,
  ];
  const unreadable = read.flatMap(({ unreadable }) => unreadable);
  const documents = read.reduce((sum, each) => sum + each.documents, 0);

  for (const line of unreadable) terminal.err(`${line}\n`);
  for (const problem of problems) terminal.out(`${formatProblem(problem)}\n`);
  const errors = problems.filter(({ severity }) => severity === "error").length;
  const warnings = problems.length - errors;
  terminal.out(`${String(documents)} documents, ${String(errors)} errors, ${String(warnings)} warnings\n`);
  if (unreadable.length > 0 || documents === 0) return exitCodes.couldNotJudge;
  return errors > 0 ? exitCodes.refused : exitCodes.allowed;
}

/** Throws when a file cannot be read: then nothing can be told. */
async function readFiles(path: string, terminal: Terminal): Promise<readonly PolicyFile[]> {
  if (path === "-") return [{ name: "standard input", bytes: await terminal.readInput() }];
  if (!(await stat(path)).isDirectory()) return [{ name: path, bytes: await readFile(path) }];
  const { files } = await listManifestFiles(path);
  return Promise.all(
    files.map(async (file) => ({
      name: join(path, file.path),
      bytes: await readFile(join(path, file.path)),
    })),
  );
}

interface PolicyFileReading {
  readonly documents: number;
  readonly configMaps: readonly PolicyConfigMap[];
  readonly problems: readonly PolicyProblem[];
  readonly unreadable: readonly string[];
}

/**
 * A policy document has neither. What has one is a manifest, even where it cannot be read: of those no content is
 * quoted, since a Secret may be among them.
 */
const manifestKey = /(?:^|[{,])[ \t]*["']?(?:apiVersion|kind)["']?[ \t]*:/m;

function readPolicyFile({ name, bytes }: PolicyFile): PolicyFileReading {
  const { objects, problems } = parseManifestBytes(bytes, name);
  const text = new TextDecoder("utf-8").decode(bytes);
  if (objects.length > 0 || (problems.length > 0 && manifestKey.test(text))) {
    const configMaps = objects.flatMap(policyConfigMapOf);
    const documents = configMaps.flatMap(({ data }) =>
      Object.keys(data).filter((key) => key.endsWith(".yaml")),
    );
    return {
      documents: documents.length,
      configMaps,
      problems: [],
      unreadable: problems.map(manifestProblemLine),
    };
  }
  // No Kubernetes object: a policy document by itself, whose own parser says it better when it is broken.
  const source = { configMap: null, key: null, file: name };
  return { documents: 1, configMaps: [], problems: validatePolicyDocument(text, source), unreadable: [] };
}

/** In whatever namespace it is: that is settled where it is applied. */
function policyConfigMapOf({ value, file, textOriginOf }: ManifestObject): readonly PolicyConfigMap[] {
  if (value.apiVersion !== "v1" || value.kind !== "ConfigMap") return [];
  const metadata = value["metadata"] as
    { name?: unknown; labels?: Record<string, unknown> } | null | undefined;
  if (metadata?.labels?.["berth.io/policy"] !== "true") return [];
  const data: Record<string, string> = {};
  const positions: Record<string, TextOrigin> = {};
  for (const [key, text] of Object.entries((value["data"] ?? {}) as Record<string, unknown>)) {
    if (typeof text !== "string") continue;
    data[key] = text;
    const origin = textOriginOf(["data", key]);
    if (origin !== null) positions[key] = origin;
  }
  return [{ name: String(metadata.name), data, origin: { file, positions } }];
}
