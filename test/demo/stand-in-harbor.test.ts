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

/** Recordings that the stand-in cannot answer, and why. */
const notCovered: Readonly<Record<string, string>> = {
  "v2-manifest-robot": "the stand-in stores no manifests; a registry that takes its tokens does",
};

const recordedDigest = "sha256:7b031ba7484eeeb9480227148b4f5727a80b413df57cb7cfd84c56c5ad1c5240";

const meanwhile: Readonly<Record<string, (harbor: StandInHarbor) => unknown>> = {
  "create-underscore": ({ projects }) => projects.create({ name: "2024" }),
  "list-p1": ({ projects }) => {
    for (let n = 0; n < 8; n += 1) {
      projects.create({ name: `many-${n}`, visibility: n % 2 === 0 ? "public" : "private" });
    }
  },
  "meta-get": ({ projects }) => projects.setVisibility("team-b", "private"),
  "robot-project": ({ robots }) => robots.skipId(),
  "repos-q": ({ repositories }) => {
    for (const tag of ["1", "2"]) repositories.push("team-a/a/b", { digest: recordedDigest, tags: [tag] });
    repositories.push("team-a/app", { digest: recordedDigest, tags: ["v1.0"] });
    repositories.push("platform/app", { digest: recordedDigest, tags: ["1"] });
    repositories.push("team-b/app", { digest: recordedDigest, tags: ["1"] });
  },
  // One more than was recorded: the statistics count it.
  recreate: ({ projects }) => projects.create({ name: "not-recorded" }),
  "robot-delete": ({ url, robots }) => {
    const body = {
      name: "child",
      level: "system",
      duration: 30,
      permissions: [
        { kind: "project", namespace: "team-a", access: [{ resource: "repository", action: "pull" }] },
      ],
    };
    const { name, secret } = robots.find("robot$creator")!;
    return ask(url, { method: "POST", path: "/api/v2.0/robots", body }, { name, secret });
  },
};

/** The recordings say only that it was a robot, and mostly it was the first. */
function loginOf(
  { id, request }: Recording,
  harbor: StandInHarbor,
): { readonly name: string; readonly secret: string } | undefined {
  switch (request.as) {
    case "anonymous":
      return undefined;
    case "admin":
      return { name: "admin", secret: "right" };
    case "wrong":
      return { name: "admin", secret: "wrong" };
    case "robot": {
      const isWrong = ["v2-wrong", "robot-old-secret"].includes(id) || id.startsWith("token-robot-wrong");
      const [, kind = "berth-12"] = /^robot-(lister|star|creator)-/.exec(id) ?? [];
      const account = harbor.robots.find(
        harbor.robots.prefix + (id === "robot-by-robot-more" ? "creator" : kind),
      )!;
      return { name: account.name, secret: isWrong ? "wrong" : account.secret };
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
  `creation_time update_time push_time created current_time expires_at issued_at token
   harbor_version external_url registry_url comment realname error`.split(/\s+/),
);

function comparable(value: unknown, key = ""): unknown {
  // -1 is for ever, and no moment.
  if (volatile.has(key)) return value === -1 ? value : typeof value;
  if (key === "secret") return lengthOf(value);
  if (key === "system" || key === "project") return countOf(value);
  if (Array.isArray(value)) {
    const entries = value.map((each) => comparable(each));
    // Harbor gives them in any order.
    return key === "permissions" ? entries.sort(byNamespace) : entries;
  }
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([name, each]) => [name, comparable(each, name)] as const);
  // Harbor counts these lists by themselves.
  if (key === "cve_allowlist")
    return Object.fromEntries(entries.map(([name, each]) => [name, name === "id" ? "" : each]));
  return Object.fromEntries(entries);
}

/** The recordings keep only how long a secret was, `<32 characters>`. */
function lengthOf(secret: unknown): unknown {
  const [, length] = /^<(\d+) characters>$/.exec(String(secret)) ?? [];
  return length === undefined ? String(secret).length : Number(length);
}

/** And of the rights that there are only the number, `70 entries`. */
const countOf = (value: unknown) => (Array.isArray(value) ? `${value.length} entries` : value);

function byNamespace(a: unknown, b: unknown): number {
  const [first, second] = [a, b].map((entry) => (entry as Permission).namespace);
  return first! < second! ? -1 : 1;
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
    const reason = notCovered[id];
    if (reason !== undefined) {
      it(`${id}: is not known, since ${reason}`, async () => {
        const answer = await ask(harbor.url, request, loginOf(recording, harbor));
        expect(answer.text).to.match(/path .* was not found/);
      });
      continue;
    }
    it(`${id}: ${request.method} ${request.path} as ${request.as} is ${response.status}`, async () => {
      await meanwhile[id]?.(harbor);
      const answer = await ask(harbor.url, request, loginOf(recording, harbor));
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
    expect(Object.keys(notCovered).filter((id) => !ids.has(id))).to.deep.equal([]);
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
