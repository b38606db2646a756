// Asks Berth's own port as the API server does: over TLS, trusting what the API server trusts, by the name that it
// calls. Ready means that this works, not that a listener was started. Does not judge the certificate otherwise.

import { request } from "node:https";
import { isIP } from "node:net";
import { checkServerIdentity, type TLSSocket } from "node:tls";
import type { Log } from "../log.ts";
import { createLoop, type Stoppable } from "../loop.ts";
import { livePath } from "./server.ts";

export interface Trust {
  /** PEM: the CAs that the API server has; or, where Berth does not know them, the certificate itself. */
  readonly ca: string;
  /** By which the API server calls; undefined where whoever brings the certificate knows that. */
  readonly name: string | undefined;
}

export interface Dialled extends Trust {
  readonly host: string;
  readonly port: number;
  /** The port answers only clients with a certificate, which Berth has none of: a good handshake is all it can see. */
  readonly wantsClientCertificate: boolean;
}

/** Within the process a handshake takes milliseconds; so long only on a machine where nothing works. */
const dialTimeoutMs = 5_000;

/** Resolves when the port has answered; rejects with why it did not. */
export function dialWebhook(dialled: Dialled, signal: AbortSignal, timeoutMs = dialTimeoutMs): Promise<void> {
  const { host, port, ca, name, wantsClientCertificate } = dialled;
  return new Promise((resolve, reject) => {
    const call = request(
      {
        ...{ host, port, ca, path: livePath, agent: false },
        // A leaf whose CA is not known is trusted as it is, its dates included.
        allowPartialTrustChain: true,
        // No name is sent for an address (RFC 6066); it is checked all the same.
        servername: name === undefined || isIP(name) !== 0 ? "" : name,
        checkServerIdentity: (_host, certificate) =>
          name === undefined ? undefined : checkServerIdentity(name, certificate),
        signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
      },
      (answer) => {
        answer.resume();
        if (answer.statusCode === 200) resolve();
        else reject(new Error(`it answered ${String(answer.statusCode)}`));
      },
    );
    call.on("error", reject);
    call.on("socket", (socket: TLSSocket) => {
      socket.once("secureConnect", () => {
        if (!wantsClientCertificate || !socket.authorized) return;
        resolve();
        call.destroy();
      });
    });
    call.end();
  });
}

export interface SelfCheck extends Stoppable {
  /** The certificate is another one now. */
  again(): void;
  /** In words, until the port has answered, and when it did not after a change. */
  problem(): string | undefined;
  /** Resolves when the port has answered for the first time. */
  readonly passed: Promise<unknown>;
}

export interface SelfCheckNeeds {
  /** Undefined while there is nothing to serve. */
  readonly dialled: () => Dialled | undefined;
  readonly log: Log;
}

/** How soon what failed is tried again at first; it doubles up to the beat. */
const retryMs = 500;
const beatMs = 5_000;

/** Until it succeeds, and then not before something changes: a port that worked goes on working. */
export function startSelfCheck({ dialled, log }: SelfCheckNeeds): SelfCheck {
  const { promise: passed, resolve } = Promise.withResolvers<unknown>();
  let isDue = true;
  let problem: string | undefined = "the webhook's own port has not answered yet";
  const loop = createLoop({
    name: "self-check",
    everyMs: beatMs,
    backoffMs: retryMs,
    log,
    async run(signal) {
      const target = dialled();
      if (!isDue || target === undefined) return;
      isDue = false;
      try {
        await dialWebhook(target, signal);
        problem = undefined;
        resolve(undefined);
      } catch (err) {
        isDue = true;
        const why = err instanceof Error ? err.message : String(err);
        problem = `the webhook's own port does not answer as the API server asks: ${why}`;
        throw new Error(problem, { cause: err });
      }
    },
  });
  return {
    again() {
      isDue = true;
      loop.wake();
    },
    problem: () => problem,
    passed,
    stop: () => loop.stop(),
  };
}
