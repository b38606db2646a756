// The command line: names, flags, help. Each command's module is loaded only when it runs, because what a command
// loads is most of the time that a short one takes.

import { Command, CommanderError, Option } from "commander";
import { flagOf, readSettings, settingSpecs, variableOf, type SettingName } from "../settings.ts";
import { processTerminal, type Terminal } from "./terminal.ts";
import { version } from "./version.ts";

/** Wrong flags, bad values, or something outside that could not be used at all. */
const couldNotStart = 2;

/** Where manifests are judged: a folder, or a cluster. */
const placeSettings = [
  "from",
  "kubeconfig",
  "context",
  "workspaceLabel",
  "podTemplates",
  "harborClusters",
] as const satisfies SettingName[];

/** Runs a command line, without the program's own name. Resolves to the exit code. */
export async function runProgram(
  words: readonly string[],
  terminal: Terminal = processTerminal,
): Promise<number> {
  let code = 0;
  const program = createProgram(terminal, (given) => (code = given));
  try {
    await program.parseAsync([...words], { from: "user" });
    return code;
  } catch (err) {
    // Commander has written its line, or the help, by itself.
    if (err instanceof CommanderError) return err.exitCode === 0 ? 0 : couldNotStart;
    terminal.err(`berth: ${err instanceof Error ? err.message : String(err)}\n`);
    return couldNotStart;
  }
}

function createProgram(terminal: Terminal, end: (code: number) => void): Command {
  const program = new Command("berth")
    .description(
      "A namespace runs images from public registry spaces and from private spaces bound to its workspace.",
    )
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => terminal.err(text),
      // One line: an error, and the flag that was probably meant.
      outputError: (text, write) => write(`berth: ${text.trim().replaceAll("\n", " ")}\n`),
    });

  withSettings(program.command("serve"), Object.keys(settingSpecs) as SettingName[])
    .description("run the webhook: in a cluster, outside one with --kubeconfig, or on a folder with --from")
    .addHelpText(
      "after",
      examples(
        "berth serve                                     # in a Pod",
        "berth serve --kubeconfig ~/.kube/config --webhook-url https://10.0.0.5:8443",
        "berth serve --from ./manifests --log-level debug",
      ),
    )
    .action(async (_options, command: Command) => {
      const { serve } = await import("./serve.ts");
      end(await serve(readSettings(command.opts())));
    });

  withPlace(
    program.command("check").argument("<file...>", "manifests: files, folders, or - for standard input"),
  )
    .description(
      "judge manifests: exit 0 when all are allowed, 1 when one is refused, 2 when it cannot be told",
    )
    .option("--namespace <name>", "for objects that name none", "default")
    .addOption(outputOption())
    .option("--only-refused", "list only what is refused", false)
    .addHelpText(
      "after",
      examples(
        "berth check --from ./cluster deploy/",
        "helm template shop ./shop | berth check --from ./cluster --namespace shop -",
        "kubectl get pods -A -o json | berth check --only-refused -   # what runs against the rule",
      ),
    )
    .action(async (files: readonly string[], options: CheckFlags, command: Command) => {
      const { check } = await import("./check.ts");
      const { namespace, output, onlyRefused } = options;
      end(await check(files, placeOf(command), { namespace, output, onlyRefused }, terminal));
    });

  withPlace(program.command("explain").argument("<image>", "an image as a manifest would name it"))
    .description("the verdict for one image, with all that leads to it; exit codes as for check")
    .requiredOption("--namespace <name>", "the namespace that would run it")
    .addOption(outputOption())
    .addHelpText(
      "after",
      examples("berth explain harbor.example.test/team-a/app:1 --namespace shop --from ./cluster"),
    )
    .action(async (image: string, options: Pick<CheckFlags, "namespace" | "output">, command: Command) => {
      const { explain } = await import("./explain.ts");
      const { namespace, output } = options;
      end(await explain(image, placeOf(command), { namespace, output }, terminal));
    });

  withPlace(program.command("images"))
    .description("what a namespace may run, as the image selector shows it")
    .requiredOption("--namespace <name>", "the namespace that would run it")
    .option("--search <text>", "spaces and repositories with this text in their names")
    .addOption(
      new Option(
        "--tags <repository>",
        "tags of a repository, for example harbor.example.test/team-a/api",
      ).conflicts("search"),
    )
    .addOption(outputOption())
    .addHelpText(
      "after",
      examples(
        "berth images --namespace shop                   # spaces and registries",
        "berth images --namespace shop --search nginx",
        "berth images --namespace shop --tags harbor.example.test/team-a/api",
      ),
    )
    .action(async (options: Omit<CheckFlags, "onlyRefused"> & ImagesFlags, command: Command) => {
      const { images } = await import("./images.ts");
      const { namespace, search, tags, output } = options;
      end(await images(placeOf(command), { namespace, search, tags, output }, terminal));
    });

  withPlace(program.command("registries"))
    .description(
      "ask each registry of the policy whether all is well: exit 0 when it is, 1 when one has a problem, 2 when it cannot be told",
    )
    .addOption(outputOption())
    .addHelpText(
      "after",
      examples(
        "berth registries                                # with the rights of the kubeconfig's user; it writes nothing",
        "berth registries --from ./cluster --output json | jq '.[] | select(.state != \"up\")'",
      ),
    )
    .action(async ({ output }: Pick<CheckFlags, "output">, command: Command) => {
      const { registries } = await import("./registries.ts");
      end(await registries(placeOf(command), { output }, terminal));
    });

  program
    .command("check-policy")
    .argument("<file...>", "policy documents, or manifests of policy ConfigMaps; - for standard input")
    .description(
      "validate policy documents: exit 0 when all are valid, 1 when one is not, 2 when it cannot be told",
    )
    .addHelpText("after", examples("berth check-policy policy.yaml", "berth check-policy deploy/policies/"))
    .action(async (files: readonly string[]) => {
      const { checkPolicy } = await import("./check-policy.ts");
      end(await checkPolicy(files, terminal));
    });

  withSettings(program.command("cleanup"), ["kubeconfig", "context"])
    .description(
      "before an uninstallation: remove robots, pull secrets, records and what is published; exit 0 when all is gone, 1 when something is left, 2 when it could not begin",
    )
    .addOption(settingOption("namespace", "--berth-namespace"))
    .option("--dry-run", "tell what would be removed, and write nothing", false)
    .addHelpText(
      "after",
      examples(
        "berth cleanup --dry-run",
        "kubectl -n berth-system scale deployment berth --replicas=0 && berth cleanup   # with the rights of the kubeconfig's user",
      ),
    )
    .action(async ({ dryRun }: { dryRun: boolean }, command: Command) => {
      const { cleanup } = await import("./cleanup.ts");
      end(await cleanup(placeOf(command), { dryRun }, terminal));
    });

  withSettings(program.command("demo"), ["webhookPort", "peoplePort", "operationsPort", "logLevel"])
    .description("all of it on this machine, without a cluster")
    .option(
      "--once",
      "end after the show, with exit code 0 only if every verdict was the expected one",
      false,
    )
    .addHelpText("after", examples("berth demo", "berth demo --once"))
    .action(async (options: { once: boolean }, command: Command) => {
      const { demo } = await import("./demo.ts");
      end(await demo(command.opts(), options.once, terminal));
    });
  return program;
}

interface ImagesFlags {
  readonly search: string | undefined;
  readonly tags: string | undefined;
}

interface CheckFlags {
  readonly namespace: string;
  readonly output: "text" | "json";
  readonly onlyRefused: boolean;
}

function withSettings(command: Command, names: readonly SettingName[]): Command {
  for (const name of names) command.addOption(settingOption(name, flagOf(name)));
  return command;
}

function settingOption(name: SettingName, flag: string): Option {
  const { value, help, ...spec } = settingSpecs[name];
  const byDefault = "default" in spec && spec.default !== "" ? `, default ${spec.default}` : "";
  return new Option(`${flag} <${value}>`, `${help} (${variableOf(name)}${byDefault})`);
}

/** `--namespace` is the manifests' here, so that Berth's own has a longer name. */
function withPlace(command: Command): Command {
  return withSettings(command, placeSettings).addOption(settingOption("namespace", "--berth-namespace"));
}

function placeOf(command: Command) {
  const { berthNamespace, ...given } = command.opts<Record<string, string>>();
  const place = Object.fromEntries(placeSettings.map((name) => [name, given[name]]));
  const flags = { ...place, namespace: berthNamespace };
  return readSettings(Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined)));
}

function outputOption(): Option {
  return new Option("--output <format>", "text, or json for programs")
    .choices(["text", "json"])
    .default("text");
}

function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  ${line}\n`).join("")}`;
}
