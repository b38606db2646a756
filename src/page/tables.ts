// Lists as tables, and the line below them. What stands in the cells is the business of each view.

import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { el } from "./element.ts";
import { useSession } from "./session.ts";

export interface Column<Item> {
  readonly head: string;
  readonly cell: (item: Item) => ComponentChildren;
}

/**
 * A table that becomes a list of cards on a narrow screen. The roles are said again, because a browser forgets those
 * of table elements that are laid out otherwise.
 */
export function table<Item>(label: string, columns: readonly Column<Item>[], items: readonly Item[]): VNode {
  const headings = columns.map(({ head }) => el("th", { role: "columnheader", scope: "col" }, head));
  const rows = items.map((item) =>
    el(
      "tr",
      { role: "row" },
      ...columns.map(({ head, cell }) =>
        el(
          "td",
          { role: "cell" },
          el("span", { class: "label", "aria-hidden": "true" }, head),
          el("div", null, cell(item)),
        ),
      ),
    ),
  );
  return el(
    "table",
    { role: "table", "aria-label": label },
    el("thead", { role: "rowgroup" }, el("tr", { role: "row" }, ...headings)),
    el("tbody", { role: "rowgroup" }, ...rows),
  );
}

/** How much of a list is shown, and the rest on demand. */
export function More(props: {
  shown: number;
  total?: number;
  next: string | null;
  onMore: (after: string) => void;
}): VNode {
  const { words } = useSession();
  const { shown, total, next } = props;
  const line = useRef<HTMLParagraphElement>(null);
  const pressed = useRef(false);
  // The button goes with the last part; the focus must not go with it.
  useEffect(() => {
    if (pressed.current && next === null) line.current?.focus();
    pressed.current = false;
  }, [next]);
  return el(
    "div",
    { class: "more" },
    el(
      "p",
      { ref: line, tabIndex: -1, role: "status" },
      words.shownOf(shown, total ?? (next === null ? shown : null)),
    ),
    next !== null &&
      el(
        "button",
        {
          type: "button",
          class: "secondary outline",
          onClick: () => {
            pressed.current = true;
            props.onMore(next);
          },
        },
        words.more,
      ),
  );
}
