import { expect } from "chai";
import { reserveMs } from "../../src/http/guard.ts";
import {
  createWaitingRoom,
  maxWaitingReviews,
  presentPullSecrets,
  pullSecretWaitMs,
  type PullSecrets,
  type PullSecretState,
} from "../../src/http/pull-secret-wait.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";

const needs = [{ registry: "managed", space: "team-a" }];
const plenty = 30_000;

describe("the waiting room", () => {
  const log = createRecordingLog();
  const roomBefore = (arrival: PullSecrets["arrival"], state: PullSecretState = "missing") =>
    createWaitingRoom({ state: () => state, arrival }, log);
  const never = () => new Promise<PullSecretState>(() => undefined);

  it("holds nobody where pull secrets count as present", () => {
    const room = createWaitingRoom(presentPullSecrets, log);
    expect(room.arrival("shop", "12", needs, plenty)).to.equal(undefined);
  });

  it("holds nobody whose pull secret is there, and asks for no arrival", () => {
    let asked = 0;
    const room = roomBefore(() => {
      asked += 1;
      return never();
    }, "current");
    expect(room.arrival("shop", "12", needs, plenty)).to.equal(undefined);
    expect(asked).to.equal(0);
  });

  it("holds nobody whose deadline is near", () => {
    const room = roomBefore(never);
    expect(room.arrival("shop", "12", needs, reserveMs)).to.equal(undefined);
    expect(room.arrival("shop", "12", needs, -1)).to.equal(undefined);
  });

  it("lets go, and says so to whoever was to tell, when the time is over", async () => {
    let signal: AbortSignal | undefined;
    const room = roomBefore((_namespace, _workspace, _needs, given) => {
      signal = given;
      return never();
    });
    await room.arrival("shop", "12", needs, reserveMs + 1);
    expect(signal?.aborted).to.equal(true);
  });

  it("waits no longer than a mutating webhook civilly may", () => {
    expect(pullSecretWaitMs).to.be.at.most(3_000);
  });

  it("lets go when an arrival fails in spite of its word, and logs it", async () => {
    const room = roomBefore(() => Promise.reject(new Error("lost")));
    await room.arrival("shop", "12", needs, plenty);
    expect(log.lines.at(-1)?.facts).to.have.nested.property("err.message", "lost");
  });

  it("holds so many and no more, and others again when they have left", async () => {
    const leave: (() => void)[] = [];
    const room = roomBefore(() => new Promise((resolve) => leave.push(() => resolve("current"))));
    const waiting = Array.from({ length: maxWaitingReviews }, () =>
      room.arrival("shop", "12", needs, plenty),
    );
    expect(waiting.includes(undefined)).to.equal(false);
    expect(room.arrival("shop", "12", needs, plenty)).to.equal(undefined);
    leave[0]?.();
    await waiting[0];
    const next = room.arrival("shop", "12", needs, plenty);
    expect(next).to.not.equal(undefined);
    for (const each of leave) each();
    await Promise.all([...waiting, next]);
  });
});
