// What the people's API says, as schemas: its OpenAPI document is made of them, its tests hold answers to them, and
// the page takes its types from here. Keys are always present; what does not apply is null. Times are RFC 3339, UTC.

import { z } from "zod";

const time = z.iso.datetime().describe("when, in UTC");
const visibility = z.enum(["public", "private"]);
const registryType = z.enum(["harbor", "docker-registry"]);

/** Where a list goes on; made by the server, and good for the same question only. */
const next = z.string().nullable().describe("value of `after` for what follows; null at the end");

/** What came from a registry, and when: an older answer stands in where the registry cannot be asked. */
const reading = {
  readAt: time,
  stale: z.boolean().describe("the registry could not be asked just now, and this is what it said before"),
};

export const identity = z.object({
  user: z.string().nullable().describe("null where nobody has to sign in"),
  login: z.enum(["token", "proxy", "none"]),
  platform: z.boolean().describe("may see the platform view"),
  version: z.string(),
});

export const namespaceEntry = z.object({ name: z.string(), workspace: z.string().nullable() });
export const namespaceList = z.object({
  items: z.array(namespaceEntry).describe("those in which the caller may create Pods, by name"),
  next,
});

export const catalogueState = z.object({
  state: z.enum(["current", "stale", "missing"]),
  readAt: time.nullable(),
});

/** Registries of other workspaces are not among them. */
export const namespaceRegistry = z.object({
  name: z.string(),
  type: registryType,
  access: z
    .enum(["shared", "open", "workspace"])
    .describe("by its spaces; open to every namespace; integrated by the namespace's own workspace"),
  host: z.string().describe("as image names write it"),
  hosts: z.array(z.string()).describe("every spelling"),
  catalogue: catalogueState.nullable().describe("null for a registry without spaces"),
});

export const namespaceView = z.object({
  name: z.string(),
  workspace: z.string().nullable(),
  exempt: z.boolean().describe("nothing is judged here"),
  mode: z.enum(["enforce", "warn", "audit"]),
  generation: z.number().int().describe("of the snapshot"),
  registries: z.array(namespaceRegistry),
});

export const openSpace = z.object({
  registry: z.string(),
  name: z.string(),
  visibility,
  reason: z.enum(["public-space", "bound-space", "workspace-registry"]).describe("why it may be used"),
  proxyCache: z.boolean(),
  reference: z.string().describe("`<host>/<space>`, as the names of its images begin"),
});
export const openSpaceList = z.object({
  items: z.array(openSpace),
  next,
  total: z.number().int().describe("with this filter, on all pages"),
});

export const repositoryEntry = z.object({
  registry: z.string(),
  space: z.string().nullable(),
  name: z.string().describe("without host, with the space"),
  reference: z.string().describe("`<host>/<name>`"),
  visibility: visibility.nullable().describe("of its space, as the list of spaces has it"),
  artifacts: z.number().int().nullable(),
  updatedAt: time.nullable(),
});
export const repositoryList = z.object({
  items: z.array(repositoryEntry),
  next,
  listing: z.enum(["listed", "off"]).describe("off: this registry lists its repositories to nobody"),
  ...reading,
});

export const tagEntry = z.object({
  name: z.string(),
  reference: z.string().describe("`<host>/<repository>:<tag>`"),
  digest: z.string().nullable(),
  referenceByDigest: z.string().nullable().describe("`<host>/<repository>@<digest>`"),
  sizeBytes: z.number().int().nullable(),
  platforms: z.array(z.string()).describe("such as linux/amd64, as far as the registry says"),
  pushedAt: time.nullable(),
});
export const tagList = z.object({ items: z.array(tagEntry), next, ...reading });
export const tagDetail = z.object({ ...tagEntry.shape, ...reading });

export const findings = z.object({
  spaces: z.array(openSpace),
  repositories: z.array(repositoryEntry),
  more: z.boolean().describe("there are more than are shown: a longer text finds fewer"),
  unread: z.array(z.string()).describe("registries that could not be searched just now"),
});

export const imageReport = z.object({
  path: z.string().describe("the field's path in the object"),
  container: z.string().nullable(),
  image: z.string(),
  host: z.string().nullable(),
  repository: z.string().nullable(),
  tag: z.string().nullable(),
  digest: z.string().nullable(),
  registry: z.string().nullable(),
  space: z.string().nullable(),
  allowed: z.boolean(),
  reason: z.string(),
});
export const report = z.object({
  source: z.string(),
  kind: z.string(),
  namespace: z.string(),
  name: z.string(),
  workspace: z.string().nullable(),
  verdict: z.enum(["allow", "refuse"]),
  pullSecret: z.string().nullable(),
  message: z.string().nullable(),
  images: z.array(imageReport),
});
export const reports = z.array(report);

export const explanation = z.object({
  report,
  reasoning: z.array(z.object({ what: z.string(), text: z.string() })).describe("what led to the verdict"),
});

export const platformOverview = z.object({
  mode: z.enum(["enforce", "warn", "audit"]),
  unlistedRegistries: z.enum(["deny", "warn", "allow"]),
  exemptNamespaces: z.array(z.string()),
  documents: z.number().int(),
  generation: z.number().int(),
  namespaces: z.number().int(),
  workspaces: z.number().int(),
  problems: z.number().int(),
  berthNamespace: z.string().describe("where policy is written"),
  workspaceLabel: z.string().describe("label of a namespace that says its workspace"),
});

export const platformRegistry = z.object({
  name: z.string(),
  type: registryType,
  url: z.string(),
  hosts: z.array(z.string()),
  workspace: z.string().nullable().describe("the workspace that integrated it"),
  state: z.enum(["up", "down", "unknown"]),
  version: z.string().nullable(),
  checkedAt: time.nullable(),
  problems: z.array(z.string()),
  advice: z.array(z.string()),
  catalogue: catalogueState.nullable(),
  spaces: z.object({ public: z.number().int(), private: z.number().int() }).nullable(),
});
export const platformRegistryList = z.object({ items: z.array(platformRegistry) });

export const platformBinding = z.object({
  workspace: z.string(),
  state: z
    .enum(["holds", "replaced", "not-adopted"])
    .describe("replaced: the name is another space now; not-adopted: Berth did not make the declared space"),
});
export const platformSpace = z.object({
  registry: z.string(),
  name: z.string(),
  id: z.number().int(),
  visibility: visibility.describe("as it counts: the policy may take proxy caches as private"),
  proxyCache: z.boolean(),
  declared: z.boolean().describe("the policy has Berth keep it"),
  bindings: z.array(platformBinding),
});
export const platformSpaceList = z.object({ items: z.array(platformSpace), next, total: z.number().int() });

export const platformWorkspace = z.object({
  workspace: z.string(),
  namespaces: z.array(z.string()).describe("the first of them by name"),
  namespaceCount: z.number().int(),
  spaces: z
    .array(z.object({ registry: z.string(), name: z.string() }))
    .describe("private ones that it may use"),
  registries: z.array(z.string()).describe("that it integrated itself"),
});
export const platformWorkspaceList = z.object({
  items: z.array(platformWorkspace),
  next,
  total: z.number().int(),
});

export const platformProblem = z.object({
  severity: z.enum(["error", "warning"]),
  configMap: z.string().nullable(),
  key: z.string().nullable(),
  file: z.string().nullable(),
  line: z.number().int().nullable(),
  column: z.number().int().nullable(),
  text: z.string(),
});
export const platformProblemList = z.object({ items: z.array(platformProblem) });

/** RFC 9457. */
export const problem = z.object({
  type: z.string(),
  title: z.string(),
  status: z.number().int(),
  detail: z.string(),
});

export type Identity = z.infer<typeof identity>;
export type NamespaceEntry = z.infer<typeof namespaceEntry>;
export type NamespaceList = z.infer<typeof namespaceList>;
export type NamespaceRegistry = z.infer<typeof namespaceRegistry>;
export type NamespaceView = z.infer<typeof namespaceView>;
export type OpenSpace = z.infer<typeof openSpace>;
export type OpenSpaceList = z.infer<typeof openSpaceList>;
export type RepositoryEntry = z.infer<typeof repositoryEntry>;
export type RepositoryList = z.infer<typeof repositoryList>;
export type TagEntry = z.infer<typeof tagEntry>;
export type TagList = z.infer<typeof tagList>;
export type TagDetail = z.infer<typeof tagDetail>;
export type Findings = z.infer<typeof findings>;
export type Explanation = z.infer<typeof explanation>;
export type PlatformOverview = z.infer<typeof platformOverview>;
export type PlatformRegistry = z.infer<typeof platformRegistry>;
export type PlatformRegistryList = z.infer<typeof platformRegistryList>;
export type PlatformSpace = z.infer<typeof platformSpace>;
export type PlatformSpaceList = z.infer<typeof platformSpaceList>;
export type PlatformWorkspaceList = z.infer<typeof platformWorkspaceList>;
export type PlatformProblemList = z.infer<typeof platformProblemList>;
export type ReportShape = z.infer<typeof report>;
export type Reports = z.infer<typeof reports>;
export type Problem = z.infer<typeof problem>;
