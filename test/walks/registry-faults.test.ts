import { expect } from "chai";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Fault } from "../../src/demo/stand-in-faults.ts";
import {
  adminPassword,
  expectNoSecrets,
  image,
  startClusterPlatform,
  type ClusterPlatform,
  type Replica,
} from "./cluster-platform.ts";

const second = 1_000;
const minute = 60 * second;

/** What is right as long as nobody changes anything: public codes, as a cluster's audit shows them. */
const rightVerdicts: Readonly<Record<string, string>> = {
  "sandbox library": "public-space",
  "lab platform": "public-space",
  "shop team-a": "bound-space",
  "lab team-a": "space-not-bound",
  "lab models": "bound-space",
  "sandbox models": "namespace-without-workspace",
  "shop ghost": "space-not-bound",
};

async function verdicts(replica: Replica): Promise<Record<string, string | undefined>> {
  const all: Record<string, string | undefined> = {};
  for (const about of Object.keys(rightVerdicts)) {
    const [namespace = "", space = ""] = about.split(" ");
    all[about] = await replica.reason(namespace, image(space));
  }
  return all;
}

/** All that Berth has in Harbor and in the cluster, as text. */
function credentialsOf(platform: ClusterPlatform): string {
  const names = ["shop", "shop-test", "lab", "sandbox"];
  return JSON.stringify([platform.robots(), names.map((name) => platform.held(name))]);
}

describe("a Harbor in trouble", () => {
  let platform: ClusterPlatform;
  let replica: Replica;
  let credentials: string;
  afterEach(async () => {
    try {
      expectNoSecrets(platform);
    } finally {
      await platform.close();
    }
  });

  async function start(flags: Parameters<ClusterPlatform["startReplica"]>[0] = {}): Promise<void> {
    platform = await startClusterPlatform();
    replica = await platform.startReplica(flags);
    await platform.time.turn(30 * second);
    expect(await verdicts(replica)).to.deep.equal(rightVerdicts);
    for (const [namespace, space] of [
      ["shop", "team-a"],
      ["shop-test", "team-a"],
      ["lab", "models"],
    ] as const) {
      expect(platform.pulls(namespace, space), namespace).to.equal(true);
    }
    expect(platform.held("sandbox")).to.equal(undefined);
    credentials = credentialsOf(platform);
  }

  const errors = (): readonly string[] =>
    replica
      .logged()
      .filter(({ level }) => level === "error")
      .map(({ msg }) => msg);
  const isUp = () => replica.metric('berth_registry_up{registry="managed"}');
  const age = () => replica.metric('berth_catalogue_age_seconds{registry="managed"}');

  /** As it was before, with a catalogue that is read on its beat. */
  async function expectHealed(): Promise<void> {
    platform.harbor.faults.clear();
    platform.harbor.faults.anonymous = false;
    await platform.time.turn(2 * minute);
    expect(await isUp()).to.equal(1);
    expect(await age()).to.be.below(20);
    expect(await verdicts(replica)).to.deep.equal(rightVerdicts);
    expect(credentialsOf(platform)).to.equal(credentials);
    expect((await replica.details()).join("\n")).to.match(
      /registry managed \(harbor\): up; catalogue of \d+ s ago/,
    );
  }

  describe("that is down for more than an hour", () => {
    const rows = [
      { stale: "serve", past: rightVerdicts },
      {
        stale: "refuse-unbound",
        past: {
          ...rightVerdicts,
          "sandbox library": "catalogue-stale",
          "lab platform": "catalogue-stale",
          "lab team-a": "catalogue-stale",
          "sandbox models": "catalogue-stale",
          "shop ghost": "catalogue-stale",
        },
      },
    ];
    for (const { stale, past } of rows) {
      it(`is decided for by its last catalogue, past its maximum age as --stale ${stale} says, and left in peace`, async () => {
        await start({ stale });
        platform.harbor.faults.always({ kind: "reset" });
        const requests = platform.harbor.requests.length;
        const writes = writesOf(platform);
        for (let tens = 1; tens <= 5; tens += 1) {
          await platform.time.turn(10 * minute);
          expect(await verdicts(replica), `after ${String(tens)}0 minutes`).to.deep.equal(rightVerdicts);
        }
        await platform.time.turn(12 * minute);
        expect(await verdicts(replica)).to.deep.equal(past);
        expect(await isUp()).to.equal(0);
        expect(await age()).to.be.greaterThan(3_600);
        // Each minute one listing, one check and two looks at the robots, with three tries each: no more than usual.
        expect(platform.harbor.requests.length - requests).to.be.below(15 * 62);
        expect(writesOf(platform) - writes, "writes to Secrets and records").to.equal(0);
        expect(credentialsOf(platform)).to.equal(credentials);
        // A night of it is no more to read than a minute.
        expect(errors()).to.have.lengthOf(2);
        const { text, status } = await readiness();
        expect([status, text]).to.deep.equal([200, "ok\n"]);
        await expectHealed();
      }).timeout(60_000);
    }

    async function readiness(): Promise<{ status: number; text: string }> {
      const answer = await fetch(`http://127.0.0.1:${String(replica.serving.operationsPort)}/readyz`);
      return { status: answer.status, text: await answer.text() };
    }

    it("keeps no replica from starting: it decides by what is published, and by whose binding it was", async () => {
      await start();
      await replica.stop();
      platform.harbor.projects.remove("team-a");
      platform.harbor.projects.create({ name: "team-a", visibility: "private" });
      platform.harbor.faults.always({ kind: "reset" });
      replica = await platform.startReplica();
      await platform.time.turn(5 * second);
      await platform.time.during(replica.serving.ready);
      expect(await verdicts(replica)).to.deep.equal(rightVerdicts);
      await platform.time.turn(10 * minute);
      expect(await verdicts(replica)).to.deep.equal(rightVerdicts);
      expect(platform.robots().map(({ id }) => id)).to.deep.equal([1, 2]);

      platform.harbor.faults.clear();
      await platform.time.turn(2 * minute);
      expect(await replica.reason("shop", image("team-a"))).to.equal("space-replaced");
      await platform.time.turn(6 * minute);
      expect(platform.pulls("shop", "team-a"), "what is another's by now").to.equal(false);
    }).timeout(60_000);
  });

  /** Of five minutes of it: nothing that Berth knows becomes wrong, and nothing that it made is touched. */
  const faults: readonly [title: string, fault: Fault, told: RegExp][] = [
    ["answers 500", { kind: "status", status: 500 }, /500, after 3 tries/],
    ["answers 503", { kind: "status", status: 503 }, /503/],
    ["answers 429", { kind: "status", status: 429 }, /429/],
    ["never answers", { kind: "silence" }, /no complete answer within 30 s|operation was aborted|timeout/],
    ["breaks connections", { kind: "reset" }, /socket hang up|ECONNRESET/],
    ["breaks off in the middle", { kind: "cut" }, /the answer broke off/],
    ["sends half a body as the whole", { kind: "half" }, /JSON of \d+ characters is broken/],
    [
      "is a proxy's page with 200",
      { kind: "html", status: 200 },
      /200 with text\/html instead of JSON: is this a Harbor/,
    ],
    ["is a proxy's page with 502", { kind: "html", status: 502 }, /502/],
    ["says another number of projects than it shows", { kind: "total", total: 3 }, /do not add up/],
  ];
  for (const [title, fault, told] of faults) {
    it(`that ${title} changes no verdict and no credential, and is told of once`, async () => {
      await start();
      platform.harbor.faults.always(fault);
      await platform.time.turn(5 * minute);
      expect(await verdicts(replica)).to.deep.equal(rightVerdicts);
      expect(credentialsOf(platform)).to.equal(credentials);
      expect(JSON.stringify(replica.logged().filter(({ level }) => level === "error"))).to.match(told);
      expect(errors().length).to.be.within(1, 2);
      await expectHealed();
    }).timeout(60_000);
  }

  it("that redirects to another host gets no login there, nor any request", async () => {
    const received: string[] = [];
    const elsewhere = await listening((request) => received.push(request.headers.authorization ?? ""));
    await start();
    const { port } = elsewhere.address() as AddressInfo;
    platform.harbor.faults.always({
      kind: "redirect",
      to: `http://127.0.0.1:${String(port)}/api/v2.0/projects`,
    });
    await platform.time.turn(5 * minute);
    expect(await verdicts(replica)).to.deep.equal(rightVerdicts);
    expect(received).to.deep.equal([]);
    expect(JSON.stringify(replica.logged())).to.match(
      /a redirect to http:\/\/127\.0\.0\.1:\d+\S+, is not followed/,
    );
    await expectHealed();
    elsewhere.close();
  }).timeout(60_000);

  describe("that does not know the login any more", () => {
    /** When a login of Berth's own came in that Harbor did not take. */
    function watchLogins(): number[] {
      const failed: number[] = [];
      platform.harbor.faults.meanwhile = ({ login }) => {
        const user = platform.harbor.logins.users.get("admin");
        if (login === "admin" && user?.password !== adminPassword) failed.push(Date.now());
      };
      return failed;
    }

    it("is asked once with it, then rarely; nothing that was known is lost; and the right password heals at once", async () => {
      await start();
      const failed = watchLogins();
      platform.harbor.logins.users.get("admin")!.password = "Changed-Behind-Our-Back";
      await platform.time.turn(30 * minute);
      expect(await verdicts(replica)).to.deep.equal(rightVerdicts);
      expect(credentialsOf(platform)).to.equal(credentials);
      const gaps = failed.slice(1).map((at, index) => at - (failed[index] ?? 0));
      expect(Math.min(...gaps), "two at a time keep the principal locked").to.be.at.least(10 * second);
      // Each minute one listing, one check and two looks at the robots.
      expect(failed.length, "in half an hour").to.be.below(4 * 30);
      expect(platform.harbor.logins.failures.get("admin")).to.equal(failed.length);
      expect(errors().length).to.be.within(1, 2);
      expect((await replica.details()).join("\n")).to.match(
        /registry managed \(harbor\): down;.*does not accept the login.*credentialsSecret/,
      );

      platform.secret("harbor-login", { username: "admin", password: "Changed-Behind-Our-Back" });
      await platform.time.turn(15 * second);
      expect(await age()).to.be.below(16);
      await expectHealed();
    }).timeout(60_000);

    it("loses nothing by answers to nobody: the public projects alone are no listing", async () => {
      await start();
      platform.harbor.faults.anonymous = true;
      await platform.time.turn(10 * minute);
      expect(await verdicts(replica)).to.deep.equal(rightVerdicts);
      expect(
        await replica.metric('berth_catalogue_spaces{registry="managed",visibility="private"}'),
      ).to.equal(4);
      expect(credentialsOf(platform)).to.equal(credentials);
      await expectHealed();
    }).timeout(60_000);

    it("loses nothing when that happens in the middle of a listing", async () => {
      await start();
      platform.harbor.faults.meanwhile = ({ path }) => {
        if (path.startsWith("/api/v2.0/projects?")) platform.harbor.faults.anonymous = true;
        if (path.startsWith("/api/v2.0/systeminfo")) platform.harbor.faults.anonymous = false;
      };
      // Known at the beginning, nobody for the pages, and known again at the end: only the total can tell.
      await platform.time.turn(30 * second);
      platform.harbor.faults.meanwhile = ({ path }) => {
        if (path.startsWith("/api/v2.0/projects?")) platform.harbor.faults.anonymous = true;
      };
      await platform.time.turn(5 * minute);
      expect(await verdicts(replica)).to.deep.equal(rightVerdicts);
      platform.harbor.faults.meanwhile = () => undefined;
      await expectHealed();
    }).timeout(60_000);
  });

  describe("whose listing shrinks", () => {
    it("loses nothing when it is empty for a moment", async () => {
      await start();
      for (let times = 0; times < 2; times += 1) {
        platform.harbor.faults.next({ kind: "total", total: 0 }, 1, /\/projects\?/);
        await platform.time.turn(16 * second);
      }
      expect(await verdicts(replica)).to.deep.equal(rightVerdicts);
      await expectHealed();
    }).timeout(60_000);

    it("loses nothing when the login has lost its rights", async () => {
      await start();
      const { users } = platform.harbor.logins;
      const admin = users.get("admin")!;
      users.set("admin", { ...admin, id: 77, admin: false });
      await platform.time.turn(10 * minute);
      expect(await verdicts(replica)).to.deep.equal(rightVerdicts);
      expect(credentialsOf(platform)).to.equal(credentials);
      expect((await replica.details()).join("\n")).to.match(
        /its listing is not believed: it lacks 4 of the 6 spaces known before;.*admin is no administrator/,
      );
      users.set("admin", admin);
      await expectHealed();
    }).timeout(60_000);

    it("is believed when most of its projects are really gone", async () => {
      await start();
      for (const name of ["library", "platform", "team-b", "models", "secrets"])
        platform.harbor.projects.remove(name);
      await platform.time.turn(20 * second);
      expect(await replica.reason("sandbox", image("library"))).to.equal("public-space");
      await platform.time.turn(5 * minute);
      expect(await replica.reason("sandbox", image("library"))).to.equal("namespace-without-workspace");
      expect(await replica.reason("shop", image("team-a"))).to.equal("bound-space");
    }).timeout(60_000);
  });
});

function listening(
  onRequest: (request: { readonly headers: { authorization?: string } }) => void,
): Promise<Server> {
  const server = createServer((request, response) => {
    onRequest(request as { headers: { authorization?: string } });
    response.end("[]");
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

/** To pull secrets and to records. */
function writesOf({ kube }: ClusterPlatform): number {
  const isWrite = (kind: string) => ["create", "update", "patch", "delete"].includes(kind);
  return kube.requests.filter(({ kind, path }) => isWrite(kind) && /\/secrets(\/|$)/.test(path)).length;
}
