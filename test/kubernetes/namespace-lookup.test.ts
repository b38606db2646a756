import { expect } from "chai";
import { createNamespaceLookup } from "../../src/kubernetes/namespace-lookup.ts";
import { createRecordingLog } from "../fakes/recording-log.ts";

const label = "workspace.ghippo.io/id";

describe("the look-up of a namespace that no watch event has shown yet", () => {
  let asked: string[] = [];
  let time = 0;
  let answer: (namespace: string) => Promise<Readonly<Record<string, string>> | null>;
  const signal = new AbortController().signal;

  beforeEach(() => {
    asked = [];
    // LRUCache takes a time of 0 for none.
    time = 1_000_000;
    answer = () => Promise.resolve({ [label]: "12" });
  });

  const create = () =>
    createNamespaceLookup({
      readLabels(namespace) {
        asked.push(namespace);
        return answer(namespace);
      },
      workspaceLabel: label,
      log: createRecordingLog(),
      now: () => time,
    });

  it("tells its workspace, that it has none, or that there is no such namespace", async () => {
    const lookUp = create();
    expect(await lookUp("shop", signal)).to.deep.equal({ kind: "read", exists: true, workspace: "12" });
    answer = () => Promise.resolve({});
    expect(await lookUp("bare", signal)).to.deep.equal({ kind: "read", exists: true, workspace: null });
    answer = () => Promise.resolve(null);
    expect(await lookUp("none", signal)).to.deep.equal({ kind: "read", exists: false, workspace: null });
  });

  it("asks once for all who ask at the same time, and for a second afterwards", async () => {
    const lookUp = create();
    await Promise.all(Array.from({ length: 50 }, () => lookUp("shop", signal)));
    time += 900;
    await lookUp("shop", signal);
    expect(asked).to.deep.equal(["shop"]);
    time += 200;
    await lookUp("shop", signal);
    expect(asked).to.deep.equal(["shop", "shop"]);
  });

  it("has no answer when the API server fails, and does not remember that", async () => {
    const lookUp = create();
    answer = () => Promise.reject(new Error("503"));
    expect(await lookUp("shop", signal)).to.deep.equal({ kind: "unavailable", why: "failed" });
    answer = () => Promise.resolve({ [label]: "12" });
    expect(await lookUp("shop", signal)).to.include({ kind: "read" });
  });

  it("asks no more than its limit, however many names are invented, and more as time goes by", async () => {
    const lookUp = create();
    const flood = async (from: number) => {
      const answers = await Promise.all(
        Array.from({ length: 300 }, (_, index) => lookUp(`n-${String(from + index)}`, signal)),
      );
      return answers.filter(({ kind }) => kind === "unavailable").length;
    };
    expect(await flood(0)).to.equal(200);
    expect(asked).to.have.length(100);
    time += 1_000;
    await flood(1_000);
    expect(asked).to.have.length(150);
  });
});
