// Which language the page speaks. The words themselves: english.ts, chinese.ts; a translation that is missing is a
// type error. What the server says (refusals, problems) stays in English.

import { chinese } from "./chinese.ts";
import { english } from "./english.ts";

export type Words = typeof english;
export type Language = "en" | "zh";

export const languages: readonly (readonly [Language, string])[] = [
  ["en", "English"],
  ["zh", "中文"],
];

export function wordsOf(language: Language): Words {
  return language === "zh" ? chinese : english;
}

/** As chosen before, else as the browser is set. */
export function preferredLanguage(remembered: string | null, browser: readonly string[]): Language {
  if (remembered === "en" || remembered === "zh") return remembered;
  const known = browser
    .map((tag) => tag.slice(0, 2).toLowerCase())
    .find((tag) => tag === "en" || tag === "zh");
  return known === "zh" ? "zh" : "en";
}

export type ReasonCode = keyof Words["reasons"];

/** What a reason code means and what would have to change; codes of a newer server have no words here. */
export function reasonInWords(words: Words, reason: string): string | undefined {
  return Object.hasOwn(words.reasons, reason) ? words.reasons[reason as ReasonCode] : undefined;
}
