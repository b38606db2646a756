// The webhook's certificate and that of the people's port, from wherever the settings say.

import { X509Certificate } from "node:crypto";
import type { Certificate } from "../http/server.ts";
import type { Trust } from "../http/self-check.ts";
import type { Log } from "../log.ts";
import type { Stoppable } from "../loop.ts";
import { startCertificateReconciler } from "../reconcilers/certificate-reconciler.ts";
import { certificateModeOf, SettingsError, type Settings } from "../settings.ts";
import type { CertificateStores } from "./engine.ts";

export interface OpenCertificate extends Stoppable {
  /** Undefined as long as there is none to serve. */
  current(): Certificate | undefined;
  /** PEM, where Berth made the certificate itself: what a caller has to trust. */
  ca(): string | undefined;
  /** What the API server trusts and asks for, to see whether it would be answered. */
  trust(): Trust | undefined;
  /** When each of what is in use ends and began; by the label that metrics have for it. */
  validities(): Validities;
  /** Does the API server's configuration of this kind send something to Berth? Empty where Berth does not look. */
  configured(): Readonly<Partial<Record<"mutating" | "validating", boolean>>>;
  /** In words. */
  problems(): readonly string[];
  onChange(listener: (certificate: Certificate) => void): void;
}

/** That of the people's port. */
export interface PeopleCertificate extends Stoppable {
  /** Undefined as long as there is none to serve. */
  current(): Certificate | undefined;
  /** Of a certificate of its own; that of the webhook is told of there. */
  validities(): Validities;
  onChange(listener: (certificate: Certificate) => void): void;
}

export type Validities = Readonly<Record<string, { readonly from: number; readonly to: number }>>;

export async function openCertificate(
  settings: Settings,
  log: Log,
  stores: CertificateStores | null,
): Promise<OpenCertificate> {
  switch (certificateModeOf(settings)) {
    case "managed":
      return openManaged(settings, log, stores);
    case "self-signed":
      return openSelfSigned(settings);
    case "files":
      return openFiles(settings, log);
  }
}

/** That of the webhook, unless the settings name files for it. */
export async function openPeopleCertificate(
  { peopleCertificateFile, peopleKeyFile }: Settings,
  log: Log,
  webhook: OpenCertificate,
): Promise<PeopleCertificate> {
  if (peopleCertificateFile === undefined || peopleKeyFile === undefined) {
    return {
      current: () => webhook.current(),
      validities: () => ({}),
      onChange: (listener) => webhook.onChange(listener),
      stop: () => Promise.resolve(),
    };
  }
  const files = { certificateFile: peopleCertificateFile, keyFile: peopleKeyFile };
  const served = await serveFiles(files, log);
  return { ...served, validities: () => validitiesOf({ people: served.current().certificate }) };
}

async function openManaged(
  settings: Settings,
  log: Log,
  stores: CertificateStores | null,
): Promise<OpenCertificate> {
  if (stores === null) throw new SettingsError("--certificate-mode managed needs a cluster");
  const authority = await import("../certificates/authority.ts");
  let current: (Certificate & { readonly ca: string }) | undefined;
  const listeners = new Set<(certificate: Certificate) => void>();
  const reconciler = startCertificateReconciler({
    secret: stores.caSecret,
    configurations: stores.webhookConfigurations,
    authority,
    names: [...namesOf(settings), "localhost"],
    caLifetimeMs: settings.caLifetime,
    leafLifetimeMs: settings.leafLifetime,
    keepsBundle: settings.caBundle === "keep",
    serve(leaf) {
      current = leaf;
      for (const listener of listeners) listener(leaf);
    },
    log,
    now: Date.now,
  });
  const endListening = stores.onSecretsChange(() => reconciler.wake());
  const watches = stores.webhookConfigurations.watch(() => reconciler.wake());
  for (const [resource, watch] of watches) stores.addWatch(resource, watch);
  return {
    current: () => current,
    ca: () => reconciler.trusted(),
    trust: () => ({ ca: reconciler.trusted(), name: calledName(settings) }),
    validities() {
      const ca = reconciler.ca();
      const ofCa = ca && { ca: { from: ca.validFrom, to: ca.validTo } };
      return { ...(current && validitiesOf({ webhook: current.certificate })), ...ofCa };
    },
    configured() {
      const titles = reconciler.inUse();
      if (titles === undefined) return {};
      const isInUse = (kind: string): boolean => titles.some((title) => title.startsWith(kind));
      return { mutating: isInUse("Mutating"), validating: isInUse("Validating") };
    },
    problems: () => reconciler.problems(),
    onChange: (listener) => void listeners.add(listener),
    async stop() {
      endListening();
      await Promise.all([...watches.values()].map((watch) => watch.stop()));
      await reconciler.stop();
    },
  };
}

async function openSelfSigned(settings: Settings): Promise<OpenCertificate> {
  const { selfSigned } = await import("../certificates/self-signed.ts");
  const addresses = ["localhost", "127.0.0.1", "::1"];
  const names = new Set([...addresses, ...namesOf(settings)]);
  const current = await selfSigned([...names], Date.now());
  const { certificate, ca } = current;
  return {
    current: () => current,
    ca: () => ca,
    trust: () => ({ ca, name: calledName(settings) }),
    validities: () => validitiesOf({ webhook: certificate, ca }),
    configured: () => ({}),
    problems: () => [],
    onChange: () => undefined,
    stop: () => Promise.resolve(),
  };
}

async function openFiles({ certificateFile, keyFile }: Settings, log: Log): Promise<OpenCertificate> {
  if (certificateFile === undefined || keyFile === undefined) {
    throw new SettingsError("--certificate-mode files needs --certificate-file and --key-file");
  }
  const served = await serveFiles({ certificateFile, keyFile }, log);
  return {
    ...served,
    ca: () => undefined,
    trust: () => ({ ca: served.current().certificate, name: undefined }),
    validities: () => validitiesOf({ webhook: served.current().certificate }),
    configured: () => ({}),
    problems: () => [],
  };
}

/** Read now, and again whenever they change. */
async function serveFiles(files: { readonly certificateFile: string; readonly keyFile: string }, log: Log) {
  const { readCertificateFiles, watchCertificateFiles } =
    await import("../certificates/certificate-files.ts");
  let current: Certificate = await readCertificateFiles(files);
  const listeners = new Set<(certificate: Certificate) => void>();
  const watch = watchCertificateFiles(files, current, {
    log,
    onChange(changed) {
      current = changed;
      for (const listener of listeners) listener(changed);
    },
  });
  return {
    current: () => current,
    onChange: (listener: (certificate: Certificate) => void) => void listeners.add(listener),
    stop: () => watch.stop(),
  };
}

/** Of both ports, since one certificate serves them. */
function namesOf(settings: Settings): readonly string[] {
  const { serviceName, namespace } = settings;
  const ofPeople = serviceNamesOf({ serviceName: `${serviceName}-people`, namespace });
  return [...serviceNamesOf(settings), ...ofPeople, ...urlNamesOf(settings)];
}

/** The one by which the API server calls it first; the others are for people and programs in the cluster. */
function serviceNamesOf({
  serviceName,
  namespace,
}: Pick<Settings, "serviceName" | "namespace">): readonly [string, string, string] {
  return [`${serviceName}.${namespace}.svc`, `${serviceName}.${namespace}`, serviceName];
}

/** An address of IPv6 without its brackets. */
function urlNamesOf({ webhookUrl }: Settings): readonly string[] {
  return webhookUrl === undefined ? [] : [new URL(webhookUrl).hostname.replace(/^\[|\]$/g, "")];
}

function calledName(settings: Settings): string {
  return urlNamesOf(settings)[0] ?? serviceNamesOf(settings)[0];
}

function validitiesOf(pems: Readonly<Record<string, string>>): Validities {
  return Object.fromEntries(
    Object.entries(pems).map(([name, pem]) => {
      const { validFromDate, validToDate } = new X509Certificate(pem);
      return [name, { from: validFromDate.getTime(), to: validToDate.getTime() }];
    }),
  );
}
