import { expect } from "chai";
import { runProgram } from "../../src/commands/program.ts";
import type { Findings, OpenSpace, TagList } from "../../src/http/people-shapes.ts";
import { createRecordingTerminal } from "../fakes/recording-terminal.ts";
import { passwordForms, startSamplePlatform, type SamplePlatform } from "../fakes/sample-platform.ts";

describe("berth images", () => {
  let platform: SamplePlatform;
  before(async () => {
    platform = await startSamplePlatform();
  });
  after(() => platform.close());
  afterEach(() => platform.harbor.faults.clear());

  async function images(namespace: string, ...words: readonly string[]) {
    const terminal = createRecordingTerminal();
    const where = ["--namespace", namespace, "--from", platform.folder];
    const code = await runProgram(["images", ...where, ...words], terminal);
    const [out, err] = [terminal.outText(), terminal.errText()];
    for (const form of passwordForms()) expect(out + err).not.to.include(form);
    return { code, out, err };
  }

  it("prints the spaces and registries that the namespace may use, and why", async () => {
    const { code, out } = await images("shop");
    expect(code).to.equal(0);
    expect(out).to.match(/^namespace shop, in workspace "12"$/m);
    expect(out).to.match(/\/team-a\/\.\.\. +│ managed +│ private +│ bound-space/);
    expect(out).to.match(/\/hub-mirror\/\.\.\. +│ managed +│ public, proxy cache +│ public-space/);
    expect(out).to.match(/\/\.\.\. +│ archive +│ - +│ open-registry/);
    expect(out).to.not.match(/team-b|models/);
  });

  it("says of a namespace without workspace that it has none", async () => {
    const { out } = await images("sandbox");
    expect(out)
      .to.match(/^namespace sandbox, in no workspace$/m)
      .and.not.include("private");
  });

  it("finds by part of a name what the namespace may use, and nothing else", async () => {
    const { out } = await images("shop", "--search", "nginx");
    expect(out).to.include("/library/nginx-unprivileged");
    const none = await images("shop", "--search", "trainer");
    expect(none).to.include({
      code: 0,
      out: 'nothing that the namespace may use has "trainer" in its name\n',
    });
  });

  it("prints the tags of a repository, by any spelling of its registry", async () => {
    const { out } = await images("shop", "--tags", "harbor.example.test/team-a/jobs/nightly");
    expect(out).to.match(/\/team-a\/jobs\/nightly:7 +│ \S+Z +│ linux\/amd64 +│ sha256:[0-9a-f]{64}/);
  });

  it("prints the shapes of the API for programs", async () => {
    const view = JSON.parse((await images("lab", "--output", "json")).out) as { spaces: OpenSpace[] };
    expect(view.spaces.map(({ name }) => name)).to.deep.equal([
      "hub-mirror",
      "library",
      "models",
      "platform",
    ]);
    const found = JSON.parse((await images("lab", "--search", "tool", "--output", "json")).out) as Findings;
    expect(found.repositories.map(({ name }) => name)).to.have.members(["tools/backup", "platform/tools"]);
    const tags = ["--tags", "archive.example.test:5000/app", "--output", "json"];
    const list = JSON.parse((await images("lab", ...tags)).out) as TagList;
    expect(list.items.map(({ name }) => name)).to.deep.equal(["7", "6"]);
  });

  const refused: [title: string, namespace: string, words: string[], told: RegExp][] = [
    ["a namespace that is not there", "nowhere", [], /no such namespace/],
    [
      "tags of a space that is not open",
      "shop",
      ["--tags", "harbor.example.test/team-b/app"],
      /no such space/,
    ],
    ["tags of a registry that is none", "shop", ["--tags", "quay.io/team/app"], /No registry .* "quay\.io"/],
    ["tags of something without host", "shop", ["--tags", "app"], /No registry/],
    [
      "tags of a repository that is not there",
      "shop",
      ["--tags", "harbor.example.test/team-a/none"],
      /no such repository|has no tags/,
    ],
  ];
  for (const [title, namespace, words, told] of refused) {
    it(`ends with 2 at ${title}`, async () => {
      const { code, out, err } = await images(namespace, ...words);
      expect(out + err).to.match(told);
      if (!out.includes("has no tags")) expect(code).to.equal(2);
    });
  }

  it("says why a registry could not be asked, with the registry's own words", async () => {
    platform.harbor.faults.always({ kind: "status", status: 500 }, /artifacts/);
    const { code, err } = await images("shop", "--tags", "harbor.example.test/team-a/api");
    expect(code).to.equal(2);
    expect(err).to.match(/could not be asked.*\(list tags of team-a\/api, page 1 of .*500/);
  });

  it("takes --search or --tags, not both", async () => {
    const { code, err } = await images("shop", "--search", "a", "--tags", "b/c");
    expect(code).to.equal(2);
    expect(err).to.match(/cannot be used with/);
  });
});
