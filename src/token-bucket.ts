// A limit on how often something is done: a bucket of tokens that fills at a steady rate, of which each deed takes one.

export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export interface TokenBucket {
  /** There is a token; asking takes none. */
  holds(): boolean;
  take(): void;
}

/** Full at first. A clock that is set back fills nothing, and takes nothing away. */
export function createTokenBucket({ perSecond, burst }: Rate, now: () => number): TokenBucket {
  let tokens = burst;
  let filledAt = now();
  return {
    holds() {
      const at = now();
      tokens = Math.min(burst, tokens + (Math.max(0, at - filledAt) / 1_000) * perSecond);
      filledAt = at;
      return tokens >= 1;
    },
    take() {
      tokens -= 1;
    },
  };
}
