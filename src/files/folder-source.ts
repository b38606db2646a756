// A folder of manifests read as a cluster: its Namespaces, and the policy ConfigMaps and Secrets of Berth's own
// namespace. It is looked at several times a second, and only what changed is read again.
//
// It watches by looking alone. fs.watch sees neither network file systems nor what a link points to, and runs out of
// watches; a look at fifty files costs half a millisecond, so a second way of noticing would only add ways to fail.
//
// Invariant: the sink is called with full sets, and for each part only when it changed.

import { opendirSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Log } from "../log.ts";
import { createLoop, type Stoppable } from "../loop.ts";
import { type FileFacts, readFacts, unreadFacts } from "./cluster-facts.ts";
import { createFactsReader, type FactsReader } from "./facts-reader.ts";
import { createFolder, unreadableProblems } from "./folder.ts";
import { assemble, type FolderContents } from "./folder-contents.ts";
import { type FileReading, listManifestFiles, readManifestFile, reasonOf } from "./manifest-files.ts";
import { fileProblem, type ManifestProblem, manifestProblemLine } from "./manifests.ts";

/** Takes what the folder shows; each call carries the full set. */
export interface FolderSink {
  namespaces(all: FolderContents["namespaces"]): void;
  policyConfigMaps(all: FolderContents["policyConfigMaps"]): void;
  secrets(all: FolderContents["secrets"]): void;
}

export interface FolderSourceNeeds {
  readonly dir: string;
  /** The namespace whose policy ConfigMaps and Secrets count. */
  readonly berthNamespace: string;
  readonly log: Log;
  /** Milliseconds, of a clock that is never set back: a file has to stay the same for a while. */
  readonly now: () => number;
  /** Told of the full list of what is wrong, whenever that changes; empty when all is well again. */
  readonly onProblems?: (problems: readonly ManifestProblem[]) => void;
  /** A change is seen after one such time, and acted on after two: well within the two seconds that are promised. */
  readonly pollMs?: number;
  /** A file counts when it has stayed the same for so long: less than the time between two looks, so two suffice. */
  readonly settleMs?: number;
  /** Reads what is too large for the main loop. */
  readonly reader?: FactsReader;
}

/**
 * Delivers a folder to a sink, again whenever something in it changes, until it is stopped. Throws when there is no
 * such folder; one that vanishes later is a problem, and what was read stays.
 */
export function startFolderSource(needs: FolderSourceNeeds): (sink: FolderSink) => Stoppable {
  const { dir, log, pollMs = 250, settleMs = 200 } = needs;
  requireFolder(dir);
  return (sink) => {
    const reader = needs.reader ?? createFactsReader();
    const folder = createFolder({ ...needs, settleMs, reader });
    let delivered: FolderContents | null = null;
    let problems: readonly ManifestProblem[] = [];
    const loop = createLoop({ name: `folder ${dir}`, everyMs: pollMs, log, run: look });

    async function look(signal: AbortSignal): Promise<void> {
      const seen = await folder.look();
      if (seen === undefined || signal.aborted) return;
      if (seen.contents) {
        deliver(seen.contents, delivered, sink);
        log.info({ dir, ...countsOf(seen.contents) }, "the folder's manifests are in force");
      }
      delivered = seen.contents;
      reportProblems(seen.problems, problems, needs);
      problems = seen.problems;
    }

    return {
      async stop() {
        // The loop waits for the round under way, which may be waiting for the reader.
        const stopped = loop.stop();
        await reader.stop();
        await stopped;
      },
    };
  };
}

/** Reads a folder once, for commands that answer and end; on the caller's own thread. Throws when it cannot be listed. */
export async function readFolder(dir: string, berthNamespace: string): Promise<FolderContents> {
  const listing = await listManifestFiles(dir);
  const readings: FileFacts[] = [];
  for (const file of listing.files) {
    const name = join(dir, file.path);
    const reading = await readManifestFile(dir, file);
    if (reading.kind === "read")
      readings.push(readFacts({ file: name, bytes: reading.bytes, berthNamespace }));
    else readings.push(unreadFacts(fileProblem(name, textOf(reading))));
  }
  return assemble(readings, unreadableProblems(dir, listing));
}

function textOf(reading: Exclude<FileReading, { kind: "read" }>): string {
  return reading.kind === "changed" ? "changed while it was read" : reading.text;
}

function requireFolder(dir: string): void {
  try {
    opendirSync(dir).closeSync();
  } catch (err) {
    throw new Error(`expected a folder of manifests at ${dir}: ${reasonOf(err)}`, { cause: err });
  }
}

/** Secrets go first, so that whoever reads a policy finds the credentials that it names. */
function deliver(next: FolderContents, previous: FolderContents | null, sink: FolderSink): void {
  const isNew = (part: keyof FolderContents): boolean =>
    previous === null || !isDeepStrictEqual(next[part], previous[part]);
  if (isNew("secrets")) sink.secrets(next.secrets);
  if (isNew("namespaces")) sink.namespaces(next.namespaces);
  if (isNew("policyConfigMaps")) sink.policyConfigMaps(next.policyConfigMaps);
}

function countsOf({ namespaces, policyConfigMaps, problems }: FolderContents): Record<string, number> {
  return {
    namespaces: namespaces.size,
    policyConfigMaps: policyConfigMaps.length,
    problems: problems.length,
  };
}

function reportProblems(
  next: readonly ManifestProblem[],
  previous: readonly ManifestProblem[],
  { log, onProblems }: FolderSourceNeeds,
): void {
  if (isDeepStrictEqual(next, previous)) return;
  const known = new Set(previous.map(manifestProblemLine));
  for (const problem of next) {
    const line = manifestProblemLine(problem);
    if (!known.has(line)) log.warn({ file: problem.file, ...problem.position }, line);
  }
  onProblems?.(next);
}
