// A login of the policy as it was last handed out. It stays in Secrets when the Secret that it came from vanishes,
// so that a mistake there breaks no pull.

import { z } from "zod";
import { parsedJson } from "./json.ts";
import type { Registry } from "./policy.ts";

const schema = z.object({
  format: z.literal(1),
  kind: z.literal("login"),
  registry: z.string(),
  server: z.string(),
  /** Where it came from: under another name it would be another login. */
  secret: z.string(),
  username: z.string(),
  password: z.string(),
});

export interface LoginRecord {
  readonly registry: string;
  readonly server: string;
  readonly secret: string;
  readonly username: string;
  readonly password: string;
}

/** The Secret that holds the login which namespaces get; null where they get none of the policy's. */
export function pullSecretOf(registry: Registry): string | null {
  // On the platform's Harbors every workspace has a robot of its own.
  if (registry.type === "harbor" && registry.workspace === null) return null;
  if (registry.pullCredentialsSecret !== null) return registry.pullCredentialsSecret;
  return registry.workspace === null ? null : registry.credentialsSecret;
}

/** Undefined for what is no record of this format. */
export function parseLoginRecord(text: string): LoginRecord | undefined {
  const parsed = schema.safeParse(parsedJson(text));
  if (!parsed.success) return undefined;
  const { registry, server, secret, username, password } = parsed.data;
  return { registry, server, secret, username, password };
}

export function printLoginRecord({ registry, server, secret, username, password }: LoginRecord): string {
  return JSON.stringify({ format: 1, kind: "login", registry, server, secret, username, password });
}

/** Was the login handed out for this registry as it is now? */
export function isLoginOf(record: LoginRecord, registry: Registry): boolean {
  return record.server === registry.url && record.secret === pullSecretOf(registry);
}
