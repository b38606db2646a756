// Where no namespace is chosen yet: those in which the caller may deploy.

import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { NamespaceEntry, NamespaceList as Listed } from "../http/people-shapes.ts";
import { ListView } from "./answer-view.ts";
import { useAnswers } from "./answers.ts";
import { pathOf } from "./asking.ts";
import { el, part } from "./element.ts";
import { SearchField } from "./fields.ts";
import { Heading, link, name, notice } from "./parts.ts";
import { useSession } from "./session.ts";
import type { Column } from "./tables.ts";

export function NamespaceList(): VNode {
  const { words, identity } = useSession();
  const [search, setSearch] = useState("");
  const answers = useAnswers<Listed>(pathOf("/namespaces", { search }));
  const columns: readonly Column<NamespaceEntry>[] = [
    { head: words.namespace, cell: (entry) => link({ namespace: entry.name }, name(entry.name)) },
    {
      head: words.workspace,
      cell: ({ workspace }) =>
        workspace === null ? el("span", { class: "muted" }, words.noWorkspaceShort) : name(workspace),
    },
  ];
  return el(
    "section",
    null,
    part(Heading, { level: 1, main: true, text: words.chooseNamespace }),
    identity.login === "none" && notice("info", words.nobodySignsInLong),
    part(SearchField, { label: words.searchNamespaces, value: search, onSearch: setSearch }),
    part(ListView<NamespaceEntry>, {
      answers,
      label: words.namespaces,
      columns,
      empty: search === "" ? words.noNamespaces : words.nothingFound,
    }),
  );
}
