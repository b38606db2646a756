import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { parse } from "yaml";
import { chartValues, readmeWith } from "../../scripts/chart.ts";
import { runProgram } from "../../src/commands/program.ts";
import { readSettings, settingSpecs, variableOf, type SettingName } from "../../src/settings.ts";
import { createRecordingTerminal } from "../fakes/recording-terminal.ts";
import { containerOf, deployFolder, installed } from "./manifests.ts";

// The chart's values are a promise as flags are: each is documented, checked, and means what its name says.

const read = (...path: string[]) => readFileSync(join(deployFolder, ...path), "utf8");
const valuesText = read("chart", "values.yaml");
const values = parse(valuesText) as Readonly<Record<string, unknown>>;
const settings = values["settings"] as Readonly<Record<string, string | number>>;

interface Schema {
  readonly type?: string;
  readonly additionalProperties?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
}
const schema = JSON.parse(read("chart", "values.schema.json")) as Schema;

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const documented = chartValues(valuesText);
const documentedPaths = new Set(documented.map(({ path }) => path));

/** Names in the schema and not in the values, and the other way around; of what is documented as one value, none. */
function differences(given: unknown, expected: Schema, path: string): string[] {
  if (documentedPaths.has(path.slice(0, -1))) return [];
  if (expected.properties === undefined || !isMap(given)) return [];
  const inSchema = Object.keys(expected.properties).map((name) => `${path}${name}`);
  const inValues = Object.keys(given).map((name) => `${path}${name}`);
  const here = [
    ...inSchema.filter((name) => !inValues.includes(name)).map((name) => `${name}: only in the schema`),
    ...inValues.filter((name) => !inSchema.includes(name)).map((name) => `${name}: only in the values`),
  ];
  const below = Object.entries(expected.properties).flatMap(([name, one]) =>
    differences(given[name], one, `${path}${name}.`),
  );
  return [...here, ...below];
}

function openMaps(one: Schema, path: string): string[] {
  const below = Object.entries(one.properties ?? {}).flatMap(([name, each]) =>
    openMaps(each, `${path}.${name}`),
  );
  return one.properties !== undefined && one.additionalProperties !== false ? [path, ...below] : below;
}

/** Settings that the chart sets by something else than a value of their name; null for those not for a cluster. */
const otherwise: Readonly<Partial<Record<SettingName, string | null>>> = {
  namespace: "the release's namespace",
  serviceName: "the chart's own Service",
  certificateMode: "certManager.enabled, certificate.existingSecret",
  certificateFile: "certManager.enabled, certificate.existingSecret",
  keyFile: "certManager.enabled, certificate.existingSecret",
  webhookClientCa: "webhook.clientCaSecret",
  peopleCertificateFile: "people.certificateSecret",
  peopleKeyFile: "people.certificateSecret",
  peopleProxyCa: "people.proxyCaSecret",
  peopleProxyNames: "people.proxyNames",
  podTemplates: "customResources",
  harborClusters: "harborClusters",
  from: null,
  kubeconfig: null,
  context: null,
  webhookUrl: null,
};

describe("the values of the chart", () => {
  it("are all in the schema, and nothing else is", () => {
    // Helm itself sets it for a chart that is a part of another.
    expect(differences(values, schema, "")).to.deep.equal(["global: only in the schema"]);
  });

  it("are refused where the schema does not know them", () => {
    const probes = ["startupProbe", "livenessProbe", "readinessProbe"];
    expect(openMaps(schema, "")).to.deep.equal([]);
    for (const name of probes) expect(schema.properties?.[name]?.additionalProperties).to.equal(false);
  });

  it("are all documented, and the README's table is of these", async () => {
    const isDocumented = (path: string) =>
      [...documentedPaths].some((one) => path === one || path.startsWith(`${one}.`));
    const leaves = (given: unknown, path: string): string[] =>
      isMap(given) && Object.keys(given).length > 0
        ? Object.entries(given).flatMap(([name, one]) => leaves(one, path === "" ? name : `${path}.${name}`))
        : [path];
    expect(leaves(values, "").filter((path) => !isDocumented(path))).to.deep.equal([]);
    const readme = read("chart", "README.md");
    expect(readme, "`node scripts/chart.ts` writes it").to.equal(await readmeWith(readme, documented));
  });

  for (const name of Object.keys(settingSpecs) as SettingName[]) {
    const by = otherwise[name];
    if (by === null) continue;
    it(`set ${variableOf(name)}, by ${by ?? `settings.${name}`}`, () => {
      if (by === undefined) {
        const { [name]: given, ...rest } = readSettings({}, { [variableOf(name)]: String(settings[name]) });
        const { [name]: byDefault, ...others } = readSettings({}, {});
        expect([given, rest], "as when nobody sets it").to.deep.equal([byDefault, others]);
      }
      const isOfFiles = /FILE$|_CA$/.test(variableOf(name));
      expect(containerOf(installed).env.some((one) => one.name === variableOf(name))).to.equal(!isOfFiles);
    });
  }

  it("have no setting that Berth does not have", () => {
    expect(Object.keys(settingSpecs)).to.include.members(Object.keys(settings));
  });
});

describe("the chart", () => {
  it("has the version of the package", () => {
    const { version } = JSON.parse(read("..", "package.json")) as { readonly version: string };
    expect(parse(read("chart", "Chart.yaml"))).to.include({ version, appVersion: version });
  });

  it("knows the same names by default as the suites' webhooks", () => {
    expect(settings["workspaceLabel"]).to.equal("workspace.ghippo.io/id");
    expect(values["exemptNamespaces"]).to.deep.equal(["kube-system"]);
  });
});

describe("deploy/policies", () => {
  it("validates as one policy, without a warning", async () => {
    const files = ["settings", "registries", "bindings", "spaces"].map((name) =>
      join(deployFolder, "policies", `${name}.yaml`),
    );
    const terminal = createRecordingTerminal({ input: "" });
    expect(await runProgram(["check-policy", ...files], terminal)).to.equal(0);
    expect(terminal.outText()).to.equal("5 documents, 0 errors, 0 warnings\n");
  });
});
