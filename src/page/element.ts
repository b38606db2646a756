// Elements without JSX, which is no part of what Node strips: `el` for the elements of HTML, `part` for components,
// each held to its attributes.

import {
  h,
  type Attributes,
  type ComponentChildren,
  type FunctionComponent,
  type JSX,
  type VNode,
} from "preact";

type Elements = JSX.IntrinsicElements;

export function el<Tag extends keyof Elements>(
  tag: Tag,
  attributes: Elements[Tag] | null,
  ...children: readonly ComponentChildren[]
): VNode {
  return h<Attributes>(tag, attributes, ...children);
}

export function part<Props extends object>(
  component: (props: Props) => ComponentChildren,
  props: Props & Attributes,
): VNode {
  return h(component as FunctionComponent, props as Attributes);
}
