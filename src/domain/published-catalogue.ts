// A catalogue as the leader publishes it for all replicas: what changes with every reading apart from the spaces,
// which mostly stay, so that a quiet Harbor costs a few bytes a beat. Where it is kept is not known here.
//
//   facts: { server, readAt }
//   text:  { "format": 1, "spaces": [[name, id, traits]] }    traits: 1 public, 2 proxy cache, 3 both, 0 neither

import { z } from "zod";
import { catalogueOf, type Catalogue, type Space } from "./catalogue.ts";
import { parsedJson } from "./json.ts";

const namesBegin = "berth-catalogue-";

export function publishedCatalogueName(registry: string): string {
  return namesBegin + registry;
}

/** Undefined for what is no catalogue. */
export function registryOfPublished(name: string): string | undefined {
  return name.startsWith(namesBegin) ? name.slice(namesBegin.length) : undefined;
}

export interface CatalogueFacts {
  readonly server: string;
  readonly readAt: number;
}

export interface PublishedCatalogue {
  readonly facts: CatalogueFacts;
  readonly text: string;
}

/** A catalogue with the text that its spaces came from: {@link decodeCatalogue} takes it for the next time. */
export interface DecodedCatalogue {
  readonly text: string;
  readonly catalogue: Catalogue;
}

/** As many projects as a listing of a Harbor may have: a thousand pages of a hundred. */
const maxSpaces = 100_000;
/** Each with a name of the greatest length, 255, an id, and what is between. */
export const maxCatalogueLength = maxSpaces * 300;

/** Writing ten thousand spaces takes some 10 ms, and their map is the same one from beat to beat. */
const writtenTexts = new WeakMap<Catalogue["spaces"], string>();

/** The same spaces give the same text, in whatever order Harbor listed them. */
export function encodeCatalogue({ server, readAt, spaces }: Catalogue): PublishedCatalogue {
  const text = writtenTexts.get(spaces) ?? textOf(spaces);
  writtenTexts.set(spaces, text);
  return { facts: { server, readAt }, text };
}

function textOf(spaces: Catalogue["spaces"]): string {
  const sorted = [...spaces.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return JSON.stringify({
    format: 1,
    spaces: sorted.map((space) => [space.name, space.id, traitsOf(space)]),
  });
}

const isPublic = 1;
const isProxyCache = 2;

function traitsOf({ visibility, proxyCache }: Space): number {
  return (visibility === "public" ? isPublic : 0) | (proxyCache ? isProxyCache : 0);
}

const schema = z.object({
  format: z.literal(1),
  spaces: z
    .array(z.tuple([z.string().min(1).max(255), z.int().positive(), z.int().min(0).max(3)]))
    .max(maxSpaces),
});

/**
 * Undefined for what is no catalogue of this format; never throws. Where the text is that of `previous`, its spaces
 * are the same map, so that whoever derived something from them need not do so again.
 */
export function decodeCatalogue(
  { facts: { server, readAt }, text }: PublishedCatalogue,
  previous?: DecodedCatalogue,
): DecodedCatalogue | undefined {
  if (previous?.text === text) {
    const { spaces } = previous.catalogue;
    return { text, catalogue: { server, readAt, stale: false, spaces } };
  }
  const spaces = spacesIn(text);
  return spaces && { text, catalogue: catalogueOf(server, readAt, spaces) };
}

function spacesIn(text: string): readonly Space[] | undefined {
  if (text.length > maxCatalogueLength) return undefined;
  const parsed = schema.safeParse(parsedJson(text));
  return parsed.data?.spaces.map(([name, id, traits]) => ({
    name,
    id,
    visibility: (traits & isPublic) === 0 ? "private" : "public",
    proxyCache: (traits & isProxyCache) !== 0,
  }));
}
