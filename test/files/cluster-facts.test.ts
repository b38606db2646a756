import { expect } from "chai";
import { type FileFacts, readFacts } from "../../src/files/cluster-facts.ts";
import { manifestProblemLine } from "../../src/files/manifests.ts";

function read(text: string): FileFacts {
  return readFacts({ file: "f.yaml", bytes: Buffer.from(text), berthNamespace: "berth-system" });
}

function problemLines(text: string): string[] {
  return read(text).problems.map(manifestProblemLine);
}

function secret(body: string, namespace = "berth-system"): string {
  return `apiVersion: v1\nkind: Secret\nmetadata: {name: login, namespace: ${namespace}}\n${body}`;
}

function secretData(body: string): unknown {
  const [fact] = read(secret(body)).facts;
  return fact?.kind === "Secret" ? fact.data : undefined;
}

const policy = (metadata: string, data = "data: {a.yaml: 'mode: warn'}\n"): string =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata: ${metadata}\n${data}`;

describe("what a file says about namespaces", () => {
  it("is their labels, wherever they stand", () => {
    const { facts, problems } = read(
      "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels: {workspace.ghippo.io/id: '12'}\n---\n" +
        '{"apiVersion": "v1", "kind": "NamespaceList", "items": [{"metadata": {"name": "b"}}]}\n',
    );
    expect(problems).to.deep.equal([]);
    expect(facts).to.deep.equal([
      {
        kind: "Namespace",
        name: "a",
        file: "f.yaml",
        position: { line: 1, column: 1 },
        labels: { "workspace.ghippo.io/id": "12" },
      },
      { kind: "Namespace", name: "b", file: "f.yaml", position: { line: 7, column: 57 }, labels: {} },
    ]);
  });

  const wrong: [title: string, text: string, line: string][] = [
    [
      "a workspace id without quotes",
      "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n    workspace.ghippo.io/id: 12\n",
      'f.yaml:6:29: Namespace a: metadata.labels["workspace.ghippo.io/id"]: expected text, found a number; put it in quotes',
    ],
    [
      "labels that are text",
      "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n  labels:\n    workspace.gh\n",
      "f.yaml:6:5: Namespace a: metadata.labels: expected a mapping, found text",
    ],
    [
      "a name that is a number",
      "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: 12\n",
      "f.yaml:4:9: Namespace: metadata.name: expected text, found a number; put it in quotes",
    ],
    [
      "no metadata",
      "apiVersion: v1\nkind: Namespace\nmetadata:\n",
      "f.yaml:3:10: Namespace: metadata.name: expected text, found nothing",
    ],
  ];
  for (const [title, text, line] of wrong) {
    it(`cannot be ${title}`, () => {
      expect(read(text).facts).to.deep.equal([]);
      expect(problemLines(text)).to.deep.equal([line]);
    });
  }

  it("names the objects that are wrong, and says so when one cannot be named", () => {
    const unquoted =
      "apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {workspace.ghippo.io/id: 12}}\n";
    const nameless = "apiVersion: v1\nkind: Namespace\nmetadata:\n";
    expect(read(unquoted)).to.include({ whole: true }).and.to.have.deep.property("broken", ["Namespace/a"]);
    expect(read(nameless)).to.include({ whole: false });
    expect(read("a: [")).to.include({ whole: false });
    expect(read("mode: enforce\n")).to.include({ whole: false });
  });
});

describe("what a file says about the policy", () => {
  it("stands in ConfigMaps of Berth's namespace with the label, with the places of their texts", () => {
    const { facts } = read(
      policy(
        "{name: p, namespace: berth-system, labels: {berth.io/policy: 'true'}}",
        "data:\n  a.yaml: |\n    x\n",
      ),
    );
    expect(facts).to.deep.equal([
      {
        kind: "ConfigMap",
        name: "p",
        file: "f.yaml",
        position: { line: 1, column: 1 },
        configMap: {
          name: "p",
          data: { "a.yaml": "x\n" },
          origin: { file: "f.yaml", positions: { "a.yaml": { line: 6, column: 5, literal: true } } },
        },
      },
    ]);
  });

  const ignored: [title: string, text: string][] = [
    ["one without the label", policy("{name: p, namespace: berth-system}")],
    ["one with another value", policy("{name: p, namespace: berth-system, labels: {berth.io/policy: 'no'}}")],
    ["one of another namespace", policy("{name: p, namespace: team-a, labels: {berth.io/policy: 'true'}}")],
    [
      "one of another API",
      policy("{name: p, namespace: berth-system, labels: {berth.io/policy: 'true'}}").replace(
        "v1",
        "x.io/v1",
      ),
    ],
  ];
  for (const [title, text] of ignored) {
    it(`is not read from ${title}`, () => {
      expect(read(text)).to.deep.equal({ facts: [], problems: [], broken: [], whole: true });
    });
  }

  it("is not read from one without namespace, which is a warning", () => {
    const text = policy("{name: p, labels: {berth.io/policy: 'true'}}");
    expect(read(text).facts).to.deep.equal([]);
    expect(read(text).problems.map(({ severity }) => severity)).to.deep.equal(["warning"]);
    expect(problemLines(text)[0]).to.match(
      /f.yaml:3:\d+: ConfigMap p: expected metadata.namespace, found none/,
    );
  });

  it("is wrong when the label lacks its quotes, or a document its bar", () => {
    expect(
      problemLines(policy("{name: p, namespace: berth-system, labels: {berth.io/policy: true}}"))[0],
    ).to.match(/metadata.labels\["berth.io\/policy"\]: expected text, found a boolean; put it in quotes/);
    expect(
      problemLines(
        policy(
          "{name: p, namespace: berth-system, labels: {berth.io/policy: 'true'}}",
          "data:\n  a.yaml:\n    mode: warn\n",
        ),
      ),
    ).to.deep.equal([
      'f.yaml:6:5: ConfigMap p: data["a.yaml"]: expected text, found a mapping; a document inside a value begins with "|"',
    ]);
  });
});

describe("what a file says about secrets", () => {
  const cases: [title: string, body: string, data: Record<string, string>][] = [
    [
      "data is base64",
      "data: {username: YWRtaW4=, password: cMOkc3M=}\n",
      { username: "admin", password: "päss" },
    ],
    ["stringData is plain", "stringData: {password: plain}\n", { password: "plain" }],
    [
      "stringData wins over data",
      "data: {username: YWRtaW4=, password: b2xk}\nstringData: {password: new}\n",
      { username: "admin", password: "new" },
    ],
    ["base64 over several lines", "data:\n  ca.crt: |\n    YWRt\n    aW4=\n", { "ca.crt": "admin" }],
    ["no data at all", "type: Opaque\n", {}],
    ["null and empty values", "data: {a: '', b: null}\nstringData:\n", { a: "", b: "" }],
    ["a name of JavaScript's own", "stringData: {__proto__: x}\n", { ["__proto__"]: "x" }],
  ];
  for (const [title, body, data] of cases) {
    it(title, () => expect(secretData(body)).to.deep.equal(data));
  }

  it("of other namespaces is nothing to Berth, right or wrong", () => {
    const none = { facts: [], problems: [], broken: [], whole: true };
    expect(read(secret("data: {password: '!!!'}\n", "team-a"))).to.deep.equal(none);
  });

  const wrong: [title: string, body: string, line: RegExp][] = [
    [
      "garbage in data",
      "data: {password: 'hunter2!'}\n",
      /^f.yaml:4:18: Secret login: data.password is not base64; plain text belongs in stringData$/,
    ],
    ["base64 without its end", "data: {password: hunter2}\n", /data.password is not base64/],
    [
      "a number in stringData",
      "stringData: {password: 20220222}\n",
      /stringData.password: expected text, found a n/,
    ],
    ["a list for data", "data: [hunter2]\n", /data: expected a mapping, found a list/],
  ];
  for (const [title, body, line] of wrong) {
    it(`cannot be ${title}, and the problem keeps it secret`, () => {
      const { facts, broken } = read(secret(body));
      expect(facts).to.deep.equal([]);
      expect(broken).to.deep.equal(["Secret/login"]);
      const lines = problemLines(secret(body));
      expect(lines).to.have.length(1);
      expect(lines[0]).to.match(line);
      expect(lines[0]).not.to.match(/hunter2|20220222/);
    });
  }
});

describe("every other kind", () => {
  it("is ignored, whatever it holds", () => {
    const text = ["Pod", "Deployment", "Widget"]
      .map((kind) => `apiVersion: v1\nkind: ${kind}\n`)
      .join("---\n");
    expect(read(text)).to.deep.equal({ facts: [], problems: [], broken: [], whole: true });
  });
});
