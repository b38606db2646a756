import { expect } from "chai";
import { eventually } from "../eventually.ts";
import { passwordForms, startSamplePlatform, type SamplePlatform } from "../fakes/sample-platform.ts";
import { startBerth, type RunningBerth } from "./serving.ts";

const image = "harbor.example.test/team-b/app:1";
const bound = "harbor.example.test/team-a/api:1";
const open = "harbor.example.test/library/nginx:1";

describe("a visibility change in Harbor, from there to the verdict", () => {
  let platform: SamplePlatform;
  let berth: RunningBerth;
  async function start(catalogueInterval: string): Promise<void> {
    berth = await startBerth(platform.folder, catalogueInterval);
    await berth.serving.ready;
  }
  beforeEach(async () => {
    platform = await startSamplePlatform();
  });
  afterEach(async () => {
    for (const form of passwordForms()) expect(berth.logText()).not.to.include(form);
    await berth.stop();
    await platform.close();
  });

  const validated = async (namespace: string, name: string) =>
    (await berth.validate(namespace, name)).auditAnnotations?.reasons;
  const refreshed = (outcome: string) =>
    berth.metric(`berth_catalogue_refreshes_total{registry="managed",outcome="${outcome}"}`);

  describe("between two listings", () => {
    beforeEach(() => start("1h"));

    it("opens at once: fifty reviews at a time are allowed, for one look-up together", async () => {
      platform.harbor.projects.setVisibility("team-b", "public");
      const before = platform.harbor.requests.length;
      const answers = await Promise.all(Array.from({ length: 50 }, () => berth.validate("lab", image)));
      expect(answers.every(({ allowed }) => allowed)).to.equal(true);
      const paths = platform.harbor.requests.slice(before).map(({ path }) => path);
      expect(paths.filter((path) => path.startsWith("/api/v2.0/projects/team-b"))).to.have.lengthOf(1);
      expect(paths.filter((path) => path.startsWith("/api/v2.0/projects?"))).to.have.lengthOf(0);
    });

    it("opens a space that was made a moment ago", async () => {
      platform.harbor.projects.create({ name: "newborn", visibility: "public" });
      expect(await validated("sandbox", "harbor.example.test/newborn/app")).to.equal("public-space");
    });

    it("asks about an invented name once in five seconds, and not at all about one that cannot be", async () => {
      for (let turn = 0; turn < 3; turn += 1)
        expect(await validated("lab", "harbor.example.test/invented/app")).to.equal("space-unknown");
      expect(await validated("lab", "harbor.example.test/in__vented/app")).to.equal("space-unknown");
      const asked = platform.harbor.requests.filter(({ path }) => /\/projects\/in_*vented/.test(path));
      expect(asked).to.have.lengthOf(1);
    });
  });

  describe("with the listings on their beat", () => {
    beforeEach(() => start("1s"));

    it("follows into the public and back", async () => {
      platform.harbor.projects.setVisibility("library", "private");
      await eventually(async () => {
        expect(await validated("sandbox", open)).to.equal("namespace-without-workspace");
      });
      platform.harbor.projects.setVisibility("library", "public");
      await eventually(async () => {
        expect(await validated("sandbox", open)).to.equal("public-space");
      });
    });

    it("serves the last good catalogue while Harbor is down, and says so", async () => {
      platform.harbor.faults.always({ kind: "reset" });
      await eventually(async () => {
        expect(await berth.metric('berth_registry_up{registry="managed"}')).to.equal(0);
      });
      expect(await validated("sandbox", open)).to.equal("public-space");
      expect(await validated("shop", bound)).to.equal("bound-space");
      const refused = await berth.validate("lab", bound);
      expect(refused.allowed).to.equal(false);
      expect(refused.status?.message).to.match(/could not be asked just now/);
      expect((await berth.get("/readyz")).status).to.equal(200);

      platform.harbor.faults.clear();
      await eventually(async () => {
        expect(await berth.metric('berth_registry_up{registry="managed"}')).to.equal(1);
      });
    });

    it("loses nothing when Harbor takes the login for anybody's, which lists public spaces alone", async () => {
      platform.harbor.faults.anonymous = true;
      await eventually(async () => {
        expect(await refreshed("login-refused")).to.be.greaterThan(0);
      });
      expect(await validated("shop", bound)).to.equal("bound-space");
      expect(await validated("sandbox", open)).to.equal("public-space");
      expect((await berth.validate("lab", image)).allowed).to.equal(false);
      expect(await berth.metric('berth_catalogue_spaces{registry="managed",visibility="private"}')).to.equal(
        3,
      );
      expect(berth.logText()).to.match(/"level":"error".*"outcome":"login-refused"/);
    });

    it("does not believe an empty Harbor at once", async () => {
      for (const { name } of [
        ...berth.serving.engine.state.snapshot().catalogues.get("managed")!.spaces.values(),
      ])
        platform.harbor.projects.remove(name);
      await eventually(async () => {
        expect(await refreshed("implausible")).to.be.greaterThan(0);
      });
      expect(await validated("sandbox", open)).to.equal("public-space");
    });
  });
});
