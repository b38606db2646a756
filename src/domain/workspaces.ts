// Which workspace a namespace belongs to. The label's value is compared as text ("012" is not "12"), and an
// empty one means none.

/** Namespace name → workspace id, or null for a namespace without workspace. */
export type Namespaces = ReadonlyMap<string, string | null>;

export function workspaceOf(
  labels: Readonly<Record<string, string>> | null | undefined,
  labelKey: string,
): string | null {
  if (labels === null || labels === undefined || !Object.hasOwn(labels, labelKey)) return null;
  const id = labels[labelKey];
  return typeof id === "string" && id !== "" ? id : null;
}
