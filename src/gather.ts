// Many tasks, a few at a time.

/**
 * Runs the task for each item, at most `width` at a time, and resolves when all are over. A task that fails ends
 * nothing but itself: it says so in its result.
 */
export async function gather<T, R>(
  items: readonly T[],
  width: number,
  task: (item: T) => Promise<R>,
): Promise<readonly PromiseSettledResult<R>[]> {
  const results: PromiseSettledResult<R>[] = [];
  const queue = items.entries();
  /** So that what is thrown before there is a promise fails alike. */
  const begin = async (item: T): Promise<R> => await task(item);
  async function work(): Promise<void> {
    for (const [index, item] of queue) {
      const [result] = await Promise.allSettled([begin(item)]);
      results[index] = result;
    }
  }
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, work));
  return results;
}
