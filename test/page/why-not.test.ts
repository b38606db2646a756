import { expect } from "chai";
import { refusalReasons } from "../../src/domain/reasons.ts";
import { chinese } from "../../src/page/chinese.ts";
import { english } from "../../src/page/english.ts";
import { eventually } from "../eventually.ts";
import { pageSuite } from "./opened-page.ts";
import { allowedReport } from "./people-world.ts";

describe("the page: why not?", () => {
  const suite = pageSuite();

  it("says of an image why it is refused, in the refusal's words, with what would have to change and how it was judged", async () => {
    const page = await suite.open("namespace=shop&view=why");
    await page.getByLabel("An image, or whole manifests").fill(" harbor.example.test/team-b/api:1 ");
    await page.getByRole("button", { name: "Judge" }).click();
    await page.getByText("Ask a platform administrator to bind it").waitFor();
    await page.getByText("space-not-bound", { exact: true }).waitFor();
    await page.getByText("The space has to be bound to the namespace's workspace").waitFor();
    expect(await page.locator("dt").allTextContents()).to.deep.equal(["reference", "registry", "space"]);
    await page.getByText("managed claims the host").waitFor();
    const asked = suite.stand.asked.at(-1);
    expect(asked?.url).to.equal("/namespaces/shop/explanation?image=harbor.example.test%2Fteam-b%2Fapi%3A1");
  });

  it("can be sent to a colleague", async () => {
    const page = await suite.open("namespace=shop&view=why&image=harbor.example.test/team-b/api:1");
    await page.getByText("Ask a platform administrator to bind it").waitFor();
    expect(await page.getByRole("textbox").last().inputValue()).to.equal("harbor.example.test/team-b/api:1");
    expect(await page.getByRole("heading", { level: 1 }).textContent()).to.equal("Why not? In shop");
  });

  it("judges pasted manifests: each workload, each image, and the pull secret", async () => {
    const page = await suite.open("namespace=shop&view=why");
    const pasted = "apiVersion: v1\nkind: Pod\nspec: {}\n---\nkind: Deployment\n";
    await page.getByLabel("An image, or whole manifests").fill(pasted);
    await page.keyboard.press("Control+Enter");
    const articles = page.getByRole("article");
    await articles.first().waitFor();
    const [first, second] = await articles.allTextContents();
    expect(first).to.include("refused").and.include("Deployment api").and.include("space-not-bound");
    expect(second).to.include("allowed").and.include("Pod web").and.include("bound-space");
    expect(second).to.include("Berth adds the pull secret to the Pod: berth-pull");
    expect(suite.stand.asked.at(-1)).to.include({
      method: "POST",
      url: "/namespaces/shop/verdicts",
      body: pasted.trim(),
    });
    // Manifests may hold what is nobody's business.
    expect(page.url()).not.to.include("kind");
  });

  it("says of objects without images that there is nothing to judge", async () => {
    suite.stand.world.reports = [{ ...allowedReport(), images: [], pullSecret: null }];
    const page = await suite.open("namespace=shop&view=why");
    await page.getByLabel("An image, or whole manifests").fill("kind: Deployment\nspec: {}");
    await page.getByRole("button", { name: "Judge" }).click();
    await page.getByText("This kind of object names no images").waitFor();
    suite.stand.world.reports = [];
    await page.getByRole("button", { name: "Judge" }).click();
    await page.getByText("Nothing in this text names images").waitFor();
  });

  it("says where a text cannot be read", async () => {
    const detail = "line 2, column 1: expected a mapping\nline 7, column 3: the value has no end";
    suite.stand.failing.set("/namespaces/shop/verdicts", { status: 422, detail });
    const page = await suite.open("namespace=shop&view=why");
    await page.getByLabel("An image, or whole manifests").fill("a:\n- b");
    await page.getByRole("button", { name: "Judge" }).click();
    const alert = page.getByRole("alert");
    await alert.getByText("The text cannot be read.").waitFor();
    expect(await alert.locator("bdi").allTextContents()).to.deep.equal(detail.split("\n"));
  });

  it("goes back from one image to the one before", async () => {
    const page = await suite.open("namespace=shop&view=why&image=one/two:3");
    await page.getByRole("article").waitFor();
    const box = page.getByLabel("An image, or whole manifests");
    await box.fill("four/five:6");
    await page.getByRole("button", { name: "Judge" }).click();
    await eventually(() => suite.stand.asked.some(({ url }) => url.includes("four")));
    await page.goBack();
    await eventually(async () => (await box.inputValue()) === "one/two:3");
  });

  it("has words for every reason, in both languages", () => {
    // What the two guards say of edits is never a verdict on a workload.
    const codes = [...refusalReasons].filter(
      (code) => code !== "policy-invalid" && code !== "workspace-label-protected",
    );
    for (const { reasons } of [english, chinese]) expect(reasons).to.include.keys(codes);
  });
});
