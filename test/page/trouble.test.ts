import { expect } from "chai";
import { eventually } from "../eventually.ts";
import { pageSuite, tagPlace } from "./opened-page.ts";
import { hoursAgo } from "./people-world.ts";

const spacePlace = "namespace=shop&view=private&registry=managed&space=team-a";

describe("the page: when something is wrong", () => {
  const suite = pageSuite();

  it("says quietly that an answer is on its way, where it takes long", async () => {
    const letGo = suite.stand.hold("/namespaces/shop/repositories");
    const page = await suite.open(spacePlace);
    await page.getByText("Loading…").last().waitFor();
    letGo();
    await page.getByRole("link", { name: "team-a/api" }).waitFor();
    expect(await page.getByText("Loading…").count()).to.equal(0);
  });

  it("leaves a list where it is while the next is on its way", async () => {
    const page = await suite.open("namespace=shop");
    await page.getByText("50 of 62 shown").waitFor();
    const letGo = suite.stand.hold("/namespaces/shop/spaces");
    await page.getByRole("searchbox", { name: "Search spaces" }).fill("library");
    await eventually(() => suite.stand.asked.some(({ url }) => url.includes("search=library")));
    expect(await page.getByRole("row").count()).to.equal(51);
    letGo();
    await page.getByText("1 in all").waitFor();
  });

  it("says of an older answer how old it is", async () => {
    suite.stand.world.reading = { readAt: hoursAgo(3), stale: true };
    const page = await suite.open(spacePlace);
    await page.getByText("The registry does not answer just now. This is what it said 3 hours ago").waitFor();
    await page.goto(`${suite.stand.url}#${tagPlace}`);
    await page.getByText("This is what it said 3 hours ago").waitFor();
  });

  it("says that a registry does not answer, and asks it again on demand", async () => {
    const detail = "The registry could not be asked just now; what may be deployed from it is not affected.";
    suite.stand.failing.set("/namespaces/shop/repositories", { status: 502, detail });
    const page = await suite.open(spacePlace);
    await page.getByRole("alert").getByText("The registry does not answer just now.").waitFor();
    await page.getByText("what may be deployed from it is not affected").waitFor();
    suite.stand.failing.clear();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("link", { name: "team-a/api" }).waitFor();
  });

  it("asks again by itself after as long as it was told to wait", async () => {
    suite.stand.failing.set("/namespaces/shop/repositories", {
      status: 429,
      headers: { "retry-after": "1" },
    });
    const page = await suite.open(spacePlace);
    await page.getByText("the page asks again in 1 s").waitFor();
    suite.stand.failing.clear();
    await page.getByRole("link", { name: "team-a/api" }).waitFor();
  });

  it("says that one is offline, and goes on when the connection is back", async () => {
    const page = await suite.open("namespace=shop");
    await page.getByText("50 of 62 shown").waitFor();
    await page.context().setOffline(true);
    await page.getByRole("tab", { name: "Private" }).click();
    await page.getByText("You are offline.").waitFor();
    await page.context().setOffline(false);
    await page.getByRole("link", { name: "team-a" }).waitFor();
  });

  it("says what is not there, and leaves a way on", async () => {
    const page = await suite.open("namespace=nowhere");
    await page.getByText("This is not there, or it is not open to you.").waitFor();
    expect(await page.getByRole("button", { name: "Try again" }).count()).to.equal(0);
    await page.getByRole("combobox", { name: "Namespace" }).fill("shop");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Images for shop" }).waitFor();
  });

  it("can be tried again where the very first question fails", async () => {
    suite.stand.failing.set("/me", { status: 503, detail: "Berth could not ask the cluster who you are." });
    const page = await suite.open("namespace=shop");
    await page.getByText("Berth could not ask the cluster who you are.").waitFor();
    suite.stand.failing.clear();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByRole("heading", { name: "Images for shop" }).waitFor();
  });

  it("shows names as text, whatever they hold, and with nothing hidden in them", async () => {
    const hostile = '<img src=x onerror="document.title=1">\u202egnp.exe\u0000\u200b';
    const [space] = suite.stand.world.spaces;
    Object.assign(space!, { name: hostile, reference: `harbor.example.test/${hostile}` });
    suite.stand.world.tags = [{ ...suite.stand.world.tags[0]!, name: hostile, platforms: ["\u2066linux"] }];
    const page = await suite.open("namespace=shop");
    const link = page.getByRole("link", { name: "gnp.exe" });
    await link.waitFor();
    expect(await link.innerHTML()).to.equal(
      '<bdi>&lt;img src=x onerror="document.title=1"&gt;\\u{202e}gnp.exe\\u{0}\\u{200b}</bdi>',
    );
    expect(await page.locator("main img").count()).to.equal(0);
    await page.goto(
      `${suite.stand.url}#namespace=shop&registry=managed&space=a&repository=a/${encodeURIComponent(hostile)}`,
    );
    await page.getByRole("heading", { name: "gnp.exe" }).waitFor();
    await page.getByRole("link", { name: "gnp.exe" }).last().click();
    await page.getByText("\\u{202e}gnp.exe").last().waitFor();
    expect(await page.title()).to.include("\\u{202e}gnp.exe");
    const text = (await page.locator("body").textContent()) ?? "";
    expect(text).not.to.match(/[\u202e\u2066\u200b\u0000]/);
    expect(suite.complaints).to.deep.equal([]);
  });
});
