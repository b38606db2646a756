// The run on kind needs a container engine. Without one, this much can be held: its steps, its files, and the values of
// the chart that it sets.

import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "chai";
import { parse, parseAllDocuments } from "yaml";
import { validatePolicyDocument } from "../src/domain/policies.ts";
import { isObject } from "../src/domain/json.ts";
import { run } from "./cluster/process.ts";

const checkout = join(import.meta.dirname, "..");
const read = (...path: readonly string[]) => readFileSync(join(checkout, ...path), "utf8");
const script = join(checkout, "test", "kind", "run.sh");

describe("the run on kind", () => {
  let steps: string;
  before(async () => {
    const { code, stdout, stderr } = await run("bash", [script, "--dry-run"]);
    expect({ code, stderr }).to.deep.equal({ code: 0, stderr: "" });
    steps = stdout.replaceAll("'", "");
  });

  it("makes a cluster, an image, an installation, and takes all of it away", () => {
    const order = [
      "kind create cluster",
      "scripts/build-image.sh",
      "kind load docker-image",
      "helm install berth",
      "kubectl --namespace lab run asked",
      "run cleanup",
      "helm uninstall berth",
    ].map((step) => steps.indexOf(`+ ${step}`.replace("+ run", "run")));
    expect(
      order.every((at) => at >= 0),
      order.join(),
    ).to.equal(true);
    expect(order).to.deep.equal([...order].sort((a, b) => a - b));
    expect(steps.trimEnd().split("\n").at(-1)).to.equal("nothing was tried: these are the steps");
  });

  it("sets values that the chart has", () => {
    const values = parse(read("deploy", "chart", "values.yaml")) as unknown;
    const set = [...steps.matchAll(/--set (\S+?)=/g)].map(([, path = ""]) => path);
    expect(set).to.include("policy.mode");
    for (const path of set) {
      let at = values;
      for (const key of path.split(".")) at = isObject(at) ? at[key] : undefined;
      expect(at, path).to.not.equal(undefined);
    }
  });

  it("has manifests that can be read, with a policy that is valid", () => {
    for (const file of ["policy.yaml", "stand-in-harbor.yaml"]) {
      const documents = parseAllDocuments(read("test", "kind", file));
      for (const document of documents) expect(document.errors, file).to.deep.equal([]);
      for (const object of documents.map(
        (document) => document.toJS() as { data?: Record<string, string> },
      )) {
        const text = object.data?.["policy.yaml"];
        if (text === undefined) continue;
        const problems = validatePolicyDocument(text, { configMap: null, key: null, file });
        expect(problems.filter(({ severity }) => severity === "error")).to.deep.equal([]);
      }
    }
  });
});

describe("the workflows", () => {
  const folder = join(checkout, ".github", "workflows");
  for (const file of readdirSync(folder)) {
    it(`${file} takes every action by its commit, and may only read`, () => {
      const text = readFileSync(join(folder, file), "utf8");
      expect((parse(text) as { permissions: unknown }).permissions).to.deep.equal({ contents: "read" });
      const actions = [...text.matchAll(/uses: (.*)$/gm)].map(([, action]) => action);
      for (const action of actions) expect(action).to.match(/^[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    });
  }
});
