// An answer of the API as a part of the page shows it: what is there, whether more is on its way, what went wrong.
// The earlier answer stays while the next is asked for, so that nothing jumps; a question that changed is aborted.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { AskError } from "./asking.ts";
import { useSession } from "./session.ts";

export interface Answers<Answer> {
  /** One for a plain question; for a list as many as were asked for. */
  readonly pages: readonly Answer[];
  readonly busy: boolean;
  readonly failure: AskError | null;
  readonly retry: () => void;
  /** Asks for the next part of a list, and adds it. */
  readonly more: (after: string) => void;
}

interface State<Answer> {
  readonly pages: readonly Answer[];
  readonly busy: boolean;
  readonly failure: AskError | null;
}

/** Null asks nothing. */
export function useAnswers<Answer>(path: string | null): Answers<Answer> {
  const { ask } = useSession();
  const [state, setState] = useState<State<Answer>>({ pages: [], busy: path !== null, failure: null });
  const asking = useRef<AbortController | null>(null);

  const load = useCallback(
    async (wanted: string, keep: boolean): Promise<void> => {
      asking.current?.abort();
      const aborter = new AbortController();
      asking.current = aborter;
      setState(({ pages }) => ({ pages, busy: true, failure: null }));
      try {
        const answer = await ask<Answer>(wanted, { signal: aborter.signal });
        setState(({ pages }) => ({
          pages: keep ? [...pages, answer] : [answer],
          busy: false,
          failure: null,
        }));
      } catch (err) {
        if (aborter.signal.aborted) return;
        const failure = err instanceof AskError ? err : new AskError(500, "", { cause: err });
        setState(({ pages }) => ({ pages: keep ? pages : [], busy: false, failure }));
      }
    },
    [ask],
  );

  useEffect(() => {
    if (path !== null) void load(path, false);
    else setState({ pages: [], busy: false, failure: null });
    return () => asking.current?.abort();
  }, [path, load]);

  const retry = useCallback(() => void (path !== null && load(path, false)), [path, load]);
  useRetryByItself(state.failure, retry);
  return {
    ...state,
    retry,
    more: (after) => {
      if (path === null) return;
      void load(`${path}${path.includes("?") ? "&" : "?"}after=${encodeURIComponent(after)}`, true);
    },
  };
}

/** A replica is replaced in a few seconds, and a browser may say that it is online a moment too early. */
const awaySeconds = 3;

/** When the line is back, and after as long as the server asked to wait. */
function useRetryByItself(failure: AskError | null, retry: () => void): void {
  useEffect(() => {
    if (failure === null) return;
    const isAway = failure.status === 0;
    const seconds = isAway ? awaySeconds : failure.status === 429 ? failure.retryAfterSeconds : null;
    if (seconds === null) return;
    const waiting = setTimeout(retry, seconds * 1_000);
    if (isAway) addEventListener("online", retry);
    return () => {
      clearTimeout(waiting);
      removeEventListener("online", retry);
    };
  }, [failure, retry]);
}
