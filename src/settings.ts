// Environment and flags → one frozen value. The only reader of the environment. Every setting is a variable
// `BERTH_…` with a flag of the same name; a flag wins over its variable.

import { z } from "zod";
import { parseCustomKinds } from "./domain/pod-spec.ts";

const durationUnitsMs = { s: 1_000, m: 60_000, h: 3_600_000 } as const;
/** Timers of Node go wrong above 2^31 ms; nothing here needs a tenth of that. */
const maxDurationMs = 48 * 3_600_000;

/** `15s`, `5m`, `1h` → milliseconds. */
const duration = z.string().transform((text, context) => {
  const match = /^([0-9]{1,6})([smh])$/.exec(text);
  const unit = match?.[2] as keyof typeof durationUnitsMs | undefined;
  const ms =
    match?.[1] !== undefined && unit !== undefined ? Number(match[1]) * durationUnitsMs[unit] : Number.NaN;
  if (ms <= maxDurationMs) return ms;
  context.addIssue("expected a duration such as 15s, 5m or 1h, at most 48h");
  return z.NEVER;
});
const interval = duration.refine((ms) => ms >= 1_000, "expected a duration of at least 1s");
const port = z
  .string()
  .regex(/^[0-9]{1,5}$/, "expected a port from 0 to 65535, 0 for any free one")
  .transform(Number)
  .refine((number) => number <= 65_535, "expected a port from 0 to 65535, 0 for any free one");
const dnsLabel = z
  .string()
  .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, "expected the name of a namespace");
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
  operationsPort: setting("PORT", port, "8080", "HTTP: /livez, /readyz, /metrics"),
  bindAddress: optional("ADDRESS", text, "address to listen on; by default all, IPv6 and IPv4"),
  certificateMode: setting(
    "MODE",
    oneOf("self-signed", "files"),
    "self-signed",
    "where the webhook's certificate comes from: made at start (self-signed), or read from files and read again when they change (files)",
  ),
  certificateFile: optional("FILE", text, "PEM: certificate and chain, with --certificate-mode files"),
  keyFile: optional("FILE", text, "PEM: private key, with --certificate-mode files"),
  webhookClientCa: optional("FILE", text, "PEM: answer only clients with a certificate of this CA"),
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
  const { from, kubeconfig, certificateMode, certificateFile, keyFile } = settings;
  if (from !== undefined && kubeconfig !== undefined) {
    throw new SettingsError(
      "--from and --kubeconfig exclude each other: a folder takes the place of a cluster",
    );
  }
  if (certificateMode === "files" && (certificateFile === undefined || keyFile === undefined)) {
    throw new SettingsError("--certificate-mode files needs --certificate-file and --key-file");
  }
  return settings;
}

/** Where the API server is for a Pod, as the kubelet tells each one; undefined outside a cluster. */
export function clusterEndpoint(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): { readonly host: string; readonly port: string } | undefined {
  const host = environment["KUBERNETES_SERVICE_HOST"];
  const port = environment["KUBERNETES_SERVICE_PORT"];
  return host === undefined || port === undefined ? undefined : { host, port };
}
