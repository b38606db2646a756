// The spaces of all Harbors with their bindings; for a chosen one the text that binds it. Berth binds nothing by itself:
// what is bound stands in the policy, where everybody who may see it finds it.

import type { ComponentChildren, VNode } from "preact";
import { useState } from "preact/hooks";
import type { PlatformOverview, PlatformSpace, PlatformSpaceList } from "../http/people-shapes.ts";
import { AnswerView, ListView } from "./answer-view.ts";
import { useAnswers } from "./answers.ts";
import { pathOf } from "./asking.ts";
import { CopyText } from "./copy-text.ts";
import { el, part } from "./element.ts";
import { Choice, Field, SearchField } from "./fields.ts";
import { badge, facts, Heading, link, name } from "./parts.ts";
import { useSession } from "./session.ts";
import type { Column } from "./tables.ts";
import type { Words } from "./words.ts";
import { bindingYaml } from "./workload-yaml.ts";

export function AllSpaces(): VNode {
  const { words, place, narrow } = useSession();
  const { search = "" } = place;
  const answers = useAnswers<PlatformSpaceList>(pathOf("/platform/spaces", { search }));
  const columns: readonly Column<PlatformSpace>[] = [
    {
      head: words.space,
      cell: ({ registry, name: space }) =>
        link({ ...place, search: undefined, registry, space }, name(space)),
    },
    { head: words.registry, cell: ({ registry }) => name(registry) },
    { head: words.visibility, cell: (space) => visibilityOf(space, words) },
    { head: words.boundTo, cell: (space) => bindingsOf(space, words) },
  ];
  return el(
    "div",
    null,
    part(SearchField, {
      label: words.searchSpaces,
      value: search,
      onSearch: (text) => narrow({ ...place, search: text }),
    }),
    part(ListView<PlatformSpace>, { answers, label: words.spaces, columns, empty: words.nothingFound }),
  );
}

function visibilityOf({ visibility, proxyCache, declared }: PlatformSpace, words: Words): ComponentChildren {
  return [
    badge(words.visibilities[visibility], visibility === "public" ? "good" : "plain"),
    proxyCache && [" ", badge(words.proxyCache)],
    declared && [" ", badge(words.declared)],
  ];
}

function bindingsOf({ bindings, visibility }: PlatformSpace, words: Words): ComponentChildren {
  if (bindings.length === 0)
    return el("span", { class: "muted" }, visibility === "public" ? words.notBoundPublic : words.notBound);
  return bindings.map(({ workspace, state }) => [
    name(workspace),
    state !== "holds" && [" ", badge(words.bindingStates[state], "warn")],
    " ",
  ]);
}

export function ChosenSpace(): VNode {
  const { words, place } = useSession();
  const { registry, space } = place;
  const answers = useAnswers<PlatformSpaceList>(pathOf("/platform/spaces", { registry, name: space }));
  return el(
    "section",
    null,
    el("p", null, link({ ...place, registry: undefined, space: undefined }, words.backToSpaces)),
    part(Heading, { level: 2, main: true, text: space ?? "" }),
    part(AnswerView<PlatformSpaceList>, {
      answers,
      children: ({ items }) => {
        const [found] = items;
        return found === undefined
          ? el("p", { class: "empty" }, words.nothingFound)
          : part(BindForm, { space: found });
      },
    }),
  );
}

function BindForm({ space }: { space: PlatformSpace }): VNode {
  const { words } = useSession();
  const [overview] = useAnswers<PlatformOverview>("/platform").pages;
  const namespace = overview?.berthNamespace ?? "berth-system";
  const [workspace, setWorkspace] = useState("");
  const [by, setBy] = useState<"name" | "id">("id");
  const id = by === "id" ? space.id : null;
  const { registry, name: spaceName } = space;
  return el(
    "div",
    null,
    facts([
      [words.registry, name(registry)],
      ["id", String(space.id)],
      [words.visibility, visibilityOf(space, words)],
      [words.boundTo, bindingsOf(space, words)],
    ]),
    el("h3", null, words.bind),
    el(
      "div",
      { class: "choices" },
      part(Field, {
        label: words.workspaceId,
        value: workspace,
        onInput: setWorkspace,
        hint: overview && words.workspaceIdHint(overview.workspaceLabel),
      }),
      part(Choice<"name" | "id">, {
        label: words.bindBy,
        value: by,
        options: [
          ["id", words.byNameAndId],
          ["name", words.byNameAlone],
        ],
        onChoose: setBy,
      }),
    ),
    workspace.trim() === ""
      ? el("p", { class: "muted" }, words.bindFirst)
      : [
          part(CopyText, {
            text: bindingYaml({ namespace, workspace: workspace.trim(), registry, space: spaceName, id }),
            label: words.bindingPolicy,
            block: true,
          }),
          el("p", null, words.whereToPutIt(namespace)),
        ],
  );
}
