import { expect } from "chai";
import { manifestProblemLine, parseManifestBytes, parseManifests } from "../../src/files/manifests.ts";

const pod = (name: string): object => ({ apiVersion: "v1", kind: "Pod", metadata: { name } });

describe("the objects of a manifest file", () => {
  it("name the file alone when it holds one", () => {
    const { objects, problems } = parseManifests("apiVersion: v1\nkind: Pod\n", "pod.yaml");
    expect(objects.map(({ source }) => source)).to.deep.equal(["pod.yaml"]);
    expect(problems).to.deep.equal([]);
  });

  it("name the document and the item when it holds several", () => {
    const text = [
      "# first comes a comment\n",
      "apiVersion: v1\nkind: Pod\n",
      `apiVersion: v1\nkind: List\nitems: ${JSON.stringify([pod("a"), pod("b")])}\n`,
    ].join("---\n");
    expect(parseManifests(text, "all.yaml").objects.map(({ source }) => source)).to.deep.equal([
      "all.yaml: document 1",
      "all.yaml: document 2, items[0]",
      "all.yaml: document 2, items[1]",
    ]);
  });

  it("are found in lists of lists, with the whole way there", () => {
    const inner = { apiVersion: "v1", kind: "List", items: [pod("a"), pod("b")] };
    const { objects } = parseManifests(
      JSON.stringify({ apiVersion: "v1", kind: "List", items: [inner, pod("c")] }),
      "-",
    );
    expect(objects.map(({ source, value }) => [source, value["metadata"]])).to.deep.equal([
      ["-: items[0].items[0]", { name: "a" }],
      ["-: items[0].items[1]", { name: "b" }],
      ["-: items[1]", { name: "c" }],
    ]);
  });

  it("take from a typed list what its items leave out", () => {
    const { objects } = parseManifests(
      JSON.stringify({ apiVersion: "apps/v1", kind: "DeploymentList", items: [{ metadata: { name: "a" } }] }),
      "d.json",
    );
    expect(objects.map(({ value }) => value)).to.deep.equal([
      { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "a" } },
    ]);
  });

  it("are none in an empty list", () => {
    for (const items of ["[]", "null"])
      expect(parseManifests(`{"apiVersion":"v1","kind":"List","items":${items}}`, "x")).to.deep.equal({
        objects: [],
        problems: [],
      });
  });

  it("may be of a kind that only sounds like a list", () => {
    const { objects } = parseManifests("apiVersion: example.test/v1\nkind: AllowList\nspec: {}\n", "x.yaml");
    expect(objects.map(({ value }) => value.kind)).to.deep.equal(["AllowList"]);
  });

  it("know where their fields are, in lists too", () => {
    const text =
      "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: a\n";
    const [object] = parseManifests(text, "x.yaml").objects;
    expect(object!.positionOf([])).to.deep.equal({ line: 4, column: 3 });
    expect(object!.positionOf(["metadata", "name"])).to.deep.equal({ line: 7, column: 11 });
  });
});

describe("what is no Kubernetes object", () => {
  const cases: [text: string, line: string][] = [
    ["just text\n", "f:1:1: expected a Kubernetes object with apiVersion and kind, found text"],
    ["- a\n", "f:1:1: expected a Kubernetes object with apiVersion and kind, found a list"],
    ["12\n", "f:1:1: expected a Kubernetes object with apiVersion and kind, found a number"],
    [
      "mode: enforce\n",
      "f:1:1: expected a Kubernetes object with apiVersion and kind, found a mapping without kind",
    ],
    [
      "kind: Pod\n",
      "f:1:1: expected a Kubernetes object with apiVersion and kind, found one without apiVersion",
    ],
    [
      "apiVersion: v1\nkind: List\nitems:\n- a\n",
      "f:4:3: expected a Kubernetes object with apiVersion and kind, found text",
    ],
    [
      "apiVersion: v1\nkind: 12\n",
      "f:1:1: expected a Kubernetes object with apiVersion and kind, found a mapping without kind",
    ],
  ];
  for (const [text, line] of cases) {
    it(line, () => {
      const { objects, problems } = parseManifests(text, "f");
      expect(objects).to.deep.equal([]);
      expect(problems.map(manifestProblemLine)).to.deep.equal([line]);
    });
  }

  it("leaves the other objects of the file alone", () => {
    const { objects, problems } = parseManifests("a: 1\n---\napiVersion: v1\nkind: Pod\n", "f");
    expect(objects.map(({ source }) => source)).to.deep.equal(["f: document 2"]);
    expect(problems.map(({ source }) => source)).to.deep.equal(["f: document 1"]);
  });

  it("is listed up to a hundred times", () => {
    expect(parseManifests("a: 1\n---\n".repeat(500), "f").problems).to.have.length(100);
  });

  it("is a list a thousand lists deep", () => {
    const text = `${'{"apiVersion":"v1","kind":"List","items":['.repeat(1000)}${"]}".repeat(1000)}`;
    expect(parseManifests(text, "f").problems.map(({ text: says }) => says)).to.deep.equal([
      "has lists in lists, more than 3 deep",
    ]);
  });
});

describe("the bytes of a manifest file", () => {
  it("are read as UTF-8, with or without a mark", () => {
    const bytes = Buffer.from("\uFEFFapiVersion: v1\nkind: Pod\nnote: ö\n");
    expect(parseManifestBytes(bytes, "f").objects[0]!.value["note"]).to.equal("ö");
  });

  it("are one problem when they are something else", () => {
    const { objects, problems } = parseManifestBytes(Buffer.from([0x61, 0xff, 0xfe]), "f");
    expect(objects).to.deep.equal([]);
    expect(problems.map(manifestProblemLine)).to.deep.equal(["f: is not text in UTF-8"]);
  });
});
