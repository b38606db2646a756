// Replicas that read a folder, as `berth serve --from`: files are put in their place, or written where they are, in one
// go or in parts with time between them.

import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Bindings, BindingsName } from "./model.ts";
import { policyTexts } from "./policy-texts.ts";
import {
  adminPassword,
  createCertificates,
  createReplicas,
  firstBindings,
  firstNamespaces,
  firstRegistries,
  modelOf,
  startClocks,
  startHarbor,
  type CampaignWorld,
} from "./world.ts";

export interface FolderWorld extends CampaignWorld {
  readonly kind: "folder";
  writeBindingsSlowly(name: BindingsName, value: Bindings, pauseMs: number): Promise<void>;
}

export async function startFolderWorld(): Promise<FolderWorld> {
  const base = await mkdtemp(join(tmpdir(), "berth-campaign-"));
  const folder = join(base, "manifests");
  await mkdir(folder);
  const certificates = await createCertificates(base);
  const clocks = startClocks();
  const { time, now } = clocks;
  const harbor = await startHarbor(clocks.steady);
  const model = modelOf("folder", harbor);
  const texts = policyTexts(harbor.url);
  const all = createReplicas({ now, time, model, certificates, flagsOf: () => ({ from: folder }) });
  let writes = 0;

  /** By turns as an editor saves, and as a shell writes. */
  async function put(file: string, text: string): Promise<void> {
    writes += 1;
    if (writes % 2 === 0) {
      await writeFile(join(folder, file), text);
      return;
    }
    await writeFile(join(base, "next"), text);
    await rename(join(base, "next"), join(folder, file));
  }
  const metadataOf = (name: string) => ({
    name,
    namespace: "berth-system",
    labels: { "berth.io/policy": "true" },
  });
  function configMap(name: string, text: string): string {
    const data = { [`${name}.yaml`]: text };
    return JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: metadataOf(name), data });
  }
  function namespaceText(name: string, workspace: string | null): string {
    const labels = workspace === null ? {} : { "workspace.ghippo.io/id": workspace };
    return JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } });
  }
  function putLogin(password: string): Promise<void> {
    const metadata = { name: "harbor-login", namespace: "berth-system" };
    const secret = {
      apiVersion: "v1",
      kind: "Secret",
      metadata,
      stringData: { username: "admin", password },
    };
    return put("login.json", JSON.stringify(secret));
  }

  const world: FolderWorld = {
    kind: "folder",
    ...{ model, harbor, time, certificates, now },
    replicas: all.replicas,
    starting: all.starting,
    jump: clocks.jump,
    async turn(forMs) {
      await time.turn(forMs);
      if (all.failures.length > 0) throw new Error(all.failures.join("\n"));
    },
    async writeRegistries(value) {
      if (value === null) await rm(join(folder, "registries.json"));
      else await put("registries.json", configMap("registries", texts.registries(value)));
      model.registries.put(now(), value);
    },
    async writeBindings(name, value) {
      await put(`${name}.json`, configMap(name, texts.bindings(value)));
      model.bindings[name].put(now(), value);
    },
    breakBindings: (name) => put(`${name}.json`, configMap(name, "bindings: [")),
    async writeBindingsSlowly(name, value, pauseMs) {
      const text = configMap(name, texts.bindings(value));
      await writeFile(join(folder, `${name}.json`), text.slice(0, text.length / 2));
      await world.turn(pauseMs);
      await writeFile(join(folder, `${name}.json`), text);
      model.bindings[name].put(now(), value);
    },
    async writeNamespace(name, value) {
      const file = `namespace-${name}.json`;
      if (value === undefined) await rm(join(folder, file));
      else await put(file, namespaceText(name, value));
      model.namespaces.get(name)?.put(now(), value);
    },
    writePassword: putLogin,
    startReplica: () => void all.start(),
    stopReplica: (replica) => all.stop(replica),
    async close() {
      try {
        await all.close();
      } finally {
        time.end();
      }
      await harbor.close();
      await rm(base, { recursive: true });
    },
  };

  await putLogin(adminPassword);
  for (const [name, workspace] of Object.entries(firstNamespaces)) {
    if (workspace !== undefined) await put(`namespace-${name}.json`, namespaceText(name, workspace));
  }
  if (firstRegistries !== null)
    await put("registries.json", configMap("registries", texts.registries(firstRegistries)));
  for (const [name, value] of Object.entries(firstBindings))
    await put(`${name}.json`, configMap(name, texts.bindings(value)));
  return world;
}
