// Load from a process of its own: wrk where there is one, else autocannon.

import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Measured {
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Answers that were not HTTP 200, and connections that broke. */
  readonly errors: number;
}

export interface Load {
  readonly url: string;
  readonly body: string;
  readonly connections: number;
  readonly seconds: number;
  /** Where the load comes from. */
  readonly core: number;
}

const has = (command: string): boolean => spawnSync("sh", ["-c", `command -v ${command}`]).status === 0;

export const tool = has("wrk") ? "wrk" : "autocannon";
/** With two cores or more the server has the first to itself. */
const pinned = has("taskset");

/** A command line on one core of its own, where the system can do that. */
export function onCore(core: number, command: readonly string[]): readonly string[] {
  return pinned ? ["taskset", "-c", String(core), ...command] : command;
}

export function measure(load: Load): Promise<Measured> {
  return tool === "wrk" ? withWrk(load) : withAutocannon(load);
}

async function withWrk({ url, body, connections, seconds, core }: Load): Promise<Measured> {
  const script = join(mkdtempSync(join(tmpdir(), "berth-bench-")), "post.lua");
  writeFileSync(
    script,
    `wrk.method = "POST"\nwrk.headers["content-type"] = "application/json"\nwrk.body = ${luaText(body)}\n`,
  );
  const text = await output(
    onCore(core, [
      "wrk",
      "-t1",
      `-c${String(connections)}`,
      `-d${String(seconds)}s`,
      "--latency",
      "-s",
      script,
      url,
    ]),
  );
  const number = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? 0);
  return {
    requestsPerSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50Ms: latencyMs(text, "50%"),
    p99Ms: latencyMs(text, "99%"),
    errors: number(/Non-2xx or 3xx responses: (\d+)/) + number(/Socket errors: .*read (\d+)/),
  };
}

/** A Lua text in long brackets, which need no escapes. */
function luaText(text: string): string {
  return `[==[${text}]==]`;
}

function latencyMs(text: string, percentile: string): number {
  const match = new RegExp(`${percentile}\\s+([\\d.]+)(us|ms|s)`).exec(text);
  const unit = { us: 0.001, ms: 1, s: 1_000 }[match?.[2] ?? "ms"] ?? 1;
  return Number(match?.[1] ?? 0) * unit;
}

interface AutocannonResult {
  readonly requests: { readonly average: number };
  readonly latency: { readonly p50: number; readonly p99: number };
  readonly non2xx: number;
  readonly errors: number;
}

async function withAutocannon({ url, body, connections, seconds, core }: Load): Promise<Measured> {
  const command = ["autocannon", "-j", "-n", "-m", "POST", "-H", "content-type: application/json"];
  const flags = ["-c", String(connections), "-d", String(seconds), "-b", body, url];
  const result = JSON.parse(await output(onCore(core, [...command, ...flags]))) as AutocannonResult;
  return {
    requestsPerSecond: result.requests.average,
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    errors: result.non2xx + result.errors,
  };
}

function output([command = "", ...args]: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "inherit"],
      env: { ...process.env, NODE_TLS_REJECT_UNAUTHORIZED: "0", NODE_NO_WARNINGS: "1" },
    });
    let text = "";
    child.stdout.on("data", (chunk: Buffer) => (text += chunk.toString()));
    child.on("error", reject);
    child.on("close", (code) =>
      code === 0 ? resolve(text) : reject(new Error(`${command}: exit ${String(code)}`)),
    );
  });
}
