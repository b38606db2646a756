// What the API server itself says about where images are: its OpenAPI documents, walked from every kind it keeps down
// to the pod spec, and from there to every field that could name an image. A Kubernetes version that adds a kind or a
// field fails here, before anybody can use it to get past the gate.

import { expect } from "chai";
import { builtInKinds, podSpecPath, readWorkload } from "../../src/domain/pod-spec.ts";
import { startControlPlane, type ControlPlane } from "./control-plane.ts";

interface Schema {
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
  readonly type?: string;
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly "x-kubernetes-group-version-kind"?: readonly { readonly group: string; readonly kind: string }[];
}
interface OpenApi {
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

const podSpecName = "io.k8s.api.core.v1.PodSpec";

/** Groups that manifests on disk may still name, and that no API server of today serves. */
const formerGroups = ["extensions"];

/** Texts with "image" in the way to them that name no image. */
const noReferences = [
  "containers[].imagePullPolicy",
  "ephemeralContainers[].imagePullPolicy",
  "initContainers[].imagePullPolicy",
  "imagePullSecrets[].name",
  // When to pull what `reference` names.
  "volumes[].image.pullPolicy",
  // A disk of a Ceph cluster.
  "volumes[].rbd.image",
];

describe("the API server's own account of where images are", () => {
  let plane: ControlPlane;
  const documents = new Map<string, OpenApi>();
  before(async () => {
    plane = await startControlPlane();
    const { paths } = (await read("/openapi/v3")) as { paths: Record<string, { serverRelativeURL: string }> };
    for (const [path, { serverRelativeURL }] of Object.entries(paths)) {
      if (!/^apis?\/.*v[0-9]/.test(path)) continue;
      documents.set(path, (await read(serverRelativeURL)) as OpenApi);
    }
  });
  after(() => plane.stop());

  /** The index comes as text, though it is JSON. */
  async function read(path: string): Promise<unknown> {
    const { status, body, message } = await plane.admin.request("GET", path);
    expect(status, message).to.equal(200);
    return typeof body === "string" ? JSON.parse(body) : body;
  }

  it("is read from every group that it serves", () => {
    expect([...documents.keys()]).to.include.members(["api/v1", "apis/apps/v1", "apis/batch/v1"]);
  });

  it("leads to a pod spec from the kinds that Berth knows, by the ways that it knows, and from no other", () => {
    const found = new Map<string, string[]>();
    for (const document of documents.values()) {
      for (const schema of Object.values(document.components.schemas)) {
        for (const { group, kind } of schema["x-kubernetes-group-version-kind"] ?? []) {
          // A list is how kinds are read; nothing is kept as one.
          const ways = kind.endsWith("List") ? [] : waysToPodSpec(document, schema);
          if (ways.length > 0) found.set(`${group}/${kind}`, ways);
        }
      }
    }
    const known = [...builtInKinds].filter(([kind]) => !formerGroups.includes(kind.split("/")[0] ?? ""));
    expect(Object.fromEntries(found)).to.deep.equal(
      Object.fromEntries(known.map(([kind, ways]) => [kind, ways.map((way) => way.join("."))])),
    );
  });

  it("has no text that could name an image in a pod spec but those that Berth reads", () => {
    const document = documents.get("api/v1")!;
    const named = textsOf(document, { $ref: `#/components/schemas/${podSpecName}` }).filter((way) =>
      way.toLowerCase().includes("image"),
    );
    expect(named, "what is listed as no reference is there").to.include.members(noReferences);
    const references = named.filter((way) => !noReferences.includes(way));
    expect(references).to.include.members([
      "containers[].image",
      "ephemeralContainers[].image",
      "initContainers[].image",
      "volumes[].image.reference",
    ]);
    for (const way of references) {
      const image = `registry.example.test/found/by:${way.replaceAll(/[^A-Za-z]/g, "_")}`;
      const pod = { spec: holding(podSpecPath(way), image) };
      const { images, malformed } = readWorkload(builtInKinds.get("/Pod") ?? [], pod);
      expect(malformed, way).to.deep.equal([]);
      expect(
        images.map((use) => use.image),
        way,
      ).to.deep.equal([image]);
      expect(
        images.map((use) => use.path),
        way,
      ).to.deep.equal([`spec.${way.replaceAll("[]", "[0]")}`]);
    }
  });
});

function resolved(
  { components }: OpenApi,
  schema: Schema,
): { readonly name: string; readonly schema: Schema } {
  const ref = schema.$ref ?? schema.allOf?.find(({ $ref }) => $ref !== undefined)?.$ref;
  if (ref === undefined) return { name: "", schema };
  const name = ref.slice(ref.lastIndexOf("/") + 1);
  const found = components.schemas[name];
  if (found === undefined) throw new Error(`the document refers to ${ref} and does not hold it`);
  return { name, schema: found };
}

/** The ways down, each step with what it leads to; a map's step is `{}`. A schema within itself is not entered again. */
function stepsFrom({ properties = {}, items, additionalProperties }: Schema): readonly [string, Schema][] {
  return [
    ...Object.entries(properties),
    ...(items === undefined ? [] : [["[]", items] as [string, Schema]]),
    ...(typeof additionalProperties === "object" ? [["{}", additionalProperties] as [string, Schema]] : []),
  ];
}

function waysToPodSpec(
  document: OpenApi,
  from: Schema,
  way: readonly string[] = [],
  inside: readonly string[] = [],
): string[] {
  const { name, schema } = resolved(document, from);
  if (name === podSpecName) return [way.join(".")];
  if (name !== "" && inside.includes(name)) return [];
  return stepsFrom(schema).flatMap(([step, below]) =>
    waysToPodSpec(document, below, [...way, step], [...inside, name]),
  );
}

/** Every field that holds text, as `containers[].image`. */
function textsOf(document: OpenApi, from: Schema, way = "", inside: readonly string[] = []): string[] {
  const { name, schema } = resolved(document, from);
  if (name !== "" && inside.includes(name)) return [];
  if (schema.type === "string") return [way];
  return stepsFrom(schema).flatMap(([step, below]) => {
    const next = step === "[]" || step === "{}" ? `${way}${step}` : way === "" ? step : `${way}.${step}`;
    return textsOf(document, below, next, [...inside, name]);
  });
}

/** An object with that text at that way, and nothing else. */
function holding([step, ...rest]: readonly string[], text: string): unknown {
  if (step === undefined) return text;
  const below = holding(rest, text);
  return step === "[]" ? [below] : { [step]: below };
}
