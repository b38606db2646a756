// Registries, spaces and pull secrets with every part real that there is: an API server that asks one of two
// replicas, docker-registry behind the tokens of the stand-in Harbor, and skopeo that pulls with what `berth-pull`
// holds. One platform for all tests, which run in order: some of what begins early is over only at the end, since a
// robot lives on for two minutes after the last Secret has let go of it.

import { randomBytes } from "node:crypto";
import { expect } from "chai";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { createWebhookCaller, creationReview } from "../../src/demo/webhook-caller.ts";
import {
  registryKeeperLogin,
  registryLogin,
  skipWithoutRegistryTools,
  startDockerRegistry,
  type DockerRegistry,
} from "../fakes/docker-registry.ts";
import { createSkopeo, type Login, type Skopeo } from "../fakes/skopeo.ts";
import { berthNamespace, mustCreate, type Berth } from "./berth.ts";
import { createNamespace, waitFor, type Identified } from "./kube.ts";
import { startKubelet, type Kubelet } from "./kubelet.ts";
import { imageOf, startPlatform, workspaceLabel, type Platform } from "./platform.ts";
import { startTlsFront, type TlsFront } from "./tls-front.ts";
import { pod } from "./workloads.ts";

/** As images on the platform's Harbor are named where nobody pulls them. */
const alias = "harbor.example.test";
const name = "berth-pull";
/** A change is in force, and Secrets are written, within this, on a busy machine too. */
const soonMs = 10_000;
/** A lease that nobody renews is over after 15 s, and those that wait look at it every two. */
const takeoverMs = 25_000;
/** What the other side of a binding is promised. */
const removalMs = 5 * 60_000;
const inDays = (days: number) => Math.floor(Date.now() / 1_000) + days * 24 * 60 * 60;

describe("registries before a real API server", () => {
  let platform: Platform;
  /** The one that the API server asks is `platform.berth`. */
  let second: Berth;
  const stops: (() => Promise<unknown>)[] = [];
  /** Secrets that came by, which no log may hold. */
  const passwords = new Set<string>();

  // Where docker-registry and skopeo are there.
  let registry: DockerRegistry;
  let archive: DockerRegistry;
  let skopeo: Skopeo;
  const kubelets: Kubelet[] = [];
  /** While robots had been renamed and Secrets had not been written. */
  let renaming: { readonly from: number; readonly to: number } | undefined;
  /** What a tenant may have copied while one space more was bound, and what has to go when it no longer is. */
  let unbinding:
    { readonly at: number; readonly copied: string; readonly robots: readonly number[] } | undefined;

  let killedAt = 0;
  /** Joins and leaves. */
  let added: StandInHarbor;
  let addedUrl = "";
  let leftAt = 0;

  before(async () => {
    platform = await startPlatform(["--catalogue-interval", "1s", "--drain", "1s"]);
    second = await platform.berth.another();
    await second.start();
    stops.push(() => second.stop());
    platform.harbor.projects.create({ name: "team-c" });
    await platform.bind(["12", "team-a"], ["34", "team-b"]);
    await createNamespace(admin(), "shop", { [workspaceLabel]: "12" });
    await createNamespace(admin(), "lab", { [workspaceLabel]: "34" });
  });
  after(async () => {
    for (const stop of stops.reverse()) await stop();
    await (platform as Platform | undefined)?.stop();
  });

  const admin = () => platform.plane.admin;
  const harbor = () => platform.harbor;

  async function pullSecret(namespace: string) {
    const { status, body } = await admin().get("Secret", { namespace, name });
    return status === 200 ? body : undefined;
  }

  /** The text of `.dockerconfigjson`. */
  async function readSecret(namespace: string): Promise<string | undefined> {
    const encoded = (await pullSecret(namespace))?.data?.[".dockerconfigjson"];
    return encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString();
  }

  async function loginIn(namespace: string, host = alias): Promise<Login | undefined> {
    const text = await readSecret(namespace);
    const login = text === undefined ? undefined : loginsOf(text).get(host);
    if (login !== undefined) passwords.add(login.password);
    return login;
  }

  /** Waits until the namespace has a login other than that one. */
  function nextLogin(namespace: string, before?: Login, host = alias, withinMs = soonMs): Promise<Login> {
    const look = async () => {
      const login = await loginIn(namespace, host);
      return login?.username === before?.username ? undefined : login;
    };
    return waitFor(`${namespace} gets a login for ${host}`, look, withinMs);
  }

  async function leads(berth: Berth): Promise<boolean> {
    // One that is down leads nobody.
    const metrics = await berth.operations("/metrics").catch(() => undefined);
    return metrics !== undefined && numberIn(metrics.text, "berth_leader") === 1;
  }

  /** Of the two, once exactly one leads. */
  function roles(withinMs = soonMs): Promise<{ readonly leader: Berth; readonly follower: Berth }> {
    return waitFor(
      "exactly one leads",
      async () => {
        const [first, other] = await Promise.all([leads(platform.berth), leads(second)]);
        if (first === other) return undefined;
        return first
          ? { leader: platform.berth, follower: second }
          : { leader: second, follower: platform.berth };
      },
      withinMs,
    );
  }

  async function leaderSays(pattern: RegExp, withinMs = soonMs): Promise<void> {
    const look = async () => {
      const { text } = await (await roles()).leader.operations("/readyz?verbose");
      return pattern.test(text);
    };
    await waitFor(`the leader says ${String(pattern)}`, look, withinMs);
  }

  async function leaderCounts(metric: string, expected: number, withinMs = soonMs): Promise<void> {
    const look = async () => {
      const { text } = await (await roles()).leader.operations("/metrics");
      return numberIn(text, metric) === expected;
    };
    await waitFor(`${metric} is ${expected}`, look, withinMs);
  }

  async function label(namespace: string, workspace: string | null): Promise<void> {
    const labels = { [workspaceLabel]: workspace };
    await admin().mergePatch("Namespace", { name: namespace }, { metadata: { labels } });
  }

  describe("the pull secret of a namespace", () => {
    before(async () => {
      await nextLogin("shop");
      for (const namespace of ["theirs", "full", "ending"]) await createNamespace(admin(), namespace);
    });

    it("that somebody else made is left alone, and reported", async () => {
      const data = { ".dockerconfigjson": base64('{"auths":{"registry.example.test":{"auth":"eDp5"}}}') };
      const type = "kubernetes.io/dockerconfigjson";
      await mustCreate(admin(), {
        kind: "Secret",
        metadata: { name, namespace: "theirs" },
        ...{ type, data },
      });
      const made = await pullSecret("theirs");
      await label("theirs", "12");
      await leaderCounts('berth_pull_secrets{state="foreign"}', 1);
      await leaderSays(/namespace theirs: a Secret berth-pull that Berth did not make is there/);
      expect(await pullSecret("theirs")).to.deep.equal(made);
    });

    it("that a quota forbids, or a namespace that ends, is reported and keeps nobody waiting", async () => {
      const quotas = "/api/v1/namespaces/full/resourcequotas";
      const hard = { secrets: "0" };
      await admin().request("POST", quotas, { metadata: { name: "none" }, spec: { hard } });
      // What a controller that does not run here would fill in.
      const merge = "application/merge-patch+json";
      await admin().request("PATCH", `${quotas}/none/status`, { status: { hard, used: hard } }, merge);
      const keeper = { name: "keeper", namespace: "ending", finalizers: ["berth.test/keep"] };
      await mustCreate(admin(), { kind: "ConfigMap", metadata: keeper });
      await admin().delete("Namespace", { name: "ending" });

      await Promise.all(["full", "ending"].map((namespace) => label(namespace, "12")));
      await createNamespace(admin(), "swift", { [workspaceLabel]: "12" });
      expect(await nextLogin("swift")).to.deep.equal(await loginIn("shop"));
      await leaderCounts('berth_pull_secrets{state="refused"}', 2);
      await leaderSays(/namespace full: .* 403 .*exceeded quota: none/);
      await leaderSays(/namespace ending: .* 403 .*being terminated/);
    });

    const spoilt: readonly (readonly [title: string, spoil: () => Promise<unknown>])[] = [
      ["is removed", () => admin().delete("Secret", at)],
      ["is edited", () => merge({ data: { ".dockerconfigjson": base64('{"auths":{}}') } })],
      ["loses its label", () => merge({ metadata: { labels: { "app.kubernetes.io/managed-by": null } } })],
      [
        "gets another's label",
        () => merge({ metadata: { labels: { "app.kubernetes.io/managed-by": "x" } } }),
      ],
      ["is made immutable", () => merge({ immutable: true })],
      [
        "is edited and made immutable",
        () => merge({ immutable: true, data: { ".dockerconfigjson": base64('{"auths":{}}') } }),
      ],
      ["becomes one of another type", () => replaceByOpaque()],
    ];
    const at = { namespace: "shop", name };
    const merge = async (patch: object) => {
      expect((await admin().mergePatch("Secret", at, patch)).status).to.equal(200);
    };
    /** Berth may be faster than the second of the two calls. */
    const replaceByOpaque = () =>
      waitFor("it is of another type", async () => {
        await admin().delete("Secret", at);
        const labels = { "app.kubernetes.io/managed-by": "berth" };
        const metadata = { ...at, labels };
        const opaque: Identified = { kind: "Secret", metadata, ...{ type: "Opaque" } };
        return (await admin().create(opaque)).status === 201;
      });

    for (const [title, spoil] of spoilt) {
      it(`is as it was within seconds when it ${title}`, async () => {
        const facts = async () => {
          const secret = await pullSecret("shop");
          const labels = secret?.metadata?.labels;
          return { labels, type: secret?.type, data: secret?.data, immutable: secret?.immutable };
        };
        const before = await facts();
        const spoiltOne = versionOf(await pullSecret("shop"));
        await spoil();
        await waitFor(
          "it is as it was",
          async () => {
            const isAnother = versionOf(await pullSecret("shop")) !== spoiltOne;
            return isAnother && JSON.stringify(await facts()) === JSON.stringify(before);
          },
          soonMs,
        );
      });
    }
  });

  describe("what a namespace pulls (docker-registry and skopeo)", () => {
    before(async function () {
      skipWithoutRegistryTools(this);
      await startRegistries();
      await nextLogin("shop", undefined, registry.host);
      await nextLogin("lab", undefined, registry.host);
      kubelets.push(
        kubeletOf("shop", image("team-a")),
        // The slowest that there is: what it has read is to be good for two minutes after it changed.
        kubeletOf("shop", image("team-a"), 90_000),
        kubeletOf("lab", image("team-b")),
      );
      stops.push(() => Promise.all(kubelets.map((kubelet) => kubelet.stop())));
      await allPull();
    });

    it("is what is bound to its workspace, by a robot that opens nothing else", async () => {
      const secret = await secretOf("shop");
      const hosts = [alias, registry.host, new URL(harbor().url).host, archive.host];
      expect([...loginsOf(secret).keys()]).to.have.members(hosts);
      expect((await loginIn("shop", registry.host))?.username).to.match(/^robot\$berth-cluster-/);
      const bound = await skopeo.pullWith(image("team-a"), secret);
      expect(bound.code, bound.stderr).to.equal(0);
      for (const denied of [
        await skopeo.pullWith(image("team-b"), secret),
        await skopeo.pull(image("team-a")),
        await skopeo.push(image("team-a"), Object.fromEntries(loginsOf(secret))),
      ]) {
        expect(denied.code).to.not.equal(0);
        expect(denied.stderr).to.match(/denied|unauthorized/);
      }
    });

    it("is everything on a Docker Registry, by the login for it and never by Berth's own", async () => {
      await createNamespace(admin(), "loose");
      const open = await nextLogin("loose", undefined, archive.host);
      expect(open).to.deep.equal(registryLogin);
      for (const namespace of ["shop", "loose"]) {
        const pulled = await skopeo.pullWith(archived(), await secretOf(namespace));
        expect(pulled.code, pulled.stderr).to.equal(0);
        const admitted = await platform.tryPod(namespace, archived());
        expect(admitted.status, admitted.message).to.equal(201);
        expect(admitted.body.spec?.imagePullSecrets).to.deep.equal([{ name }]);
      }
      const everywhere = (await admin().list("Secret", { query: { fieldSelector: `metadata.name=${name}` } }))
        .body.items;
      expect(everywhere.length).to.be.above(4);
      for (const { data } of everywhere) {
        const logins = loginsOf(Buffer.from(data?.[".dockerconfigjson"] ?? "", "base64").toString());
        const names = [...logins.values()].map(({ username }) => username);
        expect(names).to.not.include.members([registryKeeperLogin.username]);
        expect(names).to.not.include.members(["admin"]);
      }
    });

    it("goes on through a rotation", async () => {
      const before = await nextLogin("shop");
      harbor().robots.setExpiresAt(before.username, inDays(10));
      await nextLogin("shop", before);
      await allPull();
      expect(failures()).to.deep.equal([]);
    });

    it("is back within seconds when Harbor's prefix for robots changes, which kills all logins at once", async () => {
      const from = Date.now();
      harbor().robots.setPrefix("bot-");
      await waitFor("the Secret has the new name", async () =>
        (await loginIn("shop"))?.username.startsWith("bot-"),
      );
      await allPull(20_000);
      renaming = { from, to: Date.now() };
      expect(renaming.to - from).to.be.below(20_000);
    });

    it("goes on when a space more is bound, and when it is taken back, which no longer is pulled", async () => {
      const before = await nextLogin("shop");
      await platform.bind(["12", "team-a"], ["12", "team-c"], ["34", "team-b"]);
      const wider = await nextLogin("shop", before);
      const copied = await secretOf("shop");
      expect((await skopeo.pullWith(image("team-c"), copied)).code).to.equal(0);
      const lab = (await nextLogin("lab")).username;
      const others = harbor()
        .robots.list()
        .filter((robot) => robot.name !== lab);
      unbinding = { at: Date.now(), copied, robots: others.map(({ id }) => id) };
      expect(unbinding.robots).not.to.be.empty;
      await platform.bind(["12", "team-a"], ["34", "team-b"]);
      await platform.becomes("refused", "shop", imageOf("team-c"));
      await nextLogin("shop", wider);
      expect((await skopeo.pullWith(image("team-c"), await secretOf("shop"))).code).to.not.equal(0);
      await allPull();
      expect(failures()).to.deep.equal([]);
    });
  });

  describe("two replicas", () => {
    it("have one leader, and decide alike", async () => {
      await roles();
      // Few enough for every look-up to be made: no namespace has more than ten of them at once.
      const images = [
        ...["open", "team-a", "team-b", "team-c", "no-such-space"].map((space) => imageOf(space)),
        ...["nginx", `${alias}/app`, "Not An Image"],
      ];
      const asked = ["shop", "lab", "theirs", "nowhere"].flatMap((namespace) => [
        { namespace, of: imageOf("team-a"), more: {} },
        ...images.map((of) => ({ namespace, of, more: undefined })),
      ]);
      const reviews = asked.map((each) => ({
        asked: each,
        review: reviewOf(each.namespace, each.of, each.more),
      }));
      const answers = async (berth: Berth) => {
        const caller = createWebhookCaller(berth.webhook);
        try {
          const given = [];
          for (const { asked, review } of reviews) {
            for (const path of ["/mutate", "/validate"] as const) {
              const { auditAnnotations, ...answer } = await caller.review(path, review);
              // Each replica counts its own snapshots.
              given.push({ path, asked, ...answer, ...auditAnnotations, snapshot: null });
            }
          }
          return given;
        } finally {
          caller.close();
        }
      };
      const [one, other] = [await answers(platform.berth), await answers(second)];
      expect(one.filter(({ allowed }) => !allowed).length).to.be.within(20, one.length - 20);
      expect(other).to.deep.equal(one);
    });

    /** Resolves when Harbor has begun to answer it. */
    const nextRequest = (method: string, path: string) =>
      new Promise<void>((resolve) => {
        harbor().faults.meanwhile = (request) => {
          // The body comes along with the head, or right behind it.
          if (request.method === method && request.path === path) setTimeout(resolve, 200);
        };
      });

    it("go on when the leader is killed in the middle of a rotation", async () => {
      const { leader, follower } = await roles();
      const before = await nextLogin("lab");
      const known = new Set(
        harbor()
          .robots.list()
          .map(({ id }) => id),
      );
      // Harbor makes the robot whether or not anybody is there to hear of it.
      const asked = nextRequest("POST", "/api/v2.0/robots");
      harbor().faults.always({ kind: "slow", ms: 2_000 }, /^\/api\/v2\.0\/robots$/);
      harbor().robots.setExpiresAt(before.username, inDays(10));
      await asked;
      killedAt = Date.now();
      await leader.kill();
      harbor().faults.clear();
      await waitFor("there is one whose secret is lost", () =>
        Promise.resolve(
          harbor()
            .robots.list()
            .some(({ id }) => !known.has(id)),
        ),
      );
      expect(await loginIn("lab")).to.deep.equal(before);
      await waitFor("the other leads", () => leads(follower), takeoverMs);
      const after = await nextLogin("lab", before);
      expect(harbor().robots.find(after.username)?.secret).to.equal(after.password);
      await leader.start();
      await roles();
      expect(failures()).to.deep.equal([]);
    });

    it("hand over within seconds when the leader is told to stop", async () => {
      const { leader, follower } = await roles();
      expect(await leader.stop()).to.deep.equal({ code: 0, signal: null });
      await waitFor("the other leads", () => leads(follower), 5_000);
      await leader.start();
      expect((await roles()).leader).to.equal(follower);
    });

    it("get a third that is ready at once while Harbor is down, and enforces what was published", async () => {
      const third = await platform.berth.another();
      // Robots log in by the token service, which goes on.
      harbor().faults.always({ kind: "status", status: 503 }, /^\/api\//);
      try {
        const startedAt = Date.now();
        await third.start();
        // Without what is published it would wait for a minute.
        expect(Date.now() - startedAt).to.be.below(30_000);
        expect((await third.operations("/readyz")).status).to.equal(200);
        expect(await verdict(third, "shop", imageOf("team-a"))).to.equal(true);
        expect(await verdict(third, "lab", imageOf("team-a"))).to.equal(false);
        expect(await verdict(third, "lab", imageOf("open"))).to.equal(true);
        expect(await leads(third)).to.equal(false);
        expect(await third.stop()).to.deep.equal({ code: 0, signal: null });
      } finally {
        await third.kill();
        harbor().faults.clear();
      }
    });
  });

  describe("a registry", () => {
    /** What the platform's administrators bring along, at run time. */
    let front: TlsFront;
    const addedAlias = "added.example.test";
    const models = `${addedAlias}/models/app:1`;
    const taken = `${addedAlias}/taken/app:1`;
    const plain = `${addedAlias}/plain/app:1`;
    let password = "";

    before(async () => {
      password = randomBytes(12).toString("hex");
      added = await startStandInHarbor({
        adminPassword: password,
        projects: [{ name: "plain" }, { name: "taken" }],
      });
      stops.push(() => added.close());
      front = await startTlsFront(added.url);
      addedUrl = front.url;
      stops.push(() => front.close());
      await createNamespace(admin(), "studio", { [workspaceLabel]: "56" });
      await writeSecret("added-login", { username: "admin", password });
      await writeSecret("added-ca", { "ca.crt": front.ca() });
      await writeSpaces();
      await writeBindings("models");
    });

    async function writeSecret(of: string, stringData: Readonly<Record<string, string>>): Promise<void> {
      const metadata = { name: of, namespace: berthNamespace };
      const { status, message } = await admin().apply(
        { kind: "Secret", metadata, ...{ stringData } },
        "suite",
      );
      expect(status, message).to.be.below(300);
    }
    function writeSpaces(...more: readonly object[]): Promise<void> {
      const registries = [
        {
          ...{ name: "added", type: "harbor", url: front.url, aliases: [addedAlias] },
          ...{ credentialsSecret: "added-login", caSecret: "added-ca" },
        },
      ];
      const spaces = [{ registry: "added", name: "models", visibility: "private" }, ...more];
      return platform.writePolicy("added", JSON.stringify({ registries, spaces }));
    }
    const writeBindings = (...spaces: readonly string[]) =>
      platform.writePolicy(
        "added-bindings",
        JSON.stringify({ bindings: [{ workspace: "56", registry: "added", spaces }] }),
      );
    const visibilityOf = (space: string) => added.projects.find(space)?.metadata?.["public"];
    const robots = () => added.robots.list().map(({ name: robot }) => robot);

    it("joins by an edit of the policy, and a declared space is made as it is declared", async () => {
      await platform.becomes("admitted", "studio", models);
      expect(visibilityOf("models")).to.equal("false");
      expect((await platform.tryPod("shop", models)).status).to.equal(403);
    });

    it("gives a new namespace its pull secret before the Pod that is faster is admitted", async () => {
      await nextLogin("studio", undefined, addedAlias);
      for (let count = 1; count <= 5; count += 1) {
        const namespace = `studio-${count}`;
        await createNamespace(admin(), namespace, { [workspaceLabel]: "56" });
        const { status, message, body, warnings } = await admin().create(
          pod({ namespace, name: "first" }, models),
        );
        expect(status, message).to.equal(201);
        expect(body.spec?.imagePullSecrets).to.deep.equal([{ name }]);
        expect(warnings).to.deep.equal([]);
        const secret = await pullSecret(namespace);
        expect(versionOf(secret)).to.satisfy((version: bigint) => version < versionOf(body));
      }
      expect(robots()).to.have.length(1);
    });

    it("has its declared spaces mended, and all others as people want them", async () => {
      added.projects.setVisibility("models", "public");
      await waitFor("it is private again", () => Promise.resolve(visibilityOf("models") === "false"));
      await platform.becomes("refused", "shop", models);
      expect((await platform.tryPod("studio", models)).status).to.equal(201);
      expect((await platform.tryPod("shop", plain)).status).to.equal(403);
      added.projects.setVisibility("plain", "public");
      await platform.becomes("admitted", "shop", plain);
      added.projects.setVisibility("plain", "private");
      await platform.becomes("refused", "shop", plain);
    });

    it("gets a new robot when one is due, in all Secrets of the workspace", async () => {
      const before = await nextLogin("studio", undefined, addedAlias);
      added.robots.setExpiresAt(before.username, inDays(10));
      const after = await nextLogin("studio", before, addedAlias);
      for (let count = 1; count <= 5; count += 1) {
        expect(await nextLogin(`studio-${count}`, before, addedAlias)).to.deep.equal(after);
      }
      expect(added.robots.find(after.username)?.secret).to.equal(after.password);
    });

    it("is closed to a workspace whose binding is taken back, and no login is left there", async () => {
      const before = await nextLogin("studio", undefined, addedAlias);
      await writeBindings();
      await platform.becomes("refused", "studio", models);
      await waitFor("no login", async () => (await loginIn("studio", addedAlias)) === undefined, soonMs);
      await writeBindings("models");
      await platform.becomes("admitted", "studio", models);
      // The old one may be there for a moment, until its successor is.
      await waitFor("another login", async () => {
        const login = await loginIn("studio", addedAlias);
        return login !== undefined && login.username !== before.username;
      });
    });

    it("forgives the deletion of a policy: verdicts change, and logins stay for when it is put back", async () => {
      const before = await nextLogin("studio", undefined, addedAlias);
      const robotsBefore = robots();
      await platform.removePolicy("added-bindings");
      await platform.becomes("refused", "studio", models);
      // Longer than it took to take a login away.
      await new Promise((resolve) => setTimeout(resolve, 6_000));
      expect(await loginIn("studio", addedAlias)).to.deep.equal(before);
      expect(robots()).to.include(before.username);
      await writeBindings("models");
      await platform.becomes("admitted", "studio", models);
      expect(await loginIn("studio", addedAlias)).to.deep.equal(before);
      expect(robotsBefore).to.include.members(robots());
    });

    it("is left alone by bindings to a declared space that somebody else took, until it is adopted", async () => {
      const declared = { registry: "added", name: "taken", visibility: "private" };
      await writeSpaces(declared);
      await writeBindings("models", "taken");
      await leaderSays(/space taken of added is declared, but Berth did not make it: .*adopt: true/);
      expect((await platform.tryPod("studio", taken)).status).to.equal(403);
      expect((await platform.tryPod("studio", models)).status).to.equal(201);
      await writeSpaces({ ...declared, adopt: true });
      await platform.becomes("admitted", "studio", taken);
      await waitFor("the robot is for both", async () => {
        const login = await loginIn("studio", addedAlias);
        const robot = login && added.robots.find(login.username);
        const spaces = robot?.permissions.map(({ namespace }) => namespace).sort();
        return JSON.stringify(spaces) === '["models","taken"]';
      });
      await writeSpaces();
      await writeBindings("models");
    });

    it("is read with a changed password, and by a changed CA, without a restart", async () => {
      const isUp = (up: number) => leaderCounts('berth_registry_up{registry="added"}', up, 30_000);
      await isUp(1);
      passwords.add(password);
      password = randomBytes(12).toString("hex");
      added.logins.users.get("admin")!.password = password;
      await isUp(0);
      await writeSecret("added-login", { username: "admin", password });
      await isUp(1);
      await front.renew();
      await isUp(0);
      await writeSecret("added-ca", { "ca.crt": front.ca() });
      await isUp(1);
      expect((await platform.tryPod("studio", models)).status).to.equal(201);
    });

    it("leaves by an edit of the policy, with what was published of it and with its logins", async () => {
      await platform.writePolicy("added-bindings", "bindings: []");
      await platform.writePolicy("added", "registries: []");
      await platform.becomes("refused", "studio", models);
      expect((await platform.tryPod("studio", models)).message).to.include("no registry of this platform");
      await waitFor("no login", async () => (await loginIn("studio", addedAlias)) === undefined, soonMs);
      await waitFor(
        "nothing is published",
        async () => {
          const query = { labelSelector: "berth.io/published=true" };
          const { items } = (await admin().list("ConfigMap", { namespace: berthNamespace, query })).body;
          expect(items.length).to.be.above(1);
          return items.every(({ metadata }) => metadata?.name?.startsWith("berth-catalogue-added") === false);
        },
        soonMs,
      );
      leftAt = Date.now();
    });
  });

  describe("in the end", function () {
    this.timeout(removalMs + 60_000);

    it("no robot of a registry that left is there, nor a record of one", async () => {
      const look = async () => {
        const query = { labelSelector: "berth.io/robot=true" };
        const { items } = (await admin().list("Secret", { namespace: berthNamespace, query })).body;
        const records = items.map(({ data }) => Buffer.from(data?.["record"] ?? "", "base64").toString());
        expect(records.length).to.be.above(1);
        return added.robots.list().length === 0 && records.every((record) => !record.includes(addedUrl));
      };
      await waitFor("they are gone", look, leftAt + removalMs - Date.now());
    });

    it("the robots from before a binding was taken back are gone, and who copied a login has nothing", async function () {
      skipWithoutRegistryTools(this);
      const { at, copied, robots } = unbinding!;
      const isThere = (id: number) =>
        harbor()
          .robots.list()
          .some((robot) => robot.id === id);
      await waitFor(
        "they are gone",
        () => Promise.resolve(!robots.some(isThere)),
        at + removalMs - Date.now(),
      );
      for (const space of ["team-a", "team-c"]) {
        expect((await skopeo.pullWith(image(space), copied)).code).to.not.equal(0);
      }
    });

    it("no robot is there but those that Secrets hold: the one whose secret was lost is gone", async () => {
      const look = async () => {
        const held = [await loginIn("shop"), await loginIn("lab")].map((login) => login?.username);
        const there = harbor()
          .robots.list()
          .map((robot) => robot.name);
        return JSON.stringify(there.sort()) === JSON.stringify(held.sort());
      };
      await waitFor("only those in use are there", look, killedAt + removalMs - Date.now());
    });

    it("nobody has missed a pull, but while Harbor had renamed the robots", async function () {
      skipWithoutRegistryTools(this);
      await allPull();
      for (const kubelet of kubelets) await kubelet.stop();
      expect(failures()).to.deep.equal([]);
      for (const { tries } of kubelets) expect(tries.length).to.be.above(50);
      const dead = loginsOf(unbinding!.copied).get(registry.host)?.username;
      const refused = [...harbor().logins.failures.keys()];
      const isExplained = (login: string) => login === dead || login.startsWith("robot$");
      expect(refused.filter((login) => !isExplained(login))).to.deep.equal([]);
    });

    it("a space that is replaced while every replica is down is none of those that were bound", async () => {
      const { leader, follower } = await roles();
      await Promise.all([leader.stop(), follower.stop()]);
      harbor().projects.remove("team-a");
      harbor().projects.create({ name: "team-a" });
      harbor().faults.always({ kind: "status", status: 503 });
      const startedAt = Date.now();
      await platform.berth.start();
      expect(Date.now() - startedAt).to.be.below(30_000);
      expect((await platform.berth.operations("/readyz")).status).to.equal(200);
      // What was published is all that is known, and holds.
      expect((await platform.tryPod("shop", imageOf("team-a"))).status).to.equal(201);
      expect((await platform.tryPod("lab", imageOf("team-a"))).status).to.equal(403);
      harbor().faults.clear();
      await platform.becomes("refused", "shop", imageOf("team-a"), 60_000);
      const { text } = await platform.berth.operations("/metrics");
      expect(numberIn(text, 'berth_admission_refusals_total{reason="space-replaced"}')).to.be.above(0);
      await waitFor("the login is gone", async () => (await loginIn("shop")) === undefined, takeoverMs);
    });

    it("no log holds a password", () => {
      expect(passwords.size).to.be.above(5);
      const logs = platform.berth.output() + second.output();
      expect([...passwords].filter((each) => logs.includes(each))).to.deep.equal([]);
    });
  });

  const image = (space: string) => `${registry.host}/${space}/app:1`;
  const archived = () => `${archive.host}/app:1`;

  async function startRegistries(): Promise<void> {
    skopeo = await createSkopeo();
    stops.push(() => skopeo.close());
    const realm = `${harbor().url}/service/token`;
    const certificatePem = await harbor().tokenCertificatePem();
    registry = await startDockerRegistry({ auth: { kind: "token", realm, certificatePem } });
    stops.push(() => registry.stop());
    archive = await startDockerRegistry({ auth: { kind: "htpasswd" } });
    stops.push(() => archive.stop());
    const { name: username, password } = harbor().logins.users.get("admin")!;
    for (const space of ["team-a", "team-b", "team-c"]) {
      const pushed = await skopeo.push(image(space), { [registry.host]: { username, password } });
      expect(pushed.code, pushed.stderr).to.equal(0);
    }
    const pushed = await skopeo.push(archived(), { [archive.host]: registryKeeperLogin });
    expect(pushed.code, pushed.stderr).to.equal(0);

    for (const [secret, login] of [
      ["archive-own", registryKeeperLogin],
      ["archive-pull", registryLogin],
    ] as const) {
      const metadata = { name: secret, namespace: berthNamespace };
      await mustCreate(admin(), { kind: "Secret", metadata, ...{ stringData: login } });
    }
    const managed = {
      ...{ name: "managed", type: "harbor", url: harbor().url, aliases: [alias, registry.host] },
      ...{ credentialsSecret: "harbor-login", caSecret: "harbor-ca" },
    };
    const open = {
      ...{ name: "archive", type: "docker-registry", url: archive.url },
      ...{ credentialsSecret: "archive-own", pullCredentialsSecret: "archive-pull" },
    };
    await platform.setPolicy("registries", { registries: [managed, open] });
  }

  const kubeletOf = (namespace: string, of: string, keepsMs = 0) =>
    startKubelet({
      readSecret: () => readSecret(namespace),
      pull: (secret) => skopeo.pullWith(of, secret),
      keepsMs,
    });

  async function secretOf(namespace: string): Promise<string> {
    const secret = await readSecret(namespace);
    if (secret === undefined) throw new Error(`${namespace} has no pull secret`);
    return secret;
  }

  const allPull = (withinMs?: number) => Promise.all(kubelets.map((kubelet) => kubelet.pulls(withinMs)));

  /** Pulls that failed, but for those that a renaming explains. */
  function failures() {
    const isExplained = ({ begunAt, endedAt }: { begunAt: number; endedAt: number }) =>
      renaming !== undefined && endedAt >= renaming.from && begunAt <= renaming.to;
    return kubelets.flatMap(({ tries }) => tries.filter((each) => !each.succeeded && !isExplained(each)));
  }

  async function verdict(berth: Berth, namespace: string, of: string): Promise<boolean> {
    const caller = createWebhookCaller(berth.webhook);
    try {
      return (await caller.review("/validate", reviewOf(namespace, of))).allowed;
    } finally {
      caller.close();
    }
  }
});

/** A Pod as the API server would ask about it, by default with the pull secret that `/mutate` gives it. */
function reviewOf(namespace: string, of: string, more: object = { imagePullSecrets: [{ name }] }) {
  const kind = { group: "", kind: "Pod", resource: "pods" };
  return creationReview(kind, pod({ namespace, name: "asked" }, of, more));
}

const base64 = (text: string) => Buffer.from(text).toString("base64");

/** Revisions of etcd, which are one sequence for all objects. */
const versionOf = (object: { metadata?: { resourceVersion?: string } } | undefined) =>
  BigInt(object?.metadata?.resourceVersion ?? 0);

/** Of the text of `.dockerconfigjson`, by key. */
function loginsOf(text: string): ReadonlyMap<string, Login> {
  const { auths } = JSON.parse(text) as { auths: Readonly<Record<string, { readonly auth: string }>> };
  return new Map(
    Object.entries(auths).map(([key, { auth }]) => {
      const decoded = Buffer.from(auth, "base64").toString();
      const colon = decoded.indexOf(":");
      return [key, { username: decoded.slice(0, colon), password: decoded.slice(colon + 1) }];
    }),
  );
}

/** A value of a page of metrics; undefined where there is none. */
function numberIn(metrics: string, metric: string): number | undefined {
  const line = metrics.split("\n").find((each) => each.startsWith(`${metric} `));
  return line === undefined ? undefined : Number(line.split(" ").at(-1));
}
