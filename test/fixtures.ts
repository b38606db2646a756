// What was recorded from a real API server and a real Harbor, and what the upstream parser makes of references.

import type { JsonObject } from "../src/domain/json.ts";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "fixtures");

export interface RecordedReview {
  readonly kind: string;
  readonly apiVersion: string;
  readonly request: JsonObject & {
    readonly uid: string;
    readonly operation: string;
    readonly namespace: string;
    readonly kind: { readonly group: string; readonly version: string; readonly kind: string };
    readonly object: JsonObject | null;
    readonly oldObject: JsonObject | null;
  };
}

/** A review as a real kube-apiserver sent it, by the name of its file without ending. */
export function recordedReview(name: string): RecordedReview {
  const text = readFileSync(join(folder, "admission-reviews", `${name}.json`), "utf8");
  return JSON.parse(text) as RecordedReview;
}

export const recordedReviewNames: readonly string[] = readdirSync(join(folder, "admission-reviews")).map(
  (file) => file.replace(/\.json$/, ""),
);
