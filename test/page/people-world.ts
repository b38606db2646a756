// What the stand-in for the API knows: a platform small enough to be read and large enough to need "more".

import type * as shapes from "../../src/http/people-shapes.ts";

export interface World {
  identity: shapes.Identity;
  namespaces: shapes.NamespaceEntry[];
  /** Of every namespace, with its own name and workspace. */
  view: Omit<shapes.NamespaceView, "name" | "workspace">;
  spaces: shapes.OpenSpace[];
  repositories: shapes.RepositoryEntry[];
  tags: shapes.TagEntry[];
  unread: string[];
  reports: shapes.ReportShape[];
  explanation: shapes.Explanation;
  overview: shapes.PlatformOverview;
  registries: shapes.PlatformRegistry[];
  platformSpaces: shapes.PlatformSpace[];
  workspaces: shapes.PlatformWorkspaceList["items"];
  problems: shapes.PlatformProblemList["items"];
  /** What every list of a registry says of its age. */
  reading: { readAt: string; stale: boolean };
  /** Registries that list their repositories to nobody. */
  unlisted: string[];
}

export const digest = `sha256:${"0123456789abcdef".repeat(4)}`;
const host = "harbor.example.test";
const archive = "archive.example.test:5000";
const now = Date.now();
export const hoursAgo = (hours: number): string => new Date(now - hours * 3_600_000).toISOString();

export function startWorld(): World {
  return {
    identity: { user: "ada@example.test", login: "token", platform: true, version: "0.1.0" },
    namespaces: [
      { name: "lab", workspace: null },
      { name: "shop", workspace: "12" },
      ...Array.from({ length: 60 }, (_, index) => ({
        name: `team-${String(index).padStart(2, "0")}`,
        workspace: "7",
      })),
    ],
    view: {
      exempt: false,
      mode: "enforce",
      generation: 41,
      registries: [
        namespaceRegistry("managed", "harbor", "shared", host),
        namespaceRegistry("team-twelve", "harbor", "workspace", "other.example.test"),
        namespaceRegistry("archive", "docker-registry", "open", archive),
        namespaceRegistry("silent", "docker-registry", "open", "silent.example.test"),
      ],
    },
    spaces: [
      space("managed", "library", "public", "public-space", host),
      { ...space("managed", "docker-hub", "public", "public-space", host), proxyCache: true },
      ...Array.from({ length: 60 }, (_, index) =>
        space("managed", `open-${String(index).padStart(2, "0")}`, "public", "public-space", host),
      ),
      space("managed", "team-a", "private", "bound-space", host),
      space("team-twelve", "own", "public", "workspace-registry", "other.example.test"),
    ],
    repositories: [
      repository("managed", "team-a", "team-a/api", host, 12, 3),
      repository("managed", "team-a", "team-a/My_Web.App", host, 4, 50),
      repository("managed", "library", "library/nginx", host, 80, 24 * 40),
      repository("archive", null, "old/ledger", archive, null, null),
    ],
    tags: Array.from({ length: 60 }, (_, index) => ({
      name: `1.${59 - index}`,
      reference: "",
      digest,
      referenceByDigest: "",
      sizeBytes: 48_234_496 + index * 1_000_000,
      platforms: ["linux/amd64", "linux/arm64"],
      pushedAt: hoursAgo(index * 30 + 2),
    })),
    unread: [],
    reports: [refusedReport(), allowedReport()],
    explanation: {
      report: { ...refusedReport(), kind: "Image", name: "" },
      reasoning: [
        {
          what: "reference",
          text: "harbor.example.test/team-b/api:1 is host harbor.example.test, repository team-b/api, tag 1",
        },
        { what: "registry", text: "managed claims the host" },
        { what: "space", text: "team-b is private and not bound to workspace 12, or there is no such space" },
      ],
    },
    overview: {
      mode: "enforce",
      unlistedRegistries: "deny",
      exemptNamespaces: ["kube-system", "berth-system"],
      documents: 4,
      generation: 41,
      namespaces: 62,
      workspaces: 2,
      problems: 1,
      berthNamespace: "berth-system",
      workspaceLabel: "workspace.ghippo.io/id",
    },
    registries: [
      platformRegistry("managed", "harbor", host, {
        version: "v2.12.1",
        advice: ["The login may do more than Berth needs: a robot account of the system is enough."],
      }),
      platformRegistry("team-twelve", "harbor", "other.example.test", {
        workspace: "12",
        state: "down",
        problems: ["list projects, page 1 of https://other.example.test: 502 after 3 tries"],
        catalogue: { state: "stale", readAt: hoursAgo(5) },
      }),
      platformRegistry("archive", "docker-registry", archive, {
        catalogue: null,
        spaces: null,
        state: "unknown",
        checkedAt: null,
      }),
    ],
    platformSpaces: [
      platformSpace("team-a", 42, "private", [{ workspace: "12", state: "holds" }]),
      platformSpace("team-b", 43, "private", []),
      platformSpace("library", 1, "public", []),
      platformSpace("models", 51, "private", [{ workspace: "7", state: "replaced" }]),
      ...Array.from({ length: 60 }, (_, index) =>
        platformSpace(`open-${String(index).padStart(2, "0")}`, 100 + index, "public", []),
      ),
    ],
    workspaces: [
      {
        workspace: "12",
        namespaces: ["shop"],
        namespaceCount: 1,
        spaces: [{ registry: "managed", name: "team-a" }],
        registries: ["team-twelve"],
      },
      {
        workspace: "7",
        namespaces: ["team-00", "team-01", "team-02"],
        namespaceCount: 60,
        spaces: [],
        registries: [],
      },
    ],
    problems: [
      {
        severity: "error",
        configMap: "bindings",
        key: "bindings.yaml",
        file: null,
        line: 3,
        column: 16,
        text: 'bindings[0].workspace: expected text, got the number 12; write it in quotes: "12"',
      },
    ],
    reading: { readAt: hoursAgo(0), stale: false },
    unlisted: ["silent"],
  };
}

function namespaceRegistry(
  name: string,
  type: "harbor" | "docker-registry",
  access: shapes.NamespaceRegistry["access"],
  of: string,
): shapes.NamespaceRegistry {
  const catalogue = type === "harbor" ? ({ state: "current", readAt: hoursAgo(0) } as const) : null;
  return { name, type, access, host: of, hosts: [of], catalogue };
}

function space(
  registry: string,
  name: string,
  visibility: "public" | "private",
  reason: shapes.OpenSpace["reason"],
  of: string,
): shapes.OpenSpace {
  return { registry, name, visibility, reason, proxyCache: false, reference: `${of}/${name}` };
}

function repository(
  registry: string,
  ofSpace: string | null,
  name: string,
  of: string,
  artifacts: number | null,
  hours: number | null,
): shapes.RepositoryEntry {
  const updatedAt = hours === null ? null : hoursAgo(hours);
  const visibility = ofSpace === null ? null : ofSpace === "library" ? "public" : "private";
  return { registry, space: ofSpace, visibility, name, reference: `${of}/${name}`, artifacts, updatedAt };
}

function platformRegistry(
  name: string,
  type: "harbor" | "docker-registry",
  of: string,
  others: Partial<shapes.PlatformRegistry>,
): shapes.PlatformRegistry {
  return {
    name,
    type,
    url: `https://${of}`,
    hosts: [of],
    workspace: null,
    state: "up",
    version: null,
    checkedAt: hoursAgo(0.02),
    problems: [],
    advice: [],
    catalogue: { state: "current", readAt: hoursAgo(0.01) },
    spaces: { public: 62, private: 3 },
    ...others,
  };
}

function platformSpace(
  name: string,
  id: number,
  visibility: "public" | "private",
  bindings: shapes.PlatformSpace["bindings"],
): shapes.PlatformSpace {
  return {
    registry: "managed",
    name,
    id,
    visibility,
    proxyCache: false,
    declared: name === "team-a",
    bindings,
  };
}

function imageReport(image: string, allowed: boolean, reason: string): shapes.ReportShape["images"][number] {
  const [ofHost = "", ...rest] = image.split("/");
  const [repositoryName = "", tag = ""] = rest.join("/").split(":");
  return {
    path: "spec.template.spec.containers[0].image",
    container: "api",
    image,
    host: ofHost,
    repository: repositoryName,
    tag,
    digest: null,
    registry: "managed",
    space: rest[0] ?? null,
    allowed,
    reason,
  };
}

export function refusedReport(): shapes.ReportShape {
  return {
    source: "pasted, document 1",
    kind: "Deployment",
    namespace: "shop",
    name: "api",
    workspace: "12",
    verdict: "refuse",
    pullSecret: null,
    message:
      'container "api": image "harbor.example.test/team-b/api:1" is refused: space "team-b" of registry "managed" is private and not bound to workspace "12" of namespace "shop", or there is no such space. Ask a platform administrator to bind it, or use a space that is open to the namespace: harbor.example.test/team-a/....',
    images: [imageReport("harbor.example.test/team-b/api:1", false, "space-not-bound")],
  };
}

export function allowedReport(): shapes.ReportShape {
  return {
    source: "pasted, document 2",
    kind: "Pod",
    namespace: "shop",
    name: "web",
    workspace: "12",
    verdict: "allow",
    pullSecret: "berth-pull",
    message: null,
    images: [imageReport("harbor.example.test/team-a/api:1", true, "bound-space")],
  };
}
