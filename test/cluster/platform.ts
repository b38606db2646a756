// A platform in small for one suite: a control plane whose API server asks Berth, a Harbor over TLS, and a policy
// that the suite changes and restores. Workspace 12 has space team-a; team-b is nobody's; open is for everybody.

import { randomBytes } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { V1Pod } from "@kubernetes/client-node";
import { selfSigned } from "../../src/certificates/self-signed.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { berthNamespace, mustCreate, prepareBerth, type Berth } from "./berth.ts";
import { findBinaries } from "./binaries.ts";
import { startControlPlane, type ControlPlane } from "./control-plane.ts";
import { createNamespace, waitFor, type Answer } from "./kube.ts";
import type { Guarding } from "./webhooks.ts";
import { pod } from "./workloads.ts";

export const workspaceLabel = "workspace.ghippo.io/id";

/** What images call the Harbor: an alias, as a platform has one. */
const host = "harbor.example.test";
export const imageOf = (space: string, name = "app:1") => `${host}/${space}/${name}`;

export interface Platform {
  readonly plane: ControlPlane;
  readonly harbor: StandInHarbor;
  readonly berth: Berth;
  /** A document of the policy as it is when no test changes it, with some of its keys replaced. */
  setPolicy(name: PolicyName, changes?: object): Promise<void>;
  /** Any text as the policy document of that name. */
  writePolicy(name: string, text: string): Promise<void>;
  removePolicy(name: string): Promise<void>;
  /** Replaces the bindings, each a workspace and a space. */
  bind(...bindings: readonly (readonly [workspace: string, space: string])[]): Promise<void>;
  /** Asks for a Pod, and makes none. */
  tryPod(namespace: string, image: string): Promise<Answer<V1Pod>>;
  /** Waits for a change to take effect, by default as long as a person does. */
  becomes(
    verdict: "admitted" | "refused",
    namespace: string,
    image: string,
    withinMs?: number,
  ): Promise<void>;
  /** What the API server has written down of Berth's own calls, and of the Pods that were created. */
  auditEvents(): Promise<readonly AuditEvent[]>;
  stop(): Promise<void>;
}

export interface AuditEvent {
  readonly verb: string;
  readonly requestURI: string;
  readonly user: { readonly username: string };
  readonly objectRef?: {
    readonly resource: string;
    readonly namespace?: string;
    readonly name?: string;
  };
  readonly responseStatus?: { readonly code?: number };
  readonly annotations?: Readonly<Record<string, string>>;
}

export type PolicyName = keyof ReturnType<typeof policyOf>;

/** A person who has changed something tries again for some seconds, and then looks for a mistake of their own. */
const soonMs = 10_000;

export async function startPlatform(berthFlags: readonly string[], guarding?: Guarding): Promise<Platform> {
  const folder = await mkdtemp(join(tmpdir(), "berth-platform-"));
  const undo: (() => Promise<unknown>)[] = [() => rm(folder, { recursive: true, force: true })];
  const stop = async () => {
    while (undo.length > 0) await undo.pop()?.();
  };
  try {
    return await startIn(folder, undo, stop, berthFlags, guarding);
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startIn(
  folder: string,
  undo: (() => Promise<unknown>)[],
  stop: () => Promise<void>,
  berthFlags: readonly string[],
  guarding: Guarding | undefined,
): Promise<Platform> {
  const auditLog = join(folder, "audit.log");
  const auditPolicy = join(folder, "audit-policy.json");
  await writeFile(auditPolicy, JSON.stringify(whatIsAudited));
  const plane = await startControlPlane({
    controllerManager: findBinaries().paths["kube-controller-manager"] !== undefined,
    apiServerArgs: [`--audit-policy-file=${auditPolicy}`, `--audit-log-path=${auditLog}`],
  });
  undo.push(() => plane.stop());
  const { admin } = plane;
  await createNamespace(admin, berthNamespace);
  const harbor = await startHarbor(plane);
  undo.push(() => harbor.close());

  async function writePolicy(name: string, text: string): Promise<void> {
    const metadata = { name, namespace: berthNamespace, labels: { "berth.io/policy": "true" } };
    const data = { "policy.yaml": text };
    const { status, message } = await admin.apply({ kind: "ConfigMap", metadata, ...{ data } }, "suite");
    if (status >= 300) throw new Error(`policy ${name}: ${message}`);
  }
  const setPolicy = (name: PolicyName, changes: object = {}) =>
    writePolicy(name, JSON.stringify({ ...policyOf(harbor.url)[name], ...changes }));
  const tryPod = (namespace: string, image: string) =>
    admin.create(pod({ namespace, name: "tried" }, image), { query: { dryRun: "All" } });

  await setPolicy("settings");
  await setPolicy("registries");
  await setPolicy("bindings");
  const berth = await prepareBerth({ plane, flags: berthFlags, guarding });
  await berth.start();
  undo.push(() => berth.stop());

  return {
    plane,
    harbor,
    berth,
    setPolicy,
    writePolicy,
    async removePolicy(name) {
      const { status } = await admin.delete("ConfigMap", { namespace: berthNamespace, name });
      if (status !== 200) throw new Error(`policy ${name} is not there to be removed`);
    },
    async bind(...bindings) {
      const entry = ([workspace, space]: readonly [string, string]) => bindingOf(workspace, space);
      await setPolicy("bindings", { bindings: bindings.map(entry) });
    },
    tryPod,
    async becomes(verdict, namespace, image, withinMs = soonMs) {
      const wanted = verdict === "admitted" ? 201 : 403;
      const look = async () => (await tryPod(namespace, image)).status === wanted;
      await waitFor(`${image} is ${verdict} in ${namespace}`, look, withinMs);
    },
    async auditEvents() {
      const lines = (await readFile(auditLog, "utf8")).trimEnd().split("\n");
      return lines.map((line) => JSON.parse(line) as AuditEvent);
    },
    stop,
  };
}

/** YAML takes JSON as it is. */
const policyOf = (harborUrl: string) => ({
  settings: { mode: "enforce", unlistedRegistries: "deny", exemptNamespaces: ["kube-system"] },
  registries: {
    registries: [
      {
        name: "managed",
        type: "harbor",
        url: harborUrl,
        aliases: [host],
        credentialsSecret: "harbor-login",
        caSecret: "harbor-ca",
      },
    ],
  },
  bindings: { bindings: [bindingOf("12", "team-a")] },
});

function bindingOf(workspace: string, space: string) {
  return { workspace, registry: "managed", spaces: [space] };
}

/** With its login and its CA as Secrets of the namespace of Berth. */
export async function startHarbor({ admin }: ControlPlane): Promise<StandInHarbor> {
  const { certificate, key, ca } = await selfSigned(["127.0.0.1"], Date.now());
  const password = randomBytes(12).toString("hex");
  const secrets = {
    "harbor-login": { username: "admin", password },
    "harbor-ca": { "ca.crt": ca },
  };
  for (const [name, stringData] of Object.entries(secrets)) {
    const metadata = { name, namespace: berthNamespace };
    await mustCreate(admin, { kind: "Secret", metadata, ...{ stringData } });
  }
  return startStandInHarbor({
    tls: { key, cert: certificate },
    adminPassword: password,
    projects: [
      { name: "open", visibility: "public" },
      { name: "team-a", visibility: "private" },
      { name: "team-b", visibility: "private" },
    ],
  });
}

const whatIsAudited = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [
    { level: "Metadata", userGroups: ["system:serviceaccounts:berth-system"] },
    { level: "Metadata", verbs: ["create"], resources: [{ group: "", resources: ["pods"] }] },
    { level: "None" },
  ],
};
