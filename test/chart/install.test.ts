import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { parsePolicyDocument } from "../../src/domain/policy-document.ts";
import { readSettings } from "../../src/settings.ts";
import { containerOf, deployFolder, environmentOf, installed, theOnly, type Rule } from "./manifests.ts";

// What a cluster gets that installs Berth without any value: each right, each limit, each name.

/** One right a line: verbs, resource, names. */
function rightsIn(rules: readonly Rule[]): string[] {
  return rules.flatMap(({ apiGroups, resources, resourceNames, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.map((resource) => {
        const what = group === "" ? resource : `${resource}.${group}`;
        return `${verbs.join(",")} ${what}${resourceNames ? ` ${resourceNames.join(",")}` : ""}`;
      }),
    ),
  );
}

const pod = theOnly(installed, "Deployment").spec.template;
const container = containerOf(installed);
const environment = environmentOf(container.env, "berth-system");

describe("deploy/install.yaml", () => {
  it("has these objects, by the names that Berth and its people know", () => {
    const names = installed.map(
      ({ kind, metadata: { name, namespace } }) => `${kind} ${namespace ?? "-"}/${name}`,
    );
    expect(names).to.have.members([
      "Namespace -/berth-system",
      "NetworkPolicy berth-system/berth",
      "ResourceQuota berth-system/berth-critical-pods",
      "PodDisruptionBudget berth-system/berth",
      "ServiceAccount berth-system/berth",
      "ConfigMap berth-system/berth-policy",
      "ClusterRole -/berth",
      "ClusterRole -/berth-workspace-keeper",
      "ClusterRoleBinding -/berth",
      "Role berth-system/berth",
      "RoleBinding berth-system/berth",
      "Service berth-system/berth",
      "Service berth-system/berth-metrics",
      "Service berth-system/berth-people",
      "Deployment berth-system/berth",
      "MutatingWebhookConfiguration -/berth",
      "ValidatingAdmissionPolicy -/berth-own-account",
      "ValidatingAdmissionPolicyBinding -/berth-own-account",
      "ValidatingWebhookConfiguration -/berth",
    ]);
  });

  it("has the standard labels on every object, and on the Pods", () => {
    for (const { kind, metadata } of [...installed, { kind: "Pod", metadata: pod.metadata }]) {
      expect(metadata.labels, `${kind} ${metadata.name}`).to.include({
        "app.kubernetes.io/name": "berth",
        "app.kubernetes.io/instance": "berth",
        "app.kubernetes.io/component": "webhook",
        "app.kubernetes.io/part-of": "berth",
        // Not Berth's own: what bears that label is a pull secret of it, or a value that it publishes.
        "app.kubernetes.io/managed-by": "kubectl",
      });
      expect(metadata.labels?.["app.kubernetes.io/version"]).to.be.a("string");
    }
  });

  describe("gives Berth's account", () => {
    it("these rights everywhere", () => {
      expect(rightsIn(theOnly(installed, "ClusterRole", "berth").rules)).to.deep.equal([
        "get,list,watch namespaces",
        "list,watch serviceaccounts",
        "create secrets",
        "list,watch,patch,delete secrets berth-pull",
        "create subjectaccessreviews.authorization.k8s.io",
        "create tokenreviews.authentication.k8s.io",
        "get,list,watch,update mutatingwebhookconfigurations.admissionregistration.k8s.io berth",
        "get,list,watch,update validatingwebhookconfigurations.admissionregistration.k8s.io berth",
      ]);
    });

    it("and these in its own namespace", () => {
      expect(rightsIn(theOnly(installed, "Role").rules)).to.deep.equal([
        "list,watch,create,update,patch,delete configmaps",
        "get,list,watch,create,update,delete secrets",
        "create events.events.k8s.io",
        "create leases.coordination.k8s.io",
        "get,update leases.coordination.k8s.io berth",
      ]);
    });

    it("and none to anybody else, by no other binding", () => {
      const bindings = installed.filter(({ kind }) => kind.endsWith("RoleBinding"));
      expect(bindings.map((one) => ({ ...one, apiVersion: "", metadata: {} }))).to.deep.equal(
        ["ClusterRole", "Role"].map((kind) => ({
          apiVersion: "",
          kind: `${kind}Binding`,
          metadata: {},
          roleRef: { apiGroup: "rbac.authorization.k8s.io", kind, name: "berth" },
          subjects: [{ kind: "ServiceAccount", name: "berth", namespace: "berth-system" }],
        })),
      );
    });

    it("and no wildcard, no escalation and no other Secret of anybody", () => {
      const roles = installed.filter(({ kind }) => kind.endsWith("Role")) as unknown as {
        rules: readonly Rule[];
      }[];
      const rules = roles.flatMap((role) => role.rules);
      for (const { apiGroups, resources, verbs } of rules) {
        for (const word of [...apiGroups, ...resources, ...verbs]) {
          expect(word).not.to.match(
            /\*|impersonate|escalate|bind|^pods\/|tokenrequest|serviceaccounts\/token/,
          );
        }
      }
      const everywhere = theOnly(installed, "ClusterRole", "berth").rules;
      const secrets = everywhere.filter(({ resources }) => resources.includes("secrets"));
      for (const { resourceNames, verbs } of secrets) {
        if (resourceNames === undefined) expect(verbs).to.deep.equal(["create"]);
        else expect(resourceNames).to.deep.equal(["berth-pull"]);
      }
    });

    it("a fence around what it may create", () => {
      const { spec } = theOnly(installed, "ValidatingAdmissionPolicy");
      expect(spec.failurePolicy).to.equal("Fail");
      expect(spec.matchConditions.map(({ expression }) => expression)).to.deep.equal([
        "request.userInfo.username == 'system:serviceaccount:berth-system:berth'",
      ]);
      expect(spec.validations).to.have.length(3);
      expect(spec.validations[1]?.expression).to.contain("in ['kube-system', 'berth-system']");
      const binding = theOnly(installed, "ValidatingAdmissionPolicyBinding");
      expect(binding.spec).to.deep.equal({ policyName: "berth-own-account", validationActions: ["Deny"] });
    });
  });

  describe("runs Berth", () => {
    it("twice, replaced one by one, never evicted all at once, and spread", () => {
      const { spec } = theOnly(installed, "Deployment");
      expect(spec.replicas).to.equal(2);
      expect(spec.strategy).to.deep.equal({
        type: "RollingUpdate",
        rollingUpdate: { maxUnavailable: 0, maxSurge: 1 },
      });
      expect(theOnly(installed, "PodDisruptionBudget").spec).to.deep.include({
        maxUnavailable: 1,
        unhealthyPodEvictionPolicy: "AlwaysAllow",
      });
      const selector = { "app.kubernetes.io/name": "berth", "app.kubernetes.io/instance": "berth" };
      expect(pod.spec.topologySpreadConstraints.map(({ labelSelector }) => labelSelector)).to.deep.equal([
        { matchLabels: selector },
        { matchLabels: selector },
      ]);
    });

    it("as the Pod Security Standard `restricted` wants it, with a read-only root", () => {
      expect(pod.spec.securityContext).to.deep.include({
        runAsNonRoot: true,
        runAsUser: 65532,
        seccompProfile: { type: "RuntimeDefault" },
      });
      expect(container.securityContext).to.deep.equal({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      expect(theOnly(installed, "Namespace").metadata.labels).to.include({
        "pod-security.kubernetes.io/enforce": "restricted",
      });
    });

    it("under the user that the image names", () => {
      const dockerfile = readFileSync(join(deployFolder, "..", "Dockerfile"), "utf8");
      expect(dockerfile).to.match(/^USER 65532:65532$/m);
    });

    it("with a claim on the machine, no limit of CPU, and the priority of what a cluster cannot do without", () => {
      expect(container.resources.requests).to.have.all.keys("cpu", "memory");
      expect(container.resources.limits).to.have.all.keys("memory");
      expect(pod.spec.priorityClassName).to.equal("system-cluster-critical");
    });

    it("with probes on the operations port, and time to drain", () => {
      const asked = [container.startupProbe, container.livenessProbe, container.readinessProbe];
      expect(asked.map(({ httpGet }) => `${httpGet.port} ${httpGet.path}`)).to.deep.equal([
        "operations /livez",
        "operations /livez",
        "operations /readyz",
      ]);
      const drainMs = readSettings({}, environment).drain;
      expect(pod.spec.terminationGracePeriodSeconds * 1_000).to.be.at.least(drainMs + 20_000);
      expect(container.lifecycle, "a hook would need a shell").to.equal(undefined);
    });

    it("with settings that it takes, and no variable that a Service's name makes", () => {
      const { webhookPort, peoplePort, operationsPort, ...settings } = readSettings({}, environment);
      expect(settings).to.include({
        namespace: "berth-system",
        serviceName: "berth",
        certificateMode: "managed",
        caBundle: "keep",
      });
      expect(container.ports.map(({ containerPort }) => containerPort)).to.deep.equal([
        webhookPort,
        peoplePort,
        operationsPort,
      ]);
      expect(pod.spec.enableServiceLinks).to.equal(false);
      expect(container.args).to.deep.equal(["serve"]);
    });
  });

  it("has a Service for each that asks, and lets traffic in to just their ports", () => {
    const services = ["berth", "berth-people", "berth-metrics"].map((name) => {
      const { spec } = theOnly(installed, "Service", name);
      return [name, spec.type, ...spec.ports.map(({ port, targetPort }) => `${port} ${targetPort}`)];
    });
    expect(services).to.deep.equal([
      ["berth", "ClusterIP", "443 webhook"],
      ["berth-people", "ClusterIP", "443 people"],
      ["berth-metrics", "ClusterIP", "8080 operations"],
    ]);
    const { ingress } = theOnly(installed, "NetworkPolicy").spec;
    expect(ingress.flatMap(({ ports }) => ports.map(({ port }) => port))).to.deep.equal([8443, 8444, 8080]);
  });

  it("writes a first policy that refuses nothing, and that Berth takes", () => {
    const { metadata, data } = theOnly(installed, "ConfigMap");
    expect(metadata.labels).to.include({ "berth.io/policy": "true" });
    const { content, problems } = parsePolicyDocument(data["policy.yaml"] ?? "");
    expect(problems).to.deep.equal([]);
    expect(content?.mode?.value).to.equal("warn");
    expect(content?.unlistedRegistries?.value).to.equal("deny");
    expect(content?.exemptNamespaces?.value).to.deep.equal(["kube-system"]);
  });

  it("names no CA: that which Berth has written must outlive an upgrade", () => {
    expect(JSON.stringify(installed)).not.to.contain('caBundle":');
  });
});
