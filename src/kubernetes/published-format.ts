// How a published value lies in ConfigMaps. One, the head, has the value's name and holds
//   data        format      "1"; readers leave another alone
//               facts       JSON, an object of texts
//               digest      SHA-256 of the text
//               generation  what these parts and no others are called
//               parts       their number, the one in the head included
//   binaryData  part        the first part of the text, gzip-compressed and cut
// and each further part is the `part` of a ConfigMap called `<name>.<generation>.<index>`. Names of values have no
// dots, so no two parts of any values have one name. A generation is called after the bytes of its parts: no two
// writers ever put different bytes under one name, and what somebody edited shows.

import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { sha256 } from "../digest.ts";
import { isObject, parsedJson } from "../domain/json.ts";
import { textRecord } from "./kube-object.ts";

export interface Head {
  readonly facts: Readonly<Record<string, string>>;
  readonly digest: string;
  readonly generation: string;
  readonly parts: number;
}

export interface Packed {
  readonly generation: string;
  /** In base64; at least one. */
  readonly parts: readonly string[];
}

/** Half of what a ConfigMap may hold, and in base64 less than half of etcd's limit for a request. */
export const defaultPartBytes = 512 * 2 ** 10;

/**
 * A Harbor with 100,000 projects, ten times the largest that is known of, is 15 MB of JSON; a policy of a hundred
 * ConfigMaps as full as they can be is 100 MiB, but nobody reads such a one. Held once for each value.
 */
const maxTextBytes = 64 * 2 ** 20;

/** 32 MiB compressed: 64th part of etcd's default quota, and JSON is compressed to a tenth. */
const maxParts = 64;

/** Facts are a handful of short texts; beside a part they must fit in the ConfigMap's 1 MiB. */
const maxFactsBytes = 64 * 2 ** 10;

const format = "1";

export async function pack(text: string, maxPartBytes: number): Promise<Packed> {
  const bytes = Buffer.byteLength(text);
  if (bytes > maxTextBytes) throw new Error(`expected at most ${maxTextBytes} bytes, got ${bytes}`);
  const packed = await promisify(gzip)(text);
  const count = Math.ceil(packed.length / maxPartBytes);
  if (count > maxParts) throw new Error(`expected at most ${maxParts} parts, got ${count}`);
  const parts = Array.from({ length: count }, (_, index) =>
    packed.subarray(index * maxPartBytes, (index + 1) * maxPartBytes).toString("base64"),
  );
  return { generation: generationOf(parts), parts };
}

/** Throws unless it is the text that the digest stands for. */
export async function unpack(parts: readonly string[], digest: string): Promise<string> {
  const packed = Buffer.concat(parts.map((part) => Buffer.from(part, "base64")));
  const text = (await promisify(gunzip)(packed, { maxOutputLength: maxTextBytes })).toString("utf8");
  if (sha256(text) !== digest) throw new Error("the text is not the one that its digest stands for");
  return text;
}

export function generationOf(parts: readonly string[]): string {
  return sha256(parts.join(".")).slice(0, 16);
}

export function headData({ facts, digest, generation, parts }: Head): Readonly<Record<string, string>> {
  return { format, ...factsData(facts), digest, generation, parts: String(parts) };
}

/** The part of the data that changes with the facts alone. */
export function factsData(facts: Readonly<Record<string, string>>): { readonly facts: string } {
  const text = JSON.stringify(facts);
  const bytes = Buffer.byteLength(text);
  if (bytes > maxFactsBytes)
    throw new Error(`expected at most ${maxFactsBytes} bytes of facts, got ${bytes}`);
  return { facts: text };
}

/** The head, or why it is none. */
export function parseHead(data: Readonly<Record<string, string>>): Head | string {
  const { digest = "", generation = "" } = data;
  if (data["format"] !== format) return `expected format ${format}, got ${String(data["format"])}`;
  const parts = Number(data["parts"]);
  if (!Number.isInteger(parts) || parts < 1 || parts > maxParts) {
    return `expected 1 to ${maxParts} parts, got ${String(data["parts"])}`;
  }
  const facts = parsedFacts(data["facts"] ?? "");
  if (facts === undefined) return "expected facts as a JSON object";
  return { facts, digest, generation, parts };
}

function parsedFacts(text: string): Readonly<Record<string, string>> | undefined {
  const parsed = parsedJson(text);
  return isObject(parsed) ? textRecord(parsed) : undefined;
}

export function isHeadName(name: string): boolean {
  // Leaves room for what is added to the names of parts within the 253 characters of an object's name.
  return /^[a-z0-9](?:[-a-z0-9]{0,198}[a-z0-9])?$/.test(name);
}

export function partName(name: string, generation: string, index: number): string {
  return `${name}.${generation}.${index}`;
}

export function isPartOf(name: string, other: string): boolean {
  return other.startsWith(`${name}.`);
}
