import { expect } from "chai";
import { startOperationsServer, type OperationsServer } from "../../src/http/operations.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";

const metricsType = "text/plain; version=0.0.4; charset=utf-8";

describe("the operations port", () => {
  let missing: readonly string[];
  let details: readonly string[];
  let metrics: () => Promise<string>;
  let server: OperationsServer;
  const log = createRecordingLog();

  beforeEach(async () => {
    missing = [];
    details = [];
    metrics = () => Promise.resolve("berth_leader 1\n");
    log.lines.length = 0;
    server = await startOperationsServer(
      { notReady: () => missing, details: () => details, metrics: () => metrics(), metricsType, log },
      { port: 0, host: "127.0.0.1" },
    );
  });
  afterEach(() => server.stop());

  async function get(path: string) {
    const answer = await fetch(`http://127.0.0.1:${String(server.port)}${path}`);
    return { status: answer.status, text: await answer.text(), headers: answer.headers };
  }

  it("is ready when nothing is missing, and otherwise names what is, a line each", async () => {
    expect(await get("/readyz")).to.include({ status: 200, text: "ok\n" });
    missing = ["policy", "catalogue of managed"];
    const text = "not ready: policy\nnot ready: catalogue of managed\n";
    expect(await get("/readyz")).to.include({ status: 503, text });
  });

  it("tells the details of each registry to whom asks for them, ready or not", async () => {
    details = ["registry managed: read 3 s ago", "registry old: HTTP 502\nfrom a proxy\u2028"];
    const told = "registry managed: read 3 s ago\nregistry old: HTTP 502 from a proxy \n";
    expect(await get("/readyz?verbose")).to.include({ status: 200, text: `ok\n${told}` });
    expect(await get("/readyz")).to.include({ status: 200, text: "ok\n" });
    missing = ["policy"];
    expect(await get("/readyz?verbose=1")).to.include({ status: 503, text: `not ready: policy\n${told}` });
  });

  it("is alive all the while", async () => {
    missing = ["policy"];
    expect(await get("/livez")).to.include({ status: 200, text: "ok\n" });
  });

  it("gives the metrics in their own content type, as they are at that moment", async () => {
    const { status, text, headers } = await get("/metrics");
    expect([status, text]).to.deep.equal([200, "berth_leader 1\n"]);
    expect(headers.get("content-type")).to.equal(metricsType);
    metrics = () => Promise.resolve("berth_leader 0\n");
    expect((await get("/metrics")).text).to.equal("berth_leader 0\n");
  });

  it("answers 500 without a word of why when something fails, logs it, and goes on", async () => {
    metrics = () => Promise.reject(new Error("what only the log may say"));
    expect(await get("/metrics")).to.include({ status: 500, text: "failed; the log says why\n" });
    expect(log.lines).to.have.lengthOf(1);
    expect(log.lines[0]?.facts).to.have.nested.property("err.message", "what only the log may say");
    expect((await get("/livez")).status).to.equal(200);
  });

  it("knows no other path, and does not tell what it is made of", async () => {
    const { status, headers } = await get("/");
    expect([status, headers.get("x-powered-by")]).to.deep.equal([404, null]);
  });

  it("says which port is taken when it cannot listen", async () => {
    const needs = { notReady: () => [], metrics: () => metrics(), metricsType, log };
    let message = "";
    await startOperationsServer(needs, { port: server.port, host: "127.0.0.1" }).catch((err: unknown) => {
      message = String(err);
    });
    expect(message).to.include(`address already in use 127.0.0.1:${String(server.port)}`);
  });

  it("stops at once, whatever connections are kept", async () => {
    await get("/livez");
    await server.stop();
    let failed = false;
    await get("/livez").catch(() => (failed = true));
    expect(failed).to.equal(true);
    // Without details there are none to tell.
    server = await startOperationsServer(
      { notReady: () => missing, metrics: () => metrics(), metricsType, log },
      { port: 0, host: "127.0.0.1" },
    );
    expect(await get("/readyz?verbose")).to.include({ status: 200, text: "ok\n" });
  });
});
