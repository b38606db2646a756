// The people's port before a real API server: two people of different rights, by tokens that it gave them, at the API
// and in a browser. One platform for all tests, which run in order.

import { get } from "node:https";
import { text as textOf } from "node:stream/consumers";
import { expect } from "chai";
import type { Browser, Page } from "playwright-core";
import { parse } from "yaml";
import { openBrowser } from "../page/browser.ts";
import { berthNamespace, berthUser, mustCreate } from "./berth.ts";
import { createNamespace, waitFor } from "./kube.ts";
import { imageOf, startPlatform, workspaceLabel, type Platform } from "./platform.ts";

const group = "rbac.authorization.k8s.io";

describe("the people's port before a real API server", () => {
  let platform: Platform;
  let browser: Browser;
  /** Of alice, who may create Pods in shop, and of root, who may everywhere and reads the policy. */
  const tokens = { alice: "", root: "" };

  before(async function () {
    browser = await openBrowser(this);
    platform = await startPlatform(["--drain", "1s"]);
    const { admin } = platform.plane;
    await createNamespace(admin, "shop", { [workspaceLabel]: "12" });
    await createNamespace(admin, "lab", { [workspaceLabel]: "13" });
    for (const [repository, tag] of [
      ["open/web", "1.0"],
      ["team-a/api", "2.4"],
      ["team-b/hidden", "7"],
    ] as const)
      platform.harbor.repositories.push(repository, { tags: [tag] });
    tokens.alice = await person("alice", "shop");
    tokens.root = await person("root", "lab");
    const pods = [{ apiGroups: [""], resources: ["pods"], verbs: ["create"] }];
    const policy = [{ apiGroups: [""], resources: ["configmaps"], verbs: ["get", "list"] }];
    await grant("Role", "alice", "shop", pods, "shop");
    await grant("ClusterRole", "root-deploys", "lab", pods);
    await grant("Role", "root-reads", "lab", policy, berthNamespace);
  });
  after(async () => {
    await (browser as Browser | undefined)?.close();
    await (platform as Platform | undefined)?.stop();
  });

  /** A service account with a token of an hour. */
  async function person(name: string, namespace: string): Promise<string> {
    const { admin } = platform.plane;
    await mustCreate(admin, { kind: "ServiceAccount", metadata: { name, namespace } });
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${name}/token`;
    const { status, body, message } = await admin.request("POST", path, {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      spec: { expirationSeconds: 3_600 },
    });
    if (status !== 201) throw new Error(`token of ${name}: ${message}`);
    return (body as { status: { token: string } }).status.token;
  }

  async function grant(
    kind: "Role" | "ClusterRole",
    name: string,
    accountNamespace: string,
    rules: readonly object[],
    namespace?: string,
  ): Promise<void> {
    const { admin } = platform.plane;
    const metadata = { name, ...(namespace === undefined ? {} : { namespace }) };
    const account = name.split("-")[0];
    const subjects = [{ kind: "ServiceAccount", name: account, namespace: accountNamespace }];
    const roleRef = { apiGroup: group, kind, name };
    await mustCreate(admin, { kind, metadata, ...{ rules } });
    await mustCreate(admin, { kind: `${kind}Binding` as const, metadata, ...{ roleRef, subjects } });
  }

  function ask(path: string, token?: string): Promise<{ status: number; text: string }> {
    const url = `https://127.0.0.1:${platform.berth.peoplePort()}/api/v1${path}`;
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return new Promise((resolve, reject) => {
      // Whose certificate it is, is another suite's question.
      get(url, { headers, rejectUnauthorized: false }, (answer) => {
        textOf(answer).then((text) => resolve({ status: answer.statusCode ?? 0, text }), reject);
      }).on("error", reject);
    });
  }
  const asked = async (path: string, token: string): Promise<unknown> => {
    const { status, text } = await ask(path, token);
    expect(status, text).to.equal(200);
    return JSON.parse(text);
  };
  const namesIn = async (path: string, token: string): Promise<string[]> => {
    const { items } = (await asked(path, token)) as { items: { name: string }[] };
    return items.map(({ name }) => name);
  };

  it("answers nobody without a token, nor with one that somebody made up", async () => {
    for (const token of [undefined, "made-up", `${tokens.alice}x`, tokens.alice.slice(0, -10)]) {
      expect((await ask("/namespaces", token)).status).to.equal(401);
    }
    expect((await ask("/openapi.json")).status).to.equal(200);
  });

  it("knows who asks, and which namespaces are theirs", async () => {
    expect(await asked("/me", tokens.alice)).to.include({
      ...{ user: "system:serviceaccount:shop:alice", login: "token", platform: false },
    });
    expect(await asked("/me", tokens.root)).to.include({ platform: true });
    expect(await namesIn("/namespaces", tokens.alice)).to.deep.equal(["shop"]);
    expect(await namesIn("/namespaces", tokens.root)).to.include.members(["shop", "lab", berthNamespace]);
  });

  it("tells of another's namespace what it tells of none", async () => {
    for (const rest of ["", "/spaces", "/search?q=app", "/verdict?image=nginx"]) {
      const [other, none] = await Promise.all(
        ["lab", "never-was"].map((name) => ask(`/namespaces/${name}${rest}`, tokens.alice)),
      );
      expect(other).to.deep.equal(none);
      expect(other?.status).to.equal(404);
    }
    expect((await ask("/platform/spaces", tokens.alice)).status).to.equal(404);
  });

  it("offers what admission admits, and nothing of others", async () => {
    expect(await namesIn("/namespaces/shop/spaces", tokens.alice)).to.deep.equal(["open", "team-a"]);
    const list = "/namespaces/shop/repositories?registry=managed&space=team-a";
    expect(await namesIn(list, tokens.alice)).to.deep.equal(["team-a/api"]);
    const found = await ask("/namespaces/shop/search?q=hidden", tokens.alice);
    expect(JSON.parse(found.text)).to.deep.include({ repositories: [], spaces: [] });
    expect((await platform.tryPod("shop", imageOf("team-a", "api:2.4"))).status).to.equal(201);
  });

  it("explains a refusal in the words of admission", async () => {
    const image = imageOf("team-b");
    const path = `/namespaces/shop/verdict?image=${encodeURIComponent(image)}`;
    const [report] = (await asked(path, tokens.alice)) as { message: string }[];
    const { message } = await platform.tryPod("shop", image);
    const reason = /space "team-b" of registry .*? Ask a platform administrator to bind it/.exec(
      message,
    )?.[0];
    expect(reason).to.be.a("string");
    expect(report?.message).to.include(reason);
    const unknown = await ask(path.replace("team-b", "team-z"), tokens.alice);
    const known = await ask(path, tokens.alice);
    expect(unknown.text.replaceAll("team-z", "team-b")).to.equal(known.text);
    const told = await Promise.all(
      ["team-b", "team-z"].map((space) => asked(path.replace("team-b", space), tokens.root)),
    );
    const reasons = (told as { images: { reason: string }[] }[][]).map(([each]) => each?.images[0]?.reason);
    expect(reasons).to.deep.equal(["space-not-bound", "space-unknown"]);
  });

  async function signedIn(token: string, place = ""): Promise<Page> {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, locale: "en-GB" });
    const page = await context.newPage();
    await page.goto(`https://127.0.0.1:${platform.berth.peoplePort()}/${place}`);
    await page.getByLabel("Token", { exact: true }).fill(token);
    await page.getByRole("button", { name: "Sign in" }).click();
    return page;
  }

  it("lets alice choose an image in the browser, which is then admitted", async () => {
    const page = await signedIn(tokens.alice);
    await page.getByRole("link", { name: "shop" }).click();
    await page.getByRole("tab", { name: "Private" }).click();
    await page.getByRole("link", { name: "team-a", exact: true }).click();
    await page.getByRole("link", { name: "team-a/api" }).click();
    await page.getByRole("link", { name: "2.4", exact: true }).click();
    const reference = page.getByText(/^\S+\/team-a\/api:2\.4$/).first();
    const image = (await reference.textContent()) ?? "";
    expect((await platform.tryPod("shop", image)).status).to.equal(201);
    expect(await page.getByRole("link", { name: "Platform" }).count()).to.equal(0);
    await page.context().close();
  });

  it("lets root write a binding, after which alice finds the space and may deploy from it", async () => {
    const page = await signedIn(tokens.root, "#view=platform&section=spaces");
    await page.getByRole("link", { name: "team-b" }).click();
    await page.getByLabel("Workspace id").fill("12");
    const shown = (await page.locator("pre").textContent()) ?? "";
    const { metadata, data } = parse(shown) as { metadata: { name: string }; data: Record<string, string> };
    const { admin } = platform.plane;
    const labels = { "berth.io/policy": "true" };
    const configMap = {
      kind: "ConfigMap",
      metadata: { ...metadata, namespace: berthNamespace, labels },
    } as const;
    expect((await admin.create({ ...configMap, ...{ data } })).status).to.equal(201);
    await platform.becomes("admitted", "shop", imageOf("team-b", "hidden:7"));
    await waitFor("alice sees team-b", async () =>
      (await namesIn("/namespaces/shop/spaces", tokens.alice)).includes("team-b"),
    );
    await page.context().close();
  });

  it("does not know a token any more when its account is gone", async () => {
    const token = await person("leaver", "shop");
    expect((await ask("/me", token)).status).to.equal(200);
    await platform.plane.admin.delete("ServiceAccount", { namespace: "shop", name: "leaver" });
    await waitFor("the token is no good", async () => (await ask("/me", token)).status === 401, 40_000);
  });

  it("asked the API server nothing that its account may not ask, and logged no token", async () => {
    const refused = (await platform.auditEvents()).filter(
      ({ user, responseStatus }) => user.username === berthUser && responseStatus?.code === 403,
    );
    // Pods that the webhook refused are others' calls.
    expect(refused.map(({ verb, requestURI }) => `${verb} ${requestURI}`)).to.deep.equal([]);
    for (const token of Object.values(tokens)) expect(platform.berth.output()).to.not.include(token);
  });
});
