import { expect } from "chai";
import { createMetrics } from "../../src/metrics.ts";
import { eventually } from "../eventually.ts";
import { passwordForms, startSamplePlatform, type SamplePlatform } from "../fakes/sample-platform.ts";
import { startBerth, type RunningBerth } from "./serving.ts";

const at = (path: string): string => `harbor.example.test/${path}`;

describe("one review, from the request to the answer", () => {
  let platform: SamplePlatform;
  let berth: RunningBerth;
  before(async () => {
    platform = await startSamplePlatform();
    // No beat but the first: whatever else Harbor is asked, a review asked.
    berth = await startBerth(platform.folder, "1h");
    await berth.serving.ready;
  });
  after(async () => {
    await berth.stop();
    await platform.close();
  });

  it("is answered from the snapshot: a hundred allowed Pods cost Harbor nothing", async () => {
    const before = platform.harbor.requests.length;
    const answers = await Promise.all(
      Array.from({ length: 50 }, () => [
        berth.mutate("shop", at("team-a/api:2.4"), at("library/nginx:1")),
        berth.validate("shop", at("team-a/api:2.4"), at("library/nginx:1")),
      ]).flat(),
    );
    expect(answers.every(({ allowed }) => allowed)).to.equal(true);
    expect(platform.harbor.requests.length - before).to.equal(0);
  });

  it("adds the pull secret on /mutate where a private space is bound, and nowhere else", async () => {
    const path = "/spec/imagePullSecrets";
    const value = [{ name: "berth-pull" }];
    expect((await berth.mutate("shop", at("team-a/api:2.4"))).patch).to.deep.equal([
      { op: "add", path, value },
    ]);
    expect((await berth.mutate("shop", at("library/nginx"))).patch).to.equal(undefined);
    const thief = await berth.mutate("lab", at("team-a/api:2.4"));
    expect([thief.allowed, thief.patch]).to.deep.equal([true, undefined]);
  });

  it("is refused on /validate with a message, after one look at the space in Harbor", async () => {
    const before = platform.harbor.requests.length;
    const { allowed, status, auditAnnotations } = await berth.validate("lab", at("team-b/app:1"));
    expect(allowed).to.equal(false);
    expect(status?.code).to.equal(403);
    expect(status?.message).to.match(/"harbor\.example\.test\/team-b\/app:1".*"13".*library/);
    expect(auditAnnotations).to.include({ verdict: "refuse", reasons: "space-not-bound", workspace: "13" });
    const paths = platform.harbor.requests.slice(before).map(({ path }) => path);
    expect(paths.filter((path) => path.includes("team-b"))).to.have.lengthOf(1);
  });

  it("is counted: every metric is there, and no label holds what a tenant can invent", async () => {
    const { text } = await berth.get("/metrics");
    const known = createMetrics("0.0.0", { processMetrics: false }).registry.getMetricsAsArray();
    for (const { name } of known) expect(text).to.include(`# TYPE ${name} `);
    const labels = new Set(
      [...text.matchAll(/^[a-z_]+\{(.*)\}/gm)].flatMap(([, all = ""]) =>
        [...all.matchAll(/([a-zA-Z_]+)="/g)].map(([, label]) => label),
      ),
    );
    expect([...labels]).to.include("verdict");
    for (const label of ["namespace", "image", "user", "username", "name"])
      expect([...labels]).not.to.include(label);
    const count =
      'berth_admission_reviews_total{path="validate",operation="CREATE",kind="Pod",verdict="refuse"}';
    expect(await berth.metric(count)).to.equal(1);
    expect(await berth.metric('berth_admission_refusals_total{reason="space-not-bound"}')).to.equal(1);
    expect(await berth.metric('berth_catalogue_spaces{registry="managed",visibility="private"}')).to.equal(3);
    expect(await berth.metric('berth_namespaces{workspace="none"}')).to.equal(2);
    expect(await berth.metric("berth_workspaces")).to.equal(2);
    expect(await berth.metric('berth_mode{mode="enforce"}')).to.equal(1);
    expect(await berth.metric("berth_admission_in_flight")).to.equal(0);
  });

  it("is logged without the password, at the level debug too", () => {
    const text = berth.logText();
    expect(text).to.include('"reasons":["space-not-bound"]');
    expect(text).to.include('"msg":"Berth is ready"');
    for (const form of passwordForms()) expect(text).not.to.include(form);
  });
});

describe("a start, before Harbor has answered", () => {
  let platform: SamplePlatform;
  let berth: RunningBerth;
  before(async () => {
    platform = await startSamplePlatform();
    platform.harbor.faults.always({ kind: "status", status: 503 });
    berth = await startBerth(platform.folder, "1s");
  });
  after(async () => {
    await berth.stop();
    await platform.close();
  });

  it("is alive, not ready, and says what is missing; with the first catalogue it is ready", async () => {
    await eventually(async () => {
      expect(await berth.get("/readyz")).to.deep.equal({
        status: 503,
        text: "not ready: catalogue of managed\n",
      });
    });
    expect(await berth.get("/livez")).to.deep.equal({ status: 200, text: "ok\n" });
    const { allowed, auditAnnotations } = await berth.validate("shop", at("library/nginx:1"));
    expect([allowed, auditAnnotations?.reasons]).to.deep.equal([false, "catalogue-not-ready"]);

    platform.harbor.faults.clear();
    await eventually(async () => {
      expect(await berth.get("/readyz")).to.deep.equal({ status: 200, text: "ok\n" });
    });
    expect((await berth.validate("shop", at("library/nginx:1"))).allowed).to.equal(true);
  });
});
