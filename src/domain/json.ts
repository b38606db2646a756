// What came as JSON or YAML and has no type yet.

export type JsonObject = Readonly<Record<string, unknown>>;

/** A mapping: neither null nor a list, which JavaScript calls objects too. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
