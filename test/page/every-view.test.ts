import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect } from "chai";
import type { BrowserContextOptions, Page } from "playwright-core";
import { pageSuite, tagPlace } from "./opened-page.ts";

const axeSource = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");
const inSpace = "namespace=shop&view=private&registry=managed&space=team-a";

/** View → place, and what is there only once all of it is shown. */
const views: readonly (readonly [title: string, place: string, shown: string])[] = [
  ["the choice of a namespace", "", "main tbody"],
  ["public spaces", "namespace=shop", "main tbody"],
  ["private spaces", "namespace=shop&view=private", "main tbody"],
  ["a namespace without workspace", "namespace=lab", "main tbody"],
  ["Docker Registries", "namespace=shop&view=docker", "main tbody"],
  ["a registry that lists nothing", "namespace=shop&view=docker&registry=silent", "main form"],
  ["a search everywhere", "namespace=shop&find=a", "[role=tab]"],
  ["what a search found", "namespace=shop&find=li", "main h2"],
  ["repositories", inSpace, "main tbody"],
  ["tags", `${inSpace}&repository=team-a/api`, "main tbody"],
  ["a tag", tagPlace, "pre"],
  ["why not?", "namespace=shop&view=why", "textarea"],
  ["a refusal", "namespace=shop&view=why&image=harbor.example.test/team-b/api:1", "article"],
  ["the platform", "view=platform", "main tbody"],
  ["the platform's spaces", "view=platform&section=spaces", "main tbody"],
  ["a space to bind", "view=platform&section=spaces&registry=managed&space=team-b", "form, .choices"],
  ["the platform's workspaces", "view=platform&section=workspaces", "main tbody"],
  ["problems of the policy", "view=platform&section=problems", "main tbody"],
  ["what is not there", "namespace=nowhere", "[role=alert]"],
  ["the sign-in", "", "form"],
];

describe("the page: every view", () => {
  const suite = pageSuite();

  async function show(index: number, options: BrowserContextOptions): Promise<Page> {
    const [title, place, shown] = views[index]!;
    if (title === "the sign-in") suite.stand.token = "some";
    const page = await suite.open(place, options);
    await page.locator(shown).first().waitFor();
    return page;
  }

  for (const [index, [title]] of views.entries()) {
    it(`${title}: scripts, styles and requests are its own, and nothing fails`, async () => {
      const page = await show(index, {});
      expect(suite.complaints).to.deep.equal([]);
      expect(await page.locator("[style], style, script:not([src]), :not(main) > h1 ~ h1").count()).to.equal(
        0,
      );
    });

    it(`${title}: fits a narrow phone, in both languages`, async () => {
      for (const locale of ["en-GB", "zh-CN"]) {
        const page = await show(index, { viewport: { width: 360, height: 700 }, locale });
        const overflow = await page.evaluate(
          "document.documentElement.scrollWidth - document.documentElement.clientWidth",
        );
        expect(overflow, locale).to.equal(0);
      }
    });

    it(`${title}: axe finds nothing, light and dark, in both languages`, async () => {
      for (const [locale, colorScheme] of [
        ["en-GB", "light"],
        ["zh-CN", "dark"],
      ] as const) {
        // axe is brought in by a script of its own, which the page's policy rightly forbids.
        const page = await show(index, { locale, colorScheme, bypassCSP: true, reducedMotion: "reduce" });
        await page.evaluate(axeSource);
        const results: { violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] } =
          await page.evaluate("axe.run(document, { resultTypes: ['violations'] })");
        const found = results.violations.map(
          ({ id, nodes }) =>
            `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("\n")}`,
        );
        expect(found, `${locale} ${colorScheme}`).to.deep.equal([]);
      }
    });
  }

  it("keeps the content security policy that is sent", async () => {
    const page = await suite.open("namespace=shop");
    await page.getByRole("tab", { name: "Public" }).waitFor();
    const violation = page.evaluate(
      "new Promise((resolve) => addEventListener('securitypolicyviolation', ({ violatedDirective }) => resolve(violatedDirective)))",
    );
    await page.evaluate("document.body.setAttribute('style', 'color: red')");
    expect(await violation).to.match(/^style-src/);
    expect(
      await page.evaluate(
        "(() => { try { document.body.innerHTML = 'x'; } catch (err) { return err.name; } })()",
      ),
    ).to.equal("TypeError");
  });
});
