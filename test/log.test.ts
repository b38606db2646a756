import { expect } from "chai";
import { createLog, type Log, type LogLevel } from "../src/log.ts";

const levels: readonly LogLevel[] = ["debug", "info", "warn", "error"];
const password = "Never-Shown-4711";

describe("the log", () => {
  let written: string[];
  const create = (level: LogLevel): Log => createLog(level, { write: (line) => written.push(line) });
  const lines = () => written.map((line) => JSON.parse(line) as Record<string, unknown>);

  beforeEach(() => {
    written = [];
  });

  it("writes one line of JSON an event: level, time, facts, sentence, and nothing of the machine", () => {
    create("info").info({ namespace: "shop", count: 3, none: null }, "refused\nby two");
    expect(written).to.have.lengthOf(1);
    expect(written[0]).to.match(/^[^\n]+\n$/);
    const { time, ...rest } = lines()[0] ?? {};
    expect(rest).to.deep.equal({
      level: "info",
      namespace: "shop",
      count: 3,
      none: null,
      msg: "refused\nby two",
    });
    expect(time).to.match(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  for (const [index, level] of levels.entries()) {
    it(`at ${level} writes that and what weighs more`, () => {
      const log = create(level);
      for (const each of levels) log[each]({}, each);
      expect(lines().map(({ level: shown }) => shown)).to.deep.equal(levels.slice(index));
    });
  }

  it("tells an error with its message, its story and its cause", () => {
    const cause = new Error("connect ECONNREFUSED");
    create("info").warn({ err: new Error("list projects: no answer", { cause }) }, "failed");
    const err = lines()[0]?.["err"] as { type: string; message: string; stack: string };
    expect(err).to.include({ type: "Error" });
    expect(err.message).to.include("list projects: no answer");
    expect(err.message + err.stack).to.include("connect ECONNREFUSED");
  });

  describe("lets no secret through", () => {
    const slips: [title: string, facts: Readonly<Record<string, unknown>>][] = [
      ["under a telling name", { password }],
      ["whatever its type", { token: [password], data: { key: password } }],
      ["in a login", { login: { username: "admin", password } }],
      ["in a Secret", { object: { kind: "Secret", data: { password }, stringData: { password } } }],
      ["in headers", { headers: { authorization: `Basic ${password}` } }],
      [
        "in credentials of a pull secret",
        { credentials: password, auth: password, auths: { "harbor.test": password } },
      ],
    ];
    for (const [title, facts] of slips) {
      it(title, () => {
        create("debug").debug(facts, "slipped");
        expect(written.join("")).not.to.include(password);
        expect(written.join("")).to.include("[redacted]");
      });
    }

    it("and leaves alone what is none, in the facts that were handed over too", () => {
      const facts = { username: "admin", login: { username: "admin", password } };
      create("info").info(facts, "told");
      expect(lines()[0]).to.deep.include({
        username: "admin",
        login: { username: "admin", password: "[redacted]" },
      });
      expect(facts.login.password).to.equal(password);
    });
  });
});
