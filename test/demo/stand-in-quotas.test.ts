import { expect } from "chai";

import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";

// Quotas, repositories and settings of the stand-in Harbor, beyond what was recorded.

const admin = "admin:right";
const gib = 2 ** 30;

describe("the stand-in Harbor, beside its projects and robots", () => {
  let harbor: StandInHarbor;
  beforeEach(async () => {
    harbor = await startStandInHarbor({
      adminPassword: "right",
      lockMs: 0,
      projects: [{ name: "library", visibility: "public" }, { name: "team-a" }],
    });
    harbor.logins.users.set("ann", { kind: "user", name: "ann", id: 7, admin: false, password: "right" });
  });
  afterEach(() => harbor.close());

  async function api(login: string | undefined, method: string, path: string, body?: object) {
    const authorization = `Basic ${Buffer.from(login ?? "").toString("base64")}`;
    const answer = await fetch(`${harbor.url}/api/v2.0${path}`, {
      method,
      ...(login === undefined ? {} : { headers: { authorization } }),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    const parsed: unknown = text === "" ? undefined : JSON.parse(text);
    return { status: answer.status, headers: answer.headers, body: parsed };
  }

  const namesIn = (body: unknown) => (body as { name: string }[]).map(({ name }) => name);

  describe("has quotas", () => {
    const quotaOf = async (projectId: number) => {
      const path = `/quotas?reference=project&reference_id=${projectId}`;
      const { body } = await api(admin, "GET", path);
      const [quota] = body as { id: number; hard: object; used: object; ref: object }[];
      return quota!;
    };

    it("that are found by the project's id, and have another one themselves", async () => {
      const { id } = harbor.projects.find("team-a")!;
      harbor.repositories.push("team-a/app", { sizeBytes: 500 });
      const quota = await quotaOf(id);
      expect(quota).to.deep.include({ hard: { storage: -1 }, used: { storage: 500 } });
      expect(quota.ref).to.deep.equal({ id, name: "team-a", owner_name: "admin" });
      expect(quota.id).to.not.equal(id);
    });

    it("that PUT changes, and the project's own PUT does not", async () => {
      const { id } = harbor.projects.find("team-a")!;
      const quota = await quotaOf(id);
      await api(admin, "PUT", "/projects/team-a", { storage_limit: 5 * gib });
      expect((await quotaOf(id)).hard).to.deep.equal({ storage: -1 });
      const answer = await api(admin, "PUT", `/quotas/${quota.id}`, { hard: { storage: 5 * gib } });
      expect(answer.status).to.equal(200);
      expect((await api(admin, "GET", `/quotas/${quota.id}`)).body).to.deep.include({
        hard: { storage: 5 * gib },
      });
    });

    const limits: [title: string, limit: number, status: number, stored: number][] = [
      ["a limit", gib, 201, gib],
      ["none", -1, 201, -1],
      ["the default for 0", 0, 201, -1],
      ["nothing negative", -2, 400, Number.NaN],
      ["nothing above 1024 TB", 2 * 1_024 ** 5, 400, Number.NaN],
    ];
    for (const [title, limit, status, stored] of limits) {
      it(`for a new project: ${title}`, async () => {
        const answer = await api(admin, "POST", "/projects", { project_name: "new", storage_limit: limit });
        expect(answer.status).to.equal(status);
        expect(harbor.projects.find("new")?.storageLimit ?? Number.NaN).to.deep.equal(stored);
      });
    }

    it("that users do not choose, nor read", async () => {
      await api("ann:right", "POST", "/projects", { project_name: "anns", storage_limit: gib });
      expect(harbor.projects.find("anns")).to.include({ storageLimit: -1, ownerId: 7 });
      expect((await api("ann:right", "GET", "/quotas")).status).to.equal(403);
      expect((await api(undefined, "GET", "/quotas")).status).to.equal(401);
    });
  });

  it("may keep the making of projects to administrators", async () => {
    harbor.settings.onlyAdminsCreateProjects = true;
    expect((await api("ann:right", "POST", "/projects", { project_name: "anns" })).status).to.equal(403);
    expect((await api(admin, "POST", "/projects", { project_name: "ours" })).status).to.equal(201);
    harbor.settings.version = "v2.4.3-abcdef12";
    const { body } = await api(admin, "GET", "/systeminfo");
    expect(body).to.include({
      harbor_version: "v2.4.3-abcdef12",
      project_creation_restriction: "adminonly",
    });
  });

  it("makes a project public through its metadata too", async () => {
    const path = "/projects/team-a/metadatas/public";
    expect((await api(admin, "PUT", path, { public: "1" })).status).to.equal(200);
    expect((await api(admin, "GET", path)).body).to.deep.equal({ public: "true" });
    expect((await api(admin, "PUT", path, { public: "perhaps" })).status).to.equal(400);
  });

  describe("has repositories", () => {
    beforeEach(() => {
      harbor.repositories.push("team-a/a/b", { tags: ["1", "latest"] });
      harbor.repositories.push("library/app", { tags: ["1"] });
      harbor.repositories.push("library/base");
    });

    it("of which everybody sees those in public projects", async () => {
      expect(namesIn((await api(undefined, "GET", "/repositories")).body)).to.deep.equal([
        "library/base",
        "library/app",
      ]);
      expect((await api(undefined, "GET", "/projects/library/repositories")).status).to.equal(200);
      expect((await api(undefined, "GET", "/projects/library/repositories/app/artifacts")).status).to.equal(
        200,
      );
      expect((await api(undefined, "GET", "/projects/library/repositories/app")).status).to.equal(401);
      expect((await api("ann:right", "GET", "/projects/team-a/repositories")).status).to.equal(403);
    });

    it("in pages, by part of a name", async () => {
      const first = await api(admin, "GET", "/repositories?page_size=2&q=name%3D~a");
      expect(first.headers.get("x-total-count")).to.equal("3");
      expect(first.headers.get("link")).to.match(/page=2&page_size=2&q=name=~a>; rel="next"$/);
      const second = await api(admin, "GET", "/repositories?page_size=2&page=2&q=name%3D~a");
      expect(namesIn(second.body)).to.deep.equal(["team-a/a/b"]);
    });

    it("whose names need two encodings behind a proxy that decodes", async () => {
      const artifacts = (name: string) =>
        api(admin, "GET", `/projects/team-a/repositories/${name}/artifacts`);
      expect((await artifacts("a%252Fb")).status).to.equal(200);
      harbor.faults.proxyDecodes = true;
      expect((await artifacts("a%2Fb")).status).to.equal(404);
      const answer = await artifacts("a%252Fb");
      expect((answer.body as { repository_name: string }[])[0]).to.include({ repository_name: "team-a/a/b" });
    });

    it("whose tags move from one artifact to another", async () => {
      const artifact = harbor.repositories.push("team-a/a/b", { tags: ["latest"] });
      const path = "/projects/team-a/repositories/a%252Fb/artifacts";
      const byTag = await api(admin, "GET", `${path}/latest`);
      expect(byTag.body).to.include({ digest: artifact.digest });
      const old = await api(admin, "GET", `${path}?q=tags%3D1`);
      expect(namesIn((old.body as { tags: unknown }[])[0]!.tags)).to.deep.equal(["1"]);
      expect((await api(admin, "GET", `${path}/gone`)).status).to.equal(404);
      const untagged = await api(admin, "GET", "/projects/library/repositories/base/artifacts?q=tags%3Dnil");
      expect(untagged.body).to.have.length(1);
      expect(untagged.body).to.have.nested.property("[0].tags", null);
    });

    it("that keep their project from being deleted, and go with it", async () => {
      expect((await api(admin, "DELETE", "/projects/team-a")).status).to.equal(412);
      harbor.repositories.remove("team-a/a/b");
      expect((await api(admin, "DELETE", "/projects/team-a")).status).to.equal(200);
      harbor.projects.remove("library");
      expect(harbor.repositories.list()).to.deep.equal([]);
    });
  });
});
