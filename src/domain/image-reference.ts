export interface ImageReference {
  /** As written, case and port included; `docker.io` where none is written. */
  readonly host: string;
  /** Path without host, for example `library/nginx`. */
  readonly repository: string;
  readonly tag: string | null;
  /** `sha256:<hex>` and the like. */
  readonly digest: string | null;
}

/** Why a text is not an image reference; the names are those of the test vectors. */
export type Malformation = "format" | "uppercase" | "length" | "digest" | "unsupported-digest" | "identifier";

export type ParsedImage =
  | { readonly kind: "reference"; readonly reference: ImageReference }
  /** `sha256:<hex>` as the whole text: container runtimes look for a local image of that id first. */
  | { readonly kind: "image-id" }
  | { readonly kind: "malformed"; readonly malformation: Malformation };

export function parseImageReference(_text: string): ParsedImage {
  throw new Error("to be written");
}
