// The way back, level by level.

import type { VNode } from "preact";
import { el } from "./element.ts";
import { link, name } from "./parts.ts";
import type { Place } from "./place.ts";
import { useSession } from "./session.ts";
import { tabTitle, viewOf } from "./space-tabs.ts";

export function Crumbs(): VNode {
  const { place, words } = useSession();
  const { namespace, view, find, registry, space, repository, tag } = place;
  const start: Place = { namespace, view, find };
  const root = find === undefined ? tabTitle(viewOf(view), words) : words.searchedFor(find);
  const inSpace: Place = { ...start, registry, space };
  const steps: (readonly [string, Place])[] = [
    [root, start],
    [space ?? registry ?? "", inSpace],
  ];
  if (repository !== undefined) steps.push([withoutSpace(repository, space), { ...inSpace, repository }]);
  if (tag !== undefined) steps.push([tag, place]);
  return el(
    "nav",
    { "aria-label": words.breadcrumb, class: "crumbs" },
    el(
      "ol",
      null,
      ...steps.map(([text, to], index) =>
        el(
          "li",
          null,
          index === steps.length - 1
            ? el("span", { "aria-current": "page" }, name(text))
            : link(to, name(text)),
        ),
      ),
    ),
  );
}

function withoutSpace(repository: string, space: string | undefined): string {
  return space !== undefined && repository.startsWith(`${space}/`)
    ? repository.slice(space.length + 1)
    : repository;
}
