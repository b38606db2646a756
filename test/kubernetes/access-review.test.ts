import { expect } from "chai";
import { createAccessReviews, peopleLimits } from "../../src/kubernetes/access-review.ts";
import type { KubeAnswer } from "../../src/kubernetes/kube-client.ts";

const right = { group: "berth.io", resource: "workspaces", verb: "assign", name: "12" };
const user = { username: "anna", uid: "7", groups: ["keepers"], extra: { scope: ["x"] } };
const signal = new AbortController().signal;

describe("asking the API server for a right", () => {
  let asked: { method: string; path: string; body: unknown }[] = [];
  let time = 0;
  let answer: Pick<KubeAnswer, "status" | "body">;

  beforeEach(() => {
    asked = [];
    time = 1_000_000;
    answer = { status: 201, body: { status: { allowed: true } } };
  });

  const create = (limits?: typeof peopleLimits) =>
    createAccessReviews({
      ...(limits && { limits }),
      client: {
        request(method, path, options) {
          asked.push({ method, path, body: options?.body });
          return Promise.resolve({ headers: {}, ...answer });
        },
      },
      now: () => time,
    });

  it("passes the user on as the review has it", async () => {
    expect(await create()(user, right, signal)).to.equal(true);
    const { username, ...rest } = user;
    expect(asked).to.deep.equal([
      {
        method: "POST",
        path: "/apis/authorization.k8s.io/v1/subjectaccessreviews",
        body: {
          apiVersion: "authorization.k8s.io/v1",
          kind: "SubjectAccessReview",
          spec: { user: username, ...rest, resourceAttributes: right },
        },
      },
    ]);
  });

  const no: [title: string, status: unknown][] = [
    ["not allowed", { allowed: false }],
    ["denied, whatever else it says", { allowed: true, denied: true }],
    ["an authorizer that could not tell", { allowed: false, evaluationError: "x" }],
    ["text that looks like yes", { allowed: "true" }],
    ["nothing", {}],
  ];
  for (const [title, status] of no) {
    it(`takes for no: ${title}`, async () => {
      answer = { status: 201, body: { status } };
      expect(await create()(user, right, signal)).to.equal(false);
    });
  }

  const failures: Pick<KubeAnswer, "status" | "body">[] = [
    { status: 403, body: { message: "forbidden" } },
    { status: 500, body: undefined },
    { status: 201, body: undefined },
    { status: 201, body: { status: null } },
  ];
  for (const failure of failures) {
    it(`throws where there is no answer: ${JSON.stringify(failure)}`, async () => {
      answer = failure;
      const error = await create()(user, right, signal).then(
        () => undefined,
        (err: unknown) => err,
      );
      expect(error).to.be.an("error");
    });
  }

  it("remembers an answer for five seconds, for that user and right alone", async () => {
    const ask = create();
    await ask(user, right, signal);
    await ask(user, right, signal);
    expect(asked).to.have.length(1);
    await ask({ ...user, groups: ["others"] }, right, signal);
    await ask(user, { ...right, name: "13" }, signal);
    await ask(user, { ...right, verb: "exempt" }, signal);
    expect(asked).to.have.length(4);
    time += 5_001;
    await ask(user, right, signal);
    expect(asked).to.have.length(5);
  });

  it("asks no more than its limit", async () => {
    const ask = create();
    const answers = await Promise.allSettled(
      Array.from({ length: 150 }, (_, index) => ask({ username: `u-${String(index)}` }, right, signal)),
    );
    expect(answers.filter(({ status }) => status === "rejected")).to.have.length(50);
    expect(asked).to.have.length(100);
  });

  it("asks in one namespace, or in all at once", async () => {
    const ask = create();
    const pods = { group: "", resource: "pods", verb: "create" };
    await ask(user, { ...pods, namespace: "shop" }, signal);
    await ask(user, { ...pods, namespace: "bank" }, signal);
    await ask(user, pods, signal);
    const specs = asked.map(({ body }) => (body as { spec: { resourceAttributes: unknown } }).spec);
    expect(specs.map(({ resourceAttributes }) => resourceAttributes)).to.deep.equal([
      { ...pods, namespace: "shop" },
      { ...pods, namespace: "bank" },
      pods,
    ]);
  });

  it("asks once for equal questions at the same time", async () => {
    const ask = create();
    const answers = await Promise.all([1, 2, 3].map(() => ask(user, right, signal)));
    expect(answers).to.deep.equal([true, true, true]);
    expect(asked).to.have.length(1);
  });

  describe("for people", () => {
    const pods = { group: "", resource: "pods", verb: "create" };
    const list = (ask: ReturnType<typeof create>, username: string, count: number) =>
      Promise.allSettled(
        Array.from({ length: count }, (_, index) =>
          ask({ username, groups: [] }, { ...pods, namespace: `n-${String(index)}` }, signal),
        ),
      );

    it("keeps what a list of a thousand namespaces took for half a minute", async () => {
      const ask = create(peopleLimits);
      await list(ask, "anna", 1_000);
      time += 29_000;
      await list(ask, "anna", 1_000);
      expect(asked).to.have.length(1_000);
      time += 1_001;
      await list(ask, "anna", 1_000);
      expect(asked).to.have.length(2_000);
    });

    it("lets no person use up what others need", async () => {
      const ask = create(peopleLimits);
      await list(ask, "anna", 6_000);
      expect(asked).to.have.length(2_000);
      const others = await list(ask, "ben", 1_000);
      expect(others.every(({ status }) => status === "fulfilled")).to.equal(true);
    });

    it("forgets nothing that counts, however much is asked", async () => {
      const ask = create(peopleLimits);
      await list(ask, "anna", 1_000);
      for (const name of ["ben", "cleo", "dan"]) await list(ask, name, 2_000);
      expect(asked, "all that may be asked at once").to.have.length(5_000);
      await list(ask, "anna", 1_000);
      expect(asked).to.have.length(5_000);
    });
  });
});
