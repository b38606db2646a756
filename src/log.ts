// One JSON line an event, on standard error of the process. Secrets never reach it: nothing that holds one is
// ever passed, and `secretKeys` catches the ways in which one could slip in with an object.

import { pino, stdTimeFunctions, type DestinationStream } from "pino";

export type LogLevel = "debug" | "info" | "warn" | "error";

/** Facts first, then the sentence; an error goes under `err`. */
export interface Log {
  debug(facts: Readonly<Record<string, unknown>>, text: string): void;
  info(facts: Readonly<Record<string, unknown>>, text: string): void;
  warn(facts: Readonly<Record<string, unknown>>, text: string): void;
  error(facts: Readonly<Record<string, unknown>>, text: string): void;
}

const secretKeys: ReadonlySet<string> = new Set([
  "password",
  "secret",
  "token",
  "authorization",
  "credentials",
  "auth",
  "auths",
  "data",
  "stringData",
]);

/** Written as soon as the descriptor takes it, and together with what has gathered meanwhile: no review waits for it. */
export function createLog(
  level: LogLevel,
  destination: DestinationStream = pino.destination({ dest: 2, sync: false }),
): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: withoutSecrets },
    },
    destination,
  );
}

/** The second line of defence, at the top and one level below; pino's own redaction costs more than the line. */
function withoutSecrets(facts: Record<string, unknown>, depth = 0): Record<string, unknown> {
  let clean = facts;
  for (const [key, value] of Object.entries(facts)) {
    const replaced = secretKeys.has(key)
      ? "[redacted]"
      : depth === 0 && isPlainObject(value)
        ? withoutSecrets(value, 1)
        : value;
    if (replaced !== value) clean = { ...clean, [key]: replaced };
  }
  return clean;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** For commands and tests that must not write anything. */
const nothing = (): void => undefined;
export const silentLog: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };
