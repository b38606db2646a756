// What somebody sees who is not signed in, or of whom Berth does not know it yet. The token stays in this tab.

import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { failureTitle } from "./answer-view.ts";
import type { AskError } from "./asking.ts";
import { el, part } from "./element.ts";
import { Field } from "./fields.ts";
import { languageChoice } from "./frame.ts";
import { code, textOf } from "./parts.ts";
import type { Language, Words } from "./words.ts";

interface SignInProps {
  readonly words: Words;
  readonly language: Language;
  readonly onLanguage: (language: Language) => void;
  /** Null while the first answer is on its way. */
  readonly failure: AskError | null;
  /** The token that was sent is no good, or not any more. */
  readonly tokenRefused: boolean;
  readonly onToken: (token: string) => void;
  readonly onRetry: () => void;
}

export function SignIn(props: SignInProps): VNode {
  const { words, language, onLanguage, failure } = props;
  return el(
    "div",
    { class: "frame" },
    el(
      "header",
      { class: "top" },
      el("strong", { class: "brand" }, "Berth"),
      el("div", { class: "who" }, languageChoice(words, language, onLanguage)),
    ),
    el("main", { id: "main", tabIndex: -1, "aria-busy": failure === null ? "true" : "false" }, body()),
  );

  function body(): VNode {
    if (failure === null) return el("p", { class: "waiting", role: "status" }, words.loading);
    if (failure.status === 401 && failure.takesToken) return part(TokenForm, props);
    if (failure.status === 401)
      return el("div", { class: "notice info" }, el("h1", null, words.signInElsewhere));
    return el(
      "div",
      { class: "notice bad", role: "alert" },
      el("h1", null, failureTitle(failure, words)),
      failure.message !== "" && textOf(failure.message),
      el("button", { type: "button", class: "secondary outline", onClick: props.onRetry }, words.retry),
    );
  }
}

function TokenForm({ words, tokenRefused, onToken }: SignInProps): VNode {
  const [token, setToken] = useState("");
  const submit = (event: Event): void => {
    event.preventDefault();
    // What is copied from a terminal may have line breaks in it, and no token has blanks.
    const given = token.replaceAll(/\s/g, "");
    if (given !== "") onToken(given);
    setToken("");
  };
  return el(
    "form",
    { class: "sign-in", onSubmit: submit },
    el("h1", null, words.signIn),
    tokenRefused && el("div", { class: "notice bad", role: "alert" }, words.tokenRefused),
    el("p", null, words.signInWhy),
    part(Field, { label: words.token, value: token, onInput: setToken, secret: true, hint: words.tokenKept }),
    el("button", { type: "submit" }, words.signIn),
    el("h2", null, words.howToGetToken),
    el(
      "ul",
      null,
      el(
        "li",
        null,
        words.tokenOfAccount,
        el("pre", { tabIndex: 0 }, code("kubectl create token <account> -n <namespace> --duration 8h")),
      ),
      el("li", null, words.tokenOfPlatform),
    ),
  );
}
