import { expect } from "chai";
import {
  certificateModeOf,
  clusterEndpoint,
  flagOf,
  readSettings,
  SettingsError,
  settingSpecs,
  variableOf,
  type SettingName,
} from "../src/settings.ts";

function failureOf(
  flags: Partial<Record<SettingName, string>>,
  environment: Record<string, string> = {},
): string {
  try {
    readSettings(flags, environment);
  } catch (err) {
    if (err instanceof SettingsError) return err.message;
    throw err;
  }
  return "it is valid";
}

describe("settings", () => {
  it("have their documented values where nobody sets them", () => {
    const { podTemplates, ...settings } = readSettings({}, {});
    expect(podTemplates.size).to.equal(0);
    expect(settings).to.deep.equal({
      namespace: "berth-system",
      workspaceLabel: "workspace.ghippo.io/id",
      catalogueInterval: 15_000,
      catalogueMaxAge: 3_600_000,
      stale: "serve",
      logLevel: "info",
      webhookPort: 8443,
      peoplePort: 8444,
      operationsPort: 8080,
      serviceName: "berth",
      certificateMode: "auto",
      caBundle: "keep",
      caLifetime: 365 * 86_400_000,
      leafLifetime: 7 * 86_400_000,
      clusterName: "cluster",
      harborClusters: [],
      peopleProxyNames: [],
      robotDays: 30,
      namespaceGuard: "enforce",
      drain: 15_000,
    });
  });

  const named: [name: SettingName, flag: string, variable: string][] = [
    ["from", "--from", "BERTH_FROM"],
    ["catalogueInterval", "--catalogue-interval", "BERTH_CATALOGUE_INTERVAL"],
    ["webhookClientCa", "--webhook-client-ca", "BERTH_WEBHOOK_CLIENT_CA"],
    ["podTemplates", "--pod-templates", "BERTH_POD_TEMPLATES"],
    ["peopleProxyCa", "--people-proxy-ca", "BERTH_PEOPLE_PROXY_CA"],
  ];
  for (const [name, flag, variable] of named) {
    it(`${name} is ${flag} and ${variable}`, () => {
      expect([flagOf(name), variableOf(name)]).to.deep.equal([flag, variable]);
    });
  }

  it("come from the flag, else from the variable, else from the default", () => {
    const environment = { BERTH_NAMESPACE: "by-variable", BERTH_LOG_LEVEL: "debug" };
    const { namespace, logLevel, stale } = readSettings({ namespace: "by-flag" }, environment);
    expect([namespace, logLevel, stale]).to.deep.equal(["by-flag", "debug", "serve"]);
  });

  it("take an empty variable for none, as deployment tools write it, and an empty flag for a mistake", () => {
    expect(readSettings({}, { BERTH_FROM: "", BERTH_DRAIN: "" })).to.include({ drain: 15_000 });
    expect(readSettings({}, { BERTH_FROM: "" })).not.to.have.property("from");
    expect(failureOf({ from: "" })).to.equal('--from: expected a value, got ""');
  });

  it("ignore every other variable, and names of the prototype", () => {
    expect(readSettings({}, { BERTH_OTHER: "x", PORT: "1" })).not.to.have.any.keys("other", "port");
    expect(failureOf({}, Object.create({ BERTH_NAMESPACE: "ok" }) as Record<string, string>)).to.equal(
      "it is valid",
    );
  });

  it("cannot be changed afterwards", () => {
    expect(readSettings({}, {})).to.be.frozen;
  });

  const valid: [name: SettingName, text: string, value: unknown][] = [
    ["catalogueInterval", "1s", 1_000],
    ["catalogueInterval", "5m", 300_000],
    ["catalogueMaxAge", "48h", 172_800_000],
    ["drain", "0s", 0],
    ["caLifetime", "1m", 60_000],
    ["caLifetime", "3650d", 3_650 * 86_400_000],
    ["leafLifetime", "10s", 10_000],
    ["leafLifetime", "168h", 7 * 86_400_000],
    ["webhookPort", "0", 0],
    ["operationsPort", "65535", 65_535],
    ["peoplePort", "0", 0],
    ["peoplePort", "off", "off"],
    ["namespace", "a", "a"],
    ["namespace", "a".repeat(63), "a".repeat(63)],
    ["workspaceLabel", "team", "team"],
    ["workspaceLabel", "example.test/Team_1.x", "example.test/Team_1.x"],
    ["stale", "refuse-unbound", "refuse-unbound"],
    ["webhookUrl", "https://10.0.0.5:8443", "https://10.0.0.5:8443"],
    ["webhookUrl", "https://[::1]:8443/", "https://[::1]:8443/"],
  ];
  for (const [name, text, value] of valid) {
    it(`${name} may be ${text.slice(0, 30)}`, () => {
      expect(readSettings({ [name]: text }, {})[name]).to.equal(value);
    });
  }

  it("harborClusters is a list of namespaces, each once, with or without blanks", () => {
    const { harborClusters } = readSettings({}, { BERTH_HARBOR_CLUSTERS: "registry, team-a,,registry" });
    expect(harborClusters).to.deep.equal(["registry", "team-a"]);
  });

  it("peopleProxyNames is a list of common names, each once, blanks inside included", () => {
    const flags = { peopleProxyCa: "ca.crt", peopleProxyNames: "front-proxy, Berth Gateway,,front-proxy" };
    expect(readSettings(flags, {}).peopleProxyNames).to.deep.equal(["front-proxy", "Berth Gateway"]);
  });

  const invalid: [name: SettingName, text: string, expected: RegExp][] = [
    ["harborClusters", "registry,*", /expected names of namespaces, separated by commas, at most 20/],
    ["harborClusters", Array.from({ length: 21 }, (_, n) => `n${n}`).join(), /at most 20/],
    ["catalogueInterval", "15", /expected a duration such as 15s, 5m or 1h, at most 48h/],
    ["catalogueInterval", "1.5s", /expected a duration/],
    ["catalogueInterval", "1m30s", /expected a duration/],
    ["catalogueInterval", "-1s", /expected a duration/],
    ["catalogueInterval", "500ms", /expected a duration/],
    ["catalogueInterval", " 15s", /expected a duration/],
    ["catalogueInterval", "0s", /at least 1s/],
    ["catalogueMaxAge", "49h", /at most 48h/],
    ["catalogueMaxAge", "999999h", /at most 48h/],
    ["drain", "soon", /expected a duration/],
    ["drain", "1d", /expected a duration such as 15s, 5m or 1h, at most 48h/],
    ["caLifetime", "59s", /expected a duration such as 12h or 90d, from 1m to 3650d/],
    ["caLifetime", "3651d", /from 1m to 3650d/],
    ["caLifetime", "1y", /from 1m to 3650d/],
    ["leafLifetime", "9s", /from 10s to 3650d/],
    ["leafLifetime", "", /from 10s to 3650d/],
    ["serviceName", "berth.svc", /expected the name of a Service/],
    ["caBundle", "no", /expected keep or leave/],
    ["webhookPort", "65536", /expected a port from 0 to 65535/],
    ["webhookPort", "-1", /expected a port/],
    ["webhookPort", "https", /expected a port/],
    ["webhookPort", "0x50", /expected a port/],
    ["operationsPort", "8080.0", /expected a port/],
    ["operationsPort", "off", /expected a port/],
    ["peoplePort", "65536", /expected a port from 0 to 65535, 0 for any free one, or off/],
    ["peoplePort", "no", /or off/],
    ["peopleProxyNames", "a".repeat(65), /expected common names .*, at most 20 of 64 characters/],
    ["peopleProxyNames", Array.from({ length: 21 }, (_, n) => `n${n}`).join(), /at most 20/],
    ["namespace", "Berth", /expected the name of a namespace/],
    ["namespace", "berth.system", /expected the name of a namespace/],
    ["namespace", "berth-", /expected the name of a namespace/],
    ["namespace", "a".repeat(64), /expected the name of a namespace/],
    ["workspaceLabel", "a/b/c", /expected the key of a label/],
    ["workspaceLabel", "example.test/", /expected the key of a label/],
    ["workspaceLabel", "Example.test/id", /expected the key of a label/],
    ["workspaceLabel", "with blank", /expected the key of a label/],
    ["stale", "refuse", /expected serve or refuse-unbound/],
    ["logLevel", "trace", /expected debug, info, warn or error/],
    ["certificateMode", "cert-manager", /expected auto, managed, files or self-signed/],
    ["webhookUrl", "http://10.0.0.5", /expected an https:\/\/ URL/],
    ["webhookUrl", "10.0.0.5:8443", /expected an https:\/\/ URL/],
    ["podTemplates", "Rollout=spec", /expected <group>\/<Kind>=<path of the pod spec>/],
  ];
  for (const [name, text, expected] of invalid) {
    it(`${name} may not be ${JSON.stringify(text.slice(0, 30))}, and the flag is told`, () => {
      const failure = failureOf({ [name]: text });
      expect(failure).to.match(expected);
      expect(failure).to.match(new RegExp(`^${flagOf(name)}: `));
      expect(failure.endsWith(`, got ${JSON.stringify(text)}`)).to.equal(true);
    });
  }

  it("name the variable where the value comes from there", () => {
    expect(failureOf({}, { BERTH_WEBHOOK_PORT: "x" })).to.match(
      /^BERTH_WEBHOOK_PORT: expected a port.*, got "x"$/,
    );
  });

  it("fail on one line, and at one place, whatever was given", () => {
    const environment = { BERTH_CATALOGUE_INTERVAL: "15s\n", BERTH_DRAIN: "x" };
    expect(failureOf({}, environment)).to.match(/^BERTH_CATALOGUE_INTERVAL: [ -~]+, got "15s\\n"$/);
  });

  describe("that do not go together", () => {
    it("a folder takes the place of a cluster", () => {
      expect(failureOf({ from: "." }, { BERTH_KUBECONFIG: "k" })).to.match(
        /--from and --kubeconfig exclude each other/,
      );
    });
    it("certificate files have to be named, both", () => {
      const needs = /--certificate-mode files needs --certificate-file and --key-file/;
      expect(failureOf({ certificateMode: "files", certificateFile: "a" })).to.match(needs);
      expect(failureOf({ certificateMode: "files", keyFile: "a" })).to.match(needs);
      expect(failureOf({ certificateFile: "a" })).to.match(needs);
      for (const certificateMode of ["files", "auto"]) {
        expect(failureOf({ certificateMode, certificateFile: "a", keyFile: "b" })).to.equal("it is valid");
      }
    });
    it("certificate files are for no other mode", () => {
      expect(failureOf({ certificateMode: "managed", certificateFile: "a", keyFile: "b" })).to.equal(
        "--certificate-file and --key-file are not for --certificate-mode managed",
      );
    });
    it("files of the people's port have to be named, both", () => {
      const needs = /^--people-certificate-file and --people-key-file need each other$/;
      expect(failureOf({ peopleCertificateFile: "a" })).to.match(needs);
      expect(failureOf({}, { BERTH_PEOPLE_KEY_FILE: "b" })).to.match(needs);
      for (const certificateMode of ["managed", "self-signed", "auto"]) {
        const files = { peopleCertificateFile: "a", peopleKeyFile: "b" };
        expect(failureOf({ certificateMode, ...files })).to.equal("it is valid");
      }
    });
    it("names of a proxy need the CA of their certificates, and a proxy a cluster", () => {
      expect(failureOf({ peopleProxyNames: "front-proxy" })).to.equal(
        "--people-proxy-names needs --people-proxy-ca: the CA of those certificates",
      );
      expect(failureOf({ peopleProxyCa: "ca.crt" })).to.equal("it is valid");
      expect(failureOf({ peopleProxyCa: "ca.crt", from: "." })).to.match(/--people-proxy-ca needs a cluster/);
    });
    it("a managed certificate needs a cluster", () => {
      expect(failureOf({ certificateMode: "managed", from: "." })).to.match(/managed needs a cluster/);
    });
  });

  describe("of the certificate, by default", () => {
    const files = { certificateFile: "a", keyFile: "b" };
    const rows: [what: string, flags: Partial<Record<SettingName, string>>, mode: string][] = [
      ["in a cluster it is kept by Berth", {}, "managed"],
      ["by a kubeconfig too", { kubeconfig: "k" }, "managed"],
      ["on a folder it is made at start", { from: "." }, "self-signed"],
      ["files that are named are read", files, "files"],
      ["and on a folder too", { ...files, from: "." }, "files"],
      ["what is set holds", { certificateMode: "self-signed" }, "self-signed"],
    ];
    for (const [what, flags, mode] of rows) {
      it(what, () => expect(certificateModeOf(readSettings(flags, {}))).to.equal(mode));
    }
  });

  it("say what each is for, and what its value looks like", () => {
    for (const [name, spec] of Object.entries(settingSpecs)) {
      expect(spec.help, name).to.match(/^\S.{15,}\S$/);
      expect(spec.value, name).to.match(/^[A-Z]+$/);
    }
  });

  it("tell where the API server is for a Pod, and that there is none outside a cluster", () => {
    const environment = { KUBERNETES_SERVICE_HOST: "10.96.0.1", KUBERNETES_SERVICE_PORT: "443" };
    expect(clusterEndpoint(environment)).to.deep.equal({ host: "10.96.0.1", port: "443" });
    expect(clusterEndpoint({ KUBERNETES_SERVICE_HOST: "10.96.0.1" })).to.equal(undefined);
    expect(clusterEndpoint({})).to.equal(undefined);
  });
});
