// Waits for what another process or connection brings about.

/** Resolves as soon as the check stops throwing and is not false; otherwise fails with what it last said. */
export async function eventually(check: () => unknown, withinMs = 10_000): Promise<void> {
  const until = Date.now() + withinMs;
  for (;;) {
    try {
      if ((await check()) === false) throw new Error("it did not come true");
      return;
    } catch (err) {
      if (Date.now() > until) throw err;
    }
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
