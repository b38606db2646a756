// The distribution API of one Docker Registry: the login that it asks for, if it asks for one, bounded time and
// size, and each failure told as a story. A login goes to the registry itself and to nobody whom it names; no
// redirect is followed. What an answer of the registry's own is worth is for whoever asked.

import { LRUCache } from "lru-cache";

import { isObject } from "../domain/json.ts";
import {
  createAgent,
  describeAnswer,
  exchange,
  failureOfTry,
  mayPass,
  placeOf,
  TryFailed,
  type CallFailure,
  type Story,
} from "../http-exchange.ts";
import type { Agent } from "node:http";
import { setTimeout as pause } from "node:timers/promises";

import { parseChallenges, type Challenge } from "./challenge.ts";
import { readAnswer, RegistryError, type RegistryAnswer } from "./registry-answer.ts";
import { readRealm } from "./token-realm.ts";

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

export interface RegistryCall {
  /** What it is for; opens the story of each failure: `list tags of team/app`. */
  readonly what: string;
  readonly method?: "GET" | "HEAD";
  /** Path and query, already encoded. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** What a token has to allow, where the registry's challenge does not say: `repository:team/app:pull`. */
  readonly scope?: string;
  readonly signal: AbortSignal;
}

export interface RegistryClient {
  /** As it was given. */
  readonly url: string;
  /**
   * Resolves with an answer of the registry's own; with a 401 only when its token service gave a token that does not
   * open this. Throws a RegistryError, or the signal's reason when that aborts.
   */
  send(call: RegistryCall): Promise<RegistryAnswer>;
  /** What a caller without login is told, 401 included. */
  sendWithoutLogin(call: RegistryCall): Promise<RegistryAnswer>;
  /** Ends all connections, also those in use. */
  close(): void;
}

export interface RegistryClientNeeds {
  /** Origin, without a slash at the end. */
  readonly url: string;
  /** Asked before every call, so that a changed login is used at once; undefined where there is none. */
  readonly credentials: () => Credentials | undefined;
  /** PEM of the only authorities to trust; without it those of the system. */
  readonly ca?: string | undefined;
  /** For one try, from the first byte sent to the last received. */
  readonly timeoutMs: number;
  readonly now: () => number;
  readonly random: () => number;
  /** Told of every try, for metrics. */
  readonly observe?: ((outcome: "ok" | CallFailure, seconds: number) => void) | undefined;
}

/** A registry behind a load balancer that just lost a server answers at the second try, or the third. */
const maxTries = 3;
/** Before the second try; four times as long before the third. Together a second, well within a deadline. */
const firstPauseMs = 200;
/** After a refused login nothing is sent with it for so long: some token services lock out who guesses. */
const loginRestMs = 10_000;
/** One for each repository that is looked at within an hour, by two logins. */
const maxTokens = 1_000;
/** What the token specification has for a service that does not say. */
const defaultTokenSeconds = 60;
/** Beyond it a mistaken number would outlive a right that was taken away. */
const maxTokenSeconds = 3_600;
/** Node and the usual proxies take no more in a request's headers. */
const maxTokenLength = 16 * 1024;
/** The registry's own origin and that of its token service, with room for a change of the latter. */
const maxOrigins = 4;

export function createRegistryClient(needs: RegistryClientNeeds): RegistryClient {
  const { url, credentials, now } = needs;
  const wire = createWire(needs);
  const tokens = new LRUCache<string, { readonly token: string; readonly until: number }>({ max: maxTokens });
  let asksForBasic = false;
  let resting: { readonly login: string; readonly until: number } | undefined;

  async function send(call: RegistryCall): Promise<RegistryAnswer> {
    const login = basicOf(credentials());
    const remembered = rememberedFor(call, login);
    const answer = await askRegistry(call, remembered);
    if (answer.status !== 401) return answer;
    if (remembered !== undefined && remembered === login) throw refused(answer, login);
    const challenges = parseChallenges(answer.headers["www-authenticate"] ?? "");
    const bearer = challenges.find(({ scheme }) => scheme === "bearer");
    if (bearer !== undefined) return sendWithToken(call, bearer, login);
    if (!challenges.some(({ scheme }) => scheme === "basic")) {
      throw answer.failure("login-refused", "401, and it asks for no kind of login that is known here");
    }
    asksForBasic = true;
    if (login === undefined)
      throw answer.failure("login-refused", "401, it asks for a login and there is none");
    return askWithLogin(call, new URL(url + call.path), login);
  }

  /** What an earlier challenge taught: it spares a round trip, and the registry a refusal in its log. */
  function rememberedFor({ scope }: RegistryCall, login: string | undefined): string | undefined {
    const known = tokens.get(tokenKey(scope, login));
    if (known !== undefined && now() < known.until) return `Bearer ${known.token}`;
    return asksForBasic && login !== undefined && !isResting(login) ? login : undefined;
  }

  async function sendWithToken(
    call: RegistryCall,
    { parameters }: Challenge,
    login: string | undefined,
  ): Promise<RegistryAnswer> {
    const scope = parameters.get("scope") ?? call.scope;
    const realm = readRealm(parameters.get("realm"), {
      registry: url,
      service: parameters.get("service"),
      scope,
    });
    if (realm === undefined) {
      const named = placeOf(parameters.get("realm"));
      const saw = `it sends to ${named} for a token, which is neither its own address nor an https:// one`;
      throw new RegistryError("malformed", storyOf(call)(saw));
    }
    const { what, signal } = call;
    const tokenCall = { what: `${what}, for a token`, path: "", signal };
    const askedAt = now();
    const answer =
      login !== undefined && realm.isTrusted
        ? await askWithLogin(tokenCall, realm.target, login)
        : await wire.ask(tokenCall, realm.target, undefined);
    const withheld = `its token service ${realm.origin} is another server, to which the login is not sent`;
    if (answer.status === 401) {
      const why = login === undefined ? "its token service asks for a login and there is none" : withheld;
      throw answer.failure("login-refused", `401, ${why}`);
    }
    const token = readToken(answer);
    tokens.set(tokenKey(call.scope, login), { token: token.text, until: askedAt + token.seconds * 1_000 });
    const opened = await askRegistry(call, `Bearer ${token.text}`);
    if (opened.status !== 401 || login === undefined || realm.isTrusted) return opened;
    throw opened.failure("login-refused", `401, ${withheld}`);
  }

  async function askWithLogin(call: RegistryCall, target: URL, login: string): Promise<RegistryAnswer> {
    if (isResting(login)) {
      const saw = "it refused the login a moment ago, which is not sent again yet";
      throw new RegistryError("login-refused", storyOf(call)(saw));
    }
    const answer = await wire.ask(call, target, login);
    if (answer.status === 401) throw refused(answer, login);
    return answer;
  }

  function askRegistry(call: RegistryCall, authorization: string | undefined): Promise<RegistryAnswer> {
    return wire.ask(call, new URL(url + call.path), authorization);
  }

  function refused(answer: RegistryAnswer, login: string): RegistryError {
    resting = { login, until: now() + loginRestMs };
    return answer.failure("login-refused", "401, it does not accept the login");
  }

  function isResting(login: string): boolean {
    return resting?.login === login && now() < resting.until;
  }

  function storyOf(call: RegistryCall): Story {
    return (saw) => `${call.what} of ${url}: ${saw}`;
  }

  return {
    url,
    send,
    sendWithoutLogin: (call) => askRegistry(call, undefined),
    close: () => wire.close(),
  };
}

function basicOf(login: Credentials | undefined): string | undefined {
  if (login === undefined) return undefined;
  return `Basic ${Buffer.from(`${login.username}:${login.password}`).toString("base64")}`;
}

function tokenKey(scope: string | undefined, login: string | undefined): string {
  return `${login ?? ""}\n${scope ?? ""}`;
}

function readToken(answer: RegistryAnswer): { readonly text: string; readonly seconds: number } {
  if (answer.status !== 200) throw answer.failure("client-error", describeAnswer(answer));
  const { token, access_token: accessToken, expires_in: seconds } = isObject(answer.body) ? answer.body : {};
  // An empty one of the two stands for none.
  const text = token === undefined || token === "" ? accessToken : token;
  if (typeof text !== "string" || text.length > maxTokenLength || !/^[\x21-\x7e]+$/.test(text)) {
    throw answer.failure("malformed", "it gave no token that can be read");
  }
  const isNumber = typeof seconds === "number" && seconds > 0;
  return { text, seconds: isNumber ? Math.min(seconds, maxTokenSeconds) : defaultTokenSeconds };
}

interface Wire {
  ask(call: RegistryCall, target: URL, authorization: string | undefined): Promise<RegistryAnswer>;
  close(): void;
}

/** Requests and their answers, asked again where that may help. It knows of no login but the one it is given. */
function createWire({ url, ca, timeoutMs, now, random, observe }: RegistryClientNeeds): Wire {
  const agents = new LRUCache<string, Agent>({ max: maxOrigins, dispose: (agent) => agent.destroy() });

  function agentFor({ origin }: URL): Agent {
    const agent = agents.get(origin) ?? createAgent(origin, ca);
    agents.set(origin, agent);
    return agent;
  }

  return {
    async ask(call, target, authorization) {
      const { what, method = "GET", signal } = call;
      const login = authorization === undefined ? {} : { authorization };
      const headers = { accept: "application/json", ...call.headers, ...login };
      for (let tries = 1; ; tries += 1) {
        signal.throwIfAborted();
        const story: Story = (saw) => `${what} of ${url}: ${saw}${tries > 1 ? `, after ${tries} tries` : ""}`;
        const startedAt = now();
        try {
          const request = { target, agent: agentFor(target), method, headers, timeoutMs, signal };
          const answer = readAnswer(await exchange(request), story);
          observe?.("ok", (now() - startedAt) / 1_000);
          return answer;
        } catch (err) {
          signal.throwIfAborted();
          const { kind, saw } = failureOfTry(err);
          observe?.(kind, (now() - startedAt) / 1_000);
          if (tries === maxTries || !mayPass(err)) {
            throw new RegistryError(kind, story(saw), err instanceof TryFailed ? undefined : { cause: err });
          }
        }
        const pauseMs = firstPauseMs * 4 ** (tries - 1) * (0.5 + random() / 2);
        // An abort ends the pause early, and the next round begins by saying so.
        await pause(pauseMs, undefined, { signal }).catch(() => undefined);
      }
    },
    close: () => agents.clear(),
  };
}
