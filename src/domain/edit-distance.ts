// How far apart two names are, for "did you mean".

/** Letters to insert, delete or replace; `limit` where it is that many or more. Time is the product of the lengths. */
export function editDistance(from: string, to: string, limit: number): number {
  if (Math.abs(from.length - to.length) >= limit) return limit;
  let previous = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const current = [i];
    let least = i;
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (previous[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      const cost = Math.min(replaced, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1);
      current.push(cost);
      least = Math.min(least, cost);
    }
    // No later row is below the least of this one.
    if (least >= limit) return limit;
    previous = current;
  }
  return Math.min(limit, previous[to.length] ?? limit);
}
