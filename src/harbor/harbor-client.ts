// The API of one Harbor: Basic auth on every call, bounded time and size, and each failure told as a story. It
// keeps no cookies (a session cookie that comes back turns Harbor's writes into 403), follows no redirect (the
// login would go along), and judges no answer that is Harbor's own: that is for whoever asked.

import { isObject, type JsonObject } from "../domain/json.ts";
import {
  createAgent,
  describeAnswer,
  exchange,
  failureOfTry,
  mayPass,
  TryFailed,
  type Story,
} from "../http-exchange.ts";
import { setTimeout as pause } from "node:timers/promises";

import { HarborError, readAnswer, type HarborAnswer, type HarborFailure } from "./harbor-answer.ts";

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export interface HarborCall {
  /** What it is for; opens the story of each failure: `list projects, page 3`. */
  readonly what: string;
  readonly method?: "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Path and query, already encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** 401 is an answer here, and says nothing about the login: for the routes that are closed to some good logins. */
  readonly takes401?: boolean;
  readonly signal: AbortSignal;
}

export interface HarborClient {
  /** As it was given. */
  readonly url: string;
  /** Resolves with an answer of Harbor's own; throws a HarborError, or the signal's reason when that aborts. */
  send(call: HarborCall): Promise<HarborAnswer>;
  /** Throws unless Harbor takes the caller for somebody; gives what Harbor then says of itself. */
  proveIdentity(signal: AbortSignal): Promise<JsonObject>;
  /** For an answer that shows that the login went for nothing: it is not sent again for a while. */
  restLogin(): void;
  /** Ends all connections, also those in use. */
  close(): void;
}

export interface HarborClientNeeds {
  /** Origin, without a slash at the end. */
  readonly url: string;
  /** Asked before every call, so that a changed login is used at once. */
  readonly credentials: () => Credentials | undefined;
  /** PEM of the only authorities to trust; without it those of the system. */
  readonly ca?: string | undefined;
  /** For one try, from the first byte sent to the last received. */
  readonly timeoutMs: number;
  /** Milliseconds, best of a clock that is never set back: a refused login rests by it. */
  readonly now: () => number;
  readonly random: () => number;
  /** Told of every try, for metrics. */
  readonly observe?: ((outcome: "ok" | HarborFailure, seconds: number) => void) | undefined;
}

/** A Harbor behind a load balancer that just lost one of its cores answers at the second try, or the third. */
const maxTries = 3;
/** Before the second try; four times as long before the third. Together a second, well within a deadline. */
const firstPauseMs = 200;
/**
 * After a refused login nothing is sent with it for so long. Harbor locks the principal for 1.5 s at every wrong
 * password, for those too who know the right one: this leaves them 85 % of the time. Until Harbor has said that it
 * knows the login again, it is sent once at a time: a second one would come while the first keeps the lock closed.
 */
const loginRestMs = 10_000;

export function createHarborClient(needs: HarborClientNeeds): HarborClient {
  const { url, credentials, timeoutMs, now, random, observe } = needs;
  const agent = createAgent(url, needs.ca);
  /** A login that was refused, until Harbor knows it again. */
  let suspect: { readonly authorization: string; readonly until: number } | undefined;
  /** Somebody is finding out whether the suspect is good by now. */
  let isTrying = false;

  async function send(call: HarborCall): Promise<HarborAnswer> {
    const authorization = authorizationFor(call);
    if (suspect?.authorization !== authorization) return sendWith(authorization, call);
    isTrying = true;
    try {
      return await sendWith(authorization, call);
    } finally {
      isTrying = false;
    }
  }

  async function sendWith(authorization: string, call: HarborCall): Promise<HarborAnswer> {
    const triesAllowed =
      call.method === undefined || call.method === "HEAD" || call.method === "GET" ? maxTries : 1;
    for (let tries = 1; ; tries += 1) {
      call.signal.throwIfAborted();
      const startedAt = now();
      try {
        const received = await exchange({ ...requestOf(call, authorization), agent, timeoutMs });
        const answer = readAnswer(received, call, storyOf(call, tries));
        observe?.("ok", (now() - startedAt) / 1_000);
        return answer;
      } catch (err) {
        call.signal.throwIfAborted();
        const failure = asFailure(err, storyOf(call, tries));
        observe?.(failure.kind, (now() - startedAt) / 1_000);
        if (failure.kind === "login-refused") rest(authorization);
        if (tries === triesAllowed || !mayPass(err)) throw failure;
      }
      const pauseMs = firstPauseMs * 4 ** (tries - 1) * (0.5 + random() / 2);
      // An abort ends the pause early, and the next round begins by saying so.
      await pause(pauseMs, undefined, { signal: call.signal }).catch(() => undefined);
    }
  }

  function requestOf({ method = "GET", path, headers, body, signal }: HarborCall, authorization: string) {
    const payload = body === undefined ? undefined : JSON.stringify(body);
    const type = payload === undefined ? {} : { "content-type": "application/json" };
    const allHeaders = { accept: "application/json", ...type, ...headers, authorization };
    return { target: new URL(url + path), method, headers: allHeaders, payload, signal };
  }

  function authorizationFor(call: HarborCall): string {
    const authorization = authorizationOf(credentials());
    if (authorization === undefined) {
      throw new HarborError("login-refused", storyOf(call, 1)("not asked, there is no login for it"));
    }
    if (suspect?.authorization === authorization && (isTrying || now() < suspect.until)) {
      const saw = "it does not accept the login (which is not sent again yet)";
      throw new HarborError("login-refused", storyOf(call, 1)(saw));
    }
    return authorization;
  }

  function rest(authorization: string | undefined): void {
    if (authorization !== undefined) suspect = { authorization, until: now() + loginRestMs };
  }

  function storyOf(call: HarborCall, tries: number): Story {
    return (saw) => `${call.what} of ${url}: ${saw}${tries > 1 ? `, after ${tries} tries` : ""}`;
  }

  return {
    url,
    send,
    /**
     * Harbor answers a wrong, expired or disabled login as it answers nobody: 200, with what is public. Only
     * `systeminfo` tells the two apart for users and robots alike: it names its own address to those it knows.
     */
    async proveIdentity(signal) {
      const authorization = authorizationOf(credentials());
      const answer = await send({ what: "prove the identity", path: "/api/v2.0/systeminfo", signal });
      if (answer.status !== 200) throw answer.failure("client-error", describeAnswer(answer));
      if (!isObject(answer.body)) throw answer.failure("malformed", "expected an object");
      const { registry_url: registryUrl, external_url: externalUrl } = answer.body;
      if (typeof registryUrl === "string" || typeof externalUrl === "string") {
        if (suspect?.authorization === authorization) suspect = undefined;
        return answer.body;
      }
      rest(authorization);
      throw answer.failure(
        "login-refused",
        "it does not accept the login (it answers as to an anonymous caller)",
      );
    },
    restLogin: () => rest(authorizationOf(credentials())),
    close: () => agent.destroy(),
  };
}

function authorizationOf(login: Credentials | undefined): string | undefined {
  if (login === undefined) return undefined;
  return `Basic ${Buffer.from(`${login.username}:${login.password}`).toString("base64")}`;
}

function asFailure(err: unknown, story: Story): HarborError {
  const { kind, saw } = failureOfTry(err);
  return new HarborError(kind, story(saw), err instanceof TryFailed ? undefined : { cause: err });
}
