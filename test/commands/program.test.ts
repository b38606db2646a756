import { expect } from "chai";
import { runProgram } from "../../src/commands/program.ts";
import { settingSpecs, flagOf, variableOf, type SettingName } from "../../src/settings.ts";
import { createRecordingTerminal } from "../fakes/recording-terminal.ts";

async function run(...words: readonly string[]) {
  const terminal = createRecordingTerminal();
  const code = await runProgram(words, terminal);
  return { code, out: terminal.outText(), err: terminal.errText() };
}

describe("the command line", () => {
  describe("what cannot be started ends with exit code 2 and one clear line", () => {
    const rows: readonly [what: string, words: string[], line: RegExp][] = [
      ["an unknown command", ["serv"], /unknown command 'serv'.*serve/],
      ["an unknown flag", ["serve", "--catalog-interval", "1s"], /--catalog-interval.*--catalogue-interval/],
      ["an unknown flag of a short command", ["check", "--form", ".", "x.yaml"], /--form.*--from/],
      ["a flag without its value", ["serve", "--from"], /--from <DIR>/],
      ["no file", ["check"], /missing required argument 'file'/],
      ["no image", ["explain", "--namespace", "a"], /missing required argument 'image'/],
      ["a second image", ["explain", "a", "b", "--namespace", "n"], /too many arguments/],
      ["an output of no known format", ["check", "--output", "yaml", "-"], /--output.*text, json/],
      [
        "a duration without unit",
        ["serve", "--catalogue-interval", "15"],
        /--catalogue-interval: expected a duration such as 15s, 5m or 1h, at most 48h, got "15"/,
      ],
      ["an interval below 1s", ["serve", "--catalogue-interval", "0s"], /at least 1s, got "0s"/],
      ["a port that is none", ["serve", "--webhook-port", "70000"], /--webhook-port: expected a port/],
      [
        "an unknown level",
        ["serve", "--log-level", "loud"],
        /--log-level: expected debug, info, warn or error/,
      ],
      [
        "two places at once",
        ["check", "--from", ".", "--kubeconfig", "k", "-"],
        /--from and --kubeconfig exclude each other/,
      ],
      [
        "kinds that cannot be read",
        ["check", "--from", ".", "--pod-templates", "Rollout", "-"],
        /--pod-templates: expected <group>\/<Kind>/,
      ],
      [
        "certificate files that are not named",
        ["serve", "--from", ".", "--certificate-mode", "files"],
        /needs --certificate-file and --key-file/,
      ],
      ["a folder that is not there", ["serve", "--from", "/nonexistent/berth"], /\/nonexistent\/berth/],
    ];
    for (const [what, words, line] of rows) {
      it(what, async () => {
        const { code, out, err } = await run(...words);
        expect(err).to.match(/^berth: [^\n]+\n$/);
        expect(err).to.match(line);
        expect({ code, out }).to.deep.equal({ code: 2, out: "" });
      });
    }

    it("a variable's bad value, named as the variable", async () => {
      process.env["BERTH_CATALOGUE_INTERVAL"] = "soon";
      try {
        const { code, err } = await run("check", "--from", ".", "-");
        expect(err).to.match(/^berth: BERTH_CATALOGUE_INTERVAL: [^\n]+\n$/);
        expect(code).to.equal(2);
      } finally {
        delete process.env["BERTH_CATALOGUE_INTERVAL"];
      }
    });
  });

  describe("help", () => {
    it("lists every command, and ends with 0", async () => {
      const { code, out, err } = await run("--help");
      for (const command of ["serve", "check", "explain", "registries", "check-policy", "demo"])
        expect(out).to.match(new RegExp(`^ +${command}\\b`, "m"));
      expect({ code, err }).to.deep.equal({ code: 0, err: "" });
    });

    it("of serve names every setting by flag and variable", async () => {
      const { code, out } = await run("serve", "--help");
      for (const name of Object.keys(settingSpecs) as SettingName[]) {
        expect(out).to.include(`${flagOf(name)} <`);
        expect(out).to.include(variableOf(name));
      }
      expect(code).to.equal(0);
    });

    for (const command of ["serve", "check", "explain", "registries", "check-policy", "demo"]) {
      it(`of ${command} ends with examples`, async () => {
        const { code, out } = await run(command, "--help");
        expect(out).to.match(/\nExamples:\n( {2}.*berth .+\n)+\n*$/);
        expect(code).to.equal(0);
      });
    }
  });

  it("prints its version", async () => {
    const { code, out } = await run("--version");
    expect(out).to.match(/^\d+\.\d+\.\d+\n$/);
    expect(code).to.equal(0);
  });
});
