// An answer on the page: quiet while it is on its way, in plain words when it fails, and what is there otherwise.

import type { ComponentChildren, VNode } from "preact";
import type { Answers } from "./answers.ts";
import type { AskError } from "./asking.ts";
import { el, part } from "./element.ts";
import { notice, textOf, Time } from "./parts.ts";
import { useSession } from "./session.ts";
import { More, table, type Column } from "./tables.ts";
import type { Words } from "./words.ts";

export function AnswerView<Answer>(props: {
  answers: Answers<Answer>;
  children: (first: Answer, all: readonly Answer[]) => ComponentChildren;
}): VNode {
  const { words } = useSession();
  const { pages, busy, failure, retry } = props.answers;
  const [first] = pages;
  return el(
    "div",
    { class: "answer", "aria-busy": busy ? "true" : "false" },
    failure !== null && part(FailureView, { failure, onRetry: retry }),
    first !== undefined && props.children(first, pages),
    first === undefined && busy && el("p", { class: "waiting", role: "status" }, words.loading),
  );
}

export function FailureView({ failure, onRetry }: { failure: AskError; onRetry?: () => void }): VNode {
  const { words } = useSession();
  return el(
    "div",
    { class: "notice bad", role: "alert" },
    el("strong", null, failureTitle(failure, words)),
    failure.message !== "" && textOf(failure.message),
    onRetry !== undefined &&
      canPass(failure) &&
      el("button", { type: "button", class: "secondary outline", onClick: onRetry }, words.retry),
  );
}

/** What stays as it is when asked again needs no button. */
function canPass({ status }: AskError): boolean {
  return status === 0 || status === 429 || status >= 500;
}

export function failureTitle({ status, retryAfterSeconds }: AskError, words: Words): string {
  if (status === 0) return navigator.onLine ? words.unreachable : words.offline;
  if (status === 429) return words.tooMany(retryAfterSeconds);
  const titles: Readonly<Record<number, string>> = {
    400: words.badQuestion,
    401: words.signedOut,
    404: words.notThere,
    413: words.tooLarge,
    422: words.unreadable,
    502: words.registryDown,
    503: words.notNow,
  };
  return titles[status] ?? words.failed;
}

export function StaleNotice({ stale, readAt }: { stale: boolean; readAt: string }): VNode | null {
  const { words } = useSession();
  if (!stale) return null;
  return notice("warn", words.staleAnswer, " ", part(Time, { time: readAt }));
}

interface ListPart<Item> {
  readonly items: readonly Item[];
  readonly next: string | null;
  readonly total?: number;
  readonly stale?: boolean;
  readonly readAt?: string;
}

/** A list with its parts, its end, and what to say when there is nothing in it. */
export function ListView<Item>(props: {
  answers: Answers<ListPart<Item>>;
  label: string;
  columns: readonly Column<Item>[];
  empty: ComponentChildren;
}): VNode {
  const { answers, label, columns, empty } = props;
  return part(AnswerView<ListPart<Item>>, {
    answers,
    children: (first, all) => {
      const items = all.flatMap((part) => part.items);
      const { next = null } = all.at(-1) ?? {};
      const aged = first.stale && first.readAt && part(StaleNotice, { stale: true, readAt: first.readAt });
      // A part may be empty and not be the last, where others may see more than the caller.
      if (items.length === 0 && next === null)
        return [aged, el("div", { class: "empty", role: "status" }, empty)];
      const { total } = first;
      return [
        aged,
        table(label, columns, items),
        part(More, {
          shown: items.length,
          next,
          onMore: answers.more,
          ...(total === undefined ? {} : { total }),
        }),
      ];
    },
  });
}
