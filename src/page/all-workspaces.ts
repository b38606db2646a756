// Workspaces with their namespaces and what private they reach.

import type { ComponentChildren, VNode } from "preact";
import type { PlatformWorkspaceList } from "../http/people-shapes.ts";
import { ListView } from "./answer-view.ts";
import { useAnswers } from "./answers.ts";
import { pathOf } from "./asking.ts";
import { el, part } from "./element.ts";
import { SearchField } from "./fields.ts";
import { link, name } from "./parts.ts";
import { useSession } from "./session.ts";
import type { Column } from "./tables.ts";
import type { Words } from "./words.ts";

type Workspace = PlatformWorkspaceList["items"][number];

export function AllWorkspaces(): VNode {
  const { words, place, narrow } = useSession();
  const { search = "" } = place;
  const answers = useAnswers<PlatformWorkspaceList>(pathOf("/platform/workspaces", { search }));
  const columns: readonly Column<Workspace>[] = [
    { head: words.workspace, cell: ({ workspace }) => el("strong", null, name(workspace)) },
    { head: words.namespaces, cell: (workspace) => namespacesOf(workspace, words) },
    { head: words.privateSpaces, cell: (workspace) => reachOf(workspace, words) },
  ];
  return el(
    "div",
    null,
    part(SearchField, {
      label: words.searchWorkspaces,
      value: search,
      onSearch: (text) => narrow({ ...place, search: text }),
    }),
    part(ListView<Workspace>, {
      answers,
      label: words.workspaces,
      columns,
      empty: search === "" ? words.noWorkspaces : words.nothingFound,
    }),
  );
}

function namespacesOf({ namespaces, namespaceCount }: Workspace, words: Words): ComponentChildren {
  if (namespaceCount === 0) return words.none;
  const others = namespaceCount - namespaces.length;
  return [
    ...namespaces.flatMap((namespace, index) => [index > 0 && ", ", link({ namespace }, name(namespace))]),
    others > 0 && ` ${words.andOthers(others)}`,
  ];
}

function reachOf({ spaces, registries }: Workspace, words: Words): ComponentChildren {
  const reached = [
    ...registries.map((registry) => el("li", null, name(registry), " ", words.allOfIt)),
    ...spaces.map(({ registry, name: space }) => el("li", null, name(`${registry}/${space}`))),
  ];
  return reached.length === 0 ? words.none : el("ul", { class: "plain" }, ...reached);
}
