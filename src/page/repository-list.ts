// The repositories of a space, or of a Docker Registry; of one that lists them to nobody, a field for the name.

import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { RepositoryEntry, RepositoryList as Listed } from "../http/people-shapes.ts";
import { ListView } from "./answer-view.ts";
import { useAnswers } from "./answers.ts";
import { below, pathOf } from "./asking.ts";
import { el, part } from "./element.ts";
import { Field, SearchField } from "./fields.ts";
import { Heading, link, name, notice, Time } from "./parts.ts";
import type { Place } from "./place.ts";
import { useSession } from "./session.ts";
import type { Column } from "./tables.ts";
import type { Words } from "./words.ts";

export function RepositoryList(): VNode {
  const { words, place, narrow } = useSession();
  const { namespace, registry, space, search = "" } = place;
  const answers = useAnswers<Listed>(pathOf(below(namespace, "/repositories"), { registry, space, search }));
  const isOff = answers.pages[0]?.listing === "off";
  return el(
    "section",
    null,
    part(Heading, { level: 2, main: true, text: space ?? registry ?? "" }),
    isOff
      ? part(RepositoryField, {})
      : [
          part(SearchField, {
            label: words.searchRepositories,
            value: search,
            onSearch: (text) => narrow({ ...place, search: text }),
          }),
          part(ListView<RepositoryEntry>, {
            answers,
            label: words.repositories,
            columns: repositoryColumns(words, ({ name: repository }) => ({
              ...place,
              search: undefined,
              repository,
            })),
            empty: search === "" ? words.noRepositories : words.nothingFound,
          }),
        ],
  );
}

export function repositoryColumns(
  words: Words,
  placeOf: (repository: RepositoryEntry) => Place,
): readonly Column<RepositoryEntry>[] {
  return [
    { head: words.repository, cell: (entry) => link(placeOf(entry), name(entry.name)) },
    { head: words.artifacts, cell: ({ artifacts }) => artifacts ?? "–" },
    {
      head: words.updated,
      cell: ({ updatedAt }) => (updatedAt === null ? "–" : part(Time, { time: updatedAt })),
    },
  ];
}

function RepositoryField(): VNode {
  const { words, place, open } = useSession();
  const [repository, setRepository] = useState("");
  const submit = (event: Event): void => {
    event.preventDefault();
    const wanted = repository.trim().replace(/^\/+|\/+$/g, "");
    if (wanted !== "") open({ ...place, repository: wanted });
  };
  return el(
    "form",
    { onSubmit: submit },
    notice("info", words.listingOff),
    part(Field, {
      label: words.repository,
      value: repository,
      onInput: setRepository,
      hint: words.repositoryHint,
    }),
    el("button", { type: "submit" }, words.showTags),
  );
}
