// All of it on this machine: a stand-in Harbor, a folder as the cluster, the webhook over TLS, and reviews sent to
// it as an API server would. It shows verdicts, messages, and how they follow Harbor and the policy at once.

import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { styleText } from "node:util";
import Table from "cli-table3";
import { selfSigned } from "../certificates/self-signed.ts";
import {
  archiveRepositories,
  attempts,
  harborHost,
  pushSampleImages,
  sampleSpaces,
  writeSampleCluster,
  type Attempt,
} from "../demo/sample-cluster.ts";
import { startStandInHarbor, type StandInHarbor } from "../demo/stand-in-harbor.ts";
import { startStandInRegistry } from "../demo/stand-in-registry.ts";
import { createWebhookCaller, creationReview, type WebhookCaller } from "../demo/webhook-caller.ts";
import type { Snapshot } from "../domain/snapshot.ts";
import { createLog } from "../log.ts";
import { readSettings, type SettingName } from "../settings.ts";
import { startServing, type Serving } from "./serve.ts";
import type { Terminal } from "./terminal.ts";

/** Shown and used here only; it guards nothing. */
const password = "Harbor12345";

export async function demo(
  flags: Partial<Record<SettingName, string>>,
  once: boolean,
  terminal: Terminal,
): Promise<number> {
  const certificate = await selfSigned(["localhost", "127.0.0.1"], Date.now());
  const harbor = await startStandInHarbor({
    tls: { key: certificate.key, cert: certificate.certificate },
    adminPassword: password,
    projects: sampleSpaces,
  });
  pushSampleImages(harbor);
  const tls = { key: certificate.key, cert: certificate.certificate };
  const archive = await startStandInRegistry(tls, archiveRepositories);
  try {
    const login = { username: "admin", password, ca: certificate.ca };
    const url = harbor.url.replace("127.0.0.1", "localhost");
    const folder = await writeSampleCluster({ url, ...login }, archive.url);
    try {
      return await serveAndShow({ terminal, harbor, folder }, flags, once);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  } finally {
    await Promise.all([harbor.close(), archive.close()]);
  }
}

async function serveAndShow(
  scenery: Pick<Stage, "terminal" | "harbor" | "folder">,
  flags: Partial<Record<SettingName, string>>,
  once: boolean,
): Promise<number> {
  const { terminal, harbor, folder } = scenery;
  const settings = readSettings(
    {
      webhookPort: "0",
      peoplePort: "0",
      operationsPort: "0",
      logLevel: "error",
      ...flags,
      from: folder,
      catalogueInterval: "1s",
      bindAddress: "127.0.0.1",
    },
    {},
  );
  const serving = await startServing(settings, createLog(settings.logLevel));
  await serving.ready;
  const caller = createWebhookCaller({ port: serving.webhookPort, ca: serving.ca ?? "" });
  try {
    const asExpected = await show({ ...scenery, serving, caller });
    if (once) return asExpected ? 0 : 1;
    // Before the invitation, which somebody may answer by ending it.
    const ended = new Promise<void>((resolve) => {
      for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
    });
    invite(terminal, folder, serving, harbor);
    await ended;
    return 0;
  } finally {
    caller.close();
    await serving.stop(0);
  }
}

interface Stage {
  readonly terminal: Terminal;
  readonly harbor: StandInHarbor;
  readonly folder: string;
  readonly serving: Serving;
  readonly caller: WebhookCaller;
}

async function show(stage: Stage): Promise<boolean> {
  const { terminal, harbor } = stage;
  const heading = (text: string): void =>
    terminal.out(`\n${styleText("bold", text, { stream: terminal.stream })}\n`);

  heading(`Deploys to a cluster whose images come from ${harborHost}`);
  const first = await tryAll(stage, attempts);

  heading("What the refused read");
  for (const { attempt, message } of first) {
    if (message !== null)
      terminal.out(
        `  ${attempt.kind} ${attempt.namespace}/${attempt.name}\n    ${message.replaceAll("\n", "\n    ")}\n`,
      );
  }

  const [thief] = attempts.filter(({ name }) => name === "thief");
  if (thief === undefined) throw new Error("the sample has no such Pod");
  heading("Somebody makes space team-b public in Harbor: the next deploy may use it");
  const readOpen = untilChanged(stage.serving, "catalogues");
  harbor.projects.setVisibility("team-b", "public");
  const newcomer = { ...thief, name: "newcomer", images: [`${harborHost}/team-b/app:1`] };
  const opened = await tryAll(stage, [{ ...newcomer, verdict: "allow", reason: "public-space" }]);

  heading("It is made private again: closed with the next reading, which here is a second away");
  await readOpen;
  const readClosed = untilChanged(stage.serving, "catalogues");
  harbor.projects.setVisibility("team-b", "private");
  await readClosed;
  const closed = await tryAll(stage, [newcomer]);

  heading(
    "An administrator binds team-a to workspace 13 by editing a ConfigMap: in force within two seconds",
  );
  const file = join(stage.folder, "bindings.yaml");
  const text = await readFile(file, "utf8");
  await writeFile(
    file,
    text.replace("registry: managed, spaces: [models]", "registry: managed, spaces: [models, team-a]"),
  );
  await untilChanged(stage.serving, "policy");
  const bound = await tryAll(stage, [
    { ...thief, name: "no-thief", verdict: "allow", reason: "bound-space", pullSecret: true },
  ]);

  const outcomes = [...first, ...opened, ...closed, ...bound];
  const wrong = outcomes.filter(({ asExpected }) => !asExpected).length;
  terminal.out(
    `\n${String(outcomes.length)} verdicts, ${wrong === 0 ? "each as expected" : `${String(wrong)} NOT as expected`}.\n`,
  );
  return wrong === 0;
}

/** Resolves when Harbor's spaces, or the policy, are not what they were. */
function untilChanged({ engine: { state } }: Serving, part: "catalogues" | "policy"): Promise<void> {
  const content = (snapshot: Snapshot): unknown =>
    part === "policy" ? snapshot.policy : snapshot.catalogues.get("managed")?.spaces;
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`the ${part} had not changed after 10 s`)), 10_000);
    const unsubscribe = state.subscribe((current, previous) => {
      if (content(current) === content(previous)) return;
      clearTimeout(late);
      unsubscribe();
      resolve();
    });
  });
}

interface Outcome {
  readonly attempt: Attempt;
  readonly asExpected: boolean;
  readonly message: string | null;
}

/** Deploys one after another, and prints what came of it as a table. */
async function tryAll({ terminal, caller }: Stage, list: readonly Attempt[]): Promise<readonly Outcome[]> {
  const table = new Table({
    head: ["workload", "images", "namespace", "workspace", "verdict", "reason", "pull secret"],
    style: { head: [], border: [], compact: true },
  });
  const outcomes: Outcome[] = [];
  for (const attempt of list) {
    const { patched, response } = await deploy(caller, attempt);
    const { verdict = "", reasons = "", workspace = "" } = response.auditAnnotations ?? {};
    const asExpected =
      verdict === attempt.verdict &&
      response.allowed === (attempt.verdict === "allow") &&
      reasons === attempt.reason &&
      patched === (attempt.pullSecret === true);
    outcomes.push({ attempt, asExpected, message: response.status?.message ?? null });
    const colour = response.allowed ? "green" : "red";
    const unexpected = asExpected ? "" : ` (expected ${attempt.verdict}: ${attempt.reason})`;
    table.push([
      `${attempt.kind} ${attempt.name}`,
      attempt.images.map((image) => (image.length > 44 ? `${image.slice(0, 41)}...` : image)).join("\n"),
      attempt.namespace,
      workspace === "" ? "-" : workspace,
      styleText(colour, verdict, { stream: terminal.stream }) + unexpected,
      reasons.replaceAll(",", "\n"),
      patched ? "added" : "-",
    ]);
  }
  terminal.out(`${table.toString()}\n`);
  return outcomes;
}

async function deploy(caller: WebhookCaller, { kind, name, namespace, images }: Attempt) {
  const podSpec = { containers: images.map((image, index) => ({ name: `c${String(index)}`, image })) };
  const metadata = { name, namespace };
  const shapes = {
    Pod: [
      { group: "", kind, resource: "pods" },
      { metadata, spec: podSpec },
    ],
    Deployment: [
      { group: "apps", kind, resource: "deployments" },
      { metadata, spec: { template: { spec: podSpec } } },
    ],
    CronJob: [
      { group: "batch", kind, resource: "cronjobs" },
      { metadata, spec: { jobTemplate: { spec: { template: { spec: podSpec } } } } },
    ],
  } as const;
  const [of, object] = shapes[kind];
  const review = creationReview(of, object);
  const { patch } = await caller.review("/mutate", review);
  return { patched: patch !== undefined, response: await caller.review("/validate", review) };
}

function invite(terminal: Terminal, folder: string, serving: Serving, harbor: StandInHarbor): void {
  terminal.out(`
The image selector is at https://localhost:${String(serving.peoplePort)} (the browser will warn: its certificate is made
for this run). The webhook goes on. Try:
  edit ${join(folder, "bindings.yaml")} and ask again
  node src/main.ts explain ${harborHost}/team-a/api:2.4 --namespace lab --from ${folder}
  node src/main.ts check --from ${folder} <your manifests>
  curl -k -u admin:${password} ${harbor.url}/api/v2.0/projects
  curl http://127.0.0.1:${String(serving.operationsPort)}/metrics | grep berth_
The webhook answers on https://localhost:${String(serving.webhookPort)}; Ctrl-C ends it all.
`);
}
