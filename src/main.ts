#!/usr/bin/env node
// Which command; nothing else.

import { enableCompileCache } from "node:module";

// What was compiled once, and stripped of its types, need not be again: half of a short command's time. Where
// nothing can be written it does without.
enableCompileCache();
const { runProgram } = await import("./commands/program.ts");
process.exitCode = await runProgram(process.argv.slice(2));
