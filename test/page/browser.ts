// A browser for the suites of the page: found, not installed; one for a suite.

import { accessSync, constants } from "node:fs";
import { chromium, type Browser } from "playwright-core";
import { skipsAreForbidden } from "../cluster/binaries.ts";

const candidates = [
  process.env["BERTH_TEST_CHROMIUM"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/** Skips the suite where there is none; where skipping is forbidden, fails it. */
export async function openBrowser(context: Mocha.Context): Promise<Browser> {
  const executablePath = candidates.find((path) => path !== undefined && isExecutable(path));
  if (executablePath !== undefined) {
    // The sandbox needs rights that a container may lack, and all that is opened is this house's own page.
    return chromium.launch({ executablePath, args: ["--no-sandbox"] });
  }
  if (skipsAreForbidden())
    throw new Error("no Chromium is found, and BERTH_TEST_FORBID_SKIPS forbids to skip");
  return context.skip();
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
