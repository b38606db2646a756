import { expect } from "chai";
import type { FoundHarborClusters } from "../../src/domain/joined-registries.ts";
import { startHarborClusters } from "../../src/kubernetes/harbor-clusters.ts";
import type { KubeClient } from "../../src/kubernetes/kube-client.ts";
import type { Stoppable } from "../../src/loop.ts";
import { eventually } from "../eventually.ts";
import { type FakeKubeApi, startFakeKubeApi } from "../fakes/kube-api.ts";
import { kubeClientTo } from "../fakes/kube-client-to.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");
const password = "Never-Shown-4711";

describe("the HarborClusters of a cluster", () => {
  let api: FakeKubeApi;
  let client: KubeClient;
  let reading: Stoppable | undefined;
  let readings: FoundHarborClusters[];

  beforeEach(async () => {
    api = await startFakeKubeApi();
    client = kubeClientTo(api.url);
    readings = [];
  });
  afterEach(async () => {
    await reading?.stop();
    client.close();
    await api.close();
  });

  const put = (namespace: string, name: string, spec: object) =>
    api.put("harborclusters", { metadata: { namespace, name }, spec });
  const putSecret = (namespace: string, name: string, data: Readonly<Record<string, string>>) => {
    const encoded = Object.entries(data).map(([key, text]) => [key, base64(text)]);
    api.put("secrets", { metadata: { namespace, name }, data: Object.fromEntries(encoded) });
  };
  const spec = (url: string, secret = "admin") => ({ externalURL: url, harborAdminPasswordRef: secret });
  const url = "https://harbor.test";
  const start = (everyMs: number, ...namespaces: readonly string[]) => {
    reading = startHarborClusters({ client, namespaces, everyMs, random: () => 0 }, (found) =>
      readings.push(found),
    );
  };
  const first = async (...namespaces: readonly string[]): Promise<FoundHarborClusters> => {
    start(60_000, ...namespaces);
    await eventually(() => expect(readings).to.have.length(1));
    return readings[0]!;
  };

  it("are read with their URL, and the password of the one Secret that each names", async () => {
    put("registry", "main", spec(url));
    putSecret("registry", "admin", { secret: password, "ca.crt": "PEM" });
    putSecret("registry", "other", { secret: "x" });
    expect(await first("registry")).to.deep.equal({
      clusters: [
        {
          ...{ namespace: "registry", name: "main", url, secret: "admin" },
          login: { password, ca: "PEM" },
        },
      ],
      problems: [],
    });
    expect(api.requests.map(({ method, path }) => `${method} ${path}`)).to.deep.equal([
      "GET /apis/goharbor.io/v1beta1/namespaces/registry/harborclusters",
      "GET /api/v1/namespaces/registry/secrets/admin",
    ]);
  });

  it("are asked about in the named namespaces alone, and come in the order of their names", async () => {
    for (const namespace of ["a", "b", "tenant"]) {
      putSecret(namespace, "admin", { secret: "x" });
      for (const name of ["two", "one"]) put(namespace, name, spec(url));
    }
    const { clusters } = await first("b", "a");
    expect(clusters.map(({ namespace, name }) => `${namespace}/${name}`)).to.deep.equal([
      ...["b/one", "b/two", "a/one", "a/two"],
    ]);
    for (const { path } of api.requests) expect(path).not.to.include("tenant");
  });

  it("are none where harbor-operator is not installed, which is no problem", async () => {
    api.switches.failures.push({ on: "list", status: 404 });
    expect(await first("registry")).to.deep.equal({ clusters: [], problems: [] });
  });

  it("are none where Berth may not list them, with a report that says what is missing", async () => {
    api.switches.failures.push({ on: "list", status: 403 });
    const { clusters, problems } = await first("registry");
    expect(clusters).to.deep.equal([]);
    expect(problems).to.have.length(1);
    expect(problems[0]).to.match(/namespace registry .*403.*a Role in that namespace has to grant it/);
  });

  describe("are known without a login", () => {
    const rows: readonly [what: string, secret: string, arrange: () => void, report: RegExp][] = [
      ["where there is no such Secret", "admin", () => undefined, /there is no Secret registry\/admin$/],
      [
        "where Berth may not read it",
        "admin",
        () => api.switches.failures.push({ on: "get", status: 403 }),
        /registry\/admin: 403 .*a Role in that namespace/,
      ],
      [
        "where it lacks the key",
        "admin",
        () => putSecret("registry", "admin", { password }),
        /Secret registry\/admin has no key secret$/,
      ],
      [
        "where what it names is no name",
        "../configmaps/x",
        () => undefined,
        /harborAdminPasswordRef is no name of a Secret$/,
      ],
    ];
    for (const [what, secret, arrange, report] of rows) {
      it(what, async () => {
        put("registry", "main", spec(url, secret));
        arrange();
        const { clusters, problems } = await first("registry");
        expect(clusters.map(({ name, login }) => [name, login])).to.deep.equal([["main", null]]);
        expect(problems).to.have.length(1);
        expect(problems[0]).to.match(/^the login of HarborCluster registry\/main cannot be read: /);
        expect(problems[0]).to.match(report);
        expect(problems[0]).not.to.include(password);
      });
    }
  });

  it("show what changed at the next beat", async () => {
    put("registry", "main", spec(url));
    putSecret("registry", "admin", { secret: "old" });
    start(20, "registry");
    await eventually(() => expect(readings.at(-1)?.clusters).to.have.length(1));
    putSecret("registry", "admin", { secret: "new" });
    await eventually(() => expect(readings.at(-1)?.clusters[0]?.login?.password).to.equal("new"));
    api.remove("harborclusters", "main", "registry");
    await eventually(() => expect(readings.at(-1)?.clusters).to.deep.equal([]));
  });

  it("stay what they were while the API server does not answer, which is reported", async () => {
    put("registry", "main", spec(url));
    putSecret("registry", "admin", { secret: "pw" });
    start(20, "registry");
    await eventually(() => expect(readings).not.to.have.length(0));
    const known = readings[0]?.clusters;
    for (const on of ["list", "get"] as const) {
      api.switches.failures.push({ on, status: 503 });
      await eventually(() => expect(readings.at(-1)?.problems.join()).to.include("503"));
      expect(readings.at(-1)?.clusters).to.deep.equal(known);
      await eventually(() => expect(readings.at(-1)?.problems).to.deep.equal([]));
    }
  });

  it("are waited for at first, and given up for the moment after three failures", async () => {
    put("registry", "main", spec(url));
    putSecret("registry", "admin", { secret: "pw" });
    api.switches.failures.push(...[1, 2, 3].map(() => ({ on: "list", status: 500 }) as const));
    start(20, "registry");
    await eventually(() => expect(readings).not.to.have.length(0));
    expect(readings[0]?.clusters).to.deep.equal([]);
    expect(readings[0]?.problems).to.have.length(1);
    expect(api.requests.filter(({ kind }) => kind === "list")).to.have.length(3);
    await eventually(() => expect(readings.at(-1)?.clusters).to.have.length(1));
  });

  it("are read to a bound", async () => {
    putSecret("registry", "admin", { secret: "pw" });
    for (let index = 0; index < 60; index += 1) put("registry", `h${index}`, spec(url));
    const { clusters, problems } = await first("registry");
    expect(clusters).to.have.length(50);
    expect(problems).to.deep.equal(["namespace registry has 60 HarborClusters; only 50 are read"]);
  });
});
