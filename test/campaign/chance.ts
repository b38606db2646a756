// Chance that can be had again: the same seed gives the same numbers, and thus the same walk.

export interface Chance {
  /** 0 ≤ x < 1. */
  next(): number;
  /** A whole number, both ends included. */
  between(least: number, most: number): number;
  one<T>(of: readonly T[]): T;
  /** Comes true so often. */
  happens(share: number): boolean;
  /** One of them, each as often as its weight says. */
  weighted<T extends { readonly weight: number }>(of: readonly T[]): T;
}

/** Mulberry32: 32 bits of state are plenty for some thousand steps. */
export function createChance(seed: number): Chance {
  let state = seed >>> 0;
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
  const chance: Chance = {
    next,
    between: (least, most) => least + Math.floor(next() * (most - least + 1)),
    one(of) {
      const found = of[Math.floor(next() * of.length)];
      if (found === undefined) throw new Error("there is nothing to choose from");
      return found;
    },
    happens: (share) => next() < share,
    weighted(of) {
      let at = next() * of.reduce((sum, { weight }) => sum + weight, 0);
      for (const each of of) {
        at -= each.weight;
        if (at < 0) return each;
      }
      return chance.one(of);
    },
  };
  return chance;
}
