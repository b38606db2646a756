// What every part of the page has at hand: who is signed in, where one is, the words of the language, and how to ask.

import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Identity } from "../http/people-shapes.ts";
import type { Ask } from "./asking.ts";
import type { Arrival, Moves } from "./place.ts";
import type { Language, Words } from "./words.ts";

export interface Session extends Arrival, Moves {
  readonly identity: Identity;
  readonly words: Words;
  readonly language: Language;
  readonly ask: Ask;
  /** Says it to whoever listens instead of looking. */
  readonly announce: (text: string) => void;
}

export const SessionContext = createContext<Session | null>(null);

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === null) throw new Error("expected a session around this part of the page");
  return session;
}
