import { expect } from "chai";
import { danglingExemptions, firstSnapshot, missingParts } from "../../src/domain/snapshot.ts";
import { policyOf, registry, rules, snapshotOf } from "../builders.ts";

describe("missingParts", () => {
  it("lacks policy and namespaces at first", () => {
    expect(missingParts(firstSnapshot(rules))).to.deep.equal(["policy", "namespaces"]);
  });
  it("then the catalogue of each Harbor of the administrators, and of no other registry", () => {
    const registries = [
      registry("managed"),
      registry("second"),
      registry("archive", { type: "docker-registry" }),
      registry("twelve", { workspace: "12" }),
    ];
    const policy = policyOf({ registries });
    expect(missingParts(snapshotOf({ policy }))).to.deep.equal([
      "catalogue of managed",
      "catalogue of second",
    ]);
    expect(missingParts(snapshotOf({ policy, catalogues: { managed: [], second: [] } }))).to.deep.equal([]);
  });
});

describe("danglingExemptions", () => {
  const policy = policyOf({ rest: { exemptNamespaces: new Set(["kube-system", "cni"]) } });
  it("names what is exempt and does not exist", () => {
    expect(danglingExemptions(snapshotOf({ policy, namespaces: { "kube-system": null } }))).to.deep.equal([
      "cni",
    ]);
  });
  it("says nothing before the namespaces were read", () => {
    expect(danglingExemptions({ ...snapshotOf({ policy }), namespacesRead: false })).to.deep.equal([]);
  });
});
