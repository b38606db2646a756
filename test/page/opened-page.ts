// The page opened in a browser before the stand-in, with what a suite of it needs around: one browser and one stand-in
// a suite, a fresh context a page, and everything that the browser complained about.

import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { openBrowser } from "./browser.ts";
import { startStandInPeople, type StandInPeople } from "./stand-in-people.ts";

export interface PageSuite {
  readonly stand: StandInPeople;
  readonly browser: Browser;
  /** Opens the page at a place: what stands after the `#`. */
  open(place?: string, options?: BrowserContextOptions): Promise<Page>;
  /** Errors of scripts, and what the Content-Security-Policy stopped. */
  readonly complaints: string[];
}

/** Longer than a busy machine takes; nothing waits for it but what fails. */
const patienceMs = 15_000;

/** Sets the suite up and takes it down by mocha's hooks; what it returns is filled in before the first test. */
export function pageSuite(): PageSuite {
  const complaints: string[] = [];
  let browser: Browser;
  let stand: StandInPeople;
  before(async function () {
    this.timeout(60_000);
    browser = await openBrowser(this);
    stand = await startStandInPeople();
  });
  afterEach(async () => {
    stand.reset();
    complaints.length = 0;
    for (const context of browser.contexts()) await context.close();
  });
  after(async () => {
    // Neither is there where the suite was skipped.
    const opened = [browser, stand] as readonly [Browser | undefined, StandInPeople | undefined];
    await opened[0]?.close();
    await opened[1]?.stop();
  });
  return {
    get browser() {
      return browser;
    },
    get stand() {
      return stand;
    },
    complaints,
    async open(place = "", options = {}) {
      const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: "en-GB", ...options });
      context.setDefaultTimeout(patienceMs);
      const page = await context.newPage();
      page.on("pageerror", (err) => complaints.push(String(err)));
      page.on("console", (message) => {
        // A browser notes every answer that is no success; that is what some tests are about.
        const isAnswer = message.text().startsWith("Failed to load resource");
        if (message.type() === "error" && !isAnswer) complaints.push(message.text());
      });
      await page.goto(`${stand.url}${place === "" ? "" : `#${place}`}`);
      return page;
    },
  };
}

export const tagPlace =
  "namespace=shop&view=private&registry=managed&space=team-a&repository=team-a/api&tag=1.5";
