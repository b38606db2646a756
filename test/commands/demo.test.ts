import { expect } from "chai";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { attempts } from "../../src/demo/sample-cluster.ts";

const main = join(import.meta.dirname, "..", "..", "src", "main.ts");

describe("berth demo", () => {
  let temporary: string;
  beforeEach(async () => {
    temporary = await mkdtemp(join(tmpdir(), "berth-demo-test-"));
  });
  afterEach(() => rm(temporary, { recursive: true }));

  interface Ended {
    readonly code: number | null;
    readonly out: string;
    readonly err: string;
  }

  /** The program as a process, with a temporary folder of its own; when it has said `until`, it is interrupted. */
  async function demo(words: readonly string[], until?: string): Promise<Ended> {
    const environment = {
      ...process.env,
      TMPDIR: temporary,
      NODE_COMPILE_CACHE: join(tmpdir(), "node-compile-cache"),
    };
    const child = spawn(process.execPath, [main, "demo", ...words], { env: environment });
    let [out, err] = ["", ""];
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString();
      if (until !== undefined && out.includes(until)) child.kill("SIGINT");
    });
    child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
    // What did not end by itself has failed the test; it must not outlive it.
    const timer = setTimeout(() => child.kill("SIGKILL"), 18_000);
    const [code] = (await once(child, "close")) as [number | null];
    clearTimeout(timer);
    return { code, out, err };
  }

  it("shows a verdict for each deploy, each as expected, and leaves nothing behind", async () => {
    const { code, out, err } = await demo([
      "--once",
      "--webhook-port",
      "0",
      "--people-port",
      "0",
      "--operations-port",
      "0",
    ]);
    // Three more follow a visibility change, its end, and an edit of the policy.
    expect(out).to.include(`${String(attempts.length + 3)} verdicts, each as expected.`);
    expect(out).to.include('is refused: space "team-a" of registry "managed" is private and not bound');
    expect(out).to.match(/Pod no-thief .* allow .* bound-space .* added/);
    expect(out, "colour is for terminals").not.to.include("\u001b");
    expect({ code, err }).to.deep.equal({ code: 0, err: "" });
    expect(await readdir(temporary)).to.deep.equal([]);
  });

  it("goes on without --once until it is interrupted, says what can be tried, and then ends with 0", async () => {
    const { code, out } = await demo([], "Ctrl-C ends it all");
    expect(code).to.equal(0);
    expect(out).to.match(/The webhook answers on https:\/\/localhost:\d+/);
    expect(await readdir(temporary)).to.deep.equal([]);
  });

  const failures: [what: string, words: (port: string) => string[], line: RegExp][] = [
    ["a port is taken", (port) => ["--webhook-port", port], /EADDRINUSE/],
    ["a flag has a bad value", () => ["--operations-port", "many"], /--operations-port: expected a port/],
  ];
  for (const [what, words, line] of failures) {
    it(`ends with 2 and one clear line when ${what}, and leaves nothing behind`, async () => {
      const holder = createServer().listen(0, "127.0.0.1");
      await once(holder, "listening");
      const { port } = holder.address() as AddressInfo;
      const { code, out, err } = await demo(["--once", ...words(String(port))]);
      holder.close();
      expect(err).to.match(/^berth: [^\n]+\n$/);
      expect(err).to.match(line);
      expect({ code, out }).to.deep.equal({ code: 2, out: "" });
      expect(await readdir(temporary)).to.deep.equal([]);
    });
  }
});
