// A folder of manifests between two looks: which files it had, what of each is in force, and what a look changes.
//
// Invariant: old good beats new bad. What cannot be read, or looks half-written, takes nothing away; only a file that
// is gone, or a later content that is whole, does.

import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { type FactsJob, factKey, type FileFacts, noFacts, readFacts, unreadFacts } from "./cluster-facts.ts";
import type { FactsReader } from "./facts-reader.ts";
import { assemble, type FolderContents } from "./folder-contents.ts";
import { type Listing, listManifestFiles, type ManifestFile, readManifestFile } from "./manifest-files.ts";
import { fileProblem, type ManifestProblem } from "./manifests.ts";

export interface FolderNeeds {
  readonly dir: string;
  readonly berthNamespace: string;
  readonly now: () => number;
  /** A file counts when it has stayed the same for so long. */
  readonly settleMs: number;
  /** Reads what is too large to be read at once. */
  readonly reader: FactsReader;
}

/** What is read at once without a worker: some 100 Namespaces, 20 ms at the most, and no worker to start or keep. */
const maxInlineBytes = 16 * 1024;

/**
 * Files that change together (a mounted volume, a checkout) are taken together, but one that never comes to rest
 * holds the others up no longer than this.
 */
const maxHoldMs = 750;

/** Content kept to tell a half-written file; what is larger is made by programs, which write beside and rename. */
const maxKeptBytes = 1024 * 1024;

/** A file that was seen, and what of it is in force. */
interface Entry {
  /** As the last look saw it; null when it is gone. */
  seen: ManifestFile | null;
  /** When it was first seen so. */
  seenAt: number;
  /** As it was when its content was taken or turned down; null before. */
  settled: ManifestFile | null;
  facts: FileFacts;
  /** The content in force, if it is small. */
  bytes: Uint8Array | null;
}

export interface Folder {
  /** Looks once. The contents, if anything is new about them or their problems; null when none were read so far. */
  look(): Promise<Look | undefined>;
}

export interface Look {
  readonly contents: FolderContents | null;
  readonly problems: readonly ManifestProblem[];
}

export function createFolder({ dir, berthNamespace, now, settleMs, reader }: FolderNeeds): Folder {
  const entries = new Map<string, Entry>();
  let listedOnce = false;
  let folderProblems: readonly ManifestProblem[] = [];
  let pendingSince: number | null = null;

  async function look(): Promise<Look | undefined> {
    const listing = await tryToList(dir);
    const at = now();
    const isFirst = !listedOnce && listing.kind === "listed";
    const problemsBefore = folderProblems;
    folderProblems = listing.problems;
    let changed = isFirst || !isDeepStrictEqual(folderProblems, problemsBefore);
    if (listing.kind === "listed") {
      notice(entries, listing.listing, at);
      const due = isFirst ? [...entries] : dueEntries(at);
      listedOnce = true;
      const bytes = due.reduce((sum, [, { seen }]) => sum + (seen?.size ?? 0), 0);
      const read = bytes <= maxInlineBytes ? readHere : (job: FactsJob) => reader.read(job);
      for (const [path, entry] of due) changed = (await settle(path, entry, read)) || changed;
    }
    return changed ? current() : undefined;
  }

  function dueEntries(at: number): [string, Entry][] {
    const pending = [...entries].filter(([, entry]) => isPending(entry));
    if (pending.length === 0) {
      pendingSince = null;
      return [];
    }
    pendingSince ??= at;
    const calm = pending.filter(([, entry]) => at - entry.seenAt >= settleMs);
    return calm.length === pending.length || at - pendingSince >= maxHoldMs ? calm : [];
  }

  /** Takes what a file now says; false when that changed nothing. */
  async function settle(path: string, entry: Entry, read: ReadJob): Promise<boolean> {
    const { seen } = entry;
    if (seen === null) return entries.delete(path);
    const file = join(dir, path);
    const reading = await readManifestFile(dir, seen);
    // The next look sees it as it is then.
    if (reading.kind === "changed") return false;
    if (reading.kind === "unreadable") {
      // Not settled: it is tried again, since what keeps a file from being read does not always show in its times.
      const before = entry.facts;
      entry.facts = inForce(before, unreadFacts(fileProblem(file, reading.text)));
      return !isDeepStrictEqual(entry.facts.problems, before.problems);
    }
    const { bytes } = reading;
    const half = halfWritten(bytes, entry);
    const next = half ? unreadFacts(fileProblem(file, half)) : await read({ file, bytes, berthNamespace });
    entry.settled = seen;
    entry.facts = inForce(entry.facts, next);
    if (next.whole) entry.bytes = bytes.length <= maxKeptBytes ? bytes : null;
    return true;
  }

  function current(): Look {
    const inOrder = [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, { facts }]) => facts);
    const contents = assemble(inOrder, folderProblems);
    return { contents: listedOnce ? contents : null, problems: contents.problems };
  }

  return { look };
}

type ReadJob = (job: FactsJob) => Promise<FileFacts>;

const readHere: ReadJob = (job) => Promise.resolve(readFacts(job));

type TriedListing =
  | { readonly kind: "listed"; readonly listing: Listing; readonly problems: readonly ManifestProblem[] }
  | { readonly kind: "failed"; readonly problems: readonly ManifestProblem[] };

async function tryToList(dir: string): Promise<TriedListing> {
  try {
    const listing = await listManifestFiles(dir);
    return { kind: "listed", listing, problems: unreadableProblems(dir, listing) };
  } catch (err) {
    const story = err instanceof Error ? err.message : String(err);
    return { kind: "failed", problems: [fileProblem(dir, `${story}; what was read before stays in force`)] };
  }
}

export function unreadableProblems(dir: string, { unreadable }: Listing): ManifestProblem[] {
  return unreadable.map(({ path, text }) => fileProblem(join(dir, path), text));
}

function notice(entries: Map<string, Entry>, { files, unreadable }: Listing, at: number): void {
  for (const file of files) {
    const entry = entries.get(file.path);
    if (entry === undefined) {
      entries.set(file.path, { seen: file, seenAt: at, settled: null, facts: noFacts, bytes: null });
    } else if (entry.seen === null || !isSame(entry.seen, file)) {
      entry.seen = file;
      entry.seenAt = at;
    }
  }
  const listed = new Set(files.map(({ path }) => path));
  for (const [path, entry] of entries) {
    const isHidden = unreadable.some((one) => path === one.path || path.startsWith(join(one.path, "/")));
    if (listed.has(path) || isHidden || entry.seen === null) continue;
    entry.seen = null;
    entry.seenAt = at;
  }
}

function isPending({ seen, settled }: Entry): boolean {
  return seen === null || settled === null || !isSame(seen, settled);
}

function isSame(a: ManifestFile, b: ManifestFile): boolean {
  return a.version === b.version && a.identity === b.identity;
}

/**
 * What holds of a file after a reading. A file that is wrong as a whole changes nothing; an object that is wrong
 * keeps its last good content, and the rest of its file counts.
 */
function inForce(before: FileFacts, next: FileFacts): FileFacts {
  if (!next.whole && before.facts.length > 0) {
    const problems = next.problems.map((problem) => ({
      ...problem,
      text: `${problem.text}; ${lastGoodStays}`,
    }));
    return { ...next, facts: before.facts, problems };
  }
  const kept = before.facts.filter((fact) => next.broken.includes(factKey(fact)));
  return kept.length === 0 ? next : { ...next, facts: [...next.facts, ...kept] };
}

const lastGoodStays = "the file's last good content stays in force";

/**
 * Why a file looks as if somebody were in the middle of writing it, by what it said before. Only what no edit leaves
 * behind counts: nothing at all, or the old content up to somewhere within a line, with the rest not there yet.
 */
function halfWritten(bytes: Uint8Array, { facts, bytes: before }: Entry): string | undefined {
  if (facts.facts.length === 0) return undefined;
  if (bytes.length === 0) return "is empty, as if it were being written (remove it to withdraw what it said)";
  if (before === null || bytes.length >= before.length) return undefined;
  const isCut = !isLineEnd(bytes.at(-1)) && !isLineEnd(before[bytes.length]) && isLineEnd(before.at(-1));
  if (!isCut || Buffer.compare(before.subarray(0, bytes.length), bytes) !== 0) return undefined;
  return "ends in the middle of a line of what it was, as if it were being written";
}

function isLineEnd(byte: number | undefined): boolean {
  return byte === 0x0a || byte === 0x0d;
}
