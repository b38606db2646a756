import { expect } from "chai";
import { eventually } from "../eventually.ts";
import { pageSuite } from "./opened-page.ts";

describe("the page: who is signed in", () => {
  const suite = pageSuite();

  it("asks for a token, says how to get one, and keeps it for this tab only", async () => {
    suite.stand.token = "good-token";
    const page = await suite.open("namespace=shop&view=private");
    await page.getByRole("heading", { name: "Sign in", exact: true }).waitFor();
    await page.getByText("kubectl create token <account> -n <namespace> --duration 8h").waitFor();
    await page.getByLabel("Token", { exact: true }).fill("good-\n token ");
    await page.getByRole("button", { name: "Sign in" }).click();
    // Where the link led, it leads still.
    await page.getByRole("link", { name: "team-a" }).waitFor();
    await page.getByText("ada@example.test").waitFor();
    expect(suite.stand.asked.at(-1)?.authorization).to.equal("Bearer good-token");
    expect(
      await page.evaluate("JSON.stringify(localStorage) + location.href + document.cookie"),
    ).not.to.include("good-token");
    const other = await page.context().newPage();
    await other.goto(suite.stand.url);
    await other.getByRole("heading", { name: "Sign in", exact: true }).waitFor();
    await page.reload();
    await page.getByRole("link", { name: "team-a" }).waitFor();
  });

  it("says that a token is no good, and does not keep it", async () => {
    suite.stand.token = "good-token";
    const page = await suite.open();
    await page.getByLabel("Token", { exact: true }).fill("bad-token");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText("This token is no good").waitFor();
    expect(await page.getByLabel("Token", { exact: true }).inputValue()).to.equal("");
    expect(await page.evaluate("sessionStorage.length")).to.equal(0);
  });

  it("asks anew when a token ends while one is at work, and goes on where one was", async () => {
    suite.stand.token = "first";
    const page = await suite.open("namespace=shop");
    await page.getByLabel("Token", { exact: true }).fill("first");
    await page.keyboard.press("Enter");
    await page.getByText("50 of 62 shown").waitFor();
    suite.stand.token = "second";
    await page.getByRole("tab", { name: "Private" }).click();
    await page.getByText("This token is no good, or not any more").waitFor();
    await page.getByLabel("Token", { exact: true }).fill("second");
    await page.keyboard.press("Enter");
    await page.getByRole("tab", { name: "Private", selected: true }).waitFor();
  });

  it("signs out: the token is gone, and so is what was looked at", async () => {
    suite.stand.token = "good-token";
    const page = await suite.open("namespace=shop");
    await page.getByLabel("Token", { exact: true }).fill("good-token");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.getByRole("heading", { name: "Sign in", exact: true }).waitFor();
    expect(await page.evaluate("sessionStorage.length + Object.keys(localStorage).join()")).to.equal(
      "0berth.language",
    );
    expect(new URL(page.url()).hash).to.equal("");
  });

  it("behind a proxy asks for no token, and offers no way out of what is the platform's", async () => {
    suite.stand.world.identity = { user: "ada", login: "proxy", platform: false, version: "0.1.0" };
    const page = await suite.open("namespace=shop");
    await page.getByText("ada", { exact: true }).waitFor();
    expect(await page.getByRole("button", { name: "Sign out" }).count()).to.equal(0);
    expect(await page.getByRole("link", { name: "Platform" }).count()).to.equal(0);
    suite.stand.failing.set("/me", { status: 401 });
    await page.reload();
    await page.getByText("Sign in at the platform first").waitFor();
    expect(await page.getByRole("textbox").count()).to.equal(0);
  });

  it("says where nobody has to sign in", async () => {
    suite.stand.world.identity = { user: null, login: "none", platform: true, version: "0.1.0" };
    const page = await suite.open();
    await page.getByText("Nobody has to sign in here, and everyone sees everything.").waitFor();
    await page.getByText("no sign-in", { exact: true }).waitFor();
  });

  it("opens where somebody was before", async () => {
    const page = await suite.open("namespace=shop");
    await page.getByText("50 of 62 shown").waitFor();
    await page.goto(`${suite.stand.url}?again`);
    await page.getByRole("heading", { name: "Images for shop" }).waitFor();
  });

  it("speaks the browser's language, and then the one that was chosen", async () => {
    const page = await suite.open("namespace=shop&view=docker", { locale: "zh-CN" });
    await page.getByRole("tab", { name: "Docker Registry", selected: true }).waitFor();
    expect(await page.getByRole("tab").allTextContents()).to.deep.equal([
      "公开镜像",
      "私有镜像",
      "Docker Registry",
    ]);
    expect(await page.locator("html").getAttribute("lang")).to.equal("zh");
    expect(await page.title()).to.equal("shop 可用的镜像 · Berth");
    await page.getByLabel("语言").selectOption("en");
    await page.getByRole("tab", { name: "Private" }).waitFor();
    await eventually(async () => (await page.title()) === "Images for shop · Berth");
    await page.reload();
    await page.getByRole("tab", { name: "Private" }).waitFor();
    expect(await page.locator("html").getAttribute("lang")).to.equal("en");
  });
});
