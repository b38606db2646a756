import { readFileSync } from "node:fs";
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { join } from "node:path";
import { expect } from "chai";

import type { Permission } from "../../src/demo/stand-in-callers.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";

// What a real Harbor answered, asked of the stand-in in the same order. Where the recordings leave out a step that
// a later answer depends on, `meanwhile` makes it.

interface Recording {
  readonly id: string;
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly as: "anonymous" | "admin" | "wrong" | "robot";
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: unknown;
  };
  readonly response: {
    readonly status: number;
    readonly headers: Readonly<Record<string, string | readonly string[] | true>>;
    readonly body: unknown;
    /** The decoded access claim of the token. */
    readonly access?: readonly Access[];
  };
}

interface Access {
  readonly type: string;
  readonly name: string;
  readonly actions: readonly string[];
}

const { recordings } = JSON.parse(
  readFileSync(join(import.meta.dirname, "..", "fixtures", "harbor-recordings.json"), "utf8"),
) as { recordings: readonly Recording[] };

/** Recordings whose requests the stand-in does not know yet. One that it learns has to leave this list. */
const notCovered = new Set(
  `meta-get summary permissions statistics prefix-put prefix-robot prefix-back
   robot-create robot-duplicate robot-secret-given robot-bad-action robot-no-access robot-duration-0
   robot-no-duration robot-upper robot-project robot-lister robot-star robot-creator robot-get robots-list
   robots-list-q robots-list-q-prefixed robots-list-project robot-by-robot-more robot-put robot-put-short-name
   robot-patch-empty robot-patch-weak robot-patch-given robot-disable robot-enable robot-delete
   repos-q repos-all repos-anonymous-private repos-nowhere repo-none artifacts-double artifacts-single
   artifacts-plain artifacts-q artifact-tag tags v2-tags v2-manifest-robot v2-manifest-other v2-catalog-robot`.split(
    /\s+/,
  ),
);

const robotSecret = "Right-secret1";
const pullOn = (...namespaces: string[]): Permission[] =>
  namespaces.map((namespace) => ({
    kind: "project",
    namespace,
    access: [{ resource: "repository", action: "pull" }],
  }));
const listing: Permission = {
  kind: "system",
  namespace: "/",
  access: [{ resource: "project", action: "list" }],
};
const robots: Readonly<Record<string, readonly Permission[]>> = {
  robot$two: pullOn("team-a", "platform"),
  robot$lister: [listing],
  robot$star: pullOn("*"),
  robot$creator: [
    listing,
    { kind: "project", namespace: "*", access: [{ resource: "project", action: "read" }] },
  ],
  "bot-berth-12": pullOn("team-a"),
};

const meanwhile: Readonly<Record<string, (harbor: StandInHarbor) => void>> = {
  "create-underscore": ({ projects }) => projects.create({ name: "2024" }),
  "list-p1": ({ projects }) => {
    for (let n = 0; n < 8; n += 1) {
      projects.create({ name: `many-${n}`, visibility: n % 2 === 0 ? "public" : "private" });
    }
  },
  "robot-two-projects": ({ projects, logins }) => {
    projects.setVisibility("team-b", "private");
    for (const [name, permissions] of Object.entries(robots)) {
      logins.robots.set(name, { kind: "robot", name, secret: robotSecret, permissions, disabled: false });
    }
  },
  "robot-disabled-login": ({ logins }) => (logins.robots.get("robot$two")!.disabled = true),
  "delete-nonempty": ({ projects, logins }) => {
    logins.robots.get("robot$two")!.disabled = false;
    projects.find("team-b")!.repositories = 1;
  },
  recreate: ({ projects }) => projects.skipId(),
};

/** The recordings say only that it was a robot. */
function loginOf({ id, request }: Recording): { readonly name: string; readonly secret: string } | undefined {
  switch (request.as) {
    case "anonymous":
      return undefined;
    case "admin":
      return { name: "admin", secret: "right" };
    case "wrong":
      return { name: "admin", secret: "wrong" };
    case "robot": {
      const isWrong = ["v2-wrong", "robot-old-secret"].includes(id) || id.startsWith("token-robot-wrong");
      const [, kind = "two"] = /^robot-(lister|star|creator)-/.exec(id) ?? [];
      const name = id === "prefix-new-login" ? "bot-berth-12" : `robot$${kind}`;
      return { name, secret: isWrong ? "wrong" : robotSecret };
    }
  }
}

interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

function ask(
  url: string,
  { method, path, headers, body }: Pick<Recording["request"], "method" | "path" | "headers" | "body">,
  login?: { readonly name: string; readonly secret: string },
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const auth = login === undefined ? {} : { auth: `${login.name}:${login.secret}` };
    const sent = httpRequest(
      url + encodeURI(path).replaceAll("%25", "%"),
      { method, headers, ...auth },
      (got) => {
        const chunks: Buffer[] = [];
        got.on("data", (chunk: Buffer) => chunks.push(chunk));
        got.on("error", reject);
        got.on("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          resolve({ status: got.statusCode ?? 0, headers: got.headers, text });
        });
      },
    );
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** What differs from server to server and from moment to moment; of the rest, every value has to be the same. */
const volatile = new Set(
  "creation_time update_time current_time issued_at token harbor_version external_url registry_url comment realname error".split(
    " ",
  ),
);

function comparable(value: unknown, key = ""): unknown {
  if (volatile.has(key)) return typeof value;
  if (Array.isArray(value)) return value.map((each) => comparable(each));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, each]) => [name, comparable(each, name)] as const);
  // Harbor counts these lists by themselves.
  if (key === "cve_allowlist")
    return Object.fromEntries(entries.map(([name, each]) => [name, name === "id" ? "" : each]));
  return Object.fromEntries(entries);
}

const comparedHeaders = [
  "x-total-count",
  "link",
  "content-type",
  "location",
  "www-authenticate",
  "docker-distribution-api-version",
];

describe("the stand-in Harbor, beside recordings of a Harbor 2.16", () => {
  let harbor: StandInHarbor;
  let clock = Date.parse("2026-11-23T21:22:00.000Z");

  before(async () => {
    harbor = await startStandInHarbor({
      adminPassword: "right",
      lockMs: 0,
      now: () => (clock += 1_000),
      projects: [
        { name: "library", visibility: "public" },
        { name: "platform", visibility: "public" },
      ],
    });
    for (const name of ["jobservice", "portal", "registryctl"]) harbor.faults.unhealthy.add(name);
  });
  after(() => harbor.close());

  for (const recording of recordings) {
    const { id, request, response } = recording;
    if (notCovered.has(id)) {
      it(`${id}: is not known yet`, async () => {
        const answer = await ask(harbor.url, request, loginOf(recording));
        expect(answer.text).to.match(/path .* was not found/);
      });
      continue;
    }
    it(`${id}: ${request.method} ${request.path} as ${request.as} is ${response.status}`, async () => {
      meanwhile[id]?.(harbor);
      const answer = await ask(harbor.url, request, loginOf(recording));
      expect(answer.status).to.equal(response.status);
      for (const name of comparedHeaders) {
        const header = answer.headers[name];
        const value =
          typeof header === "string" ? header.replace(harbor.url, "http://harbor.example.test") : header;
        expect(value, name).to.equal(response.headers[name]);
      }
      expect(answer.headers["x-request-id"]).to.match(/^[0-9a-f]{32}$/);
      const [cookie = ""] = answer.headers["set-cookie"] ?? [];
      const [recordedCookie = ""] = response.headers["set-cookie"] as readonly string[];
      expect(cookie.split("=")[0]).to.equal(recordedCookie.split("=")[0]);

      const isJson = answer.headers["content-type"]?.startsWith("application/json") && answer.text !== "";
      const body: unknown = isJson ? JSON.parse(answer.text) : answer.text;
      expect(comparable(body)).to.deep.equal(comparable(response.body));
      if (response.access !== undefined) {
        const { token } = body as { token: string };
        const { access } = JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString()) as {
          access: Access[];
        };
        const sorted = (entries: readonly Access[]) =>
          entries.map((entry) => ({ ...entry, actions: [...entry.actions].sort() }));
        expect(sorted(access)).to.deep.equal(sorted(response.access));
      }
    });
  }

  it("leaves out only what it says it leaves out", () => {
    const ids = new Set(recordings.map(({ id }) => id));
    expect([...notCovered].filter((id) => !ids.has(id))).to.deep.equal([]);
  });
});

describe("the stand-in Harbor", () => {
  let harbor: StandInHarbor;

  beforeEach(async () => {
    harbor = await startStandInHarbor({
      adminPassword: "right",
      lockMs: 40,
      projects: [
        { name: "library", visibility: "public" },
        { name: "team-a", visibility: "private" },
        { name: "old", metadata: null },
      ],
    });
  });
  afterEach(() => harbor.close());

  const admin = { name: "admin", secret: "right" };
  const names = async (login?: { name: string; secret: string }) => {
    const { text } = await ask(harbor.url, { method: "GET", path: "/api/v2.0/projects" }, login);
    return (JSON.parse(text) as { name: string }[]).map(({ name }) => name);
  };

  it("shows a caller with a wrong password what everybody sees", async () => {
    expect(await names({ name: "admin", secret: "wrong" })).to.deep.equal(["library"]);
    expect(await names(admin)).to.deep.equal(["library", "old", "team-a"]);
  });

  it("locks a principal while a wrong password is being answered, for the right one too", async () => {
    const [, meanwhileSeen] = await Promise.all([names({ name: "admin", secret: "wrong" }), names(admin)]);
    expect(meanwhileSeen).to.deep.equal(["library"]);
    expect(await names(admin)).to.have.length(3);
  });

  it("gives a name that was deleted to another project, with another id", () => {
    const before = harbor.projects.find("team-a")!;
    harbor.projects.remove("team-a");
    expect(before.name).to.equal(`team-a#${before.id}`);
    const id = harbor.projects.create({ name: "team-a", visibility: "public" });
    expect(id).to.be.greaterThan(before.id);
    expect(harbor.projects.find("team-a")!.id).to.equal(id);
  });

  it("has projects without metadata, and proxy caches", async () => {
    harbor.projects.create({ name: "hub", visibility: "public", registryId: 3 });
    const { text } = await ask(harbor.url, { method: "GET", path: "/api/v2.0/projects?q=name%3Dhub" }, admin);
    expect(JSON.parse(text)).to.have.nested.property("[0].registry_id", 3);
    const old = await ask(harbor.url, { method: "GET", path: "/api/v2.0/projects/old" }, admin);
    expect(JSON.parse(old.text)).to.not.have.property("metadata");
  });

  it("remembers what it received, without the passwords", async () => {
    await names({ name: "admin", secret: "wrong" });
    expect(harbor.requests).to.have.length(1);
    expect(harbor.requests[0]).to.include({ method: "GET", path: "/api/v2.0/projects", login: "admin" });
    expect(JSON.stringify(harbor.requests)).to.not.include("wrong");
  });
});
