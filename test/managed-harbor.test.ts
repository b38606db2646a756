import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, globSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { expect } from "chai";
import { parse, parseAllDocuments } from "yaml";
import { runProgram } from "../src/commands/program.ts";
import { createRecordingTerminal } from "./fakes/recording-terminal.ts";

// What is documented as two commands has to be what Berth and the official Harbor chart take.

const folder = join(import.meta.dirname, "..", "deploy", "managed-harbor");
const textOf = (file: string): string => readFileSync(join(folder, file), "utf8");

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly stringData?: Readonly<Record<string, string>>;
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: unknown;
}
type Values = Readonly<Record<string, unknown>>;

const manifestsIn = (text: string): readonly Manifest[] =>
  parseAllDocuments(text).flatMap((document) => {
    const value = document.toJS() as Manifest | null;
    return value === null ? [] : [value];
  });
const manifests = manifestsIn(textOf("berth.yaml"));
const named = (all: readonly Manifest[], kind: string, name: string): Manifest =>
  all.find((each) => each.kind === kind && each.metadata.name === name)!;
const values = parse(textOf("values.yaml")) as Values;
const harborSecrets = named(manifests, "Secret", "harbor-secrets").stringData!;
/** With a password in the place of each placeholder, as the documented command leaves it. */
const filled = (text: string): string => text.replaceAll(/<([A-Z-]+)>/g, (_, name: string) => `made-${name}`);

describe("the documented managed Harbor", () => {
  it("is integrated by a policy that is valid without a remark", async () => {
    const terminal = createRecordingTerminal();
    const code = await runProgram(["check-policy", join(folder, "berth.yaml")], terminal);
    expect({ code, out: terminal.outText(), err: terminal.errText() }).to.deep.equal({
      ...{ code: 0, out: "1 documents, 0 errors, 0 warnings\n", err: "" },
    });
  });

  it("has one address in the policy and for the chart, and one password for Berth and for Harbor", () => {
    const { data } = named(manifests, "ConfigMap", "managed-harbor");
    const policy = parse(data!["policy.yaml"]!) as { registries: Record<string, string>[] };
    const [registry] = policy.registries;
    const { externalURL, expose } = values as { externalURL: string; expose: { ingress: { hosts: object } } };
    expect(registry?.["url"]).to.equal(externalURL);
    expect(expose.ingress.hosts).to.deep.equal({ core: new URL(externalURL).host });
    const login = named(manifests, "Secret", registry?.["credentialsSecret"] ?? "");
    expect(login.metadata.namespace).to.equal("berth-system");
    expect(login.stringData?.["password"]).to.equal(harborSecrets["HARBOR_ADMIN_PASSWORD"]);
  });

  it("has no password but placeholders, each of which the documented command replaces", () => {
    const placeholders = new Set(textOf("berth.yaml").match(/<[A-Z-]+>/g));
    const replaced = textOf("README.md").match(/(?<=-e "s\/)<[A-Z-]+>(?=\/\$\(openssl rand -hex \d+\)\/")/g);
    expect(new Set(replaced)).to.deep.equal(placeholders);
    expect(placeholders.size).to.equal(4);
    expect(JSON.stringify(values)).not.to.match(/"(?:password|harborAdminPassword|secretKey)":/);
    // Harbor takes a key of 16 characters and no other, so that nobody runs it with the placeholder.
    expect(harborSecrets["secretKey"]).not.to.have.length(16);
  });

  it("is installed in the version of the chart that the values are written for", () => {
    const version = /--version (\S+)/.exec(textOf("README.md"))?.[1];
    expect(textOf("values.yaml")).to.include(`goharbor/harbor-helm, ${version})`);
  });

  it("lets Berth read no Secret of a HarborCluster's namespace but those that are named", () => {
    const [role] = manifestsIn(textOf("harbor-cluster-reader.yaml")) as unknown as {
      kind: string;
      rules: { resources: string[]; resourceNames?: string[]; verbs: string[] }[];
    }[];
    expect(role?.kind).to.equal("Role");
    expect(role?.rules.map(({ resources, verbs }) => [...resources, ...verbs])).to.deep.equal([
      ["harborclusters", "list"],
      ["secrets", "get"],
    ]);
    expect(role?.rules[1]?.resourceNames).to.have.length(1);
  });

  describe("as the official chart takes it", () => {
    const chart = chartFolder();
    const helm = helmBinary();
    before(function () {
      if (chart === undefined) this.skip();
    });

    it("has only values that the chart knows", () => {
      const known = parse(readFileSync(join(chart!, "values.yaml"), "utf8")) as Values;
      const given = [values, parse(harborSecrets["values.yaml"]!) as Values];
      expect(given.flatMap((each) => unknownIn(each, known))).to.deep.equal([]);
    });

    it("renders to a Harbor at that address, with its passwords from the Secret and no default one", function () {
      if (helm === undefined) this.skip();
      const rendered = render(helm, chart!);
      const core = named(rendered, "Deployment", "harbor-core");
      const text = JSON.stringify(core.spec);
      expect(text).to.include('{"name":"harbor-secrets","key":"HARBOR_ADMIN_PASSWORD"}');
      expect(text).to.include('{"secretName":"harbor-secrets","items":[{"key":"secretKey"');
      const { externalURL } = values as { externalURL: string };
      expect(named(rendered, "ConfigMap", "harbor-core").data?.["EXT_ENDPOINT"]).to.equal(externalURL);
      const tls = [{ secretName: "harbor-tls", hosts: [new URL(externalURL).host] }];
      expect(named(rendered, "Ingress", "harbor-ingress").spec).to.deep.include({ tls });
      const known = parse(readFileSync(join(chart!, "values.yaml"), "utf8")) as {
        harborAdminPassword: string;
        secretKey: string;
        database: { internal: { password: string } };
        registry: { credentials: { password: string } };
      };
      const all = rendered.map((each) => decodedText(each)).join("\n");
      for (const published of [
        known.harborAdminPassword,
        known.secretKey,
        known.database.internal.password,
        known.registry.credentials.password,
      ]) {
        expect(all).not.to.include(published);
      }
      for (const made of ["DATABASE", "REGISTRY"]) expect(all).to.include(`made-${made}-PASSWORD`);
    });

    it("has Pods to whose labels the network policy of what others reach applies", function () {
      if (helm === undefined) this.skip();
      const { spec } = named(manifests, "NetworkPolicy", "harbor-front") as unknown as {
        spec: { podSelector: { matchExpressions: { key: string; values: string[] }[] } };
      };
      const [{ key, values: front } = { key: "", values: [] }] = spec.podSelector.matchExpressions;
      const components = render(helm, chart!)
        .filter(({ kind }) => kind === "Deployment" || kind === "StatefulSet")
        .map(({ spec: workload }) => {
          const { template } = workload as { template: { metadata: { labels: Record<string, string> } } };
          return template.metadata.labels[key];
        });
      expect(components).to.include.members(["core", "portal", "database", "redis", "registry"]);
      expect(components.filter((each) => front.includes(each ?? ""))).to.have.members(["core", "portal"]);
    });
  });
});

/** By `BERTH_HARBOR_CHART`, or in the cache; it is never part of the checkout. */
function chartFolder(): string | undefined {
  const cached = globSync("harbor-helm-*", { cwd: cacheFolder() }).map((name) => join(cacheFolder(), name));
  return process.env["BERTH_HARBOR_CHART"] ?? cached.find((path) => existsSync(join(path, "Chart.yaml")));
}

function helmBinary(): string | undefined {
  const cached = globSync(["helm", "*/helm"], { cwd: cacheFolder() }).map((name) =>
    join(cacheFolder(), name),
  );
  const onPath = (process.env["PATH"] ?? "").split(delimiter).map((each) => join(each, "helm"));
  return [...cached, ...onPath].find(isExecutableFile);
}

function cacheFolder(): string {
  return join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "berth");
}

function isExecutableFile(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    // A folder of that name can be entered, which counts as executable too.
    return globSync(path, { withFileTypes: true }).some((entry) => entry.isFile());
  } catch {
    return false;
  }
}

/** As the second documented command does it, without a cluster. */
function render(helm: string, chart: string): readonly Manifest[] {
  const words = ["template", "harbor", chart, "--namespace", "harbor", "--kube-version", "1.34.0"];
  const { status, stdout, stderr } = spawnSync(
    helm,
    [...words, "--values", join(folder, "values.yaml"), "--values", "-"],
    { input: filled(harborSecrets["values.yaml"]!), encoding: "utf8", timeout: 15_000 },
  );
  expect({ status, stderr }).to.deep.equal({ status: 0, stderr: "" });
  return manifestsIn(stdout);
}

/** Paths of values that another tree of values does not have. */
function unknownIn(given: Values, known: Values, path = ""): readonly string[] {
  return Object.entries(given).flatMap(([key, value]) => {
    const here = `${path}${key}`;
    // Annotations are free; all else in the chart's values is named there, if only as an empty one.
    if (path.endsWith("annotations.")) return [];
    if (!Object.hasOwn(known, key)) return [here];
    const other = known[key];
    return isTree(value) && isTree(other) ? unknownIn(value, other, `${here}.`) : [];
  });
}

function isTree(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** All that an object says, Secrets decoded. */
function decodedText({ kind, data, ...rest }: Manifest): string {
  const decoded = Object.entries(data ?? {}).map(([key, text]) =>
    kind === "Secret" ? `${key}: ${Buffer.from(text, "base64").toString("utf8")}` : `${key}: ${text}`,
  );
  return [...decoded, JSON.stringify(rest)].join("\n");
}
