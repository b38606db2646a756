import { expect } from "chai";
import { parse } from "yaml";
import { eventually } from "../eventually.ts";
import { pageSuite } from "./opened-page.ts";

describe("the page: the platform view", () => {
  const suite = pageSuite();

  it("shows the policy in force, and registries with health, version, catalogue, problems and advice", async () => {
    const page = await suite.open("namespace=shop");
    await page.getByRole("link", { name: "Platform" }).click();
    await page.getByText("62 namespaces, 2 workspaces, 4 policy documents").waitFor();
    await page.getByText("kube-system, berth-system").waitFor();
    await page.getByRole("row").nth(3).waitFor();
    const rows = await page.getByRole("row").allTextContents();
    expect(rows[1])
      .to.include("managed")
      .and.include("v2.12.1")
      .and.include("answers")
      .and.include("62 public, 3 private");
    expect(rows[1]).to.include("a robot account of the system is enough");
    expect(rows[2])
      .to.include("workspace 12")
      .and.include("does not answer")
      .and.include("502 after 3 tries");
    expect(rows[2]).to.include("old").and.include("read 5 hours ago");
    expect(rows[3]).to.include("not known").and.include("no spaces");
  });

  it("shows spaces with visibility and bindings, searched and part by part", async () => {
    const page = await suite.open("view=platform&section=spaces");
    await page.getByText("50 of 64 shown").waitFor();
    const row = (name: string) => page.getByRole("row", { name });
    expect(await row("team-a").textContent())
      .to.include("private")
      .and.include("kept by Berth")
      .and.include("12");
    expect(await row("models").textContent()).to.include("another space now");
    expect(await row("team-b").textContent()).to.include("not bound");
    expect(await row("library").textContent()).to.include("open to all");
    await page.getByRole("button", { name: "More" }).click();
    await page.getByText("64 in all").waitFor();
    await page.getByRole("searchbox", { name: "Search spaces" }).fill("team-");
    await page.getByText("2 in all").waitFor();
  });

  it("writes the binding of a space, whose workspace is text whatever it looks like", async () => {
    const page = await suite.open("view=platform&section=spaces");
    await page.getByRole("link", { name: "team-b" }).click();
    await page.getByRole("heading", { name: "team-b" }).waitFor();
    await page.getByLabel("Workspace id").fill("12");
    const yaml = page.locator("pre");
    await yaml.waitFor();
    const shown = async (): Promise<{ metadata: unknown; data: Record<string, string> }> =>
      parse((await yaml.textContent()) ?? "") as { metadata: unknown; data: Record<string, string> };
    const { metadata, data } = await shown();
    expect(metadata).to.deep.equal({
      name: "bind-managed-team-b-to-12",
      namespace: "berth-system",
      labels: { "berth.io/policy": "true" },
    });
    expect(parse(data["bindings.yaml"] ?? "")).to.deep.equal({
      bindings: [{ workspace: "12", registry: "managed", spaces: [{ name: "team-b", id: 43 }] }],
    });
    await page.getByText("Apply it in Berth's own namespace").waitFor();
    await page.getByLabel("Holds for").selectOption("name");
    const byName = parse((await shown()).data["bindings.yaml"] ?? "") as unknown;
    expect(byName).to.deep.equal({
      bindings: [{ workspace: "12", registry: "managed", spaces: ["team-b"] }],
    });
    await page.getByRole("link", { name: "All spaces" }).click();
    await page.getByText("50 of 64 shown").waitFor();
  });

  it("shows workspaces with what they reach", async () => {
    const page = await suite.open("view=platform&section=workspaces");
    await page.getByText("2 in all").waitFor();
    const rows = await page.getByRole("row").allTextContents();
    expect(rows[1]).to.include("shop").and.include("managed/team-a").and.include("team-twelve (all of it)");
    expect(rows[2]).to.include("and 57 others").and.include("none");
    await page.getByRole("link", { name: "shop" }).click();
    await page.getByRole("heading", { name: "Images for shop" }).waitFor();
  });

  it("shows what is wrong with the policy, and where", async () => {
    const page = await suite.open("view=platform");
    await page.getByRole("link", { name: "Problems" }).click();
    await page.getByText("bindings/bindings.yaml:3:16").waitFor();
    await page.getByText("expected text, got the number 12").waitFor();
    suite.stand.world.problems = [];
    await page.reload();
    await page.getByText("The policy has no problems.").waitFor();
  });

  it("is not there for anybody else", async () => {
    suite.stand.world.identity.platform = false;
    suite.stand.failing.set("/platform", {
      status: 404,
      detail: "There is no such page, or it is not open to you.",
    });
    const page = await suite.open("view=platform");
    await page.getByText("This is not there, or it is not open to you.").waitFor();
    expect(await page.getByRole("link", { name: "Platform" }).count()).to.equal(0);
    await eventually(async () => (await page.title()) === "Platform · Berth");
  });
});
