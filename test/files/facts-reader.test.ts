import { expect } from "chai";
import { createFactsReader, type FactsReader } from "../../src/files/facts-reader.ts";
import type { FactsJob, FileFacts } from "../../src/files/cluster-facts.ts";

let reader: FactsReader;

function job(text: string): FactsJob {
  return { file: "f.yaml", bytes: Buffer.from(text), berthNamespace: "berth-system" };
}

const good = job("apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n");
const slow = job(Array.from({ length: 200_000 }, (_, i) => `- {a: ${i}}\n`).join(""));

function texts({ problems }: FileFacts): string[] {
  return problems.map(({ text }) => text);
}

describe("the reader of large manifests", () => {
  afterEach(() => reader.stop());

  it("reads one file after another", async () => {
    reader = createFactsReader();
    expect((await reader.read(good)).facts.map(({ name }) => name)).to.deep.equal(["a"]);
    expect(texts(await reader.read(job("a: [")))).to.have.length(1);
    expect((await reader.read(good)).facts).to.have.length(1);
  });

  it("reads on after it was idle for long enough to be ended", async () => {
    reader = createFactsReader({ idleMs: 1 });
    await reader.read(good);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect((await reader.read(good)).facts).to.have.length(1);
  });

  it("gives a file up that takes too long, and reads the next", async () => {
    reader = createFactsReader({ timeoutMs: 20 });
    const facts = await reader.read(slow);
    expect(facts).to.include({ whole: false });
    expect(texts(facts)).to.deep.equal(["could not be read: it took longer than 0.02 s"]);
    await reader.stop();
    reader = createFactsReader();
    expect((await reader.read(good)).facts).to.have.length(1);
  });

  it("gives a file up that takes too much memory, and reads the next", async () => {
    reader = createFactsReader({ maxHeapMb: 24 });
    expect(texts(await reader.read(slow))).to.deep.equal([
      "could not be read: it takes more memory than is allowed; split it",
    ]);
    expect((await reader.read(good)).facts).to.have.length(1);
  });

  it("answers what it was asked when it is stopped", async () => {
    reader = createFactsReader();
    const reading = reader.read(slow);
    await reader.stop();
    expect(texts(await reading)).to.deep.equal(["could not be read: the reader was stopped"]);
  });
});
