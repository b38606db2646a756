// What administrators see: registries and how they are, spaces with their bindings, workspaces with what they reach,
// and what is wrong with the policy.

import type { ComponentChildren, VNode } from "preact";
import type {
  PlatformOverview,
  PlatformProblemList,
  PlatformRegistry,
  PlatformRegistryList,
} from "../http/people-shapes.ts";
import { AllSpaces, ChosenSpace } from "./all-spaces.ts";
import { AllWorkspaces } from "./all-workspaces.ts";
import { AnswerView, ListView } from "./answer-view.ts";
import { useAnswers } from "./answers.ts";
import { el, part } from "./element.ts";
import { badge, code, facts, Heading, name, textOf, Time } from "./parts.ts";
import { hashOf } from "./place.ts";
import { useSession } from "./session.ts";
import { table, type Column } from "./tables.ts";
import type { Words } from "./words.ts";

const sections = ["overview", "spaces", "workspaces", "problems"] as const;
type Section = (typeof sections)[number];

export function Administration(): VNode {
  const { words, place } = useSession();
  const section = sections.find((one) => one === place.section) ?? "overview";
  return el(
    "section",
    null,
    part(Heading, { level: 1, main: place.space === undefined, text: words.platform }),
    el(
      "nav",
      { class: "tabs", "aria-label": words.platform },
      ...sections.map((one) =>
        el(
          "a",
          {
            href: hashOf({ namespace: place.namespace, view: "platform", section: one }),
            ...(one === section ? { "aria-current": "page" as const } : {}),
          },
          sectionTitle(one, words),
        ),
      ),
    ),
    sectionView(section, place.space !== undefined, words),
  );
}

function sectionTitle(section: Section, words: Words): string {
  return {
    overview: words.overview,
    spaces: words.spaces,
    workspaces: words.workspaces,
    problems: words.problems,
  }[section];
}

function sectionView(section: Section, hasSpace: boolean, words: Words): VNode {
  switch (section) {
    case "overview":
      return el("div", null, part(Overview, {}), el("h2", null, words.registries), part(Registries, {}));
    case "spaces":
      return hasSpace ? part(ChosenSpace, {}) : part(AllSpaces, {});
    case "workspaces":
      return part(AllWorkspaces, {});
    case "problems":
      return part(Problems, {});
  }
}

function Overview(): VNode {
  const { words } = useSession();
  return part(AnswerView<PlatformOverview>, {
    answers: useAnswers<PlatformOverview>("/platform"),
    children: ({ mode, unlistedRegistries, exemptNamespaces, namespaces, workspaces, documents, problems }) =>
      facts([
        [words.mode, [badge(mode, mode === "enforce" ? "good" : "warn"), " ", words.modes[mode]]],
        [words.unlisted, words.unlistedRegistries[unlistedRegistries]],
        [words.exemptNamespaces, exemptNamespaces.length === 0 ? "–" : name(exemptNamespaces.join(", "))],
        [words.known, words.knownCounts(namespaces, workspaces, documents)],
        [words.problems, problems === 0 ? words.none : badge(String(problems), "bad")],
      ]),
  });
}

function Registries(): VNode {
  const { words } = useSession();
  const columns: readonly Column<PlatformRegistry>[] = [
    {
      head: words.registry,
      cell: (registry) => [
        el("strong", null, name(registry.name)),
        " ",
        registry.workspace !== null && badge(words.workspaceNamed(registry.workspace)),
        el("small", { class: "muted block" }, name(registry.hosts.join(", "))),
      ],
    },
    { head: words.type, cell: ({ type, version }) => [type, version !== null && [" ", name(version)]] },
    { head: words.health, cell: (registry) => part(Health, { registry }) },
    { head: words.catalogue, cell: (registry) => part(Catalogue, { registry }) },
  ];
  return part(AnswerView<PlatformRegistryList>, {
    answers: useAnswers<PlatformRegistryList>("/platform/registries"),
    children: ({ items }) =>
      items.length === 0
        ? el("p", { class: "empty" }, words.noRegistries)
        : table(words.registries, columns, items),
  });
}

function Health({ registry }: { registry: PlatformRegistry }): VNode {
  const { words } = useSession();
  const { state, checkedAt, problems, advice } = registry;
  return el(
    "div",
    null,
    badge(words.states[state], ({ up: "good", down: "bad", unknown: "warn" } as const)[state]),
    checkedAt !== null && el("small", { class: "muted" }, " ", part(Time, { time: checkedAt })),
    ...problems.map((text) => el("div", { class: "problem" }, textOf(text))),
    ...advice.map((text) => el("div", { class: "advice" }, textOf(text))),
  );
}

function Catalogue({ registry }: { registry: PlatformRegistry }): ComponentChildren {
  const { words } = useSession();
  const { catalogue, spaces } = registry;
  if (catalogue === null) return words.noSpacesThere;
  return [
    spaces !== null && words.spaceCounts(spaces.public, spaces.private),
    " ",
    catalogue.state !== "current" && badge(words.catalogueStates[catalogue.state], "warn"),
    catalogue.readAt !== null &&
      el("small", { class: "muted block" }, words.read, " ", part(Time, { time: catalogue.readAt })),
  ];
}

function Problems(): VNode {
  const { words } = useSession();
  const answers = useAnswers<PlatformProblemList & { readonly next: null }>("/platform/problems");
  type Item = PlatformProblemList["items"][number];
  const columns: readonly Column<Item>[] = [
    {
      head: words.severity,
      cell: ({ severity }) => badge(words.severities[severity], severity === "error" ? "bad" : "warn"),
    },
    { head: words.where, cell: (problem) => code(placeInText(problem)) },
    { head: words.what, cell: ({ text }) => textOf(text) },
  ];
  return part(ListView<Item>, { answers, label: words.problems, columns, empty: words.noProblems });
}

/** As compilers write it: ConfigMap/key:line:column. */
function placeInText({ configMap, key, file, line, column }: PlatformProblemList["items"][number]): string {
  const source = file ?? [configMap, key].filter((part) => part !== null).join("/");
  return [source === "" ? "–" : source, line, column].filter((part) => part !== null).join(":");
}
