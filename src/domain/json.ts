// What came as JSON or YAML and has no type yet.

export type JsonObject = Readonly<Record<string, unknown>>;

/** Undefined for what is no JSON. The parser's own message quotes the text, which may hold a secret. */
export function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A mapping: neither null nor a list, which JavaScript calls objects too. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
