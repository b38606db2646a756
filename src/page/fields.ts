// What people type into and choose from.

import type { ComponentChildren, TargetedInputEvent, VNode } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { el } from "./element.ts";

/** Longer than between two letters, shorter than one notices. */
const typingPauseMs = 250;

export function SearchField(props: {
  label: string;
  value: string;
  onSearch: (text: string) => void;
}): VNode {
  const [text, setText] = useState(props.value);
  const said = useRef(props.value);
  const latest = useRef(props.onSearch);
  latest.current = props.onSearch;
  useEffect(() => {
    if (text.trim() === said.current) return;
    const pause = setTimeout(() => latest.current((said.current = text.trim())), typingPauseMs);
    return () => clearTimeout(pause);
  }, [text]);
  // The address changed without this field, by Back for example.
  useEffect(() => {
    if (props.value === said.current) return;
    said.current = props.value;
    setText(props.value);
  }, [props.value]);
  return el("input", {
    type: "search",
    "aria-label": props.label,
    placeholder: props.label,
    value: text,
    autocomplete: "off",
    spellcheck: false,
    maxLength: 255,
    onInput: ({ currentTarget }) => setText(currentTarget.value),
  });
}

/** A group of choices of which one holds. */
export function Choice<Value extends string>(props: {
  label: string;
  value: Value;
  options: readonly (readonly [Value, string])[];
  onChoose: (value: Value) => void;
}): VNode {
  const id = useId();
  const choose = (value: string): void => {
    const chosen = props.options.find(([option]) => option === value);
    if (chosen !== undefined) props.onChoose(chosen[0]);
  };
  return el(
    "div",
    { class: "field" },
    el("label", { for: id }, props.label),
    el(
      "select",
      { id, value: props.value, onChange: ({ currentTarget }) => choose(currentTarget.value) },
      ...props.options.map(([value, text]) => el("option", { value, selected: value === props.value }, text)),
    ),
  );
}

export function Field(props: {
  label: string;
  value: string;
  onInput: (value: string) => void;
  hint?: ComponentChildren;
  secret?: boolean;
}): VNode {
  const id = useId();
  const attributes = {
    id,
    value: props.value,
    autocomplete: "off",
    spellcheck: false,
    "aria-describedby": props.hint === undefined ? undefined : `${id}-hint`,
    onInput: ({ currentTarget }: TargetedInputEvent<HTMLInputElement>) => props.onInput(currentTarget.value),
  };
  return el(
    "div",
    { class: "field" },
    el("label", { for: id }, props.label),
    props.secret
      ? el("input", { ...attributes, type: "password" })
      : el("input", { ...attributes, type: "text" }),
    props.hint !== undefined && el("small", { id: `${id}-hint` }, props.hint),
  );
}
