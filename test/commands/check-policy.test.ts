import { expect } from "chai";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "../../src/commands/program.ts";
import { createRecordingTerminal } from "../fakes/recording-terminal.ts";

const registries = [
  "registries:",
  "  - { name: managed, type: harbor, url: https://harbor.test, credentialsSecret: login }",
];
const bindings = ["bindings:", '  - { workspace: "12", registry: managed, spaces: [team-a] }'];

function configMap(name: string, lines: readonly string[], labels = '{ "berth.io/policy": "true" }'): string {
  return [
    "apiVersion: v1",
    "kind: ConfigMap",
    `metadata: { name: ${name}, namespace: berth-system, labels: ${labels} }`,
    "data:",
    "  policy.yaml: |",
    ...lines.map((line) => `    ${line}`),
    "  notes.txt: no document",
    "",
  ].join("\n");
}

describe("berth check-policy", () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-policies-"));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function checkPolicy(words: readonly string[], input = "") {
    const terminal = createRecordingTerminal({ input });
    const code = await runProgram(["check-policy", ...words], terminal);
    return { code, out: terminal.outText(), err: terminal.errText() };
  }
  async function file(name: string, text: string): Promise<string> {
    const path = join(folder, name);
    await writeFile(path, text);
    return path;
  }

  it("accepts a good document with 0", async () => {
    const path = await file("policy.yaml", [...registries, ...bindings].join("\n"));
    expect(await checkPolicy([path])).to.deep.equal({
      code: 0,
      out: "1 documents, 0 errors, 0 warnings\n",
      err: "",
    });
  });

  it("reports an error with file, line, column and what was expected, and exits with 1", async () => {
    const path = await file("policy.yaml", "mode: enforce\nunlistedRegistries: sometimes\n");
    const { code, out } = await checkPolicy([path]);
    expect(code).to.equal(1);
    expect(out).to.match(/policy\.yaml:2:21: error: .*deny/);
    expect(out).to.match(/^1 documents, 1 errors, 0 warnings$/m);
  });

  it("says how to mend a workspace id that is a number", async () => {
    const input = "bindings:\n  - { workspace: 12, registry: managed, spaces: [team-a] }\n";
    const { code, out } = await checkPolicy(["-"], input);
    expect(code).to.equal(1);
    expect(out).to.match(/^standard input:2:18: error: .*"12"/m);
  });

  it("exits with 0 when there are only warnings", async () => {
    const { code, out } = await checkPolicy(["-"], registries.join("\n").replace("https:", "http:"));
    expect(out).to.match(/warning: /);
    expect(out).to.match(/1 documents, 0 errors, 1 warnings/);
    expect(code).to.equal(0);
  });

  it("says of a document that is not YAML what is wrong with it", async () => {
    const { code, out } = await checkPolicy(["-"], "registries: [\n");
    expect(out).to.match(/^standard input:\d+:\d+: error: /);
    expect(code).to.equal(1);
  });

  it("finds a document's place in the manifest of its ConfigMap", async () => {
    const path = await file("cm.yaml", configMap("platform", [...registries, "bindings: nothing"]));
    const { code, out } = await checkPolicy([path]);
    expect(out).to.match(/cm\.yaml:8:\d+: error: ConfigMap platform\/policy\.yaml: /);
    expect(code).to.equal(1);
  });

  it("holds the ConfigMaps of a folder against each other, and reads those below", async () => {
    await mkdir(join(folder, "more"));
    await file("a.yaml", configMap("registries", registries));
    await file(join("more", "b.yaml"), configMap("bindings", bindings));
    expect(await checkPolicy([folder])).to.include({ code: 0, err: "" });

    await file(join("more", "b.yaml"), configMap("bindings", [...registries, ...bindings]));
    const { code, out } = await checkPolicy([folder]);
    expect(out).to.match(/error: .*"?managed"?/);
    expect(code).to.equal(1);
  });

  it("counts no ConfigMap without the label, and then cannot tell", async () => {
    const { code, out } = await checkPolicy(["-"], configMap("other", ["mode: nonsense"], "{}"));
    expect({ code, out }).to.deep.equal({ code: 2, out: "0 documents, 0 errors, 0 warnings\n" });
  });

  it("exits with 2 for a file that is not there, on one line", async () => {
    const { code, out, err } = await checkPolicy([join(folder, "absent.yaml")]);
    expect({ code, out }).to.deep.equal({ code: 2, out: "" });
    expect(err).to.match(/^berth: [^\n]*absent\.yaml[^\n]*\n$/);
  });

  it("exits with 2 when an object beside the policy cannot be read", async () => {
    const text = `${configMap("platform", registries)}---\njust: text\n`;
    const { code, err } = await checkPolicy(["-"], text);
    expect(err).to.match(/^standard input:\d+:\d+: expected a Kubernetes object[^\n]*\n$/);
    expect(code).to.equal(2);
  });

  it("takes a broken manifest for what it is, and quotes nothing of a Secret beside the policy", async () => {
    const secret = (password: string): string =>
      `apiVersion: v1\nkind: Secret\nmetadata: { name: login }\nstringData:\n  password: ${password}\n`;
    const spoilt = [
      "*never-shown",
      ">never-shown",
      "|x never-shown",
      '"never-shown" never-shown',
      "{ never-shown: 1, never-shown: 2 }",
    ];
    await file("policy.yaml", configMap("platform", registries));
    for (const password of spoilt) {
      await file("secret.yaml", secret(password));
      const { code, out, err } = await checkPolicy([folder]);
      expect(err).to.match(/^[^\n]*secret\.yaml:5:\d+: is not YAML that can be read: [^\n]+\n$/);
      expect(out + err).not.to.include("never-shown");
      expect(code).to.equal(2);
    }
    const { code, out, err } = await checkPolicy(
      ["-"],
      '{"apiVersion":"v1","kind":"Secret","stringData":{"a":never-shown}}',
    );
    expect(out + err).not.to.include("never-shown");
    expect(code).to.equal(2);
  });
});
