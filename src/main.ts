#!/usr/bin/env node
// Which command; nothing else.

import { runProgram } from "./commands/program.ts";

process.exitCode = await runProgram(process.argv.slice(2));
