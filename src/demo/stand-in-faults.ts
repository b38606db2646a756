// The switches by which the stand-in Harbor goes wrong, as Harbors, proxies and networks do.

import type { ReceivedRequest } from "./stand-in-answer.ts";

export type Fault =
  | { readonly kind: "status"; readonly status: number }
  /** A page of the proxy in front. */
  | { readonly kind: "html"; readonly status: number }
  | { readonly kind: "redirect"; readonly to: string }
  | { readonly kind: "slow"; readonly ms: number }
  /** What is asked for is done, and answered as if it were not. */
  | { readonly kind: "lost"; readonly status: number }
  /** Never any answer. */
  | { readonly kind: "silence" }
  /** The connection ends before the answer begins. */
  | { readonly kind: "reset" }
  /** The connection ends in the middle of the answer. */
  | { readonly kind: "cut" }
  /** Half the body, as if it were the whole. */
  | { readonly kind: "half" }
  /** Another number of projects than there are. */
  | { readonly kind: "total"; readonly total: number };

export interface Faults {
  /** For the next requests, or the next to which `when` applies. */
  next(fault: Fault, times?: number, when?: RegExp): void;
  /** Until it is cleared, for every request, or every one whose path `when` applies to. */
  always(fault: Fault, when?: RegExp): void;
  clear(): void;
  /** Every login counts for nothing, the right ones too. */
  anonymous: boolean;
  /** A proxy in front takes one level of encoding off the path. */
  proxyDecodes: boolean;
  /** Components that `/health` reports as down. */
  readonly unhealthy: Set<string>;
  /** Called as each request comes in, before it is answered: what happens meanwhile. */
  meanwhile: (request: ReceivedRequest) => void;
  take(request: ReceivedRequest): Fault | undefined;
}

export function createFaults(): Faults {
  const waiting: { readonly fault: Fault; times: number; readonly when: RegExp }[] = [];
  const faults: Faults = {
    next: (fault, times = 1, when = /^/) => void waiting.push({ fault, times, when }),
    always: (fault, when = /^/) => void waiting.push({ fault, times: Infinity, when }),
    clear: () => void waiting.splice(0),
    anonymous: false,
    proxyDecodes: false,
    unhealthy: new Set(),
    meanwhile: () => undefined,
    take(request) {
      faults.meanwhile(request);
      const found = waiting.find(({ times, when }) => times > 0 && when.test(request.path));
      if (found === undefined) return undefined;
      found.times -= 1;
      return found.fault;
    },
  };
  return faults;
}
