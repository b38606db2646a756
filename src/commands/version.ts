// Read, not imported: what is compiled lies one folder below the package's own file, as src does.

import { readFileSync } from "node:fs";

const packageFile = new URL("../../package.json", import.meta.url);

export const { version } = JSON.parse(readFileSync(packageFile, "utf8")) as { readonly version: string };
