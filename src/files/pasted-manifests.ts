// Reads manifests that somebody pasted, in a worker thread: the text is a stranger's, and must hold up nobody else.

import { extname } from "node:path";
import type { Stoppable } from "../loop.ts";
import { createWorkerDesk, type WorkerAnswer } from "../worker-desk.ts";
import { manifestProblemLine, parseManifests, type Manifest } from "./manifests.ts";

export interface PastedManifests {
  readonly objects: readonly { readonly source: string; readonly value: Manifest }[];
  /** What cannot be read, each with its line and column. */
  readonly problems: readonly string[];
}

export interface PastedReader extends Stoppable {
  /** Never rejects. */
  read(text: string): Promise<WorkerAnswer<PastedManifests>>;
}

/** A megabyte of ordinary manifests takes half a second; what takes ten times that is no manifest of a person's. */
const timeoutMs = 5_000;
/** As for policy documents: the largest text within the bounds of the parser takes some 300 MB. */
const maxHeapMb = 512;
/** A person waits for the one before, and for some before that, each well below a second; more is a flood. */
const maxWaiting = 8;

/** Beside this file, and of its language: .ts from a checkout, .js where a build step has compiled both. */
const url = new URL(`./pasted-worker${extname(import.meta.filename)}`, import.meta.url);

export function createPastedReader(): PastedReader {
  const desk = createWorkerDesk<string, PastedManifests>({ url, timeoutMs, maxHeapMb, maxWaiting });
  return { read: (text) => desk.ask(text), stop: () => desk.stop() };
}

/** What the worker does; all of it synchronous. */
export function readPasted(text: string): PastedManifests {
  const { objects, problems } = parseManifests(text, "pasted text");
  return {
    objects: objects.map(({ source, value }) => ({ source, value })),
    problems: problems.filter(({ severity }) => severity === "error").map(manifestProblemLine),
  };
}
