// How much may be looked up: each registry has a bucket of tokens that fills at a steady rate, and each namespace
// one a tenth as large. A look-up takes one from both, or none.

import { LRUCache } from "lru-cache";
import { createTokenBucket, type Rate, type TokenBucket } from "../token-bucket.ts";

export interface LookUpLimits {
  /** Takes a token and says so, or takes nothing. */
  take(registry: string, namespace: string): boolean;
}

/**
 * About 7 ms of Harbor's time each for a robot, and 130 ms for a local user, whose password it hashes: a burst is
 * 13 s of one core at worst, the steady rate little more than one core.
 */
const registryRate: Rate = { perSecond: 10, burst: 100 };
/** A tenth: a namespace that invents names leaves the others nine tenths. */
const namespaceRate: Rate = { perSecond: 1, burst: 10 };

/** A registry for each of 1,000 workspaces. */
const maxRegistries = 1_000;
/**
 * A namespace's bucket is full again after 10 s, and forgetting a full one changes nothing. In 10 s at most 200
 * look-ups of a registry go through, so that this remembers what counts for 50 registries flooded at once; beyond
 * that the registry's own bucket still holds.
 */
const maxNamespaces = 10_000;

export function createLookUpLimits(now: () => number): LookUpLimits {
  const ofRegistries = new LRUCache<string, TokenBucket>({ max: maxRegistries });
  const ofNamespaces = new LRUCache<string, TokenBucket>({ max: maxNamespaces });

  return {
    take(registry, namespace) {
      const key = `${registry}/${namespace}`;
      const ofRegistry = ofRegistries.get(registry) ?? createTokenBucket(registryRate, now);
      const ofNamespace = ofNamespaces.get(key) ?? createTokenBucket(namespaceRate, now);
      if (!ofRegistry.holds() || !ofNamespace.holds()) return false;
      ofRegistry.take();
      ofNamespace.take();
      ofRegistries.set(registry, ofRegistry);
      ofNamespaces.set(key, ofNamespace);
      return true;
    },
  };
}
