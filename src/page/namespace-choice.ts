// The field in which one chooses a namespace: a combobox that searches while one types (ARIA's pattern, with arrow keys,
// Enter and Escape).

import type { VNode } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { NamespaceList } from "../http/people-shapes.ts";
import { useAnswers } from "./answers.ts";
import { pathOf } from "./asking.ts";
import { el } from "./element.ts";
import { name } from "./parts.ts";
import { useSession } from "./session.ts";

/** As many as fit below the field. */
const suggestions = 8;
const typingPauseMs = 150;

export function NamespaceChoice(): VNode {
  const { words, place, open: openPlace } = useSession();
  const current = place.namespace ?? "";
  const [text, setText] = useState(current);
  const [search, setSearch] = useState("");
  const [expanded, setExpanded] = useState(false);
  const [active, setActive] = useState(-1);
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const answers = useAnswers<NamespaceList>(
    expanded ? pathOf("/namespaces", { search, limit: suggestions }) : null,
  );
  const items = answers.pages[0]?.items ?? [];

  useEffect(() => {
    const wanted = text === current ? "" : text.trim().toLowerCase();
    const pause = setTimeout(() => setSearch(wanted), typingPauseMs);
    return () => clearTimeout(pause);
  }, [text, current]);

  const close = (): void => {
    setExpanded(false);
    setActive(-1);
  };
  const choose = (namespace: string): void => {
    close();
    if (namespace === "") return;
    setText(namespace);
    openPlace({ namespace, view: place.view === "why" ? "why" : undefined });
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setExpanded(true);
      // One place before the first stands for the field itself.
      setActive((at) => ((at + 1 + step + items.length + 1) % (items.length + 1)) - 1);
    } else if (event.key === "Enter") {
      event.preventDefault();
      choose(items[active]?.name ?? text.trim());
    } else if (event.key === "Escape") {
      close();
      setText(current);
    }
  };

  const option = (index: number): string => `${id}-${index}`;
  return el(
    "div",
    { class: "combobox" },
    el("input", {
      ref: field,
      role: "combobox",
      type: "text",
      "aria-label": words.namespace,
      "aria-expanded": expanded,
      "aria-controls": `${id}-list`,
      "aria-autocomplete": "list",
      ...(active >= 0 ? { "aria-activedescendant": option(active) } : {}),
      placeholder: words.chooseNamespace,
      autocomplete: "off",
      spellcheck: false,
      maxLength: 63,
      value: text,
      onClick: () => setExpanded(true),
      onFocus: () => field.current?.select(),
      onBlur: () => {
        close();
        setText(current);
      },
      onInput: ({ currentTarget }) => {
        setText(currentTarget.value);
        setExpanded(true);
        setActive(-1);
      },
      onKeyDown,
    }),
    el(
      "ul",
      {
        id: `${id}-list`,
        role: "listbox",
        "aria-label": words.namespaces,
        hidden: !expanded || items.length === 0,
      },
      ...items.map((item, index) =>
        el(
          "li",
          {
            id: option(index),
            role: "option",
            "aria-selected": index === active,
            // The field keeps the focus.
            onMouseDown: (event) => event.preventDefault(),
            onClick: () => choose(item.name),
          },
          name(item.name),
          el(
            "small",
            null,
            item.workspace === null ? words.noWorkspaceShort : words.workspaceNamed(item.workspace),
          ),
        ),
      ),
    ),
    expanded &&
      answers.pages.length > 0 &&
      items.length === 0 &&
      el("div", { class: "listbox-empty", role: "status" }, words.noNamespaceFound),
  );
}
