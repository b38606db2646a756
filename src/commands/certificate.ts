// The webhook's certificate, from wherever the settings say.

import type { Certificate } from "../http/server.ts";
import type { Log } from "../log.ts";
import type { Stoppable } from "../loop.ts";
import { SettingsError, type Settings } from "../settings.ts";

export interface OpenCertificate extends Stoppable {
  readonly current: Certificate;
  /** PEM, where Berth made the certificate itself. */
  readonly ca: string | undefined;
  onChange(listener: (certificate: Certificate) => void): void;
}

export async function openCertificate(settings: Settings, log: Log): Promise<OpenCertificate> {
  switch (settings.certificateMode) {
    case "self-signed":
      return openSelfSigned(settings);
    case "files":
      return openFiles(settings, log);
  }
}

async function openSelfSigned({ webhookUrl, namespace }: Settings): Promise<OpenCertificate> {
  const { selfSigned } = await import("../certificates/self-signed.ts");
  const names = new Set(["localhost", "127.0.0.1", "::1", `berth.${namespace}.svc`]);
  if (webhookUrl !== undefined) names.add(new URL(webhookUrl).hostname.replace(/^\[|\]$/g, ""));
  const current = await selfSigned([...names], Date.now());
  return { current, ca: current.ca, onChange: () => undefined, stop: () => Promise.resolve() };
}

async function openFiles({ certificateFile, keyFile }: Settings, log: Log): Promise<OpenCertificate> {
  if (certificateFile === undefined || keyFile === undefined) {
    throw new SettingsError("--certificate-mode files needs --certificate-file and --key-file");
  }
  const { readCertificateFiles, watchCertificateFiles } =
    await import("../certificates/certificate-files.ts");
  const files = { certificateFile, keyFile };
  const current = await readCertificateFiles(files);
  let listener: (certificate: Certificate) => void = () => undefined;
  const watch = watchCertificateFiles(files, current, { log, onChange: (changed) => listener(changed) });
  return { current, ca: undefined, onChange: (given) => (listener = given), stop: () => watch.stop() };
}
