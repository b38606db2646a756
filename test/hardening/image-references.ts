// The inputs of the upstream parser's vectors, as raw material for random tests.

import { readFileSync } from "node:fs";
import { join } from "node:path";

const file = join(import.meta.dirname, "..", "fixtures", "image-references.json");
const { cases } = JSON.parse(readFileSync(file, "utf8")) as {
  readonly cases: readonly { readonly input: string }[];
};

export const imageReferences: readonly string[] = cases
  .map(({ input }) => input)
  .filter((input) => input !== "");
