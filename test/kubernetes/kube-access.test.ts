import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { expect } from "chai";
import { type IssuedCertificate, selfSigned } from "../../src/certificates/self-signed.ts";
import {
  inClusterAccess,
  kubeconfigAccess,
  type KubeconfigOptions,
} from "../../src/kubernetes/kube-access.ts";
import { createKubeClient } from "../../src/kubernetes/kube-client.ts";
import { type FakeKubeApi, startFakeKubeApi } from "../fakes/kube-api.ts";

const secret = "token-that-must-not-show";

describe("Access to the API server", () => {
  let certificate: IssuedCertificate;
  let api: FakeKubeApi;
  let directory: string;
  let time: number;

  before(async () => {
    certificate = await selfSigned(["127.0.0.1"], Date.now());
  });

  beforeEach(async () => {
    api = await startFakeKubeApi({ tls: { key: certificate.key, cert: certificate.certificate } });
    directory = await mkdtemp(join(tmpdir(), "berth-access-"));
    time = 1_000_000;
  });

  afterEach(async () => {
    await api.close();
    await rm(directory, { recursive: true });
  });

  const put = (name: string, text: string) => writeFile(join(directory, name), text);

  describe("in a cluster", () => {
    beforeEach(async () => {
      await put("ca.crt", certificate.ca);
      await put("token", "first\n");
    });

    function access(host = "127.0.0.1") {
      return inClusterAccess({ host, port: new URL(api.url).port, directory, now: () => time });
    }

    it("trusts the cluster's CA and shows the service account's token", async () => {
      api.switches.token = "first";
      const client = createKubeClient(access());
      expect((await client.request("GET", "/api/v1/namespaces")).status).to.equal(200);
      client.close();
    });

    it("trusts no other CA", async () => {
      await put("ca.crt", (await selfSigned(["127.0.0.1"], Date.now())).ca);
      const err = await failureOf(createKubeClient(access()).request("GET", "/api/v1/namespaces"));
      expect(err.message).to.match(/certificate/);
      expect(api.requests).to.be.empty;
    });

    it("puts an IPv6 address in brackets", async () => {
      expect((await access("fd00::1").current()).server).to.match(/^https:\/\/\[fd00::1\]:\d+$/);
    });

    it("reads a rotated token within a minute", async () => {
      const source = access();
      const authorization = async () => (await source.current()).headers["authorization"];
      expect(await authorization()).to.equal("Bearer first");
      await put("token", "second");
      time += 59_000;
      expect(await authorization()).to.equal("Bearer first");
      time += 1_000;
      expect(await authorization()).to.equal("Bearer second");
    });

    it("reads a rotated token at once when the server does not accept the old one", async () => {
      const client = createKubeClient(access());
      await client.request("GET", "/api/v1/namespaces");
      await put("token", "second");
      api.switches.token = "second";
      expect((await client.request("GET", "/api/v1/namespaces")).status).to.equal(200);
      client.close();
    });

    it("goes on with the last token while the file cannot be read", async () => {
      const source = access();
      await source.current();
      await rm(join(directory, "token"));
      time += 120_000;
      expect((await source.current()).headers).to.deep.equal({ authorization: "Bearer first" });
    });

    it("says which file is missing or empty", async () => {
      await put("token", "\n");
      expect((await failureOf(access().current())).message).to.match(
        /token: expected a token, got an empty file/,
      );
      await rm(join(directory, "token"));
      expect((await failureOf(access().current())).message).to.match(/ENOENT.*token/);
    });
  });

  describe("from a kubeconfig", () => {
    const file = () => join(directory, "config");

    /** YAML is a superset of JSON. */
    async function write(user: unknown, more: Record<string, unknown> = {}): Promise<void> {
      await put("ca.crt", certificate.ca);
      const config = {
        apiVersion: "v1",
        kind: "Config",
        "current-context": "here",
        clusters: [
          { name: "fake", cluster: { server: api.url, "certificate-authority": "ca.crt" } },
          { name: "elsewhere", cluster: { server: "https://elsewhere.test:6443" } },
        ],
        users: [{ name: "me", user }],
        contexts: [
          { name: "here", context: { cluster: "fake", user: "me" } },
          { name: "there", context: { cluster: "elsewhere", user: "me" } },
        ],
        ...more,
      };
      await put("config", JSON.stringify(config));
    }

    async function status(options: Partial<KubeconfigOptions> = {}): Promise<number> {
      const client = createKubeClient(await kubeconfigAccess({ file: file(), ...options }));
      const answer = await client.request("GET", "/api/v1/namespaces");
      client.close();
      return answer.status;
    }

    it("uses the current context's server, CA and token", async () => {
      await write({ token: secret });
      api.switches.token = secret;
      expect(await status()).to.equal(200);
    });

    it("uses another context when one is named", async () => {
      await write({ token: secret });
      const source = await kubeconfigAccess({ file: file(), context: "there" });
      expect((await source.current()).server).to.equal("https://elsewhere.test:6443");
    });

    it("reads the file again when the server does not accept the token", async () => {
      await write({ token: "first" });
      const client = createKubeClient(await kubeconfigAccess({ file: file() }));
      await write({ token: "second" });
      api.switches.token = "second";
      expect((await client.request("GET", "/api/v1/namespaces")).status).to.equal(200);
      client.close();
    });

    it("runs the plugin that the file names, and again when its token is not accepted", async () => {
      const exec = {
        apiVersion: "client.authentication.k8s.io/v1",
        command: process.execPath,
        args: [
          "-e",
          `process.stdout.write(require("fs").readFileSync(${JSON.stringify(join(directory, "out"))}))`,
        ],
      };
      const credential = (token: string) => JSON.stringify({ status: { token } });
      await write({ exec });
      await put("out", credential("first"));
      const client = createKubeClient(await kubeconfigAccess({ file: file() }));
      api.switches.token = "first";
      expect((await client.request("GET", "/api/v1/namespaces")).status).to.equal(200);
      await put("out", credential("second"));
      api.switches.token = "second";
      expect((await client.request("GET", "/api/v1/namespaces")).status).to.equal(200);
      client.close();
    });

    it("shows nothing of what a plugin printed", async () => {
      const exec = { command: process.execPath, args: ["-e", `console.log("${secret}")`] };
      await write({ exec });
      const err = await failureOf(status());
      expect(err.message).to.contain("a credential plugin answered something that is not JSON");
      expect(inspect(err, { depth: 9 })).not.to.contain(secret);
    });

    it("shows nothing of a file that it cannot parse", async () => {
      await put("config", `users:\n- token: ${secret}\n  : [`);
      const err = await failureOf(status());
      expect(err.message).to.contain("config: not valid YAML");
      expect(inspect(err, { depth: 9 })).not.to.contain(secret);
    });

    it("names the contexts that there are when the one asked for is not", async () => {
      await write({ token: secret });
      const err = await failureOf(status({ context: "nowhere" }));
      expect(err.message).to.match(
        /expected a context with a cluster, got "nowhere"; there are: here, there$/,
      );
    });

    it("says that there is no file", async () => {
      expect((await failureOf(status())).message).to.match(/^read .*config: ENOENT/);
    });

    it("says so when the file is empty", async () => {
      await put("config", "");
      expect((await failureOf(status())).message).to.match(/config/);
    });

    it("sends no credential over plain HTTP, unless the file says that it may", async () => {
      const plain = await startFakeKubeApi();
      const cluster = { server: plain.url, "insecure-skip-tls-verify": false };
      await write({ token: secret }, { clusters: [{ name: "fake", cluster }] });
      expect((await failureOf(status())).message).to.contain("HTTP protocol is not allowed");
      expect(plain.requests).to.be.empty;
      const daring = { ...cluster, "insecure-skip-tls-verify": true };
      await write({ token: secret }, { clusters: [{ name: "fake", cluster: daring }] });
      expect(await status()).to.equal(200);
      await plain.close();
    });
  });
});

async function failureOf(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (err) {
    return err as Error;
  }
  throw new Error("expected a failure");
}
