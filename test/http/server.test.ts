import { expect } from "chai";
import { once } from "node:events";
import { connect as connectPlain } from "node:net";
import { setTimeout as pause } from "node:timers/promises";
import { connect, type ConnectionOptions } from "node:tls";
import { selfSigned, type IssuedCertificate } from "../../src/certificates/self-signed.ts";
import type { Admission, Reply } from "../../src/http/admission.ts";
import { maxBodyBytes, startWebhookServer, timeoutOf, type WebhookServer } from "../../src/http/server.ts";
import { createAuthority } from "../cluster/authority.ts";
import { eventually } from "../eventually.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";

const names = ["localhost"];
const ok: Reply = { status: 200, body: '{"answered":true}' };

describe("the webhook's listener", () => {
  let issued: IssuedCertificate;
  let server: WebhookServer;
  let admission: Admission;
  let connections: Connection[] = [];
  let inFlight = 0;
  let failed: number[] = [];
  const log = createRecordingLog();

  async function start(more: { readonly clientCa?: string } = {}): Promise<WebhookServer> {
    return startWebhookServer(
      {
        admission: (...asked) => admission(...asked),
        certificate: issued,
        log,
        inFlight: (change) => (inFlight += change),
        failed: (status) => failed.push(status),
        ...more,
      },
      { port: 0, host: "127.0.0.1" },
    );
  }
  async function open(options: ConnectionOptions = {}): Promise<Connection> {
    const connection = await openConnection({ port: server.port, ca: issued.ca, ...options });
    connections.push(connection);
    return connection;
  }

  before(async () => {
    issued = await selfSigned(names, Date.now());
  });
  beforeEach(async () => {
    admission = () => ok;
    inFlight = 0;
    failed = [];
    log.lines.length = 0;
    server = await start();
  });
  afterEach(async () => {
    for (const connection of connections) connection.destroy();
    connections = [];
    await server.drain(0);
  });

  it("hands over path, body and deadline, whatever the pieces that the body comes in", async () => {
    let asked: unknown[] = [];
    admission = (path, body, timeoutMs) => {
      asked = [path, body.toString(), timeoutMs];
      return ok;
    };
    const connection = await open();
    await connection.send(head("/mutate?timeout=3s", 6));
    for (const piece of ["ab", "c", "def"]) {
      await connection.send(piece);
      await pause(5);
    }
    expect((await connection.answer()).body).to.equal(ok.body);
    expect(asked).to.deep.equal(["mutate", "abcdef", 3_000]);
  });

  describe("connections", () => {
    it("are kept while idle for longer than the API server keeps them, used before or not", async () => {
      const [used, unused] = [await open(), await open()];
      await used.send(post(review));
      const { headers } = await used.answer();
      // Node tells its time-out; the API server's own is 90 s.
      expect(Number(/^timeout=([0-9]+)$/.exec(headers["keep-alive"] ?? "")?.[1])).to.be.greaterThan(90);
      // Node would by default close after 5 s, and one more that it grants.
      await pause(6_300);
      for (const connection of [used, unused]) {
        await connection.send(post(review));
        expect((await connection.answer()).status).to.equal(200);
      }
    });

    it("carry HTTP/1.1 only, over TLS 1.2 or newer", async () => {
      expect((await open({ ALPNProtocols: ["h2", "http/1.1"] })).socket.alpnProtocol).to.equal("http/1.1");
      expect((await open({ maxVersion: "TLSv1.2" })).socket.getProtocol()).to.equal("TLSv1.2");
      const old = await failureOf(open({ minVersion: "TLSv1.1", maxVersion: "TLSv1.1" }));
      expect(old).to.match(/protocol/i);
    });

    it("that speak no TLS, or no HTTP, are closed, and the others live on", async () => {
      const other = await open();
      const plain = connectPlain(server.port, "127.0.0.1");
      plain.on("error", () => undefined);
      plain.write(post(review));
      await once(plain, "close");
      const noise = await open();
      await noise.send("\u0000\u0001 noise \r\n\r\n");
      await noise.closed;
      await other.send(post(review));
      expect((await other.answer()).status).to.equal(200);
      expect(log.lines.map(({ level }) => level)).to.deep.equal(["debug"]);
    });
  });

  describe("a certificate that is replaced", () => {
    it("is shown to new connections, and old ones go on, with what is under way on them", async () => {
      const next = await selfSigned(names, Date.now());
      const release = whenReleased();
      admission = () => release.reply;
      const [busy, idle] = [await open(), await open()];
      await busy.send(post(review));
      await eventually(() => inFlight === 1);

      server.replaceCertificate(next);
      release.now();
      expect((await busy.answer()).status).to.equal(200);
      for (const connection of [busy, idle, await open({ ca: next.ca })]) {
        await connection.send(post(review));
        expect((await connection.answer()).status).to.equal(200);
      }
      expect(await failureOf(open({ ca: issued.ca }))).to.match(/certificate/i);
    });

    it("that cannot be used leaves the one before in service", async () => {
      const other = await selfSigned(names, Date.now());
      expect(() => server.replaceCertificate({ certificate: issued.certificate, key: other.key })).to.throw();
      const connection = await open();
      await connection.send(post(review));
      expect((await connection.answer()).status).to.equal(200);
    });
  });

  describe("where a client CA is set", () => {
    it("answers clients with a certificate of it, and no others, before and after a replacement", async () => {
      const [ours, theirs] = [await createAuthority(), await createAuthority()];
      await server.drain(0);
      server = await start({ clientCa: ours.caPem });
      const client = await ours.issueClient("kube-apiserver", []);
      const stranger = await theirs.issueClient("kube-apiserver", []);
      const withCertificate = { cert: client.certificatePem, key: client.keyPem };

      let current = issued;
      const outcome = async (options: ConnectionOptions): Promise<number | "refused"> => {
        try {
          const connection = await open({ ca: current.ca, ...options });
          await connection.send(post(review));
          return (await connection.answer()).status;
        } catch {
          return "refused";
        }
      };
      for (const certificate of [issued, await selfSigned(names, Date.now())]) {
        server.replaceCertificate(certificate);
        current = certificate;
        expect(await outcome(withCertificate)).to.equal(200);
        expect(await outcome({}), "without a certificate").to.equal("refused");
        expect(await outcome({ cert: stranger.certificatePem, key: stranger.keyPem })).to.equal("refused");
      }
      expect(inFlight).to.equal(0);
    });
  });

  describe("a drain", () => {
    it("goes on answering for its time, on old and new connections, and asks them all to go", async () => {
      const old = await open();
      await old.send(post(review));
      expect((await old.answer()).headers["connection"]).to.equal("keep-alive");
      const drained = server.drain(300);
      for (const connection of [old, await open()]) {
        await connection.send(post(review));
        const { status, headers } = await connection.answer();
        expect([status, headers["connection"]]).to.deep.equal([200, "close"]);
        await connection.closed;
      }
      await drained;
      expect(await failureOf(open())).to.match(/ECONNREFUSED/);
    });

    it("waits for the requests under way", async () => {
      const release = whenReleased();
      admission = () => release.reply;
      const connection = await open();
      await connection.send(post(review));
      await eventually(() => inFlight === 1);
      let over = false;
      const drained = server.drain(0).then(() => (over = true));
      await pause(50);
      expect(over).to.equal(false);
      release.now();
      const { status, headers } = await connection.answer();
      expect([status, headers["connection"]]).to.deep.equal([200, "close"]);
      await drained;
    });

    it("closes idle connections at its end, and cuts after some seconds what never ends", async () => {
      admission = () => new Promise(() => undefined);
      const [idle, endless] = [await open(), await open()];
      await endless.send(post(review));
      await eventually(() => inFlight === 1);
      await server.drain(0);
      await Promise.all([idle.closed, endless.closed]);
    });
  });

  describe("bodies", () => {
    const almost = Buffer.alloc(maxBodyBytes - 1, " ");

    it("are held up to eight of the largest at once; whatever is more is told to try again", async () => {
      let answered = 0;
      admission = (_path, body) => {
        answered += body.length;
        return ok;
      };
      const nine = await Promise.all(Array.from({ length: 9 }, () => open()));
      for (const connection of nine)
        void connection.send(head("/validate", maxBodyBytes) + almost.toString());
      const answers = nine.map((connection) => connection.answer());
      const turnedAway = await Promise.race(answers.map((answer, index) => answer.then(() => index)));
      for (const connection of nine) void connection.send(" ");
      const statuses = (await Promise.all(answers)).map(({ status }) => status);
      expect(statuses).to.deep.equal(nine.map((_, index) => (index === turnedAway ? 503 : 200)));
      const { headers, body } = await answers[turnedAway]!;
      expect(headers["connection"]).to.equal("close");
      expect(body).to.match(/try again/);
      expect(answered).to.equal(8 * maxBodyBytes);
      const next = await open();
      await next.send(post(review));
      expect((await next.answer()).status, "what was answered is held no longer").to.equal(200);
    });

    it("that stop in the middle are forgotten: nine of the largest leave room for the next", async () => {
      for (let turn = 0; turn < 9; turn += 1) {
        const connection = await open();
        await connection.send(head("/validate", maxBodyBytes) + almost.toString());
        connection.socket.end();
        await connection.closed;
      }
      const connection = await open();
      await connection.send(post(review));
      expect((await connection.answer()).status).to.equal(200);
      expect(inFlight).to.equal(0);
    });

    it("that turn out too large are turned away, and forgotten too", async () => {
      for (let turn = 0; turn < 9; turn += 1) {
        const connection = await open();
        await connection.send(`POST /validate HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n`);
        await connection.send(`${(almost.length + 2).toString(16)}\r\n${almost.toString()}  `);
        const { status, headers } = await connection.answer();
        expect([status, headers["connection"]]).to.deep.equal([413, "close"]);
        await connection.closed;
      }
      const connection = await open();
      await connection.send(post(review));
      expect((await connection.answer()).status).to.equal(200);
    });

    it("that do not come within the time of their request are waited for no longer, and forgotten", async () => {
      // What came in time may be judged for longer.
      admission = () => pause(200, ok);
      const slow = await Promise.all(Array.from({ length: 9 }, () => open()));
      for (const connection of slow) {
        await connection.send(head("/validate?timeout=150ms", maxBodyBytes) + almost.toString());
        expect((await connection.answer()).status).to.equal(408);
        await connection.closed;
      }
      const connection = await open();
      await connection.send(head("/validate?timeout=150ms", review.length) + review);
      expect((await connection.answer()).status).to.equal(200);
      expect(inFlight).to.equal(0);
    });

    it("that are announced too large are turned away before they come", async () => {
      const connection = await open();
      await connection.send(head("/validate", maxBodyBytes + 1));
      expect((await connection.answer()).status).to.equal(413);
      await connection.closed;
    });
  });

  describe("an admission that fails", () => {
    const secret = "what the error says is for the log";
    const failures: [title: string, failing: Admission][] = [
      [
        "throws",
        () => {
          throw new Error(secret);
        },
      ],
      ["rejects", () => Promise.reject(new Error(secret))],
    ];
    for (const [title, failing] of failures) {
      it(`is a failed call when it ${title}, never an allowance, and the same connection goes on`, async () => {
        admission = failing;
        const connection = await open();
        await connection.send(post(review));
        const { status, body } = await connection.answer();
        expect(status).to.equal(500);
        expect(body).to.match(/^Berth could not answer/);
        expect(body).not.to.include(secret);
        expect(log.lines).to.have.lengthOf(1);
        expect(log.lines[0]).to.include({ level: "error" });
        expect(log.lines[0]?.facts["err"]).to.have.property("message", secret);
        admission = () => ok;
        await connection.send(post(review));
        expect((await connection.answer()).status).to.equal(200);
        expect(inFlight).to.equal(0);
        expect(failed, "counted as a failed call, and the good one is not").to.deep.equal([500]);
      });
    }
  });

  it("goes on when a client breaks off before its answer", async () => {
    const release = whenReleased();
    admission = () => release.reply;
    const impatient = await open();
    await impatient.send(post(review));
    await eventually(() => inFlight === 1);
    impatient.destroy();
    release.now();
    await eventually(() => inFlight === 0);
    const connection = await open();
    await connection.send(post(review));
    expect((await connection.answer()).status).to.equal(200);
    expect(log.lines).to.deep.equal([]);
  });

  it("says which port is taken when it cannot listen", async () => {
    const needs = { admission, certificate: issued, log };
    const failure = await failureOf(startWebhookServer(needs, { port: server.port, host: "127.0.0.1" }));
    expect(failure).to.include(`address already in use 127.0.0.1:${String(server.port)}`);
  });
});

describe("the time-out of the query", () => {
  const cases: [query: string, expectedMs: number][] = [
    ["timeout=10s", 10_000],
    ["timeout=1s", 1_000],
    ["timeout=500ms", 500],
    ["timeout=1m0s", 30_000],
    ["timeout=0m7s", 7_000],
    ["timeout=1.5s", 1_500],
    ["timeout=2s500ms", 2_500],
    ["a=b&timeout=3s&c=d", 3_000],
    // The longest that a webhook may have.
    ["timeout=30s", 30_000],
    ["timeout=24h", 30_000],
    // Kubernetes' default, where nothing usable is said.
    ["", 10_000],
    ["timeout=", 10_000],
    ["timeout=0s", 10_000],
    ["timeout=soon", 10_000],
    ["timeout=5", 10_000],
    ["timeout=...s", 10_000],
    ["timeout=-5s", 10_000],
    ["mytimeout=3s", 10_000],
    [`timeout=${"9".repeat(400)}s`, 10_000],
  ];
  for (const [query, expectedMs] of cases) {
    it(`"${query.slice(0, 40)}" is ${String(expectedMs)} ms`, () => {
      expect(timeoutOf(query)).to.equal(expectedMs);
    });
  }
});

const head = (path: string, length: number): string =>
  `POST ${path} HTTP/1.1\r\nhost: berth\r\ncontent-length: ${String(length)}\r\n\r\n`;
/** Longer than what nine bodies, each a byte short of the largest, leave of the room for eight. */
const review = `{}${" ".repeat(100)}`;
const post = (body: string): string => head("/validate?timeout=5s", Buffer.byteLength(body)) + body;

/** A reply that comes when the test says so. */
function whenReleased(): { readonly reply: Promise<Reply>; now(): void } {
  let now = (): void => undefined;
  const reply = new Promise<Reply>((resolve) => (now = () => resolve(ok)));
  return { reply, now: () => now() };
}

async function failureOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
  } catch (err) {
    return err instanceof Error ? err.message : String(err);
  }
  return "it did not fail";
}

interface HttpAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** One connection, spoken to by hand: pieces, pauses and ends are the test's to choose. */
interface Connection {
  readonly socket: ReturnType<typeof connect>;
  /** Resolves when the bytes are on their way. */
  send(text: string): Promise<void>;
  /** The next answer; rejects when the connection ends without one. */
  answer(): Promise<HttpAnswer>;
  readonly closed: Promise<void>;
  destroy(): void;
}

async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const socket = connect({ host: "127.0.0.1", servername: "localhost", ...options });
  let ended = false;
  const closed = new Promise<void>((resolve) => {
    socket.once("close", () => {
      ended = true;
      resolve();
    });
  });
  await once(socket, "secureConnect");
  let received = "";
  socket.setEncoding("utf8");
  socket.on("data", (part: string) => (received += part));
  socket.on("error", () => undefined);

  function take(): HttpAnswer | undefined {
    const end = received.indexOf("\r\n\r\n");
    if (end < 0) return undefined;
    const [first = "", ...lines] = received.slice(0, end).split("\r\n");
    const headers = Object.fromEntries(
      lines.map((line) => [
        line.slice(0, line.indexOf(":")).toLowerCase(),
        line.slice(line.indexOf(":") + 2),
      ]),
    );
    const length = Number(headers["content-length"]);
    const body = received.slice(end + 4, end + 4 + length);
    if (body.length < length) return undefined;
    received = received.slice(end + 4 + length);
    return { status: Number(first.split(" ")[1]), headers, body };
  }
  return {
    socket,
    closed,
    send: (text) => new Promise((resolve) => socket.write(text, () => resolve())),
    async answer() {
      for (;;) {
        const answer = take();
        if (answer !== undefined) return answer;
        if (ended) throw new Error("the connection ended without an answer");
        await new Promise<void>((resolve) => {
          socket.once("data", () => resolve());
          socket.once("close", () => resolve());
        });
      }
    },
    destroy: () => socket.destroy(),
  };
}
