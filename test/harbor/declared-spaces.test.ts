import { expect } from "chai";

import type { Permission } from "../../src/demo/stand-in-callers.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import {
  makeSpace,
  readOwner,
  readStorageQuota,
  setStorageQuota,
  setVisibility,
} from "../../src/harbor/declared-spaces.ts";
import { HarborError } from "../../src/harbor/harbor-answer.ts";
import { createHarborClient, type HarborClient } from "../../src/harbor/harbor-client.ts";
import { readSpace } from "../../src/harbor/projects.ts";

const never = new AbortController().signal;
const gib = 1024 ** 3;

async function failureOf(promise: Promise<unknown>): Promise<HarborError> {
  const err: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(err).to.be.instanceOf(HarborError);
  return err as HarborError;
}

describe("declared spaces", () => {
  let harbor: StandInHarbor;
  let client: HarborClient;
  const login = { username: "admin", password: "right" };

  beforeEach(async () => {
    Object.assign(login, { username: "admin", password: "right" });
    harbor = await startStandInHarbor({
      adminPassword: "right",
      lockMs: 0,
      projects: [{ name: "library", visibility: "public" }, { name: "team-a" }],
    });
    client = createHarborClient({
      url: harbor.url,
      credentials: () => login,
      timeoutMs: 1_000,
      now: () => 0,
      random: () => 0,
    });
  });
  afterEach(async () => {
    client.close();
    await harbor.close();
  });

  function actAsRobot(...permissions: Permission[]): void {
    const name = "robot$berth";
    harbor.logins.robots.set(name, { kind: "robot", name, secret: "s", permissions, disabled: false });
    Object.assign(login, { username: name, password: "s" });
  }

  const listProjects: Permission = {
    kind: "system",
    namespace: "/",
    access: [{ resource: "project", action: "list" }],
  };
  const make = (name: string, more: { visibility?: "public" | "private"; storageBytes?: number } = {}) =>
    makeSpace(client, { name, visibility: "private", storageBytes: null, ...more }, never);

  it("are made as declared, and their id is told", async () => {
    for (const visibility of ["public", "private"] as const) {
      const making = await make(`new-${visibility}`, { visibility });
      const space = await readSpace(client, `new-${visibility}`, never);
      expect(space).to.include({ visibility, proxyCache: false });
      expect(making).to.deep.equal({ kind: "made", id: space?.id });
    }
  });

  it("are made with their quota", async () => {
    const making = await make("new", { storageBytes: 50 * gib });
    const id = making.kind === "made" ? making.id : 0;
    expect(await readStorageQuota(client, id, never)).to.have.property("bytes", 50 * gib);
  });

  it("are made by names of digits only, which are no ids", async () => {
    // There is a project with the id 1.
    const making = await make("1");
    expect(making.kind).to.equal("made");
    await setVisibility(client, "1", "public", never);
    expect(await readSpace(client, "1", never)).to.have.property("visibility", "public");
    expect(await readOwner(client, "1", never)).to.deep.equal({
      id: making.kind === "made" ? making.id : 0,
      ownerName: "admin",
    });
    expect(harbor.requests.map(({ isResourceName }) => isResourceName)).to.not.include(false);
  });

  it("are there already", async () => {
    expect(await make("team-a")).to.deep.equal({ kind: "exists" });
    expect(harbor.requests).to.have.length(1);
  });

  it("are refused where only administrators make projects, in words that help", async () => {
    harbor.settings.onlyAdminsCreateProjects = true;
    actAsRobot(listProjects);
    const making = await make("new");
    expect(making.kind).to.equal("refused");
    expect(making)
      .to.have.property("why")
      .that.matches(/^403 .*: the login may not make projects; it needs project:create/);
  });

  it("are refused in Harbor's own words where it is something else", async () => {
    const making = await make("No");
    expect(making)
      .to.have.property("why")
      .that.matches(/^400 BAD_REQUEST: project name is not in lower case/);
  });

  it("are an error, and asked for once only, where Harbor is in trouble", async () => {
    harbor.faults.always({ kind: "status", status: 500 });
    expect((await failureOf(make("new"))).kind).to.equal("server-error");
    expect(harbor.requests).to.have.length(1);
  });

  it("are made public and private", async () => {
    for (const visibility of ["public", "private"] as const) {
      await setVisibility(client, "team-a", visibility, never);
      expect(await readSpace(client, "team-a", never)).to.have.property("visibility", visibility);
    }
  });

  it("keep their visibility from a login without the right, which is told which one", async () => {
    actAsRobot(listProjects);
    const err = await failureOf(setVisibility(client, "team-a", "public", never));
    expect(err.message).to.match(
      /^make project team-a public of .*403 .*it needs project:update on all projects/,
    );
    expect(harbor.projects.find("team-a")?.metadata).to.deep.equal({ public: "false" });
  });

  it("that are gone have no visibility to set", async () => {
    expect((await failureOf(setVisibility(client, "none", "public", never))).message).to.match(
      /404 NOT_FOUND/,
    );
  });

  describe("their quota", () => {
    let id: number;
    beforeEach(() => {
      id = harbor.projects.find("team-a")?.id ?? 0;
    });

    it("is read, set, and lifted", async () => {
      const before = await readStorageQuota(client, id, never);
      expect(before.bytes).to.equal(null);
      await setStorageQuota(client, before.quotaId, 50 * gib, never);
      expect(await readStorageQuota(client, id, never)).to.deep.equal({ ...before, bytes: 50 * gib });
      expect(
        await readStorageQuota(client, harbor.projects.find("library")?.id ?? 0, never),
      ).to.have.property("bytes", null);
      await setStorageQuota(client, before.quotaId, null, never);
      expect(await readStorageQuota(client, id, never)).to.deep.equal(before);
    });

    it("is an error where the space has none", async () => {
      expect((await failureOf(readStorageQuota(client, 999, never))).message).to.match(/has no quota/);
    });

    it("is an error that says what to do where the login may not", async () => {
      const { quotaId } = await readStorageQuota(client, id, never);
      actAsRobot(listProjects);
      expect((await failureOf(readStorageQuota(client, id, never))).message).to.match(
        /403 .*it needs quota:list/,
      );
      expect((await failureOf(setStorageQuota(client, quotaId, gib, never))).message).to.match(
        /403 .*it needs quota:update on the system/,
      );
    });

    it("is refused where it is no limit that Harbor takes", async () => {
      const { quotaId } = await readStorageQuota(client, id, never);
      expect((await failureOf(setStorageQuota(client, quotaId, 0, never))).message).to.match(
        /400 BAD_REQUEST/,
      );
    });
  });

  describe("their owner", () => {
    it("is whoever made them", async () => {
      const user = { kind: "user", name: "ann", id: 7, admin: false, password: "x" } as const;
      harbor.logins.users.set("ann", { ...user });
      Object.assign(login, { username: "ann", password: "x" });
      const making = await make("anns");
      Object.assign(login, { username: "admin", password: "right" });
      const id = making.kind === "made" ? making.id : 0;
      expect(await readOwner(client, "anns", never)).to.deep.equal({ id, ownerName: "ann" });
    });

    it("is nobody's where there is no such space", async () => {
      expect(await readOwner(client, "none", never)).to.equal(null);
    });

    it("is an error that says what to do where the login may not read the space", async () => {
      actAsRobot(listProjects);
      expect((await failureOf(readOwner(client, "team-a", never))).message).to.match(
        /403 .*it needs project:read/,
      );
    });
  });
});
