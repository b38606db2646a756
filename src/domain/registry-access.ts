// With which login a registry is asked, and which CA it is trusted by: what its Secrets hold, or what they lack, in
// words. Nothing here reads a Secret; the texts never contain one's content.

import type { Registry } from "./policy.ts";

/** Secrets of Berth's own namespace, by name: key → decoded text. */
export type Secrets = ReadonlyMap<string, Readonly<Record<string, string>>>;

export interface RegistryAccess {
  readonly username: string;
  readonly password: string;
  /** PEM; null means the certificate authorities that the system trusts. */
  readonly ca: string | null;
}

export type AccessReading =
  | { readonly kind: "access"; readonly access: RegistryAccess }
  | { readonly kind: "missing"; readonly what: string };

/** What Berth itself reads a registry with. */
export function accessOf(registry: Registry, secrets: Secrets): AccessReading {
  return readAccess(registry, registry.credentialsSecret, secrets);
}

/** The login that namespaces get for a registry of a workspace. */
export function pullAccessOf(registry: Registry, secrets: Secrets): AccessReading {
  return readAccess(registry, registry.pullCredentialsSecret ?? registry.credentialsSecret, secrets);
}

function readAccess(registry: Registry, loginSecret: string | null, secrets: Secrets): AccessReading {
  if (loginSecret === null) return missing(`registry ${registry.name} names no credentialsSecret`);
  const username = valueOf(secrets, loginSecret, "username");
  if (username.kind === "missing") return username;
  const password = valueOf(secrets, loginSecret, "password");
  if (password.kind === "missing") return password;
  const login = { username: username.value, password: password.value };
  // Most often `echo` instead of `printf` when the Secret was made; a registry would only say that it is wrong.
  for (const [key, value] of Object.entries(login)) {
    if (/[\r\n]/.test(value)) return missing(`Secret ${loginSecret} has a line break in its key ${key}`);
  }
  if (registry.caSecret === null) return { kind: "access", access: { ...login, ca: null } };
  const ca = valueOf(secrets, registry.caSecret, "ca.crt");
  if (ca.kind === "missing") return ca;
  return { kind: "access", access: { ...login, ca: ca.value } };
}

type Value =
  { readonly kind: "value"; readonly value: string } | { readonly kind: "missing"; readonly what: string };

function valueOf(secrets: Secrets, name: string, key: string): Value {
  const secret = secrets.get(name);
  if (secret === undefined) return missing(`Secret ${name} does not exist`);
  const value = Object.hasOwn(secret, key) ? secret[key] : undefined;
  if (value === undefined || value === "") return missing(`Secret ${name} has no key ${key}`);
  return { kind: "value", value };
}

function missing(what: string): { readonly kind: "missing"; readonly what: string } {
  return { kind: "missing", what };
}
