// The client for a fake API server, and a watch that loses no time.

import { createKubeClient, type KubeClient } from "../../src/kubernetes/kube-client.ts";

export function kubeClientTo(url: string): KubeClient {
  const access = { server: url, headers: {}, tls: {} };
  return createKubeClient({
    current: () => Promise.resolve(access),
    renewed: () => Promise.resolve(access),
  });
}

export const quickWatch = { steadyMs: 20, backoffMs: 4, maxBackoffMs: 20, coalesceMs: 1 };
