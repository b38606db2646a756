// The demonstration's cluster: a folder of manifests, of which the registries' part is written at start, since only
// then the stand-in's address is known; and what somebody would deploy there.

import { cp, mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import type { StandInHarbor } from "./stand-in-harbor.ts";

/** The name by which images call the stand-in Harbor. */
export const harborHost = "harbor.example.test";
const archiveHost = "archive.example.test:5000";

export interface HarborLogin {
  readonly url: string;
  readonly username: string;
  readonly password: string;
  /** PEM. */
  readonly ca: string;
}

/** Writes the folder under the system's temporary one. Resolves to its path. */
export async function writeSampleCluster(harbor: HarborLogin, archiveUrl: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "berth-demo-"));
  await cp(join(import.meta.dirname, "sample"), folder, { recursive: true });
  await writeFile(join(folder, "registries.yaml"), registriesFile(harbor, archiveUrl));
  return folder;
}

function registriesFile({ url, username, password, ca }: HarborLogin, archiveUrl: string): string {
  const registries = {
    exemptNamespaces: ["kube-system"],
    registries: [
      {
        name: "managed",
        type: "harbor",
        url,
        aliases: [harborHost],
        credentialsSecret: "harbor-login",
        caSecret: "harbor-ca",
      },
      {
        name: "archive",
        type: "docker-registry",
        url: archiveUrl,
        aliases: [archiveHost],
        caSecret: "harbor-ca",
      },
    ],
  };
  const metadata = { name: "registries", namespace: "berth-system", labels: { "berth.io/policy": "true" } };
  const documents = [
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: { "registries.yaml": stringify(registries) } },
    secret("harbor-login", { username, password }),
    secret("harbor-ca", { "ca.crt": ca }),
  ];
  return documents.map((document) => stringify(document)).join("---\n");
}

function secret(name: string, stringData: Readonly<Record<string, string>>) {
  return { apiVersion: "v1", kind: "Secret", metadata: { name, namespace: "berth-system" }, stringData };
}

/** Somebody's deploy, and what comes of it. */
export interface Attempt {
  readonly kind: "Pod" | "Deployment" | "CronJob";
  readonly name: string;
  readonly namespace: string;
  readonly images: readonly string[];
  readonly verdict: "allow" | "refuse";
  readonly reason: string;
  readonly pullSecret?: true;
}

export const sampleSpaces = [
  { name: "library", visibility: "public" },
  { name: "platform", visibility: "public" },
  { name: "team-a", visibility: "private" },
  { name: "team-b", visibility: "private" },
  { name: "models", visibility: "private" },
  { name: "hub-mirror", visibility: "public", registryId: 1 },
] as const;

/** What is in them; repositories with their tags, the oldest first. */
const sampleRepositories: Readonly<Record<string, readonly string[]>> = {
  "library/envoy": ["1"],
  "library/nginx": ["1.26", "1.27"],
  "library/nginx-unprivileged": ["1.27"],
  "platform/tools": ["2", "3"],
  "team-a/api": ["2.3", "2.4", "2.5"],
  "team-a/jobs/nightly": ["7"],
  "team-b/app": ["1"],
  "models/trainer": ["8", "9"],
};

/** Some 46 MiB each. */
const sampleSizeBytes = 48_100_000;

export function pushSampleImages({ repositories }: Pick<StandInHarbor, "repositories">): void {
  for (const [repository, tags] of Object.entries(sampleRepositories)) {
    for (const tag of tags) repositories.push(repository, { tags: [tag], sizeBytes: sampleSizeBytes });
  }
}

export const archiveRepositories: Readonly<Record<string, readonly string[]>> = {
  app: ["6", "7"],
  "tools/backup": ["1.0", "1.1"],
};

const at = (path: string): string => `${harborHost}/${path}`;

export const attempts: readonly Attempt[] = [
  {
    kind: "Pod",
    name: "web",
    namespace: "shop",
    images: [at("library/nginx:1.27")],
    verdict: "allow",
    reason: "public-space",
  },
  {
    kind: "Pod",
    name: "tools",
    namespace: "sandbox",
    images: [at("platform/tools:3")],
    verdict: "allow",
    reason: "public-space",
  },
  {
    kind: "Pod",
    name: "api",
    namespace: "shop",
    images: [at("team-a/api:2.4")],
    verdict: "allow",
    reason: "bound-space",
    pullSecret: true,
  },
  {
    kind: "Deployment",
    name: "api",
    namespace: "shop-test",
    images: [at("team-a/api:2.5"), at("library/envoy:1")],
    verdict: "allow",
    reason: "bound-space,public-space",
  },
  {
    kind: "Pod",
    name: "thief",
    namespace: "lab",
    images: [at("team-a/api:2.4")],
    verdict: "refuse",
    reason: "space-not-bound",
  },
  {
    kind: "Pod",
    name: "stray",
    namespace: "sandbox",
    images: [at("team-a/api:2.4")],
    verdict: "refuse",
    reason: "namespace-without-workspace",
  },
  {
    kind: "CronJob",
    name: "train",
    namespace: "lab",
    images: [at("models/trainer:9")],
    verdict: "allow",
    reason: "bound-space",
  },
  {
    kind: "Pod",
    name: "typo",
    namespace: "lab",
    images: [at("model/trainer:9")],
    verdict: "refuse",
    reason: "space-unknown",
  },
  {
    kind: "Pod",
    name: "shout",
    namespace: "lab",
    images: ["HARBOR.Example.Test:443/team-a/api:2.4"],
    verdict: "refuse",
    reason: "space-not-bound",
  },
  {
    kind: "Deployment",
    name: "hub",
    namespace: "shop",
    images: ["nginx"],
    verdict: "refuse",
    reason: "unlisted-registry",
  },
  {
    kind: "Pod",
    name: "lookalike",
    namespace: "shop",
    images: [`${harborHost}.evil.test/team-a/api`],
    verdict: "refuse",
    reason: "unlisted-registry",
  },
  {
    kind: "Pod",
    name: "by-id",
    namespace: "lab",
    images: [`sha256:${"0123456789abcdef".repeat(4)}`],
    verdict: "refuse",
    reason: "image-by-id",
  },
  {
    kind: "Pod",
    name: "spaceless",
    namespace: "shop",
    images: [at("api:1")],
    verdict: "refuse",
    reason: "no-space-in-name",
  },
  {
    kind: "Pod",
    name: "old",
    namespace: "sandbox",
    images: [`${archiveHost}/app:7`],
    verdict: "allow",
    reason: "open-registry",
  },
  {
    kind: "Pod",
    name: "dns",
    namespace: "kube-system",
    images: ["registry.k8s.io/coredns:1.12"],
    verdict: "allow",
    reason: "exempt-namespace",
  },
];
