// The review that is sent: a Pod as a ReplicaSet makes it, recorded from an API server, brought to about 6 kB.

import { readFileSync } from "node:fs";
import { join } from "node:path";

interface PodReview {
  request: {
    namespace: string;
    object: {
      metadata: { annotations?: Record<string, string>; namespace: string };
      spec: { containers: { image: string }[]; imagePullSecrets?: unknown };
    };
  };
}

const bytes = 6_000;

export function podReview(namespace: string, image: string, pullSecret: boolean): string {
  const file = join(
    import.meta.dirname,
    "../test/fixtures/admission-reviews/pod-create-by-a-replicaset.json",
  );
  const review = JSON.parse(readFileSync(file, "utf8")) as PodReview;
  const { request } = review;
  request.namespace = namespace;
  request.object.metadata.namespace = namespace;
  for (const container of request.object.spec.containers) container.image = image;
  if (pullSecret) request.object.spec.imagePullSecrets = [{ name: "berth-pull" }];
  else delete request.object.spec.imagePullSecrets;
  request.object.metadata.annotations = { filler: "" };
  const missing = bytes - JSON.stringify(review).length;
  request.object.metadata.annotations["filler"] = "x".repeat(Math.max(0, missing));
  return JSON.stringify(review);
}
