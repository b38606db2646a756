// The whole page: who is signed in, the frame, and which view the address asks for.

import type { VNode } from "preact";
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";
import type { Identity } from "../http/people-shapes.ts";
import { AskError, createAsk } from "./asking.ts";
import { el, part } from "./element.ts";
import { Frame } from "./frame.ts";
import { NamespaceView } from "./namespace-view.ts";
import { NamespaceList } from "./namespace-list.ts";
import { placeOf, useArrival, type Place } from "./place.ts";
import { Administration } from "./administration.ts";
import { recall, remember } from "./remembered.ts";
import { SessionContext } from "./session.ts";
import { SignIn } from "./sign-in.ts";
import { WhyNot } from "./why-not.ts";
import { preferredLanguage, wordsOf, type Language } from "./words.ts";

/** Whoever comes without a place goes on where they were. */
function firstPlace(): Place {
  const place = placeOf(location.hash);
  const namespace = recall("namespace");
  return Object.keys(place).length > 0 || namespace === null ? place : { namespace };
}

export function App(): VNode {
  const [language, setLanguage] = useState<Language>(() =>
    preferredLanguage(recall("language"), navigator.languages),
  );
  const [identity, setIdentity] = useState<Identity | null>(null);
  const [failure, setFailure] = useState<AskError | null>(null);
  const [tokenRefused, setTokenRefused] = useState(false);
  const [said, setSaid] = useState("");
  const [arrival, moves] = useArrival(useMemo(firstPlace, []));
  const words = wordsOf(language);

  const ask = useMemo(
    () =>
      createAsk(
        () => recall("token"),
        (why) => {
          setTokenRefused(recall("token") !== null);
          remember("token", null);
          setIdentity(null);
          setFailure(why);
        },
      ),
    [],
  );
  const identify = useCallback(async (): Promise<void> => {
    try {
      setIdentity(await ask<Identity>("/me"));
      setFailure(null);
    } catch (err) {
      setFailure(err instanceof AskError ? err : new AskError(500, "", { cause: err }));
    }
  }, [ask]);

  useEffect(() => void identify(), [identify]);
  useEffect(() => {
    document.documentElement.lang = language;
    remember("language", language);
  }, [language]);
  const { namespace } = arrival.place;
  useEffect(() => {
    if (identity !== null && namespace !== undefined) remember("namespace", namespace);
  }, [identity, namespace]);

  const announce = useCallback((text: string) => {
    // The same words twice are read twice only if they change in between.
    setSaid((before) => (before === text ? `${text}\u00a0` : text));
  }, []);
  const signIn = (token: string): void => {
    remember("token", token);
    setFailure(null);
    void identify();
  };
  const signOut = (): void => {
    remember("token", null);
    remember("namespace", null);
    setIdentity(null);
    setFailure(null);
    moves.open({});
    void identify();
  };

  const live = el("div", { class: "unseen", role: "status", "aria-live": "polite" }, said);
  if (identity === null) {
    const signInProps = { words, language, onLanguage: setLanguage, failure, tokenRefused };
    return el(
      "div",
      null,
      part(SignIn, { ...signInProps, onToken: signIn, onRetry: () => void identify() }),
      live,
    );
  }
  const view = part(View, { place: arrival.place });
  return part(SessionContext.Provider, {
    value: { ...arrival, ...moves, identity, words, language, ask, announce },
    children: [part(Frame, { onLanguage: setLanguage, onSignOut: signOut, children: view }), live],
  });
}

function View({ place }: { place: Place }): VNode {
  if (place.view === "platform") return part(Administration, {});
  if (place.namespace === undefined) return part(NamespaceList, {});
  if (place.view === "why") return part(WhyNot, { key: place.namespace });
  return part(NamespaceView, { key: place.namespace });
}
