// What the browser keeps: the language and the last namespace for good, the token for this tab only. A browser that
// keeps nothing is no fault.

export type Remembered = "language" | "namespace" | "token";

function storageOf(what: Remembered): Storage {
  return what === "token" ? sessionStorage : localStorage;
}

export function recall(what: Remembered): string | null {
  try {
    return storageOf(what).getItem(`berth.${what}`);
  } catch {
    return null;
  }
}

export function remember(what: Remembered, value: string | null): void {
  try {
    if (value === null) storageOf(what).removeItem(`berth.${what}`);
    else storageOf(what).setItem(`berth.${what}`, value);
  } catch {
    // Then it has to be said again next time.
  }
}
