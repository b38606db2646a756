import { expect } from "chai";
import type { Snapshot } from "../../src/domain/snapshot.ts";
import { openApiDocument } from "../../src/http/openapi.ts";
import { problem } from "../../src/http/people-shapes.ts";
import type { Reports } from "../../src/http/people-shapes.ts";
import { policyOf, registry, snapshotOf, space } from "../builders.ts";
import { eventually } from "../eventually.ts";
import { startPeopleWorld, type PeopleWorld, type Told } from "./people-world.ts";

const snapshot: Snapshot = snapshotOf({
  policy: policyOf({
    registries: [
      registry("managed"),
      registry("archive", { type: "docker-registry", credentialsSecret: null }),
      registry("of-12", { workspace: "12" }),
      registry("of-13", { workspace: "13" }),
    ],
    bindings: ["12 managed/team-a", "13 managed/hidden-b"],
  }),
  namespaces: { shop: "12", lab: "13", sandbox: null },
  catalogues: {
    managed: [
      space("library", "public", 1),
      space("team-a", "private", 2),
      space("hidden-b", "private", 3),
      space("hidden-c", "private", 4),
    ],
    "of-12": [space("own", "private", 1)],
    "of-13": [space("hidden-own", "private", 1)],
  },
});

const rights = {
  alice: { namespaces: ["shop"] },
  bob: { namespaces: ["lab", "sandbox"] },
  everywhere: { namespaces: ["*", "shop", "lab", "sandbox"] },
  admin: { namespaces: ["*", "shop", "lab", "sandbox"], platform: true },
} as const;

/** A good question for each route, in a namespace that alice may use. */
const questions: Readonly<Record<string, string>> = {
  "/me": "/me",
  "/namespaces": "/namespaces?search=s",
  "/namespaces/{namespace}": "/namespaces/shop",
  "/namespaces/{namespace}/spaces": "/namespaces/shop/spaces?visibility=private",
  "/namespaces/{namespace}/repositories": "/namespaces/shop/repositories?registry=managed&space=team-a",
  "/namespaces/{namespace}/tags": "/namespaces/shop/tags?registry=managed&repository=team-a%2Fapi",
  "/namespaces/{namespace}/tag": "/namespaces/shop/tag?registry=managed&repository=team-a%2Fapi&tag=1.2",
  "/namespaces/{namespace}/search": "/namespaces/shop/search?q=api",
  "/namespaces/{namespace}/verdict": "/namespaces/shop/verdict?image=managed.test%2Fteam-a%2Fapi%3A1",
  "/namespaces/{namespace}/explanation": "/namespaces/shop/explanation?image=managed.test%2Fteam-a%2Fapi",
  "/namespaces/{namespace}/verdicts": "/namespaces/shop/verdicts",
  "/platform": "/platform",
  "/platform/registries": "/platform/registries",
  "/platform/spaces": "/platform/spaces?search=team",
  "/platform/workspaces": "/platform/workspaces",
  "/platform/problems": "/platform/problems",
};

const pod = (image: string, more = ""): string =>
  `apiVersion: v1\nkind: Pod\nmetadata: {name: web${more}}\nspec: {containers: [{name: web, image: "${image}"}]}\n`;

describe("the people's API", () => {
  let world: PeopleWorld;
  before(async () => {
    world = await startPeopleWorld({ snapshot: () => snapshot, rights });
  });
  after(() => world.stop());

  const api = (path: string, token?: string): Promise<Told> =>
    world.get(`/api/v1${path}`, token === undefined ? {} : { token });
  const post = (path: string, body: string, token: string): Promise<Told> =>
    world.get(`/api/v1${path}`, { method: "POST", body, token });

  it("has a question here for each of its routes", () => {
    expect(world.routes.map(({ path }) => path)).to.have.members(Object.keys(questions));
  });

  for (const [path, question] of Object.entries(questions)) {
    describe(path, () => {
      const ask = (token?: string): Promise<Told> =>
        path.endsWith("/verdicts") && token !== undefined
          ? post(question, pod("managed.test/team-a/api"), token)
          : world.get(
              `/api/v1${question}`,
              path.endsWith("/verdicts")
                ? { method: "POST", body: "" }
                : token === undefined
                  ? {}
                  : { token },
            );

      it("answers in just the shape that is promised", async () => {
        const { status, body } = await ask("admin");
        expect(status).to.equal(200);
        const route = world.routes.find((each) => each.path === path)!;
        expect(route.answer.parse(body)).to.deep.equal(body);
      });

      it("asks who is not signed in to do so", async () => {
        const { status, headers, body } = await ask();
        expect(status).to.equal(401);
        expect(headers["www-authenticate"]).to.equal('Bearer realm="berth"');
        expect(headers["content-type"]).to.match(/^application\/problem\+json/);
        expect(problem.parse(body)).to.deep.equal(body);
      });

      it("tells one without the right just what it tells of what is not there", async () => {
        if (path === "/me" || path === "/namespaces") return;
        const refused = await ask("bob");
        const absent = path.startsWith("/platform")
          ? await api("/platform/registries", "bob")
          : await post(question.replace("/shop", "/never-was"), "", "bob").then((told) =>
              told.status === 405 ? api(question.replace("/shop", "/never-was"), "bob") : told,
            );
        expect(refused.status).to.equal(404);
        expect(refused.body).to.deep.equal(absent.body);
      });

      it("does not take what is no parameter of it", async () => {
        const odd = `/api/v1${question}${question.includes("?") ? "&" : "?"}constructor=1`;
        const method = path.endsWith("/verdicts") ? "POST" : "GET";
        const { status } = await world.get(odd, { token: "admin", method });
        expect(status).to.equal(400);
      });
    });
  }

  it("describes every route in its OpenAPI document", () => {
    const document = JSON.parse(JSON.stringify(openApiDocument(world.routes, "1.2.3"))) as {
      openapi: string;
      paths: Record<string, Record<string, { parameters: { name: string; required: boolean }[] }>>;
      components: { schemas: Record<string, unknown> };
    };
    expect(document.openapi).to.equal("3.1.0");
    expect(Object.keys(document.paths)).to.have.members(
      Object.keys(questions).map((path) => `/api/v1${path}`),
    );
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(
      ([, target]) => target,
    );
    for (const target of references) {
      expect(document.components.schemas).to.have.property(target!.replace("#/components/schemas/", ""));
    }
    const tags = document.paths["/api/v1/namespaces/{namespace}/tags"]!["get"]!;
    expect(tags.parameters.map(({ name, required }) => `${name}${required ? "!" : ""}`)).to.deep.equal([
      ...["namespace!", "registry!", "repository!", "search", "after", "limit"],
    ]);
  });

  describe("what a namespace may use", () => {
    const names = async (path: string, token: string): Promise<string[]> => {
      const { body } = await api(path, token);
      return (body as { items: { registry?: string; name: string }[] }).items.map(({ registry: of, name }) =>
        of === undefined ? name : `${of}/${name}`,
      );
    };

    it("is its public, bound and own spaces, each under its tab", async () => {
      expect(await names("/namespaces/shop/spaces", "alice")).to.deep.equal([
        ...["managed/library", "managed/team-a", "of-12/own"],
      ]);
      expect(await names("/namespaces/shop/spaces?visibility=public", "alice")).to.deep.equal([
        "managed/library",
      ]);
      expect(await names("/namespaces/shop/spaces?visibility=private", "alice")).to.deep.equal([
        ...["managed/team-a", "of-12/own"],
      ]);
      expect(await names("/namespaces/sandbox/spaces", "bob")).to.deep.equal(["managed/library"]);
    });

    it("comes in parts", async () => {
      const first = await api("/namespaces/shop/spaces?limit=2", "alice");
      const { next, total } = first.body as { next: string; total: number };
      expect(total).to.equal(3);
      expect(
        await names(`/namespaces/shop/spaces?limit=2&after=${encodeURIComponent(next)}`, "alice"),
      ).to.deep.equal(["of-12/own"]);
    });

    it("names no registry of another workspace", async () => {
      const { text } = await api("/namespaces/shop", "alice");
      expect(text).to.include("of-12").and.to.not.include("of-13");
    });

    it("is listed for those namespaces only in which the caller may create Pods", async () => {
      expect(await names("/namespaces", "alice")).to.deep.equal(["shop"]);
      expect(await names("/namespaces", "bob")).to.deep.equal(["lab", "sandbox"]);
      expect(await names("/namespaces?search=S", "everywhere")).to.deep.equal(["sandbox", "shop"]);
    });

    it("is searched in its own spaces alone", async () => {
      world.asked.length = 0;
      const { body } = await api("/namespaces/shop/search?q=a-new-text", "alice");
      expect(body).to.deep.include({ spaces: [], more: false, unread: [] });
      expect(world.asked.sort()).to.deep.equal([
        ...[
          "search archive  a-new-text",
          "search managed library,team-a a-new-text",
          "search of-12 own a-new-text",
        ],
      ]);
    });
  });

  describe("a space that is not open", () => {
    const closed = ["hidden-b", "hidden-c", "never-was"];

    it("is one that does not exist, and no registry is asked", async () => {
      world.asked.length = 0;
      const told = await Promise.all(
        closed.flatMap((name) => [
          api(`/namespaces/shop/repositories?registry=managed&space=${name}`, "alice"),
          api(`/namespaces/shop/tags?registry=managed&repository=${name}%2Fapi`, "alice"),
          api(`/namespaces/shop/tag?registry=managed&repository=${name}%2Fapi&tag=1`, "alice"),
        ]),
      );
      expect(new Set(told.map(({ status }) => status))).to.deep.equal(new Set([404]));
      expect(new Set(told.map(({ text }) => text)).size).to.equal(1);
      expect(world.asked).to.deep.equal([]);
    });

    it("is refused in the same words as one that does not exist", async () => {
      const told = await Promise.all(
        closed.map(async (name) => {
          const { text } = await api(
            `/namespaces/shop/explanation?image=managed.test%2F${name}%2Fapi`,
            "alice",
          );
          return text.replaceAll(name, "NAME");
        }),
      );
      expect(new Set(told).size).to.equal(1);
      expect(told[0]).to.include('"space-not-bound"');
    });

    it("is told apart for those who see the platform", async () => {
      const reasonOf = async (name: string): Promise<unknown> => {
        const { body } = await api(`/namespaces/shop/verdict?image=managed.test%2F${name}%2Fapi`, "admin");
        return (body as Reports)[0]?.images[0]?.reason;
      };
      expect(await reasonOf("hidden-b")).to.equal("space-not-bound");
      expect(await reasonOf("never-was")).to.equal("space-unknown");
    });

    it("is not open through the registry of another workspace either", async () => {
      const { status } = await api("/namespaces/shop/repositories?registry=of-13&space=hidden-own", "alice");
      expect(status).to.equal(404);
    });

    it("is named nowhere that its tenants cannot see it", async () => {
      const paths = Object.values(questions).filter((path) => !path.startsWith("/platform"));
      for (const path of paths) {
        const { text } = await api(path, "alice");
        expect(text, path).to.not.include("hidden");
      }
    });
  });

  describe("manifests", () => {
    const judged = async (text: string, token = "alice"): Promise<Reports> => {
      const { status, body } = await post("/namespaces/shop/verdicts", text, token);
      expect(status).to.equal(200);
      return body as Reports;
    };

    it("are judged image by image, in the namespace of the address unless they name one", async () => {
      const text = [
        pod("managed.test/team-a/api"),
        pod("managed.test/hidden-b/api"),
        "kind: Service\napiVersion: v1\n",
      ];
      const reports = await judged(text.join("---\n"));
      expect(
        reports.map(({ verdict, namespace, pullSecret }) => [verdict, namespace, pullSecret]),
      ).to.deep.equal([
        ["allow", "shop", "berth-pull"],
        ["refuse", "shop", null],
      ]);
      expect(reports[1]!.message).to.include("Ask a platform administrator to bind it");
      const [other] = await judged(pod("managed.test/hidden-b/api", ", namespace: lab"), "everywhere");
      expect(other).to.include({ namespace: "lab", verdict: "allow" });
    });

    it("of a namespace that is not the caller's are as good as of none", async () => {
      const told = await Promise.all(
        ["lab", "never-was"].map(async (name) => {
          const answer = await post("/namespaces/shop/verdicts", pod("x/y", `, namespace: ${name}`), "alice");
          return `${answer.status} ${answer.text.replaceAll(name, "NAME")}`;
        }),
      );
      expect(told[0]).to.match(/^404 /);
      expect(told[0]).to.equal(told[1]);
    });

    it("that cannot be read are answered with line and column", async () => {
      const { status, body } = await post(
        "/namespaces/shop/verdicts",
        "kind: Pod\n  apiVersion: v1\n",
        "alice",
      );
      expect(status).to.equal(422);
      expect((body as { detail: string }).detail).to.match(/pasted text:\d+:\d+: /);
    });

    it("larger than a megabyte are not read", async () => {
      const { status } = await post("/namespaces/shop/verdicts", "#".repeat(1024 * 1024 + 1), "alice");
      expect(status).to.equal(413);
    });
  });

  it("answers a question that was answered before with 304", async () => {
    const first = await api("/namespaces/shop/spaces", "alice");
    const { etag, vary } = first.headers;
    expect(vary).to.equal("authorization");
    const again = await world.get("/api/v1/namespaces/shop/spaces", {
      token: "alice",
      headers: { "if-none-match": String(etag) },
    });
    expect(again).to.include({ status: 304, text: "" });
  });

  it("takes no text as a number, a name or a cursor that is none", async () => {
    const bad = [
      ...[
        "/namespaces/shop/spaces?limit=0",
        "/namespaces/shop/spaces?limit=1e9",
        "/namespaces/shop/spaces?limit=x",
      ],
      ...[
        "/namespaces/shop/spaces?visibility=secret",
        "/namespaces/shop/search?q=a",
        "/namespaces/shop/search",
      ],
      "/namespaces/shop/tags?registry=managed&repository=..%2F..%2Fetc",
      "/namespaces/shop/tags?registry=managed&repository=team-a%2Fapi%3Fx",
      "/namespaces/shop/tag?registry=managed&repository=team-a%2Fapi&tag=a%2Fb",
      "/namespaces/shop/spaces?search=a&search=b",
      `/namespaces/shop/verdict?image=${"a".repeat(1_001)}`,
    ];
    for (const path of bad) expect((await api(path, "alice")).status, path).to.equal(400);
    for (const path of ["/namespaces/..%2Fx", "/namespaces/SHOP", "/namespaces/%00", "/namespaces/*"])
      expect((await api(path, "everywhere")).status, path).to.equal(404);
  });

  it("says so where there is nothing", async () => {
    expect((await api("/nothing", "alice")).status).to.equal(404);
    expect((await world.get("/favicon.ico")).status).to.equal(404);
    expect((await world.get("/api/v1/me", { method: "DELETE", token: "alice" })).status).to.equal(405);
  });

  it("tells the browser to allow nothing that is not its own", async () => {
    const { headers } = await world.get("/");
    expect(headers["content-security-policy"]).to.match(
      /default-src 'none'.*script-src 'self'.*frame-ancestors 'none'/,
    );
    expect(headers["x-content-type-options"]).to.equal("nosniff");
    expect(headers).to.not.have.property("access-control-allow-origin");
    expect(headers).to.not.have.property("x-powered-by");
  });
});

describe("the people's API in trouble", () => {
  async function withWorld(
    parts: Partial<Parameters<typeof startPeopleWorld>[0]>,
    use: (world: PeopleWorld) => Promise<void>,
  ): Promise<void> {
    const world = await startPeopleWorld({ snapshot: () => snapshot, rights, ...parts });
    try {
      await use(world);
    } finally {
      await world.stop();
    }
  }
  const token = "alice";

  it("says that a registry could not be asked, and keeps the registry's words for the log", async () => {
    const repositories = () =>
      Promise.reject(new Error("list of https://internal.test: password hidden-b wrong"));
    await withWorld({ contents: { repositories } }, async (world) => {
      const told = await world.get("/api/v1/namespaces/shop/repositories?registry=managed&space=team-a", {
        token,
      });
      expect(told.status).to.equal(502);
      expect(told.text).to.not.match(/internal|hidden/);
      expect(world.log.lines.some(({ facts }) => String(facts["err"]).includes("internal.test"))).to.equal(
        true,
      );
    });
  });

  it("finds what it can where one registry cannot be searched", async () => {
    const search = () => Promise.reject(new Error("down"));
    await withWorld({ contents: { search } }, async (world) => {
      const { body } = await world.get("/api/v1/namespaces/shop/search?q=team", { token });
      expect(body).to.deep.include({ repositories: [], unread: ["archive", "managed", "of-12"] });
      expect((body as { spaces: { name: string }[] }).spaces.map(({ name }) => name)).to.deep.equal([
        "team-a",
      ]);
    });
  });

  it("lets go of the registry when the caller has gone", async () => {
    let seen: AbortSignal | undefined;
    const tags = (_registry: unknown, _repository: string, _wanted: unknown, signal: AbortSignal) => {
      seen = signal;
      return new Promise<null>((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(new Error("let go")), { once: true });
      });
    };
    await withWorld({ contents: { tags } }, async (world) => {
      const leaving = new AbortController();
      const path = "/api/v1/namespaces/shop/tags?registry=managed&repository=team-a%2Fapi";
      const asked = world.get(path, { token, signal: leaving.signal }).catch(() => "left");
      await eventually(() => seen !== undefined);
      leaving.abort();
      expect(await asked).to.equal("left");
      await eventually(() => seen?.aborted === true);
    });
  });

  it("does not answer one who asks without end, and goes on answering others", async () => {
    await withWorld({ now: () => 1_000 }, async (world) => {
      const statuses = new Set<number>();
      for (let asked = 0; asked < 101; asked += 1)
        statuses.add((await world.get("/api/v1/me", { token })).status);
      expect(statuses).to.deep.equal(new Set([200, 429]));
      const told = await world.get("/api/v1/me", { token });
      expect(told.headers["retry-after"]).to.equal("1");
      expect((await world.get("/api/v1/me", { token: "bob" })).status).to.equal(200);
    });
  });

  it("asks for a namespace that was made a moment ago", async () => {
    const namespace = () => Promise.resolve({ kind: "read", exists: true, workspace: "12" } as const);
    const newcomer = { alice: { namespaces: ["shop", "newcomer"] } };
    await withWorld({ lookUps: { namespace }, rights: newcomer }, async (world) => {
      const { body } = await world.get("/api/v1/namespaces/newcomer", { token });
      expect(body).to.include({ name: "newcomer", workspace: "12" });
    });
  });

  it("offers of a host that several registries share only what the login may pull", async () => {
    const shared = snapshotOf({
      policy: policyOf({
        registries: [
          registry("managed", { spellings: ["harbor.test"] }),
          registry("of-12", { spellings: ["harbor.test"], workspace: "12" }),
        ],
      }),
      namespaces: { shop: "12" },
      catalogues: {
        managed: [space("library", "public", 1)],
        "of-12": [space("library", "public", 1), space("own", "private", 2), space("other", "private", 3)],
      },
    });
    const granted = () => Promise.resolve(new Set(["own"]));
    await withWorld({ snapshot: () => shared, contents: { granted } }, async (world) => {
      const { body } = await world.get("/api/v1/namespaces/shop/spaces", { token });
      const { items } = body as { items: { registry: string; name: string }[] };
      expect(items.map(({ registry: of, name }) => `${of}/${name}`)).to.deep.equal([
        "managed/library",
        "of-12/own",
      ]);
    });
  });
});
