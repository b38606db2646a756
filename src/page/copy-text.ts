// Text that is there to be copied, with a button that does it and says so.

import type { VNode } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { el } from "./element.ts";
import { visible } from "./reading-text.ts";
import { useSession } from "./session.ts";

/** Copies what is shown. Where the browser forbids it, the text is selected, so that a key does it. */
export function CopyText(props: { text: string; label: string; block?: boolean }): VNode {
  const { words, announce } = useSession();
  const [state, setState] = useState<"ready" | "copied" | "selected">("ready");
  const shown = useRef<HTMLElement>(null);
  const text = props.block ? props.text : visible(props.text);
  useEffect(() => setState("ready"), [text]);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setState("copied");
      announce(words.copied(props.label));
    } catch {
      if (shown.current) getSelection()?.selectAllChildren(shown.current);
      setState("selected");
      announce(words.selected);
    }
  };
  const button = el(
    "button",
    {
      type: "button",
      class: "secondary outline",
      "aria-label": `${words.copy}: ${props.label}`,
      onClick: () => void copy(),
    },
    state === "copied" ? words.copiedShort : words.copy,
  );
  return el(
    "div",
    { class: props.block ? "copy block" : "copy" },
    props.block
      ? el("pre", { tabIndex: 0, "aria-label": props.label }, el("code", { ref: shown }, text))
      : el("code", { ref: shown }, el("bdi", null, text)),
    button,
    state === "selected" && el("small", null, words.selected),
  );
}
