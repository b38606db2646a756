// A stand-in Harbor with many spaces, in a process of its own so that its work is not counted as Berth's.

import { startStandInHarbor } from "../src/demo/stand-in-harbor.ts";

const [spaces = "0", password = ""] = process.argv.slice(2);
const harbor = await startStandInHarbor({
  adminPassword: password,
  projects: Array.from({ length: Number(spaces) }, (_, index) => ({
    name: `space-${String(index)}`,
    visibility: index % 10 === 0 ? "public" : "private",
  })),
});
process.stderr.write(`listening on ${harbor.url}\n`);
