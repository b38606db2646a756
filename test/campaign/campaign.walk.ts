// The fault campaign as a suite of its own: a seed that stays, and one of the day, so that every day walks elsewhere.

import { expect } from "chai";
import { runCampaign, type Kind } from "./campaign.ts";
import { reportText } from "./report-text.ts";

const dayMs = 86_400_000;
const ofToday = Math.floor(Date.now() / dayMs);

describe("the fault campaign", () => {
  const walks: readonly (readonly [kind: Kind, seed: number, steps: number])[] = [
    ["cluster", 1, 250],
    ["cluster", ofToday, 250],
    ["folder", 1, 400],
    ["folder", ofToday, 400],
  ];
  for (const [kind, seed, steps] of walks) {
    it(`finds no wrong verdict in ${String(steps)} steps with seed ${String(seed)}, ${kind}`, async () => {
      const report = await runCampaign({ kind, seed, steps });
      expect(report.wrong.length, reportText(report)).to.equal(0);
      expect(report.steps).to.equal(steps);
      expect(report.tally.reviews, "a walk that asks nothing proves nothing").to.be.greaterThan(steps);
      for (const reason of ["public-space", "bound-space", "space-not-bound", "exempt-namespace"]) {
        expect([...report.tally.reasons.keys()]).to.include(reason);
      }
    }).timeout(300_000);
  }
});
