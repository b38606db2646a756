// The people's port: the page and its API, put together from what the engine has.

import { readFile } from "node:fs/promises";
import { z } from "zod";
import { builtInKinds } from "../domain/pod-spec.ts";
import type { Registry } from "../domain/policy.ts";
import { createPastedReader } from "../files/pasted-manifests.ts";
import { openApiDocument } from "../http/openapi.ts";
import { createPageFiles } from "../http/page-files.ts";
import { createPeopleApi, route, type Route } from "../http/people-api.ts";
import { namespaceRoutes } from "../http/people-routes.ts";
import { startPeopleServer, type PeopleServer } from "../http/people-server.ts";
import { platformRoutes, type RegistryHealth } from "../http/platform-routes.ts";
import { createSharedReads, withSharedReads } from "../http/shared-reads.ts";
import type { Log } from "../log.ts";
import type { Metrics } from "../metrics.ts";
import type { Settings } from "../settings.ts";
import { openPeopleCertificate, type OpenCertificate, type Validities } from "./certificate.ts";
import type { Engine } from "./engine.ts";
import { version } from "./version.ts";

export interface People {
  /** Null where the port is off. */
  readonly port: number | null;
  /** Of a certificate that is this port's own. */
  validities(): Validities;
  stop(): Promise<void>;
}

export interface PeopleNeeds {
  readonly engine: Engine;
  readonly certificate: OpenCertificate;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** An administrator who looks again within a minute sees the same. */
const healthFreshMs = 60_000;
/** Several may wait for one answer, so it does not end with one of them; each waits no longer than a page may take. */
const healthTimeoutMs = 15_000;

export async function startPeople(settings: Settings, needs: PeopleNeeds): Promise<People> {
  const { peoplePort, peopleProxyCa, bindAddress } = settings;
  if (peoplePort === "off") return { port: null, validities: () => ({}), stop: () => Promise.resolve() };
  const { engine, log, metrics } = needs;
  const certificate = await openPeopleCertificate(settings, log, needs.certificate);
  const pasted = createPastedReader();
  const api = createPeopleApi(
    {
      access: engine.peopleAccess,
      now: () => performance.now(),
      observe: (route, status, seconds) =>
        metrics.peopleRequestDuration.observe({ route, status: String(status) }, seconds),
    },
    routesOf(settings, engine, (text) => pasted.read(text), log),
  );
  let server: PeopleServer;
  try {
    server = await startPeopleServer(
      {
        api,
        page: createPageFiles(),
        certificate: certificate.current(),
        proxyCa: peopleProxyCa && (await readFile(peopleProxyCa, "utf8")),
        log,
      },
      { port: peoplePort, ...(bindAddress === undefined ? {} : { host: bindAddress }) },
    );
  } catch (err) {
    await certificate.stop();
    throw err;
  }
  certificate.onChange((changed) => server.replaceCertificate(changed));
  return {
    port: server.port,
    validities: () => certificate.validities(),
    async stop() {
      await server.stop();
      await Promise.all([certificate.stop(), pasted.stop()]);
    },
  };
}

function routesOf(
  settings: Settings,
  engine: Engine,
  readManifests: ReturnType<typeof createPastedReader>["read"],
  log: Log,
): readonly Route[] {
  const snapshot = (): ReturnType<typeof engine.state.snapshot> => engine.state.snapshot();
  const reads = createSharedReads({ now: Date.now });
  const answering = [
    ...namespaceRoutes({
      ...{ snapshot, readManifests, log, version },
      access: engine.peopleAccess,
      lookUps: engine.lookUps,
      contents: withSharedReads(engine.contents, reads),
      kinds: new Map([...builtInKinds, ...settings.podTemplates]),
    }),
    ...platformRoutes({ snapshot, registryHealth: createHealth(engine) }),
  ];
  return [...answering, documentRoute(answering)];
}

function documentRoute(routes: readonly Route[]): Route {
  const own = {
    method: "get",
    path: "/openapi.json",
    summary: "this description",
    asks: "anybody",
    query: z.strictObject({}),
    answer: z.looseObject({}),
  } as const;
  let document: ReturnType<typeof openApiDocument> | undefined;
  const described: Route = route(own, () => (document ??= openApiDocument([...routes, described], version)));
  return described;
}

/** What this replica has checked by itself, as the leader does; else it asks, at most once a minute. */
function createHealth(engine: Engine) {
  const asked = new Map<string, { readonly at: number; readonly health: Promise<RegistryHealth> }>();
  return async (registry: Registry): Promise<RegistryHealth> => {
    const report = engine.registryReports().get(registry.name);
    if (report !== undefined) return report;
    const known = asked.get(registry.name);
    const at = Date.now();
    if (known !== undefined && Math.abs(at - known.at) < healthFreshMs) return known.health;
    for (const name of asked.keys())
      if (!engine.state.snapshot().policy.registries.has(name)) asked.delete(name);
    const health = engine.checkRegistry(registry, AbortSignal.timeout(healthTimeoutMs)).then(
      (findings) => ({ ...findings, checkedAt: at }),
      (err: unknown) => ({
        ...{ up: false, version: null, advice: [], checkedAt: at },
        problems: [err instanceof Error ? err.message : String(err)],
      }),
    );
    asked.set(registry.name, { at, health });
    return health;
  };
}
