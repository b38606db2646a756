// A namespace: what applies to it, then its images. One is either at the lists (tabs, or a search across all of them)
// or inside one of their spaces; which, says the address.

import type { ComponentChildren, VNode } from "preact";
import type { NamespaceView as Viewed } from "../http/people-shapes.ts";
import { AnswerView } from "./answer-view.ts";
import { useAnswers } from "./answers.ts";
import { below } from "./asking.ts";
import { Crumbs } from "./crumbs.ts";
import { el, part } from "./element.ts";
import { SearchField } from "./fields.ts";
import { FoundEverywhere } from "./found-everywhere.ts";
import { Heading, name, notice, Time } from "./parts.ts";
import { RepositoryList } from "./repository-list.ts";
import { useSession } from "./session.ts";
import { SpaceTabs } from "./space-tabs.ts";
import { TagList } from "./tag-list.ts";
import { TagView } from "./tag-view.ts";
import type { Words } from "./words.ts";

export function NamespaceView(): VNode {
  const { words, place } = useSession();
  const { namespace = "", registry } = place;
  const answers = useAnswers<Viewed>(below(namespace));
  const inside = registry !== undefined;
  return el(
    "section",
    null,
    part(Heading, { level: 1, main: !inside, text: words.imagesFor(namespace) }),
    part(AnswerView<Viewed>, { answers, children: (view) => part(About, { view }) }),
    // Asked for at once, not one after the other; and not shown where there is no such namespace.
    answers.failure === null && (inside ? part(Inside, {}) : part(Lists, { view: answers.pages[0] })),
  );
}

function Lists({ view }: { view: Viewed | undefined }): VNode {
  const { words, place, narrow } = useSession();
  const { find = "" } = place;
  const onSearch = (text: string): void => narrow({ ...place, find: text });
  return el(
    "div",
    null,
    part(SearchField, { label: words.searchEverything, value: find, onSearch }),
    find.length >= 2 ? part(FoundEverywhere, {}) : part(SpaceTabs, { view }),
  );
}

function About({ view }: { view: Viewed }): VNode {
  const { words } = useSession();
  return el("div", { class: "about" }, workspaceLine(view, words), ...notices(view, words));
}

/** Each level is a view of its own: what was typed and read at another does not stay. */
function Inside(): VNode {
  const { registry, space, repository, tag } = useSession().place;
  const key = [registry, space, repository, tag].join(" ");
  const level = tag !== undefined ? TagView : repository !== undefined ? TagList : RepositoryList;
  return el("section", null, part(Crumbs, {}), part(level, { key }));
}

function workspaceLine({ workspace, exempt }: Viewed, words: Words): VNode {
  if (workspace !== null) return el("p", null, words.workspace, " ", el("strong", null, name(workspace)));
  return exempt ? el("p", null, words.noWorkspaceShort) : notice("info", words.noWorkspace);
}

function notices({ mode, exempt, registries }: Viewed, words: Words): readonly ComponentChildren[] {
  const aged = registries.flatMap((registry): ComponentChildren[] => {
    const { catalogue } = registry;
    if (catalogue?.state === "missing") return [notice("warn", words.catalogueMissing(registry.name))];
    if (catalogue?.state !== "stale" || catalogue.readAt === null) return [];
    return [notice("warn", words.catalogueStale(registry.name), " ", part(Time, { time: catalogue.readAt }))];
  });
  return [
    exempt && notice("info", words.exempt),
    !exempt && mode !== "enforce" && notice("info", words.nothingRefused(mode)),
    ...aged,
  ];
}
