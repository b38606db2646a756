// Small parts that every view is made of: names of others, headings that take the focus, notices, badges, times.

import type { ComponentChildren, VNode } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { el } from "./element.ts";
import { hashOf, type Place } from "./place.ts";
import { ago, exactTime, visible } from "./reading-text.ts";
import { useSession } from "./session.ts";

/** A name of others: apart from the text around it, and with nothing hidden in it. */
export function name(text: string): VNode {
  return el("bdi", null, visible(text));
}

/** What the server says, line by line; it speaks English. */
export function textOf(text: string): VNode {
  const lines = text.split("\n").map((line) => el("p", null, name(line)));
  return el("div", { class: "said", lang: "en" }, ...lines);
}

export function code(text: string): VNode {
  return el("code", null, name(text));
}

export function badge(text: string, kind: "plain" | "good" | "bad" | "warn" = "plain"): VNode {
  return el("span", { class: `badge ${kind}` }, text);
}

export function notice(kind: "info" | "warn" | "bad", ...children: readonly ComponentChildren[]): VNode {
  return el("div", { class: `notice ${kind}` }, ...children);
}

export function link(place: Place, ...children: readonly ComponentChildren[]): VNode {
  return el("a", { href: hashOf(place) }, ...children);
}

/** What a view is about. `main` is what was opened: it takes the focus and gives the document its title. */
export function Heading(props: {
  level: 1 | 2;
  main: boolean;
  text: string;
  children?: ComponentChildren;
}): VNode {
  const { level, main, text, children } = props;
  const { takesFocus, place } = useSession();
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    if (!main) return;
    document.title = `${visible(text)} · Berth`;
    if (takesFocus) heading.current?.focus();
  }, [main, text, takesFocus, place]);
  return el(`h${level}`, { ref: heading, tabIndex: -1 }, children ?? name(text));
}

export function Time({ time }: { time: string }): VNode {
  const { language } = useSession();
  return el("time", { dateTime: time, title: exactTime(time, language) }, ago(time, language, Date.now()));
}

/** Term and text, one below the other on a narrow screen. */
export function facts(rows: readonly (readonly [string, ComponentChildren] | null)[]): VNode {
  const shown = rows.filter((row) => row !== null);
  return el(
    "dl",
    { class: "facts" },
    ...shown.flatMap(([term, text]) => [el("dt", null, term), el("dd", null, text)]),
  );
}
