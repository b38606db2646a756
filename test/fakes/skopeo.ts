// skopeo as a client that pushes and pulls like a container runtime, with logins from a file in the form of a pull
// secret (`.dockerconfigjson`), and the smallest image that there is for it. It reads nothing of this machine's own
// configuration, and uses registries without TLS.

import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { run, type Finished } from "../cluster/process.ts";
import { findSkopeo } from "./docker-registry.ts";

export interface Login {
  readonly username: string;
  readonly password: string;
}

/** Login by key: `host`, or `host/space`. */
export type LoginsByKey = Readonly<Record<string, Login>>;

export interface Skopeo {
  /** Pushes the small image under this name. */
  push(image: string, logins?: LoginsByKey): Promise<Finished>;
  /** Pulls manifest and layers; what comes is thrown away. */
  pull(image: string, logins?: LoginsByKey): Promise<Finished>;
  /** The same with the text of a pull secret. */
  pullWith(image: string, dockerConfigJson: string): Promise<Finished>;
  close(): Promise<void>;
}

export async function createSkopeo(): Promise<Skopeo> {
  const command = findSkopeo();
  if (command === undefined) throw new Error("skopeo is not installed; Debian's package brings it");
  const folder = await mkdtemp(join(tmpdir(), "berth-skopeo-"));
  const image = join(folder, "image");
  await writeSmallestImage(image);
  let copies = 0;

  async function copy(from: string, to: string, dockerConfigJson: string): Promise<Finished> {
    copies += 1;
    const authFile = join(folder, `auth-${copies}.json`);
    await writeFile(authFile, dockerConfigJson);
    const flags = ["--src-tls-verify=false", "--dest-tls-verify=false", `--authfile=${authFile}`];
    const args = ["--insecure-policy", "copy", "--quiet", ...flags, from, to];
    return run(command!, args, { env: { HOME: folder, XDG_RUNTIME_DIR: folder } });
  }

  async function pullWith(name: string, dockerConfigJson: string): Promise<Finished> {
    const target = join(folder, `pulled-${copies}`);
    const finished = await copy(`docker://${name}`, `dir:${target}`, dockerConfigJson);
    if (finished.code === 0 && (await readdir(target)).length < 3) {
      throw new Error(`skopeo says that ${name} is pulled, but it left no manifest with a layer`);
    }
    return finished;
  }

  return {
    push: (name, logins = {}) => copy(`oci:${image}:latest`, `docker://${name}`, dockerConfigJson(logins)),
    pull: (name, logins = {}) => pullWith(name, dockerConfigJson(logins)),
    pullWith,
    close: () => rm(folder, { recursive: true, force: true }),
  };
}

export function dockerConfigJson(logins: LoginsByKey): string {
  const auths = Object.entries(logins).map(([key, { username, password }]) => [
    key,
    { auth: Buffer.from(`${username}:${password}`).toString("base64") },
  ]);
  return JSON.stringify({ auths: Object.fromEntries(auths) as unknown });
}

/** An OCI layout with one image of one empty layer. */
async function writeSmallestImage(folder: string): Promise<void> {
  const blobs = join(folder, "blobs", "sha256");
  await mkdir(blobs, { recursive: true });

  async function write(mediaType: string, content: Buffer) {
    const digest = createHash("sha256").update(content).digest("hex");
    await writeFile(join(blobs, digest), content);
    return { mediaType, digest: `sha256:${digest}`, size: content.length };
  }
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));

  // Two blocks of zeros are the end of a tar file, and a whole one.
  const tar = Buffer.alloc(1_024);
  const layer = await write("application/vnd.oci.image.layer.v1.tar+gzip", gzipSync(tar));
  const diffId = `sha256:${createHash("sha256").update(tar).digest("hex")}`;
  const rootfs = { type: "layers", diff_ids: [diffId] };
  const config = await write(
    "application/vnd.oci.image.config.v1+json",
    json({ architecture: "amd64", os: "linux", config: {}, rootfs }),
  );
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = await write(mediaType, json({ schemaVersion: 2, mediaType, config, layers: [layer] }));
  const annotations = { "org.opencontainers.image.ref.name": "latest" };
  await writeFile(join(folder, "oci-layout"), json({ imageLayoutVersion: "1.0.0" }));
  await writeFile(
    join(folder, "index.json"),
    json({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] }),
  );
}
