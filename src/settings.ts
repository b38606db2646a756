// Environment and flags → one frozen value. The only reader of the environment. Every setting is a variable
// `BERTH_…` with a flag of the same name; a flag wins over its variable.

import { z } from "zod";
import { parseCustomKinds } from "./domain/pod-spec.ts";

const durationUnitsMs = { s: 1_000, m: 60_000, h: 3_600_000 } as const;
/** Timers of Node go wrong above 2^31 ms; nothing here needs a tenth of that. */
const maxDurationMs = 48 * 3_600_000;

/** `15s`, `5m`, `1h` → milliseconds. */
const duration = z.string().transform((text, context) => {
  const ms = durationMs(text, durationUnitsMs);
  if (ms <= maxDurationMs) return ms;
  context.addIssue("expected a duration such as 15s, 5m or 1h, at most 48h");
  return z.NEVER;
});
/** NaN for what is none. */
function durationMs(text: string, unitsMs: Readonly<Record<string, number>>): number {
  const [, amount, unit = ""] = /^([0-9]{1,6})([a-z])$/.exec(text) ?? [];
  return Number(amount) * (unitsMs[unit] ?? Number.NaN);
}
/** Life of a certificate. No timer runs for so long: it is compared with the clock on a beat. */
const lifetime = (shortest: string) =>
  z.string().transform((text, context) => {
    const ms = durationMs(text, { ...durationUnitsMs, d: 86_400_000 });
    if (ms >= durationMs(shortest, durationUnitsMs) && ms <= maxLifetimeMs) return ms;
    context.addIssue(`expected a duration such as 12h or 90d, from ${shortest} to 3650d`);
    return z.NEVER;
  });
const maxLifetimeMs = 3_650 * 86_400_000;
const interval = duration.refine((ms) => ms >= 1_000, "expected a duration of at least 1s");
const port = z
  .string()
  .regex(/^[0-9]{1,5}$/, "expected a port from 0 to 65535, 0 for any free one")
  .transform(Number)
  .refine((number) => number <= 65_535, "expected a port from 0 to 65535, 0 for any free one");
/** A number, or what switches it off. */
const portOrOff = z.string().transform((text, context): number | "off" => {
  if (text === "off") return text;
  const parsed = port.safeParse(text);
  if (parsed.success) return parsed.data;
  context.addIssue("expected a port from 0 to 65535, 0 for any free one, or off");
  return z.NEVER;
});
const dnsLabelOf = (what: string) =>
  z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, `expected the name of a ${what}`);
const dnsLabel = dnsLabelOf("namespace");
/** Each is a request a beat; a platform has its Harbors in one or two. */
const maxNamespaces = 20;
const namespaces = z.string().transform((text, context): readonly string[] => {
  const names = text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  const areNames = names.every((name) => dnsLabel.safeParse(name).success);
  if (areNames && names.length <= maxNamespaces) return [...new Set(names)];
  context.addIssue(`expected names of namespaces, separated by commas, at most ${maxNamespaces}`);
  return z.NEVER;
});
/** Each is somebody whose word about others is believed. */
const maxCommonNames = 20;
/** The bound of X.520. */
const maxCommonNameLength = 64;
const commonNames = z.string().transform((text, context): readonly string[] => {
  const names = text
    .split(",")
    .map((name) => name.trim())
    .filter((name) => name !== "");
  if (names.length <= maxCommonNames && names.every((name) => name.length <= maxCommonNameLength))
    return [...new Set(names)];
  context.addIssue(
    `expected common names of certificates, separated by commas, at most ${maxCommonNames} of ${maxCommonNameLength} characters`,
  );
  return z.NEVER;
});
const labelKey = z
  .string()
  .max(317)
  .regex(
    /^(?:[a-z0-9][a-z0-9.-]*\/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
    "expected the key of a label, such as workspace.ghippo.io/id",
  );
const clusterName = z
  .string()
  .max(63)
  .regex(
    /^[a-z0-9]+(?:-[a-z0-9]+)*$/,
    "expected a name of lower-case letters, digits and single dashes, at most 63",
  );
const days = z
  .string()
  .regex(/^[0-9]{1,3}$/, "expected a number of days from 1 to 365")
  .transform(Number)
  .refine((number) => number >= 1 && number <= 365, "expected a number of days from 1 to 365");
const podTemplates = z.string().transform((text, context) => {
  const kinds = parseCustomKinds(text);
  if (kinds !== undefined) return kinds;
  context.addIssue(
    "expected <group>/<Kind>=<path of the pod spec>, such as argoproj.io/Rollout=spec.template.spec",
  );
  return z.NEVER;
});
const text = z.string().min(1, "expected a value");
const oneOf = <const T extends readonly [string, ...string[]]>(...values: T) =>
  z.enum(values, { error: `expected ${values.slice(0, -1).join(", ")} or ${values.at(-1) ?? ""}` });

interface SettingSpec<T> {
  readonly schema: z.ZodType<T, string>;
  readonly default?: string;
  readonly help: string;
  /** What a value looks like, for help texts. */
  readonly value: string;
}

/** A setting that has a value when nobody sets it. */
function setting<T>(value: string, schema: z.ZodType<T, string>, byDefault: string, help: string) {
  return { schema, value, help, default: byDefault };
}

function optional<T>(value: string, schema: z.ZodType<T, string>, help: string) {
  return { schema, value, help };
}

/** Every setting, in the order of help and documents. The name in capitals, after `BERTH_`, is its variable. */
export const settingSpecs = {
  namespace: setting(
    "NAME",
    dnsLabel,
    "berth-system",
    "Berth's own namespace: policy and Secrets are read there, and it is always exempt",
  ),
  workspaceLabel: setting(
    "KEY",
    labelKey,
    "workspace.ghippo.io/id",
    "label of a namespace that holds its workspace's id",
  ),
  from: optional("DIR", text, "read a folder of manifests instead of a cluster"),
  kubeconfig: optional("FILE", text, "reach the cluster by a kubeconfig, from outside it"),
  context: optional("NAME", text, "context of the kubeconfig, instead of its current one"),
  webhookUrl: optional(
    "URL",
    z.url({ protocol: /^https$/, error: "expected an https:// URL" }),
    "what the API server calls, when Berth runs outside the cluster; its host goes into the certificate",
  ),
  catalogueInterval: setting("DURATION", interval, "15s", "how often each Harbor is listed"),
  catalogueMaxAge: setting("DURATION", interval, "1h", "after this a catalogue is stale, see --stale"),
  stale: setting(
    "WHAT",
    oneOf("serve", "refuse-unbound"),
    "serve",
    "with a stale catalogue: go on (serve), or refuse what is not bound to the workspace (refuse-unbound)",
  ),
  harborClusters: setting(
    "NAMESPACES",
    namespaces,
    "",
    "namespaces whose HarborClusters (harbor-operator) join as registries; only administrators may write them there",
  ),
  clusterName: setting(
    "NAME",
    clusterName,
    "cluster",
    "part of the names of robot accounts, so that people tell clusters apart that share a Harbor",
  ),
  robotDays: setting(
    "DAYS",
    days,
    "30",
    "life of a robot account; a new one takes its place when two thirds of it are over",
  ),
  logLevel: setting("LEVEL", oneOf("debug", "info", "warn", "error"), "info", "least level that is logged"),
  webhookPort: setting("PORT", port, "8443", "HTTPS for the API server"),
  peoplePort: setting(
    "PORT",
    portOrOff,
    "8444",
    "HTTPS for people: the image selector and its API; off switches it off",
  ),
  operationsPort: setting("PORT", port, "8080", "HTTP: /livez, /readyz, /metrics"),
  bindAddress: optional("ADDRESS", text, "address to listen on; by default all, IPv6 and IPv4"),
  serviceName: setting(
    "NAME",
    dnsLabelOf("Service"),
    "berth",
    "Service in Berth's own namespace that the API server calls; it goes into the certificate",
  ),
  certificateMode: setting(
    "MODE",
    oneOf("auto", "managed", "files", "self-signed"),
    "auto",
    "where the webhook's certificate comes from: a CA that Berth keeps in the Secret berth-ca (managed), files that are read again when they change, such as cert-manager's (files), or made at start (self-signed); auto is files with --certificate-file, else self-signed with --from, else managed",
  ),
  caBundle: setting(
    "WHAT",
    oneOf("keep", "leave"),
    "keep",
    "with a managed certificate: write caBundle of the webhook configurations (keep), or wait until somebody else has copied it there from the Secret (leave)",
  ),
  // As long as a certificate of a cluster's own: renewed after eight months, with four to notice that it was not.
  caLifetime: setting("DURATION", lifetime("1m"), "365d", "with a managed certificate: life of the CA"),
  // Renewed after not quite five days; a weekend is shorter than what is left then.
  leafLifetime: setting(
    "DURATION",
    lifetime("10s"),
    "7d",
    "with a managed certificate: life of what each replica serves, which it keeps in memory only",
  ),
  certificateFile: optional("FILE", text, "PEM: certificate and chain, in the place of one that Berth makes"),
  keyFile: optional("FILE", text, "PEM: private key of --certificate-file, without passphrase"),
  webhookClientCa: optional("FILE", text, "PEM: answer only clients with a certificate of this CA"),
  peopleCertificateFile: optional(
    "FILE",
    text,
    "PEM: certificate and chain of the people's port, by the names that browsers know it by; without it that port shows the webhook's",
  ),
  peopleKeyFile: optional("FILE", text, "PEM: private key of --people-certificate-file, without passphrase"),
  peopleProxyCa: optional(
    "FILE",
    text,
    "PEM: CA of a proxy that signs people in; with a certificate of it the headers X-Remote-User, X-Remote-Group, X-Remote-Uid and X-Remote-Extra-... say who asks",
  ),
  peopleProxyNames: setting(
    "NAMES",
    commonNames,
    "",
    "common names of that proxy's certificates, separated by commas; by default any certificate of --people-proxy-ca",
  ),
  podTemplates: setting(
    "KINDS",
    podTemplates,
    "",
    "custom resources with Pod templates to judge early, as <group>/<Kind>=<path of the pod spec>,...",
  ),
  namespaceGuard: setting(
    "WHAT",
    oneOf("enforce", "off"),
    "enforce",
    "who may change the workspace of a namespace: those with the right (enforce), or everybody (off)",
  ),
  drain: setting(
    "DURATION",
    duration,
    "15s",
    "how long to go on answering after SIGTERM, while endpoints learn of it",
  ),
} satisfies Record<string, SettingSpec<unknown>>;

type Specs = typeof settingSpecs;
export type SettingName = keyof Specs;
type WithDefault = { [K in SettingName]: Specs[K] extends { default: string } ? K : never }[SettingName];
type ValueOf<K extends SettingName> = z.output<Specs[K]["schema"]>;

export type Settings = {
  readonly [K in SettingName]: K extends WithDefault ? ValueOf<K> : ValueOf<K> | undefined;
};

/** A setting that is not what it must be. The message is one line, for the person who started Berth. */
export class SettingsError extends Error {}

/** `catalogueInterval` → `BERTH_CATALOGUE_INTERVAL`. */
export function variableOf(name: string): string {
  return `BERTH_${name.replace(/[A-Z]/g, "_$&").toUpperCase()}`;
}

/** `catalogueInterval` → `--catalogue-interval`. */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, "-$&").toLowerCase()}`;
}

/**
 * Reads every setting. Empty variables count as unset, as deployment tools write them.
 * @throws SettingsError at the first value that is not valid
 */
export function readSettings(
  flags: Readonly<Partial<Record<SettingName, string>>>,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Settings {
  const settings: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries<SettingSpec<unknown>>(settingSpecs)) {
    const flag = flags[name as SettingName];
    const variable = environment[variableOf(name)];
    const given = flag ?? (variable === "" ? undefined : variable);
    const value = given ?? spec.default;
    if (value === undefined) continue;
    const parsed = spec.schema.safeParse(value);
    if (!parsed.success) {
      const from = flag === undefined ? variableOf(name) : flagOf(name);
      throw new SettingsError(
        `${from}: ${parsed.error.issues[0]?.message ?? "not valid"}, got ${JSON.stringify(value)}`,
      );
    }
    settings[name] = parsed.data;
  }
  return checkTogether(Object.freeze(settings) as Settings);
}

function checkTogether(settings: Settings): Settings {
  const { from, kubeconfig, certificateFile, keyFile } = settings;
  const certificateMode = certificateModeOf(settings);
  if (from !== undefined && kubeconfig !== undefined) {
    throw new SettingsError(
      "--from and --kubeconfig exclude each other: a folder takes the place of a cluster",
    );
  }
  if (certificateMode === "files" && (certificateFile === undefined || keyFile === undefined)) {
    throw new SettingsError("--certificate-mode files needs --certificate-file and --key-file");
  }
  if (certificateMode !== "files" && (certificateFile !== undefined || keyFile !== undefined)) {
    throw new SettingsError(
      `--certificate-file and --key-file are not for --certificate-mode ${certificateMode}`,
    );
  }
  const { peopleCertificateFile, peopleKeyFile, peopleProxyCa, peopleProxyNames } = settings;
  if ((peopleCertificateFile === undefined) !== (peopleKeyFile === undefined)) {
    throw new SettingsError("--people-certificate-file and --people-key-file need each other");
  }
  if (peopleProxyCa === undefined && peopleProxyNames.length > 0) {
    throw new SettingsError("--people-proxy-names needs --people-proxy-ca: the CA of those certificates");
  }
  if (peopleProxyCa !== undefined && from !== undefined) {
    throw new SettingsError("--people-proxy-ca needs a cluster: with --from nobody has to sign in");
  }
  if (certificateMode === "managed" && from !== undefined) {
    throw new SettingsError("--certificate-mode managed needs a cluster: a folder has no Secret to keep");
  }
  return settings;
}

/** What `auto` comes to. */
export function certificateModeOf(
  settings: Pick<Settings, "certificateMode" | "certificateFile" | "keyFile" | "from">,
): Exclude<Settings["certificateMode"], "auto"> {
  const { certificateMode, certificateFile, keyFile, from } = settings;
  if (certificateMode !== "auto") return certificateMode;
  if (certificateFile !== undefined || keyFile !== undefined) return "files";
  return from === undefined ? "managed" : "self-signed";
}

/** Where the API server is for a Pod, as the kubelet tells each one; undefined outside a cluster. */
export function clusterEndpoint(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): { readonly host: string; readonly port: string } | undefined {
  const host = environment["KUBERNETES_SERVICE_HOST"];
  const port = environment["KUBERNETES_SERVICE_PORT"];
  return host === undefined || port === undefined ? undefined : { host, port };
}
