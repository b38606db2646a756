// The chart as Helm renders it: what is committed is fresh, values do what they say, and what makes no sense is refused.

import { mkdtemp, readFile, rm } from "node:fs/promises";
import { readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect } from "chai";
import { chartFolder, installFile, renderInstall } from "../../scripts/chart.ts";
import { readSettings } from "../../src/settings.ts";
import { containerOf, environmentOf, theOnly, type Manifest } from "../chart/manifests.ts";
import { skipWithout } from "./binaries.ts";
import { helm, render, renderTo } from "./helm.ts";
import { webhookConfigurations } from "./webhooks.ts";

const ciFolder = join(chartFolder, "ci");
const ciFiles = readdirSync(ciFolder);

describe("the chart, rendered by Helm", () => {
  let folder: string;
  before(async function () {
    skipWithout("helm", this);
    folder = await mkdtemp(join(tmpdir(), "berth-helm-"));
  });
  after(async () => {
    // A `before` that skips has made none.
    if ((folder as string | undefined) !== undefined) await rm(folder, { recursive: true, force: true });
  });
  const settingsOf = (objects: readonly Manifest[]) =>
    readSettings({}, environmentOf(containerOf(objects).env, "berth-system"));

  it("is deploy/install.yaml, which `node scripts/chart.ts` writes", async () => {
    expect(await readFile(installFile, "utf8")).to.equal(await renderInstall());
  });

  for (const file of ciFiles) {
    it(`is accepted by helm lint with ${file}`, async () => {
      const values = join(ciFolder, file);
      const words = ["lint", chartFolder, "--strict", "--namespace", "berth-system", "--values", values];
      const { code, stdout, stderr } = await helm(words, folder);
      expect(code, stdout + stderr).to.equal(0);
    });

    it(`has the standard labels on every object with ${file}, and settings that Berth takes`, async () => {
      const objects = await render(folder, [], ["--values", join(ciFolder, file)]);
      for (const { kind, metadata } of objects) {
        const names = ["name", "instance", "version", "component", "part-of", "managed-by"];
        const keys = ["helm.sh/chart", ...names.map((name) => `app.kubernetes.io/${name}`)];
        expect(metadata.labels, `${kind} ${metadata.name}`).to.include.all.keys(keys);
      }
      expect(settingsOf(objects).serviceName).to.equal("berth");
    });
  }

  const refused: [title: string, value: string, why: RegExp][] = [
    ["a value that there is not", "replicas=3", /additional properties 'replicas' not allowed/],
    ["one below a value", "image.tagg=1", /additional properties 'tagg' not allowed/],
    ["a setting that there is not", "settings.drains=1s", /additional properties 'drains' not allowed/],
    ["a duration that is none", "settings.drain=soon", /settings\/drain/],
    ["a mode that there is not", "policy.mode=strict", /policy\/mode/],
    ["a list of exempt namespaces without kube-system", "exemptNamespaces={harbor}", /exemptNamespaces/],
    ["a setting that a value of its own switches", "settings.peoplePort=off", /settings\/peoplePort/],
    ["an Ingress at no path", "people.ingress.hosts[0].paths[0].path=x", /people\/ingress\/hosts/],
    ["a name that would leave its quotes", "exemptNamespaces={kube-system,a']}", /exemptNamespaces/],
  ];
  for (const [title, value, why] of refused) {
    it(`refuses ${title}`, async () => {
      const { code, stderr } = await renderTo(folder, [value]);
      expect(code).to.equal(1);
      expect(stderr).to.match(why);
    });
  }

  it("refuses two sources of one certificate", async () => {
    const { code, stderr } = await renderTo(folder, [
      "certManager.enabled=true",
      "certificate.existingSecret=x",
    ]);
    expect(code).to.equal(1);
    expect(stderr).to.contain("exclude each other");
  });

  it("refuses names of a proxy without the CA of their certificates", async () => {
    const { code, stderr } = await renderTo(folder, ["people.proxyNames={front-proxy}"]);
    expect(code).to.equal(1);
    expect(stderr).to.contain("people.proxyNames needs people.proxyCaSecret");
  });

  it("has one list of exempt namespaces in the selectors, the guard, the fence and the first policy", async () => {
    const objects = await render(
      folder,
      ["exemptNamespaces={kube-system,harbor}", "settings.workspaceLabel=tenant/id"],
      ["--namespace", "gate"],
    );
    const guarding = { workspaceLabel: "tenant/id", exemptNames: ["kube-system", "harbor", "gate"] };
    const namespaceGuard = webhookConfigurations({ url: "", caPem: "" }, guarding)[1].webhooks[1];
    const text = JSON.stringify(objects);
    const [expression = "none"] = /"expression":"(?:[^"\\]|\\.)*"/.exec(JSON.stringify(namespaceGuard)) ?? [];
    expect(text).to.contain(expression);
    const selector = '"operator":"NotIn","values":["kube-system","harbor","gate"]';
    expect(text.split(selector)).to.have.length(3);
    const fence = theOnly(objects, "ValidatingAdmissionPolicy").spec;
    expect(fence.validations[1]?.expression).to.contain("in ['kube-system', 'harbor', 'gate']");
    expect(fence.matchConditions[0]?.expression).to.contain("system:serviceaccount:gate:berth");
    const policy = theOnly(objects, "ConfigMap").data["policy.yaml"];
    expect(policy).to.match(/exemptNamespaces:\n {2}- kube-system\n {2}- harbor\n/);
    expect(settingsOf(objects).workspaceLabel).to.equal("tenant/id");
  });

  it("lists custom resources once for Berth and for the API server", async () => {
    const objects = await render(folder, [], ["--values", join(ciFolder, "everything-values.yaml")]);
    expect([...settingsOf(objects).podTemplates.keys()]).to.deep.equal([
      "argoproj.io/Rollout",
      "leaderworkerset.x-k8s.io/LeaderWorkerSet",
    ]);
    expect(JSON.stringify(objects)).to.contain(
      '{"apiGroups":["argoproj.io"],"apiVersions":["v1alpha1"],"resources":["rollouts"]',
    );
  });

  it("lets Berth read just the Secrets of HarborClusters that are named", async () => {
    const objects = await render(folder, [], ["--values", join(ciFolder, "everything-values.yaml")]);
    expect(settingsOf(objects).harborClusters).to.deep.equal(["harbor"]);
    expect(theOnly(objects, "Role", "berth-harbor-clusters")).to.deep.include({
      rules: [
        { apiGroups: ["goharbor.io"], resources: ["harborclusters"], verbs: ["list"] },
        { apiGroups: [""], resources: ["secrets"], resourceNames: ["harbor-admin"], verbs: ["get"] },
      ],
    });
  });

  it("takes the certificate from cert-manager, which then writes the caBundle", async () => {
    const objects = await render(folder, ["certManager.enabled=true"]);
    const { certificateMode, certificateFile, keyFile } = settingsOf(objects);
    expect(certificateMode).to.equal("files");
    const { volumes } = theOnly(objects, "Deployment").spec.template.spec;
    expect(volumes?.map(({ secret }) => secret?.secretName)).to.deep.equal(["berth-tls"]);
    const mounts = containerOf(objects).volumeMounts?.map(({ mountPath }) => mountPath);
    for (const file of [certificateFile, keyFile])
      expect(file?.startsWith(`${mounts?.[0] ?? ""}/`)).to.equal(true);
    const kinds = objects.map(({ kind }) => kind);
    expect(kinds.filter((kind) => /^(Issuer|Certificate)$/.test(kind))).to.have.length(4);
    for (const one of objects.filter(({ kind }) => kind.endsWith("WebhookConfiguration"))) {
      expect(one.metadata.annotations).to.include({ "cert-manager.io/inject-ca-from": "berth-system/berth" });
    }
    const rights = theOnly(objects, "ClusterRole", "berth").rules.flatMap(({ resources }) => resources);
    expect(rights, "no right that it does not need").not.to.include("validatingwebhookconfigurations");
  });

  it("takes a certificate of the administrators', with its CA", async () => {
    const objects = await render(folder, ["certificate.existingSecret=own", "certificate.caBundle=PEM"]);
    expect(settingsOf(objects).certificateMode).to.equal("files");
    expect(
      JSON.stringify(objects).split(`"caBundle":"${Buffer.from("PEM").toString("base64")}"`),
    ).to.have.length(5);
  });

  describe("for people", () => {
    it("has nothing where that is off: no port, no Service, no Ingress, no right", async () => {
      const values = ["people.enabled=false", "people.ingress.enabled=true", "people.certificateSecret=own"];
      const objects = await render(folder, values);
      expect(settingsOf(objects).peoplePort).to.equal("off");
      expect(settingsOf(objects).peopleCertificateFile).to.equal(undefined);
      expect(containerOf(objects).ports.map(({ name }) => name)).to.deep.equal(["webhook", "operations"]);
      expect(theOnly(objects, "Deployment").spec.template.spec.volumes).to.equal(undefined);
      const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
      expect(names.filter((name) => /people|Ingress/.test(name))).to.deep.equal([]);
      const rights = theOnly(objects, "ClusterRole", "berth").rules.flatMap(({ resources }) => resources);
      expect(rights).not.to.include("tokenreviews");
      expect(rights, "that of the guard").to.include("subjectaccessreviews");
      expect(theOnly(objects, "NetworkPolicy").spec.ingress).to.have.length(2);
    });

    it("mounts a certificate of its own, and the CA of a proxy, where Berth looks for them", async () => {
      const objects = await render(folder, [], ["--values", join(ciFolder, "everything-values.yaml")]);
      const { volumes = [] } = theOnly(objects, "Deployment").spec.template.spec;
      const { volumeMounts = [] } = containerOf(objects);
      const folderOf = (secretName: string) => {
        const volume = volumes.find(({ secret }) => secret?.secretName === secretName);
        return volumeMounts.find(({ name }) => name === volume?.name)?.mountPath ?? "none";
      };
      expect(settingsOf(objects)).to.deep.include({
        peopleCertificateFile: `${folderOf("berth-people-tls")}/tls.crt`,
        peopleKeyFile: `${folderOf("berth-people-tls")}/tls.key`,
        peopleProxyCa: `${folderOf("front-proxy-ca")}/ca.crt`,
        peopleProxyNames: ["front-proxy", "Platform Gateway"],
        peoplePort: 8444,
      });
    });

    it("has an Ingress to its Service, of the shape that Helm's own example has", async () => {
      const objects = await render(folder, [], ["--values", join(ciFolder, "everything-values.yaml")]);
      const { metadata, spec } = theOnly(objects, "Ingress");
      expect(metadata.annotations).to.deep.equal({ "nginx.ingress.kubernetes.io/backend-protocol": "HTTPS" });
      const service = theOnly(objects, "Service", "berth-people");
      const [port] = service.spec.ports;
      const backend = { service: { name: service.metadata.name, port: { name: port?.name } } };
      expect(spec).to.deep.equal({
        ingressClassName: "nginx",
        tls: [{ secretName: "images-tls", hosts: ["images.example.test"] }],
        rules: [
          {
            host: "images.example.test",
            http: { paths: [{ path: "/", pathType: "Prefix", backend }] },
          },
        ],
      });
      expect(service.spec.type).to.equal("LoadBalancer");
      expect(port).to.include({ port: 8443, targetPort: "people" });
    });

    it("lets in whom the values name, and nobody else, at its port", async () => {
      const objects = await render(folder, [], ["--values", join(ciFolder, "everything-values.yaml")]);
      const rule = theOnly(objects, "NetworkPolicy").spec.ingress.find(({ ports }) =>
        ports.some(({ port }) => port === 8444),
      );
      expect(rule?.from).to.deep.equal([
        { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "ingress-nginx" } } },
      ]);
    });

    it("is among the names of cert-manager's certificate", async () => {
      const rendered = JSON.stringify(await render(folder, ["certManager.enabled=true"]));
      expect(rendered).to.contain('"dnsNames":["berth.berth-system.svc","berth-people.berth-system.svc"]');
    });
  });

  it("has no right to write webhook configurations where somebody else copies the CA there", async () => {
    const objects = await render(folder, ["settings.caBundle=leave"]);
    const rules = theOnly(objects, "ClusterRole", "berth").rules;
    const verbs = rules.find(({ resources }) => resources.includes("validatingwebhookconfigurations"))?.verbs;
    expect(verbs).to.deep.equal(["get", "list", "watch"]);
  });

  it("leaves Pods the time that the drain takes", async () => {
    const objects = await render(folder, ["settings.drain=2m"]);
    const { terminationGracePeriodSeconds } = theOnly(objects, "Deployment").spec.template.spec;
    expect(terminationGracePeriodSeconds).to.equal(150);
  });

  it("gives rendered output webhooks that fail closed, and none of the hooks of an uninstall", async () => {
    for (const mode of ["warn", "enforce"]) {
      const text = JSON.stringify(await render(folder, [`policy.mode=${mode}`]));
      expect(text.split('"failurePolicy":"Fail"')).to.have.length(5);
      expect(text).not.to.contain("helm.sh/hook");
    }
  });
});
