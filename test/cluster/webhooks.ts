// What the API server has to be told for the gate to stand: which calls go to Berth, and what becomes of them when it
// does not answer. The suites install this; whatever else installs Berth can be held against it.

export interface WebhookRule {
  readonly apiGroups: readonly string[];
  readonly apiVersions: readonly string[];
  readonly resources: readonly string[];
  readonly operations: readonly ("CREATE" | "UPDATE")[];
  readonly scope: "Namespaced" | "Cluster";
}

/** Parts of the text that a refused person reads, and prefixes of the audit annotations. */
export const webhookNames = {
  mutate: "mutate.berth.io",
  validate: "validate.berth.io",
  namespaces: "namespaces.berth.io",
  policy: "policy.berth.io",
} as const;

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

/** Metadata changes through the subresources too (CVE-2026-30963, CVE-2026-55636 of a peer). */
export const namespaceRules: readonly WebhookRule[] = [
  {
    ...rule("", ["namespaces", "namespaces/status", "namespaces/finalize"], ["CREATE", "UPDATE"]),
    scope: "Cluster",
  },
];

/**
 * Only a change of the workspace, or a new namespace with an exempt name, is asked about: so that without Berth
 * namespaces are made, finalized and deleted as ever. Old and new object are null where there is none.
 */
export function namespaceCondition(workspaceLabel: string, exemptNames: readonly string[]) {
  const labelOf = (object: string): string =>
    `(${object} != null && has(${object}.metadata.labels) && '${workspaceLabel}' in ${object}.metadata.labels ? ` +
    `${object}.metadata.labels['${workspaceLabel}'] : '')`;
  const names = exemptNames.map((name) => `'${name}'`).join(", ");
  return {
    name: "workspace-changes",
    expression:
      `${labelOf("object")} != ${labelOf("oldObject")} || ` +
      `(oldObject == null && has(object.metadata.name) && object.metadata.name in [${names}])`,
  };
}

export const policyRules: readonly WebhookRule[] = [rule("", ["configmaps"], ["CREATE", "UPDATE"])];

/** Those that keep the gate itself; see {@link webhookConfigurations}. */
export function guardWebhooks(clientConfig: object, workspaceLabel: string, exemptNames: readonly string[]) {
  return [
    {
      ...inCommon,
      name: webhookNames.namespaces,
      clientConfig,
      // Whatever the namespace: the names that are exempt are guarded too.
      namespaceSelector: {},
      rules: namespaceRules,
      matchConditions: [namespaceCondition(workspaceLabel, exemptNames)],
      sideEffects: "None",
    },
    {
      ...inCommon,
      name: webhookNames.policy,
      clientConfig,
      rules: policyRules,
      namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "berth-system" } },
      objectSelector: { matchLabels: { "berth.io/policy": "true" } },
      // What gets past it leaves the last good content in force, and it must not stop Berth's own start.
      failurePolicy: "Ignore",
      sideEffects: "None",
    },
  ];
}

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

export interface Guarding {
  readonly workspaceLabel: string;
  readonly exemptNames: readonly string[];
}

export function webhookConfigurations({ url, caPem }: WebhookAddress, guarding?: Guarding) {
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
        ...(guarding === undefined
          ? []
          : guardWebhooks(
              { url: `${url}/validate`, caBundle },
              guarding.workspaceLabel,
              guarding.exemptNames,
            )),
      ],
    },
  ] as const;
}

function rule(group: string, resources: string[], operations: WebhookRule["operations"]): WebhookRule {
  return { apiGroups: [group], apiVersions: ["v1"], resources, operations, scope: "Namespaced" };
}
