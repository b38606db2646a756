// What the API server has to be told for the gate to stand: which calls go to Berth, and what becomes of them when it
// does not answer. The suites install this; whatever else installs Berth can be held against it.

export interface WebhookRule {
  readonly apiGroups: readonly string[];
  readonly apiVersions: readonly string[];
  readonly resources: readonly string[];
  readonly operations: readonly ("CREATE" | "UPDATE")[];
  readonly scope: "Namespaced";
}

/** Parts of the text that a refused person reads, and prefixes of the audit annotations. */
export const webhookNames = { mutate: "mutate.berth.io", validate: "validate.berth.io" } as const;

/** Pull secrets go into Pods at their creation, and nowhere else. */
export const mutatingRules: readonly WebhookRule[] = [rule("", ["pods"], ["CREATE"])];

/** `pods` does not cover its subresource, through which a running Pod gets ephemeral containers. */
export const validatingRules: readonly WebhookRule[] = [
  rule("", ["pods"], ["CREATE", "UPDATE"]),
  rule("", ["pods/ephemeralcontainers"], ["UPDATE"]),
  rule("apps", ["deployments", "statefulsets", "daemonsets", "replicasets"], ["CREATE", "UPDATE"]),
  rule("batch", ["jobs", "cronjobs"], ["CREATE", "UPDATE"]),
  rule("", ["replicationcontrollers", "podtemplates"], ["CREATE", "UPDATE"]),
];

/** Without Berth its own Pods and those of the cluster itself must be able to start. */
export const namespaceSelector = {
  matchExpressions: [
    { key: "kubernetes.io/metadata.name", operator: "NotIn", values: ["kube-system", "berth-system"] },
  ],
};

/** Both fail closed. */
const inCommon = {
  admissionReviewVersions: ["v1"],
  failurePolicy: "Fail",
  matchPolicy: "Equivalent",
  namespaceSelector,
  timeoutSeconds: 10,
};

export interface WebhookAddress {
  /** Origin, without a slash at the end. */
  readonly url: string;
  readonly caPem: string;
}

export function webhookConfigurations({ url, caPem }: WebhookAddress) {
  const caBundle = Buffer.from(caPem).toString("base64");
  return [
    {
      kind: "MutatingWebhookConfiguration",
      metadata: { name: "berth" },
      webhooks: [
        {
          ...inCommon,
          name: webhookNames.mutate,
          clientConfig: { url: `${url}/mutate`, caBundle },
          rules: mutatingRules,
          sideEffects: "NoneOnDryRun",
          reinvocationPolicy: "IfNeeded",
        },
      ],
    },
    {
      kind: "ValidatingWebhookConfiguration",
      metadata: { name: "berth" },
      webhooks: [
        {
          ...inCommon,
          name: webhookNames.validate,
          clientConfig: { url: `${url}/validate`, caBundle },
          rules: validatingRules,
          sideEffects: "None",
        },
      ],
    },
  ] as const;
}

function rule(group: string, resources: string[], operations: WebhookRule["operations"]): WebhookRule {
  return { apiGroups: [group], apiVersions: ["v1"], resources, operations, scope: "Namespaced" };
}
