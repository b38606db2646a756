// The demonstration's platform for tests: a stand-in Harbor over TLS, and the folder of manifests that names it.

import { rm } from "node:fs/promises";
import { selfSigned } from "../../src/certificates/self-signed.ts";
import {
  archiveRepositories,
  pushSampleImages,
  sampleSpaces,
  writeSampleCluster,
} from "../../src/demo/sample-cluster.ts";
import { startStandInRegistry } from "../../src/demo/stand-in-registry.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";

export interface SamplePlatform {
  readonly harbor: StandInHarbor;
  /** Workspace 12 has shop and shop-test and the space team-a, 13 has lab and models; sandbox has none. */
  readonly folder: string;
  close(): Promise<void>;
}

/** Looked for in everything that a command or the server puts out. */
export const harborPassword = "Never-Shown-4711";

export async function startSamplePlatform(): Promise<SamplePlatform> {
  const issued = await selfSigned(["localhost", "127.0.0.1"], Date.now());
  const harbor = await startStandInHarbor({
    tls: { key: issued.key, cert: issued.certificate },
    adminPassword: harborPassword,
    projects: sampleSpaces,
    // Long enough to be a lock, short enough to wait for.
    lockMs: 10,
  });
  pushSampleImages(harbor);
  const tls = { key: issued.key, cert: issued.certificate };
  const archive = await startStandInRegistry(tls, archiveRepositories);
  const url = harbor.url.replace("127.0.0.1", "localhost");
  const login = { username: "admin", password: harborPassword, ca: issued.ca };
  const folder = await writeSampleCluster({ url, ...login }, archive.url);
  return {
    harbor,
    folder,
    async close() {
      await Promise.all([harbor.close(), archive.close()]);
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** The password itself, and as it goes over the wire. */
export function passwordForms(): readonly string[] {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  return [harborPassword, base64(harborPassword), base64(`admin:${harborPassword}`)];
}
