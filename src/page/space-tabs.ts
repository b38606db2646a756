// Public, Private, Docker Registry: the lists of a namespace, as tabs (ARIA's pattern; arrow keys turn them).

import type { ComponentChildren, VNode } from "preact";
import { useRef } from "preact/hooks";
import type { NamespaceRegistry, NamespaceView, OpenSpace, OpenSpaceList } from "../http/people-shapes.ts";
import { ListView } from "./answer-view.ts";
import { useAnswers } from "./answers.ts";
import { below, pathOf } from "./asking.ts";
import { el, part } from "./element.ts";
import { SearchField } from "./fields.ts";
import { badge, code, link, name } from "./parts.ts";
import { useSession } from "./session.ts";
import { table, type Column } from "./tables.ts";
import type { Words } from "./words.ts";

const tabs = ["public", "private", "docker"] as const;
export type TabName = (typeof tabs)[number];

export function viewOf(view: string | undefined): TabName {
  return tabs.find((tab) => tab === view) ?? "public";
}

export function tabTitle(tab: TabName, words: Words): string {
  return { public: words.publicImages, private: words.privateImages, docker: words.dockerRegistry }[tab];
}

export function SpaceTabs({ view }: { view: NamespaceView | undefined }): VNode {
  const { words, place, turn } = useSession();
  const current = viewOf(place.view);
  const buttons = useRef<Partial<Record<TabName, HTMLButtonElement | null>>>({});
  const choose = (tab: TabName): void => {
    buttons.current[tab]?.focus();
    if (tab !== current) turn({ namespace: place.namespace, view: tab });
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const at = tabs.indexOf(current);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: -1 }[event.key];
    const tab = to === undefined ? undefined : tabs.at(to % tabs.length);
    if (tab === undefined) return;
    event.preventDefault();
    choose(tab);
  };
  return el(
    "section",
    null,
    el(
      "div",
      { role: "tablist", class: "tabs", "aria-label": words.imagesBy, onKeyDown },
      ...tabs.map((tab) =>
        el(
          "button",
          {
            type: "button",
            role: "tab",
            id: `tab-${tab}`,
            "aria-selected": tab === current,
            "aria-controls": "tab-panel",
            tabIndex: tab === current ? 0 : -1,
            ref: (button) => {
              buttons.current[tab] = button;
            },
            onClick: () => choose(tab),
          },
          tabTitle(tab, words),
        ),
      ),
    ),
    el(
      "div",
      { role: "tabpanel", id: "tab-panel", "aria-labelledby": `tab-${current}` },
      current === "docker"
        ? part(DockerRegistries, { registries: view?.registries ?? null })
        : part(SpaceList, { key: current, visibility: current, view }),
    ),
  );
}

function SpaceList({
  visibility,
  view,
}: {
  visibility: "public" | "private";
  view: NamespaceView | undefined;
}): VNode {
  const { words, place, narrow } = useSession();
  const { namespace, search = "" } = place;
  const answers = useAnswers<OpenSpaceList>(pathOf(below(namespace, "/spaces"), { visibility, search }));
  const none = visibility === "public" ? words.noPublicSpaces : noPrivateSpaces(view, words);
  return el(
    "div",
    null,
    part(SearchField, {
      label: words.searchSpaces,
      value: search,
      onSearch: (text) => narrow({ ...place, search: text }),
    }),
    part(ListView<OpenSpace>, {
      answers,
      label: words.spaces,
      columns: spaceColumns(words, (space) => ({
        namespace,
        view: visibility,
        registry: space.registry,
        space: space.name,
      })),
      empty: search === "" ? none : words.nothingFound,
    }),
  );
}

function noPrivateSpaces(view: NamespaceView | undefined, words: Words): string {
  if (view === undefined) return words.loading;
  const { workspace } = view;
  return workspace === null ? words.noWorkspaceNoPrivate : words.noPrivateSpaces(workspace);
}

export function spaceColumns(
  words: Words,
  placeOf: (space: OpenSpace) => Parameters<typeof link>[0],
): readonly Column<OpenSpace>[] {
  return [
    {
      head: words.space,
      cell: (space) => [link(placeOf(space), name(space.name)), " ", ...spaceBadges(space, words)],
    },
    { head: words.registry, cell: ({ registry }) => name(registry) },
    { head: words.namesBegin, cell: ({ reference }) => code(`${reference}/`) },
  ];
}

function spaceBadges({ proxyCache, reason }: OpenSpace, words: Words): readonly ComponentChildren[] {
  return [
    proxyCache && badge(words.proxyCache),
    reason === "workspace-registry" && badge(words.ofYourWorkspace, "good"),
  ];
}

function DockerRegistries({ registries }: { registries: readonly NamespaceRegistry[] | null }): VNode {
  const { words, place } = useSession();
  if (registries === null) return el("p", { class: "waiting", role: "status" }, words.loading);
  const own = registries.filter(({ type }) => type === "docker-registry");
  if (own.length === 0) return el("div", { class: "empty", role: "status" }, words.noDockerRegistries);
  const columns: readonly Column<NamespaceRegistry>[] = [
    {
      head: words.registry,
      cell: (registry) => [
        link({ namespace: place.namespace, view: "docker", registry: registry.name }, name(registry.name)),
        " ",
        registry.access === "workspace" && badge(words.ofYourWorkspace, "good"),
      ],
    },
    { head: words.namesBegin, cell: ({ host }) => code(`${host}/`) },
  ];
  return table(words.dockerRegistry, columns, own);
}
