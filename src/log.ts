// One JSON line an event, on standard error of the process. Secrets never reach it: nothing that holds one is
// ever passed, and `redactedKeys` catches the ways in which one could slip in with an object.

import { pino } from "pino";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** Facts first, then the sentence; an error goes under `err`. */
export interface Log {
  debug(facts: Readonly<Record<string, unknown>>, text: string): void;
  info(facts: Readonly<Record<string, unknown>>, text: string): void;
  warn(facts: Readonly<Record<string, unknown>>, text: string): void;
  error(facts: Readonly<Record<string, unknown>>, text: string): void;
}

const redactedKeys = [
  "password",
  "secret",
  "token",
  "authorization",
  "credential",
  "auth",
  "data",
  "stringData",
];

export function createLog(level: LogLevel, destination: NodeJS.WritableStream = process.stderr): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":"${new Date().toISOString()}"`,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: redactedKeys.flatMap((key) => [key, `*.${key}`]), censor: "[redacted]" },
    },
    destination,
  );
}

/** For commands and tests that must not write anything. */
const nothing = (): void => undefined;
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
