// What is derived from parts of a snapshot, and made again only when one of them is another. Parts are replaced and
// never edited, so that the same part is the same knowledge; what is remembered goes with the first of them.

/** What something is made of, and of nothing else; the one that is replaced as a whole comes first. */
type Parts = readonly [object, ...unknown[]];

/** As `make`, for the last parts beside each first one. `make` must read nothing that is not among its parts. */
export function derived<From, T>(partsOf: (from: From) => Parts, make: (from: From) => T): (from: From) => T {
  const last = new WeakMap<object, { readonly parts: Parts; readonly made: T }>();
  return (from) => {
    const parts = partsOf(from);
    const known = last.get(parts[0]);
    if (known !== undefined && areSame(known.parts, parts)) return known.made;
    const made = make(from);
    last.set(parts[0], { parts, made });
    return made;
  };
}

function areSame(a: Parts, b: Parts): boolean {
  return a.length === b.length && a.every((part, index) => part === b[index]);
}
