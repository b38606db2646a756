// What Berth writes, before a real API server and with no more rights than it is given: pull secrets, records of
// robots, published values, the lease, Events. What the API server itself does there is shown too, since the
// adapters are built on it.

import { createHash, randomBytes } from "node:crypto";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect } from "chai";
import { kubeconfigAccess } from "../../src/kubernetes/kube-access.ts";
import { createEvents } from "../../src/kubernetes/events.ts";
import { createKubeClient, type KubeClient } from "../../src/kubernetes/kube-client.ts";
import { type Lease, startLease } from "../../src/kubernetes/lease.ts";
import { createPublishedStore, type PublishedValue } from "../../src/kubernetes/published-store.ts";
import { createPullSecretStore, type PullSecretStore } from "../../src/kubernetes/pull-secret-store.ts";
import { createRobotRecords } from "../../src/kubernetes/robot-records.ts";
import type { Watch } from "../../src/kubernetes/watch.ts";
import { silentLog } from "../../src/log.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";
import { mustCreate } from "./berth.ts";
import { skipWithout } from "./binaries.ts";
import { startControlPlane, type ControlPlane } from "./control-plane.ts";
import { createNamespace, type Kube, waitFor } from "./kube.ts";

const { signal } = new AbortController();
const own = "berth-system";
const user = "system:serviceaccount:berth-system:berth";
const group = "rbac.authorization.k8s.io";
const secretType = "kubernetes.io/dockerconfigjson";
const name = "berth-pull";
const content = (login: string) => JSON.stringify({ auths: { "harbor.test": { auth: login } } });
const base64 = (text: string) => Buffer.from(text).toString("base64");
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");
const clocks = { log: silentLog, now: Date.now, random: Math.random };

/** Exactly what Berth needs for what it writes. */
const clusterRules = [
  { apiGroups: [""], resources: ["secrets"], verbs: ["create"] },
  {
    apiGroups: [""],
    resources: ["secrets"],
    resourceNames: [name],
    verbs: ["get", "list", "watch", "patch", "delete"],
  },
];
const ownRules = [
  { apiGroups: [""], resources: ["secrets"], verbs: ["get", "list", "watch", "create", "update", "delete"] },
  {
    apiGroups: [""],
    resources: ["configmaps"],
    verbs: ["get", "list", "watch", "create", "update", "patch", "delete"],
  },
  { apiGroups: ["coordination.k8s.io"], resources: ["leases"], verbs: ["create"] },
  {
    apiGroups: ["coordination.k8s.io"],
    resources: ["leases"],
    resourceNames: ["berth"],
    verbs: ["get", "update"],
  },
  { apiGroups: ["events.k8s.io"], resources: ["events"], verbs: ["create"] },
];

describe("what Berth writes, before a real API server", () => {
  let plane: ControlPlane;
  let admin: Kube;
  let kubeconfigPath: string;
  let client: KubeClient;
  const stops: (() => Promise<unknown>)[] = [];

  before(async function () {
    skipWithout("kube-controller-manager", this);
    plane = await startControlPlane({ controllerManager: true });
    admin = plane.admin;
    await createNamespace(admin, own);
    const subjects = [{ kind: "ServiceAccount", name: "berth", namespace: own }];
    const metadata = { name: "berth" };
    const roleOf = (kind: string) => ({ subjects, roleRef: { apiGroup: group, kind, name: "berth" } });
    await mustCreate(admin, { kind: "ClusterRole", metadata, ...{ rules: clusterRules } });
    await mustCreate(admin, { kind: "ClusterRoleBinding", metadata, ...roleOf("ClusterRole") });
    const inOwn = { ...metadata, namespace: own };
    await mustCreate(admin, { kind: "Role", metadata: inOwn, ...{ rules: ownRules } });
    await mustCreate(admin, { kind: "RoleBinding", metadata: inOwn, ...roleOf("Role") });
    kubeconfigPath = await plane.userKubeconfig(user);
    client = createKubeClient(await kubeconfigAccess({ file: kubeconfigPath }));
  });
  afterEach(async () => {
    await Promise.all(stops.splice(0).map((stop) => stop()));
  });
  after(async () => {
    // A `before` that skips leaves nothing to stop.
    (client as KubeClient | undefined)?.close();
    await (plane as ControlPlane | undefined)?.stop();
  });

  const setFinalizers = (kind: "Secret" | "ConfigMap", at: object, finalizers: string[] | null) =>
    admin.mergePatch(kind, at, { metadata: { finalizers } });

  function keep<S extends { stop(): Promise<void> }>(running: S): S {
    stops.push(() => running.stop());
    return running;
  }

  describe("as pull secrets", () => {
    let store: PullSecretStore;
    let namespaces = 0;

    async function startStore(): Promise<{ store: PullSecretStore; watch: Watch }> {
      const started = createPullSecretStore({ client, fieldManager: "berth", ...clocks });
      const watch = keep(started.start(() => undefined));
      await waitFor("the first list", () => Promise.resolve(started.isRead()));
      return { store: started, watch };
    }
    beforeEach(async () => {
      ({ store } = await startStore());
    });
    /** A namespace of its own for each test. */
    async function newNamespace(): Promise<string> {
      namespaces += 1;
      await createNamespace(admin, `team-${namespaces}`);
      return `team-${namespaces}`;
    }
    const stored = async (namespace: string) => (await admin.get("Secret", { namespace, name })).body;
    const foreign = (namespace: string, text: string, type = secretType) => ({
      kind: "Secret" as const,
      metadata: { namespace, name },
      type,
      data: { ".dockerconfigjson": base64(text) },
    });
    const observes = (namespace: string, what: object) =>
      waitFor(`the watch shows ${JSON.stringify(what)}`, () => {
        const seen = store.current().get(namespace);
        return Promise.resolve(
          Object.entries(what).every(([key, value]) => Reflect.get(seen ?? {}, key) === value),
        );
      });

    it("they need the rights on this one name, and give none to any other Secret", async () => {
      const namespace = await newNamespace();
      await mustCreate(admin, {
        ...foreign(namespace, content("x")),
        metadata: { namespace, name: "other" },
      });
      const refused: [method: "GET" | "DELETE", path: string][] = [
        ["GET", "/api/v1/secrets"],
        ["GET", "/api/v1/secrets?fieldSelector=metadata.name%3Dother"],
        ["GET", `/api/v1/namespaces/${namespace}/secrets/other`],
        ["DELETE", `/api/v1/namespaces/${namespace}/secrets/other`],
      ];
      for (const [method, path] of refused) {
        expect((await client.request(method, path)).status, `${method} ${path}`).to.equal(403);
      }
      expect(await store.write(namespace, content("a"), signal)).to.deep.equal({ kind: "written" });
      expect(await store.write(namespace, content("b"), signal)).to.deep.equal({ kind: "written" });
      await observes(namespace, { owner: "berth", digest: sha256(content("b")), writable: true });
      expect(await store.remove(namespace, signal)).to.deep.equal({ kind: "written" });
      expect((await admin.get("Secret", { namespace, name })).status).to.equal(404);
    });

    it("they are made and replaced, and somebody else's labels stay", async () => {
      const namespace = await newNamespace();
      await store.write(namespace, content("a"), signal);
      await admin.mergePatch("Secret", { namespace, name }, { metadata: { labels: { team: "blue" } } });
      await observes(namespace, { resourceVersion: (await stored(namespace)).metadata?.resourceVersion });
      await store.write(namespace, content("b"), signal);
      const { type, data, metadata } = await stored(namespace);
      expect(type).to.equal(secretType);
      expect(data).to.deep.equal({ ".dockerconfigjson": base64(content("b")) });
      expect(metadata?.labels).to.deep.equal({
        "app.kubernetes.io/managed-by": "berth",
        "app.kubernetes.io/name": "berth",
        team: "blue",
      });
      expect(metadata?.managedFields?.map(({ manager }) => manager)).to.include("berth");
    });

    it("a label that somebody stripped is put back, the Secret still being known as Berth's", async () => {
      const namespace = await newNamespace();
      await store.write(namespace, content("a"), signal);
      const nothing = { "app.kubernetes.io/managed-by": null, "app.kubernetes.io/name": null };
      await admin.mergePatch("Secret", { namespace, name }, { metadata: { labels: nothing } });
      await observes(namespace, { owner: "berth", labelled: false });
      expect(await store.write(namespace, content("a"), signal)).to.deep.equal({ kind: "written" });
      expect(store.current().get(namespace)).to.include({ owner: "berth", labelled: true });
      expect((await stored(namespace)).metadata?.labels).to.include({
        "app.kubernetes.io/managed-by": "berth",
      });
    });

    const strangers: [title: string, text: string, type: string][] = [
      ["with other content", content("theirs"), secretType],
      ["with equal content", content("a"), secretType],
      ["of another type", content("a"), "Opaque"],
    ];
    for (const [title, text, type] of strangers) {
      it(`one ${title} that somebody makes in the same moment is a conflict, and stays as it is`, async () => {
        const namespace = await newNamespace();
        const { store: late, watch } = await startStore();
        // From here on it sees nothing any more.
        await watch.stop();
        await mustCreate(admin, foreign(namespace, text, type));
        const before = await stored(namespace);
        expect(await late.write(namespace, content("a"), signal)).to.deep.equal({ kind: "conflict" });
        expect(await stored(namespace)).to.deep.equal(before);
        await observes(namespace, { owner: "foreign" });
        const { kind } = await store.write(namespace, content("a"), signal);
        expect(kind).to.equal("refused");
        expect(await stored(namespace)).to.deep.equal(before);
      });
    }

    it("server-side apply without force would join the owners of one with equal content, so it is not how they are made", async () => {
      const namespace = await newNamespace();
      const apply = (text: string) =>
        admin.request(
          "PATCH",
          `/api/v1/namespaces/${namespace}/secrets/${name}?fieldManager=probe`,
          {
            apiVersion: "v1",
            ...foreign(namespace, text),
            metadata: { name, namespace, labels: { probe: "was-here" } },
          },
          "application/apply-patch+yaml",
        );
      await mustCreate(admin, foreign(namespace, content("a")));
      const other = await apply(content("b"));
      expect(other.status).to.equal(409);
      expect(other.message).to.match(/conflict.*\.data\.\.dockerconfigjson/s);
      expect((await apply(content("a"))).status).to.equal(200);
      const { metadata } = await stored(namespace);
      expect(metadata?.labels).to.deep.equal({ probe: "was-here" });
      expect(metadata?.managedFields?.map(({ manager }) => manager)).to.include("probe");
    });

    it("neither an edit nor a Secret in the place of Berth's is overwritten or removed unseen", async () => {
      const namespace = await newNamespace();
      const { store: late, watch } = await startStore();
      await late.write(namespace, content("a"), signal);
      await waitFor("it is seen", () => Promise.resolve(late.current().has(namespace)));
      await watch.stop();
      const conflict = { kind: "conflict" };

      await admin.mergePatch("Secret", { namespace, name }, { metadata: { labels: { team: "blue" } } });
      expect(await late.write(namespace, content("b"), signal), "an edit").to.deep.equal(conflict);
      expect(await late.remove(namespace, signal), "an edit").to.deep.equal(conflict);

      await admin.delete("Secret", { namespace, name });
      expect(await late.write(namespace, content("b"), signal), "removed").to.deep.equal(conflict);
      expect((await admin.get("Secret", { namespace, name })).status, "not made anew by apply").to.equal(404);

      await mustCreate(admin, foreign(namespace, content("theirs")));
      expect(await late.write(namespace, content("b"), signal), "replaced").to.deep.equal(conflict);
      expect(await late.remove(namespace, signal), "replaced").to.deep.equal(conflict);
      expect((await stored(namespace)).data?.[".dockerconfigjson"]).to.equal(base64(content("theirs")));
    });

    it("ours, made immutable or of another type, is made anew", async () => {
      const namespace = await newNamespace();
      await store.write(namespace, content("a"), signal);
      await admin.mergePatch("Secret", { namespace, name }, { immutable: true });
      await observes(namespace, { writable: false, owner: "berth" });
      expect(await store.write(namespace, content("b"), signal)).to.deep.equal({ kind: "written" });
      expect(await stored(namespace)).to.deep.include({
        data: { ".dockerconfigjson": base64(content("b")) },
      });
      expect((await stored(namespace)).immutable).to.equal(undefined);

      await admin.delete("Secret", { namespace, name });
      const metadata = { namespace, name, labels: { "app.kubernetes.io/managed-by": "berth" } };
      await mustCreate(admin, { kind: "Secret", metadata });
      await observes(namespace, { writable: false, owner: "berth", digest: "" });
      expect(await store.write(namespace, content("c"), signal)).to.deep.equal({ kind: "written" });
      expect(store.current().get(namespace)).to.include({ writable: true, digest: sha256(content("c")) });
      expect((await stored(namespace)).type).to.equal(secretType);
    });

    it("a write shows at once, and for good", async () => {
      const namespace = await newNamespace();
      for (let count = 0; count < 20; count += 1) {
        const text = content(`login-${count}`);
        expect(await store.write(namespace, text, signal)).to.deep.equal({ kind: "written" });
        for (let look = 0; look < 5; look += 1) {
          expect(store.current().get(namespace)?.digest).to.equal(sha256(text));
          await sleep(count % 3);
        }
      }
      for (let count = 0; count < 5; count += 1) {
        expect(await store.remove(namespace, signal)).to.deep.equal({ kind: "written" });
        expect(store.current().has(namespace)).to.equal(false);
        expect(await store.write(namespace, content("again"), signal)).to.deep.equal({ kind: "written" });
        expect(store.current().has(namespace)).to.equal(true);
      }
    });

    /** Why it is refused, or what else became of it. */
    async function refusal(namespace: string): Promise<string> {
      const outcome = await store.write(namespace, content("a"), signal);
      if (outcome.kind === "written") await store.remove(namespace, signal);
      return outcome.kind === "refused" ? outcome.why : outcome.kind;
    }
    const refusedIn = (namespace: string) =>
      waitFor("it is refused", async () => {
        const why = await refusal(namespace);
        return why !== "written" && why;
      });

    it("a quota refuses them, in words", async () => {
      const namespace = await newNamespace();
      const path = `/api/v1/namespaces/${namespace}/resourcequotas`;
      const hard = { secrets: "0" };
      await admin.request("POST", path, { metadata: { name: "none" }, spec: { hard } });
      // What a controller that does not run here would fill in.
      const status = { status: { hard, used: hard } };
      await admin.request("PATCH", `${path}/none/status`, status, "application/merge-patch+json");
      expect(await refusedIn(namespace)).to.contain(
        '403 secrets "berth-pull" is forbidden: exceeded quota: none',
      );
    });

    it("admission refuses them, in words", async () => {
      const namespace = await newNamespace();
      const metadata = { name: "no-secrets" };
      const resourceRules = [
        { apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["secrets"] },
      ];
      const matchLabels = { "kubernetes.io/metadata.name": namespace };
      const matchConstraints = { resourceRules, namespaceSelector: { matchLabels } };
      const validations = [{ expression: "false", message: "no Secrets here" }];
      await mustCreate(admin, {
        kind: "ValidatingAdmissionPolicy",
        metadata,
        ...{ spec: { matchConstraints, validations } },
      });
      await mustCreate(admin, {
        kind: "ValidatingAdmissionPolicyBinding",
        metadata,
        ...{ spec: { policyName: "no-secrets", validationActions: ["Deny"] } },
      });
      expect(await refusedIn(namespace)).to.match(/: 422 .*denied request: no Secrets here$/);
    });

    it("a namespace that ends, or is gone, refuses them, in words", async () => {
      expect(await refusal("nowhere")).to.match(/in namespace nowhere: 404 namespaces "nowhere" not found/);
      const ending = await newNamespace();
      const keeper = { metadata: { name: "keeper", finalizers: ["berth.test/keep"] } };
      await admin.request("POST", `/api/v1/namespaces/${ending}/configmaps`, keeper);
      await admin.delete("Namespace", { name: ending });
      expect(await refusedIn(ending)).to.match(/403 .*because it is being terminated/);
      await setFinalizers("ConfigMap", { namespace: ending, name: "keeper" }, null);
    });

    it("one that a finalizer keeps is said to be kept", async () => {
      const namespace = await newNamespace();
      await store.write(namespace, content("a"), signal);
      await setFinalizers("Secret", { namespace, name }, ["berth.test/keep"]);
      const resourceVersion = (await stored(namespace)).metadata?.resourceVersion;
      await observes(namespace, { resourceVersion });
      const outcome = await store.remove(namespace, signal);
      expect(outcome).to.have.property("kind", "refused");
      await setFinalizers("Secret", { namespace, name }, null);
      await waitFor("it goes", () => Promise.resolve(!store.current().has(namespace)));
    });
  });

  describe("as records of robots", () => {
    it("two writers never overwrite each other, and a fresh reading settles it", async () => {
      const needs = { client, namespace: own, ...clocks };
      const [one, other] = [createRobotRecords(needs), createRobotRecords(needs)];
      keep(one.start(() => undefined));
      const watch = keep(other.start(() => undefined));
      await waitFor("both have read", () => Promise.resolve(one.isRead() && other.isRead()));
      await watch.stop();

      expect(await one.write("berth-robot-1", "a", signal)).to.equal("written");
      expect(await one.write("berth-robot-1", "b", signal)).to.equal("written");
      expect(await other.write("berth-robot-1", "x", signal)).to.equal("conflict");
      expect(Object.fromEntries(await other.reread(signal))).to.deep.equal({ "berth-robot-1": "b" });
      expect(await other.write("berth-robot-1", "c", signal)).to.equal("written");
      expect(await other.remove("berth-robot-1", signal)).to.equal("written");
      expect(await other.remove("berth-robot-1", signal)).to.equal("written");
      await waitFor("the other sees it", () => Promise.resolve(one.current().size === 0));
    });
  });

  describe("as published values", () => {
    const value = "berth-catalogue-managed";
    /** Some 1.6 MB that do not compress below four parts. */
    const large = () => randomBytes(900_000).toString("hex");

    async function replica() {
      const log = createRecordingLog();
      const store = createPublishedStore({
        client,
        namespace: own,
        ...clocks,
        log,
        maxPartBytes: 256 * 1_024,
      });
      let last: ReadonlyMap<string, PublishedValue> | undefined;
      const watch = keep(store.start((all) => (last = all)));
      await waitFor("the first delivery", () => Promise.resolve(last !== undefined));
      return { store, log, watch, last: () => last };
    }
    const shows = (of: Awaited<ReturnType<typeof replica>>, expected: PublishedValue | undefined) =>
      waitFor("it is delivered", () => {
        const shown = of.last()?.get(value);
        return Promise.resolve(shown?.text === expected?.text && shown?.facts["n"] === expected?.facts["n"]);
      });
    const configMaps = async () =>
      (await admin.list("ConfigMap", { namespace: own, query: { labelSelector: "berth.io/published=true" } }))
        .body.items;

    it("come in several parts, with another reader and a new one, and leave no part behind", async () => {
      const [writer, reader] = [await replica(), await replica()];
      for (let n = 1; n <= 3; n += 1) {
        const published = { facts: { n: String(n) }, text: large() };
        await writer.store.publish(value, published, signal);
        await shows(reader, published);
        await shows(await replica(), published);
        expect(await configMaps()).to.have.length(4);
        const again = { ...published, facts: { n: `${n}, later` } };
        await writer.store.publish(value, again, signal);
        await shows(reader, again);
      }
      expect(reader.log.lines).to.deep.equal([]);
      for (const { metadata } of await configMaps()) {
        expect(metadata?.labels).to.not.have.property("berth.io/policy");
      }
      await writer.store.withdraw(value, signal);
      await shows(reader, undefined);
      expect(await configMaps()).to.have.length(0);
    });

    it("of two writers, the one that does not know of the other's loses and harms nothing", async () => {
      const [deposed, successor] = [await replica(), await replica()];
      const first = { facts: { n: "1" }, text: large() };
      await deposed.store.publish(value, first, signal);
      await Promise.all([shows(successor, first), shows(deposed, first)]);
      await deposed.watch.stop();
      const newer = { facts: { n: "2" }, text: large() };
      await successor.store.publish(value, newer, signal);
      const error: unknown = await deposed.store
        .publish(value, { facts: { n: "1, late" }, text: large() }, signal)
        .catch((err: unknown) => err);
      expect(String(error)).to.match(/another process has written it: 409/);
      await shows(await replica(), newer);
      // What the loser left goes with the next publication.
      expect((await configMaps()).length).to.be.greaterThan(4);
      await waitFor("the parts are known", async () => {
        await successor.store.publish(value, { facts: { n: "3" }, text: large() }, signal);
        return (await configMaps()).length === 4;
      });
      await successor.store.withdraw(value, signal);
    });

    it("of many writes at once exactly one wins", async () => {
      const writers = [await replica(), await replica(), await replica()];
      const outcomes = await Promise.allSettled(
        writers.map(({ store }, n) =>
          store.publish(value, { facts: { n: String(n) }, text: large() }, signal),
        ),
      );
      const won = outcomes.findIndex(({ status }) => status === "fulfilled");
      expect(outcomes.filter(({ status }) => status === "fulfilled")).to.have.length(1);
      const fresh = await replica();
      expect(fresh.last()?.get(value)?.facts).to.deep.equal({ n: String(won) });
      await fresh.store.withdraw(value, signal);
    });
  });

  describe("as a lease", () => {
    const timing = { leaseMs: 3_000, deadlineMs: 2_000, renewMs: 500, retryMs: 400 };

    function startReplica(identity: string): { lease: Lease; terms: AbortSignal[] } {
      const terms: AbortSignal[] = [];
      const needs = { client, namespace: own, name: "berth", identity, ...clocks, timing };
      return { lease: keep(startLease(needs, (term) => terms.push(term))), terms };
    }
    const leads = (lease: Lease) => waitFor("it leads", () => Promise.resolve(lease.isLeader()));
    const holder = async () =>
      (await admin.get("Lease", { namespace: own, name: "berth" })).body.spec?.holderIdentity;

    it("goes over to a successor at once when its holder stops", async () => {
      const a = startReplica("a");
      await leads(a.lease);
      const b = startReplica("b");
      await sleep(1_000);
      expect([a.lease.isLeader(), b.lease.isLeader()]).to.deep.equal([true, false]);
      await a.lease.stop();
      expect(a.terms[0]?.aborted).to.equal(true);
      // The empty holder is what the API server takes, or this would last as long as a lease does.
      expect(["", undefined, "b"]).to.include(await holder());
      await leads(b.lease);
      expect(await holder()).to.equal("b");
      await b.lease.stop();
    });

    it("goes over to a successor when its holder is killed, not before its time", async () => {
      const leader = await startLeader(kubeconfigPath);
      const b = startReplica("b");
      await sleep(1_000);
      expect(b.lease.isLeader()).to.equal(false);
      leader.kill("SIGKILL");
      await once(leader, "exit");
      const killedAt = performance.now();
      await leads(b.lease);
      // The last renewal is at most half a second older than the end.
      expect(performance.now() - killedAt).to.be.greaterThan(2_000);
      expect(await holder()).to.equal("b");
      await b.lease.stop();
    });

    it("is lost while the API server does not answer, and won again", async () => {
      const a = startReplica("a");
      await leads(a.lease);
      plane.pauseEtcd();
      try {
        await waitFor("the signal aborts", () => Promise.resolve(a.terms[0]?.aborted));
        expect(a.lease.isLeader()).to.equal(false);
      } finally {
        plane.resumeEtcd();
      }
      await leads(a.lease);
      expect(a.terms.at(-1)?.aborted).to.equal(false);
    });

    it("has one leader when somebody removes it", async () => {
      const [a, b] = [startReplica("a"), startReplica("b")];
      await waitFor("one leads", () => Promise.resolve(a.lease.isLeader() || b.lease.isLeader()));
      const [leader, other] = a.lease.isLeader() ? [a, b] : [b, a];
      await sleep(1_000);
      await admin.delete("Lease", { namespace: own, name: "berth" });
      await waitFor("it is made anew", async () => (await holder()) !== undefined);
      expect([leader.lease.isLeader(), other.lease.isLeader()]).to.deep.equal([true, false]);
      expect(leader.terms).to.have.length(1);
      expect(other.terms).to.have.length(0);
    });
  });

  it("as Events, which show beside their object", async () => {
    const { body } = await admin.create({ kind: "ConfigMap", metadata: { namespace: own, name: "policy" } });
    const log = createRecordingLog();
    const events = createEvents({ client, namespace: own, identity: "berth-1", log, now: Date.now });
    const uid = body.metadata?.uid ?? "";
    const regarding = { kind: "ConfigMap", apiVersion: "v1", name: "policy", uid };
    events.emit({ regarding, type: "Warning", reason: "PolicyProblem", note: "ü".repeat(2_000) });
    events.emit({ regarding, type: "Normal", reason: "PolicyRead", note: "fine" });
    const items = await waitFor("both are there", async () => {
      const all = (await admin.list("Event", { namespace: own })).body.items;
      const ours = all.filter(({ reportingComponent }) => reportingComponent === "berth.io/berth");
      return ours.length === 2 && ours;
    });
    expect(log.lines).to.deep.equal([]);
    expect(items.map(({ type }) => type).sort()).to.deep.equal(["Normal", "Warning"]);
    expect(items[0]?.involvedObject).to.include({ kind: "ConfigMap", name: "policy", uid });
  });
});

/** A process of its own that leads, for those who want to kill it. */
async function startLeader(kubeconfigPath: string): Promise<ChildProcess> {
  const src = (file: string) => JSON.stringify(join(import.meta.dirname, "..", "..", "src", file));
  const program = `
    const { kubeconfigAccess } = await import(${src("kubernetes/kube-access.ts")});
    const { createKubeClient } = await import(${src("kubernetes/kube-client.ts")});
    const { startLease } = await import(${src("kubernetes/lease.ts")});
    const { silentLog } = await import(${src("log.ts")});
    const client = createKubeClient(await kubeconfigAccess({ file: ${JSON.stringify(kubeconfigPath)} }));
    startLease({
      client, namespace: ${JSON.stringify(own)}, name: "berth", identity: "killed", log: silentLog,
      now: Date.now, random: Math.random,
      timing: { leaseMs: 3000, deadlineMs: 2000, renewMs: 500, retryMs: 400 },
    }, () => console.log("leads"));
  `;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  return child;
}
