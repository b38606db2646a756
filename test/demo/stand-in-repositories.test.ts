import { expect } from "chai";

import type { Permission } from "../../src/demo/stand-in-callers.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";

describe("the stand-in Harbor's repositories", () => {
  let harbor: StandInHarbor;
  let clock: number;
  const admin = "admin:right";

  beforeEach(async () => {
    clock = Date.parse("2026-03-01T12:00:00Z");
    harbor = await startStandInHarbor({
      adminPassword: "right",
      lockMs: 0,
      now: () => (clock += 1_000),
      projects: [{ name: "team-a" }, { name: "team-b" }, { name: "team-c" }],
    });
    for (const name of ["team-a/app", "team-b/app", "team-b/api", "team-c/app"])
      harbor.repositories.push(name, { tags: ["1"] });
  });
  afterEach(() => harbor.close());

  interface Answered {
    readonly status: number;
    readonly total: string | null;
    readonly rows: readonly Readonly<Record<string, unknown>>[];
    readonly text: string;
  }

  async function get(path: string, query: Record<string, string> = {}, login = admin): Promise<Answered> {
    const text = new URLSearchParams(query).toString();
    const answer = await fetch(`${harbor.url}/api/v2.0${path}?${text}`, {
      headers: { authorization: `Basic ${btoa(login)}` },
    });
    const body = await answer.text();
    const rows = JSON.parse(body) as Answered["rows"];
    return { status: answer.status, total: answer.headers.get("x-total-count"), rows, text: body };
  }

  const idOf = (name: string) => harbor.projects.find(name)!.id;
  const namesOf = ({ rows }: Answered) => rows.map(({ name }) => name);
  const artifactsOf = (name: string, query: Record<string, string> = {}) =>
    get(`/projects/team-a/repositories/${name}/artifacts`, query);
  /** The tags of each artifact. */
  const tagsOf = ({ rows }: Answered) =>
    rows.map(({ tags }) => ((tags ?? []) as { name: string }[]).map(({ name }) => name));

  describe("across projects", () => {
    const search = async (q: string, login = admin) => {
      const answer = await get("/repositories", { q, sort: "name" }, login);
      return answer.status === 200 ? namesOf(answer) : answer.text;
    };

    it("are those of the projects in a list, of which one is enough", async () => {
      const ids = `${idOf("team-a")} ${idOf("team-b")}`;
      expect(await search(`project_id={${ids}}`)).to.deep.equal(["team-a/app", "team-b/api", "team-b/app"]);
      expect(await search(`name=~/app,project_id={${ids}}`)).to.deep.equal(["team-a/app", "team-b/app"]);
      expect(await search(`project_id={${idOf("team-c")}}`)).to.deep.equal(["team-c/app"]);
      expect(await search("project_id={999}")).to.deep.equal([]);
    });

    it("are counted as they are found", async () => {
      const q = `project_id={${idOf("team-a")} ${idOf("team-b")}}`;
      const { total, rows } = await get("/repositories", { q, sort: "name", page: "2", page_size: "2" });
      expect([total, rows.length]).to.deep.equal(["3", 1]);
    });

    it("are all of them where the list is empty", async () => {
      expect(await search("project_id={}")).to.have.length(4);
    });

    it("are none where the list does not end", async () => {
      const { status, text } = await get("/repositories", { q: "project_id={1 2" });
      expect(status).to.equal(400);
      expect(text).to.include("invalid query string value: {1 2");
    });

    it("are found by a part of the name, whatever its case", async () => {
      expect(await search("name=~B/AP")).to.deep.equal(["team-b/api", "team-b/app"]);
    });

    it("are those of a robot's projects only, whatever the list says", async () => {
      const pull: Permission = {
        kind: "project",
        namespace: "team-a",
        access: [{ resource: "repository", action: "list" }],
      };
      const robot = { kind: "robot", name: "robot$a", secret: "s", disabled: false } as const;
      harbor.logins.robots.set(robot.name, { ...robot, permissions: [pull] });
      const ids = `${idOf("team-a")} ${idOf("team-b")}`;
      expect(await search(`project_id={${ids}}`, "robot$a:s")).to.deep.equal(["team-a/app"]);
    });
  });

  describe("as artifacts", () => {
    it("are sorted by the time of the push", async () => {
      harbor.repositories.push("team-a/app", { tags: ["2"] });
      harbor.repositories.push("team-a/app", { tags: ["3"] });
      expect(tagsOf(await artifactsOf("app", { sort: "-push_time" }))).to.deep.equal([["3"], ["2"], ["1"]]);
      expect(tagsOf(await artifactsOf("app", { sort: "push_time" }))).to.deep.equal([["1"], ["2"], ["3"]]);
    });

    it("are sorted by one thing and then another", async () => {
      clock = 0;
      const frozen = await startStandInHarbor({
        adminPassword: "right",
        now: () => 0,
        projects: [{ name: "team-a" }],
      });
      for (const tag of ["1", "2", "3"]) frozen.repositories.push("team-a/app", { tags: [tag] });
      await harbor.close();
      harbor = frozen;
      const sorted = await artifactsOf("app", { sort: "-push_time,-id" });
      expect(tagsOf(sorted)).to.deep.equal([["3"], ["2"], ["1"]]);
    });

    it("are found by a part of a tag, in its case, with all their tags", async () => {
      harbor.repositories.push("team-a/app", { tags: ["2-rc", "2-beta"] });
      harbor.repositories.push("team-a/app", { tags: ["3-RC"] });
      harbor.repositories.push("team-a/app");
      const { total, rows } = await artifactsOf("app", { q: "tags=~-rc" });
      expect(total).to.equal("1");
      expect(tagsOf({ rows } as Answered)[0]).to.have.members(["2-rc", "2-beta"]);
      expect((await artifactsOf("app", { q: "tags=*" })).total).to.equal("3");
      expect((await artifactsOf("app", { q: "tags=nil" })).total).to.equal("1");
    });

    it("are of a kind, an image unless another is named", async () => {
      harbor.repositories.push("team-a/app", { tags: ["chart"], type: "CHART" });
      const { rows } = await artifactsOf("app", { sort: "push_time" });
      expect(rows.map(({ type }) => type)).to.deep.equal(["IMAGE", "CHART"]);
      const charts = await artifactsOf("app", { q: "type=CHART" });
      expect(tagsOf(charts)).to.deep.equal([["chart"]]);
    });

    it("are an index where there are images for several platforms", async () => {
      const { digest } = harbor.repositories.push("team-a/app", {
        tags: ["2"],
        platforms: ["linux/amd64", "linux/arm64/v8", "unknown/unknown"],
      });
      const [index] = (await artifactsOf("app", { q: "tags=~2" })).rows;
      expect(index).to.include({
        digest,
        extra_attrs: null,
        manifest_media_type: "application/vnd.oci.image.index.v1+json",
      });
      const references = index!["references"] as Record<string, unknown>[];
      expect(references.map(({ platform }) => platform)).to.deep.equal([
        { OsFeatures: null, os: "linux", architecture: "amd64" },
        { OsFeatures: null, os: "linux", architecture: "arm64", variant: "v8" },
        { OsFeatures: null, os: "unknown", architecture: "unknown" },
      ]);
      expect(new Set(references.map((each) => each["child_digest"])).size).to.equal(3);
    });

    it("are a list without any where there is no such repository, and one by itself is not found", async () => {
      expect(await artifactsOf("none")).to.include({ status: 200, total: "0", text: "[]" });
      expect((await get("/projects/team-a/repositories/none")).status).to.equal(404);
      expect((await artifactsOf("none/1")).status).to.equal(404);
    });
  });

  it("may have names that no Harbor would take, for those who have to read them", async () => {
    const hostile = ["<img src=x onerror=alert(1)>", "\u202egpj.exe", "a\u0000b", "a\nb", "UPPER", "a:1"];
    for (const name of hostile) harbor.repositories.push(`team-a/${name}`, { tags: [name] });
    const listed = await get("/projects/team-a/repositories", { sort: "id", page_size: "100" });
    expect(namesOf(listed)).to.deep.equal(["team-a/app", ...hostile.map((name) => `team-a/${name}`)]);
    const path = encodeURIComponent(encodeURIComponent("<img src=x onerror=alert(1)>"));
    expect(tagsOf(await artifactsOf(path))).to.deep.equal([["<img src=x onerror=alert(1)>"]]);
  });
});
