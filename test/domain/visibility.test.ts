import { expect } from "chai";
import { openProxyCaches, visibilityOn } from "../../src/domain/visibility.ts";
import { policyOf, registry, snapshotOf, space } from "../builders.ts";

describe("visibility", () => {
  const believing = registry("believing");
  const wary = registry("wary", { treatsProxyCachesAsPrivate: true });
  const rows: [title: string, on: typeof wary, of: ReturnType<typeof space>, expected: string][] = [
    ["is what Harbor says", wary, space("a", "public"), "public"],
    ["is what Harbor says of a private space", wary, space("a", "private"), "private"],
    ["is what Harbor says of a proxy cache, unless", believing, space("a", "public", 1, true), "public"],
    ["the policy has proxy caches private", wary, space("a", "public", 1, true), "private"],
    ["and a private one stays private", believing, space("a", "private", 1, true), "private"],
  ];
  for (const [title, on, of, expected] of rows) {
    it(title, () => expect(visibilityOn(on, of)).to.equal(expected));
  }

  it("opens foreign registries where a proxy cache is public for everybody", () => {
    const hub = space("hub", "public", 1, true);
    const spaces = [space("a", "public"), hub, space("quay", "private", 2, true)];
    const own = registry("own", { workspace: "12" });
    const unread = registry("unread");
    const snapshot = snapshotOf({
      policy: policyOf({ registries: [own, wary, unread, believing] }),
      catalogues: { believing: spaces, wary: spaces, own: spaces, "no longer in the policy": spaces },
    });
    expect(openProxyCaches(snapshot)).to.deep.equal([{ registry: "believing", space: "hub" }]);
  });
});
