// How times, sizes, digests and names of others are written. Names come from people and registries: whatever they
// hold is shown, what would not be seen or would turn the text around is shown as its code.

import type { Language } from "./words.ts";

/** Control and format characters, surrogates without their half, line and paragraph separators. */
export const unseen = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Zl}\p{Zp}]/gu;

export function visible(text: string): string {
  return text.replace(unseen, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}

/** As the browser's owner writes times, where that is the language of the page. */
function localeOf(language: Language): string {
  return navigator.languages.find((tag) => tag.startsWith(language)) ?? language;
}

const units: readonly (readonly [Intl.RelativeTimeFormatUnit, number])[] = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

/** Such as "3 days ago". */
export function ago(time: string, language: Language, now: number): string {
  const seconds = Math.round((Date.parse(time) - now) / 1_000);
  const [unit, length] = units.find(([, inUnit]) => Math.abs(seconds) >= inUnit) ?? ["second", 1];
  return new Intl.RelativeTimeFormat(localeOf(language), { numeric: "auto" }).format(
    Math.trunc(seconds / length),
    unit,
  );
}

export function exactTime(time: string, language: Language): string {
  return new Intl.DateTimeFormat(localeOf(language), { dateStyle: "medium", timeStyle: "long" }).format(
    new Date(time),
  );
}

export function size(bytes: number, language: Language): string {
  const names = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = bytes < 1 ? 0 : Math.min(names.length - 1, Math.floor(Math.log2(bytes) / 10));
  const number = new Intl.NumberFormat(localeOf(language), { maximumSignificantDigits: 3 }).format(
    bytes / 1024 ** step,
  );
  return `${number} ${names[step] ?? ""}`;
}

/** As people compare them: the algorithm is always the same, the first twelve digits never are. */
export function shortDigest(digest: string): string {
  return visible(digest.replace(/^sha256:/, "").slice(0, 12));
}
