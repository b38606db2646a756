// What a namespace may run, at the terminal: the same lists as those of the image selector's page, by the same functions.

import Table from "cli-table3";
import { createSharedReads, withSharedReads } from "../http/shared-reads.ts";
import {
  listSpaces,
  listTags,
  namespaceView,
  searchAll,
  type InNamespace,
  type SelectorNeeds,
} from "../http/selector.ts";
import type { Findings, NamespaceView, OpenSpace, TagEntry } from "../http/people-shapes.ts";
import { ProblemError } from "../http/problem-details.ts";
import { silentLog } from "../log.ts";
import type { Settings } from "../settings.ts";
import type { Engine } from "./engine.ts";
import { exitCodes, type Terminal } from "./terminal.ts";
import { patienceMs, withSnapshot } from "./whole-snapshot.ts";

export interface ImagesOptions {
  readonly namespace: string;
  /** Part of the name of a space or a repository. */
  readonly search: string | undefined;
  /** `<host>/<repository>`, of which the tags are wanted. */
  readonly tags: string | undefined;
  readonly output: "text" | "json";
}

/** What is asked of registries, once; a terminal has Ctrl-C. */
const timeoutMs = 60_000;
/** As many as a page of the API has; more is to be searched for. */
const pageSize = 100;

export async function images(
  settings: Settings,
  options: ImagesOptions,
  terminal: Terminal,
  waitMs = patienceMs,
): Promise<number> {
  return withSnapshot(settings, terminal, waitMs, async (_snapshot, engine) => {
    const needs = selectorOf(engine);
    const asked = { namespace: options.namespace, query: undefined, signal: AbortSignal.timeout(timeoutMs) };
    try {
      await print(needs, asked, options, terminal);
      return exitCodes.allowed;
    } catch (err) {
      if (!(err instanceof ProblemError)) throw err;
      // Here the reason is for whoever runs the command, who has the registry's login at hand.
      const why = err.cause instanceof Error ? ` (${err.cause.message})` : "";
      terminal.err(`${err.message}${why}\n`);
      return exitCodes.couldNotJudge;
    }
  });
}

function selectorOf({ state, lookUps, contents }: Engine): SelectorNeeds {
  const reads = createSharedReads({ now: Date.now });
  const snapshot = (): ReturnType<typeof state.snapshot> => state.snapshot();
  return { snapshot, lookUps, contents: withSharedReads(contents, reads), log: silentLog };
}

async function print(
  needs: SelectorNeeds,
  asked: InNamespace<undefined>,
  { search, tags, output }: ImagesOptions,
  terminal: Terminal,
): Promise<void> {
  const json = (value: unknown): void => terminal.out(`${JSON.stringify(value, null, 2)}\n`);
  const view = await namespaceView(needs, asked);
  if (tags !== undefined) {
    const list = await tagsOf(needs, asked, view, tags);
    if (output === "json") json(list);
    else terminal.out(tagsAsText(list.items, list.next !== null));
    return;
  }
  if (search !== undefined) {
    const found = await searchAll(needs, { ...asked, query: { q: search } });
    if (output === "json") json(found);
    else terminal.out(findingsAsText(found, search));
    for (const registry of found.unread) terminal.err(`could not search registry ${registry}\n`);
    return;
  }
  const spaces = await allSpaces(needs, asked);
  if (output === "json") json({ ...view, spaces });
  else terminal.out(viewAsText(view, spaces));
}

async function allSpaces(needs: SelectorNeeds, asked: InNamespace<undefined>): Promise<OpenSpace[]> {
  const all: OpenSpace[] = [];
  let after: string | undefined;
  do {
    const query = { search: "", limit: pageSize, ...(after === undefined ? {} : { after }) };
    const { items, next } = await listSpaces(needs, { ...asked, query });
    all.push(...items);
    after = next ?? undefined;
  } while (after !== undefined);
  return all;
}

/** The repository by the name that images have, with any spelling of the host. */
async function tagsOf(
  needs: SelectorNeeds,
  asked: InNamespace<undefined>,
  { registries }: NamespaceView,
  reference: string,
) {
  const slash = reference.indexOf("/");
  const [host, repository] = [reference.slice(0, slash), reference.slice(slash + 1)];
  const registry = registries.find(({ hosts }) => hosts.includes(host));
  if (slash < 0 || registry === undefined)
    throw new ProblemError(404, `No registry that the namespace may use is called "${host}".`);
  return listTags(needs, {
    ...asked,
    query: { registry: registry.name, repository, search: "", limit: pageSize },
  });
}

const style = { head: [], border: [], compact: true };

function viewAsText(
  { name, workspace, exempt, registries }: NamespaceView,
  spaces: readonly OpenSpace[],
): string {
  const home = workspace === null ? "in no workspace" : `in workspace "${workspace}"`;
  const table = new Table({ head: ["images", "registry", "visibility", "reason"], style });
  for (const space of spaces) {
    const visibility = space.proxyCache ? `${space.visibility}, proxy cache` : space.visibility;
    table.push([`${space.reference}/...`, space.registry, visibility, space.reason]);
  }
  for (const registry of registries.filter(({ type }) => type === "docker-registry")) {
    const reason = registry.access === "workspace" ? "workspace-registry" : "open-registry";
    table.push([`${registry.host}/...`, registry.name, "-", reason]);
  }
  const unread = registries.filter(({ catalogue }) => catalogue?.state === "missing");
  return [
    `namespace ${name}, ${home}${exempt ? ", exempt: nothing is judged here" : ""}\n`,
    table.length === 0 ? "it may use no image of any registry\n" : `${table.toString()}\n`,
    ...unread.map((registry) => `the spaces of registry ${registry.name} have not been read yet\n`),
  ].join("");
}

function findingsAsText({ spaces, repositories, more }: Findings, search: string): string {
  if (spaces.length + repositories.length === 0)
    return `nothing that the namespace may use has "${search}" in its name\n`;
  const table = new Table({ head: ["images", "registry", "artifacts"], style });
  for (const space of spaces) table.push([`${space.reference}/...`, space.registry, "-"]);
  for (const found of repositories)
    table.push([found.reference, found.registry, found.artifacts === null ? "-" : String(found.artifacts)]);
  return `${table.toString()}\n${more ? "there are more: a longer text finds fewer\n" : ""}`;
}

function tagsAsText(tags: readonly TagEntry[], more: boolean): string {
  if (tags.length === 0) return "the repository has no tags\n";
  const table = new Table({ head: ["image", "pushed", "platforms", "digest"], style });
  for (const { reference, pushedAt, platforms, digest } of tags)
    table.push([reference, pushedAt ?? "-", platforms.join("\n") || "-", digest ?? "-"]);
  return `${table.toString()}\n${more ? `these are the first ${String(tags.length)}\n` : ""}`;
}
