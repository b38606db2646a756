// How far apart two names are, for "did you mean".

/** Letters to insert, delete or replace; `limit` where it is that many or more. Time is the product of the lengths. */
export function editDistance(from: string, to: string, limit: number): number {
  if (Math.abs(from.length - to.length) >= limit) return limit;
  // Row by row of the usual table; a row begins with the number of letters of `from` that are gone by then.
  let above = Array.from(to, (_, index) => index + 1);
  let last = to.length;
  for (let row = 1; row <= from.length; row += 1) {
    let diagonal = row - 1;
    let least = row;
    last = row;
    above = above.map((up, column) => {
      const replaced = diagonal + (from[row - 1] === to[column] ? 0 : 1);
      diagonal = up;
      last = Math.min(replaced, up + 1, last + 1);
      least = Math.min(least, last);
      return last;
    });
    // No later row is below the least of this one.
    if (least >= limit) return limit;
  }
  return Math.min(limit, last);
}
