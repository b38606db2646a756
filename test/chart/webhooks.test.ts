import { expect } from "chai";
import { builtInKinds } from "../../src/domain/pod-spec.ts";
import {
  mutatingRules,
  namespaceRules,
  policyRules,
  validatingRules,
  webhookConfigurations,
  type WebhookRule,
} from "../cluster/webhooks.ts";
import { installed } from "./manifests.ts";

// What is installed in a cluster decides what Berth is asked: one resource too few is a hole, one too many an outage.

interface Webhook {
  readonly name: string;
  readonly clientConfig: object;
  readonly rules: readonly WebhookRule[];
  readonly failurePolicy: string;
  readonly matchPolicy: string;
  readonly timeoutSeconds: number;
  readonly namespaceSelector: { readonly matchExpressions?: readonly unknown[] };
  readonly matchConditions?: readonly { readonly expression: string }[];
}

const webhooks = installed.flatMap((object) => ("webhooks" in object ? (object.webhooks as Webhook[]) : []));
const webhook = (name: string): Webhook => webhooks.find((one) => one.name === name)!;

/** The resources that hold Pod templates, in the plural that rules use. */
const pluralOf = (kind: string): string => {
  const [group = "", name = ""] = kind.split("/");
  return `${group}/${name.toLowerCase()}s`;
};
const inForce = [...builtInKinds.keys()].filter((kind) => !kind.startsWith("extensions/"));

const rulesInWords = (rules: readonly WebhookRule[]): string[] =>
  rules.flatMap((rule) =>
    rule.apiGroups.flatMap((group) =>
      rule.resources.flatMap((resource) =>
        rule.operations.map((operation) => `${operation} ${group}/${resource}`),
      ),
    ),
  );

describe("the webhooks of deploy/install.yaml", () => {
  it("are what the suites on a real API server run with", () => {
    const guarding = {
      workspaceLabel: "workspace.ghippo.io/id",
      exemptNames: ["kube-system", "berth-system"],
    };
    const tested = webhookConfigurations({ url: "https://x", caPem: "" }, guarding).flatMap((one) => [
      ...one.webhooks,
    ]);
    const withoutClient = (one: object) =>
      ({ ...JSON.parse(JSON.stringify(one)), clientConfig: undefined }) as unknown;
    expect(webhooks.map(withoutClient)).to.deep.equal(tested.map(withoutClient));
    for (const one of webhooks) {
      const path = one.name === "mutate.berth.io" ? "/mutate" : "/validate";
      expect(one.clientConfig).to.deep.equal({
        service: { namespace: "berth-system", name: "berth", path, port: 443 },
      });
    }
  });

  it("have Berth asked about every kind that holds images, on creation and update, and about nothing else", () => {
    const expected = inForce.flatMap((kind) => [`CREATE ${pluralOf(kind)}`, `UPDATE ${pluralOf(kind)}`]);
    expect(rulesInWords(webhook("validate.berth.io").rules)).to.have.members([
      ...expected,
      "UPDATE /pods/ephemeralcontainers",
    ]);
  });

  it("have Pods mutated at their creation, and nothing else", () => {
    expect(rulesInWords(webhook("mutate.berth.io").rules)).to.deep.equal(["CREATE /pods"]);
  });

  it("guard namespaces through every way that changes labels", () => {
    expect(rulesInWords(webhook("namespaces.berth.io").rules)).to.have.members(
      ["namespaces", "namespaces/status", "namespaces/finalize"].flatMap((resource) => [
        `CREATE /${resource}`,
        `UPDATE /${resource}`,
      ]),
    );
    expect(webhook("namespaces.berth.io").matchConditions).to.have.length(1);
  });

  it("have no wildcard, no DELETE and no CONNECT anywhere", () => {
    const words = [...mutatingRules, ...validatingRules, ...namespaceRules, ...policyRules].flatMap(
      (rule) => [...rule.apiGroups, ...rule.apiVersions, ...rule.resources, ...rule.operations],
    );
    for (const word of words) expect(word).to.not.match(/[*]|DELETE|CONNECT/);
  });

  it("fail closed but for the policy guard, which must not stop Berth's own start", () => {
    const policies = Object.fromEntries(webhooks.map(({ name, failurePolicy }) => [name, failurePolicy]));
    expect(policies).to.deep.equal({
      "mutate.berth.io": "Fail",
      "validate.berth.io": "Fail",
      "namespaces.berth.io": "Fail",
      "policy.berth.io": "Ignore",
    });
  });

  it("leave kube-system and Berth's own namespace alone by their immutable name, where Pods are concerned", () => {
    for (const name of ["mutate.berth.io", "validate.berth.io"]) {
      expect(webhook(name).namespaceSelector.matchExpressions).to.deep.equal([
        { key: "kubernetes.io/metadata.name", operator: "NotIn", values: ["kube-system", "berth-system"] },
      ]);
    }
    expect(webhook("namespaces.berth.io").namespaceSelector, "the guard has no selector").to.deep.equal({});
  });
});
