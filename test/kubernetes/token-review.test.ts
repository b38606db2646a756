import { expect } from "chai";
import { createTokenReviews } from "../../src/kubernetes/token-review.ts";
import type { KubeAnswer } from "../../src/kubernetes/kube-client.ts";

const anna = {
  username: "anna",
  uid: "7",
  groups: ["team-a", "system:authenticated"],
  extra: { "example.test/scope": ["x", "y"] },
};
const address = "10.0.0.1";

describe("asking the API server whose token it is", () => {
  let asked: { method: string; path: string; body: unknown }[];
  let time: number;
  let answer: Pick<KubeAnswer, "status" | "body">;
  let hold: Promise<unknown>;
  const never = new AbortController().signal;

  beforeEach(() => {
    asked = [];
    time = 1_000_000;
    hold = Promise.resolve();
    answer = { status: 201, body: { status: { authenticated: true, user: anna } } };
  });

  const create = () =>
    createTokenReviews({
      client: {
        async request(method, path, options) {
          asked.push({ method, path, body: options?.body });
          await hold;
          return { headers: {}, ...answer };
        },
      },
      now: () => time,
    });

  async function failureOf(promise: Promise<unknown>): Promise<Error> {
    const failure = await promise.then(
      () => undefined,
      (err: unknown) => err,
    );
    if (failure instanceof Error) return failure;
    throw new Error("expected a failure");
  }

  it("asks for the API server's own audience, and gives the user as the answer has it", async () => {
    expect(await create()("abc.def.ghi", address, never)).to.deep.equal(anna);
    expect(asked).to.deep.equal([
      {
        method: "POST",
        path: "/apis/authentication.k8s.io/v1/tokenreviews",
        body: {
          apiVersion: "authentication.k8s.io/v1",
          kind: "TokenReview",
          spec: { token: "abc.def.ghi" },
        },
      },
    ]);
  });

  it("takes a user of whom there is no more than a name", async () => {
    answer = { status: 201, body: { status: { authenticated: true, user: { username: "ben" } } } };
    expect(await create()("t", address, never)).to.deep.equal({ username: "ben", groups: [], extra: {} });
  });

  const no: [title: string, status: unknown][] = [
    ["not authenticated", { authenticated: false }],
    ["an error, whatever else it says", { authenticated: true, user: anna, error: "expired" }],
    ["text that looks like yes", { authenticated: "true", user: anna }],
    ["nothing", {}],
  ];
  for (const [title, status] of no) {
    it(`takes for no: ${title}`, async () => {
      answer = { status: 201, body: { status } };
      expect(await create()("t", address, never)).to.equal(undefined);
    });
  }

  const tokens: [title: string, token: string][] = [
    ["an empty text", ""],
    ["a blank", "a b"],
    ["a line break", "a\nb"],
    ["a zero byte", "a\u0000"],
    ["other than ASCII", "tökén"],
    ["more than sixteen thousand characters", "a".repeat(16 * 1024 + 1)],
  ];
  for (const [title, token] of tokens) {
    it(`asks nobody about ${title}`, async () => {
      expect(await create()(token, address, never)).to.equal(undefined);
      expect(asked).to.deep.equal([]);
    });
  }

  it("asks about the longest that is taken", async () => {
    expect(await create()("a".repeat(16 * 1024), address, never)).to.deep.equal(anna);
  });

  const quoted = "top-secret-token";
  const failures: Pick<KubeAnswer, "status" | "body">[] = [
    { status: 403, body: { message: "tokenreviews is forbidden" } },
    { status: 400, body: { message: `could not read {"token":"${quoted}"}` } },
    { status: 500, body: undefined },
    { status: 201, body: undefined },
    { status: 201, body: { status: null } },
    { status: 201, body: { status: { authenticated: true } } },
    { status: 201, body: { status: { authenticated: true, user: { username: "" } } } },
    { status: 201, body: { status: { authenticated: true, user: { ...anna, groups: "all" } } } },
    { status: 201, body: { status: { authenticated: true, user: { ...anna, extra: { a: "b" } } } } },
  ];
  for (const failure of failures) {
    it(`throws where there is no answer, without the token: ${JSON.stringify(failure)}`, async () => {
      answer = failure;
      const error = await failureOf(create()(quoted, address, never));
      expect(error.message).to.match(/^review a token: expected 201 .*, got \d{3}/);
      expect(error.message).not.to.contain(quoted);
      if (failure.status === 403) expect(error.message).to.contain("needs the right to create tokenreviews");
    });
  }

  it("remembers an answer for ten seconds, a no too, and a failure not at all", async () => {
    const review = create();
    await review("t", address, never);
    await review("t", "10.0.0.2", never);
    expect(asked).to.have.length(1);
    time += 10_001;
    answer = { status: 201, body: { status: { authenticated: false } } };
    expect(await review("t", address, never)).to.equal(undefined);
    expect(await review("t", address, never)).to.equal(undefined);
    expect(asked).to.have.length(2);
    answer = { status: 500, body: undefined };
    await failureOf(review("u", address, never));
    await failureOf(review("u", address, never));
    expect(asked).to.have.length(4);
  });

  it("asks once for many who come with one token at the same time", async () => {
    const gate = Promise.withResolvers<undefined>();
    hold = gate.promise;
    const review = create();
    const answers = Array.from({ length: 5 }, () => review("t", address, never));
    gate.resolve(undefined);
    expect((await Promise.all(answers)).map((user) => user?.username)).to.deep.equal(Array(5).fill("anna"));
    expect(asked).to.have.length(1);
  });

  it("lets one who gives up go, and answers the others", async () => {
    const gate = Promise.withResolvers<undefined>();
    hold = gate.promise;
    const review = create();
    const leaving = new AbortController();
    const left = failureOf(review("t", address, leaving.signal));
    const stayed = review("t", address, never);
    leaving.abort(new Error("gone"));
    expect((await left).message).to.equal("gone");
    gate.resolve(undefined);
    expect((await stayed)?.username).to.equal("anna");
    expect(asked).to.have.length(1);
  });

  describe("in a flood of invented tokens", () => {
    const flood = (review: ReturnType<typeof create>, from: string, count: number) =>
      Promise.allSettled(
        Array.from({ length: count }, (_, index) => review(`${from}-${String(index)}`, from, never)),
      );

    it("asks a hundred at once for one address, and two hundred in all", async () => {
      const review = create();
      const first = await flood(review, "10.0.0.1", 300);
      expect(asked).to.have.length(100);
      expect(first.filter(({ status }) => status === "rejected")).to.have.length(200);
      await flood(review, "10.0.0.2", 300);
      await flood(review, "10.0.0.3", 300);
      expect(asked).to.have.length(200);
      time += 1_000;
      await flood(review, "10.0.0.4", 300);
      expect(asked, "forty a second from then on").to.have.length(240);
    });

    it("goes on to answer those whom it knows, and takes in others who come from elsewhere", async () => {
      const review = create();
      await review("known", "10.0.0.9", never);
      await flood(review, "10.0.0.1", 1_000);
      expect((await review("known", "10.0.0.1", never))?.username).to.equal("anna");
      expect((await review("new", "10.0.0.2", never))?.username).to.equal("anna");
    });

    it("says that there are too many, without a token", async () => {
      const review = create();
      await flood(review, address, 100);
      const error = await failureOf(review(quoted, address, never));
      expect(error.message).to.equal("review a token: too many questions at once");
      expect(error.name).to.equal("TooManyQuestionsError");
    });
  });
});
