// The gate as people meet it: a real API server that asks Berth, real controllers that make Pods, and kubectl. One
// platform for all tests; they run in order, and each leaves policy and Harbor as it found them.

import { expect } from "chai";
import { berthNamespace, berthUser, runBerth } from "./berth.ts";
import { findBinaries, skipWithout } from "./binaries.ts";
import { createNamespace, waitFor } from "./kube.ts";
import { imageOf, startPlatform, workspaceLabel, type Platform } from "./platform.ts";
import type { Finished } from "./process.ts";
import { startRush, type Call } from "./rush.ts";
import { webhookNames } from "./webhooks.ts";
import { pod, templateKinds, workload, type TemplateKind } from "./workloads.ts";

const open = imageOf("open");
const openTools = imageOf("open", "tools:2");
/** Workspace 12 may use it, and so namespace shop. */
const teamA = imageOf("team-a");
/** Nobody may. */
const teamB = imageOf("team-b");
const teamBTools = imageOf("team-b", "tools:2");

const berthPull = { name: "berth-pull" };
const denial = `admission webhook "${webhookNames.validate}" denied the request: `;
const noAnswer = "failed calling webhook";
const drainMs = 2_000;

describe("the gate before a real API server", () => {
  let platform: Platform;
  before(async () => {
    platform = await startPlatform(["--catalogue-interval", "1s", "--drain", `${drainMs / 1_000}s`]);
    await createNamespace(platform.plane.admin, "shop", { [workspaceLabel]: "12" });
    await createNamespace(platform.plane.admin, "lab", { [workspaceLabel]: "34" });
    await createNamespace(platform.plane.admin, "loose");
  });
  after(() => (platform as Platform | undefined)?.stop());

  const admin = () => platform.plane.admin;
  const create: Platform["plane"]["admin"]["create"] = (object, how) => admin().create(object, how);
  const kubectl = (line: string, manifest?: object): Promise<Finished> =>
    platform.plane.kubectl(line.split(" "), {
      input: manifest === undefined ? "" : JSON.stringify(manifest),
    });

  describe("Pods", () => {
    it("run images of public spaces everywhere, and need nothing for it", async () => {
      for (const namespace of ["shop", "lab", "loose"]) {
        const { status, message, body } = await create(pod({ namespace, name: "public" }, open));
        expect(status, message).to.equal(201);
        expect(body.spec?.imagePullSecrets, namespace).to.equal(undefined);
      }
    });

    it("run images of a space that is bound to their workspace, and get the pull secret", async () => {
      const { status, message, body } = await create(pod({ namespace: "shop", name: "bound" }, teamA));
      expect(status, message).to.equal(201);
      expect(body.spec?.imagePullSecrets).to.deep.equal([berthPull]);
    });

    it("have the pull secret once, whatever pull secrets they bring or get from their account", async () => {
      const own = { name: "own" };
      const account = { name: "puller", namespace: "shop" };
      await create({ kind: "ServiceAccount", metadata: account, ...{ imagePullSecrets: [own] } });
      const cases: [name: string, more: object, expected: object[]][] = [
        ["own-secret", { imagePullSecrets: [own] }, [own, berthPull]],
        ["ours-already", { imagePullSecrets: [berthPull] }, [berthPull]],
        ["ours-first", { imagePullSecrets: [berthPull, own] }, [berthPull, own]],
        ["none-listed", { imagePullSecrets: [] }, [berthPull]],
        ["of-account", { serviceAccountName: "puller" }, [own, berthPull]],
      ];
      for (const [name, more, expected] of cases) {
        const { status, message, body } = await create(pod({ namespace: "shop", name }, teamA, more));
        expect(status, message).to.equal(201);
        expect(body.spec?.imagePullSecrets, name).to.deep.equal(expected);
      }
    });

    it("are refused an image of a private space that their workspace does not have", async () => {
      for (const [namespace, image] of [
        ["shop", teamB],
        ["lab", teamA],
      ] as const) {
        const { status, message } = await create(pod({ namespace, name: "refused" }, image));
        expect(status).to.equal(403);
        expect(message).to.match(
          /^admission webhook "validate\.berth\.io" denied the request: container "app": image "/,
        );
        expect(message).to.include(`image "${image}" is refused`);
        expect(message).to.include(`of namespace "${namespace}"`);
      }
    });

    it("are refused it where there is no workspace, and are told so", async () => {
      const { status, message } = await create(pod({ namespace: "loose", name: "refused" }, teamA));
      expect(status).to.equal(403);
      expect(message).to.include(
        `${denial}container "app": image "${teamA}" is refused: namespace "loose" belongs to no`,
      );
    });

    it("are refused images that no registry of the platform serves, and names that are none", async () => {
      const cases: [image: string, words: string][] = [
        ["nginx", 'no registry of this platform serves host "docker.io"'],
        [imageOf("open").replace("/open", ""), "this name has no space"],
        [`sha256:${"ab".repeat(32)}`, "this is the id of an image"],
        [imageOf("Open"), "this is not an image reference"],
      ];
      for (const [image, words] of cases) {
        const { status, message } = await create(pod({ namespace: "shop", name: "refused" }, image));
        expect(status, image).to.equal(403);
        expect(message).to.include(words);
      }
    });

    it("are judged by all of their images, and each refusal has its line", async () => {
      const allowed = pod({ namespace: "shop", name: "many" }, open, {
        initContainers: [{ name: "prepare", image: teamA }],
        volumes: [{ name: "models", image: { reference: openTools } }],
      });
      const admitted = await create(allowed);
      expect(admitted.status, admitted.message).to.equal(201);
      expect(admitted.body.spec?.imagePullSecrets).to.deep.equal([berthPull]);

      const refused = pod({ namespace: "shop", name: "refused" }, open, {
        initContainers: [{ name: "prepare", image: teamB }],
        volumes: [{ name: "models", image: { reference: teamBTools } }],
      });
      const { status, message } = await create(refused);
      expect(status).to.equal(403);
      expect(message.split("\n")).to.have.length(2);
      expect(message).to.include(`init container "prepare": image "${teamB}" is refused`);
      expect(message).to.include(`image volume "models": image "${teamBTools}" is refused`);
    });

    it("are judged and injected by a dry run as they would be otherwise, and nothing is made", async () => {
      const bound = await platform.tryPod("shop", teamA);
      expect(bound.status, bound.message).to.equal(201);
      expect(bound.body.spec?.imagePullSecrets).to.deep.equal([berthPull]);
      const at = { namespace: "shop", name: "tried" };
      expect((await admin().get("Pod", at)).status).to.equal(404);
      const refusedDry = await platform.tryPod("shop", teamB);
      const refused = await create(pod(at, teamB));
      expect(refusedDry.status).to.equal(403);
      expect(refusedDry.message).to.equal(refused.message);
    });

    it("may change their image for one that they may run", async () => {
      const at = { namespace: "shop", name: "changing" };
      await create(pod(at, open));
      const change = (image: string) =>
        admin().jsonPatch("Pod", at, [{ op: "replace", path: "/spec/containers/0/image", value: image }]);
      const refused = await change(teamB);
      expect(refused.status).to.equal(403);
      expect(refused.message).to.include(`${denial}container "app": image "${teamB}" is refused`);
      const admitted = await change(openTools);
      expect(admitted.status, admitted.message).to.equal(200);
      expect(admitted.body.spec?.containers[0]?.image).to.equal(openTools);
    });

    it("get ephemeral containers with images that they may run", async () => {
      const at = { namespace: "shop", name: "debugged" };
      await create(pod(at, open));
      const debug = (name: string, image: string) =>
        admin().mergePatch(
          "Pod",
          { ...at, subresource: "ephemeralcontainers" },
          { spec: { ephemeralContainers: [{ name, image }] } },
        );
      const refused = await debug("look", teamB);
      expect(refused.status).to.equal(403);
      expect(refused.message).to.include(`${denial}ephemeral container "look": image "${teamB}" is refused`);
      const admitted = await debug("look", openTools);
      expect(admitted.status, admitted.message).to.equal(200);
    });

    it("leave verdict and reason in the API server's audit log", async () => {
      await createNamespace(admin(), "audited", { [workspaceLabel]: "12" });
      await create(pod({ namespace: "audited", name: "bound" }, teamA));
      await create(pod({ namespace: "audited", name: "refused" }, teamB));
      // An event is written after its answer.
      const annotations = (code: number) =>
        waitFor(`an audit event with ${code}`, async () => {
          const events = await platform.auditEvents();
          const event = events.find(
            ({ objectRef, responseStatus }) =>
              objectRef?.namespace === "audited" &&
              objectRef.resource === "pods" &&
              responseStatus?.code === code,
          );
          return event?.annotations;
        });
      const mine = (key: string) => `${webhookNames.validate}/${key}`;
      const verdict = (text: string, reasons: string) => ({
        [mine("verdict")]: text,
        [mine("reasons")]: reasons,
        [mine("workspace")]: "12",
      });
      expect(await annotations(201)).to.include(verdict("allow", "bound-space"));
      expect(await annotations(403)).to.include(verdict("refuse", "space-not-bound"));
    });
  });

  describe("what makes Pods", () => {
    it("is refused at once, whatever its kind, when its Pods would be", async () => {
      for (const kind of templateKinds) {
        const { status, message } = await create(
          workload(kind, { namespace: "shop", name: "refused" }, teamB),
        );
        expect(status, kind).to.equal(403);
        expect(message).to.include(`${denial}container "app": image "${teamB}" is refused`);
      }
    });

    it("keeps its template as it was written, and its Pods get the pull secret", async function () {
      skipWithout("kube-controller-manager", this);
      await makeNode();
      const kinds: TemplateKind[] = [
        "Deployment",
        "StatefulSet",
        "DaemonSet",
        "ReplicaSet",
        "ReplicationController",
        "Job",
      ];
      for (const kind of kinds) {
        const at = { namespace: "shop", name: `making-${kind.toLowerCase()}` };
        const { status, message, body } = await create(workload(kind, at, teamA));
        expect(status, message).to.equal(201);
        expect(JSON.stringify(body)).not.to.include("berth-pull");
        const [made] = await podsMade("shop", at.name);
        expect(made?.spec?.imagePullSecrets, kind).to.deep.equal([berthPull]);
      }
    });

    it("is judged when its image changes", async () => {
      const at = { namespace: "shop", name: "changing" };
      await create(workload("StatefulSet", at, open));
      const path = "/spec/template/spec/containers/0/image";
      const change = (value: string) =>
        admin().jsonPatch("StatefulSet", at, [{ op: "replace", path, value }]);
      const refused = await change(teamB);
      expect(refused.status).to.equal(403);
      expect(refused.message).to.include(`image "${teamB}" is refused`);
      expect((await change(openTools)).status).to.equal(200);
    });
  });

  describe("kubectl", () => {
    before(function () {
      skipWithout("kubectl", this);
    });

    it("apply shows why a Deployment is refused, and makes none", async () => {
      const manifest = workload("Deployment", { namespace: "shop", name: "web" }, teamB);
      const { code, stdout, stderr } = await kubectl("apply -f -", { apiVersion: "apps/v1", ...manifest });
      expect({ code, stdout }).to.deep.equal({ code: 1, stdout: "" });
      expect(stderr).to.equal(
        'Error from server (Forbidden): error when creating "STDIN": admission webhook "validate.berth.io" denied ' +
          'the request: container "app": image "harbor.example.test/team-b/app:1" is refused: space "team-b" of ' +
          'registry "managed" is private and not bound to workspace "12" of namespace "shop", or there is no such ' +
          "space. Ask a platform administrator to bind it, or use a space that is open to the namespace: open.\n",
      );
      expect((await admin().get("Deployment", manifest.metadata)).status).to.equal(404);
    });

    it("apply makes a Deployment that is allowed, and changes it", async () => {
      const manifest = workload("Deployment", { namespace: "shop", name: "web" }, open);
      const applied = await kubectl("apply -f -", { apiVersion: "apps/v1", ...manifest });
      expect(applied).to.deep.equal({ code: 0, stdout: "deployment.apps/web created\n", stderr: "" });
      const refused = await kubectl(`set image deployment/web app=${teamB} -n shop`);
      expect(refused.code).to.equal(1);
      expect(refused.stderr).to.match(
        /^error: failed to patch image update to pod template: admission webhook /,
      );
      expect(refused.stderr).to.include(`container "app": image "${teamB}" is refused: space "team-b"`);
      const changed = await kubectl(`set image deployment/web app=${teamA} -n shop`);
      expect(changed).to.include({ code: 0, stdout: "deployment.apps/web image updated\n" });
    });

    it("run --dry-run=server says what would happen", async () => {
      const allowed = await kubectl(
        `run dry -n shop --image ${teamA} --dry-run=server -o jsonpath={.spec.imagePullSecrets}`,
      );
      expect(allowed).to.deep.equal({ code: 0, stdout: '[{"name":"berth-pull"}]', stderr: "" });
      const refused = await kubectl(`run dry -n loose --image ${teamA} --dry-run=server`);
      expect(refused.code).to.equal(1);
      expect(refused.stderr).to.include(
        `${denial}container "dry": image "${teamA}" is refused: namespace "loose" belongs to no workspace, so only public`,
      );
    });

    it("debug is held to the same rule", async () => {
      await create(pod({ namespace: "shop", name: "sick" }, open));
      const refused = await kubectl(`debug sick -n shop --profile general --container look --image ${teamB}`);
      expect(refused.code).to.equal(1);
      expect(refused.stderr).to.include(`${denial}ephemeral container "look": image "${teamB}" is refused: `);
      const allowed = await kubectl(
        `debug sick -n shop --profile general --container look --image ${openTools}`,
      );
      expect(allowed.code, allowed.stderr).to.equal(0);
    });

    it("create job --from lets a CronJob run by hand, with the pull secret", async function () {
      skipWithout("kube-controller-manager", this);
      await create(workload("CronJob", { namespace: "shop", name: "nightly" }, teamA));
      const { code, stderr } = await kubectl("create job by-hand --from=cronjob/nightly -n shop");
      expect(code, stderr).to.equal(0);
      const [made] = await podsMade("shop", "nightly");
      expect(made?.spec?.imagePullSecrets).to.deep.equal([berthPull]);
    });
  });

  describe("a change of the policy", () => {
    it("opens a space to a workspace with its binding, and closes it when the binding is taken back", async () => {
      expect((await platform.tryPod("lab", teamB)).status).to.equal(403);
      await platform.bind(["12", "team-a"], ["34", "team-b"]);
      await platform.becomes("admitted", "lab", teamB);
      const { body } = await create(pod({ namespace: "lab", name: "bound" }, teamB));
      expect(body.spec?.imagePullSecrets).to.deep.equal([berthPull]);
      expect((await platform.tryPod("shop", teamB)).status).to.equal(403);
      await platform.setPolicy("bindings");
      await platform.becomes("refused", "lab", teamB);
      expect((await platform.tryPod("shop", teamA)).status).to.equal(201);
    });

    it("that cannot be read takes nothing away, and Berth says where it is wrong", async () => {
      await platform.writePolicy(
        "bindings",
        "bindings:\n  - { workspace: 12, registry: managed, spaces: [team-b] }\n",
      );
      await berthSays(/bindings\/policy\.yaml:2:18: /);
      expect((await platform.tryPod("shop", teamA)).status).to.equal(201);
      expect((await platform.tryPod("shop", teamB)).status).to.equal(403);
      await platform.writePolicy("bindings", "bindings: [");
      await berthSays(/bindings\/policy\.yaml:1:1[12]: /);
      expect((await platform.tryPod("shop", teamA)).status).to.equal(201);
      await platform.bind(["12", "team-b"]);
      await platform.becomes("admitted", "shop", teamB);
      await platform.becomes("refused", "shop", teamA);
      await platform.setPolicy("bindings");
      await platform.becomes("admitted", "shop", teamA);
    });

    it("that deletes a document withdraws what it said", async () => {
      await platform.removePolicy("bindings");
      await platform.becomes("refused", "shop", teamA);
      expect((await platform.tryPod("shop", open)).status).to.equal(201);
      await platform.removePolicy("registries");
      await platform.becomes("refused", "shop", open);
      expect((await platform.tryPod("shop", open)).message).to.include(
        "no registry of this platform serves host",
      );
      await platform.setPolicy("registries");
      await platform.setPolicy("bindings");
      await platform.becomes("admitted", "shop", teamA);
    });

    it("to mode warn refuses nothing, and the client reads what would have been", async () => {
      await platform.setPolicy("settings", { mode: "warn" });
      await platform.becomes("admitted", "shop", teamB);
      const mixed = pod({ namespace: "shop", name: "warned" }, teamA, {
        initContainers: [{ name: "prepare", image: teamB }],
      });
      const { status, warnings, body } = await create(mixed);
      expect(status).to.equal(201);
      expect(warnings.join(" ")).to.include(
        `would be refused: init container "prepare": image "${teamB}" is refused`,
      );
      expect(body.spec?.imagePullSecrets).to.deep.equal([berthPull]);
      for (const warning of warnings) expect(warning.length).to.be.at.most(120);
      expect((await platform.tryPod("shop", teamA)).warnings).to.deep.equal([]);
    });

    it("to mode audit refuses nothing, and nobody is told", async () => {
      await platform.setPolicy("settings", { mode: "audit" });
      await waitFor("no warning", async () => (await platform.tryPod("shop", teamB)).warnings.length === 0);
      const { status, warnings } = await create(pod({ namespace: "shop", name: "audited-only" }, teamB));
      expect({ status, warnings }).to.deep.equal({ status: 201, warnings: [] });
      await platform.setPolicy("settings");
      await platform.becomes("refused", "shop", teamB);
    });
  });

  describe("a namespace", () => {
    it("that moves to another workspace has the spaces of that one from then on", async () => {
      const move = (id: string | null) =>
        admin().mergePatch(
          "Namespace",
          { name: "nomad" },
          { metadata: { labels: { [workspaceLabel]: id } } },
        );
      await createNamespace(admin(), "nomad", { [workspaceLabel]: "34" });
      expect((await platform.tryPod("nomad", teamA)).status).to.equal(403);
      await move("12");
      await platform.becomes("admitted", "nomad", teamA);
      await move(null);
      await platform.becomes("refused", "nomad", teamA);
      expect((await platform.tryPod("nomad", teamA)).message).to.include(
        'namespace "nomad" belongs to no workspace',
      );
    });

    it("can be used in the instant in which it is made", async () => {
      for (let number = 1; number <= 20; number += 1) {
        const namespace = `newborn-${number}`;
        const labels = { [workspaceLabel]: "12" };
        await admin().create({ kind: "Namespace", metadata: { name: namespace, ...{ labels } } });
        // Needs no service account, so nothing lies between the two calls.
        const deployment = await create(workload("Deployment", { namespace, name: "first" }, teamA));
        expect(deployment.status, deployment.message).to.equal(201);
        await admin().create({ kind: "ServiceAccount", metadata: { name: "default", namespace } });
        const { status, message, body } = await create(pod({ namespace, name: "first" }, teamA));
        expect(status, message).to.equal(201);
        expect(body.spec?.imagePullSecrets).to.deep.equal([berthPull]);
      }
    });
  });

  describe("a space", () => {
    it("that is made in Harbor, or made public, can be used at once", async () => {
      for (let number = 1; number <= 5; number += 1) {
        const { projects } = platform.harbor;
        projects.create({ name: `made-${number}`, visibility: "public" });
        const made = await platform.tryPod("loose", imageOf(`made-${number}`));
        expect(made.status, made.message).to.equal(201);
      }
      platform.harbor.projects.create({ name: "opened", visibility: "private" });
      await catalogueIsRead();
      platform.harbor.projects.setVisibility("opened", "public");
      const opened = await platform.tryPod("loose", imageOf("opened"));
      expect(opened.status, opened.message).to.equal(201);
    });

    it("that is made private is closed with the next beat", async () => {
      platform.harbor.projects.setVisibility("opened", "private");
      await platform.becomes("refused", "loose", imageOf("opened"));
    });
  });

  describe("when the rule has become tighter, what is there already", () => {
    const image = teamA;
    before(async () => {
      await createNamespace(admin(), "old", { [workspaceLabel]: "12" });
      const held = { name: "held", namespace: "old", finalizers: ["berth.example.test/hold"] };
      for (const metadata of [held, { name: "plain", namespace: "old" }]) {
        const { status, message } = await create(pod(metadata, image));
        expect(status, message).to.equal(201);
      }
      for (const kind of templateKinds) {
        const { status, message } = await create(workload(kind, { namespace: "old", name: "set" }, image));
        expect(status, message).to.equal(201);
      }
      await create(workload("Deployment", { namespace: "old", name: "web" }, image));
      if (findBinaries().paths["kube-controller-manager"] !== undefined) await podsMade("old", "web");
      await platform.bind();
      await platform.becomes("refused", "old", image);
    });
    after(async () => {
      await platform.setPolicy("bindings");
      await platform.becomes("admitted", "old", image);
    });

    it("can be labelled, and its status goes on", async () => {
      const at = { namespace: "old", name: "plain" };
      const label = { metadata: { labels: { seen: "yes" } } };
      expect((await admin().mergePatch("Pod", at, label)).status).to.equal(200);
      const running = { status: { phase: "Running" } };
      const told = await admin().mergePatch("Pod", { ...at, subresource: "status" }, running);
      expect(told.body.status?.phase).to.equal("Running");
      for (const kind of templateKinds) {
        const { status, message } = await admin().mergePatch(kind, { namespace: "old", name: "set" }, label);
        expect(status, message).to.equal(200);
      }
    });

    it("goes when it is deleted, with its finalizers", async () => {
      const at = { namespace: "old", name: "held" };
      expect((await admin().delete("Pod", at)).status).to.equal(200);
      const released = await admin().jsonPatch("Pod", at, [{ op: "remove", path: "/metadata/finalizers" }]);
      expect(released.status, released.message).to.equal(200);
      expect((await admin().get("Pod", at)).status).to.equal(404);
    });

    it("can be scaled, and the Pods that this would make are refused where people look for them", async function () {
      skipWithout("kube-controller-manager", this);
      skipWithout("kubectl", this);
      expect(await kubectl("scale deployment/web -n old --replicas 2")).to.include({
        code: 0,
        stdout: "deployment.apps/web scaled\n",
      });
      const failure = await conditionOf("web", "ReplicaFailure");
      expect(failure).to.include({ status: "True", reason: "FailedCreate" });
      expect(failure.message).to.include(`${denial}container "app": image "${image}" is refused`);
      expect(await podsMade("old", "web")).to.have.length(1);
      expect((await kubectl("scale deployment/web -n old --replicas 1")).code).to.equal(0);
    });

    it("is left running by a restart that would bring in what is refused now", async function () {
      skipWithout("kube-controller-manager", this);
      skipWithout("kubectl", this);
      // An annotation of the template adds no image; the ReplicaSet that it calls for is new and is judged.
      const restarted = await kubectl("rollout restart deployment/web -n old");
      expect(restarted).to.include({ code: 0, stdout: "deployment.apps/web restarted\n" });
      const stuck = await waitFor("the rollout is stuck", async () => {
        const condition = await conditionOf("web", "Progressing");
        return condition.status === "False" && condition;
      });
      expect(stuck.reason).to.equal("ReplicaSetCreateError");
      expect(stuck.message).to.include(`${denial}container "app": image "${image}" is refused`);
      expect(await podsMade("old", "web")).to.have.length(1);
    });

    it("is collected with its owner", async function () {
      skipWithout("kube-controller-manager", this);
      await admin().delete("Deployment", { namespace: "old", name: "web" });
      await waitFor("its Pods are gone", async () => (await podsNow("old", "web")).length === 0);
    });
  });

  describe("the commands, asked about a cluster,", () => {
    const place = () => ["--kubeconfig", platform.plane.adminKubeconfigPath];

    it("check tells what runs against the rule", async function () {
      skipWithout("kubectl", this);
      const pods = await kubectl("get pods -A -o json");
      const { code, stdout, stderr } = await runBerth(
        ["check", ...place(), "--output", "json", "-"],
        pods.stdout,
      );
      expect(stderr).to.equal("");
      expect(code).to.equal(1);
      const reports = JSON.parse(stdout) as { verdict: string; namespace: string; name: string }[];
      const refused = reports.filter(({ verdict }) => verdict === "refuse");
      expect(reports.length).to.be.above(30);
      // Made while a binding was there, or in mode warn or audit.
      expect(refused.map(({ namespace, name }) => `${namespace}/${name}`)).to.have.members([
        "lab/bound",
        "shop/audited-only",
        "shop/warned",
      ]);
      const text = await runBerth(["check", ...place(), "--only-refused", "-"], pods.stdout);
      expect(text.code).to.equal(1);
      expect(text.stdout).to.include("refuse  Pod shop/warned  [standard input");
      expect(text.stdout).to.match(/\d+ judged, 3 refused\n$/);
    });

    it("check ends with 0 where all is well, and with 2 where it cannot judge", async function () {
      skipWithout("kubectl", this);
      const pods = await kubectl("get pods -n loose -o json");
      const well = await runBerth(["check", ...place(), "-"], pods.stdout);
      expect(well.code, well.stderr).to.equal(0);
      expect(well.stdout).to.include("allow   Pod loose/public");
      const unreadable = await runBerth(["check", ...place(), "-"], "kind: [");
      expect(unreadable.code).to.equal(2);
      expect(unreadable.stderr).to.include("standard input");
    });

    it("explain shows what a verdict comes from", async () => {
      const allowed = await runBerth(["explain", teamA, "--namespace", "shop", ...place()]);
      expect(allowed.code, allowed.stderr).to.equal(0);
      expect(allowed.stdout).to.include('shop: in workspace "12"').and.to.include("bound-space");
      const refused = await runBerth(["explain", teamA, "--namespace", "lab", ...place()]);
      expect(refused.code, refused.stderr).to.equal(1);
      expect(refused.stdout).to.include("team-a: private").and.to.include("space-not-bound");
    });
  });

  describe("without Berth", () => {
    it("Pods of the cluster's own and of Berth's namespace start, all others wait", async () => {
      await admin().create({
        kind: "ServiceAccount",
        metadata: { name: "default", namespace: "kube-system" },
      });
      expect(await platform.berth.stop()).to.deep.equal({ code: 0, signal: null });
      for (const namespace of ["kube-system", berthNamespace]) {
        const { status, message } = await create(
          pod({ namespace, name: "vital" }, "registry.example.test/vital:1"),
        );
        expect(status, message).to.equal(201);
      }
      const { status, message } = await create(pod({ namespace: "shop", name: "waiting" }, open));
      expect(status).to.equal(500);
      expect(message).to.include(noAnswer).and.to.include(webhookNames.mutate);
      const deployment = await create(workload("Deployment", { namespace: "shop", name: "waiting" }, open));
      expect(deployment.status).to.equal(500);
      expect(deployment.message).to.include(noAnswer).and.to.include(webhookNames.validate);
    });

    it("what is there can be deleted, and namespaces can be made", async () => {
      expect((await admin().delete("Pod", { namespace: "shop", name: "bound" })).status).to.equal(200);
      expect((await admin().delete("StatefulSet", { namespace: "shop", name: "changing" })).status).to.equal(
        200,
      );
      await createNamespace(admin(), "made-without-berth", { [workspaceLabel]: "12" });
    });

    it("and with it again, all is as it was", async () => {
      await platform.berth.start();
      expect((await platform.tryPod("made-without-berth", teamA)).status).to.equal(201);
      expect((await platform.tryPod("shop", teamB)).status).to.equal(403);
    });
  });

  describe("under load", () => {
    before(() => createNamespace(admin(), "rush", { [workspaceLabel]: "12" }));
    const images = { admit: [open, teamA], refuse: [teamB, imageOf("no-such-space")] };
    const begin = async () => {
      const rush = startRush({ kube: admin(), namespace: "rush", images });
      await rush.goOnFor(40);
      return rush;
    };

    it("Berth is stopped and started again without a wrong answer, and answers all while it drains", async () => {
      const rush = await begin();
      const toldAt = Date.now();
      const ended = platform.berth.stop();
      await waitFor("it says that it drains", async () => {
        const { status, text } = await platform.berth.operations("/readyz");
        return status === 503 && text.includes("draining");
      });
      expect(await ended).to.deep.equal({ code: 0, signal: null });
      await platform.berth.start();
      const readyAt = Date.now();
      await rush.goOnFor(200);
      const calls = await rush.stop();
      expectNoWrongAnswer(calls);
      expectAllAnswered(calls.filter(({ endedAt }) => endedAt < toldAt + drainMs));
      expectAllAnswered(
        calls.filter(({ begunAt, endedAt }) => begunAt > toldAt && endedAt < toldAt + drainMs),
      );
      expectAllAnswered(calls.filter(({ begunAt }) => begunAt > readyAt));
      expect(calls.map(({ outcome }) => outcome)).to.include("no-answer");
      await expectOnlyAllowedPods();
    });

    it("Berth is killed and started again without a wrong answer", async () => {
      const rush = await begin();
      const killedAt = Date.now();
      expect(await platform.berth.kill()).to.deep.equal({ code: null, signal: "SIGKILL" });
      await platform.berth.start();
      const readyAt = Date.now();
      await rush.goOnFor(200);
      const calls = await rush.stop();
      expectNoWrongAnswer(calls);
      expectAllAnswered(calls.filter(({ endedAt }) => endedAt < killedAt));
      expectAllAnswered(calls.filter(({ begunAt }) => begunAt > readyAt));
      expect(calls.map(({ outcome }) => outcome)).to.include("no-answer");
      await expectOnlyAllowedPods();
    });

    /** Only what lets nothing pass may take an answer's place: none, or that Berth does not know enough yet. */
    function expectNoWrongAnswer(calls: readonly Call[]): void {
      const harmless = (call: Call) => ["no-answer", "not-yet", call.wanted].includes(call.outcome);
      expect(calls.filter((call) => !harmless(call))).to.deep.equal([]);
    }
    function expectAllAnswered(calls: readonly Call[]): void {
      expect(calls).not.to.be.empty;
      expect(calls.filter(({ outcome, wanted }) => outcome !== wanted)).to.deep.equal([]);
    }
    async function expectOnlyAllowedPods(): Promise<void> {
      const { items } = (await admin().list("Pod", { namespace: "rush" })).body;
      for (const { spec } of items) {
        const image = spec?.containers[0]?.image;
        expect(image).to.be.oneOf(images.admit);
        expect(spec?.imagePullSecrets).to.deep.equal(image === teamA ? [berthPull] : undefined);
      }
    }
  });

  describe("Berth's account", () => {
    it("does what it has to, writes nothing else, and asks for nothing that it may not", async () => {
      const own = (await platform.auditEvents()).filter(({ user }) => user.username === berthUser);
      expect(own).not.to.be.empty;
      const placeOf = (namespace: string | undefined): string =>
        namespace === undefined || namespace === berthNamespace ? (namespace ?? "all") : "others";
      const asked = own.map(
        ({ verb, objectRef: at }) => `${verb} ${at?.resource} in ${placeOf(at?.namespace)}`,
      );
      const expected = [
        ...["list namespaces in all", "watch namespaces in all"],
        ...["list serviceaccounts in all", "watch serviceaccounts in all"],
        ...["list configmaps in berth-system", "watch configmaps in berth-system"],
        ...["create configmaps in berth-system", "update configmaps in berth-system"],
        ...["patch configmaps in berth-system"],
        ...["list secrets in berth-system", "watch secrets in berth-system"],
        ...["create secrets in berth-system", "update secrets in berth-system"],
        ...["list secrets in all", "watch secrets in all"],
        ...["create secrets in others", "delete secrets in others"],
        ...["get leases in berth-system", "create leases in berth-system", "update leases in berth-system"],
        "create events in berth-system",
      ];
      // A namespace by itself is read for its uid, and when its watch is late. Some of the suite's walks end before a
      // robot follows another in a Secret, or a record or a published value is removed.
      const besides = asked.filter(
        (what) =>
          !/^(?:get namespaces in others|patch secrets in others|delete (?:secrets|configmaps) in berth-system)$/.test(
            what,
          ),
      );
      expect([...new Set(besides)]).to.have.members(expected);
      const elsewhere = own.filter(({ verb, objectRef: at }) => {
        const isWrite = !["get", "list", "watch"].includes(verb);
        return isWrite && at?.resource === "secrets" && at.namespace !== berthNamespace;
      });
      expect(new Set(elsewhere.map(({ objectRef }) => objectRef?.name))).to.deep.equal(
        new Set([berthPull.name]),
      );
      expect(own.filter(({ responseStatus }) => responseStatus?.code === 403)).to.deep.equal([]);
      expect(platform.berth.output()).not.to.match(/forbidden/i);
    });

    it("leaves no password in the log", async () => {
      const at = { namespace: berthNamespace, name: "harbor-login" };
      const encoded = (await admin().get("Secret", at)).body.data?.["password"] ?? "";
      const password = Buffer.from(encoded, "base64").toString();
      expect(password).to.have.length.above(10);
      for (const text of [password, encoded, Buffer.from(`admin:${password}`).toString("base64")]) {
        expect(platform.berth.output()).not.to.include(text);
      }
    });
  });

  describe("a restart of the API server", () => {
    before(async () => {
      // The watch of namespaces breaks off with the restart, and may not begin anew.
      await setNamespaceRights(["get"]);
      await platform.plane.restartApiServer();
    });
    after(() => setNamespaceRights(["get", "list", "watch"]));

    it("leaves Berth with all that it knew", async () => {
      expect((await platform.tryPod("shop", teamA)).status).to.equal(201);
      expect((await platform.tryPod("shop", teamB)).status).to.equal(403);
    });

    it("does not hide a new namespace, which is read when its first Pod comes", async () => {
      await createNamespace(admin(), "unseen", { [workspaceLabel]: "12" });
      const { status, message, body } = await create(pod({ namespace: "unseen", name: "first" }, teamA));
      expect(status, message).to.equal(201);
      expect(body.spec?.imagePullSecrets).to.deep.equal([berthPull]);
      await waitFor("it was read", async () =>
        (await platform.auditEvents()).some(
          ({ verb, objectRef }) => verb === "get" && objectRef?.name === "unseen",
        ),
      );
    });

    it("is followed by new watches, which show what changes", async () => {
      await setNamespaceRights(["get", "list", "watch"]);
      await platform.bind(["12", "team-a"], ["34", "team-a"]);
      // A watch that breaks off again and again begins anew after 30 s at most.
      await platform.becomes("admitted", "lab", teamA, 60_000);
      const label = { metadata: { labels: { [workspaceLabel]: "12" } } };
      await admin().mergePatch("Namespace", { name: "nomad" }, label);
      await platform.becomes("admitted", "nomad", teamA, 60_000);
      await platform.setPolicy("bindings");
      await platform.becomes("refused", "lab", teamA);
    });

    async function setNamespaceRights(verbs: readonly string[]): Promise<void> {
      const rules = [{ apiGroups: [""], resources: ["namespaces", "serviceaccounts"], verbs }];
      const { status, message } = await admin().mergePatch("ClusterRole", { name: "berth" }, { rules });
      expect(status, message).to.equal(200);
    }
  });

  /** A DaemonSet has Pods where there are nodes. A new one is not ready, and nobody here would say that it is. */
  async function makeNode(): Promise<void> {
    const nodes = "/api/v1/nodes";
    await admin().request("POST", nodes, { apiVersion: "v1", kind: "Node", metadata: { name: "node-1" } });
    const ready = { spec: { taints: [] } };
    await admin().request("PATCH", `${nodes}/node-1`, ready, "application/merge-patch+json");
  }

  /** Twice, since a listing that is under way may have passed what was just changed. */
  async function catalogueIsRead(): Promise<void> {
    const { requests } = platform.harbor;
    const listings = () => requests.filter(({ path }) => path.startsWith("/api/v2.0/projects?")).length;
    const wanted = listings() + 2;
    await waitFor("the next listings", () => Promise.resolve(listings() >= wanted));
  }

  async function berthSays(pattern: RegExp): Promise<void> {
    await waitFor(`Berth says ${String(pattern)}`, () =>
      Promise.resolve(pattern.test(platform.berth.output())),
    );
  }

  async function podsNow(namespace: string, app: string) {
    return (await admin().list("Pod", { namespace, query: { labelSelector: `app=${app}` } })).body.items;
  }

  async function podsMade(namespace: string, app: string) {
    return waitFor(`Pods of ${app}`, async () => {
      const pods = await podsNow(namespace, app);
      return pods.length > 0 && pods;
    });
  }

  /** Of a Deployment in namespace old. */
  async function conditionOf(name: string, type: string) {
    return waitFor(`condition ${type} of ${name}`, async () => {
      const { body } = await admin().get("Deployment", { namespace: "old", name });
      return body.status?.conditions?.find((condition) => condition.type === type);
    });
  }
});
