// Around every view: skip link, name, namespace, language, who is signed in, and the ways to the views.

import type { ComponentChildren, VNode } from "preact";
import { el, part } from "./element.ts";
import { NamespaceChoice } from "./namespace-choice.ts";
import { link, name } from "./parts.ts";
import { hashOf, type Place } from "./place.ts";
import { useSession } from "./session.ts";
import { languages, type Language, type Words } from "./words.ts";

export function Frame(props: {
  onLanguage: (language: Language) => void;
  onSignOut: () => void;
  children: ComponentChildren;
}): VNode {
  const { words, language, identity, place } = useSession();
  const { namespace, view } = place;
  const ways: readonly (readonly [string, Place, boolean])[] = [
    [words.images, { namespace }, view !== "why" && view !== "platform"],
    ...(namespace === undefined ? [] : [[words.whyNot, { namespace, view: "why" }, view === "why"] as const]),
    ...(identity.platform
      ? [[words.platform, { namespace, view: "platform" }, view === "platform"] as const]
      : []),
  ];
  return el(
    "div",
    { class: "frame" },
    skipLink(words),
    el(
      "header",
      { class: "top" },
      link({ namespace }, el("strong", { class: "brand" }, "Berth")),
      part(NamespaceChoice, { key: namespace ?? "" }),
      el(
        "div",
        { class: "who" },
        languageChoice(words, language, props.onLanguage),
        whoIsIn(props.onSignOut),
      ),
    ),
    el(
      "nav",
      { class: "ways", "aria-label": words.views },
      ...ways.map(([text, to, here]) =>
        el("a", { href: hashOf(to), ...(here ? { "aria-current": "page" as const } : {}) }, text),
      ),
    ),
    el("main", { id: "main", tabIndex: -1 }, props.children),
    el("footer", null, el("small", null, `Berth ${identity.version}`)),
  );

  function whoIsIn(onSignOut: () => void): ComponentChildren {
    const { login, user } = identity;
    if (login === "none") return el("small", { class: "muted" }, words.nobodySignsIn);
    return [
      el("small", { class: "muted", title: words.signedInAs }, name(user ?? "")),
      login === "token" &&
        el("button", { type: "button", class: "secondary outline", onClick: onSignOut }, words.signOut),
    ];
  }
}

/** The address belongs to the places of the page, so the focus is moved by hand. */
function skipLink(words: Words): VNode {
  const skip = (event: Event): void => {
    event.preventDefault();
    document.getElementById("main")?.focus();
  };
  return el("a", { class: "skip", href: "#main", onClick: skip }, words.skip);
}

export function languageChoice(
  words: Words,
  language: Language,
  onLanguage: (language: Language) => void,
): VNode {
  return el(
    "select",
    {
      "aria-label": words.language,
      class: "language",
      value: language,
      onChange: ({ currentTarget }) => onLanguage(currentTarget.value === "zh" ? "zh" : "en"),
    },
    ...languages.map(([value, text]) =>
      el("option", { value, lang: value, selected: value === language }, text),
    ),
  );
}
