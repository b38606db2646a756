import { createServer, type Server, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { expect } from "chai";
import type { KubeAccess, KubeAccessSource } from "../../src/kubernetes/kube-access.ts";
import {
  createKubeClient,
  KubeAnswerError,
  KubeAnswerTooLargeError,
  type KubeClient,
  type KubeMethod,
  maxBodyBytes,
  readNamespaceLabels,
} from "../../src/kubernetes/kube-client.ts";
import { eventually } from "../eventually.ts";
import { type Failure, type FakeKubeApi, startFakeKubeApi } from "../fakes/kube-api.ts";

const token = "token-that-must-not-show";

describe("The Kubernetes client", () => {
  let api: FakeKubeApi;
  let client: KubeClient;

  beforeEach(async () => {
    api = await startFakeKubeApi();
    client = createKubeClient(accessTo(api.url));
  });

  afterEach(async () => {
    client.close();
    await api.close();
  });

  const failNext = (status: number, more: Partial<Failure> = {}) =>
    api.switches.failures.push({ on: "list", status, ...more });
  const list = () => client.request("GET", "/api/v1/namespaces?limit=7");

  it("gives status, headers and parsed body", async () => {
    api.put("namespaces", { metadata: { name: "a" } });
    const answer = await list();
    expect(answer.status).to.equal(200);
    expect(answer.headers["content-type"]).to.equal("application/json");
    expect(answer.body).to.have.nested.property("items[0].metadata.name", "a");
  });

  it("keeps the path that a server's address has", async () => {
    const behindProxy = createKubeClient(accessTo(`${api.url}/k8s/clusters/c-1`));
    await behindProxy.request("GET", "/api/v1/namespaces");
    expect(api.requests[0]?.path).to.equal("/k8s/clusters/c-1/api/v1/namespaces");
  });

  it("says what it is and what it accepts", async () => {
    await list();
    expect(api.requests[0]?.headers).to.include({ accept: "application/json", "user-agent": "berth" });
  });

  it("sends a body with its type and length", async () => {
    const options = { body: { name: "ü" }, contentType: "application/merge-patch+json" };
    await client.request("PATCH", "/api/v1/namespaces/a", options);
    expect(api.requests[0]?.headers).to.include({
      "content-type": "application/merge-patch+json",
      "content-length": "13",
    });
  });

  it("gives a status that is no success as a value", async () => {
    const answer = await client.request("GET", "/api/v1/namespaces/none");
    expect(answer.status).to.equal(404);
    expect(answer.body).to.have.property("message", 'namespaces "none" not found');
  });

  it("gives an error status without JSON as a value without body", async () => {
    failNext(502, { body: "<html>bad gateway</html>", headers: { "content-type": "text/html" } });
    const answer = await list();
    expect(answer.status).to.equal(502);
    expect(answer.body).to.be.undefined;
  });

  it("takes no page for a success", async () => {
    failNext(200, { body: "<html>sign in</html>", headers: { "content-type": "text/html" } });
    const err = await failureOf(list());
    expect(err.message).to.equal(`GET /api/v1/namespaces at ${api.url}: expected JSON, got text/html`);
  });

  it("does not follow a redirect", async () => {
    failNext(307, { headers: { location: `${api.url}/api/v1/namespaces` } });
    expect((await failureOf(list())).message).to.contain("307, a redirect");
    expect(api.requests).to.have.length(1);
  });

  it("shows nothing of a body that it cannot parse", async () => {
    failNext(200, { body: `{"data":{"password":"${token}"}` });
    const err = await failureOf(list());
    expect(err.message).to.contain("expected JSON");
    expect(inspect(err, { depth: 9 })).not.to.contain(token);
  });

  it("refuses a body that is larger than it will hold", async () => {
    failNext(200, { body: `"${"x".repeat(maxBodyBytes)}"` });
    expect(await failureOf(list())).to.be.instanceOf(KubeAnswerTooLargeError);
  });

  it("gives up when its time is over", async () => {
    api.switches.delayMs = 5_000;
    const err = await failureOf(client.request("GET", "/api/v1/namespaces", { timeoutMs: 20 }));
    expect(err.message).to.equal(`GET /api/v1/namespaces at ${api.url}: not finished after 20 ms`);
  });

  it("gives up when the caller does, before and after it began", async () => {
    const given = AbortSignal.abort();
    expect((await failureOf(client.request("GET", "/api", { signal: given }))).message).to.contain(
      "given up",
    );
    api.switches.delayMs = 5_000;
    const later = AbortSignal.timeout(20);
    expect((await failureOf(client.request("GET", "/api", { signal: later }))).message).to.contain(
      "given up",
    );
  });

  it("gives up when credentials do not come in time", async () => {
    const never = createKubeClient({
      current: () => Promise.withResolvers<KubeAccess>().promise,
      renewed: () => Promise.withResolvers<KubeAccess>().promise,
    });
    const err = await failureOf(never.request("GET", "/api", { timeoutMs: 20 }));
    expect(err.message).to.equal("GET /api at the API server: not finished after 20 ms");
  });

  it("names what it asked, and where, when nobody answers, and no credential", async () => {
    await api.close();
    const err = await failureOf(list());
    expect(err.message).to.match(/^GET \/api\/v1\/namespaces at http:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/);
    expect(inspect(err, { depth: 9 })).not.to.contain(token);
    api = await startFakeKubeApi();
  });

  describe("with credentials that the server does not accept", () => {
    it("reads them again and asks once more", async () => {
      api.switches.token = "second";
      const answer = await createKubeClient(changing(api.url, ["first", "second"])).request(
        "GET",
        "/api/v1/namespaces",
      );
      expect(answer.status).to.equal(200);
      expect(api.requests).to.have.length(2);
    });

    it("does so once only", async () => {
      api.switches.token = "another";
      expect((await list()).status).to.equal(401);
      expect(api.requests).to.have.length(2);
    });

    it("does so for a stream as well", async () => {
      api.switches.token = "second";
      api.switches.endAtOnce = true;
      api.put("namespaces", { metadata: { name: "a" } });
      const second = createKubeClient(changing(api.url, ["first", "second"]));
      const lines = await linesOf(second.stream(watchPath, { timeoutMs: 5_000 }));
      expect(lines).to.have.length(1);
    });
  });

  describe("on a kept connection that the server is closing", () => {
    let server: Server;
    let url: string;
    let asked: string[];

    beforeEach(async () => {
      asked = [];
      server = createServer(answerFirstOnly);
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });

    afterEach(() => server.close());

    /** Answers one request a connection, and breaks the connection at the second. */
    function answerFirstOnly(socket: Socket): void {
      let answered = false;
      socket.on("error", () => undefined);
      socket.on("data", (data) => {
        asked.push(data.toString().split(" ", 1)[0] ?? "");
        if (answered) socket.resetAndDestroy();
        else socket.write("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
        answered = true;
      });
    }

    it("reads again on a connection of its own", async () => {
      const kept = createKubeClient(accessTo(url));
      await kept.request("GET", "/api");
      expect((await kept.request("GET", "/api")).status).to.equal(200);
      expect(asked).to.deep.equal(["GET", "GET", "GET"]);
      kept.close();
    });

    for (const method of ["POST", "PUT", "PATCH", "DELETE"] satisfies KubeMethod[]) {
      it(`leaves it to the caller to repeat a ${method}`, async () => {
        const kept = createKubeClient(accessTo(url));
        await kept.request("GET", "/api");
        await failureOf(kept.request(method, "/api"));
        expect(asked).to.deep.equal(["GET", method]);
        kept.close();
      });
    }
  });

  describe("as a stream", () => {
    it("gives the lines as they come, however they are cut", async () => {
      const lines: string[] = [];
      const aborter = new AbortController();
      const reading = (async () => {
        const options = { timeoutMs: 5_000, signal: aborter.signal };
        for await (const line of client.stream(watchPath, options)) lines.push(line);
      })().catch(() => undefined);
      await eventually(() => api.openWatches() === 1);
      api.writeRaw("one\ntw");
      await eventually(() => expect(lines).to.deep.equal(["one"]));
      api.writeRaw("o\n\nthree ü\n");
      await eventually(() => expect(lines).to.deep.equal(["one", "two", "", "three ü"]));
      aborter.abort();
      await reading;
      await eventually(() => api.openWatches() === 0);
    });

    it("ends when the server ends it", async () => {
      api.switches.endAtOnce = true;
      expect(await linesOf(client.stream(watchPath, { timeoutMs: 5_000 }))).to.deep.equal([]);
    });

    it("closes its connection when the reader leaves", async () => {
      api.put("namespaces", { metadata: { name: "a" } });
      for await (const line of client.stream(watchPath, { timeoutMs: 5_000 })) {
        expect(line).to.contain("ADDED");
        break;
      }
      await eventually(() => api.openWatches() === 0);
    });

    it("throws the answer when it is another than 200", async () => {
      api.switches.failures = [{ on: "watch", status: 429, headers: { "retry-after": "3" } }];
      const err = await failureOf(linesOf(client.stream(watchPath, { timeoutMs: 5_000 })));
      expect(err).to.be.instanceOf(KubeAnswerError).and.include({ status: 429, retryAfterMs: 3_000 });
      expect(err.message).to.equal("GET /api/v1/namespaces as a stream: 429 as the test ordered: 429");
    });

    it("waits no longer than a minute, whatever a server asks for", async () => {
      api.switches.failures = [{ on: "watch", status: 429, headers: { "retry-after": "86400" } }];
      const err = await failureOf(linesOf(client.stream(watchPath, { timeoutMs: 5_000 })));
      expect(err).to.include({ retryAfterMs: 60_000 });
    });

    it("lives no longer than it was given, though it carries something all the time", async () => {
      const reading = failureOf(linesOf(client.stream(watchPath, { timeoutMs: 150 })));
      const chatter = setInterval(() => api.bookmark(), 5);
      expect((await reading).message).to.contain("not finished after 150 ms");
      clearInterval(chatter);
    });
  });

  describe("reading a namespace that is not known yet", () => {
    it("gives its labels as they are, with metadata alone", async () => {
      api.put("namespaces", { metadata: { name: "a", labels: { "workspace.ghippo.io/id": "12" } } });
      expect(await readNamespaceLabels(client, "a")).to.deep.equal({ "workspace.ghippo.io/id": "12" });
      expect(api.requests[0]?.headers.accept).to.contain("as=PartialObjectMetadata;");
    });

    it("gives no labels for one without, and null for none", async () => {
      api.put("namespaces", { metadata: { name: "a" } });
      expect(await readNamespaceLabels(client, "a")).to.deep.equal({});
      expect(await readNamespaceLabels(client, "b")).to.be.null;
    });

    it("takes no part of a name for a path", async () => {
      await readNamespaceLabels(client, "a/../../secrets?x=1");
      expect(api.requests[0]?.path).to.equal("/api/v1/namespaces/a%2F..%2F..%2Fsecrets%3Fx%3D1");
    });

    it("throws when the server cannot say", async () => {
      api.switches.failures = [{ on: "get", status: 403 }];
      const err = await failureOf(readNamespaceLabels(client, "a"));
      expect(err.message).to.equal("read namespace a: 403 as the test ordered: 403");
    });
  });
});

const watchPath = "/api/v1/namespaces?watch=1&resourceVersion=1000";

function accessTo(server: string): KubeAccessSource {
  return changing(server, [token]);
}

/** The first token, and the last one after a renewal. */
function changing(server: string, tokens: readonly string[]): KubeAccessSource {
  const withToken = (one = "") => ({ server, headers: { authorization: `Bearer ${one}` }, tls: {} });
  return {
    current: () => Promise.resolve(withToken(tokens[0])),
    renewed: () => Promise.resolve(withToken(tokens.at(-1))),
  };
}

async function failureOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (err) {
    return err as Error;
  }
  throw new Error("expected a failure");
}

async function linesOf(stream: AsyncIterable<string>): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of stream) lines.push(line);
  return lines;
}
