// What the leader publishes beside the catalogues, as text: the last good policy, what was withdrawn within the hour,
// and which spaces bindings and declarations mean. Where the text is kept is not known here.
//
//   { "format": 1, "texts": [{ configMap, key, text, yields }], "withdrawn": [{ configMap, key, text, withdrawnAt }],
//     "pins": [[key, id]], "ownSpaces": [[key, id]] }
//
// Keys that this release does not know are passed over, so that a later one can add some and still be read here.

import { z } from "zod";
import { parsedJson } from "./json.ts";
import type { LastGoodText } from "./policies.ts";
import type { WithdrawnDocument } from "./withdrawal.ts";

export const publishedPolicyName = "berth-last-good-policy";

export interface PublishedPolicy {
  readonly texts: readonly LastGoodText[];
  readonly withdrawn: readonly WithdrawnDocument[];
  /** As in a snapshot. */
  readonly pins: ReadonlyMap<string, number>;
  /** As in a snapshot. */
  readonly ownSpaces: ReadonlyMap<string, number>;
}

export type PublishedPolicyReading =
  | { readonly kind: "read"; readonly published: PublishedPolicy }
  /** In words. Whoever asked goes on as if nothing were published. */
  | { readonly kind: "unreadable"; readonly problem: string };

/**
 * Sixteen ConfigMaps of the largest size there is, which is more text than a policy of half a million words, the
 * parser's bound for a document, and the pins of a hundred thousand bindings together.
 */
export const maxPublishedPolicyLength = 16 * 1024 * 1024;

/** The same values give the same text, in whatever order they were found. */
export function encodePublishedPolicy({ texts, withdrawn, pins, ownSpaces }: PublishedPolicy): string {
  return JSON.stringify({
    format: 1,
    texts: texts.map(({ configMap, key, text, yields }) => ({ configMap, key, text, yields })),
    withdrawn: withdrawn.map(({ configMap, key, text, withdrawnAt }) => ({
      configMap,
      key,
      text,
      withdrawnAt,
    })),
    pins: inOrder(pins),
    ownSpaces: inOrder(ownSpaces),
  });
}

function inOrder(ids: ReadonlyMap<string, number>): readonly (readonly [string, number])[] {
  return [...ids].sort(([a], [b]) => (a < b ? -1 : 1));
}

/** 0 is a space that is about to be made, and has no id yet. */
const ids = z.array(z.tuple([z.string(), z.int().min(0)])).transform((pairs) => new Map(pairs));
const schema = z.object({
  format: z.literal(1),
  texts: z.array(z.object({ configMap: z.string(), key: z.string(), text: z.string(), yields: z.boolean() })),
  withdrawn: z.array(
    z.object({ configMap: z.string(), key: z.string(), text: z.string(), withdrawnAt: z.number() }),
  ),
  pins: ids,
  ownSpaces: ids,
});

/** Never throws, whatever the text. */
export function decodePublishedPolicy(text: string): PublishedPolicyReading {
  if (text.length > maxPublishedPolicyLength) {
    return unreadable(`expected at most ${maxPublishedPolicyLength} characters, found ${text.length}`);
  }
  const written = parsedJson(text);
  if (written === undefined) return unreadable("it is no JSON");
  const parsed = schema.safeParse(written);
  if (!parsed.success) return unreadable(faultOf(parsed.error));
  const { texts, withdrawn, pins, ownSpaces } = parsed.data;
  return { kind: "read", published: { texts, withdrawn, pins, ownSpaces } };
}

function unreadable(problem: string): PublishedPolicyReading {
  return { kind: "unreadable", problem };
}

/** Where it is wrong, without a word of what is there: texts of a policy are not for logs. */
function faultOf({ issues: [issue] }: z.ZodError): string {
  const path = issue?.path.join(".") ?? "";
  return `expected another value at ${path === "" ? "its top" : path}`;
}
