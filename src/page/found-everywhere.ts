// A search across all that the namespace may use: spaces and repositories by part of their names.

import type { VNode } from "preact";
import type { Findings, OpenSpace, RepositoryEntry } from "../http/people-shapes.ts";
import { AnswerView } from "./answer-view.ts";
import { useAnswers } from "./answers.ts";
import { below, pathOf } from "./asking.ts";
import { el, part } from "./element.ts";
import { name, notice } from "./parts.ts";
import type { Place } from "./place.ts";
import { repositoryColumns } from "./repository-list.ts";
import { useSession } from "./session.ts";
import { spaceColumns } from "./space-tabs.ts";
import { table } from "./tables.ts";

export function FoundEverywhere(): VNode {
  const { words, place } = useSession();
  const { namespace, find, view } = place;
  const answers = useAnswers<Findings>(pathOf(below(namespace, "/search"), { q: find }));
  const start: Place = { namespace, view, find };
  const ofSpace = ({ registry, name: space }: OpenSpace): Place => ({ ...start, registry, space });
  const ofRepository = ({ registry, space, name: repository }: RepositoryEntry): Place => ({
    ...start,
    registry,
    space: space ?? undefined,
    repository,
  });
  return part(AnswerView<Findings>, {
    answers,
    children: ({ spaces, repositories, more, unread }) => [
      el(
        "p",
        { role: "status", class: spaces.length + repositories.length === 0 ? "empty" : "muted" },
        spaces.length + repositories.length === 0
          ? words.nothingFound
          : words.found(spaces.length, repositories.length),
        more && ` ${words.foundMore}`,
      ),
      unread.length > 0 && notice("warn", words.notSearched, " ", name(unread.join(", "))),
      spaces.length > 0 && [
        el("h2", null, words.spaces),
        table(words.spaces, spaceColumns(words, ofSpace), spaces),
      ],
      repositories.length > 0 && [
        el("h2", null, words.repositories),
        table(
          words.repositories,
          [
            ...repositoryColumns(words, ofRepository),
            { head: words.registry, cell: ({ registry }) => name(registry) },
            {
              head: words.visibility,
              cell: ({ visibility }) => (visibility === null ? "–" : words.visibilities[visibility]),
            },
          ],
          repositories,
        ),
      ],
    ],
  });
}
