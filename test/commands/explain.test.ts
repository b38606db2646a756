import { expect } from "chai";
import { explain as explainCommand } from "../../src/commands/explain.ts";
import { runProgram } from "../../src/commands/program.ts";
import type { Report } from "../../src/domain/report.ts";
import { readSettings } from "../../src/settings.ts";
import { createRecordingTerminal } from "../fakes/recording-terminal.ts";
import { passwordForms, startSamplePlatform, type SamplePlatform } from "../fakes/sample-platform.ts";

const at = (path: string): string => `harbor.example.test/${path}`;

describe("berth explain", () => {
  let platform: SamplePlatform;
  before(async () => {
    platform = await startSamplePlatform();
  });
  after(() => platform.close());

  async function explain(image: string, namespace: string, ...words: readonly string[]) {
    const terminal = createRecordingTerminal();
    const where = ["--namespace", namespace, "--from", platform.folder];
    const code = await runProgram(["explain", image, ...where, ...words], terminal);
    const [out, err] = [terminal.outText(), terminal.errText()];
    for (const form of passwordForms()) expect(out + err).not.to.include(form);
    return { code, out, err };
  }

  const rows: readonly [what: string, image: string, namespace: string, code: number, lines: RegExp[]][] = [
    [
      "a public space",
      at("library/nginx:1"),
      "sandbox",
      0,
      [
        /^namespace +sandbox: in no workspace$/m,
        /^space +library: public, id \d+$/m,
        /^verdict +allow \(public-space\)$/m,
      ],
    ],
    [
      "a proxy cache",
      at("hub-mirror/library/nginx"),
      "shop",
      0,
      [/^space +hub-mirror: public, a proxy cache of a foreign registry, id \d+$/m],
    ],
    [
      "a bound space",
      at("team-a/api:2.4"),
      "shop",
      0,
      [
        /^image +harbor\.example\.test\/team-a\/api:2\.4$/m,
        /^reads as +host harbor\.example\.test, repository team-a\/api, tag 2\.4$/m,
        /^namespace +shop: in workspace "12"$/m,
        /^registry +managed \(harbor\): .*harbor\.example\.test/m,
        /^space +team-a: private, id \d+$/m,
        /^binding +workspace "12" has it, with id \d+$/m,
        /^mode +enforce$/m,
        /^verdict +allow, with the pull secret \(bound-space\)$/m,
      ],
    ],
    [
      "a spelling that no key of a pull secret can match",
      "Harbor.example.test:443/team-a/api",
      "shop",
      0,
      [/^verdict +allow, with the pull secret/m, /^warning +.*write the host as/m],
    ],
    [
      "a private space of others",
      at("team-a/api:2.4"),
      "lab",
      1,
      [
        /^binding +none for this workspace$/m,
        /^verdict +refuse \(space-not-bound\)$/m,
        /^message +.*bind it.*library/m,
      ],
    ],
    ["a space that is not there", at("nobody/app"), "lab", 1, [/^space +nobody: not in the catalogue$/m]],
    [
      "an unlisted registry, with the host that a short name means",
      "nginx",
      "shop",
      1,
      [
        /^reads as +host docker\.io, repository library\/nginx$/m,
        /^registry +none claims this host$/m,
        /^verdict +refuse \(unlisted-registry\)$/m,
      ],
    ],
    [
      "an open registry",
      "archive.example.test:5000/app:7",
      "lab",
      0,
      [/^registry +archive \(docker-registry\): /m, /^verdict +allow \(open-registry\)$/m],
    ],
    [
      "a digest",
      at(`library/nginx@sha256:${"a".repeat(64)}`),
      "lab",
      0,
      [/^reads as +.*, digest sha256:a{64}$/m],
    ],
    ["a namespace that nobody knows", at("team-a/api"), "nowhere", 1, [/^namespace +nowhere: not known$/m]],
    ["an exempt namespace", "quay.io/x", "kube-system", 0, [/^verdict +allow \(exempt-namespace\)$/m]],
    ["a malformed image", "Not An Image", "lab", 1, [/^verdict +refuse \(malformed-image\)$/m]],
  ];
  for (const [what, image, namespace, code, lines] of rows) {
    it(`tells all that leads to the verdict on ${what}`, async () => {
      const result = await explain(image, namespace);
      for (const line of lines) expect(result.out).to.match(line);
      expect(result).to.include({ code, err: "" });
    });
  }

  it("prints the shape of check with --output json", async () => {
    const { code, out } = await explain(at("team-a/api:2.4"), "shop", "--output", "json");
    expect(code).to.equal(0);
    expect(JSON.parse(out) as readonly Report[]).to.deep.equal([
      {
        source: "command line",
        kind: "Image",
        namespace: "shop",
        name: "",
        workspace: "12",
        verdict: "allow",
        pullSecret: "berth-pull",
        message: null,
        images: [
          {
            path: "image",
            container: null,
            image: at("team-a/api:2.4"),
            host: "harbor.example.test",
            repository: "team-a/api",
            tag: "2.4",
            digest: null,
            registry: "managed",
            space: "team-a",
            allowed: true,
            reason: "bound-space",
          },
        ],
      },
    ]);
  });

  it("needs a namespace, and says so on one line", async () => {
    const terminal = createRecordingTerminal();
    expect(await runProgram(["explain", "nginx", "--from", platform.folder], terminal)).to.equal(2);
    expect(terminal.errText()).to.match(/^berth: [^\n]*--namespace[^\n]*\n$/);
  });

  it("exits with 2 while Harbor cannot be reached, with the reason, and says that it knows no space", async () => {
    platform.harbor.faults.always({ kind: "reset" });
    const terminal = createRecordingTerminal();
    const settings = readSettings({ from: platform.folder }, {});
    const options = { namespace: "shop", output: "text" } as const;
    const code = await explainCommand(at("team-a/api"), settings, options, terminal, 1_500);
    platform.harbor.faults.clear();
    expect(terminal.outText()).to.match(/^space +team-a: the registry has not been read$/m);
    expect(terminal.outText()).to.match(/^verdict +refuse \(catalogue-not-ready\)$/m);
    expect(terminal.errText()).to.match(/^could not read the catalogue of managed: [^\n]+\n$/);
    expect(code).to.equal(2);
  });
});
