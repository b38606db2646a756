// What the API server trusts when it calls Berth: the `caBundle` of each webhook that points at us, in the two webhook
// configurations. Whoever installed Berth made those, and everything else in them is theirs: no webhook of another
// service is touched, and none is made or removed.

import { isObject } from "../domain/json.ts";
import type { Log } from "../log.ts";
import { type KubeClient, unexpectedAnswer } from "./kube-client.ts";
import { isKubeObject, type KubeObject, versionOf } from "./kube-object.ts";
import { startWatch, type Watch, type WatchTiming } from "./watch.ts";

export interface WebhookConfiguration {
  /** For people, such as `MutatingWebhookConfiguration berth`. */
  readonly title: string;
  /** PEM, one for each webhook in it that points at us; empty where it has no `caBundle`. */
  readonly bundles: readonly string[];
  /** As it was read, for the write that is to follow on just that state. */
  readonly object: KubeObject;
}

export interface WebhookConfigurations {
  /** Those that there are, as the API server has them at this moment; at most one of a kind. */
  read(signal: AbortSignal): Promise<readonly WebhookConfiguration[]>;
  /** Gives all our webhooks in it this bundle, if it still is as it was read. */
  write(
    configuration: WebhookConfiguration,
    bundle: string,
    signal: AbortSignal,
  ): Promise<"written" | "conflict">;
  /** Calls back when one of them changed; by resource. */
  watch(onChange: () => void): ReadonlyMap<string, Watch>;
}

export interface WebhookConfigurationsNeeds {
  readonly client: KubeClient;
  /** Of both configurations. */
  readonly name: string;
  readonly service: { readonly namespace: string; readonly name: string };
  /** Where Berth runs outside the cluster: what the API server calls instead of the service. */
  readonly url: string | undefined;
  readonly onRestart?: (resource: string) => void;
  readonly log: Log;
  readonly now: () => number;
  readonly random: () => number;
  readonly timing?: Partial<WatchTiming>;
}

const group = "/apis/admissionregistration.k8s.io/v1";
const kinds = {
  mutatingwebhookconfigurations: "MutatingWebhookConfiguration",
  validatingwebhookconfigurations: "ValidatingWebhookConfiguration",
} as const;
const resources = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] as const;

export function createWebhookConfigurations(needs: WebhookConfigurationsNeeds): WebhookConfigurations {
  const { client, name, onRestart } = needs;
  const pathOf = (resource: string) => `${group}/${resource}/${encodeURIComponent(name)}`;

  async function readOne(
    resource: keyof typeof kinds,
    signal: AbortSignal,
  ): Promise<WebhookConfiguration | undefined> {
    const title = `${kinds[resource]} ${name}`;
    const answer = await client.request("GET", pathOf(resource), { signal });
    if (answer.status === 404) return undefined;
    if (answer.status !== 200 || !isKubeObject(answer.body)) throw unexpectedAnswer(`read ${title}`, answer);
    const ours = webhooksOf(answer.body).filter((webhook) => isOurs(webhook, needs));
    return { title, object: answer.body, bundles: ours.map(bundleOf) };
  }

  return {
    async read(signal) {
      const read = await Promise.all(resources.map((resource) => readOne(resource, signal)));
      return read.filter((one) => one !== undefined);
    },
    async write({ title, object }, bundle, signal) {
      const resource = resources.find((one) => title.startsWith(kinds[one])) ?? resources[0];
      const caBundle = Buffer.from(bundle).toString("base64");
      const webhooks = webhooksOf(object).map((webhook) =>
        isOurs(webhook, needs) ? { ...webhook, clientConfig: { ...clientOf(webhook), caBundle } } : webhook,
      );
      // The whole object with its version: a patch of the one field would have to name webhooks by their place in the
      // list, which somebody may change at the same moment.
      const body = { ...object, webhooks };
      const answer = await client.request("PUT", `${pathOf(resource)}?fieldManager=berth`, { body, signal });
      if (answer.status === 409 || answer.status === 404) return "conflict";
      if (answer.status !== 200) throw unexpectedAnswer(`update ${title}`, answer);
      return "written";
    },
    watch: (onChange) =>
      new Map(
        resources.map((resource) => [
          resource,
          startWatch({
            ...needs,
            resource,
            path: `${group}/${resource}`,
            // The right to list and watch is for this one name, which the API server lets the selector say.
            fieldSelector: `metadata.name=${name}`,
            metadataOnly: true,
            pick: versionOf,
            onChange,
            onRestart: () => onRestart?.(resource),
          }),
        ]),
      ),
  };
}

type Webhook = Readonly<Record<string, unknown>>;

function webhooksOf({ webhooks }: KubeObject): readonly Webhook[] {
  return Array.isArray(webhooks) ? webhooks.filter(isObject) : [];
}

function clientOf(webhook: Webhook): Webhook {
  return isObject(webhook["clientConfig"]) ? webhook["clientConfig"] : {};
}

function isOurs(webhook: Webhook, { service, url }: WebhookConfigurationsNeeds): boolean {
  const client = clientOf(webhook);
  if (isObject(client["service"])) {
    return client["service"]["name"] === service.name && client["service"]["namespace"] === service.namespace;
  }
  if (url === undefined || typeof client["url"] !== "string") return false;
  return URL.parse(client["url"])?.origin === new URL(url).origin;
}

function bundleOf(webhook: Webhook): string {
  const { caBundle } = clientOf(webhook);
  return typeof caBundle === "string" ? Buffer.from(caBundle, "base64").toString("utf8") : "";
}
