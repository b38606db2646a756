import { expect } from "chai";
import { parse } from "yaml";
import { eventually } from "../eventually.ts";
import { pageSuite, tagPlace } from "./opened-page.ts";
import { digest, hoursAgo } from "./people-world.ts";

describe("the page: choosing an image", () => {
  const suite = pageSuite();

  it("goes from the namespace to the tag, by links, and back by the browser", async () => {
    const page = await suite.open();
    await page.getByRole("link", { name: "shop" }).click();
    await page.getByRole("heading", { name: "Images for shop" }).waitFor();
    await page.getByText("Workspace 12").waitFor();
    await page.getByRole("tab", { name: "Private" }).click();
    await page.getByRole("link", { name: "team-a", exact: true }).click();
    await page.getByRole("link", { name: "team-a/api" }).click();
    await page.getByRole("link", { name: "1.50", exact: true }).click();
    await page.getByText("harbor.example.test/team-a/api:1.50").first().waitFor();
    expect(await page.title()).to.equal("team-a/api:1.50 · Berth");
    await page.goBack();
    await page.getByRole("searchbox", { name: "Search tags" }).waitFor();
    await page.goBack();
    await page.getByRole("heading", { name: "team-a" }).waitFor();
    await page.goForward();
    await page.getByRole("heading", { name: "team-a/api" }).waitFor();
  });

  it("says of a namespace without workspace what that means, and whom to ask", async () => {
    suite.stand.world.spaces = [];
    const page = await suite.open("namespace=lab&view=private");
    await page.getByText("This namespace belongs to no workspace, so only public spaces").waitFor();
    await page.getByText("private spaces are bound to workspaces").waitFor();
  });

  it("says whom to ask where no private space is bound", async () => {
    suite.stand.world.spaces = [];
    const page = await suite.open("namespace=shop&view=private");
    await page.getByText("No private space is bound to workspace 12. Ask a platform administrator").waitFor();
  });

  it("says that nothing is refused in the modes that refuse nothing, and that nothing is judged where it is exempt", async () => {
    suite.stand.world.view.mode = "audit";
    const page = await suite.open("namespace=shop");
    await page.getByText("Nothing is refused at present (mode audit)").waitFor();
    suite.stand.world.view.exempt = true;
    await page.reload();
    await page.getByText("This namespace is exempt").waitFor();
  });

  it("says which catalogues are old and which are not read yet", async () => {
    const [managed, other] = suite.stand.world.view.registries;
    managed!.catalogue = { state: "stale", readAt: hoursAgo(5) };
    other!.catalogue = { state: "missing", readAt: null };
    const page = await suite.open("namespace=shop");
    await page
      .getByText("Berth cannot read registry managed. Its spaces are shown as they were 5 hours ago")
      .waitFor();
    await page.getByText("The spaces of registry team-twelve have not been read yet").waitFor();
  });

  it("marks proxy caches, and what the workspace integrated itself, which is private", async () => {
    const page = await suite.open("namespace=shop");
    await page.getByRole("row", { name: "docker-hub proxy cache" }).waitFor();
    await page.getByRole("tab", { name: "Private" }).click();
    await page.getByRole("row", { name: "own of your workspace" }).waitFor();
  });

  it("shows a long list part by part, and keeps the focus at the end of it", async () => {
    const page = await suite.open("namespace=shop");
    await page.getByText("50 of 62 shown").waitFor();
    await page.getByRole("button", { name: "More" }).click();
    await page.getByText("62 in all").waitFor();
    expect(await page.getByRole("row").count()).to.equal(63);
    await eventually(async () => (await page.locator(":focus").textContent()) === "62 in all");
  });

  it("searches while one types, with one question for what was typed in one go, which then stands in the address", async () => {
    const page = await suite.open("namespace=shop");
    await page.getByText("50 of 62 shown").waitFor();
    await page.getByRole("searchbox", { name: "Search spaces" }).fill("open-1");
    await page.getByText("10 in all").waitFor();
    expect(new URL(page.url()).hash).to.include("search=open-1");
    const searches = suite.stand.asked.filter(({ url }) => url.includes("search="));
    expect(searches).to.have.length(1);
    await page.getByRole("searchbox", { name: "Search spaces" }).fill("nothing-like-that");
    await page.getByText("Nothing found.").waitFor();
  });

  it("gives up a question that nobody waits for any more", async () => {
    const page = await suite.open("namespace=shop");
    await page.getByText("50 of 62 shown").waitFor();
    const letGo = suite.stand.hold("/namespaces/shop/spaces");
    const search = page.getByRole("searchbox", { name: "Search spaces" });
    await search.fill("library");
    await eventually(() => suite.stand.asked.some(({ url }) => url.includes("search=library")));
    await search.fill("docker-hub");
    await eventually(() => suite.stand.aborted.some((url) => url.includes("search=library")));
    letGo();
    await page.getByText("1 in all").waitFor();
    await page.getByRole("link", { name: "docker-hub" }).waitFor();
  });

  it("shows of a tag its digest in short with all of it at hand, size, platforms and age", async () => {
    const page = await suite.open("namespace=shop&registry=managed&space=team-a&repository=team-a/api");
    const row = page.getByRole("row", { name: "1.59" });
    await row.getByText("0123456789ab").waitFor();
    expect(await row.getByText("0123456789ab").getAttribute("title")).to.equal(digest);
    const text = (await row.textContent()) ?? "";
    expect(text).to.include("46 MiB").and.include("linux/amd64, linux/arm64").and.include("2 hours ago");
    expect(await row.locator("time").getAttribute("title")).to.match(/\d\d:\d\d:\d\d/);
  });

  it("lists a Docker Registry's repositories, and asks for the digest that its list of tags lacks", async () => {
    const page = await suite.open("namespace=shop&view=docker");
    await page.getByRole("link", { name: "archive" }).click();
    await page.getByRole("link", { name: "old/ledger" }).click();
    await page.getByRole("link", { name: "1.57", exact: true }).click();
    await page.getByText(`archive.example.test:5000/old/ledger@${digest}`).waitFor();
    expect(suite.stand.asked.at(-1)?.url).to.include(
      "/tag?registry=archive&repository=old%2Fledger&tag=1.57",
    );
  });

  it("lets one type the repository where a registry lists them to nobody", async () => {
    const page = await suite.open("namespace=shop&view=docker&registry=silent");
    await page.getByText("This registry lists its repositories to nobody").waitFor();
    await page.getByRole("textbox", { name: "Repository" }).fill("old/ledger");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "old/ledger" }).waitFor();
    await page.getByRole("link", { name: "1.59" }).waitFor();
  });

  it("searches spaces and repositories everywhere, and says what it could not search", async () => {
    suite.stand.world.unread = ["archive"];
    const page = await suite.open("namespace=shop");
    await page.getByRole("searchbox", { name: "Search all" }).fill("team-a");
    await page.getByText("1 space and 2 repositories found.").waitFor();
    await page.getByText("Could not be searched just now: archive").waitFor();
    await page.getByRole("link", { name: "team-a/My_Web.App" }).click();
    await page.getByRole("heading", { name: "team-a/My_Web.App" }).waitFor();
    await page.getByRole("link", { name: "Search: team-a" }).click();
    await page.getByText("1 space and 2 repositories found.").waitFor();
    await page.getByRole("searchbox", { name: "Search all" }).fill("o");
    await page.getByRole("tab", { name: "Public" }).waitFor();
    await page.getByRole("searchbox", { name: "Search all" }).fill("open");
    await page.getByText("There are more: a longer text finds fewer.").waitFor();
  });

  it("finds a namespace while one types, with the keyboard alone", async () => {
    const page = await suite.open("namespace=shop");
    const field = page.getByRole("combobox", { name: "Namespace" });
    const options = page.getByRole("listbox", { name: "Namespaces" }).getByRole("option");
    const found = async (): Promise<boolean> =>
      (await options.allTextContents()).every((text) => text.startsWith("team-3"));
    await field.fill("team-3");
    await options.first().waitFor();
    await eventually(found);
    await field.press("Escape");
    expect(await field.inputValue()).to.equal("shop");
    await field.fill("team-3");
    await options.first().waitFor();
    await eventually(found);
    await field.press("ArrowDown");
    await field.press("ArrowDown");
    expect(await page.getByRole("option", { selected: true }).allTextContents()).to.include(
      "team-31workspace 7",
    );
    await field.press("Enter");
    await page.getByRole("heading", { name: "Images for team-31" }).waitFor();
    await eventually(async () => (await page.locator(":focus").textContent()) === "Images for team-31");
  });

  it("goes from start to a copied image with the keyboard alone", async () => {
    const page = await suite.open("", { permissions: ["clipboard-read", "clipboard-write"] });
    await page.getByRole("link", { name: "shop" }).waitFor();
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await eventually(async () => (await page.locator(":focus").getAttribute("id")) === "main");
    const reach = async (name: string, role: "link" | "tab" | "button"): Promise<void> => {
      for (let presses = 0; presses < 40; presses++) {
        await page.keyboard.press("Tab");
        const target = page.getByRole(role, { name, exact: true });
        if ((await target.and(page.locator(":focus")).count()) > 0) return;
      }
      throw new Error(`${name} was not reached`);
    };
    await reach("shop", "link");
    await page.keyboard.press("Enter");
    await page.getByRole("tab", { name: "Public" }).waitFor();
    await eventually(async () => (await page.locator(":focus").textContent()) === "Images for shop");
    await reach("Public", "tab");
    await page.keyboard.press("ArrowRight");
    await page.getByRole("link", { name: "team-a", exact: true }).waitFor();
    expect(await page.locator(":focus").textContent()).to.equal("Private");
    await reach("team-a", "link");
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "team-a/api" }).waitFor();
    await reach("team-a/api", "link");
    await page.keyboard.press("Enter");
    await page.getByRole("link", { name: "1.59", exact: true }).waitFor();
    await eventually(async () => (await page.locator(":focus").textContent()) === "team-a/api");
    await reach("1.59", "link");
    await page.keyboard.press("Enter");
    await page.getByRole("button", { name: "Copy: Image by tag" }).waitFor();
    await reach("Copy: Image by tag", "button");
    await page.keyboard.press("Enter");
    await page.getByText("Copied: Image by tag").waitFor();
    expect(await page.evaluate("navigator.clipboard.readText()")).to.equal(
      "harbor.example.test/team-a/api:1.59",
    );
  });

  it("turns tabs with the arrow keys, Home and End", async () => {
    const page = await suite.open("namespace=shop");
    await page.getByRole("tab", { name: "Public" }).focus();
    for (const [key, expected] of [
      ["ArrowLeft", "Docker Registry"],
      ["ArrowRight", "Public"],
      ["End", "Docker Registry"],
      ["Home", "Public"],
      ["ArrowRight", "Private"],
    ] as const) {
      await page.keyboard.press(key);
      await page.getByRole("tab", { name: expected, selected: true }).waitFor();
      expect(await page.locator(":focus").textContent()).to.equal(expected);
    }
  });

  it("opens a link that somebody sent, with all that was chosen", async () => {
    const page = await suite.open(tagPlace);
    await page.getByText(`harbor.example.test/team-a/api@${digest}`).waitFor();
    const crumbs = page.getByRole("navigation", { name: "You are here" });
    expect(await crumbs.getByRole("listitem").allTextContents()).to.deep.equal([
      "Private",
      "team-a",
      "api",
      "1.5",
    ]);
    await crumbs.getByRole("link", { name: "team-a" }).click();
    await page.getByRole("link", { name: "team-a/My_Web.App" }).waitFor();
  });

  describe("a tag", () => {
    it("is ready as YAML: kind, pull policy, by tag or digest, with a name of its own", async () => {
      const page = await suite.open(tagPlace.replaceAll("team-a/api", "team-a/My_Web.App"));
      const yaml = page.locator("pre");
      await yaml.waitFor();
      const shown = async (): Promise<unknown> => parse((await yaml.textContent()) ?? "");
      const container = {
        name: "my-web-app",
        image: "harbor.example.test/team-a/My_Web.App:1.5",
        imagePullPolicy: "IfNotPresent",
      };
      const labels = { "app.kubernetes.io/name": "my-web-app" };
      expect(await shown()).to.deep.equal({
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "my-web-app", namespace: "shop" },
        spec: {
          replicas: 1,
          selector: { matchLabels: labels },
          template: { metadata: { labels }, spec: { containers: [container] } },
        },
      });
      await page.getByLabel("Kind").selectOption("Pod");
      await page.getByLabel("imagePullPolicy").selectOption("Always");
      await page.getByLabel("Image by", { exact: true }).selectOption("digest");
      await page.getByRole("textbox", { name: "Name", exact: true }).fill("Web 2");
      expect(await shown()).to.deep.equal({
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name: "web-2", namespace: "shop" },
        spec: {
          containers: [
            {
              name: "web-2",
              image: `harbor.example.test/team-a/My_Web.App@${digest}`,
              imagePullPolicy: "Always",
            },
          ],
        },
      });
    });

    it("is copied as it is shown", async () => {
      const page = await suite.open(tagPlace, { permissions: ["clipboard-read", "clipboard-write"] });
      await page.getByRole("button", { name: "Copy: Image by digest" }).click();
      await page.getByText("Copied: Image by digest").waitFor();
      expect(await page.evaluate("navigator.clipboard.readText()")).to.equal(
        `harbor.example.test/team-a/api@${digest}`,
      );
      await page.getByRole("button", { name: "Copy: Ready to deploy" }).click();
      await page.getByText("Copied: Ready to deploy").waitFor();
      expect(await page.evaluate("navigator.clipboard.readText()")).to.equal(
        await page.locator("pre").textContent(),
      );
    });

    it("is selected where the browser does not let the page copy", async () => {
      const page = await suite.open();
      await page.addInitScript(
        "navigator.clipboard.writeText = () => Promise.reject(new Error('not allowed'))",
      );
      await page.goto(`${suite.stand.url}?again#${tagPlace}`);
      await page.getByRole("button", { name: "Copy: Image by tag" }).click();
      await page.getByText("The text is selected").first().waitFor();
      expect(await page.evaluate("getSelection().toString()")).to.equal("harbor.example.test/team-a/api:1.5");
    });

    it("without a digest says so, and offers no YAML by digest", async () => {
      for (const tag of suite.stand.world.tags)
        Object.assign(tag, { digest: null, pushedAt: null, sizeBytes: null });
      const page = await suite.open(tagPlace);
      await page.getByText("The registry does not tell it.").waitFor();
      expect(
        await page.getByLabel("Image by", { exact: true }).locator("option").allTextContents(),
      ).to.deep.equal(["Tag"]);
    });
  });
});
