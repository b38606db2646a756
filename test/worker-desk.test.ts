import { expect } from "chai";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { createWorkerDesk, type WorkerDesk, type WorkerDeskOptions } from "../src/worker-desk.ts";

/** Answers with the thread that it is and the job; some jobs go wrong as work does. */
const workerText = `
import { parentPort, threadId } from "node:worker_threads";
parentPort.on("message", (job) => {
  if (job === "throw") throw Object.assign(new Error("it says: " + job), { code: "ERR_TEST" });
  if (job === "throw plainly") throw new Error("it says: " + job);
  if (job === "exit") process.exit(1);
  if (job === "hang") for (;;);
  if (job === "grow") for (const all = []; ; ) all.push(new Array(1000).fill(job));
  parentPort.postMessage({ threadId, job });
});
`;

interface Echo {
  readonly threadId: number;
  readonly job: string;
}

describe("a worker desk", () => {
  let folder: string;
  let desk: WorkerDesk<string, Echo>;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), "berth-worker-"));
    await writeFile(join(folder, "echo.mjs"), workerText);
  });
  after(() => rm(folder, { recursive: true }));
  afterEach(() => desk.stop());

  function open(more: Partial<WorkerDeskOptions> = {}): void {
    const url = pathToFileURL(join(folder, "echo.mjs"));
    desk = createWorkerDesk({ url, timeoutMs: 10_000, maxHeapMb: 64, maxWaiting: 3, ...more });
  }

  async function echo(job: string): Promise<Echo> {
    const answer = await desk.ask(job);
    if (answer.kind === "failed") throw new Error(answer.why);
    return answer.result;
  }

  it("answers each job with its own result, in order, from one thread", async () => {
    open();
    const answers = await Promise.all(["a", "b", "c"].map(echo));
    expect(answers.map(({ job }) => job)).to.deep.equal(["a", "b", "c"]);
    expect(new Set(answers.map(({ threadId }) => threadId)).size).to.equal(1);
  });

  const rows: readonly [job: string, why: string, more?: Partial<WorkerDeskOptions>][] = [
    ["throw", "the reader failed with ERR_TEST"],
    ["throw plainly", "the reader failed"],
    ["exit", "the reader was stopped"],
    ["hang", "it took longer than 2 s", { timeoutMs: 2_000 }],
    ["grow", "it takes more memory than is allowed; split it", { maxHeapMb: 16 }],
  ];
  for (const [job, why, more] of rows) {
    it(`loses the job that makes it ${job}, says why without its words, and goes on in another thread`, async () => {
      open(more);
      const { threadId } = await echo("before");
      expect(await desk.ask(job)).to.deep.equal({ kind: "failed", why });
      const next = await echo("after");
      expect(next.job).to.equal("after");
      expect(next.threadId).to.be.greaterThan(threadId);
    });
  }

  it("does the jobs that wait behind one that fails", async () => {
    open();
    const [failed, next] = await Promise.all([desk.ask("throw"), desk.ask("next")]);
    expect(failed.kind).to.equal("failed");
    expect(next).to.have.nested.property("result.job", "next");
  });

  it("turns away at once what would wait behind too many", async () => {
    open({ maxWaiting: 1 });
    const answers = await Promise.all(["a", "b", "c"].map((job) => desk.ask(job)));
    expect(answers.map(({ kind }) => kind)).to.deep.equal(["done", "done", "failed"]);
    expect(answers[2]).to.deep.equal({ kind: "failed", why: "too much is waiting to be read" });
    expect((await echo("d")).job).to.equal("d");
  });

  it("lets its thread go when it has been idle, and starts another with the next job", async () => {
    open({ idleMs: 1 });
    const { threadId } = await echo("a");
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect((await echo("b")).threadId).to.be.greaterThan(threadId);
  });

  it("begins nothing that was asked before it stopped, and works when it is asked again", async () => {
    open();
    await echo("first");
    const waiting = Promise.all([desk.ask("hang"), desk.ask("never begun")]);
    // The first is with the thread by the time the desk stops.
    await new Promise((resolve) => setTimeout(resolve, 50));
    await desk.stop();
    expect((await waiting).map(({ kind }) => kind)).to.deep.equal(["failed", "failed"]);
    expect((await echo("again")).job).to.equal("again");
  });

  it("may be stopped before it was ever asked, and twice", async () => {
    open();
    await desk.stop();
    await desk.stop();
  });
});
