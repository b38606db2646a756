// Questions made from the OpenAPI document itself, sensible ones and wild ones: whatever is asked, the answer is one that
// the document promises, and never a fault of Berth's.

import { expect } from "chai";
import fc from "fast-check";
import { openApiDocument } from "../../src/http/openapi.ts";
import * as shapes from "../../src/http/people-shapes.ts";
import { policyOf, registry, snapshotOf, space } from "../builders.ts";
import { fuzzRuns } from "../hardening/runs.ts";
import { startPeopleWorld, type PeopleWorld } from "./people-world.ts";

interface Parameter {
  readonly name: string;
  readonly in: "path" | "query";
  readonly required: boolean;
  readonly schema: { readonly enum?: readonly string[] };
}

interface Operation {
  readonly parameters: readonly Parameter[];
  readonly requestBody?: object;
  readonly responses: Readonly<Record<string, { content: Record<string, { schema: { $ref?: string } }> }>>;
}

const snapshot = snapshotOf({
  policy: policyOf({
    registries: [
      registry("managed"),
      registry("archive", { type: "docker-registry", credentialsSecret: null }),
    ],
    bindings: ["12 managed/team-a"],
  }),
  namespaces: { shop: "12", "hidden-namespace": "13" },
  catalogues: {
    managed: [space("library", "public", 1), space("team-a", "private", 2), space("hidden", "private", 3)],
  },
});

const sensible: Readonly<Record<string, readonly string[]>> = {
  namespace: ["shop"],
  registry: ["managed", "archive"],
  space: ["library", "team-a"],
  repository: ["team-a/api", "library/nginx"],
  tag: ["1.0", "latest"],
  image: ["managed.test/team-a/api:1", "nginx", "sha256:abc"],
  q: ["api", "te"],
  limit: ["1", "100"],
  visibility: ["public", "private"],
};
const wild = fc.oneof(
  fc.string({ unit: "binary", maxLength: 60 }),
  fc.constantFrom(
    "..",
    "%2e%2e",
    "\u202egnp",
    "<script>",
    "' or 1=1",
    "{{7*7}}",
    "\0",
    "__proto__",
    "hidden",
    "-1",
    "1e99",
  ),
  fc.string({ minLength: 300, maxLength: 700 }),
);

describe("the people's API, by its own description", () => {
  let world: PeopleWorld;
  before(async () => {
    const rights = {
      alice: { namespaces: ["shop"] },
      root: { namespaces: ["*", "shop"], platform: true },
    } as const;
    world = await startPeopleWorld({ snapshot: () => snapshot, rights, now: steadyClock() });
  });
  after(() => world.stop());

  /** A second goes by with every look, so that nobody asks too much. */
  function steadyClock(): () => number {
    let now = Date.now();
    return () => (now += 1_000);
  }

  it("answers every question as it says there, and tells alice nothing that is hidden", async function () {
    this.timeout(60_000);
    const document = JSON.parse(JSON.stringify(openApiDocument(world.routes, "1"))) as {
      paths: Record<string, Record<"get" | "post", Operation>>;
    };
    const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
    );
    const question = fc.constantFrom(...operations).chain(({ path, method, operation }) =>
      fc
        .record({
          values: fc.tuple(...operation.parameters.map((parameter) => valueOf(parameter))),
          body: fc.oneof(
            fc.constant("apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, image: nginx}]}\n"),
            wild,
          ),
          token: fc.constantFrom("alice", "root", "nobody"),
        })
        .map((asked) => ({ path, method, operation, ...asked })),
    );
    const statuses = new Map<number, number>();
    await fc.assert(
      fc.asyncProperty(question, async ({ path, method, operation, values, body, token }) => {
        const address = addressOf(path, operation, values);
        const posted = method === "post" ? { method: "POST", body } : {};
        const { status, body: answer, text, headers } = await world.get(address, { token, ...posted });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        expect(status, `${address} ${text}`).to.be.oneOf([200, 400, 401, 404, 422]);
        if (status === 200) {
          const name = operation.responses["200"]?.content["application/json"]?.schema.$ref
            ?.split("/")
            .at(-1);
          const schema = shapes[name as "identity"];
          expect(schema.parse(answer)).to.deep.equal(answer);
        } else {
          expect(headers["content-type"]).to.include("application/problem+json");
          expect(shapes.problem.parse(answer)).to.deep.equal(answer);
        }
        // But in an image or a text that alice wrote herself.
        if (token === "alice" && !JSON.stringify([values, body]).includes("hidden"))
          expect(text).to.not.include("hidden");
      }),
      { numRuns: fuzzRuns(3_000) },
    );
    for (const status of [200, 400, 401, 404, 422])
      expect(statuses.get(status), String(status)).to.be.above(10);
  });

  function valueOf({ name, required, schema }: Parameter): fc.Arbitrary<string | undefined> {
    const known = fc.constantFrom(...(schema.enum ?? sensible[name] ?? ["a"]));
    const some = fc.oneof({ weight: 4, arbitrary: known }, { weight: 1, arbitrary: wild });
    return required ? some : fc.oneof(fc.constant(undefined), some);
  }

  function addressOf(
    path: string,
    { parameters }: Operation,
    values: readonly (string | undefined)[],
  ): string {
    const query = new URLSearchParams();
    let address = path;
    parameters.forEach(({ name, in: place }, index) => {
      const value = values[index];
      if (value === undefined) return;
      if (place === "path") address = address.replace(`{${name}}`, encodeURIComponent(value.toWellFormed()));
      else query.set(name, value);
    });
    return query.size === 0 ? address : `${address}?${query.toString()}`;
  }
});
