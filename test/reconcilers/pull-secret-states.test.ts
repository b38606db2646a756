import { expect } from "chai";
import type { SeenPullSecret } from "../../src/domain/pull-secrets.ts";
import type { Credentials } from "../../src/reconcilers/credentials.ts";
import { createPullSecretStates } from "../../src/reconcilers/pull-secret-states.ts";

const wanted = { text: "text", digest: "of-text" };
const credentials = (): Pick<Credentials, "wantedSecret" | "covers"> => ({
  wantedSecret: () => wanted,
  covers: () => true,
});
const ours: SeenPullSecret = { owner: "berth", digest: wanted.digest, writable: true, labelled: true };

describe("the state of a pull secret that a Pod needs", () => {
  let secrets: Map<string, SeenPullSecret>;
  const states = () => createPullSecretStates({ credentials, seen: () => secrets });
  beforeEach(() => {
    secrets = new Map();
  });

  const cases: [title: string, secret: SeenPullSecret | undefined, expected: string][] = [
    ["missing", undefined, "missing"],
    ["as it should be", ours, "current"],
    ["of other content", { ...ours, digest: "of-old-text" }, "outdated"],
    ["somebody else's", { ...ours, owner: "foreign" }, "outdated"],
  ];
  for (const [title, secret, expected] of cases) {
    it(`is "${expected}" where it is ${title}`, () => {
      if (secret !== undefined) secrets.set("web", secret);
      expect(states().state("web", "12", [])).to.equal(expected);
    });
  }

  it("is waited for until it is there", async () => {
    const all = states();
    const arrival = all.arrival("web", "12", [], new AbortController().signal);
    secrets.set("web", ours);
    all.changed();
    expect(await arrival).to.equal("current");
  });

  it("is waited for no longer than the signal says", async () => {
    const aborter = new AbortController();
    const arrival = states().arrival("web", "12", [], aborter.signal);
    aborter.abort();
    expect(await arrival).to.equal("missing");
  });

  it("is not waited for where somebody else's is in its place", async () => {
    secrets.set("web", { ...ours, owner: "foreign" });
    expect(await states().arrival("web", "12", [], new AbortController().signal)).to.equal("outdated");
  });
});
