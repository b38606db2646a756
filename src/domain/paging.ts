// One page of a sorted list, found by a part of the name. The cursor is the key of the last item shown, so that a list
// may change between two pages, even lose that item, and nothing is shown twice or left out but what changed.

export interface WantedPage {
  /** Part of the name, whatever the case of its ASCII letters; absent or empty for all. */
  readonly search?: string;
  /** `next` of the page before; undefined for the first. */
  readonly after?: string | undefined;
  /** At least one. */
  readonly limit: number;
}

export interface Page<T> {
  readonly items: T[];
  /** Null at the end. */
  readonly next: string | null;
  /** How many match, on all pages. */
  readonly total: number;
}

export interface Paged<T> {
  /** Unlike any other item's; the list is in the order of {@link inKeyOrder}. */
  readonly key: (item: T) => string;
  /** What people search by. */
  readonly name: (item: T) => string;
}

export function pageOf<T>(
  sorted: readonly T[],
  { search = "", after, limit }: WantedPage,
  { key, name }: Paged<NoInfer<T>>,
): Page<T> {
  const wanted = lowerCase(search);
  const found = wanted === "" ? sorted : sorted.filter((item) => lowerCase(name(item)).includes(wanted));
  const start = after === undefined ? 0 : firstAfter(found, after, key);
  const items = found.slice(start, start + limit);
  const last = items.at(-1);
  const goesOn = last !== undefined && start + items.length < found.length;
  return { items, next: goesOn ? key(last) : null, total: found.length };
}

function firstAfter<T>(sorted: readonly T[], after: string, key: (item: T) => string): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const item = sorted[middle];
    if (item !== undefined && inKeyOrder(key(item), after) <= 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/**
 * By code units, part by part: a slash comes before everything, so that `a/x` is before `a-b/x`, as `a` is before
 * `a-b`.
 */
export function inKeyOrder(a: string, b: string): number {
  const [left, right] = [a.replaceAll("/", "\0"), b.replaceAll("/", "\0")];
  return left < right ? -1 : Number(left > right);
}

/** ASCII only: names of registries and spaces have no other letters, and KELVIN SIGN must not become a "k". */
function lowerCase(text: string): string {
  return /[A-Z]/.test(text) ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : text;
}
