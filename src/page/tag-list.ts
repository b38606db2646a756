// The tags of a repository.

import type { ComponentChildren, VNode } from "preact";
import type { TagEntry, TagList as Listed } from "../http/people-shapes.ts";
import { ListView } from "./answer-view.ts";
import { useAnswers } from "./answers.ts";
import { below, pathOf } from "./asking.ts";
import { el, part } from "./element.ts";
import { SearchField } from "./fields.ts";
import { Heading, link, name, Time } from "./parts.ts";
import { shortDigest, size, visible } from "./reading-text.ts";
import { useSession } from "./session.ts";
import type { Column } from "./tables.ts";

export function TagList(): VNode {
  const { words, language, place, narrow } = useSession();
  const { namespace, registry, repository, search = "" } = place;
  const answers = useAnswers<Listed>(pathOf(below(namespace, "/tags"), { registry, repository, search }));
  const columns: readonly Column<TagEntry>[] = [
    {
      head: words.tag,
      cell: (tag) => link({ ...place, search: undefined, tag: tag.name }, name(tag.name)),
    },
    { head: words.digest, cell: ({ digest }) => digestCell(digest) },
    { head: words.size, cell: ({ sizeBytes }) => (sizeBytes === null ? "–" : size(sizeBytes, language)) },
    { head: words.platforms, cell: ({ platforms }) => platformsInWords(platforms) },
    {
      head: words.pushed,
      cell: ({ pushedAt }) => (pushedAt === null ? "–" : part(Time, { time: pushedAt })),
    },
  ];
  return el(
    "section",
    null,
    part(Heading, { level: 2, main: true, text: repository ?? "" }),
    part(SearchField, {
      label: words.searchTags,
      value: search,
      onSearch: (text) => narrow({ ...place, search: text }),
    }),
    part(ListView<TagEntry>, {
      answers,
      label: words.tags,
      columns,
      empty: search === "" ? words.noTags : words.nothingFound,
    }),
  );
}

function digestCell(digest: string | null): ComponentChildren {
  return digest === null ? "–" : el("code", { title: visible(digest) }, shortDigest(digest));
}

export function platformsInWords(platforms: readonly string[]): ComponentChildren {
  return platforms.length === 0 ? "–" : name(platforms.join(", "));
}
