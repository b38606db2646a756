// Who asks at the people's port, and what they may see. The API server says both; nothing here knows a password.

import type { IncomingMessage } from "node:http";
import { TLSSocket, type PeerCertificate } from "node:tls";

/** As a TokenReview or an authenticating proxy gives it: what a SubjectAccessReview takes. */
export interface UserInfo {
  readonly username: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export interface Caller {
  /** Null where nobody has to sign in. */
  readonly user: UserInfo | null;
  readonly login: "token" | "proxy" | "none";
}

/** Each throws where the API server cannot be asked: then nothing is answered. */
export interface PeopleAccess {
  /** Undefined for one who is not signed in, or whose token is no good. */
  identify(request: IncomingMessage, signal: AbortSignal): Promise<Caller | undefined>;
  /** Whether a token would be taken from where this comes from: a proxy that signs people in is asked for none. */
  takesToken(request: IncomingMessage): boolean;
  /** May create Pods in the namespace; `"*"` asks for all namespaces at once. */
  mayUse(caller: Caller, namespace: string, signal: AbortSignal): Promise<boolean>;
  /** May see the platform view: who may list ConfigMaps in Berth's own namespace can read all of it anyway. */
  seesPlatform(caller: Caller, signal: AbortSignal): Promise<boolean>;
}

/** The right that somebody must have; without a namespace, in all of them. */
export interface NeededRight {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
  readonly namespace?: string;
}

export interface PeopleAccessNeeds {
  /** Whose token it is; undefined where it is no good. `from` is the address that it came from. */
  readonly reviewToken: (token: string, from: string, signal: AbortSignal) => Promise<UserInfo | undefined>;
  readonly askRight: (user: UserInfo, right: NeededRight, signal: AbortSignal) => Promise<boolean>;
  /**
   * Common names of the client certificates of a proxy that signs people in, null for any; the listener verifies the
   * certificates. Undefined where nobody is believed by such a certificate.
   */
  readonly proxy?: { readonly names: readonly string[] | null } | undefined;
  readonly berthNamespace: string;
}

export function createPeopleAccess(needs: PeopleAccessNeeds): PeopleAccess {
  const { reviewToken, askRight, proxy, berthNamespace } = needs;

  async function has(caller: Caller, right: NeededRight, signal: AbortSignal): Promise<boolean> {
    return caller.user !== null && (await askRight(caller.user, right, signal));
  }

  return {
    async identify(request, signal) {
      // A proxy that does not say who asks has nobody signed in. A token that comes through it may be its own.
      if (proxy !== undefined && isProxy(request, proxy.names)) {
        const user = userOfProxy(request);
        return user && { user, login: "proxy" };
      }
      const token = bearerTokenOf(request);
      if (token === undefined) return undefined;
      const user = await reviewToken(token, request.socket.remoteAddress ?? "", signal);
      return user && { user, login: "token" };
    },
    takesToken: (request) => proxy === undefined || !isProxy(request, proxy.names),
    mayUse(caller, namespace, signal) {
      const right = { group: "", resource: "pods", verb: "create" };
      return has(caller, namespace === "*" ? right : { ...right, namespace }, signal);
    },
    seesPlatform(caller, signal) {
      const right = { group: "", resource: "configmaps", verb: "list", namespace: berthNamespace };
      return has(caller, right, signal);
    },
  };
}

/** Where there is no API server to ask, as with a folder: everybody sees everything. */
export const openAccess: PeopleAccess = {
  identify: () => Promise.resolve({ user: null, login: "none" }),
  takesToken: () => false,
  mayUse: () => Promise.resolve(true),
  seesPlatform: () => Promise.resolve(true),
};

/** `Authorization: Bearer <token>`, given once. */
function bearerTokenOf(request: IncomingMessage): string | undefined {
  const { authorization = [] } = request.headersDistinct;
  const [value] = authorization;
  if (value === undefined || authorization.length > 1) return undefined;
  return /^bearer +(\S+)$/i.exec(value)?.[1];
}

/**
 * Its certificate has to be there as well as verified: `authorized` alone would rest on what a TLS library says of a
 * resumed session in which no certificate was shown.
 */
function isProxy({ socket }: IncomingMessage, names: readonly string[] | null): boolean {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return false;
  // An empty object where there is none.
  const certificate: Partial<PeerCertificate> = socket.getPeerCertificate();
  if (certificate.raw === undefined) return false;
  if (names === null) return true;
  const name = certificate.subject?.CN;
  return typeof name === "string" && names.includes(name);
}

const headerPrefix = "x-remote-";
const userHeader = "x-remote-user";
const uidHeader = "x-remote-uid";
const groupHeader = "x-remote-group";
const extraPrefix = "x-remote-extra-";

/**
 * For somebody in hundreds of groups. Node drops headers, or the request, past a number of its own that is larger; a
 * second name must not be among those that are dropped.
 */
const maxHeaders = 500;
/** Names of directories are some hundred characters long. */
const maxValueLength = 1_024;

const anonymous = "system:anonymous";
const authenticated = "system:authenticated";

/**
 * The headers by which a proxy names somebody to the API server (kube-apiserver's `--requestheader-…`). What it says is
 * passed on as it is, `system:masters` too: whoever has the proxy's key may look as anybody, and no more, since there is
 * nothing to do here but look. Undefined where it names nobody, or not clearly.
 */
function userOfProxy({ headersDistinct, rawHeaders }: IncomingMessage): UserInfo | undefined {
  if (rawHeaders.length > 2 * maxHeaders) return undefined;
  const said = new Map<string, readonly string[]>();
  for (const [name, values = []] of Object.entries(headersDistinct)) {
    if (!name.startsWith(headerPrefix)) continue;
    const texts = values.flatMap(textOf);
    if (texts.length < values.length) return undefined;
    said.set(name, texts);
  }
  const [username = "", ...otherNames] = said.get(userHeader) ?? [];
  const [uid = "", ...otherUids] = said.get(uidHeader) ?? [];
  if (username === "" || username === anonymous) return undefined;
  if (otherNames.length > 0 || otherUids.length > 0) return undefined;
  const groups = (said.get(groupHeader) ?? []).filter((group) => group !== "");
  return {
    username,
    ...(uid === "" ? {} : { uid }),
    // As the API server does with everybody whom it knows; the rights of that group are theirs too.
    groups: groups.includes(authenticated) ? groups : [...groups, authenticated],
    extra: extraOf(said),
  };
}

function extraOf(said: ReadonlyMap<string, readonly string[]>): Readonly<Record<string, readonly string[]>> {
  const extra = new Map<string, readonly string[]>();
  for (const [name, values] of said) {
    if (!name.startsWith(extraPrefix) || name === extraPrefix) continue;
    const key = extraKeyOf(name);
    extra.set(key, [...(extra.get(key) ?? []), ...values]);
  }
  return Object.fromEntries(extra);
}

/** Percent-encoded, since names of headers may hold few characters; what is not, is taken as it is written. */
function extraKeyOf(header: string): string {
  const written = header.slice(extraPrefix.length);
  try {
    return decodeURIComponent(written);
  } catch {
    return written;
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Node gives each byte as a character. None where the bytes are no UTF-8: a mended name would be another's. */
function textOf(value: string): readonly string[] {
  if (value.length > maxValueLength) return [];
  try {
    return [utf8.decode(Buffer.from(value, "latin1"))];
  } catch {
    return [];
  }
}
