// A cluster in memory as the certificate's reconciler sees it: one Secret, two webhook configurations, replicas with
// clocks of their own. Certificates are short texts. Whenever Berth writes or serves something, it is checked that every
// certificate in service is one that the API server can verify.

import {
  createCertificateRounds,
  timingOf,
  type Authority,
  type CertificateRounds,
  type ServedLeaf,
} from "../../src/reconcilers/certificate-reconciler.ts";
import { backdatingMs, type CertificateFacts } from "../../src/domain/renewal.ts";
import { createRecordingLog, type RecordingLog } from "../fakes/recording-log.ts";

const { signal } = new AbortController();

export interface Texts {
  readonly bundle: string;
  readonly key: string;
}
export interface StoredTexts extends Texts {
  readonly version: number;
}
export interface StoredConfiguration {
  readonly title: string;
  readonly bundles: readonly string[];
  readonly version: number;
}

export interface Replica {
  readonly rounds: CertificateRounds;
  readonly log: RecordingLog;
  /** Every leaf that it has served, the last one in service. */
  readonly served: ServedLeaf[];
  /** To the true time. */
  offsetMs: number;
  /** Nobody reaches it, and it reaches nobody. */
  asleep: boolean;
  /** One round, which must succeed; resolves to when it wants to look again. */
  look(): Promise<number>;
}

export interface World {
  /** The true time. */
  at: number;
  secret: StoredTexts | undefined;
  readonly configurations: Map<string, StoredConfiguration>;
  /** Writes, in order. */
  readonly writes: string[];
  /** Before each answer: where the order of concurrent requests is decided. */
  turn: () => Promise<unknown>;
  /** The next requests of that kind fail. */
  readonly failures: string[];
  replica(more?: { readonly keepsBundle?: boolean; readonly names?: readonly string[] }): Replica;
  putSecret(texts: Texts | undefined): void;
  /** As somebody else would; one bundle for each webhook that points at Berth. */
  putConfiguration(title: string, ...bundles: readonly string[]): void;
  removeConfiguration(title: string): void;
  /** In every webhook of both configurations, in words such as `ca-1`. */
  bundleWords(): readonly string[];
  /** What of all that is in service cannot be verified, in words. */
  unverified(): readonly string[];
  /** Lets time pass in steps, with a round of every replica that is awake after each. */
  pass(forMs: number, stepMs?: number): Promise<void>;
}

export interface Lifetimes {
  readonly caLifetimeMs: number;
  readonly leafLifetimeMs: number;
}

export function createWorld(lifetimes: Lifetimes): World {
  const replicas: Replica[] = [];
  let made = 0;
  let version = 0;
  /** Of each configuration, since when it has each CA in all its webhooks. */
  const knownSince = new Map<string, ReadonlyMap<string, number>>();
  const world: World = {
    at: Date.UTC(2030, 0, 1),
    secret: undefined,
    configurations: new Map(),
    writes: [],
    turn: () => Promise.resolve(),
    failures: [],
    replica,
    putSecret(texts) {
      version += 1;
      world.secret = texts && { ...texts, version };
    },
    putConfiguration(title, ...bundles) {
      version += 1;
      const held = bundles.map((bundle) => readBundle(bundle).certificates.map(({ id }) => id));
      const ids = (held[0] ?? []).filter((id) => held.every((each) => each.includes(id)));
      const before = knownSince.get(title);
      if (bundles.length === 0) knownSince.delete(title);
      else knownSince.set(title, new Map(ids.map((id) => [id, before?.get(id) ?? world.at])));
      world.configurations.set(title, { title, bundles, version });
    },
    removeConfiguration(title) {
      world.configurations.delete(title);
      knownSince.delete(title);
    },
    bundleWords: () =>
      [...world.configurations.values()].flatMap(({ bundles }) => bundles.map((bundle) => wordsOf(bundle))),
    unverified: () => unverifiedBy([...world.configurations.values()].flatMap(({ bundles }) => bundles)),
    async pass(forMs, stepMs = 1_000) {
      for (let left = forMs; left > 0; left -= stepMs) {
        world.at += Math.min(stepMs, left);
        for (const replica of replicas) if (!replica.asleep) await replica.look();
      }
    },
  };
  function unverifiedBy(bundles: readonly string[]): readonly string[] {
    return replicas.flatMap(({ served, asleep }, at) => {
      const leaf = served.at(-1);
      if (leaf === undefined || asleep || leaf.facts.validTo <= world.at) return [];
      const [ca] = readBundle(leaf.ca).certificates;
      const isTrusted = bundles.every((one) => readBundle(one).certificates.some(({ id }) => id === ca?.id));
      return isTrusted ? [] : [`${leaf.facts.id} of ${ca?.id ?? "none"} at replica ${at}`];
    });
  }
  for (const kind of ["Mutating", "Validating"])
    world.putConfiguration(`${kind}WebhookConfiguration berth`, "");

  /** What Berth writes may take nothing from anybody; what somebody else wrote elsewhere is not its doing. */
  function assertKept(title: string): void {
    const { bundles = [] } = world.configurations.get(title) ?? {};
    for (const fault of unverifiedBy(bundles))
      throw new Error(`after writing ${title} nobody can verify ${fault}`);
  }

  /** An API server that learns of a change within two seconds must know the CA by now. */
  function assertSettled({ facts, ca }: ServedLeaf): void {
    const id = wordsOf(ca);
    for (const [title, since] of knownSince) {
      const forMs = world.at - (since.get(id) ?? Infinity);
      if (!(forMs >= timingOf(lifetimes.caLifetimeMs, lifetimes.leafLifetimeMs).settleMs)) {
        throw new Error(`${facts.id} is served ${forMs} ms after ${title} had ${id}`);
      }
    }
  }

  async function answer(kind: string): Promise<void> {
    await world.turn();
    const at = world.failures.indexOf(kind);
    if (at === -1) return;
    world.failures.splice(at, 1);
    throw new Error(`${kind} failed as the test ordered`);
  }

  const secret = {
    async read() {
      await answer("read the Secret");
      return world.secret;
    },
    async write(texts: Texts, read: StoredTexts | undefined): Promise<"written" | "conflict"> {
      await answer("write the Secret");
      if (world.secret?.version !== read?.version) return "conflict";
      world.putSecret(texts);
      world.writes.push(`Secret: ${wordsOf(texts.bundle)}`);
      return "written";
    },
  };
  const configurations = {
    async read() {
      await answer("read the configurations");
      return [...world.configurations.values()];
    },
    async write({ title, bundles, version: read }: StoredConfiguration, bundle: string) {
      await answer("write a configuration");
      if (world.configurations.get(title)?.version !== read) return "conflict" as const;
      world.putConfiguration(title, ...bundles.map(() => bundle));
      world.writes.push(`${title.slice(0, 1)}: ${wordsOf(bundle)}`);
      assertKept(title);
      return "written" as const;
    },
  };

  function newText(
    kind: "ca" | "leaf",
    lifetimeMs: number,
    now: number,
    validTo: number,
    names: readonly string[],
  ) {
    made += 1;
    const id = `${kind}-${made}`;
    const validFrom = now - backdatingMs(lifetimeMs);
    return { certificate: `<${[id, validFrom, validTo, names.join("+")].join(" ")}>`, key: `key of ${id}` };
  }
  const authority: Authority = {
    readBundle,
    keyFits: (certificate, key) => key === `key of ${wordsOf(certificate)}`,
    async newCa(lifetimeMs, now) {
      await world.turn();
      return newText("ca", lifetimeMs, now, now + lifetimeMs, []);
    },
    async newLeaf(ca, names, lifetimeMs, now) {
      await world.turn();
      const [signer] = readBundle(ca.certificate).certificates;
      return newText("leaf", lifetimeMs, now, Math.min(now + lifetimeMs, signer?.validTo ?? 0), names);
    },
  };

  function replica(more: Parameters<World["replica"]>[0] = {}): Replica {
    const { keepsBundle = true, names = ["berth.berth-system.svc"] } = more;
    const log = createRecordingLog();
    const served: ServedLeaf[] = [];
    const own: Replica = {
      log,
      served,
      offsetMs: 0,
      asleep: false,
      look: () => own.rounds.round(signal),
      rounds: createCertificateRounds({
        ...{ secret, configurations, authority, names, ...lifetimes, keepsBundle, log },
        serve(leaf) {
          served.push(leaf);
          assertSettled(leaf);
        },
        now: () => world.at + own.offsetMs,
      }),
    };
    replicas.push(own);
    return own;
  }
  return world;
}

/** `<ca-1 from to names>` is a certificate; everything else is none. */
function readBundle(pem: string): ReturnType<Authority["readBundle"]> {
  const block = /<(\S+) (\S+) (\S+) (\S*)>/g;
  const certificates = [...pem.matchAll(block)].map(([text, id = "", from, to, names = ""]) => {
    const facts: CertificateFacts = {
      ...{ id, validFrom: Number(from), validTo: Number(to), isCa: id.startsWith("ca") },
      names: names.split("+"),
    };
    return { ...facts, pem: text };
  });
  return { certificates, isSound: pem.replace(block, "").trim() === "" };
}

/** `ca-2 ca-1` */
export function wordsOf(bundle: string): string {
  const { certificates, isSound } = readBundle(bundle);
  return [...certificates.map(({ id }) => id), ...(isSound ? [] : ["junk"])].join(" ");
}
