// The page in a browser before Berth itself, on the demonstration's folder with its Harbor and its Docker Registry:
// what is chosen there is put to the webhook, which has to agree.

import { expect } from "chai";
import type { Browser, Page } from "playwright-core";
import { parse } from "yaml";
import { startSamplePlatform, type SamplePlatform } from "../fakes/sample-platform.ts";
import { startBerth, type RunningBerth } from "../walks/serving.ts";
import { openBrowser } from "./browser.ts";

describe("the page before Berth itself", () => {
  let platform: SamplePlatform;
  let berth: RunningBerth;
  let browser: Browser;

  before(async function () {
    this.timeout(60_000);
    browser = await openBrowser(this);
    platform = await startSamplePlatform();
    berth = await startBerth(platform.folder, "1s");
    await berth.serving.ready;
  });
  afterEach(async () => {
    platform.harbor.faults.clear();
    for (const context of browser.contexts()) await context.close();
  });
  after(async () => {
    // None of them is there where the suite was skipped.
    const [opened, serving, running] = [browser, berth, platform] as readonly [
      Browser | undefined,
      RunningBerth | undefined,
      SamplePlatform | undefined,
    ];
    await opened?.close();
    await serving?.stop();
    await running?.close();
  });

  async function open(place: string): Promise<Page> {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: "en-GB" });
    context.setDefaultTimeout(15_000);
    const page = await context.newPage();
    await page.goto(`https://localhost:${berth.serving.peoplePort ?? 0}/#${place}`);
    return page;
  }

  it("says that nobody has to sign in", async () => {
    const page = await open("");
    await page.getByText("no sign-in").waitFor();
    await page.getByRole("link", { name: "shop-test" }).waitFor();
  });

  it("leads to an image by tag and by digest, in a nested repository too, and the webhook admits it", async () => {
    const page = await open("namespace=shop&view=private");
    await page.getByRole("link", { name: "team-a", exact: true }).click();
    await page.getByRole("link", { name: "team-a/jobs/nightly" }).click();
    await page.getByRole("link", { name: "7", exact: true }).click();
    const byTag = await page
      .getByText(/\/team-a\/jobs\/nightly:7$/)
      .first()
      .textContent();
    const byDigest = await page
      .getByText(/\/team-a\/jobs\/nightly@sha256:[0-9a-f]{64}$/)
      .first()
      .textContent();
    const response = await berth.validate("shop", byTag ?? "", byDigest ?? "");
    expect(response).to.deep.include({ allowed: true });
    expect(response.auditAnnotations?.reasons).to.equal("bound-space");
    const yaml = parse((await page.locator("pre").textContent()) ?? "") as {
      metadata: { namespace: string };
    };
    expect(yaml.metadata.namespace).to.equal("shop");
    expect(JSON.stringify(yaml)).to.include(byTag);
  });

  it("leads to an image of a Docker Registry, whose digest is asked for when it is chosen", async () => {
    const page = await open("namespace=sandbox&view=docker");
    await page.getByRole("link", { name: "archive" }).click();
    await page.getByRole("link", { name: "tools/backup" }).click();
    await page.getByRole("link", { name: "1.1", exact: true }).click();
    const byDigest = await page
      .getByText(/\/tools\/backup@sha256:[0-9a-f]{64}$/)
      .first()
      .textContent();
    expect(await berth.validate("sandbox", byDigest ?? "")).to.deep.include({ allowed: true });
  });

  it("finds what the namespace may use, and nothing else", async () => {
    const page = await open("namespace=shop&find=a");
    await page.getByRole("searchbox").first().fill("api");
    await page.getByRole("link", { name: "team-a/api" }).waitFor();
    await page.getByRole("searchbox").first().fill("train");
    await page.getByText("0 spaces").or(page.getByText("Nothing")).first().waitFor();
    expect(await page.getByText("models/trainer").count()).to.equal(0);
  });

  it("explains in the words of the webhook", async () => {
    const image = "harbor.example.test/team-b/app:1";
    const page = await open(`namespace=lab&view=why&image=${image}`);
    const { status } = await berth.validate("lab", image);
    const reason =
      /space "team-b" of registry .*? no such space\./.exec(status?.message ?? "")?.[0] ?? "none";
    await page.getByRole("article").getByText(reason).waitFor();
    await page.getByRole("article").getByText("space-not-bound").waitFor();
  });

  it("judges a pasted manifest image by image", async () => {
    const page = await open("namespace=lab&view=why");
    const containers = ["library/nginx:1.27", "team-a/api:2.4"].map(
      (name) => `{name: c, image: harbor.example.test/${name}}`,
    );
    const manifest = `apiVersion: v1\nkind: Pod\nmetadata: {name: two}\nspec: {containers: [${containers.join(", ")}]}\n`;
    await page.getByLabel("An image, or whole manifests").fill(manifest);
    await page.getByRole("button", { name: "Judge" }).click();
    const text = (await page.getByRole("article").textContent()) ?? "";
    expect(text).to.include("refused").and.include("public-space").and.include("space-not-bound");
  });

  it("shows administrators the registries, and the text that binds a space", async () => {
    const page = await open("view=platform");
    await page.getByRole("row", { name: /managed.*answers.*3 public, 3 private/ }).waitFor();
    await page.getByRole("link", { name: "Spaces", exact: true }).click();
    await page.getByRole("link", { name: "team-b" }).click();
    await page.getByLabel("Workspace id").fill("12");
    await page.getByText("namespace: berth-system").waitFor();
    await page.getByText("As the label workspace.ghippo.io/id has it").waitFor();
  });

  it("says when a registry cannot be asked, and shows what it said before where that is known", async () => {
    const page = await open("namespace=shop&registry=managed&space=library");
    await page.getByRole("link", { name: "library/nginx", exact: true }).waitFor();
    platform.harbor.faults.always({ kind: "status", status: 500 }, /repositories/);
    await page.goto("about:blank");
    await page.goto(
      `https://localhost:${berth.serving.peoplePort ?? 0}/#namespace=shop&registry=managed&space=platform`,
    );
    await page.getByRole("alert").getByText("The registry does not answer").waitFor();
    platform.harbor.faults.clear();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("link", { name: "platform/tools" }).waitFor();
  });

  it("shows names of ten thousand tags part by part, and none that are not names", async () => {
    for (let artifact = 0; artifact < 100; artifact += 1) {
      const tags = Array.from({ length: 100 }, (_, index) => `t${artifact * 100 + index}`);
      platform.harbor.repositories.push("platform/many", { tags });
    }
    platform.harbor.repositories.push("platform/many", {
      tags: ["<img src=x onerror=alert(1)>", "\u202egnp.1"],
    });
    const page = await open("namespace=shop&registry=managed&space=platform&repository=platform/many");
    await page
      .getByRole("link", { name: /^t\d+$/ })
      .nth(49)
      .waitFor();
    await page.getByRole("button", { name: "More" }).click();
    await page
      .getByRole("link", { name: /^t\d+$/ })
      .nth(99)
      .waitFor();
    expect(await page.locator("main img").count()).to.equal(0);
    expect(await page.locator("main").textContent())
      .to.not.include("onerror")
      .and.not.include("\u202e");
  });
});
