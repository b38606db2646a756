// What both kinds of world have in common: the stand-in Harbor, the clock, the replicas that are asked over HTTPS, and
// the certificates that they show. The kinds differ in where replicas read policy and namespaces: cluster-world.ts, or
// folder-world.ts.

import { rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import tls from "node:tls";
import { X509Certificate } from "node:crypto";
import { selfSigned, type IssuedCertificate } from "../../src/certificates/self-signed.ts";
import { startServing, type Serving } from "../../src/commands/serve.ts";
import { startStandInHarbor, type StandInHarbor } from "../../src/demo/stand-in-harbor.ts";
import { createLog } from "../../src/log.ts";
import { readSettings, type SettingName } from "../../src/settings.ts";
import { createWebhookCaller, type WebhookCaller } from "../fakes/api-server.ts";
import { startVirtualTime, type VirtualTime } from "../virtual-time.ts";
import {
  createCampaignModel,
  type Bindings,
  type BindingsName,
  type CampaignModel,
  type Registries,
  type ReplicaFacts,
  type SpaceTruth,
  type Workspace,
} from "./model.ts";

export const beatMs = 5_000;
export const adminPassword = "Never-Shown-4711";

export interface Replica {
  readonly facts: ReplicaFacts;
  readonly serving: Serving;
  readonly caller: WebhookCaller;
  readonly port: number;
  isStopping: boolean;
  /** The last lines of its log, for a report. */
  readonly logTail: () => readonly string[];
}

export interface CampaignWorld {
  readonly kind: "cluster" | "folder";
  readonly model: CampaignModel;
  readonly harbor: StandInHarbor;
  readonly time: VirtualTime;
  readonly certificates: Certificates;
  readonly replicas: readonly Replica[];
  /** Began, and cannot be asked yet. */
  readonly starting: ReadonlySet<string>;
  /** Milliseconds since the walk began, whatever the wall clock shows. */
  now(): number;
  /** Sets the wall clock of everybody back or forth. */
  jump(byMs: number): void;
  turn(forMs: number): Promise<void>;
  writeRegistries(value: Registries): Promise<void>;
  writeBindings(name: BindingsName, value: Bindings): Promise<void>;
  /** Its text is none that can be read; what was good stays. */
  breakBindings(name: BindingsName): Promise<void>;
  writeNamespace(name: string, value: Workspace): Promise<void>;
  writePassword(password: string): Promise<void>;
  startReplica(): void;
  /** A crash gives nothing back: what it held, others have to wait for. */
  stopReplica(replica: Replica, how: "ended" | "crashed"): void;
  close(): Promise<void>;
}

export interface Certificates {
  readonly ca: string;
  readonly folder: string;
  /** The number of the one whose files are in place. */
  inPlace(): number;
  /** Puts the next one there; `half` leaves the old key beside the new certificate. */
  rotate(half: boolean): Promise<void>;
  /** The number of the one that a new connection is shown. */
  shownAt(port: number): Promise<number>;
}

let issued: Promise<readonly IssuedCertificate[]> | undefined;

/** Made once for all walks of a process: keys take a while. */
export async function createCertificates(folder: string): Promise<Certificates> {
  issued ??= Promise.all(Array.from({ length: 3 }, () => selfSigned(["localhost", "127.0.0.1"], Date.now())));
  const all = await issued;
  const prints = all.map(({ certificate }) => new X509Certificate(certificate).fingerprint256);
  const ca = all.map((one) => one.ca).join("\n");
  let number = 0;
  async function place(file: "tls.crt" | "tls.key", text: string): Promise<void> {
    await writeFile(join(folder, `${file}.new`), text, { mode: 0o600 });
    await rename(join(folder, `${file}.new`), join(folder, file));
  }
  async function put(next: number, half: boolean): Promise<void> {
    const { certificate, key } = all[next % all.length]!;
    await place("tls.crt", certificate);
    if (!half) await place("tls.key", key);
  }
  await put(0, false);
  return {
    ca,
    folder,
    inPlace: () => number,
    async rotate(half) {
      if (half) {
        await put(number + 1, true);
        return;
      }
      number = (number + 1) % all.length;
      await put(number, false);
    },
    shownAt: (port) =>
      new Promise((resolve, reject) => {
        const socket = tls.connect({ port, host: "127.0.0.1", servername: "localhost", ca }, () => {
          resolve(prints.indexOf(socket.getPeerX509Certificate()?.fingerprint256 ?? ""));
          socket.destroy();
        });
        socket.on("error", reject);
      }),
  };
}

export const firstSpaces: Readonly<Record<string, "public" | "private" | null>> = {
  library: "public",
  platform: "public",
  tools: "public",
  mirror: "public",
  "team-a": "private",
  "team-b": "private",
  models: "private",
  data: "private",
  secrets: "private",
  vault: "private",
  "late-one": null,
};

export const firstNamespaces: Readonly<Record<string, Workspace>> = {
  "berth-system": null,
  "kube-system": null,
  shop: "12",
  "shop-test": "12",
  lab: "13",
  "lab-gpu": "13",
  depot: "14",
  sandbox: null,
  "n-1": undefined,
  "n-2": undefined,
  "n-3": undefined,
};

export const firstRegistries: Registries = {
  mode: "enforce",
  unlisted: "deny",
  exempt: ["kube-system"],
  archive: true,
  twelve: true,
  alias: true,
};

export const firstBindings: Readonly<Record<BindingsName, Bindings>> = {
  "bindings-a": [
    { workspace: "12", space: "team-a", id: null },
    { workspace: "12", space: "data", id: null },
  ],
  "bindings-b": [
    { workspace: "13", space: "models", id: null },
    { workspace: "14", space: "team-a", id: null },
  ],
};

export const hostsOf = (url: string) => ({
  url: new URL(url).host,
  alias: "harbor.corp.test:5000",
  archive: "archive.example.test:5000",
  twelve: "other.example.test",
});

export function modelOf(kind: CampaignWorld["kind"], harbor: StandInHarbor): CampaignModel {
  const spaces: Record<string, SpaceTruth> = {};
  for (const [name, visibility] of Object.entries(firstSpaces)) {
    const id = harbor.projects.find(name)?.id;
    spaces[name] = id === undefined || visibility === null ? null : { id, visibility };
  }
  return createCampaignModel({
    promises: {
      editMs: kind === "cluster" ? 300 : 2_000,
      visibilityMs: beatMs + 1_000,
      lookUpLifeMs: 5_000,
      namespaceLifeMs: 1_000,
    },
    hosts: hostsOf(harbor.url),
    spaces,
    namespaces: firstNamespaces,
    registries: firstRegistries,
    bindings: firstBindings,
    isCluster: kind === "cluster",
  });
}

/** It has a clock of its own, which nobody sets. */
export async function startHarbor(now: () => number): Promise<StandInHarbor> {
  const harbor = await startStandInHarbor({
    adminPassword,
    lockMs: 1_500,
    now,
    projects: Object.entries(firstSpaces).flatMap(([name, visibility]) =>
      visibility === null ? [] : [{ name, visibility }],
    ),
  });
  // Its key takes a while to make, for which no clock should move.
  await harbor.tokenCertificatePem();
  return harbor;
}

/** Far more turns of the loop than an answer takes that waits for nothing. */
const silentTurns = 300;

/** The turned clock, and a wall clock beside it that can be set. */
export function startClocks() {
  const time = startVirtualTime(Date.parse("2026-03-01T12:00:00Z"), { silentTurns });
  const turned = Date.now;
  const begun = turned();
  let skewMs = 0;
  Date.now = () => turned() + skewMs;
  return {
    time,
    /** A wall clock that nobody sets. */
    steady: turned,
    now: () => turned() - begun,
    jump: (byMs: number) => void (skewMs += byMs),
  };
}

/** Whole replicas in this process; the world says what goes with each. */
export function createReplicas(needs: {
  readonly now: () => number;
  readonly time: VirtualTime;
  readonly model: CampaignModel;
  readonly certificates: Certificates;
  readonly flagsOf: (name: string) => Partial<Record<SettingName, string>>;
}) {
  const { now, time, model, certificates } = needs;
  const replicas: Replica[] = [];
  const starting = new Set<string>();
  const ending = new Set<Promise<void>>();
  const failures: string[] = [];
  let count = 0;

  async function begin(name: string): Promise<void> {
    const lines: string[] = [];
    const log = createLog("info", {
      write(line) {
        lines.push(line.trimEnd());
        if (lines.length > 200) lines.shift();
      },
    });
    const flags = {
      ...{ webhookPort: "0", peoplePort: "0", operationsPort: "0", bindAddress: "127.0.0.1" },
      ...{ certificateMode: "files", catalogueInterval: `${String(beatMs / 1_000)}s` },
      ...{
        certificateFile: join(certificates.folder, "tls.crt"),
        keyFile: join(certificates.folder, "tls.key"),
      },
      ...needs.flagsOf(name),
    };
    const facts: ReplicaFacts = { name, startedAt: now(), readyAt: Infinity };
    const serving = await startServing(readSettings(flags, {}), log);
    const port = serving.webhookPort;
    const caller = createWebhookCaller({ port, ca: certificates.ca });
    const replica = { facts, serving, caller, port, isStopping: false, logTail: () => lines };
    await serving.ready;
    facts.readyAt = now();
    model.replicas.push(facts);
    replicas.push(replica);
  }

  return {
    replicas,
    starting,
    failures,
    start(): string {
      const name = `replica-${String((count += 1))}`;
      starting.add(name);
      begin(name)
        .catch((err: unknown) => failures.push(`${name} did not start: ${String(err)}`))
        .finally(() => starting.delete(name));
      return name;
    },
    stop(replica: Replica): void {
      replica.isStopping = true;
      replicas.splice(replicas.indexOf(replica), 1);
      model.replicas.splice(model.replicas.indexOf(replica.facts), 1);
      const ended = replica.serving.stop(0).then(
        () => replica.caller.close(),
        (err: unknown) => void failures.push(`${replica.facts.name} did not stop: ${String(err)}`),
      );
      const done = ended.finally(() => ending.delete(done));
      ending.add(done);
    },
    async close(): Promise<void> {
      for (const replica of [...replicas]) this.stop(replica);
      await time.during(Promise.all(ending).then(() => undefined));
    },
  };
}
