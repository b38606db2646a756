// The disk side of manifests: which files of a folder are manifests, whether one has changed, and its bytes. It looks
// and reads, and remembers nothing.

import type { BigIntStats, Dirent } from "node:fs";
import { constants, type FileHandle, open, readdir, stat } from "node:fs/promises";
import { extname, join } from "node:path";
import { fileProblem, type Manifests, parseManifestBytes } from "./manifests.ts";

export interface ManifestFile {
  /** Under the folder, with slashes. */
  readonly path: string;
  /** Another one means that the content may have changed: the size, and the times of the last change. */
  readonly version: string;
  /** Which file of the disk it is: a file renamed over this one, or a link turned elsewhere, is another. */
  readonly identity: string;
  readonly size: number;
}

export interface Listing {
  /** In the order of their paths. */
  readonly files: readonly ManifestFile[];
  /** Paths that are there and cannot be looked at; nothing can be said of what lies at them and below. */
  readonly unreadable: readonly Unreadable[];
}

export interface Unreadable {
  readonly path: string;
  readonly text: string;
}

export type FileReading =
  | { readonly kind: "read"; readonly bytes: Uint8Array }
  /** It changed since it was listed, or while it was read. */
  | { readonly kind: "changed" }
  | { readonly kind: "unreadable"; readonly text: string };

const extensions = new Set([".yaml", ".yml", ".json"]);

/** 10,000 pods as `kubectl get pods -A -o json` prints them, at some 12 kB each. YAML is bounded much lower. */
export const maxFileBytes = 128 * 1024 * 1024;

/** Trees of overlays (base, clusters, region, cluster, app) are four or five folders deep. */
const maxDepth = 8;

/** A look at so many files takes about 15 ms, several times a second; a namespace a file, they are a large cluster's. */
const maxFiles = 2_000;
const maxFolders = 500;

/** So much is held in memory when everything changes at once. */
const maxTotalBytes = 2 * maxFileBytes;

/**
 * Lists a folder's manifests, with sub-folders and through links. Hidden names are left out: that is where editors
 * keep their copies and where Kubernetes puts the versions of a mounted volume, whose visible entries are links.
 * Throws when the folder itself cannot be listed, or holds too much.
 */
export async function listManifestFiles(folder: string): Promise<Listing> {
  const walk: Walk = { folder, files: [], unreadable: [], folders: 0 };
  try {
    const self = await stat(folder, { bigint: true });
    await listInto(walk, "", [identityOf(self)]);
  } catch (err) {
    throw new Error(`read the manifests in ${folder}: ${reasonOf(err)}`, { cause: err });
  }
  const files = walk.files.sort((a, b) => (a.path < b.path ? -1 : 1));
  const bytes = files.reduce((sum, { size }) => sum + Math.min(size, maxFileBytes), 0);
  if (bytes > maxTotalBytes) {
    throw new Error(
      `read the manifests in ${folder}: together they are more than ${megabytes(maxTotalBytes)}`,
    );
  }
  return { files, unreadable: walk.unreadable };
}

/** Reads a file as it was listed. */
export async function readManifestFile(folder: string, file: ManifestFile): Promise<FileReading> {
  if (file.size > maxFileBytes) {
    const text = `is ${megabytes(file.size)}, more than the ${megabytes(maxFileBytes)} that are read`;
    return { kind: "unreadable", text };
  }
  try {
    // Not to wait for a writer, should the file have become a pipe meanwhile.
    const handle = await open(join(folder, file.path), constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      return await readUnchanged(handle, file);
    } finally {
      await handle.close();
    }
  } catch (err) {
    return { kind: "unreadable", text: `cannot be read: ${reasonOf(err)}` };
  }
}

/** For offline commands: the objects of one file, whatever its name, or of all the manifests in a folder. */
export async function readManifestsAt(path: string): Promise<Manifests> {
  try {
    const found = await stat(path, { bigint: true });
    if (!found.isDirectory()) return await readManifests("", { ...listed(found), path });
    const { files, unreadable } = await listManifestFiles(path);
    const parts: Manifests[] = unreadable.map((entry) => ({
      objects: [],
      problems: [fileProblem(join(path, entry.path), entry.text)],
    }));
    for (const file of files) parts.push(await readManifests(path, file));
    return {
      objects: parts.flatMap(({ objects }) => objects),
      problems: parts.flatMap(({ problems }) => problems),
    };
  } catch (err) {
    return { objects: [], problems: [fileProblem(path, `cannot be read: ${reasonOf(err)}`)] };
  }
}

async function readManifests(folder: string, file: ManifestFile): Promise<Manifests> {
  const name = join(folder, file.path);
  const reading = await readManifestFile(folder, file);
  if (reading.kind === "read") return parseManifestBytes(reading.bytes, name);
  const text = reading.kind === "changed" ? "changed while it was read" : reading.text;
  return { objects: [], problems: [fileProblem(name, text)] };
}

interface Walk {
  readonly folder: string;
  readonly files: ManifestFile[];
  readonly unreadable: Unreadable[];
  folders: number;
}

async function listInto(walk: Walk, path: string, ancestors: readonly string[]): Promise<void> {
  walk.folders += 1;
  if (walk.folders > maxFolders) throw new TooMuch(`more than ${maxFolders} folders`);
  if (ancestors.length > maxDepth) {
    walk.unreadable.push({ path, text: `is not read: folders count down to a depth of ${maxDepth}` });
    return;
  }
  const entries = await readdir(join(walk.folder, path), { withFileTypes: true });
  const wanted = entries.filter(isOfInterest);
  const looks = await Promise.all(wanted.map((entry) => lookAt(walk, join(path, entry.name), entry)));
  for (const { entryPath, stats } of looks) {
    if (stats === undefined) continue;
    if (stats.isDirectory()) await listBelow(walk, entryPath, ancestors, identityOf(stats));
    else if (extensions.has(extname(entryPath))) addFile(walk, entryPath, stats);
  }
}

/** Names that could be manifests or folders; of other files not even the times are asked for. */
function isOfInterest(entry: Dirent): boolean {
  if (entry.name.startsWith(".")) return false;
  return entry.isDirectory() || entry.isSymbolicLink() || extensions.has(extname(entry.name));
}

interface Look {
  readonly entryPath: string;
  readonly stats?: BigIntStats;
}

async function lookAt(walk: Walk, entryPath: string, entry: Dirent): Promise<Look> {
  try {
    return { entryPath, stats: await stat(join(walk.folder, entryPath), { bigint: true }) };
  } catch (err) {
    const gone = codeOf(err) === "ENOENT";
    // Removed between the two calls, or a link to nothing: of a file that is not of ours, maybe.
    if (gone && (!entry.isSymbolicLink() || !extensions.has(extname(entryPath)))) return { entryPath };
    const text = gone ? "is a link to a file that is not there" : `cannot be read: ${reasonOf(err)}`;
    walk.unreadable.push({ path: entryPath, text });
    return { entryPath };
  }
}

async function listBelow(
  walk: Walk,
  path: string,
  ancestors: readonly string[],
  self: string,
): Promise<void> {
  // A link to a folder around it would be walked for ever.
  if (ancestors.includes(self)) return;
  try {
    await listInto(walk, path, [...ancestors, self]);
  } catch (err) {
    if (err instanceof TooMuch) throw err;
    if (codeOf(err) !== "ENOENT") walk.unreadable.push({ path, text: `cannot be read: ${reasonOf(err)}` });
  }
}

function addFile(walk: Walk, path: string, stats: BigIntStats): void {
  if (!stats.isFile()) {
    walk.unreadable.push({ path, text: "is not read: it is no regular file" });
    return;
  }
  if (walk.files.length === maxFiles) throw new TooMuch(`more than ${maxFiles} manifests`);
  walk.files.push({ path, ...listed(stats) });
}

/** Bounded by the size that was listed, however fast somebody writes on. */
async function readUnchanged(handle: FileHandle, file: ManifestFile): Promise<FileReading> {
  const isAsListed = async (): Promise<boolean> =>
    listed(await handle.stat({ bigint: true })).version === file.version;
  if (!(await isAsListed())) return { kind: "changed" };
  const bytes = new Uint8Array(file.size);
  let filled = 0;
  while (filled < bytes.length) {
    const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, filled);
    if (bytesRead === 0) return { kind: "changed" };
    filled += bytesRead;
  }
  return (await isAsListed()) ? { kind: "read", bytes } : { kind: "changed" };
}

/** The time of the last change to the inode is there for tools that put the time of the last writing back. */
function listed(stats: BigIntStats): Omit<ManifestFile, "path"> {
  const { size, mtimeNs, ctimeNs } = stats;
  return { version: `${size} ${mtimeNs} ${ctimeNs}`, identity: identityOf(stats), size: Number(size) };
}

function identityOf({ dev, ino }: BigIntStats): string {
  return `${dev} ${ino}`;
}

class TooMuch extends Error {}

function codeOf(err: unknown): string | undefined {
  return err instanceof Error && "code" in err && typeof err.code === "string" ? err.code : undefined;
}

const reasons: Readonly<Record<string, string>> = {
  ENOENT: "it is not there",
  ENOTDIR: "it is no folder",
  EACCES: "permission is denied",
  EISDIR: "it is a folder",
};

/** Why the file system said no, in words. */
export function reasonOf(err: unknown): string {
  const code = codeOf(err);
  if (code !== undefined) return reasons[code] ?? code;
  return err instanceof Error ? err.message : String(err);
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1024 / 1024)} MiB`;
}
