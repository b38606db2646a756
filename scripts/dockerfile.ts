// Reads the few instructions that the Dockerfile is made of. Anything else is an error: who follows the file line by
// line must not pass over a line.

export interface Dockerfile {
  /** Name → default; undefined for one without. */
  readonly args: ReadonlyMap<string, string | undefined>;
  readonly stages: readonly Stage[];
}

export interface Stage {
  /** As written: an image, or the name of an earlier stage. */
  readonly from: string;
  readonly name: string | undefined;
  /** In their order. */
  readonly steps: readonly Step[];
  readonly env: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly user: string | undefined;
  readonly ports: readonly string[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
}

export type Step =
  | { readonly kind: "run"; readonly command: string }
  | {
      readonly kind: "copy";
      /** A stage; undefined for the build's own folder. */
      readonly from: string | undefined;
      readonly sources: readonly string[];
      readonly target: string;
    };

export function parseDockerfile(text: string): Dockerfile {
  const args = new Map<string, string | undefined>();
  const stages: Stage[] = [];
  const lines = text.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
  for (const line of lines) {
    const [instruction = "", ...words] = line.split(" ");
    const rest = words.join(" ");
    if (instruction === "ARG" && stages.length === 0) {
      const [name = "", value] = rest.split("=", 2);
      args.set(name, value);
    } else if (instruction === "FROM") {
      stages.push(stageFrom(words.filter((word) => !word.startsWith("--platform="))));
    } else {
      const stage = stages.pop();
      if (stage === undefined) throw new Error(`expected FROM before: ${line}`);
      stages.push({ ...stage, ...changeOf(stage, instruction, rest, line) });
    }
  }
  return { args, stages };
}

function stageFrom([from = "", as, name]: readonly string[]): Stage {
  const nothing = { steps: [], env: {}, user: undefined, ports: [], entrypoint: [], command: [] };
  return { from, name: as === "AS" ? name : undefined, workdir: "/", ...nothing };
}

function changeOf(stage: Stage, instruction: string, rest: string, line: string): Partial<Stage> {
  switch (instruction) {
    case "WORKDIR":
      return { workdir: rest };
    case "USER":
      return { user: rest };
    case "RUN":
      return { steps: [...stage.steps, { kind: "run", command: rest }] };
    case "COPY":
      return { steps: [...stage.steps, copyOf(rest)] };
    case "ENV":
      return { env: { ...stage.env, ...pairsOf(rest) } };
    case "EXPOSE":
      return { ports: rest.split(" ") };
    case "ENTRYPOINT":
      return { entrypoint: JSON.parse(rest) as readonly string[] };
    case "CMD":
      return { command: JSON.parse(rest) as readonly string[] };
    default:
      throw new Error(`expected an instruction that scripts/dockerfile.ts knows, got: ${line}`);
  }
}

function pairsOf(rest: string): Readonly<Record<string, string>> {
  const pairs = rest.split(" ").map((pair): [string, string] => {
    const [name = "", value = ""] = pair.split("=", 2);
    return [name, value];
  });
  return Object.fromEntries(pairs);
}

function copyOf(rest: string): Step {
  const words = rest.split(" ");
  const from = words[0]?.startsWith("--from=") === true ? words.shift()?.slice("--from=".length) : undefined;
  return { kind: "copy", from, sources: words.slice(0, -1), target: words.at(-1) ?? "" };
}
